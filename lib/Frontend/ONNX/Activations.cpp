//===- Activations.cpp - Activation functions and softmax -----------------===//

#include "Activate.h"
#include "Registry.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

using Dir = CompareDirection;

static LogicalResult relu(Node &N) { return N.done(N.B.maxScalar(N.in(0), 0)); }
static LogicalResult sigmoid(Node &N) { return N.done(N.B.sigmoid(N.in(0))); }

static LogicalResult leakyRelu(Node &N) {
  Value X = N.in(0);
  Value Scaled = N.B.mulScalar(X, N.attr("alpha", 0.01));
  return N.done(N.B.select(N.B.compare(Dir::LT, X, N.B.full(0, X)), Scaled, X));
}

static LogicalResult prelu(Node &N) {
  Value X = N.in(0);
  if (failed(N.sameElem(0, 1)))
    return failure();
  Value Given = N.in(1);
  // Before opset 7 a vector is one slope per channel.
  if (N.Opset < 7 && N.rank(1) == 1 && !N.dim(1, 0).isConstant(1)) {
    Dims Channels(std::max<int64_t>(N.rank(0) - 1, 1), DimExpr(1));
    Channels[0] = N.dim(1, 0);
    Given = N.B.reshape(Given, Channels);
  }
  auto Slope = N.broadcastTo(Given, getDims(X));
  if (failed(Slope))
    return failure();
  return N.done(N.B.select(N.B.compare(Dir::LT, X, N.B.full(0, X)),
                           N.B.mul(X, *Slope), X));
}

static LogicalResult thresholdedRelu(Node &N) {
  Value X = N.in(0);
  Value Above = N.B.compare(Dir::GT, X, N.B.full(N.attr("alpha", 1.0), X));
  return N.done(N.B.select(Above, X, N.B.full(0, X)));
}

static LogicalResult shrink(Node &N) {
  Value X = N.in(0);
  double Lambda = N.attr("lambd", 0.5), Bias = N.attr("bias", 0.0);
  Value Zero = N.B.full(0, X);
  Value Low = N.B.select(N.B.compare(Dir::LT, X, N.B.full(-Lambda, X)),
                         N.B.addScalar(X, Bias), Zero);
  return N.done(N.B.select(N.B.compare(Dir::GT, X, N.B.full(Lambda, X)),
                           N.B.addScalar(X, -Bias), Low));
}

static LogicalResult softsign(Node &N) {
  Value X = N.in(0);
  return N.done(N.B.div(X, N.B.addScalar(N.B.abs(X), 1)));
}

static LogicalResult swish(Node &N) {
  Value X = N.in(0);
  double Alpha = N.attr("alpha", N.op() == "QuickGelu" ? 1.702 : 1.0);
  Value Scaled = Alpha == 1 ? X : N.B.mulScalar(X, Alpha);
  return N.done(N.B.mul(X, N.B.sigmoid(Scaled)));
}

static LogicalResult simple(Node &N, StringRef Composite) {
  return N.done(N.composite(Composite, {N.in(0)}));
}
static LogicalResult softplus(Node &N) { return simple(N, "softplus"); }
static LogicalResult mish(Node &N) { return simple(N, "mish"); }
static LogicalResult hardSwish(Node &N) { return simple(N, "hard_swish"); }

static LogicalResult hardSigmoid(Node &N) {
  return N.done(N.composite("hard_sigmoid", {N.in(0)},
                            {N.cfg("alpha", N.attr("alpha", 0.2)),
                             N.cfg("beta", N.attr("beta", 0.5))}));
}
static LogicalResult elu(Node &N) {
  return N.done(
      N.composite("elu", {N.in(0)}, {N.cfg("alpha", N.attr("alpha", 1.0))}));
}
static LogicalResult celu(Node &N) {
  double Alpha = N.attr("alpha", 1.0);
  if (Alpha == 0)
    return N.fail("alpha must not be 0");
  return N.done(N.composite("celu", {N.in(0)}, {N.cfg("alpha", Alpha)}));
}
static LogicalResult selu(Node &N) {
  return N.done(N.composite(
      "elu", {N.in(0)},
      {N.cfg("alpha", N.attr("alpha", 1.67326319217681884765625)),
       N.cfg("gamma", N.attr("gamma", 1.05070102214813232421875))}));
}
static LogicalResult gelu(Node &N, Value X, StringRef Approximate) {
  return N.done(N.composite("gelu", {X}, {N.cfg("approximate", Approximate)}));
}
static LogicalResult geluStandard(Node &N) {
  return gelu(N, N.in(0), N.attr("approximate", StringRef("none")));
}
/// com.microsoft: x, and a bias that is added first.
static LogicalResult geluBias(Node &N) {
  Value X = N.in(0);
  if (N.has(1)) {
    auto V = N.broadcast({X, N.in(1)});
    if (failed(V))
      return failure();
    X = N.B.add((*V)[0], (*V)[1]);
  }
  return gelu(N, X, N.op() == "FastGelu" ? "tanh" : "none");
}

