//===- KnownElementwise.cpp - Exact arithmetic on known elements ----------===//

#include "KnownRules.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>
#include <numeric>

using namespace mlir;
using llvm::MulOverflow;
using namespace limosa;
using namespace limosa::onnximport;
using namespace limosa::onnximport::knownrules;

static constexpr int64_t MaxDen = 1 << 24;

int64_t knownrules::numElements(ArrayRef<int64_t> Shape) {
  int64_t N = 1;
  for (int64_t D : Shape)
    if (MulOverflow(N, D, N) || N > KnownTensor::MaxElements)
      return -1;
  return N;
}

KnownRef knownrules::make(ArrayRef<int64_t> Shape,
                          SmallVector<KnownNumber, 4> Elements) {
  auto T = std::make_shared<KnownTensor>();
  T->Shape = SmallVector<int64_t>(Shape);
  T->Elements = std::move(Elements);
  return T;
}

Number knownrules::add(const KnownNumber &A, const KnownNumber &B) {
  int64_t Den = std::lcm(A.Den, B.Den);
  if (Den > MaxDen)
    return std::nullopt;
  return KnownNumber(
      A.Num * DimExpr(Den / A.Den) + B.Num * DimExpr(Den / B.Den), Den);
}
/// Over a common denominator.
static Number extreme(const KnownNumber &A, const KnownNumber &B, bool Max) {
  int64_t Den = std::lcm(A.Den, B.Den);
  if (Den > MaxDen)
    return std::nullopt;
  DimExpr L = A.Num * DimExpr(Den / A.Den), R = B.Num * DimExpr(Den / B.Den);
  return KnownNumber(Max ? DimExpr::max(L, R) : DimExpr::min(L, R), Den);
}
static KnownNumber negate(const KnownNumber &A) {
  return KnownNumber(-A.Num, A.Den);
}
Number knownrules::mul(const KnownNumber &A, const KnownNumber &B) {
  int64_t Den;
  if (MulOverflow(A.Den, B.Den, Den) || Den > MaxDen)
    return std::nullopt;
  return KnownNumber(A.Num * B.Num, Den);
}

static bool isNonNegative(const DimExpr &E) {
  auto L = E.lowerBound();
  return L && *L >= 0;
}

/// Whether E is not negative unless a size is as small as a kernel.
static bool isNonNegativeForLarge(const DimExpr &E) {
  constexpr int64_t Large = 64;
  return isNonNegative(E.substitute([](std::string_view S) {
    return std::optional(DimExpr::symbol(std::string(S)) + DimExpr(Large));
  }));
}

/// Integers truncate toward zero.
static Number divideIntegers(const KnownQuery &Q, const DimExpr &A,
                             const DimExpr &B) {
  auto N = A.constant(), D = B.constant();
  if (N && D && *D != 0 && *D != -1)
    return KnownNumber(*N / *D);
  if (B.isConstant(0))
    return std::nullopt;
  if (auto Exact = A.exactDiv(B))
    return KnownNumber(*Exact);
  // Truncation is floor for what cannot be negative; a symbolic divisor that
  // is zero never gets as far as a shape.
  if (!isNonNegative(B))
    return std::nullopt;
  if (isNonNegative(A))
    return KnownNumber(DimExpr::floorDiv(A, B));
  if (isNonNegative(-A))
    return KnownNumber(-DimExpr::floorDiv(-A, B));
  // (size - kernel) / stride + 1, the size of a convolution's result.
  if (!isNonNegativeForLarge(A))
    return std::nullopt;
  Q.RequireNonNegative(A);
  return KnownNumber(DimExpr::floorDiv(A, B));
}

