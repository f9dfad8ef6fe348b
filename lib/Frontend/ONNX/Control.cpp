//===- Control.cpp - If, and what If and the loops share
//-------------------===//

#include "Control.h"
#include "onnx-ml.pb.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

/// Values of what a graph gave; failure if some of it could not be imported.
FailureOr<SmallVector<Value>>
limosa::onnximport::bodyValues(Node &N, MutableArrayRef<Tensor> Ts) {
  SmallVector<Value> Out;
  for (Tensor &T : Ts) {
    if (!T) // A refusal inside says why.
      return failure();
    if (T.Seq)
      return N.fail(
          "a branch or body gives a sequence, which is not supported");
    Out.push_back(N.I.materialize(T, N.B.loc()));
  }
  return Out;
}

/// A refusal of something inside stands for the node's own.
LogicalResult limosa::onnximport::stopAfterBody(Node &N) {
  return N.I.numRefusals() ? failure()
                           : LogicalResult(N.fail("cannot be translated"));
}

//===----------------------------------------------------------------------===//
// If
//===----------------------------------------------------------------------===//

/// The type that both branches' types agree on, with fresh symbols for what
/// differs.
static FailureOr<RankedTensorType> joinTypes(Node &N, Type A, Type B) {
  auto X = cast<RankedTensorType>(A), Y = cast<RankedTensorType>(B);
  if (X.getElementType() != Y.getElementType())
    return N.fail("the branches give different element types");
  if (X.getRank() != Y.getRank())
    return N.fail("the branches give ranks " + Twine(X.getRank()) + " and " +
                  Twine(Y.getRank()) + ", which has to be one");
  Dims P = getDims(X), Q = getDims(Y);
  for (size_t D = 0; D < P.size(); ++D)
    if (!(P[D] == Q[D]))
      P[D] = N.I.freshSymbol("if_size");
  return makeTensorType(P, X.getElementType());
}

static LogicalResult ifOp(Node &N) {
  const onnx::GraphProto *Then = N.graph("then_branch"),
                         *Else = N.graph("else_branch");
  if (!Then || !Else)
    return N.fail("then_branch or else_branch is missing");
  if (auto Known = N.constInts(0); Known && Known->size() == 1) {
    // Only one branch can run.
    auto Out = N.I.importBody(Known->front() ? *Then : *Else, N.F, {});
    if (failed(Out))
      return failure();
    if (Out->size() < N.numOutputs())
      return N.fail("the branch gives too few outputs");
    for (unsigned K = 0; K < N.numOutputs(); ++K)
      N.out(K, (*Out)[K]);
    return success();
  }
  if (!N.type(0).hasStaticShape() || N.type(0).getNumElements() != 1)
    return N.fail("the condition must be a scalar");
  OpBuilder &Builder = N.B.builder();
  Value Condition = N.B.reshape(N.in(0), {});
  // Made without results first; what those are the branches tell.
  OperationState State(N.B.loc(), IfOp::getOperationName());
  State.addOperands(Condition);
  State.addRegion();
  State.addRegion();
  Operation *Draft = Builder.create(State);
  SmallVector<Type> Yielded[2];
  bool Good = true;
  const onnx::GraphProto *Branches[] = {Then, Else};
  for (auto [K, Graph] : llvm::enumerate(Branches)) {
    OpBuilder::InsertionGuard Guard(Builder);
    Builder.createBlock(&Draft->getRegion(K));
    auto Out = N.I.importBody(*Graph, N.F, {});
    if (failed(Out))
      return failure();
    auto Vs = bodyValues(N, *Out);
    if (failed(Vs)) {
      Good = false;
      continue;
    }
    YieldOp::create(Builder, N.B.loc(), *Vs);
    Yielded[K].assign(ValueRange(*Vs).getTypes().begin(),
                      ValueRange(*Vs).getTypes().end());
  }
  if (!Good || Yielded[0].size() != Yielded[1].size() ||
      Yielded[0].size() < N.numOutputs()) {
    Draft->erase();
    return Good ? LogicalResult(
                      N.fail("the branches give different numbers of outputs"))
                : stopAfterBody(N);
  }
  SmallVector<Type> Types;
  for (auto [A, B] : llvm::zip(Yielded[0], Yielded[1])) {
    auto Ty = joinTypes(N, A, B);
    if (failed(Ty)) {
      Draft->erase();
      return failure();
    }
    Types.push_back(*Ty);
  }
  auto Op = IfOp::create(Builder, N.B.loc(), Types, Condition);
  Op.getThenRegion().takeBody(Draft->getRegion(0));
  Op.getElseRegion().takeBody(Draft->getRegion(1));
  Draft->erase();
  for (unsigned K = 0; K < N.numOutputs(); ++K)
    N.out(K, Op.getResult(K));
  return success();
}

llvm::ArrayRef<OpEntry> limosa::onnximport::controlOps() {
  static const OpEntry Table[] = {
      {"", "If", 1, 1, 1, Bools, ifOp},
      {"", "Loop", 1, 0, -1, AnyType | Sequences, importLoop},
      {"", "Scan", 9, 1, -1, AnyType, importScan},
  };
  return Table;
}
