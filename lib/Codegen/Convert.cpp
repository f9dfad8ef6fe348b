//===- Convert.cpp - Element conversions in registers ---------------------===//

#include "Convert.h"
#include "limosa/Codegen/Backend.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::codegen;

using Pred = arith::CmpIPredicate;
using PredF = arith::CmpFPredicate;

Type codegen::vectorLike(Type Like, Type Element) {
  if (auto Vec = dyn_cast<VectorType>(Like))
    return VectorType::get(Vec.getShape(), Element);
  return Element;
}

Value codegen::numberConstant(KernelBuilder &KB, Type Ty, double V) {
  return KB.splat(KB.builder().getFloatAttr(getElementTypeOrSelf(Ty), V), Ty);
}

Value codegen::intConstant(KernelBuilder &KB, Type Ty, int64_t V) {
  Type Element = getElementTypeOrSelf(Ty);
  APInt Bits(Element.getIntOrFloatBitWidth(), uint64_t(V), /*isSigned=*/true,
             /*implicitTrunc=*/true);
  return KB.splat(KB.builder().getIntegerAttr(Element, Bits), Ty);
}

namespace {

/// Writes ops on one vector shape.
struct Writer {
  KernelBuilder &KB;
  OpBuilder &B;
  Location Loc;
  explicit Writer(KernelBuilder &KB) : KB(KB), B(KB.builder()), Loc(KB.loc()) {}

