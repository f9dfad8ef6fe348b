//===- Packing.cpp - Which constants are stored in panels -----------------===//

#include "limosa/Codegen/Packing.h"

#include "limosa/Codegen/Codegen.h"
#include "limosa/Support/PackedConstant.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace limosa::codegen {

std::optional<std::vector<PanelLayout::Dim>>
panelDims(const StridedView &View, ArrayRef<unsigned> Which) {
  std::vector<PanelLayout::Dim> Out;
  for (unsigned D : Which) {
    auto Extent = View.Dims[D].Extent.constant();
    auto Stride = View.Dims[D].Stride.constant();
    if (!Extent || !Stride)
      return std::nullopt;
    Out.push_back({*Extent, *Stride});
  }
  return Out;
}

bool isPackable(func::FuncOp Kernel, const StridedView &View) {
  BlockArgument Arg = View.Argument;
  return Arg.hasOneUse() &&
         Kernel.getArgAttr(Arg.getArgNumber(), "limosa.constant") &&
         View.Offset.constant() &&
         llvm::all_of(View.Dims,
                      [](const StridedView::Dim &D) {
                        return D.Extent.constant() && D.Stride.constant();
                      }) &&
         llvm::all_of(View.Through,
                      [](Operation *Op) { return Op->hasOneUse(); });
}

llvm::Expected<std::vector<uint8_t>>
packConstant(StringRef Spec, RankedTensorType Ty, ArrayRef<uint8_t> Bytes) {
  auto Packed =
      limosa::packConstant(Spec, (Ty.getElementTypeBitWidth() + 7) / 8,
                           {Bytes.data(), Bytes.size()});
  if (!Packed)
    return llvm::createStringError("a constant does not fit the layout '" +
                                   Spec + "'");
  return std::move(*Packed);
}

} // namespace limosa::codegen
