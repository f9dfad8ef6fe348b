//===- Norms.cpp - Softmax and normalisations -----------------------------===//

#include "Families.h"

using namespace limosa;
using namespace limosa::composites;

using Ints = llvm::SmallVector<int64_t>;

static int64_t rankOf(Value V) {
  return mlir::cast<mlir::RankedTensorType>(V.getType()).getRank();
}
static Ints dimsFrom(int64_t First, int64_t Rank) {
  return llvm::to_vector(llvm::seq<int64_t>(First, Rank));
}

/// x - max(x) along an axis.
static Value shifted(CoreBuilder &B, Value X, int64_t Axis) {
  Value Max = B.reduceMax(X, {Axis}, /*KeepDims=*/true);
  return B.sub(X, B.broadcastTo(Max, getDims(X)));
}

static Values softmax(CoreBuilder &B, ValueRange In, DictionaryAttr C) {
  int64_t Axis = intOf(C, "axis");
  Value X = widen(B, In[0]);
  Value E = B.exp(shifted(B, X, Axis));
  Value Sum = B.reduceSum(E, {Axis}, true);
  return {like(B, B.div(E, B.broadcastTo(Sum, getDims(X))), In[0])};
}

static Values logSoftmax(CoreBuilder &B, ValueRange In, DictionaryAttr C) {
  int64_t Axis = intOf(C, "axis");
  Value X = widen(B, In[0]);
  Value D = shifted(B, X, Axis);
  Value LogSum = B.log(B.reduceSum(B.exp(D), {Axis}, true));
  return {like(B, B.sub(D, B.broadcastTo(LogSum, getDims(X))), In[0])};
}

static Values hardmax(CoreBuilder &B, ValueRange In, DictionaryAttr C) {
  int64_t Axis = intOf(C, "axis");
  Value X = In[0];
  Value Best = B.argReduce(X, Axis, /*IsMax=*/true, /*SelectLast=*/false,
                           /*KeepDims=*/true)
                   .second;
  Value Index = B.iota(getDims(X), Axis, B.builder().getI64Type());
  Value Hit =
      B.compare(CompareDirection::EQ, Index, B.broadcastTo(Best, getDims(X)));
  return {like(B, Hit, X)};
}

struct Moments {
  Value Normalized, Mean, InvStd;
};
/// (x - mean) / sqrt(variance + epsilon) over dimensions.
static Moments normalize(CoreBuilder &B, Value X, llvm::ArrayRef<int64_t> Over,
                         double Epsilon) {
  Value Mean = B.reduceMean(X, Over, true);
  Value D = B.sub(X, B.broadcastTo(Mean, getDims(X)));
  Value Variance = B.reduceMean(B.mul(D, D), Over, true);
  Value InvStd = B.rsqrt(B.addScalar(Variance, Epsilon));
  return {B.mul(D, B.broadcastTo(InvStd, getDims(X))), Mean, InvStd};
}

static Values layerNorm(CoreBuilder &B, ValueRange In, DictionaryAttr C) {
  Value X = widen(B, In[0]);
  Moments M = normalize(B, X, dimsFrom(intOf(C, "axis"), rankOf(X)),
                        floatOf(C, "epsilon"));
  Value Y = like(B, M.Normalized, In[0]);
  if (In.size() > 1)
    Y = B.mul(Y, B.broadcastTo(like(B, In[1], Y), getDims(Y)));
  if (In.size() > 2)
    Y = B.add(Y, B.broadcastTo(like(B, In[2], Y), getDims(Y)));
  if (!boolOf(C, "stats"))
    return {Y};
  return {Y, M.Mean, M.InvStd};
}

static Values rmsNorm(CoreBuilder &B, ValueRange In, DictionaryAttr C) {
  Value X = widen(B, In[0]);
  Value Mean =
      B.reduceMean(B.mul(X, X), dimsFrom(intOf(C, "axis"), rankOf(X)), true);
  Value InvRms = B.rsqrt(B.addScalar(Mean, floatOf(C, "epsilon")));
  Value Y = like(B, B.mul(X, B.broadcastTo(InvRms, getDims(X))), In[0]);
  if (In.size() > 1)
    Y = B.mul(Y, B.broadcastTo(like(B, In[1], Y), getDims(Y)));
  return {Y};
}

/// A vector over dimension 1 along the shape of X.
static Value alongChannels(CoreBuilder &B, Value V, Value X) {
  return B.broadcast(V, getDims(X), {1});
}

