//===- GroupQuery.cpp - com.microsoft's GroupQueryAttention ---------------===//
//
// Attention of decoders with a cache, as exporters of language models write it.
// Each sample of a batch has a length of its own: its new keys come behind its
// own past ones, wherever the cache ends.
//
//===----------------------------------------------------------------------===//

#include "Registry.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

using Dir = CompareDirection;

namespace {

enum Input : unsigned {
  Query,
  Key,
  Values,
  PastKey,
  PastValue,
  Lengths, ///< of each sample, less one
  Total,   ///< the greatest length
  Cosines,
  Sines,
  Positions,
  Bias,
  Sinks
};

class GroupQuery {
public:
  explicit GroupQuery(Node &N)
      : N(N), B(N.B), Heads(N.attr("num_heads", int64_t(0))),
        KeyHeads(N.attr("kv_num_heads", int64_t(0))) {}

  LogicalResult run();

private:
  LogicalResult readInputs();
  FailureOr<Value> split(Value V, int64_t Count);
  FailureOr<Value> rotated(Value X);
  FailureOr<Value> withPast(unsigned Past, Value New);
  Value scoreMask();

  /// A number for each sample along a shape that begins with the batch.
  Value perSample(Value V, ArrayRef<DimExpr> Shape) {
    return B.broadcast(V, Shape, {0});
  }

  Node &N;
  CoreBuilder &B;
  int64_t Heads, KeyHeads;
  Value Q, K, V;                 // [B, heads, S, D]
  DimExpr Batch, New, Past, All; // samples; new, past and all positions
  Value Before;                  // [B]: positions of each sample that are past
};

} // namespace

/// [B, S, H * D] as [B, H, S, D].
FailureOr<Value> GroupQuery::split(Value X, int64_t Count) {
  Dims D = getDims(X);
  DimExpr Size = DimExpr::floorDiv(D[2], DimExpr(Count));
  if (failed(N.wantEqual(Size * DimExpr(Count), D[2],
                         "the hidden size and a multiple of the heads")))
    return failure();
  return B.transpose(B.reshape(X, {D[0], D[1], DimExpr(Count), Size}),
                     {0, 2, 1, 3});
}

LogicalResult GroupQuery::readInputs() {
  if (Heads < 1 || KeyHeads < 1 || Heads % KeyHeads)
    return N.fail("kv_num_heads must divide num_heads");
  if (N.has(Sinks) || N.attr("smooth_softmax", int64_t(0)))
    return N.fail("head sinks and smooth_softmax are not supported");
  if (N.has(Key) != N.has(Values) || N.has(PastKey) != N.has(PastValue))
    return N.fail("keys and values come together");
  if (!N.has(Lengths) || !N.has(Total))
    return N.fail("seqlens_k and total_sequence_length are needed");
  if (failed(N.wantRank(Query, 3)) || failed(N.wantRank(Lengths, 1)))
    return failure();
  SmallVector<Value, 3> Parts;
  if (N.has(Key)) {
    for (unsigned I : {unsigned(Query), unsigned(Key), unsigned(Values)}) {
      if (failed(N.wantRank(I, 3)) || failed(N.sameElem(Query, I)))
        return failure();
      Parts.push_back(N.in(I));
    }
  } else {
    DimExpr Size =
        DimExpr::floorDiv(N.dim(Query, 2), DimExpr(Heads + 2 * KeyHeads));
    DimExpr At(0);
    for (int64_t Count : {Heads, KeyHeads, KeyHeads}) {
      Parts.push_back(B.sliceDim(N.in(Query), 2, At, Size * DimExpr(Count)));
      At = At + Size * DimExpr(Count);
    }
    if (failed(N.wantEqual(At, N.dim(Query, 2), "the packed size and heads")))
      return failure();
  }
  auto SplitQ = split(Parts[0], Heads), SplitK = split(Parts[1], KeyHeads),
       SplitV = split(Parts[2], KeyHeads);
  if (failed(SplitQ) || failed(SplitK) || failed(SplitV))
    return failure();
  Q = *SplitQ, K = *SplitK, V = *SplitV;
  Batch = getDim(Q.getType(), 0);
  New = getDim(Q.getType(), 2);
  for (Value *X : {&K, &V}) {
    Dims Own = getDims(*X), Want{Batch, DimExpr(KeyHeads), New, Own[3]};
    for (int D : {0, 2})
      if (failed(N.wantEqual(Own[D], Want[D], "batch and sequence")))
        return failure();
    *X = N.as(*X, Want);
  }
  if (failed(N.wantEqual(getDim(K.getType(), 3), getDim(Q.getType(), 3),
                         "head sizes")) ||
      failed(N.wantEqual(N.dim(Lengths, 0), Batch, "lengths and batch")))
    return failure();
  if (!N.type(Total).hasStaticShape() || N.type(Total).getNumElements() != 1)
    return N.fail("total_sequence_length must be a scalar");
  auto Longest = N.sizes(Total);
  if (failed(Longest))
    return failure();
  Past =
      N.has(PastKey) && N.rank(PastKey) == 4 ? N.dim(PastKey, 2) : DimExpr(0);
  All = DimExpr::max(Past, Longest->front());
  // The first run of a sequence has no past, though the cache may have room.
  Value Length =
      B.addScalar(B.convert(N.as(N.in(Lengths), {Batch}), N.i64()), 1);
  Value Behind = B.sub(Length, B.broadcast(B.dim(New), {Batch}, {}));
  Value First = B.compare(Dir::EQ, B.dim(Longest->front()), B.dim(New));
  Before = B.select(B.broadcast(First, {Batch}, {}), B.full(0, Behind), Behind);
  return success();
}

