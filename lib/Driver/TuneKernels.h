//===- TuneKernels.h - Choices of a program's kernels by the clock --------===//

#ifndef LIMOSA_LIB_DRIVER_TUNEKERNELS_H
#define LIMOSA_LIB_DRIVER_TUNEKERNELS_H

#include "limosa/Driver/Driver.h"
#include "limosa/Tuning/Tuner.h"

namespace limosa {

/// What to ask for in each of the kernels, one for one. Says through
/// Options.Diagnostic how far it is, which sizes are missing and what failed.
/// Fails if the machine cannot run the target's code. Of several processes that
/// tune at the same time one does and the others wait.
llvm::Expected<std::vector<tuning::Verdict>>
tuneKernels(mlir::ModuleOp Module, llvm::ArrayRef<mlir::func::FuncOp> Kernels,
            const codegen::TargetOptions &Target,
            const CompileOptions &Options);

} // namespace limosa

#endif // LIMOSA_LIB_DRIVER_TUNEKERNELS_H
