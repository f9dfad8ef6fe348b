//===- Known.cpp - Exact numbers and how constants become them ------------===//

#include "Known.h"
#include "Tensors.h"
#include <numeric>

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

/// Denominators beyond this are no scale factors that somebody chose.
static constexpr int64_t MaxDen = 1 << 12;

KnownNumber::KnownNumber(const DimExpr &N, int64_t D) : Num(N), Den(D) {
  int64_t G = std::gcd(Num.knownDivisor(), Den);
  if (G > 1)
    if (auto Q = Num.exactDiv(DimExpr(G))) {
      Num = *Q;
      Den /= G;
    }
}

KnownTensor KnownTensor::vector(ArrayRef<DimExpr> V) {
  KnownTensor T;
  T.Shape = {int64_t(V.size())};
  for (const DimExpr &E : V)
    T.Elements.push_back(E);
  return T;
}

/// The exact value of a float that is a small multiple of 1 / MaxDen.
static std::optional<KnownNumber> exactFloat(double V) {
  double Scaled = V * double(MaxDen);
  if (!(std::abs(Scaled) < 1e15) || Scaled != std::floor(Scaled) ||
      (V == 0 && std::signbit(V)))
    return std::nullopt;
  return KnownNumber(DimExpr(int64_t(Scaled)), MaxDen);
}

KnownRef limosa::onnximport::readKnown(ElementsAttr A) {
  auto Type = cast<RankedTensorType>(A.getShapedType());
  if (Type.getNumElements() > KnownTensor::MaxElements)
    return nullptr;
  auto Dense = dyn_cast<DenseElementsAttr>(A);
  if (!Dense)
    return nullptr;
  auto T = std::make_shared<KnownTensor>();
  T->Shape = SmallVector<int64_t>(Type.getShape());
  mlir::Type E = Type.getElementType();
  if (auto Int = dyn_cast<IntegerType>(E)) {
    for (APInt V : Dense.getValues<APInt>()) {
      bool Unsigned = Int.isUnsigned() || Int.getWidth() == 1;
      if (Unsigned && V.getActiveBits() > 63)
        return nullptr;
      T->Elements.push_back(Unsigned ? int64_t(V.getZExtValue())
                                     : V.getSExtValue());
    }
    return T;
  }
  if (!isa<Float16Type, Float32Type, Float64Type, BFloat16Type>(E))
    return nullptr;
  for (APFloat V : Dense.getValues<APFloat>()) {
    bool Loses;
    V.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &Loses);
    auto N = exactFloat(V.convertToDouble());
    if (!N)
      return nullptr;
    T->Elements.push_back(*N);
  }
  return T;
}
