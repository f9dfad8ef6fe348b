//===- DataOps.cpp - Core ops that move data ------------------------------===//

#include "OpSupport.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::detail;

//===----------------------------------------------------------------------===//
// Verifiers
//===----------------------------------------------------------------------===//

LogicalResult IotaOp::verify() {
  if (getDim() >= uint64_t(getType().getRank()))
    return emitOpError("dim is out of range");
  return success();
}

LogicalResult ReshapeOp::verify() {
  if (getElementTypeOrSelf(getOperand()) != getElementTypeOrSelf(getType()))
    return emitOpError("must keep the dtype");
  DimExpr In = numElements(getOperand().getType()),
          Out = numElements(getType());
  auto Difference = (In - Out).constant();
  if (Difference && *Difference != 0)
    return emitOpError("must keep the number of elements, got ")
           << In.toString() << " and " << Out.toString();
  return success();
}

LogicalResult TransposeOp::verify() {
  return verifyInferred(*this, getType(), [&](infer::FailFn Fail) {
    return infer::transpose(tensorType(getOperand()), getPerm(), Fail);
  });
}

LogicalResult BroadcastOp::verify() {
  auto From = tensorType(getOperand());
  if (From.getElementType() != getElementTypeOrSelf(getType()))
    return emitOpError("must keep the dtype");
  if (int64_t(getDims().size()) != From.getRank())
    return emitOpError("dims needs one entry per operand dimension");
  int64_t Last = -1;
  for (auto [D, To] : llvm::enumerate(getDims())) {
    if (To <= Last || To >= getType().getRank())
      return emitOpError("dims must be increasing dimensions of the result");
    Last = To;
    DimExpr In = getDim(From, D), Out = getDim(getType(), To);
    if (In.constant() && Out.constant() && !In.isConstant(1) && !(In == Out))
      return emitOpError("cannot repeat ")
             << In.toString() << " elements to " << Out.toString();
  }
  return success();
}

LogicalResult SliceOp::verify() {
  auto From = tensorType(getOperand());
  size_t Rank = From.getRank();
  if (From.getElementType() != getElementTypeOrSelf(getType()) ||
      getType().getRank() != int64_t(Rank))
    return emitOpError("must keep dtype and rank");
  if (getSteps().size() != Rank || llvm::is_contained(getSteps(), 0))
    return emitOpError("steps needs one nonzero entry per dimension");
  if (failed(verifyExprs(*this, "starts", getStarts(), Rank)))
    return failure();
  Dims Starts = parseDims(getStarts());
  for (size_t D = 0; D < Rank; ++D) {
    auto Size = getDim(From, D).constant(),
         Count = getDim(getType(), D).constant(), Start = Starts[D].constant();
    if (!Size || !Count || !Start || *Count == 0)
      continue;
    int64_t Last = *Start + (*Count - 1) * getSteps()[D];
    if (*Start < 0 || *Start >= *Size || Last < 0 || Last >= *Size)
      return emitOpError("reaches outside of dimension ") << D;
  }
  return success();
}

LogicalResult PadOp::verify() {
  auto From = tensorType(getOperand());
  size_t Rank = From.getRank();
  auto Value = tensorType(getValue());
  if (Value.getRank() != 0 || Value.getElementType() != From.getElementType())
    return emitOpError("value must be a rank-0 tensor of the operand's dtype");
  if (failed(verifyExprs(*this, "low", getLow(), Rank)) ||
      failed(verifyExprs(*this, "high", getHigh(), Rank)))
    return failure();
  Dims Low = parseDims(getLow()), High = parseDims(getHigh());
  for (const DimExpr &E : llvm::concat<DimExpr>(Low, High))
    if (auto C = E.constant(); C && *C < 0)
      return emitOpError("low and high must not be negative");
  return verifyInferred(*this, getType(), [&](infer::FailFn Fail) {
    return infer::pad(From, Low, High, getInterior(), Fail);
  });
}

LogicalResult ConcatOp::verify() {
  return verifyInferred(*this, getType(), [&](infer::FailFn Fail) {
    SmallVector<RankedTensorType> Types;
    for (Value V : getInputs())
      Types.push_back(tensorType(V));
    return infer::concat(Types, getDim(), Fail);
  });
}

LogicalResult GatherOp::verify() {
  return verifyInferred(*this, getType(), [&](infer::FailFn Fail) {
    return infer::gather(tensorType(getOperand()), tensorType(getIndices()),
                         getAxes(), getBatch(), Fail);
  });
}

