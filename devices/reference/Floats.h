//===- Floats.h - Small float formats in software ---------------*- C++ -*-===//
//
// Conversion of f16, bf16, fp8 and fp4 from and to double, rounding to nearest
// even. Formats of the OCP 8-bit and microscaling specifications and of
// "8-bit Numerical Formats for Deep Neural Networks" (FNUZ).
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_REFERENCE_FLOATS_H
#define LIMOSA_REFERENCE_FLOATS_H

#include "limosa/Support/DType.h"

#include <bit>
#include <cstdint>

namespace limosa::reference {

enum class Specials : uint8_t {
  IEEE,  ///< All-ones exponent: infinities and NaNs.
  FN,    ///< No infinities; NaN is all ones.
  FNUZ,  ///< No infinities and no -0, whose encoding is the only NaN.
  Finite ///< Numbers only.
};

struct FloatFormat {
  int ExponentBits, MantissaBits, Bias;
  Specials Special;
  bool Saturate; ///< Too large values become the largest finite one.

  constexpr int signShift() const { return ExponentBits + MantissaBits; }
  constexpr uint32_t exponentMask() const { return (1u << ExponentBits) - 1; }
  constexpr uint32_t mantissaMask() const { return (1u << MantissaBits) - 1; }
  /// The encoding of the largest finite number.
  constexpr uint32_t largest() const {
    uint32_t All = (1u << signShift()) - 1;
    switch (Special) {
    case Specials::IEEE:
      return ((exponentMask() - 1) << MantissaBits) | mantissaMask();
    case Specials::FN:
      return All - 1;
    case Specials::FNUZ:
    case Specials::Finite:
      break;
    }
    return All;
  }
  constexpr uint32_t nan() const {
    switch (Special) {
    case Specials::IEEE:
      return (exponentMask() << MantissaBits) | (1u << (MantissaBits - 1));
    case Specials::FN:
      return (1u << signShift()) - 1;
    case Specials::FNUZ:
      return 1u << signShift();
    case Specials::Finite:
      break;
    }
    return 0; // there is none
  }
};

inline constexpr FloatFormat FormatF16{5, 10, 15, Specials::IEEE, false};
inline constexpr FloatFormat FormatBF16{8, 7, 127, Specials::IEEE, false};
inline constexpr FloatFormat FormatF8E4M3FN{4, 3, 7, Specials::FN, true};
inline constexpr FloatFormat FormatF8E5M2{5, 2, 15, Specials::IEEE, true};
inline constexpr FloatFormat FormatF8E4M3FNUZ{4, 3, 8, Specials::FNUZ, true};
inline constexpr FloatFormat FormatF8E5M2FNUZ{5, 2, 16, Specials::FNUZ, true};
inline constexpr FloatFormat FormatF4E2M1FN{2, 1, 1, Specials::Finite, true};

constexpr double decodeFloat(const FloatFormat &F, uint32_t Bits) {
  uint64_t Sign = uint64_t((Bits >> F.signShift()) & 1) << 63;
  uint32_t Exponent = (Bits >> F.MantissaBits) & F.exponentMask();
  uint64_t Mantissa = Bits & F.mantissaMask();
  constexpr uint64_t NaN = 0x7ff8000000000000;
  uint32_t Magnitude = Bits & ((1u << F.signShift()) - 1);
  if (F.Special == Specials::IEEE && Exponent == F.exponentMask())
    return std::bit_cast<double>(Sign | (Mantissa ? NaN : 0x7ff0000000000000));
  if (F.Special == Specials::FN && Magnitude == F.nan())
    return std::bit_cast<double>(Sign | NaN);
  if (F.Special == Specials::FNUZ && Bits == F.nan())
    return std::bit_cast<double>(NaN);
  int Power = int(Exponent) - F.Bias;
  if (Exponent == 0) { // subnormal: bring the leading one to its place
    if (Mantissa == 0)
      return std::bit_cast<double>(Sign);
    Power = 1 - F.Bias;
    while (!(Mantissa >> F.MantissaBits)) {
      Mantissa <<= 1;
      --Power;
    }
    Mantissa &= F.mantissaMask();
  }
  return std::bit_cast<double>(Sign | uint64_t(Power + 1023) << 52 |
                               Mantissa << (52 - F.MantissaBits));
}

constexpr uint32_t encodeFloat(const FloatFormat &F, double Value) {
  uint64_t Bits = std::bit_cast<uint64_t>(Value);
  uint32_t Sign = uint32_t(Bits >> 63) << F.signShift();
  int Exponent = int((Bits >> 52) & 0x7ff);
  uint64_t Mantissa = Bits & 0xfffffffffffff;
  if (Exponent == 0x7ff && Mantissa)
    return F.Special == Specials::FNUZ     ? F.nan()
           : F.Special == Specials::Finite ? 0
                                           : Sign | F.nan();
  uint32_t Result = 0;
  if (Exponent == 0x7ff) {
    Result = F.largest() + 1;
  } else if (Exponent != 0) { // subnormal doubles round to zero in all formats
    Mantissa |= uint64_t(1) << 52;
    int Power = Exponent - 1023, Least = 1 - F.Bias;
    int Shift = 52 - F.MantissaBits + (Power < Least ? Least - Power : 0);
    if (Shift <= 54) {
      uint64_t Rest = Mantissa & ((uint64_t(1) << Shift) - 1);
      uint64_t Half = uint64_t(1) << (Shift - 1);
      uint64_t Rounded = Mantissa >> Shift;
      Rounded += Rest > Half || (Rest == Half && (Rounded & 1));
      // A carry out of the mantissa moves into the exponent by itself.
      int64_t Encoded = int64_t(Rounded);
      if (Power >= Least)
        Encoded += int64_t(Power - Least) << F.MantissaBits;
      Result =
          Encoded > int64_t(F.largest()) ? F.largest() + 1 : uint32_t(Encoded);
    }
  }
  if (Result > F.largest()) {
    if (F.Saturate)
      Result = F.largest();
    else // IEEE: the encoding after the largest number is infinity
      Result = F.exponentMask() << F.MantissaBits;
  }
  if (F.Special == Specials::FNUZ && Result == 0)
    return 0;
  return Sign | Result;
}

/// Storage of the element types without a C++ type.
template <const FloatFormat &F, typename Bits> struct SmallFloat {
  Bits Raw;
  SmallFloat() = default;
  template <typename T>
    requires std::is_floating_point_v<T>
  explicit SmallFloat(T V) : Raw(Bits(encodeFloat(F, double(V)))) {}
  template <typename T>
    requires std::is_floating_point_v<T>
  explicit operator T() const {
    return T(decodeFloat(F, Raw));
  }
};

using F16 = SmallFloat<FormatF16, uint16_t>;
using BF16 = SmallFloat<FormatBF16, uint16_t>;
using F8E4M3FN = SmallFloat<FormatF8E4M3FN, uint8_t>;
using F8E5M2 = SmallFloat<FormatF8E5M2, uint8_t>;
using F8E4M3FNUZ = SmallFloat<FormatF8E4M3FNUZ, uint8_t>;
using F8E5M2FNUZ = SmallFloat<FormatF8E5M2FNUZ, uint8_t>;
using F4E2M1FN = SmallFloat<FormatF4E2M1FN, uint8_t>;

/// The type that arithmetic on stored T is done in.
template <typename T> struct ComputeTypeOf {
  using Type = T;
};
template <> struct ComputeTypeOf<F16> {
  using Type = float;
};
template <> struct ComputeTypeOf<BF16> {
  using Type = float;
};
template <typename T> using ComputeType = typename ComputeTypeOf<T>::Type;

template <typename T>
inline constexpr bool IsFloat =
    std::is_floating_point_v<T> || std::is_same_v<T, F16> ||
    std::is_same_v<T, BF16>;

/// A type as a value, for generic lambdas.
template <typename T> struct TypeTag {
  using Type = T;
};

/// Calls F(TypeTag<T>()) for the number dtypes (i8..u64, f16..f64); false for
/// others.
template <typename Fn> bool dispatchNumber(DType T, Fn F) {
  switch (T) {
  case DType::I8:
    return F(TypeTag<int8_t>()), true;
  case DType::I16:
    return F(TypeTag<int16_t>()), true;
  case DType::I32:
    return F(TypeTag<int32_t>()), true;
  case DType::I64:
    return F(TypeTag<int64_t>()), true;
  case DType::U8:
    return F(TypeTag<uint8_t>()), true;
  case DType::U16:
    return F(TypeTag<uint16_t>()), true;
  case DType::U32:
    return F(TypeTag<uint32_t>()), true;
  case DType::U64:
    return F(TypeTag<uint64_t>()), true;
  case DType::F16:
    return F(TypeTag<F16>()), true;
  case DType::BF16:
    return F(TypeTag<BF16>()), true;
  case DType::F32:
    return F(TypeTag<float>()), true;
  case DType::F64:
    return F(TypeTag<double>()), true;
  default:
    return false;
  }
}

/// The same for the float dtypes.
template <typename Fn> bool dispatchFloat(DType T, Fn F) {
  switch (T) {
  case DType::F16:
    return F(TypeTag<F16>()), true;
  case DType::BF16:
    return F(TypeTag<BF16>()), true;
  case DType::F32:
    return F(TypeTag<float>()), true;
  case DType::F64:
    return F(TypeTag<double>()), true;
  default:
    return false;
  }
}

/// The same for the integers from 8 to 64 bits.
template <typename Fn> bool dispatchInteger(DType T, Fn F) {
  return dispatchNumber(
             T,
             [&](auto Tag) {
               if constexpr (std::is_integral_v<typename decltype(Tag)::Type>)
                 F(Tag);
             }) &&
         !isFloat(T);
}

} // namespace limosa::reference

#endif // LIMOSA_REFERENCE_FLOATS_H
