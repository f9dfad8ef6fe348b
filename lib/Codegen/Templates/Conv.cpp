//===- Conv.cpp - The template of convolutions ----------------------------===//
//
// Column blocks x images x planes x blocks of pixels is the grid, the last
// fastest, so that a block of the filter stays in the second-level cache. See
// ConvPlan.h for how rows of pixels are addressed.
//
//===----------------------------------------------------------------------===//

#include "ConvPixels.h"
#include "Products.h"
#include "TileProducts.h"
#include "limosa/Codegen/Packing.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace limosa::codegen {

namespace {

constexpr unsigned Z = ConvPlan::Z, Y = ConvPlan::Y, X = ConvPlan::X;

class ConvEmitter : ConvPixels {
public:
  ConvEmitter(KernelBuilder &KB, const KernelAnalysis &Kernel, ConvOp Op,
              const ConvPlan &P)
      : ConvPixels(KB, Kernel, Op, P) {}

  void emit() {
    describe();
    prepare();
    for (unsigned D : {Z, Y, X})
      Window[D] = allTaps(D);
    if (P.TileRows)
      Tiles.emplace(KB, P.TileRows, stepOfTiles());
    Value Blocks = KB.divisor(P.pixelBlocks());
    Value Planes = KB.divisor(P.planes());
    Value Images = KB.divisor(P.Batch);
    KB.forLoop(KB.tileBegin(), KB.tileEnd(), 1, KB.constant(-1),
               [&](Value Tile, ValueRange Carried) -> SmallVector<Value> {
                 Value Block = M.remU(Tile, Blocks);
                 Value Rest = M.divU(Tile, Blocks);
                 Plane = M.remU(Rest, Planes);
                 Rest = M.divU(Rest, Planes);
                 Image = M.remU(Rest, Images);
                 Value Columns = M.divU(Rest, Images);
                 emitTile(Block, Columns, M.eq(Columns, Carried[0]));
                 return {Columns};
               });
    if (Tiles)
      Tiles->release();
  }

private:
  void describe() {
    KB.setGrid(DimExpr(P.columnBlocks()) * P.Batch * P.planes() *
               P.pixelBlocks());
    KB.result().Flops = DimExpr(2 * P.windowPositions() * P.GroupChannels *
                                P.GroupColumns * P.Groups) *
                        P.Batch * P.imagePixels();
    if (!contiguousColumns())
      KB.remark("convolution stores channels one by one: its result is not in "
                "channels-last order");
  }

  bool contiguousColumns() {
    return TileEpilogue::contiguousDim(Op.getResult(), Epilogue.outputs()) ==
           1u;
  }

  void prepare() {
    int64_t Padded =
        llvm::alignTo(P.GroupColumns, static_cast<int64_t>(lanes()));
    GroupElements = P.depth() * Padded;
    if (P.PackedFilter) {
      auto Filter = *getStridedView(Op.getFilter());
      KB.requestPack(Filter.Argument.getArgNumber(),
                     filterLayout(Filter).toString());
      MemB = KB.input(Filter.Argument.getArgNumber()).Memref;
    } else {
      KB.remark("convolution packs its filter at run time: it is no constant");
      int64_t Elements = P.Groups > 1 ? GroupElements * P.BlockGroups
                                      : P.depth() * P.Panels * panelColumns();
      MemB = KB.scratch(Elements, P.AccType);
    }
    MemA = P.Copy ? KB.scratch(P.copyElements(), P.copiedType())
                  : KB.input(P.View->Argument.getArgNumber()).Memref;
    if (P.chunks() > 1)
      MemSums = KB.scratch(P.sumElements(), P.AccType);
    auto IsUnsigned = [](Value V) {
      return cast<RankedTensorType>(V.getType())
          .getElementType()
          .isUnsignedInteger();
    };
    UnsignedA = IsUnsigned(Op.getInput());
    UnsignedB = IsUnsigned(Op.getFilter());
  }

  PanelLayout filterLayout(const StridedView &Filter) {
    PanelLayout Layout;
    Layout.PanelColumns = panelColumns();
    Layout.Lanes = lanes();
    Layout.Groups = P.Groups;
    Layout.Together = P.Together;
    Layout.Offset = *Filter.Offset.constant();
    // A chunk of channels lies together, with the window's positions in it.
    SmallVector<unsigned> K = {1};
    for (unsigned D = 2; D < Filter.Dims.size(); ++D)
      K.push_back(D);
    K.push_back(1);
    Layout.K = *panelDims(Filter, K);
    Layout.K.front() = {P.chunks(), Layout.K.front().Stride * P.ChunkChannels};
    Layout.K.back().Extent = P.ChunkChannels;
    Layout.Columns = *panelDims(Filter, {0u});
    return Layout;
  }

