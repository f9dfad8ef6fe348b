//===- FormKernels.cpp - Block after block into launches ------------------===//

#include "Groups.h"
#include "Outline.h"
#include "Rules.h"

#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Symbols.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <set>

using namespace mlir;

namespace limosa {
namespace dispatch {
namespace {

/// Rewrites one block: launches for groups, in an order that data, symbols and
/// effects allow and that otherwise is the block's.
class BlockRewriter {
public:
  BlockRewriter(Block &B, Outliner &Out, const FusionOptions &Options)
      : B(B), Out(Out), Graph(B), Groups(Graph, Options) {}

  void run() {
    buildUnits();
    for (unsigned U : schedule())
      emit(Units[U]);
    for (unsigned I = Graph.size(); I-- > 0;) {
      Operation *Op = Graph.op(I);
      if (Groups.owner(Op) >= 0 || !Groups.isLive(I)) {
        assert(Op->use_empty() && "op of a kernel still used outside");
        Op->erase();
      }
    }
  }

private:
  struct Unit {
    int Group = -1;
    Operation *Single = nullptr;
    SmallVector<Operation *> Ops; // sorted
  };

  void buildUnits() {
    UnitOf.assign(Graph.size(), -1);
    for (auto [G, Members] : llvm::enumerate(Groups.groups())) {
      Unit U;
      U.Group = G;
      for (Operation *Op : Members.Owned) {
        UnitOf[Graph.index(Op)] = Units.size();
        U.Ops.push_back(Op);
      }
      llvm::append_range(U.Ops, Members.Copied);
      llvm::sort(U.Ops, [&](Operation *A, Operation *B) {
        return Graph.index(A) < Graph.index(B);
      });
      Units.push_back(std::move(U));
    }
    for (unsigned I = 0; I < Graph.size(); ++I)
      if (UnitOf[I] < 0 && Groups.isLive(I)) {
        UnitOf[I] = Units.size();
        Unit U;
        U.Single = Graph.op(I);
        U.Ops.push_back(Graph.op(I));
        Units.push_back(std::move(U));
      }
  }

  SmallVector<unsigned> schedule() {
    SmallVector<unsigned> Key(Units.size(), 0), Waiting(Units.size(), 0);
    SmallVector<SmallVector<unsigned>> Next(Units.size());
    for (unsigned U = 0; U < Units.size(); ++U) {
      std::set<unsigned> Needs;
      for (Operation *Op : Units[U].Ops) {
        unsigned I = Graph.index(Op);
        if (UnitOf[I] == int(U))
          Key[U] = std::max(Key[U], I);
        for (unsigned P : Graph.before(I))
          if (UnitOf[P] >= 0 && UnitOf[P] != int(U) &&
              !llvm::is_contained(Units[U].Ops, Graph.op(P)))
            Needs.insert(UnitOf[P]);
      }
      for (unsigned N : Needs)
        Next[N].push_back(U);
      Waiting[U] = Needs.size();
    }
    std::set<std::pair<unsigned, unsigned>> Ready;
    for (unsigned U = 0; U < Units.size(); ++U)
      if (!Waiting[U])
        Ready.insert({Key[U], U});
    SmallVector<unsigned> Order;
    while (!Ready.empty()) {
      unsigned U = Ready.begin()->second;
      Ready.erase(Ready.begin());
      Order.push_back(U);
      for (unsigned N : Next[U])
        if (!--Waiting[N])
          Ready.insert({Key[N], N});
    }
    assert(Order.size() == Units.size() && "groups form a cycle");
    return Order;
  }

  void emit(const Unit &U) {
    Operation *Terminator = B.getTerminator();
    if (U.Single) {
      if (U.Single != Terminator)
        U.Single->moveBefore(Terminator);
      return;
    }
    const Group &G = Groups.groups()[U.Group];
    llvm::SmallPtrSet<Operation *, 16> Inside(U.Ops.begin(), U.Ops.end());
    SmallVector<Value> Outputs;
    for (Operation *Op : U.Ops) {
      if (Groups.owner(Op) != U.Group)
        continue;
      for (Value R : Op->getResults()) {
        bool Needed = llvm::any_of(R.getUsers(), [&](Operation *User) {
          if (Inside.contains(User))
            return false;
          // Users that are dead themselves need nothing.
          Operation *A = Graph.ancestor(User);
          unsigned I = Graph.index(A);
          if (Groups.owner(A) >= 0 || Groups.isLive(I))
            return true;
          return isCopied(A);
        });
        // The count of a compact binds its symbol, used or not.
        if (Needed || isa<CompactOp>(Op))
          Outputs.push_back(R);
      }
    }
    OpBuilder Builder(Terminator);
    Operation *Launch = Out.outline(Builder, G.Root, U.Ops, Outputs, G.Device);
    for (auto [Old, New] : llvm::zip_equal(Outputs, Launch->getResults()))
      Old.replaceUsesWithIf(New, [&](OpOperand &Use) {
        return !Inside.contains(Use.getOwner()) ||
               Groups.owner(Use.getOwner()) < 0;
      });
  }

  bool isCopied(Operation *Op) const {
    return llvm::any_of(Groups.groups(), [&](const Group &G) {
      return llvm::is_contained(G.Copied, Op);
    });
  }

  Block &B;
  Outliner &Out;
  BlockGraph Graph;
  Grouping Groups;
  SmallVector<Unit> Units;
  SmallVector<int> UnitOf;
};

} // namespace
} // namespace dispatch

/// Removes pure ops without users, last first.
static void removeDead(Block &B) {
  for (Operation &Op : llvm::make_early_inc_range(llvm::reverse(B))) {
    for (Region &R : Op.getRegions())
      for (Block &Inner : R)
        removeDead(Inner);
    if (isOpTriviallyDead(&Op))
      Op.erase();
  }
}

LogicalResult formKernels(ModuleOp Module, const FusionOptions &Options) {
  dispatch::Outliner Out(Module);
  for (auto Func : llvm::make_early_inc_range(Module.getOps<func::FuncOp>())) {
    if (!Func->hasAttr(EntryAttrName))
      continue;
    bool Failed = false;
    SmallVector<Block *> Blocks;
    removeDead(Func.getBody().front());
    // Only the blocks of the program itself: regions of reduce and the like
    // belong to their op.
    std::function<void(Block &)> Collect = [&](Block &B) {
      for (Operation &Op : B) {
        if (isa<CompositeOp>(Op) && dispatch::claimedBy(&Op).empty()) {
          Op.emitError("composite is neither claimed nor inlined");
          Failed = true;
        } else if (isa<AllGatherOp, ReduceScatterOp, PermuteOp>(Op)) {
          Op.emitError("needs several ranks; no device here runs it");
          Failed = true;
        }
        if (isa<IfOp, WhileOp>(Op))
          for (Region &R : Op.getRegions())
            Collect(R.front());
      }
      Blocks.push_back(&B);
    };
    Collect(Func.getBody().front());
    if (Failed)
      return failure();
    for (Block *B : Blocks)
      dispatch::BlockRewriter(*B, Out, Options).run();
  }
  return success();
}

} // namespace limosa
