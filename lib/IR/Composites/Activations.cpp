//===- Activations.cpp - Elementwise functions with a name ----------------===//

#include "Families.h"

using namespace limosa;
using namespace limosa::composites;

static Values gelu(CoreBuilder &B, ValueRange In, DictionaryAttr C) {
  Value X = In[0];
  if (stringOf(C, "approximate") == "tanh") {
    // 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
    Value Cubed = B.mulScalar(B.mul(B.mul(X, X), X), 0.044715);
    Value T = B.tanh(B.mulScalar(B.add(X, Cubed), 0.79788456080286535588));
    return {B.mul(B.mulScalar(X, 0.5), B.addScalar(T, 1))};
  }
  Value E = B.erf(B.mulScalar(X, 0.70710678118654752440));
  return {B.mul(B.mulScalar(X, 0.5), B.addScalar(E, 1))};
}

static Value clamp(CoreBuilder &B, Value X, double Low, double High) {
  return B.minScalar(B.maxScalar(X, Low), High);
}

static Values hardSigmoid(CoreBuilder &B, ValueRange In, DictionaryAttr C) {
  Value X =
      B.addScalar(B.mulScalar(In[0], floatOf(C, "alpha")), floatOf(C, "beta"));
  return {clamp(B, X, 0, 1)};
}

static Values hardSwish(CoreBuilder &B, ValueRange In, DictionaryAttr C) {
  Value X = B.addScalar(B.mulScalar(In[0], 1.0 / 6), 0.5);
  return {B.mul(In[0], clamp(B, X, 0, 1))};
}

/// log(1 + exp(x)) without overflow: max(x, 0) + log(1 + exp(-|x|)).
static Value softplusOf(CoreBuilder &B, Value X) {
  Value Tail = B.log(B.addScalar(B.exp(B.neg(B.abs(X))), 1));
  return B.add(B.maxScalar(X, 0), Tail);
}
static Values softplus(CoreBuilder &B, ValueRange In, DictionaryAttr) {
  return {softplusOf(B, In[0])};
}
static Values mish(CoreBuilder &B, ValueRange In, DictionaryAttr) {
  return {B.mul(In[0], B.tanh(softplusOf(B, In[0])))};
}

static Values elu(CoreBuilder &B, ValueRange In, DictionaryAttr C) {
  Value X = In[0], Zero = B.full(0, X);
  Value Negative = B.mulScalar(expm1(B, B.min(X, Zero)), floatOf(C, "alpha"));
  Value Positive = B.mulScalar(X, floatOf(C, "gamma", 1));
  Negative = B.mulScalar(Negative, floatOf(C, "gamma", 1));
  return {
      B.select(B.compare(CompareDirection::GT, X, Zero), Positive, Negative)};
}
static Values celu(CoreBuilder &B, ValueRange In, DictionaryAttr C) {
  Value X = In[0], Zero = B.full(0, X);
  double Alpha = floatOf(C, "alpha");
  Value E = expm1(B, B.mulScalar(B.min(X, Zero), 1 / Alpha));
  return {B.add(B.max(X, Zero), B.mulScalar(E, Alpha))};
}

static constexpr CompositeAttr GeluAttrs[] = {{"approximate", Kind::String}};
static constexpr CompositeAttr HardSigmoidAttrs[] = {{"alpha", Kind::Float},
                                                     {"beta", Kind::Float}};
static constexpr CompositeAttr AlphaAttr[] = {{"alpha", Kind::Float}};
static constexpr CompositeAttr EluAttrs[] = {{"alpha", Kind::Float},
                                             {"gamma", Kind::Float, true}};

llvm::ArrayRef<CompositeDef> composites::activations() {
  static const CompositeDef Table[] = {
      {"gelu", 1,
       "0.5 x (1 + erf(x / sqrt(2))), or its tanh form if approximate is "
       "\"tanh\".",
       GeluAttrs, gelu},
      {"hard_sigmoid", 1, "min(max(alpha x + beta, 0), 1).", HardSigmoidAttrs,
       hardSigmoid},
      {"hard_swish", 1, "x min(max(x / 6 + 1/2, 0), 1).", {}, hardSwish},
      {"softplus", 1, "log(1 + exp(x)).", {}, softplus},
      {"mish", 1, "x tanh(log(1 + exp(x))).", {}, mish},
      {"elu", 1,
       "gamma x for positive x, gamma alpha (exp(x) - 1) otherwise; gamma is 1 "
       "by default (with one it is selu).",
       EluAttrs, elu},
      {"celu", 1, "max(x, 0) + min(0, alpha (exp(x / alpha) - 1)).", AlphaAttr,
       celu},
  };
  return Table;
}
