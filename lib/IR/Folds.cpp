//===- Folds.cpp - Identities of single ops -------------------------------===//
//
// What an op simplifies to without looking at more than its operands. Folding
// of constants by value is in lib/Transforms: it runs the reference device.
//
//===----------------------------------------------------------------------===//

#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Types.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace limosa;

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

OpFoldResult ReshapeOp::fold(FoldAdaptor) {
  if (getOperand().getType() == getType())
    return getOperand();
  // A reshape only sees the row-major sequence, so the last one decides.
  if (auto Inner = getOperand().getDefiningOp<ReshapeOp>()) {
    if (Inner.getOperand().getType() == getType())
      return Inner.getOperand();
    getOperandMutable().assign(Inner.getOperand());
    return getResult();
  }
  return {};
}

OpFoldResult TransposeOp::fold(FoldAdaptor) {
  bool Identity = true;
  for (auto [D, P] : llvm::enumerate(getPerm()))
    Identity &= P == int64_t(D);
  if (Identity && getOperand().getType() == getType())
    return getOperand();
  if (auto Inner = getOperand().getDefiningOp<TransposeOp>()) {
    SmallVector<int64_t> Perm;
    for (int64_t P : getPerm())
      Perm.push_back(Inner.getPerm()[P]);
    setPerm(Perm);
    getOperandMutable().assign(Inner.getOperand());
    return getResult();
  }
  return {};
}

OpFoldResult BroadcastOp::fold(FoldAdaptor) {
  if (getOperand().getType() == getType())
    return getOperand();
  auto Inner = getOperand().getDefiningOp<BroadcastOp>();
  if (!Inner)
    return {};
  SmallVector<int64_t> Composed;
  for (int64_t D : Inner.getDims())
    Composed.push_back(getDims()[D]);
  setDims(Composed);
  getOperandMutable().assign(Inner.getOperand());
  return getResult();
}

OpFoldResult SliceOp::fold(FoldAdaptor) {
  // A slice as large as its operand starts at zero, or runs backwards.
  if (getOperand().getType() == getType() &&
      llvm::all_of(getSteps(), [](int64_t S) { return S > 0; }))
    return getOperand();
  return {};
}

OpFoldResult PadOp::fold(FoldAdaptor) {
  if (getOperand().getType() == getType())
    return getOperand();
  return {};
}

OpFoldResult ConcatOp::fold(FoldAdaptor) {
  if (getInputs().size() == 1 && getInputs()[0].getType() == getType())
    return getInputs()[0];
  return {};
}

OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValue(); }

OpFoldResult DimOp::fold(FoldAdaptor) {
  if (auto C = parseDim(getExpr()).constant())
    return DenseElementsAttr::get(cast<RankedTensorType>(getType()),
                                  ArrayRef<int64_t>(*C));
  return {};
}

OpFoldResult RelayoutOp::fold(FoldAdaptor) {
  if (getOperand().getType() == getType())
    return getOperand();
  if (auto Inner = getOperand().getDefiningOp<RelayoutOp>()) {
    if (Inner.getOperand().getType() == getType())
      return Inner.getOperand();
    getOperandMutable().assign(Inner.getOperand());
    return getResult();
  }
  return {};
}
