//===- Groups.h - Which ops become one kernel -------------------*- C++ -*-===//

#ifndef LIMOSA_LIB_DISPATCH_GROUPS_H
#define LIMOSA_LIB_DISPATCH_GROUPS_H

#include "BlockGraph.h"
#include "limosa/Dispatch/Fusion.h"
#include "llvm/ADT/BitVector.h"

namespace limosa::dispatch {

struct Group {
  mlir::Operation *Root;
  /// Ops that this kernel computes for everybody.
  llvm::SmallVector<mlir::Operation *> Owned;
  /// Ops that it computes for itself only; others may do so too.
  llvm::SmallVector<mlir::Operation *> Copied;
  /// Who runs it; empty for generated code.
  llvm::StringRef Device;
  /// Its products read what only moves or scales heads.
  bool IsAttention = false;
};

/// What the grouping sees an op as.
enum class OpClass : uint8_t {
  Outside, ///< Never in a kernel: control flow, bindings, constants, launches.
  Inline,  ///< Splat constants and dims: copied into every kernel using them.
  View,    ///< Reshape of row-major tensors: no kernel when on an edge.
  Pointwise,
  Data, ///< Moves elements; can be pulled.
  Reduce,
  Heavy ///< contract, conv, window, scatter, sort, ...
};
OpClass classify(mlir::Operation *Op);

/// Forms the groups of one block. Every Pointwise, Data, Reduce and Heavy op
/// that is needed is owned by exactly one group or copied by all its users.
class Grouping {
public:
  Grouping(BlockGraph &Graph, const FusionOptions &Options);

  llvm::ArrayRef<Group> groups() const { return Groups; }
  /// Index of the group that owns `Op`, or -1.
  int owner(mlir::Operation *Op) const;
  /// Views and the like that stay between kernels and are used there.
  bool isLive(unsigned I) const { return Live[I]; }

private:
  void groupClaimed();
  void growPair(mlir::Operation *Last, llvm::ArrayRef<mlir::Operation *> Ops);
  void growExpansion(mlir::Operation *Depthwise);
  void growFrom(mlir::Operation *Root);
  void growEpilogue(unsigned G);
  bool storesBlock(unsigned G, mlir::Operation *Op) const;
  void growChain(unsigned G);
  bool tryAdd(unsigned G, mlir::Operation *Op);
  void pullProducers();
  void place(unsigned I);
  bool canPullInto(mlir::Operation *Producer, unsigned G) const;
  /// Whether a path leads from group G through ops outside it to an operand of
  /// `Op`.
  bool makesCycle(unsigned G, mlir::Operation *Op) const;
  /// Whether a path leads from `From` to a member of group G.
  bool reaches(unsigned From, unsigned G) const;
  /// Values of the group (and of `Extra`, as if it were in it) that others use.
  llvm::SmallVector<mlir::Value>
  outputs(unsigned G, mlir::Operation *Extra = nullptr) const;
  bool isGood(unsigned G) const;
  unsigned newGroup(mlir::Operation *Root);
  void own(unsigned G, mlir::Operation *Op);
  bool holds(unsigned G, mlir::Operation *Op) const;
  unsigned size(unsigned G) const {
    return Groups[G].Owned.size() + Groups[G].Copied.size();
  }

  BlockGraph &Graph;
  const FusionOptions &Options;
  llvm::SmallVector<Group> Groups;
  llvm::SmallVector<int> Owner;                               // by op index
  llvm::SmallVector<llvm::SmallVector<unsigned, 2>> CopiedIn; // by op index
  llvm::BitVector Live;
};

} // namespace limosa::dispatch

#endif // LIMOSA_LIB_DISPATCH_GROUPS_H
