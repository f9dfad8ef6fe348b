//===- AttentionPlan.h - Tiles of an attention kernel -----------*- C++ -*-===//

#ifndef LIMOSA_CODEGEN_TEMPLATES_ATTENTIONPLAN_H
#define LIMOSA_CODEGEN_TEMPLATES_ATTENTIONPLAN_H

#include "../AttentionAnalysis.h"
#include "limosa/Codegen/MicroKernel.h"
#include "limosa/Codegen/Template.h"

namespace limosa::codegen {

/// Attention as batch x rows x keys: a grid tile is a block of rows of one
/// batch element (a head), a key block what its scores are held for at once.
struct AttentionPlan {
  Attention A;
  DimExpr Batch, Rows, Keys;
  int64_t Depth = 0, Columns = 0; ///< of queries and keys; of values

  RegisterFile Regs{};
  TileShape ScoreTile{}, ValueTile{}; ///< register tiles of the products
  int64_t RowTiles = 1;               ///< of ScoreTile in a grid tile
  int64_t KeyBlock = 0;               ///< whole panels of ScoreTile
  /// There are several blocks of keys, or may be: sums of earlier ones are
  /// rescaled to the greatest score so far.
  bool Online = false;
  /// Few rows read keys and values where they lie; many make panels of them
  /// first. Both: decided by the number of rows at run time.
  bool ForFewRows = false, ForManyRows = false;
  static constexpr int64_t FewRows = 8;

  int64_t lanes() const { return Regs.Lanes; }
  int64_t rowsPerTile() const { return RowTiles * ScoreTile.Rows; }
  DimExpr rowBlocks() const { return DimExpr::ceilDiv(Rows, rowsPerTile()); }
  /// Rows that share the values they read where they lie.
  int64_t rowsInPlace() const;
  /// Rows of scratch, which whole register tiles of either product fill.
  int64_t scratchRows() const;
  // Elements between rows in scratch.
  int64_t queryStride() const;
  int64_t scoreStride() const;
  int64_t outStride() const;
  // Elements of a panel of keys and of values.
  int64_t keyPanel() const;
  DimExpr valuePanel() const;
};

/// The plan of a kernel that is one attention and what is pulled into it.
std::optional<AttentionPlan> planAttention(const KernelAnalysis &Kernel,
                                           const TargetOptions &Options);

} // namespace limosa::codegen

#endif // LIMOSA_CODEGEN_TEMPLATES_ATTENTIONPLAN_H
