//===- PackingLoops.h - Operands copied at run time -------------*- C++ -*-===//
//
// Loops that bring operands of products into the micro-kernel's form while the
// kernel runs: B in panels, A in rows. Elements come through the puller, so
// that what precedes a product can be fused into the copy.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_CODEGEN_TEMPLATES_PACKINGLOOPS_H
#define LIMOSA_CODEGEN_TEMPLATES_PACKINGLOOPS_H

#include "limosa/Codegen/KernelBuilder.h"

namespace limosa::codegen {

/// `V` (scalar or vector, register form of an element) in the wider type the
/// products are summed in.
mlir::Value widenTo(KernelBuilder &KB, mlir::Value V, mlir::Type AccType,
                    bool Unsigned);

/// Transposes a square of N vectors of N lanes by log2(N) rounds of
/// interleaving.
llvm::SmallVector<mlir::Value>
transposeSquare(KernelBuilder &KB, llvm::ArrayRef<mlir::Value> Rows);

/// Sums over the lanes of N vectors of N lanes: lane i has that of the i-th.
mlir::Value addTransposed(KernelBuilder &KB,
                          llvm::ArrayRef<mlir::Value> Vectors);

} // namespace limosa::codegen

#endif // LIMOSA_CODEGEN_TEMPLATES_PACKINGLOOPS_H
