//===- KernelFixture.h - Builds, compiles and runs one kernel ---*- C++ -*-===//
//
// A test writes a kernel's body with CoreBuilder; the fixture compiles it for
// an ISA, packs the constants as the kernel asks, and runs its tiles in two
// parts, as two workers would.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_TEST_UNIT_CODEGEN_KERNELFIXTURE_H
#define LIMOSA_TEST_UNIT_CODEGEN_KERNELFIXTURE_H

#include "Harness.h"
#include "limosa/Codegen/Codegen.h"
#include "limosa/IR/CoreBuilder.h"
#include <gtest/gtest.h>
#include <map>

namespace limosa::test {

class KernelFixture {
public:
  struct Argument {
    mlir::RankedTensorType Type;
    bool Constant = false;
  };
  using Body = llvm::function_ref<llvm::SmallVector<mlir::Value>(
      CoreBuilder &, mlir::ValueRange)>;

  KernelFixture(llvm::StringRef Isa, unsigned Workers = 2,
                WinogradUse Winograd = WinogradUse::Never);

  mlir::MLIRContext *context() { return Context.get(); }
  mlir::RankedTensorType type(llvm::ArrayRef<DimExpr> Shape,
                              mlir::Type Element = {},
                              llvm::ArrayRef<int64_t> Order = {});
  mlir::Type f32();

  /// Builds and compiles the kernel; test failures say what went wrong. The
  /// results' types may be given other orders by `ResultOrders`.
  bool compile(llvm::ArrayRef<Argument> Args, Body Build,
               llvm::ArrayRef<llvm::SmallVector<int64_t>> ResultOrders = {});

  /// `Inputs` in the types' physical order, unpacked.
  bool run(llvm::ArrayRef<const void *> Inputs, llvm::ArrayRef<void *> Outputs,
           const std::map<std::string, int64_t> &Symbols = {});
  /// Packs once and calls often, for benchmarks: prepare, then runTiles.
  bool prepare(llvm::ArrayRef<const void *> Inputs,
               llvm::ArrayRef<void *> Outputs,
               const std::map<std::string, int64_t> &Symbols = {});
  int32_t runTiles(int64_t Begin, int64_t End) const;

  const codegen::CompiledKernel &kernel() const { return Compiled; }
  const LoadedImage &image() const { return *Image; }
  int64_t grid() const { return Grid; }

private:
  std::unique_ptr<mlir::MLIRContext> Context;
  mlir::OwningOpRef<mlir::ModuleOp> Module;
  std::string Isa;
  unsigned Workers;
  WinogradUse Winograd;
  llvm::SmallVector<Argument> Args;
  codegen::CompiledKernel Compiled;
  std::unique_ptr<LoadedImage> Image;
  std::vector<std::vector<uint8_t>> Packed;
  std::vector<int64_t> Scalars;
  std::vector<void *> Buffers;
  std::shared_ptr<void> Scratch;
  int64_t Grid = 0;
};

/// Between -1 and 1; the same for a seed everywhere.
std::vector<float> randomFloats(size_t N, unsigned Seed);

/// An ISA as part of a test's name, which may not have a '+'.
std::string isaTestName(const testing::TestParamInfo<std::string> &Isa);

} // namespace limosa::test

#endif // LIMOSA_TEST_UNIT_CODEGEN_KERNELFIXTURE_H
