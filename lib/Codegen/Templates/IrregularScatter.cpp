//===- IrregularScatter.cpp - Combination into computed positions ---------===//
//
// A tile owns a part of the result in which no other tile writes: a batch
// element and a range of the dimensions that updates have in full. It copies
// the operand's part, unless the result has taken over the operand's memory,
// then applies all updates in order.
//
//===----------------------------------------------------------------------===//

#include "Irregular.h"
#include "Loops.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include <numeric>

using namespace mlir;
using namespace limosa;
using namespace limosa::codegen;
using limosa::codegen::Index;

static std::optional<int> match(const KernelAnalysis &Kernel,
                                const TargetOptions &) {
  return matchTail<ScatterOp>(Kernel) ? std::optional(50) : std::nullopt;
}

namespace {

class ScatterEmitter {
public:
  ScatterEmitter(KernelBuilder &KB, const KernelAnalysis &Kernel);
  void emit();

private:
  /// A part of the dimensions that updates have in full, one vector or all.
  using Part = llvm::function_ref<void(const Coords &Result,
                                       const Coords &Updates, const Lanes &L)>;
  void forEachPart(Value Lo, Value Hi, const Coords &Result,
                   const Coords &Updates, Part Body);
  void copyOperand(const Coords &Tile, Value Lo, Value Hi);
  void applyUpdates(const Coords &Tile, Value Row, Value Lo, Value Hi);

  KernelBuilder &KB;
  const KernelAnalysis &Kernel;
  ScatterOp Scatter;
  Puller P;
  IndexMath &M;
  Dims Shape;
  SmallVector<unsigned> Axes, Batch;
  SmallVector<unsigned> Window;       ///< the result's full dimensions
  SmallVector<unsigned> UpdateWindow; ///< the same in updates
  SmallVector<unsigned> Positions;    ///< of indices and updates
};

} // namespace

ScatterEmitter::ScatterEmitter(KernelBuilder &KB, const KernelAnalysis &Kernel)
    : KB(KB), Kernel(Kernel), Scatter(matchTail<ScatterOp>(Kernel)), P(KB),
      M(KB.math()), Shape(getDims(Scatter.getOperand())) {
  for (int64_t Axis : Scatter.getAxes())
    Axes.push_back(static_cast<unsigned>(Axis));
  auto BatchRank = static_cast<unsigned>(Scatter.getBatch());
  for (unsigned D = 0; D < BatchRank; ++D)
    Batch.push_back(D);
  for (unsigned D = BatchRank; D < Shape.size(); ++D)
    if (!llvm::is_contained(Axes, D))
      Window.push_back(D);
  auto IndicesRank = static_cast<unsigned>(
      cast<RankedTensorType>(Scatter.getIndices().getType()).getRank());
  for (unsigned D = BatchRank; D + 1 < IndicesRank; ++D)
    Positions.push_back(D);
  for (unsigned I = 0; I < Window.size(); ++I)
    UpdateWindow.push_back(IndicesRank - 1 + I);
}

void ScatterEmitter::forEachPart(Value Lo, Value Hi, const Coords &Result,
                                 const Coords &Updates, Part Body) {
  if (Window.empty()) {
    Body(Result, Updates, Lanes());
    return;
  }
  vectorLoop(KB, Lo, Hi, lanesFor(KB.options(), Kernel), /*Unroll=*/1,
             canMask(KB.options(), Kernel),
             [&](const Index &I, const Lanes &L) {
               Coords To = Result, From = Updates;
               To.PerDim[Window.back()] = I;
               From.PerDim[UpdateWindow.back()] = I;
               Body(To, From, L);
             });
}

void ScatterEmitter::copyOperand(const Coords &Tile, Value Lo, Value Hi) {
  const TensorView &View = KB.output(0);
  auto Copy = [&](const Coords &At, const Lanes &L) {
    KB.store(View, KB.offset(View, At, L.Count),
             P.pull(Scatter.getOperand(), At, L), L);
  };
  SmallVector<unsigned> Sorted = Axes;
  llvm::sort(Sorted);
  Value Count = KB.dim(extentOf(Shape, Sorted));
  if (Window.empty()) {
    vectorLoop(KB, KB.constant(0), Count, lanesFor(KB.options(), Kernel),
               /*Unroll=*/1, canMask(KB.options(), Kernel),
               [&](const Index &I, const Lanes &L) {
                 Coords At = Tile;
                 setLinear(At, Sorted, I);
                 Copy(At, L);
               });
    return;
  }
  KB.forLoop(KB.constant(0), Count, 1, [&](Value I) {
    Coords Row = Tile;
    setLinear(Row, Sorted, M.uniform(I));
    forEachPart(
        Lo, Hi, Row, Coords(UpdateWindow.back() + 1),
        [&](const Coords &At, const Coords &, const Lanes &L) { Copy(At, L); });
  });
}

