//===- SortOps.cpp - sort and compact -------------------------------------===//

#include "RegionProgram.h"
#include "Strided.h"

#include <algorithm>
#include <cstring>

using namespace limosa;
using namespace limosa::reference;

namespace {

/// Stable merge sort. Unlike the standard library's it stays within bounds for
/// any `Less`, also one that is no ordering.
template <typename Fn>
void mergeSort(std::vector<int64_t> &Items, std::vector<int64_t> &Scratch,
               Fn Less) {
  int64_t N = int64_t(Items.size());
  Scratch.resize(Items.size());
  for (int64_t Width = 1; Width < N; Width *= 2) {
    for (int64_t Begin = 0; Begin < N; Begin += 2 * Width) {
      int64_t Middle = std::min(Begin + Width, N);
      int64_t End = std::min(Begin + 2 * Width, N);
      int64_t A = Begin, B = Middle;
      for (int64_t Out = Begin; Out < End; ++Out) {
        bool TakeB = A == Middle || (B < End && Less(Items[B], Items[A]));
        Scratch[Out] = TakeB ? Items[B++] : Items[A++];
      }
    }
    Items.swap(Scratch);
  }
}

/// The comparison of two 64-bit numbers by direction.
template <typename T, typename Fn>
bool withLess(std::string_view Direction, Fn F) {
  if (Direction == "lt")
    return F([](T A, T B) { return A < B; }), true;
  if (Direction == "gt")
    return F([](T A, T B) { return A > B; }), true;
  return false;
}

class Sorter {
public:
  Sorter(OpContext &C, RegionProgram &Program, int64_t Length)
      : C(C), Program(Program), Order(size_t(Length)), Keys(size_t(Length)) {}

  /// Sets `Order` to the sorted order of the line at `Offset`.
  Status sort(int64_t Offset, int64_t Stride) {
    for (size_t I = 0; I < Order.size(); ++I)
      Order[I] = int64_t(I);
    for (unsigned K = 0; K < C.operandCount(); ++K) {
      std::string_view Direction = Program.comparisonOf(2 * K, 2 * K + 1);
      if (!Direction.empty() &&
          sortByKey(C.operand(K), Direction, Offset, Stride))
        return Status();
    }
    Status Failure;
    mergeSort(Order, Scratch, [&](int64_t A, int64_t B) {
      if (!Failure.ok())
        return false;
      for (unsigned K = 0; K < C.operandCount(); ++K) {
        int64_t Size = elementBytes(C.operand(K).dtype());
        const uint8_t *Data = C.operand(K).data();
        std::memcpy(Program.arg(2 * K), Data + (Offset + A * Stride) * Size,
                    size_t(Size));
        std::memcpy(Program.arg(2 * K + 1), Data + (Offset + B * Stride) * Size,
                    size_t(Size));
      }
      Failure = Program.run(1);
      return *Program.result(0) != 0;
    });
    return Failure;
  }
  int64_t at(int64_t I) const { return Order[size_t(I)]; }

private:
  bool sortByKey(const Tensor &T, std::string_view Direction, int64_t Offset,
                 int64_t Stride) {
    DType Wide = isFloat(T.dtype())        ? DType::F64
                 : T.dtype() == DType::U64 ? DType::U64
                                           : DType::I64;
    int64_t Size = elementBytes(T.dtype());
    for (size_t I = 0; I < Keys.size(); ++I)
      convertElements(T.dtype(),
                      T.data() + (Offset + int64_t(I) * Stride) * Size, Wide,
                      &Keys[I], 1);
    auto Sort = [&](auto Zero, auto Less) {
      using K = decltype(Zero);
      const K *Values = reinterpret_cast<const K *>(Keys.data());
      mergeSort(Order, Scratch, [&](int64_t A, int64_t B) {
        return Less(Values[A], Values[B]);
      });
    };
    if (Wide == DType::F64)
      return withLess<double>(Direction, [&](auto Less) { Sort(0.0, Less); });
    if (Wide == DType::U64)
      return withLess<uint64_t>(Direction,
                                [&](auto Less) { Sort(uint64_t(0), Less); });
    return withLess<int64_t>(Direction,
                             [&](auto Less) { Sort(int64_t(0), Less); });
  }

