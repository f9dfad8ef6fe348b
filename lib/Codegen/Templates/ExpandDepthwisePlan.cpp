//===- ExpandDepthwisePlan.cpp - Channels expanded and filtered at once ---===//

#include "ExpandDepthwisePlan.h"

#include "ProductEmitter.h"
#include "limosa/Codegen/FusionRules.h"
#include "limosa/Codegen/Packing.h"
#include "limosa/IR/Types.h"

using namespace mlir;

namespace limosa::codegen {

/// What a band of lines may take of the second-level cache.
static constexpr int64_t BandBytes = 256 << 10;
/// Inputs that are read from there for each block of channels.
static constexpr int64_t NearInput = 1 << 20;
/// What sizes that are not known are taken to be.
static constexpr int64_t AnySize = 64;

static int64_t sizeOr(const DimExpr &E) {
  return std::max<int64_t>(E.constant().value_or(AnySize), 1);
}

namespace {

class Planner {
public:
  Planner(ExpandDepthwisePlan &P, const TargetOptions &Options)
      : P(P), Options(Options), Width(sizeOr(P.pixels().In)),
        Height(sizeOr(P.lines().Out)) {}

  void choose() {
    RegisterFile Regs = getRegisterFile(Options.Isa, P.Depthwise.AccType);
    P.Tile = chooseTile(Regs, std::nullopt, P.Depthwise.Channels);
    int64_t All = llvm::divideCeil(P.Depthwise.Channels, P.panelColumns());
    int64_t InputBytes =
        sizeOr(P.lines().In) * Width * P.Depth * int64_t(sizeof(float));
    // A large input is better read for many channels at a time.
    P.Panels = InputBytes > NearInput ? std::min<int64_t>(All, 2) : 1;
    P.Panels = llvm::divideCeil(All, llvm::divideCeil(All, P.Panels));
    P.Depthwise.BlockPanels = P.blockVectors();
    chooseShares(InputBytes);
    chooseLines();
    chooseRows(Regs);
  }

private:
  /// Blocks of channels are shared out if they are even; then nothing is
  /// computed twice.
  void chooseShares(int64_t InputBytes) {
    int64_t Blocks =
        P.Depthwise.columnBlocks() *
        std::max<int64_t>(P.Depthwise.Batch.constant().value_or(1), 1);
    bool Even = Blocks % Options.Workers == 0 || Blocks >= 8 * Options.Workers;
    if ((Even && InputBytes <= NearInput) || Height < 4 * Options.Workers)
      return;
    P.Shares = Options.Workers;
  }

  void chooseLines() {
    int64_t LineBytes =
        Width * P.blockVectors() * P.Depthwise.Lanes * int64_t(sizeof(float));
    int64_t Lines =
        (BandBytes / LineBytes - P.reach() - 1) / P.lines().Stride + 1;
    int64_t Share = llvm::divideCeil(Height, P.Shares);
    Lines = std::clamp<int64_t>(Lines, 1, Share);
    P.BlockLines = llvm::divideCeil(Share, llvm::divideCeil(Share, Lines));
  }

  /// Even register tiles if all pixels of an image are one band.
  void chooseRows(const RegisterFile &Regs) {
    if (!P.bands().isConstant(1) || P.Shares > 1)
      return;
    auto Pixels = (P.lines().In * P.pixels().In).constant();
    if (Pixels && *Pixels > 0)
      P.Tile.Rows =
          llvm::divideCeil(*Pixels, llvm::divideCeil(*Pixels, P.Tile.Rows));
  }

  ExpandDepthwisePlan &P;
  const TargetOptions &Options;
  int64_t Width, Height;
};

} // namespace

std::optional<ExpandDepthwisePlan>
planExpandDepthwise(const KernelAnalysis &Kernel,
                    const TargetOptions &Options) {
  if (Kernel.Anchors.size() != 2)
    return std::nullopt;
  ExpandDepthwisePlan P;
  P.Product = dyn_cast<ConvOp>(Kernel.Anchors[0]);
  P.Filter = dyn_cast<ConvOp>(Kernel.Anchors[1]);
  if (!P.Product || !P.Filter)
    return std::nullopt;
  SmallVector<Operation *> Ops = expansionOps(P.Filter);
  if (Ops.empty() || Ops.front() != P.Product)
    return std::nullopt;
  // Nothing but the filter may read what the product is made into.
  for (Operation *Op : ArrayRef(Ops).drop_back())
    for (Operation *User : Op->getUsers())
      if (!llvm::is_contained(Ops, User))
        return std::nullopt;

  auto Input = getStridedView(P.Product.getInput());
  auto Weights = getStridedView(P.Product.getFilter());
  Value Expanded = P.Filter.getInput();
  if (!Input || !Weights || !isPackable(Kernel.Func, *Weights) ||
      !Input->Dims[1].Stride.isConstant(1) ||
      !mergeDims({Input->Dims[2], Input->Dims[3]}) ||
      !TileEpilogue::fits(P.Product.getResult(), Expanded))
    return std::nullopt;
  P.Input = *Input;
  P.Weights = *Weights;
  P.Depth =
      cast<RankedTensorType>(P.Product.getFilter().getType()).getDimSize(1);

  int64_t Lanes =
      getRegisterFile(Options.Isa,
                      Builder(P.Product.getContext()).getF32Type())
          .Lanes;
  Dims Shape = getDims(Expanded);
  StridedView Band;
  Band.Offset = 0;
  Band.Dims = {{Shape[0], 0},
               {Shape[1], 1},
               {Shape[2], Shape[3] * DimExpr(Lanes)},
               {Shape[3], Lanes}};
  auto Depthwise = planDepthwise(P.Filter, Band, Kernel, Options);
  if (!Depthwise || Depthwise->Group != 1)
    return std::nullopt;
  P.Depthwise = *Depthwise;
  Planner(P, Options).choose();
  return P;
}

} // namespace limosa::codegen
