//===- KernelCost.cpp - What a kernel moves and computes ------------------===//

#include "KernelCost.h"

#include "limosa/Codegen/FusionRules.h"
#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Types.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::codegen;

static DimExpr bytesOf(Type Ty) {
  DimExpr Bits =
      numElements(Ty) * DimExpr(dtypeBits(getDType(getElementTypeOrSelf(Ty))));
  return DimExpr::ceilDiv(Bits, 8);
}

/// What the uses of an argument show of it; nullopt if one may show all of it.
static std::optional<DimExpr> bytesShown(BlockArgument Arg) {
  DimExpr Sum = 0;
  for (OpOperand &Use : Arg.getUses()) {
    Operation *User = Use.getOwner();
    if (Use.getOperandNumber() != 0 ||
        !isa<SliceOp, GatherOp, UpdateSliceOp>(User))
      return std::nullopt;
    if (!isa<UpdateSliceOp>(User))
      Sum = Sum + bytesOf(User->getResult(0).getType());
  }
  return Sum;
}

DimExpr codegen::bytesMoved(const KernelAnalysis &Kernel) {
  DimExpr Sum = 0;
  for (BlockArgument Arg : func::FuncOp(Kernel.Func).getArguments()) {
    DimExpr All = bytesOf(Arg.getType());
    std::optional<DimExpr> Shown = bytesShown(Arg);
    Sum = Sum + (Shown ? DimExpr::min(*Shown, All) : All);
  }
  for (Value V : Kernel.Outputs) {
    auto Update = V.getDefiningOp<UpdateSliceOp>();
    Sum = Sum + bytesOf(Update ? Update.getUpdate().getType() : V.getType());
  }
  return Sum;
}

/// Arithmetic for an element of an op that the puller evaluates.
static int64_t costOfElement(Operation *Op) {
  switch (pullCost(Op)) {
  case PullCost::Free:
    return 0;
  case PullCost::Cheap:
    return isa<DivOp, SqrtOp>(Op) ? 4 : 1;
  case PullCost::Heavy:
    return 16;
  }
  llvm_unreachable("not a cost");
}

std::optional<DimExpr> codegen::operationCount(const KernelAnalysis &Kernel) {
  DimExpr Sum = 0;
  for (Operation *Op : Kernel.Ops) {
    if (isPullable(Op)) {
      int64_t Each = costOfElement(Op);
      if (Each > 0)
        Sum = Sum + numElements(Op->getResult(0).getType()) * DimExpr(Each);
    } else if (auto Reduce = dyn_cast<ReduceOp>(Op)) {
      Sum = Sum + numElements(Reduce.getInputs()[0].getType());
    } else if (auto Window = dyn_cast<WindowOp>(Op)) {
      DimExpr Positions = numElements(Window.getResult(0).getType());
      for (int64_t Size : Window.getSizes())
        Positions = Positions * DimExpr(Size);
      Sum = Sum + Positions;
    } else {
      return std::nullopt;
    }
  }
  return Sum;
}
