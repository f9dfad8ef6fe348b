//===- ReductionLanes.cpp - Reduction chains with a row in every lane -----===//

#include "ReductionChain.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::codegen;
using limosa::codegen::Index;
using Values = SmallVector<Value>;

/// Elements added up in one accumulator before it is added to the others.
static constexpr int64_t SummedAtOnce = 128;

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
    auto Sum = [&](Value Lo, Value Hi, const Values &From) {
      return KB.forLoop(Lo, Hi, 1, From, [&](Value R, ValueRange Args) {
        Values Next;
        for (unsigned V = 0; V < Vectors.size(); ++V) {
          BindAll(V);
          Values Acc(Args.slice(V * Init.size(), Init.size()));
          Coords At = domainAt(Row, R, Vectors[V]);
          Next.append(combine(Stage, Acc, inputsAt(Stage, At, L, Init)));
        }
        return Next;
      });
    };
    auto Length = extentOf(OuterReduced).constant();
    if (Length && *Length <= SummedAtOnce) {
      Carried = Sum(Zero, Count, Carried);
    } else {
      // Sums of sums: the rounding errors of a long sum grow with its length.
      const Values Fresh = Carried;
      Carried = KB.forLoop(
          Zero, Count, SummedAtOnce, Carried, [&](Value Lo, ValueRange Args) {
            Value Hi = M.min(M.add(Lo, KB.constant(SummedAtOnce)), Count);
            Values Part = Sum(Lo, Hi, Fresh), Next;
            for (unsigned At = 0; At < Part.size(); At += Init.size())
              Next.append(combine(Stage, Args.slice(At, Init.size()),
                                  ArrayRef(Part).slice(At, Init.size())));
            return Next;
          });
    }
    for (unsigned V = 0; V < Vectors.size(); ++V)
      Results[V].push_back(
          to<Value>(ArrayRef(Carried).slice(V * Init.size(), Init.size())));
  }
  auto Write = [&](Value R, bool Full) {
    for (unsigned V = 0; V < Vectors.size(); ++V) {
      BindAll(V);
      Coords Domain = domainAt(Row, R, Vectors[V]);
      writeOutputs(Full ? Domain : rowOf(Domain, L.Count),
                   Full ? C.Shape : C.RowShape, Full, L);
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
