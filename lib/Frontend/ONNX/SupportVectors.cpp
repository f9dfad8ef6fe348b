//===- SupportVectors.cpp - SVMRegressor, SVMClassifier (ai.onnx.ml) ------===//

#include "MachineLearning.h"
#include "Registry.h"
#include "Rounds.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

using Dir = CompareDirection;

namespace {

/// The attributes that both operators have.
struct Machine {
  SmallVector<double> Coefficients, Rho, Vectors;
  int64_t Count = 0; ///< Support vectors; 0: a linear model.
};

} // namespace

static Machine readMachine(Node &N) {
  auto get = [&](StringRef Name) {
    return N.floats(Name).value_or(SmallVector<double>());
  };
  return {get("coefficients"), get("rho"), get("support_vectors"), 0};
}

/// Input 0 as [samples, features] in f32.
static FailureOr<Value> samples(Node &N) {
  Value X = N.B.convert(N.in(0), N.f32());
  if (N.rank(0) == 1)
    return N.B.expandDims(X, {0});
  if (failed(N.wantRank(0, 2)))
    return failure();
  return X;
}

static Value matrix(Node &N, ArrayRef<double> V, int64_t Rows) {
  return N.B.reshape(
      floatVector(N.B, V, N.f32()),
      {DimExpr(Rows), DimExpr(int64_t(V.size()) / std::max<int64_t>(Rows, 1))});
}

/// How near each sample is to each row of Vectors: [samples, rows].
static FailureOr<Value> applyKernel(Node &N, Value X, Value Vectors,
                                    StringRef Kind) {
  CoreBuilder &B = N.B;
  auto Parameters = N.floats("kernel_params").value_or(SmallVector<double>());
  Parameters.resize(3, 0.0);
  double Gamma = Parameters[0], Offset = Parameters[1], Degree = Parameters[2];
  auto Dot = N.contract(X, Vectors, {}, {}, {1}, {1});
  if (failed(Dot) || Kind == "LINEAR")
    return Dot;
  if (Kind == "RBF") {
    // |x - v|^2, summed over the differences: x.x - 2 x.v + v.v cancels.
    Dims Shape = getDims(*Dot);
    Dims All{Shape[0], Shape[1], getDim(Vectors.getType(), 1)};
    Value Apart = B.sub(B.broadcast(N.as(X, {All[0], All[2]}), All, {0, 2}),
                        B.broadcast(Vectors, All, {1, 2}));
    Value Square = B.reduceSum(B.mul(Apart, Apart), {2});
    return B.exp(B.mulScalar(Square, -Gamma));
  }
  Value Scaled = B.addScalar(B.mulScalar(*Dot, Gamma), Offset);
  if (Kind == "SIGMOID")
    return B.tanh(Scaled);
  if (Kind == "POLY")
    return B.pow(Scaled, B.full(Degree, Scaled));
  return N.fail("kernel_type '" + Kind + "' does not exist");
}

static LogicalResult regressor(Node &N) {
  CoreBuilder &B = N.B;
  Machine M = readMachine(N);
  M.Count = N.attr("n_supports", int64_t(0));
  auto X = samples(N);
  if (failed(X))
    return failure();
  if (M.Count < 0 || M.Rho.empty() || M.Coefficients.empty() ||
      (M.Count && (M.Vectors.empty() || M.Vectors.size() % size_t(M.Count) ||
                   M.Coefficients.size() != size_t(M.Count))))
    return N.fail("the attributes do not fit each other");
  FailureOr<Value> Near = *X;
  if (M.Count)
    Near = applyKernel(N, *X, matrix(N, M.Vectors, M.Count),
                       N.attr("kernel_type", StringRef("LINEAR")));
  if (failed(Near))
    return failure();
  auto Y = N.contract(*Near, matrix(N, M.Coefficients, 1), {}, {}, {1}, {1});
  if (failed(Y))
    return failure();
  Y = B.addScalar(*Y, M.Rho[0]);
  if (N.attr("one_class", int64_t(0)))
    return N.done(B.select(B.compare(Dir::GT, *Y, B.full(0, *Y)), B.full(1, *Y),
                           B.full(-1, *Y)));
  Y = postTransform(N, *Y, N.attr("post_transform", StringRef("NONE")));
  return failed(Y) ? failure() : N.done(*Y);
}

