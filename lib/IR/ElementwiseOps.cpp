//===- ElementwiseOps.cpp - Elementwise core ops --------------------------===//

#include "OpSupport.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::detail;

IterationSpace limosa::elementwiseIterationSpace(Operation *Op) {
  return spaceFromResult(Op, [&](IterationSpace &S, ArrayRef<DimAccess> R) {
    for (auto &Accesses : S.Operands)
      Accesses = llvm::to_vector(R);
  });
}

//===----------------------------------------------------------------------===//
// Verifiers
//===----------------------------------------------------------------------===//

LogicalResult CompareOp::verify() {
  if (getElementTypeOrSelf(getLhs()) != getElementTypeOrSelf(getRhs()))
    return emitOpError("lhs and rhs need one dtype");
  bool Equality = getDirection() == CompareDirection::EQ ||
                  getDirection() == CompareDirection::NE;
  if (isa<StringType>(getElementTypeOrSelf(getLhs())) && !Equality)
    return emitOpError("strings are equal or not, they have no order");
  return success();
}

LogicalResult SelectOp::verify() {
  Type E = getElementTypeOrSelf(getType());
  if (getElementTypeOrSelf(getOnTrue()) != E ||
      getElementTypeOrSelf(getOnFalse()) != E)
    return emitOpError("on_true, on_false and the result need one dtype");
  return success();
}

LogicalResult ConvertOp::verify() {
  if (isa<StringType>(getElementTypeOrSelf(getOperand())) ||
      isa<StringType>(getElementTypeOrSelf(getType())))
    return emitOpError("does not convert strings");
  return success();
}

LogicalResult BitcastOp::verify() {
  DType From = getDType(getElementTypeOrSelf(getOperand())),
        To = getDType(getElementTypeOrSelf(getType()));
  if (From == DType::Bool || To == DType::Bool || From == DType::String ||
      To == DType::String || dtypeBits(From) != dtypeBits(To))
    return emitOpError("needs dtypes of one width, not bool or string");
  return success();
}

//===----------------------------------------------------------------------===//
// Identities
//===----------------------------------------------------------------------===//

/// The value of a splat constant, looking through broadcasts.
static Attribute splatValue(Value V) {
  while (auto B = V.getDefiningOp<BroadcastOp>())
    V = B.getOperand();
  DenseElementsAttr Elements;
  if (matchPattern(V, m_Constant(&Elements)) && Elements.isSplat())
    return Elements.getSplatValue<Attribute>();
  return {};
}

static bool isSplat(Value V, double Wanted) {
  Attribute A = splatValue(V);
  if (auto F = dyn_cast_or_null<FloatAttr>(A))
    return F.getValueAsDouble() == Wanted;
  if (auto I = dyn_cast_or_null<IntegerAttr>(A))
    return I.getValue() == APInt(I.getValue().getBitWidth(), int64_t(Wanted),
                                 /*isSigned=*/true);
  return false;
}

OpFoldResult AddOp::fold(FoldAdaptor) {
  if (isSplat(getRhs(), 0) && getLhs().getType() == getType())
    return getLhs();
  if (isSplat(getLhs(), 0) && getRhs().getType() == getType())
    return getRhs();
  return {};
}

OpFoldResult MulOp::fold(FoldAdaptor) {
  if (isSplat(getRhs(), 1) && getLhs().getType() == getType())
    return getLhs();
  if (isSplat(getLhs(), 1) && getRhs().getType() == getType())
    return getRhs();
  return {};
}

OpFoldResult DivOp::fold(FoldAdaptor) {
  if (isSplat(getRhs(), 1) && getLhs().getType() == getType())
    return getLhs();
  return {};
}

OpFoldResult MinOp::fold(FoldAdaptor) {
  return getLhs() == getRhs() && getLhs().getType() == getType()
             ? OpFoldResult(getLhs())
             : OpFoldResult();
}

OpFoldResult MaxOp::fold(FoldAdaptor) {
  return getLhs() == getRhs() && getLhs().getType() == getType()
             ? OpFoldResult(getLhs())
             : OpFoldResult();
}

OpFoldResult NegOp::fold(FoldAdaptor) {
  if (auto Inner = getOperand().getDefiningOp<NegOp>())
    if (Inner.getOperand().getType() == getType())
      return Inner.getOperand();
  return {};
}

OpFoldResult SelectOp::fold(FoldAdaptor) {
  auto choose = [&](Value V) {
    return V.getType() == getType() ? OpFoldResult(V) : OpFoldResult();
  };
  if (getOnTrue() == getOnFalse())
    return choose(getOnTrue());
  if (isSplat(getCondition(), 0))
    return choose(getOnFalse());
  if (isa_and_nonnull<IntegerAttr>(splatValue(getCondition())))
    return choose(getOnTrue());
  return {};
}

OpFoldResult ConvertOp::fold(FoldAdaptor) {
  if (getOperand().getType() == getType())
    return getOperand();
  return {};
}
