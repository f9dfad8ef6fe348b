//===- CopyTensor.cpp - Copies between physical orders --------------------===//

#include "CopyTensor.h"

#include <algorithm>
#include <cstring>
#include <vector>

using namespace limosa;
using namespace limosa::runtime;

namespace {

/// One loop of the copy: `Size` steps, each moving by so many bytes.
struct Loop {
  int64_t Size, Src, Dst;
};

uint8_t orderAt(std::span<const uint8_t> Order, size_t I) {
  return Order.empty() ? uint8_t(I) : Order[I];
}

/// Byte strides of the logical dimensions.
std::vector<int64_t> strides(std::span<const int64_t> Dims,
                             std::span<const uint8_t> Order, int64_t Bytes) {
  std::vector<int64_t> Result(Dims.size());
  for (size_t I = Dims.size(); I-- > 0;) {
    uint8_t D = orderAt(Order, I);
    Result[D] = Bytes;
    Bytes *= Dims[D];
  }
  return Result;
}

template <typename T>
void copyInner(const Loop &L, const uint8_t *Src, uint8_t *Dst) {
  for (int64_t I = 0; I < L.Size; ++I, Src += L.Src, Dst += L.Dst)
    std::memcpy(Dst, Src, sizeof(T));
}

void copyLoops(std::span<const Loop> Loops, int64_t Bytes, const uint8_t *Src,
               uint8_t *Dst) {
  const Loop &L = Loops.front();
  if (Loops.size() > 1) {
    for (int64_t I = 0; I < L.Size; ++I, Src += L.Src, Dst += L.Dst)
      copyLoops(Loops.subspan(1), Bytes, Src, Dst);
    return;
  }
  if (L.Src == Bytes && L.Dst == Bytes) {
    std::memcpy(Dst, Src, size_t(L.Size * Bytes));
    return;
  }
  switch (Bytes) {
  case 1:
    return copyInner<uint8_t>(L, Src, Dst);
  case 2:
    return copyInner<uint16_t>(L, Src, Dst);
  case 4:
    return copyInner<uint32_t>(L, Src, Dst);
  default:
    return copyInner<uint64_t>(L, Src, Dst);
  }
}

} // namespace

bool limosa::runtime::copyTensor(DType Type, std::span<const int64_t> Dims,
                                 const void *Src,
                                 std::span<const uint8_t> SrcOrder, void *Dst,
                                 std::span<const uint8_t> DstOrder) {
  int64_t Elements = 1;
  for (int64_t D : Dims)
    Elements *= D;
  if (Elements == 0)
    return true;
  bool SameOrder = true;
  for (size_t I = 0; I < Dims.size(); ++I)
    SameOrder &= orderAt(SrcOrder, I) == orderAt(DstOrder, I);
  if (SameOrder) {
    std::memcpy(Dst, Src, size_t(dtypeBytes(Type, Elements)));
    return true;
  }
  if (dtypeBits(Type) < 8)
    return false;
  int64_t Bytes = dtypeBits(Type) / 8;
  auto SrcStrides = strides(Dims, SrcOrder, Bytes);
  auto DstStrides = strides(Dims, DstOrder, Bytes);
  // In the order of the destination, so that writes are contiguous; loops that
  // are one run in both are merged.
  std::vector<Loop> Loops;
  for (size_t I = 0; I < Dims.size(); ++I) {
    uint8_t D = orderAt(DstOrder, I);
    if (Dims[D] == 1)
      continue;
    Loop L = {Dims[D], SrcStrides[D], DstStrides[D]};
    if (!Loops.empty() && Loops.back().Src == L.Src * L.Size &&
        Loops.back().Dst == L.Dst * L.Size) {
      L.Size *= Loops.back().Size;
      Loops.back() = L;
    } else {
      Loops.push_back(L);
    }
  }
  if (Loops.empty())
    Loops.push_back({1, Bytes, Bytes});
  copyLoops(Loops, Bytes, static_cast<const uint8_t *>(Src),
            static_cast<uint8_t *>(Dst));
  return true;
}
