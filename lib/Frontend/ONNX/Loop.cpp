//===- Loop.cpp - Loop and Scan -------------------------------------------===//

#include "LoopBuilder.h"
#include "onnx-ml.pb.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

static LogicalResult rolledLoop(Node &N) {
  const onnx::GraphProto *Body = N.graph("body");
  for (unsigned K = 0; K < 2; ++K)
    if (N.has(K) && N.tensor(K).Seq)
      return N.fail("input " + Twine(K) + " is a sequence");
  LoopPlan P;
  P.Body = Body;
  auto scalarInput = [&](unsigned K) -> FailureOr<Value> {
    if (!N.type(K).hasStaticShape() || N.type(K).getNumElements() != 1)
      return N.fail("input " + Twine(K) + " must be a scalar");
    return N.B.reshape(N.in(K), {});
  };
  if (N.has(0)) {
    if (auto Known = N.known(0); Known && Known->size() == 1) {
      P.Trip = Known->front();
      // Exporters write "no limit" as the largest number.
      if (auto C = P.Trip->constant(); C && *C >= INT32_MAX)
        P.Trip = std::nullopt;
      else if (C && *C < 0)
        P.Trip = DimExpr(0);
    } else {
      auto V = scalarInput(0);
      if (failed(V))
        return failure();
      P.TripCount = N.B.convert(*V, N.i64());
    }
  }
  bool StartsTrue = !N.has(1);
  if (N.has(1)) {
    auto Known = N.constInts(1);
    StartsTrue = Known && Known->size() == 1 && Known->front() != 0;
    if (!StartsTrue) {
      auto V = scalarInput(1);
      if (failed(V))
        return failure();
      P.Condition = *V;
    }
  }
  for (unsigned K = 2; K < N.numInputs(); ++K) {
    if (!N.has(K))
      return N.fail("input " + Twine(K) + " is missing");
    if (N.tensor(K).Absent)
      return N.fail("carries an optional without a value");
    if (N.tensor(K).Seq)
      P.Lists.push_back(K - 2);
    else
      P.States.push_back(N.in(K));
  }
  int64_t NumStates = int64_t(P.States.size() + P.Lists.size());
  int64_t Rest = Body->output_size() - 1 - NumStates;
  if (Rest < 0 || Body->input_size() != int(NumStates) + 2)
    return N.fail(
        "the body's inputs or outputs do not fit the carried tensors");
  P.NumCollected = unsigned(Rest);
  // A condition that the body only hands on never becomes false.
  StringRef Given = Body->output(0).name(), Taken = Body->input(1).name();
  std::function<bool(StringRef, int)> always = [&](StringRef Name, int Depth) {
    if (Name == Taken)
      return true;
    for (const onnx::TensorProto &T : Body->initializer())
      if (T.name() == Name)
        return T.raw_data().size() == 1
                   ? T.raw_data()[0] != 0
                   : T.int32_data_size() == 1 && T.int32_data(0) != 0;
    for (const onnx::NodeProto &M : Body->node()) {
      if (M.output_size() != 1 || M.output(0) != Name || Depth > 8)
        continue;
      if ((M.op_type() == "Identity" || M.op_type() == "Cast") &&
          M.input_size() == 1)
        return always(M.input(0), Depth + 1);
      if (M.op_type() == "Constant" && M.attribute_size() == 1 &&
          M.attribute(0).has_t()) {
        const onnx::TensorProto &T = M.attribute(0).t();
        return T.raw_data().size() == 1
                   ? T.raw_data()[0] != 0
                   : T.int32_data_size() == 1 && T.int32_data(0) != 0;
      }
    }
    return false;
  };
  P.BodyGivesCondition = !(StartsTrue && always(Given, 0));
  if (!P.BodyGivesCondition && !P.Trip && !P.TripCount)
    return N.fail("would never end");
  auto Inputs = [&](Value I, Value Condition, ValueRange States) {
    SmallVector<Tensor> Out{Tensor::of(I), Tensor::of(Condition)};
    // The body declares the ranks it wants for the first two.
    for (unsigned K = 0; K < 2; ++K)
      if (Body->input(int(K)).type().tensor_type().shape().dim_size() == 1)
        Out[K] = Tensor::of(N.B.reshape(Out[K].V, {DimExpr(1)}));
    for (unsigned K = 0; K < NumStates; ++K) {
      if (llvm::is_contained(P.Lists, K)) {
        Out.push_back(Tensor::of(Sequence{{}, K}));
        continue;
      }
      Out.push_back(Tensor::of(States.front()));
      States = States.drop_front();
    }
    return Out;
  };
  auto Reversed = [](unsigned) { return false; };
  P.Inputs = Inputs;
  P.Reversed = Reversed;
  LoopBuilder Builder(N, P);
  auto Out = Builder.build();
  if (failed(Out))
    return stopAfterBody(N);
  ArrayRef<Value> States = ArrayRef(*Out).take_front(P.States.size()),
                  Collected = ArrayRef(*Out).slice(P.States.size());
  for (unsigned K = 0; K < NumStates; ++K)
    if (!llvm::is_contained(P.Lists, K)) {
      N.out(K, States.front());
      States = States.drop_front();
    }
  for (unsigned K = 0; K < P.NumCollected; ++K)
    N.out(NumStates + K, Collected[K]);
  ArrayRef<Value> NewItems = Collected.drop_front(P.NumCollected);
  for (auto [K, Count] : llvm::zip(P.Lists, Builder.appended())) {
    auto All =
        appendRounds(N, *N.tensor(K + 2).Seq, NewItems.take_front(Count));
    if (failed(All))
      return failure();
    N.out(K, Tensor::of(std::move(*All)));
    NewItems = NewItems.drop_front(Count);
  }
  return success();
}

