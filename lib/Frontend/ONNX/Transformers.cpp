//===- Transformers.cpp - Layers of com.microsoft's transformers ----------===//
//
// What onnxruntime's transformers optimiser fuses: attention with its
// projections, and the embeddings in front of it.
//
//===----------------------------------------------------------------------===//

#include "Quantize.h"
#include "Registry.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

using Dir = CompareDirection;

namespace {
/// Which inputs of an attention node are what; None: it has no such input.
struct Places {
  static constexpr unsigned None = ~0u;
  unsigned Mask = None, Bias = None;
};

/// Heads [B, H, S or T, D] and what is added to their scores.
class Heads {
public:
  Heads(Node &N) : N(N), B(N.B), Count(N.attr("num_heads", int64_t(0))) {}

  FailureOr<Value> split(Value V);
  FailureOr<SmallVector<Value>> attend(Value Q, Value K, Value V, Places At);
  int64_t count() const { return Count; }

private:
  FailureOr<Value> mask(unsigned At, ArrayRef<DimExpr> Scores);

  Node &N;
  CoreBuilder &B;
  int64_t Count;
};
} // namespace

/// [B, S, H * D] as [B, H, S, D].
FailureOr<Value> Heads::split(Value V) {
  Dims D = getDims(V);
  if (D.size() != 3 || Count < 1)
    return N.fail("num_heads is missing, or an input's rank is not 3");
  DimExpr Size = DimExpr::floorDiv(D[2], DimExpr(Count));
  if (failed(N.wantEqual(Size * DimExpr(Count), D[2],
                         "the hidden size and a multiple of the heads")))
    return failure();
  return B.transpose(B.reshape(V, {D[0], D[1], DimExpr(Count), Size}),
                     {0, 2, 1, 3});
}

/// A mask of keys that count: lengths [B], or truth [B, T] or [B, S, T].
FailureOr<Value> Heads::mask(unsigned At, ArrayRef<DimExpr> Scores) {
  const DimExpr &Batch = Scores[0], &T = Scores[3];
  Value M = B.convert(N.in(At), N.i64()), Counts;
  Dims Shape;
  switch (N.rank(At)) {
  case 1: {
    if (failed(N.wantEqual(N.dim(At, 0), Batch, "lengths and batch")))
      return failure();
    Dims Plane{Batch, T};
    Counts = B.compare(Dir::LT, B.iota(Plane, 1, N.i64()),
                       B.broadcast(N.as(M, {Batch}), Plane, {0}));
    Shape = {Batch, DimExpr(1), DimExpr(1), T};
    break;
  }
  case 2:
  case 3: {
    Dims Own = N.dims(At);
    Counts = B.compare(Dir::NE, M, B.full(0, M));
    Shape = {Own[0], DimExpr(1), N.rank(At) == 3 ? Own[1] : DimExpr(1),
             Own.back()};
    break;
  }
  default:
    return N.fail("a mask of rank " + Twine(N.rank(At)) + " is not supported");
  }
  Counts = B.reshape(Counts, Shape);
  double Hidden = N.attr("mask_filter_value", -10000.0);
  return B.select(Counts, B.full(0, Shape, N.f32()),
                  B.full(Hidden, Shape, N.f32()));
}

/// Results [B, S, H * D], keys and values.
FailureOr<SmallVector<Value>> Heads::attend(Value Q, Value K, Value V,
                                            Places At) {
  Dims QD = getDims(Q), KD = getDims(K);
  Dims Scores{QD[0], QD[1], QD[2], KD[2]};
  double Scale = N.attr("scale", 0.0);
  if (Scale == 0) {
    auto Size = QD[3].constant();
    if (!Size || *Size < 1)
      return N.fail("the head size must be known");
    Scale = 1 / std::sqrt(double(*Size));
  }
  SmallVector<Value> Parts;
  if (At.Mask != Places::None && N.has(At.Mask)) {
    auto M = mask(At.Mask, Scores);
    if (failed(M))
      return failure();
    Parts.push_back(*M);
  }
  if (At.Bias != Places::None && N.has(At.Bias))
    Parts.push_back(B.convert(N.in(At.Bias), N.f32()));
  if (N.attr("unidirectional", int64_t(0))) {
    Dims Plane{Scores[2], Scores[3]};
    // The last query sees all keys.
    Value Row = B.add(B.iota(Plane, 0, N.i64()),
                      B.broadcast(B.dim(Scores[3] - Scores[2]), Plane, {}));
    Value Seen = B.compare(Dir::LE, B.iota(Plane, 1, N.i64()), Row);
    double Low = -std::numeric_limits<double>::infinity();
    Parts.push_back(
        B.select(Seen, B.full(0, Plane, N.f32()), B.full(Low, Plane, N.f32())));
  }
  SmallVector<Value> Operands{Q, K, V};
  if (!Parts.empty()) {
    Value Bias = Parts[0];
    for (Value P : llvm::drop_begin(Parts)) {
      auto Both = N.broadcast({Bias, P});
      if (failed(Both))
        return failure();
      Bias = B.add((*Both)[0], (*Both)[1]);
    }
    if (failed(N.broadcastTo(Bias, Scores)))
      return failure();
    Operands.push_back(B.convert(Bias, getElementTypeOrSelf(Q)));
  }
  Value Y = N.composite("attention", Operands, {N.cfg("scale", Scale)})[0];
  Dims D = getDims(Y);
  Y = B.reshape(B.transpose(Y, {0, 2, 1, 3}), {D[0], D[2], D[1] * D[3]});
  return SmallVector<Value>{Y, K, V};
}

