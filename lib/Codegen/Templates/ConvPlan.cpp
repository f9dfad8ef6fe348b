//===- ConvPlan.cpp - A convolution as products of pixels -----------------===//

#include "ConvPlan.h"

#include "PackedProducts.h"
#include "ProductEmitter.h"
#include "TileProducts.h"
#include "limosa/Codegen/Packing.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"
#include <map>
#include <numeric>
#include <utility>

using namespace mlir;

namespace limosa::codegen {

namespace {

/// Wider lines are cut into segments.
constexpr int64_t MaxLine = 256;
constexpr int64_t SegmentPixels = 128;
constexpr int64_t MaxBlockLines = 16;
/// What a core gets from beyond its second-level cache.
constexpr double FarBytesPerCycle = 4;
/// Cycles to begin a block.
constexpr double BlockOverhead = 300;

class Planner {
public:
  Planner(ConvOp Op, const KernelAnalysis &Kernel, const TargetOptions &Options)
      : Op(Op), Kernel(Kernel), Options(Options) {}

  std::optional<ConvPlan> plan() {
    if (Op.getBatchGroups() != 1 ||
        !TileEpilogue::fits(Op.getResult(), Kernel.Outputs))
      return std::nullopt;
    auto Filter = cast<RankedTensorType>(Op.getFilter().getType());
    if (!Filter.hasStaticShape() || Filter.getNumElements() == 0)
      return std::nullopt;
    setTypes();
    setAxes(Filter);
    setSource();
    chooseOrder();
    chooseTiles();
    setPitches();
    return P;
  }

private:
  void setTypes() {
    Type Result =
        cast<RankedTensorType>(Op.getResult().getType()).getElementType();
    P.AccType = accumulatorType(Result);
    auto Filter = getStridedView(Op.getFilter());
    P.PackedFilter = Filter && isPackable(Kernel.Func, *Filter);
    // Filters packed at run time are not packed by fours or pairs.
    if (P.PackedFilter)
      P.Together = elementsTogether(elementTypeOf(Op.getInput()),
                                    elementTypeOf(Op.getFilter()), P.AccType);
    P.Regs = getPackedRegisterFile(Options.Isa, P.AccType, P.Together);
  }

  void setAxes(RankedTensorType Filter) {
    unsigned Spatial = Filter.getRank() - 2;
    Dims Low = parseDims(Op.getPadLow());
    P.Batch = getDim(Op.getResult().getType(), 0);
    P.Groups = Op.getFeatureGroups();
    P.GroupChannels = Filter.getDimSize(1);
    P.GroupColumns = Filter.getDimSize(0) / P.Groups;
    for (unsigned I = 0; I < Spatial; ++I) {
      ConvPlan::Axis &A = P.Axes[3 - Spatial + I];
      A.Dim = 2 + I;
      A.In = getDim(Op.getInput().getType(), 2 + I);
      A.Out = getDim(Op.getResult().getType(), 2 + I);
      A.Pad = Low[I];
      A.Window = Filter.getDimSize(2 + I);
      A.Stride = Op.getStrides()[I];
      A.Dilation = Op.getRhsDilation()[I];
      A.InDilation = Op.getLhsDilation()[I];
      A.Size = A.Out;
      A.Reach = (A.Window - 1) * A.Dilation;
      A.splitPhases();
    }
    // Narrow groups fill narrow vectors.
    if (P.GroupColumns < P.Regs.Lanes)
      P.Regs.Lanes =
          std::max<int64_t>(4 * 32 / P.AccType.getIntOrFloatBitWidth(),
                            llvm::PowerOf2Ceil(P.GroupColumns));
  }

  static bool neverPositive(const DimExpr &E) {
    auto C = E.constant();
    return C && *C <= 0;
  }

  /// In place if no window reaches over an edge and channels are neighbours.
  void setSource() {
    P.View = getStridedView(Op.getInput());
    P.Copy = !P.View || !P.View->Dims[1].Stride.isConstant(1) ||
             P.GroupChannels % P.Together != 0;
    Dims High = parseDims(Op.getPadHigh());
    for (ConvPlan::Axis &A : P.Axes) {
      if (!A.Dim)
        continue;
      bool Fits = A.Phases > 1
                      ? (A.In + A.Pad - A.Out - A.Reach).lowerBound() >= 0
                      : neverPositive(High[*A.Dim - 2]);
      P.Copy |= A.InDilation != 1 || !neverPositive(A.Pad) || !Fits;
    }
  }

