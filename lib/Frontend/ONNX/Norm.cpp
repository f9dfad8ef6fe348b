//===- Norm.cpp - Normalisations ------------------------------------------===//

#include "Registry.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

/// Input K is a vector over the channels (dimension 1) of input 0.
static LogicalResult wantChannels(Node &N, unsigned K) {
  if (failed(N.wantMinRank(0, 2)) || failed(N.wantRank(K, 1)))
    return failure();
  return N.wantEqual(N.dim(K, 0), N.dim(0, 1),
                     "channels and input " + Twine(K));
}

static LogicalResult batchNorm(Node &N) {
  for (unsigned K = 1; K < 5; ++K)
    if (failed(wantChannels(N, K)))
      return failure();
  bool Training = N.attr("training_mode", int64_t(0)) != 0 ||
                  (N.Opset < 14 && (N.wants(1) || N.wants(3))) ||
                  (N.Opset < 7 && !N.attr("is_test", int64_t(0)));
  if (N.Version < 9 && N.attr("spatial", int64_t(1)) == 0)
    return N.fail("spatial = 0 is not supported");
  // Scale and shift are vectors that the compiler knows: it folds them.
  Type E = N.elem(0), Wide = E.getIntOrFloatBitWidth() < 32 ? N.f32() : E;
  Value X = N.B.convert(N.in(0), Wide);
  Dims Shape = N.dims(0);
  auto vector = [&](unsigned K) {
    return N.as(N.B.convert(N.in(K), Wide), {Shape[1]});
  };
  Value Mean = vector(3), Variance = vector(4);
  if (Training) {
    // The batch's own statistics; the running ones move towards them.
    Ints Others{0};
    for (size_t D = 2; D < Shape.size(); ++D)
      Others.push_back(int64_t(D));
    Value Own = N.B.reduceMean(X, Others);
    Value Apart = N.B.sub(X, N.B.broadcast(Own, Shape, {1}));
    Value Spread = N.B.reduceMean(N.B.mul(Apart, Apart), Others);
    double Momentum = N.attr("momentum", 0.9);
    auto running = [&](Value Old, Value New, unsigned K) {
      Value V = N.B.add(N.B.mulScalar(Old, Momentum),
                        N.B.mulScalar(New, 1 - Momentum));
      return N.B.convert(V, N.elem(K));
    };
    N.out(1, running(Mean, Own, 3));
    N.out(2, running(Variance, Spread, 4));
    Mean = Own;
    Variance = Spread;
    // Until opset 13 the statistics themselves are results too.
    N.out(3, N.B.convert(Own, N.elem(3)));
    N.out(4, N.B.convert(Spread, N.elem(4)));
  }
  Value Inverse = N.B.rsqrt(N.B.addScalar(Variance, N.attr("epsilon", 1e-5)));
  Value Scale = N.B.mul(vector(1), Inverse);
  Value Shift = N.B.sub(vector(2), N.B.mul(Mean, Scale));
  Value Y = N.B.add(N.B.mul(X, N.B.broadcast(Scale, Shape, {1})),
                    N.B.broadcast(Shift, Shape, {1}));
  return N.done(N.B.convert(Y, E));
}

static LogicalResult instanceNorm(Node &N) {
  if (failed(wantChannels(N, 1)) || failed(wantChannels(N, 2)) ||
      failed(N.wantMinRank(0, 3)))
    return failure();
  return N.done(N.composite("instance_norm", N.allIn(),
                            {N.cfg("epsilon", N.attr("epsilon", 1e-5))}));
}