  //===--------------------------------------------------------------------===//
  // One tile of the grid
  //===--------------------------------------------------------------------===//

  void emitTile(Value Block, Value ColumnBlock, Value SameFilter) {
    setOrigin(Block);
    bool Grouped = P.Groups > 1;
    Value FirstGroup = Grouped ? M.mul(ColumnBlock, KB.constant(P.BlockGroups))
                               : KB.constant(0);
    Value EndGroup = Grouped
                         ? M.min(M.add(FirstGroup, KB.constant(P.BlockGroups)),
                                 KB.constant(P.Groups))
                         : KB.constant(1);
    Panels = panelRange(P.GroupColumns, Grouped ? KB.constant(0) : ColumnBlock,
                        P.Panels, Grouped || P.columnBlocks() == 1);
    if (!P.PackedFilter)
      KB.ifThen(negate(SameFilter), [&] { packFilter(FirstGroup, EndGroup); });
    KB.forLoop(FirstGroup, EndGroup, 1, [&](Value G) {
      Group = G;
      Value Channel = M.mul(G, KB.constant(P.GroupChannels));
      OffsetB = M.mul(P.PackedFilter ? G : M.sub(G, FirstGroup),
                      KB.constant(GroupElements));
      clipTaps(Z, Plane, KB.constant(1));
      clipTaps(Y, FirstY, KB.constant(P.BlockLines));
      if (Tiles) {
        enterChunk(Channel);
        emitTiles();
        return;
      }
      if (P.chunks() == 1) {
        enterChunk(Channel);
        forTiles([&](const RegisterTile &T) { finish(T, accumulate(T, {})); });
        return;
      }
      clearSums();
      KB.forLoop(KB.constant(0), KB.constant(P.chunks()), 1, [&](Value Chunk) {
        FirstChannel = M.mul(Chunk, KB.constant(P.ChunkChannels));
        enterChunk(M.add(Channel, FirstChannel));
        forTiles([&](const RegisterTile &T) {
          storeSums(T, accumulate(T, loadSums(T)));
        });
      });
      forTiles([&](const RegisterTile &T) { finish(T, loadSums(T)); });
    });
  }

  void clearSums() {
    auto Ty = VectorType::get({int64_t(lanes())}, P.AccType);
    Value Zero = KB.splat(B.getZeroAttr(P.AccType), Ty);
    KB.forLoop(KB.constant(0), KB.constant(P.sumElements()), lanes(),
               [&](Value At) {
                 vector::StoreOp::create(B, KB.loc(), Zero, MemSums, At);
               });
  }

  /// Makes MemA from OffsetA on begin with channel `First` of the image.
  void enterChunk(Value First) {
    if (P.Copy)
      copyImage(First);
    OffsetA = P.Copy ? KB.constant(0) : mulAdd(inputOrigin(), First, P.PitchC);
  }

  struct RegisterTile {
    Value Row;
    unsigned Rows;
    Value Panel;
    ArrayRef<Value> Masks;
  };

  void forTiles(llvm::function_ref<void(const RegisterTile &)> Body) {
    auto Rows = [&](Value Row, unsigned Count) {
      Address = rowAddress(Row, Count);
      clipTaps(X, M.add(FirstX, Row), KB.constant(Count));
      forPanels(Panels, [&](Value Panel, ArrayRef<Value> Masks) {
        Body({Row, Count, Panel, Masks});
      });
    };
    forPhases([&] {
      forRowTiles(FirstTile, EndTile, Rows);
      if (MayHaveTail)
        forRowTail(TailRow, TotalRows, WantTail, Rows);
    });
  }