  void chooseOrder() {
    auto &[Z, Y, X] = P.Axes;
    if (!P.Copy) {
      SmallVector<StridedView::Dim> Spatial;
      bool Pointwise = true;
      for (const ConvPlan::Axis &A : P.Axes) {
        Pointwise &= A.Reach == 0 && A.Stride == 1 && A.In == A.Out;
        if (A.Dim)
          Spatial.push_back(P.View->Dims[*A.Dim]);
      }
      if (auto Merged = mergeDims(Spatial); Pointwise && Merged) {
        P.Order = PixelOrder::Linear;
        X.Pitch = Merged->Stride;
        return;
      }
    }
    auto Width = X.Out.constant();
    P.Order =
        Width && *Width <= MaxLine ? PixelOrder::Lines : PixelOrder::Segment;
  }

  /// Whether AMX tiles have enough neighbours in K.
  bool fitsTiles() const {
    if (P.Together != 2 || !hasTiles(Options.Isa) ||
        P.Regs.Lanes != unsigned(TileProducts::Lanes))
      return false;
    // The positions of a line merge with the channels.
    int64_t Run = llvm::alignTo(P.GroupChannels, P.Together);
    const ConvPlan::Axis &X = P.Axes[ConvPlan::X];
    bool Merge = P.Groups == 1 && X.Dilation == 1 && X.Phases == 1;
    return tileStep(Run) || (Merge && tileStep(Run * X.Window));
  }

  /// Pixels of a tile of A in blocks of `Lines` lines; 0: they would have to
  /// reach from one line into the next.
  int64_t rowsOfTiles(int64_t Lines) const {
    int64_t Width = *P.Axes[ConvPlan::X].Out.constant();
    int64_t Rows = tileRows(Width);
    return Lines == 1 || Width % Rows == 0 ? Rows : 0;
  }

  /// Multiply-add cycles of a register-tiled block of pixels, one step of K.
  double blockCost(int64_t Pixels, TileShape T) const {
    int64_t PC = int64_t(T.Vectors) * P.Regs.Lanes;
    if (P.TileRows)
      return double(Pixels) * llvm::divideCeil(P.GroupColumns, PC) * T.Vectors /
             TileProducts::Speed;
    auto Rows = [&](unsigned Vectors) {
      double Cost = Pixels / T.Rows * tileCost(P.Regs, T.Rows, Vectors);
      if (Pixels % T.Rows)
        Cost += tileCost(P.Regs, Pixels % T.Rows, Vectors);
      return Cost;
    };
    double Cost = P.GroupColumns / PC * Rows(T.Vectors);
    if (int64_t Left = P.GroupColumns % PC)
      Cost += Rows((Left + P.Regs.Lanes - 1) / P.Regs.Lanes);
    return Cost;
  }

  /// Panels and groups of a column block: as much of the filter as stays in the
  /// second-level cache, in even shares.
  void chooseColumns() {
    int64_t Bytes = P.copiedBytes();
    int64_t PanelBytes = P.depth() * P.panelColumns() * Bytes;
    int64_t All = llvm::divideCeil(P.GroupColumns, P.panelColumns());
    P.ChunkChannels = P.GroupChannels;
    if (P.Groups > 1) {
      P.Panels = All;
      P.BlockGroups =
          std::clamp<int64_t>(BlockBytes / (PanelBytes * All), 1, P.Groups);
      P.BlockGroups =
          llvm::divideCeil(P.Groups, llvm::divideCeil(P.Groups, P.BlockGroups));
      return;
    }
    if (PanelBytes > BlockBytes && !P.TileRows)
      PanelBytes /= chooseChunks(PanelBytes);
    P.Panels = std::clamp<int64_t>(BlockBytes / PanelBytes, 1, All);
    P.Panels = llvm::divideCeil(All, llvm::divideCeil(All, P.Panels));
  }

  /// Cuts K into even chunks of which several panels fit together, if the
  /// channels allow it; returns how many.
  int64_t chooseChunks(int64_t PanelBytes) {
    constexpr int64_t PanelsTogether = 4, LeastChannels = 16;
    int64_t Wanted = llvm::divideCeil(PanelBytes * PanelsTogether, BlockBytes);
    for (int64_t Chunks = Wanted; P.GroupChannels / Chunks >= LeastChannels;
         ++Chunks)
      if (P.GroupChannels % (Chunks * P.Together) == 0) {
        P.ChunkChannels = P.GroupChannels / Chunks;
        return Chunks;
      }
    return 1;
  }

