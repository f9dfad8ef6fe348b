//===- Loop.cpp - Loop and Scan
//--------------------------------------------===//

#include "Control.h"
#include "onnx-ml.pb.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

namespace {

/// A while loop in the making. Carried are, in this order: the round's number
/// (i64), the condition if there is one, the states, and the sequences that the
/// rounds' outputs are collected in.
struct LoopPlan {
  const onnx::GraphProto *Body = nullptr;
  SmallVector<Value> States; ///< Initial values.
  /// Which of the body's states are sequences, which it may append to: what a
  /// round appends is collected like its other outputs, behind them.
  SmallVector<unsigned> Lists;
  Value TripCount;             ///< i64, rank 0; null: no limit.
  std::optional<DimExpr> Trip; ///< The same, if known.
  Value Condition;             ///< Before the first round; null: true.
  bool BodyGivesCondition = false;
  /// Makes the body's inputs from the round's number, condition and states.
  llvm::function_ref<SmallVector<Tensor>(Value, Value, ValueRange)> Inputs;
  /// Whether round K of R rounds stands at the end of collected output J.
  llvm::function_ref<bool(unsigned)> Reversed;
  unsigned NumCollected = 0;
};

/// Builds a LoopPlan as `limosa.while`.
class LoopBuilder {
public:
  LoopBuilder(Node &N, LoopPlan &P) : N(N), B(N.B), P(P) {}

  /// The last states and the collected outputs.
  FailureOr<SmallVector<Value>> build();
  /// How many tensors each round appends to each of the plan's lists.
  ArrayRef<unsigned> appended() const { return Appended; }

private:
  struct Round {
    Value Condition;
    SmallVector<Value> States, Collected;
  };
  FailureOr<Round> importRound(Value I, Value Condition, ValueRange States);
  LogicalResult settleTypes();
  void replacePlaceholder(size_t State, RankedTensorType Given, size_t Mark);
  FailureOr<WhileOp> emit();
  bool counted() const { return P.Trip && !P.BodyGivesCondition; }

  Node &N;
  CoreBuilder &B;
  LoopPlan &P;
  SmallVector<RankedTensorType> StateTypes; ///< Inside of the loop.
  SmallVector<RankedTensorType> RowTypes;   ///< Of one round's outputs.
  SmallVector<unsigned> Appended;
  SmallVector<DimExpr> CarriedSizes; ///< Symbols that each round binds anew.
  bool HasCondition = false;
};

} // namespace

FailureOr<LoopBuilder::Round> LoopBuilder::importRound(Value I, Value Condition,
                                                       ValueRange States) {
  auto Out = N.I.importBody(*P.Body, N.F, P.Inputs(I, Condition, States));
  if (failed(Out))
    return failure();
  size_t Extra = N.op() == "Loop" ? 1 : 0; // the condition
  size_t NumStates = States.size() + P.Lists.size();
  if (Out->size() != Extra + NumStates + P.NumCollected)
    return N.fail("the body has " + Twine(Out->size()) + " outputs, not " +
                  Twine(Extra + NumStates + P.NumCollected));
  SmallVector<Tensor> Tensors, NewItems;
  Appended.clear();
  for (size_t K = Extra; K < Out->size(); ++K) {
    Tensor &T = (*Out)[K];
    if (!llvm::is_contained(P.Lists, K - Extra)) {
      Tensors.push_back(T);
      continue;
    }
    if (!T)
      return failure();
    if (!T.Seq || T.Seq->Carried != K - Extra)
      return N.fail("does with a sequence something else than append to it");
    for (const Sequence::Part &Part : T.Seq->Parts) {
      if (Part.Run)
        return N.fail("appends a sequence of unknown length to another");
      NewItems.push_back(Part.T);
    }
    Appended.push_back(T.Seq->Parts.size());
  }
  llvm::append_range(Tensors, NewItems);
  auto Vs = bodyValues(N, Tensors);
  if (failed(Vs))
    return failure();
  Round R;
  if (Extra) {
    Tensor &C = Out->front();
    if (!C)
      return failure();
    R.Condition = N.I.materialize(C, B.loc());
  }
  R.States.assign(Vs->begin(), Vs->begin() + States.size());
  // Some exporters write a number now as a scalar, now as a vector of one.
  for (auto [Next, Own] : llvm::zip(R.States, States))
    if (isSingle(Next.getType()) && isSingle(Own.getType()))
      Next = B.reshape(Next, getDims(Own));
  R.Collected.assign(Vs->begin() + States.size(), Vs->end());
  return R;
}

