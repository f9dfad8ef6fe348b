//===- Gemm.h - Blocked products in f64 and wrapping integers ---*- C++ -*-===//
//
// What contract and conv are loops around: C = A * B for matrices that are
// given by functions which fill packed blocks, after the blocking of Goto and
// van de Geijn ("Anatomy of High-Performance Matrix Multiplication", 2008).
// Products of f32 elements are exact in f64, so that results do not depend on
// whether the machine fuses multiply and add.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_REFERENCE_GEMM_H
#define LIMOSA_REFERENCE_GEMM_H

#include "limosa/Support/DType.h"

#include <cstdint>
#include <functional>

namespace limosa::reference {

/// Types a sum is made in: double; uint32_t and uint64_t for integers, whose
/// sums wrap.
template <typename T> struct GemmBlocks {
  /// Rows and columns of the register tile.
  static constexpr int64_t MR = 4, NR = 64 / sizeof(T);
  /// Rows, columns and depth of a block.
  static constexpr int64_t MC = 128, NC = 32 * NR, KC = 256;
};

/// Writes a block of a matrix of T, `Rows` by `Columns`, row-major with stride
/// `Stride`.
using BlockFill =
    std::function<void(int64_t Row, int64_t Rows, int64_t Column,
                       int64_t Columns, void *Out, int64_t Stride)>;
/// Takes a finished block of the result.
using BlockStore =
    std::function<void(int64_t Row, int64_t Rows, int64_t Column,
                       int64_t Columns, const void *Block, int64_t Stride)>;

/// C[M, N] = A[M, K] * B[K, N]. `FillA` is asked for A transposed: its rows are
/// k, its columns m. Sums over k in order, within blocks of KC.
template <typename T>
void blockedGemm(int64_t M, int64_t N, int64_t K, const BlockFill &FillA,
                 const BlockFill &FillB, const BlockStore &Store);

extern template void blockedGemm<double>(int64_t, int64_t, int64_t,
                                         const BlockFill &, const BlockFill &,
                                         const BlockStore &);
extern template void blockedGemm<uint32_t>(int64_t, int64_t, int64_t,
                                           const BlockFill &, const BlockFill &,
                                           const BlockStore &);
extern template void blockedGemm<uint64_t>(int64_t, int64_t, int64_t,
                                           const BlockFill &, const BlockFill &,
                                           const BlockStore &);

/// Out[i] = Data[Offsets[i]] as T, 0 where the offset is negative.
template <typename T>
void loadElements(DType Type, const uint8_t *Data, const int64_t *Offsets,
                  int64_t Count, T *Out);
/// Data[Offsets[i]] = In[i].
template <typename T>
void storeElements(DType Type, uint8_t *Data, const int64_t *Offsets,
                   int64_t Count, const T *In);

/// Calls F(T()) with the type that sums of results of dtype `Result` are made
/// in.
template <typename Fn> auto withSumType(DType Result, Fn F) {
  if (isFloat(Result))
    return F(double());
  if (dtypeBits(Result) <= 32)
    return F(uint32_t());
  return F(uint64_t());
}

/// Whether `contract` and `conv` are defined for these dtypes.
bool isProductTypes(DType Lhs, DType Rhs, DType Result);

} // namespace limosa::reference

#endif // LIMOSA_REFERENCE_GEMM_H