  OpContext &C;
  RegionProgram &Program;
  std::vector<int64_t> Order, Scratch;
  std::vector<uint64_t> Keys;
};

Status runSort(OpContext &C) {
  unsigned N = C.operandCount();
  if (N == 0)
    return C.fail("has no operands");
  LIMOSA_TRY(C.expect(N, N, 1));
  const Shape &Dims = C.operand(0).dims();
  int64_t Dim;
  LIMOSA_TRY(C.attrIndex("dim", int64_t(Dims.size()), Dim));
  std::vector<DType> Args;
  for (unsigned K = 0; K < N; ++K) {
    if (C.operand(K).dims() != Dims)
      return C.fail("operands have shapes " + shapeText(Dims) + " and " +
                    shapeText(C.operand(K).dims()));
    Args.insert(Args.end(), 2, C.operand(K).dtype());
  }
  RegionProgram Program;
  LIMOSA_TRY(RegionProgram::compile(C, 0, Args, {DType::Bool},
                                    /*WidenFloats=*/false, Program));
  std::vector<Tensor> Outputs(N);
  for (unsigned K = 0; K < N; ++K) {
    LIMOSA_TRY(C.makeResult(K, Outputs[K]));
    bool Fits = Outputs[K].rank() == Dims.size() &&
                Outputs[K].dtype() == C.operand(K).dtype();
    for (size_t D = 0; Fits && D < Dims.size(); ++D)
      Fits = int64_t(D) == Dim ? Outputs[K].dim(D) <= Dims[D] &&
                                     Outputs[K].dim(D) == Outputs[0].dim(D)
                               : Outputs[K].dim(D) == Dims[D];
    if (!Fits)
      return C.fail("a result does not have its operand's dtype and shape, or "
                    "a shorter one along the sorted dimension");
  }
  int64_t Length = Dims[size_t(Dim)], Keep = Outputs[0].dim(size_t(Dim));
  Shape Others = Dims, InStrides = rowMajorStrides(Dims);
  Shape OutStrides = rowMajorStrides(Outputs[0].dims());
  Others[size_t(Dim)] = 1;
  int64_t Lines = Keep == 0 ? 0 : *countElements(Others);
  BlockWalk From(Others, InStrides), To(Others, OutStrides);
  Sorter S(C, Program, Length);
  for (int64_t Line = 0; Line < Lines; ++Line, From.next(), To.next()) {
    LIMOSA_TRY(S.sort(From.offset(), InStrides[size_t(Dim)]));
    for (unsigned K = 0; K < N; ++K) {
      int64_t Size = elementBytes(Outputs[K].dtype());
      for (int64_t I = 0; I < Keep; ++I)
        std::memcpy(Outputs[K].data() +
                        (To.offset() + I * OutStrides[size_t(Dim)]) * Size,
                    C.operand(K).data() +
                        (From.offset() + S.at(I) * InStrides[size_t(Dim)]) *
                            Size,
                    size_t(Size));
    }
  }
  for (unsigned K = 0; K < N; ++K)
    LIMOSA_TRY(C.setResult(K, std::move(Outputs[K])));
  return Status();
}

Status runCompact(OpContext &C) {
  LIMOSA_TRY(C.expect(1, 2));
  const Tensor &Mask = C.operand(0);
  std::string_view Name;
  LIMOSA_TRY(C.attr("symbol", Name));
  auto Symbol = C.F.Info.findSymbol(Name);
  if (Mask.dtype() != DType::Bool || !Symbol)
    return C.fail(Symbol ? "the mask is not of dtype bool"
                         : "its symbol is not one of the graph's");
  int64_t Count = 0, Rank = int64_t(Mask.rank());
  for (int64_t I = 0; I < Mask.elements(); ++I)
    Count += Mask.data()[I] != 0;
  if (Status S = C.F.bindSymbol(*Symbol, Count); !S.ok())
    return C.fail(S.Code, S.Message);
  Tensor Indices, Number;
  LIMOSA_TRY(C.make(DType::I64, {Count, Rank}, Indices));
  LIMOSA_TRY(C.make(DType::I64, {}, Number));
  *Number.as<int64_t>() = Count;
  int64_t *Out = Indices.as<int64_t>();
  BlockWalk Position(Mask.dims(), Shape(Mask.rank(), 0));
  for (int64_t I = 0; I < Mask.elements(); ++I, Position.next())
    if (Mask.data()[I])
      Out = std::copy(Position.index().begin(), Position.index().end(), Out);
  LIMOSA_TRY(C.setResult(0, std::move(Indices)));
  return C.setResult(1, std::move(Number));
}

constexpr OpEntry Ops[] = {{"sort", runSort}, {"compact", runCompact}};

} // namespace

std::span<const OpEntry> limosa::reference::sortOps() { return Ops; }
