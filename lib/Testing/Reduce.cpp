//===- Reduce.cpp - Smaller graphs that fail alike ------------------------===//

#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Symbols.h"
#include "limosa/IR/Types.h"
#include "limosa/Testing/Check.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::testing;
using reference::Tensor;

namespace {

func::FuncOp mainOf(const RandomGraph &G) {
  return G.Module.get().lookupSymbol<func::FuncOp>("main");
}

RandomGraph copy(const RandomGraph &G) {
  RandomGraph R;
  R.Module = G.Module.get().clone();
  R.Sizes = G.Sizes;
  R.Inputs = G.Inputs;
  R.Tolerances = G.Tolerances;
  return R;
}

void fixSignature(func::FuncOp Func) {
  Func.setFunctionType(FunctionType::get(
      Func.getContext(), Func.getBody().front().getArgumentTypes(),
      Func.getBody().front().getTerminator()->getOperandTypes()));
}

/// Removes ops and inputs that nothing uses. An input that alone binds a symbol
/// stays.
void clean(RandomGraph &G) {
  func::FuncOp Func = mainOf(G);
  Block &Body = Func.getBody().front();
  SmallVector<Operation *> Ops;
  for (Operation &Op : Body.without_terminator())
    Ops.push_back(&Op);
  for (Operation *Op : llvm::reverse(Ops))
    if (isOpTriviallyDead(Op))
      Op->erase();
  std::set<std::string> Needed;
  Func.walk([&](Operation *Op) {
    for (Value V : Op->getResults())
      if (isa<RankedTensorType>(V.getType()))
        for (const DimExpr &E : getDims(V))
          E.collectSymbols(Needed);
  });
  for (unsigned I = Body.getNumArguments(); I-- > 0;) {
    if (!Body.getArgument(I).use_empty())
      continue;
    bool Binds = false;
    for (const DimExpr &E : getDims(Body.getArgument(I)))
      for (const std::string &S : E.symbols()) {
        bool Elsewhere = false;
        for (BlockArgument Other : Body.getArguments())
          Elsewhere |= Other.getArgNumber() != I &&
                       llvm::is_contained(getDims(Other), DimExpr::symbol(S));
        bool Used = Needed.count(S);
        for (BlockArgument Other : Body.getArguments())
          if (Other.getArgNumber() != I)
            for (const DimExpr &D : getDims(Other))
              Used |= D.symbols().count(S) != 0;
        Binds |= Used && !Elsewhere;
      }
    if (Binds)
      continue;
    (void)Func.eraseArgument(I);
    for (auto &Run : G.Inputs)
      Run.erase(Run.begin() + I);
  }
}

/// Makes the function return exactly these values.
void setOutputs(func::FuncOp Func, ValueRange Values) {
  Operation *Return = Func.getBody().front().getTerminator();
  Return->setOperands(Values);
  Func.removeResAttrsAttr();
  fixSignature(Func);
}

std::optional<RandomGraph> withOneOutput(const RandomGraph &G, unsigned Keep) {
  RandomGraph R = copy(G);
  func::FuncOp Func = mainOf(R);
  Value V = Func.getBody().front().getTerminator()->getOperand(Keep);
  setOutputs(Func, V);
  R.Tolerances = {G.Tolerances[Keep]};
  clean(R);
  return R;
}

/// Replaces the results of the n-th op by inputs that hold what the interpreter
/// computes for them.
std::optional<RandomGraph> withoutOp(const RandomGraph &G, unsigned N) {
  RandomGraph R = copy(G);
  func::FuncOp Func = mainOf(R);
  Block &Body = Func.getBody().front();
  Operation *Op = &*std::next(Body.begin(), N);
  // Not where a symbol would lose what binds it.
  if (isa<CompactOp, BindSymbolOp, ConstantOp>(Op) || Op->getNumResults() == 0)
    return std::nullopt;
  std::set<std::string> Bound;
  for (BlockArgument Arg : Body.getArguments())
    for (const DimExpr &E : getDims(Arg))
      if (auto S = E.asSymbol())
        Bound.insert(std::string(*S));
  for (Value V : Op->getResults())
    for (const DimExpr &E : getDims(V))
      for (const std::string &S : E.symbols())
        if (!Bound.count(S))
          return std::nullopt;
  // Their values, from a copy that returns them.
  RandomGraph Probe = copy(G);
  func::FuncOp ProbeFunc = mainOf(Probe);
  setOutputs(ProbeFunc,
             std::next(ProbeFunc.getBody().front().begin(), N)->getResults());
  for (size_t Run = 0; Run < G.Inputs.size(); ++Run) {
    std::vector<Tensor> Values;
    if (!evaluateModule(*Probe.Module, G.Inputs[Run], Values).ok())
      return std::nullopt;
    llvm::append_range(R.Inputs[Run], Values);
  }
  for (Value V : Op->getResults()) {
    auto Ty = cast<RankedTensorType>(V.getType());
    if (failed(
            Func.insertArgument(Body.getNumArguments(), Ty, {}, Op->getLoc())))
      return std::nullopt;
    V.replaceAllUsesWith(Body.getArguments().back());
  }
  Op->erase();
  clean(R);
  return R;
}

} // namespace

void limosa::testing::reduceGraph(
    RandomGraph &G,
    const std::function<bool(const RandomGraph &)> &StillFails) {
  auto Try = [&](std::optional<RandomGraph> Smaller) {
    if (!Smaller || !StillFails(*Smaller))
      return false;
    G = std::move(*Smaller);
    return true;
  };
  for (unsigned I = 0; G.Tolerances.size() > 1 && I < G.Tolerances.size(); ++I)
    if (Try(withOneOutput(G, I)))
      break;
  for (unsigned Run = 0; G.Inputs.size() > 1 && Run < G.Inputs.size(); ++Run) {
    RandomGraph One = copy(G);
    One.Inputs = {G.Inputs[Run]};
    One.Sizes = {G.Sizes[Run]};
    if (Try(std::move(One)))
      break;
  }
  // From the first op on: what an op was fed becomes an input, until nothing
  // more can go.
  bool Changed = true;
  while (Changed) {
    Changed = false;
    for (unsigned N = 0;;) {
      Block &Body = mainOf(G).getBody().front();
      if (N + 1 >= Body.getOperations().size())
        break;
      if (Try(withoutOp(G, N)))
        Changed = true;
      else
        ++N;
    }
  }
}
