//===- ConvOps.cpp - conv -------------------------------------------------===//
//
// For each image and group a product of the filters, [output channels, channels
// and kernel positions], with the patches of the image, [channels and kernel
// positions, output positions], made block by block.
//
//===----------------------------------------------------------------------===//

#include "Gemm.h"
#include "OpContext.h"
#include "Strided.h"

using namespace limosa;
using namespace limosa::reference;

namespace {

struct Geometry {
  std::vector<int64_t> Strides, Low, High, LhsDilation, RhsDilation;
  int64_t FeatureGroups = 1, BatchGroups = 1;
  size_t Spatial = 0;
  Shape InDims, KernelDims, OutDims; // spatial
  Shape InStrides;                   // spatial

  Status prepare(OpContext &C, const Tensor &In, const Tensor &Filter) {
    if (In.rank() < 3 || In.rank() > 5 || Filter.rank() != In.rank())
      return C.fail("needs an input and a filter of rank 3 to 5, alike");
    Spatial = In.rank() - 2;
    LIMOSA_TRY(C.attr("strides", Strides));
    LIMOSA_TRY(C.attrExprs("pad_low", Low));
    LIMOSA_TRY(C.attrExprs("pad_high", High));
    LIMOSA_TRY(C.attr("lhs_dilation", LhsDilation));
    LIMOSA_TRY(C.attr("rhs_dilation", RhsDilation));
    LIMOSA_TRY(C.attr("feature_groups", FeatureGroups));
    LIMOSA_TRY(C.attr("batch_groups", BatchGroups));
    constexpr int64_t Limit = int64_t(1) << 30;
    for (const auto *List :
         {&Strides, &Low, &High, &LhsDilation, &RhsDilation}) {
      if (List->size() != Spatial)
        return C.fail("an attribute does not have one entry for each spatial "
                      "dimension");
      bool IsPad = List == &Low || List == &High;
      for (int64_t V : *List)
        if (V > Limit || V < (IsPad ? -Limit : 1))
          return C.fail("an attribute is out of range: " + std::to_string(V));
    }
    if (FeatureGroups < 1 || BatchGroups < 1 ||
        In.dim(1) != Filter.dim(1) * FeatureGroups ||
        Filter.dim(0) % FeatureGroups != 0 ||
        Filter.dim(0) % BatchGroups != 0 || In.dim(0) % BatchGroups != 0 ||
        (FeatureGroups > 1 && BatchGroups > 1))
      return C.fail("input " + shapeText(In.dims()) + ", filter " +
                    shapeText(Filter.dims()) + " and the groups do not match");
    Shape AllStrides = rowMajorStrides(In.dims());
    for (size_t D = 0; D < Spatial; ++D) {
      int64_t Size = In.dim(D + 2), Kernel = Filter.dim(D + 2);
      if (Size > Limit || Kernel > Limit)
        return C.fail("a dimension is too large");
      __int128 Dilated =
          Size == 0 ? 0 : __int128(Size - 1) * LhsDilation[D] + 1;
      __int128 Window =
          Kernel == 0 ? 0 : __int128(Kernel - 1) * RhsDilation[D] + 1;
      __int128 Room = Dilated + Low[D] + High[D] - Window;
      __int128 Out = Room < 0 ? -((-Room + Strides[D] - 1) / Strides[D]) + 1
                              : Room / Strides[D] + 1;
      if (Out < 0)
        return C.fail(LIMOSA_STATUS_FAILED,
                      "the kernel does not fit dimension " +
                          std::to_string(D + 2) + " of " +
                          shapeText(In.dims()));
      InDims.push_back(Size);
      KernelDims.push_back(Kernel);
      OutDims.push_back(int64_t(Out));
      InStrides.push_back(AllStrides[D + 2]);
    }
    return Status();
  }

