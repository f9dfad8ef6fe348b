//===- IterationSpace.cpp - Iteration spaces of the core ops --------------===//

#include "limosa/IR/IterationSpace.h"
#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Types.h"

using namespace mlir;
using namespace limosa;

namespace {

/// Accumulates an iteration space op by op.
class SpaceBuilder {
public:
  explicit SpaceBuilder(Operation *Op) : Op(Op) {}

  /// One parallel iterator per dimension of `Ty`.
  SmallVector<DimAccess> parallel(Type Ty) {
    SmallVector<DimAccess> Accesses;
    for (const DimExpr &D : getDims(Ty))
      Accesses.push_back(
          DimAccess::iterator(S.addDim(IteratorKind::Parallel, D)));
    return Accesses;
  }
  static SmallVector<DimAccess> whole(Type Ty) {
    return SmallVector<DimAccess>(cast<RankedTensorType>(Ty).getRank(),
                                  DimAccess::whole());
  }

  Operation *Op;
  IterationSpace S;
};

/// All results share parallel iterators; all operands are read anywhere unless
/// `Map` says otherwise.
template <typename MapFn> IterationSpace fromResult(Operation *Op, MapFn Map) {
  SpaceBuilder B(Op);
  auto Result = B.parallel(Op->getResult(0).getType());
  for (Value V : Op->getOperands())
    B.S.Operands.push_back(SpaceBuilder::whole(V.getType()));
  Map(B.S, Result);
  B.S.Results.assign(Op->getNumResults(), Result);
  return B.S;
}

} // namespace

IterationSpace limosa::elementwiseIterationSpace(Operation *Op) {
  return fromResult(Op, [&](IterationSpace &S, ArrayRef<DimAccess> R) {
    for (auto &Accesses : S.Operands)
      Accesses = llvm::to_vector(R);
  });
}

//===----------------------------------------------------------------------===//
// Data movement
//===----------------------------------------------------------------------===//

IterationSpace IotaOp::getIterationSpace() {
  return fromResult(*this, [](auto &, auto) {});
}

