//===- Trees.cpp - Ensembles of decision trees (ai.onnx.ml) ---------------===//
//
// All trees of an ensemble walk at once: a cursor per sample and tree moves
// from node to node, and stays when it has come to a leaf. The nodes are
// constant tables.
//
//===----------------------------------------------------------------------===//

#include "MachineLearning.h"
#include "Registry.h"
#include "Rounds.h"
#include "Tensors.h"
#include "onnx-ml.pb.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

using Dir = CompareDirection;
using Combiner = CoreBuilder::Combiner;

namespace {
/// How a node compares a feature with its value; numbered as TreeEnsemble does.
enum Mode : int64_t { Leq, Lt, Gte, Gt, Eq, Neq, Leaf };

/// The nodes of an ensemble as columns.
struct Forest {
  Ints Modes, Features, True, False; ///< Leaves lead to themselves.
  SmallVector<bool> MissingTrue;     ///< NaN takes the true branch.
  SmallVector<double> Values;
  Ints Roots;
  /// What a leaf adds: (node, target, weight).
  struct Vote {
    int64_t Node, Target;
    double Weight;
  };
  SmallVector<Vote> Votes;

  size_t size() const { return Modes.size(); }
  int64_t add(int64_t M, int64_t Feature, double Value, bool Missing) {
    int64_t At = int64_t(size());
    Modes.push_back(M);
    Features.push_back(Feature);
    Values.push_back(Value);
    MissingTrue.push_back(Missing);
    True.push_back(At);
    False.push_back(At);
    return At;
  }
  /// Rounds until every cursor is at a leaf; nothing if a node leads upwards.
  std::optional<int64_t> depth() const;
};
} // namespace

std::optional<int64_t> Forest::depth() const {
  // A node is done when its children are: found without recursion.
  SmallVector<int64_t> Depth(size(), -1), Work(Roots.begin(), Roots.end());
  SmallVector<bool> Open(size(), false);
  int64_t Deepest = 0;
  while (!Work.empty()) {
    int64_t At = Work.back();
    if (Depth[At] >= 0) {
      Deepest = std::max(Deepest, Depth[At]);
      Work.pop_back();
      continue;
    }
    if (Modes[At] == Leaf) {
      Depth[At] = 0;
      continue;
    }
    bool Ready = true;
    for (int64_t Child : {True[At], False[At]})
      if (Depth[Child] < 0) {
        if (Open[At])
          return std::nullopt;
        Work.push_back(Child);
        Ready = false;
      }
    Open[At] = true;
    if (Ready)
      Depth[At] = 1 + std::max(Depth[True[At]], Depth[False[At]]);
  }
  return Deepest;
}

//===----------------------------------------------------------------------===//
// Evaluation
//===----------------------------------------------------------------------===//

/// The node [samples, trees] that each sample ends at.
static FailureOr<Value> walk(Node &N, const Forest &F, Value X) {
  CoreBuilder &B = N.B;
  auto Depth = F.depth();
  if (!Depth)
    return N.fail("the nodes form a cycle");
  Dims Shape{getDim(X.getType(), 0), DimExpr(int64_t(F.Roots.size()))};
  Type E = getElementTypeOrSelf(X);
  Value Modes = B.intVector(F.Modes), Features = B.intVector(F.Features),
        True = B.intVector(F.True), False = B.intVector(F.False);
  Value Values = floatVector(B, F.Values, E);
  Ints Missing(F.MissingTrue.begin(), F.MissingTrue.end());
  bool AnyMissing = llvm::is_contained(F.MissingTrue, true);
  auto step = [&](Value, ValueRange Carried) -> SmallVector<Value> {
    Value At = Carried[0];
    auto of = [&](Value Table) { return B.take(Table, At, 0); };
    Value V = B.gather(X, B.expandDims(of(Features), {2}), {1}, 1);
    Value Split = of(Values), M = of(Modes), Yes;
    const std::pair<Mode, Dir> Comparisons[] = {{Leq, Dir::LE}, {Lt, Dir::LT},
                                                {Gte, Dir::GE}, {Gt, Dir::GT},
                                                {Eq, Dir::EQ},  {Neq, Dir::NE}};
    for (auto [Kind, Direction] : Comparisons) {
      if (!llvm::is_contained(F.Modes, Kind))
        continue;
      Value Holds = B.bitAnd(B.compare(Dir::EQ, M, B.full(Kind, M)),
                             B.compare(Direction, V, Split));
      Yes = Yes ? B.bitOr(Yes, Holds) : Holds;
    }
    if (AnyMissing)
      Yes = B.bitOr(Yes, B.bitAnd(B.compare(Dir::NE, V, V),
                                  B.convert(of(B.intVector(Missing)),
                                            B.builder().getI1Type())));
    return {B.select(Yes, of(True), of(False))};
  };
  Value Start = B.broadcast(B.intVector(F.Roots), Shape, {1});
  if (*Depth == 0)
    return Start;
  return buildRounds(B, DimExpr(*Depth), {Start}, step).front();
}

