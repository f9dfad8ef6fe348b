//===- Matmul.cpp - Products ----------------------------------------------===//

#include "Activate.h"
#include "Quantize.h"
#include "Registry.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

static LogicalResult matmul(Node &N) {
  if (failed(N.sameElem(0, 1)))
    return failure();
  auto V = quantisedMatmul(N, /*TransB=*/false);
  if (succeeded(V) && !*V)
    V = N.matmul(N.in(0), N.in(1));
  return failed(V) ? failure() : N.done(*V);
}

static FailureOr<Value> buildGemm(Node &N) {
  if (failed(N.wantRank(0, 2)) || failed(N.wantRank(1, 2)) ||
      failed(N.sameElem(0, 1)))
    return failure();
  bool TransA = N.attr("transA", int64_t(0)) != 0,
       TransB = N.attr("transB", int64_t(0)) != 0;
  double Alpha = N.attr("alpha", 1.0), Beta = N.attr("beta", 1.0);
  auto Product =
      TransA ? FailureOr<Value>(Value()) : quantisedMatmul(N, TransB);
  if (succeeded(Product) && !*Product)
    Product = N.contract(N.in(0), N.in(1), {}, {}, {TransA ? 0 : 1},
                         {TransB ? 1 : 0});
  if (failed(Product))
    return failure();
  Value Y = *Product;
  if (Alpha != 1)
    Y = N.B.mulScalar(Y, Alpha);
  if (!N.has(2) || Beta == 0)
    return Y;
  if (failed(N.sameElem(0, 2)))
    return failure();
  auto C = N.broadcastTo(N.in(2), getDims(Y));
  if (failed(C))
    return failure();
  return N.B.add(Y, Beta == 1 ? *C : N.B.mulScalar(*C, Beta));
}

static LogicalResult gemm(Node &N) {
  auto Y = buildGemm(N);
  return failed(Y) ? failure() : N.done(*Y);
}

/// com.microsoft: and then an activation.
static LogicalResult fusedGemm(Node &N) {
  auto Y = buildGemm(N);
  if (failed(Y))
    return failure();
  SmallVector<double> Parameters;
  for (StringRef Name : {"activation_alpha", "activation_beta"})
    if (N.hasAttr(Name))
      Parameters.push_back(N.attr(Name, 0.0));
  Y = activate(N, *Y, N.attr("activation", StringRef("")), Parameters);
  return failed(Y) ? failure() : N.done(*Y);
}

/// com.microsoft: alpha * op(A) @ op(B).
static LogicalResult fusedMatmul(Node &N) {
  if (failed(N.sameElem(0, 1)))
    return failure();
  if (N.attr("transBatchA", int64_t(0)) || N.attr("transBatchB", int64_t(0)))
    return N.fail("transBatchA and transBatchB are not supported");
  auto operand = [&](unsigned K, StringRef Trans) {
    Value V = N.in(K);
    if (!N.attr(Trans, int64_t(0)) || N.rank(K) < 2)
      return V;
    Ints Perm = llvm::to_vector(llvm::seq<int64_t>(0, N.rank(K)));
    std::swap(Perm[Perm.size() - 2], Perm[Perm.size() - 1]);
    return N.B.transpose(V, Perm);
  };
  auto V = N.matmul(operand(0, "transA"), operand(1, "transB"));
  if (failed(V))
    return failure();
  double Alpha = N.attr("alpha", 1.0);
  return N.done(Alpha == 1 ? *V : N.B.mulScalar(*V, Alpha));
}

//===----------------------------------------------------------------------===//
// Einsum
//===----------------------------------------------------------------------===//

namespace {
/// One operand on its way: a value and the label of each of its dimensions.
/// Dimensions of the ellipsis have labels 256 + their distance from its end.
struct Labelled {
  Value V;
  SmallVector<int> Labels;
};
} // namespace

static constexpr int EllipsisLabel = 256;