//===----------------------------------------------------------------------===//
// Attention and QAttention
//===----------------------------------------------------------------------===//

/// Keys and values behind those of past[2, B, H, P, D], input `Past`.
static LogicalResult appendPast(Node &N, unsigned Past, Value &K, Value &V) {
  if (!N.has(Past))
    return success();
  if (failed(N.wantRank(Past, 5)))
    return failure();
  Dims Own = N.dims(Past), Like = getDims(K);
  Dims Shape{Like[0], Like[1], Own[3], Like[3]};
  Value All = N.in(Past);
  for (int D : {0, 1, 3})
    if (failed(N.wantEqual(Own[D + 1], Shape[D], "sizes of the past")))
      return failure();
  for (int Which : {0, 1}) {
    Value Old = N.B.reshape(N.B.sliceDim(All, 0, DimExpr(Which), DimExpr(1)),
                            {Own[1], Own[2], Own[3], Own[4]});
    Value &New = Which ? V : K;
    New = N.B.concat({N.as(Old, Shape), New}, 2);
  }
  return success();
}

/// Attention over projections [B, S, q + k + v] in one tensor.
static LogicalResult attendProjected(Node &N, Value All, unsigned Mask,
                                     unsigned Past, unsigned Bias) {
  Heads H(N);
  if (N.attr("do_rotary", int64_t(0)))
    return N.fail("rotary embedding inside is not supported");
  Dims D = getDims(All);
  SmallVector<DimExpr, 3> Sizes;
  if (auto Given = N.ints("qkv_hidden_sizes"); Given && !Given->empty()) {
    if (Given->size() != 3)
      return N.fail("qkv_hidden_sizes must have three entries");
    Sizes.assign(Given->begin(), Given->end());
  } else {
    Sizes.assign(3, DimExpr::floorDiv(D[2], DimExpr(3)));
  }
  if (failed(N.wantEqual(Sizes[0] + Sizes[1] + Sizes[2], D[2],
                         "the sizes of the projections")))
    return failure();
  SmallVector<Value> Parts;
  DimExpr At(0);
  for (const DimExpr &Size : Sizes) {
    auto V = H.split(N.B.sliceDim(All, 2, At, Size));
    if (failed(V))
      return failure();
    Parts.push_back(*V);
    At = At + Size;
  }
  if (failed(appendPast(N, Past, Parts[1], Parts[2])))
    return failure();
  Places P;
  P.Mask = Mask;
  P.Bias = Bias;
  auto Out = H.attend(Parts[0], Parts[1], Parts[2], P);
  if (failed(Out))
    return failure();
  N.out(0, (*Out)[0]);
  if (N.wants(1))
    N.out(1, N.B.concat({N.B.expandDims((*Out)[1], {0}),
                         N.B.expandDims((*Out)[2], {0})},
                        0));
  return success();
}

static FailureOr<Value> plusBias(Node &N, Value Y, unsigned Bias) {
  if (!N.has(Bias))
    return Y;
  auto V = N.broadcast({Y, N.in(Bias)});
  if (failed(V))
    return failure();
  return N.B.add((*V)[0], (*V)[1]);
}

/// x, weights, bias, mask, past, bias of the scores.
static LogicalResult attention(Node &N) {
  if (failed(N.wantRank(0, 3)) || failed(N.wantRank(1, 2)))
    return failure();
  auto All = N.matmul(N.in(0), N.in(1));
  if (failed(All) || failed(All = plusBias(N, *All, 2)))
    return failure();
  return attendProjected(N, *All, 3, 4, 5);
}

