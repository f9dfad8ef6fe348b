//===- Passes.cpp - Dispatch as passes for limosa-opt ---------------------===//

#include "limosa/Dispatch/Fusion.h"

#include "limosa/IR/LimosaDialect.h"
#include "mlir/Pass/Pass.h"

using namespace mlir;

namespace limosa {
namespace {

struct FormKernelsPass
    : public PassWrapper<FormKernelsPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(FormKernelsPass)
  FormKernelsPass() = default;
  FormKernelsPass(const FormKernelsPass &Other) : PassWrapper(Other) {}

  StringRef getArgument() const override { return "limosa-form-kernels"; }
  StringRef getDescription() const override {
    return "Outline groups of core ops as kernels";
  }
  void runOnOperation() override {
    FusionOptions Options;
    Options.Fuse = Fuse;
    if (failed(formKernels(getOperation(), Options)))
      signalPassFailure();
  }

  Option<bool> Fuse{*this, "fuse",
                    llvm::cl::desc("Put several ops into one kernel"),
                    llvm::cl::init(true)};
};

struct SinkReshapesPass
    : public PassWrapper<SinkReshapesPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(SinkReshapesPass)
  StringRef getArgument() const override { return "limosa-sink-reshapes"; }
  StringRef getDescription() const override {
    return "Move reshapes below pointwise ops";
  }
  void runOnOperation() override {
    if (failed(sinkReshapes(getOperation())))
      signalPassFailure();
  }
};

struct UseBf16Pass : public PassWrapper<UseBf16Pass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(UseBf16Pass)
  StringRef getArgument() const override { return "limosa-use-bf16"; }
  StringRef getDescription() const override {
    return "Store weights and values between kernels as bf16";
  }
  void runOnOperation() override { useBf16(getOperation()); }
};

} // namespace

void registerDispatchPasses() {
  PassRegistration<FormKernelsPass>();
  PassRegistration<SinkReshapesPass>();
  PassRegistration<UseBf16Pass>();
}

} // namespace limosa
