//===- Stages.h - The stages of the backend ---------------------*- C++ -*-===//
//
// Private to lib/Codegen/Backend. Each function works on one part of the user's
// module and may run beside others on parts of the same MLIR context.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_LIB_CODEGEN_BACKEND_STAGES_H
#define LIMOSA_LIB_CODEGEN_BACKEND_STAGES_H

#include "limosa/Codegen/Backend.h"
#include "llvm/IR/Module.h"

namespace llvm {
class TargetMachine;
} // namespace llvm

namespace limosa {

/// Lowers all functions of `Part` to the LLVM dialect. Failures are reported
/// as diagnostics on the context.
llvm::LogicalResult lowerToLLVMDialect(mlir::ModuleOp Part, const TargetInfo &Target);

/// A target machine for position-independent code of `Target`.
llvm::Expected<std::unique_ptr<llvm::TargetMachine>>
makeTargetMachine(const TargetInfo &Target);

/// Gives every function the target's attributes, and runs the optimiser.
void optimizeModule(llvm::Module &M, llvm::TargetMachine &Machine,
                    const TargetInfo &Target);

/// Generates an object file, or assembly text.
llvm::Error emitModule(llvm::Module &M, llvm::TargetMachine &Machine,
                       bool Assembly, llvm::SmallVectorImpl<char> &Out);

} // namespace limosa

#endif // LIMOSA_LIB_CODEGEN_BACKEND_STAGES_H
