//===- CoreBuilderReduce.cpp - Ops with combining regions -----------------===//

#include "limosa/IR/CoreBuilder.h"

using namespace mlir;
using namespace limosa;

static RankedTensorType tensorType(Value V) {
  return cast<RankedTensorType>(V.getType());
}

static void unexpected(const Twine &Message) {
  llvm::report_fatal_error("CoreBuilder: " + Message);
}

Value CoreBuilder::combinerInit(Combiner C, Type E) {
  if (C == Combiner::Add || C == Combiner::Or)
    return scalar(0, E);
  if (C == Combiner::Mul)
    return scalar(1, E);
  auto Ty = RankedTensorType::get({}, E);
  Attribute A;
  if (auto F = dyn_cast<FloatType>(E)) {
    A = FloatAttr::get(F, APFloat::getInf(F.getFloatSemantics(),
                                          /*Negative=*/C == Combiner::Max));
  } else {
    unsigned Width = E.getIntOrFloatBitWidth();
    bool Unsigned = E.isUnsignedInteger() || Width == 1;
    APInt Extreme = C == Combiner::And ? APInt::getAllOnes(Width)
                    : C == Combiner::Max
                        ? (Unsigned ? APInt::getMinValue(Width)
                                    : APInt::getSignedMinValue(Width))
                        : (Unsigned ? APInt::getMaxValue(Width)
                                    : APInt::getSignedMaxValue(Width));
    A = IntegerAttr::get(E, Extreme);
  }
  return ConstantOp::create(B, Loc, Ty, DenseElementsAttr::get(Ty, A));
}

Value CoreBuilder::combine(Combiner C, Value L, Value R) {
  switch (C) {
  case Combiner::Add:
    return add(L, R);
  case Combiner::Mul:
    return mul(L, R);
  case Combiner::Max:
    return max(L, R);
  case Combiner::Min:
    return min(L, R);
  case Combiner::And:
    return bitAnd(L, R);
  case Combiner::Or:
    return bitOr(L, R);
  }
  return {};
}

/// Fills the region of reduce, scan or window: (acc.., x..) -> acc..
static void buildCombiningRegion(CoreBuilder &CB, Region &R, ValueRange Vs,
                                 CoreBuilder::VariadicRegion Body) {
  OpBuilder &B = CB.builder();
  OpBuilder::InsertionGuard Guard(B);
  SmallVector<Type> Args;
  for (Value V : Vs)
    Args.push_back(RankedTensorType::get({}, getElementTypeOrSelf(V)));
  size_t N = Args.size();
  Args.append(Args.begin(), Args.begin() + N);
  Block *Block =
      B.createBlock(&R, {}, Args, SmallVector<Location>(Args.size(), CB.loc()));
  ValueRange All = Block->getArguments();
  SmallVector<Value> Results = Body(CB, All.take_front(N), All.drop_front(N));
  YieldOp::create(B, CB.loc(), Results);
}

SmallVector<Value> CoreBuilder::reduce(ValueRange Vs, ValueRange Inits,
                                       Ints Dims, VariadicRegion Body) {
  SmallVector<Type> Types;
  for (Value V : Vs)
    Types.push_back(infer::reduce(tensorType(V), Dims, unexpected));
  auto Op = ReduceOp::create(B, Loc, Types, Vs, Inits, Dims);
  buildCombiningRegion(*this, Op.getBody(), Vs, Body);
  return SmallVector<Value>(Op.getResults());
}

Value CoreBuilder::reduce(Combiner C, Value V, Ints DimsToReduce,
                          bool KeepDims) {
  SmallVector<int64_t> Sorted(DimsToReduce);
  llvm::sort(Sorted);
  if (Sorted.empty())
    return V;
  Value Result =
      reduce(ValueRange(V), combinerInit(C, getElementTypeOrSelf(V)), Sorted,
             [&](CoreBuilder &CB, ValueRange Acc, ValueRange X) {
               return SmallVector<Value>{CB.combine(C, Acc[0], X[0])};
             })[0];
  if (!KeepDims)
    return Result;
  Dims Shape = getDims(V);
  for (int64_t D : Sorted)
    Shape[D] = DimExpr(1);
  return reshape(Result, Shape);
}

Value CoreBuilder::reduceMean(Value V, Ints DimsToReduce, bool KeepDims) {
  Value Sum = reduceSum(V, DimsToReduce, KeepDims);
  DimExpr Count(1);
  Dims In = getDims(V);
  for (int64_t D : DimsToReduce)
    Count = Count * In[D];
  Type E = getElementTypeOrSelf(V);
  Value N = Count.constant() ? scalar(double(*Count.constant()), E)
                             : convert(dim(Count), E);
  return div(Sum, broadcast(N, getDims(Sum), {}));
}

SmallVector<Value> CoreBuilder::scan(ValueRange Vs, ValueRange Inits,
                                     int64_t Dim, bool Exclusive, bool Reverse,
                                     VariadicRegion Body) {
  SmallVector<Type> Types;
  for (Value V : Vs)
    Types.push_back(withOrder(tensorType(V), {}));
  auto Op = ScanOp::create(B, Loc, Types, Vs, Inits, B.getI64IntegerAttr(Dim),
                           B.getBoolAttr(Exclusive), B.getBoolAttr(Reverse));
  buildCombiningRegion(*this, Op.getBody(), Vs, Body);
  return SmallVector<Value>(Op.getResults());
}