  Type like(Value V, Type Element) { return vectorLike(V.getType(), Element); }
  Type i32Like(Value V) { return like(V, B.getI32Type()); }
  Type f32Like(Value V) { return like(V, B.getF32Type()); }
  template <typename Op> Value bin(Value L, Value R) {
    return Op::create(B, Loc, L, R);
  }
  template <typename Op> Value cast(Type Ty, Value V) {
    return Op::create(B, Loc, Ty, V);
  }
  Value ints(Type Ty, int64_t V) { return intConstant(KB, Ty, V); }
  Value nums(Type Ty, double V) { return numberConstant(KB, Ty, V); }
  Value cmp(Pred P, Value L, Value R) {
    return arith::CmpIOp::create(B, Loc, P, L, R);
  }
  Value cmp(PredF P, Value L, Value R) {
    return arith::CmpFOp::create(B, Loc, P, L, R);
  }
  Value select(Value C, Value T, Value F) {
    return arith::SelectOp::create(B, Loc, C, T, F);
  }
  Value shl(Value V, int64_t N) {
    return bin<arith::ShLIOp>(V, ints(V.getType(), N));
  }
  Value shr(Value V, int64_t N) {
    return bin<arith::ShRUIOp>(V, ints(V.getType(), N));
  }
  Value andBits(Value V, int64_t M) {
    return bin<arith::AndIOp>(V, ints(V.getType(), M));
  }
};

/// A small float format: sign, exponent, mantissa.
struct SmallFloat {
  int ExponentBits, MantissaBits, Bias;
  double Max;   ///< largest finite value
  int Infinity; ///< code without sign, -1: none
  int NaN;      ///< code that encodes NaN, -1: none (NaN becomes 0)
  bool NaNIsMinusZero;
  int signBit() const { return ExponentBits + MantissaBits; }
};

std::optional<SmallFloat> smallFloat(Type T) {
  switch (getDType(T)) {
  case DType::F8E4M3FN:
    return SmallFloat{4, 3, 7, 448.0, -1, 0x7F, false};
  case DType::F8E5M2:
    return SmallFloat{5, 2, 15, 57344.0, 0x7C, 0x7E, false};
  case DType::F8E4M3FNUZ:
    return SmallFloat{4, 3, 8, 240.0, -1, 0x80, true};
  case DType::F8E5M2FNUZ:
    return SmallFloat{5, 2, 16, 57344.0, -1, 0x80, true};
  case DType::F4E2M1FN:
    return SmallFloat{2, 1, 1, 6.0, -1, -1, false};
  default:
    return std::nullopt;
  }
}

/// Raw bits in i8 to f32.
Value decode(KernelBuilder &KB, Value V, const SmallFloat &F) {
  Writer W(KB);
  Type I32 = W.i32Like(V), F32 = W.f32Like(V);
  Value Bits = W.cast<arith::ExtUIOp>(I32, V);
  int M = F.MantissaBits;
  Value Magnitude = W.andBits(Bits, (1 << F.signBit()) - 1);
  Value Exponent = W.shr(Magnitude, M);
  Value Mantissa = W.andBits(Magnitude, (1 << M) - 1);
  Value Normal = W.shl(Magnitude, 23 - M);
  Normal =
      W.bin<arith::AddIOp>(Normal, W.ints(I32, int64_t(127 - F.Bias) << 23));
  Normal = W.cast<arith::BitcastOp>(F32, Normal);
  Value Small = W.cast<arith::SIToFPOp>(F32, Mantissa);
  Small =
      W.bin<arith::MulFOp>(Small, W.nums(F32, std::ldexp(1.0, 1 - F.Bias - M)));
  Value IsSmall = W.cmp(Pred::eq, Exponent, W.ints(I32, 0));
  Value R = W.select(IsSmall, Small, Normal);
  constexpr double Inf = std::numeric_limits<double>::infinity();
  constexpr double NaN = std::numeric_limits<double>::quiet_NaN();
  if (F.Infinity >= 0) {
    Value IsInf = W.cmp(Pred::eq, Magnitude, W.ints(I32, F.Infinity));
    Value IsNaN = W.cmp(Pred::ugt, Magnitude, W.ints(I32, F.Infinity));
    R = W.select(IsInf, W.nums(F32, Inf), R);
    R = W.select(IsNaN, W.nums(F32, NaN), R);
  } else if (F.NaN >= 0 && !F.NaNIsMinusZero) {
    Value IsNaN = W.cmp(Pred::eq, Magnitude, W.ints(I32, F.NaN));
    R = W.select(IsNaN, W.nums(F32, NaN), R);
  }
  Value Sign = W.shl(W.andBits(Bits, 1 << F.signBit()), 31 - F.signBit());
  R = W.bin<arith::OrIOp>(W.cast<arith::BitcastOp>(I32, R), Sign);
  R = W.cast<arith::BitcastOp>(F32, R);
  if (F.NaNIsMinusZero)
    R = W.select(W.cmp(Pred::eq, Bits, W.ints(I32, F.NaN)), W.nums(F32, NaN),
                 R);
  return R;
}

/// f32 to raw bits in i8, to nearest even, saturating.
Value encode(KernelBuilder &KB, Value V, const SmallFloat &F) {
  Writer W(KB);
  Type I8 = W.like(V, W.B.getI8Type()), I32 = W.i32Like(V), F32 = V.getType();
  int M = F.MantissaBits, MinExponent = 1 - F.Bias;
  Value Bits = W.cast<arith::BitcastOp>(I32, V);
  Value A = W.cast<arith::BitcastOp>(F32, W.andBits(Bits, 0x7FFFFFFF));
  Value Max = W.nums(F32, F.Max);
  A = W.select(W.cmp(PredF::OLT, A, Max), A, Max);
  // In units of the last place of A's binade (or of the subnormals).
  Value E = W.shr(W.cast<arith::BitcastOp>(I32, A), 23);
  E = W.bin<arith::SubIOp>(E, W.ints(I32, 127));
  E = W.bin<arith::MaxSIOp>(E, W.ints(I32, MinExponent));
  Value Scale = W.shl(W.bin<arith::SubIOp>(W.ints(I32, M + 127), E), 23);
  Value Units = W.bin<arith::MulFOp>(A, W.cast<arith::BitcastOp>(F32, Scale));
  Units = math::RoundEvenOp::create(W.B, W.Loc, Units);
  Value Code = W.cast<arith::FPToSIOp>(I32, Units);
  Value Binade = W.bin<arith::SubIOp>(E, W.ints(I32, MinExponent));
  Code = W.bin<arith::AddIOp>(Code, W.shl(Binade, M));
  Value Sign = W.andBits(W.shr(Bits, 31 - F.signBit()), 1 << F.signBit());
  Value Signed = W.bin<arith::OrIOp>(Code, Sign);
  if (F.NaNIsMinusZero)
    Signed = W.select(W.cmp(Pred::eq, Code, W.ints(I32, 0)), Code, Signed);
  Value NaN = W.ints(I32, std::max(F.NaN, 0));
  if (F.NaN >= 0 && !F.NaNIsMinusZero)
    NaN = W.bin<arith::OrIOp>(NaN, Sign);
  Signed = W.select(W.cmp(PredF::UNO, V, V), NaN, Signed);
  return W.cast<arith::TruncIOp>(I8, Signed);
}

/// f64 to f32 such that a second rounding to a narrower format gives what one
/// rounding would (round to odd).
Value truncateToOdd(KernelBuilder &KB, Value V) {
  Writer W(KB);
  Type F32 = W.f32Like(V), I32 = W.i32Like(V);
  Value T = W.cast<arith::TruncFOp>(F32, V);
  Value Back = W.cast<arith::ExtFOp>(V.getType(), T);
  markExact(T.getDefiningOp());
  markExact(Back.getDefiningOp());
  Value Bits = W.cast<arith::BitcastOp>(I32, T);
  Value Inexact = W.cmp(PredF::ONE, Back, V);
  Value Even = W.cmp(Pred::eq, W.andBits(Bits, 1), W.ints(I32, 0));
  Value IsInf =
      W.cmp(Pred::eq, W.andBits(Bits, 0x7FFFFFFF), W.ints(I32, 0x7F800000));
  // Away from zero if the rounding went toward it.
  Value AbsV = math::AbsFOp::create(W.B, W.Loc, V);
  Value AbsBack = math::AbsFOp::create(W.B, W.Loc, Back);
  Value Below = W.cmp(PredF::OLT, AbsBack, AbsV);
  Value Step = W.select(Below, W.ints(I32, 1), W.ints(I32, -1));
  Value Odd = W.cast<arith::BitcastOp>(F32, W.bin<arith::AddIOp>(Bits, Step));
  Value Adjust = W.bin<arith::AndIOp>(Inexact, Even);
  return W.select(IsInf, T, W.select(Adjust, Odd, T));
}

bool isUnsignedElement(Type T) {
  return T.isUnsignedInteger() || T.isInteger(1);
}

Value floatToInt(KernelBuilder &KB, Value V, Type To) {
  Writer W(KB);
  unsigned Bits = memoryBits(To);
  bool Unsigned = isUnsignedElement(To);
  Type FTy = V.getType();
  double Lo = Unsigned ? 0.0 : -std::ldexp(1.0, Bits - 1);
  double Hi = std::ldexp(1.0, Unsigned ? Bits : Bits - 1);
  Type Out = W.like(V, registerType(To));
  if (Bits <= 16) {
    // The larger one of a NaN and Lo is Lo.
    Value T = V;
    if (!Unsigned)
      T = W.select(W.cmp(PredF::UNO, V, V), W.nums(FTy, 0.0), V);
    T = W.select(W.cmp(PredF::OGT, T, W.nums(FTy, Lo)), T, W.nums(FTy, Lo));
    T = W.select(W.cmp(PredF::OLT, T, W.nums(FTy, Hi - 1)), T,
                 W.nums(FTy, Hi - 1));
    Value I = W.cast<arith::FPToSIOp>(W.i32Like(V), T);
    return W.cast<arith::TruncIOp>(Out, I);
  }
  Value AboveLo = Unsigned ? W.cmp(PredF::OGT, V, W.nums(FTy, -1.0))
                           : W.cmp(PredF::OGE, V, W.nums(FTy, Lo));
  Value BelowHi = W.cmp(PredF::OLT, V, W.nums(FTy, Hi));
  Value Inside = W.bin<arith::AndIOp>(AboveLo, BelowHi);
  Value Safe = W.select(Inside, V, W.nums(FTy, 0.0));
  Value I = Unsigned ? W.cast<arith::FPToUIOp>(Out, Safe)
                     : W.cast<arith::FPToSIOp>(Out, Safe);
  Value Zero = W.ints(Out, 0);
  int64_t Largest = Unsigned     ? -1
                    : Bits == 64 ? INT64_MAX
                                 : (int64_t(1) << (Bits - 1)) - 1;
  int64_t Smallest = Unsigned ? 0 : -Largest - 1;
  Value Outside = Zero; // NaN
  if (!Unsigned)
    Outside = W.select(W.cmp(PredF::OLT, V, W.nums(FTy, Lo)),
                       W.ints(Out, Smallest), Outside);
  Outside = W.select(W.cmp(PredF::OGE, V, W.nums(FTy, Hi)),
                     W.ints(Out, Largest), Outside);
  return W.select(Inside, I, Outside);
}

/// Brings a 4-bit integer in i8 to its canonical extension.
Value extendNibble(KernelBuilder &KB, Value V, Type Element) {
  Writer W(KB);
  if (!Element.isSignlessInteger())
    return W.andBits(V, 15);
  return W.bin<arith::ShRSIOp>(W.shl(V, 4), W.ints(V.getType(), 4));
}

} // namespace

