//===- StateSpace.cpp - Layers that carry a state along a sequence --------===//

#include "Registry.h"
#include "Rounds.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

/// What narrow types are computed in.
static Type wideType(Node &N, Type E) {
  return E.getIntOrFloatBitWidth() < 32 ? N.f32() : E;
}

namespace {
/// LinearAttention: a state S[B, H, K, V] per head, updated by each token.
class LinearAttention {
public:
  LinearAttention(Node &N) : N(N), B(N.B) {}
  LogicalResult build();

private:
  LogicalResult read();
  FailureOr<Value> heads(unsigned K, int64_t Heads, bool Scalars);
  SmallVector<Value> step(Value At, ValueRange Carried);

  Node &N;
  CoreBuilder &B;
  Type Wide;
  bool Gated = false, Delta = false;
  int64_t Heads = 0, Group = 0;
  double Scale = 1;
  DimExpr Batch, Length, Keys, Values;
  Value Q, K, V, Decay, Beta; ///< [T, B, H, ..]
};
} // namespace

/// Input At [B, T, H * D] as [T, B, H, D]; with Scalars D may be 1 or, if the
/// input has one number for all heads, that number stands for each.
FailureOr<Value> LinearAttention::heads(unsigned At, int64_t H, bool Scalars) {
  if (failed(N.wantRank(At, 3)))
    return failure();
  Dims D = N.dims(At);
  if (failed(N.wantEqual(D[0], Batch, "batch sizes")) ||
      failed(N.wantEqual(D[1], Length, "sequence lengths")))
    return failure();
  Value X = B.convert(N.as(N.in(At), {Batch, Length, D[2]}), Wide);
  if (Scalars && D[2].isConstant(1) && H != 1)
    X = B.broadcast(B.reshape(X, {Batch, Length}), {Batch, Length, DimExpr(H)},
                    {0, 1});
  DimExpr Total = getDim(X.getType(), 2),
          Size = DimExpr::floorDiv(Total, DimExpr(H));
  if (failed(N.wantEqual(Size * DimExpr(H), Total,
                         "the hidden size and a multiple of the heads")))
    return failure();
  return B.transpose(B.reshape(X, {Batch, Length, DimExpr(H), Size}),
                     {1, 0, 2, 3});
}

LogicalResult LinearAttention::read() {
  std::string Rule = N.attr("update_rule", StringRef("gated_delta"));
  Gated = Rule == "gated" || Rule == "gated_delta";
  Delta = Rule == "delta" || Rule == "gated_delta";
  if (!Gated && !Delta && Rule != "linear")
    return N.fail("update_rule '" + Rule + "' does not exist");
  int64_t QueryHeads = N.attr("q_num_heads", int64_t(0));
  Heads = N.attr("kv_num_heads", int64_t(0));
  if (Heads < 1 || QueryHeads < 1 || QueryHeads % Heads)
    return N.fail("q_num_heads must be a multiple of kv_num_heads");
  if ((Gated && !N.has(4)) || (Delta && !N.has(5)))
    return N.fail("update_rule '" + Rule + "' needs decay or beta");
  if (failed(N.wantRank(0, 3)))
    return failure();
  Group = QueryHeads / Heads;
  Wide = wideType(N, N.elem(0));
  Batch = N.dim(0, 0);
  Length = N.dim(0, 1);
  auto Query = heads(0, QueryHeads, false), Key = heads(1, Heads, false),
       Vectors = heads(2, Heads, false);
  if (failed(Query) || failed(Key) || failed(Vectors))
    return failure();
  Keys = getDim(Key->getType(), 3);
  Values = getDim(Vectors->getType(), 3);
  if (failed(N.wantEqual(getDim(Query->getType(), 3), Keys,
                         "sizes of query and key heads")))
    return failure();
  K = *Key;
  V = *Vectors;
  Q = B.reshape(*Query, {Length, Batch, DimExpr(Heads), DimExpr(Group), Keys});
  if (Gated) {
    auto G = heads(4, Heads, false);
    if (failed(G))
      return failure();
    Decay = B.exp(*G); // [T, B, H, K or 1]
    Dims Full{Length, Batch, DimExpr(Heads), Keys};
    auto Along = N.broadcastTo(Decay, Full);
    if (failed(Along))
      return failure();
    Decay = *Along;
  }
  if (Delta) {
    auto Rate = heads(5, Heads, true);
    if (failed(Rate))
      return failure();
    Beta = B.reshape(*Rate, {Length, Batch, DimExpr(Heads)});
  }
  Scale = N.attr("scale", 0.0);
  if (Scale == 0) {
    auto Size = Keys.constant();
    if (!Size || *Size < 1)
      return N.fail("the size of the heads must be known");
    Scale = 1 / std::sqrt(double(*Size));
  }
  return success();
}

