//===- Strided.h - Copies between strided views -----------------*- C++ -*-===//

#ifndef LIMOSA_REFERENCE_STRIDED_H
#define LIMOSA_REFERENCE_STRIDED_H

#include "limosa/Reference/Tensor.h"

namespace limosa::reference {

/// Copies a block of shape `Dims` of elements of `Size` bytes (1, 2, 4 or 8).
/// Strides are in elements and may be zero or negative for the source; source
/// and destination do not overlap.
void copyStrided(uint8_t *Dst, const Shape &DstStrides, const uint8_t *Src,
                 const Shape &SrcStrides, const Shape &Dims, int64_t Size);

/// Fills `Count` elements of `Size` bytes with one.
void fillElements(uint8_t *Dst, const uint8_t *Element, int64_t Count,
                  int64_t Size);

/// Offsets of all positions of a block of shape `Dims` in row-major order:
/// sum of index * stride.
std::vector<int64_t> blockOffsets(const Shape &Dims, const Shape &Strides);

/// Picks entries of a list.
inline Shape pick(const Shape &From, const std::vector<int64_t> &At) {
  Shape R;
  for (int64_t D : At)
    R.push_back(From[size_t(D)]);
  return R;
}

/// Walks the positions of a block in row-major order and keeps their offset.
/// A block with an empty dimension must not be walked.
class BlockWalk {
public:
  BlockWalk(Shape Dims, Shape Strides)
      : Dims(std::move(Dims)), Strides(std::move(Strides)),
        Index(this->Dims.size()) {}
  int64_t offset() const { return Offset; }
  const Shape &index() const { return Index; }
  /// False after the last position; the walk then is at the first again.
  bool next() {
    for (size_t D = Dims.size(); D-- > 0;) {
      Offset += Strides[D];
      if (++Index[D] < Dims[D])
        return true;
      Offset -= Strides[D] * Dims[D];
      Index[D] = 0;
    }
    return false;
  }

private:
  Shape Dims, Strides, Index;
  int64_t Offset = 0;
};

/// Dst[i] = Src[Offsets[i]], or *Outside where the offset is negative.
void gatherElements(uint8_t *Dst, const uint8_t *Src, const int64_t *Offsets,
                    int64_t Count, int64_t Size,
                    const uint8_t *Outside = nullptr);
/// Dst[Offsets[i]] = Src[i].
void scatterElements(uint8_t *Dst, const int64_t *Offsets, const uint8_t *Src,
                     int64_t Count, int64_t Size);

} // namespace limosa::reference

#endif // LIMOSA_REFERENCE_STRIDED_H