/// The body does not read a state, and gives it another type than it has before
/// the first round: what it has is a placeholder, which PaddlePaddle writes for
/// variables that the loop defines. It becomes zeros of the type given; sizes
/// that only the body knows are symbols of the loop.
void LoopBuilder::replacePlaceholder(size_t State, RankedTensorType Given,
                                     size_t Mark) {
  Dims Inside = getDims(Given), Before = Inside;
  for (auto [In, Out] : llvm::zip(Inside, Before))
    if (N.I.usesSymbolsSince(In, Mark)) {
      Out = DimExpr(0);
      In = N.I.freshSymbol("carried");
      CarriedSizes.push_back(In);
    }
  P.States[State] = B.full(0, Before, Given.getElementType());
  StateTypes[State] = makeTensorType(Inside, Given.getElementType());
}

/// Finds types of the states that hold in every round: a dimension that a round
/// changes gets a symbol of its own.
LogicalResult LoopBuilder::settleTypes() {
  OpBuilder &Builder = B.builder();
  for (Value V : P.States)
    StateTypes.push_back(cast<RankedTensorType>(V.getType()));
  auto Scalar = [&](Type E) { return RankedTensorType::get({}, E); };
  const size_t Mark = N.I.numFreshSymbols();
  for (int Attempt = 0; Attempt < 8; ++Attempt) {
    // The body is imported into a block that is thrown away.
    OperationState State(B.loc(), IfOp::getOperationName());
    State.addRegion();
    Operation *Scratch = Builder.create(State);
    OpBuilder::InsertionGuard Guard(Builder);
    SmallVector<Type> Args{Scalar(N.i64()), Scalar(N.i1())};
    llvm::append_range(Args, StateTypes);
    Block *Block =
        Builder.createBlock(&Scratch->getRegion(0), {}, Args,
                            SmallVector<Location>(Args.size(), B.loc()));
    ValueRange In = Block->getArguments();
    auto R = importRound(In[0], In[1], In.drop_front(2));
    bool Settled = succeeded(R);
    SmallVector<std::pair<size_t, RankedTensorType>> Placeholders;
    if (succeeded(R)) {
      RowTypes.clear();
      for (Value V : R->Collected)
        RowTypes.push_back(cast<RankedTensorType>(V.getType()));
      for (auto [K, Next] : llvm::enumerate(R->States)) {
        RankedTensorType &Own = StateTypes[K];
        auto Given = cast<RankedTensorType>(Next.getType());
        if (Given.getElementType() != Own.getElementType() ||
            Given.getRank() != Own.getRank()) {
          if (In[2 + K].use_empty()) {
            Placeholders.push_back({K, Given});
            Settled = false;
            continue;
          }
          Scratch->erase();
          return N.fail("a carried tensor changes its rank or element type");
        }
        Dims D = getDims(Own), G = getDims(Given);
        for (size_t A = 0; A < D.size(); ++A)
          if (!(D[A] == G[A])) {
            if (llvm::is_contained(CarriedSizes, D[A]))
              continue;
            D[A] = N.I.freshSymbol("carried");
            CarriedSizes.push_back(D[A]);
            Settled = false;
          }
        Own = makeTensorType(D, Own.getElementType());
      }
    }
    Builder.setInsertionPointAfter(Scratch);
    Scratch->erase();
    if (failed(R))
      return failure();
    for (auto [K, Given] : Placeholders)
      replacePlaceholder(K, Given, Mark);
    if (Settled)
      return success();
  }
  return N.fail("the shapes of carried tensors do not settle");
}

