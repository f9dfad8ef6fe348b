//===- Pull.h - Values of fused ops at given coordinates --------*- C++ -*-===//
//
// The heart of code generation. A template makes the loops of a kernel and asks
// for "the elements of this value at these coordinates"; the puller emits code
// for them, going up through the fused ops to the kernel's arguments.
//
// Values are in register form (KernelBuilder.h): a vector, or a scalar when all
// lanes have the same element. f16 and bf16 are rounded after each op, as the
// reference does, and held as f32; converts between them and f32 cost nothing
// or one rounding.
//
// Reductions, windows, products and convolutions that no template has bound are
// computed in place by loops: right for any kernel, fast only for small
// windows.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_CODEGEN_PULL_H
#define LIMOSA_CODEGEN_PULL_H

#include "limosa/Codegen/KernelBuilder.h"
#include "llvm/ADT/DenseMap.h"
#include <functional>

namespace limosa::codegen {

class Puller {
public:
  using Value = mlir::Value;
  /// Gives the elements of a bound value.
  using Binding = std::function<Value(const Coords &At, const Lanes &L)>;

  Puller(KernelBuilder &KB) : KB(KB) {}

  /// Elements of `V` at `At`. All coordinates of lanes within the mask must lie
  /// in V's shape; V is an argument of the kernel or defined in it.
  Value pull(Value V, const Coords &At, const Lanes &L);
  /// The only element of a rank-0 tensor (or of one without larger dims).
  Value pullScalar(Value V);

  /// From now on elements of `V` come from `F`, until the next bind or unbind.
  /// A template binds, e.g., a product's result to its accumulators.
  void bind(Value V, Binding F);
  void unbind(Value V);

  /// Elements of a concat's result where all of them come from its input K.
  Value pullConcatInput(mlir::Operation *Concat, unsigned K, Coords At,
                        const Lanes &L);

  /// Runs a region over rank-0 tensors on register values (scalars or vectors
  /// of one length). `Narrow` false keeps f16 and bf16 results unrounded: for
  /// accumulators.
  llvm::SmallVector<Value> evalRegion(mlir::Region &Body,
                                      llvm::ArrayRef<Value> Args,
                                      bool Narrow = true);

  /// Emits an elementwise op on register values. `Narrow` as above.
  Value elementwise(mlir::Operation *Op, llvm::ArrayRef<Value> Operands,
                    bool Narrow = true);

  /// A rank-0 constant, or a splat, as a scalar register value; null if `V` is
  /// no such constant.
  Value constantScalar(Value V);

  KernelBuilder &kernel() { return KB; }

private:
  struct Memo {
    Coords At;
    Value Mask;
    unsigned Count;
    Value Result;
  };
  Value compute(Value V, const Coords &At, const Lanes &L);
  Value pullConstant(mlir::Operation *Op, const Coords &At, const Lanes &L);
  /// Forgets what was computed from V.
  void forget(Value V);
  // Data ops (PullData.cpp).
  Value pullIota(mlir::Operation *Op, Coords At, const Lanes &L);
  Value pullBroadcast(mlir::Operation *Op, Coords At, const Lanes &L);
  Value pullSlice(mlir::Operation *Op, Coords At, const Lanes &L);
  Value pullPad(mlir::Operation *Op, Coords At, const Lanes &L);
  Value pullConcat(mlir::Operation *Op, Coords At, const Lanes &L);
  Value pullGather(mlir::Operation *Op, Coords At, const Lanes &L);
  Value pullUpdateSlice(mlir::Operation *Op, Coords At, const Lanes &L);
  // Structured ops in place (PullStructured.cpp).
  Value pullReduce(mlir::Operation *Op, unsigned Result, Coords At,
                   const Lanes &L);
  Value pullWindow(mlir::Operation *Op, unsigned Result, Coords At,
                   const Lanes &L);
  Value pullContract(mlir::Operation *Op, Coords At, const Lanes &L);
  Value pullConv(mlir::Operation *Op, Coords At, const Lanes &L);

  /// Pulls under a condition: i1 makes a branch, a vector narrows the mask;
  /// elsewhere the result is `Otherwise` (a register value).
  /// `Element` is the type of the tensor's elements. Either condition may be
  /// null.
  Value pullIf(Value Uniform, Value PerLane, const Lanes &L, mlir::Type Element,
               llvm::function_ref<Value(const Lanes &)> Inside,
               llvm::function_ref<Value()> Otherwise);
  Lanes narrow(const Lanes &L, Value Mask);
  mlir::Type laneType(mlir::Type Element, const Lanes &L);
  void remember(Value V, const Coords &At, const Lanes &L, Value Result);

  /// Nested two-version broadcasts around what is being pulled.
  static constexpr unsigned MaxVersions = 3;
  unsigned Versions = 0;
  KernelBuilder &KB;
  llvm::DenseMap<Value, llvm::SmallVector<Memo, 2>> Memos;
  llvm::DenseMap<Value, Binding> Bindings;
  llvm::DenseMap<mlir::Operation *, TensorView> ConstantViews;
};

/// The coordinates of some of the dimensions: dimension d of `At` becomes
/// NewDims[d] of the result (-1: dropped). Mapped dimensions have one extent in
/// both tensors; `Shape` is that of `At`'s tensor. Others stay unset.
Coords projectCoords(KernelBuilder &KB, const Coords &At,
                     llvm::ArrayRef<int> NewDims, unsigned NewRank,
                     llvm::ArrayRef<DimExpr> Shape, unsigned N);

/// Coordinates of a reshape's operand from those of its result.
Coords reshapeCoords(KernelBuilder &KB, const Coords &At,
                     llvm::ArrayRef<DimExpr> ResultShape,
                     llvm::ArrayRef<DimExpr> OperandShape, unsigned N);

} // namespace limosa::codegen

#endif // LIMOSA_CODEGEN_PULL_H
