//===- ExpandDepthwise.cpp - The template of inverted bottlenecks ---------===//
//
// Shares of lines x column blocks x images x bands of lines is the grid, the
// last fastest, so that neighbouring tiles have lines in common. See
// ExpandDepthwisePlan.h.
//
//===----------------------------------------------------------------------===//

#include "DepthwiseLines.h"
#include "ExpandDepthwisePlan.h"
#include "Products.h"
#include "limosa/Codegen/Packing.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace limosa::codegen {

namespace {

/// The product of some pixels' channels, and what is computed from it, into a
/// band.
class BandProducts : ProductEmitter {
public:
  BandProducts(KernelBuilder &KB, const ExpandDepthwisePlan &P, Value Band)
      : ProductEmitter(KB, ConvOp(P.Product).getResult(),
                       ConvOp(P.Filter).getInput(), P.Tile, P.Depthwise.Lanes),
        P(P), Band(Band), In(KB.input(P.Input.Argument.getArgNumber()).Memref) {
    PanelLayout Layout;
    Layout.PanelColumns = panelColumns();
    Layout.Lanes = lanes();
    Layout.Offset = *P.Weights.Offset.constant();
    Layout.K = *panelDims(P.Weights, {1u});
    Layout.Columns = *panelDims(P.Weights, {0u});
    unsigned Arg = P.Weights.Argument.getArgNumber();
    KB.requestPack(Arg, Layout.toString());
    Weights = KB.input(Arg).Memref;
  }

  /// Lines [First, End) of an image for a block of columns; the band begins
  /// with line `BandFirst`.
  void emit(Value OfImage, Value ColumnBlock, Value First, Value End,
            Value BandFirst) {
    Image = OfImage;
    Panels = panelRange(P.Depthwise.Channels, ColumnBlock, P.Panels,
                        P.Depthwise.columnBlocks() == 1);
    Value Width = KB.dim(P.pixels().In);
    FirstPixel = M.mul(First, Width);
    ToPixel = M.mul(M.sub(First, BandFirst), Width);
    Value Count = M.mul(M.sub(End, First), Width);
    // The last tile begins early rather than being a narrow one.
    Value Rows = KB.constant(Tile.Rows), Last = M.sub(Count, Rows);
    auto InTiles = [&] {
      Value Tiles = M.divU(M.add(Count, KB.constant(Tile.Rows - 1)), Rows);
      KB.forLoop(KB.constant(0), Tiles, 1, [&](Value T) {
        emitTile(M.min(M.mul(T, Rows), Last), Tile.Rows);
      });
    };
    if (P.pixels().In.lowerBound() >= Tile.Rows)
      return InTiles();
    KB.ifElse(M.le(Rows, Count), InTiles, [&] {
      KB.forLoop(KB.constant(0), Count, 1,
                 [&](Value Row) { emitTile(Row, 1); });
    });
  }

private:
  /// Pixels from `Row` on of those that are asked for.
  void emitTile(Value Row, unsigned Rows) {
    const StridedView::Dim &Pixel = P.Input.Dims[3];
    Value From = M.add(FirstPixel, Row), To = M.add(ToPixel, Row);
    Value At = mulAdd(KB.dim(P.Input.Offset), Image, P.Input.Dims[0].Stride);
    MicroKernel Kernel;
    Kernel.Lanes = lanes();
    Kernel.AccType = Kernel.ElementA = Kernel.ElementB = B.getF32Type();
    Kernel.A = In;
    Kernel.B = Weights;
    Kernel.OffsetA = mulAdd(At, From, Pixel.Stride);
    for (unsigned R = 0; R < Rows; ++R)
      Kernel.RowOffsets.push_back(fold(DimExpr(R) * Pixel.Stride));
    forPanels(Panels, [&](Value Panel, ArrayRef<Value> Masks) {
      Kernel.OffsetB = M.mul(Panel, KB.constant(panelColumns() * P.Depth));
      Kernel.VectorOffsets.clear();
      for (unsigned V = 0; V < Masks.size(); ++V)
        Kernel.VectorOffsets.push_back(B.getIndexAttr(V * lanes()));
      int64_t Width = int64_t(Masks.size()) * lanes();
      Kernel.Loops = {
          {B.getIndexAttr(P.Depth), B.getIndexAttr(1), B.getIndexAttr(Width)}};
      store(emitMicroKernel(B, KB.loc(), Kernel), From, To, Panel, Masks);
    });
  }