/// Pairs turned by the angles of their positions: those given, or the ones that
/// follow the past.
FailureOr<Value> GroupQuery::rotated(Value X) {
  Dims D = getDims(X);
  if (failed(N.wantRank(Cosines, 2)) || failed(N.wantRank(Sines, 2)))
    return failure();
  Dims Plane{Batch, New};
  Value At = B.add(B.iota(Plane, 1, N.i64()), perSample(Before, Plane));
  if (N.has(Positions)) {
    if (failed(N.wantRank(Positions, 2)))
      return failure();
    At = N.as(B.convert(N.in(Positions), N.i64()), Plane);
  }
  DimExpr Half = N.dim(Cosines, 1);
  Dims Turned{D[0], D[1], D[2], Half};
  auto angles = [&](unsigned Table) {
    Value Rows = B.take(N.in(Table), At, 0);
    return B.broadcast(N.as(Rows, {Batch, New, Half}), Turned, {0, 2, 3});
  };
  if (failed(N.sameElem(Query, Cosines)) || failed(N.sameElem(Query, Sines)) ||
      failed(N.wantEqual(N.dim(Sines, 1), Half, "sizes of the caches")))
    return failure();
  bool Interleaved = N.attr("rotary_interleaved", int64_t(0)) != 0;
  auto half = [&](int64_t I) {
    Dims Start(4, DimExpr(0));
    Start[3] = Interleaved ? DimExpr(I) : DimExpr(I) * Half;
    return B.slice(X, Start, Turned, {1, 1, 1, Interleaved ? 2 : 1});
  };
  if (auto Rest = (D[3] - Half * DimExpr(2)).constant(); Rest && *Rest < 0)
    return N.fail("the caches are wider than the head");
  Value Cos = angles(Cosines), Sin = angles(Sines), A = half(0), C = half(1);
  Value Real = B.sub(B.mul(Cos, A), B.mul(Sin, C));
  Value Imaginary = B.add(B.mul(Sin, A), B.mul(Cos, C));
  DimExpr Part = Half * DimExpr(2);
  Value Y = Interleaved ? B.reshape(B.concat({B.expandDims(Real, {4}),
                                              B.expandDims(Imaginary, {4})},
                                             4),
                                    {D[0], D[1], D[2], Part})
                        : B.concat({Real, Imaginary}, 3);
  if (!(Part == D[3]))
    Y = B.concat({Y, B.sliceDim(X, 3, Part, D[3] - Part)}, 3);
  return Y;
}