Value codegen::roundTo(KernelBuilder &KB, Value V, Type Element) {
  if (!isa<Float16Type, BFloat16Type>(Element))
    return V;
  Writer W(KB);
  Value T = KB.narrow(V, Element);
  markExact(T.getDefiningOp());
  Value Back = W.cast<arith::ExtFOp>(V.getType(), T);
  markExact(Back.getDefiningOp());
  return Back;
}

Value codegen::convertElement(KernelBuilder &KB, Value V, Type From, Type To) {
  if (From == To)
    return V;
  Writer W(KB);
  if (auto Small = smallFloat(From))
    return convertElement(KB, decode(KB, V, *Small), KB.builder().getF32Type(),
                          To);
  if (auto Small = smallFloat(To)) {
    Type F32 = KB.builder().getF32Type();
    Value F =
        From.isF64() ? truncateToOdd(KB, V) : convertElement(KB, V, From, F32);
    return encode(KB, F, *Small);
  }
  Type Out = W.like(V, registerType(To));
  bool FromFloat = isa<FloatType>(From), ToFloat = isa<FloatType>(To);
  bool Narrow = isa<Float16Type, BFloat16Type>(To);
  if (FromFloat && ToFloat) {
    if (To.isF64())
      return W.cast<arith::ExtFOp>(Out, V);
    if (From.isF64())
      V = Narrow ? truncateToOdd(KB, V) : W.cast<arith::TruncFOp>(Out, V);
    return roundTo(KB, V, To);
  }
  if (FromFloat) {
    if (To.isInteger(1))
      return W.cmp(PredF::UNE, V, W.nums(V.getType(), 0.0));
    return floatToInt(KB, V, To);
  }
  if (ToFloat) {
    bool ViaF64 = Narrow && memoryBits(From) > 16;
    Type FTy = ViaF64 ? W.like(V, KB.builder().getF64Type()) : Out;
    Value F = isUnsignedElement(From) ? W.cast<arith::UIToFPOp>(FTy, V)
                                      : W.cast<arith::SIToFPOp>(FTy, V);
    if (ViaF64)
      F = truncateToOdd(KB, F);
    return roundTo(KB, F, To);
  }
  if (To.isInteger(1))
    return W.cmp(Pred::ne, V, W.ints(V.getType(), 0));
  unsigned FromBits = getElementTypeOrSelf(V).getIntOrFloatBitWidth();
  unsigned ToBits = getElementTypeOrSelf(Out).getIntOrFloatBitWidth();
  if (FromBits < ToBits)
    V = isUnsignedElement(From) ? W.cast<arith::ExtUIOp>(Out, V)
                                : W.cast<arith::ExtSIOp>(Out, V);
  else if (FromBits > ToBits)
    V = W.cast<arith::TruncIOp>(Out, V);
  return memoryBits(To) == 4 ? extendNibble(KB, V, To) : V;
}

Value codegen::bitcastElement(KernelBuilder &KB, Value V, Type From, Type To) {
  Writer W(KB);
  if (memoryBits(From) == 4)
    return extendNibble(KB, V, To);
  Value Bits = KB.toMemory(V, From);
  Type Target = W.like(V, memoryType(To));
  if (Bits.getType() != Target)
    Bits = W.cast<arith::BitcastOp>(Target, Bits);
  return KB.toRegister(Bits, To);
}