/// "ab...c" for a tensor of a rank; null if it does not fit.
static std::optional<SmallVector<int>> parseTerm(StringRef Text, int64_t Rank,
                                                 int64_t EllipsisRank) {
  SmallVector<int> Labels;
  bool Ellipsis = false;
  for (size_t I = 0; I < Text.size(); ++I) {
    if (Text[I] == ' ')
      continue;
    if (Text.substr(I).starts_with("...")) {
      if (Ellipsis)
        return std::nullopt;
      Ellipsis = true;
      int64_t Count = EllipsisRank;
      if (Rank >= 0) {
        int64_t Letters = llvm::count_if(Text, llvm::isAlpha);
        Count = Rank - Letters;
      }
      if (Count < 0)
        return std::nullopt;
      for (int64_t D = Count; D > 0; --D)
        Labels.push_back(EllipsisLabel + int(D));
      I += 2;
    } else if (llvm::isAlpha(Text[I])) {
      Labels.push_back(Text[I]);
    } else {
      return std::nullopt;
    }
  }
  if (Rank >= 0 && int64_t(Labels.size()) != Rank)
    return std::nullopt;
  return Labels;
}

/// Repeated labels of one operand select its diagonal.
static LogicalResult takeDiagonals(Node &N, Labelled &T) {
  for (size_t I = 0; I < T.Labels.size(); ++I)
    for (size_t J = I + 1; J < T.Labels.size();) {
      if (T.Labels[I] != T.Labels[J]) {
        ++J;
        continue;
      }
      Dims Shape = getDims(T.V);
      if (failed(N.wantEqual(Shape[I], Shape[J], "sizes of a repeated label")))
        return failure();
      // Sum over j of x where i == j keeps exactly the diagonal.
      Value OnDiagonal =
          N.B.compare(CompareDirection::EQ, N.B.iota(Shape, I, N.i64()),
                      N.B.iota(Shape, J, N.i64()));
      T.V = N.B.reduceSum(N.B.select(OnDiagonal, T.V, N.B.full(0, T.V)),
                          {int64_t(J)});
      T.Labels.erase(T.Labels.begin() + J);
    }
  return success();
}

/// Sums over the labels that are in none of `Kept`.
static void sumOut(Node &N, Labelled &T, const llvm::DenseSet<int> &Kept) {
  Ints Drop;
  SmallVector<int> Left;
  for (auto [D, L] : llvm::enumerate(T.Labels))
    if (Kept.contains(L))
      Left.push_back(L);
    else
      Drop.push_back(D);
  if (Drop.empty())
    return;
  T.V = N.B.reduceSum(T.V, Drop);
  T.Labels = Left;
}

/// Labels in the order `To`; those that T lacks become unit dimensions.
static Value arrange(Node &N, const Labelled &T, ArrayRef<int> To) {
  Ints Perm;
  Ints New;
  for (auto [D, L] : llvm::enumerate(To)) {
    auto It = llvm::find(T.Labels, L);
    if (It == T.Labels.end())
      New.push_back(D);
    else
      Perm.push_back(It - T.Labels.begin());
  }
  return N.B.expandDims(N.B.transpose(T.V, Perm), New);
}

/// Product of two operands, summed over labels that nothing else needs.
static FailureOr<Labelled> multiply(Node &N, Labelled A, Labelled B,
                                    const llvm::DenseSet<int> &Needed) {
  Ints ABatch, BBatch, ASum, BSum;
  SmallVector<int> Batch, Free;
  Dims AD = getDims(A.V), BD = getDims(B.V);
  // A unit dimension broadcasts against a larger one: it drops out.
  for (auto *Pair : {&A, &B}) {
    Labelled &T = *Pair;
    Labelled &Other = Pair == &A ? B : A;
    Ints Drop;
    SmallVector<int> Left;
    for (auto [D, L] : llvm::enumerate(T.Labels)) {
      auto It = llvm::find(Other.Labels, L);
      bool Unit =
          getDim(T.V.getType(), D).isConstant(1) && It != Other.Labels.end() &&
          !getDim(Other.V.getType(), It - Other.Labels.begin()).isConstant(1);
      if (Unit)
        Drop.push_back(D);
      else
        Left.push_back(L);
    }
    T.V = N.B.squeeze(T.V, Drop);
    T.Labels = Left;
  }
  for (auto [D, L] : llvm::enumerate(A.Labels)) {
    auto It = llvm::find(B.Labels, L);
    int64_t E = It - B.Labels.begin();
    if (It == B.Labels.end()) {
      Free.push_back(L);
    } else if (Needed.contains(L)) {
      ABatch.push_back(D);
      BBatch.push_back(E);
      Batch.push_back(L);
    } else {
      ASum.push_back(D);
      BSum.push_back(E);
    }
  }
  auto V = N.contract(A.V, B.V, ABatch, BBatch, ASum, BSum);
  if (failed(V))
    return failure();
  Labelled Out{*V, Batch};
  llvm::append_range(Out.Labels, Free);
  for (int L : B.Labels)
    if (!llvm::is_contained(A.Labels, L))
      Out.Labels.push_back(L);
  return Out;
}

