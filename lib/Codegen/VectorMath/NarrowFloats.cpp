//===- NarrowFloats.cpp - Conversions that x86 does not do exactly --------===//
//
// AVX-512 BF16 flushes denormals and without it the conversion is a library
// call; f64 to f16 is a library call and rounding twice would be wrong.
//
//===----------------------------------------------------------------------===//

#include "MathEmitter.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;

namespace limosa {

/// f64 to f32 rounded to odd: truncated, the last bit set if that lost
/// anything. Rounding the result to 22 bits or fewer then rounds once.
static Value roundToOdd(MathEmitter &M, Value X) {
  using P = MathEmitter::FloatPredicate;
  Value Nearest = M.truncate(M.f32(), X);
  Value Back = M.extend(M.f64(), Nearest);
  Value Bits = M.bitcast(M.i32(), Nearest);
  Value IsAbove = M.compare(P::OGT, M.abs(Back), M.abs(X));
  Bits = M.select(IsAbove, M.subI(Bits, M.i32(1)), Bits);
  Value IsInexact = M.compare(P::ONE, Back, X);
  Bits = M.select(IsInexact, M.bitOr(Bits, M.i32(1)), Bits);
  return M.bitcast(M.f32(), Bits);
}

/// f32 to bf16, to nearest even, NaN stays NaN.
static Value truncateToBf16(MathEmitter &M, Value X) {
  Value Bits = M.bitcast(M.i32(), X);
  Value High = M.shr(Bits, M.i32(16));
  Value Odd = M.bitAnd(High, M.i32(1));
  Value Rounded = M.shr(M.addI(M.addI(Bits, Odd), M.i32(0x7fff)), M.i32(16));
  Value Quiet = M.bitOr(High, M.i32(0x40));
  Value IsNaN = M.compare(MathEmitter::FloatPredicate::UNO, X, X);
  Value Result = M.select(IsNaN, Quiet, Rounded);
  OpBuilder &B = M.builder();
  return M.bitcast(M.shaped(B.getBF16Type()),
                   M.truncateI(M.shaped(B.getI16Type()), Result));
}

namespace {

struct ExpandTruncate : OpRewritePattern<arith::TruncFOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::TruncFOp Op,
                                PatternRewriter &Rewriter) const override {
    Type From = getElementTypeOrSelf(Op.getIn());
    Type To = getElementTypeOrSelf(Op.getType());
    bool FromWide = From.isF64();
    if (!(To.isBF16() && (From.isF32() || FromWide)) &&
        !(To.isF16() && FromWide))
      return failure();
    // The machine's own instruction will do where denormals may be flushed.
    if (!FromWide && bitEnumContainsAll(
                         Op.getFastmath().value_or(arith::FastMathFlags::none),
                         arith::FastMathFlags::afn))
      return failure();
    MathEmitter M(Rewriter, Op.getLoc(), Op.getIn());
    Value X = FromWide ? roundToOdd(M, Op.getIn()) : Op.getIn();
    Rewriter.replaceOp(Op, To.isBF16() ? truncateToBf16(M, X)
                                       : M.truncate(Op.getType(), X));
    return success();
  }
};

struct ExpandExtend : OpRewritePattern<arith::ExtFOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::ExtFOp Op,
                                PatternRewriter &Rewriter) const override {
    if (!getElementTypeOrSelf(Op.getIn()).isBF16())
      return failure();
    MathEmitter M(Rewriter, Op.getLoc(), Op.getIn());
    Value Bits = M.bitcast(M.shaped(Rewriter.getI16Type()), Op.getIn());
    Value Wide = M.shl(M.extendU(M.i32(), Bits), M.i32(16));
    Value Result = M.bitcast(M.f32(), Wide);
    if (getElementTypeOrSelf(Op.getType()).isF64())
      Result = M.extend(Op.getType(), Result);
    Rewriter.replaceOp(Op, Result);
    return success();
  }
};

} // namespace

void populateNarrowFloatPatterns(RewritePatternSet &Patterns) {
  Patterns.add<ExpandTruncate, ExpandExtend>(Patterns.getContext());
}

} // namespace limosa
