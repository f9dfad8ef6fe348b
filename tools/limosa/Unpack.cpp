//===- Unpack.cpp - Packed constants back to their plain form -------------===//
//
// The inverse of limosa/Codegen/Packing.h, without the compiler: for each batch
// and group, panels of up to `nr` columns follow each other, each a row per
// position of the reduced dimensions, rounded up to whole vectors of `vl`.
//
//===----------------------------------------------------------------------===//

#include "KernelCheck.h"

#include <cstring>
#include <sstream>

using namespace limosa;
using namespace limosa::tool;

namespace {

struct Panels {
  int64_t Columns = 0, Lanes = 0, Groups = 0;
  std::vector<int64_t> Batch, K, N; ///< Dimensions.
};

bool parse(const std::string &Text, size_t Rank, Panels &P) {
  std::istringstream Words(Text);
  std::string Word;
  if (!(Words >> Word) || Word != "panel")
    return false;
  std::vector<bool> Seen(Rank);
  while (Words >> Word) {
    size_t Equals = Word.find('=');
    if (Equals == Word.npos)
      return false;
    std::vector<int64_t> Numbers;
    std::istringstream Parts(Word.substr(Equals + 1));
    for (std::string Part; std::getline(Parts, Part, '.');)
      Numbers.push_back(std::strtoll(Part.c_str(), nullptr, 10));
    std::string Key = Word.substr(0, Equals);
    if (Key == "b" || Key == "k" || Key == "n") {
      for (int64_t Dim : Numbers) {
        if (Dim < 0 || size_t(Dim) >= Rank || Seen[size_t(Dim)])
          return false;
        Seen[size_t(Dim)] = true;
      }
      (Key == "b" ? P.Batch : Key == "k" ? P.K : P.N) = Numbers;
      continue;
    }
    if (Numbers.size() != 1)
      return false;
    if (Key == "nr")
      P.Columns = Numbers[0];
    else if (Key == "vl")
      P.Lanes = Numbers[0];
    else if (Key == "g")
      P.Groups = Numbers[0];
    else
      return false;
  }
  for (bool Mentioned : Seen)
    if (!Mentioned)
      return false;
  return P.Columns > 0 && P.Lanes > 0 && P.Groups > 0;
}

/// Offsets of all positions of some dimensions, in row-major order.
std::vector<int64_t> offsets(const std::vector<int64_t> &Dims,
                             const std::vector<int64_t> &Which) {
  std::vector<int64_t> Out{0};
  for (int64_t Dim : Which) {
    int64_t Stride = 1;
    for (size_t D = size_t(Dim) + 1; D < Dims.size(); ++D)
      Stride *= Dims[D];
    std::vector<int64_t> Next;
    for (int64_t Base : Out)
      for (int64_t I = 0; I < Dims[size_t(Dim)]; ++I)
        Next.push_back(Base + I * Stride);
    Out = std::move(Next);
  }
  return Out;
}

} // namespace

std::optional<std::vector<uint8_t>>
tool::unpackConstant(const std::string &Packing, DType Type,
                     const std::vector<int64_t> &Dims,
                     std::span<const uint8_t> Packed) {
  Panels P;
  std::optional<uint64_t> Size = HostTensor::byteSize(Type, Dims);
  const size_t Width = dtypeBits(Type) / 8;
  if (!Size || !Width || !parse(Packing, Dims.size(), P))
    return std::nullopt;
  std::vector<uint8_t> Out(*Size);
  const std::vector<int64_t> Batch = offsets(Dims, P.Batch),
                             K = offsets(Dims, P.K), N = offsets(Dims, P.N);
  const int64_t PerGroup = int64_t(N.size()) / P.Groups;
  size_t At = 0;
  for (int64_t Base : Batch)
    for (int64_t G = 0; G < P.Groups; ++G)
      for (int64_t First = 0; First < PerGroup; First += P.Columns) {
        const int64_t Left = std::min(P.Columns, PerGroup - First);
        const int64_t Row = (Left + P.Lanes - 1) / P.Lanes * P.Lanes;
        for (int64_t KOffset : K) {
          if (At + size_t(Row) * Width > Packed.size())
            return std::nullopt;
          for (int64_t J = 0; J < Left; ++J) {
            int64_t To = Base + KOffset + N[size_t(G * PerGroup + First + J)];
            std::memcpy(&Out[size_t(To) * Width],
                        &Packed[At + size_t(J) * Width], Width);
          }
          At += size_t(Row) * Width;
        }
      }
  return At == Packed.size() ? std::optional(std::move(Out)) : std::nullopt;
}
