//===- Remainder.cpp - Exact floating-point remainder ---------------------===//

#include "MathEmitter.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include <limits>

using namespace mlir;

namespace limosa {

/// Long division with digits of 26 bits. Both numbers have 24 significant bits
/// and so has each product of a digit with the divisor at most 51: in f64
/// nothing rounds. A digit is taken from a quotient made one unit too small,
/// so that it never exceeds the true one.
Value emitRemainder(MathEmitter &M, Value X, Value Y) {
  using P = MathEmitter::FloatPredicate;
  Value Infinity = M.f32(std::numeric_limits<float>::infinity());
  Value IsRegular = M.make<arith::AndIOp>(
      M.compare(P::OLT, M.abs(X), Infinity),
      M.make<arith::AndIOp>(M.compare(P::OGT, M.abs(Y), M.f32(0.0f)),
                            M.compare(P::OLT, M.abs(Y), Infinity)));
  Value R = M.extend(M.f64(), M.select(IsRegular, M.abs(X), M.f32(0.0f)));
  Value D = M.extend(M.f64(), M.select(IsRegular, M.abs(Y), M.f32(1.0f)));
  Value TwoD = M.add(D, D);

  OpBuilder &B = M.builder();
  auto While = scf::WhileOp::create(
      B, M.loc(), TypeRange{R.getType()}, ValueRange{R},
      [&](OpBuilder &, Location, ValueRange Args) {
        Value More = M.any(M.compare(P::OGE, Args[0], TwoD));
        scf::ConditionOp::create(B, M.loc(), More, Args);
      },
      [&](OpBuilder &, Location, ValueRange Args) {
        Value Bits = M.bitcast(M.i64(), M.div(Args[0], D));
        Bits = M.subI(Bits, M.i64(1));
        Bits = M.bitAnd(Bits, M.i64(~((int64_t(1) << 27) - 1)));
        Value Digit = M.floor(M.bitcast(M.f64(), Bits));
        Value Next = M.fma(M.neg(Digit), D, Args[0]);
        Value IsDone = M.compare(P::OLT, Args[0], TwoD);
        scf::YieldOp::create(B, M.loc(),
                             ValueRange{M.select(IsDone, Args[0], Next)});
      });
  R = While.getResult(0);
  R = M.select(M.compare(P::OGE, R, D), M.sub(R, D), R);
  Value Result = M.copySign(M.truncate(M.f32(), R), X);

  // A finite number is its own remainder by infinity; all else is undefined.
  Value ByInfinity =
      M.make<arith::AndIOp>(M.compare(P::OLT, M.abs(X), Infinity),
                            M.compare(P::OEQ, M.abs(Y), Infinity));
  Value Irregular =
      M.select(ByInfinity, X, M.f32(std::numeric_limits<float>::quiet_NaN()));
  return M.select(IsRegular, Result, Irregular);
}

} // namespace limosa
