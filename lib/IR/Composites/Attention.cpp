//===- Attention.cpp - Scaled dot-product attention -----------------------===//

#include "Families.h"

using namespace limosa;
using namespace limosa::composites;

static Values attention(CoreBuilder &B, ValueRange In, DictionaryAttr C) {
  Value Q = In[0], K = In[1], V = In[2];
  Dims QD = getDims(Q), KD = getDims(K);
  // Groups of query heads share a key head: they are more rows of its product.
  DimExpr Heads = KD[1], Group = *QD[1].exactDiv(KD[1]);
  Dims Grouped{QD[0], Heads, Group * QD[2], QD[3]};
  Dims Scores{QD[0], QD[1], QD[2], KD[2]};
  Value S = B.contract(B.reshape(Q, Grouped), K, {0, 1}, {0, 1}, {3}, {3});
  S = widen(B, B.reshape(S, Scores));
  S = B.mulScalar(S, floatOf(C, "scale"));
  if (double Cap = floatOf(C, "softcap"); Cap > 0)
    S = B.mulScalar(B.tanh(B.mulScalar(S, 1 / Cap)), Cap);
  llvm::StringRef Shown = stringOf(C, "scores");
  Value Kept = S;
  if (In.size() > 3)
    S = B.add(S, B.broadcastTo(widen(B, In[3]), Scores));
  if (Shown == "biased")
    Kept = S;
  Value Max = B.reduceMax(S, {3}, /*KeepDims=*/true);
  Value E = B.exp(B.sub(S, B.broadcastTo(Max, Scores)));
  Value Sum = B.reduceSum(E, {3}, /*KeepDims=*/true);
  Value P = B.div(E, B.broadcastTo(Sum, Scores));
  if (Shown == "probabilities")
    Kept = P;
  Dims Rows{QD[0], Heads, Group * QD[2], KD[2]};
  Value Y =
      B.contract(B.reshape(like(B, P, V), Rows), V, {0, 1}, {0, 1}, {3}, {2});
  Y = B.reshape(Y, {QD[0], QD[1], QD[2], getDim(V.getType(), 3)});
  if (Shown.empty())
    return {Y};
  return {Y, like(B, Kept, Q)};
}

static constexpr CompositeAttr AttentionAttrs[] = {
    {"scale", Kind::Float},
    {"softcap", Kind::Float, true},
    {"scores", Kind::String, true}};

llvm::ArrayRef<CompositeDef> composites::attentions() {
  static const CompositeDef Table[] = {
      {"attention", 1,
       "softmax(cap(scale q k^T) + bias) v for q[B, H, S, D], k[B, K, T, D], "
       "v[B, K, T, E], K dividing H, and an optional bias that broadcasts to "
       "[B, H, S, T]; cap(x) = softcap tanh(x / softcap). With scores "
       "(\"capped\", \"biased\" or \"probabilities\") also that matrix.",
       AttentionAttrs, attention},
  };
  return Table;
}
