//===- PullParts.cpp - Slice, pad, concat, update_slice -------------------===//
//
// Ops whose elements come from a part of an operand, shifted along a dimension.
//
//===----------------------------------------------------------------------===//

#include "Convert.h"
#include "limosa/Codegen/Pull.h"
#include "limosa/IR/LimosaOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::codegen;
using limosa::codegen::Index;

static DimExpr productOf(ArrayRef<DimExpr> Shape, ArrayRef<unsigned> Dims) {
  DimExpr P = 1;
  for (unsigned D : Dims)
    P = P * Shape[D];
  return P;
}

namespace {
/// A dimension that an op moves along, or a group whose first dimension it is:
/// positions along it count in steps of the group's other dimensions.
struct Axis {
  Index At;
  DimExpr Inner = 1;
};
} // namespace

/// Splits the groups of `At` so that each touched dimension comes first in its
/// group. A dimension that must be `Alone` gets no others.
static void splitBefore(KernelBuilder &KB, Coords &At, ArrayRef<bool> Touched,
                        ArrayRef<bool> Alone, ArrayRef<DimExpr> Shape,
                        unsigned N) {
  KB.dropUnits(At, Shape);
  for (unsigned G = 0; G < At.Groups.size();) {
    ArrayRef<unsigned> D = At.Groups[G].Dims;
    SmallVector<unsigned> Runs = {0};
    for (unsigned K = 1; K < D.size(); ++K)
      if (Touched[D[K]] || Alone[D[K - 1]])
        Runs.push_back(K);
    if (Runs.size() == 1)
      ++G;
    else
      KB.splitGroup(At, G, Runs, Shape, N);
  }
}

static Axis axisOf(const Coords &At, unsigned D, ArrayRef<DimExpr> Shape) {
  if (At.PerDim[D].isSet())
    return {At.PerDim[D], 1};
  const IndexGroup *G = At.groupOf(D);
  assert(G && G->Dims[0] == D && "groups are split before touched dims");
  return {G->Linear,
          productOf(Shape, ArrayRef<unsigned>(G->Dims).drop_front())};
}

static void setAxis(Coords &At, unsigned D, const Index &I) {
  if (At.PerDim[D].isSet()) {
    At.PerDim[D] = I;
    return;
  }
  for (IndexGroup &G : At.Groups)
    if (G.Dims[0] == D)
      G.Linear = I;
}

Value Puller::pullSlice(Operation *Op, Coords At, const Lanes &L) {
  auto Slice = cast<SliceOp>(Op);
  Value Operand = Slice.getOperand();
  Dims From = getDims(Operand), Shape = getDims(Slice.getResult());
  Dims Starts = parseDims(Slice.getStarts());
  ArrayRef<int64_t> Steps = Slice.getSteps();
  IndexMath &M = KB.math();
  unsigned Rank = Shape.size();
  SmallVector<bool> Touched(Rank), Alone(Rank);
  for (unsigned D = 0; D < Rank; ++D) {
    Touched[D] =
        !(Starts[D].isConstant(0) && Steps[D] == 1 && From[D] == Shape[D]);
    Alone[D] = Steps[D] != 1;
  }
  splitBefore(KB, At, Touched, Alone, Shape, L.Count);
  for (unsigned D = 0; D < Rank; ++D) {
    if (!Touched[D])
      continue;
    Axis A = axisOf(At, D, Shape);
    Index I = M.mul(A.At, KB.constant(Steps[D]), L.Count);
    setAxis(At, D, M.add(I, KB.dim(Starts[D] * A.Inner)));
  }
  return pull(Operand, At, L);
}

Value Puller::pullPad(Operation *Op, Coords At, const Lanes &L) {
  auto Pad = cast<PadOp>(Op);
  Value Operand = Pad.getOperand();
  Dims From = getDims(Operand), Shape = getDims(Pad.getResult());
  Dims Low = parseDims(Pad.getLow()), High = parseDims(Pad.getHigh());
  ArrayRef<int64_t> Interior = Pad.getInterior();
  IndexMath &M = KB.math();
  unsigned Rank = Shape.size(), N = L.Count;
  SmallVector<bool> Touched(Rank), Alone(Rank);
  for (unsigned D = 0; D < Rank; ++D) {
    Alone[D] = Interior[D] != 0;
    Touched[D] = Alone[D] || !Low[D].isConstant(0) || !High[D].isConstant(0);
  }
  splitBefore(KB, At, Touched, Alone, Shape, N);
  Value Uniform, PerLane;
  auto Require = [&](Value C) {
    Value &Sum = isa<VectorType>(C.getType()) ? PerLane : Uniform;
    Sum = Sum ? M.both(Sum, C) : C;
  };
  for (unsigned D = 0; D < Rank; ++D) {
    if (!Touched[D])
      continue;
    Axis A = axisOf(At, D, Shape);
    if (Interior[D] == 0) {
      Value First = KB.dim(Low[D] * A.Inner);
      if (!Low[D].isConstant(0) || !High[D].isConstant(0))
        Require(
            M.inRange(A.At, First, KB.dim((Low[D] + From[D]) * A.Inner), N));
      setAxis(At, D, M.add(A.At, M.sub(KB.constant(0), First)));
      continue;
    }
    // Shifted up by whole steps, so that the division sees no negative number.
    int64_t Step = Interior[D] + 1;
    DimExpr Skipped = DimExpr::ceilDiv(Low[D], Step);
    Index I = M.add(A.At, KB.dim(Skipped * Step - Low[D]));
    auto [Q, R] = M.divRem(I, KB.constant(Step), N);
    Require(M.equals(R, KB.constant(0), N));
    Require(M.inRange(Q, KB.dim(Skipped), KB.dim(Skipped + From[D]), N));
    setAxis(At, D, M.add(Q, M.sub(KB.constant(0), KB.dim(Skipped))));
  }
  return pullIf(
      Uniform, PerLane, L, getElementTypeOrSelf(Operand.getType()),
      [&](const Lanes &Inside) { return pull(Operand, At, Inside); },
      [&] { return pullScalar(Pad.getValue()); });
}

