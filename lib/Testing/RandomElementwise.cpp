//===- RandomElementwise.cpp - Elementwise ops of random graphs -----------===//

#include "Generator.h"

#include <cmath>

using namespace mlir;
using namespace limosa;
using namespace limosa::testing;

bool Generator::unary() {
  Item A = pick([](const Item &I) { return I.T != DType::Bool; });
  return isFloat(A.T) ? mathUnary(A) : intUnary(A);
}

bool Generator::intUnary(const Item &A) {
  if (chance(50))
    return add(B.neg(A.V), {-A.Hi, -A.Lo, 0, 1});
  return add(B.abs(A.V), {0, A.magnitude(), 0, 1});
}

/// Functions whose slope over the interval bounds how an error grows.
bool Generator::mathUnary(const Item &A) {
  double M = A.magnitude();
  // A few units in the last place for functions that are not exact.
  auto Approximate = [&](Value V, double Lo, double Hi, double Slope) {
    Facts F = rounded(A.T, {Lo, Hi, A.Err * Slope, 0}, 8);
    return add(V, F);
  };
  switch (below(13)) {
  case 0:
    return add(B.neg(A.V), {-A.Hi, -A.Lo, A.Err, A.Grid});
  case 1:
    return add(B.abs(A.V), {0, M, A.Err, A.Grid});
  case 2:
    if (!A.exact())
      return false;
    return add(B.floor(A.V), {std::floor(A.Lo), std::floor(A.Hi), 0, 1});
  case 3:
    if (!A.exact())
      return false;
    return add(B.roundEven(A.V),
               {std::nearbyint(A.Lo), std::nearbyint(A.Hi), 0, 1});
  case 4:
    if (A.Hi > 5)
      return false;
    return Approximate(B.exp(A.V), 0, std::exp(A.Hi), std::exp(A.Hi));
  case 5: {
    // Of something positive.
    Value Positive = B.add(B.abs(A.V), B.full(0.5, A.V));
    Facts P = rounded(A.T, {0.5, M + 0.5, A.Err, 0});
    double Low = std::log(0.5), High = std::log(M + 0.5);
    return add(B.log(Positive),
               rounded(A.T, {Low, std::max(High, Low), P.Err * 2, 0}, 8));
  }
  case 6: {
    Value Positive = B.add(B.mul(A.V, A.V), B.full(0.25, A.V));
    Facts P = rounded(A.T, {0.25, M * M + 0.25, 2 * M * A.Err, 0}, 2);
    return add(B.sqrt(Positive),
               rounded(A.T, {0.5, std::sqrt(P.Hi), P.Err, 0}, 2));
  }
  case 7:
    return M <= 60 && Approximate(B.sin(A.V), -1, 1, 1);
  case 8:
    return M <= 60 && Approximate(B.cos(A.V), -1, 1, 1);
  case 9:
    return Approximate(B.tanh(A.V), -1, 1, 1);
  case 10:
    return Approximate(B.erf(A.V), -1, 1, 1.13);
  case 11:
    return Approximate(B.sigmoid(A.V), 0, 1, 1);
  default: { // the relu family
    double Lo = std::max(0.0, A.Lo), Hi = std::max(0.0, A.Hi);
    return add(B.max(A.V, B.full(0, A.V)), {Lo, Hi, A.Err, A.Grid});
  }
  }
}

bool Generator::binary() {
  Item A = pick([](const Item &I) { return true; }, randomType());
  Item C = partner(A);
  if (A.T == DType::Bool) {
    switch (below(5)) {
    case 0:
      return add(B.bitAnd(A.V, C.V), A);
    case 1:
      return add(B.bitOr(A.V, C.V), A);
    case 2:
      return add(B.bitXor(A.V, C.V), A);
    case 3:
      return add(B.min(A.V, C.V), A);
    default:
      return add(B.max(A.V, C.V), A);
    }
  }
  if (chance(50))
    std::swap(A, C);
  return isFloat(A.T) ? floatBinary(A, C) : intBinary(A, C);
}

