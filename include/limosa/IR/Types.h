//===- Types.h - Tensor types with symbolic dimensions ----------*- C++ -*-===//
//
// Helpers over builtin tensor types with the limosa encoding: dimensions as
// DimExpr, physical order, dtypes.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_IR_TYPES_H
#define LIMOSA_IR_TYPES_H

#include "limosa/Support/DType.h"
#include "limosa/Support/DimExpr.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Value.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"

namespace limosa {

using Dims = llvm::SmallVector<DimExpr, 4>;

/// All dimensions of a ranked tensor type as expressions. A dynamic dimension
/// without an encoding (never made by Limosa itself) becomes the symbol "$?".
Dims getDims(mlir::Type Ty);
Dims getDims(mlir::Value V);
/// One dimension as an expression.
DimExpr getDim(mlir::Type Ty, unsigned D);

/// The tensor type of these dimensions; static ones are stored as numbers, the
/// others in the encoding. `Order` empty means row-major.
mlir::RankedTensorType makeTensorType(llvm::ArrayRef<DimExpr> Shape,
                                      mlir::Type ElementType,
                                      llvm::ArrayRef<int64_t> Order = {});

/// Physical order of the dimensions, outermost first; 0, 1, .. if none is set.
llvm::SmallVector<int64_t> getOrder(mlir::Type Ty);
bool isRowMajor(mlir::Type Ty);
mlir::RankedTensorType withOrder(mlir::RankedTensorType Ty,
                                 llvm::ArrayRef<int64_t> Order);
mlir::RankedTensorType withElementType(mlir::RankedTensorType Ty,
                                       mlir::Type ElementType);

/// Same shape (as expressions), ignoring dtype and order.
bool sameShape(mlir::Type A, mlir::Type B);
/// Same shape and dtype, ignoring order.
bool sameLogicalType(mlir::Type A, mlir::Type B);

/// Product of all dimensions.
DimExpr numElements(mlir::Type Ty);

/// DType of an element type and back. `Invalid` for types Limosa has none for.
DType getDType(mlir::Type ElementType);
mlir::Type getElementType(mlir::MLIRContext *Ctx, DType T);

/// Parses the DimExpr texts of an attribute. The verifiers have checked them.
Dims parseDims(mlir::ArrayAttr Texts);
DimExpr parseDim(llvm::StringRef Text);
/// The reverse.
mlir::ArrayAttr dimsAttr(mlir::MLIRContext *Ctx, llvm::ArrayRef<DimExpr> Exprs);

} // namespace limosa

#endif // LIMOSA_IR_TYPES_H