static LogicalResult groupNorm(Node &N) {
  if (failed(N.wantMinRank(0, 2)) || failed(N.wantRank(1, 1)) ||
      failed(N.wantRank(2, 1)))
    return failure();
  int64_t Groups = N.attr("num_groups", int64_t(0));
  auto Channels = N.dim(0, 1).constant();
  Value X = N.in(0);
  if (!Channels && N.Version >= 21 && (Channels = N.dim(1, 0).constant())) {
    // The scale tells how many there are.
    if (failed(wantChannels(N, 1)))
      return failure();
    Dims Shape = N.dims(0);
    Shape[1] = DimExpr(*Channels);
    X = N.as(X, Shape);
  }
  if (Groups < 1 || !Channels || *Channels % Groups)
    return N.fail("num_groups must divide the channels, which must be known");
  // Until opset 20 scale and bias are per group.
  auto perChannel = [&](unsigned K) -> FailureOr<Value> {
    Value V = N.in(K);
    if (N.Version >= 21)
      return failed(wantChannels(N, K)) ? FailureOr<Value>(failure()) : V;
    if (failed(N.wantEqual(N.dim(K, 0), DimExpr(Groups), "groups")))
      return failure();
    V = N.B.broadcast(V, {DimExpr(Groups), DimExpr(*Channels / Groups)}, {0});
    return N.B.reshape(V, {DimExpr(*Channels)});
  };
  auto Scale = perChannel(1), Bias = perChannel(2);
  if (failed(Scale) || failed(Bias))
    return failure();
  return N.done(N.composite(
      "group_norm", {X, *Scale, *Bias},
      {N.cfg("groups", Groups), N.cfg("epsilon", N.attr("epsilon", 1e-5))}));
}

/// Operands X, scale and bias of a norm over the dimensions from Axis on.
static FailureOr<SmallVector<Value>> normOperands(Node &N, Value X,
                                                  ArrayRef<unsigned> Others) {
  SmallVector<Value> Out{X};
  for (unsigned K : Others) {
    if (!N.has(K))
      break;
    // Checked only: the composite broadcasts by itself.
    if (failed(N.broadcastTo(N.in(K), getDims(X))))
      return failure();
    Out.push_back(N.in(K));
  }
  return Out;
}

static LogicalResult layerNorm(Node &N) {
  auto Axis = N.axis(N.attr("axis", int64_t(-1)), N.rank(0));
  if (failed(Axis))
    return failure();
  auto Operands = normOperands(N, N.in(0), {1, 2});
  if (failed(Operands))
    return failure();
  SmallVector<NamedAttribute> Config{N.cfg("axis", *Axis),
                                     N.cfg("epsilon", N.attr("epsilon", 1e-5))};
  if (N.wants(1) || N.wants(2))
    Config.push_back(N.cfg("stats", true));
  return N.done(N.composite("layer_norm", *Operands, Config));
}

static LogicalResult rmsNorm(Node &N) {
  auto Axis = N.axis(N.attr("axis", int64_t(-1)), N.rank(0));
  if (failed(Axis))
    return failure();
  auto Operands = normOperands(N, N.in(0), {1});
  if (failed(Operands))
    return failure();
  return N.done(N.composite(
      "rms_norm", *Operands,
      {N.cfg("axis", *Axis), N.cfg("epsilon", N.attr("epsilon", 1e-5))}));
}

/// com.microsoft: layer norm of x + skip (+ bias); the sum is output 3.
static LogicalResult skipNorm(Node &N) {
  bool Rms = N.op() == "SkipSimplifiedLayerNormalization";
  auto Sum = N.broadcast({N.in(0), N.in(1)});
  if (failed(Sum))
    return failure();
  Value X = N.B.add((*Sum)[0], (*Sum)[1]);
  unsigned BiasInput = Rms ? 3 : 4;
  if (N.has(BiasInput)) {
    auto Bias = N.broadcastTo(N.in(BiasInput), getDims(X));
    if (failed(Bias))
      return failure();
    X = N.B.add(X, *Bias);
  }
  auto Operands = Rms ? normOperands(N, X, {2}) : normOperands(N, X, {2, 3});
  if (failed(Operands))
    return failure();
  int64_t Axis = int64_t(getDims(X).size()) - 1;
  if (Axis < 0)
    return N.fail("input 0 must not be a scalar");
  N.out(0, N.composite(Rms ? "rms_norm" : "layer_norm", *Operands,
                       {N.cfg("axis", Axis),
                        N.cfg("epsilon", N.attr("epsilon", 1e-12))})[0]);
  N.out(3, X);
  return success();
}

