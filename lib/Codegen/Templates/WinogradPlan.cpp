//===- WinogradPlan.cpp - A convolution by minimal filtering --------------===//

#include "WinogradPlan.h"

#include "ProductEmitter.h"
#include "limosa/Codegen/Packing.h"
#include "limosa/IR/Types.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace limosa::codegen {

namespace {

/// With fewer channels the transforms cost what the products save.
constexpr int64_t LeastChannels = 16;
/// What sizes that are not known are taken for.
constexpr int64_t AssumedSize = 32;

class Planner {
public:
  Planner(ConvOp Op, const KernelAnalysis &Kernel, const TargetOptions &Options)
      : Op(Op), Kernel(Kernel), Options(Options) {}

  std::optional<WinogradPlan> plan() {
    if (Options.Winograd == WinogradUse::Never || !isSuitable() ||
        !setOperands())
      return std::nullopt;
    P.Regs = getRegisterFile(Options.Isa, elementTypeOf(Op.getResult()));
    double Cost = chooseBlocks();
    if (Options.Winograd == WinogradUse::Always)
      return P;
    constexpr double FarSlower = 1.4;
    if (std::min(P.Channels, P.Columns) < LeastChannels ||
        Cost > FarSlower * directCost())
      return std::nullopt;
    P.Faster = Cost <= 0.9 * directCost();
    return P;
  }

private:
  bool isSuitable() {
    auto Filter = cast<RankedTensorType>(Op.getFilter().getType());
    auto AllOnes = [](ArrayRef<int64_t> Vs) {
      return llvm::all_of(Vs, [](int64_t V) { return V == 1; });
    };
    for (Value V : {Op.getInput(), Op.getFilter(), Op.getResult()})
      if (!elementTypeOf(V).isF32())
        return false;
    return Filter.getRank() == 4 && Filter.hasStaticShape() &&
           Filter.getDimSize(2) == Winograd::Window &&
           Filter.getDimSize(3) == Winograd::Window &&
           Filter.getNumElements() > 0 && Op.getBatchGroups() == 1 &&
           Op.getFeatureGroups() == 1 && AllOnes(Op.getStrides()) &&
           AllOnes(Op.getLhsDilation()) && AllOnes(Op.getRhsDilation()) &&
           TileEpilogue::fits(Op.getResult(), Kernel.Outputs) &&
           TileEpilogue::contiguousDim(Op.getResult(), Kernel.Outputs) == 1u;
  }

  /// Channels have to be neighbours in the input, and the filter a constant.
  bool setOperands() {
    auto Input = getStridedView(Op.getInput()),
         Filter = getStridedView(Op.getFilter());
    if (!Input || !Input->Dims[1].Stride.isConstant(1) || !Filter ||
        !isPackable(Kernel.Func, *Filter))
      return false;
    P.Input = *Input;
    P.Filter = *Filter;
    P.Columns = *Filter->Dims[0].Extent.constant();
    P.Channels = *Filter->Dims[1].Extent.constant();
    P.Batch = getDim(Op.getResult().getType(), 0);
    Dims Low = parseDims(Op.getPadLow());
    for (auto [I, A] : {std::pair(0u, &P.Y), std::pair(1u, &P.X)}) {
      A->In = getDim(Op.getInput().getType(), 2 + I);
      A->Out = getDim(Op.getResult().getType(), 2 + I);
      A->Pad = Low[I];
      A->Stride = Input->Dims[2 + I].Stride;
      A->Tiles = DimExpr::ceilDiv(A->Out, Winograd::Outputs);
    }
    return true;
  }

  //===--------------------------------------------------------------------===//
  // Cycles of the slowest worker
  //===--------------------------------------------------------------------===//

  static int64_t assumed(const DimExpr &Size) {
    return std::max<int64_t>(Size.constant().value_or(AssumedSize), 1);
  }
  int64_t workers() const { return std::max(1u, Options.Workers); }

  double directCost() const {
    constexpr double Efficiency = 0.87;
    double MultiplyAdds = double(P.Batch.constant().value_or(1)) *
                          assumed(P.Y.Out) * assumed(P.X.Out) *
                          Winograd::Window * Winograd::Window * P.Channels *
                          P.Columns;
    return MultiplyAdds / (2 * P.Regs.Lanes * Efficiency * workers());
  }

