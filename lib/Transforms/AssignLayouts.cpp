//===- AssignLayouts.cpp - One decision about physical order per graph ----===//
//
// A tensor's physical order is part of its type. This pass picks it for every
// value of a function at once:
//
// 1. Convolutions want channels-last input and output (their code is an
//    implicit product over the channels).
// 2. That wish spreads through ops that work in any order (elementwise, pads,
//    concats, slices, windows), forwards and backwards.
// 3. A transpose writes any order, and moves nothing if its operand is stored
//    in the order that its result has in memory. So what is wished of a result
//    is wished of its operand, permuted; where nothing is wished, a product
//    with the transpose as its only user makes the result row-major.
//
// Everything else reads and writes row-major. Where a value's order is not what
// its user needs, a `relayout` copies. No other pass changes orders.
//
//===----------------------------------------------------------------------===//

#include "limosa/IR/Layout.h"
#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Symbols.h"
#include "limosa/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace limosa;

namespace {

using Order = SmallVector<int64_t>;

/// Works element by element or along named dimensions, whatever the order.
bool isAgnostic(Operation *Op) {
  return Op->hasTrait<limosa::OpTrait::SameShape>() ||
         isa<PadOp, ConcatOp, SliceOp, WindowOp, BroadcastOp>(Op);
}

/// Whether an operand of an agnostic op shares the op's order: same rank, and
/// not the scalar of a pad or an init.
bool sharesOrder(Value V, int64_t Rank) {
  auto Ty = dyn_cast<RankedTensorType>(V.getType());
  return Ty && Ty.getRank() == Rank && Rank > 0;
}

int64_t rankOf(Value V) {
  return cast<RankedTensorType>(V.getType()).getRank();
}

class LayoutAssigner {
public:
  explicit LayoutAssigner(func::FuncOp F) : F(F) {}

  void run() {
    seedConvolutions();
    spread();
    seedTransposes();
    apply();
  }

private:
  /// The value's own op may choose the order it writes.
  static bool canChoose(Value V) {
    Operation *Def = V.getDefiningOp();
    return Def &&
           (isAgnostic(Def) || isa<ConvOp, ContractOp, TransposeOp>(Def)) &&
           !isa<BroadcastOp>(Def);
  }

  void seedConvolutions() {
    F.walk([&](ConvOp Op) {
      Order Wanted = channelsLast(rankOf(Op.getResult()));
      assign(Op.getResult(), Wanted);
      if (canChoose(Op.getInput()))
        assign(Op.getInput(), Wanted);
    });
  }

  bool assign(Value V, const Order &O) {
    auto [It, New] = Chosen.try_emplace(V, O);
    if (New)
      Work.push_back(V);
    return New;
  }

  void spread() {
    while (!Work.empty()) {
      Value V = Work.pop_back_val();
      Order O = Chosen.lookup(V);
      for (Operation *User : V.getUsers())
        if (isAgnostic(User))
          for (Value R : User->getResults())
            if (sharesOrder(R, O.size()))
              assign(R, O);
      Operation *Def = V.getDefiningOp();
      if (auto T = dyn_cast_or_null<TransposeOp>(Def))
        spreadToOperand(T, O);
      if (!Def || !isAgnostic(Def))
        continue;
      for (Value Operand : Def->getOperands())
        if (sharesOrder(Operand, O.size()) && canChoose(Operand))
          assign(Operand, O);
      for (Value R : Def->getResults())
        if (sharesOrder(R, O.size()))
          assign(R, O);
    }
  }

  static Order rowMajor(int64_t Rank) {
    return llvm::to_vector(llvm::seq<int64_t>(0, Rank));
  }

  /// The order in which the transpose moves nothing. Row-major needs no wish.
  void spreadToOperand(TransposeOp T, const Order &ResultOrder) {
    Order O = operandOrderForTranspose(T.getPerm(), ResultOrder);
    if (canChoose(T.getOperand()) && O != rowMajor(O.size()))
      assign(T.getOperand(), O);
  }

  void seedTransposes() {
    F.walk([&](TransposeOp Op) {
      Value From = Op.getOperand();
      if (!From.getDefiningOp<ContractOp>() || !From.hasOneUse())
        return;
      auto Wish = Chosen.find(Op.getResult());
      Order To = Wish != Chosen.end() ? Wish->second
                                      : rowMajor(rankOf(Op.getResult()));
      Chosen.try_emplace(From, operandOrderForTranspose(Op.getPerm(), To));
    });
  }

  /// Sets the chosen orders and copies where a user needs another one.
  void apply() {
    for (auto &[V, O] : Chosen)
      V.setType(withOrder(cast<RankedTensorType>(V.getType()), O));
    F.walk([&](Operation *Op) {
      if (isa<RelayoutOp, ConstantOp>(Op) || Op->getParentOp() == nullptr)
        return;
      for (OpOperand &Use : Op->getOpOperands())
        fixUse(Op, Use);
    });
  }

  void fixUse(Operation *Op, OpOperand &Use) {
    Value V = Use.get();
    auto Ty = dyn_cast<RankedTensorType>(V.getType());
    if (!Ty || Ty.getRank() == 0)
      return;
    if (auto C = dyn_cast<ConvOp>(Op)) {
      if (Use.getOperandNumber() == 0)
        relayout(Op, Use, channelsLast(Ty.getRank()));
      return;
    }
    if (isAgnostic(Op)) {
      // Elementwise and friends follow their result; constants and broadcasts
      // are generated in whatever order is asked for.
      Value R = Op->getResult(0);
      if (sharesOrder(V, rankOf(R)) && !V.getDefiningOp<BroadcastOp>() &&
          !V.getDefiningOp<ConstantOp>())
        relayout(Op, Use, getOrder(R.getType()));
      return;
    }
    // Products and reductions name their dimensions; a transpose renames them.
    if (isa<ContractOp, ReduceOp, TransposeOp>(Op))
      return;
    relayout(Op, Use, rowMajor(Ty.getRank()));
  }

  void relayout(Operation *Op, OpOperand &Use, const Order &Wanted) {
    auto Ty = cast<RankedTensorType>(Use.get().getType());
    RankedTensorType To = withOrder(Ty, Wanted);
    if (To == Ty)
      return;
    Value &Copy = Copies[{Use.get(), To}];
    if (!Copy) {
      OpBuilder B(Op->getContext());
      B.setInsertionPointAfterValue(Use.get());
      Copy = RelayoutOp::create(B, Use.get().getLoc(), To, Use.get());
    }
    Use.set(Copy);
  }

  func::FuncOp F;
  llvm::MapVector<Value, Order> Chosen;
  SmallVector<Value> Work;
  llvm::DenseMap<std::pair<Value, Type>, Value> Copies;
};

struct AssignLayouts : PassWrapper<AssignLayouts, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(AssignLayouts)
  StringRef getArgument() const final { return "limosa-assign-layouts"; }
  StringRef getDescription() const final {
    return "Choose the physical order of every tensor and insert relayouts";
  }
  void runOnOperation() final {
    for (auto F : getOperation().getOps<func::FuncOp>())
      if (!F.isExternal() && !F->hasAttr(KernelAttrName) &&
          !F->hasAttr(CompositeAttrName))
        LayoutAssigner(F).run();
  }
};

} // namespace

std::unique_ptr<Pass> limosa::createAssignLayoutsPass() {
  return std::make_unique<AssignLayouts>();
}
