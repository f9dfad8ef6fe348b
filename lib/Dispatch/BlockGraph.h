//===- BlockGraph.h - Dependences between the ops of a block ----*- C++ -*-===//
//
// The ops of one block with what must come before what: uses of values (also
// from nested regions), symbols before the shapes that name them, and side
// effects in order.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_LIB_DISPATCH_BLOCKGRAPH_H
#define LIMOSA_LIB_DISPATCH_BLOCKGRAPH_H

#include "mlir/IR/Block.h"
#include "mlir/IR/Operation.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/SmallVector.h"

namespace limosa::dispatch {

/// Valid while no op is added to or removed from the block.
class BlockGraph {
public:
  explicit BlockGraph(mlir::Block &B);

  unsigned size() const { return Ops.size(); }
  mlir::Operation *op(unsigned I) const { return Ops[I]; }
  /// Position of an op of the block.
  unsigned index(mlir::Operation *Op) const { return Index.lookup(Op); }
  bool contains(mlir::Operation *Op) const { return Index.count(Op); }
  /// The op of this block that is or holds `Op`; null if it lies elsewhere.
  mlir::Operation *ancestor(mlir::Operation *Op) const;

  llvm::ArrayRef<unsigned> before(unsigned I) const { return Before[I]; }
  llvm::ArrayRef<unsigned> after(unsigned I) const { return After[I]; }

private:
  void addEdge(unsigned From, unsigned To);

  llvm::SmallVector<mlir::Operation *> Ops;
  llvm::DenseMap<mlir::Operation *, unsigned> Index;
  llvm::SmallVector<llvm::SmallVector<unsigned, 4>> Before, After;
};

/// Values defined outside `Op` that it or its regions use, operands first,
/// without repeats.
llvm::SetVector<mlir::Value> usedValues(mlir::Operation *Op);

} // namespace limosa::dispatch

#endif // LIMOSA_LIB_DISPATCH_BLOCKGRAPH_H
