//===- Reduce.cpp - Reductions, sorting, running sums ---------------------===//

#include "Registry.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

using Combiner = CoreBuilder::Combiner;

/// The dimensions to reduce; null result value: the operator copies its input.
static FailureOr<std::optional<Ints>> reducedDims(Node &N) {
  std::optional<Ints> Axes;
  if (N.Version < 18 && !(N.op() == "ReduceSum" && N.Version >= 13)) {
    Axes = N.ints("axes");
  } else if (N.has(1)) {
    Axes = N.constInts(1);
    if (!Axes)
      return N.fail("axes that are computed are not supported");
  }
  if (!Axes || Axes->empty()) {
    if (N.attr("noop_with_empty_axes", int64_t(0)))
      return std::optional<Ints>();
    return std::optional<Ints>(
        llvm::to_vector(llvm::seq<int64_t>(0, N.rank(0))));
  }
  auto Normal = N.axes(*Axes, N.rank(0));
  if (failed(Normal))
    return failure();
  llvm::sort(*Normal);
  return std::optional<Ints>(*Normal);
}

enum class Kind {
  Sum,
  Mean,
  Max,
  Min,
  Prod,
  L1,
  L2,
  SumSquare,
  LogSum,
  LogSumExp
};

static Value reduceValue(Node &N, Kind K, Value X, const Ints &Dims,
                         bool Keep) {
  CoreBuilder &B = N.B;
  switch (K) {
  case Kind::Sum:
    return B.reduceSum(X, Dims, Keep);
  case Kind::Mean:
    return B.reduceMean(X, Dims, Keep);
  case Kind::Max:
    return B.reduceMax(X, Dims, Keep);
  case Kind::Min:
    return B.reduce(Combiner::Min, X, Dims, Keep);
  case Kind::Prod:
    return B.reduce(Combiner::Mul, X, Dims, Keep);
  case Kind::L1:
    return B.reduceSum(B.abs(X), Dims, Keep);
  case Kind::SumSquare:
    return B.reduceSum(B.mul(X, X), Dims, Keep);
  case Kind::L2: {
    Value Sum = B.reduceSum(B.mul(X, X), Dims, Keep);
    if (isFloatType(N.elem(0)))
      return B.sqrt(Sum);
    return B.convert(B.sqrt(B.convert(Sum, B.builder().getF64Type())),
                     N.elem(0));
  }
  case Kind::LogSum:
  case Kind::LogSumExp:
    break;
  }
  bool Integer = !isFloatType(N.elem(0));
  if (Integer)
    X = B.convert(X, B.builder().getF64Type());
  Value Y;
  if (K == Kind::LogSum) {
    Y = B.log(B.reduceSum(X, Dims, Keep));
  } else {
    // Shifted by the maximum; one that is not finite must not give NaN.
    Value Max = B.reduceMax(X, Dims, true);
    Value Finite =
        B.compare(CompareDirection::LT, B.abs(Max),
                  B.full(std::numeric_limits<double>::infinity(), Max));
    Max = B.select(Finite, Max, B.full(0, Max));
    Value E = B.exp(B.sub(X, B.broadcastTo(Max, getDims(X))));
    Value Sum = B.log(B.reduceSum(E, Dims, true));
    Y = B.add(Sum, Max);
    if (!Keep)
      Y = B.squeeze(Y, Dims);
  }
  return Integer ? B.convert(Y, N.elem(0)) : Y;
}

template <Kind K> static LogicalResult reduce(Node &N) {
  auto Dims = reducedDims(N);
  if (failed(Dims))
    return failure();
  if (!*Dims) {
    // Without axes only what happens to each element is left.
    return N.done(K == Kind::Sum || K == Kind::Mean || K == Kind::Max ||
                          K == Kind::Min || K == Kind::Prod
                      ? N.in(0)
                      : reduceValue(N, K, N.in(0), {}, true));
  }
  bool Keep = N.attr("keepdims", int64_t(1)) != 0;
  Value X = N.in(0);
  if (isBool(N.elem(0))) {
    if (K != Kind::Max && K != Kind::Min)
      return N.fail("bool elements are not supported");
    return N.done(N.B.reduce(K == Kind::Max ? Combiner::Or : Combiner::And, X,
                             **Dims, Keep));
  }
  // Integer means truncate.
  if (K == Kind::Mean && !isFloatType(N.elem(0))) {
    Value Mean = N.B.reduceMean(N.B.convert(X, N.B.builder().getF64Type()),
                                **Dims, Keep);
    return N.done(N.B.convert(Mean, N.elem(0)));
  }
  return N.done(reduceValue(N, K, X, **Dims, Keep));
}

