//===- PanelLayout.cpp - Constant operands in panels ----------------------===//

#include "limosa/Support/PanelLayout.h"

#include "LayoutText.h"

#include <algorithm>
#include <cstring>

using namespace limosa;
using namespace limosa::layouttext;

static constexpr std::string_view PanelPrefix = "panel ";

//===----------------------------------------------------------------------===//
// Text
//===----------------------------------------------------------------------===//

std::string PanelLayout::toString() const {
  return std::string(PanelPrefix) + "nr=" + std::to_string(PanelColumns) +
         " vl=" + std::to_string(Lanes) +
         (Together > 1 ? " t=" + std::to_string(Together) : std::string()) +
         (Align > 1 ? " a=" + std::to_string(Align) : std::string()) +
         (Parts > 1 ? " p=" + std::to_string(Parts) : std::string()) +
         " g=" + std::to_string(Groups) + " o=" + std::to_string(Offset) +
         " b=" + joinDims(Batch) + " k=" + joinDims(K) +
         " n=" + joinDims(Columns);
}

/// The number of positions; nullopt if it overflows.
static std::optional<int64_t> positions(const PanelDims &Ds) {
  int64_t P = 1;
  for (PanelLayout::Dim D : Ds)
    if (__builtin_mul_overflow(P, D.Extent, &P))
      return std::nullopt;
  return P;
}

/// The number of positions of K with those that pad the innermost dimension;
/// nullopt if it overflows.
static std::optional<int64_t> paddedPositions(PanelDims K, int64_t Padding) {
  if (Padding == 1)
    return positions(K);
  if (K.empty())
    K.push_back({1, 0});
  int64_t &Inner = K.back().Extent;
  if (__builtin_add_overflow(Inner, Padding - 1, &Inner))
    return std::nullopt;
  Inner = Inner / Padding * Padding;
  return positions(K);
}

std::optional<PanelLayout> PanelLayout::parse(std::string_view Text) {
  if (!Text.starts_with(PanelPrefix))
    return std::nullopt;
  Text.remove_prefix(PanelPrefix.size());
  PanelLayout L;
  while (!Text.empty()) {
    std::string_view Value = takeUntil(Text, ' ');
    std::string_view Key = takeUntil(Value, '=');
    PanelDims *List = Key == "b"   ? &L.Batch
                      : Key == "k" ? &L.K
                      : Key == "n" ? &L.Columns
                                   : nullptr;
    int64_t *Number = Key == "nr"   ? &L.PanelColumns
                      : Key == "vl" ? &L.Lanes
                      : Key == "t"  ? &L.Together
                      : Key == "a"  ? &L.Align
                      : Key == "p"  ? &L.Parts
                      : Key == "g"  ? &L.Groups
                      : Key == "o"  ? &L.Offset
                                    : nullptr;
    if (!(List     ? parseDims(Value, *List)
          : Number ? parseNumber(Value, *Number)
                   : false))
      return std::nullopt;
  }
  auto Columns = positions(L.Columns);
  if (L.Lanes <= 0 || L.PanelColumns <= 0 || L.PanelColumns % L.Lanes ||
      L.Groups <= 0 || L.Together < 1 || L.Together > L.Lanes || L.Align < 1 ||
      (L.Align > 1 && L.Align % L.Together) || L.Parts < 1 || !Columns ||
      *Columns % L.Groups || *Columns / L.Groups % L.Parts ||
      !paddedPositions(L.K, L.padding()) || !positions(L.Batch))
    return std::nullopt;
  return L;
}

//===----------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------===//

int64_t PanelLayout::columns() const {
  return positions(Columns).value_or(0) / Groups / Parts;
}
int64_t PanelLayout::depth() const {
  return paddedPositions(K, padding()).value_or(0);
}
int64_t PanelLayout::batch() const { return positions(Batch).value_or(0); }
int64_t PanelLayout::groupElements() const {
  return depth() * Parts * ((columns() + Lanes - 1) / Lanes * Lanes);
}

/// Whether all elements of the layout lie in a constant of `Elements`.
static bool fitsIn(const PanelLayout &L, int64_t Elements) {
  int64_t First = L.Offset, Last = L.Offset;
  for (const PanelDims *Ds : {&L.Batch, &L.K, &L.Columns})
    for (PanelLayout::Dim D : *Ds) {
      if (D.Extent == 0)
        return true;
      int64_t Reach;
      int64_t &End = D.Stride < 0 ? First : Last;
      if (__builtin_mul_overflow(D.Extent - 1, D.Stride, &Reach) ||
          __builtin_add_overflow(End, Reach, &End))
        return false;
    }
  return First >= 0 && Last < Elements;
}

/// The bytes of a packed constant; nullopt if the layout is not one of a
/// constant of `PlainElements`.
static std::optional<size_t>
packedBytes(const PanelLayout &L, unsigned ElementBytes, size_t PlainElements) {
  auto Columns = positions(L.Columns);
  if (!Columns || *Columns % L.Groups || *Columns / L.Groups % L.Parts ||
      !fitsIn(L, int64_t(PlainElements)))
    return std::nullopt;
  int64_t Bytes = L.groupElements();
  for (int64_t Factor : {L.Groups, L.batch(), int64_t(ElementBytes)})
    if (__builtin_mul_overflow(Bytes, Factor, &Bytes))
      return std::nullopt;
  return size_t(Bytes);
}

