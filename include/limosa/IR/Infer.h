//===- Infer.h - Result types of core ops -----------------------*- C++ -*-===//
//
// One function per op whose result type follows from operands and attributes,
// shared by the verifiers and by CoreBuilder. Each returns the row-major result
// type, or null after telling `Fail` what is wrong.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_IR_INFER_H
#define LIMOSA_IR_INFER_H

#include "limosa/IR/Types.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/Twine.h"

namespace limosa::infer {

using FailFn = llvm::function_ref<void(const llvm::Twine &)>;
using mlir::RankedTensorType;

RankedTensorType transpose(RankedTensorType Operand,
                           llvm::ArrayRef<int64_t> Perm, FailFn Fail);
RankedTensorType pad(RankedTensorType Operand, llvm::ArrayRef<DimExpr> Low,
                     llvm::ArrayRef<DimExpr> High,
                     llvm::ArrayRef<int64_t> Interior, FailFn Fail);
RankedTensorType concat(llvm::ArrayRef<RankedTensorType> Inputs, int64_t Dim,
                        FailFn Fail);
RankedTensorType gather(RankedTensorType Operand, RankedTensorType Indices,
                        llvm::ArrayRef<int64_t> Axes, int64_t Batch,
                        FailFn Fail);
RankedTensorType reduce(RankedTensorType Input,
                        llvm::ArrayRef<int64_t> DimsToDrop, FailFn Fail);
RankedTensorType window(RankedTensorType Input, llvm::ArrayRef<int64_t> Sizes,
                        llvm::ArrayRef<int64_t> Strides,
                        llvm::ArrayRef<int64_t> Dilations,
                        llvm::ArrayRef<DimExpr> PadLow,
                        llvm::ArrayRef<DimExpr> PadHigh, FailFn Fail);
RankedTensorType contract(RankedTensorType Lhs, RankedTensorType Rhs,
                          mlir::Type ResultElement,
                          llvm::ArrayRef<int64_t> LhsBatch,
                          llvm::ArrayRef<int64_t> RhsBatch,
                          llvm::ArrayRef<int64_t> LhsContract,
                          llvm::ArrayRef<int64_t> RhsContract, FailFn Fail);

/// Attributes of a convolution, one entry per spatial dimension.
struct ConvAttrs {
  llvm::SmallVector<int64_t, 3> Strides, LhsDilation, RhsDilation;
  llvm::SmallVector<DimExpr, 3> PadLow, PadHigh;
  int64_t FeatureGroups = 1, BatchGroups = 1;
};
RankedTensorType conv(RankedTensorType Input, RankedTensorType Filter,
                      mlir::Type ResultElement, const ConvAttrs &Attrs,
                      FailFn Fail);

/// floordiv(Size + Low + High - ((Kernel - 1) * Dilation + 1), Stride) + 1
DimExpr windowExtent(const DimExpr &Size, const DimExpr &Low,
                     const DimExpr &High, const DimExpr &Kernel,
                     int64_t Dilation, int64_t Stride);

} // namespace limosa::infer

#endif // LIMOSA_IR_INFER_H
