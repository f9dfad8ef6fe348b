//===- Materialize.cpp - Named tensors as values of the IR ----------------===//

#include "Importer.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

Tensor Tensor::of(KnownRef K, mlir::Type ElementType) {
  Tensor T;
  T.Type = RankedTensorType::get(K->Shape, ElementType);
  T.Known = std::move(K);
  return T;
}

Tensor Tensor::of(Sequence S) {
  Tensor T;
  T.Seq = std::make_shared<const Sequence>(std::move(S));
  return T;
}

KnownRef Importer::known(Tensor &T) {
  if (!T.Known && T.Const && !T.KnownTried) {
    T.KnownTried = true;
    T.Known = readKnown(T.Const);
  }
  return T.Known;
}

/// Bits of an exact number in an element type; null if it does not fit.
static Attribute numberAttr(Type E, const KnownNumber &N) {
  int64_t V = *N.Num.constant();
  if (auto F = dyn_cast<FloatType>(E))
    return FloatAttr::get(F, double(V) / double(N.Den));
  return IntegerAttr::get(E, APInt(E.getIntOrFloatBitWidth(), uint64_t(V),
                                   /*isSigned=*/false, /*implicitTrunc=*/true));
}

static Value materializeKnown(CoreBuilder &B, const KnownTensor &T, Type E) {
  if (llvm::all_of(T.Elements, [](const KnownNumber &N) {
        return N.Num.constant().has_value();
      })) {
    SmallVector<Attribute> Values;
    for (const KnownNumber &N : T.Elements)
      Values.push_back(numberAttr(E, N));
    return B.constant(
        DenseElementsAttr::get(RankedTensorType::get(T.Shape, E), Values));
  }
  SmallVector<Value> Parts;
  for (const KnownNumber &N : T.Elements) {
    Value V = B.convert(B.dim(N.Num), E);
    if (N.Den != 1)
      V = B.mulScalar(V, 1.0 / double(N.Den));
    Parts.push_back(B.reshape(V, {DimExpr(1)}));
  }
  Value All = B.concat(Parts, 0);
  Dims Shape;
  for (int64_t D : T.Shape)
    Shape.push_back(DimExpr(D));
  return B.reshape(All, Shape);
}

Value Importer::materialize(Tensor &T, Location Loc) {
  if (T.V)
    return T.V;
  CoreBuilder B(Builder, Loc);
  if (T.Const) {
    OpBuilder::InsertionGuard Guard(Builder);
    if (LastConstant)
      Builder.setInsertionPointAfter(LastConstant);
    else
      Builder.setInsertionPointToStart(EntryBlock);
    T.V = B.constant(T.Const);
    LastConstant = T.V.getDefiningOp();
    return T.V;
  }
  Value V = materializeKnown(B, *T.Known, T.Type.getElementType());
  // A value made in a region is not seen outside of it.
  if (Builder.getInsertionBlock() == EntryBlock)
    T.V = V;
  return V;
}
