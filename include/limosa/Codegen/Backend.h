//===- Backend.h - Kernels in MLIR to machine code --------------*- C++ -*-===//
//
// The last leg of code generation. It takes a module of kernel functions
//
//   llvm.func @k(%ctx: !llvm.ptr, %scalars: !llvm.ptr, %buffers: !llvm.ptr,
//                %begin: i64, %end: i64) -> i32
//
// (limosa/Runtime/KernelABI.h) whose bodies are made of scf, cf, arith, math,
// vector, memref, index, ub and llvm ops, and gives relocatable ELF objects
// without undefined symbols. Rules for what it accepts:
//
//  - A memref over a raw pointer is written
//    `builtin.unrealized_conversion_cast %p : !llvm.ptr to memref<?xT>` (rank
//    1, identity layout; its dynamic size is never to be asked for).
//  - Private functions and globals are helpers: each kernel gets the ones it
//    reaches. Calls to anything else fail by name.
//  - math.* of f16, bf16 and f32 becomes inline polynomials on scalars and
//    vectors; f64 goes through LimosaKernelContext::math one lane at a time,
//    so f64 math needs the kernel's first argument to be the context.
//  - arith without fast-math flags gets `contract`, nothing else: NaN,
//    infinity and signed zero are kept. Write `fastmath<none>` ops through
//    `markExact` where a fused multiply-add would be wrong.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_CODEGEN_BACKEND_H
#define LIMOSA_CODEGEN_BACKEND_H

#include "limosa/Codegen/TargetInfo.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/DialectRegistry.h"
#include "llvm/ADT/SmallVector.h"
#include <functional>
#include <vector>

namespace limosa {

/// A relocatable ELF object.
struct ObjectCode {
  llvm::SmallVector<char, 0> Bytes;
};

/// Wall times summed over all threads, in milliseconds.
struct BackendTimings {
  double Lower = 0;     ///< MLIR to the LLVM dialect
  double Translate = 0; ///< LLVM dialect to LLVM IR
  double Optimize = 0;  ///< LLVM IR passes
  double Emit = 0;      ///< instruction selection to object
};

enum class DumpStage {
  Loops,
  LLVMDialect,
  LLVMIR,
  OptimizedLLVMIR,
  Assembly,
  Times ///< one line: milliseconds per stage, bytes of code
};

struct BackendOptions {
  TargetInfo Target;
  /// Threads to compile with. The output does not depend on it.
  unsigned Threads = 1;
  /// Called, one call at a time, with the text of each stage of each part of
  /// the module; null: nothing is printed. `dumpFromEnvironment` makes one.
  std::function<void(DumpStage Stage, llvm::StringRef Kernels,
                     llvm::StringRef Text)>
      Dump;
  /// With Dump: the stages that are wanted, as bits 1 << DumpStage.
  unsigned DumpStages = 0;
};

/// All dialects that kernels may use and their translations to LLVM IR.
void registerBackendDialects(mlir::DialectRegistry &Registry);

/// Compiles every public llvm.func of `Module`; `Module` is left empty or
/// half lowered and is only good for deletion. Objects are in the order of
/// the functions. On failure: one message that names the kernel and the cause.
/// Concurrent calls need different MLIR contexts.
llvm::Expected<std::vector<ObjectCode>>
compileToObjects(mlir::ModuleOp Module, const BackendOptions &Options,
                 BackendTimings *Timings = nullptr);

/// Keeps `Op`'s arithmetic as written: it never becomes part of a fused
/// multiply-add. Returns `Op`.
mlir::Operation *markExact(mlir::Operation *Op);

/// Options from LIMOSA_DUMP, a list of stages ("loops", "llvm-dialect",
/// "llvm", "llvm-opt", "asm", "times") with an optional file:
/// "asm,loops=/tmp/k.txt". Without a file the text goes to stderr. Does nothing
/// when it is not set.
void dumpFromEnvironment(BackendOptions &Options);

} // namespace limosa

#endif // LIMOSA_CODEGEN_BACKEND_H
