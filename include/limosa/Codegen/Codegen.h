//===- Codegen.h - Kernels of core ops to machine code ----------*- C++ -*-===//
//
// The door to code generation. A kernel is a private function marked
// `limosa.kernel` whose body is core ops with value semantics. `add` analyses
// it, picks a template (Template.h) and emits loops over flat memory; `finish`
// hands all loops to the backend and links one image.
//
// What Dispatch may put into one kernel is said by FusionRules.h.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_CODEGEN_CODEGEN_H
#define LIMOSA_CODEGEN_CODEGEN_H

#include "limosa/Codegen/Backend.h"
#include "limosa/Codegen/Choices.h"
#include "limosa/Support/DimExpr.h"
#include "limosa/Support/WinogradLayout.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace limosa::codegen {

class TemplateRegistry;

/// On kernels: denormal numbers may be taken for zeros where f32 becomes bf16
/// (unit).
inline constexpr llvm::StringLiteral FlushAttrName = "limosa.flush_denormals";

/// What the code is for. Code follows from this alone, never from the machine
/// that compiles.
struct TargetOptions {
  std::string Isa = "avx2"; ///< "avx2", "avx512", with extras "+vnni", "+bf16"
  unsigned Workers = 1;     ///< threads it will run on; a hint for tile sizes
  unsigned CompileThreads = 1;
  /// Results of minimal filtering are off by some 2e-6 of the largest value,
  /// and its filters take four times as much memory.
  WinogradUse Winograd = WinogradUse::WhereFaster;
};

/// A constant operand that the kernel reads in a packed form. The plan stores
/// what `packConstant` makes of it in the constant's place.
struct PackRequest {
  unsigned Operand = 0; ///< index of the kernel's argument
  std::string Spec;     ///< e.g. "gemm.b.nr32"
};

/// Bytes of a constant of type `Ty` (physical order of the type) rearranged as
/// `Spec` says. The result may be larger (padding). Defined by the templates
/// that make the requests.
llvm::Expected<std::vector<uint8_t>>
packConstant(llvm::StringRef Spec, mlir::RankedTensorType Ty,
             llvm::ArrayRef<uint8_t> Bytes);

/// A result of which only a part is written: the kernel has to find the rest of
/// its operand there, in the operand's own memory or in a copy.
struct UpdatedOperand {
  unsigned Operand = 0, Result = 0;
};

/// That a kernel's choices were timed (limosa/Tuning).
struct MeasuredChoice {
  double Seconds = 0;         ///< of a launch as the kernel is
  double EstimateSeconds = 0; ///< as it would be by the estimates
  unsigned Tried = 0;         ///< ways that were timed
};

/// What the plan has to know to launch a kernel.
struct CompiledKernel {
  std::string Name;     ///< of the kernel function
  std::string Symbol;   ///< in the image; shared by identical kernels
  std::string Template; ///< which template made it
  /// Symbols whose values are the kernel's scalars, in order.
  llvm::SmallVector<std::string> Symbols;
  DimExpr Grid;         ///< number of tiles
  DimExpr ScratchBytes; ///< per worker
  std::vector<PackRequest> Packs;
  std::vector<UpdatedOperand> Updates;
  std::vector<std::string> Remarks; ///< why it is not on a fast path
  std::vector<Choice> Choices;      ///< what could have been done otherwise
  std::optional<MeasuredChoice> Measured;
  std::optional<DimExpr> Flops;
  std::optional<DimExpr> Bytes; ///< read and written at least once
};

/// The kernel as text without its name: what identical kernels share.
std::string kernelText(mlir::func::FuncOp Kernel);

/// Compiles kernels into one image. Not thread safe; uses the MLIR context of
/// the kernels, into which it loads the dialects it emits.
class KernelCompiler {
public:
  /// Fails for an unknown ISA.
  static llvm::Expected<std::unique_ptr<KernelCompiler>>
  create(mlir::MLIRContext *Ctx, const TargetOptions &Options);
  ~KernelCompiler();

  /// Emits the loops of a kernel, by the estimates but for the ways asked for.
  /// Identical kernels are emitted once. Fails, with a message naming the
  /// kernel and the op, when no template can; a way that the kernel does not
  /// have is a remark.
  llvm::Expected<CompiledKernel> add(mlir::func::FuncOp Kernel,
                                     const AskedWays &Ways = {});

  /// The loops emitted so far (`--emit=mlir-loops`). Owned by the compiler;
  /// used up by `finish`.
  mlir::ModuleOp loops() { return *Loops; }

  /// The linked position-independent ELF image of all kernels. Call once.
  llvm::Expected<std::vector<uint8_t>> finish();
  /// A relocatable object for the system linker with the same kernels, each
  /// symbol after `Prefix`. Call instead of `finish`.
  llvm::Expected<std::vector<uint8_t>> finishObject(llvm::StringRef Prefix);

  /// Where the time of `finish` went, summed over its threads.
  const BackendTimings &timings() const { return Timings; }

private:
  KernelCompiler(mlir::MLIRContext *Ctx, TargetOptions Options);

  TargetOptions Options;
  BackendTimings Timings;
  mlir::OwningOpRef<mlir::ModuleOp> Loops;
  std::unique_ptr<TemplateRegistry> Templates;
  llvm::StringMap<CompiledKernel> ByText;
};

} // namespace limosa::codegen

#endif // LIMOSA_CODEGEN_CODEGEN_H
