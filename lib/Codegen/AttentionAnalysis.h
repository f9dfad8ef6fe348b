//===- AttentionAnalysis.h - Softmax between two products -------*- C++ -*-===//
//
// Attention as the importers and composites leave it in core ops: a product
// makes scores of queries and keys, elementwise ops scale and mask them, a
// softmax runs along the keys, and a second product sums values by it.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_LIB_CODEGEN_ATTENTIONANALYSIS_H
#define LIMOSA_LIB_CODEGEN_ATTENTIONANALYSIS_H

#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Types.h"

namespace limosa::codegen {

/// softmax(f(Scores)) by Values. The scores are [batch.., rows.., keys]; batch
/// and rows have equal products of sizes in both products, so that a linear
/// index of either means the same everywhere.
struct Attention {
  ContractOp Scores, Values;
  mlir::Value Input; ///< of the softmax: f(Scores), keys last
  ReduceOp Max, Sum;
  /// Rows that come out as NaN count as zeros: what exporters write after a
  /// softmax whose rows may be masked as a whole.
  bool ZeroNaN = false;
  /// Both products and all that is computed from the first on the way to the
  /// second.
  llvm::SmallVector<mlir::Operation *> Ops;
};

/// The attention that ends in a product, if it is one.
std::optional<Attention> findAttention(ContractOp Values);

/// The logical dimension along which a tensor's elements are neighbours in
/// memory, as far as it shows through the ops that make it.
std::optional<int64_t> fastestDim(mlir::Value V);

/// Product of some dimensions of a value.
DimExpr extentOf(mlir::Value V, llvm::ArrayRef<int64_t> Ds);

/// The dimensions of a product's operand that are neither batch nor contracted.
llvm::SmallVector<int64_t> freeDims(mlir::Value V,
                                    llvm::ArrayRef<int64_t> Batch,
                                    llvm::ArrayRef<int64_t> Contract);

} // namespace limosa::codegen

#endif // LIMOSA_LIB_CODEGEN_ATTENTIONANALYSIS_H
