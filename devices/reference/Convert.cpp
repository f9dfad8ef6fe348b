//===- Convert.cpp - Conversion between all dtypes ------------------------===//
//
// In two steps over short pieces: to int64, uint64 or double, which hold every
// element exactly, then to the result's dtype with one rounding.
//
//===----------------------------------------------------------------------===//

#include "Elementwise.h"
#include "Floats.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

using namespace limosa;
using namespace limosa::reference;

namespace {

/// Signed and unsigned 4-bit elements in the low nibble of a byte.
struct I4 {
  uint8_t Raw;
};
struct U4 {
  uint8_t Raw;
};
struct Bool {
  uint8_t Raw;
};

template <typename Fn> void dispatchAny(DType T, Fn F) {
  if (dispatchNumber(T, F))
    return;
  switch (T) {
  case DType::Bool:
    return F(TypeTag<Bool>());
  case DType::I4:
    return F(TypeTag<I4>());
  case DType::U4:
    return F(TypeTag<U4>());
  case DType::F8E4M3FN:
    return F(TypeTag<F8E4M3FN>());
  case DType::F8E5M2:
    return F(TypeTag<F8E5M2>());
  case DType::F8E4M3FNUZ:
    return F(TypeTag<F8E4M3FNUZ>());
  case DType::F8E5M2FNUZ:
    return F(TypeTag<F8E5M2FNUZ>());
  case DType::F4E2M1FN:
    return F(TypeTag<F4E2M1FN>());
  default:
    return;
  }
}

template <typename T, typename W> W read(T V) {
  if constexpr (std::is_same_v<T, I4>)
    return W(int8_t(V.Raw << 4) >> 4);
  else if constexpr (std::is_same_v<T, U4> || std::is_same_v<T, Bool>)
    return W(V.Raw);
  else
    return W(V);
}

/// Truncation toward zero that saturates at [Low, High]; NaN gives 0.
template <typename T> T saturate(double V, double Low, double High) {
  if (std::isnan(V))
    return 0;
  V = std::trunc(V);
  if (V <= Low)
    return T(Low);
  // The largest 64-bit integers are not doubles.
  if (V >= High)
    return std::is_same_v<T, int64_t>    ? T(INT64_MAX)
           : std::is_same_v<T, uint64_t> ? T(UINT64_MAX)
                                         : T(High);
  return T(V);
}

/// The double from which rounding to a format of fewer than 52 mantissa bits
/// gives the same as rounding the integer itself: inexact ones are made odd.
template <typename W> double sticky(W V) {
  using U = std::make_unsigned_t<W>;
  bool Negative = V < 0;
  U Magnitude = Negative ? U(0) - U(V) : U(V);
  if (Magnitude >> 53) {
    U Lost = Magnitude & 0xfff;
    Magnitude = (Magnitude & ~U(0xfff)) | (Lost ? U(0x1000) : U(0));
  }
  return Negative ? -double(Magnitude) : double(Magnitude);
}

template <typename T, typename W> T write(W V) {
  if constexpr (std::is_same_v<T, Bool>) {
    return Bool{uint8_t(V != 0)};
  } else if constexpr (std::is_same_v<T, I4> || std::is_same_v<T, U4>) {
    if constexpr (std::is_floating_point_v<W>) {
      constexpr bool Signed = std::is_same_v<T, I4>;
      return T{
          uint8_t(saturate<int8_t>(V, Signed ? -8 : 0, Signed ? 7 : 15) & 15)};
    } else {
      return T{uint8_t(V & 15)};
    }
  } else if constexpr (std::is_integral_v<T>) {
    if constexpr (std::is_floating_point_v<W>)
      return saturate<T>(V, double(std::numeric_limits<T>::min()),
                         double(std::numeric_limits<T>::max()));
    else
      return T(V);
  } else if constexpr (std::is_floating_point_v<T>) {
    return T(V);
  } else {
    if constexpr (std::is_floating_point_v<W>)
      return T(V);
    else
      return T(sticky(V));
  }
}

constexpr int64_t Piece = 512;

template <typename W>
void convertThrough(DType From, const void *In, DType To, void *Out,
                    int64_t N) {
  W Wide[Piece];
  for (int64_t Begin = 0; Begin < N; Begin += Piece) {
    int64_t Size = std::min(Piece, N - Begin);
    dispatchAny(From, [&](auto Tag) {
      using T = typename decltype(Tag)::Type;
      // Each dtype goes through one wide type only.
      constexpr bool IsInt = std::is_integral_v<T> || std::is_same_v<T, I4> ||
                             std::is_same_v<T, U4> || std::is_same_v<T, Bool>;
      if constexpr (IsInt == std::is_integral_v<W>) {
        const T *Source = static_cast<const T *>(In) + Begin;
        for (int64_t I = 0; I < Size; ++I)
          Wide[I] = read<T, W>(Source[I]);
      }
    });
    dispatchAny(To, [&](auto Tag) {
      using T = typename decltype(Tag)::Type;
      T *Target = static_cast<T *>(Out) + Begin;
      for (int64_t I = 0; I < Size; ++I)
        Target[I] = write<T, W>(Wide[I]);
    });
  }
}

} // namespace

void limosa::reference::convertElements(DType From, const void *In, DType To,
                                        void *Out, int64_t N) {
  if (isFloat(From))
    convertThrough<double>(From, In, To, Out, N);
  else if (From == DType::U64)
    convertThrough<uint64_t>(From, In, To, Out, N);
  else
    convertThrough<int64_t>(From, In, To, Out, N);
}