  /// Cost of blocks of `Rows` tiles in P.Tile's register tiles and P.Panels
  /// panels, out of `All` tiles.
  double cost(int64_t All, int64_t Rows) const {
    // Measured: loads, stores and what waits for them; per vector of channels.
    constexpr double InputCycles = 220, OutputCycles = 260;
    constexpr double FarBytesPerCycle = 8;
    int64_t Columns = P.Panels * P.panelColumns();
    double Steps = double(Winograd::Products) * P.Channels;
    double Multiply = Steps * llvm::divideCeil(Rows, P.Tile.Rows) * P.Panels *
                      tileCost(P.Regs, P.Tile.Rows, P.Tile.Vectors);
    double Read = Steps * Columns * sizeof(float) / FarBytesPerCycle;
    double In = InputCycles * Rows * llvm::divideCeil(P.Channels, P.Regs.Lanes);
    double Out = OutputCycles * Rows * Columns / P.Regs.Lanes;
    int64_t ColumnBlocks = P.columnBlocks();
    int64_t Blocks = llvm::divideCeil(All, Rows) * ColumnBlocks;
    int64_t Rounds = llvm::divideCeil(Blocks, workers());
    // Neighbouring blocks of one worker have their rows in common.
    return Rounds *
               (std::max(Multiply, Read) + std::min(Multiply, Read) / 4 + Out) +
           llvm::divideCeil(Rounds, ColumnBlocks) * In;
  }

  double chooseBlocks() {
    // Transformed tiles stay in the second-level cache.
    constexpr int64_t LeastRows = 8;
    int64_t All = P.Batch.constant().value_or(1) * assumed(P.Y.Tiles) *
                  assumed(P.X.Tiles);
    bool Known = P.tiles().constant().has_value();
    int64_t TileBytes = Winograd::Products * P.Channels * sizeof(float);
    int64_t MostRows =
        std::clamp<int64_t>(BlockBytes / TileBytes, LeastRows, 256);
    int64_t Least = llvm::divideCeil(All, MostRows);
    Candidates<WinogradPlan> Plans;
    double BestCost = 0;
    for (int64_t Blocks : {Least, int64_t(llvm::alignTo(Least, workers()))}) {
      int64_t Rows = Known ? llvm::divideCeil(All, Blocks) : MostRows;
      P.Tile = chooseTile(P.Regs, Rows, P.Columns);
      P.RowTiles = llvm::divideCeil(Rows, P.Tile.Rows);
      int64_t AllPanels = llvm::divideCeil(P.Columns, P.panelColumns());
      for (int64_t Split = 1; Split <= std::min(AllPanels, workers());
           ++Split) {
        P.Panels = llvm::divideCeil(AllPanels, Split);
        double Cost = cost(All, P.blockTiles());
        if (BestCost == 0 || Cost < BestCost)
          BestCost = Cost;
        Plans.add(std::to_string(P.blockTiles()) + "x" +
                      std::to_string(P.Panels),
                  Cost, P);
      }
    }
    P = Kernel.choose("winograd.block", std::move(Plans));
    return BestCost;
  }

  ConvOp Op;
  const KernelAnalysis &Kernel;
  const TargetOptions &Options;
  WinogradPlan P;
};

/// At least `Elements`, and such that the places of one element in all products
/// fall into different sets of the caches.
int64_t staggered(int64_t Elements) {
  constexpr int64_t Way = 4096 / sizeof(float), Line = 64 / sizeof(float);
  return llvm::alignTo(Elements, Way) + Line;
}

} // namespace

int64_t WinogradPlan::columnBlocks() const {
  return llvm::divideCeil(llvm::divideCeil(Columns, panelColumns()), Panels);
}

int64_t WinogradPlan::tilePitch() const {
  int64_t Pitch = llvm::alignTo(Channels, int64_t(Regs.Lanes));
  return Pitch * sizeof(float) % 2048 == 0 ? Pitch + Regs.Lanes : Pitch;
}
int64_t WinogradPlan::operandPitch() const {
  return staggered(blockTiles() * tilePitch());
}
int64_t WinogradPlan::resultPitch() const {
  return staggered(blockTiles() * panelColumns());
}

WinogradLayout WinogradPlan::layout() const {
  auto dim = [&](unsigned D) { return panelDims(Filter, {D})->front(); };
  WinogradLayout L;
  L.PanelColumns = panelColumns();
  L.Lanes = Regs.Lanes;
  L.Offset = *Filter.Offset.constant();
  L.Columns = dim(0);
  L.Channels = dim(1);
  L.Lines = dim(2);
  L.Pixels = dim(3);
  return L;
}

std::optional<WinogradPlan> planWinograd(ConvOp Op,
                                         const KernelAnalysis &Kernel,
                                         const TargetOptions &Options) {
  return Planner(Op, Kernel, Options).plan();
}

} // namespace limosa::codegen
