//===- Loops.h - Loop nests that the loop templates share -------*- C++ -*-===//

#ifndef LIMOSA_LIB_CODEGEN_TEMPLATES_LOOPS_H
#define LIMOSA_LIB_CODEGEN_TEMPLATES_LOOPS_H

#include "limosa/Codegen/Pull.h"

namespace limosa::codegen {

/// Lanes to compute the values of a kernel with: a register of the widest
/// element that arithmetic is done on.
unsigned lanesFor(const TargetOptions &Options, const KernelAnalysis &Kernel);

/// Whether loops may end with masked vectors; otherwise with scalars. (AVX2 has
/// masked loads and stores of 4- and 8-byte elements only.)
bool canMask(const TargetOptions &Options, const KernelAnalysis &Kernel);

/// Gives dimensions that are traversed as one their index.
void setDims(Coords &At, llvm::ArrayRef<unsigned> Dims, const Index &I);

/// The dimensions, last ones of the physical order, that can be traversed as
/// one without taking positions apart again anywhere in the kernel. At least
/// one, if there are any.
unsigned collapsible(llvm::ArrayRef<mlir::Value> Outputs,
                     llvm::ArrayRef<int64_t> Order,
                     llvm::ArrayRef<DimExpr> Shape);

/// Calls Body for vectors that cover [Lo, Hi) of a contiguous dimension: main
/// vectors `Unroll` at a time, then the rest, masked or one by one.
void vectorLoop(KernelBuilder &KB, mlir::Value Lo, mlir::Value Hi, unsigned N,
                unsigned Unroll, bool Mask,
                llvm::function_ref<void(const Index &, const Lanes &)> Body);

/// Emits loops over all elements of the outputs, which have one shape, and
/// stores what `P` pulls there.
void emitPointwise(KernelBuilder &KB, const KernelAnalysis &Kernel, Puller &P);

// Templates.
extern const KernelTemplate PointwiseTemplate;
extern const KernelTemplate TransposeTemplate;
extern const KernelTemplate WindowTemplate;
extern const KernelTemplate ReductionChainTemplate;
extern const KernelTemplate GenericTemplate;

} // namespace limosa::codegen

#endif // LIMOSA_LIB_CODEGEN_TEMPLATES_LOOPS_H
