//===- KernelCost.h - What a kernel moves and computes ----------*- C++ -*-===//
//
// Private to lib/Codegen. The runtime takes a launch for short, and leaves it
// to one worker, by these numbers; `limosa inspect` places kernels on the
// roofline with them.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_LIB_CODEGEN_KERNELCOST_H
#define LIMOSA_LIB_CODEGEN_KERNELCOST_H

#include "limosa/Codegen/Template.h"

namespace limosa::codegen {

/// Bytes that a kernel reads and writes at least once. Of an argument that is
/// only looked at through slices or gathers, what those show; of an update what
/// changes, as if it happened in place.
DimExpr bytesMoved(const KernelAnalysis &Kernel);

/// Arithmetic of a kernel, an addition counted as one; nullopt if it cannot be
/// told from the shapes, as for a sort.
std::optional<DimExpr> operationCount(const KernelAnalysis &Kernel);

} // namespace limosa::codegen

#endif // LIMOSA_LIB_CODEGEN_KERNELCOST_H
