//===- Loss.cpp - Losses and what optimisers do with gradients ------------===//

#include "Registry.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

using Dir = CompareDirection;

//===----------------------------------------------------------------------===//
// Losses
//===----------------------------------------------------------------------===//

/// The loss of log probabilities [N, C, ..] for the classes [N, ..] in input 1,
/// weighted by input 2.
static LogicalResult classLoss(Node &N, Value LogP) {
  CoreBuilder &B = N.B;
  if (failed(N.wantMinRank(0, 2)))
    return failure();
  Dims Shape = getDims(LogP), Samples = Shape;
  Samples.erase(Samples.begin() + 1);
  if (N.rank(1) != int64_t(Samples.size()) || !isa<IntegerType>(N.elem(1)))
    return N.fail("input 1 must hold an integer per sample");
  for (size_t D = 0; D < Samples.size(); ++D)
    if (failed(N.wantEqual(N.dim(1, D), Samples[D],
                           "sizes of the samples and their classes")))
      return failure();
  Value Class = B.convert(N.as(N.in(1), Samples), N.i64());
  Ints Others{0};
  for (size_t D = 2; D < Shape.size(); ++D)
    Others.push_back(int64_t(D));
  Value Hit = B.compare(Dir::EQ, B.iota(Shape, 1, N.i64()),
                        B.broadcast(Class, Shape, Others));
  Value Zero = B.full(0, LogP);
  Value Loss = B.neg(B.reduceSum(B.select(Hit, LogP, Zero), {1}));
  // What each sample counts: its class's weight, nothing if it is ignored.
  Value Weight;
  if (N.has(2)) {
    if (failed(N.wantRank(2, 1)) || failed(N.sameElem(0, 2)) ||
        failed(N.wantEqual(N.dim(2, 0), Shape[1], "weights and classes")))
      return failure();
    Value Along = B.broadcast(N.as(N.in(2), {Shape[1]}), Shape, {1});
    Weight = B.reduceSum(B.select(Hit, Along, Zero), {1});
  }
  if (N.hasAttr("ignore_index")) {
    Value Counts = B.compare(
        Dir::NE, Class,
        B.broadcast(B.dim(DimExpr(N.attr("ignore_index", int64_t(0)))), Samples,
                    {}));
    Weight =
        B.select(Counts, Weight ? Weight : B.full(1, Loss), B.full(0, Loss));
    // An ignored sample may hold anything.
    Loss = B.select(Counts, Loss, B.full(0, Loss));
  }
  if (Weight)
    Loss = B.mul(Loss, Weight);
  std::string Reduction = N.attr("reduction", StringRef("mean"));
  Ints All = llvm::to_vector(llvm::seq<int64_t>(0, Samples.size()));
  if (Reduction == "mean" && Weight)
    Loss = B.div(B.reduceSum(Loss, All), B.reduceSum(Weight, All));
  else if (Reduction == "mean")
    Loss = B.reduceMean(Loss, All);
  else if (Reduction == "sum")
    Loss = B.reduceSum(Loss, All);
  else if (Reduction != "none")
    return N.fail("reduction '" + Reduction + "' does not exist");
  return N.done(Loss);
}

static LogicalResult negativeLogLikelihood(Node &N) {
  return classLoss(N, N.in(0));
}

static LogicalResult softmaxCrossEntropy(Node &N) {
  if (failed(N.wantMinRank(0, 2)))
    return failure();
  Value LogP =
      N.composite("log_softmax", {N.in(0)}, {N.cfg("axis", int64_t(1))})[0];
  N.out(1, LogP);
  return classLoss(N, LogP);
}

//===----------------------------------------------------------------------===//
// ai.onnx.preview.training
//===----------------------------------------------------------------------===//

namespace {
/// One tensor that is optimised, and how far training is.
struct Step {
  Value Rate;  ///< R along X, of its type
  Value First; ///< T == 0 along X
  Value Count; ///< T along X, of its type
  Value X, Gradient;
  SmallVector<Value, 2> State;
};
} // namespace