FailureOr<Value> limosa::onnximport::activate(Node &N, Value X, StringRef Name,
                                              ArrayRef<double> Parameters) {
  auto at = [&](size_t K, double Default) {
    return K < Parameters.size() ? Parameters[K] : Default;
  };
  if (Name.empty())
    return X;
  if (Name == "Relu")
    return N.B.maxScalar(X, 0);
  if (Name == "Tanh")
    return N.B.tanh(X);
  if (Name == "Sigmoid")
    return N.B.sigmoid(X);
  if (Name == "LeakyRelu")
    return N.B.select(N.B.compare(Dir::LT, X, N.B.full(0, X)),
                      N.B.mulScalar(X, at(0, 0.01)), X);
  if (Name == "Clip") {
    double Infinity = std::numeric_limits<double>::infinity();
    return N.B.minScalar(N.B.maxScalar(X, at(0, -Infinity)), at(1, Infinity));
  }
  if (Name == "HardSigmoid") {
    Value Line = N.B.addScalar(N.B.mulScalar(X, at(0, 0.2)), at(1, 0.5));
    return N.B.minScalar(N.B.maxScalar(Line, 0), 1);
  }
  return N.fail("activation '" + Name + "' is not supported");
}

//===----------------------------------------------------------------------===//
// Softmax
//===----------------------------------------------------------------------===//

static LogicalResult alongAxis(Node &N, StringRef Composite) {
  auto Axis = N.axis(N.attr("axis", int64_t(-1)), N.rank(0));
  if (failed(Axis))
    return failure();
  return N.done(N.composite(Composite, {N.in(0)}, {N.cfg("axis", *Axis)}));
}

/// Before opset 13 the dimensions from axis on count as one.
static LogicalResult flattened(Node &N, StringRef Composite) {
  int64_t Rank = N.rank(0), Axis = N.attr("axis", int64_t(1));
  if (Axis < -Rank || Axis > Rank)
    return N.fail("axis is out of range");
  Axis = Axis < 0 ? Axis + Rank : Axis;
  if (Axis == Rank - 1)
    return N.done(N.composite(Composite, {N.in(0)}, {N.cfg("axis", Axis)}));
  Dims Shape = N.dims(0);
  DimExpr Rows(1), Columns(1);
  for (int64_t D = 0; D < Rank; ++D)
    (D < Axis ? Rows : Columns) = (D < Axis ? Rows : Columns) * Shape[D];
  Value X = N.B.reshape(N.in(0), {Rows, Columns});
  Value Y = N.composite(Composite, {X}, {N.cfg("axis", int64_t(1))})[0];
  return N.done(N.B.reshape(Y, Shape));
}

template <bool Flat> static LogicalResult softmax(Node &N) {
  return Flat ? flattened(N, "softmax") : alongAxis(N, "softmax");
}
template <bool Flat> static LogicalResult logSoftmax(Node &N) {
  return Flat ? flattened(N, "log_softmax") : alongAxis(N, "log_softmax");
}
template <bool Flat> static LogicalResult hardmax(Node &N) {
  return Flat ? flattened(N, "hardmax") : alongAxis(N, "hardmax");
}

llvm::ArrayRef<OpEntry> limosa::onnximport::activationOps() {
  static const OpEntry Table[] = {
      {"", "Relu", 1, 1, 1, Floats | SignedInts, relu},
      {"", "Sigmoid", 1, 1, 1, Floats, sigmoid},
      {"", "LeakyRelu", 1, 1, 1, Floats, leakyRelu},
      {"", "PRelu", 1, 2, 2, Numbers, prelu},
      {"", "ThresholdedRelu", 1, 1, 1, Floats, thresholdedRelu},
      {"", "Shrink", 9, 1, 1, Numbers, shrink},
      {"", "Softsign", 1, 1, 1, Floats, softsign},
      {"", "Softplus", 1, 1, 1, Floats, softplus},
      {"", "Mish", 18, 1, 1, Floats, mish},
      {"", "Swish", 24, 1, 1, Floats, swish},
      {"", "HardSwish", 14, 1, 1, Floats, hardSwish},
      {"", "HardSigmoid", 1, 1, 1, Floats, hardSigmoid},
      {"", "Elu", 1, 1, 1, Floats, elu},
      {"", "Celu", 12, 1, 1, Floats, celu},
      {"", "Selu", 1, 1, 1, Floats, selu},
      {"", "Gelu", 20, 1, 1, Floats, geluStandard},
      {"", "Softmax", 1, 1, 1, Floats, softmax<true>},
      {"", "Softmax", 13, 1, 1, Floats, softmax<false>},
      {"", "LogSoftmax", 1, 1, 1, Floats, logSoftmax<true>},
      {"", "LogSoftmax", 13, 1, 1, Floats, logSoftmax<false>},
      {"", "Hardmax", 1, 1, 1, Floats, hardmax<true>},
      {"", "Hardmax", 13, 1, 1, Floats, hardmax<false>},
      {"com.microsoft", "Gelu", 1, 1, 1, Floats, geluBias},
      {"com.microsoft", "FastGelu", 1, 1, 2, Floats, geluBias},
      {"com.microsoft", "BiasGelu", 1, 2, 2, Floats, geluBias},
      {"com.microsoft", "QuickGelu", 1, 1, 1, Floats, swish},
  };
  return Table;
}
