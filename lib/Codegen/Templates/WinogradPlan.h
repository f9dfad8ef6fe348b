//===- WinogradPlan.h - A convolution by minimal filtering ------*- C++ -*-===//
//
// A 3 x 3 convolution in tiles of 4 x 4 outputs (see
// limosa/Support/WinogradLayout.h): a block of tiles is transformed channel by
// channel, multiplied as 36 products [tiles x channels] * [channels x columns],
// and transformed back panel by panel, where the epilogue joins.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_CODEGEN_TEMPLATES_WINOGRADPLAN_H
#define LIMOSA_CODEGEN_TEMPLATES_WINOGRADPLAN_H

#include "limosa/Codegen/MicroKernel.h"
#include "limosa/Codegen/StridedView.h"
#include "limosa/Codegen/Template.h"
#include "limosa/IR/LimosaOps.h"
#include "limosa/Support/WinogradLayout.h"

namespace limosa::codegen {

struct WinogradPlan {
  struct Axis {
    DimExpr In, Out, Pad;
    DimExpr Stride; ///< elements between neighbours of the input
    DimExpr Tiles;
  };
  Axis Y, X;
  DimExpr Batch;
  StridedView Input, Filter;
  int64_t Channels = 0, Columns = 0;

  RegisterFile Regs{};
  TileShape Tile{};
  /// Whether it is estimated to be faster than the template of convolutions.
  bool Faster = true;
  /// Register tiles of a row block, and panels of a column block.
  int64_t RowTiles = 1, Panels = 1;

  DimExpr tiles() const { return Batch * Y.Tiles * X.Tiles; }
  int64_t blockTiles() const { return RowTiles * Tile.Rows; }
  int64_t panelColumns() const { return int64_t(Tile.Vectors) * Regs.Lanes; }
  DimExpr rowBlocks() const { return DimExpr::ceilDiv(tiles(), blockTiles()); }
  int64_t columnBlocks() const;

  /// Elements from one tile's channels to the next one's, and from one
  /// product's operand (result) to the next one's.
  int64_t tilePitch() const;
  int64_t operandPitch() const;
  int64_t resultPitch() const;
  WinogradLayout layout() const;
};

/// The plan of a kernel whose only anchor is `Op`; nullopt if it is no such
/// convolution or the template of convolutions is estimated to be far faster.
std::optional<WinogradPlan> planWinograd(ConvOp Op,
                                         const KernelAnalysis &Kernel,
                                         const TargetOptions &Options);

} // namespace limosa::codegen

#endif // LIMOSA_CODEGEN_TEMPLATES_WINOGRADPLAN_H