/// Integers truncate toward zero, floats are exact.
static Number divide(const KnownQuery &Q, const KnownNumber &A,
                     const KnownNumber &B, bool IsFloat) {
  auto D = B.Num.constant();
  if (!IsFloat)
    return divideIntegers(Q, A.Num, B.Num);
  if (!D) {
    auto Exact = A.Num.exactDiv(B.Num);
    if (!Exact)
      return std::nullopt;
    return mul(KnownNumber(*Exact, A.Den), KnownNumber(B.Den));
  }
  if (*D == 0)
    return std::nullopt;
  KnownNumber Inverse(DimExpr(*D < 0 ? -B.Den : B.Den), *D < 0 ? -*D : *D);
  return mul(A, Inverse);
}

static Number modulo(const KnownNumber &A, const KnownNumber &B, bool C) {
  if (A.Den != 1 || B.Den != 1)
    return std::nullopt;
  auto N = A.Num.constant(), D = B.Num.constant();
  if (!D || *D == 0 || *D == -1)
    return std::nullopt;
  if (C && N)
    return KnownNumber(*N % *D);
  if (*D < 0 || (C && !isNonNegative(A.Num)))
    return std::nullopt;
  return KnownNumber(DimExpr::mod(A.Num, B.Num));
}

/// The sign of A - B where it shows: -1, 0, 1.
static std::optional<int> order(const KnownNumber &A, const KnownNumber &B) {
  auto Difference = add(A, negate(B));
  if (!Difference)
    return std::nullopt;
  if (auto C = Difference->Num.constant())
    return *C < 0 ? -1 : *C > 0;
  if (auto L = Difference->Num.lowerBound(); L && *L > 0)
    return 1;
  if (auto L = (-Difference->Num).lowerBound(); L && *L > 0)
    return -1;
  return std::nullopt;
}
/// Whether A >= B where it shows.
static std::optional<bool> atLeast(const KnownNumber &A, const KnownNumber &B) {
  if (auto O = order(A, B))
    return *O >= 0;
  auto Difference = add(A, negate(B));
  if (Difference && isNonNegative(Difference->Num))
    return true;
  return std::nullopt;
}
static Number truth(std::optional<bool> B) {
  return B ? Number(KnownNumber(int64_t(*B))) : std::nullopt;
}

/// The root of a square number.
static Number rootOf(const KnownNumber &A) {
  auto exact = [](int64_t V) -> std::optional<int64_t> {
    auto R = int64_t(std::llround(std::sqrt(double(V))));
    return V >= 0 && R <= INT32_MAX && R * R == V ? std::optional(R)
                                                  : std::nullopt;
  };
  auto N = A.Num.constant();
  auto Num = N ? exact(*N) : std::nullopt, Den = exact(A.Den);
  if (!Num || !Den)
    return std::nullopt;
  return KnownNumber(DimExpr(*Num), *Den);
}
static Number power(const KnownNumber &A, const KnownNumber &B) {
  auto E = B.Num.constant();
  if (B.Den == 2 && E == 1)
    return rootOf(A);
  if (!E || B.Den != 1 || *E < 0 || *E > 4)
    return std::nullopt;
  Number Out = KnownNumber(1);
  for (int64_t I = 0; I < *E && Out; ++I)
    Out = mul(*Out, A);
  return Out;
}

static Number floorOf(const KnownNumber &A) {
  return KnownNumber(DimExpr::floorDiv(A.Num, DimExpr(A.Den)));
}
static Number ceilOf(const KnownNumber &A) {
  return KnownNumber(DimExpr::ceilDiv(A.Num, DimExpr(A.Den)));
}

std::optional<SmallVector<int64_t>>
knownrules::broadcastShape(ArrayRef<int64_t> A, ArrayRef<int64_t> B) {
  SmallVector<int64_t> Out(std::max(A.size(), B.size()));
  for (size_t I = 0; I < Out.size(); ++I) {
    int64_t X = I < A.size() ? A[A.size() - 1 - I] : 1;
    int64_t Y = I < B.size() ? B[B.size() - 1 - I] : 1;
    if (X != Y && X != 1 && Y != 1)
      return std::nullopt;
    Out[Out.size() - 1 - I] = X == 1 ? Y : X;
  }
  if (numElements(Out) < 0)
    return std::nullopt;
  return Out;
}

