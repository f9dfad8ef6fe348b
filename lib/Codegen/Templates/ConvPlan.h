//===- ConvPlan.h - A convolution as products of pixels ---------*- C++ -*-===//
//
// Implicit GEMM: the rows are output pixels, the columns output channels, K
// runs over window positions and channels. Nothing is unrolled into a matrix; a
// row is only an offset into the image. Where windows reach over the edge, or
// channels do not lie side by side, the part of the image that a tile needs is
// copied to zero-padded scratch memory first, channels innermost.
//
// Transposed convolutions have zeros between the elements of the input, which
// most window positions meet. Outputs that are the same distance from an
// element meet elements with the same window positions: a phase is a
// convolution of the input without zeros with every Phases-th position.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_CODEGEN_TEMPLATES_CONVPLAN_H
#define LIMOSA_CODEGEN_TEMPLATES_CONVPLAN_H

#include "limosa/Codegen/MicroKernel.h"
#include "limosa/Codegen/StridedView.h"
#include "limosa/Codegen/Template.h"
#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Types.h"
#include "llvm/Support/MathExtras.h"

namespace limosa::codegen {

/// How a tile's output pixels are numbered.
enum class PixelOrder {
  /// All pixels of an image lie evenly in the input (1x1, stride 1): row blocks
  /// are any runs of pixels.
  Linear,
  /// Blocks of whole output lines of known width, pixels numbered through.
  Lines,
  /// Parts of one output line.
  Segment
};

struct ConvPlan {
  static constexpr unsigned Z = 0, Y = 1, X = 2;
  /// One spatial dimension; missing leading ones have extent 1.
  struct Axis {
    std::optional<unsigned> Dim; ///< of input and result
    DimExpr In = 1, Out = 1, Pad = 0;
    int64_t Window = 1, Stride = 1, Dilation = 1, InDilation = 1;
    /// Input positions between the first and the last one of a window.
    int64_t Reach = 0;
    /// With more than one, outputs are Phases * q + phase: Out counts the q,
    /// rounded up, and all but Window speaks of the input without zeros. Reach
    /// is from the first position of any phase to the last of any.
    int64_t Phases = 1;
    DimExpr Size = 1;            ///< of the result
    int64_t OriginalPad = 0;     ///< Phases > 1: of the input with zeros
    int64_t InverseDilation = 0; ///< Phases > 1: modulo Phases
    /// Elements between neighbours of the input as it is read: in place, or in
    /// the copy (see countsWindow).
    DimExpr Pitch = 0;

    /// Input positions that `Count` outputs touch.
    int64_t span(int64_t Count) const {
      return (Count - 1) * Stride + Reach + 1;
    }
    /// Makes phases of zeros between the input's elements, where that works.
    void splitPhases();
    /// The first window position of a phase that meets elements, the number of
    /// such positions and where in the input the first one is for output 0.
    struct PhaseWindow {
      int64_t First, Count, Position;
    };
    PhaseWindow phaseWindow(int64_t Phase) const;
    /// Size of the input with zeros between its elements.
    DimExpr dilatedIn() const {
      return InDilation == 1 ? In : (In - 1) * DimExpr(InDilation) + 1;
    }
  };
  Axis Axes[3];
  std::optional<StridedView> View; ///< of the input
  bool Copy = false;
  bool PackedFilter = false; ///< constant, packed when the model is compiled
  DimExpr Batch;
  int64_t Groups = 1, GroupChannels = 1, GroupColumns = 1;
  /// Where a panel of the filter is larger than the second-level cache, K is
  /// cut into chunks of this many channels, and a tile's partial sums are in
  /// memory between them.
  int64_t ChunkChannels = 1;
  DimExpr PitchC = 1;

  mlir::Type AccType;
  /// Channels that products take at once, see MicroKernel. Copies and panels
  /// have whole ones.
  unsigned Together = 1;
  /// Multiplied in AMX tiles (TileProducts) with this many pixels of one line.
  /// A register tile then is two tiles high.
  int64_t TileRows = 0;
  RegisterFile Regs{};
  TileShape Tile{};
  PixelOrder Order = PixelOrder::Lines;
  /// Lines: output lines of a block. Linear: register tiles of a block.
  int64_t BlockLines = 1;
  /// Segment: output pixels of a block. Lines: the width.
  int64_t BlockWidth = 1;
  int64_t Panels = 1;      ///< of a column block, when there is one group
  int64_t BlockGroups = 1; ///< groups of a column block

  int64_t windowPositions() const {
    return Axes[Z].Window * Axes[Y].Window * Axes[X].Window;
  }
  /// K of packed filters.
  int64_t depth() const {
    return windowPositions() * llvm::alignTo(GroupChannels, Together);
  }
  /// Of copies.
  mlir::Type copiedType() const;
  int64_t copiedBytes() const {
    return copiedType().getIntOrFloatBitWidth() / 8;
  }
  int64_t panelColumns() const { return int64_t(Tile.Vectors) * Regs.Lanes; }
  int64_t chunks() const { return GroupChannels / ChunkChannels; }
  /// Most pixels of a block.
  int64_t blockPixels() const;
  /// Elements of a tile's partial sums; 0 if there is one chunk.
  int64_t sumElements() const;
  /// Whether the copy has a plane (Z) or line (Y) for each window position
  /// instead of each input position that the windows span: what lies between
  /// the positions of a dilated window is not copied.
  bool countsWindow(unsigned D) const {
    return Copy && Axes[D].Phases == 1 &&
           (D == Z || (D == Y && BlockLines == 1));
  }
  int64_t copiedPlanes() const {
    return countsWindow(Z) ? Axes[Z].Window : Axes[Z].span(1);
  }
  int64_t copiedLines() const {
    return countsWindow(Y) ? Axes[Y].Window : Axes[Y].span(BlockLines);
  }
  /// Elements of A between neighbouring positions of a (phase's) window.
  DimExpr windowPitch(unsigned D) const {
    return Axes[D].Pitch * DimExpr(countsWindow(D) ? 1 : Axes[D].Dilation);
  }
  bool hasPhases() const { return phases() > 1; }
  int64_t phases() const {
    return Axes[Z].Phases * Axes[Y].Phases * Axes[X].Phases;
  }
  /// Whether window positions that meet padding only are left out: per plane,
  /// per block of lines, per register tile. It pays where they lie so far apart
  /// that this happens.
  bool clipsWindow(unsigned D) const;
  int64_t columnBlocks() const;
  /// Blocks of pixels in one image (Linear) or one plane.
  DimExpr pixelBlocks() const;
  DimExpr planes() const;
  DimExpr imagePixels() const; ///< Linear only
  /// Elements of the copy of one group's channels; 0 if there is none.
  int64_t copyElements() const;
};

/// The plan of a kernel whose only anchor is `Op`, or nullopt: batch groups, or
/// an epilogue that mixes elements.
std::optional<ConvPlan> planConv(ConvOp Op, const KernelAnalysis &Kernel,
                                 const TargetOptions &Options);

} // namespace limosa::codegen

#endif // LIMOSA_CODEGEN_TEMPLATES_CONVPLAN_H