static LogicalResult einsum(Node &N) {
  std::string Equation = N.attr("equation", StringRef());
  StringRef Left = Equation, Right;
  bool Explicit = Left.contains("->");
  std::tie(Left, Right) = Left.split("->");
  SmallVector<StringRef> Terms;
  Left.split(Terms, ',');
  if (Terms.size() != N.numInputs())
    return N.fail("equation '" + Equation + "' does not fit " +
                  Twine(N.numInputs()) + " inputs");
  SmallVector<Labelled> Operands;
  int64_t EllipsisRank = 0;
  std::map<int, int> Uses;
  for (auto [K, Term] : llvm::enumerate(Terms)) {
    if (!N.has(K))
      return N.fail("input " + Twine(K) + " is missing");
    auto Labels = parseTerm(Term, N.rank(K), 0);
    if (!Labels)
      return N.fail("equation '" + Equation + "' does not fit input " +
                    Twine(K));
    if (failed(N.sameElem(0, K)))
      return failure();
    for (int L : *Labels) {
      ++Uses[L];
      if (L > EllipsisLabel)
        EllipsisRank = std::max<int64_t>(EllipsisRank, L - EllipsisLabel);
    }
    Operands.push_back({N.in(K), *Labels});
    if (failed(takeDiagonals(N, Operands.back())))
      return failure();
  }
  SmallVector<int> Out;
  if (Explicit) {
    auto Labels = parseTerm(Right, -1, EllipsisRank);
    if (!Labels)
      return N.fail("equation '" + Equation + "' is malformed");
    Out = *Labels;
  } else {
    for (int64_t D = EllipsisRank; D > 0; --D)
      Out.push_back(EllipsisLabel + int(D));
    for (auto [L, Count] : Uses)
      if (Count == 1 && L < EllipsisLabel)
        Out.push_back(L);
  }
  for (auto [I, L] : llvm::enumerate(Out))
    if (!Uses.count(L) || llvm::is_contained(ArrayRef(Out).take_front(I), L))
      return N.fail("equation '" + Equation + "' is malformed");
  llvm::DenseSet<int> Wanted(Out.begin(), Out.end());

  auto neededAfter = [&](size_t First) {
    llvm::DenseSet<int> S = Wanted;
    for (const Labelled &T : ArrayRef(Operands).drop_front(First))
      S.insert(T.Labels.begin(), T.Labels.end());
    return S;
  };
  Labelled Acc = Operands[0];
  sumOut(N, Acc, neededAfter(1));
  for (size_t K = 1; K < Operands.size(); ++K) {
    llvm::DenseSet<int> Needed = neededAfter(K + 1), Own = Needed;
    Own.insert(Acc.Labels.begin(), Acc.Labels.end());
    Labelled Next = Operands[K];
    sumOut(N, Next, Own);
    auto Product = multiply(N, Acc, Next, Needed);
    if (failed(Product))
      return failure();
    Acc = *Product;
  }
  sumOut(N, Acc, Wanted);
  return N.done(arrange(N, Acc, Out));
}

llvm::ArrayRef<OpEntry> limosa::onnximport::matmulOps() {
  static const OpEntry Table[] = {
      {"", "MatMul", 1, 2, 2, Numbers, matmul},
      {"", "Gemm", 1, 2, 3, Numbers, gemm},
      {"", "Einsum", 12, 1, -1, Numbers, einsum},
      {"com.microsoft", "FusedGemm", 1, 2, 3, Floats, fusedGemm},
      {"com.microsoft", "FusedMatMul", 1, 2, 2, Floats, fusedMatmul},
  };
  return Table;
}
