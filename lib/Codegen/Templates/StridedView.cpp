//===- StridedView.cpp - Kernel arguments seen through data movement ------===//

#include "limosa/Codegen/StridedView.h"

#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Types.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace limosa::codegen {

using Dim = StridedView::Dim;

SmallVector<DimExpr, 4> getStrides(Type Ty) {
  Dims Extents = getDims(Ty);
  SmallVector<DimExpr, 4> Strides(Extents.size(), DimExpr(1));
  DimExpr Stride = 1;
  auto Order = getOrder(Ty);
  for (int64_t D : llvm::reverse(Order)) {
    Strides[D] = Stride;
    Stride = Stride * Extents[D];
  }
  return Strides;
}

std::optional<Dim> mergeDims(ArrayRef<Dim> Ds) {
  Dim Out{1, 1};
  for (const Dim &D : llvm::reverse(Ds)) {
    if (D.Extent.isConstant(1))
      continue;
    if (Out.Extent.isConstant(1))
      Out = D;
    else if (D.Stride == Out.Stride * Out.Extent)
      Out.Extent = Out.Extent * D.Extent;
    else
      return std::nullopt;
  }
  return Out;
}

/// The dimensions of a reshape's result: operand and result dimensions are
/// paired in the smallest groups of equal products.
static std::optional<SmallVector<Dim, 4>> reshapeDims(ArrayRef<Dim> In,
                                                      ArrayRef<DimExpr> Shape) {
  SmallVector<Dim, 4> Out;
  size_t I = 0, J = 0;
  while (I < In.size() || J < Shape.size()) {
    size_t FirstIn = I, FirstOut = J;
    DimExpr ProductIn = I < In.size() ? In[I++].Extent : DimExpr(1);
    DimExpr ProductOut = J < Shape.size() ? Shape[J++] : DimExpr(1);
    while (!(ProductIn == ProductOut)) {
      if (J < Shape.size() && ProductIn.exactDiv(ProductOut))
        ProductOut = ProductOut * Shape[J++];
      else if (I < In.size() && ProductOut.exactDiv(ProductIn))
        ProductIn = ProductIn * In[I++].Extent;
      else
        return std::nullopt;
    }
    std::optional<Dim> Merged = mergeDims(In.slice(FirstIn, I - FirstIn));
    if (!Merged)
      return std::nullopt;
    SmallVector<Dim, 4> Group(J - FirstOut);
    DimExpr Stride = Merged->Stride;
    for (size_t K = J; K-- > FirstOut;) {
      Group[K - FirstOut] = {Shape[K], Stride};
      Stride = Stride * Shape[K];
    }
    llvm::append_range(Out, Group);
  }
  return Out;
}

static std::optional<SmallVector<Dim, 4>> sliceDims(SliceOp Op,
                                                    StridedView &V) {
  SmallVector<Dim, 4> Out;
  Dims Starts = parseDims(Op.getStarts()), Sizes = getDims(Op.getResult());
  for (auto [D, In] : llvm::enumerate(V.Dims)) {
    V.Offset = V.Offset + Starts[D] * In.Stride;
    Out.push_back({Sizes[D], In.Stride * DimExpr(Op.getSteps()[D])});
  }
  return Out;
}

static std::optional<SmallVector<Dim, 4>> broadcastDims(BroadcastOp Op,
                                                        const StridedView &V) {
  SmallVector<Dim, 4> Out;
  for (const DimExpr &E : getDims(Op.getResult()))
    Out.push_back({E, 0});
  for (auto [D, In] : llvm::enumerate(V.Dims)) {
    Dim &To = Out[Op.getDims()[D]];
    if (In.Extent == To.Extent)
      To.Stride = In.Stride;
    else if (!In.Extent.isConstant(1))
      return std::nullopt; // decided only when the program runs
  }
  return Out;
}

std::optional<StridedView> getStridedView(Value V) {
  if (auto Arg = dyn_cast<BlockArgument>(V)) {
    StridedView View;
    View.Argument = Arg;
    for (auto [Extent, Stride] :
         llvm::zip_equal(getDims(V), getStrides(V.getType())))
      View.Dims.push_back({Extent, Stride});
    return View;
  }
  Operation *Op = V.getDefiningOp();
  if (!isa<TransposeOp, ReshapeOp, SliceOp, BroadcastOp, RelayoutOp>(Op))
    return std::nullopt;
  std::optional<StridedView> View = getStridedView(Op->getOperand(0));
  if (!View)
    return std::nullopt;
  auto NewDims =
      llvm::TypeSwitch<Operation *, std::optional<SmallVector<Dim, 4>>>(Op)
          .Case([&](TransposeOp T) {
            SmallVector<Dim, 4> Out;
            for (int64_t P : T.getPerm())
              Out.push_back(View->Dims[P]);
            return Out;
          })
          .Case([&](ReshapeOp R) {
            return reshapeDims(View->Dims, getDims(R.getResult()));
          })
          .Case([&](SliceOp S) { return sliceDims(S, *View); })
          .Case([&](BroadcastOp B) { return broadcastDims(B, *View); })
          .Case([&](RelayoutOp) { return View->Dims; })
          .Default([](Operation *) { return std::nullopt; });
  if (!NewDims)
    return std::nullopt;
  View->Dims = std::move(*NewDims);
  View->Through.push_back(Op);
  return View;
}

} // namespace limosa::codegen
