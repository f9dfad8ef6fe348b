//===- ReductionChain.cpp - Softmax, norms and other row reductions -------===//
//
// A loop over rows; for each row one loop per stage of reductions, and one that
// writes the outputs. Values that are dear (exp ..) and that several loops need
// stay in scratch memory. Two forms:
//
//  - reduced dimensions are fastest in memory: vectors run along the row with
//    several accumulators, which are combined across lanes at its end;
//  - a parallel dimension is fastest (or rows are shorter than a vector): every
//    lane is a row.
//
// One row is computed by one worker, in one order: the same bits on any number
// of threads.
//
//===----------------------------------------------------------------------===//

#include "ReductionChain.h"
#include "../Convert.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::codegen;
using limosa::codegen::Index;
using Values = SmallVector<Value>;

void ChainEmitter::chooseLoops() {
  SmallVector<int64_t> Order = getOrder(C.Domain);
  SmallVector<int64_t> Large;
  for (int64_t D : Order)
    if (!C.Shape[D].isConstant(1))
      Large.push_back(D);
  auto Count = extentOf(to<unsigned>(C.Reduced)).constant();
  bool ShortRows = Count && *Count * 2 <= int64_t(N);
  LanesAreRows = !C.Parallel.empty() && !Large.empty() &&
                 (!isReduced(Large.back()) || ShortRows);
  // The fastest dimensions of one kind that collapse make the vector loop.
  SmallVector<Value> Roots;
  for (auto &Stage : C.Stages)
    for (ReduceOp R : Stage)
      llvm::append_range(Roots, R.getInputs());
  for (auto [O, Full] : llvm::zip(Kernel.Outputs, C.IsFull))
    if (Full)
      Roots.push_back(O);
  unsigned Collapsed = collapsible(Roots, Order, C.Shape);
  bool InnerKind = !LanesAreRows;
  bool Open = true;
  for (unsigned I = 0; I < Order.size(); ++I) {
    unsigned D = Order[Order.size() - 1 - I];
    bool Unit = C.Shape[D].isConstant(1);
    bool Kind = isReduced(D);
    if (LanesAreRows && ShortRows) {
      // Lanes over all rows, wherever the reduced dimensions lie.
      (Kind ? OuterReduced : Inner).push_back(D);
      continue;
    }
    Open &= Unit || (Kind == InnerKind && (I < Collapsed || Inner.empty()));
    if (Open && Kind == InnerKind)
      Inner.push_back(D);
    else
      (Kind ? OuterReduced : OuterParallel).push_back(D);
  }
  for (auto *List : {&Inner, &OuterReduced, &OuterParallel})
    std::reverse(List->begin(), List->end());
  if (Inner.empty()) { // a row of one element in a tensor of ones
    LanesAreRows = false;
    std::swap(Inner, OuterReduced);
  }
}

Coords ChainEmitter::rowOf(const Coords &Domain, unsigned Lanes) {
  SmallVector<int> NewDims(C.Shape.size(), -1);
  for (auto [New, D] : llvm::enumerate(C.Parallel))
    NewDims[D] = New;
  Coords Row =
      projectCoords(KB, Domain, NewDims, C.Parallel.size(), C.Shape, Lanes);
  for (unsigned D = 0; D < C.RowShape.size(); ++D)
    if (C.RowShape[D].isConstant(1))
      Row.PerDim[D] = M.uniform(0);
  return Row;
}

Values ChainEmitter::inits(ArrayRef<ReduceOp> Stage, unsigned Lanes) {
  Values Result;
  for (ReduceOp R : Stage)
    for (Value Init : R.getInits())
      Result.push_back(KB.broadcast(P.pullScalar(Init), Lanes));
  return Result;
}

Values ChainEmitter::combine(ArrayRef<ReduceOp> Stage, ValueRange A,
                             ValueRange B) {
  Values Result;
  unsigned At = 0;
  for (ReduceOp R : Stage) {
    unsigned Count = R.getInits().size();
    Values Args(A.begin() + At, A.begin() + At + Count);
    Args.append(B.begin() + At, B.begin() + At + Count);
    At += Count;
    Result.append(P.evalRegion(R.getBody(), Args, /*Narrow=*/false));
  }
  return Result;
}

Values ChainEmitter::inputsAt(ArrayRef<ReduceOp> Stage, const Coords &At,
                              const Lanes &L, ValueRange Inits) {
  Values Result;
  for (ReduceOp R : Stage)
    for (Value Input : R.getInputs()) {
      Value X = KB.broadcast(P.pull(Input, At, L), L.Count);
      if (L.Mask && !LanesAreRows)
        X = arith::SelectOp::create(KB.builder(), KB.loc(), L.Mask, X,
                                    Inits[Result.size()]);
      Result.push_back(X);
    }
  return Result;
}

Values ChainEmitter::combineLanes(ArrayRef<ReduceOp> Stage, Values Acc) {
  OpBuilder &B = KB.builder();
  for (unsigned Half = N / 2; Half > 0; Half /= 2) {
    Values Low, High;
    for (Value V : Acc) {
      auto Part = [&](int64_t From) -> Value {
        if (Half == 1)
          return vector::ExtractOp::create(B, KB.loc(), V, From);
        return vector::ExtractStridedSliceOp::create(
            B, KB.loc(), V, ArrayRef<int64_t>{From},
            ArrayRef<int64_t>{int64_t(Half)}, ArrayRef<int64_t>{1});
      };
      Low.push_back(Part(0));
      High.push_back(Part(Half));
    }
    Acc = combine(Stage, Low, High);
  }
  return Acc;
}

void ChainEmitter::writeOutputs(const Coords &At, ArrayRef<DimExpr> Shape,
                                bool Full, const Lanes &L) {
  // All values first: stores may overwrite donated arguments.
  SmallVector<std::tuple<unsigned, Coords, Value>, 2> Results;
  for (auto [O, Output] : llvm::enumerate(Kernel.Outputs)) {
    if (C.IsFull[O] != Full)
      continue;
    Dims Own = getDims(Output);
    Coords To = ArrayRef<DimExpr>(Own) == Shape
                    ? At
                    : reshapeCoords(KB, At, Shape, Own, L.Count);
    Value V = P.pull(Output, To, L);
    Results.push_back({O, To, V});
  }
  for (const auto &[O, To, V] : Results)
    KB.store(KB.output(O), KB.offset(KB.output(O), To, L.Count), V, L);
}

void ChainEmitter::bindResults(ArrayRef<ReduceOp> Stage, ArrayRef<Value> Acc) {
  unsigned At = 0;
  for (ReduceOp R : Stage)
    for (Value Result : R->getResults()) {
      Value V = roundTo(KB, Acc[At++], getElementTypeOrSelf(Result.getType()));
      P.bind(Result, [V](const Coords &, const Lanes &) { return V; });
    }
}

const KernelTemplate codegen::ReductionChainTemplate = {
    "reduction-chain",
    [](const KernelAnalysis &Kernel,
       const TargetOptions &) -> std::optional<int> {
      bool Nibbles = llvm::any_of(Kernel.Outputs, [](Value V) {
        return memoryBits(getElementTypeOrSelf(V.getType())) == 4;
      });
      if (Nibbles || Kernel.Anchors.empty() ||
          !findChain(Kernel.Ops, Kernel.Outputs))
        return std::nullopt;
      return 30;
    },
    [](KernelBuilder &KB, const KernelAnalysis &Kernel) -> llvm::Error {
      ChainEmitter(KB, Kernel, *findChain(Kernel.Ops, Kernel.Outputs)).emit();
      return llvm::Error::success();
    }};
