//===- PrecisionFacts.h - What a kernel does with its numbers ---*- C++ -*-===//
//
// The rule of MixedPrecision.cpp: which products become bf16, and which values
// have to stay f32.
//
//===----------------------------------------------------------------------===//
#ifndef LIMOSA_LIB_DISPATCH_PRECISIONFACTS_H
#define LIMOSA_LIB_DISPATCH_PRECISIONFACTS_H

#include "limosa/IR/LimosaOps.h"
#include "llvm/ADT/BitVector.h"

namespace limosa::dispatch {

/// Whether a value is a tensor of f32.
bool isF32(mlir::Value V);

/// What a value names elements of, under transposes, reshapes and the like.
mlir::Value withoutMoves(mlir::Value V);

/// What a float was computed from.
struct Origin {
  bool Product = false; ///< a product of bf16
  bool Counts = false;  ///< without a product between

  void add(const Origin &Other) {
    Product |= Other.Product;
    Counts |= Other.Counts;
  }
};

/// A kernel as one launch uses it.
class KernelFacts {
public:
  /// `Arguments`: what the launch's operands were computed from.
  KernelFacts(mlir::func::FuncOp Kernel, llvm::ArrayRef<Origin> Arguments);

  mlir::func::FuncOp Kernel;
  llvm::SmallVector<mlir::Operation *> Products; ///< to be made of bf16
  /// Arguments that are operands of those as they are; that are only gathered
  /// from; that steer; that operands of products depend on.
  llvm::BitVector Operands, Tables, Steering, Feeding;
  bool Regular = false;

  mlir::OperandRange results() const {
    return Body->getTerminator()->getOperands();
  }
  Origin origin(mlir::Value V) const { return Origins.lookup(V); }
  /// Arguments that a value depends on with no product between.
  const llvm::BitVector &near(mlir::Value V) const {
    return Near.find(V)->second;
  }
  bool isStatistic(mlir::Value V) const { return Statistics.contains(V); }

private:
  bool isRegular();
  void visit(mlir::Operation *Op);
  bool becomesBf16(mlir::Operation *Op);
  bool isStatisticOf(mlir::Operation *Op, mlir::Value Result);

  mlir::Block *Body;
  unsigned NumProducts = 0;
  llvm::DenseMap<mlir::Value, llvm::BitVector> Near;
  llvm::DenseMap<mlir::Value, Origin> Origins;
  llvm::DenseSet<mlir::Value> Statistics;
  llvm::BitVector None;
};

} // namespace limosa::dispatch

#endif // LIMOSA_LIB_DISPATCH_PRECISIONFACTS_H