  /// Each vector is stored before the next one is computed: activations need
  /// the registers.
  void store(ArrayRef<Value> Sums, Value From, Value To, Value Panel,
             ArrayRef<Value> Masks) {
    Value Column = M.mul(Panel, KB.constant(panelColumns()));
    Value Vector = M.mul(M.sub(Panel, Panels.First), KB.constant(Tile.Vectors));
    SmallVector<Index>
        Columns; // the same for all rows, so that biases are, too
    for (unsigned V = 0; V < Masks.size(); ++V)
      Columns.push_back({M.add(Column, KB.constant(V * lanes())), 1, {}});
    for (unsigned I = 0; I < Sums.size(); ++I) {
      unsigned R = I / Masks.size(), V = I % Masks.size();
      Coords At(4);
      At.PerDim[0] = M.uniform(Image);
      At.PerDim[1] = Columns[V];
      At.Groups.push_back({{2, 3}, M.uniform(M.add(From, KB.constant(R)))});
      Value Result = Epilogue.valueAt(Sums[I], At, Lanes{lanes(), Masks[V]});
      Value Pixel = M.mul(M.add(To, KB.constant(R)), KB.constant(lanes()));
      Value Place =
          mulAdd(Pixel, M.add(Vector, KB.constant(V)), P.vectorElements());
      vector::StoreOp::create(B, KB.loc(), KB.broadcast(Result, lanes()), Band,
                              Place);
    }
  }

  const ExpandDepthwisePlan &P;
  Value Band, In, Weights;

  // Of the lines being emitted.
  Value Image, FirstPixel, ToPixel;
  PanelRange Panels;
};

class ExpandDepthwiseEmitter : DepthwiseLines {
public:
  ExpandDepthwiseEmitter(KernelBuilder &KB, const KernelAnalysis &Kernel,
                         const ExpandDepthwisePlan &P)
      : DepthwiseLines(KB, Kernel, P.Filter, P.Depthwise, makeBand(KB, P)),
        P(P), Band(input().Memref), Products(KB, P, Band) {}

  void emit() {
    const DepthwisePlan &D = P.Depthwise;
    KB.setGrid(DimExpr(P.Shares * D.columnBlocks()) * D.Batch * P.bands());
    KB.result().Flops = DimExpr(2 * D.Channels) * D.Batch *
                        (DimExpr(P.Depth) * P.lines().In * P.pixels().In +
                         DimExpr(depth()) * P.lines().Out * P.pixels().Out);
    Plane = KB.constant(0);
    Value Bands = KB.divisor(P.bands());
    Value Images = KB.divisor(D.Batch);
    Value Columns = KB.constant(D.columnBlocks());
    KB.forLoop(KB.tileBegin(), KB.tileEnd(), 1, KB.constant(-1),
               [&](Value Tile, ValueRange Carried) -> SmallVector<Value> {
                 Value BandAt = M.remU(Tile, Bands);
                 Value Rest = M.divU(Tile, Bands);
                 Image = M.remU(Rest, Images);
                 Rest = M.divU(Rest, Images);
                 Value Next = M.eq(M.add(Carried[0], KB.constant(1)), Tile);
                 Value Continues = M.both(Next, M.lt(KB.constant(0), BandAt));
                 emitBand(M.divU(Rest, Columns), M.remU(Rest, Columns), BandAt,
                          Continues);
                 return {Tile};
               });
  }

private:
  static TensorView makeBand(KernelBuilder &KB, const ExpandDepthwisePlan &P) {
    TensorView View;
    View.Element = KB.builder().getF32Type();
    View.Memref = KB.scratch(P.bandElements(), View.Element);
    return View;
  }