IterationSpace ReshapeOp::getIterationSpace() {
  // Dimensions with the same extent and the same number of elements after them
  // carry over one to one.
  return fromResult(*this, [&](IterationSpace &S, ArrayRef<DimAccess> R) {
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
  return fromResult(*this, [&](IterationSpace &S, ArrayRef<DimAccess> R) {
    for (auto [D, P] : llvm::enumerate(getPerm()))
      S.Operands[0][P] = R[D];
  });
}

IterationSpace BroadcastOp::getIterationSpace() {
  return fromResult(*this, [&](IterationSpace &S, ArrayRef<DimAccess> R) {
    for (auto [D, To] : llvm::enumerate(getDims()))
      if (getDim(getOperand().getType(), D) == getDim(getType(), To))
        S.Operands[0][D] = R[To];
  });
}

IterationSpace SliceOp::getIterationSpace() {
  return fromResult(*this, [&](IterationSpace &S, ArrayRef<DimAccess> R) {
    Dims In = limosa::getDims(getOperand()), Out = limosa::getDims(getResult());
    for (size_t D = 0; D < In.size(); ++D)
      if (In[D] == Out[D] && getSteps()[D] == 1)
        S.Operands[0][D] = R[D];
  });
}

IterationSpace PadOp::getIterationSpace() {
  return fromResult(*this, [&](IterationSpace &S, ArrayRef<DimAccess> R) {
    Dims In = limosa::getDims(getOperand()), Out = limosa::getDims(getResult());
    for (size_t D = 0; D < In.size(); ++D)
      if (In[D] == Out[D])
        S.Operands[0][D] = R[D];
  });
}

IterationSpace ConcatOp::getIterationSpace() {
  return fromResult(*this, [&](IterationSpace &S, ArrayRef<DimAccess> R) {
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
  return fromResult(*this, [&](IterationSpace &S, ArrayRef<DimAccess> R) {
    mapGatherDims(R, getOperand().getType().getRank(),
                  getIndices().getType().getRank(), getAxes(), getBatch(),
                  S.Operands[0], S.Operands[1]);
  });
}

IterationSpace ScatterOp::getIterationSpace() {
  SpaceBuilder B(*this);
  IterationSpace &S = B.S;
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
  S.Operands = {SpaceBuilder::whole(getOperand().getType()),
                SpaceBuilder::whole(getIndices().getType()), Updates};
  mapGatherDims(Updates, getOperand().getType().getRank(), Positions + 1,
                getAxes(), getBatch(), S.Operands[0], S.Operands[1]);
  S.Results = {S.Operands[0]};
  return S;
}

IterationSpace UpdateSliceOp::getIterationSpace() {
  return fromResult(*this, [&](IterationSpace &S, ArrayRef<DimAccess> R) {
    S.Operands[0] = llvm::to_vector(R);
    for (size_t D = 0; D < R.size(); ++D)
      if (getDim(getUpdate().getType(), D) == getDim(getType(), D))
        S.Operands[1][D] = R[D];
  });
}

//===----------------------------------------------------------------------===//
// Structured
//===----------------------------------------------------------------------===//

IterationSpace ReduceOp::getIterationSpace() {
  IterationSpace S;
  SmallVector<DimAccess> Input, Result;
  for (auto [D, Extent] : llvm::enumerate(limosa::getDims(getInputs()[0]))) {
    bool Reduced = llvm::is_contained(getDims(), int64_t(D));
    auto Access = DimAccess::iterator(S.addDim(
        Reduced ? IteratorKind::Reduction : IteratorKind::Parallel, Extent));
    Input.push_back(Access);
    if (!Reduced)
      Result.push_back(Access);
  }
  S.Operands.assign(getInputs().size(), Input);
  S.Operands.append(getInits().size(), SmallVector<DimAccess>());
  S.Results.assign(getNumResults(), Result);
  return S;
}

/// scan and sort: one dimension is in order, the others are parallel.
static IterationSpace alongDim(Operation *Op, size_t NumInputs, int64_t Dim) {
  IterationSpace S;
  SmallVector<DimAccess> Access;
  for (auto [D, Extent] : llvm::enumerate(getDims(Op->getOperand(0))))
    Access.push_back(DimAccess::iterator(S.addDim(
        int64_t(D) == Dim ? IteratorKind::Sequential : IteratorKind::Parallel,
        Extent)));
  S.Operands.assign(NumInputs, Access);
  S.Operands.append(Op->getNumOperands() - NumInputs, SmallVector<DimAccess>());
  S.Results.assign(Op->getNumResults(), Access);
  return S;
}

IterationSpace ScanOp::getIterationSpace() {
  return alongDim(*this, getInputs().size(), getDim());
}
IterationSpace SortOp::getIterationSpace() {
  return alongDim(*this, getInputs().size(), getDim());
}

IterationSpace WindowOp::getIterationSpace() {
  IterationSpace S;
  SmallVector<DimAccess> Input, Result;
  for (auto [D, Extent] : llvm::enumerate(limosa::getDims(getResult(0)))) {
    unsigned I = S.addDim(IteratorKind::Parallel, Extent);
    Result.push_back(DimAccess::iterator(I));
    if (getSizes()[D] == 1 && getStrides()[D] == 1 &&
        limosa::getDim(getInputs()[0].getType(), D) == Extent) {
      Input.push_back(DimAccess::iterator(I));
      continue;
    }
    unsigned W = S.addDim(IteratorKind::Reduction, DimExpr(getSizes()[D]));
    Input.push_back(
        DimAccess::window(I, W, getStrides()[D], getDilations()[D]));
  }
  S.Operands.assign(getInputs().size(), Input);
  S.Operands.append(getInits().size(), SmallVector<DimAccess>());
  S.Results.assign(getNumResults(), Result);
  return S;
}

IterationSpace ContractOp::getIterationSpace() {
  IterationSpace S;
  Dims L = getDims(getLhs()), R = getDims(getRhs());
  SmallVector<DimAccess> Lhs(L.size()), Rhs(R.size()), Result;
  for (auto [A, B] : llvm::zip(getLhsBatch(), getRhsBatch())) {
    Lhs[A] = Rhs[B] =
        DimAccess::iterator(S.addDim(IteratorKind::Parallel, L[A]));
    Result.push_back(Lhs[A]);
  }
  for (auto [A, B] : llvm::zip(getLhsContract(), getRhsContract()))
    Lhs[A] = Rhs[B] =
        DimAccess::iterator(S.addDim(IteratorKind::Reduction, L[A]));
  auto addFree = [&](const Dims &D, SmallVectorImpl<DimAccess> &Accesses,
                     ArrayRef<int64_t> Batch, ArrayRef<int64_t> Contract) {
    for (size_t I = 0; I < D.size(); ++I) {
      if (llvm::is_contained(Batch, int64_t(I)) ||
          llvm::is_contained(Contract, int64_t(I)))
        continue;
      Accesses[I] = DimAccess::iterator(S.addDim(IteratorKind::Parallel, D[I]));
      Result.push_back(Accesses[I]);
    }
  };
  addFree(L, Lhs, getLhsBatch(), getLhsContract());
  addFree(R, Rhs, getRhsBatch(), getRhsContract());
  S.Operands = {Lhs, Rhs};
  S.Results = {Result};
  return S;
}

IterationSpace ConvOp::getIterationSpace() {
  IterationSpace S;
  Dims X = getDims(getInput()), W = getDims(getFilter()),
       Y = getDims(getResult());
  bool Grouped = getFeatureGroups() != 1 || getBatchGroups() != 1;
  auto iterate = [&](IteratorKind Kind, const DimExpr &Extent) {
    return DimAccess::iterator(S.addDim(Kind, Extent));
  };
  DimAccess N = iterate(IteratorKind::Parallel, Y[0]);
  DimAccess O = iterate(IteratorKind::Parallel, Y[1]);
  DimAccess C = iterate(IteratorKind::Reduction, W[1]);
  // With groups the input channel depends on the output channel's group.
  SmallVector<DimAccess> Input = {getBatchGroups() == 1 ? N
                                                        : DimAccess::whole(),
                                  Grouped ? DimAccess::whole() : C};
  SmallVector<DimAccess> Filter = {O, C}, Result = {N, O};
  for (size_t D = 0; D + 2 < X.size(); ++D) {
    DimAccess I = iterate(IteratorKind::Parallel, Y[D + 2]);
    DimAccess K = iterate(IteratorKind::Reduction, W[D + 2]);
    Input.push_back(getLhsDilation()[D] == 1
                        ? DimAccess::window(I.Iterator, K.Iterator,
                                            getStrides()[D],
                                            getRhsDilation()[D])
                        : DimAccess::whole());
    Filter.push_back(K);
    Result.push_back(I);
  }
  S.Operands = {Input, Filter};
  S.Results = {Result};
  return S;
}

IterationSpace CompactOp::getIterationSpace() {
  IterationSpace S;
  SmallVector<DimAccess> Mask;
  for (const DimExpr &D : getDims(getMask()))
    Mask.push_back(DimAccess::iterator(S.addDim(IteratorKind::Sequential, D)));
  S.Operands = {Mask};
  S.Results = {SmallVector<DimAccess>(2, DimAccess::whole()), {}};
  return S;
}

//===----------------------------------------------------------------------===//
// Randomness, control flow, collectives
//===----------------------------------------------------------------------===//

IterationSpace RandomBitsOp::getIterationSpace() {
  return fromResult(*this, [](auto &, auto) {});
}

/// Control flow computes nothing by itself: one point that touches everything.
static IterationSpace opaque(Operation *Op) {
  IterationSpace S;
  for (Type Ty : Op->getOperandTypes())
    S.Operands.push_back(SpaceBuilder::whole(Ty));
  for (Type Ty : Op->getResultTypes())
    S.Results.push_back(SpaceBuilder::whole(Ty));
  return S;
}
IterationSpace IfOp::getIterationSpace() { return opaque(*this); }
IterationSpace WhileOp::getIterationSpace() { return opaque(*this); }

IterationSpace AllGatherOp::getIterationSpace() {
  return fromResult(*this, [&](IterationSpace &S, ArrayRef<DimAccess> R) {
    for (size_t D = 0; D < R.size(); ++D)
      if (int64_t(D) != int64_t(getDim()))
        S.Operands[0][D] = R[D];
  });
}
IterationSpace ReduceScatterOp::getIterationSpace() {
  return fromResult(*this, [&](IterationSpace &S, ArrayRef<DimAccess> R) {
    for (size_t D = 0; D < R.size(); ++D)
      if (int64_t(D) != int64_t(getDim()))
        S.Operands[0][D] = R[D];
  });
}
IterationSpace PermuteOp::getIterationSpace() {
  return fromResult(*this, [&](IterationSpace &S, ArrayRef<DimAccess> R) {
    S.Operands[0] = llvm::to_vector(R);
  });
}
