//===- ProductEmitter.h - Loops that products share -------------*- C++ -*-===//
//
// What the templates of products and of convolutions have in common: the walk
// over panels of columns with a narrow last one, and over register tiles of
// rows with smaller tiles for the rows that are left.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_CODEGEN_TEMPLATES_PRODUCTEMITTER_H
#define LIMOSA_CODEGEN_TEMPLATES_PRODUCTEMITTER_H

#include "TileEpilogue.h"
#include "limosa/Codegen/MicroKernel.h"
#include "limosa/Codegen/Pull.h"

namespace limosa::codegen {

/// What a core is taken to have of second-level cache for a block of B.
constexpr int64_t BlockBytes = 768 << 10;
/// Multiply-adds that make a tile of the grid worth its overhead.
constexpr int64_t TileWork = 1 << 20;

/// What products of this result dtype are summed in.
mlir::Type accumulatorType(mlir::Type ResultElement);

inline mlir::Type elementTypeOf(mlir::Value V) {
  return llvm::cast<mlir::RankedTensorType>(V.getType()).getElementType();
}

class ProductEmitter {
public:
  using Value = mlir::Value;

protected:
  ProductEmitter(KernelBuilder &KB, mlir::Value Root,
                 llvm::ArrayRef<mlir::Value> Outputs, TileShape Tile,
                 unsigned NumLanes)
      : KB(KB), M(KB.math()), B(KB.builder()), Pull(KB),
        Epilogue(KB, Pull, Root, Outputs), Tile(Tile), NumLanes(NumLanes) {}

  unsigned lanes() const { return NumLanes; }
  int64_t panelColumns() const { return int64_t(Tile.Vectors) * NumLanes; }

  /// A constant if the expression is one, which then folds into addresses.
  mlir::OpFoldResult fold(const DimExpr &E);
  Value mulAdd(Value Sum, Value I, const DimExpr &Stride) {
    return M.add(Sum, M.mul(I, KB.dim(Stride)));
  }
  /// Emits `Body` under a condition, without a branch if it is known to hold.
  void when(Value Condition, llvm::function_ref<void()> Body);
  Value negate(Value Condition);
  /// No lanes unless an i1 holds, else those of `Mask`. Null: holds, all lanes.
  Value onlyIf(Value Condition, Value Mask);

  /// The panels of one column block out of `Columns` columns.
  struct PanelRange {
    DimExpr Columns;
    Value First, End; ///< whole panels
    Value Tail;       ///< index of the narrow panel behind the last whole one
    Value HasTail;    ///< i1: it exists and belongs to this block
  };
  PanelRange panelRange(const DimExpr &Columns, Value Block,
                        int64_t PanelsPerBlock, bool OneBlock);
  /// Whole panels in a loop, then the narrow one. `Masks` has an entry per
  /// vector of the panel, null when all its lanes exist.
  void forPanels(
      const PanelRange &Range,
      llvm::function_ref<void(Value Panel, llvm::ArrayRef<Value> Masks)> Body);

  /// Register tiles [FirstTile, EndTile) of Tile.Rows rows.
  using RowBody = llvm::function_ref<void(Value Row, unsigned Rows)>;
  void forRowTiles(Value FirstTile, Value EndTile, RowBody Body);
  /// The rows from `First` to `Total` (fewer than Tile.Rows) in ever smaller
  /// tiles, or in one when `Total` is a constant; nothing unless `Wanted`.
  /// `First` is Total rounded down to Tile.Rows.
  void forRowTail(Value First, Value Total, Value Wanted, RowBody Body);

  /// Lets a register tile fetch packed vectors of B to the first-level cache
  /// before it uses them. Panels follow each other, so that the end of one
  /// fetches the beginning of the next. Not if all `Elements` of B fit there.
  static void fetchAhead(MicroKernel &Kernel, const DimExpr &Elements);
  /// After fetchAhead: lets the last register tiles of a column block share out
  /// the fetching of the panel at `Next`, which the following block begins
  /// with, to the second-level cache, if it exists. This tile is number
  /// `RowTile` of `RowTiles`; panels have `Steps` steps of K.
  void fetchNext(MicroKernel &Kernel, Value Next, Value Exists, Value RowTile,
                 const DimExpr &RowTiles, const DimExpr &Steps);

  KernelBuilder &KB;
  IndexMath &M;
  mlir::OpBuilder &B;
  Puller Pull;
  TileEpilogue Epilogue;
  TileShape Tile;
  unsigned NumLanes;
};

} // namespace limosa::codegen

#endif // LIMOSA_CODEGEN_TEMPLATES_PRODUCTEMITTER_H