LogicalResult ScatterOp::verify() {
  // Updates have the shape that the gather of the same positions has.
  if (failed(verifyInferred(*this, getUpdates().getType(),
                            [&](infer::FailFn Fail) {
                              return infer::gather(tensorType(getOperand()),
                                                   tensorType(getIndices()),
                                                   getAxes(), getBatch(), Fail);
                            })))
    return failure();
  if (!sameLogicalType(getOperand().getType(), getType()))
    return emitOpError("result must have the operand's type");
  Type E = getElementTypeOrSelf(getType());
  return verifyScalarRegion(*this, getCombine(), {E, E}, {E});
}

LogicalResult UpdateSliceOp::verify() {
  auto From = tensorType(getOperand()), Update = tensorType(getUpdate());
  if (!sameLogicalType(From, getType()))
    return emitOpError("result must have the operand's type");
  if (Update.getElementType() != From.getElementType() ||
      Update.getRank() != From.getRank())
    return emitOpError("update must have the operand's dtype and rank");
  auto Starts = tensorType(getStarts());
  if (Starts.getRank() != 1 || Starts.getDimSize(0) != From.getRank())
    return emitOpError("starts must hold one index per dimension");
  for (int64_t D = 0; D < From.getRank(); ++D) {
    auto Room = (getDim(From, D) - getDim(Update, D)).constant();
    if (Room && *Room < 0)
      return emitOpError("update is larger than the operand in dimension ")
             << D;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Iteration spaces
//===----------------------------------------------------------------------===//

IterationSpace IotaOp::getIterationSpace() {
  return spaceFromResult(*this, [](auto &, auto) {});
}

IterationSpace ReshapeOp::getIterationSpace() {
  // Dimensions with the same extent and the same number of elements after them
  // carry over one to one.
  return spaceFromResult(*this, [&](IterationSpace &S, ArrayRef<DimAccess> R) {
    Dims In = getDims(getOperand()), Out = getDims(getResult());
    DimExpr InTail(1);
    for (int64_t I = In.size() - 1; I >= 0; --I) {
      DimExpr OutTail(1);
      for (int64_t O = Out.size() - 1; O >= 0; --O) {
        if (In[I] == Out[O] && InTail == OutTail && !In[I].isConstant(1)) {
          S.Operands[0][I] = R[O];
          break;
        }
        OutTail = OutTail * Out[O];
      }
      InTail = InTail * In[I];
    }
  });
}

IterationSpace TransposeOp::getIterationSpace() {
  return spaceFromResult(*this, [&](IterationSpace &S, ArrayRef<DimAccess> R) {
    for (auto [D, P] : llvm::enumerate(getPerm()))
      S.Operands[0][P] = R[D];
  });
}

IterationSpace BroadcastOp::getIterationSpace() {
  return spaceFromResult(*this, [&](IterationSpace &S, ArrayRef<DimAccess> R) {
    for (auto [D, To] : llvm::enumerate(getDims()))
      if (getDim(getOperand().getType(), D) == getDim(getType(), To))
        S.Operands[0][D] = R[To];
  });
}

IterationSpace SliceOp::getIterationSpace() {
  return spaceFromResult(*this, [&](IterationSpace &S, ArrayRef<DimAccess> R) {
    Dims In = limosa::getDims(getOperand()), Out = limosa::getDims(getResult());
    for (size_t D = 0; D < In.size(); ++D)
      if (In[D] == Out[D] && getSteps()[D] == 1)
        S.Operands[0][D] = R[D];
  });
}

IterationSpace PadOp::getIterationSpace() {
  return spaceFromResult(*this, [&](IterationSpace &S, ArrayRef<DimAccess> R) {
    Dims In = limosa::getDims(getOperand()), Out = limosa::getDims(getResult());
    for (size_t D = 0; D < In.size(); ++D)
      if (In[D] == Out[D])
        S.Operands[0][D] = R[D];
  });
}

IterationSpace ConcatOp::getIterationSpace() {
  return spaceFromResult(*this, [&](IterationSpace &S, ArrayRef<DimAccess> R) {
    for (auto &Accesses : S.Operands)
      for (size_t D = 0; D < R.size(); ++D)
        if (int64_t(D) != int64_t(getDim()))
          Accesses[D] = R[D];
  });
}

/// Shared by gather (result = slices) and scatter (updates = slices).
static void mapGatherDims(ArrayRef<DimAccess> Slices, int64_t OperandRank,
                          int64_t IndicesRank, ArrayRef<int64_t> Axes,
                          int64_t Batch, SmallVectorImpl<DimAccess> &Operand,
                          SmallVectorImpl<DimAccess> &Indices) {
  for (int64_t D = 0; D + 1 < IndicesRank; ++D)
    Indices[D] = Slices[D];
  for (int64_t D = 0; D < Batch; ++D)
    Operand[D] = Slices[D];
  int64_t Next = IndicesRank - 1;
  for (int64_t D = Batch; D < OperandRank; ++D)
    if (!llvm::is_contained(Axes, D))
      Operand[D] = Slices[Next++];
}

IterationSpace GatherOp::getIterationSpace() {
  return spaceFromResult(*this, [&](IterationSpace &S, ArrayRef<DimAccess> R) {
    mapGatherDims(R, getOperand().getType().getRank(),
                  getIndices().getType().getRank(), getAxes(), getBatch(),
                  S.Operands[0], S.Operands[1]);
  });
}

IterationSpace ScatterOp::getIterationSpace() {
  IterationSpace S;
  // Updates to one position apply in order, so the scattered dimensions are
  // sequential; batch and slice dimensions stay parallel.
  SmallVector<DimAccess> Updates;
  int64_t Positions = getIndices().getType().getRank() - 1;
  for (auto [D, Extent] : llvm::enumerate(getDims(getUpdates())))
    Updates.push_back(DimAccess::iterator(
        S.addDim(int64_t(D) >= int64_t(getBatch()) && int64_t(D) < Positions
                     ? IteratorKind::Sequential
                     : IteratorKind::Parallel,
                 Extent)));
  S.Operands = {wholeAccess(getOperand().getType()),
                wholeAccess(getIndices().getType()), Updates};
  mapGatherDims(Updates, getOperand().getType().getRank(), Positions + 1,
                getAxes(), getBatch(), S.Operands[0], S.Operands[1]);
  S.Results = {S.Operands[0]};
  return S;
}

IterationSpace UpdateSliceOp::getIterationSpace() {
  return spaceFromResult(*this, [&](IterationSpace &S, ArrayRef<DimAccess> R) {
    S.Operands[0] = llvm::to_vector(R);
    for (size_t D = 0; D < R.size(); ++D)
      if (getDim(getUpdate().getType(), D) == getDim(getType(), D))
        S.Operands[1][D] = R[D];
  });
}

//===----------------------------------------------------------------------===//
// Identities
//===----------------------------------------------------------------------===//

OpFoldResult ReshapeOp::fold(FoldAdaptor) {
  if (getOperand().getType() == getType())
    return getOperand();
  // A reshape only sees the row-major sequence, so the last one decides.
  if (auto Inner = getOperand().getDefiningOp<ReshapeOp>()) {
    if (Inner.getOperand().getType() == getType())
      return Inner.getOperand();
    getOperandMutable().assign(Inner.getOperand());
    return getResult();
  }
  return {};
}

OpFoldResult TransposeOp::fold(FoldAdaptor) {
  bool Identity = true;
  for (auto [D, P] : llvm::enumerate(getPerm()))
    Identity &= P == int64_t(D);
  if (Identity && getOperand().getType() == getType())
    return getOperand();
  if (auto Inner = getOperand().getDefiningOp<TransposeOp>()) {
    SmallVector<int64_t> Perm;
    for (int64_t P : getPerm())
      Perm.push_back(Inner.getPerm()[P]);
    setPerm(Perm);
    getOperandMutable().assign(Inner.getOperand());
    return getResult();
  }
  return {};
}

OpFoldResult BroadcastOp::fold(FoldAdaptor) {
  if (getOperand().getType() == getType())
    return getOperand();
  auto Inner = getOperand().getDefiningOp<BroadcastOp>();
  if (!Inner)
    return {};
  SmallVector<int64_t> Composed;
  for (int64_t D : Inner.getDims())
    Composed.push_back(getDims()[D]);
  setDims(Composed);
  getOperandMutable().assign(Inner.getOperand());
  return getResult();
}

OpFoldResult SliceOp::fold(FoldAdaptor) {
  // A slice as large as its operand starts at zero, or runs backwards.
  if (getOperand().getType() == getType() &&
      llvm::all_of(getSteps(), [](int64_t S) { return S > 0; }))
    return getOperand();
  return {};
}

OpFoldResult PadOp::fold(FoldAdaptor) {
  if (getOperand().getType() == getType())
    return getOperand();
  return {};
}

OpFoldResult ConcatOp::fold(FoldAdaptor) {
  if (getInputs().size() == 1 && getInputs()[0].getType() == getType())
    return getInputs()[0];
  return {};
}
