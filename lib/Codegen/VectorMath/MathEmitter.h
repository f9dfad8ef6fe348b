//===- MathEmitter.h - Arithmetic in short ----------------------*- C++ -*-===//
//
// Private to lib/Codegen/VectorMath. Everything works on a value and on a
// vector of values of any shape alike.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_LIB_CODEGEN_VECTORMATH_MATHEMITTER_H
#define LIMOSA_LIB_CODEGEN_VECTORMATH_MATHEMITTER_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Builders.h"

namespace limosa {

/// Emits ops with the shape of one value. Arithmetic is as written: nothing is
/// contracted or reassociated.
class MathEmitter {
public:
  using Value = mlir::Value;
  using FloatPredicate = mlir::arith::CmpFPredicate;
  using IntPredicate = mlir::arith::CmpIPredicate;

  /// `Avx512`: the target has its instructions.
  MathEmitter(mlir::OpBuilder &Builder, mlir::Location Loc, Value Like,
              bool Avx512 = false)
      : B(Builder), Loc(Loc), Like(Like.getType()), Avx512(Avx512) {}

  mlir::OpBuilder &builder() { return B; }
  mlir::Location loc() const { return Loc; }

  /// `Element` in the shape of this emitter.
  mlir::Type shaped(mlir::Type Element) const;
  mlir::Type f32() { return shaped(B.getF32Type()); }
  mlir::Type f64() { return shaped(B.getF64Type()); }
  mlir::Type i32() { return shaped(B.getI32Type()); }
  mlir::Type i64() { return shaped(B.getI64Type()); }

  Value constant(mlir::TypedAttr Element);
  Value f32(float V) { return constant(B.getF32FloatAttr(V)); }
  Value f64(double V) { return constant(B.getF64FloatAttr(V)); }
  Value i32(int32_t V) { return constant(B.getI32IntegerAttr(V)); }
  Value i64(int64_t V) { return constant(B.getI64IntegerAttr(V)); }
  Value i16(int16_t V) { return constant(B.getI16IntegerAttr(V)); }

  template <typename OpT, typename... Args> Value make(Args &&...A) {
    return OpT::create(B, Loc, std::forward<Args>(A)...);
  }

  Value add(Value L, Value R) { return make<mlir::arith::AddFOp>(L, R); }
  Value sub(Value L, Value R) { return make<mlir::arith::SubFOp>(L, R); }
  Value mul(Value L, Value R) { return make<mlir::arith::MulFOp>(L, R); }
  Value div(Value L, Value R) { return make<mlir::arith::DivFOp>(L, R); }
  /// A quotient by 1 or more, see LargeDivisorAttrName.
  Value divByLarge(Value L, Value R);
  Value neg(Value V) { return make<mlir::arith::NegFOp>(V); }
  Value fma(Value X, Value Y, Value Z) {
    return make<mlir::math::FmaOp>(X, Y, Z);
  }
  Value abs(Value V) { return make<mlir::math::AbsFOp>(V); }
  Value floor(Value V) { return make<mlir::math::FloorOp>(V); }
  Value sqrt(Value V) { return make<mlir::math::SqrtOp>(V); }
  Value copySign(Value Size, Value Sign) {
    return make<mlir::math::CopySignOp>(Size, Sign);
  }
  Value compare(FloatPredicate P, Value L, Value R) {
    return make<mlir::arith::CmpFOp>(P, L, R);
  }
  /// The smaller (greater) of V and a bound; NaN stays NaN.
  Value atMost(Value V, Value Bound) {
    return select(compare(FloatPredicate::OGT, V, Bound), Bound, V);
  }
  Value atLeast(Value V, Value Bound) {
    return select(compare(FloatPredicate::OLT, V, Bound), Bound, V);
  }

  Value addI(Value L, Value R) { return make<mlir::arith::AddIOp>(L, R); }
  Value subI(Value L, Value R) { return make<mlir::arith::SubIOp>(L, R); }
  Value mulI(Value L, Value R) { return make<mlir::arith::MulIOp>(L, R); }
  Value bitAnd(Value L, Value R) { return make<mlir::arith::AndIOp>(L, R); }
  Value bitOr(Value L, Value R) { return make<mlir::arith::OrIOp>(L, R); }
  Value bitXor(Value L, Value R) { return make<mlir::arith::XOrIOp>(L, R); }
  Value shl(Value L, Value R) { return make<mlir::arith::ShLIOp>(L, R); }
  Value shr(Value L, Value R) { return make<mlir::arith::ShRUIOp>(L, R); }
  Value sar(Value L, Value R) { return make<mlir::arith::ShRSIOp>(L, R); }
  Value compare(IntPredicate P, Value L, Value R) {
    return make<mlir::arith::CmpIOp>(P, L, R);
  }
  Value select(Value C, Value T, Value F) {
    return make<mlir::arith::SelectOp>(C, T, F);
  }

  Value bitcast(mlir::Type To, Value V) {
    return make<mlir::arith::BitcastOp>(To, V);
  }
  Value extend(mlir::Type To, Value V) {
    return make<mlir::arith::ExtFOp>(To, V);
  }
  Value truncate(mlir::Type To, Value V) {
    return make<mlir::arith::TruncFOp>(To, V);
  }
  Value extendU(mlir::Type To, Value V) {
    return make<mlir::arith::ExtUIOp>(To, V);
  }
  Value truncateI(mlir::Type To, Value V) {
    return make<mlir::arith::TruncIOp>(To, V);
  }
  Value toFloat(mlir::Type To, Value V) {
    return make<mlir::arith::SIToFPOp>(To, V);
  }

  /// Whether values are whole registers of f32 of AVX-512, so that the two
  /// functions below are there.
  bool hasScale() const;
  /// X 2^N for an integral N, with infinities and denormals.
  Value scale(Value X, Value N);
  /// 1 / X with a relative error below 2^-14.
  Value roughReciprocal(Value X);

  /// C[0] x^n + C[1] x^(n-1) + .. + C[n] by Horner's rule, in X's type.
  Value polynomial(Value X, llvm::ArrayRef<double> C);
  /// An i1: whether any lane's condition holds.
  Value any(Value Condition);

private:
  mlir::OpBuilder &B;
  mlir::Location Loc;
  mlir::Type Like;
  bool Avx512;
};

// Expansions of f32 functions.
mlir::Value emitExp(MathEmitter &M, mlir::Value X);
mlir::Value emitLog(MathEmitter &M, mlir::Value X);
mlir::Value emitTanh(MathEmitter &M, mlir::Value X);
mlir::Value emitErf(MathEmitter &M, mlir::Value X);
mlir::Value emitPow(MathEmitter &M, mlir::Value X, mlir::Value Y);
mlir::Value emitSin(MathEmitter &M, mlir::Value X);
mlir::Value emitCos(MathEmitter &M, mlir::Value X);
mlir::Value emitRemainder(MathEmitter &M, mlir::Value X, mlir::Value Y);

/// Patterns for float conversions (NarrowFloats.cpp).
void populateNarrowFloatPatterns(mlir::RewritePatternSet &Patterns);

} // namespace limosa

#endif // LIMOSA_LIB_CODEGEN_VECTORMATH_MATHEMITTER_H
