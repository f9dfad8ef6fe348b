//===- DType.h - Element types of tensors -----------------------*- C++ -*-===//
//
// The element types of Limosa, as one table. The numbers are part of the file
// formats and of the C interfaces: never renumber, only append. This header has
// no dependencies, so that the runtime, the devices and the compiler share it.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_SUPPORT_DTYPE_H
#define LIMOSA_SUPPORT_DTYPE_H

#include <cstdint>
#include <optional>
#include <string_view>

namespace limosa {

enum class DTypeClass : uint8_t { Bool, Signed, Unsigned, Float, String };

// X(Enumerator, number, name, bits, class)
// Four-bit types are storage only: two elements a byte, low nibble first.
// The fp8 types are storage only: arithmetic on them goes through `convert`.
// Strings are what entries take and give. Inside a program they are numbers of
// strings (64 bits) in tables that the runtime keeps.
#define LIMOSA_DTYPES(X)                                                       \
  X(Bool, 1, "bool", 8, Bool)                                                  \
  X(I8, 2, "i8", 8, Signed)                                                    \
  X(I16, 3, "i16", 16, Signed)                                                 \
  X(I32, 4, "i32", 32, Signed)                                                 \
  X(I64, 5, "i64", 64, Signed)                                                 \
  X(U8, 6, "u8", 8, Unsigned)                                                  \
  X(U16, 7, "u16", 16, Unsigned)                                               \
  X(U32, 8, "u32", 32, Unsigned)                                               \
  X(U64, 9, "u64", 64, Unsigned)                                               \
  X(F16, 10, "f16", 16, Float)                                                 \
  X(BF16, 11, "bf16", 16, Float)                                               \
  X(F32, 12, "f32", 32, Float)                                                 \
  X(F64, 13, "f64", 64, Float)                                                 \
  X(F8E4M3FN, 14, "f8e4m3fn", 8, Float)                                        \
  X(F8E5M2, 15, "f8e5m2", 8, Float)                                            \
  X(F8E4M3FNUZ, 16, "f8e4m3fnuz", 8, Float)                                    \
  X(F8E5M2FNUZ, 17, "f8e5m2fnuz", 8, Float)                                    \
  X(I4, 18, "i4", 4, Signed)                                                   \
  X(U4, 19, "u4", 4, Unsigned)                                                 \
  X(F4E2M1FN, 20, "f4e2m1fn", 4, Float)                                        \
  X(String, 21, "string", 64, String)

enum class DType : uint8_t {
  Invalid = 0,
#define LIMOSA_X(E, N, S, B, C) E = N,
  LIMOSA_DTYPES(LIMOSA_X)
#undef LIMOSA_X
};

/// Width of one element in bits; 0 for `Invalid`. Bool is stored in a byte
/// holding 0 or 1.
constexpr unsigned dtypeBits(DType T) {
  switch (T) {
#define LIMOSA_X(E, N, S, B, C)                                                \
  case DType::E:                                                               \
    return B;
    LIMOSA_DTYPES(LIMOSA_X)
#undef LIMOSA_X
  case DType::Invalid:
    break;
  }
  return 0;
}

/// Name as printed and parsed, e.g. "f32"; "invalid" for anything else.
constexpr std::string_view dtypeName(DType T) {
  switch (T) {
#define LIMOSA_X(E, N, S, B, C)                                                \
  case DType::E:                                                               \
    return S;
    LIMOSA_DTYPES(LIMOSA_X)
#undef LIMOSA_X
  case DType::Invalid:
    break;
  }
  return "invalid";
}

constexpr std::optional<DType> dtypeFromName(std::string_view Name) {
#define LIMOSA_X(E, N, S, B, C)                                                \
  if (Name == S)                                                               \
    return DType::E;
  LIMOSA_DTYPES(LIMOSA_X)
#undef LIMOSA_X
  return std::nullopt;
}

constexpr DTypeClass dtypeClass(DType T) {
  switch (T) {
#define LIMOSA_X(E, N, S, B, C)                                                \
  case DType::E:                                                               \
    return DTypeClass::C;
    LIMOSA_DTYPES(LIMOSA_X)
#undef LIMOSA_X
  case DType::Invalid:
    break;
  }
  return DTypeClass::Bool;
}

constexpr bool isFloat(DType T) { return dtypeClass(T) == DTypeClass::Float; }
constexpr bool isInteger(DType T) {
  return dtypeClass(T) == DTypeClass::Signed ||
         dtypeClass(T) == DTypeClass::Unsigned;
}

/// Bytes that `Elements` packed elements take (4-bit types round up).
constexpr int64_t dtypeBytes(DType T, int64_t Elements) {
  return (Elements * int64_t(dtypeBits(T)) + 7) / 8;
}

} // namespace limosa

#endif // LIMOSA_SUPPORT_DTYPE_H