/// Inputs are R, T, then tensors, gradients and `States` groups of states;
/// outputs are the new tensors, then the new states.
static LogicalResult
optimise(Node &N, unsigned States,
         llvm::function_ref<SmallVector<Value>(CoreBuilder &, const Step &)>
             Update) {
  unsigned Groups = 2 + States;
  if (N.numInputs() < 2 || (N.numInputs() - 2) % Groups)
    return N.fail("inputs must be two scalars and groups of tensors");
  unsigned Count = (N.numInputs() - 2) / Groups;
  for (unsigned K = 0; K < N.numInputs(); ++K)
    if (!N.has(K))
      return N.fail("input " + Twine(K) + " is missing");
  CoreBuilder &B = N.B;
  for (unsigned K = 0; K < Count; ++K) {
    Step S;
    S.X = N.in(2 + K);
    Dims Shape = getDims(S.X);
    Type E = N.elem(2 + K);
    SmallVector<Value> Others;
    for (unsigned G = 1; G < Groups; ++G) {
      unsigned At = 2 + G * Count + K;
      if (N.elem(At) != E || N.rank(At) != int64_t(Shape.size()))
        return N.fail("input " + Twine(At) + " does not fit its tensor");
      for (size_t D = 0; D < Shape.size(); ++D)
        if (failed(N.wantEqual(N.dim(At, D), Shape[D], "sizes")))
          return failure();
      Others.push_back(N.as(N.in(At), Shape));
    }
    auto Rate = N.scalarLike(0, S.X), T = N.scalarLike(1, S.X);
    if (failed(Rate) || failed(T))
      return failure();
    S.Rate = B.convert(*Rate, E);
    S.First = B.compare(Dir::LE, *T, B.full(0, *T));
    S.Count = B.convert(*T, E);
    // The gradient of the regularisation is added first.
    S.Gradient = B.add(B.mulScalar(S.X, N.attr("norm_coefficient", 0.0)),
                       Others.front());
    S.State.assign(Others.begin() + 1, Others.end());
    SmallVector<Value> New = Update(B, S);
    for (unsigned G = 0; G < New.size(); ++G)
      N.out(G * Count + K, New[G]);
  }
  return success();
}

static LogicalResult adagrad(Node &N) {
  double Decay = N.attr("decay_factor", 0.0), Epsilon = N.attr("epsilon", 1e-6);
  return optimise(N, 1, [&](CoreBuilder &B, const Step &S) {
    Value Rate = B.div(S.Rate, B.addScalar(B.mulScalar(S.Count, Decay), 1));
    Value H = B.add(S.State[0], B.mul(S.Gradient, S.Gradient));
    Value Move =
        B.div(B.mul(Rate, S.Gradient), B.addScalar(B.sqrt(H), Epsilon));
    return SmallVector<Value>{B.sub(S.X, Move), H};
  });
}

static LogicalResult momentum(Node &N) {
  double Alpha = N.attr("alpha", 0.0), Beta = N.attr("beta", 0.0);
  bool Nesterov = N.attr("mode", StringRef("standard")) == "nesterov";
  return optimise(N, 1, [&](CoreBuilder &B, const Step &S) {
    Value Factor = B.select(S.First, B.full(1, S.X), B.full(Beta, S.X));
    Value V = B.add(B.mulScalar(S.State[0], Alpha), B.mul(Factor, S.Gradient));
    Value Move = Nesterov ? B.add(S.Gradient, B.mulScalar(V, Alpha)) : V;
    return SmallVector<Value>{B.sub(S.X, B.mul(S.Rate, Move)), V};
  });
}

static LogicalResult adam(Node &N) {
  double Alpha = N.attr("alpha", 0.9), Beta = N.attr("beta", 0.999),
         Epsilon = N.attr("epsilon", 1e-6),
         Post = N.attr("norm_coefficient_post", 0.0);
  return optimise(N, 2, [&](CoreBuilder &B, const Step &S) {
    Value V = B.add(B.mulScalar(S.State[0], Alpha),
                    B.mulScalar(S.Gradient, 1 - Alpha));
    Value H = B.add(B.mulScalar(S.State[1], Beta),
                    B.mulScalar(B.mul(S.Gradient, S.Gradient), 1 - Beta));
    // Both averages begin at zero, which is corrected for.
    auto remaining = [&](double Base) {
      return B.addScalar(B.neg(B.pow(B.full(Base, S.X), S.Count)), 1);
    };
    Value Corrected =
        B.div(B.mul(S.Rate, B.sqrt(remaining(Beta))), remaining(Alpha));
    Value Rate = B.select(S.First, S.Rate, Corrected);
    Value Move = B.mul(Rate, B.div(V, B.addScalar(B.sqrt(H), Epsilon)));
    Value X = B.mulScalar(B.sub(S.X, Move), 1 - Post);
    return SmallVector<Value>{X, V, H};
  });
}

llvm::ArrayRef<OpEntry> limosa::onnximport::lossOps() {
  static const OpEntry Table[] = {
      {"", "NegativeLogLikelihoodLoss", 12, 2, 3, Floats,
       negativeLogLikelihood},
      {"", "SoftmaxCrossEntropyLoss", 12, 2, 3, Floats, softmaxCrossEntropy},
      {"ai.onnx.preview.training", "Adagrad", 1, 3, -1, Floats, adagrad},
      {"ai.onnx.preview.training", "Adam", 1, 3, -1, Floats, adam},
      {"ai.onnx.preview.training", "Momentum", 1, 3, -1, Floats, momentum},
  };
  return Table;
}
