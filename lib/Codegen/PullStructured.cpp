//===- PullStructured.cpp - Reductions and products in place --------------===//
//
// Loops that compute one vector of results of an op that sums over others. Used
// for windows (whose loops are short), and where no template has a better form.
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

/// Sets dimensions to one loop over all of them.
static void setLinear(Coords &At, ArrayRef<int64_t> Dims, const Index &I) {
  if (Dims.size() == 1) {
    At.PerDim[Dims[0]] = I;
    return;
  }
  IndexGroup G;
  G.Dims.assign(Dims.begin(), Dims.end());
  G.Linear = I;
  At.Groups.push_back(std::move(G));
}

//===----------------------------------------------------------------------===//
// Reduce
//===----------------------------------------------------------------------===//

Value Puller::pullReduce(Operation *Op, unsigned Result, Coords At,
                         const Lanes &L) {
  auto Reduce = cast<ReduceOp>(Op);
  ArrayRef<int64_t> Reduced = Reduce.getDims();
  Dims Shape = getDims(Reduce.getInputs()[0]);
  Dims ResultShape = getDims(Reduce.getResult(0));
  SmallVector<int> NewDims;
  DimExpr Count = 1;
  for (unsigned D = 0; D < Shape.size(); ++D)
    if (!llvm::is_contained(Reduced, int64_t(D)))
      NewDims.push_back(D);
    else
      Count = Count * Shape[D];
  Coords From =
      projectCoords(KB, At, NewDims, Shape.size(), ResultShape, L.Count);
  for (auto [D, New] : llvm::enumerate(NewDims))
    if (ResultShape[D].isConstant(1) && !From.PerDim[New].isSet())
      From.PerDim[New] = KB.math().uniform(0);
  SmallVector<Value> Inits;
  for (Value Init : Reduce.getInits())
    Inits.push_back(KB.broadcast(pullScalar(Init), L.Count));
  auto Step = [&](Value I, ValueRange Acc) -> SmallVector<Value> {
    Coords To = From;
    setLinear(To, Reduced, KB.math().uniform(I));
    SmallVector<Value> Args(Acc.begin(), Acc.end());
    for (Value Input : Reduce.getInputs())
      Args.push_back(KB.broadcast(pull(Input, To, L), L.Count));
    return evalRegion(Reduce.getBody(), Args, /*Narrow=*/false);
  };
  SmallVector<Value> Results =
      Reduced.empty()
          ? Step(KB.constant(0), Inits)
          : KB.forLoop(KB.constant(0), KB.dim(Count), 1, Inits, Step);
  for (auto [R, V] : llvm::enumerate(Results)) {
    V = roundTo(KB, V, getElementTypeOrSelf(Op->getResult(R).getType()));
    remember(Op->getResult(R), At, L, V);
  }
  return Results[Result];
}

//===----------------------------------------------------------------------===//
// Window
//===----------------------------------------------------------------------===//

