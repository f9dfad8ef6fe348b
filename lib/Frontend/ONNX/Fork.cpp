//===- Fork.cpp - Nodes whose results have one rank or another ------------===//
//
// torch exports x.squeeze(d) of a size it does not know as an If that asks
// whether the size is 1; the ranks of its branches differ. A Squeeze without
// axes is the same in one node. No tensor has two ranks, but what follows can
// be imported once for each way the node can go. Often one rank only makes
// sense there: then the model needs that way, and the program checks that it is
// gone.
//
//===----------------------------------------------------------------------===//

#include "Control.h"
#include "onnx-ml.pb.h"
#include "llvm/Support/SaveAndRestore.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

/// Each fork imports what follows it twice.
static constexpr unsigned MaxForks = 64;

namespace {

/// What follows a node, imported for one way that it can go into a region of
/// its own.
struct Way {
  bool Good = false;
  bool Fits = false;  ///< The outputs have the ranks that the graph declares.
  std::string WhyNot; ///< unless it is good and fits
  llvm::StringMap<Tensor> Names;

  Tensor find(StringRef Name, Frame &F) const {
    auto Found = Names.find(Name);
    if (Found != Names.end())
      return Found->second;
    Tensor *T = F.find(Name);
    return T ? *T : Tensor();
  }
};

} // namespace

SmallVector<GraphOutput>
limosa::onnximport::graphOutputs(const onnx::GraphProto &Graph) {
  SmallVector<GraphOutput> Out;
  for (const onnx::ValueInfoProto &O : Graph.output()) {
    Out.push_back({O.name(), std::nullopt});
    if (O.type().has_tensor_type() && O.type().tensor_type().has_shape())
      Out.back().Rank = O.type().tensor_type().shape().dim_size();
  }
  return Out;
}

void Importer::fork(Fork F) { Pending = std::move(F); }

static void checkRanks(Way &W, Frame &F, ArrayRef<GraphOutput> Outputs) {
  W.Fits = true;
  for (const GraphOutput &O : Outputs) {
    Tensor T = W.find(O.Name, F);
    if (!O.Rank || !T.Type || T.Type.getRank() == *O.Rank)
      continue;
    W.Fits = false;
    W.WhyNot = ("its output '" + O.Name + "' has rank " +
                Twine(T.Type.getRank()) + ", not " + Twine(*O.Rank))
                   .str();
  }
}

/// One If over all that follows, which gives the outputs of the graph.
static LogicalResult joinWays(Node &N, Operation *Draft, Way (&Ways)[2],
                              ArrayRef<GraphOutput> Outputs) {
  BranchYield Yields[2];
  for (unsigned K = 0; K < 2; ++K) {
    OpBuilder::InsertionGuard Guard(N.B.builder());
    N.B.builder().setInsertionPointToEnd(&Draft->getRegion(K).front());
    SmallVector<Tensor> Values;
    for (const GraphOutput &O : Outputs)
      Values.push_back(Ways[K].find(O.Name, N.F));
    auto Yield = yieldTensors(N, Values);
    if (failed(Yield)) {
      Draft->erase();
      return failure();
    }
    Yields[K] = std::move(*Yield);
  }
  if (ranksDiffer(Yields)) {
    Draft->erase();
    return N.fail("the rank of an output of the model depends on it; compile "
                  "the model for fixed sizes");
  }
  auto Results = joinBranches(N, Draft, Yields);
  if (failed(Results))
    return failure();
  for (auto [O, T] : llvm::zip(Outputs, *Results))
    N.F.Names[O.Name] = T;
  return success();
}

LogicalResult Importer::importFork(ArrayRef<const onnx::NodeProto *> Rest,
                                   Frame &F, ArrayRef<GraphOutput> Outputs) {
  const Fork Asked = *std::exchange(Pending, std::nullopt);
  Node N(*this, *Asked.Node, F, F.opset(Asked.Node->domain()));
  auto Refuse = [&](const Twine &Why) {
    N.fail(Why);
    return success();
  };
  if (++NumForks > MaxForks)
    return Refuse("more than " + Twine(MaxForks) +
                  " nodes give tensors of one rank or another");
  OperationState State(N.B.loc(), IfOp::getOperationName());
  if (Asked.Condition)
    State.addOperands(Asked.Condition);
  State.addRegion();
  State.addRegion();
  Operation *Draft = Builder.create(State);

  Way Ways[2];
  auto Try = [&](unsigned K) -> bool {
    OpBuilder::InsertionGuard Guard(Builder);
    Builder.createBlock(&Draft->getRegion(K));
    Way &W = Ways[K];
    auto Saved = F.Names;
    W.Good = succeeded(attempt([&] {
      const size_t Before = numRefusals();
      llvm::SaveAndRestore Stop(RefusalsBeforeFork, std::optional(Before));
      if (succeeded(Asked.Go(K)) &&
          succeeded(continueNodes(Rest, F, Outputs)) && numRefusals() == Before)
        return success();
      if (numRefusals() > Before)
        W.WhyNot = Refusals[Before].Op + " '" + Refusals[Before].Name + "' " +
                   Refusals[Before].Reason;
      return failure();
    }));
    W.Names = std::exchange(F.Names, std::move(Saved));
    if (W.Good)
      checkRanks(W, F, Outputs);
    return W.Good && W.Fits;
  };
  auto Take = [&](unsigned K) {
    if (Asked.Condition)
      AssertOp::create(
          Builder, N.B.loc(),
          K == 0 ? Asked.Condition : N.B.bitNot(Asked.Condition),
          Builder.getStringAttr(N.op() + " '" + N.name() +
                                "': the model does not work at these sizes: " +
                                Ways[1 - K].WhyNot));
    Draft->getBlock()->getOperations().splice(
        Builder.getInsertionPoint(),
        Draft->getRegion(K).front().getOperations());
    Draft->erase();
    F.Names = std::move(Ways[K].Names);
    return success();
  };

  if (Try(1) && !Asked.Condition)
    return Take(1);
  if (Fatal.empty())
    Try(0);
  if (!Fatal.empty())
    return failure();
  if (Ways[0].Good && Ways[1].Good) {
    if (Ways[0].Fits != Ways[1].Fits)
      return Take(Ways[0].Fits ? 0 : 1);
    return Asked.Condition
               ? (void(joinWays(N, Draft, Ways, Outputs)), success())
               : Take(1);
  }
  if (Ways[0].Good || Ways[1].Good)
    return Take(Ways[0].Good ? 0 : 1);
  Draft->erase();
  return Refuse("its result has one rank or another, and what follows takes "
                "neither: " +
                Ways[0].WhyNot + "; " + Ways[1].WhyNot);
}

LogicalResult Importer::importAlone(const onnx::NodeProto &P, Frame &F) {
  if (failed(importNode(P, F)))
    return failure();
  if (auto Asked = std::exchange(Pending, std::nullopt))
    if (failed(Asked->Go(1)) && !Fatal.empty())
      return failure();
  return success();
}
