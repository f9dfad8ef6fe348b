//===- Harness.h - Runs kernels inside tests --------------------*- C++ -*-===//
//
// From MLIR text or ops to code in this process. Tests take the ISA as a
// parameter and skip what the machine cannot run (`allIsas`).
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_TEST_UNIT_CODEGEN_HARNESS_H
#define LIMOSA_TEST_UNIT_CODEGEN_HARNESS_H

#include "limosa/Codegen/Backend.h"
#include "limosa/Codegen/ImageLinker.h"
#include "limosa/Runtime/KernelABI.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include <memory>
#include <string>
#include <vector>

namespace limosa::test {

/// A context with every dialect that kernels may use.
std::unique_ptr<mlir::MLIRContext> makeContext();

/// The ISA levels this machine can run, of "avx2" and "avx512".
std::vector<std::string> allIsas();

/// The math functions behind LimosaKernelContext::math, from libm.
extern double (*const MathTable[LIMOSA_MATH_COUNT])(double, double);

/// An image in executable memory of this process.
class LoadedImage {
public:
  static llvm::Expected<std::unique_ptr<LoadedImage>>
  load(llvm::ArrayRef<uint8_t> Image);
  ~LoadedImage();
  LoadedImage(const LoadedImage &) = delete;
  LoadedImage &operator=(const LoadedImage &) = delete;

  /// The entry of a kernel, or null.
  LimosaKernelFn find(llvm::StringRef Name) const;
  /// The machine code of a kernel.
  llvm::ArrayRef<uint8_t> code(llvm::StringRef Name) const;

  /// Runs tiles [Begin, End) with a context of this thread; `ScratchBytes`
  /// are allocated for the call.
  int32_t run(llvm::StringRef Name, llvm::ArrayRef<int64_t> Scalars,
              llvm::ArrayRef<void *> Buffers, int64_t Begin, int64_t End,
              size_t ScratchBytes = 0) const;

private:
  LoadedImage() = default;
  uint8_t *Base = nullptr;
  size_t Bytes = 0;
  std::vector<ImageSymbol> Symbols;
};

/// Compiles and loads a module of kernels (it is lowered in place), or MLIR
/// text of one.
llvm::Expected<std::unique_ptr<LoadedImage>>
compileModule(mlir::ModuleOp Module, llvm::StringRef Isa, unsigned Threads = 1);
llvm::Expected<std::unique_ptr<LoadedImage>>
compileText(llvm::StringRef Text, llvm::StringRef Isa, unsigned Threads = 1);

} // namespace limosa::test

#endif // LIMOSA_TEST_UNIT_CODEGEN_HARNESS_H
