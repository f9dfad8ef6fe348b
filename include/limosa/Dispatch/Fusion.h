//===- Fusion.h - Outlines kernels from core ops ----------------*- C++ -*-===//
//
// Groups the core ops of each block into kernels. A group is a heavy op
// (contract, conv, reduce, window ...) with the pointwise ops after it, a chain
// of reductions over the same rows (softmax, norms), or pointwise and data ops
// over one domain. What feeds a group is pulled into it when nothing else needs
// it or when it is cheap to compute twice. Each group becomes a private
// function marked `limosa.kernel`, called by `limosa.launch`; equal functions
// are one.
//
// What may be fused is Codegen's knowledge (limosa/Codegen/FusionRules.h); this
// layer decides what is worth it.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_DISPATCH_FUSION_H
#define LIMOSA_DISPATCH_FUSION_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

namespace limosa {

struct FusionOptions {
  /// Off: every op a kernel of its own (for bisecting a wrong result).
  bool Fuse = true;
  /// Tensors one kernel may write.
  unsigned MaxOutputs = 4;
  /// Ops in one kernel: keeps register pressure and compile time in bounds.
  unsigned MaxOps = 96;
  /// The most arithmetic (in multiply-adds per element) that is done twice
  /// rather than stored.
  unsigned MaxRecompute = 4;
  /// Whether a depthwise convolution's kernel expands its channels itself: in
  /// f32 only.
  bool FuseExpansions = true;
  /// Devices that take several of the ops they claimed as one kernel; others
  /// get a kernel for each.
  llvm::SmallVector<std::string, 1> SubgraphDevices;
};

/// Outlines the kernels of all functions marked `limosa.entry`, including the
/// regions of `if` and `while`. Ops that a device claimed (`limosa.device`)
/// become kernels of that device. Afterwards an entry holds launches, reshapes
/// that are views, constants, control flow and symbol bindings only. Composites
/// must be inlined or claimed before. Fails with a diagnostic at an op that no
/// kernel can hold.
mlir::LogicalResult formKernels(mlir::ModuleOp Module,
                                const FusionOptions &Options = {});

/// Moves reshapes below pointwise ops where they become views between kernels
/// instead of breaking up what could be one kernel, and into the other operand
/// of products whose weights are narrow and stored by blocks.
mlir::LogicalResult sinkReshapes(mlir::ModuleOp Module);

/// Mixed precision: makes the products of f32 kernels products of bf16 with f32
/// sums, and stores weights and most values between kernels as bf16.
/// Arguments and results of entries keep their types. What stays f32 is
/// written down at the head of MixedPrecision.cpp. Runs after formKernels.
void useBf16(mlir::ModuleOp Module);

/// On arguments of kernels: the value is known at compile time (unit).
inline constexpr llvm::StringLiteral ConstantArgAttrName = "limosa.constant";
/// On kernels, and on ops before they are outlined: the device that runs it, if
/// it is not generated code (string).
inline constexpr llvm::StringLiteral DeviceAttrName = "limosa.device";

/// Names of the model's nodes in a location, without repeats, in order.
llvm::SmallVector<std::string> modelNodes(mlir::Location Loc);

/// Registers limosa-form-kernels, limosa-sink-reshapes, limosa-use-bf16 and
/// limosa-dispatch-claims for limosa-opt.
void registerDispatchPasses();

} // namespace limosa

#endif // LIMOSA_DISPATCH_FUSION_H