LogicalResult limosa::onnximport::importLoop(Node &N) {
  if (!N.graph("body"))
    return N.fail("the body is missing");
  auto Rounds = fewRounds(N);
  if (!Rounds)
    return rolledLoop(N);
  if (succeeded(N.I.attempt([&] { return rolledLoop(N); })))
    return success();
  return unrollLoop(N, *Rounds);
}

/// Scan since opset 9: states, then inputs that are walked along an axis.
LogicalResult limosa::onnximport::importScan(Node &N) {
  const onnx::GraphProto *Body = N.graph("body");
  int64_t NumScanned = N.attr("num_scan_inputs", int64_t(0));
  int64_t NumStates = int64_t(N.numInputs()) - NumScanned;
  if (!Body || NumScanned < 1 || NumStates < 0 ||
      Body->input_size() != int(N.numInputs()) ||
      Body->output_size() < NumStates)
    return N.fail("the body does not fit num_scan_inputs");
  for (unsigned K = 0; K < N.numInputs(); ++K)
    if (!N.has(K))
      return N.fail("input " + Twine(K) + " is missing");
  LoopPlan P;
  P.Body = Body;
  P.NumCollected = unsigned(Body->output_size() - NumStates);
  for (int64_t K = 0; K < NumStates; ++K)
    P.States.push_back(N.in(K));
  auto list = [&](StringRef Name, int64_t Count) -> FailureOr<Ints> {
    auto V = N.ints(Name);
    if (!V)
      return Ints(Count, 0);
    if (int64_t(V->size()) != Count)
      return N.fail(Name + " has the wrong length");
    return *V;
  };
  auto InAxes = list("scan_input_axes", NumScanned),
       InBack = list("scan_input_directions", NumScanned),
       OutAxes = list("scan_output_axes", P.NumCollected),
       OutBack = list("scan_output_directions", P.NumCollected);
  if (failed(InAxes) || failed(InBack) || failed(OutAxes) || failed(OutBack))
    return failure();
  for (int64_t K = 0; K < NumScanned; ++K) {
    auto Axis = N.axis((*InAxes)[K], N.rank(NumStates + K));
    if (failed(Axis))
      return failure();
    (*InAxes)[K] = *Axis;
    DimExpr Size = N.dim(NumStates + K, *Axis);
    if (!P.Trip)
      P.Trip = Size;
    else if (failed(N.wantEqual(*P.Trip, Size, "lengths of what is scanned")))
      return failure();
  }
  SmallVector<Value> Scanned;
  for (int64_t K = 0; K < NumScanned; ++K)
    Scanned.push_back(N.in(NumStates + K));
  auto Inputs = [&](Value I, Value, ValueRange States) {
    SmallVector<Tensor> Out;
    for (Value S : States)
      Out.push_back(Tensor::of(S));
    for (int64_t K = 0; K < NumScanned; ++K) {
      Value At = (*InBack)[K] ? N.B.sub(N.B.dim(*P.Trip - DimExpr(1)), I) : I;
      Out.push_back(Tensor::of(N.B.gather(
          Scanned[K], N.B.reshape(At, {DimExpr(1)}), {(*InAxes)[K]}, 0)));
    }
    return Out;
  };
  auto Reversed = [&](unsigned J) { return (*OutBack)[J] != 0; };
  P.Inputs = Inputs;
  P.Reversed = Reversed;
  auto Out = LoopBuilder(N, P).build();
  if (failed(Out))
    return stopAfterBody(N);
  for (unsigned J = 0; J < P.NumCollected; ++J) {
    Value &V = (*Out)[NumStates + J];
    int64_t Rank = cast<RankedTensorType>(V.getType()).getRank();
    auto Axis = N.axis((*OutAxes)[J], Rank);
    if (failed(Axis))
      return failure();
    // Collected along dimension 0; moved to where it belongs.
    Ints Perm;
    for (int64_t D = 1; D < Rank; ++D)
      Perm.push_back(D);
    Perm.insert(Perm.begin() + *Axis, 0);
    V = N.B.transpose(V, Perm);
  }
  return N.done(*Out);
}
