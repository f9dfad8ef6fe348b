//===- MathEmitter.cpp - Short names for the arithmetic of expansions -----===//

#include "MathEmitter.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
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

bool MathEmitter::hasScale() const {
  auto Vector = dyn_cast<VectorType>(Like);
  return Avx512 && Vector && Vector.getShape() == ArrayRef<int64_t>{16} &&
         Vector.getElementType().isF32();
}

Value MathEmitter::scale(Value X, Value N) {
  Value All = LLVM::ConstantOp::create(B, Loc, B.getI16IntegerAttr(-1));
  constexpr int32_t CurrentRounding = 4;
  Value Rounding =
      LLVM::ConstantOp::create(B, Loc, B.getI32IntegerAttr(CurrentRounding));
  return LLVM::CallIntrinsicOp::create(
             B, Loc, X.getType(),
             B.getStringAttr("llvm.x86.avx512.mask.scalef.ps.512"),
             ValueRange{X, N, X, All, Rounding})
      .getResult(0);
}

Value MathEmitter::roughReciprocal(Value X) {
  Value All = LLVM::ConstantOp::create(B, Loc, B.getI16IntegerAttr(-1));
  return LLVM::CallIntrinsicOp::create(
             B, Loc, X.getType(),
             B.getStringAttr("llvm.x86.avx512.rcp14.ps.512"),
             ValueRange{X, X, All})
      .getResult(0);
}

Value MathEmitter::divByLarge(Value L, Value R) {
  if (!hasScale())
    return div(L, R);
  // The reciprocal is a normal number, and one step doubles its digits.
  R = atMost(R, f32(0x1p126f));
  Value Rough = roughReciprocal(R);
  Value Error = fma(neg(R), Rough, f32(1.0f));
  return mul(L, fma(Rough, Error, Rough));
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
