//===- Control.cpp - If, and what If and the loops share ------------------===//

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
    if (!T.Type)
      return N.fail("the body gives a sequence or an empty optional where "
                    "only a tensor is supported");
    Out.push_back(N.I.materialize(T, N.B.loc()));
  }
  return Out;
}

FailureOr<FlatTensors> limosa::onnximport::flatten(Node &N,
                                                   MutableArrayRef<Tensor> Ts) {
  FlatTensors Out;
  for (Tensor &T : Ts) {
    if (!T) // A refusal inside says why.
      return failure();
    if (T.Type) {
      Out.Values.push_back(N.I.materialize(T, N.B.loc()));
      Out.Parts.push_back(FlatTensors::IsTensor);
      continue;
    }
    Out.Parts.push_back(T.Absent ? FlatTensors::IsAbsent
                                 : int64_t(T.Seq->Parts.size()));
    if (T.Absent)
      continue;
    for (const Sequence::Part &P : T.Seq->Parts) {
      if (P.Run || T.Seq->Carried)
        return N.fail("a branch gives a sequence of unknown length");
      Tensor Element = P.T;
      Out.Values.push_back(N.I.materialize(Element, N.B.loc()));
    }
  }
  return Out;
}

SmallVector<Tensor> limosa::onnximport::unflatten(ArrayRef<int64_t> Parts,
                                                  ValueRange Values) {
  SmallVector<Tensor> Out;
  for (int64_t Count : Parts) {
    if (Count == FlatTensors::IsAbsent) {
      Out.push_back(Tensor::absent());
      continue;
    }
    if (Count == FlatTensors::IsTensor) {
      Out.push_back(Tensor::of(Values.front()));
      Values = Values.drop_front();
      continue;
    }
    Sequence S;
    for (Value V : Values.take_front(Count))
      S.Parts.push_back({Tensor::of(V), /*Run=*/false});
    Out.push_back(Tensor::of(std::move(S)));
    Values = Values.drop_front(Count);
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

FailureOr<BranchYield>
limosa::onnximport::yieldTensors(Node &N, MutableArrayRef<Tensor> Ts) {
  auto Flat = flatten(N, Ts);
  if (failed(Flat))
    return failure();
  YieldOp::create(N.B.builder(), N.B.loc(), Flat->Values);
  return BranchYield{llvm::to_vector(ValueRange(Flat->Values).getTypes()),
                     Flat->Parts};
}

bool limosa::onnximport::ranksDiffer(const BranchYield (&Branches)[2]) {
  return Branches[0].Parts == Branches[1].Parts &&
         llvm::any_of(llvm::zip(Branches[0].Types, Branches[1].Types),
                      [](auto Pair) {
                        auto [A, B] = Pair;
                        return cast<RankedTensorType>(A).getRank() !=
                               cast<RankedTensorType>(B).getRank();
                      });
}

/// Branches that give a single number do not care whether it is a scalar or a
/// vector of one: it becomes the scalar.
static void agreeOnScalars(Node &N, BranchYield (&Branches)[2],
                           Operation *Draft) {
  if (Branches[0].Parts != Branches[1].Parts)
    return;
  for (size_t I = 0; I < Branches[0].Types.size(); ++I) {
    if (!isSingle(Branches[0].Types[I]) || !isSingle(Branches[1].Types[I]) ||
        Branches[0].Types[I] == Branches[1].Types[I])
      continue;
    for (unsigned K = 0; K < 2; ++K) {
      Operation *Yield = Draft->getRegion(K).front().getTerminator();
      OpBuilder::InsertionGuard Guard(N.B.builder());
      N.B.builder().setInsertionPoint(Yield);
      Value Scalar = N.B.reshape(Yield->getOperand(I), {});
      Yield->setOperand(I, Scalar);
      Branches[K].Types[I] = Scalar.getType();
    }
  }
}

/// The type that both branches' types of one rank agree on, with fresh symbols
/// for what differs.
static FailureOr<RankedTensorType> joinTypes(Node &N, Type A, Type B) {
  auto X = cast<RankedTensorType>(A), Y = cast<RankedTensorType>(B);
  if (X.getElementType() != Y.getElementType())
    return N.fail("the branches give different element types");
  Dims P = getDims(X), Q = getDims(Y);
  for (size_t D = 0; D < P.size(); ++D)
    if (!(P[D] == Q[D]))
      P[D] = N.I.freshSymbol("if_size");
  return makeTensorType(P, X.getElementType());
}

FailureOr<SmallVector<Tensor>>
limosa::onnximport::joinBranches(Node &N, Operation *Draft,
                                 const BranchYield (&Branches)[2]) {
  SmallVector<Type> Types;
  auto Join = [&]() -> LogicalResult {
    if (Branches[0].Parts != Branches[1].Parts)
      return N.fail("the branches give different numbers of outputs, or "
                    "sequences of different lengths");
    for (auto [A, B] : llvm::zip(Branches[0].Types, Branches[1].Types)) {
      auto Ty = joinTypes(N, A, B);
      if (failed(Ty))
        return failure();
      Types.push_back(*Ty);
    }
    return success();
  };
  if (failed(Join())) {
    Draft->erase();
    return failure();
  }
  auto Op = IfOp::create(N.B.builder(), N.B.loc(), Types, Draft->getOperand(0));
  Op.getThenRegion().takeBody(Draft->getRegion(0));
  Op.getElseRegion().takeBody(Draft->getRegion(1));
  Draft->erase();
  return unflatten(Branches[0].Parts, Op.getResults());
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
  BranchYield Yields[2];
  bool Good = true;
  const onnx::GraphProto *Branches[] = {Then, Else};
  for (auto [K, Graph] : llvm::enumerate(Branches)) {
    OpBuilder::InsertionGuard Guard(Builder);
    Builder.createBlock(&Draft->getRegion(K));
    auto Out = N.I.importBody(*Graph, N.F, {});
    if (failed(Out))
      return failure();
    auto Yield = yieldTensors(N, *Out);
    if (failed(Yield))
      Good = false;
    else
      Yields[K] = std::move(*Yield);
  }
  if (!Good) {
    Draft->erase();
    return stopAfterBody(N);
  }
  if (Yields[0].Parts.size() < N.numOutputs()) {
    Draft->erase();
    return N.fail("the branches give too few outputs");
  }
  agreeOnScalars(N, Yields, Draft);
  if (ranksDiffer(Yields)) {
    Draft->erase();
    N.I.fork({&N.P, Condition, [&I = N.I, &P = N.P, &F = N.F](unsigned Way) {
                Node Again(I, P, F, F.opset(P.domain()));
                auto Out = I.importBody(
                    *Again.graph(Way == 0 ? "then_branch" : "else_branch"), F,
                    {});
                if (failed(Out))
                  return failure();
                for (unsigned K = 0; K < Again.numOutputs(); ++K)
                  Again.out(K, (*Out)[K]);
                return success();
              }});
    return success();
  }
  auto Results = joinBranches(N, Draft, Yields);
  if (failed(Results))
    return failure();
  for (unsigned K = 0; K < N.numOutputs(); ++K)
    N.out(K, (*Results)[K]);
  return success();
}

//===----------------------------------------------------------------------===//
// Scan of operator set 8
//===----------------------------------------------------------------------===//

/// Lengths (not supported), states and scanned inputs, all with a batch in
/// front: a scan over the samples whose body is the scan over the sequence,
/// both with opset 9's meaning.
static LogicalResult scanOfBatch(Node &N) {
  const onnx::GraphProto *Body = N.graph("body");
  int64_t NumScanned = N.attr("num_scan_inputs", int64_t(0));
  if (!Body)
    return N.fail("the body is missing");
  if (N.has(0))
    return N.fail("sequence_lens are not supported");
  auto Ends = [](onnx::NodeProto &P, const onnx::GraphProto &Graph,
                 int64_t Scanned) {
    P.set_op_type("Scan");
    P.set_domain(InternalDomain.str());
    onnx::AttributeProto &G = *P.add_attribute();
    G.set_name("body");
    G.set_type(onnx::AttributeProto::GRAPH);
    *G.mutable_g() = Graph;
    onnx::AttributeProto &Count = *P.add_attribute();
    Count.set_name("num_scan_inputs");
    Count.set_type(onnx::AttributeProto::INT);
    Count.set_i(Scanned);
  };
  onnx::GraphProto Sample;
  Sample.set_name(Body->name());
  onnx::NodeProto &Inner = *Sample.add_node();
  Ends(Inner, *Body, NumScanned);
  Inner.set_name(N.P.name());
  if (auto Back = N.ints("directions")) {
    onnx::AttributeProto &A = *Inner.add_attribute();
    A.set_name("scan_input_directions");
    A.set_type(onnx::AttributeProto::INTS);
    for (int64_t D : *Back)
      A.add_ints(D);
  }
  onnx::NodeProto &Outer = N.I.file()->addNode();
  Outer.set_name(N.P.name());
  // Names that no model has.
  auto name = [](StringRef What, int K) {
    return ("\1" + What + Twine(K)).str();
  };
  for (int K = 1; K < N.P.input_size(); ++K) {
    Outer.add_input(N.P.input(K));
    Inner.add_input(name("in", K));
    Sample.add_input()->set_name(name("in", K));
  }
  for (int K = 0; K < N.P.output_size(); ++K) {
    Outer.add_output(N.P.output(K));
    Inner.add_output(name("out", K));
    Sample.add_output()->set_name(name("out", K));
  }
  Ends(Outer, Sample, Outer.input_size());
  N.I.addOwn(Outer);
  N.I.addOwn(Outer.attribute(0).g().node(0));
  return N.I.importAlone(Outer, N.F);
}

llvm::ArrayRef<OpEntry> limosa::onnximport::controlOps() {
  static const OpEntry Table[] = {
      {"", "If", 1, 1, 1, Bools, ifOp},
      {"", "Loop", 1, 0, -1, AnyOrString | Sequences, importLoop, 0xff},
      {"", "Scan", 8, 0, -1, 0, scanOfBatch, 0xff},
      {InternalDomain, "Scan", 0, 1, -1, AnyOrString, importScan, 0xff},
      {"", "Scan", 9, 1, -1, AnyOrString, importScan, 0xff},
  };
  return Table;
}
