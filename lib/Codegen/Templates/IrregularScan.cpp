//===- IrregularScan.cpp - Running combinations along a dimension ---------===//
//
// Elements combine strictly in order, so the scanned dimension is a sequential
// loop that carries the accumulators. Where memory runs along another
// dimension, a vector of that one advances at a time.
//
//===----------------------------------------------------------------------===//

#include "Irregular.h"
#include "Loops.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::codegen;
using limosa::codegen::Index;

static std::optional<int> match(const KernelAnalysis &Kernel,
                                const TargetOptions &) {
  return matchTail<ScanOp>(Kernel) ? std::optional(50) : std::nullopt;
}

/// The loop along the scanned dimension of a line or a vector of lines.
static void emitLine(KernelBuilder &KB, Puller &P, const KernelAnalysis &Kernel,
                     ScanOp Scan, const Coords &Line, const Lanes &L) {
  auto Dim = static_cast<unsigned>(Scan.getDim());
  Value Length = KB.dim(getDim(Scan.getInputs()[0].getType(), Dim));
  Value Last = KB.math().sub(Length, KB.constant(1));
  SmallVector<Value> Inits;
  for (Value Init : Scan.getInits())
    Inits.push_back(KB.broadcast(P.pullScalar(Init), L.Count));
  auto Store = [&](const Coords &At, ArrayRef<Value> Values) {
    for (auto [O, Output] : llvm::enumerate(Kernel.Outputs)) {
      const TensorView &View = KB.output(O);
      KB.store(View, KB.offset(View, At, L.Count),
               Values[cast<OpResult>(Output).getResultNumber()], L);
    }
  };
  KB.forLoop(
      KB.constant(0), Length, 1, Inits, [&](Value I, ValueRange Carried) {
        SmallVector<Value> Before(Carried);
        Coords At = Line;
        At.PerDim[Dim] =
            KB.math().uniform(Scan.getReverse() ? KB.math().sub(Last, I) : I);
        SmallVector<Value> Args = Before;
        for (Value Input : Scan.getInputs())
          Args.push_back(KB.broadcast(P.pull(Input, At, L), L.Count));
        SmallVector<Value> After =
            P.evalRegion(Scan.getBody(), Args, /*Narrow=*/false);
        Store(At, Scan.getExclusive() ? Before : After);
        return After;
      });
}

static llvm::Error emit(KernelBuilder &KB, const KernelAnalysis &Kernel) {
  ScanOp Scan = matchTail<ScanOp>(Kernel);
  Puller P(KB);
  auto Dim = static_cast<unsigned>(Scan.getDim());
  Dims Shape = getDims(Scan.getInputs()[0]);
  IndexMath &M = KB.math();
  auto Rank = static_cast<unsigned>(Shape.size());
  auto Fastest =
      static_cast<unsigned>(getOrder(Kernel.Outputs[0].getType()).back());

  if (Fastest == Dim) {
    SmallVector<unsigned> Outer = dimsWithout(Rank, {Dim});
    KB.setGrid(extentOf(Shape, Outer));
    KB.tileLoop([&](Value Tile) {
      Coords At(Rank);
      setLinear(At, Outer, M.uniform(Tile));
      emitLine(KB, P, Kernel, Scan, At, Lanes());
    });
    return llvm::Error::success();
  }

  // Tiles of up to this many lines beside each other.
  constexpr int64_t LinesPerTile = 128;
  SmallVector<unsigned> Outer = dimsWithout(Rank, {Dim, Fastest});
  DimExpr Blocks = DimExpr::ceilDiv(Shape[Fastest], LinesPerTile);
  KB.setGrid(extentOf(Shape, Outer) * Blocks);
  unsigned N = lanesFor(KB.options(), Kernel);
  bool Mask = canMask(KB.options(), Kernel);
  Value BlockCount = KB.divisor(Blocks), Width = KB.dim(Shape[Fastest]);
  KB.tileLoop([&](Value Tile) {
    Coords Row(Rank);
    setLinear(Row, Outer, M.uniform(M.divU(Tile, BlockCount)));
    Value Lo = M.mul(M.remU(Tile, BlockCount), KB.constant(LinesPerTile));
    Value Hi = M.min(M.add(Lo, KB.constant(LinesPerTile)), Width);
    vectorLoop(KB, Lo, Hi, N, /*Unroll=*/1, Mask,
               [&](const Index &I, const Lanes &L) {
                 Coords At = Row;
                 At.PerDim[Fastest] = I;
                 emitLine(KB, P, Kernel, Scan, At, L);
               });
  });
  return llvm::Error::success();
}

const KernelTemplate codegen::ScanTemplate = {"scan", match, emit};
