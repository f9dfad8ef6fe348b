//===- Irregular.h - What the irregular templates share ---------*- C++ -*-===//
//
// Private to lib/Codegen/Templates. These kernels have one op at the end that
// decides by data what goes where; what feeds it is pulled.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_LIB_CODEGEN_TEMPLATES_IRREGULAR_H
#define LIMOSA_LIB_CODEGEN_TEMPLATES_IRREGULAR_H

#include "limosa/Codegen/Pull.h"
#include "limosa/IR/LimosaOps.h"

namespace limosa::codegen {

/// The op that all outputs of the kernel are results of, if it is its only
/// anchor and an OpT; null otherwise.
template <typename OpT> OpT matchTail(const KernelAnalysis &Kernel) {
  OpT Op = Kernel.onlyAnchor<OpT>();
  if (!Op || !llvm::all_of(Kernel.Outputs, [&](mlir::Value V) {
        return V.getDefiningOp() == Op.getOperation();
      }))
    return OpT();
  return Op;
}

/// Dimensions of `Shape` that are not in `Without`, in order.
llvm::SmallVector<unsigned> dimsWithout(unsigned Rank,
                                        llvm::ArrayRef<unsigned> Without);

/// Product of these dimensions of a shape.
DimExpr extentOf(llvm::ArrayRef<DimExpr> Shape, llvm::ArrayRef<unsigned> Dims);

/// Sets dimensions of `At` to the row-major position `Linear` in their space.
void setLinear(Coords &At, llvm::ArrayRef<unsigned> Dims, const Index &Linear);

/// Whether two tensors lie at the same address (i1): the plan gave a result
/// the memory of a donated operand.
mlir::Value sameMemory(KernelBuilder &KB, const TensorView &A,
                       const TensorView &B);

extern const KernelTemplate SortTemplate;
extern const KernelTemplate ScanTemplate;
extern const KernelTemplate ScatterTemplate;
extern const KernelTemplate UpdateSliceTemplate;
extern const KernelTemplate CompactTemplate;
extern const KernelTemplate RandomBitsTemplate;

} // namespace limosa::codegen

#endif // LIMOSA_LIB_CODEGEN_TEMPLATES_IRREGULAR_H
