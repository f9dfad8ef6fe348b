//===- ExpandDepthwisePlan.h - Channels expanded and filtered at once -----===//
//
// A depthwise convolution of what a 1x1 convolution expands, the heart of an
// inverted bottleneck. The expanded image is several times as large as what
// comes in and goes out, so it is never stored: a block of its channels is
// computed for a band of lines in scratch memory, and filtered there. The next
// band takes over the lines that both need. An edge of the image needs no
// padding, since the filter is clipped to it.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_CODEGEN_TEMPLATES_EXPANDDEPTHWISEPLAN_H
#define LIMOSA_CODEGEN_TEMPLATES_EXPANDDEPTHWISEPLAN_H

#include "DepthwisePlan.h"

namespace limosa::codegen {

struct ExpandDepthwisePlan {
  ConvOp Product, Filter;
  /// Of a block of expanded channels: [vector][line of the band][pixel][lane].
  DepthwisePlan Depthwise;
  StridedView Input, Weights; ///< of the product
  int64_t Depth = 0;          ///< channels of the input
  TileShape Tile{};           ///< of the product
  int64_t Panels = 1;         ///< of a block of channels
  int64_t BlockLines = 1;     ///< output lines of a band
  /// Parts of the output lines that are shared out to workers; the lines that
  /// two parts need are expanded for both.
  int64_t Shares = 1;

  const DepthwisePlan::Axis &lines() const {
    return Depthwise.Axes[DepthwisePlan::Y];
  }
  const DepthwisePlan::Axis &pixels() const {
    return Depthwise.Axes[DepthwisePlan::X];
  }
  int64_t panelColumns() const {
    return int64_t(Tile.Vectors) * Depthwise.Lanes;
  }
  int64_t blockVectors() const { return Panels * Tile.Vectors; }
  /// Input lines between the first and the last one of a window.
  int64_t reach() const { return (lines().Window - 1) * lines().Dilation; }
  /// The most input lines of a band.
  int64_t bandLines() const {
    return (BlockLines - 1) * lines().Stride + reach() + 1;
  }
  DimExpr shareLines() const { return DimExpr::ceilDiv(lines().Out, Shares); }
  DimExpr bands() const { return DimExpr::ceilDiv(shareLines(), BlockLines); }
  /// Elements of one vector's lines and of a whole band.
  DimExpr lineElements() const {
    return pixels().In * DimExpr(Depthwise.Lanes);
  }
  DimExpr vectorElements() const {
    return DimExpr(bandLines()) * lineElements();
  }
  DimExpr bandElements() const {
    return DimExpr(blockVectors()) * vectorElements();
  }
};

/// The plan of a kernel that is such a pair of convolutions.
std::optional<ExpandDepthwisePlan>
planExpandDepthwise(const KernelAnalysis &Kernel, const TargetOptions &Options);

} // namespace limosa::codegen

#endif // LIMOSA_CODEGEN_TEMPLATES_EXPANDDEPTHWISEPLAN_H