int64_t knownrules::broadcastIndex(int64_t Linear, ArrayRef<int64_t> To,
                                   ArrayRef<int64_t> From) {
  int64_t Index = 0, Stride = 1;
  for (size_t I = 0; I < To.size(); ++I) {
    int64_t Size = To[To.size() - 1 - I], At = Linear % Size;
    Linear /= Size;
    if (I >= From.size())
      continue;
    int64_t Mine = From[From.size() - 1 - I];
    if (Mine != 1)
      Index += At * Stride;
    Stride *= Mine;
  }
  return Index;
}

static KnownRef
binary(const KnownQuery &Q,
       function_ref<Number(const KnownNumber &, const KnownNumber &)> Fn) {
  if (Q.Inputs.size() != 2)
    return nullptr;
  const KnownTensor &A = *Q.Inputs[0], &B = *Q.Inputs[1];
  auto Shape = broadcastShape(A.Shape, B.Shape);
  if (!Shape)
    return nullptr;
  SmallVector<KnownNumber, 4> Out;
  for (int64_t I = 0, N = numElements(*Shape); I < N; ++I) {
    auto V = Fn(A.Elements[broadcastIndex(I, *Shape, A.Shape)],
                B.Elements[broadcastIndex(I, *Shape, B.Shape)]);
    if (!V)
      return nullptr;
    Out.push_back(*V);
  }
  return make(*Shape, std::move(Out));
}

/// Left fold over all inputs (Min, Max, Sum).
static KnownRef
foldInputs(const KnownQuery &Q,
           function_ref<Number(const KnownNumber &, const KnownNumber &)> Fn) {
  KnownRef Acc = Q.Inputs[0];
  for (const KnownRef &In : Q.Inputs.drop_front()) {
    KnownQuery Step = Q;
    KnownRef Pair[] = {Acc, In};
    Step.Inputs = Pair;
    if (!(Acc = binary(Step, Fn)))
      return nullptr;
  }
  return Acc;
}

static KnownRef unary(const KnownQuery &Q,
                      function_ref<Number(const KnownNumber &)> Fn) {
  const KnownTensor &A = *Q.Inputs[0];
  SmallVector<KnownNumber, 4> Out;
  for (const KnownNumber &E : A.Elements) {
    auto V = Fn(E);
    if (!V)
      return nullptr;
    Out.push_back(*V);
  }
  return make(A.Shape, std::move(Out));
}

KnownRef knownrules::elementwise(const KnownQuery &Q) {
  using KN = const KnownNumber &;
  bool IsFloat = isa<FloatType>(Q.InputElement);
  auto Op = Q.Op;
  if (Op == "Add")
    return binary(Q, add);
  if (Op == "Sub")
    return binary(Q, [](KN A, KN B) { return add(A, negate(B)); });
  if (Op == "Mul")
    return binary(Q, mul);
  if (Op == "Div")
    return binary(Q, [&](KN A, KN B) { return divide(Q, A, B, IsFloat); });
  if (Op == "Mod") {
    bool C = Q.Int("fmod", 0) != 0;
    return binary(Q, [&](KN A, KN B) { return modulo(A, B, C); });
  }
  if (Op == "Min" || Op == "Max") {
    bool Max = Op == "Max";
    return foldInputs(Q, [&](KN A, KN B) { return extreme(A, B, Max); });
  }
  if (Op == "Equal")
    return binary(Q, [](KN A, KN B) {
      auto O = order(A, B);
      return truth(O ? std::optional(*O == 0) : std::nullopt);
    });
  if (Op == "Less" || Op == "GreaterOrEqual") {
    bool Less = Op == "Less";
    return binary(Q, [&](KN A, KN B) {
      auto G = atLeast(A, B);
      return truth(G ? std::optional(*G != Less) : std::nullopt);
    });
  }
  if (Op == "Greater" || Op == "LessOrEqual") {
    bool Greater = Op == "Greater";
    return binary(Q, [&](KN A, KN B) {
      auto G = atLeast(B, A);
      return truth(G ? std::optional(*G != Greater) : std::nullopt);
    });
  }
  if (Op == "And")
    return binary(Q, mul);
  if (Op == "Or")
    return binary(Q, [](KN A, KN B) {
      return Number(KnownNumber(DimExpr::max(A.Num, B.Num)));
    });
  if (Op == "Not")
    return unary(Q, [](KN A) { return add(KnownNumber(1), negate(A)); });
  if (Op == "Neg")
    return unary(Q, [](KN A) { return Number(negate(A)); });
  if (Op == "Abs" || Op == "Relu")
    return unary(Q, [](KN A) -> Number {
      return isNonNegative(A.Num) ? Number(A) : std::nullopt;
    });
  if (Op == "Pow")
    return binary(Q, power);
  if (Op == "Sqrt")
    return unary(Q, rootOf);
  if (Op == "Floor")
    return unary(Q, floorOf);
  if (Op == "Ceil")
    return unary(Q, ceilOf);
  if (Op == "Round")
    return unary(Q, [](KN A) { return A.Den == 1 ? Number(A) : std::nullopt; });
  return nullptr;
}

