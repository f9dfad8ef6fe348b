//===- Unroll.cpp - Graphs imported once per round ------------------------===//
//
// A loop whose rounds differ (in the shapes of what they collect, or in what
// they do with a sequence) is imported round by round, if it has few. So is
// SequenceMap, whose rounds are the elements of a sequence.
//
//===----------------------------------------------------------------------===//

#include "Control.h"
#include "onnx-ml.pb.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

/// Loops of more rounds stay loops.
static constexpr int64_t MaxRounds = 64;

std::optional<int64_t> limosa::onnximport::fewRounds(Node &N) {
  if (!N.has(0))
    return std::nullopt;
  auto Trip = N.constInts(0);
  if (!Trip || Trip->size() != 1 || Trip->front() > MaxRounds)
    return std::nullopt;
  return std::max<int64_t>(Trip->front(), 0);
}

static Tensor knownScalar(Node &N, int64_t V, Type E) {
  return Tensor::of(
      std::make_shared<KnownTensor>(KnownTensor::scalar(DimExpr(V))), E);
}

/// Whether a tensor of one boolean is known to be true or false.
static std::optional<bool> knownTruth(Node &N, Tensor &T) {
  KnownRef K = T.Type ? N.I.known(T) : nullptr;
  if (!K || K->Elements.size() != 1)
    return std::nullopt;
  auto C = K->Elements[0].Num.constant();
  return C ? std::optional(*C != 0) : std::nullopt;
}

LogicalResult limosa::onnximport::unrollLoop(Node &N, int64_t Rounds) {
  const onnx::GraphProto *Body = N.graph("body");
  size_t NumStates = N.numInputs() < 2 ? 0 : N.numInputs() - 2;
  if (size_t(Body->input_size()) != NumStates + 2 ||
      size_t(Body->output_size()) < NumStates + 1)
    return N.fail(
        "the body's inputs or outputs do not fit the carried tensors");
  SmallVector<Tensor> States;
  for (unsigned K = 2; K < N.numInputs(); ++K)
    States.push_back(N.tensor(K));
  SmallVector<SmallVector<Value>> Collected(Body->output_size() - 1 -
                                            NumStates);
  Tensor Condition = N.has(1) ? N.tensor(1) : knownScalar(N, 1, N.i1());
  for (int64_t Round = 0; Round < Rounds; ++Round) {
    auto Goes = knownTruth(N, Condition);
    if (!Goes) {
      (void)(N.has(1) && N.constInts(1));
      return N.fail("whether the loop goes on is computed, and its rounds "
                    "differ in what they give");
    }
    if (!*Goes)
      break;
    SmallVector<Tensor> Inputs{knownScalar(N, Round, N.i64()), Condition};
    llvm::append_range(Inputs, States);
    auto Out = N.I.importBody(*Body, N.F, Inputs);
    if (failed(Out))
      return failure();
    for (Tensor &T : *Out)
      if (!T)
        return stopAfterBody(N);
    // The condition stays what it was if the body only hands it on.
    Condition = Out->front();
    for (size_t K = 0; K < NumStates; ++K)
      States[K] = (*Out)[K + 1];
    for (size_t J = 0; J < Collected.size(); ++J) {
      Tensor &T = (*Out)[NumStates + 1 + J];
      if (!T.Type)
        return N.fail("collects something that is no tensor");
      Value Row = N.I.materialize(T, N.B.loc());
      if (!Collected[J].empty() &&
          Collected[J].front().getType() != N.B.expandDims(Row, {0}).getType())
        return N.fail(
            "collects outputs whose sizes change from round to round");
      Collected[J].push_back(N.B.expandDims(Row, {0}));
    }
  }
  for (size_t K = 0; K < NumStates; ++K)
    N.out(K, States[K]);
  for (auto [J, Rows] : llvm::enumerate(Collected)) {
    if (!N.wants(NumStates + J))
      continue;
    if (Rows.empty())
      return N.fail("collects nothing, so that not even a shape is known");
    N.out(NumStates + J, N.B.concat(Rows, 0));
  }
  return success();
}

LogicalResult limosa::onnximport::importSequenceMap(Node &N) {
  const onnx::GraphProto *Body = N.graph("body");
  if (!Body || size_t(Body->input_size()) != N.numInputs())
    return N.fail("the body does not fit the inputs");
  const auto &First = N.tensor(0).Seq;
  if (!First)
    return N.fail("input 0 is no sequence");
  size_t Length = First->Parts.size();
  for (unsigned K = 0; K < N.numInputs(); ++K) {
    if (!N.has(K))
      return N.fail("input " + Twine(K) + " is missing");
    const auto &S = N.tensor(K).Seq;
    if (!S)
      continue;
    if (S->Carried ||
        llvm::any_of(S->Parts, [](const auto &P) { return P.Run; }))
      return N.fail("maps a sequence of unknown length");
    if (S->Parts.size() != Length)
      return N.fail("input " + Twine(K) + " has " + Twine(S->Parts.size()) +
                    " elements, input 0 has " + Twine(Length));
  }
  SmallVector<Sequence> Results(Body->output_size());
  for (size_t At = 0; At < Length; ++At) {
    SmallVector<Tensor> Inputs;
    for (unsigned K = 0; K < N.numInputs(); ++K)
      Inputs.push_back(N.tensor(K).Seq ? N.tensor(K).Seq->Parts[At].T
                                       : N.tensor(K));
    auto Out = N.I.importBody(*Body, N.F, Inputs);
    if (failed(Out))
      return failure();
    for (auto [J, T] : llvm::enumerate(*Out)) {
      if (!T)
        return stopAfterBody(N);
      if (!T.Type)
        return N.fail("the body gives something that is no tensor");
      Results[J].Parts.push_back({T, /*Run=*/false});
    }
  }
  for (auto [J, S] : llvm::enumerate(Results))
    N.out(J, Tensor::of(std::move(S)));
  return success();
}