bool Generator::floatBinary(const Item &A, const Item &C) {
  double Grid = A.Grid > 0 && C.Grid > 0 ? std::min(A.Grid, C.Grid) : 0;
  switch (below(12)) {
  case 0:
  case 1:
  case 2:
    return add(B.add(A.V, C.V),
               rounded(A.T, {A.Lo + C.Lo, A.Hi + C.Hi, A.Err + C.Err, Grid}));
  case 3:
    return add(B.sub(A.V, C.V),
               rounded(A.T, {A.Lo - C.Hi, A.Hi - C.Lo, A.Err + C.Err, Grid}));
  case 4:
  case 5:
  case 6:
    return add(B.mul(A.V, C.V), product(A, C, 1, A.T));
  case 7:
    return add(B.min(A.V, C.V), {std::min(A.Lo, C.Lo), std::min(A.Hi, C.Hi),
                                 std::max(A.Err, C.Err), Grid});
  case 8:
    return add(B.max(A.V, C.V), {std::max(A.Lo, C.Lo), std::max(A.Hi, C.Hi),
                                 std::max(A.Err, C.Err), Grid});
  case 9: { // away from zero
    Value D = B.add(B.abs(C.V), B.full(1, C.V));
    double M = A.magnitude();
    Facts F{-M, M, A.Err + M * C.Err, 0};
    return add(B.div(A.V, D), rounded(A.T, F, 3));
  }
  case 10: { // exact, and so is its result
    if (!A.exact() || !C.exact() || C.Grid == 0)
      return false;
    Value D = B.add(B.abs(C.V), B.full(1, C.V));
    Facts Divisor =
        rounded(C.T, {1, C.magnitude() + 1, 0, std::min(C.Grid, 1.0)});
    if (Divisor.Err != 0)
      return false;
    double M = std::min(A.magnitude(), Divisor.Hi);
    return add(B.rem(A.V, D), {-M, M, 0, Grid});
  }
  default: { // a base in [0.5, 4.5] to the power of at most 2
    if (A.magnitude() > 4 || C.magnitude() > 2)
      return false;
    Value Base = B.add(B.abs(A.V), B.full(0.5, A.V));
    Facts P = rounded(A.T, {0.5, 4.5, A.Err, 0});
    return add(B.pow(Base, C.V),
               rounded(A.T, {0, 20.3, 10 * P.Err + 31 * C.Err, 0}, 16));
  }
  }
}

bool Generator::intBinary(const Item &A, const Item &C) {
  double M = A.magnitude() * C.magnitude();
  switch (below(12)) {
  case 0:
  case 1:
    return add(B.add(A.V, C.V), {A.Lo + C.Lo, A.Hi + C.Hi, 0, 1});
  case 2:
    return add(B.mul(A.V, C.V), {-M, M, 0, 1});
  case 3: // -MIN / -1 wraps
    return add(B.div(A.V, C.V), {-A.magnitude(), A.magnitude(), 0, 1});
  case 4:
    return add(B.rem(A.V, C.V), {-A.magnitude(), A.magnitude(), 0, 1});
  case 5:
    return add(B.min(A.V, C.V),
               {std::min(A.Lo, C.Lo), std::min(A.Hi, C.Hi), 0, 1});
  case 6:
    return add(B.max(A.V, C.V),
               {std::max(A.Lo, C.Lo), std::max(A.Hi, C.Hi), 0, 1});
  case 7:
    return add(B.pow(A.V, C.V), {-1e30, 1e30, 0, 1});
  case 8:
    return add(B.bitAnd(A.V, C.V), {-1e30, 1e30, 0, 1});
  case 9:
    return add(chance(50) ? B.bitOr(A.V, C.V) : B.bitXor(A.V, C.V),
               {-1e30, 1e30, 0, 1});
  case 10:
    return add(B.shl(A.V, C.V), {-1e30, 1e30, 0, 1});
  default:
    return add(B.shr(A.V, C.V),
               {std::min(A.Lo, -1.0), std::max(A.Hi, 0.0), 0, 1});
  }
}

