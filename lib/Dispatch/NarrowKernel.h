//===- NarrowKernel.h - bf16 at the edges of kernels ------------*- C++ -*-===//
#ifndef LIMOSA_LIB_DISPATCH_NARROWKERNEL_H
#define LIMOSA_LIB_DISPATCH_NARROWKERNEL_H

#include "limosa/IR/LimosaOps.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/DenseSet.h"

namespace limosa::dispatch {

/// What becomes of a kernel for one launch.
struct Decision {
  llvm::BitVector Arguments, Results; ///< bf16

  std::string key(llvm::StringRef Kernel) const {
    std::string Key = Kernel.str();
    for (const llvm::BitVector *Bits : {&Arguments, &Results}) {
      Key += ' ';
      for (unsigned I = 0; I < Bits->size(); ++I)
        Key += (*Bits)[I] ? '1' : '0';
    }
    return Key;
  }
};

/// The value's type with elements of bf16.
mlir::Type asBf16(mlir::Value V);

/// Makes the kernel's edges bf16 as decided, and its products at the positions
/// `Products` of its body. In between all stays f32.
void narrowKernel(mlir::func::FuncOp Kernel, const Decision &D,
                  const llvm::DenseSet<unsigned> &Products);

/// A constant's elements as bf16; null if they are not at hand.
mlir::ElementsAttr narrowElements(ConstantOp C);

} // namespace limosa::dispatch

#endif // LIMOSA_LIB_DISPATCH_NARROWKERNEL_H
