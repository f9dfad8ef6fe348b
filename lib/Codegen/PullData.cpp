//===- PullData.cpp - Data ops: elements come from other coordinates ------===//

#include "Convert.h"
#include "limosa/Codegen/Pull.h"
#include "limosa/IR/LimosaOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::codegen;
using limosa::codegen::Index;

Coords codegen::projectCoords(KernelBuilder &KB, const Coords &Original,
                              ArrayRef<int> NewDims, unsigned NewRank,
                              ArrayRef<DimExpr> Shape, unsigned N) {
  Coords At = Original;
  KB.dropUnits(At, Shape);
  // A group passes whole or in runs of dimensions that pass or that do not.
  for (unsigned G = 0; G < At.Groups.size();) {
    ArrayRef<unsigned> D = At.Groups[G].Dims;
    SmallVector<unsigned> Runs = {0};
    for (unsigned K = 1; K < D.size(); ++K)
      if ((NewDims[D[K]] < 0) != (NewDims[D[K - 1]] < 0))
        Runs.push_back(K);
    if (Runs.size() == 1)
      ++G;
    else
      KB.splitGroup(At, G, Runs, Shape, N);
  }
  Coords To(NewRank);
  for (unsigned D = 0; D < At.rank(); ++D)
    if (NewDims[D] >= 0 && At.PerDim[D].isSet())
      To.PerDim[NewDims[D]] = At.PerDim[D];
  for (IndexGroup &G : At.Groups) {
    if (NewDims[G.Dims[0]] < 0)
      continue;
    for (unsigned &D : G.Dims)
      D = NewDims[D];
    To.Groups.push_back(std::move(G));
  }
  return To;
}

//===----------------------------------------------------------------------===//
// Reshape
//===----------------------------------------------------------------------===//

namespace {
/// Dimensions [ResultBegin, ResultEnd) hold the same elements, in the same
/// order, as [OperandBegin, OperandEnd). Unit dimensions are left out.
struct Segment {
  SmallVector<unsigned, 4> Result, Operand;
};
} // namespace

static SmallVector<Segment> segmentsOf(ArrayRef<DimExpr> Result,
                                       ArrayRef<DimExpr> Operand) {
  SmallVector<unsigned> R, O;
  for (unsigned D = 0; D < Result.size(); ++D)
    if (!Result[D].isConstant(1))
      R.push_back(D);
  for (unsigned D = 0; D < Operand.size(); ++D)
    if (!Operand[D].isConstant(1))
      O.push_back(D);
  // Where the products of the leading dimensions agree a segment ends. Products
  // grow along both lists, so that every end is found by looking at all pairs.
  SmallVector<Segment> Segments;
  size_t I = 0, J = 0;
  while (I < R.size() && J < O.size()) {
    DimExpr PR = Result[R[I]];
    size_t EndI = R.size(), EndJ = O.size();
    bool Found = false;
    for (size_t A = I; A < R.size() && !Found; ++A) {
      if (A > I)
        PR = PR * Result[R[A]];
      DimExpr PO = 1;
      for (size_t C = J; C < O.size(); ++C) {
        PO = PO * Operand[O[C]];
        if (PR == PO) {
          EndI = A + 1;
          EndJ = C + 1;
          Found = true;
          break;
        }
      }
    }
    Segment S;
    S.Result.assign(R.begin() + I, R.begin() + EndI);
    S.Operand.assign(O.begin() + J, O.begin() + EndJ);
    Segments.push_back(std::move(S));
    I = EndI;
    J = EndJ;
  }
  // Symbolic sizes that are 1 when the program runs belong to the last segment.
  if (I < R.size() || J < O.size()) {
    if (Segments.empty())
      Segments.emplace_back();
    Segments.back().Result.append(R.begin() + I, R.end());
    Segments.back().Operand.append(O.begin() + J, O.end());
  }
  return Segments;
}

