//===- DepthwisePlan.h - How channels are filtered one by one ---*- C++ -*-===//
//
// One filter per channel: nothing is summed over channels, so lanes run along
// them and a register tile is a run of pixels of one output line. An input
// vector is loaded once and multiplied into every pixel whose window it falls
// in. Groups of 2, 4 .. channels that fill a vector together do the same for
// each channel of a group in turn, spread over the lanes of its group. Edges
// need no padding: lines are clipped to the image by the bounds of
// the window loop. At the ends of a line whose length is known, tiles leave out
// the products that would fall outside; otherwise the few pixels there are
// computed one by one.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_CODEGEN_TEMPLATES_DEPTHWISEPLAN_H
#define LIMOSA_CODEGEN_TEMPLATES_DEPTHWISEPLAN_H

#include "limosa/Codegen/MicroKernel.h"
#include "limosa/Codegen/StridedView.h"
#include "limosa/Codegen/Template.h"
#include "limosa/IR/LimosaOps.h"
#include "llvm/Support/MathExtras.h"

namespace limosa::codegen {

struct DepthwisePlan {
  static constexpr unsigned Z = 0, Y = 1, X = 2;
  /// One spatial dimension; missing leading ones have extent 1.
  struct Axis {
    std::optional<unsigned> Dim;
    DimExpr In = 1, Out = 1, Pad = 0, Pitch = 0;
    int64_t Window = 1, Stride = 1, Dilation = 1;
  };
  Axis Axes[3];
  StridedView View; ///< of the input
  DimExpr Batch;
  int64_t Channels = 0;
  int64_t Group = 1; ///< channels of a group, in and out
  mlir::Type AccType;
  unsigned Lanes = 0;
  /// Output pixels of a line whose windows lie inside the input.
  DimExpr FirstInner, EndInner;
  TileShape Tile{};
  /// Tiles before and behind those whose windows all lie inside the input, if
  /// that is known and there are few.
  struct Ends {
    int64_t In, Out, Pad;  ///< along X
    int64_t First, Behind; ///< the tiles between these lie inside
  };
  std::optional<Ends> KnownEnds;
  int64_t BlockLines = 1, BlockPanels = 1;

  int64_t panels() const { return llvm::divideCeil(Channels, Lanes); }
  int64_t columnBlocks() const {
    return llvm::divideCeil(panels(), BlockPanels);
  }
  DimExpr lineBlocks() const {
    return DimExpr::ceilDiv(Axes[Y].Out, BlockLines);
  }
};

/// The plan of a convolution whose input lies as `Input` says; nullopt if it
/// has wide groups, or is otherwise of another kind.
std::optional<DepthwisePlan> planDepthwise(ConvOp Op, const StridedView &Input,
                                           const KernelAnalysis &Kernel,
                                           const TargetOptions &Options);

} // namespace limosa::codegen

#endif // LIMOSA_CODEGEN_TEMPLATES_DEPTHWISEPLAN_H