/// x, weights, bias, their scales, mask, their zero points, past.
static LogicalResult qattention(Node &N) {
  if (failed(N.wantRank(0, 3)) || failed(N.wantRank(1, 2)))
    return failure();
  auto A = bytesOf(N, 0, 6, -1), W = bytesOf(N, 1, 7, 1);
  if (failed(A) || failed(W))
    return failure();
  auto Product = integerMatmul(N, *A, *W);
  if (failed(Product))
    return failure();
  auto SA = N.scalarLike(3, *Product);
  auto SW = N.type(4).hasStaticShape() && N.type(4).getNumElements() == 1
                ? N.scalarLike(4, *Product)
                : N.broadcastTo(N.in(4), getDims(*Product));
  if (failed(SA) || failed(SW))
    return failure();
  Value All = N.B.mul(N.B.convert(*Product, N.f32()), N.B.mul(*SA, *SW));
  auto Biased = plusBias(N, All, 2);
  return failed(Biased) ? failure()
                        : attendProjected(N, *Biased, 5, 8, Places::None);
}

//===----------------------------------------------------------------------===//
// MultiHeadAttention
//===----------------------------------------------------------------------===//

/// query, key, value, bias, mask, bias of the scores, past key and value.
static LogicalResult multiHeadAttention(Node &N) {
  if (!N.has(1) || !N.has(2))
    return N.fail("packed queries, keys and values are not supported");
  Heads H(N);
  SmallVector<Value> Parts{N.in(0), N.in(1), N.in(2)};
  if (N.has(3)) {
    DimExpr At(0);
    for (Value &V : Parts) {
      Dims D = getDims(V);
      if (D.size() != 3)
        return N.fail("a bias needs inputs of rank 3");
      Value Bias = N.B.sliceDim(N.in(3), 0, At, D[2]);
      V = N.B.add(V, N.B.broadcast(Bias, D, {2}));
      At = At + D[2];
    }
  }
  for (Value &V : Parts) {
    // Keys and values of cross attention may be split already.
    if (cast<RankedTensorType>(V.getType()).getRank() == 4)
      continue;
    auto Split = H.split(V);
    if (failed(Split))
      return failure();
    V = *Split;
  }
  for (unsigned K : {1u, 2u}) {
    if (!N.has(K + 5))
      continue;
    if (failed(N.wantRank(K + 5, 4)))
      return failure();
    Dims Own = N.dims(K + 5), Like = getDims(Parts[K]);
    for (int D : {0, 1, 3})
      if (failed(N.wantEqual(Own[D], Like[D], "sizes of the past")))
        return failure();
    Value Old = N.as(N.in(K + 5), {Like[0], Like[1], Own[2], Like[3]});
    Parts[K] = N.B.concat({Old, Parts[K]}, 2);
  }
  Places P;
  P.Mask = 4;
  P.Bias = 5;
  auto Out = H.attend(Parts[0], Parts[1], Parts[2], P);
  return failed(Out) ? failure() : N.done(ValueRange(*Out));
}

//===----------------------------------------------------------------------===//
// Embeddings
//===----------------------------------------------------------------------===//

/// ids, segments, tables of words, positions and segments, gamma, beta, mask,
/// position ids.
static LogicalResult embedLayerNorm(Node &N) {
  CoreBuilder &B = N.B;
  if (failed(N.wantRank(0, 2)))
    return failure();
  Dims Ids = N.dims(0);
  auto rows = [&](unsigned Table, Value At) {
    return B.take(N.in(Table), B.convert(At, N.i64()), 0);
  };
  Value Words = rows(2, N.in(0));
  Value Position = N.has(8) ? N.in(8) : B.iota(Ids, 1, N.i64());
  auto Sum = N.broadcast({Words, rows(3, Position)});
  if (failed(Sum))
    return failure();
  Value X = B.add((*Sum)[0], (*Sum)[1]);
  if (N.has(1) && N.has(4)) {
    Value Segments = rows(4, N.as(N.in(1), Ids));
    X = B.add(X, N.as(Segments, getDims(X)));
  }
  Value Y = N.composite("layer_norm", {X, N.in(5), N.in(6)},
                        {N.cfg("axis", int64_t(2)),
                         N.cfg("epsilon", N.attr("epsilon", 1e-12))})[0];
  N.out(0, Y);
  if (N.wants(1)) {
    // How many ids of each sample count.
    Value Lengths = N.has(7) ? B.reduceSum(B.convert(N.in(7), N.i32()), {1})
                             : B.full(0, {Ids[0]}, N.i32());
    N.out(1, Lengths);
  }
  N.out(2, X);
  return success();
}

llvm::ArrayRef<OpEntry> limosa::onnximport::transformerOps() {
  static const OpEntry Table[] = {
      {"com.microsoft", "Attention", 1, 2, 7, Floats, attention},
      {"com.microsoft", "QAttention", 1, 5, 9, Integers, qattention},
      {"com.microsoft", "MultiHeadAttention", 1, 1, 8, Floats,
       multiHeadAttention},
      {"com.microsoft", "EmbedLayerNormalization", 1, 7, 9, Integers,
       embedLayerNorm},
  };
  return Table;
}
