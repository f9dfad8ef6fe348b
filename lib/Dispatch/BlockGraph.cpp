//===- BlockGraph.cpp - Dependences between the ops of a block ------------===//

#include "BlockGraph.h"

#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Types.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;

namespace limosa::dispatch {

static void collectTypeSymbols(Type Ty, std::set<std::string> &Out) {
  for (const DimExpr &E : getDims(Ty))
    E.collectSymbols(Out);
}

static void collectTextSymbols(Attribute Attr, std::set<std::string> &Out) {
  if (auto Texts = dyn_cast_or_null<ArrayAttr>(Attr))
    for (const DimExpr &E : parseDims(Texts))
      E.collectSymbols(Out);
}

/// Symbols that the shapes and expressions of `Op` alone name.
static void collectOwnSymbols(Operation *Op, std::set<std::string> &Out) {
  for (Type Ty : Op->getResultTypes())
    collectTypeSymbols(Ty, Out);
  if (auto Dim = dyn_cast<DimOp>(Op))
    parseDim(Dim.getExpr()).collectSymbols(Out);
  if (auto Assert = dyn_cast<AssertExprOp>(Op)) {
    parseDim(Assert.getLhs()).collectSymbols(Out);
    parseDim(Assert.getRhs()).collectSymbols(Out);
  }
  for (StringRef Name : {"starts", "low", "high", "pad_low", "pad_high"})
    collectTextSymbols(Op->getAttr(Name), Out);
}

static void collectSymbols(Operation *Op, std::set<std::string> &Out) {
  Op->walk([&](Operation *Inner) { collectOwnSymbols(Inner, Out); });
}

llvm::SetVector<Value> usedValues(Operation *Op) {
  llvm::SetVector<Value> Used(Op->operand_begin(), Op->operand_end());
  for (Region &R : Op->getRegions())
    R.walk([&](Operation *Inner) {
      for (Value V : Inner->getOperands())
        if (!Op->isAncestor(V.getParentRegion()->getParentOp()))
          Used.insert(V);
    });
  return Used;
}

Operation *BlockGraph::ancestor(Operation *Op) const {
  while (Op && !Index.count(Op))
    Op = Op->getParentOp();
  return Op;
}

void BlockGraph::addEdge(unsigned From, unsigned To) {
  if (From == To || llvm::is_contained(Before[To], From))
    return;
  Before[To].push_back(From);
  After[From].push_back(To);
}

BlockGraph::BlockGraph(Block &B) {
  for (Operation &Op : B) {
    Index[&Op] = Ops.size();
    Ops.push_back(&Op);
  }
  Before.resize(Ops.size());
  After.resize(Ops.size());

  // Who gives a symbol its value. A symbol of the results of `if` and `while`
  // that nothing before names is bound by them.
  llvm::StringMap<unsigned> Binder;
  std::set<std::string> Known;
  for (BlockArgument Arg : B.getArguments())
    collectTypeSymbols(Arg.getType(), Known);

  std::optional<unsigned> LastEffect;
  for (unsigned I = 0; I < Ops.size(); ++I) {
    Operation *Op = Ops[I];
    for (Value V : usedValues(Op))
      if (Operation *Def = V.getDefiningOp(); Def && Index.count(Def))
        addEdge(Index.lookup(Def), I);

    std::set<std::string> Symbols;
    collectSymbols(Op, Symbols);
    for (const std::string &S : Symbols)
      if (auto It = Binder.find(S); It != Binder.end())
        addEdge(It->second, I);

    if (auto Bind = dyn_cast<BindSymbolOp>(Op))
      Binder[Bind.getSymbol()] = I;
    else if (auto Compact = dyn_cast<CompactOp>(Op))
      Binder[Compact.getSymbol()] = I;
    else if (auto Call = dyn_cast<CustomCallOp>(Op); Call && Call.getSymbols())
      for (StringRef Symbol : Call.getSymbols()->getAsValueRange<StringAttr>())
        Binder[Symbol] = I;
    else if (isa<IfOp, WhileOp>(Op)) {
      std::set<std::string> Results;
      for (Type Ty : Op->getResultTypes())
        collectTypeSymbols(Ty, Results);
      for (const std::string &S : Results)
        if (!Known.count(S) && !Binder.count(S))
          Binder[S] = I;
    }
    Known.insert(Symbols.begin(), Symbols.end());

    if (!isMemoryEffectFree(Op)) {
      if (LastEffect)
        addEdge(*LastEffect, I);
      LastEffect = I;
    }
  }
  // The terminator comes last.
  if (!Ops.empty() && Ops.back()->hasTrait<mlir::OpTrait::IsTerminator>())
    for (unsigned I = 0; I + 1 < Ops.size(); ++I)
      if (After[I].empty())
        addEdge(I, Ops.size() - 1);
}

} // namespace limosa::dispatch
