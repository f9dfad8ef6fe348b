//===- ReductionRows.cpp - Reduction chains with vectors along the row ----===//

#include "ReductionChain.h"
#include "limosa/Codegen/FusionRules.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::codegen;
using limosa::codegen::Index;
using Values = SmallVector<Value>;

/// Finds values that are dear and needed by a stage and by a later loop.
void ChainEmitter::planScratch() {
  auto Length = extentOf(to<unsigned>(C.Reduced)).constant();
  if (Length && *Length > (1 << 18))
    return; // would leave the cache anyway
  SmallVector<llvm::SetVector<Value>> Loops;
  auto Collect = [&](ValueRange Roots) {
    llvm::SetVector<Value> Seen;
    SmallVector<Value> Work(Roots);
    while (!Work.empty()) {
      Value V = Work.pop_back_val();
      Operation *Op = V.getDefiningOp();
      if (!Op || isa<ReduceOp>(Op) || !Seen.insert(V))
        continue;
      llvm::append_range(Work, Op->getOperands());
    }
    Loops.push_back(std::move(Seen));
  };
  for (auto &Stage : C.Stages) {
    Values Roots;
    for (ReduceOp R : Stage)
      llvm::append_range(Roots, R.getInputs());
    Collect(Roots);
  }
  Values Roots;
  for (auto [O, Full] : llvm::zip(Kernel.Outputs, C.IsFull))
    if (Full)
      Roots.push_back(O);
  Collect(Roots);
  for (unsigned S = 0; S + 1 < Loops.size(); ++S)
    for (Value V : Loops[S]) {
      Operation *Op = V.getDefiningOp();
      bool Again = llvm::any_of(ArrayRef(Loops).drop_front(S + 1),
                                [&](auto &L) { return L.contains(V); });
      bool Known =
          llvm::any_of(KeptValues, [&](const Kept &K) { return K.V == V; });
      if (!Again || Known || pullCost(Op) != PullCost::Heavy ||
          !C.InPlace.contains(V) || KeptValues.size() == 4)
        continue;
      Type Element = getElementTypeOrSelf(V.getType());
      if (!isa<FloatType>(registerType(Element)))
        continue;
      Kept K{V, S, {}};
      K.Memory.Element = registerType(Element); // f16 stays f32
      K.Memory.Memref =
          KB.scratch(extentOf(to<unsigned>(C.Reduced)), K.Memory.Element);
      KeptValues.push_back(K);
    }
}