bool Generator::compareSelect() {
  Item A = pick([](const Item &I) { return I.exact(); });
  if (!A.exact())
    return false;
  Item C = partner(A);
  if (!C.exact())
    return false;
  Value Flag = B.compare(CompareDirection(below(6)), A.V, C.V);
  if (!add(Flag, {0, 1, 0, 1}) || chance(40))
    return true;
  Dims Shape = getDims(Flag);
  Item X = pick([&](const Item &I) { return I.dims() == Shape; });
  if (!X.V || X.dims() != Shape)
    return true;
  Item Y = partner(X);
  double Grid = X.Grid > 0 && Y.Grid > 0 ? std::min(X.Grid, Y.Grid) : 0;
  return add(B.select(Flag, X.V, Y.V),
             {std::min(X.Lo, Y.Lo), std::max(X.Hi, Y.Hi),
              std::max(X.Err, Y.Err), Grid});
}

bool Generator::convert() {
  Item A = pick([](const Item &I) { return true; }, randomType());
  DType T = Options.AllTypes || chance(50) ? randomType() : DType::I64;
  if (chance(10))
    T = DType::Bool;
  if (T == A.T)
    return false;
  if (isFloat(A.T) && !isFloat(T) && !A.exact())
    return false; // jumps
  Value V = B.convert(A.V, element(T));
  if (isFloat(T))
    return add(V, rounded(T, {A.Lo, A.Hi, A.Err, A.Grid}));
  if (T == DType::Bool)
    return add(V, {0, 1, 0, 1});
  return add(V, {std::min(0.0, std::trunc(A.Lo)),
                 std::max(0.0, std::trunc(A.Hi)), 0, 1});
}

bool Generator::storage() {
  Item A = pick([](const Item &I) {
    return I.exact() && I.T != DType::Bool && I.magnitude() <= 200;
  });
  if (!A.exact() || A.T == DType::Bool || A.magnitude() > 200)
    return false; // jumps
  static const std::vector<DType> Floats = {DType::F8E4M3FN, DType::F8E5M2,
                                            DType::F8E4M3FNUZ,
                                            DType::F8E5M2FNUZ, DType::F4E2M1FN};
  static const std::vector<DType> Nibbles = {DType::I4, DType::U4};
  Value V = B.convert(A.V, element(choose(isFloat(A.T) ? Floats : Nibbles)));
  for (int64_t Moves = below(3); Moves > 0; --Moves) {
    Dims Shape = getDims(V);
    SmallVector<int64_t> Perm;
    for (size_t D = 0; D < Shape.size(); ++D)
      Perm.insert(Perm.begin() + below(int64_t(D) + 1), int64_t(D));
    if (Shape.empty())
      break;
    if (chance(40))
      V = B.transpose(V, Perm);
    else if (chance(50))
      V = B.reverse(V, below(int64_t(Shape.size())));
    else if (count(Shape) <= 2 * MaxElements)
      V = B.concat({V, V}, below(int64_t(Shape.size())));
  }
  double M = A.magnitude() * 1.5 + 8; // rounded up, or saturated
  DType Back = isFloat(A.T) && chance(50) ? DType::F32 : A.T;
  return add(B.convert(V, element(Back)), {-M, M, 0, 0});
}

bool Generator::bitcast() {
  Item A = pick([](const Item &I) {
    return I.exact() && I.T != DType::Bool && !(isFloat(I.T) && I.Grid == 0);
  });
  if (!A.exact() || A.T == DType::Bool)
    return false;
  DType T = dtypeBits(A.T) == 8    ? DType::U8
            : dtypeBits(A.T) == 16 ? DType::I16
            : dtypeBits(A.T) == 32 ? DType::I32
                                   : DType::I64;
  // -0 and 0 are equal, their bits are not.
  Value Safe = isFloat(A.T) ? B.add(B.abs(A.V), B.full(1, A.V)) : A.V;
  if (isFloat(A.T) &&
      rounded(A.T, {0, A.magnitude() + 1, 0, std::min(A.Grid, 1.0)}).Err != 0)
    return false;
  return T != A.T && add(B.bitcast(Safe, element(T)), {-1e30, 1e30, 0, 1});
}
