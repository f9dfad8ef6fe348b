//===- FusionRules.h - What Codegen can put into one kernel -----*- C++ -*-===//
//
// The predicates Dispatch forms kernels with. They answer for exactly what the
// templates generate: a kernel formed by them always compiles on a fast path.
// All are pure functions of the IR.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_CODEGEN_FUSIONRULES_H
#define LIMOSA_CODEGEN_FUSIONRULES_H

#include "mlir/IR/Operation.h"
#include "mlir/IR/Value.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include <optional>

namespace limosa::codegen {

/// Whether an element of the op's result can be computed at any coordinates at
/// the cost of an element: elementwise and data ops, constant, dim, relayout.
bool isPullable(mlir::Operation *Op);

/// What it costs to compute an element anew for each consumer.
enum class PullCost : uint8_t {
  Free,  ///< data movement that folds into addressing; splats
  Cheap, ///< a few instructions: recompute rather than store
  Heavy  ///< exp, pow, division ..: store if there are several consumers
};
PullCost pullCost(mlir::Operation *Op);

/// Whether reading `Op`'s operand through it keeps neighbouring elements
/// neighbours (false: transpose of the fastest dimension, gather, reversal), so
/// that a product or a reduction which reads through it stays fast.
bool keepsContiguity(mlir::Operation *Op);

/// Whether `Consumer` can be evaluated on the tile that computes `Producer`'s
/// result, elements in place: an epilogue. All other operands of Consumer must
/// come from outside the group or be pullable.
bool canBeEpilogue(mlir::Operation *Producer, mlir::Operation *Consumer);

/// A product with constant weights whose result is only read in equal parts of
/// its columns: the gates of a recurrent cell or of a gated unit. The kernel
/// computes the same columns of all parts at a time, so that ops on elements of
/// several parts are an epilogue, too.
struct ColumnSplit {
  unsigned Dim;                                ///< of the product's result
  int64_t Parts;                               ///< how many
  int64_t Columns;                             ///< of each
  llvm::SmallVector<mlir::Operation *> Slices; ///< the ops that read a part
};
/// The split of a product, before or after it is outlined; nullopt if some use
/// is of another kind, or parts side by side would slow the product down.
std::optional<ColumnSplit> findColumnSplit(mlir::Operation *Product);

/// Whether `Update`, an update_slice, may be in the kernel of a product that
/// its update is computed from: elements go straight to their place.
bool canStoreIntoSlice(mlir::Operation *Update);

/// Whether the ops (in program order, all their uses known) make one reduction
/// chain: every reduce shares one domain and one set of reduced dimensions, and
/// between them are pullable ops that stay on their row. `Outputs` are the
/// values that leave the group.
bool isReductionChain(llvm::ArrayRef<mlir::Operation *> Ops,
                      llvm::ArrayRef<mlir::Value> Outputs);

/// The ops of the attention that ends in the product `Product`: softmax of
/// scores between two products, and what is computed from the scores on the
/// way. They make one kernel if nothing else uses what they compute; empty if
/// it is no attention.
llvm::SmallVector<mlir::Operation *> attentionOps(mlir::Operation *Product);

/// The ops of a depthwise convolution (the last one) of channels that a product
/// of each pixel's channels (the first one) expands, with what is computed from
/// the product on the way. They make one kernel if nothing else uses what they
/// compute, and the expanded image is never stored; empty if the convolution is
/// none of that kind.
llvm::SmallVector<mlir::Operation *> expansionOps(mlir::Operation *Depthwise);
/// Whether it is faster to expand channels anew for each band of lines than to
/// store them, by the size of the expanded image and the work of the product.
bool isExpansionFaster(llvm::ArrayRef<mlir::Operation *> ExpansionOps);

/// Whether a kernel may have these outputs together: all of one shape, or, in a
/// reduction chain, of the domain's or the row's.
bool canShareKernel(mlir::Value A, mlir::Value B);

/// Whether every path from `V` to the kernel's outputs is elementwise: V is
/// only read at the coordinates that are being written.
bool usedOnlyElementwise(mlir::Value V);

/// Whether `Result` of a kernel may take over the memory of its argument
/// `Operand`: every path between them is elementwise and types agree, so that
/// an element is read no later than it is written. `Together`: the kernel
/// computes all its results at the same coordinates before it stores any, so
/// that other results may move the elements on.
bool canDonate(mlir::Value Operand, mlir::Value Result, bool Together = false);

} // namespace limosa::codegen

#endif // LIMOSA_CODEGEN_FUSIONRULES_H