  void chooseTiles() {
    bool Tiles = fitsTiles();
    if (P.Order == PixelOrder::Lines)
      return chooseLines(Tiles);
    std::optional<int64_t> Pixels = P.imagePixels().constant();
    int64_t Bytes = P.copiedBytes();
    bool Linear = P.Order == PixelOrder::Linear;
    auto Pitch = P.Axes[ConvPlan::X].Pitch.constant();
    bool Aliases = Linear && (!Pitch || *Pitch * Bytes % 2048 == 0);
    std::optional<int64_t> Rows = Linear ? Pixels : std::nullopt;
    if (Tiles)
      setTiles(tileRows(Rows));
    else
      P.Tile = Kernel.choose("conv.tile", tiles(Rows, Aliases ? 8 : 16));
    chooseColumns();
    if (!Linear) {
      P.BlockWidth = llvm::alignTo(SegmentPixels, P.Tile.Rows);
      return;
    }
    if (Pixels && P.Groups == 1 && P.ChunkChannels == P.GroupChannels &&
        !P.TileRows)
      return chooseBlocks(std::max<int64_t>(*Pixels, 1));
    int64_t All =
        Pixels ? std::max<int64_t>(*Pixels / P.Tile.Rows, 1) : INT64_MAX;
    int64_t Speed = P.TileRows ? TileProducts::Speed : P.Together;
    int64_t Work = std::max<int64_t>(P.depth() * P.Panels * P.panelColumns() *
                                         P.Tile.Rows * P.BlockGroups / Speed,
                                     1);
    P.BlockLines = std::clamp<int64_t>(TileWork / Work, 1, All);
    if (Pixels)
      P.BlockLines = evenShare(All, P.BlockLines);
  }

  Candidates<TileShape> tiles(std::optional<int64_t> Rows,
                              unsigned RowLimit) const {
    auto Tiles = tileCandidates(P.Regs, Rows, P.GroupColumns, RowLimit);
    if (!Rows || *Rows > RowLimit || !P.Batch.isConstant(1) || P.Groups != 1)
      return Tiles;
    // Panels are all that workers can share out: three are as slow as four.
    return Tiles.withCosts([&](TileShape T) {
      int64_t Shares =
          llvm::divideCeil(*Rows, T.Rows) *
          llvm::divideCeil(P.GroupColumns, int64_t(T.Vectors) * P.Regs.Lanes);
      return llvm::divideCeil(Shares, int64_t(Options.Workers)) *
             tileCost(P.Regs, T.Rows, T.Vectors);
    });
  }

  void setTiles(int64_t Rows) {
    P.TileRows = Rows;
    P.Tile = {unsigned(2 * Rows),
              P.GroupColumns <= TileProducts::Lanes ? 1u : 2u};
  }

  /// The number of tiles per block nearest to `Wanted` that gives each worker
  /// the same number of blocks, if there are enough.
  int64_t evenShare(int64_t All, int64_t Wanted) const {
    int64_t Blocks = llvm::divideCeil(All, Wanted);
    int64_t Share = Options.Workers;
    if (All >= 2 * Share)
      Blocks = llvm::alignTo(Blocks, Share);
    return llvm::divideCeil(All, Blocks);
  }

  /// Blocks of known numbers of pixels and columns with the earliest end for
  /// the slowest worker. Workers that share out the columns fetch a part of the
  /// filter each, those that share out the pixels a part of the image: what is
  /// better depends on which is larger.
  void chooseBlocks(int64_t Pixels) {
    int64_t Bytes = P.copiedBytes(), Rows = P.Tile.Rows;
    int64_t Images = std::max<int64_t>(P.Batch.constant().value_or(1), 1);
    int64_t AllTiles = llvm::divideCeil(Pixels, Rows);
    int64_t AllPanels = llvm::divideCeil(P.GroupColumns, P.panelColumns());
    int64_t PanelBytes = P.depth() * P.panelColumns() * Bytes;
    int64_t PanelWork = P.depth() / P.Together * P.panelColumns() * Rows;
    double PanelCost =
        double(P.depth()) / P.Together * tileCost(P.Regs, Rows, P.Tile.Vectors);
    int64_t MostPanels =
        std::clamp<int64_t>(BlockBytes / PanelBytes, 1, AllPanels);
    Candidates<int64_t> Panelled;
    std::map<int64_t, Candidates<int64_t>> Tiled;
    for (int64_t Panels = 1; Panels <= MostPanels; ++Panels)
      for (int64_t Tiles = 1; Tiles <= AllTiles; ++Tiles) {
        int64_t ColumnBlocks = llvm::divideCeil(AllPanels, Panels);
        int64_t PixelBlocks = llvm::divideCeil(AllTiles, Tiles);
        int64_t EvenPanels = llvm::divideCeil(AllPanels, ColumnBlocks);
        int64_t EvenTiles = llvm::divideCeil(AllTiles, PixelBlocks);
        // Blocks are what workers that are held up can leave to others.
        bool IsLarge =
            Panels * Tiles > 1 && Panels * Tiles * PanelWork > 2 * TileWork;
        if (EvenPanels != Panels || EvenTiles != Tiles || IsLarge)
          continue;
        int64_t PerColumns = Images * PixelBlocks;
        int64_t Share =
            llvm::divideCeil(ColumnBlocks * PerColumns, Options.Workers);
        double Fetched =
            double(std::min<int64_t>(ColumnBlocks,
                                     llvm::divideCeil(Share, PerColumns))) *
                Panels * PanelBytes +
            double(std::min(PerColumns, Share)) * Tiles * Rows * P.depth() *
                Bytes;
        double Cost = Share * (Panels * Tiles * PanelCost + BlockOverhead) +
                      Fetched / FarBytesPerCycle;
        Panelled.add(std::to_string(Panels), Cost, Panels);
        Tiled[Panels].add(std::to_string(Tiles), Cost, Tiles);
      }
    P.Panels = Kernel.choose("conv.panels", std::move(Panelled));
    P.BlockLines = Kernel.choose("conv.tiles", std::move(Tiled[P.Panels]));
  }

