//===- FusionRules.cpp - What Codegen can put into one kernel -------------===//

#include "limosa/Codegen/FusionRules.h"
#include "ChainAnalysis.h"
#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Types.h"
#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::codegen;

static bool isElementwise(Operation *Op) {
  return Op->hasTrait<limosa::OpTrait::SameShape>();
}

bool codegen::isPullable(Operation *Op) {
  return isElementwise(Op) ||
         isa<IotaOp, ReshapeOp, TransposeOp, BroadcastOp, SliceOp, PadOp,
             ConcatOp, GatherOp, UpdateSliceOp, ConstantOp, DimOp, RelayoutOp,
             BarrierOp>(Op);
}

PullCost codegen::pullCost(Operation *Op) {
  if (isa<ExpOp, LogOp, SinOp, CosOp, TanhOp, ErfOp, PowOp, RemOp>(Op))
    return PullCost::Heavy;
  Type Element = Op->getNumResults() == 0
                     ? Type()
                     : getElementTypeOrSelf(Op->getResult(0).getType());
  if (isa<DivOp>(Op))
    return isa<FloatType>(Element) ? PullCost::Cheap : PullCost::Heavy;
  if (isElementwise(Op) || isa<GatherOp, PadOp, ConcatOp, UpdateSliceOp>(Op))
    return PullCost::Cheap;
  return isPullable(Op) ? PullCost::Free : PullCost::Heavy;
}

bool codegen::keepsContiguity(Operation *Op) {
  if (isElementwise(Op) ||
      isa<PadOp, ConcatOp, RelayoutOp, ReshapeOp, UpdateSliceOp, BroadcastOp>(
          Op))
    return true;
  if (auto T = dyn_cast<TransposeOp>(Op)) {
    // The fastest dimension stays the fastest.
    SmallVector<int64_t> From = getOrder(T.getOperand().getType());
    SmallVector<int64_t> To = getOrder(T.getType());
    return To.empty() || T.getPerm()[To.back()] == From.back();
  }
  if (auto S = dyn_cast<SliceOp>(Op)) {
    SmallVector<int64_t> Order = getOrder(S.getOperand().getType());
    return Order.empty() || S.getSteps()[Order.back()] == 1;
  }
  return false;
}

bool codegen::canBeEpilogue(Operation *Producer, Operation *Consumer) {
  if (!isElementwise(Consumer) || Producer->getNumResults() == 0)
    return false;
  Type Tile = Producer->getResult(0).getType();
  return llvm::all_of(Consumer->getResults(), [&](Value R) {
    return sameShape(R.getType(), Tile) &&
           getOrder(R.getType()) == getOrder(Tile);
  });
}

bool codegen::isReductionChain(ArrayRef<Operation *> Ops,
                               ArrayRef<Value> Outputs) {
  return findChain(Ops, Outputs).has_value();
}

bool codegen::canShareKernel(Value A, Value B) {
  return sameShape(A.getType(), B.getType()) &&
         getOrder(A.getType()) == getOrder(B.getType());
}

/// Whether all that `Move` moves only leaves the kernel, not in `Result`.
static bool onlyMovesOut(Operation *Move, Value Result) {
  if (!isa<ReshapeOp, TransposeOp, UpdateSliceOp>(Move) ||
      Move->getResult(0) == Result)
    return false;
  return llvm::all_of(Move->getUsers(), [&](Operation *User) {
    return User->hasTrait<mlir::OpTrait::IsTerminator>() ||
           onlyMovesOut(User, Result);
  });
}

/// Whether all paths from a value to the outputs are elementwise, but for those
/// that end in a move which `MayMove` lets pass.
static bool isElementwiseBut(Value From,
                             llvm::function_ref<bool(Operation *)> MayMove) {
  SmallVector<Value> Work{From};
  llvm::SmallPtrSet<Operation *, 16> Seen;
  while (!Work.empty())
    for (Operation *User : Work.pop_back_val().getUsers()) {
      if (User->hasTrait<mlir::OpTrait::IsTerminator>() ||
          !Seen.insert(User).second)
        continue;
      if (isElementwise(User))
        llvm::append_range(Work, User->getResults());
      else if (!MayMove(User))
        return false;
    }
  return true;
}

bool codegen::usedOnlyElementwise(Value From) {
  return isElementwiseBut(From, [](Operation *) { return false; });
}

bool codegen::canDonate(Value Operand, Value Result, bool Together) {
  Type From = Operand.getType(), To = Result.getType();
  return sameShape(From, To) && getOrder(From) == getOrder(To) &&
         getElementTypeOrSelf(From) == getElementTypeOrSelf(To) &&
         isElementwiseBut(Operand, [&](Operation *Move) {
           return Together && onlyMovesOut(Move, Result);
         });
}