FailureOr<WhileOp> LoopBuilder::emit() {
  OpBuilder &Builder = B.builder();
  HasCondition = !counted() && (P.BodyGivesCondition || P.Condition);
  Type Bool = N.i1();
  SmallVector<Value> Carried{B.dim(DimExpr(0))};
  SmallVector<Type> Inner{Carried[0].getType()};
  if (HasCondition) {
    Carried.push_back(P.Condition ? P.Condition : B.scalar(1, Bool));
    Inner.push_back(Carried.back().getType());
  }
  for (auto [V, Ty] : llvm::zip(P.States, StateTypes)) {
    Carried.push_back(V);
    Inner.push_back(Ty);
  }
  // Collected rows: a sequence of the final length where that is known, one
  // that grows otherwise.
  for (RankedTensorType Row : RowTypes) {
    Dims D = getDims(Row);
    D.insert(D.begin(), counted() ? *P.Trip : DimExpr(0));
    Carried.push_back(B.full(0, D, Row.getElementType()));
    if (!counted())
      D[0] = N.I.freshSymbol("collected");
    Inner.push_back(makeTensorType(D, Row.getElementType()));
  }
  // Results name what changed afresh.
  SmallVector<Type> Results;
  for (auto [V, Ty] : llvm::zip(Carried, Inner)) {
    Dims D = getDims(Ty), First = getDims(V);
    for (size_t A = 0; A < D.size(); ++A)
      if (!(D[A] == First[A]))
        D[A] = N.I.freshSymbol("looped");
    Results.push_back(makeTensorType(D, getElementTypeOrSelf(Ty)));
  }
  auto Loop = WhileOp::create(Builder, B.loc(), Results, Carried);
  SmallVector<Location> Locs(Inner.size(), B.loc());
  OpBuilder::InsertionGuard Guard(Builder);

  Block *Before = Builder.createBlock(&Loop.getBefore(), {}, Inner, Locs);
  Value Go;
  if (P.TripCount || P.Trip) {
    Value Limit = P.Trip ? B.dim(*P.Trip) : P.TripCount;
    Go = B.compare(CompareDirection::LT, Before->getArgument(0), Limit);
  }
  if (HasCondition)
    Go = Go ? B.bitAnd(Go, Before->getArgument(1)) : Before->getArgument(1);
  YieldOp::create(Builder, B.loc(), Go ? Go : B.scalar(1, Bool));

  Block *After = Builder.createBlock(&Loop.getAfter(), {}, Inner, Locs);
  ValueRange Args = After->getArguments();
  Value I = Args[0];
  size_t First = HasCondition ? 2 : 1;
  Value Condition = HasCondition ? Args[1] : B.scalar(1, Bool);
  auto R = importRound(I, Condition, Args.slice(First, P.States.size()));
  if (failed(R)) {
    Loop.erase();
    return failure();
  }
  SmallVector<Value> Next{B.add(I, B.dim(DimExpr(1)))};
  if (HasCondition)
    Next.push_back(P.BodyGivesCondition ? B.reshape(R->Condition, {})
                                        : Condition);
  llvm::append_range(Next, R->States);
  for (auto [J, Row] : llvm::enumerate(R->Collected)) {
    Value Sequence = Args[First + P.States.size() + J];
    Value New = B.expandDims(Row, {0});
    if (!counted()) {
      Next.push_back(B.concat({Sequence, New}, 0));
      continue;
    }
    Value At = P.Reversed(J) ? B.sub(B.dim(*P.Trip - DimExpr(1)), I) : I;
    SmallVector<Value> Starts(cast<RankedTensorType>(New.getType()).getRank(),
                              B.intVector({0}));
    Starts[0] = B.reshape(At, {DimExpr(1)});
    Next.push_back(B.updateSlice(Sequence, New, B.concat(Starts, 0)));
  }
  YieldOp::create(Builder, B.loc(), Next);
  return Loop;
}

FailureOr<SmallVector<Value>> LoopBuilder::build() {
  size_t Mark = N.I.numFreshSymbols();
  if (failed(settleTypes()))
    return failure();
  for (RankedTensorType Row : RowTypes)
    for (const DimExpr &D : getDims(Row))
      if (N.I.usesSymbolsSince(D, Mark))
        return N.fail(
            "collects outputs whose sizes change from round to round");
  auto Loop = emit();
  if (failed(Loop))
    return failure();
  size_t First = HasCondition ? 2 : 1;
  return SmallVector<Value>((*Loop).getResults().drop_front(First));
}

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
