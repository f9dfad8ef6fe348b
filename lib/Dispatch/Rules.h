//===- Rules.h - What is worth fusing ---------------------------*- C++ -*-===//

#ifndef LIMOSA_LIB_DISPATCH_RULES_H
#define LIMOSA_LIB_DISPATCH_RULES_H

#include "Groups.h"
#include "limosa/Codegen/FusionRules.h"

namespace limosa::dispatch {

/// Rank-preserving up to unit dimensions: the same coordinates in the same
/// order.
bool sameUpToUnitDims(mlir::Type A, mlir::Type B);

/// Same shape and physical order: the same element access.
bool sameDomain(mlir::Type A, mlir::Type B);

/// The device that claimed an op, or "".
llvm::StringRef claimedBy(mlir::Operation *Op);
/// Forgets who claimed `Op` and what is nested in it: for copies, in an offer
/// to another device or in a kernel.
void dropClaims(mlir::Operation *Op);

/// Whether a heavy op's result tile can go through pointwise ops before it is
/// stored.
bool hasEpilogue(mlir::Operation *Root);

/// The parts of a product's columns if all are used by pointwise ops, where
/// they may meet: gates.
std::optional<codegen::ColumnSplit> gatesOf(mlir::Operation *Root);

/// The most tensors a group around `Root` may write.
unsigned maxOutputs(mlir::Operation *Root, const FusionOptions &Options);

/// The rows of a chain of reductions: `Domain` without `Dims`.
struct ChainDomain {
  mlir::RankedTensorType Domain;
  mlir::RankedTensorType Rows;
  llvm::SmallVector<int64_t> Dims;
  /// There are enough rows to share out: what follows the reduction on the
  /// whole domain may join.
  bool Whole;
};
ChainDomain chainDomain(mlir::Operation *Reduce);
/// Whether `Op`, which uses a value of the chain, may join it.
bool joinsChain(const ChainDomain &D, mlir::Operation *Op);

/// Whether `Producer` may be computed where `User` reads operand `Operand`.
bool canPull(mlir::Operation *Producer, mlir::Operation *User,
             unsigned Operand);

/// Whether an attention better computes `Producer` while it copies an operand
/// than has it stored: heads moved to their place, scales, repeated heads.
bool attentionReads(mlir::Operation *Producer, const FusionOptions &Options);

/// Arithmetic per element in multiply-adds; 0 for ops that only move data.
unsigned opCost(mlir::Operation *Op);

/// Arithmetic per element to compute `Op` again from what is in memory for
/// sure; the exact number only up to `Limit`.
unsigned recomputeCost(mlir::Operation *Op, unsigned Limit);

/// Whether `Op` (null: no) makes a tensor from constants alone, element by
/// element, and of at least twice their size: narrow weights and their scales.
/// Whoever reads it better spreads them itself than has it stored.
bool spreadsConstants(mlir::Operation *Op);

/// Splat constants and dims, which every kernel makes for itself.
bool isInline(mlir::Operation *Op);

/// A reshape, transpose or relayout that only renames coordinates of memory.
bool isView(mlir::Operation *Op);

} // namespace limosa::dispatch

#endif // LIMOSA_LIB_DISPATCH_RULES_H
