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

#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <string>
#include <vector>

namespace limosa::codegen {

/// Which dimensions of a constant make up the panels.
struct PanelLayout {
  int64_t PanelColumns = 0;
  int64_t Lanes = 0;
  /// The first column dimension is split into this many groups, each of which
  /// is packed by itself.
  int64_t Groups = 1;
  /// Logical dimensions, outermost first. Together: each dimension once.
  llvm::SmallVector<int64_t> Batch, K, Columns;

  /// "panel nr=32 vl=16 g=1 b= k=2.3.1 n=0"
  std::string toString() const;
  static llvm::Expected<PanelLayout> parse(llvm::StringRef Text);
  static bool isPanelSpec(llvm::StringRef Text);

  int64_t columns(mlir::RankedTensorType Ty) const; ///< of one group
  int64_t depth(mlir::RankedTensorType Ty) const;   ///< product of K
  int64_t batch(mlir::RankedTensorType Ty) const;   ///< without groups
  /// Elements of one group: depth * columns rounded up to Lanes.
  int64_t groupElements(mlir::RankedTensorType Ty) const;
};

/// The packed bytes of a constant of static shape whose elements, of 1, 2, 4 or
/// 8 bytes, are given in the physical order of `Ty`.
llvm::Expected<std::vector<uint8_t>> packPanels(const PanelLayout &Layout,
                                                mlir::RankedTensorType Ty,
                                                llvm::ArrayRef<uint8_t> Bytes);

} // namespace limosa::codegen

#endif // LIMOSA_CODEGEN_PACKING_H
