//===- Attention.cpp - Attention and rotary embedding ---------------------===//

#include "Registry.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

using Dir = CompareDirection;

/// [B, S, H * D] as [B, H, S, D]; rank 4 as it is.
static FailureOr<Value> splitHeads(Node &N, unsigned K, int64_t Heads) {
  Value V = N.in(K);
  if (N.rank(K) == 4)
    return V;
  if (failed(N.wantRank(K, 3)))
    return failure();
  Dims D = N.dims(K);
  if (Heads < 1)
    return N.fail("inputs of rank 3 need the numbers of heads");
  DimExpr Size = DimExpr::floorDiv(D[2], DimExpr(Heads));
  if (failed(N.wantEqual(Size * DimExpr(Heads), D[2],
                         "the hidden size and a multiple of the heads")))
    return failure();
  return N.B.transpose(N.B.reshape(V, {D[0], D[1], DimExpr(Heads), Size}),
                       {0, 2, 1, 3});
}

/// The cache in front of new keys or values, along the sequence.
static FailureOr<Value> withPast(Node &N, unsigned Past, Value New) {
  if (!N.has(Past))
    return New;
  if (failed(N.wantRank(Past, 4)))
    return failure();
  Dims Old = N.dims(Past), Want = getDims(New);
  for (int D : {0, 1, 3})
    if (failed(N.wantEqual(Old[D], Want[D], "sizes of the cache")))
      return failure();
  Want[2] = Old[2];
  if (getElementTypeOrSelf(New) != N.elem(Past))
    return N.fail("the cache has another element type");
  return N.B.concat({N.as(N.in(Past), Want), New}, 2);
}

/// 0 where a bool mask is true, -inf elsewhere.
static Value asBias(Node &N, Value Mask, Type E) {
  Dims Shape = getDims(Mask);
  return N.B.select(
      Mask, N.B.full(0, Shape, E),
      N.B.full(-std::numeric_limits<double>::infinity(), Shape, E));
}

/// Everything that is added to the scores [B, H, S, T]; null for nothing.
static FailureOr<Value> attentionBias(Node &N, ArrayRef<DimExpr> Scores) {
  Type E = N.elem(0);
  const DimExpr &S = Scores[2], &T = Scores[3];
  SmallVector<Value> Parts;
  if (N.has(3)) {
    Value Mask = N.in(3);
    if (isBool(N.elem(3)))
      Mask = asBias(N, Mask, E);
    else if (N.elem(3) != E)
      return N.fail("the mask must be bool or have the inputs' element type");
    // A mask that is too short hides what it does not reach.
    Dims Own = getDims(Mask);
    if (Own.empty())
      return N.fail("the mask must not be a scalar");
    DimExpr Missing = T - Own.back();
    if (auto C = Missing.constant(); C && *C > 0 && !Own.back().isConstant(1)) {
      Dims Low(Own.size(), DimExpr(0)), High(Low);
      High.back() = Missing;
      Mask =
          N.B.pad(Mask, N.B.scalar(-std::numeric_limits<double>::infinity(), E),
                  Low, High);
    }
    Parts.push_back(Mask);
  }
  if (N.attr("is_causal", int64_t(0))) {
    DimExpr Past = N.has(4) ? N.dim(4, 2) : DimExpr(0);
    Dims Plane{S, T};
    Value Row = N.B.iota(Plane, 0, N.i64());
    Row = N.B.add(Row, N.B.broadcast(N.B.dim(Past), Plane, {}));
    Value Column = N.B.iota(Plane, 1, N.i64());
    Parts.push_back(asBias(N, N.B.compare(Dir::LE, Column, Row), E));
  }
  if (N.has(6)) {
    if (failed(N.wantRank(6, 1)) ||
        failed(N.wantEqual(N.dim(6, 0), Scores[0], "batch sizes")))
      return failure();
    Dims Plane{Scores[0], T};
    Value Length = N.as(N.B.convert(N.in(6), N.i64()), {Scores[0]});
    Value Inside = N.B.compare(Dir::LT, N.B.iota(Plane, 1, N.i64()),
                               N.B.broadcast(Length, Plane, {0}));
    Parts.push_back(N.B.reshape(asBias(N, Inside, E),
                                {Scores[0], DimExpr(1), DimExpr(1), T}));
  }
  Value Bias;
  for (Value P : Parts) {
    if (Bias) {
      auto V = N.broadcast({Bias, P});
      if (failed(V))
        return failure();
      Bias = N.B.add((*V)[0], (*V)[1]);
    } else {
      Bias = P;
    }
  }
  if (Bias && failed(N.broadcastTo(Bias, Scores)))
    return failure();
  return Bias;
}