  /// First output line and pixel of the block, and its register tiles.
  void setOrigin(Value Block) {
    Value True = M.eq(KB.constant(0), KB.constant(0));
    WantTail = True;
    MayHaveTail = true;
    FirstTile = KB.constant(0);
    FirstY = FirstX = KB.constant(0);
    Value Rows = KB.constant(Tile.Rows);
    switch (P.Order) {
    case PixelOrder::Linear: {
      TotalRows = KB.dim(P.imagePixels());
      Value All = KB.dim(DimExpr::floorDiv(P.imagePixels(), Tile.Rows));
      FirstTile = M.mul(Block, KB.constant(P.BlockLines));
      Value End = M.add(FirstTile, KB.constant(P.BlockLines));
      EndTile = M.min(End, All);
      TailRow = M.mul(All, Rows);
      WantTail = M.lt(TotalRows, M.add(M.mul(End, Rows), KB.constant(1)));
      return;
    }
    case PixelOrder::Lines: {
      FirstY = M.mul(Block, KB.constant(P.BlockLines));
      Value Lines = KB.constant(P.BlockLines);
      auto Height = P.Axes[Y].Out.constant();
      if (!Height || *Height % P.BlockLines)
        Lines = M.min(Lines, M.sub(KB.dim(P.Axes[Y].Out), FirstY));
      TotalRows = M.mul(Lines, KB.constant(P.BlockWidth));
      MayHaveTail = P.BlockWidth % Tile.Rows != 0;
      break;
    }
    case PixelOrder::Segment: {
      Value PerLine = KB.divisor(DimExpr::ceilDiv(P.Axes[X].Out, P.BlockWidth));
      FirstY = M.divU(Block, PerLine);
      FirstX = M.mul(M.remU(Block, PerLine), KB.constant(P.BlockWidth));
      TotalRows = M.min(KB.constant(P.BlockWidth),
                        M.sub(KB.dim(P.Axes[X].Out), FirstX));
      break;
    }
    }
    EndTile = M.divU(TotalRows, Rows);
    TailRow = M.mul(EndTile, Rows);
  }

  /// In place: where the block's first window begins, in elements.
  Value inputOrigin() {
    Value At = mulAdd(KB.dim(P.View->Offset), Image, P.View->Dims[0].Stride);
    if (P.Order == PixelOrder::Linear)
      return At;
    Value First[3] = {Plane, FirstY, FirstX};
    for (unsigned D : {Z, Y, X}) {
      const Axis &A = P.Axes[D];
      Value Pos = M.sub(M.mul(First[D], KB.constant(A.Stride)), KB.dim(A.Pad));
      At = mulAdd(At, Pos, A.Pitch);
    }
    return At;
  }

  //===--------------------------------------------------------------------===//
  // Register tiles
  //===--------------------------------------------------------------------===//

  struct RowAddress {
    Value Base;
    SmallVector<OpFoldResult> Offsets;
  };

  /// Where the windows of `Count` pixels from `Row` begin.
  RowAddress rowAddress(Value Row, unsigned Count) {
    RowAddress At;
    const Axis &AX = P.Axes[X], &AY = P.Axes[Y];
    DimExpr StepX = P.Order == PixelOrder::Linear
                        ? AX.Pitch
                        : AX.Pitch * DimExpr(AX.Stride);
    DimExpr StepY = AY.Pitch * DimExpr(AY.Stride);
    bool OneLine = P.Order != PixelOrder::Lines || P.BlockLines == 1;
    int64_t Width = P.BlockWidth;
    if (OneLine || Width % Tile.Rows == 0) {
      At.Base =
          OneLine ? M.mul(Row, KB.dim(StepX)) : lineOffset(Row, StepY, StepX);
      for (unsigned R = 0; R < Count; ++R)
        At.Offsets.push_back(fold(DimExpr(R) * StepX));
      return At;
    }
    // Smaller tiles at the end need not begin with a line.
    bool Aligned = Count == Tile.Rows || IndexMath::constantOf(TotalRows);
    if (Tile.Rows % Width == 0 && Aligned) {
      At.Base = M.mul(M.divU(Row, KB.constant(Width)), KB.dim(StepY));
      for (unsigned R = 0; R < Count; ++R)
        At.Offsets.push_back(
            fold(DimExpr(R / Width) * StepY + DimExpr(R % Width) * StepX));
      return At;
    }
    At.Base = KB.constant(0);
    for (unsigned R = 0; R < Count; ++R)
      At.Offsets.push_back(
          lineOffset(M.add(Row, KB.constant(R)), StepY, StepX));
    return At;
  }

  Value lineOffset(Value Pixel, const DimExpr &StepY, const DimExpr &StepX) {
    Value Width = KB.constant(P.BlockWidth);
    return mulAdd(M.mul(M.divU(Pixel, Width), KB.dim(StepY)),
                  M.remU(Pixel, Width), StepX);
  }

  SmallVector<Value> accumulate(const RegisterTile &T, ArrayRef<Value> Init) {
    MicroKernel Kernel = productAt(T);
    Kernel.Init.assign(Init.begin(), Init.end());
    return emitMicroKernel(B, KB.loc(), Kernel);
  }

