//===- PrecisionFacts.cpp - What a kernel does with its numbers ----------===//

#include "PrecisionFacts.h"

#include "BlockGraph.h"

#include "limosa/Dispatch/Fusion.h"
#include "limosa/IR/Symbols.h"
#include "limosa/IR/Types.h"

using namespace mlir;
using llvm::BitVector;

namespace limosa::dispatch {
namespace {

bool isFloat(Value V) { return isa<FloatType>(getElementTypeOrSelf(V)); }

/// The op only names elements anew; operand 0 is where they are.
bool onlyMoves(Operation *Op) {
  return isa_and_nonnull<TransposeOp, ReshapeOp, SliceOp, RelayoutOp,
                         BroadcastOp>(Op);
}

/// A number of a sequence, or an integer of more than 8 bits.
bool counts(Operation *Op) {
  if (isa<IotaOp>(Op))
    return true;
  auto Convert = dyn_cast<ConvertOp>(Op);
  if (!Convert)
    return false;
  // 8 bits are exact, and are what quantised numbers have.
  Type From = getElementTypeOrSelf(Convert.getOperand());
  return isa<IntegerType>(From) && From.getIntOrFloatBitWidth() > 8;
}

/// Its operand counts by its absolute size, or leaves f32.
bool steers(Operation *Op) {
  if (isa<FloorOp, RoundEvenOp, RemOp, SinOp, CosOp, BitcastOp>(Op))
    return true;
  auto Convert = dyn_cast<ConvertOp>(Op);
  return Convert && isFloat(Convert.getOperand()) && !isF32(Convert);
}

} // namespace

bool isF32(Value V) {
  auto Ty = dyn_cast<RankedTensorType>(V.getType());
  return Ty && Ty.getElementType().isF32();
}

Value withoutMoves(Value V) {
  while (onlyMoves(V.getDefiningOp()))
    V = V.getDefiningOp()->getOperand(0);
  return V;
}

KernelFacts::KernelFacts(func::FuncOp Kernel, ArrayRef<Origin> Arguments)
    : Kernel(Kernel), Operands(Kernel.getNumArguments()), Tables(Operands),
      Steering(Operands), Feeding(Operands), None(Operands.size()) {
  for (auto [Arg, From] : llvm::zip_equal(Kernel.getArguments(), Arguments)) {
    Origins[Arg] = From;
    Near[Arg] = None;
    Near[Arg].set(Arg.getArgNumber());
  }
  Body = &Kernel.getBody().front();
  Regular = isRegular();
  for (Operation &Op : Body->without_terminator())
    visit(&Op);
  for (Value V : results())
    if (!isF32(V))
      Steering |= Near.lookup(V);
  if (!Regular)
    Steering.set();
}

bool KernelFacts::isRegular() {
  if (Kernel->hasAttr(DeviceAttrName))
    return false;
  for (Operation &Op : *Body) {
    if (isa<ScanOp, SortOp, ScatterOp, UpdateSliceOp, CompactOp, RandomBitsOp,
            CustomCallOp>(Op))
      return false;
    NumProducts += isa<ContractOp, ConvOp>(Op);
  }
  return true;
}

void KernelFacts::visit(Operation *Op) {
  BitVector From = None;
  Origin Sum;
  auto Add = [&](Value V) {
    if (auto It = Near.find(V); It != Near.end())
      From |= It->second;
    Sum.add(Origins.lookup(V));
  };
  if (isa<GatherOp>(Op))
    Add(Op->getOperand(0));
  else if (isa<SelectOp>(Op))
    llvm::for_each(Op->getOperands().drop_front(), Add);
  else
    llvm::for_each(dispatch::usedValues(Op), Add);

  if (isa<ContractOp, ConvOp>(Op) && becomesBf16(Op)) {
    Products.push_back(Op);
    Feeding |= From;
    for (Value V : Op->getOperands())
      if (auto Arg = dyn_cast<BlockArgument>(withoutMoves(V)))
        Operands.set(Arg.getArgNumber());
    From = None;
    Sum = {/*Product=*/true, /*Counts=*/false};
  }
  if (auto Gather = dyn_cast<GatherOp>(Op))
    if (auto Arg = dyn_cast<BlockArgument>(withoutMoves(Gather.getOperand()));
        Arg && Arg.hasOneUse())
      Tables.set(Arg.getArgNumber());
  if (counts(Op))
    Sum.Counts = !Sum.Product;
  if (steers(Op))
    Steering |= From;
  for (Value R : Op->getResults()) {
    Near[R] = From;
    if (isFloat(R))
      Origins[R] = Sum;
    if (isStatisticOf(Op, R))
      Statistics.insert(R);
  }
}

bool KernelFacts::becomesBf16(Operation *Op) {
  // Attention keeps its scores in f32.
  if (!Regular || NumProducts > 1 || !isF32(Op->getResult(0)))
    return false;
  for (Value V : Op->getOperands()) {
    Origin From = Origins.lookup(V);
    if (!isF32(V) || (From.Counts && !From.Product))
      return false;
  }
  auto Contract = dyn_cast<ContractOp>(Op);
  return !Contract || llvm::any_of(Contract.getLhsContract(), [&](int64_t D) {
    return !getDim(Contract.getLhs().getType(), D).isConstant(1);
  });
}

bool KernelFacts::isStatisticOf(Operation *Op, Value Result) {
  if (auto Reduce = dyn_cast<ReduceOp>(Op))
    return !(numElements(Reduce.getInputs()[0].getType()) ==
             numElements(Result.getType()));
  return llvm::any_of(Op->getOperands(), [&](Value V) {
    return Statistics.contains(V) &&
           numElements(V.getType()) == numElements(Result.getType());
  });
}

} // namespace limosa::dispatch