Coords codegen::reshapeCoords(KernelBuilder &KB, const Coords &Original,
                              ArrayRef<DimExpr> ResultShape,
                              ArrayRef<DimExpr> OperandShape, unsigned N) {
  IndexMath &M = KB.math();
  Coords At = Original;
  KB.dropUnits(At, ResultShape);
  Coords To(OperandShape.size());
  for (unsigned D = 0; D < OperandShape.size(); ++D)
    if (OperandShape[D].isConstant(1))
      To.PerDim[D] = M.uniform(0);
  auto Give = [&](ArrayRef<unsigned> Dims, const Index &Linear) {
    if (Dims.size() == 1)
      To.PerDim[Dims[0]] = Linear;
    else if (!Dims.empty())
      To.Groups.push_back(
          {SmallVector<unsigned, 4>(Dims.begin(), Dims.end()), Linear});
  };
  SmallVector<Segment> Segments = segmentsOf(ResultShape, OperandShape);
  for (unsigned S = 0; S < Segments.size();) {
    const Segment &Seg = Segments[S];
    // A group that is exactly some whole segments stays linear.
    if (!Seg.Result.empty() && !At.PerDim[Seg.Result[0]].isSet()) {
      const IndexGroup *G = At.groupOf(Seg.Result[0]);
      SmallVector<unsigned> Covered, Operand;
      unsigned End = S;
      while (End < Segments.size() && Covered.size() < G->Dims.size()) {
        llvm::append_range(Covered, Segments[End].Result);
        llvm::append_range(Operand, Segments[End].Operand);
        ++End;
      }
      if (ArrayRef<unsigned>(Covered) == ArrayRef<unsigned>(G->Dims)) {
        Give(Operand, G->Linear);
        S = End;
        continue;
      }
    }
    Index Linear = M.uniform(0);
    DimExpr Step = 1;
    // A segment's own part of a group that starts elsewhere, dim by dim.
    for (unsigned D : llvm::reverse(Seg.Result)) {
      KB.materialize(At, D, ResultShape, N);
      Linear = M.add(M.mul(At.PerDim[D], KB.dim(Step), N), Linear, N);
      Step = Step * ResultShape[D];
    }
    Give(Seg.Operand, Linear);
    ++S;
  }
  return To;
}

//===----------------------------------------------------------------------===//
// Iota and broadcast
//===----------------------------------------------------------------------===//

Value Puller::pullIota(Operation *Op, Coords At, const Lanes &L) {
  auto Iota = cast<IotaOp>(Op);
  Type Ty = Iota.getType();
  unsigned D = Iota.getDim();
  KB.materialize(At, D, getDims(Ty), L.Count);
  const Index &I = At.PerDim[D];
  OpBuilder &B = KB.builder();
  Value V = I.isUniform() ? arith::IndexCastOp::create(B, KB.loc(),
                                                       B.getI64Type(), I.Base)
                                .getResult()
                          : KB.math().lanes(I, L.Count);
  return convertElement(KB, V, B.getI64Type(), getElementTypeOrSelf(Ty));
}

Value Puller::pullBroadcast(Operation *Op, Coords At, const Lanes &L) {
  auto Broadcast = cast<BroadcastOp>(Op);
  Value Operand = Broadcast.getOperand();
  Dims From = getDims(Operand), Shape = getDims(Broadcast.getResult());
  IndexMath &M = KB.math();
  SmallVector<int> NewDims(Shape.size(), -1);
  SmallVector<unsigned> Unsure; // operand dims that may be 1 when it runs
  for (auto [D, R] : llvm::enumerate(Broadcast.getDims())) {
    if (From[D].isConstant(1))
      continue;
    if (From[D] == Shape[R]) {
      NewDims[R] = D;
    } else {
      Unsure.push_back(D);
      KB.materialize(At, R, Shape, L.Count);
    }
  }
  Coords To = projectCoords(KB, At, NewDims, From.size(), Shape, L.Count);
  for (unsigned D = 0; D < From.size(); ++D)
    if (From[D].isConstant(1))
      To.PerDim[D] = M.uniform(0);
  // Uniform coordinates are chosen, lanes make two versions (of versions, up to
  // a limit: then lanes get their coordinates by arithmetic).
  SmallVector<unsigned> Branches;
  for (unsigned D : Unsure) {
    const Index &I = At.PerDim[Broadcast.getDims()[D]];
    Value IsOne = M.eq(KB.dim(From[D]), KB.constant(1));
    To.PerDim[D] = I;
    if (I.isUniform())
      To.PerDim[D] = M.uniform(M.select(IsOne, KB.constant(0), I.Base));
    else if (Versions >= MaxVersions)
      To.PerDim[D] = M.select(IsOne, M.uniform(0), I, L.Count);
    else
      Branches.push_back(D);
  }
  Type Element = getElementTypeOrSelf(Operand.getType());
  Versions += Branches.size();
  std::function<Value(unsigned)> Emit = [&](unsigned K) -> Value {
    if (K == Branches.size())
      return pull(Operand, To, L);
    unsigned D = Branches[K];
    Value IsOne = M.eq(KB.dim(From[D]), KB.constant(1));
    Index Varying = To.PerDim[D];
    return pullIf(
        IsOne, {}, L, Element,
        [&](const Lanes &) {
          To.PerDim[D] = M.uniform(0);
          Value V = Emit(K + 1);
          To.PerDim[D] = Varying;
          return V;
        },
        [&] { return Emit(K + 1); });
  };
  Value Result = Emit(0);
  Versions -= Branches.size();
  return Result;
}

