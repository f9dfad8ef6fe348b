//===- Infer.cpp - Result types of core ops -------------------------------===//

#include "limosa/IR/Infer.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::infer;
using llvm::Twine;

static bool isPermutation(ArrayRef<int64_t> Perm, int64_t Rank) {
  SmallVector<bool> Seen(Rank, false);
  for (int64_t P : Perm) {
    if (P < 0 || P >= Rank || Seen[P])
      return false;
    Seen[P] = true;
  }
  return int64_t(Perm.size()) == Rank;
}

/// Two sizes that are both known and differ.
static bool provablyDiffer(const DimExpr &A, const DimExpr &B) {
  DimExpr Difference = A - B;
  auto C = Difference.constant();
  return C && *C != 0;
}

static bool distinctWithin(ArrayRef<int64_t> Values, int64_t Low,
                           int64_t High) {
  SmallVector<int64_t> Sorted(Values);
  llvm::sort(Sorted);
  for (auto [I, V] : llvm::enumerate(Sorted))
    if (V < Low || V >= High || (I && Sorted[I - 1] == V))
      return false;
  return true;
}

RankedTensorType infer::transpose(RankedTensorType Operand,
                                  ArrayRef<int64_t> Perm, FailFn Fail) {
  if (!isPermutation(Perm, Operand.getRank()))
    return Fail("perm must be a permutation of the operand's dimensions"),
           RankedTensorType();
  Dims In = getDims(Operand), Out;
  for (int64_t P : Perm)
    Out.push_back(In[P]);
  return makeTensorType(Out, Operand.getElementType());
}

RankedTensorType infer::pad(RankedTensorType Operand, ArrayRef<DimExpr> Low,
                            ArrayRef<DimExpr> High, ArrayRef<int64_t> Interior,
                            FailFn Fail) {
  size_t Rank = Operand.getRank();
  if (Low.size() != Rank || High.size() != Rank || Interior.size() != Rank)
    return Fail("low, high and interior need one entry per dimension"),
           RankedTensorType();
  Dims Out = getDims(Operand);
  for (size_t D = 0; D < Rank; ++D) {
    if (Interior[D] < 0)
      return Fail("interior must not be negative"), RankedTensorType();
    DimExpr Inner = Out[D];
    if (Interior[D] != 0)
      Inner = Inner + DimExpr::max(Inner - DimExpr(1), DimExpr(0)) *
                          DimExpr(Interior[D]);
    Out[D] = Low[D] + Inner + High[D];
  }
  return makeTensorType(Out, Operand.getElementType());
}

RankedTensorType infer::concat(ArrayRef<RankedTensorType> Inputs, int64_t Dim,
                               FailFn Fail) {
  if (Inputs.empty())
    return Fail("needs at least one operand"), RankedTensorType();
  if (Dim < 0 || Dim >= Inputs[0].getRank())
    return Fail("dim is out of range"), RankedTensorType();
  Dims Out = getDims(Inputs[0]);
  for (RankedTensorType T : Inputs.drop_front()) {
    if (T.getRank() != Inputs[0].getRank() ||
        T.getElementType() != Inputs[0].getElementType())
      return Fail("operands must have one rank and dtype"), RankedTensorType();
    Dims In = getDims(T);
    for (size_t D = 0; D < In.size(); ++D) {
      if (int64_t(D) == Dim)
        Out[D] = Out[D] + In[D];
      else if (provablyDiffer(Out[D], In[D]))
        return Fail("operands differ in dimension " + Twine(D) + ": " +
                    Out[D].toString() + " and " + In[D].toString()),
               RankedTensorType();
    }
  }
  return makeTensorType(Out, Inputs[0].getElementType());
}