static Values groupNorm(CoreBuilder &B, ValueRange In, DictionaryAttr C) {
  Dims Shape = getDims(In[0]);
  DimExpr Groups(intOf(C, "groups"));
  // [N, C, X..] as [N, G, C / G, X..]
  Dims Split{Shape[0], Groups, DimExpr::floorDiv(Shape[1], Groups)};
  Split.append(Shape.begin() + 2, Shape.end());
  Value X = widen(B, In[0]);
  Moments M = normalize(B, B.reshape(X, Split), dimsFrom(2, Split.size()),
                        floatOf(C, "epsilon"));
  Value Y = B.reshape(M.Normalized, Shape);
  Y = B.mul(Y, alongChannels(B, widen(B, In[1]), Y));
  Y = B.add(Y, alongChannels(B, widen(B, In[2]), Y));
  return {like(B, Y, In[0])};
}

static Values instanceNorm(CoreBuilder &B, ValueRange In, DictionaryAttr C) {
  Value X = widen(B, In[0]);
  Moments M = normalize(B, X, dimsFrom(2, rankOf(X)), floatOf(C, "epsilon"));
  Value Y = B.mul(M.Normalized, alongChannels(B, widen(B, In[1]), X));
  Y = B.add(Y, alongChannels(B, widen(B, In[2]), X));
  return {like(B, Y, In[0])};
}

static Values lrn(CoreBuilder &B, ValueRange In, DictionaryAttr C) {
  Value X = widen(B, In[0]);
  int64_t Size = intOf(C, "size");
  Ints Sizes(rankOf(X), 1), Ones(rankOf(X), 1);
  Dims Low(rankOf(X), DimExpr(0)), High(Low);
  Sizes[1] = Size;
  Low[1] = DimExpr((Size - 1) / 2);
  High[1] = DimExpr(Size - 1 - (Size - 1) / 2);
  using Combiner = CoreBuilder::Combiner;
  Value Init = B.combinerInit(Combiner::Add, mlir::getElementTypeOrSelf(X));
  Value Sum =
      B.window(Combiner::Add, B.mul(X, X), Init, Sizes, Ones, Ones, Low, High);
  Value Base = B.addScalar(B.mulScalar(Sum, floatOf(C, "alpha") / double(Size)),
                           floatOf(C, "bias"));
  Value Y = B.div(X, B.pow(Base, B.full(floatOf(C, "beta"), Base)));
  return {like(B, Y, In[0])};
}

static constexpr CompositeAttr AxisAttr[] = {{"axis", Kind::Int}};
static constexpr CompositeAttr LayerNormAttrs[] = {
    {"axis", Kind::Int}, {"epsilon", Kind::Float}, {"stats", Kind::Bool, true}};
static constexpr CompositeAttr RmsNormAttrs[] = {{"axis", Kind::Int},
                                                 {"epsilon", Kind::Float}};
static constexpr CompositeAttr GroupNormAttrs[] = {{"groups", Kind::Int},
                                                   {"epsilon", Kind::Float}};
static constexpr CompositeAttr EpsilonAttr[] = {{"epsilon", Kind::Float}};
static constexpr CompositeAttr LrnAttrs[] = {{"size", Kind::Int},
                                             {"alpha", Kind::Float},
                                             {"beta", Kind::Float},
                                             {"bias", Kind::Float}};

llvm::ArrayRef<CompositeDef> composites::norms() {
  static const CompositeDef Table[] = {
      {"softmax", 1, "exp(x - max x) / sum exp(x - max x) along axis (>= 0).",
       AxisAttr, softmax},
      {"log_softmax", 1,
       "x - max x - log sum exp(x - max x) along axis (>= 0).", AxisAttr,
       logSoftmax},
      {"hardmax", 1, "1 at the first maximum along axis (>= 0), 0 elsewhere.",
       AxisAttr, hardmax},
      {"layer_norm", 1,
       "(x - mean) / sqrt(variance + epsilon) * scale + bias over the "
       "dimensions "
       "from axis on; scale and bias are optional and broadcast to x. With "
       "stats "
       "also mean and 1 / sqrt(variance + epsilon), dimensions kept.",
       LayerNormAttrs, layerNorm},
      {"rms_norm", 1,
       "x / sqrt(mean(x^2) + epsilon) * scale over the dimensions from axis "
       "on; "
       "scale is optional and broadcasts to x.",
       RmsNormAttrs, rmsNorm},
      {"group_norm", 1,
       "x[N, C, ..] normalised over each of `groups` groups of channels of a "
       "sample, times scale[C], plus bias[C].",
       GroupNormAttrs, groupNorm},
      {"instance_norm", 1,
       "x[N, C, ..] normalised over each channel of a sample, times scale[C], "
       "plus bias[C].",
       EpsilonAttr, instanceNorm},
      {"lrn", 1,
       "x / (bias + alpha / size * sum x^2)^beta, the sum over `size` channels "
       "(dimension 1) around each.",
       LrnAttrs, lrn},
  };
  return Table;
}