  /// Lines of known width: the tile and block height with the earliest end for
  /// the slowest worker.
  void chooseLines(bool Tiles) {
    auto &[Z, Y, X] = P.Axes;
    int64_t Width = *X.Out.constant();
    std::optional<int64_t> Height = Y.Out.constant();
    Candidates<unsigned> Wide;
    std::map<unsigned, Candidates<ConvPlan>> High;
    SmallVector<unsigned> Widths = {4, 3, 2, 1};
    if (Tiles)
      Widths = {2};
    for (unsigned Vectors : Widths)
      for (int64_t Lines = 1;
           Lines <= std::min<int64_t>(MaxBlockLines, Height.value_or(8));
           ++Lines) {
        int64_t Pixels = Lines * Width;
        unsigned Most = maxRows(P.Regs, Vectors);
        unsigned Rows =
            llvm::divideCeil(Pixels, llvm::divideCeil(Pixels, Most));
        P.Tile = {Rows, Vectors};
        if (Tiles && rowsOfTiles(Lines) == 0)
          continue;
        if (Tiles)
          setTiles(rowsOfTiles(Lines));
        P.BlockLines = Lines;
        chooseColumns();
        double Cost = double(P.depth()) / P.Together * P.Groups *
                      blockCost(Pixels, P.Tile);
        // Offsets of rows that do not divide lines are not constants.
        if (Width % Rows != 0 && Rows % Width != 0 && Lines != 1 && !Tiles)
          Cost *= 1.03;
        double Blocks = Height ? llvm::divideCeil(*Height, Lines) : 16;
        if (P.Copy)
          Cost += 2.0 * P.columnBlocks() * P.copiedLines() * X.span(Width) *
                  P.copiedPlanes() * P.BlockGroups * P.GroupChannels /
                  (P.Regs.Lanes * P.Together);
        // A block reads its part of the filter from further away than the
        // second-level cache.
        if (P.chunks() > 1)
          Cost += double(P.depth()) * P.GroupColumns * P.copiedBytes() /
                  FarBytesPerCycle;
        // Storing and calling.
        Cost += P.phases() *
                (2.0 * Pixels * P.Groups * P.GroupColumns / P.Regs.Lanes + 200);
        Blocks *= P.columnBlocks();
        Cost /= P.columnBlocks();
        Cost *= llvm::divideCeil(int64_t(Blocks), Options.Workers);
        Wide.add(std::to_string(Vectors), Cost, Vectors);
        High[Vectors].add(std::to_string(Lines), Cost, P);
      }
    unsigned Vectors = Kernel.choose("conv.vectors", std::move(Wide));
    P = Kernel.choose("conv.lines", std::move(High[Vectors]));
    P.BlockWidth = Width;
  }