Values ChainEmitter::reduceRow(unsigned StageNumber, Value Row) {
  ArrayRef<ReduceOp> Stage = C.Stages[StageNumber];
  Values Scalars = inits(Stage, 0), Init = inits(Stage, N);
  unsigned Count = Init.size();
  Value Hi = KB.dim(extentOf(Inner)), Zero = KB.constant(0);
  auto Length = extentOf(Inner).constant();
  unsigned Unroll = Count > 2 ? 2 : 4;
  while (Unroll > 1 && Length && *Length < int64_t(N) * Unroll)
    Unroll /= 2;
  int64_t Step = int64_t(N) * Unroll;
  Value MainEnd = M.mul(M.divU(Hi, KB.constant(Step)), KB.constant(Step));
  Value VectorEnd = M.mul(M.divU(Hi, KB.constant(N)), KB.constant(N));

  // Carried: Unroll lists of vectors, and scalars for a tail without masks.
  Values Carried;
  for (unsigned U = 0; U < Unroll; ++U)
    Carried.append(Init);
  if (!Mask)
    Carried.append(Scalars);
  auto Update = [&](Values &All, unsigned List, Value Outer, const Index &I,
                    const Lanes &L, ValueRange Neutral) {
    Coords At = domainAt(Row, Outer, I);
    Position = positionOf(Outer, I);
    auto Begin = All.begin() + List * Count;
    Values Acc(Begin, Begin + Count);
    Acc = combine(Stage, Acc, inputsAt(Stage, At, L, Neutral));
    keepValues(StageNumber, At, L);
    llvm::copy(Acc, All.begin() + List * Count);
  };
  auto Loop = [&](Value Lo, Value End, int64_t By, Values In,
                  llvm::function_ref<void(Value, Values &)> Body) {
    return KB.forLoop(Lo, End, By, In, [&](Value I, ValueRange Args) {
      Values All(Args.begin(), Args.end());
      Body(I, All);
      return All;
    });
  };
  auto Pass = [&](Value Outer, Values All) {
    if (!Length || *Length >= Step)
      All = Loop(Zero, MainEnd, Step, All, [&](Value I, Values &A) {
        for (unsigned U = 0; U < Unroll; ++U)
          Update(A, U, Outer,
                 Index{M.add(I, KB.constant(int64_t(U) * N)), 1, {}}, {N, {}},
                 {});
      });
    if (Length && *Length % Step == 0)
      return All;
    if (Mask)
      return Loop(MainEnd, Hi, N, All, [&](Value I, Values &A) {
        Value Lanes = KB.firstLanes(M.sub(Hi, I), N);
        Update(A, 0, Outer, Index{I, 1, {}}, {N, Lanes}, Init);
      });
    if (Unroll > 1)
      All = Loop(MainEnd, VectorEnd, N, All, [&](Value I, Values &A) {
        Update(A, 0, Outer, Index{I, 1, {}}, {N, {}}, {});
      });
    return Loop(VectorEnd, Hi, 1, All, [&](Value I, Values &A) {
      Update(A, Unroll, Outer, M.uniform(I), {}, {});
    });
  };
  if (OuterReduced.empty())
    Carried = Pass(Zero, Carried);
  else
    Carried = Loop(Zero, KB.dim(extentOf(OuterReduced)), 1, Carried,
                   [&](Value Outer, Values &A) { A = Pass(Outer, A); });

  ArrayRef<Value> All = Carried;
  SmallVector<Values> Lists;
  for (unsigned U = 0; U < Unroll; ++U)
    Lists.push_back(to<Value>(All.slice(U * Count, Count)));
  for (unsigned Width = Unroll / 2; Width > 0; Width /= 2)
    for (unsigned U = 0; U < Width; ++U)
      Lists[U] = combine(Stage, Lists[U], Lists[U + Width]);
  Values Result = combineLanes(Stage, Lists[0]);
  if (!Mask)
    Result = combine(Stage, Result, All.take_back(Count));
  return Result;
}

void ChainEmitter::writeRow(Value Row) {
  // Outputs of the row's size.
  writeOutputs(rowOf(domainAt(Row, KB.constant(0), M.uniform(0)), 0),
               C.RowShape, /*Full=*/false, {});
  if (!llvm::is_contained(C.IsFull, true))
    return;
  auto Pass = [&](Value Outer) {
    vectorLoop(KB, KB.constant(0), KB.dim(extentOf(Inner)), N, 2, Mask,
               [&](const Index &I, const Lanes &L) {
                 Coords At = domainAt(Row, Outer, I);
                 Position = positionOf(Outer, I);
                 writeOutputs(At, C.Shape, /*Full=*/true, L);
               });
  };
  if (OuterReduced.empty())
    Pass(KB.constant(0));
  else
    KB.forLoop(KB.constant(0), KB.dim(extentOf(OuterReduced)), 1, Pass);
}

void ChainEmitter::emitAlongRows() {
  planScratch();
  DimExpr Rows = extentOf(OuterParallel);
  DimExpr Length = extentOf(to<unsigned>(C.Reduced));
  DimExpr PerTile =
      DimExpr::max(1, DimExpr::floorDiv(8192, DimExpr::max(1, Length)));
  KB.setGrid(DimExpr::ceilDiv(Rows, PerTile));
  KB.tileLoop([&](Value Tile) {
    Value Count = KB.dim(PerTile);
    Value First = M.mul(Tile, Count);
    Value Last = M.min(M.add(First, Count), KB.dim(Rows));
    KB.forLoop(First, Last, 1, [&](Value Row) {
      for (auto [S, Stage] : llvm::enumerate(C.Stages)) {
        bindResults(Stage, reduceRow(S, Row));
        // Later loops read what this one kept.
        for (Kept &K : KeptValues)
          if (K.FirstStage == S)
            P.bind(K.V,
                   [this, Memory = K.Memory](const Coords &, const Lanes &L) {
                     return KB.load(Memory, Position, L);
                   });
      }
      writeRow(Row);
      for (Kept &K : KeptValues)
        P.unbind(K.V);
    });
  });
}
