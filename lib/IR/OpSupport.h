//===- OpSupport.h - What the families of ops share -------------*- C++ -*-===//
//
// Verification and iteration spaces are written per op, in the file of the op's
// family; here is what all families use for it.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_LIB_IR_OPSUPPORT_H
#define LIMOSA_LIB_IR_OPSUPPORT_H

#include "limosa/IR/Infer.h"
#include "limosa/IR/IterationSpace.h"
#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Types.h"

namespace limosa::detail {

inline mlir::RankedTensorType tensorType(mlir::Value V) {
  return mlir::cast<mlir::RankedTensorType>(V.getType());
}

//===----------------------------------------------------------------------===//
// Verification
//===----------------------------------------------------------------------===//

/// Runs an inference and compares its result with the op's declared one.
mlir::LogicalResult
verifyInferred(mlir::Operation *Op, mlir::Type Declared,
               llvm::function_ref<mlir::RankedTensorType(infer::FailFn)> Infer);

/// `Texts` are `Count` expressions that parse.
mlir::LogicalResult verifyExprs(mlir::Operation *Op, llvm::StringRef Name,
                                mlir::ArrayAttr Texts, size_t Count);

/// The region of a combining op: arguments and yields are rank-0 tensors of the
/// given dtypes.
mlir::LogicalResult
verifyScalarRegion(mlir::Operation *Op, mlir::Region &R,
                   llvm::ArrayRef<mlir::Type> ArgElements,
                   llvm::ArrayRef<mlir::Type> YieldElements);

/// Same dtype and rank, and no dimension that is known to differ: a symbol may
/// stand for what another symbol stands for elsewhere.
bool agree(mlir::Type A, mlir::Type B);

//===----------------------------------------------------------------------===//
// Iteration spaces
//===----------------------------------------------------------------------===//

/// Any index of a tensor of this type may be touched.
llvm::SmallVector<DimAccess> wholeAccess(mlir::Type Ty);

using MapAccesses = llvm::function_ref<void(IterationSpace &,
                                            llvm::ArrayRef<DimAccess> Result)>;
/// One parallel iterator per dimension of the first result, which all results
/// follow; operands are read anywhere unless `Map` says otherwise.
IterationSpace spaceFromResult(mlir::Operation *Op, MapAccesses Map);

} // namespace limosa::detail

#endif // LIMOSA_LIB_IR_OPSUPPORT_H