  /// Input lines [First, End) that output lines [First, End) need.
  std::pair<Value, Value> inputLines(Value First, Value End) {
    const DepthwisePlan::Axis &A = P.lines();
    Value Height = KB.dim(A.In), Stride = KB.constant(A.Stride);
    auto Clamp = [&](Value V) {
      return M.min(M.max(V, KB.constant(0)), Height);
    };
    Value Begin = M.sub(M.mul(First, Stride), KB.dim(A.Pad));
    Value Behind =
        M.sub(M.mul(M.sub(End, KB.constant(1)), Stride), KB.dim(A.Pad));
    Value From = Clamp(Begin);
    return {From,
            M.max(From, Clamp(M.add(Behind, KB.constant(P.reach() + 1))))};
  }

  /// `Continues`: what is in scratch memory is the band before.
  void emitBand(Value Share, Value ColumnBlock, Value BandAt, Value Continues) {
    Value ShareLines = KB.dim(P.shareLines());
    Value Lines = KB.constant(P.BlockLines);
    Value ShareFirst = M.mul(Share, ShareLines);
    Value First = M.add(ShareFirst, M.mul(BandAt, Lines));
    Value End = M.min(M.add(First, Lines), M.min(M.add(ShareFirst, ShareLines),
                                                 KB.dim(P.lines().Out)));
    auto [InFirst, InEnd] = inputLines(First, End);
    auto [OldFirst, OldEnd] = inputLines(M.sub(First, Lines), First);
    Value Kept = M.select(Continues, M.max(OldEnd, InFirst), InFirst);
    Value Origin = InFirst;
    KB.ifThen(M.lt(First, End), [&, InEnd = InEnd, OldFirst = OldFirst] {
      keepLines(M.sub(Origin, OldFirst), M.sub(Kept, Origin));
      Products.emit(Image, ColumnBlock, Kept, InEnd, Origin);
      emitLines(First, End, ColumnBlock, [&](Value Vector) {
        Value InBlock =
            M.sub(Vector, M.mul(ColumnBlock, KB.constant(P.blockVectors())));
        Value At = M.mul(InBlock, KB.dim(P.vectorElements()));
        return M.sub(At, M.mul(Origin, KB.dim(P.lineElements())));
      });
    });
  }

  /// Moves `Count` lines from line `From` of the band to its beginning.
  void keepLines(Value From, Value Count) {
    Value Distance = M.mul(From, KB.dim(P.lineElements()));
    Value Elements = M.mul(Count, KB.dim(P.lineElements()));
    auto Ty = VectorType::get({int64_t(lanes())}, B.getF32Type());
    KB.forLoop(KB.constant(0), KB.constant(P.blockVectors()), 1, [&](Value V) {
      Value To = M.mul(V, KB.dim(P.vectorElements()));
      KB.forLoop(KB.constant(0), Elements, lanes(), [&](Value I) {
        Value At = M.add(To, I);
        Value Kept =
            vector::LoadOp::create(B, KB.loc(), Ty, Band, M.add(At, Distance));
        vector::StoreOp::create(B, KB.loc(), Kept, Band, At);
      });
    });
  }

  const ExpandDepthwisePlan &P;
  Value Band;
  BandProducts Products;
};

} // namespace

std::optional<int> matchExpandDepthwise(const KernelAnalysis &Kernel,
                                        const TargetOptions &Options) {
  if (!planExpandDepthwise(Kernel, Options))
    return std::nullopt;
  return 110;
}

llvm::Error emitExpandDepthwise(KernelBuilder &KB,
                                const KernelAnalysis &Kernel) {
  std::optional<ExpandDepthwisePlan> P =
      planExpandDepthwise(Kernel, KB.options());
  ExpandDepthwiseEmitter(KB, Kernel, *P).emit();
  return llvm::Error::success();
}

} // namespace limosa::codegen
