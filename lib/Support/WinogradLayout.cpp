//===- WinogradLayout.cpp - Filters as F(4x4, 3x3) multiplies them --------===//

#include "limosa/Support/WinogradLayout.h"

#include "LayoutText.h"

#include <array>
#include <cstring>

using namespace limosa;
using namespace limosa::layouttext;

static constexpr std::string_view WinogradPrefix = "winograd ";

//===----------------------------------------------------------------------===//
// Text
//===----------------------------------------------------------------------===//

std::string WinogradLayout::toString() const {
  return std::string(WinogradPrefix) + "nr=" + std::to_string(PanelColumns) +
         " vl=" + std::to_string(Lanes) + " o=" + std::to_string(Offset) +
         " n=" + joinDims({Columns}) + " c=" + joinDims({Channels}) +
         " y=" + joinDims({Lines}) + " x=" + joinDims({Pixels});
}

std::optional<WinogradLayout> WinogradLayout::parse(std::string_view Text) {
  if (!Text.starts_with(WinogradPrefix))
    return std::nullopt;
  Text.remove_prefix(WinogradPrefix.size());
  WinogradLayout L;
  while (!Text.empty()) {
    std::string_view Value = takeUntil(Text, ' ');
    std::string_view Key = takeUntil(Value, '=');
    PanelLayout::Dim *Dim = Key == "n"   ? &L.Columns
                            : Key == "c" ? &L.Channels
                            : Key == "y" ? &L.Lines
                            : Key == "x" ? &L.Pixels
                                         : nullptr;
    int64_t *Number = Key == "nr"   ? &L.PanelColumns
                      : Key == "vl" ? &L.Lanes
                      : Key == "o"  ? &L.Offset
                                    : nullptr;
    if (Dim) {
      PanelDims One;
      if (!parseDims(Value, One) || One.size() != 1)
        return std::nullopt;
      *Dim = One.front();
    } else if (!Number || !parseNumber(Value, *Number)) {
      return std::nullopt;
    }
  }
  if (L.Lanes <= 0 || L.PanelColumns <= 0 || L.PanelColumns % L.Lanes ||
      L.Lines.Extent != Winograd::Window || L.Pixels.Extent != Winograd::Window)
    return std::nullopt;
  return L;
}

//===----------------------------------------------------------------------===//
// Bytes
//===----------------------------------------------------------------------===//

namespace {
using Taps = std::array<double, Winograd::Window>;
using Factors = std::array<double, Winograd::Span>;
} // namespace

// The product over the other points q of (p - q), for p = Near and p = Far.
static constexpr double NearScale =
    2 * Winograd::NearSquare * (Winograd::NearSquare - Winograd::FarSquare);
static constexpr double FarScale =
    2 * Winograd::FarSquare * (Winograd::FarSquare - Winograd::NearSquare);

/// G g.
static Factors transformed(const Taps &G) {
  auto at = [&](double Point, double Square, double Scale) {
    return (G[0] + Point * G[1] + Square * G[2]) / Scale;
  };
  return {G[0] / (Winograd::NearSquare * Winograd::FarSquare),
          at(Winograd::Near, Winograd::NearSquare, NearScale),
          at(-Winograd::Near, Winograd::NearSquare, NearScale),
          at(Winograd::Far, Winograd::FarSquare, FarScale),
          at(-Winograd::Far, Winograd::FarSquare, FarScale),
          G[2]};
}

/// The g with G g = U.
static Taps restored(const Factors &U) {
  return {U[0] * (Winograd::NearSquare * Winograd::FarSquare),
          (U[1] - U[2]) * NearScale / (2 * Winograd::Near), U[5]};
}

/// The panels of plain products [Products][channels][columns].
PanelLayout WinogradLayout::panels() const {
  PanelLayout P;
  P.PanelColumns = PanelColumns;
  P.Lanes = Lanes;
  P.Batch = {{Winograd::Products, Channels.Extent * Columns.Extent}};
  P.K = {{Channels.Extent, Columns.Extent}};
  P.Columns = {{Columns.Extent, 1}};
  return P;
}