/// The cache after this run: position t of a sample is its past's, or a new one
/// where those begin; zero behind them.
FailureOr<Value> GroupQuery::withPast(unsigned Input, Value X) {
  Dims D = getDims(X);
  Value Both = X;
  if (N.has(Input)) {
    if (failed(N.wantRank(Input, 4)) || failed(N.sameElem(Query, Input)))
      return failure();
    Dims Own = N.dims(Input), Want{D[0], D[1], Past, D[3]};
    for (int I = 0; I < 4; ++I)
      if (failed(N.wantEqual(Own[I], Want[I], "sizes of the cache")))
        return failure();
    Both = B.concat({N.as(N.in(Input), Want), X}, 2);
  }
  Dims Plane{Batch, All};
  Value At = B.iota(Plane, 1, N.i64()), Old = perSample(Before, Plane);
  Value IsOld = B.compare(Dir::LT, At, Old);
  Value Behind = B.add(B.sub(At, Old), B.broadcast(B.dim(Past), Plane, {}));
  Value Last = B.broadcast(B.dim(Past + New - DimExpr(1)), Plane, {});
  Value From = B.maxScalar(B.min(B.select(IsOld, At, Behind), Last), 0);
  Value Exists =
      B.compare(Dir::LT, B.sub(At, Old), B.broadcast(B.dim(New), Plane, {}));
  // [B, T, H, D] of [B, P + S, H, D].
  Value Rows = B.gather(B.transpose(Both, {0, 2, 1, 3}),
                        B.expandDims(From, {2}), {1}, 1);
  Value Present = B.transpose(Rows, {0, 2, 1, 3});
  Dims Shape = getDims(Present);
  return B.select(B.broadcast(Exists, Shape, {0, 2}), Present,
                  B.full(0, Present));
}

/// 0 where a query sees a key, -inf elsewhere: [B, 1, S, T].
Value GroupQuery::scoreMask() {
  Dims Cube{Batch, New, All};
  Value Row = B.add(B.iota(Cube, 1, N.i64()), perSample(Before, Cube));
  Value Column = B.iota(Cube, 2, N.i64());
  Value Seen = B.compare(Dir::LE, Column, Row);
  if (int64_t Window = N.attr("local_window_size", int64_t(-1)); Window > 0)
    Seen = B.bitAnd(
        Seen, B.compare(Dir::GT, Column, B.addScalar(Row, double(-Window))));
  Type E = N.elem(Query);
  Value Mask =
      B.select(Seen, B.full(0, Cube, E),
               B.full(-std::numeric_limits<double>::infinity(), Cube, E));
  return B.reshape(Mask, {Batch, DimExpr(1), New, All});
}

LogicalResult GroupQuery::run() {
  if (failed(readInputs()))
    return failure();
  if (N.attr("do_rotary", int64_t(0))) {
    if (!N.has(Cosines) || !N.has(Sines))
      return N.fail("do_rotary needs caches of cosines and sines");
    auto TurnedQ = rotated(Q), TurnedK = rotated(K);
    if (failed(TurnedQ) || failed(TurnedK))
      return failure();
    Q = *TurnedQ, K = *TurnedK;
  }
  auto Keys = withPast(PastKey, K), Vals = withPast(PastValue, V);
  if (failed(Keys) || failed(Vals))
    return failure();
  double Scale = N.attr("scale", 0.0);
  if (Scale == 0) {
    auto Size = getDim(Q.getType(), 3).constant();
    if (!Size || *Size < 1)
      return N.fail("the head size must be known");
    Scale = 1 / std::sqrt(double(*Size));
  }
  Value Added = scoreMask();
  if (N.has(Bias)) {
    if (failed(N.sameElem(Query, Bias)))
      return failure();
    auto Sum = N.broadcast({Added, N.in(Bias)});
    if (failed(Sum))
      return failure();
    Added = B.add((*Sum)[0], (*Sum)[1]);
  }
  SmallVector<NamedAttribute> Config{N.cfg("scale", Scale)};
  if (double Cap = N.attr("softcap", 0.0); Cap > 0)
    Config.push_back(N.cfg("softcap", Cap));
  Value Y = N.composite("attention", {Q, *Keys, *Vals, Added}, Config)[0];
  Dims D = getDims(Y);
  N.out(0, B.reshape(B.transpose(Y, {0, 2, 1, 3}), {D[0], D[2], D[1] * D[3]}));
  N.out(1, *Keys);
  N.out(2, *Vals);
  return success();
}

static LogicalResult groupQueryAttention(Node &N) {
  return GroupQuery(N).run();
}

llvm::ArrayRef<OpEntry> limosa::onnximport::groupQueryOps() {
  static const OpEntry Table[] = {
      {"com.microsoft", "GroupQueryAttention", 1, 1, 12, Floats,
       groupQueryAttention},
  };
  return Table;
}