  void setPitches() {
    auto &[Z, Y, X] = P.Axes;
    if (!P.Copy) {
      if (P.Order != PixelOrder::Linear)
        for (ConvPlan::Axis &A : P.Axes)
          if (A.Dim)
            A.Pitch = P.View->Dims[*A.Dim].Stride;
      P.PitchC = P.View->Dims[1].Stride;
      return;
    }
    int64_t Bytes = P.copiedBytes();
    int64_t Pixel = llvm::alignTo(P.ChunkChannels, P.Together);
    // Neighbouring output pixels must not share cache sets.
    if (Pixel * X.Stride * Bytes % 2048 == 0)
      Pixel += 64 / Bytes;
    X.Pitch = Pixel;
    Y.Pitch = X.Pitch * DimExpr(X.span(P.BlockWidth));
    Z.Pitch = Y.Pitch * DimExpr(P.copiedLines());
  }

  ConvOp Op;
  const KernelAnalysis &Kernel;
  const TargetOptions &Options;
  ConvPlan P;
};

} // namespace

void ConvPlan::Axis::splitPhases() {
  std::optional<int64_t> Low = Pad.constant();
  if (InDilation == 1 || Stride != 1 || !Low ||
      std::gcd(InDilation, Dilation) != 1)
    return;
  Phases = std::exchange(InDilation, 1);
  OriginalPad = *Low;
  for (InverseDilation = 1; InverseDilation * Dilation % Phases != 1;)
    ++InverseDilation;
  int64_t First = INT64_MAX, Last = INT64_MIN;
  for (int64_t Phase = 0; Phase < Phases; ++Phase)
    if (PhaseWindow W = phaseWindow(Phase); W.Count > 0) {
      First = std::min(First, W.Position);
      Last = std::max(Last, W.Position + (W.Count - 1) * Dilation);
    }
  Pad = -First;
  Reach = Last - First;
  Out = DimExpr::ceilDiv(Size, Phases);
}

ConvPlan::Axis::PhaseWindow ConvPlan::Axis::phaseWindow(int64_t Phase) const {
  // Phase + w * Dilation - OriginalPad has to be a multiple of Phases.
  int64_t Rest = (OriginalPad - Phase) % Phases;
  int64_t First = (Rest + Phases) * InverseDilation % Phases;
  int64_t Count = First < Window ? llvm::divideCeil(Window - First, Phases) : 0;
  return {First, Count, (Phase + First * Dilation - OriginalPad) / Phases};
}

bool ConvPlan::clipsWindow(unsigned D) const {
  const Axis &A = Axes[D];
  if (!Copy || A.InDilation != 1 || A.Phases != 1 || A.Window == 1)
    return false;
  switch (D) {
  case Z:
    return true;
  case Y:
    return A.Dilation >= BlockLines;
  default:
    return A.Dilation >= int64_t(Tile.Rows) &&
           (Order == PixelOrder::Segment || BlockLines == 1);
  }
}

Type ConvPlan::copiedType() const {
  return Together > 1 ? packedType(AccType.getContext(), Together) : AccType;
}

int64_t ConvPlan::columnBlocks() const {
  if (Groups > 1)
    return llvm::divideCeil(Groups, BlockGroups);
  return llvm::divideCeil(llvm::divideCeil(GroupColumns, panelColumns()),
                          Panels);
}

DimExpr ConvPlan::imagePixels() const {
  return Axes[Z].Out * Axes[Y].Out * Axes[X].Out;
}

DimExpr ConvPlan::pixelBlocks() const {
  switch (Order) {
  case PixelOrder::Linear:
    return DimExpr::ceilDiv(imagePixels(), BlockLines * Tile.Rows);
  case PixelOrder::Lines:
    return DimExpr::ceilDiv(Axes[Y].Out, BlockLines);
  case PixelOrder::Segment:
    break;
  }
  return Axes[Y].Out * DimExpr::ceilDiv(Axes[X].Out, BlockWidth);
}

DimExpr ConvPlan::planes() const {
  return Order == PixelOrder::Linear ? DimExpr(1) : Axes[Z].Out;
}

int64_t ConvPlan::blockPixels() const {
  switch (Order) {
  case PixelOrder::Linear:
    return (BlockLines + 1) * Tile.Rows; // and the rows that are left
  case PixelOrder::Lines:
    return BlockLines * BlockWidth;
  case PixelOrder::Segment:
    break;
  }
  return BlockWidth;
}

int64_t ConvPlan::sumElements() const {
  return chunks() == 1 ? 0 : phases() * blockPixels() * Panels * panelColumns();
}

int64_t ConvPlan::copyElements() const {
  return Copy ? copiedPlanes() * *Axes[Z].Pitch.constant() : 0;
}

std::optional<ConvPlan> planConv(ConvOp Op, const KernelAnalysis &Kernel,
                                 const TargetOptions &Options) {
  return Planner(Op, Kernel, Options).plan();
}

} // namespace limosa::codegen