/// The number of filters, a filter for each pair of channels, if all lie in a
/// constant of `Bytes`.
static std::optional<int64_t> countFilters(const WinogradLayout &L,
                                           size_t Bytes) {
  int64_t First = L.Offset, Last = L.Offset;
  for (PanelLayout::Dim D : {L.Columns, L.Channels, L.Lines, L.Pixels}) {
    int64_t Reach;
    int64_t &End = D.Stride < 0 ? First : Last;
    if (D.Extent < 1 ||
        __builtin_mul_overflow(D.Extent - 1, D.Stride, &Reach) ||
        __builtin_add_overflow(End, Reach, &End))
      return std::nullopt;
  }
  int64_t Count, Products;
  if (First < 0 || Last >= int64_t(Bytes / sizeof(float)) ||
      __builtin_mul_overflow(L.Columns.Extent, L.Channels.Extent, &Count) ||
      __builtin_mul_overflow(Count, int64_t(Winograd::Products * sizeof(float)),
                             &Products))
    return std::nullopt;
  return Count;
}

/// Calls `Do(number of the filter, offset of its first element)`.
template <typename Fn>
static void forEachFilter(const WinogradLayout &L, Fn Do) {
  int64_t Number = 0;
  for (int64_t C = 0; C < L.Channels.Extent; ++C)
    for (int64_t N = 0; N < L.Columns.Extent; ++N)
      Do(Number++, L.Offset + C * L.Channels.Stride + N * L.Columns.Stride);
}

std::optional<std::vector<uint8_t>>
WinogradLayout::pack(std::span<const uint8_t> Plain) const {
  auto Count = countFilters(*this, Plain.size());
  if (!Count)
    return std::nullopt;
  const float *From = reinterpret_cast<const float *>(Plain.data());
  std::vector<float> All(size_t(*Count * Winograd::Products));
  forEachFilter(*this, [&](int64_t Number, int64_t At) {
    std::array<Factors, Winograd::Window> Rows;
    for (int64_t Y = 0; Y < Winograd::Window; ++Y) {
      const float *Row = From + At + Y * Lines.Stride;
      Rows[Y] =
          transformed({Row[0], Row[Pixels.Stride], Row[2 * Pixels.Stride]});
    }
    for (int64_t X = 0; X < Winograd::Span; ++X) {
      Factors Column = transformed({Rows[0][X], Rows[1][X], Rows[2][X]});
      for (int64_t Y = 0; Y < Winograd::Span; ++Y)
        All[size_t((Y * Winograd::Span + X) * *Count + Number)] =
            float(Column[Y]);
    }
  });
  return panels().pack(sizeof(float),
                       {reinterpret_cast<const uint8_t *>(All.data()),
                        All.size() * sizeof(float)});
}

std::optional<std::vector<uint8_t>>
WinogradLayout::unpack(size_t PlainBytes,
                       std::span<const uint8_t> Packed) const {
  auto Count = countFilters(*this, PlainBytes);
  if (!Count)
    return std::nullopt;
  auto Bytes = panels().unpack(
      sizeof(float), size_t(*Count * Winograd::Products) * sizeof(float),
      Packed);
  if (!Bytes)
    return std::nullopt;
  const float *All = reinterpret_cast<const float *>(Bytes->data());
  std::vector<uint8_t> Plain(PlainBytes);
  float *To = reinterpret_cast<float *>(Plain.data());
  forEachFilter(*this, [&](int64_t Number, int64_t At) {
    std::array<Taps, Winograd::Span> Columns;
    for (int64_t X = 0; X < Winograd::Span; ++X) {
      Factors U;
      for (int64_t Y = 0; Y < Winograd::Span; ++Y)
        U[Y] = All[(Y * Winograd::Span + X) * *Count + Number];
      Columns[X] = restored(U);
    }
    for (int64_t Y = 0; Y < Winograd::Window; ++Y) {
      Factors Row;
      for (int64_t X = 0; X < Winograd::Span; ++X)
        Row[X] = Columns[X][Y];
      Taps G = restored(Row);
      for (int64_t X = 0; X < Winograd::Window; ++X)
        To[At + Y * Lines.Stride + X * Pixels.Stride] = float(G[X]);
    }
  });
  return Plain;
}