RankedTensorType infer::gather(RankedTensorType Operand,
                               RankedTensorType Indices, ArrayRef<int64_t> Axes,
                               int64_t Batch, FailFn Fail) {
  Dims X = getDims(Operand), I = getDims(Indices);
  if (I.empty() || !I.back().isConstant(int64_t(Axes.size())))
    return Fail("the last dimension of indices must be the number of axes, " +
                Twine(Axes.size())),
           RankedTensorType();
  if (Batch < 0 || Batch > int64_t(X.size()) || Batch >= int64_t(I.size()))
    return Fail("batch is out of range"), RankedTensorType();
  if (!distinctWithin(Axes, Batch, X.size()))
    return Fail("axes must be distinct dimensions after the batch dimensions"),
           RankedTensorType();
  for (int64_t B = 0; B < Batch; ++B)
    if (provablyDiffer(X[B], I[B]))
      return Fail("batch dimension " + Twine(B) +
                  " differs between operand and indices"),
             RankedTensorType();
  Dims Out(I.begin(), I.end() - 1);
  for (int64_t B = 0; B < Batch; ++B)
    Out[B] = X[B];
  for (size_t D = Batch; D < X.size(); ++D)
    if (!llvm::is_contained(Axes, int64_t(D)))
      Out.push_back(X[D]);
  return makeTensorType(Out, Operand.getElementType());
}

RankedTensorType infer::reduce(RankedTensorType Input,
                               ArrayRef<int64_t> DimsToDrop, FailFn Fail) {
  if (!distinctWithin(DimsToDrop, 0, Input.getRank()) ||
      !llvm::is_sorted(DimsToDrop))
    return Fail("dims must be increasing dimensions of the inputs"),
           RankedTensorType();
  Dims In = getDims(Input), Out;
  for (size_t D = 0; D < In.size(); ++D)
    if (!llvm::is_contained(DimsToDrop, int64_t(D)))
      Out.push_back(In[D]);
  return makeTensorType(Out, Input.getElementType());
}

DimExpr infer::windowExtent(const DimExpr &Size, const DimExpr &Low,
                            const DimExpr &High, const DimExpr &Kernel,
                            int64_t Dilation, int64_t Stride) {
  DimExpr Span = (Kernel - DimExpr(1)) * DimExpr(Dilation) + DimExpr(1);
  return DimExpr::floorDiv(Size + Low + High - Span, DimExpr(Stride)) +
         DimExpr(1);
}

RankedTensorType infer::window(RankedTensorType Input, ArrayRef<int64_t> Sizes,
                               ArrayRef<int64_t> Strides,
                               ArrayRef<int64_t> Dilations,
                               ArrayRef<DimExpr> PadLow,
                               ArrayRef<DimExpr> PadHigh, FailFn Fail) {
  size_t Rank = Input.getRank();
  if (Sizes.size() != Rank || Strides.size() != Rank ||
      Dilations.size() != Rank || PadLow.size() != Rank ||
      PadHigh.size() != Rank)
    return Fail("every attribute needs one entry per dimension"),
           RankedTensorType();
  Dims Out = getDims(Input);
  for (size_t D = 0; D < Rank; ++D) {
    if (Sizes[D] < 1 || Strides[D] < 1 || Dilations[D] < 1)
      return Fail("sizes, strides and dilations must be positive"),
             RankedTensorType();
    Out[D] = windowExtent(Out[D], PadLow[D], PadHigh[D], DimExpr(Sizes[D]),
                          Dilations[D], Strides[D]);
    if (auto C = Out[D].constant(); C && *C < 0)
      Out[D] = DimExpr(0);
  }
  return makeTensorType(Out, Input.getElementType());
}