//===----------------------------------------------------------------------===//
// Bytes
//===----------------------------------------------------------------------===//

/// Offsets of all positions of these dimensions, row-major.
static std::vector<int64_t> offsetsOf(const PanelDims &Ds) {
  std::vector<int64_t> Out{0};
  for (PanelLayout::Dim D : Ds) {
    std::vector<int64_t> Next;
    Next.reserve(Out.size() * size_t(D.Extent));
    for (int64_t Base : Out)
      for (int64_t I = 0; I < D.Extent; ++I)
        Next.push_back(Base + I * D.Stride);
    Out = std::move(Next);
  }
  return Out;
}

/// Calls `Row(plain offset of row, offsets of columns, packed offset)` for each
/// row of each part of each panel. In a packed row, columns are `Together`
/// elements apart.
template <typename Fn> static void forEachRow(const PanelLayout &L, Fn Row) {
  const std::vector<int64_t> Batch = offsetsOf(L.Batch), K = offsetsOf(L.K),
                             Columns = offsetsOf(L.Columns);
  const int64_t Inner = L.K.empty() ? 1 : L.K.back().Extent, T = L.Together;
  const int64_t PerPart = L.columns(), PerGroup = PerPart * L.Parts;
  int64_t At = 0;
  for (int64_t Base : Batch)
    for (int64_t G = 0; G < L.Groups; ++G)
      for (int64_t First = 0; First < PerPart; First += L.PanelColumns) {
        int64_t Left = std::min(L.PanelColumns, PerPart - First);
        const int64_t OfPart = (Left + L.Lanes - 1) / L.Lanes * L.Lanes;
        const int64_t Width = OfPart * L.Parts;
        for (size_t Outer = 0; Outer < K.size(); Outer += size_t(Inner)) {
          for (int64_t I = 0; I < Inner; ++I)
            for (int64_t Part = 0; Part < L.Parts; ++Part)
              Row(L.Offset + Base + K[Outer + size_t(I)],
                  std::span(Columns.data() + G * PerGroup + Part * PerPart +
                                First,
                            size_t(Left)),
                  At + (I / T * Width + Part * OfPart) * T + I % T);
          At += (Inner + L.padding() - 1) / L.padding() * L.padding() * Width;
        }
      }
}

/// Calls `Do` with a null pointer to the unsigned integer of that size.
template <typename Fn> static bool withElement(unsigned Bytes, Fn Do) {
  switch (Bytes) {
  case 1:
    Do(static_cast<uint8_t *>(nullptr));
    return true;
  case 2:
    Do(static_cast<uint16_t *>(nullptr));
    return true;
  case 4:
    Do(static_cast<uint32_t *>(nullptr));
    return true;
  case 8:
    Do(static_cast<uint64_t *>(nullptr));
    return true;
  default:
    return false;
  }
}

std::optional<std::vector<uint8_t>>
PanelLayout::pack(unsigned ElementBytes, std::span<const uint8_t> Plain) const {
  if (!ElementBytes)
    return std::nullopt;
  auto Size = packedBytes(*this, ElementBytes, Plain.size() / ElementBytes);
  if (!Size)
    return std::nullopt;
  std::vector<uint8_t> Out(*Size);
  bool Known = withElement(ElementBytes, [&]<typename T>(T *) {
    const T *From = reinterpret_cast<const T *>(Plain.data());
    T *To = reinterpret_cast<T *>(Out.data());
    forEachRow(*this,
               [&](int64_t Row, std::span<const int64_t> Column, int64_t At) {
                 for (size_t J = 0; J < Column.size(); ++J)
                   To[At + int64_t(J) * Together] = From[Row + Column[J]];
               });
  });
  return Known ? std::optional(std::move(Out)) : std::nullopt;
}

std::optional<std::vector<uint8_t>>
PanelLayout::unpack(unsigned ElementBytes, size_t PlainBytes,
                    std::span<const uint8_t> Packed) const {
  if (!ElementBytes || packedBytes(*this, ElementBytes,
                                   PlainBytes / ElementBytes) != Packed.size())
    return std::nullopt;
  std::vector<uint8_t> Out(PlainBytes);
  bool Known = withElement(ElementBytes, [&]<typename T>(T *) {
    const T *From = reinterpret_cast<const T *>(Packed.data());
    T *To = reinterpret_cast<T *>(Out.data());
    forEachRow(*this,
               [&](int64_t Row, std::span<const int64_t> Column, int64_t At) {
                 for (size_t J = 0; J < Column.size(); ++J)
                   To[Row + Column[J]] = From[At + int64_t(J) * Together];
               });
  });
  return Known ? std::optional(std::move(Out)) : std::nullopt;
}
