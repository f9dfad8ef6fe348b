//===- FlexAttention.cpp - Attention with graphs in it, and its cache -----===//

#include "Registry.h"
#include "Tensors.h"
#include "onnx-ml.pb.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

/// V as a graph attribute of one input and one output changes it.
static FailureOr<Value> modified(Node &N, StringRef Attribute, Value V) {
  const onnx::GraphProto *Graph = N.graph(Attribute);
  if (!Graph)
    return V;
  if (Graph->input_size() != 1 || Graph->output_size() != 1)
    return N.fail(Attribute + " must have one input and one output");
  auto Out = N.I.importBody(*Graph, N.F, {Tensor::of(V)});
  if (failed(Out) || !Out->front())
    return failure();
  if (!Out->front().Type)
    return N.fail(Attribute + " must give a tensor");
  Value Y = N.I.materialize(Out->front(), N.B.loc());
  if (cast<RankedTensorType>(Y.getType()).getRank() !=
      cast<RankedTensorType>(V.getType()).getRank())
    return N.fail(Attribute + " must keep the shape");
  for (auto [A, B] : llvm::zip(getDims(Y), getDims(V)))
    if (failed(N.wantEqual(A, B, Attribute + ": sizes")))
      return failure();
  return N.B.convert(N.as(Y, getDims(V)), getElementTypeOrSelf(V));
}

/// Keys or values [B, H, T, D] with each head repeated for `Group` query heads.
static Value repeatHeads(CoreBuilder &B, Value V, int64_t Group) {
  if (Group == 1)
    return V;
  Dims D = getDims(V);
  Value Wide =
      B.broadcast(V, {D[0], D[1], DimExpr(Group), D[2], D[3]}, {0, 1, 3, 4});
  return B.reshape(Wide, {D[0], D[1] * DimExpr(Group), D[2], D[3]});
}

static LogicalResult flexAttention(Node &N) {
  CoreBuilder &B = N.B;
  for (unsigned K = 0; K < 3; ++K)
    if (failed(N.wantRank(K, 4)) || failed(N.sameElem(0, K)))
      return failure();
  auto QueryHeads = N.dim(0, 1).constant(), Heads = N.dim(1, 1).constant();
  if (!QueryHeads || !Heads || *Heads < 1 || *QueryHeads % *Heads)
    return N.fail("the numbers of heads must be known, those of the query a "
                  "multiple of those of the keys");
  Type E = N.elem(0), Precise = E.getIntOrFloatBitWidth() < 32 ? N.f32() : E;
  if (int64_t Given = N.attr("softmax_precision", int64_t(0)))
    Precise = elementType(N.I.context(), Given);
  if (!Precise || !isFloatType(Precise))
    return N.fail("softmax_precision is no float type");
  double Scale = N.attr("scale", 0.0);
  if (!N.hasAttr("scale")) {
    auto Size = N.dim(0, 3).constant();
    if (!Size || *Size < 1)
      return N.fail("the size of the heads must be known");
    Scale = 1 / std::sqrt(double(*Size));
  }
  // Both factors are scaled, which keeps narrow types in range.
  double Root = std::sqrt(Scale);
  int64_t Group = *QueryHeads / *Heads;
  Value Q = B.mulScalar(N.in(0), Root),
        K = B.mulScalar(repeatHeads(B, N.in(1), Group), Root),
        V = B.convert(repeatHeads(B, N.in(2), Group), Precise);
  auto Scores = N.contract(Q, K, {0, 1}, {0, 1}, {3}, {3});
  if (failed(Scores))
    return failure();
  Scores = modified(N, "score_mod", B.convert(*Scores, Precise));
  if (failed(Scores))
    return failure();
  Value Softmax =
      N.composite("softmax", {*Scores}, {N.cfg("axis", int64_t(3))})[0];
  auto Probabilities = modified(N, "prob_mod", Softmax);
  if (failed(Probabilities))
    return failure();
  auto Y = N.contract(*Probabilities, V, {0, 1}, {0, 1}, {3}, {2});
  return failed(Y) ? failure() : N.done(B.convert(*Y, E));
}

/// A cache with new entries written from a position per sample on.
static LogicalResult tensorScatter(Node &N) {
  CoreBuilder &B = N.B;
  auto Axis = N.axis(N.attr("axis", int64_t(-2)), N.rank(0));
  if (failed(Axis) || failed(N.sameElem(0, 1)))
    return failure();
  if (*Axis == 0 || N.rank(1) != N.rank(0))
    return N.fail("the axis must not be the batch, nor the ranks differ");
  std::string Mode = N.attr("mode", StringRef("linear"));
  if (Mode != "linear" && Mode != "circular")
    return N.fail("mode '" + Mode + "' does not exist");
  Dims Cache = N.dims(0), New = N.dims(1);
  for (int64_t D = 0; D < N.rank(0); ++D)
    if (D != *Axis) {
      if (failed(N.wantEqual(New[D], Cache[D], "sizes of cache and update")))
        return failure();
      New[D] = Cache[D];
    }
  // The sequence next to the batch.
  Ints Perm{0, *Axis}, Back(N.rank(0));
  for (int64_t D = 1; D < N.rank(0); ++D)
    if (D != *Axis)
      Perm.push_back(D);
  for (auto [At, D] : llvm::enumerate(Perm))
    Back[D] = int64_t(At);
  Dims Positions{Cache[0], New[*Axis]};
  Value At = B.iota(Positions, 1, N.i64());
  if (N.has(2)) {
    if (failed(N.wantRank(2, 1)) ||
        failed(N.wantEqual(N.dim(2, 0), Cache[0], "batch sizes")))
      return failure();
    Value First = B.convert(N.as(N.in(2), {Cache[0]}), N.i64());
    At = B.add(At, B.broadcast(First, Positions, {0}));
  }
  if (Mode == "circular")
    At = B.rem(At, B.broadcast(B.dim(Cache[*Axis]), Positions, {}));
  Value Y =
      B.scatter(B.transpose(N.in(0), Perm), B.expandDims(At, {2}),
                B.transpose(N.as(N.in(1), New), Perm), {1}, 1,
                [](CoreBuilder &, Value, Value Update) { return Update; });
  return N.done(B.transpose(Y, Back));
}

llvm::ArrayRef<OpEntry> limosa::onnximport::flexAttentionOps() {
  static const OpEntry Table[] = {
      {"ai.onnx.preview", "FlexAttention", 1, 3, 3, Floats, flexAttention},
      {"", "TensorScatter", 24, 2, 3, AnyType, tensorScatter},
  };
  return Table;
}
