//===- LoopBuilder.cpp - Loop and Scan as a while loop --------------------===//

#include "LoopBuilder.h"
#include "onnx-ml.pb.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

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