static LogicalResult attention(Node &N) {
  if (failed(N.sameElem(0, 1)) || failed(N.sameElem(0, 2)))
    return failure();
  int64_t QueryHeads = N.attr("q_num_heads", int64_t(0)),
          KeyHeads = N.attr("kv_num_heads", int64_t(0));
  auto Q = splitHeads(N, 0, QueryHeads), K = splitHeads(N, 1, KeyHeads),
       V = splitHeads(N, 2, KeyHeads);
  if (failed(Q) || failed(K) || failed(V) || failed(K = withPast(N, 4, *K)) ||
      failed(V = withPast(N, 5, *V)))
    return failure();
  Dims QD = getDims(*Q), KD = getDims(*K), VD = getDims(*V);
  if (failed(N.wantEqual(QD[0], KD[0], "batch sizes")) ||
      failed(N.wantEqual(KD[0], VD[0], "batch sizes")) ||
      failed(N.wantEqual(KD[1], VD[1], "heads of keys and values")) ||
      failed(N.wantEqual(KD[2], VD[2], "lengths of keys and values")) ||
      failed(N.wantEqual(QD[3], KD[3], "head sizes")))
    return failure();
  if (!QD[1].exactDiv(KD[1]) || KD[1].isConstant(0))
    return N.fail("the key heads must divide the query heads");
  KD[0] = VD[0] = QD[0];
  VD[1] = KD[1];
  VD[2] = KD[2];
  KD[3] = QD[3];
  K = N.as(*K, KD);
  V = N.as(*V, VD);
  double Scale = N.attr("scale", 0.0);
  if (!N.hasAttr("scale")) {
    auto Size = QD[3].constant();
    if (!Size || *Size < 1)
      return N.fail("the head size must be known");
    Scale = 1 / std::sqrt(double(*Size));
  }
  auto Bias = attentionBias(N, {QD[0], QD[1], QD[2], KD[2]});
  if (failed(Bias))
    return failure();
  SmallVector<Value> Operands{*Q, *K, *V};
  if (*Bias)
    Operands.push_back(*Bias);
  SmallVector<NamedAttribute> Config{N.cfg("scale", Scale)};
  if (double Cap = N.attr("softcap", 0.0); Cap > 0)
    Config.push_back(N.cfg("softcap", Cap));
  if (N.wants(3)) {
    int64_t Mode = N.attr("qk_matmul_output_mode", int64_t(0));
    Config.push_back(N.cfg("scores", StringRef(Mode == 2   ? "biased"
                                               : Mode == 3 ? "probabilities"
                                                           : "capped")));
  }
  SmallVector<Value> Out = N.composite("attention", Operands, Config);
  Value Y = Out[0];
  if (N.rank(0) == 3) {
    Dims D = getDims(Y);
    Y = N.B.reshape(N.B.transpose(Y, {0, 2, 1, 3}), {D[0], D[2], D[1] * D[3]});
  }
  N.out(0, Y);
  N.out(1, *K);
  N.out(2, *V);
  if (N.wants(3))
    N.out(3, Out[1]);
  return success();
}