//===----------------------------------------------------------------------===//
// Gather
//===----------------------------------------------------------------------===//

Value Puller::pullGather(Operation *Op, Coords At, const Lanes &L) {
  auto Gather = cast<GatherOp>(Op);
  Value Operand = Gather.getOperand(), Indices = Gather.getIndices();
  Dims From = getDims(Operand), Shape = getDims(Gather.getResult());
  unsigned Batch = Gather.getBatch(), N = L.Count;
  unsigned IndexRank = cast<RankedTensorType>(Indices.getType()).getRank();
  ArrayRef<int64_t> Axes = Gather.getAxes();
  IndexMath &M = KB.math();
  OpBuilder &B = KB.builder();
  // Result dimensions: batch, positions, then the slice's in order.
  SmallVector<int> ToIndices(Shape.size(), -1), ToOperand(Shape.size(), -1);
  for (unsigned D = 0; D + 1 < IndexRank; ++D)
    ToIndices[D] = D;
  for (unsigned D = 0; D < Batch; ++D)
    ToOperand[D] = D;
  unsigned NextSlice = IndexRank - 1;
  for (unsigned D = Batch; D < From.size(); ++D)
    if (!llvm::is_contained(Axes, int64_t(D)))
      ToOperand[NextSlice++] = D;
  Coords IndexAt = projectCoords(KB, At, ToIndices, IndexRank, Shape, N);
  Coords To = projectCoords(KB, At, ToOperand, From.size(), Shape, N);
  Value HasElements; // null: whatever the sizes are
  for (auto [J, Ax] : llvm::enumerate(Axes)) {
    if (From[Ax].lowerBound().value_or(0) < 1) {
      Value Any = M.lt(KB.constant(0), KB.dim(From[Ax]));
      HasElements = HasElements ? M.both(HasElements, Any) : Any;
    }
    IndexAt.PerDim[IndexRank - 1] = M.uniform(int64_t(J));
    Value I = pull(Indices, IndexAt, L);
    Value Last = M.sub(KB.dim(From[Ax]), KB.constant(1));
    if (!isa<VectorType>(I.getType())) {
      I = arith::IndexCastOp::create(B, KB.loc(), B.getIndexType(), I);
      To.PerDim[Ax] = M.uniform(M.max(M.min(I, Last), KB.constant(0)));
      continue;
    }
    Type Wide = vectorLike(I.getType(), B.getI64Type());
    if (I.getType() != Wide)
      I = arith::ExtSIOp::create(B, KB.loc(), Wide, I);
    I = arith::MinSIOp::create(B, KB.loc(), I, M.lanes(M.uniform(Last), N));
    I = arith::MaxSIOp::create(B, KB.loc(), I, intConstant(KB, Wide, 0));
    To.PerDim[Ax] = Index{KB.constant(0), 0, I};
  }
  Type Element = getElementTypeOrSelf(Operand.getType());
  return pullIf(
      HasElements, {}, L, Element,
      [&](const Lanes &Inside) { return pull(Operand, To, Inside); },
      [&] {
        Type Register = registerType(Element);
        return KB.splat(B.getZeroAttr(Register), Register);
      });
}
