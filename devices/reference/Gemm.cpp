//===- Gemm.cpp - Blocked products in f64 and wrapping integers -----------===//

#include "Gemm.h"

#include "Floats.h"

#include <algorithm>
#include <cstring>
#include <vector>

using namespace limosa;
using namespace limosa::reference;

namespace {

/// One register row of a tile; 64 bytes, which the compiler splits for machines
/// with smaller vectors.
template <typename T> struct TileRow {
  typedef T Type __attribute__((vector_size(64), aligned(8)));
};

/// C[MR, NR] += A * B over `K` steps of packed panels: A holds MR elements a
/// step, B NR.
template <typename T>
[[gnu::always_inline]] inline void tile(int64_t K, const T *A, const T *B, T *C,
                                        int64_t Stride) {
  using Row = typename TileRow<T>::Type;
  constexpr int64_t MR = GemmBlocks<T>::MR, NR = GemmBlocks<T>::NR;
  static_assert(MR == 4);
  Row C0 = *reinterpret_cast<const Row *>(C);
  Row C1 = *reinterpret_cast<const Row *>(C + Stride);
  Row C2 = *reinterpret_cast<const Row *>(C + 2 * Stride);
  Row C3 = *reinterpret_cast<const Row *>(C + 3 * Stride);
  for (int64_t I = 0; I < K; ++I, A += MR, B += NR) {
    Row BRow = *reinterpret_cast<const Row *>(B);
    C0 += A[0] * BRow;
    C1 += A[1] * BRow;
    C2 += A[2] * BRow;
    C3 += A[3] * BRow;
  }
  *reinterpret_cast<Row *>(C) = C0;
  *reinterpret_cast<Row *>(C + Stride) = C1;
  *reinterpret_cast<Row *>(C + 2 * Stride) = C2;
  *reinterpret_cast<Row *>(C + 3 * Stride) = C3;
}

/// All tiles of a block: A[MB / MR panels], B[NB / NR panels].
template <typename T>
[[gnu::always_inline]] inline void tiles(int64_t MB, int64_t NB, int64_t K,
                                         const T *A, const T *B, T *C,
                                         int64_t Stride) {
  constexpr int64_t MR = GemmBlocks<T>::MR, NR = GemmBlocks<T>::NR;
  for (int64_t J = 0; J < NB; J += NR)
    for (int64_t I = 0; I < MB; I += MR)
      tile<T>(K, A + I * K, B + J * K, C + I * Stride + J, Stride);
}

template <typename T>
using TilesFn = void (*)(int64_t, int64_t, int64_t, const T *, const T *, T *,
                         int64_t);

template <typename T>
void tilesBase(int64_t MB, int64_t NB, int64_t K, const T *A, const T *B, T *C,
               int64_t Stride) {
  tiles<T>(MB, NB, K, A, B, C, Stride);
}

#if defined(__x86_64__)
template <typename T>
__attribute__((target("avx2,fma"))) void
tilesAVX2(int64_t MB, int64_t NB, int64_t K, const T *A, const T *B, T *C,
          int64_t Stride) {
  tiles<T>(MB, NB, K, A, B, C, Stride);
}
template <typename T>
__attribute__((target("avx512f,avx512dq,avx512vl,prefer-256-bit"))) void
tilesAVX512(int64_t MB, int64_t NB, int64_t K, const T *A, const T *B, T *C,
            int64_t Stride) {
  tiles<T>(MB, NB, K, A, B, C, Stride);
}
#endif

template <typename T> TilesFn<T> chooseTiles() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    return tilesAVX512<T>;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return tilesAVX2<T>;
#endif
  return tilesBase<T>;
}

/// Splits a row-major block [K, Size] into panels of `Width` columns, padded
/// with zeros.
template <typename T>
void packPanels(const T *In, int64_t K, int64_t Size, int64_t Width, T *Out) {
  for (int64_t Begin = 0; Begin < Size; Begin += Width) {
    int64_t N = std::min(Width, Size - Begin);
    for (int64_t I = 0; I < K; ++I, Out += Width) {
      std::copy_n(In + I * Size + Begin, N, Out);
      std::fill(Out + N, Out + Width, T(0));
    }
  }
}

int64_t roundUp(int64_t V, int64_t To) { return (V + To - 1) / To * To; }

} // namespace