RankedTensorType infer::contract(RankedTensorType Lhs, RankedTensorType Rhs,
                                 Type ResultElement, ArrayRef<int64_t> LhsBatch,
                                 ArrayRef<int64_t> RhsBatch,
                                 ArrayRef<int64_t> LhsContract,
                                 ArrayRef<int64_t> RhsContract, FailFn Fail) {
  if (LhsBatch.size() != RhsBatch.size() ||
      LhsContract.size() != RhsContract.size())
    return Fail("lhs and rhs need as many batch and contracting dimensions"),
           RankedTensorType();
  SmallVector<int64_t> LhsUsed(LhsBatch), RhsUsed(RhsBatch);
  llvm::append_range(LhsUsed, LhsContract);
  llvm::append_range(RhsUsed, RhsContract);
  if (!distinctWithin(LhsUsed, 0, Lhs.getRank()) ||
      !distinctWithin(RhsUsed, 0, Rhs.getRank()))
    return Fail("batch and contracting dimensions must be distinct dimensions"),
           RankedTensorType();
  Dims L = getDims(Lhs), R = getDims(Rhs), Out;
  for (auto [A, B] : llvm::zip(LhsUsed, RhsUsed))
    if (provablyDiffer(L[A], R[B]))
      return Fail("lhs dimension " + Twine(A) + " (" + L[A].toString() +
                  ") and rhs dimension " + Twine(B) + " (" + R[B].toString() +
                  ") differ"),
             RankedTensorType();
  for (int64_t A : LhsBatch)
    Out.push_back(L[A]);
  for (size_t D = 0; D < L.size(); ++D)
    if (!llvm::is_contained(LhsUsed, int64_t(D)))
      Out.push_back(L[D]);
  for (size_t D = 0; D < R.size(); ++D)
    if (!llvm::is_contained(RhsUsed, int64_t(D)))
      Out.push_back(R[D]);
  return makeTensorType(Out, ResultElement);
}

RankedTensorType infer::conv(RankedTensorType Input, RankedTensorType Filter,
                             Type ResultElement, const ConvAttrs &A,
                             FailFn Fail) {
  int64_t Rank = Input.getRank(), Spatial = Rank - 2;
  if (Rank != Filter.getRank() || Spatial < 1 || Spatial > 3)
    return Fail("input and filter need one rank from 3 to 5"),
           RankedTensorType();
  for (size_t N : {A.Strides.size(), A.LhsDilation.size(), A.RhsDilation.size(),
                   A.PadLow.size(), A.PadHigh.size()})
    if (int64_t(N) != Spatial)
      return Fail("every attribute needs one entry per spatial dimension"),
             RankedTensorType();
  if (A.FeatureGroups < 1 || A.BatchGroups < 1)
    return Fail("group counts must be positive"), RankedTensorType();
  Dims X = getDims(Input), W = getDims(Filter), Out;
  if (provablyDiffer(X[1], W[1] * DimExpr(A.FeatureGroups)))
    return Fail("input has " + X[1].toString() +
                " channels, the filter wants " +
                (W[1] * DimExpr(A.FeatureGroups)).toString()),
           RankedTensorType();
  if (auto O = W[0].constant();
      O && (*O % A.FeatureGroups || *O % A.BatchGroups))
    return Fail("output channels must be a multiple of the group counts"),
           RankedTensorType();
  Out.push_back(DimExpr::floorDiv(X[0], DimExpr(A.BatchGroups)));
  Out.push_back(W[0]);
  for (int64_t D = 0; D < Spatial; ++D) {
    if (A.Strides[D] < 1 || A.LhsDilation[D] < 1 || A.RhsDilation[D] < 1)
      return Fail("strides and dilations must be positive"), RankedTensorType();
    DimExpr Size = X[D + 2];
    if (A.LhsDilation[D] != 1)
      Size = DimExpr::max((Size - DimExpr(1)) * DimExpr(A.LhsDilation[D]) +
                              DimExpr(1),
                          DimExpr(0));
    Out.push_back(windowExtent(Size, A.PadLow[D], A.PadHigh[D], W[D + 2],
                               A.RhsDilation[D], A.Strides[D]));
    if (auto C = Out.back().constant(); C && *C < 0)
      return Fail("the filter is larger than the padded input in spatial "
                  "dimension " +
                  Twine(D)),
             RankedTensorType();
  }
  return makeTensorType(Out, ResultElement);
}
