//===- ContractOps.cpp - contract -----------------------------------------===//

#include "Gemm.h"
#include "OpContext.h"
#include "Strided.h"

#include <algorithm>

using namespace limosa;
using namespace limosa::reference;

namespace {

/// Dimensions of an operand that are in neither list.
std::vector<int64_t> freeDims(size_t Rank, const std::vector<int64_t> &Batch,
                              const std::vector<int64_t> &Contracted) {
  std::vector<int64_t> Free;
  for (int64_t D = 0; D < int64_t(Rank); ++D)
    if (std::find(Batch.begin(), Batch.end(), D) == Batch.end() &&
        std::find(Contracted.begin(), Contracted.end(), D) == Contracted.end())
      Free.push_back(D);
  return Free;
}

/// One operand as [batch, rows, columns]: the offset of an element is the sum
/// of one entry of each list.
struct MatrixView {
  std::vector<int64_t> Batch, Free, Contracted;

  MatrixView(const Tensor &T, const std::vector<int64_t> &BatchDims,
             const std::vector<int64_t> &FreeDims,
             const std::vector<int64_t> &ContractedDims) {
    Shape Strides = rowMajorStrides(T.dims());
    auto Offsets = [&](const std::vector<int64_t> &Dims) {
      return blockOffsets(pick(T.dims(), Dims), pick(Strides, Dims));
    };
    Batch = Offsets(BatchDims);
    Free = Offsets(FreeDims);
    Contracted = Offsets(ContractedDims);
  }
};

template <typename T>
BlockFill fillFrom(const Tensor &In, const MatrixView &View, int64_t Batch,
                   std::vector<int64_t> &Offsets) {
  return [&In, &View, Batch, &Offsets](int64_t Row, int64_t Rows,
                                       int64_t Column, int64_t Columns,
                                       void *Out, int64_t Stride) {
    Offsets.resize(size_t(Columns));
    for (int64_t K = 0; K < Rows; ++K) {
      int64_t Base =
          View.Batch[size_t(Batch)] + View.Contracted[size_t(Row + K)];
      for (int64_t I = 0; I < Columns; ++I)
        Offsets[size_t(I)] = Base + View.Free[size_t(Column + I)];
      loadElements<T>(In.dtype(), In.data(), Offsets.data(), Columns,
                      static_cast<T *>(Out) + K * Stride);
    }
  };
}

Status runContract(OpContext &C) {
  LIMOSA_TRY(C.expect(2, 1));
  const Tensor &L = C.operand(0), &R = C.operand(1);
  if (!isProductTypes(L.dtype(), R.dtype(), C.resultType(0)))
    return C.fail("is not defined for these dtypes");
  std::vector<int64_t> LB, RB, LC, RC;
  LIMOSA_TRY(C.attrDims("lhs_batch", int64_t(L.rank()), LB));
  LIMOSA_TRY(C.attrDims("rhs_batch", int64_t(R.rank()), RB));
  LIMOSA_TRY(C.attrDims("lhs_contract", int64_t(L.rank()), LC));
  LIMOSA_TRY(C.attrDims("rhs_contract", int64_t(R.rank()), RC));
  auto Overlap = [](const auto &A, const auto &B) {
    return std::find_first_of(A.begin(), A.end(), B.begin(), B.end()) !=
           A.end();
  };
  if (LB.size() != RB.size() || LC.size() != RC.size() || Overlap(LB, LC) ||
      Overlap(RB, RC))
    return C.fail("batch and contracted dimensions do not pair");
  if (pick(L.dims(), LB) != pick(R.dims(), RB) ||
      pick(L.dims(), LC) != pick(R.dims(), RC))
    return C.fail(LIMOSA_STATUS_FAILED,
                  "operands of shapes " + shapeText(L.dims()) + " and " +
                      shapeText(R.dims()) + " do not match");
  std::vector<int64_t> LF = freeDims(L.rank(), LB, LC);
  std::vector<int64_t> RF = freeDims(R.rank(), RB, RC);
  Shape Dims = pick(L.dims(), LB);
  for (const Shape &Part : {pick(L.dims(), LF), pick(R.dims(), RF)})
    Dims.insert(Dims.end(), Part.begin(), Part.end());
  Tensor Out;
  LIMOSA_TRY(C.make(C.resultType(0), Dims, Out));
  if (Out.elements() != 0) {
    MatrixView Left(L, LB, LF, LC), Right(R, RB, RF, RC);
    auto Batches = int64_t(Left.Batch.size()), M = int64_t(Left.Free.size()),
         N = int64_t(Right.Free.size()), K = int64_t(Left.Contracted.size());
    withSumType(Out.dtype(), [&](auto Zero) {
      using T = decltype(Zero);
      std::vector<int64_t> Offsets, To;
      for (int64_t B = 0; B < Batches; ++B)
        blockedGemm<T>(M, N, K, fillFrom<T>(L, Left, B, Offsets),
                       fillFrom<T>(R, Right, B, Offsets),
                       [&](int64_t Row, int64_t Rows, int64_t Column,
                           int64_t Columns, const void *Block, int64_t Stride) {
                         To.resize(size_t(Columns));
                         for (int64_t I = 0; I < Rows; ++I) {
                           for (int64_t J = 0; J < Columns; ++J)
                             To[size_t(J)] = (B * M + Row + I) * N + Column + J;
                           storeElements<T>(
                               Out.dtype(), Out.data(), To.data(), Columns,
                               static_cast<const T *>(Block) + I * Stride);
                         }
                       });
    });
  }
  return C.setResult(0, std::move(Out));
}

constexpr OpEntry Ops[] = {{"contract", runContract}};

} // namespace

std::span<const OpEntry> limosa::reference::contractOps() { return Ops; }
