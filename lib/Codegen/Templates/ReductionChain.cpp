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

#include "../ChainAnalysis.h"
#include "../Convert.h"
#include "Loops.h"
#include "limosa/Codegen/FusionRules.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::codegen;
using limosa::codegen::Index;

namespace {

/// Accumulators, one list per lane vector.
using Values = SmallVector<Value>;

class ChainEmitter {
public:
  ChainEmitter(KernelBuilder &KB, const KernelAnalysis &Kernel, Chain Found)
      : KB(KB), M(KB.math()), Kernel(Kernel), C(std::move(Found)), P(KB),
        N(lanesFor(KB, Kernel)), Mask(canMask(KB, Kernel)) {
    chooseLoops();
  }

  void emit() {
    if (LanesAreRows)
      emitParallel();
    else
      emitAlongRows();
  }

private:
  //===--- Planning -------------------------------------------------------===//

  bool isReduced(int64_t D) const { return llvm::is_contained(C.Reduced, D); }
  DimExpr extentOf(ArrayRef<unsigned> Dims) const {
    DimExpr E = 1;
    for (unsigned D : Dims)
      E = E * C.Shape[D];
    return E;
  }

  void chooseLoops() {
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

  template <typename T, typename From>
  static SmallVector<T> to(const From &List) {
    return SmallVector<T>(List.begin(), List.end());
  }

  //===--- Coordinates ----------------------------------------------------===//

  static void setDims(Coords &At, ArrayRef<unsigned> Dims, const Index &I) {
    if (Dims.size() == 1)
      At.PerDim[Dims[0]] = I;
    else if (!Dims.empty())
      At.Groups.push_back(
          {SmallVector<unsigned, 4>(Dims.begin(), Dims.end()), I});
  }

  /// A point of the domain: the row, the outer part of the reduction, the
  /// vector.
  Coords domainAt(Value Row, Value Outer, const Index &Vector) {
    Coords At(C.Shape.size());
    setDims(At, OuterParallel, M.uniform(Row));
    setDims(At, OuterReduced, M.uniform(Outer));
    setDims(At, Inner, Vector);
    return At;
  }

  /// The row of a domain point: its parallel coordinates.
  Coords rowOf(const Coords &Domain, unsigned Lanes) {
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

  //===--- Reductions -----------------------------------------------------===//

  /// The inits of a stage's accumulators.
  Values inits(ArrayRef<ReduceOp> Stage, unsigned Lanes) {
    Values Result;
    for (ReduceOp R : Stage)
      for (Value Init : R.getInits())
        Result.push_back(KB.broadcast(P.pullScalar(Init), Lanes));
    return Result;
  }

  /// Combines two lists of accumulators of a stage.
  Values combine(ArrayRef<ReduceOp> Stage, ValueRange A, ValueRange B) {
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

  /// A stage's inputs at a point; lanes outside the mask hold the inits.
  Values inputsAt(ArrayRef<ReduceOp> Stage, const Coords &At, const Lanes &L,
                  ValueRange Inits) {
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

  /// Combines the lanes of accumulators by halves.
  Values combineLanes(ArrayRef<ReduceOp> Stage, Values Acc) {
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

  /// From now on a stage's results are these values.
  void bindResults(ArrayRef<ReduceOp> Stage, ArrayRef<Value> Acc) {
    unsigned At = 0;
    for (ReduceOp R : Stage)
      for (Value Result : R->getResults()) {
        Value V =
            roundTo(KB, Acc[At++], getElementTypeOrSelf(Result.getType()));
        P.bind(Result, [V](const Coords &, const Lanes &) { return V; });
      }
  }

  //===--- Vectors along the row ------------------------------------------===//

  void emitAlongRows();
  Values reduceRow(unsigned StageNumber, Value Row);
  void writeRow(Value Row);
  void planScratch();

  /// A dear value that several loops over the row need.
  struct Kept {
    Value V;
    unsigned FirstStage;
    TensorView Memory;
  };

  /// Position in the row of the vector being computed, for kept values.
  Index Position;
  SmallVector<Kept, 4> KeptValues;

  Index positionOf(Value Outer, const Index &Vector) {
    Value Before = M.mul(Outer, KB.dim(extentOf(Inner)));
    return M.add(Vector, Before);
  }

  void keepValues(unsigned Stage, const Coords &At, const Lanes &L) {
    for (Kept &K : KeptValues)
      if (K.FirstStage == Stage)
        KB.store(K.Memory, Position, P.pull(K.V, At, L), L);
  }

  //===--- Rows in lanes --------------------------------------------------===//

  void emitParallel();
  void emitBlock(Value Row, ArrayRef<Index> Vectors, const Lanes &L);

  KernelBuilder &KB;
  IndexMath &M;
  const KernelAnalysis &Kernel;
  Chain C;
  Puller P;
  unsigned N;
  bool Mask;
  bool LanesAreRows = false;
  /// Dimensions in physical order: of the vector loop, and the others.
  SmallVector<unsigned> Inner, OuterReduced, OuterParallel;
};

} // namespace

//===----------------------------------------------------------------------===//
// Vectors along the row
//===----------------------------------------------------------------------===//

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
  Coords Here = rowOf(domainAt(Row, KB.constant(0), M.uniform(0)), 0);
  SmallVector<unsigned> Full;
  for (unsigned O = 0; O < Kernel.Outputs.size(); ++O) {
    if (C.IsFull[O]) {
      Full.push_back(O);
      continue;
    }
    Dims Shape = getDims(Kernel.Outputs[O]);
    Coords At = Shape == C.RowShape
                    ? Here
                    : reshapeCoords(KB, Here, C.RowShape, Shape, 0);
    Value V = P.pull(Kernel.Outputs[O], At, {});
    KB.store(KB.output(O), KB.offset(KB.output(O), At, 0), V, {});
  }
  if (Full.empty())
    return;
  auto Pass = [&](Value Outer) {
    vectorLoop(
        KB, KB.constant(0), KB.dim(extentOf(Inner)), N, 2, Mask,
        [&](const Index &I, const Lanes &L) {
          Coords At = domainAt(Row, Outer, I);
          Position = positionOf(Outer, I);
          SmallVector<std::pair<Coords, Value>, 2> Results;
          for (unsigned O : Full) {
            Dims Shape = getDims(Kernel.Outputs[O]);
            Coords To = Shape == C.Shape
                            ? At
                            : reshapeCoords(KB, At, C.Shape, Shape, L.Count);
            Value V = P.pull(Kernel.Outputs[O], To, L);
            Results.push_back({To, V});
          }
          for (auto [O, R] : llvm::zip(Full, Results)) {
            const TensorView &View = KB.output(O);
            KB.store(View, KB.offset(View, R.first, L.Count), R.second, L);
          }
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

//===----------------------------------------------------------------------===//
// Rows in lanes
//===----------------------------------------------------------------------===//

/// All rows of some vectors: they share the loops over reduced dimensions.
void ChainEmitter::emitBlock(Value Row, ArrayRef<Index> Vectors,
                             const Lanes &L) {
  Value Zero = KB.constant(0), Count = KB.dim(extentOf(OuterReduced));
  SmallVector<SmallVector<Values>> Results(Vectors.size());
  auto BindAll = [&](unsigned V) {
    for (auto [S, Acc] : llvm::enumerate(Results[V]))
      bindResults(C.Stages[S], Acc);
  };
  for (ArrayRef<ReduceOp> Stage : C.Stages) {
    Values Init = inits(Stage, L.Count), Carried;
    for (unsigned V = 0; V < Vectors.size(); ++V)
      Carried.append(Init);
    Carried =
        KB.forLoop(Zero, Count, 1, Carried, [&](Value R, ValueRange Args) {
          Values Next;
          for (unsigned V = 0; V < Vectors.size(); ++V) {
            BindAll(V);
            Values Acc(Args.slice(V * Init.size(), Init.size()));
            Coords At = domainAt(Row, R, Vectors[V]);
            Next.append(combine(Stage, Acc, inputsAt(Stage, At, L, Init)));
          }
          return Next;
        });
    for (unsigned V = 0; V < Vectors.size(); ++V)
      Results[V].push_back(
          to<Value>(ArrayRef(Carried).slice(V * Init.size(), Init.size())));
  }
  auto Write = [&](Value R, bool Full) {
    for (unsigned V = 0; V < Vectors.size(); ++V) {
      BindAll(V);
      Coords Domain = domainAt(Row, R, Vectors[V]);
      Coords Base = Full ? Domain : rowOf(Domain, L.Count);
      ArrayRef<DimExpr> BaseShape = Full ? C.Shape : C.RowShape;
      for (unsigned O = 0; O < Kernel.Outputs.size(); ++O) {
        if (C.IsFull[O] != Full)
          continue;
        Dims Shape = getDims(Kernel.Outputs[O]);
        Coords At = ArrayRef<DimExpr>(Shape) == BaseShape
                        ? Base
                        : reshapeCoords(KB, Base, BaseShape, Shape, L.Count);
        const TensorView &View = KB.output(O);
        Value X = P.pull(Kernel.Outputs[O], At, L);
        KB.store(View, KB.offset(View, At, L.Count), X, L);
      }
    }
  };
  Write(Zero, /*Full=*/false);
  if (llvm::is_contained(C.IsFull, true))
    KB.forLoop(Zero, Count, 1, [&](Value R) { Write(R, /*Full=*/true); });
}

void ChainEmitter::emitParallel() {
  unsigned Accumulators = 0;
  for (auto &Stage : C.Stages)
    for (ReduceOp R : Stage)
      Accumulators += R.getInits().size();
  unsigned Unroll = Accumulators > 2 ? 1 : 4;
  int64_t Step = int64_t(N) * Unroll;
  // Tiles of about 8192 elements, whole vectors.
  int64_t Chunk = Step;
  if (auto Length = extentOf(OuterReduced).constant())
    Chunk =
        llvm::divideCeil(
            std::max<int64_t>(8192 / std::max<int64_t>(*Length, 1), 1), Step) *
        Step;
  DimExpr Extent = extentOf(Inner), Rows = extentOf(OuterParallel);
  DimExpr Chunks = DimExpr::ceilDiv(Extent, Chunk);
  KB.setGrid(Rows * Chunks);
  KB.tileLoop([&](Value Tile) {
    Value Row = KB.constant(0), Part = Tile;
    if (!Rows.isConstant(1)) {
      Row = M.divU(Tile, KB.divisor(Chunks));
      Part = M.remU(Tile, KB.divisor(Chunks));
    }
    Value Lo = M.mul(Part, KB.constant(Chunk));
    Value Hi = M.min(M.add(Lo, KB.constant(Chunk)), KB.dim(Extent));
    Value Span = M.sub(Hi, Lo);
    auto EndOf = [&](int64_t By) {
      return M.add(Lo, M.mul(M.divU(Span, KB.constant(By)), KB.constant(By)));
    };
    Value MainEnd = EndOf(Step);
    KB.forLoop(Lo, MainEnd, Step, [&](Value I) {
      SmallVector<Index> Vectors;
      for (unsigned U = 0; U < Unroll; ++U)
        Vectors.push_back({M.add(I, KB.constant(int64_t(U) * N)), 1, {}});
      emitBlock(Row, Vectors, {N, {}});
    });
    if (Mask) {
      KB.forLoop(MainEnd, Hi, N, [&](Value I) {
        Value Some = KB.firstLanes(M.sub(Hi, I), N);
        emitBlock(Row, Index{I, 1, {}}, {N, Some});
      });
      return;
    }
    Value VectorEnd = EndOf(N);
    KB.forLoop(MainEnd, VectorEnd, N,
               [&](Value I) { emitBlock(Row, Index{I, 1, {}}, {N, {}}); });
    KB.forLoop(VectorEnd, Hi, 1,
               [&](Value I) { emitBlock(Row, M.uniform(I), {}); });
  });
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