  /// The input's index along `D` for an output and a kernel position; negative
  /// outside and between dilated elements.
  int64_t source(size_t D, int64_t Out, int64_t Kernel) const {
    int64_t At = Out * Strides[D] + Kernel * RhsDilation[D] - Low[D];
    if (At < 0 || At % LhsDilation[D] != 0)
      return -1;
    At /= LhsDilation[D];
    return At < InDims[D] ? At : -1;
  }
};

/// All positions of a block as a table [position * rank + dimension].
std::vector<int64_t> positions(const Shape &Dims) {
  std::vector<int64_t> Table;
  if (countElements(Dims).value_or(0) == 0)
    return Table;
  BlockWalk Walk(Dims, Shape(Dims.size(), 0));
  do
    Table.insert(Table.end(), Walk.index().begin(), Walk.index().end());
  while (Walk.next());
  return Table;
}

/// The product of one image and group.
template <typename T>
void convolve(const Geometry &G, const Tensor &In, const Tensor &Filter,
              Tensor &Out, int64_t InBase, int64_t FilterBase, int64_t OutBase,
              int64_t OutChannels, const std::vector<int64_t> &KernelAt,
              const std::vector<int64_t> &OutAt) {
  size_t S = G.Spatial;
  int64_t Kernel = int64_t(KernelAt.size() / S),
          Points = int64_t(OutAt.size() / S);
  int64_t Depth = Filter.dim(1) * Kernel;
  int64_t ChannelStride = *countElements(G.InDims);
  std::vector<int64_t> Offsets;
  auto FillFilter = [&](int64_t Row, int64_t Rows, int64_t Column,
                        int64_t Columns, void *Block, int64_t Stride) {
    Offsets.resize(size_t(Columns));
    for (int64_t K = 0; K < Rows; ++K) {
      for (int64_t I = 0; I < Columns; ++I)
        Offsets[size_t(I)] = FilterBase + (Column + I) * Depth + Row + K;
      loadElements<T>(Filter.dtype(), Filter.data(), Offsets.data(), Columns,
                      static_cast<T *>(Block) + K * Stride);
    }
  };
  auto FillPatches = [&](int64_t Row, int64_t Rows, int64_t Column,
                         int64_t Columns, void *Block, int64_t Stride) {
    Offsets.resize(size_t(Columns));
    for (int64_t K = 0; K < Rows; ++K) {
      int64_t Channel = (Row + K) / Kernel;
      const int64_t *At = &KernelAt[size_t((Row + K) % Kernel) * S];
      for (int64_t I = 0; I < Columns; ++I) {
        int64_t Offset = InBase + Channel * ChannelStride;
        const int64_t *To = &OutAt[size_t(Column + I) * S];
        for (size_t D = 0; D < S; ++D) {
          int64_t Source = G.source(D, To[D], At[D]);
          Offset =
              Source < 0 || Offset < 0 ? -1 : Offset + Source * G.InStrides[D];
        }
        Offsets[size_t(I)] = Offset;
      }
      loadElements<T>(In.dtype(), In.data(), Offsets.data(), Columns,
                      static_cast<T *>(Block) + K * Stride);
    }
  };
  auto Store = [&](int64_t Row, int64_t Rows, int64_t Column, int64_t Columns,
                   const void *Block, int64_t Stride) {
    Offsets.resize(size_t(Columns));
    for (int64_t I = 0; I < Rows; ++I) {
      for (int64_t J = 0; J < Columns; ++J)
        Offsets[size_t(J)] = OutBase + (Row + I) * Points + Column + J;
      storeElements<T>(Out.dtype(), Out.data(), Offsets.data(), Columns,
                       static_cast<const T *>(Block) + I * Stride);
    }
  };
  blockedGemm<T>(OutChannels, Points, Depth, FillFilter, FillPatches, Store);
}

Status runConv(OpContext &C) {
  LIMOSA_TRY(C.expect(2, 1));
  const Tensor &In = C.operand(0), &Filter = C.operand(1);
  if (!isProductTypes(In.dtype(), Filter.dtype(), C.resultType(0)))
    return C.fail("is not defined for these dtypes");
  Geometry G;
  LIMOSA_TRY(G.prepare(C, In, Filter));
  int64_t Images = In.dim(0) / G.BatchGroups, Channels = Filter.dim(0);
  Shape Dims{Images, Channels};
  Dims.insert(Dims.end(), G.OutDims.begin(), G.OutDims.end());
  Tensor Out;
  LIMOSA_TRY(C.make(C.resultType(0), Dims, Out));
  if (Out.elements() != 0) {
    std::vector<int64_t> KernelAt = positions(G.KernelDims),
                         OutAt = positions(G.OutDims);
    // One of the two numbers of groups is 1.
    int64_t Groups = G.FeatureGroups * G.BatchGroups;
    int64_t OutChannels = Channels / Groups;
    int64_t Image = *countElements(G.InDims) * In.dim(1);
    int64_t FilterSize = Filter.elements() / Channels;
    int64_t Points = *countElements(G.OutDims);
    withSumType(Out.dtype(), [&](auto Zero) {
      using T = decltype(Zero);
      for (int64_t N = 0; N < Images; ++N)
        for (int64_t Group = 0; Group < Groups; ++Group) {
          int64_t Source = G.BatchGroups > 1 ? Group * Images + N : N;
          int64_t FirstChannel = G.BatchGroups > 1 ? 0 : Group * Filter.dim(1);
          convolve<T>(G, In, Filter, Out,
                      Source * Image + FirstChannel * *countElements(G.InDims),
                      Group * OutChannels * FilterSize,
                      (N * Channels + Group * OutChannels) * Points,
                      OutChannels, KernelAt, OutAt);
        }
    });
  }
  return C.setResult(0, std::move(Out));
}

constexpr OpEntry Ops[] = {{"conv", runConv}};

} // namespace

std::span<const OpEntry> limosa::reference::convOps() { return Ops; }
