//===- Layout.h - Physical layouts of tensors -------------------*- C++ -*-===//
//
// What the physical order of a tensor means for the ops that only rename
// elements: a transpose, reshape or relayout whose operand and result hold the
// same bytes in the same sequence moves nothing, and Plan gives both one
// buffer.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_IR_LAYOUT_H
#define LIMOSA_IR_LAYOUT_H

#include "limosa/IR/Types.h"
#include "mlir/IR/Operation.h"

namespace limosa {

/// The physical order without dimensions that are known to be 1, which take no
/// part in the sequence of bytes.
llvm::SmallVector<int64_t> significantOrder(mlir::Type Ty);

/// The bytes of a tensor of this type lie in row-major sequence.
bool isPhysicallyRowMajor(mlir::Type Ty);

/// The order of a transpose's operand in which its result, stored in the order
/// `ResultOrder`, is the same sequence of bytes; and the reverse.
llvm::SmallVector<int64_t>
operandOrderForTranspose(llvm::ArrayRef<int64_t> Perm,
                         llvm::ArrayRef<int64_t> ResultOrder);
llvm::SmallVector<int64_t>
resultOrderForTranspose(llvm::ArrayRef<int64_t> Perm,
                        llvm::ArrayRef<int64_t> OperandOrder);

/// A reshape, transpose or relayout whose result is the operand's bytes.
bool isAlias(mlir::Operation *Op);

/// Channels-last order of a tensor with `Rank` logical dimensions N, C,
/// spatial.
llvm::SmallVector<int64_t> channelsLast(int64_t Rank);

} // namespace limosa

#endif // LIMOSA_IR_LAYOUT_H