//===----------------------------------------------------------------------===//
// Classes against each other
//===----------------------------------------------------------------------===//

namespace {

/// All pairs of classes: (first, second), first < second.
SmallVector<std::pair<int64_t, int64_t>> pairsOf(int64_t Classes) {
  SmallVector<std::pair<int64_t, int64_t>> Pairs;
  for (int64_t I = 0; I < Classes; ++I)
    for (int64_t J = I + 1; J < Classes; ++J)
      Pairs.push_back({I, J});
  return Pairs;
}

} // namespace

/// The probability of each class [samples, classes] from those of the pairs
/// [samples, pairs] (Wu, Lin, Weng: Probability estimates for multi-class
/// classification by pairwise coupling; the second method, as libsvm does it).
static Value couple(Node &N, Value Pairwise, int64_t Classes) {
  CoreBuilder &B = N.B;
  DimExpr Samples = getDim(Pairwise.getType(), 0);
  auto Pairs = pairsOf(Classes);
  Dims One{Samples};
  auto column = [&](Value V, int64_t K) {
    return B.reshape(B.sliceDim(V, 1, DimExpr(K), DimExpr(1)), One);
  };
  // R[i][j]: i rather than j.
  SmallVector<SmallVector<Value>> R(Classes, SmallVector<Value>(Classes));
  for (auto [K, P] : llvm::enumerate(Pairs)) {
    Value V = column(Pairwise, int64_t(K));
    R[P.first][P.second] = V;
    R[P.second][P.first] = B.addScalar(B.neg(V), 1);
  }
  SmallVector<SmallVector<Value>> Q(Classes, SmallVector<Value>(Classes));
  for (int64_t T = 0; T < Classes; ++T)
    for (int64_t J = 0; J < Classes; ++J) {
      if (J == T)
        continue;
      Value Square = B.mul(R[J][T], R[J][T]);
      Q[T][T] = Q[T][T] ? B.add(Q[T][T], Square) : Square;
      Q[T][J] = B.neg(B.mul(R[J][T], R[T][J]));
    }
  auto stack = [&](ArrayRef<Value> Vs) {
    SmallVector<Value> Columns;
    for (Value V : Vs)
      Columns.push_back(B.expandDims(V, {1}));
    return B.concat(Columns, 1);
  };
  SmallVector<Value> Flat;
  for (const auto &Row : Q)
    llvm::append_range(Flat, Row);
  Value Table = stack(Flat); // [samples, classes * classes]
  const double Near = 0.005 / double(Classes);
  auto round = [&](Value, ValueRange Carried) -> SmallVector<Value> {
    SmallVector<Value> P, QP;
    auto q = [&](int64_t T, int64_t J) {
      return column(Table, T * Classes + J);
    };
    for (int64_t T = 0; T < Classes; ++T)
      P.push_back(column(Carried[0], T));
    Value PQP;
    for (int64_t T = 0; T < Classes; ++T) {
      Value Sum;
      for (int64_t J = 0; J < Classes; ++J) {
        Value Part = B.mul(q(T, J), P[J]);
        Sum = Sum ? B.add(Sum, Part) : Part;
      }
      QP.push_back(Sum);
      Value Part = B.mul(P[T], Sum);
      PQP = PQP ? B.add(PQP, Part) : Part;
    }
    // Samples that have come near enough stay as they are.
    Value Worst = B.full(0, PQP);
    for (Value V : QP)
      Worst = B.max(Worst, B.abs(B.sub(V, PQP)));
    Value Goes = B.compare(Dir::GE, Worst, B.full(Near, Worst));
    SmallVector<Value> Old(P);
    for (int64_t T = 0; T < Classes; ++T) {
      Value Step = B.div(B.sub(PQP, QP[T]), q(T, T));
      Value Scale = B.addScalar(Step, 1);
      P[T] = B.add(P[T], Step);
      PQP = B.div(B.add(PQP, B.mul(Step, B.add(B.mul(Step, q(T, T)),
                                               B.mulScalar(QP[T], 2)))),
                  B.mul(Scale, Scale));
      for (int64_t J = 0; J < Classes; ++J) {
        P[J] = B.div(P[J], Scale);
        QP[J] = B.div(B.add(QP[J], B.mul(Step, q(T, J))), Scale);
      }
    }
    for (int64_t T = 0; T < Classes; ++T)
      P[T] = B.select(Goes, P[T], Old[T]);
    return {stack(P)};
  };
  Value Start =
      B.full(1.0 / double(Classes), {Samples, DimExpr(Classes)}, N.f32());
  int64_t Rounds = std::max<int64_t>(100, Classes);
  return buildRounds(B, DimExpr(Rounds), {Start}, round).front();
}