static LogicalResult lrn(Node &N) {
  int64_t Size = N.attr("size", int64_t(0));
  if (failed(N.wantMinRank(0, 2)))
    return failure();
  if (Size < 1)
    return N.fail("size must be positive");
  return N.done(
      N.composite("lrn", {N.in(0)},
                  {N.cfg("size", Size), N.cfg("alpha", N.attr("alpha", 1e-4)),
                   N.cfg("beta", N.attr("beta", 0.75)),
                   N.cfg("bias", N.attr("bias", 1.0))}));
}

static LogicalResult lpNorm(Node &N) {
  auto Axis = N.axis(N.attr("axis", int64_t(-1)), N.rank(0));
  int64_t P = N.attr("p", int64_t(2));
  if (failed(Axis))
    return failure();
  if (P != 1 && P != 2)
    return N.fail("p must be 1 or 2");
  Value X = N.in(0);
  Value Sum = N.B.reduceSum(P == 1 ? N.B.abs(X) : N.B.mul(X, X), {*Axis}, true);
  Value Norm = P == 1 ? Sum : N.B.sqrt(Sum);
  // Where the norm is 0 so is the result.
  Value Zero = N.B.compare(CompareDirection::EQ, Norm, N.B.full(0, Norm));
  Norm = N.B.select(Zero, N.B.full(1, Norm), Norm);
  return N.done(N.B.div(X, N.B.broadcastTo(Norm, getDims(X))));
}

static LogicalResult meanVarianceNorm(Node &N) {
  auto Given = N.ints("axes");
  auto Axes = N.axes(Given ? *Given : Ints{0, 2, 3}, N.rank(0));
  if (failed(Axes))
    return failure();
  Value X = N.in(0);
  Value Mean = N.B.reduceMean(X, *Axes, true);
  Value D = N.B.sub(X, N.B.broadcastTo(Mean, getDims(X)));
  Value Std = N.B.sqrt(N.B.reduceMean(N.B.mul(D, D), *Axes, true));
  Std = N.B.addScalar(Std, 1e-9);
  return N.done(N.B.div(D, N.B.broadcastTo(Std, getDims(X))));
}

llvm::ArrayRef<OpEntry> limosa::onnximport::normOps() {
  static const OpEntry Table[] = {
      {"", "BatchNormalization", 1, 5, 5, Floats, batchNorm},
      {"", "BatchNormalization", 9, 5, 5, Floats, batchNorm},
      {"", "BatchNormalization", 14, 5, 5, Floats, batchNorm},
      {"", "InstanceNormalization", 6, 3, 3, Floats, instanceNorm},
      {"", "GroupNormalization", 18, 3, 3, Floats, groupNorm},
      {"", "GroupNormalization", 21, 3, 3, Floats, groupNorm},
      {"", "LayerNormalization", 17, 2, 3, Floats, layerNorm},
      // Written by older exporters with the domain left out.
      {"", "LayerNormalization", 1, 2, 3, Floats, layerNorm},
      {"", "SimplifiedLayerNormalization", 1, 2, 2, Floats, rmsNorm},
      {"", "RMSNormalization", 23, 2, 2, Floats, rmsNorm},
      {"", "LRN", 1, 1, 1, Floats, lrn},
      {"", "LpNormalization", 1, 1, 1, Floats, lpNorm},
      {"", "MeanVarianceNormalization", 9, 1, 1, Floats, meanVarianceNorm},
      {"com.microsoft", "LayerNormalization", 1, 2, 3, Floats, layerNorm},
      {"com.microsoft", "SimplifiedLayerNormalization", 1, 2, 2, Floats,
       rmsNorm},
      {"com.microsoft", "SkipLayerNormalization", 1, 3, 5, Floats, skipNorm},
      {"com.microsoft", "SkipSimplifiedLayerNormalization", 1, 3, 4, Floats,
       skipNorm},
  };
  return Table;
}