Value Puller::pullConcatInput(Operation *Op, unsigned K, Coords At,
                              const Lanes &L) {
  auto Concat = cast<ConcatOp>(Op);
  unsigned D = Concat.getDim();
  Dims Shape = getDims(Concat.getResult());
  SmallVector<bool> Touched(Shape.size()), Alone(Shape.size());
  Touched[D] = true;
  splitBefore(KB, At, Touched, Alone, Shape, L.Count);
  Axis A = axisOf(At, D, Shape);
  DimExpr Begin = 0;
  for (Value V : Concat.getInputs().take_front(K))
    Begin = Begin + getDim(V.getType(), D) * A.Inner;
  IndexMath &M = KB.math();
  setAxis(At, D, M.add(A.At, M.sub(KB.constant(0), KB.dim(Begin))));
  return pull(Concat.getInputs()[K], At, L);
}

Value Puller::pullConcat(Operation *Op, Coords At, const Lanes &L) {
  auto Concat = cast<ConcatOp>(Op);
  unsigned D = Concat.getDim();
  Dims Shape = getDims(Concat.getResult());
  IndexMath &M = KB.math();
  SmallVector<bool> Touched(Shape.size()), Alone(Shape.size());
  Touched[D] = true;
  splitBefore(KB, At, Touched, Alone, Shape, L.Count);
  Axis A = axisOf(At, D, Shape);
  ValueRange Inputs = Concat.getInputs();
  Type Element = getElementTypeOrSelf(Concat.getType());
  SmallVector<DimExpr> Ends;
  DimExpr End = 0;
  for (Value V : Inputs)
    Ends.push_back(End = End + getDim(V.getType(), D) * A.Inner);
  auto Part = [&](unsigned K, const Lanes &Inside) {
    return pullConcatInput(Op, K, At, Inside);
  };
  if (A.At.isUniform()) {
    std::function<Value(unsigned)> From = [&](unsigned K) -> Value {
      if (K + 1 == Inputs.size())
        return Part(K, L);
      return pullIf(
          M.lt(A.At.Base, KB.dim(Ends[K])), {}, L, Element,
          [&](const Lanes &) { return Part(K, L); },
          [&] { return From(K + 1); });
    };
    return From(0);
  }
  // Lanes from several inputs: each gives those that are its own, if any.
  Value All = KB.broadcast(
      Element.isInteger(1)
          ? KB.splat(KB.builder().getBoolAttr(false), Element)
          : KB.splat(KB.builder().getZeroAttr(registerType(Element)),
                     registerType(Element)),
      L.Count);
  for (unsigned K = 0; K < Inputs.size(); ++K) {
    Value Begin = KB.dim(K ? Ends[K - 1] : DimExpr(0)), Stop = KB.dim(Ends[K]);
    Value Mine = M.inRange(A.At, Begin, Stop, L.Count);
    Value Any;
    if (!A.At.Lanes && A.At.Stride > 0) {
      Value Last = M.add(A.At.Base, KB.constant(A.At.Stride * (L.Count - 1)));
      Any = M.both(M.lt(A.At.Base, Stop), M.le(Begin, Last));
    }
    Value Before = All;
    All = pullIf(
        Any, Mine, L, Element,
        [&](const Lanes &Inside) { return Part(K, Inside); },
        [&] { return Before; });
  }
  return All;
}

Value Puller::pullUpdateSlice(Operation *Op, Coords At, const Lanes &L) {
  auto Update = cast<UpdateSliceOp>(Op);
  Dims Shape = getDims(Update.getOperand()), Part = getDims(Update.getUpdate());
  IndexMath &M = KB.math();
  OpBuilder &B = KB.builder();
  unsigned Rank = Shape.size();
  Coords Whole = At;
  SmallVector<bool> Touched(Rank), Alone(Rank);
  for (unsigned D = 0; D < Rank; ++D)
    Touched[D] = !(Shape[D] == Part[D]);
  splitBefore(KB, At, Touched, Alone, Shape, L.Count);
  Value Uniform, PerLane;
  for (unsigned D = 0; D < Rank; ++D) {
    if (!Touched[D])
      continue;
    Coords Which(1);
    Which.PerDim[0] = M.uniform(D);
    Value Start = pull(Update.getStarts(), Which, {});
    Start = arith::IndexCastOp::create(B, KB.loc(), B.getIndexType(), Start);
    Start = M.max(M.min(Start, KB.dim(Shape[D] - Part[D])), KB.constant(0));
    Axis A = axisOf(At, D, Shape);
    Value Begin = M.mul(Start, KB.dim(A.Inner));
    Value End = M.add(Begin, KB.dim(Part[D] * A.Inner));
    Value C = M.inRange(A.At, Begin, End, L.Count);
    Value &Sum = isa<VectorType>(C.getType()) ? PerLane : Uniform;
    Sum = Sum ? M.both(Sum, C) : C;
    setAxis(At, D, M.add(A.At, M.sub(KB.constant(0), Begin)));
  }
  return pullIf(
      Uniform, PerLane, L, getElementTypeOrSelf(Update.getType()),
      [&](const Lanes &Inside) { return pull(Update.getUpdate(), At, Inside); },
      [&] { return pull(Update.getOperand(), Whole, L); });
}
