//===- MathEmitter.cpp - Short names for the arithmetic of expansions -----===//
//-------===//

#include "MathEmitter.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace limosa {

Type MathEmitter::shaped(Type Element) const {
  if (auto Vector = dyn_cast<VectorType>(Like))
    return Vector.clone(Element);
  return Element;
}

Value MathEmitter::constant(TypedAttr Element) {
  if (auto Vector = dyn_cast<VectorType>(shaped(Element.getType())))
    return make<arith::ConstantOp>(DenseElementsAttr::get(Vector, Element));
  return make<arith::ConstantOp>(Element);
}

Value MathEmitter::polynomial(Value X, ArrayRef<double> C) {
  bool IsF32 = getElementTypeOrSelf(X.getType()).isF32();
  auto Coefficient = [&](double V) {
    return IsF32 ? f32(static_cast<float>(V)) : f64(V);
  };
  Value Sum = Coefficient(C.front());
  for (double Next : C.drop_front())
    Sum = fma(Sum, X, Coefficient(Next));
  return Sum;
}

Value MathEmitter::any(Value Condition) {
  auto Type = dyn_cast<VectorType>(Condition.getType());
  if (!Type)
    return Condition;
  if (Type.getRank() != 1) {
    auto Flat = VectorType::get({Type.getNumElements()}, Type.getElementType());
    Condition = make<vector::ShapeCastOp>(Flat, Condition);
  }
  return make<vector::ReductionOp>(vector::CombiningKind::OR, Condition);
}

} // namespace limosa