template <bool IsMax> static LogicalResult argReduce(Node &N) {
  auto Axis = N.axis(N.attr("axis", int64_t(0)), N.rank(0));
  if (failed(Axis))
    return failure();
  bool Keep = N.attr("keepdims", int64_t(1)) != 0,
       Last = N.attr("select_last_index", int64_t(0)) != 0;
  return N.done(N.B.argReduce(N.in(0), *Axis, IsMax, Last, Keep).second);
}

static LogicalResult topK(Node &N) {
  auto Axis = N.axis(N.attr("axis", int64_t(-1)), N.rank(0));
  if (failed(Axis))
    return failure();
  DimExpr K, Size = N.dim(0, *Axis);
  if (N.Version < 10) {
    K = DimExpr(N.attr("k", int64_t(-1)));
  } else {
    auto Given = N.sizes(1);
    if (failed(Given))
      return failure();
    if (Given->size() != 1)
      return N.fail("k must have one element");
    K = Given->front();
  }
  if (auto C = K.constant(); C && *C < 0)
    return N.fail("k must not be negative");
  if (auto C = (Size - K).constant(); C && *C < 0)
    return N.fail("k is larger than the dimension");
  Value X = N.in(0);
  Value Index = N.B.iota(getDims(X), *Axis, N.i64());
  bool Largest = N.attr("largest", int64_t(1)) != 0;
  return N.done(N.B.sort({X, Index}, *Axis, /*Descending=*/Largest, K));
}

template <Combiner C> static LogicalResult cumulative(Node &N) {
  auto Given = N.constInts(1);
  if (!Given || Given->size() != 1)
    return N.fail("the axis must be a constant");
  auto Axis = N.axis(Given->front(), N.rank(0));
  if (failed(Axis))
    return failure();
  Value X = N.in(0);
  Value Init = N.B.combinerInit(C, N.elem(0));
  return N.done(N.B.scan(
      ValueRange(X), ValueRange(Init), *Axis,
      N.attr("exclusive", int64_t(0)) != 0, N.attr("reverse", int64_t(0)) != 0,
      [](CoreBuilder &B, ValueRange Acc, ValueRange V) {
        return SmallVector<Value>{B.combine(C, Acc[0], V[0])};
      }));
}

llvm::ArrayRef<OpEntry> limosa::onnximport::reduceOps() {
  static const OpEntry Table[] = {
      {"", "ReduceSum", 1, 1, 1, Numbers, reduce<Kind::Sum>},
      {"", "ReduceSum", 13, 1, 2, Numbers, reduce<Kind::Sum>},
      {"", "ReduceMean", 1, 1, 1, Numbers, reduce<Kind::Mean>},
      {"", "ReduceMean", 18, 1, 2, Numbers, reduce<Kind::Mean>},
      {"", "ReduceMax", 1, 1, 1, Numbers, reduce<Kind::Max>},
      {"", "ReduceMax", 18, 1, 2, Computes, reduce<Kind::Max>},
      {"", "ReduceMin", 1, 1, 1, Numbers, reduce<Kind::Min>},
      {"", "ReduceMin", 18, 1, 2, Computes, reduce<Kind::Min>},
      {"", "ReduceProd", 1, 1, 1, Numbers, reduce<Kind::Prod>},
      {"", "ReduceProd", 18, 1, 2, Numbers, reduce<Kind::Prod>},
      {"", "ReduceL1", 1, 1, 1, Numbers, reduce<Kind::L1>},
      {"", "ReduceL1", 18, 1, 2, Numbers, reduce<Kind::L1>},
      {"", "ReduceL2", 1, 1, 1, Numbers, reduce<Kind::L2>},
      {"", "ReduceL2", 18, 1, 2, Numbers, reduce<Kind::L2>},
      {"", "ReduceSumSquare", 1, 1, 1, Numbers, reduce<Kind::SumSquare>},
      {"", "ReduceSumSquare", 18, 1, 2, Numbers, reduce<Kind::SumSquare>},
      {"", "ReduceLogSum", 1, 1, 1, Numbers, reduce<Kind::LogSum>},
      {"", "ReduceLogSum", 18, 1, 2, Numbers, reduce<Kind::LogSum>},
      {"", "ReduceLogSumExp", 1, 1, 1, Numbers, reduce<Kind::LogSumExp>},
      {"", "ReduceLogSumExp", 18, 1, 2, Numbers, reduce<Kind::LogSumExp>},
      {"", "ArgMax", 1, 1, 1, Numbers, argReduce<true>},
      {"", "ArgMin", 1, 1, 1, Numbers, argReduce<false>},
      {"", "TopK", 1, 1, 1, Numbers, topK},
      {"", "TopK", 10, 2, 2, Numbers, topK},
      {"", "CumSum", 11, 2, 2, Numbers, cumulative<Combiner::Add>},
      {"", "CumProd", 26, 2, 2, Numbers, cumulative<Combiner::Mul>},
  };
  return Table;
}
