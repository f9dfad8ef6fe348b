//===- AttentionEmitter.h - Emits attention kernels -------------*- C++ -*-===//

#ifndef LIMOSA_CODEGEN_TEMPLATES_ATTENTIONEMITTER_H
#define LIMOSA_CODEGEN_TEMPLATES_ATTENTIONEMITTER_H

#include "AttentionPlan.h"
#include "ProductEmitter.h"

namespace limosa::codegen {

/// Emits one kernel. Use once.
class AttentionEmitter : ProductEmitter {
public:
  AttentionEmitter(KernelBuilder &KB, const KernelAnalysis &Kernel,
                   AttentionPlan Plan);
  void emit();

private:
  //===--- Frame (Attention.cpp) ------------------------------------------===//

  void makeScratch();
  void forTiles(bool Few);
  void emitTile(Value RowBlock, Value SameHead);
  void emitKeyBlock(Value Block);
  void finishRows();

  //===--- The products (Attention.cpp) -----------------------------------===//

  void scoresByPanels();
  void scoresInPlace();
  /// What becomes of accumulators before the softmax, stored as scores.
  void storeScore(Value Acc, Value LocalRow, Value Key, Value Mask);
  void valuesByPanels();
  void valuesInPlace(unsigned RowsAtOnce);
  /// Lets the walk over panels be that of one of the products.
  PanelRange useTile(const TileShape &Of, const DimExpr &Columns, Value Block,
                     int64_t Panels, bool OneBlock);

  //===--- Softmax (AttentionRows.cpp) ------------------------------------===//

  void beginRows();
  void softmaxRows();
  void rescaleRow(Value Row, Value Factor);
  Value greatestOf(Value First);
  Value acrossLanes(Value V, llvm::function_ref<Value(Value, Value)> Combine);
  Value greater(Value L, Value R);
  Value exp(Value V);

  //===--- Operands (AttentionCopy.cpp) -----------------------------------===//

  void setBatch(Value Linear);
  void copyQueries(Value Count);
  void copyKeys();
  void copyValues();
  /// A copy of an operand in panels: lanes along `Column`, `Depth` beneath.
  struct PanelCopy {
    Value Of;
    Coords Base; ///< the current head's, Column and Depth unset
    unsigned Column, Depth;
    DimExpr Columns, Depths, PanelElements;
    int64_t Vectors; ///< of a panel
    Value To;
  };
  void copyPanels(const PanelCopy &C);
  /// Coordinates of the current head in an operand of a product, or of its
  /// result.
  Coords headIn(Value Operand, llvm::ArrayRef<int64_t> Batch,
                llvm::ArrayRef<Value> At);

  Value vectorAt(Value Memory, Value Offset);
  Value vectorOf(double Number) {
    return KB.splat(B.getF32FloatAttr(Number),
                    mlir::VectorType::get({int64_t(lanes())}, B.getF32Type()));
  }
  Value scalarOf(double Number) {
    return KB.splat(B.getF32FloatAttr(Number), B.getF32Type());
  }
  Value lastRow() { return M.sub(KB.dim(P.Rows), KB.constant(1)); }
  /// Blocks of `Size` that hold `Count`.
  Value blocksOf(Value Count, int64_t Size) {
    return M.divU(M.add(Count, KB.constant(Size - 1)), KB.constant(Size));
  }
  Value scoreRow(Value Row) { return M.mul(Row, KB.constant(P.scoreStride())); }

  AttentionPlan P;
  TileEpilogue ScoreEpilogue;
  llvm::SmallVector<int64_t> RowDims, RowDimsOut; ///< in the products' results

  // Scratch: a grid tile's queries, scores and sums; a head's panels.
  Value Queries, ScoreMemory, Out, KeyPanels, ValuePanels;
  Value Sums, Greatest; ///< one per row

  // Of the tile being emitted.
  bool Few = false;
  llvm::SmallVector<Value> BatchIn, BatchOut; ///< of either product
  Value FirstRow, NumRows;                    ///< of the grid tile
  Value KeyBlockIndex, FirstKey, NumKeys;     ///< of the key block
};

} // namespace limosa::codegen

#endif // LIMOSA_CODEGEN_TEMPLATES_ATTENTIONEMITTER_H