/// Output 1 where one score stands for two classes: the other has the opposite.
static FailureOr<Value> bothScores(Node &N, Value Score, StringRef Transform) {
  Value Both = N.B.concat({N.B.neg(Score), Score}, 1);
  return postTransform(N, Both, Transform);
}

/// Classes are compared in pairs; the one that wins most often is the label.
static LogicalResult comparePairs(Node &N, const Machine &M, Value X,
                                  Value Labels, ArrayRef<int64_t> PerClass) {
  CoreBuilder &B = N.B;
  int64_t Classes = countLabels(Labels);
  auto Pairs = pairsOf(Classes);
  constexpr int64_t MostClasses = 64;
  if (Classes < 2 || Classes > MostClasses ||
      int64_t(PerClass.size()) != Classes || M.Rho.size() != Pairs.size() ||
      M.Vectors.empty() || M.Vectors.size() % size_t(M.Count) ||
      M.Coefficients.size() != size_t((Classes - 1) * M.Count))
    return N.fail("the attributes do not fit each other, or there are more "
                  "than " +
                  Twine(MostClasses) + " classes");
  auto Near = applyKernel(N, X, matrix(N, M.Vectors, M.Count),
                          N.attr("kernel_type", StringRef("LINEAR")));
  if (failed(Near))
    return failure();
  // Row p: what each support vector says of pair p.
  SmallVector<double> Weights(Pairs.size() * M.Count, 0.0);
  SmallVector<double> First(Pairs.size() * Classes, 0.0), Second(First);
  Ints Begin{0};
  for (int64_t C : PerClass)
    Begin.push_back(Begin.back() + C);
  for (auto [P, Pair] : llvm::enumerate(Pairs)) {
    auto [I, J] = Pair;
    for (int64_t V = Begin[I]; V < Begin[I + 1]; ++V)
      Weights[P * M.Count + V] = M.Coefficients[(J - 1) * M.Count + V];
    for (int64_t V = Begin[J]; V < Begin[J + 1]; ++V)
      Weights[P * M.Count + V] = M.Coefficients[I * M.Count + V];
    First[P * Classes + I] = Second[P * Classes + J] = 1;
  }
  int64_t Count = int64_t(Pairs.size());
  auto Scores = N.contract(*Near, matrix(N, Weights, Count), {}, {}, {1}, {1});
  if (failed(Scores))
    return failure();
  Scores = B.add(*Scores, B.broadcast(floatVector(B, M.Rho, N.f32()),
                                      getDims(*Scores), {1}));
  Value Wins =
      B.convert(B.compare(Dir::GT, *Scores, B.full(0, *Scores)), N.f32());
  Value Losses = B.addScalar(B.neg(Wins), 1);
  auto ForFirst = N.contract(Wins, matrix(N, First, Count), {}, {}, {1}, {0});
  auto ForSecond =
      N.contract(Losses, matrix(N, Second, Count), {}, {}, {1}, {0});
  if (failed(ForFirst) || failed(ForSecond))
    return failure();
  Value Best = B.argReduce(B.add(*ForFirst, *ForSecond), 1, /*IsMax=*/true,
                           /*SelectLast=*/false, /*KeepDims=*/false)
                   .second;
  // Of two classes, weights without a negative one speak for the second.
  bool Positive = Classes == 2 &&
                  llvm::all_of(M.Coefficients, [](double V) { return V >= 0; });
  auto A = N.floats("prob_a").value_or(SmallVector<double>()),
       Slope = N.floats("prob_b").value_or(SmallVector<double>());
  bool Probabilities = !A.empty();
  if (Positive && !Probabilities)
    Best = B.full(1, Best);
  N.out(0, B.take(Labels, Best, 0));
  std::string Transform = N.attr("post_transform", StringRef("NONE"));
  FailureOr<Value> Y = *Scores;
  if (Probabilities) {
    if (A.size() != Pairs.size() || Slope.size() != Pairs.size())
      return N.fail("prob_a and prob_b must have one entry per pair");
    auto along = [&](ArrayRef<double> V) {
      return B.broadcast(floatVector(B, V, N.f32()), getDims(*Scores), {1});
    };
    Value Odds = B.add(B.mul(*Scores, along(A)), along(Slope));
    Value Pairwise = B.addScalar(B.neg(B.sigmoid(Odds)), 1);
    Pairwise = B.minScalar(B.maxScalar(Pairwise, 1e-7), 1 - 1e-7);
    Y = postTransform(N, couple(N, Pairwise, Classes), Transform);
  } else if (Count == 1) {
    Y = bothScores(N, *Scores, Transform);
  } else {
    Y = postTransform(N, *Y, Transform);
  }
  return failed(Y) ? failure() : (N.out(1, *Y), success());
}

