//===- VectorMath.h - Math functions as straight-line code ------*- C++ -*-===//
//
// Kernels may not call a math library, so the backend replaces the math
// dialect's functions before lowering. f32 functions become polynomials on
// scalars and on vectors of any shape alike, a lane never affecting another:
//
//   op      error (ulp)  method
//   exp        1         Cody-Waite by ln 2, polynomial, scaling in two steps
//   log        1         m in [2/3, 4/3), polynomial of log1p
//   tanh       2.5       t / (t + 2), t = expm1(2 |x|)
//   erf        3.5       odd polynomial below 3.92, then 1
//   sin, cos   1.5       Cody-Waite below 71476, Payne-Hanek above
//   powf       0.51      exp2(y log2 x) in f64
//   rsqrt      1.5       1 / sqrt
//   remf       0         long division in f64, exact as C fmod
//
// NaN, infinities, signed zeros, denormals, overflow and underflow follow C99
// Annex F, but exp is 0 where it would be denormal: sums and products with
// denormals, as softmax makes them of masked scores, take fifty times as long.
// f16 and bf16 are computed in f32 and rounded once. f64 is left to
// LimosaKernelContext::math, one lane at a time.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_CODEGEN_VECTORMATH_H
#define LIMOSA_CODEGEN_VECTORMATH_H

#include "mlir/IR/PatternMatch.h"

namespace limosa {

/// On an f32 division: the divisor is at least 1 (unit), so that a reciprocal
/// refined to 1 ulp may take the division's place. Quotients by more than 2^126
/// are those by 2^126.
inline constexpr llvm::StringLiteral LargeDivisorAttrName =
    "limosa.large_divisor";

/// Patterns for the functions above, and for the float conversions that x86
/// has no exact instruction for: to bf16, and from f64 to f16. `Avx512`: the
/// target has its instructions.
void populateVectorMathPatterns(mlir::RewritePatternSet &Patterns, bool Avx512);

} // namespace limosa

#endif // LIMOSA_CODEGEN_VECTORMATH_H
