//===- Packing.h - Constant operands in panels ----------------------*- C++
//-*-===//
//
// Products read their right-hand side in panels of a few vectors of columns:
//   [batch..][group][panel][k][columns of the panel]
// A panel has `PanelColumns` columns; the last one as many as are left, rounded
// up to whole vectors of `Lanes`, padded with zeros. Panel p of a group begins
// at element p * PanelColumns * K, so only the last panel's end is padding.
//
// Weights are packed once, when a model is compiled.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_CODEGEN_PACKING_H
#define LIMOSA_CODEGEN_PACKING_H

#include "limosa/Codegen/StridedView.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace limosa::codegen {

/// Which elements of a constant make up the panels. Dimensions are given by
/// extent and stride in the constant's memory, so that a weight may be read
/// through transposes, reshapes and slices.
struct PanelLayout {
  struct Dim {
    int64_t Extent, Stride;
  };
  int64_t PanelColumns = 0;
  int64_t Lanes = 0;
  /// The columns are split into this many groups, each of which is packed by
  /// itself.
  int64_t Groups = 1;
  int64_t Offset = 0; ///< of the first element
  /// Outermost first.
  llvm::SmallVector<Dim> Batch, K, Columns;

  /// "panel nr=32 vl=16 g=1 o=0 b= k=3:3,3:1,64:9 n=64:576"
  std::string toString() const;
  static llvm::Expected<PanelLayout> parse(llvm::StringRef Text);
  static bool isPanelSpec(llvm::StringRef Text);

  int64_t columns() const; ///< of one group
  int64_t depth() const;   ///< product of K
  int64_t batch() const;   ///< without groups
  /// Elements of one group: depth * columns rounded up to Lanes.
  int64_t groupElements() const;
};

/// Dimensions `Which` of a view for a PanelLayout; nullopt if a size is not
/// known.
std::optional<llvm::SmallVector<PanelLayout::Dim>>
panelDims(const StridedView &View, llvm::ArrayRef<unsigned> Which);

/// Whether the view shows a constant argument of `Kernel` that nothing else in
/// the kernel reads, so that it may be stored packed.
bool isPackable(mlir::func::FuncOp Kernel, const StridedView &View);

/// The packed bytes of a constant whose elements have `ElementBytes` (1, 2, 4
/// or 8). Fails if the layout reaches outside of it.
llvm::Expected<std::vector<uint8_t>> packPanels(const PanelLayout &Layout,
                                                unsigned ElementBytes,
                                                llvm::ArrayRef<uint8_t> Bytes);

} // namespace limosa::codegen

#endif // LIMOSA_CODEGEN_PACKING_H
