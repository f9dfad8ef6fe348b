//===- Layout.cpp - Physical layouts of tensors ---------------------------===//

#include "limosa/IR/Layout.h"
#include "limosa/IR/LimosaOps.h"

using namespace mlir;
using namespace limosa;

SmallVector<int64_t> limosa::significantOrder(Type Ty) {
  auto Tensor = cast<RankedTensorType>(Ty);
  SmallVector<int64_t> Result;
  for (int64_t D : getOrder(Ty))
    if (Tensor.isDynamicDim(D) || Tensor.getDimSize(D) != 1)
      Result.push_back(D);
  return Result;
}

bool limosa::isPhysicallyRowMajor(Type Ty) {
  return llvm::is_sorted(significantOrder(Ty));
}

SmallVector<int64_t>
limosa::operandOrderForTranspose(ArrayRef<int64_t> Perm,
                                 ArrayRef<int64_t> ResultOrder) {
  SmallVector<int64_t> Order;
  for (int64_t D : ResultOrder)
    Order.push_back(Perm[D]);
  return Order;
}

SmallVector<int64_t>
limosa::resultOrderForTranspose(ArrayRef<int64_t> Perm,
                                ArrayRef<int64_t> OperandOrder) {
  SmallVector<int64_t> Inverse(Perm.size()), Order;
  for (auto [D, P] : llvm::enumerate(Perm))
    Inverse[P] = D;
  for (int64_t D : OperandOrder)
    Order.push_back(Inverse[D]);
  return Order;
}

bool limosa::isAlias(Operation *Op) {
  if (auto R = dyn_cast<ReshapeOp>(Op))
    return isPhysicallyRowMajor(R.getOperand().getType()) &&
           isPhysicallyRowMajor(R.getType());
  if (auto R = dyn_cast<RelayoutOp>(Op))
    return significantOrder(R.getOperand().getType()) ==
           significantOrder(R.getType());
  if (auto T = dyn_cast<TransposeOp>(Op)) {
    SmallVector<int64_t> Sequence;
    for (int64_t D : significantOrder(T.getType()))
      Sequence.push_back(T.getPerm()[D]);
    return Sequence == significantOrder(T.getOperand().getType());
  }
  return false;
}

SmallVector<int64_t> limosa::channelsLast(int64_t Rank) {
  SmallVector<int64_t> Order = {0};
  for (int64_t D = 2; D < Rank; ++D)
    Order.push_back(D);
  Order.push_back(1);
  return Order;
}