/// A score per class, the greatest is the label's.
static LogicalResult compareScores(Node &N, const Machine &M, Value X,
                                   Value Labels) {
  CoreBuilder &B = N.B;
  int64_t Classes = countLabels(Labels);
  if (M.Rho.empty() || M.Coefficients.empty() ||
      M.Coefficients.size() % size_t(Classes))
    return N.fail("the attributes do not fit each other");
  auto Scores =
      N.contract(X, matrix(N, M.Coefficients, Classes), {}, {}, {1}, {1});
  if (failed(Scores))
    return failure();
  Value Y = B.addScalar(*Scores, M.Rho[0]);
  Value Best = B.argReduce(Y, 1, /*IsMax=*/true, /*SelectLast=*/false,
                           /*KeepDims=*/false)
                   .second;
  N.out(0, B.take(Labels, Best, 0));
  std::string Transform = N.attr("post_transform", StringRef("NONE"));
  auto Result = Classes == 1 ? bothScores(N, Y, Transform)
                             : postTransform(N, Y, Transform);
  return failed(Result) ? failure() : (N.out(1, *Result), success());
}

static LogicalResult classifier(Node &N) {
  Machine M = readMachine(N);
  auto PerClass = N.ints("vectors_per_class").value_or(Ints());
  for (int64_t C : PerClass) {
    if (C < 0 || C > (1 << 24))
      return N.fail("vectors_per_class is out of range");
    M.Count += C;
  }
  auto Labels = classLabels(N, "classlabels_ints");
  auto X = samples(N);
  if (failed(Labels) || failed(X))
    return failure();
  return M.Count ? comparePairs(N, M, *X, *Labels, PerClass)
                 : compareScores(N, M, *X, *Labels);
}

llvm::ArrayRef<OpEntry> limosa::onnximport::supportVectorOps() {
  static const OpEntry Table[] = {
      {"ai.onnx.ml", "SVMClassifier", 1, 1, 1, Numbers, classifier},
      {"ai.onnx.ml", "SVMRegressor", 1, 1, 1, Numbers, regressor},
  };
  return Table;
}
