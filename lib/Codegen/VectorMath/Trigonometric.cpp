//===- Trigonometric.cpp - sin and cos in f32 -----------------------------===//
//
// Reduction for large arguments: M. Payne and R. Hanek, "Radian reduction for
// trigonometric functions", SIGNUM 18 (1983), in the fixed-point form that
// Norbert Juffa published, from which the polynomials are too.
//
//===----------------------------------------------------------------------===//

#include "MathEmitter.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include <limits>

using namespace mlir;

namespace limosa {

namespace {
/// x = quadrant * pi/2 + remainder, |remainder| <= pi/4.
struct ReducedAngle {
  Value Quadrant; ///< i32; only its two low bits matter
  Value Remainder;
};
} // namespace

/// For |x| <= 71476: the quotient has few enough bits that products with the
/// parts of pi/2 lose nothing that matters.
static ReducedAngle reduceSmall(MathEmitter &M, Value X) {
  constexpr float Rounder = 12582912.0f; // see Exponential.cpp
  Value Shifted = M.fma(X, M.f32(0.636619747f), M.f32(Rounder));
  Value N = M.sub(Shifted, M.f32(Rounder));
  Value R = M.fma(N, M.f32(-1.57079601e+00f), X);
  R = M.fma(N, M.f32(-3.13916473e-07f), R);
  R = M.fma(N, M.f32(-5.39030253e-15f), R);
  return {M.bitcast(M.i32(), Shifted), R};
}

/// For all finite |x| >= 1: multiplies the mantissa with those 96 bits of 2/pi
/// that make the quadrant and the fraction.
static ReducedAngle reduceLarge(MathEmitter &M, Value X) {
  using IP = MathEmitter::IntPredicate;
  // 2/pi, from bit 2^-3 on: the product has two integer bits.
  constexpr uint32_t TwoOverPi[] = {0x28be60db, 0x9391054a, 0x7f09d5f4,
                                    0x7d4d3770, 0x36d8a566, 0x4f10e410};
  Value Bits = M.bitcast(M.i32(), X);
  Value Mantissa =
      M.bitOr(M.shl(Bits, M.i32(8)), M.i32(static_cast<int32_t>(0x80000000)));
  Value Exponent =
      M.subI(M.bitAnd(M.shr(Bits, M.i32(23)), M.i32(0xff)), M.i32(126));
  Value Word = M.shr(Exponent, M.i32(5));
  Value Shift = M.bitAnd(Exponent, M.i32(31));
  // Words Word - 1 .. Word + 2 of the table (zero before its start).
  Value IsWord[5];
  for (int I = 0; I < 5; ++I)
    IsWord[I] = M.compare(IP::eq, Word, M.i32(I));
  auto Select = [&](int Ahead) {
    Value Result = M.i32(0);
    for (int I = 0; I < 5; ++I)
      if (int At = I + Ahead; At >= 0 && At < 6)
        Result = M.select(IsWord[I], M.i32(static_cast<int32_t>(TwoOverPi[At])),
                          Result);
    return M.extendU(M.i64(), Result);
  };
  Value Wide = M.extendU(M.i64(), Shift);
  Value Low32 = M.i64(0xffffffff);
  auto Join = [&](Value Hi, Value Lo) { // 32 bits of hi:lo << shift
    Value Pair = M.bitOr(M.shl(Hi, M.i64(32)), Lo);
    return M.bitAnd(M.shr(M.shl(Pair, Wide), M.i64(32)), Low32);
  };
  Value W0 = Select(-1), W1 = Select(0), W2 = Select(1), W3 = Select(2);
  Value Hi = Join(W0, W1), Mid = Join(W1, W2), Lo = Join(W2, W3);
  // Bits 2^1 .. 2^-62 of the product.
  Value A = M.extendU(M.i64(), Mantissa);
  Value Product = M.shr(M.mulI(A, Lo), M.i64(32));
  Product = M.addI(M.mulI(A, Mid), Product);
  Product = M.addI(M.shl(M.mulI(A, Hi), M.i64(32)), Product);
  // Rounded to the nearest quadrant; the fraction keeps its sign.
  Value Rounded = M.addI(Product, M.i64(int64_t(1) << 61));
  Value Quadrant = M.truncateI(M.i32(), M.shr(Rounded, M.i64(62)));
  Value Fraction = M.subI(Product, M.bitAnd(Rounded, M.i64(int64_t(3) << 62)));
  Value R = M.mul(M.toFloat(M.f64(), Fraction),
                  M.f64(0x1.921fb54442d18p-62)); // pi/2 * 2^-62
  R = M.truncate(M.f32(), R);
  Value IsNegative = M.compare(IP::slt, Bits, M.i32(0));
  return {M.select(IsNegative, M.subI(M.i32(0), Quadrant), Quadrant),
          M.select(IsNegative, M.neg(R), R)};
}

/// sin(x + Quarters * pi/2).
static Value emitSinShifted(MathEmitter &M, Value X, int Quarters) {
  using P = MathEmitter::FloatPredicate;
  ReducedAngle Angle = reduceSmall(M, X);
  Value IsLarge = M.compare(P::OGT, M.abs(X), M.f32(71476.0f));
  // Large arguments are rare: their code runs only when a lane has one.
  auto If = scf::IfOp::create(M.builder(), M.loc(), TypeRange{M.i32(), M.f32()},
                              M.any(IsLarge),
                              /*withElseRegion=*/true);
  {
    OpBuilder::InsertionGuard Guard(M.builder());
    M.builder().setInsertionPointToStart(If.thenBlock());
    ReducedAngle Large = reduceLarge(M, X);
    scf::YieldOp::create(
        M.builder(), M.loc(),
        ValueRange{M.select(IsLarge, Large.Quadrant, Angle.Quadrant),
                   M.select(IsLarge, Large.Remainder, Angle.Remainder)});
    M.builder().setInsertionPointToStart(If.elseBlock());
    scf::YieldOp::create(M.builder(), M.loc(),
                         ValueRange{Angle.Quadrant, Angle.Remainder});
  }
  Value Quadrant = If.getResult(0), R = If.getResult(1);
  if (Quarters)
    Quadrant = M.addI(Quadrant, M.i32(Quarters));
  Value S = M.mul(R, R);
  Value Sin = M.polynomial(
      S, {2.86567956e-6f, -1.98559923e-4f, 8.33338592e-3f, -1.66666672e-1f});
  // Adding 0 keeps sin(-0) = -0: the product of -0 would be +0 below.
  Sin = M.fma(Sin, M.fma(R, S, M.f32(0.0f)), R);
  Value Cos = M.polynomial(
      S, {2.44677067e-5f, -1.38877297e-3f, 4.16666567e-2f, -5.0e-1f, 1.0f});
  using IP = MathEmitter::IntPredicate;
  auto HasBit = [&](int Bit) {
    return M.compare(IP::ne, M.bitAnd(Quadrant, M.i32(Bit)), M.i32(0));
  };
  Value Result = M.select(HasBit(1), Cos, Sin);
  Result = M.select(HasBit(2), M.neg(Result), Result);
  // Infinity and NaN have no sine.
  Value IsFinite = M.compare(P::OLT, M.abs(X),
                             M.f32(std::numeric_limits<float>::infinity()));
  return M.select(IsFinite, Result,
                  M.f32(std::numeric_limits<float>::quiet_NaN()));
}

Value emitSin(MathEmitter &M, Value X) { return emitSinShifted(M, X, 0); }
Value emitCos(MathEmitter &M, Value X) { return emitSinShifted(M, X, 1); }

} // namespace limosa
