//===- GatherOps.cpp - gather and scatter ---------------------------------===//

#include "RegionProgram.h"
#include "Strided.h"

#include <algorithm>
#include <cstring>

using namespace limosa;
using namespace limosa::reference;

namespace {

/// The geometry that gather and scatter share: batch dimensions B, positions P,
/// and the slice dimensions S that are left of the operand.
struct Positions {
  std::vector<int64_t> Axes;
  int64_t Batch = 0;
  Shape BatchDims, PositionDims, SliceDims;
  Shape BatchStrides, AxisStrides, SliceStrides; // of the operand
  int64_t Points = 0;                            // positions in each batch

  Status prepare(OpContext &C, const Tensor &In, const Tensor &Indices) {
    auto Rank = int64_t(In.rank());
    LIMOSA_TRY(C.attrDims("axes", Rank, Axes));
    LIMOSA_TRY(C.attrIndex("batch", Rank + 1, Batch));
    if (Indices.dtype() != DType::I32 && Indices.dtype() != DType::I64)
      return C.fail("indices are not i32 or i64");
    if (int64_t(Indices.rank()) < Batch + 1 ||
        Indices.dims().back() != int64_t(Axes.size()))
      return C.fail("indices of shape " + shapeText(Indices.dims()) +
                    " do not end in the number of axes");
    Shape Strides = rowMajorStrides(In.dims());
    for (int64_t D = 0; D < Rank; ++D) {
      bool IsAxis = std::find(Axes.begin(), Axes.end(), D) != Axes.end();
      if (D < Batch) {
        if (IsAxis || In.dim(size_t(D)) != Indices.dim(size_t(D)))
          return C.fail("batch dimensions are indexed or differ between "
                        "operand and indices");
        BatchDims.push_back(In.dim(size_t(D)));
        BatchStrides.push_back(Strides[size_t(D)]);
      } else if (!IsAxis) {
        SliceDims.push_back(In.dim(size_t(D)));
        SliceStrides.push_back(Strides[size_t(D)]);
      }
    }
    AxisStrides = pick(Strides, Axes);
    PositionDims.assign(Indices.dims().begin() + Batch,
                        Indices.dims().end() - 1);
    Points = countElements(PositionDims).value_or(0);
    return Status();
  }
  /// B.., P.., S..
  Shape resultDims() const {
    Shape Dims = BatchDims;
    Dims.insert(Dims.end(), PositionDims.begin(), PositionDims.end());
    Dims.insert(Dims.end(), SliceDims.begin(), SliceDims.end());
    return Dims;
  }
  /// Calls F(operand offset, inside) for every position in row-major order;
  /// the offset is that of the clamped position.
  template <typename Fn>
  Status forEach(const Tensor &In, const Tensor &Indices, Fn F) const {
    int64_t Batches = countElements(BatchDims).value_or(0), Next = 0;
    BlockWalk B(BatchDims, BatchStrides);
    for (int64_t I = 0; I < Batches; ++I, B.next())
      for (int64_t P = 0; P < Points; ++P) {
        int64_t Offset = B.offset();
        bool Inside = true;
        for (size_t J = 0; J < Axes.size(); ++J, ++Next) {
          int64_t Size = In.dim(size_t(Axes[J]));
          int64_t Index = Indices.dtype() == DType::I32
                              ? Indices.as<int32_t>()[Next]
                              : Indices.as<int64_t>()[Next];
          Inside &= Index >= 0 && Index < Size;
          Offset +=
              std::clamp<int64_t>(Index, 0, std::max<int64_t>(Size - 1, 0)) *
              AxisStrides[J];
        }
        LIMOSA_TRY(F(Offset, Inside));
      }
    return Status();
  }
};

Status runGather(OpContext &C) {
  LIMOSA_TRY(C.expect(2, 1));
  const Tensor &In = C.operand(0), &Indices = C.operand(1);
  Positions P;
  LIMOSA_TRY(P.prepare(C, In, Indices));
  Tensor Out;
  LIMOSA_TRY(C.make(In.dtype(), P.resultDims(), Out));
  if (In.elements() == 0) {
    std::memset(Out.data(), 0, size_t(Out.bytes()));
  } else if (Out.elements() != 0) {
    int64_t Size = elementBytes(In.dtype());
    int64_t Slice = countElements(P.SliceDims).value_or(0);
    Shape To = rowMajorStrides(P.SliceDims);
    uint8_t *Target = Out.data();
    LIMOSA_TRY(P.forEach(In, Indices, [&](int64_t Offset, bool) {
      copyStrided(Target, To, In.data() + Offset * Size, P.SliceStrides,
                  P.SliceDims, Size);
      Target += Slice * Size;
      return Status();
    }));
  }
  return C.setResult(0, std::move(Out));
}

Status runScatter(OpContext &C) {
  LIMOSA_TRY(C.expect(3, 1, 1));
  const Tensor &In = C.operand(0), &Indices = C.operand(1),
               &Updates = C.operand(2);
  Positions P;
  LIMOSA_TRY(P.prepare(C, In, Indices));
  if (Updates.dtype() != In.dtype() || Updates.dims() != P.resultDims())
    return C.fail("updates of shape " + shapeText(Updates.dims()) +
                  " are not what gather gives: " + shapeText(P.resultDims()));
  DType T = In.dtype();
  RegionProgram Program;
  LIMOSA_TRY(RegionProgram::compile(C, 0, {T, T}, {T}, /*WidenFloats=*/false,
                                    Program));
  Tensor Out;
  LIMOSA_TRY(C.make(T, In.dims(), Out));
  std::memcpy(Out.data(), In.data(), size_t(In.bytes()));
  if (Updates.elements() != 0 && In.elements() != 0) {
    // The elements of one slice are distinct, so that they may go side by side.
    int64_t Size = elementBytes(T);
    std::vector<int64_t> Slice = blockOffsets(P.SliceDims, P.SliceStrides);
    auto Count = int64_t(Slice.size());
    const uint8_t *Source = Updates.data();
    int64_t At[RegionProgram::MaxLanes];
    LIMOSA_TRY(P.forEach(In, Indices, [&](int64_t Offset, bool Inside) {
      const uint8_t *New = Source;
      Source += Count * Size;
      for (int64_t Begin = 0; Inside && Begin < Count;
           Begin += RegionProgram::MaxLanes) {
        int64_t Lanes = std::min(RegionProgram::MaxLanes, Count - Begin);
        for (int64_t I = 0; I < Lanes; ++I)
          At[I] = Offset + Slice[size_t(Begin + I)];
        gatherElements(Program.arg(0), Out.data(), At, Lanes, Size);
        std::memcpy(Program.arg(1), New + Begin * Size, size_t(Lanes * Size));
        LIMOSA_TRY(Program.run(Lanes));
        scatterElements(Out.data(), At, Program.result(0), Lanes, Size);
      }
      return Status();
    }));
  }
  return C.setResult(0, std::move(Out));
}

constexpr OpEntry Ops[] = {{"gather", runGather}, {"scatter", runScatter}};

} // namespace

std::span<const OpEntry> limosa::reference::gatherOps() { return Ops; }