/// One token: the new outputs and state.
SmallVector<Value> LinearAttention::step(Value At, ValueRange Carried) {
  Value S = Carried[1];
  Dims Shape = getDims(S);
  Value KeyAt = rowAt(B, K, At), ValueAt = rowAt(B, V, At);
  if (Gated)
    S = B.mul(S, B.broadcast(rowAt(B, Decay, At), Shape, {0, 1, 2}));
  Value Change = ValueAt;
  if (Delta) {
    // What the state says about the key already is not added again.
    Value Said = B.contract(KeyAt, S, {0, 1}, {0, 1}, {2}, {2});
    Change = B.mul(B.sub(ValueAt, Said),
                   B.broadcast(rowAt(B, Beta, At), getDims(ValueAt), {0, 1}));
  }
  S = B.add(S, B.mul(B.broadcast(KeyAt, Shape, {0, 1, 2}),
                     B.broadcast(Change, Shape, {0, 1, 3})));
  Value O = B.contract(rowAt(B, Q, At), S, {0, 1}, {0, 1}, {3}, {2});
  return {withRow(B, Carried[0], B.mulScalar(O, Scale), At), S};
}

LogicalResult LinearAttention::build() {
  if (failed(read()))
    return failure();
  Dims State{Batch, DimExpr(Heads), Keys, Values};
  Value First;
  if (N.has(3)) {
    if (failed(N.wantRank(3, 4)))
      return failure();
    for (int D = 0; D < 4; ++D)
      if (failed(N.wantEqual(N.dim(3, D), State[D], "sizes of the state")))
        return failure();
    First = B.convert(N.as(N.in(3), State), Wide);
  } else {
    First = B.full(0, State, Wide);
  }
  Value Out =
      B.full(0, {Length, Batch, DimExpr(Heads), DimExpr(Group), Values}, Wide);
  auto Last =
      buildRounds(B, Length, {Out, First}, [&](Value At, ValueRange Carried) {
        return step(At, Carried);
      });
  Value Y = B.transpose(Last[0], {1, 0, 2, 3, 4});
  Y = B.reshape(Y, {Batch, Length, DimExpr(Heads * Group) * Values});
  N.out(0, B.convert(Y, N.elem(0)));
  N.out(1, B.convert(Last[1], N.has(3) ? N.elem(3) : N.elem(0)));
  return success();
}

static LogicalResult linearAttention(Node &N) {
  return LinearAttention(N).build();
}

/// A depthwise convolution that looks back only, over what came before.
static LogicalResult causalConv(Node &N) {
  CoreBuilder &B = N.B;
  if (failed(N.wantRank(0, 3)) || failed(N.wantRank(1, 3)) ||
      failed(N.sameElem(0, 1)))
    return failure();
  Dims X = N.dims(0);
  auto Channels = N.dim(1, 0).constant(), Taps = N.dim(1, 2).constant();
  if (!Channels || !Taps || *Taps < 1 || !N.dim(1, 1).isConstant(1))
    return N.fail("the filter must have a known shape [channels, 1, taps]");
  if (failed(N.wantEqual(X[1], DimExpr(*Channels), "channels")))
    return failure();
  X[1] = DimExpr(*Channels);
  Type E = N.elem(0), Wide = wideType(N, E);
  DimExpr Before(*Taps - 1);
  Value In = N.as(N.in(0), X);
  if (N.has(3)) {
    if (failed(N.wantRank(3, 3)) || failed(N.sameElem(0, 3)) ||
        failed(N.wantEqual(N.dim(3, 0), X[0], "batch sizes")) ||
        failed(N.wantEqual(N.dim(3, 1), X[1], "channels")) ||
        failed(N.wantEqual(N.dim(3, 2), Before, "length of the state")))
      return failure();
    In = B.concat({N.as(N.in(3), {X[0], X[1], Before}), In}, 2);
  } else {
    In = B.pad(In, B.scalar(0, E), {DimExpr(0), DimExpr(0), Before},
               {DimExpr(0), DimExpr(0), DimExpr(0)});
  }
  infer::ConvAttrs A;
  A.Strides = A.LhsDilation = A.RhsDilation = {1};
  A.PadLow = A.PadHigh = {DimExpr(0)};
  A.FeatureGroups = *Channels;
  Value Y = B.conv(B.convert(In, Wide), B.convert(N.in(1), Wide), A);
  if (N.has(2)) {
    if (failed(N.wantRank(2, 1)) ||
        failed(N.wantEqual(N.dim(2, 0), X[1], "bias and channels")))
      return failure();
    Value Bias = N.as(B.convert(N.in(2), Wide), {X[1]});
    Y = B.add(Y, B.broadcast(Bias, getDims(Y), {1}));
  }
  std::string Activation = N.attr("activation", StringRef("none"));
  if (Activation == "silu" || Activation == "swish")
    Y = B.mul(Y, B.sigmoid(Y));
  else if (Activation != "none")
    return N.fail("activation '" + Activation + "' does not exist");
  N.out(0, B.convert(N.as(Y, X), E));
  if (N.wants(1))
    N.out(1, B.sliceDim(In, 2, X[2], Before));
  return success();
}

llvm::ArrayRef<OpEntry> limosa::onnximport::stateSpaceOps() {
  static const OpEntry Table[] = {
      {"", "LinearAttention", 27, 3, 6, Floats, linearAttention},
      {"", "CausalConvWithState", 27, 2, 4, Floats, causalConv},
  };
  return Table;
}
