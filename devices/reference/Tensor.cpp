//===- Tensor.cpp - Tensors of the reference interpreter ------------------===//

#include "limosa/Reference/Tensor.h"

#include "Elementwise.h"

#include <cstdlib>
#include <cstring>

using namespace limosa;
using namespace limosa::reference;

std::optional<int64_t> limosa::reference::countElements(const Shape &Dims) {
  int64_t Count = 1;
  bool Empty = false, Overflow = false;
  for (int64_t D : Dims) {
    if (D < 0)
      return std::nullopt;
    Empty |= D == 0;
    Overflow |= __builtin_mul_overflow(Count, D == 0 ? 1 : D, &Count);
  }
  if (Overflow || Count > (int64_t(1) << 60))
    return std::nullopt;
  return Empty ? 0 : Count;
}

Tensor Tensor::make(DType T, Shape Dims,
                    const std::shared_ptr<MemoryBudget> &Budget) {
  auto Count = countElements(Dims);
  if (!Count || dtypeBits(T) == 0)
    return Tensor();
  // Never empty, so that data() is never null.
  int64_t Size = *Count * elementBytes(T) + 64;
  if (Budget && !Budget->take(Size))
    return Tensor();
  auto *Memory = static_cast<uint8_t *>(std::malloc(size_t(Size)));
  if (!Memory) {
    if (Budget)
      Budget->give(Size);
    return Tensor();
  }
  Tensor R;
  R.Type = T;
  R.Dims = std::move(Dims);
  R.Count = *Count;
  R.Bytes = std::shared_ptr<uint8_t>(Memory, [Budget, Size](uint8_t *P) {
    std::free(P);
    if (Budget)
      Budget->give(Size);
  });
  return R;
}

Tensor Tensor::fromPacked(DType T, Shape Dims, const void *Bytes,
                          const std::shared_ptr<MemoryBudget> &Budget) {
  Tensor R = make(T, std::move(Dims), Budget);
  if (!R || R.Count == 0)
    return R;
  const auto *In = static_cast<const uint8_t *>(Bytes);
  if (dtypeBits(T) == 4) {
    for (int64_t I = 0; I < R.Count; ++I)
      R.data()[I] = (In[I / 2] >> (I % 2 * 4)) & 15;
  } else if (T == DType::Bool) {
    for (int64_t I = 0; I < R.Count; ++I)
      R.data()[I] = In[I] != 0; // other bytes are not bools
  } else {
    std::memcpy(R.data(), In, size_t(R.bytes()));
  }
  return R;
}

void Tensor::pack(void *Out) const {
  if (Count == 0)
    return;
  if (dtypeBits(Type) != 4) {
    std::memcpy(Out, data(), size_t(bytes()));
    return;
  }
  auto *Packed = static_cast<uint8_t *>(Out);
  std::memset(Packed, 0, size_t(packedBytes()));
  for (int64_t I = 0; I < Count; ++I)
    Packed[I / 2] |= uint8_t((data()[I] & 15) << (I % 2 * 4));
}

Tensor Tensor::withShape(Shape NewDims) const {
  Tensor R = *this;
  R.Dims = std::move(NewDims);
  return R;
}

Tensor Tensor::withType(DType T) const {
  Tensor R = *this;
  R.Type = T;
  return R;
}

Shape limosa::reference::rowMajorStrides(const Shape &Dims) {
  Shape Strides(Dims.size());
  int64_t Stride = 1;
  for (size_t D = Dims.size(); D-- > 0;) {
    Strides[D] = Stride;
    Stride *= Dims[D] == 0 ? 1 : Dims[D];
  }
  return Strides;
}

double limosa::reference::elementValue(const Tensor &T, int64_t I) {
  double V = 0;
  convertElements(T.dtype(), T.data() + I * elementBytes(T.dtype()), DType::F64,
                  &V, 1);
  return V;
}

Tensor limosa::reference::convertTensor(const Tensor &V, DType T) {
  Tensor R = Tensor::make(T, V.dims());
  if (R)
    convertElements(V.dtype(), V.data(), T, R.data(), V.elements());
  return R;
}
