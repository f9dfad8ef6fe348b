//===- Packing.h - Which constants are stored in panels ---------*- C++ -*-===//
//
// Products read constant operands in the panels of
// limosa/Support/PanelLayout.h, packed once, when a model is compiled.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_CODEGEN_PACKING_H
#define LIMOSA_CODEGEN_PACKING_H

#include "limosa/Codegen/StridedView.h"
#include "limosa/Support/PanelLayout.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/ArrayRef.h"
#include <optional>
#include <vector>

namespace limosa::codegen {

/// Dimensions `Which` of a view for a PanelLayout; nullopt if a size is not
/// known.
std::optional<std::vector<PanelLayout::Dim>>
panelDims(const StridedView &View, llvm::ArrayRef<unsigned> Which);

/// Whether the view shows a constant argument of `Kernel` that nothing else in
/// the kernel reads, so that it may be stored packed.
bool isPackable(mlir::func::FuncOp Kernel, const StridedView &View);

} // namespace limosa::codegen

#endif // LIMOSA_CODEGEN_PACKING_H
