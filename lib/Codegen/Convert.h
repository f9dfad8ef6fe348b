//===- Convert.h - Element conversions in registers -------------*- C++ -*-===//

#ifndef LIMOSA_LIB_CODEGEN_CONVERT_H
#define LIMOSA_LIB_CODEGEN_CONVERT_H

#include "limosa/Codegen/KernelBuilder.h"

namespace limosa::codegen {

/// `Like`'s vector shape with another element type.
mlir::Type vectorLike(mlir::Type Like, mlir::Type Element);
/// A number as a scalar or vector constant of a register type.
mlir::Value numberConstant(KernelBuilder &KB, mlir::Type RegisterTy, double V);
mlir::Value intConstant(KernelBuilder &KB, mlir::Type RegisterTy, int64_t V);

/// Rounds an f32 register value to f16 or bf16; other elements stay as they
/// are.
mlir::Value roundTo(KernelBuilder &KB, mlir::Value V, mlir::Type Element);

/// The convert op on register values: saturating float to integer, wrapping
/// integers, round to nearest even, fp8 and fp4 saturating.
mlir::Value convertElement(KernelBuilder &KB, mlir::Value V, mlir::Type From,
                           mlir::Type To);

/// The bitcast op on register values.
mlir::Value bitcastElement(KernelBuilder &KB, mlir::Value V, mlir::Type From,
                           mlir::Type To);

} // namespace limosa::codegen

#endif // LIMOSA_LIB_CODEGEN_CONVERT_H
