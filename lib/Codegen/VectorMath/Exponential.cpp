//===- Exponential.cpp - exp, log and what is made of them, in f32 --------===//
//
// Coefficients of exp and log are minimax fits published by Norbert Juffa
// (NVIDIA developer forums and stackoverflow.com, under a BSD-style licence);
// the tests measure the errors that VectorMath.h states.
//
//===----------------------------------------------------------------------===//

#include "MathEmitter.h"
#include <limits>

using namespace mlir;

namespace limosa {

static constexpr float Infinity = std::numeric_limits<float>::infinity();
static constexpr float NaN = std::numeric_limits<float>::quiet_NaN();
/// Adding and subtracting 1.5 * 2^23 rounds to an integer, which the low bits
/// of the sum hold.
static constexpr float Rounder = 12582912.0f;

namespace {
/// exp(x) = 2^n (1 + p), |p| <= 0.42.
struct ReducedExp {
  Value N;      ///< integer; arbitrary when x is NaN
  Value FloatN; ///< the same as f32
  Value P;      ///< expm1 of the remainder
};
} // namespace

/// For |x| < 2^21.
static ReducedExp reduceExp(MathEmitter &M, Value X) {
  Value Shifted = M.fma(X, M.f32(1.442695041f), M.f32(Rounder));
  Value N = M.subI(M.bitcast(M.i32(), Shifted),
                   M.i32(llvm::bit_cast<int32_t>(Rounder)));
  Value NF = M.sub(Shifted, M.f32(Rounder));
  Value R = M.fma(NF, M.f32(-6.93145752e-1f), X);
  R = M.fma(NF, M.f32(-1.42860677e-6f), R);
  Value Q = M.polynomial(R, {1.37805939e-3f, 8.37312452e-3f, 4.16695364e-2f,
                             1.66664720e-1f, 4.99999851e-1f});
  return {N, NF, M.fma(M.mul(R, R), Q, R)};
}

/// 2^n for -126 <= n <= 127.
static Value powerOfTwo(MathEmitter &M, Value N) {
  Value Bits = M.shl(M.addI(N, M.i32(127)), M.i32(23));
  return M.bitcast(M.f32(), Bits);
}

/// 2^n of a reduced exponential.
static Value powerOfTwo(MathEmitter &M, const ReducedExp &E) {
  return M.hasScale() ? M.scale(M.f32(1.0f), E.FloatN) : powerOfTwo(M, E.N);
}

/// Below this exp(x) is no normal number: the result is 0. Denormals slow down
/// what is computed with them fiftyfold, and rows of a softmax with masked
/// scores are full of them.
static constexpr float LeastExp = -87.3365402f;

Value emitExp(MathEmitter &M, Value X) {
  Value IsZero =
      M.compare(MathEmitter::FloatPredicate::OLT, X, M.f32(LeastExp));
  // From 89 on it is infinity whatever x is.
  X = M.atMost(X, M.f32(89.0f));
  if (M.hasScale()) {
    ReducedExp E = reduceExp(M, X);
    Value Result = M.scale(M.add(E.P, M.f32(1.0f)), E.FloatN);
    return M.select(IsZero, M.f32(0.0f), Result);
  }
  ReducedExp E = reduceExp(M, M.atLeast(X, M.f32(LeastExp)));
  // Two factors reach infinity.
  Value Half = M.sar(E.N, M.i32(1));
  Value Result = M.add(E.P, M.f32(1.0f));
  Result = M.mul(Result, powerOfTwo(M, Half));
  Result = M.mul(Result, powerOfTwo(M, M.subI(E.N, Half)));
  return M.select(IsZero, M.f32(0.0f), Result);
}

Value emitTanh(MathEmitter &M, Value X) {
  // t / (t + 2) with t = expm1(2 |x|); from 9.02 on it rounds to 1.
  Value Size = M.atMost(M.abs(X), M.f32(9.02f));
  ReducedExp E = reduceExp(M, M.add(Size, Size));
  Value Scale = powerOfTwo(M, E);
  Value T = M.fma(Scale, E.P, M.sub(Scale, M.f32(1.0f)));
  Value Result = M.div(T, M.add(T, M.f32(2.0f)));
  return M.copySign(Result, X);
}

/// x p(x^2), a fit of the least relative error over |x| <= 3.92, from where on
/// the result is 1. In x^2 mapped to [-1, 1] the coefficients are small, so
/// that rounding them does not count.
Value emitErf(MathEmitter &M, Value X) {
  constexpr float Last = 3.92f;
  Value T = M.atLeast(M.atMost(X, M.f32(Last)), M.f32(-Last));
  Value U = M.fma(M.mul(T, T), M.f32(2 / (Last * Last)), M.f32(-1.0f));
  Value P = M.polynomial(
      U, {-8.43916321e-4f, 2.09875451e-3f, -1.39458047e-3f, 1.91998796e-3f,
          -7.66047137e-3f, 1.42099317e-2f, -1.9995071e-2f, 2.9697584e-2f,
          -4.34368476e-2f, 5.8395993e-2f, -7.40198195e-2f, 9.05969739e-2f,
          -1.09179221e-1f, 1.34084553e-1f, -1.80108622e-1f, 3.60736817e-1f});
  Value Result = M.mul(T, P);
  return M.atLeast(M.atMost(Result, M.f32(1.0f)), M.f32(-1.0f));
}

namespace {
/// x = 2^e m, m in [2/3, 4/3), for finite x > 0.
struct SplitFloat {
  Value Mantissa; ///< m - 1
  Value Exponent; ///< e as f32
};
} // namespace

static SplitFloat splitFloat(MathEmitter &M, Value X) {
  Value IsDenormal = M.compare(MathEmitter::FloatPredicate::OLT, X,
                               M.f32(std::numeric_limits<float>::min()));
  Value Scaled = M.select(IsDenormal, M.mul(X, M.f32(8388608.0f)), X);
  Value Correction = M.select(IsDenormal, M.f32(-23.0f), M.f32(0.0f));
  Value Bits = M.bitcast(M.i32(), Scaled);
  Value E = M.bitAnd(M.subI(Bits, M.i32(llvm::bit_cast<int32_t>(0.666666667f))),
                     M.i32(static_cast<int32_t>(0xff800000)));
  Value Mantissa = M.bitcast(M.f32(), M.subI(Bits, E));
  Value Exponent =
      M.fma(M.toFloat(M.f32(), E), M.f32(1.19209290e-7f), Correction);
  return {M.sub(Mantissa, M.f32(1.0f)), Exponent};
}

Value emitLog(MathEmitter &M, Value X) {
  using P = MathEmitter::FloatPredicate;
  SplitFloat Parts = splitFloat(M, X);
  Value F = Parts.Mantissa, S = M.mul(F, F);
  Value R = M.polynomial(
      S, {-0.130310059f, -0.121483512f, -0.166846126f, -0.249996200f});
  Value T = M.polynomial(S, {0.140869141f, 0.139814854f, 0.200120345f});
  R = M.fma(T, F, R);
  R = M.fma(R, F, M.f32(0.333331972f));
  R = M.fma(R, F, M.f32(-0.5f));
  R = M.fma(R, S, F);
  R = M.fma(Parts.Exponent, M.f32(0.693147182f), R);
  // Infinity and NaN give themselves, negative numbers NaN, zero -infinity.
  R = M.select(M.compare(P::OLT, X, M.f32(Infinity)), R, X);
  R = M.select(M.compare(P::OLT, X, M.f32(0.0f)), M.f32(NaN), R);
  return M.select(M.compare(P::OEQ, X, M.f32(0.0f)), M.f32(-Infinity), R);
}

/// log2 of |x| in f64, for finite x other than 0; relative error 2^-40.
static Value emitLog2Wide(MathEmitter &M, Value Size) {
  SplitFloat Parts = splitFloat(M, Size);
  Value F = M.extend(M.f64(), Parts.Mantissa);
  // log2(1 + f) = 2 / ln 2 * atanh(s), s = f / (2 + f), |s| <= 1/5.
  Value S = M.div(F, M.add(F, M.f64(2.0)));
  constexpr double C = 2.885390081777926815; // 2 / ln 2
  Value Sum = M.polynomial(
      M.mul(S, S), {C / 15, C / 13, C / 11, C / 9, C / 7, C / 5, C / 3, C});
  return M.fma(Sum, S, M.extend(M.f64(), Parts.Exponent));
}

/// 2^z rounded to f32, for |z| <= 500.
static Value emitExp2Narrow(MathEmitter &M, Value Z) {
  Value Rounder64 = M.f64(6755399441055744.0); // 1.5 * 2^52
  Value Shifted = M.add(Z, Rounder64);
  Value R =
      M.mul(M.sub(Z, M.sub(Shifted, Rounder64)), M.f64(0.693147180559945309));
  Value P = M.polynomial(R, {1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120,
                             1.0 / 24, 1.0 / 6, 0.5, 1.0, 1.0});
  // The low bits of Shifted are n: 2^n p by adding to p's exponent.
  Value N = M.shl(M.bitcast(M.i64(), Shifted), M.i64(52));
  Value Bits = M.addI(M.bitcast(M.i64(), P), N);
  return M.truncate(M.f32(), M.bitcast(M.f64(), Bits));
}

Value emitPow(MathEmitter &M, Value X, Value Y) {
  using P = MathEmitter::FloatPredicate;
  Value Zero = M.f32(0.0f), One = M.f32(1.0f);
  Value Size = M.abs(X);
  // Zero and infinity have infinite logarithms; the clamp makes what follows
  // from them finite again, far beyond what f32 holds.
  Value Log = emitLog2Wide(M, Size);
  double Inf = std::numeric_limits<double>::infinity();
  Log = M.select(M.compare(P::OEQ, Size, Zero), M.f64(-Inf), Log);
  Log = M.select(M.compare(P::OEQ, Size, M.f32(Infinity)), M.f64(Inf), Log);
  Value IsNaN =
      M.make<arith::OrIOp>(M.compare(P::UNO, X, X), M.compare(P::UNO, Y, Y));
  Value Z = M.mul(Log, M.extend(M.f64(), Y));
  Z = M.atLeast(M.atMost(Z, M.f64(200.0)), M.f64(-200.0));
  Value Result = emitExp2Narrow(M, Z);
  Result = M.select(IsNaN, M.f32(NaN), Result);
  // A negative base: odd powers are negative, fractional ones undefined.
  Value Half = M.mul(Y, M.f32(0.5f));
  Value IsInteger = M.compare(P::OEQ, M.floor(Y), Y);
  Value IsEven = M.compare(P::OEQ, M.floor(Half), Half);
  Value Odd = M.select(IsEven, Result, M.copySign(Result, X));
  Value Fraction =
      M.select(M.make<arith::AndIOp>(M.compare(P::OLT, X, Zero),
                                     M.compare(P::OGT, X, M.f32(-Infinity))),
               M.f32(NaN), Result);
  Result = M.select(IsInteger, Odd, Fraction);
  // pow(-1, +-inf), pow(1, anything), pow(anything, 0).
  Value IsInfinitePower = M.compare(P::OEQ, M.abs(Y), M.f32(Infinity));
  Value IsUnit =
      M.make<arith::AndIOp>(M.compare(P::OEQ, Size, One), IsInfinitePower);
  Value IsOne = M.make<arith::OrIOp>(M.compare(P::OEQ, X, One),
                                     M.compare(P::OEQ, Y, Zero));
  return M.select(M.make<arith::OrIOp>(IsUnit, IsOne), One, Result);
}

} // namespace limosa
