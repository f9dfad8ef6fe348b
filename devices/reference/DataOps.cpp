//===- DataOps.cpp - Core ops that move data ------------------------------===//

#include "Elementwise.h"
#include "OpContext.h"
#include "Strided.h"

#include <algorithm>

using namespace limosa;
using namespace limosa::reference;

namespace {

Status runIota(OpContext &C) {
  LIMOSA_TRY(C.expect(0, 1));
  Tensor Out;
  LIMOSA_TRY(C.makeResult(0, Out));
  if (Out.dtype() == DType::Bool || dtypeBits(Out.dtype()) < 8)
    return C.fail("is not defined for dtype " +
                  std::string(dtypeName(Out.dtype())));
  int64_t Dim;
  LIMOSA_TRY(C.attrIndex("dim", int64_t(Out.rank()), Dim));
  // The elements along the dimension, then spread over the others.
  std::vector<int64_t> Numbers(size_t(Out.dim(size_t(Dim))));
  for (size_t I = 0; I < Numbers.size(); ++I)
    Numbers[I] = int64_t(I);
  Tensor Line;
  LIMOSA_TRY(C.make(Out.dtype(), {int64_t(Numbers.size())}, Line));
  convertElements(DType::I64, Numbers.data(), Out.dtype(), Line.data(),
                  int64_t(Numbers.size()));
  Shape Strides(Out.rank(), 0);
  Strides[size_t(Dim)] = 1;
  copyStrided(Out.data(), rowMajorStrides(Out.dims()), Line.data(), Strides,
              Out.dims(), elementBytes(Out.dtype()));
  return C.setResult(0, std::move(Out));
}

Status runReshape(OpContext &C) {
  LIMOSA_TRY(C.expect(1, 1));
  const Tensor &In = C.operand(0);
  Shape Dims;
  LIMOSA_TRY(C.resultShape(0, Dims));
  if (countElements(Dims) != In.elements())
    return C.fail(LIMOSA_STATUS_FAILED, "cannot give " + shapeText(In.dims()) +
                                            " the shape " + shapeText(Dims));
  return C.setResult(0, In.withShape(std::move(Dims)));
}

Status runTranspose(OpContext &C) {
  LIMOSA_TRY(C.expect(1, 1));
  const Tensor &In = C.operand(0);
  std::vector<int64_t> Perm;
  LIMOSA_TRY(C.attrDims("perm", int64_t(In.rank()), Perm));
  if (Perm.size() != In.rank())
    return C.fail("'perm' has " + std::to_string(Perm.size()) +
                  " entries for rank " + std::to_string(In.rank()));
  Tensor Out;
  LIMOSA_TRY(C.make(In.dtype(), pick(In.dims(), Perm), Out));
  copyStrided(Out.data(), rowMajorStrides(Out.dims()), In.data(),
              pick(rowMajorStrides(In.dims()), Perm), Out.dims(),
              elementBytes(In.dtype()));
  return C.setResult(0, std::move(Out));
}

Status runBroadcast(OpContext &C) {
  LIMOSA_TRY(C.expect(1, 1));
  const Tensor &In = C.operand(0);
  Shape Dims;
  LIMOSA_TRY(C.resultShape(0, Dims));
  std::vector<int64_t> Along;
  LIMOSA_TRY(C.attrDims("dims", int64_t(Dims.size()), Along));
  if (Along.size() != In.rank() || !std::is_sorted(Along.begin(), Along.end()))
    return C.fail("'dims' does not place the operand's dimensions in order");
  Shape InStrides = rowMajorStrides(In.dims()), Strides(Dims.size(), 0);
  for (size_t D = 0; D < In.rank(); ++D) {
    if (In.dim(D) == 1)
      continue;
    if (In.dim(D) != Dims[size_t(Along[D])])
      return C.fail(LIMOSA_STATUS_FAILED, "cannot broadcast " +
                                              shapeText(In.dims()) + " to " +
                                              shapeText(Dims));
    Strides[size_t(Along[D])] = InStrides[D];
  }
  Tensor Out;
  LIMOSA_TRY(C.make(In.dtype(), Dims, Out));
  copyStrided(Out.data(), rowMajorStrides(Dims), In.data(), Strides, Dims,
              elementBytes(In.dtype()));
  return C.setResult(0, std::move(Out));
}

Status runSlice(OpContext &C) {
  LIMOSA_TRY(C.expect(1, 1));
  const Tensor &In = C.operand(0);
  std::vector<int64_t> Starts, Steps;
  LIMOSA_TRY(C.attrExprs("starts", Starts));
  LIMOSA_TRY(C.attr("steps", Steps));
  Shape Dims;
  LIMOSA_TRY(C.resultShape(0, Dims));
  if (Starts.size() != In.rank() || Steps.size() != In.rank() ||
      Dims.size() != In.rank())
    return C.fail("starts, steps and result do not have the operand's rank " +
                  std::to_string(In.rank()));
  Shape Strides = rowMajorStrides(In.dims());
  int64_t Offset = 0;
  bool Empty = countElements(Dims) == 0;
  for (size_t D = 0; D < In.rank(); ++D) {
    if (Steps[D] == 0)
      return C.fail("a step of 0");
    // In 128 bits, which nothing of this overflows.
    __int128 Last = __int128(Starts[D]) + __int128(Dims[D] - 1) * Steps[D];
    if (!Empty && (Starts[D] < 0 || Starts[D] >= In.dim(D) || Last < 0 ||
                   Last >= In.dim(D)))
      return C.fail(LIMOSA_STATUS_FAILED,
                    "takes " + std::to_string(Dims[D]) + " elements from " +
                        std::to_string(Starts[D]) + " in steps of " +
                        std::to_string(Steps[D]) + " of dimension " +
                        std::to_string(D) + " of " + shapeText(In.dims()));
    if (!Empty) {
      Offset += Starts[D] * Strides[D];
      // A step past the end with one element would only overflow.
      Strides[D] = Dims[D] == 1 ? 0 : Strides[D] * Steps[D];
    }
  }
  Tensor Out;
  LIMOSA_TRY(C.make(In.dtype(), Dims, Out));
  copyStrided(Out.data(), rowMajorStrides(Dims),
              In.data() + Offset * elementBytes(In.dtype()), Strides, Dims,
              elementBytes(In.dtype()));
  return C.setResult(0, std::move(Out));
}

Status runPad(OpContext &C) {
  LIMOSA_TRY(C.expect(2, 1));
  const Tensor &In = C.operand(0), &Value = C.operand(1);
  if (Value.dtype() != In.dtype() || Value.rank() != 0)
    return C.fail("the value is not a rank-0 tensor of the operand's dtype");
  std::vector<int64_t> Low, High, Interior;
  LIMOSA_TRY(C.attrExprs("low", Low));
  LIMOSA_TRY(C.attrExprs("high", High));
  LIMOSA_TRY(C.attr("interior", Interior));
  if (Low.size() != In.rank() || High.size() != In.rank() ||
      Interior.size() != In.rank())
    return C.fail("low, high and interior do not have the operand's rank " +
                  std::to_string(In.rank()));
  Shape Dims(In.rank());
  for (size_t D = 0; D < In.rank(); ++D) {
    if (Low[D] < 0 || High[D] < 0 || Interior[D] < 0)
      return C.fail(LIMOSA_STATUS_FAILED, "negative padding");
    int64_t Gaps = In.dim(D) > 0 ? In.dim(D) - 1 : 0, Size;
    if (__builtin_mul_overflow(Gaps, Interior[D], &Size) ||
        __builtin_add_overflow(Size, In.dim(D), &Size) ||
        __builtin_add_overflow(Size, Low[D], &Size) ||
        __builtin_add_overflow(Size, High[D], &Size))
      return C.fail(LIMOSA_STATUS_FAILED, "the padded size overflows");
    Dims[D] = Size;
  }
  Tensor Out;
  LIMOSA_TRY(C.make(In.dtype(), Dims, Out));
  int64_t Size = elementBytes(In.dtype());
  fillElements(Out.data(), Value.data(), Out.elements(), Size);
  Shape Strides = rowMajorStrides(Dims);
  int64_t Offset = 0;
  for (size_t D = 0; D < In.rank() && In.elements(); ++D) {
    Offset += Low[D] * Strides[D];
    Strides[D] = In.dim(D) == 1 ? 0 : Strides[D] * (Interior[D] + 1);
  }
  copyStrided(Out.data() + Offset * Size, Strides, In.data(),
              rowMajorStrides(In.dims()), In.dims(), Size);
  return C.setResult(0, std::move(Out));
}

Status runConcat(OpContext &C) {
  if (C.operandCount() == 0)
    return C.fail("has no operands");
  LIMOSA_TRY(C.expect(C.operandCount(), 1));
  const Tensor &First = C.operand(0);
  int64_t Dim;
  LIMOSA_TRY(C.attrIndex("dim", int64_t(First.rank()), Dim));
  Shape Dims = First.dims();
  Dims[size_t(Dim)] = 0;
  for (unsigned I = 0; I < C.operandCount(); ++I) {
    const Tensor &In = C.operand(I);
    if (In.rank() != First.rank() || In.dtype() != First.dtype())
      return C.fail("operands differ in rank or dtype");
    for (size_t D = 0; D < In.rank(); ++D)
      if (int64_t(D) != Dim && In.dim(D) != First.dim(D))
        return C.fail(LIMOSA_STATUS_FAILED, "operands have shapes " +
                                                shapeText(First.dims()) +
                                                " and " + shapeText(In.dims()));
    if (__builtin_add_overflow(Dims[size_t(Dim)], In.dim(size_t(Dim)),
                               &Dims[size_t(Dim)]))
      return C.fail(LIMOSA_STATUS_FAILED, "the size overflows");
  }
  Tensor Out;
  LIMOSA_TRY(C.make(First.dtype(), Dims, Out));
  Shape Strides = rowMajorStrides(Dims);
  int64_t Offset = 0, Size = elementBytes(First.dtype());
  for (unsigned I = 0; I < C.operandCount(); ++I) {
    const Tensor &In = C.operand(I);
    copyStrided(Out.data() + Offset * Size, Strides, In.data(),
                rowMajorStrides(In.dims()), In.dims(), Size);
    Offset += In.dim(size_t(Dim)) * Strides[size_t(Dim)];
  }
  return C.setResult(0, std::move(Out));
}

Status runUpdateSlice(OpContext &C) {
  LIMOSA_TRY(C.expect(3, 1));
  const Tensor &In = C.operand(0), &Update = C.operand(1),
               &Starts = C.operand(2);
  if (Update.dtype() != In.dtype() || Update.rank() != In.rank())
    return C.fail("operand and update differ in dtype or rank");
  if ((Starts.dtype() != DType::I32 && Starts.dtype() != DType::I64) ||
      Starts.rank() != 1 || Starts.elements() != int64_t(In.rank()))
    return C.fail("starts is not a vector of " + std::to_string(In.rank()) +
                  " i32 or i64 elements");
  Tensor Out;
  LIMOSA_TRY(C.make(In.dtype(), In.dims(), Out));
  std::copy_n(In.data(), In.bytes(), Out.data());
  Shape Strides = rowMajorStrides(In.dims());
  int64_t Offset = 0;
  for (size_t D = 0; D < In.rank(); ++D) {
    int64_t Room = In.dim(D) - Update.dim(D);
    if (Room < 0)
      return C.fail(LIMOSA_STATUS_FAILED,
                    "an update of shape " + shapeText(Update.dims()) +
                        " does not fit into " + shapeText(In.dims()));
    int64_t Start = Starts.dtype() == DType::I32 ? Starts.as<int32_t>()[D]
                                                 : Starts.as<int64_t>()[D];
    Offset += std::clamp<int64_t>(Start, 0, Room) * Strides[D];
  }
  copyStrided(Out.data() + Offset * elementBytes(In.dtype()), Strides,
              Update.data(), rowMajorStrides(Update.dims()), Update.dims(),
              elementBytes(In.dtype()));
  return C.setResult(0, std::move(Out));
}

constexpr OpEntry Ops[] = {
    {"iota", runIota},           {"reshape", runReshape},
    {"transpose", runTranspose}, {"broadcast", runBroadcast},
    {"slice", runSlice},         {"pad", runPad},
    {"concat", runConcat},       {"update_slice", runUpdateSlice},
};

} // namespace

std::span<const OpEntry> limosa::reference::dataOps() { return Ops; }
