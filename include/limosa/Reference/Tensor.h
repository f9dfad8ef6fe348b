//===- Tensor.h - Tensors of the reference interpreter ----------*- C++ -*-===//
//
// A dense row-major tensor of any dtype. Inside the interpreter every element
// takes at least a byte: 4-bit elements lie in the low nibble of theirs (the
// high nibble is zero) and are packed where tensors come in and go out.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_REFERENCE_TENSOR_H
#define LIMOSA_REFERENCE_TENSOR_H

#include "limosa/Support/DType.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace limosa::reference {

using Shape = std::vector<int64_t>;

/// Number of elements; nullopt if a dimension is negative or the product
/// overflows.
std::optional<int64_t> countElements(const Shape &Dims);

/// Bytes that one element takes inside the interpreter.
constexpr int64_t elementBytes(DType T) { return (dtypeBits(T) + 7) / 8; }

/// How much memory tensors may take together. Thread safe.
class MemoryBudget {
public:
  explicit MemoryBudget(int64_t Limit) : Left(Limit) {}
  bool take(int64_t Bytes) {
    if (Left.fetch_sub(Bytes) >= Bytes)
      return true;
    Left += Bytes;
    return false;
  }
  void give(int64_t Bytes) { Left += Bytes; }

private:
  std::atomic<int64_t> Left;
};

/// A value type: copies share the elements. Elements may be written only while
/// there is one copy; from then on the tensor may be read from any thread.
class Tensor {
public:
  Tensor() = default; ///< No tensor at all; false.

  /// Uninitialised elements. No tensor if `Dims` are not a valid shape, there
  /// is no memory, or the budget (if any) is used up.
  static Tensor make(DType T, Shape Dims,
                     const std::shared_ptr<MemoryBudget> &Budget = nullptr);
  /// A copy of row-major packed elements, `packedBytes()` of them.
  static Tensor
  fromPacked(DType T, Shape Dims, const void *Bytes,
             const std::shared_ptr<MemoryBudget> &Budget = nullptr);
  /// A rank-0 or 1-D tensor of elements.
  template <typename E>
  static Tensor of(DType T, Shape Dims, const std::vector<E> &Elements) {
    return fromPacked(T, std::move(Dims), Elements.data());
  }

  explicit operator bool() const { return Type != DType::Invalid; }
  DType dtype() const { return Type; }
  const Shape &dims() const { return Dims; }
  int64_t dim(size_t D) const { return Dims[D]; }
  size_t rank() const { return Dims.size(); }
  int64_t elements() const { return Count; }
  int64_t bytes() const { return Count * elementBytes(Type); }

  const uint8_t *data() const { return Bytes.get(); }
  uint8_t *data() { return Bytes.get(); }
  template <typename E> const E *as() const {
    return reinterpret_cast<const E *>(Bytes.get());
  }
  template <typename E> E *as() { return reinterpret_cast<E *>(Bytes.get()); }

  /// Bytes of the packed form (4-bit elements two a byte, low nibble first).
  int64_t packedBytes() const { return dtypeBytes(Type, Count); }
  /// Writes `packedBytes()` bytes.
  void pack(void *Out) const;

  /// The same elements under another shape with as many elements.
  Tensor withShape(Shape NewDims) const;
  /// The same bits under another dtype of the same width.
  Tensor withType(DType T) const;

private:
  DType Type = DType::Invalid;
  Shape Dims;
  int64_t Count = 0;
  std::shared_ptr<uint8_t> Bytes;
};

/// Element `I` as a double (64-bit integers may round).
double elementValue(const Tensor &T, int64_t I);

/// The tensor in another dtype, converted as the op `convert` does.
Tensor convertTensor(const Tensor &V, DType T);

/// Row-major strides in elements.
Shape rowMajorStrides(const Shape &Dims);

} // namespace limosa::reference

#endif // LIMOSA_REFERENCE_TENSOR_H
