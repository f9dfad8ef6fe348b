//===- ChainAnalysis.h - Reductions that share their rows -------*- C++ -*-===//
//
// A chain is a set of reductions over one domain and the same dimensions of it,
// with ops between them that stay on their row: softmax, norms, arg max, mean
// and variance. Then a loop over rows can compute all of it, row by row.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_LIB_CODEGEN_CHAINANALYSIS_H
#define LIMOSA_LIB_CODEGEN_CHAINANALYSIS_H

#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Types.h"
#include "llvm/ADT/DenseSet.h"

namespace limosa::codegen {

struct Chain {
  mlir::RankedTensorType Domain; ///< type of the first reduction's first input
  Dims Shape;                    ///< of the domain
  Dims RowShape;                 ///< of the reductions' results
  llvm::SmallVector<int64_t> Reduced;  ///< domain dimensions, increasing
  llvm::SmallVector<int64_t> Parallel; ///< the others
  /// Reductions that need only those of earlier stages.
  llvm::SmallVector<llvm::SmallVector<ReduceOp, 2>> Stages;
  /// Per output: one element per domain point (true) or per row.
  llvm::SmallVector<bool> IsFull;
  /// Values of the domain's shape that are read at the domain point being
  /// computed and nowhere else.
  llvm::DenseSet<mlir::Value> InPlace;
};

/// The chain that these ops make, if they make one.
std::optional<Chain> findChain(llvm::ArrayRef<mlir::Operation *> Ops,
                               llvm::ArrayRef<mlir::Value> Outputs);

} // namespace limosa::codegen

#endif // LIMOSA_LIB_CODEGEN_CHAINANALYSIS_H
