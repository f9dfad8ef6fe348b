//===- UncountedOps.cpp - Ops that compute nothing by themselves ----------===//

#include "OpSupport.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::detail;

// The value's type is the result's: `limosa.constant {attrs} dense<1> : type`.
ParseResult ConstantOp::parse(OpAsmParser &P, OperationState &State) {
  ElementsAttr Elements;
  if (P.parseOptionalAttrDict(State.attributes) ||
      P.parseAttribute(Elements, "value", State.attributes))
    return failure();
  State.addTypes(Elements.getShapedType());
  return success();
}

void ConstantOp::print(OpAsmPrinter &P) {
  P.printOptionalAttrDict((*this)->getAttrs(), {"value"});
  P << " " << getValue();
}

LogicalResult ConstantOp::verify() {
  if (getValue().getShapedType() != getType())
    return emitOpError("result must have the value's type");
  return success();
}

LogicalResult DimOp::verify() {
  return verifyExprs(*this, "expr",
                     ArrayAttr::get(getContext(), {getExprAttr()}), 1);
}

LogicalResult RelayoutOp::verify() {
  if (!sameLogicalType(getOperand().getType(), getType()))
    return emitOpError("must keep shape and dtype");
  return success();
}

/// A call by symbol: the function exists and its signature is that of the op.
static LogicalResult verifyCall(Operation *Op, FlatSymbolRefAttr Callee,
                                SymbolTableCollection &Symbols) {
  auto F = Symbols.lookupNearestSymbolFrom<func::FuncOp>(Op, Callee);
  if (!F)
    return Op->emitOpError("names no function: ") << Callee;
  auto sameTypes = [](TypeRange A, TypeRange B) {
    return A.size() == B.size() && llvm::all_of(llvm::zip(A, B), [](auto P) {
             return agree(std::get<0>(P), std::get<1>(P));
           });
  };
  if (!sameTypes(F.getArgumentTypes(), Op->getOperandTypes()) ||
      !sameTypes(F.getResultTypes(), Op->getResultTypes()))
    return Op->emitOpError("does not have the signature of ") << Callee;
  return success();
}

LogicalResult CompositeOp::verifySymbolUses(SymbolTableCollection &Symbols) {
  return verifyCall(*this, getBodyAttr(), Symbols);
}
LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &Symbols) {
  return verifyCall(*this, getKernelAttr(), Symbols);
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