  MicroKernel productAt(const RegisterTile &T) {
    MicroKernel Kernel;
    Kernel.Lanes = lanes();
    Kernel.AccType = P.AccType;
    Kernel.Together = P.Together;
    Kernel.Native = multipliesTogether(KB.options().Isa, P.Together);
    Kernel.A = MemA;
    Kernel.B = MemB;
    Kernel.ElementA = P.Copy ? P.copiedType() : elementTypeOf(Op.getInput());
    Kernel.ElementB =
        P.PackedFilter ? elementTypeOf(Op.getFilter()) : P.AccType;
    Kernel.UnsignedA = UnsignedA;
    Kernel.UnsignedB = UnsignedB;
    int64_t Width = int64_t(T.Masks.size()) * lanes();
    Reduction Sum = reductionOver(Width);
    Kernel.Loops = Sum.Loops;
    Kernel.OffsetA = M.add(M.add(OffsetA, Address.Base), Sum.OffsetA);
    Kernel.RowOffsets = Address.Offsets;
    Value InBlock = P.PackedFilter ? T.Panel : M.sub(T.Panel, Panels.First);
    Kernel.OffsetB =
        M.add(OffsetB, M.mul(InBlock, KB.constant(P.depth() * panelColumns())));
    Kernel.OffsetB = M.add(Kernel.OffsetB, Sum.OffsetB);
    if (P.chunks() > 1)
      Kernel.OffsetB =
          M.add(Kernel.OffsetB,
                M.mul(FirstChannel, KB.constant(P.windowPositions() * Width)));
    for (unsigned V = 0; V < T.Masks.size(); ++V)
      Kernel.VectorOffsets.push_back(B.getIndexAttr(V * lanes() * P.Together));
    if (P.PackedFilter && !Tiles)
      fetchPanels(Kernel, T);
    return Kernel;
  }

  void fetchPanels(MicroKernel &Kernel, const RegisterTile &T) {
    fetchAhead(Kernel, P.depth() * P.GroupColumns * P.Groups);
    if (P.Groups > 1 || P.chunks() > 1 || P.hasPhases() ||
        P.Order == PixelOrder::Segment)
      return;
    Value RowTile = M.divU(T.Row, KB.constant(Tile.Rows));
    DimExpr RowTiles = DimExpr::floorDiv(P.imagePixels(), Tile.Rows);
    if (P.Order == PixelOrder::Lines) {
      int64_t InBlock = llvm::divideCeil(P.blockPixels(), Tile.Rows);
      Value Block = M.divU(FirstY, KB.constant(P.BlockLines));
      RowTile = M.add(M.mul(Block, KB.constant(InBlock)), RowTile);
      RowTiles = P.pixelBlocks() * DimExpr(InBlock);
    }
    Value Next = M.add(T.Panel, KB.constant(P.Panels));
    Value Exists = M.lt(
        Next, KB.constant(llvm::divideCeil(P.GroupColumns, panelColumns())));
    Exists = M.both(Exists, M.eq(Image, KB.dim(P.Batch - 1)));
    Exists = M.both(Exists, M.eq(Plane, KB.dim(P.planes() - 1)));
    fetchNext(
        Kernel,
        M.add(OffsetB, M.mul(Next, KB.constant(P.depth() * panelColumns()))),
        Exists, RowTile, RowTiles, P.depth() / P.Together);
  }

  /// The innermost reduction is as long as tiles need it whatever the tile.
  int64_t stepOfTiles() {
    auto Pairs =
        getConstantIntValue(reductionOver(lanes()).Loops.back().Extent);
    return tileStep(*Pairs * int64_t(P.Together), /*Least=*/2);
  }

  /// Where the window of a tile's first pixel begins.
  Value tileAddress(Value Row, const DimExpr &Pitch) {
    if (P.Order != PixelOrder::Lines || P.BlockLines == 1)
      return M.mul(Row, KB.dim(Pitch));
    const Axis &AY = P.Axes[Y];
    return lineOffset(Row, AY.Pitch * DimExpr(AY.Stride), Pitch);
  }

  /// The block by way of AMX tiles: runs of pixels of one line.
  void emitTiles() {
    Value Begin = M.mul(FirstTile, KB.constant(Tile.Rows)), End = TotalRows;
    if (P.Order == PixelOrder::Linear)
      End = M.min(End, M.add(Begin, KB.constant(P.BlockLines * Tile.Rows)));
    DimExpr Pitch = P.Axes[X].Pitch;
    if (P.Order != PixelOrder::Linear)
      Pitch = Pitch * DimExpr(P.Axes[X].Stride);
    forPhases([&] {
      Tiles->forRows(Begin, End, [&](Value Row, unsigned Count, Value Rows) {
        SmallVector<Value, 2> First;
        for (unsigned T = 0; T < Count; ++T)
          First.push_back(
              tileAddress(M.add(Row, KB.constant(T * P.TileRows)), Pitch));
        Address = {KB.constant(0), {B.getIndexAttr(0)}};
        clipTaps(X, M.add(FirstX, Row), KB.constant(Count * P.TileRows));
        forPanels(Panels, [&](Value Panel, ArrayRef<Value> Masks) {
          MicroKernel Kernel = productAt({Row, 1, Panel, Masks});
          TileProducts::Product Product{
              MemA,          MemB,           {},
              KB.dim(Pitch), Kernel.OffsetB, unsigned(Masks.size()),
              Kernel.Loops};
          for (Value At : First)
            Product.OffsetsA.push_back(M.add(Kernel.OffsetA, At));
          Tiles->multiply(Product);
          KB.forLoop(KB.constant(0), Rows, 1, [&](Value R) {
            finish({M.add(Row, R), 1, Panel, Masks},
                   Tiles->sums(R, Masks.size()));
          });
        });
      });
    });
  }