Value Puller::pullWindow(Operation *Op, unsigned Result, Coords At,
                         const Lanes &L) {
  auto Window = cast<WindowOp>(Op);
  ArrayRef<int64_t> Sizes = Window.getSizes(), Strides = Window.getStrides(),
                    Dilations = Window.getDilations();
  Dims Low = parseDims(Window.getPadLow());
  Dims From = getDims(Window.getInputs()[0]);
  Dims Shape = getDims(Window.getResult(0));
  IndexMath &M = KB.math();
  unsigned Rank = Shape.size(), N = L.Count;
  Coords Origin = At;
  SmallVector<unsigned> Moving; // dimensions with a window
  for (unsigned D = 0; D < Rank; ++D) {
    if (Sizes[D] == 1 && Strides[D] == 1 && Low[D].isConstant(0) &&
        From[D] == Shape[D])
      continue;
    Moving.push_back(D);
    KB.materialize(Origin, D, Shape, N);
    Index I = M.mul(Origin.PerDim[D], KB.constant(Strides[D]), N);
    Origin.PerDim[D] = M.add(I, M.sub(KB.constant(0), KB.dim(Low[D])));
  }
  SmallVector<Value> Inits;
  for (Value Init : Window.getInits())
    Inits.push_back(KB.broadcast(pullScalar(Init), N));

  // One loop per moving dimension. Uniform dimensions run only over positions
  // inside the input; lanes outside are masked, unless no lane can be.
  std::function<SmallVector<Value>(unsigned, Coords &, const Lanes &, bool,
                                   ValueRange, Value)>
      Nest = [&](unsigned K, Coords &To, const Lanes &Inside, bool Check,
                 ValueRange Acc, Value Mask) -> SmallVector<Value> {
    if (K == Moving.size()) {
      SmallVector<Value> Args(Acc.begin(), Acc.end());
      for (auto [J, Input] : llvm::enumerate(Window.getInputs())) {
        Value X = KB.broadcast(pull(Input, To, Inside), N);
        if (Mask)
          X = arith::SelectOp::create(KB.builder(), KB.loc(), Mask, X,
                                      Inits[J]);
        Args.push_back(X);
      }
      return evalRegion(Window.getBody(), Args, /*Narrow=*/false);
    }
    unsigned D = Moving[K];
    Index Start = Origin.PerDim[D];
    Value Lo = KB.constant(0), Hi = KB.constant(Sizes[D]), Zero = Lo;
    Value Dilation = KB.constant(Dilations[D]), Extent = KB.dim(From[D]);
    if (Start.isUniform()) {
      // ceil(-Start / dilation) and ceil((Extent - Start) / dilation).
      auto Ceil = [&](Value V) {
        Value Up = M.add(M.max(V, Zero), KB.constant(Dilations[D] - 1));
        return M.divU(Up, Dilation);
      };
      Lo = Ceil(M.sub(Zero, Start.Base));
      Hi = M.min(Hi, Ceil(M.sub(Extent, Start.Base)));
    }
    return KB.forLoop(Lo, Hi, 1, Acc, [&](Value I, ValueRange Inner) {
      Coords Next = To;
      Next.PerDim[D] = M.add(Start, M.mul(I, Dilation));
      if (Start.isUniform() || !Check)
        return Nest(K + 1, Next, Inside, Check, Inner, Mask);
      Value In = M.inRange(Next.PerDim[D], Zero, Extent, N);
      Value Both = Mask ? M.both(Mask, In) : In;
      return Nest(K + 1, Next, narrow(Inside, In), Check, Inner, Both);
    });
  };

  // Whether every lane's whole window lies inside the input.
  Value Interior;
  bool Checked = false;
  for (unsigned D : Moving) {
    const Index &I = Origin.PerDim[D];
    if (I.isUniform())
      continue;
    Checked = true;
    int64_t Reach = (Sizes[D] - 1) * Dilations[D];
    Value In = M.lt(KB.constant(1), KB.constant(0));
    if (I.isStrided() && I.Stride > 0) {
      Value Last = M.add(I.Base, KB.constant(I.Stride * (N - 1) + Reach));
      In = M.both(M.le(KB.constant(0), I.Base), M.lt(Last, KB.dim(From[D])));
    }
    Interior = Interior ? M.both(Interior, In) : In;
  }
  SmallVector<Value> Results;
  auto Run = [&](bool Check) {
    Coords To = Origin;
    return Nest(0, To, L, Check, Inits, Value());
  };
  if (!Checked) {
    Results = Run(false);
  } else if (IndexMath::constantOf(Interior) == 0) {
    Results = Run(true);
  } else {
    SmallVector<Type> Types;
    for (Value V : Inits)
      Types.push_back(V.getType());
    Results = KB.ifElse(
        Interior, Types, [&] { return Run(false); }, [&] { return Run(true); });
  }
  for (auto [R, V] : llvm::enumerate(Results)) {
    V = roundTo(KB, V, getElementTypeOrSelf(Op->getResult(R).getType()));
    remember(Op->getResult(R), At, L, V);
  }
  return Results[Result];
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

namespace {
/// Multiplies and adds elements of two operands in the type sums are made in.
struct Accumulator {
  KernelBuilder &KB;
  Type Lhs, Rhs, Result, Sum;

  Accumulator(KernelBuilder &KB, Value L, Value R, Value Res)
      : KB(KB), Lhs(getElementTypeOrSelf(L.getType())),
        Rhs(getElementTypeOrSelf(R.getType())),
        Result(getElementTypeOrSelf(Res.getType())), Sum(Result) {
    if (isa<Float16Type, BFloat16Type>(Result))
      Sum = KB.builder().getF32Type();
  }
  Value zero(unsigned N) {
    Type Ty = registerType(Sum);
    return KB.broadcast(KB.splat(KB.builder().getZeroAttr(Ty), Ty), N);
  }
  Value add(Value Acc, Value L, Value R, unsigned N) {
    OpBuilder &B = KB.builder();
    L = KB.broadcast(convertElement(KB, L, Lhs, Sum), N);
    R = KB.broadcast(convertElement(KB, R, Rhs, Sum), N);
    if (isa<FloatType>(Sum)) {
      Value P = arith::MulFOp::create(B, KB.loc(), L, R);
      return arith::AddFOp::create(B, KB.loc(), Acc, P);
    }
    Value P = arith::MulIOp::create(B, KB.loc(), L, R);
    return arith::AddIOp::create(B, KB.loc(), Acc, P);
  }
  Value finish(Value Acc) { return roundTo(KB, Acc, Result); }
};
} // namespace

Value Puller::pullContract(Operation *Op, Coords At, const Lanes &L) {
  auto Contract = cast<ContractOp>(Op);
  Value Lhs = Contract.getLhs(), Rhs = Contract.getRhs();
  Dims LShape = getDims(Lhs), RShape = getDims(Rhs);
  Dims Shape = getDims(Contract.getResult());
  unsigned N = L.Count;
  ArrayRef<int64_t> LB = Contract.getLhsBatch(), RB = Contract.getRhsBatch();
  ArrayRef<int64_t> LK = Contract.getLhsContract(),
                    RK = Contract.getRhsContract();
  SmallVector<int> ToL(Shape.size(), -1), ToR(Shape.size(), -1);
  unsigned Next = 0;
  for (; Next < LB.size(); ++Next) {
    ToL[Next] = LB[Next];
    ToR[Next] = RB[Next];
  }
  for (unsigned D = 0; D < LShape.size(); ++D)
    if (!llvm::is_contained(LB, int64_t(D)) &&
        !llvm::is_contained(LK, int64_t(D)))
      ToL[Next++] = D;
  for (unsigned D = 0; D < RShape.size(); ++D)
    if (!llvm::is_contained(RB, int64_t(D)) &&
        !llvm::is_contained(RK, int64_t(D)))
      ToR[Next++] = D;
  auto Project = [&](ArrayRef<int> Map, ArrayRef<DimExpr> OperandShape) {
    Coords C = projectCoords(KB, At, Map, OperandShape.size(), Shape, N);
    for (unsigned D = 0; D < OperandShape.size(); ++D)
      if (OperandShape[D].isConstant(1))
        C.PerDim[D] = KB.math().uniform(0);
    return C;
  };
  Coords LAt = Project(ToL, LShape), RAt = Project(ToR, RShape);
  Accumulator Acc(KB, Lhs, Rhs, Contract.getResult());
  DimExpr Count = 1;
  for (int64_t D : LK)
    Count = Count * LShape[D];
  Value Sum = KB.forLoop(
      KB.constant(0), KB.dim(Count), 1, Acc.zero(N),
      [&](Value K, ValueRange Carried) -> SmallVector<Value> {
        Coords LK2 = LAt, RK2 = RAt;
        if (!LK.empty()) {
          setLinear(LK2, LK, KB.math().uniform(K));
          setLinear(RK2, RK, KB.math().uniform(K));
        }
        return {Acc.add(Carried[0], pull(Lhs, LK2, L), pull(Rhs, RK2, L), N)};
      })[0];
  return Acc.finish(Sum);
}

Value Puller::pullConv(Operation *Op, Coords At, const Lanes &L) {
  auto Conv = cast<ConvOp>(Op);
  Value Input = Conv.getInput(), Filter = Conv.getFilter();
  Dims In = getDims(Input), Fil = getDims(Filter),
       Shape = getDims(Conv.getResult());
  Dims Low = parseDims(Conv.getPadLow());
  unsigned N = L.Count, Rank = Shape.size();
  IndexMath &M = KB.math();
  for (unsigned D = 0; D < Rank; ++D)
    KB.materialize(At, D, Shape, N);
  // Which input channels and which batch block the output channel reads.
  Index Image = At.PerDim[0], Channel = M.uniform(0);
  if (Conv.getFeatureGroups() > 1) {
    DimExpr PerGroup = DimExpr::floorDiv(Shape[1], Conv.getFeatureGroups());
    Index Group = M.divRem(At.PerDim[1], KB.divisor(PerGroup), N).first;
    Channel = M.mul(Group, KB.dim(Fil[1]), N);
  }
  if (Conv.getBatchGroups() > 1) {
    DimExpr PerGroup = DimExpr::floorDiv(Shape[1], Conv.getBatchGroups());
    Index Group = M.divRem(At.PerDim[1], KB.divisor(PerGroup), N).first;
    Image = M.add(Image, M.mul(Group, KB.dim(Shape[0]), N), N);
  }
  Accumulator Acc(KB, Input, Filter, Conv.getResult());
  Type Element = getElementTypeOrSelf(Input.getType());
  Type Register = registerType(Element);
  auto Zero = [&] {
    return KB.splat(KB.builder().getZeroAttr(Register), Register);
  };
  Coords X(Rank), F(Rank);
  X.PerDim[0] = Image;
  F.PerDim[0] = At.PerDim[1];
  std::function<SmallVector<Value>(unsigned, ValueRange, Value, Value)> Nest =
      [&](unsigned D, ValueRange Carried, Value Uniform,
          Value PerLane) -> SmallVector<Value> {
    if (D == Rank) {
      Value V = pullIf(
          Uniform, PerLane, L, Element,
          [&](const Lanes &Inside) { return pull(Input, X, Inside); }, Zero);
      return {Acc.add(Carried[0], V, pull(Filter, F, L), N)};
    }
    return KB.forLoop(
        KB.constant(0), KB.dim(Fil[D]), 1, Carried,
        [&](Value K, ValueRange Inner) {
          F.PerDim[D] = M.uniform(K);
          if (D == 1) {
            X.PerDim[1] = M.add(Channel, K);
            return Nest(D + 1, Inner, Uniform, PerLane);
          }
          unsigned S = D - 2;
          Index I = M.mul(At.PerDim[D], KB.constant(Conv.getStrides()[S]), N);
          I = M.add(I, M.mul(K, KB.constant(Conv.getRhsDilation()[S])));
          // Counted from a multiple of the dilation before the padding.
          int64_t Dilation = Conv.getLhsDilation()[S];
          DimExpr Skipped = DimExpr::ceilDiv(Low[S], Dilation);
          I = M.add(I, KB.dim(Skipped * Dilation - Low[S]));
          auto [Q, R] = M.divRem(I, KB.constant(Dilation), N);
          Value U = Uniform, P = PerLane;
          auto Require = [&](Value C) {
            Value &Sum = isa<VectorType>(C.getType()) ? P : U;
            Sum = Sum ? M.both(Sum, C) : C;
          };
          if (Dilation > 1)
            Require(M.equals(R, KB.constant(0), N));
          Require(M.inRange(Q, KB.dim(Skipped), KB.dim(Skipped + In[D]), N));
          X.PerDim[D] = M.add(Q, M.sub(KB.constant(0), KB.dim(Skipped)));
          return Nest(D + 1, Inner, U, P);
        });
  };
  return Acc.finish(Nest(1, Acc.zero(N), {}, {})[0]);
}