void ScatterEmitter::applyUpdates(const Coords &Tile, Value Row, Value Lo,
                                  Value Hi) {
  Dims IndicesShape = getDims(Scatter.getIndices());
  auto IndicesRank = static_cast<unsigned>(IndicesShape.size());
  // Row is the position in the batch dimensions and all but the last of the
  // window's; both have the same sizes in the result and in updates.
  SmallVector<unsigned> OuterWindow(Window);
  SmallVector<unsigned> OuterUpdate(UpdateWindow);
  Value WindowRows = KB.constant(1);
  if (!Window.empty()) {
    OuterWindow.pop_back();
    OuterUpdate.pop_back();
    WindowRows = KB.divisor(extentOf(Shape, OuterWindow));
  }
  Index BatchAt = M.uniform(M.divU(Row, WindowRows));
  Index WindowAt = M.uniform(M.remU(Row, WindowRows));

  KB.forLoop(
      KB.constant(0), KB.dim(extentOf(IndicesShape, Positions)), 1,
      [&](Value Position) {
        Coords IndexAt(IndicesRank);
        setLinear(IndexAt, Batch, BatchAt);
        setLinear(IndexAt, Positions, M.uniform(Position));
        Coords To = Tile;
        Value Inside;
        for (auto [J, Axis] : llvm::enumerate(Axes)) {
          IndexAt.PerDim[IndicesRank - 1] = M.uniform(static_cast<int64_t>(J));
          Value Raw = P.pull(Scatter.getIndices(), IndexAt, Lanes());
          Value At = arith::IndexCastOp::create(
              KB.builder(), KB.loc(), KB.builder().getIndexType(), Raw);
          To.PerDim[Axis] = M.uniform(At);
          Value In =
              M.both(M.le(KB.constant(0), At), M.lt(At, KB.dim(Shape[Axis])));
          Inside = Inside ? M.both(Inside, In) : In;
        }
        Coords From(IndicesRank - 1 + static_cast<unsigned>(Window.size()));
        setLinear(From, Batch, BatchAt);
        setLinear(From, Positions, M.uniform(Position));
        setLinear(From, OuterUpdate, WindowAt);
        auto Combine = [&] {
          forEachPart(
              Lo, Hi, To, From,
              [&](const Coords &Result, const Coords &Update, const Lanes &L) {
                const TensorView &View = KB.output(0);
                Index Offset = KB.offset(View, Result, L.Count);
                Value Old = KB.broadcast(KB.load(View, Offset, L), L.Count);
                Value New = KB.broadcast(
                    P.pull(Scatter.getUpdates(), Update, L), L.Count);
                KB.store(View, Offset,
                         P.evalRegion(Scatter.getCombine(), {Old, New})[0], L);
              });
        };
        if (Inside)
          KB.ifThen(Inside, Combine);
        else
          Combine();
      });
}

void ScatterEmitter::emit() {
  constexpr int64_t WidthPerTile = 1024;
  SmallVector<unsigned> Rows = Batch;
  DimExpr Blocks = 1;
  Value Width;
  if (!Window.empty()) {
    Rows.append(Window.begin(), Window.end() - 1);
    Blocks = DimExpr::ceilDiv(Shape[Window.back()], WidthPerTile);
    Width = KB.dim(Shape[Window.back()]);
  }
  KB.setGrid(extentOf(Shape, Rows) * Blocks);

  Value Copies;
  if (auto Operand = dyn_cast<BlockArgument>(Scatter.getOperand())) {
    OpBuilder &B = KB.builder();
    Value Same = sameMemory(KB, KB.input(Operand.getArgNumber()), KB.output(0));
    Copies = arith::XOrIOp::create(
        B, KB.loc(), Same, KB.splat(B.getBoolAttr(true), B.getI1Type()));
  }
  Value BlockCount = KB.divisor(Blocks);
  KB.tileLoop([&](Value Tile) {
    Value Row = M.divU(Tile, BlockCount);
    Value Lo, Hi;
    if (Width) {
      Lo = M.mul(M.remU(Tile, BlockCount), KB.constant(WidthPerTile));
      Hi = M.min(M.add(Lo, KB.constant(WidthPerTile)), Width);
    }
    Coords At(static_cast<unsigned>(Shape.size()));
    setLinear(At, Rows, M.uniform(Row));
    if (Copies)
      KB.ifThen(Copies, [&] { copyOperand(At, Lo, Hi); });
    else
      copyOperand(At, Lo, Hi);
    applyUpdates(At, Row, Lo, Hi);
  });
}

static llvm::Error emit(KernelBuilder &KB, const KernelAnalysis &Kernel) {
  ScatterEmitter(KB, Kernel).emit();
  return llvm::Error::success();
}

const KernelTemplate codegen::ScatterTemplate = {"scatter", match, emit};