  /// Calls `Body` with the place of each vector of the tile's partial sums.
  void forSums(const RegisterTile &T, llvm::function_ref<void(Value)> Body) {
    Value Row = T.Row;
    if (P.Order == PixelOrder::Linear)
      Row = M.sub(Row, M.mul(FirstTile, KB.constant(Tile.Rows)));
    Value Block = KB.constant(0);
    for (unsigned D : {Z, Y, X})
      if (P.Axes[D].Phases > 1)
        Block = M.add(M.mul(Block, KB.constant(P.Axes[D].Phases)), Phase[D]);
    Row = M.add(M.mul(Block, KB.constant(P.blockPixels())), Row);
    int64_t Pitch = P.Panels * panelColumns();
    Value At =
        M.add(M.mul(Row, KB.constant(Pitch)),
              M.mul(M.sub(T.Panel, Panels.First), KB.constant(panelColumns())));
    for (unsigned R = 0; R < T.Rows; ++R)
      for (unsigned V = 0; V < T.Masks.size(); ++V)
        Body(M.add(At, KB.constant(R * Pitch + V * lanes())));
  }
  SmallVector<Value> loadSums(const RegisterTile &T) {
    auto Ty = VectorType::get({int64_t(lanes())}, P.AccType);
    SmallVector<Value> Sums;
    forSums(T, [&](Value At) {
      Sums.push_back(vector::LoadOp::create(B, KB.loc(), Ty, MemSums, At));
    });
    return Sums;
  }
  void storeSums(const RegisterTile &T, ArrayRef<Value> Sums) {
    forSums(T, [&](Value At) {
      vector::StoreOp::create(B, KB.loc(), Sums.front(), MemSums, At);
      Sums = Sums.drop_front();
    });
  }

  /// The epilogue.
  void finish(const RegisterTile &T, ArrayRef<Value> Acc) {
    ArrayRef<Value> Masks = T.Masks;
    Value Column = M.add(M.mul(Group, KB.constant(P.GroupColumns)),
                         M.mul(T.Panel, KB.constant(panelColumns())));
    for (unsigned R = 0; R < T.Rows; ++R) {
      Value Pixel = M.add(T.Row, KB.constant(R));
      Pixels At = P.hasPhases() ? pixelOfPhase(Pixel) : Pixels{};
      for (unsigned V = 0; V < Masks.size(); ++V) {
        Value First = M.add(Column, KB.constant(V * lanes()));
        Epilogue.compute(Acc[R * Masks.size() + V],
                         P.hasPhases() ? coordsAt(At, First)
                                       : coordsAt(Pixel, First),
                         Lanes{lanes(), onlyIf(At.Inside, Masks[V])});
      }
    }
    Epilogue.store();
  }

  // Of the tile being emitted.
  Value Group, FirstTile, EndTile, TotalRows, TailRow, WantTail;
  bool MayHaveTail = true;
  Value OffsetA, OffsetB;
  Value FirstChannel; ///< of the chunk, in its group
  RowAddress Address; ///< of the register tile
  Value MemSums;
  std::optional<TileProducts> Tiles;
};

} // namespace

std::optional<int> matchConv(const KernelAnalysis &Kernel,
                             const TargetOptions &Options) {
  auto Op = Kernel.onlyAnchor<ConvOp>();
  if (!Op || !planConv(Op, Kernel, Options))
    return std::nullopt;
  return 100;
}

llvm::Error emitConv(KernelBuilder &KB, const KernelAnalysis &Kernel) {
  auto Op = Kernel.onlyAnchor<ConvOp>();
  std::optional<ConvPlan> Plan = planConv(Op, Kernel, KB.options());
  ConvEmitter(KB, Kernel, Op, *Plan).emit();
  return llvm::Error::success();
}

} // namespace limosa::codegen
