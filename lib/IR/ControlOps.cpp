//===- ControlOps.cpp - Randomness, control flow, collectives -------------===//

#include "OpSupport.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::detail;

//===----------------------------------------------------------------------===//
// Verifiers
//===----------------------------------------------------------------------===//

LogicalResult RandomBitsOp::verify() {
  auto Key = tensorType(getKey());
  if (Key.getRank() != 1 || Key.getDimSize(0) != 2)
    return emitOpError("key must have two elements");
  return success();
}

static LogicalResult verifyYield(Operation *Op, Region &R, TypeRange Expected,
                                 StringRef Which) {
  auto Yield = dyn_cast_or_null<YieldOp>(R.front().empty() ? nullptr
                                                           : &R.front().back());
  if (!Yield)
    return Op->emitOpError() << Which << " must end in limosa.yield";
  if (Yield->getNumOperands() != Expected.size() ||
      !llvm::all_of(llvm::zip(Yield->getOperandTypes(), Expected), [](auto P) {
        return agree(std::get<0>(P), std::get<1>(P));
      }))
    return Op->emitOpError()
           << Which << " must yield values of the expected types";
  return success();
}

LogicalResult IfOp::verify() {
  for (auto [R, Name] :
       {std::pair<Region *, StringRef>(&getThenRegion(), "then"),
        {&getElseRegion(), "else"}}) {
    if (R->front().getNumArguments())
      return emitOpError() << Name << " takes no arguments";
    if (failed(verifyYield(*this, *R, getResultTypes(), Name)))
      return failure();
  }
  return success();
}

LogicalResult WhileOp::verify() {
  if (getNumResults() != getInits().size())
    return emitOpError("needs as many results as carried values");
  Type Condition = RankedTensorType::get({}, IntegerType::get(getContext(), 1));
  for (Region *R : {&getBefore(), &getAfter()}) {
    bool Match = R->front().getNumArguments() == getInits().size();
    for (unsigned I = 0; Match && I < getInits().size(); ++I)
      Match =
          agree(R->front().getArgument(I).getType(), getInits()[I].getType()) &&
          agree(getResult(I).getType(), getInits()[I].getType());
    if (!Match)
      return emitOpError("regions take the carried values");
  }
  if (failed(verifyYield(*this, getBefore(), Condition, "before")))
    return failure();
  return verifyYield(*this, getAfter(), getResultTypes(), "after");
}

LogicalResult AllGatherOp::verify() {
  auto From = tensorType(getOperand());
  if (getDim() >= uint64_t(From.getRank()) || int64_t(getRanks()) < 1)
    return emitOpError("dim or ranks is out of range");
  Dims Out = getDims(From);
  Out[getDim()] = Out[getDim()] * DimExpr(int64_t(getRanks()));
  return verifyInferred(*this, getType(), [&](infer::FailFn) {
    return makeTensorType(Out, From.getElementType());
  });
}

LogicalResult ReduceScatterOp::verify() {
  auto From = tensorType(getOperand());
  if (getDim() >= uint64_t(From.getRank()) || int64_t(getRanks()) < 1)
    return emitOpError("dim or ranks is out of range");
  Dims Out = getDims(From);
  auto Part = Out[getDim()].exactDiv(DimExpr(int64_t(getRanks())));
  if (!Part)
    return emitOpError("dimension ")
           << getDim() << " must be a multiple of ranks";
  Out[getDim()] = *Part;
  return verifyInferred(*this, getType(), [&](infer::FailFn) {
    return makeTensorType(Out, From.getElementType());
  });
}

LogicalResult PermuteOp::verify() {
  if (!sameLogicalType(getOperand().getType(), getType()))
    return emitOpError("result must have the operand's type");
  SmallVector<bool> Seen(getTargets().size(), false);
  for (int64_t T : getTargets()) {
    if (T == -1)
      continue;
    if (T < 0 || T >= int64_t(Seen.size()) || Seen[T])
      return emitOpError("targets must be distinct ranks or -1");
    Seen[T] = true;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Iteration spaces
//===----------------------------------------------------------------------===//

IterationSpace RandomBitsOp::getIterationSpace() {
  return spaceFromResult(*this, [](auto &, auto) {});
}

/// Control flow computes nothing by itself: one point that touches everything.
static IterationSpace opaque(Operation *Op) {
  IterationSpace S;
  for (Type Ty : Op->getOperandTypes())
    S.Operands.push_back(wholeAccess(Ty));
  for (Type Ty : Op->getResultTypes())
    S.Results.push_back(wholeAccess(Ty));
  return S;
}
IterationSpace IfOp::getIterationSpace() { return opaque(*this); }
IterationSpace WhileOp::getIterationSpace() { return opaque(*this); }

IterationSpace AllGatherOp::getIterationSpace() {
  return spaceFromResult(*this, [&](IterationSpace &S, ArrayRef<DimAccess> R) {
    for (size_t D = 0; D < R.size(); ++D)
      if (int64_t(D) != int64_t(getDim()))
        S.Operands[0][D] = R[D];
  });
}
IterationSpace ReduceScatterOp::getIterationSpace() {
  return spaceFromResult(*this, [&](IterationSpace &S, ArrayRef<DimAccess> R) {
    for (size_t D = 0; D < R.size(); ++D)
      if (int64_t(D) != int64_t(getDim()))
        S.Operands[0][D] = R[D];
  });
}
IterationSpace PermuteOp::getIterationSpace() {
  return spaceFromResult(*this, [&](IterationSpace &S, ArrayRef<DimAccess> R) {
    S.Operands[0] = llvm::to_vector(R);
  });
}
