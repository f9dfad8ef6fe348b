//===- ControlFlow.cpp - if and while -------------------------------------===//
//
// Each result of `if` has one storage that both branches fill. Each loop
// variable has one storage for all rounds: a round writes its next value there
// directly when it no longer needs the old one, and copies it otherwise.
//
// Sizes: symbols that only a region's argument types or an op's result types
// use are registers set when a branch ends, before the first round and after
// each.
//
//===----------------------------------------------------------------------===//

#include "EntryPlanner.h"

#include "limosa/IR/Layout.h"
#include "limosa/IR/LimosaOps.h"

using namespace mlir;

namespace limosa::plan {

static llvm::Error fail(Operation *Op, const llvm::Twine &Message) {
  std::string Text;
  llvm::raw_string_ostream OS(Text);
  Op->getLoc().print(OS);
  return llvm::createStringError(Text + ": " + Message);
}

static DType dtypeOf(Type Ty) {
  return getDType(cast<RankedTensorType>(Ty).getElementType());
}

static std::string symbolName(const DimExpr &E) {
  auto S = E.asSymbol();
  return S ? std::string(*S) : std::string();
}

/// Whether a dimension of a result is a symbol that nothing has bound so far.
bool EntryPlanner::isFresh(const DimExpr &Dim) const {
  std::string Symbol = symbolName(Dim);
  return !Symbol.empty() && !Bounds.isKnown(Dim) && !Assigned.contains(Symbol);
}

/// A result's dimension `Dim` turned out as `Value`: gives a fresh symbol its
/// value, once; anything else has to agree.
void EntryPlanner::settle(const DimExpr &Dim, const DimExpr &Value,
                          const llvm::StringSet<> &Fresh, Operation *Op,
                          Scope &S) {
  if (Dim == Value)
    return;
  if (std::string Symbol = symbolName(Dim); Fresh.contains(Symbol)) {
    setSymbol(Symbol, Value, S);
    return;
  }
  fb::AssertExprT Check;
  Check.lhs = P.Exprs.add(Dim);
  Check.rhs = P.Exprs.add(Value);
  Check.message = "a result of '" + Op->getName().stripDialect().str() +
                  "' has another size than its type says";
  emit(std::move(Check), S);
}

//===----------------------------------------------------------------------===//
// if
//===----------------------------------------------------------------------===//

llvm::Error EntryPlanner::planBranch(Operation *If, Region &Branch,
                                     fb::BlockT &Out,
                                     ArrayRef<uint32_t> Results,
                                     const llvm::StringSet<> &Fresh, Scope &S) {
  Scope B;
  openScope(B, Branch.front(), Out, &S);
  Operation *Yield = B.Body->getTerminator();
  for (auto [V, R, Result] :
       llvm::zip(Yield->getOperands(), Results, If->getResults())) {
    Value Root = rootOf(V);
    Operation *Def = Root.getDefiningOp();
    if (Def && Def->getBlock() == B.Body && !isa<ConstantOp>(Def) &&
        !B.Target.contains(Root) &&
        Storages[StorageOf[R]].Kind != fb::BufferKind::Dynamic &&
        significantOrder(V.getType()) == significantOrder(Result.getType()))
      B.Target[Root] = StorageOf[R];
  }
  if (llvm::Error E = visitBlock(B))
    return E;

  llvm::StringSet<> Left = Fresh;
  for (auto [V, Result] : llvm::zip(Yield->getOperands(), If->getResults()))
    for (auto [Inner, Outer] : llvm::zip(getDims(V), getDims(Result))) {
      settle(Outer, Inner, Left, If, B);
      Left.erase(symbolName(Outer));
    }
  for (auto [V, R] : llvm::zip(Yield->getOperands(), Results)) {
    auto From = bufferOf(V);
    if (!From)
      return From.takeError();
    if (StorageOf[*From] == StorageOf[R]) {
      touch(*From, B);
      continue;
    }
    if (Storages[StorageOf[R]].Kind == fb::BufferKind::Dynamic)
      allocIfDynamic(R, B);
    emitCopy(*From, R, B);
  }
  closeScope(B);
  return llvm::Error::success();
}

llvm::Error EntryPlanner::visitIf(Operation *Op, Scope &S) {
  auto If = cast<IfOp>(Op);
  auto Condition = bufferOf(If.getCondition());
  if (!Condition)
    return Condition.takeError();
  touch(*Condition, S);

  Operation *Then = If.getThenRegion().front().getTerminator();
  Operation *Else = If.getElseRegion().front().getTerminator();
  SmallVector<uint32_t> Results;
  for (auto [I, Result] : llvm::enumerate(If.getResults())) {
    auto Ty = cast<RankedTensorType>(Result.getType());
    auto Target = S.Target.find(Result);
    unsigned In;
    if (Target != S.Target.end()) {
      In = Target->second;
    } else {
      // As much as the larger branch needs.
      auto Most = Bounds.upper(numElements(Ty));
      if (!Most) {
        auto A = Bounds.upper(numElements(Then->getOperand(I).getType()));
        auto B = Bounds.upper(numElements(Else->getOperand(I).getType()));
        if (A && B)
          Most = DimExpr::max(*A, *B);
      }
      In = newTensorStorage(dtypeOf(Ty), Most, S);
    }
    Pinned.insert(In);
    Results.push_back(newBuffer(Ty, In, nameOf(Result)));
    Buffers[Result] = Results.back();
  }
  ++Time;

  llvm::StringSet<> Fresh;
  for (Value Result : If.getResults())
    for (const DimExpr &Dim : getDims(Result))
      if (isFresh(Dim))
        Fresh.insert(symbolName(Dim));
  fb::IfT Step;
  Step.condition = *Condition;
  Step.then_block = std::make_unique<fb::BlockT>();
  Step.else_block = std::make_unique<fb::BlockT>();
  if (llvm::Error E = planBranch(Op, If.getThenRegion(), *Step.then_block,
                                 Results, Fresh, S))
    return E;
  if (llvm::Error E = planBranch(Op, If.getElseRegion(), *Step.else_block,
                                 Results, Fresh, S))
    return E;
  for (auto [I, Result] : llvm::enumerate(If.getResults()))
    for (auto [D, Dim] : llvm::enumerate(getDims(Result))) {
      auto A = Bounds.upper(getDim(Then->getOperand(I).getType(), D));
      auto B = Bounds.upper(getDim(Else->getOperand(I).getType(), D));
      if (std::string Symbol = symbolName(Dim);
          !Symbol.empty() && !Bounds.upper(Dim) && A && B)
        Bounds.define(Symbol, DimExpr::max(*A, *B));
    }
  for (uint32_t R : Results) {
    touch(R, S);
    Pinned.erase(StorageOf[R]);
  }
  emit(std::move(Step), S);
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// while
//===----------------------------------------------------------------------===//

/// A loop variable: its memory, and how the regions and the results see it.
struct EntryPlanner::Carried {
  unsigned In;
  uint32_t Buffer; ///< the body's argument
  bool Varies;     ///< its shape changes from round to round
};

/// A symbol of the regions' argument types and the dimension it stands for.
struct EntryPlanner::Rename {
  std::string Symbol;
  unsigned Var, Dim;
};

llvm::Error EntryPlanner::visitWhile(Operation *Op, Scope &S) {
  auto While = cast<WhileOp>(Op);
  Block &Before = While.getBefore().front();
  Block &After = While.getAfter().front();

  // Sizes that change from round to round.
  std::vector<Rename> Renames;
  llvm::StringSet<> Named;
  llvm::BitVector Varies(While.getInits().size());
  for (Block *B : {&Before, &After})
    for (auto [I, Arg] : llvm::enumerate(B->getArguments()))
      for (auto [D, Dim] : llvm::enumerate(getDims(Arg))) {
        DimExpr First = getDim(While.getInits()[I].getType(), D);
        if (Dim == First)
          continue;
        std::string Symbol = symbolName(Dim);
        if (Symbol.empty())
          return fail(Op,
                      "a dimension that changes in a loop must be a symbol");
        Varies.set(I);
        if (Named.insert(Symbol).second) {
          Renames.push_back({Symbol, unsigned(I), unsigned(D)});
          setSymbol(Symbol, First, S);
        }
      }

  std::vector<Carried> Vars;
  llvm::DenseSet<unsigned> Taken;
  for (auto [I, Init] : llvm::enumerate(While.getInits())) {
    auto Ty = cast<RankedTensorType>(After.getArgument(I).getType());
    if (Ty != Before.getArgument(I).getType() && !Varies[I])
      return fail(Op, "a loop's regions see a variable in different types");
    auto First = bufferOf(Init);
    if (!First)
      return First.takeError();
    touch(*First, S);
    unsigned FirstIn = StorageOf[*First];
    auto Target = S.Target.find(While.getResult(I));
    bool TakesOver = Storages[FirstIn].Kind == fb::BufferKind::Temp &&
                     !Pinned.contains(FirstIn) && !Varies[I] &&
                     dies(Init, Op, S) && Init.getType() == Ty &&
                     Taken.insert(FirstIn).second &&
                     llvm::count_if(While.getInits(), [&](Value Other) {
                       return rootOf(Other) == rootOf(Init);
                     }) == 1;
    unsigned In;
    if (Target != S.Target.end() && !Varies[I] && isPhysicallyRowMajor(Ty))
      In = Target->second;
    else if (TakesOver && !usedInside(Op, Init))
      In = FirstIn;
    else
      In = newTensorStorage(dtypeOf(Ty), Bounds.upper(numElements(Ty)), S);
    uint32_t Buffer = newBuffer(Ty, In, nameOf(While.getResult(I)));
    Buffers[After.getArgument(I)] = Buffer;
    Buffers[Before.getArgument(I)] =
        newBuffer(cast<RankedTensorType>(Before.getArgument(I).getType()), In);
    if (In != FirstIn) {
      allocIfDynamic(Buffer, S);
      emitCopy(*First, Buffer, S);
    }
    Pinned.insert(In);
    Vars.push_back({In, Buffer, Varies[I]});
  }

  fb::WhileT Step;
  Step.before = std::make_unique<fb::BlockT>();
  Step.body = std::make_unique<fb::BlockT>();
  Scope Test;
  openScope(Test, Before, *Step.before, &S);
  if (llvm::Error E = visitBlock(Test))
    return E;
  auto Condition = bufferOf(Before.getTerminator()->getOperand(0));
  if (!Condition)
    return Condition.takeError();
  Step.condition = *Condition;
  touch(*Condition, Test);
  for (const Carried &C : Vars)
    touch(C.Buffer, Test);
  closeScope(Test);
  if (llvm::Error E = planBody(Op, Vars, Renames, *Step.body, S))
    return E;
  // The test runs again after the body, with all that it uses.
  closeScope(Test);
  for (const Carried &C : Vars) {
    touch(C.Buffer, S);
    Pinned.erase(C.In);
  }
  emit(std::move(Step), S);

  // The results are the variables' memory; their sizes get names of their own.
  for (auto [I, Result] : llvm::enumerate(While.getResults())) {
    for (auto [Last, Dim] :
         llvm::zip(getDims(After.getArgument(I)), getDims(Result))) {
      llvm::StringSet<> Fresh;
      if (isFresh(Dim))
        Fresh.insert(symbolName(Dim));
      settle(Dim, Last, Fresh, Op, S);
      if (auto Most = Bounds.upper(Last); Most && !Fresh.empty())
        Bounds.define(symbolName(Dim), *Most);
    }
    auto Target = S.Target.find(Result);
    uint32_t B = newBuffer(cast<RankedTensorType>(Result.getType()), Vars[I].In,
                           nameOf(Result));
    if (Target != S.Target.end() && Target->second != Vars[I].In) {
      uint32_t Out = newBuffer(cast<RankedTensorType>(Result.getType()),
                               Target->second, nameOf(Result));
      emitCopy(B, Out, S);
      B = Out;
    }
    Buffers[Result] = B;
  }
  return llvm::Error::success();
}

/// Whether the regions of `Op` read the memory of `V` themselves.
bool EntryPlanner::usedInside(Operation *Op, Value V) const {
  Value Root = rootOf(V);
  bool Found = false;
  for (Region &R : Op->getRegions())
    R.walk([&](Operation *Inner) {
      for (Value Used : Inner->getOperands())
        Found |= rootOf(Used) == Root;
    });
  return Found;
}

llvm::Error EntryPlanner::planBody(Operation *Op, ArrayRef<Carried> Vars,
                                   ArrayRef<Rename> Renames, fb::BlockT &Out,
                                   Scope &S) {
  Scope B;
  openScope(B, cast<WhileOp>(Op).getAfter().front(), Out, &S);
  // A next value may be written over the old one that nothing reads any more.
  for (auto [I, V] : llvm::enumerate(B.Body->getTerminator()->getOperands())) {
    Value Root = rootOf(V);
    Operation *Def = Root.getDefiningOp();
    if (!Def || Def->getBlock() != B.Body || isa<ConstantOp>(Def) ||
        Vars[I].Varies || B.Target.contains(Root) ||
        significantOrder(V.getType()) !=
            significantOrder(B.Body->getArgument(I).getType()))
      continue;
    Value Old = B.Body->getArgument(I);
    auto Last = B.LastUse.find(Old);
    unsigned At = B.Index.lookup(Def);
    if (Last != B.LastUse.end() && Last->second >= At) {
      auto Launch = dyn_cast<LaunchOp>(Def);
      if (!Launch || Last->second > At)
        continue;
      unsigned Uses = 0;
      bool InPlace = false;
      for (auto [J, In] : llvm::enumerate(Launch.getInputs()))
        if (rootOf(In) == Old) {
          ++Uses;
          InPlace = mayTakeOver(P.Kernels.lookup(Launch.getKernel()), J,
                                cast<OpResult>(Root).getResultNumber());
        }
      if (!InPlace || Uses != 1)
        continue;
    }
    B.Target[Root] = Vars[I].In;
  }
  if (llvm::Error E = visitBlock(B))
    return E;
  if (llvm::Error E = endRound(Vars, Renames, B))
    return E;
  closeScope(B);
  return llvm::Error::success();
}

/// Moves the yielded values into the variables' memory, as if all at once.
llvm::Error EntryPlanner::endRound(ArrayRef<Carried> Vars,
                                   ArrayRef<Rename> Renames, Scope &B) {
  Operation *Yield = B.Body->getTerminator();
  struct Move {
    uint32_t From;
    unsigned Var;
  };
  SmallVector<Move> Moves;
  for (auto [I, V] : llvm::enumerate(Yield->getOperands())) {
    auto From = bufferOf(V);
    if (!From)
      return From.takeError();
    touch(*From, B);
    if (StorageOf[*From] != Vars[I].In)
      Moves.push_back({*From, unsigned(I)});
    else if (Vars[I].Varies && V != Value(B.Body->getArgument(I)))
      return fail(Yield, "internal: a view of a loop variable is carried");
  }
  // What lies in the memory of another variable is saved before that is
  // overwritten.
  for (Move &M : Moves) {
    if (llvm::none_of(
            Vars, [&](const Carried &C) { return C.In == StorageOf[M.From]; }))
      continue;
    auto Ty = cast<RankedTensorType>(Yield->getOperand(M.Var).getType());
    uint32_t Saved = newBuffer(
        Ty, newTensorStorage(dtypeOf(Ty), Bounds.upper(numElements(Ty)), B));
    allocIfDynamic(Saved, B);
    emitCopy(M.From, Saved, B);
    M.From = Saved;
  }
  // All new sizes from the old ones, then all at once.
  std::vector<std::string> Next;
  for (const Rename &R : Renames) {
    Next.push_back(P.Exprs.freshSymbol(R.Symbol + "_next"));
    setSymbol(Next.back(), getDim(Yield->getOperand(R.Var).getType(), R.Dim),
              B);
  }
  SmallVector<uint32_t> Sources;
  for (const Move &M : Moves) {
    if (!Vars[M.Var].Varies) {
      Sources.push_back(M.From);
      continue;
    }
    auto Ty = cast<RankedTensorType>(Yield->getOperand(M.Var).getType());
    Dims Shape = getDims(Ty);
    for (auto [R, Symbol] : llvm::zip(Renames, Next))
      if (R.Var == M.Var)
        Shape[R.Dim] = DimExpr::symbol(Symbol);
    // A dimension renamed for another variable keeps its value too.
    for (auto [D, Arg] : llvm::enumerate(getDims(B.Body->getArgument(M.Var))))
      for (auto [R, Symbol] : llvm::zip(Renames, Next))
        if (symbolName(Arg) == R.Symbol)
          Shape[D] = DimExpr::symbol(Symbol);
    Sources.push_back(
        newBuffer(dtypeOf(Ty), Shape, getOrder(Ty), StorageOf[M.From]));
  }
  for (auto [R, Symbol] : llvm::zip(Renames, Next))
    setSymbol(R.Symbol, DimExpr::symbol(Symbol), B);
  for (auto [M, From] : llvm::zip(Moves, Sources)) {
    allocIfDynamic(Vars[M.Var].Buffer, B);
    emitCopy(From, Vars[M.Var].Buffer, B);
  }
  return llvm::Error::success();
}

} // namespace limosa::plan