std::pair<Value, Value> CoreBuilder::argReduce(Value V, int64_t Dim, bool IsMax,
                                               bool SelectLast, bool KeepDims) {
  Type E = getElementTypeOrSelf(V);
  Value Index = iota(getDims(V), Dim, B.getI64Type());
  // The neutral index loses every tie: the combiner keeps the smaller (or, for
  // the last of equals, the larger) index.
  auto IndexType = RankedTensorType::get({}, B.getI64Type());
  int64_t Neutral = SelectLast ? -1 : INT64_MAX;
  Value IndexInit = ConstantOp::create(
      B, Loc, IndexType, DenseElementsAttr::get(IndexType, Neutral));
  Value ValueInit = combinerInit(IsMax ? Combiner::Max : Combiner::Min, E);
  auto Results = reduce(
      ValueRange{V, Index}, ValueRange{ValueInit, IndexInit}, {Dim},
      [&](CoreBuilder &CB, ValueRange Acc, ValueRange X) {
        using D = CompareDirection;
        Value Better = CB.compare(IsMax ? D::GT : D::LT, X[0], Acc[0]);
        // A NaN wins over every number, and the first NaN stays.
        if (isa<FloatType>(E))
          Better =
              CB.bitOr(Better, CB.bitAnd(CB.compare(D::NE, X[0], X[0]),
                                         CB.compare(D::EQ, Acc[0], Acc[0])));
        Value Equal = CB.compare(D::EQ, X[0], Acc[0]);
        if (isa<FloatType>(E))
          Equal = CB.bitOr(Equal, CB.bitAnd(CB.compare(D::NE, X[0], X[0]),
                                            CB.compare(D::NE, Acc[0], Acc[0])));
        Value Earlier = CB.compare(SelectLast ? D::GT : D::LT, X[1], Acc[1]);
        Value Take = CB.bitOr(Better, CB.bitAnd(Equal, Earlier));
        return SmallVector<Value>{CB.select(Take, X[0], Acc[0]),
                                  CB.select(Take, X[1], Acc[1])};
      });
  if (KeepDims) {
    Dims Shape = getDims(V);
    Shape[Dim] = DimExpr(1);
    for (Value &R : Results)
      R = reshape(R, Shape);
  }
  return {Results[0], Results[1]};
}

SmallVector<Value> CoreBuilder::window(ValueRange Vs, ValueRange Inits,
                                       Ints Sizes, Ints Strides, Ints Dilations,
                                       Exprs PadLow, Exprs PadHigh,
                                       VariadicRegion Body) {
  SmallVector<Type> Types;
  for (Value V : Vs)
    Types.push_back(infer::window(tensorType(V), Sizes, Strides, Dilations,
                                  PadLow, PadHigh, unexpected));
  auto Op = WindowOp::create(B, Loc, Types, Vs, Inits, Sizes, Strides,
                             Dilations, dimsAttr(context(), PadLow),
                             dimsAttr(context(), PadHigh));
  buildCombiningRegion(*this, Op.getBody(), Vs, Body);
  return SmallVector<Value>(Op.getResults());
}

Value CoreBuilder::window(Combiner C, Value V, Value Init, Ints Sizes,
                          Ints Strides, Ints Dilations, Exprs PadLow,
                          Exprs PadHigh) {
  return window(ValueRange(V), ValueRange(Init), Sizes, Strides, Dilations,
                PadLow, PadHigh,
                [&](CoreBuilder &CB, ValueRange Acc, ValueRange X) {
                  return SmallVector<Value>{CB.combine(C, Acc[0], X[0])};
                })[0];
}

SmallVector<Value> CoreBuilder::sort(ValueRange Vs, int64_t Dim,
                                     bool Descending,
                                     std::optional<DimExpr> Limit) {
  SmallVector<Type> Types, Args;
  for (Value V : Vs) {
    Dims Shape = getDims(V);
    if (Limit)
      Shape[Dim] = *Limit;
    Types.push_back(makeTensorType(Shape, getElementTypeOrSelf(V)));
    Args.append(2, RankedTensorType::get({}, getElementTypeOrSelf(V)));
  }
  auto Op = SortOp::create(B, Loc, Types, Vs, B.getI64IntegerAttr(Dim));
  OpBuilder::InsertionGuard Guard(B);
  Block *Body = B.createBlock(&Op.getBody(), {}, Args,
                              SmallVector<Location>(Args.size(), Loc));
  Value X = Body->getArgument(0), Y = Body->getArgument(1);
  Value Before =
      compare(Descending ? CompareDirection::GT : CompareDirection::LT, X, Y);
  // NaN counts as the largest value, so that the order is total.
  if (isa<FloatType>(getElementTypeOrSelf(X))) {
    Value XNan = compare(CompareDirection::NE, X, X),
          YNan = compare(CompareDirection::NE, Y, Y);
    Before = Descending ? bitOr(Before, bitAnd(XNan, bitNot(YNan)))
                        : bitOr(Before, bitAnd(YNan, bitNot(XNan)));
  }
  YieldOp::create(B, Loc, Before);
  return SmallVector<Value>(Op.getResults());
}