/// Pairs of elements turned by angles that grow with the position. The numbers
/// are those of inputs: caches of cosines and sines, and positions, [B, S] or,
/// in com.microsoft, where the sequence begins.
static LogicalResult rotate(Node &N, unsigned Cosines, unsigned Sines,
                            unsigned Positions) {
  int64_t Heads = N.attr("num_heads", int64_t(0));
  if (Heads == 0 && N.rank(0) == 3 && N.rank(Cosines) == 2) {
    // The caches tell the head's size.
    auto Hidden = N.dim(0, 2).constant(), Half = N.dim(Cosines, 1).constant();
    if (Hidden && Half && *Half > 0)
      Heads = *Hidden / (2 * *Half);
  }
  auto Split = splitHeads(N, 0, Heads);
  if (failed(Split) || failed(N.sameElem(0, Cosines)) ||
      failed(N.sameElem(0, Sines)))
    return failure();
  Value X = *Split; // [B, H, S, D]
  Dims D = getDims(X);
  int64_t Rotated = N.attr("rotary_embedding_dim", int64_t(0));
  DimExpr Part = Rotated > 0 ? DimExpr(Rotated) : D[3];
  auto Half = Part.exactDiv(DimExpr(2));
  if (!Half)
    return N.fail("the rotated size must be even");
  if (auto C = (D[3] - Part).constant(); C && *C < 0)
    return N.fail("rotary_embedding_dim is larger than the head");
  auto angles = [&](unsigned K) -> FailureOr<Value> {
    Value V = N.in(K);
    if (N.has(Positions)) {
      Value At = N.B.convert(N.in(Positions), N.i64());
      if (failed(N.wantRank(K, 2)))
        return failure();
      if (N.rank(Positions) == 1) {
        auto First =
            N.scalarLike(Positions, N.B.full(0, {D[0], D[2]}, N.i64()));
        if (failed(First))
          return failure();
        At = N.B.add(N.B.convert(*First, N.i64()),
                     N.B.iota({D[0], D[2]}, 1, N.i64()));
      }
      V = N.B.take(V, At, 0);
    }
    Dims Own = getDims(V), Want{D[0], D[2], *Half};
    if (Own.size() != 3)
      return N.fail("the caches have the wrong rank");
    for (int A : {0, 1, 2})
      if (failed(N.wantEqual(Own[A], Want[A], "sizes of the caches")))
        return failure();
    return N.B.broadcast(N.as(V, Want), {D[0], D[1], D[2], *Half}, {0, 2, 3});
  };
  auto Cos = angles(Cosines), Sin = angles(Sines);
  if (failed(Cos) || failed(Sin))
    return failure();
  bool Interleaved = N.attr("interleaved", int64_t(0)) != 0;
  Dims Size{D[0], D[1], D[2], *Half};
  auto half = [&](int64_t K) {
    Dims Start(4, DimExpr(0));
    Start[3] = Interleaved ? DimExpr(K) : DimExpr(K) * *Half;
    return N.B.slice(X, Start, Size, {1, 1, 1, Interleaved ? 2 : 1});
  };
  Value A = half(0), C = half(1);
  Value Real = N.B.sub(N.B.mul(*Cos, A), N.B.mul(*Sin, C));
  Value Imaginary = N.B.add(N.B.mul(*Sin, A), N.B.mul(*Cos, C));
  Value Y;
  if (Interleaved)
    Y = N.B.reshape(
        N.B.concat({N.B.expandDims(Real, {4}), N.B.expandDims(Imaginary, {4})},
                   4),
        {D[0], D[1], D[2], Part});
  else
    Y = N.B.concat({Real, Imaginary}, 3);
  if (!(Part == D[3]))
    Y = N.B.concat({Y, N.B.sliceDim(X, 3, Part, D[3] - Part)}, 3);
  if (N.rank(0) == 3)
    Y = N.B.reshape(N.B.transpose(Y, {0, 2, 1, 3}), N.dims(0));
  return N.done(Y);
}

static LogicalResult rotaryEmbedding(Node &N) { return rotate(N, 1, 2, 3); }
static LogicalResult rotaryContrib(Node &N) {
  if (N.hasAttr("scale") && N.attr("scale", 1.0) != 1)
    return N.fail("a scale is not supported");
  return rotate(N, 2, 3, 1);
}

llvm::ArrayRef<OpEntry> limosa::onnximport::attentionOps() {
  static const OpEntry Table[] = {
      {"", "Attention", 23, 3, 7, Floats, attention},
      {"", "RotaryEmbedding", 23, 3, 4, Floats, rotaryEmbedding},
      {"com.microsoft", "RotaryEmbedding", 1, 4, 4, Floats, rotaryContrib},
  };
  return Table;
}
