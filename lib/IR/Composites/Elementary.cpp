//===- Elementary.cpp - Functions made of the core's exp, log, sin, cos ---===//
//
// Narrow floats are widened, so that intermediate steps do not round.
//
//===----------------------------------------------------------------------===//

#include "Families.h"

using namespace limosa;
using namespace limosa::composites;

using Dir = CompareDirection;

Value composites::expm1(CoreBuilder &B, Value X) {
  // With u = e^x it is (u - 1) x / log(u) (Kahan).
  Value U = B.exp(X), One = B.full(1, X);
  Value D = B.sub(U, One);
  Value Refined = B.div(B.mul(D, X), B.log(U));
  Value Tiny = B.compare(Dir::EQ, U, One);
  // Away from zero u - 1 is exact enough, and log(u) may not be finite.
  Value Far = B.compare(Dir::GT, B.abs(X), One);
  return B.select(Far, D, B.select(Tiny, X, Refined));
}

Value composites::log1p(CoreBuilder &B, Value X) {
  // With w = 1 + x it is log(w) x / (w - 1) (Kahan).
  Value One = B.full(1, X), W = B.add(X, One);
  Value Refined = B.div(B.mul(B.log(W), X), B.sub(W, One));
  Value Far = B.compare(Dir::GT, B.abs(X), One);
  return B.select(B.compare(Dir::EQ, W, One), X,
                  B.select(Far, B.log(W), Refined));
}

/// Gives F(|x|) the sign of x; zeros and NaN stay.
static Value odd(CoreBuilder &B, Value X, llvm::function_ref<Value(Value)> F) {
  Value Y = F(B.abs(X)), Zero = B.full(0, X);
  return B.select(B.compare(Dir::LT, X, Zero), B.neg(Y),
                  B.select(B.compare(Dir::EQ, X, Zero), X, Y));
}

/// Arc tangent of a value >= 0 (Moshier, Cephes: reduction to |x| <= 0.66, then
/// x + x^3 P(x^2) / Q(x^2)).
static Value atanPositive(CoreBuilder &B, Value X) {
  static constexpr double P[] = {
      -8.750608600031904122785e-1, -1.615753718733365076637e1,
      -7.500855792314704667340e1, -1.228866684490136173410e2,
      -6.485021904942025371773e1};
  static constexpr double Q[] = {1,
                                 2.485846490142306297962e1,
                                 1.650270098316988542046e2,
                                 4.328810604912902668951e2,
                                 4.853903996359136964868e2,
                                 1.945506571482613964425e2};
  Value One = B.full(1, X);
  Value Big = B.compare(Dir::GT, X, B.full(2.41421356237309504880, X));
  Value Middle = B.compare(Dir::GT, X, B.full(0.66, X));
  Value Reduced =
      B.select(Big, B.neg(B.div(One, X)),
               B.select(Middle, B.div(B.sub(X, One), B.add(X, One)), X));
  Value Offset = B.select(
      Big, B.full(1.57079632679489661923, X),
      B.select(Middle, B.full(0.78539816339744830962, X), B.full(0, X)));
  Value Z = B.mul(Reduced, Reduced);
  auto horner = [&](llvm::ArrayRef<double> C) {
    Value Acc = B.full(C[0], X);
    for (double K : C.drop_front())
      Acc = B.addScalar(B.mul(Acc, Z), K);
    return Acc;
  };
  Value Tail = B.mul(B.mul(Reduced, Z), B.div(horner(P), horner(Q)));
  return B.add(Offset, B.add(Reduced, Tail));
}
static Value atanOf(CoreBuilder &B, Value X) {
  return odd(B, X, [&](Value A) { return atanPositive(B, A); });
}

using UnaryFn = Value (*)(CoreBuilder &, Value);
template <UnaryFn F>
static Values widened(CoreBuilder &B, ValueRange In, DictionaryAttr) {
  return {like(B, F(B, widen(B, In[0])), In[0])};
}