/// Scores [samples, targets] from the leaves.
static FailureOr<Value> vote(Node &N, const Forest &F, Value X, int64_t Targets,
                             StringRef Aggregate) {
  CoreBuilder &B = N.B;
  auto Ends = walk(N, F, X);
  if (failed(Ends))
    return failure();
  // A table of what every node adds to every target; which it does not, if
  // that makes a difference.
  if (int64_t(F.size()) * Targets > (1 << 24))
    return N.fail("has too many nodes and targets");
  bool Extreme = Aggregate == "MIN" || Aggregate == "MAX";
  double Neutral = !Extreme             ? 0
                   : Aggregate == "MIN" ? std::numeric_limits<float>::max()
                                        : std::numeric_limits<float>::lowest();
  SmallVector<double> Table(F.size() * Targets, Neutral);
  for (const Forest::Vote &V : F.Votes) {
    double &Cell = Table[V.Node * Targets + V.Target];
    Cell = !Extreme             ? Cell + V.Weight
           : Aggregate == "MIN" ? std::min(Cell, V.Weight)
                                : std::max(Cell, V.Weight);
  }
  Value Rows = B.reshape(floatVector(B, Table, getElementTypeOrSelf(X)),
                         {DimExpr(int64_t(F.size())), DimExpr(Targets)});
  Value Votes = B.take(Rows, *Ends, 0); // [samples, trees, targets]
  if (Extreme)
    return B.reduce(Aggregate == "MIN" ? Combiner::Min : Combiner::Max, Votes,
                    {1});
  Value Sum = B.reduceSum(Votes, {1});
  if (Aggregate == "AVERAGE")
    Sum = B.mulScalar(Sum, 1.0 / double(std::max<size_t>(F.Roots.size(), 1)));
  return Sum;
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

static std::optional<int64_t> modeOf(StringRef Name) {
  return llvm::StringSwitch<std::optional<int64_t>>(Name)
      .Case("BRANCH_LEQ", Leq)
      .Case("BRANCH_LT", Lt)
      .Case("BRANCH_GTE", Gte)
      .Case("BRANCH_GT", Gt)
      .Case("BRANCH_EQ", Eq)
      .Case("BRANCH_NEQ", Neq)
      .Case("LEAF", Leaf)
      .Default(std::nullopt);
}

/// Floats from attribute `Name`, or from the tensor `Name` + "_as_tensor".
static SmallVector<double> numbers(Node &N, StringRef Name) {
  if (auto V = N.floats(Name); V && !V->empty())
    return *V;
  if (auto V = tensorNumbers(N, (Name + "_as_tensor").str()))
    return *V;
  return {};
}

/// The attributes of TreeEnsembleRegressor and -Classifier: nodes have the
/// numbers of their trees and their own in those; leaves add to `Prefix`.
static FailureOr<Forest> readByTree(Node &N, StringRef Prefix) {
  auto get = [&](const Twine &Name) {
    return N.ints(Name.str()).value_or(Ints());
  };
  Ints Tree = get("nodes_treeids"), Id = get("nodes_nodeids"),
       Feature = get("nodes_featureids"), True = get("nodes_truenodeids"),
       False = get("nodes_falsenodeids"),
       Missing = get("nodes_missing_value_tracks_true");
  auto Modes = N.strings("nodes_modes").value_or(SmallVector<std::string>());
  SmallVector<double> Values = numbers(N, "nodes_values");
  size_t Count = Id.size();
  for (size_t Size : {Tree.size(), Feature.size(), True.size(), False.size(),
                      Modes.size(), Values.size()})
    if (Size != Count)
      return N.fail("the attributes of the nodes differ in length");
  Forest F;
  llvm::DenseMap<std::pair<int64_t, int64_t>, int64_t> Where;
  SmallVector<bool> IsChild(Count, false);
  for (size_t K = 0; K < Count; ++K) {
    auto M = modeOf(Modes[K]);
    if (!M)
      return N.fail("nodes of mode " + Modes[K] + " are not supported");
    F.add(*M, *M == Leaf ? 0 : Feature[K], Values[K],
          K < Missing.size() && Missing[K]);
    Where[{Tree[K], Id[K]}] = int64_t(K);
  }
  for (size_t K = 0; K < Count; ++K) {
    if (F.Modes[K] == Leaf)
      continue;
    auto T = Where.find({Tree[K], True[K]}),
         E = Where.find({Tree[K], False[K]});
    if (T == Where.end() || E == Where.end())
      return N.fail("a node leads to one that does not exist");
    F.True[K] = T->second;
    F.False[K] = E->second;
    IsChild[T->second] = IsChild[E->second] = true;
  }
  for (size_t K = 0; K < Count; ++K)
    if (!IsChild[K])
      F.Roots.push_back(int64_t(K));
  Ints VoteTree = get(Prefix + "_treeids"), VoteNode = get(Prefix + "_nodeids"),
       VoteTarget = get(Prefix + "_ids");
  SmallVector<double> Weights = numbers(N, (Prefix + "_weights").str());
  if (VoteNode.size() != VoteTree.size() ||
      VoteTarget.size() != VoteTree.size() || Weights.size() != VoteTree.size())
    return N.fail("the attributes of the leaves differ in length");
  for (size_t K = 0; K < VoteTree.size(); ++K) {
    auto At = Where.find({VoteTree[K], VoteNode[K]});
    if (At == Where.end())
      return N.fail("a leaf does not exist");
    F.Votes.push_back({At->second, VoteTarget[K], Weights[K]});
  }
  return F;
}

/// The attributes of TreeEnsemble: nodes and leaves are apart; a node that
/// tests membership becomes a chain of tests for equality.
static FailureOr<Forest> readTables(Node &N) {
  auto get = [&](StringRef Name) { return N.ints(Name).value_or(Ints()); };
  Ints Feature = get("nodes_featureids"), True = get("nodes_truenodeids"),
       False = get("nodes_falsenodeids"), TrueLeaf = get("nodes_trueleafs"),
       FalseLeaf = get("nodes_falseleafs"), Roots = get("tree_roots"),
       Missing = get("nodes_missing_value_tracks_true"),
       Targets = get("leaf_targetids");
  auto Modes = tensorNumbers(N, "nodes_modes"),
       Splits = tensorNumbers(N, "nodes_splits"),
       Weights = tensorNumbers(N, "leaf_weights"),
       Members = tensorNumbers(N, "membership_values");
  size_t Count = Feature.size(), Leaves = Targets.size();
  if (!Modes || !Splits || !Weights || Weights->size() != Leaves)
    return N.fail("attributes are missing");
  for (size_t Size : {True.size(), False.size(), TrueLeaf.size(),
                      FalseLeaf.size(), Modes->size(), Splits->size()})
    if (Size != Count)
      return N.fail("the attributes of the nodes differ in length");
  Forest F;
  for (size_t K = 0; K < Count; ++K)
    F.add(0, Feature[K], (*Splits)[K], K < Missing.size() && Missing[K]);
  for (size_t K = 0; K < Leaves; ++K) {
    int64_t At = F.add(Leaf, 0, 0, false);
    F.Votes.push_back({At, Targets[K], (*Weights)[K]});
  }
  auto target = [&](int64_t At, bool IsLeaf) -> std::optional<int64_t> {
    if (At < 0 || At >= int64_t(IsLeaf ? Leaves : Count))
      return std::nullopt;
    return IsLeaf ? int64_t(Count) + At : At;
  };
  size_t Member = 0;
  for (size_t K = 0; K < Count; ++K) {
    auto T = target(True[K], TrueLeaf[K]), E = target(False[K], FalseLeaf[K]);
    int64_t M = int64_t((*Modes)[K]);
    if (!T || !E || M < 0 || M > 6)
      return N.fail("a node leads to one that does not exist");
    F.True[K] = *T;
    F.False[K] = *E;
    F.Modes[K] = M == 6 ? Eq : M;
    if (M != 6)
      continue;
    // The set's values, up to the NaN that ends it.
    SmallVector<double> Set;
    while (Members && Member < Members->size() &&
           !std::isnan((*Members)[Member]))
      Set.push_back((*Members)[Member++]);
    ++Member;
    int64_t Last = int64_t(K);
    F.Values[K] =
        Set.empty() ? std::numeric_limits<double>::quiet_NaN() : Set[0];
    for (double V : ArrayRef(Set).drop_front(Set.empty() ? 0 : 1)) {
      int64_t Next = F.add(Eq, Feature[K], V, F.MissingTrue[K]);
      F.True[Next] = *T;
      F.False[Last] = Next;
      Last = Next;
    }
    F.False[Last] = *E;
  }
  for (int64_t R : Roots) {
    if (R < 0 || R >= int64_t(Count))
      return N.fail("a root does not exist");
    F.Roots.push_back(R);
  }
  return F;
}

//===----------------------------------------------------------------------===//
// Operators
//===----------------------------------------------------------------------===//

/// Input 0 as [samples, features] that the forest can read.
static FailureOr<Value> samples(Node &N, const Forest &F) {
  if (failed(N.wantRank(0, 2)))
    return failure();
  int64_t Most = 0;
  for (int64_t Feature : F.Features)
    Most = std::max(Most, Feature);
  auto Have = N.dim(0, 1).constant();
  if (llvm::any_of(F.Features, [](int64_t V) { return V < 0; }) ||
      (Have && Most >= *Have))
    return N.fail("a node asks for a feature that does not exist");
  for (const Forest::Vote &V : F.Votes)
    if (V.Target < 0)
      return N.fail("a leaf's target does not exist");
  Type E = N.elem(0).isF64() ? N.elem(0) : N.f32();
  return N.B.convert(N.in(0), E);
}

/// Scores [samples, targets] and what every sample begins with.
static FailureOr<Value> addBase(Node &N, Value Scores, int64_t Targets) {
  auto Base = numbers(N, "base_values");
  if (Base.empty())
    return Scores;
  if (int64_t(Base.size()) != Targets)
    return N.fail("base_values must have one entry per target");
  Value Along = floatVector(N.B, Base, getElementTypeOrSelf(Scores));
  return N.B.add(Scores, N.B.broadcast(Along, getDims(Scores), {1}));
}

static LogicalResult regress(Node &N, FailureOr<Forest> F, int64_t Targets,
                             StringRef Aggregate, StringRef Transform) {
  if (failed(F))
    return failure();
  auto X = samples(N, *F);
  if (failed(X))
    return failure();
  for (const Forest::Vote &V : F->Votes)
    Targets = std::max(Targets, V.Target + 1);
  auto Y = vote(N, *F, *X, Targets, Aggregate);
  if (failed(Y))
    return failure();
  if (failed(Y = addBase(N, *Y, Targets)) ||
      failed(Y = postTransform(N, *Y, Transform)))
    return failure();
  return N.done(*Y);
}

static LogicalResult treeEnsemble(Node &N) {
  static constexpr StringLiteral Aggregates[] = {"AVERAGE", "SUM", "MIN",
                                                 "MAX"};
  static constexpr StringLiteral Transforms[] = {"NONE", "SOFTMAX", "LOGISTIC",
                                                 "SOFTMAX_ZERO", "PROBIT"};
  int64_t Aggregate = N.attr("aggregate_function", int64_t(1)),
          Transform = N.attr("post_transform", int64_t(0));
  if (Aggregate < 0 || Aggregate > 3 || Transform < 0 || Transform > 4)
    return N.fail("aggregate_function or post_transform does not exist");
  return regress(N, readTables(N), N.attr("n_targets", int64_t(1)),
                 Aggregates[Aggregate], Transforms[Transform]);
}

static LogicalResult treeRegressor(Node &N) {
  return regress(N, readByTree(N, "target"), N.attr("n_targets", int64_t(1)),
                 N.attr("aggregate_function", StringRef("SUM")),
                 N.attr("post_transform", StringRef("NONE")));
}

static LogicalResult treeClassifier(Node &N) {
  auto F = readByTree(N, "class");
  if (failed(F))
    return failure();
  auto X = samples(N, *F);
  auto Labels = classLabels(N, "classlabels_int64s");
  if (failed(X) || failed(Labels))
    return failure();
  int64_t Classes = countLabels(*Labels);
  llvm::SmallDenseSet<int64_t> Voted;
  for (const Forest::Vote &V : F->Votes) {
    Voted.insert(V.Target);
    if (V.Target >= Classes)
      return N.fail("a leaf votes for a class that does not exist");
  }
  // Two classes with votes for one: what it got decides, not who got more.
  bool Two = Classes == 2 && Voted.size() == 1;
  bool OneScore = Two && Voted.contains(0);
  auto Scores = vote(N, *F, *X, OneScore ? 1 : Classes, "SUM");
  if (failed(Scores) ||
      failed(Scores = addBase(N, *Scores, OneScore ? 1 : Classes)))
    return failure();
  bool Positive = llvm::all_of(
      F->Votes, [](const Forest::Vote &V) { return V.Weight >= 0; });
  return classify(N, *Scores, *Labels,
                  !Two       ? Binary::Scores
                  : Positive ? Binary::Probability
                             : Binary::Margin);
}

llvm::ArrayRef<OpEntry> limosa::onnximport::treeOps() {
  static const OpEntry Table[] = {
      {"ai.onnx.ml", "TreeEnsemble", 5, 1, 1, Floats, treeEnsemble},
      {"ai.onnx.ml", "TreeEnsembleRegressor", 1, 1, 1, Numbers, treeRegressor},
      {"ai.onnx.ml", "TreeEnsembleClassifier", 1, 1, 1, Numbers,
       treeClassifier},
  };
  return Table;
}