KnownRef knownrules::clip(const KnownQuery &Q) {
  if (Q.Opset < 11) // bounds are attributes there
    return nullptr;
  KnownRef Out = Q.Inputs[0];
  for (size_t I = 1; I < Q.Inputs.size() && Out; ++I) {
    if (!Q.Inputs[I])
      continue;
    KnownQuery Bound = Q;
    KnownRef Pair[] = {Out, Q.Inputs[I]};
    Bound.Inputs = Pair;
    Out = binary(Bound, [&](const KnownNumber &A, const KnownNumber &B) {
      return extreme(A, B, /*Max=*/I == 1);
    });
  }
  return Out;
}

KnownRef knownrules::cast(const KnownQuery &Q) {
  Type To = Q.ResultElement;
  if (!To)
    return nullptr;
  if (isa<FloatType>(To)) {
    // Sizes are far below 2^24; only what half precision could round is left.
    if (isa<Float32Type, Float64Type>(To))
      return Q.Inputs[0];
    return nullptr;
  }
  auto Int = dyn_cast<IntegerType>(To);
  if (!Int || (Int.getWidth() < 32 && Int.getWidth() != 1))
    return nullptr;
  return unary(Q, [&](const KnownNumber &A) -> Number {
    if (Int.getWidth() == 1) {
      if (auto O = order(A, KnownNumber(0)))
        return KnownNumber(int64_t(*O != 0));
      return std::nullopt;
    }
    auto C = A.Num.constant();
    if (C && (*C < INT32_MIN || *C > INT32_MAX) && Int.getWidth() == 32)
      return std::nullopt;
    if (A.Den == 1)
      return A;
    if (C)
      return KnownNumber(*C / A.Den);
    return isNonNegative(A.Num) ? floorOf(A) : std::nullopt;
  });
}

KnownRef knownrules::where(const KnownQuery &Q) {
  if (Q.Inputs.size() != 3)
    return nullptr;
  const KnownTensor &C = *Q.Inputs[0], &A = *Q.Inputs[1], &B = *Q.Inputs[2];
  auto AB = broadcastShape(A.Shape, B.Shape);
  auto Shape = AB ? broadcastShape(*AB, C.Shape) : std::nullopt;
  if (!Shape)
    return nullptr;
  SmallVector<KnownNumber, 4> Out;
  for (int64_t I = 0, N = numElements(*Shape); I < N; ++I) {
    auto V = C.Elements[broadcastIndex(I, *Shape, C.Shape)].constantInt();
    if (!V)
      return nullptr;
    const KnownTensor &From = *V ? A : B;
    Out.push_back(From.Elements[broadcastIndex(I, *Shape, From.Shape)]);
  }
  return make(*Shape, std::move(Out));
}
