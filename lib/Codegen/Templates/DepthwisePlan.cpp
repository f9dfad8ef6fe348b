//===- DepthwisePlan.cpp - How channels are filtered one by one -----------===//

#include "DepthwisePlan.h"

#include "ProductEmitter.h"
#include "limosa/Codegen/Packing.h"
#include "limosa/IR/Types.h"

using namespace mlir;

namespace limosa::codegen {

/// Vector multiply-adds of a tile of the grid.
static constexpr int64_t TileVectors = 1 << 15;

/// Tiles of a line whose sizes are known.
static std::optional<DepthwisePlan::Ends> planEnds(const DepthwisePlan &P) {
  // More tiles at the ends than this are too much code.
  constexpr int64_t MaxEndTiles = 4;
  const DepthwisePlan::Axis &A = P.Axes[DepthwisePlan::X];
  auto In = A.In.constant(), Out = A.Out.constant(), Pad = A.Pad.constant();
  if (!In || !Out || !Pad)
    return std::nullopt;
  int64_t Rows = P.Tile.Rows, Whole = *Out / Rows;
  auto LiesInside = [&](int64_t Tile) {
    int64_t First = Tile * Rows * A.Stride - *Pad;
    int64_t Last = First + (Rows - 1) * A.Stride + (A.Window - 1) * A.Dilation;
    return First >= 0 && Last < *In;
  };
  DepthwisePlan::Ends E{*In, *Out, *Pad, 0, Whole};
  while (E.First < Whole && !LiesInside(E.First))
    ++E.First;
  while (E.Behind > E.First && !LiesInside(E.Behind - 1))
    --E.Behind;
  int64_t Tail = *Out % Rows ? 1 : 0;
  if (E.First + (Whole - E.Behind) + Tail > MaxEndTiles)
    return std::nullopt;
  return E;
}

std::optional<DepthwisePlan> planDepthwise(ConvOp Op, const StridedView &Input,
                                           const KernelAnalysis &Kernel,
                                           const TargetOptions &Options) {
  auto Filter = cast<RankedTensorType>(Op.getFilter().getType());
  std::optional<StridedView> FilterView = getStridedView(Op.getFilter());
  if (Op.getBatchGroups() != 1 || !Filter.hasStaticShape() || !FilterView ||
      !isPackable(Kernel.Func, *FilterView))
    return std::nullopt;
  constexpr unsigned Z = DepthwisePlan::Z, Y = DepthwisePlan::Y,
                     X = DepthwisePlan::X;
  DepthwisePlan P;
  P.Channels = Filter.getDimSize(0);
  P.Group = Filter.getDimSize(1);
  if (Op.getFeatureGroups() == 1 ||
      P.Group * int64_t(Op.getFeatureGroups()) != P.Channels ||
      llvm::any_of(Op.getLhsDilation(), [](int64_t D) { return D != 1; }))
    return std::nullopt;
  if (!Input.Dims[1].Stride.isConstant(1) ||
      !TileEpilogue::fits(Op.getResult(), Kernel.Outputs))
    return std::nullopt;
  P.View = Input;
  P.AccType = accumulatorType(
      cast<RankedTensorType>(Op.getResult().getType()).getElementType());
  P.Lanes = getRegisterFile(Options.Isa, P.AccType).Lanes;
  // Channels change places within vectors of f32.
  if (P.Group > 1 && (!P.AccType.isF32() || !llvm::isPowerOf2_64(P.Group) ||
                      P.Group * 2 > P.Lanes))
    return std::nullopt;
  P.Batch = getDim(Op.getResult().getType(), 0);
  unsigned Spatial = Filter.getRank() - 2;
  Dims Low = parseDims(Op.getPadLow());
  for (unsigned I = 0; I < Spatial; ++I) {
    DepthwisePlan::Axis &A = P.Axes[3 - Spatial + I];
    A.Dim = 2 + I;
    A.In = getDim(Op.getInput().getType(), 2 + I);
    A.Out = getDim(Op.getResult().getType(), 2 + I);
    A.Pad = Low[I];
    A.Pitch = Input.Dims[2 + I].Stride;
    A.Window = Filter.getDimSize(2 + I);
    A.Stride = Op.getStrides()[I];
    A.Dilation = Op.getRhsDilation()[I];
  }

  const DepthwisePlan::Axis &AX = P.Axes[X];
  P.FirstInner = DimExpr::min(
      AX.Out, DimExpr::ceilDiv(DimExpr::max(AX.Pad, 0), AX.Stride));
  // The last window begins at In - span + Pad; none is inside when it is < 0.
  DimExpr Room = AX.In + AX.Pad - (AX.Window - 1) * AX.Dilation;
  P.EndInner = DimExpr::max(
      P.FirstInner,
      DimExpr::min(AX.Out, DimExpr::ceilDiv(DimExpr::max(Room, 0), AX.Stride)));

  // Accumulators, the window's weights, one input vector and where its lanes
  // go.
  unsigned Registers = getRegisterFile(Options.Isa, P.AccType).Registers;
  int64_t Most =
      std::clamp<int64_t>(Registers - AX.Window - (P.Group > 1 ? 3 : 2), 4,
                          Registers == 32 ? 14 : 8);
  auto SetRows = [&](const DimExpr &Pixels) {
    int64_t Rows = Most;
    if (auto Count = Pixels.constant(); Count && *Count > 0)
      Rows = llvm::divideCeil(*Count, llvm::divideCeil(*Count, Most));
    P.Tile = {unsigned(Rows), 1};
  };
  SetRows(AX.Out);
  P.KnownEnds = planEnds(P);
  if (!P.KnownEnds)
    SetRows(P.EndInner - P.FirstInner);

  int64_t Workers = Options.Workers;
  auto Share = [&](int64_t All, int64_t Wanted) {
    return llvm::divideCeil(All, llvm::divideCeil(All, Wanted));
  };
  P.BlockPanels = Share(P.panels(), 8);
  int64_t Taps = P.Axes[Z].Window * P.Axes[Y].Window * AX.Window;
  int64_t PerLine = AX.Out.constant().value_or(64) * P.BlockPanels *
                    std::max<int64_t>(Taps * P.Group, 4);
  P.BlockLines =
      std::max<int64_t>(TileVectors / std::max<int64_t>(PerLine, 1), 1);
  if (auto Lines = P.Axes[Y].Out.constant()) {
    int64_t Blocks =
        llvm::divideCeil(std::max<int64_t>(*Lines, 1),
                         std::min(P.BlockLines, std::max<int64_t>(*Lines, 1)));
    // An even number of tiles for the workers.
    while (Blocks < *Lines && Blocks * P.columnBlocks() % Workers != 0)
      ++Blocks;
    P.BlockLines = std::max<int64_t>(llvm::divideCeil(*Lines, Blocks), 1);
  }
  return P;
}

} // namespace limosa::codegen