static Value tanOf(CoreBuilder &B, Value X) {
  return B.div(B.sin(X), B.cos(X));
}
static Value asinOf(CoreBuilder &B, Value X) {
  // x / sqrt((1 - x) (1 + x)) runs to infinity at 1, where atan is pi / 2.
  Value One = B.full(1, X);
  Value Root = B.sqrt(B.mul(B.sub(One, X), B.add(One, X)));
  return atanOf(B, B.div(X, Root));
}
static Value acosOf(CoreBuilder &B, Value X) {
  Value One = B.full(1, X);
  Value Half = atanPositive(B, B.sqrt(B.div(B.sub(One, X), B.add(One, X))));
  return B.mulScalar(Half, 2);
}
static Value sinhOf(CoreBuilder &B, Value X) {
  return odd(B, X, [&](Value A) {
    // (e + e / (e + 1)) / 2 with e = exp(x) - 1; for large x exp(x) / 2, made
    // as a square so that it does not overflow early.
    Value E = expm1(B, A);
    Value Small = B.mulScalar(B.add(E, B.div(E, B.addScalar(E, 1))), 0.5);
    Value Root = B.exp(B.mulScalar(A, 0.5));
    Value Large = B.mul(B.mulScalar(Root, 0.5), Root);
    return B.select(B.compare(Dir::GT, A, B.full(40, A)), Large, Small);
  });
}
static Value coshOf(CoreBuilder &B, Value X) {
  Value Root = B.exp(B.mulScalar(B.abs(X), 0.5));
  Value Grown = B.mul(B.mulScalar(Root, 0.5), Root);
  return B.add(Grown, B.mulScalar(B.exp(B.neg(B.abs(X))), 0.5));
}
static Value asinhOf(CoreBuilder &B, Value X) {
  return odd(B, X, [&](Value A) {
    Value Square = B.mul(A, A), One = B.full(1, A);
    Value Root = B.sqrt(B.add(Square, One));
    Value Small = log1p(B, B.add(A, B.div(Square, B.add(One, Root))));
    Value Large = B.addScalar(B.log(A), 0.69314718055994530942);
    return B.select(B.compare(Dir::GT, A, B.full(1e8, A)), Large, Small);
  });
}
static Value acoshOf(CoreBuilder &B, Value X) {
  Value T = B.addScalar(X, -1);
  Value Root = B.sqrt(B.add(B.mulScalar(T, 2), B.mul(T, T)));
  Value Small = log1p(B, B.add(T, Root));
  Value Large = B.addScalar(B.log(X), 0.69314718055994530942);
  return B.select(B.compare(Dir::GT, X, B.full(1e8, X)), Large, Small);
}
static Value atanhOf(CoreBuilder &B, Value X) {
  return odd(B, X, [&](Value A) {
    Value Ratio = B.div(B.mulScalar(A, 2), B.sub(B.full(1, A), A));
    return B.mulScalar(log1p(B, Ratio), 0.5);
  });
}

llvm::ArrayRef<CompositeDef> composites::elementary() {
  static const CompositeDef Table[] = {
      {"expm1", 1, "exp(x) - 1, accurate near zero.", {}, widened<expm1>},
      {"log1p", 1, "log(1 + x), accurate near zero.", {}, widened<log1p>},
      {"tan", 1, "sin(x) / cos(x).", {}, widened<tanOf>},
      {"asin", 1, "Arc sine.", {}, widened<asinOf>},
      {"acos", 1, "Arc cosine.", {}, widened<acosOf>},
      {"atan", 1, "Arc tangent.", {}, widened<atanOf>},
      {"sinh", 1, "(exp(x) - exp(-x)) / 2.", {}, widened<sinhOf>},
      {"cosh", 1, "(exp(x) + exp(-x)) / 2.", {}, widened<coshOf>},
      {"asinh", 1, "log(x + sqrt(x^2 + 1)).", {}, widened<asinhOf>},
      {"acosh", 1, "log(x + sqrt(x^2 - 1)).", {}, widened<acoshOf>},
      {"atanh", 1, "log((1 + x) / (1 - x)) / 2.", {}, widened<atanhOf>},
  };
  return Table;
}