template <typename T>
void limosa::reference::blockedGemm(int64_t M, int64_t N, int64_t K,
                                    const BlockFill &FillA,
                                    const BlockFill &FillB,
                                    const BlockStore &Store) {
  using Blocks = GemmBlocks<T>;
  static const TilesFn<T> Tiles = chooseTiles<T>();
  int64_t MC = std::min(Blocks::MC, roundUp(M, Blocks::MR));
  int64_t NC = std::min(Blocks::NC, roundUp(N, Blocks::NR));
  int64_t KC = std::min(Blocks::KC, std::max<int64_t>(K, 1));
  std::vector<T> Block(size_t(KC * std::max(MC, NC))), A(size_t(KC * MC)),
      B(size_t(KC * NC)), C(size_t(MC * NC));
  for (int64_t J = 0; J < N; J += NC) {
    int64_t NB = std::min(NC, N - J);
    for (int64_t I = 0; I < M; I += MC) {
      int64_t MB = std::min(MC, M - I);
      std::fill(C.begin(), C.end(), T(0));
      for (int64_t P = 0; P < K; P += KC) {
        int64_t KB = std::min(KC, K - P);
        FillA(P, KB, I, MB, Block.data(), MB);
        packPanels(Block.data(), KB, MB, Blocks::MR, A.data());
        FillB(P, KB, J, NB, Block.data(), NB);
        packPanels(Block.data(), KB, NB, Blocks::NR, B.data());
        Tiles(MB, NB, KB, A.data(), B.data(), C.data(), NC);
      }
      Store(I, MB, J, NB, C.data(), NC);
    }
  }
}

template void limosa::reference::blockedGemm<double>(int64_t, int64_t, int64_t,
                                                     const BlockFill &,
                                                     const BlockFill &,
                                                     const BlockStore &);
template void limosa::reference::blockedGemm<uint32_t>(int64_t, int64_t,
                                                       int64_t,
                                                       const BlockFill &,
                                                       const BlockFill &,
                                                       const BlockStore &);
template void limosa::reference::blockedGemm<uint64_t>(int64_t, int64_t,
                                                       int64_t,
                                                       const BlockFill &,
                                                       const BlockFill &,
                                                       const BlockStore &);

template <typename T>
void limosa::reference::loadElements(DType Type, const uint8_t *Data,
                                     const int64_t *Offsets, int64_t Count,
                                     T *Out) {
  dispatchNumber(Type, [&](auto Tag) {
    using S = typename decltype(Tag)::Type;
    // Products of floats are made in double, others in integers.
    if constexpr (IsFloat<S> == std::is_floating_point_v<T>) {
      const S *In = reinterpret_cast<const S *>(Data);
      for (int64_t I = 0; I < Count; ++I)
        Out[I] = Offsets[I] < 0 ? T(0) : T(In[Offsets[I]]);
    }
  });
}

template <typename T>
void limosa::reference::storeElements(DType Type, uint8_t *Data,
                                      const int64_t *Offsets, int64_t Count,
                                      const T *In) {
  dispatchNumber(Type, [&](auto Tag) {
    using S = typename decltype(Tag)::Type;
    if constexpr (IsFloat<S> == std::is_floating_point_v<T>) {
      S *Out = reinterpret_cast<S *>(Data);
      for (int64_t I = 0; I < Count; ++I)
        Out[Offsets[I]] = S(In[I]);
    }
  });
}

#define LIMOSA_INSTANTIATE(T)                                                  \
  template void limosa::reference::loadElements<T>(                            \
      DType, const uint8_t *, const int64_t *, int64_t, T *);                  \
  template void limosa::reference::storeElements<T>(                           \
      DType, uint8_t *, const int64_t *, int64_t, const T *);
LIMOSA_INSTANTIATE(double)
LIMOSA_INSTANTIATE(uint32_t)
LIMOSA_INSTANTIATE(uint64_t)
#undef LIMOSA_INSTANTIATE

bool limosa::reference::isProductTypes(DType Lhs, DType Rhs, DType Result) {
  auto IsNumber = [](DType T) {
    return T != DType::Bool && dispatchNumber(T, [](auto) {});
  };
  auto IsByte = [](DType T) { return T == DType::I8 || T == DType::U8; };
  if (IsByte(Lhs) && IsByte(Rhs) && Result == DType::I32)
    return true;
  if (Lhs != Rhs || !IsNumber(Lhs))
    return false;
  return Result == Lhs ||
         (isFloat(Lhs) && (Result == DType::F32 || Result == DType::F64) &&
          dtypeBits(Result) > dtypeBits(Lhs));
}
