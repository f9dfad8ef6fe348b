//===- IterationSpace.h - How an op's dimensions relate ---------*- C++ -*-===//
//
// Every core op describes itself as a nest of iteration dimensions and says how
// each dimension of each operand and result follows them. Sharding, tiling,
// layout, batching and cost read this instead of knowing ops.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_IR_ITERATIONSPACE_H
#define LIMOSA_IR_ITERATIONSPACE_H

#include "limosa/Support/DimExpr.h"
#include "llvm/ADT/SmallVector.h"

namespace mlir {
class Operation;
}

namespace limosa {

enum class IteratorKind : uint8_t {
  Parallel,  ///< Every point is independent.
  Reduction, ///< Points combine, in any order.
  Sequential ///< Points depend on those before them (scan, sort).
};

/// How one tensor dimension follows the iteration dimensions.
struct DimAccess {
  enum class Kind : uint8_t {
    Iterator, ///< index = iterator
    Window,   ///< index = iterator * stride + window * dilation - pad
    Whole     ///< any index may be touched by any point
  };
  Kind K = Kind::Whole;
  unsigned Iterator = 0;       ///< Iterator, Window
  unsigned WindowIterator = 0; ///< Window: the reduction over the window
  int64_t Stride = 1;
  int64_t Dilation = 1;

  static DimAccess iterator(unsigned I) {
    DimAccess A;
    A.K = Kind::Iterator;
    A.Iterator = I;
    return A;
  }
  static DimAccess window(unsigned I, unsigned W, int64_t Stride,
                          int64_t Dilation) {
    DimAccess A;
    A.K = Kind::Window;
    A.Iterator = I;
    A.WindowIterator = W;
    A.Stride = Stride;
    A.Dilation = Dilation;
    return A;
  }
  static DimAccess whole() { return DimAccess(); }
};

struct IterationSpace {
  struct Dim {
    IteratorKind Kind;
    DimExpr Extent;
  };
  llvm::SmallVector<Dim> Dims;
  /// One list per operand, one access per operand dimension.
  llvm::SmallVector<llvm::SmallVector<DimAccess>> Operands;
  /// One list per result.
  llvm::SmallVector<llvm::SmallVector<DimAccess>> Results;

  unsigned addDim(IteratorKind Kind, const DimExpr &Extent) {
    Dims.push_back({Kind, Extent});
    return Dims.size() - 1;
  }
};

/// One parallel dimension per tensor dimension, shared by all operands and
/// results of one shape.
IterationSpace elementwiseIterationSpace(mlir::Operation *Op);

} // namespace limosa

#endif // LIMOSA_IR_ITERATIONSPACE_H
