//===- ConvPixels.cpp - Where rows of a convolution are in its result -----===//

#include "ConvPixels.h"

using namespace mlir;

namespace limosa::codegen {

constexpr unsigned Z = ConvPlan::Z, Y = ConvPlan::Y, X = ConvPlan::X;

ConvPixels::Pixels ConvPixels::pixelOfPhase(Value Pixel) {
  Value Q[3] = {Plane, FirstY, FirstX};
  switch (P.Order) {
  case PixelOrder::Linear: {
    Value Width = KB.divisor(P.Axes[X].Out);
    Value Height = KB.divisor(P.Axes[Y].Out);
    Q[X] = M.remU(Pixel, Width);
    Pixel = M.divU(Pixel, Width);
    Q[Y] = M.remU(Pixel, Height);
    Q[Z] = M.divU(Pixel, Height);
    break;
  }
  case PixelOrder::Lines: {
    Value Width = KB.constant(P.BlockWidth);
    Q[X] = P.BlockLines == 1 ? Pixel : M.remU(Pixel, Width);
    if (P.BlockLines != 1)
      Q[Y] = M.add(FirstY, M.divU(Pixel, Width));
    break;
  }
  case PixelOrder::Segment:
    Q[X] = M.add(FirstX, Pixel);
    break;
  }
  Pixels Out;
  for (unsigned D : {Z, Y, X}) {
    const Axis &A = P.Axes[D];
    Out.At[D] = Q[D];
    if (A.Phases == 1)
      continue;
    Out.At[D] = M.add(M.mul(Q[D], KB.constant(A.Phases)), Phase[D]);
    if (DimExpr::mod(A.Size, A.Phases).isConstant(0))
      continue;
    Value Inside = M.lt(Out.At[D], KB.dim(A.Size));
    Out.Inside = Out.Inside ? M.both(Out.Inside, Inside) : Inside;
    Out.At[D] = M.min(Out.At[D], M.sub(KB.dim(A.Size), KB.constant(1)));
  }
  return Out;
}

Coords ConvPixels::coordsAt(const Pixels &Pixel, Value Column) {
  Coords At(cast<RankedTensorType>(Op.getResult().getType()).getRank());
  At.PerDim[0] = M.uniform(Image);
  At.PerDim[1] = Index{Column, 1, {}};
  for (unsigned D : {Z, Y, X})
    if (P.Axes[D].Dim)
      At.PerDim[*P.Axes[D].Dim] = M.uniform(Pixel.At[D]);
  return At;
}

Coords ConvPixels::coordsAt(Value Pixel, Value Column) {
  Coords At(cast<RankedTensorType>(Op.getResult().getType()).getRank());
  At.PerDim[0] = M.uniform(Image);
  At.PerDim[1] = Index{Column, 1, {}};
  IndexGroup Through;
  for (unsigned D : {Z, Y, X})
    if (P.Axes[D].Dim && (P.Order == PixelOrder::Linear || D != Z))
      Through.Dims.push_back(*P.Axes[D].Dim);
  if (P.Order != PixelOrder::Linear && P.Axes[Z].Dim)
    At.PerDim[*P.Axes[Z].Dim] = M.uniform(Plane);
  if (P.Order == PixelOrder::Segment) {
    if (P.Axes[Y].Dim)
      At.PerDim[*P.Axes[Y].Dim] = M.uniform(FirstY);
    At.PerDim[*P.Axes[X].Dim] = M.uniform(M.add(FirstX, Pixel));
    return At;
  }
  if (P.Order == PixelOrder::Lines)
    Pixel = M.add(M.mul(FirstY, KB.constant(P.BlockWidth)), Pixel);
  if (Through.Dims.size() == 1) {
    At.PerDim[Through.Dims[0]] = M.uniform(Pixel);
    return At;
  }
  Through.Linear = M.uniform(Pixel);
  At.Groups.push_back(Through);
  return At;
}

} // namespace limosa::codegen
