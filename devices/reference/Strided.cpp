//===- Strided.cpp - Copies between strided views -------------------------===//

#include "Strided.h"

#include <cstring>

using namespace limosa;
using namespace limosa::reference;

namespace {

template <typename T>
void copyBlock(T *Dst, const int64_t *DstStrides, const T *Src,
               const int64_t *SrcStrides, const int64_t *Dims, size_t Rank) {
  if (Rank == 0) {
    *Dst = *Src;
    return;
  }
  int64_t N = Dims[0], DS = DstStrides[0], SS = SrcStrides[0];
  if (Rank > 1) {
    for (int64_t I = 0; I < N; ++I)
      copyBlock(Dst + I * DS, DstStrides + 1, Src + I * SS, SrcStrides + 1,
                Dims + 1, Rank - 1);
    return;
  }
  if (DS == 1 && SS == 1) {
    std::memcpy(Dst, Src, size_t(N) * sizeof(T));
    return;
  }
  for (int64_t I = 0; I < N; ++I)
    Dst[I * DS] = Src[I * SS];
}

template <typename Fn> void dispatchSize(int64_t Size, Fn F) {
  switch (Size) {
  case 1:
    return F(uint8_t());
  case 2:
    return F(uint16_t());
  case 4:
    return F(uint32_t());
  case 8:
    return F(uint64_t());
  }
}

} // namespace

void limosa::reference::copyStrided(uint8_t *Dst, const Shape &DstStrides,
                                    const uint8_t *Src, const Shape &SrcStrides,
                                    const Shape &Dims, int64_t Size) {
  for (int64_t D : Dims)
    if (D == 0)
      return;
  // Drop unit dimensions and merge those that are one run in both.
  Shape N, DS, SS;
  for (size_t D = 0; D < Dims.size(); ++D) {
    if (Dims[D] == 1)
      continue;
    if (!N.empty() && DS.back() == DstStrides[D] * Dims[D] &&
        SS.back() == SrcStrides[D] * Dims[D]) {
      N.back() *= Dims[D];
      DS.back() = DstStrides[D];
      SS.back() = SrcStrides[D];
      continue;
    }
    N.push_back(Dims[D]);
    DS.push_back(DstStrides[D]);
    SS.push_back(SrcStrides[D]);
  }
  dispatchSize(Size, [&](auto Element) {
    using T = decltype(Element);
    copyBlock(reinterpret_cast<T *>(Dst), DS.data(),
              reinterpret_cast<const T *>(Src), SS.data(), N.data(), N.size());
  });
}

void limosa::reference::fillElements(uint8_t *Dst, const uint8_t *Element,
                                     int64_t Count, int64_t Size) {
  copyStrided(Dst, {1}, Element, {0}, {Count}, Size);
}

std::vector<int64_t> limosa::reference::blockOffsets(const Shape &Dims,
                                                     const Shape &Strides) {
  std::vector<int64_t> Offsets{0};
  for (size_t D = 0; D < Dims.size(); ++D) {
    std::vector<int64_t> Next;
    Next.reserve(Offsets.size() * size_t(Dims[D]));
    for (int64_t Base : Offsets)
      for (int64_t I = 0; I < Dims[D]; ++I)
        Next.push_back(Base + I * Strides[D]);
    Offsets = std::move(Next);
  }
  return Offsets;
}

void limosa::reference::gatherElements(uint8_t *Dst, const uint8_t *Src,
                                       const int64_t *Offsets, int64_t Count,
                                       int64_t Size, const uint8_t *Outside) {
  dispatchSize(Size, [&](auto Element) {
    using T = decltype(Element);
    auto *Out = reinterpret_cast<T *>(Dst);
    auto *In = reinterpret_cast<const T *>(Src);
    T Other = Outside ? *reinterpret_cast<const T *>(Outside) : T(0);
    for (int64_t I = 0; I < Count; ++I)
      Out[I] = Offsets[I] < 0 ? Other : In[Offsets[I]];
  });
}

void limosa::reference::scatterElements(uint8_t *Dst, const int64_t *Offsets,
                                        const uint8_t *Src, int64_t Count,
                                        int64_t Size) {
  dispatchSize(Size, [&](auto Element) {
    using T = decltype(Element);
    auto *Out = reinterpret_cast<T *>(Dst);
    auto *In = reinterpret_cast<const T *>(Src);
    for (int64_t I = 0; I < Count; ++I)
      Out[Offsets[I]] = In[I];
  });
}
