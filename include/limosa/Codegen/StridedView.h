//===- StridedView.h - Kernel arguments seen through data movement --------===//
//
// Products read their operands where they lie: a transpose, a slice, a
// broadcast, or a reshape that splits or merges dimensions between a kernel
// argument and its use only changes the strides. That is how attention reads
// the heads of a packed query-key-value matrix without copies.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_CODEGEN_STRIDEDVIEW_H
#define LIMOSA_CODEGEN_STRIDEDVIEW_H

#include "limosa/Support/DimExpr.h"
#include "mlir/IR/Value.h"
#include "llvm/ADT/SmallVector.h"
#include <optional>

namespace limosa::codegen {

/// Element (i..) of the viewed value lies at Offset + sum i_d * Dims[d].Stride
/// of the argument's buffer. Counted in elements.
struct StridedView {
  struct Dim {
    DimExpr Extent, Stride;
  };
  mlir::BlockArgument Argument;
  DimExpr Offset;
  llvm::SmallVector<Dim, 4> Dims; ///< one per logical dimension
  /// The data-movement ops that were looked through, outermost last.
  llvm::SmallVector<mlir::Operation *> Through;
};

/// `V` as a view of a kernel argument, or nullopt if it is computed or its
/// strides do not show.
std::optional<StridedView> getStridedView(mlir::Value V);

/// Dimensions traversed as one, outermost first; nullopt if their elements are
/// not evenly spaced. Unit dimensions do not matter.
std::optional<StridedView::Dim>
mergeDims(llvm::ArrayRef<StridedView::Dim> Dims);

/// Elements between neighbours along each logical dimension of a tensor type,
/// in its physical order.
llvm::SmallVector<DimExpr, 4> getStrides(mlir::Type Ty);

} // namespace limosa::codegen

#endif // LIMOSA_CODEGEN_STRIDEDVIEW_H
