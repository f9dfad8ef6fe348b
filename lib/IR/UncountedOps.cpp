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

LogicalResult StringIndexOp::verify() {
  if (!sameShape(getOperand().getType(), getType()))
    return emitOpError("must keep the shape");
  return success();
}

LogicalResult DimOp::verify() {
  return verifyExprs(*this, "expr",
                     ArrayAttr::get(getContext(), {getExprAttr()}), 1);
}

LogicalResult CustomCallOp::verify() {
  if (!getTarget().contains("::") || getVersion() < 1)
    return emitOpError("needs a target 'domain::Op' and a version from 1 on");
  if (auto Slots = getSlots()) {
    int64_t Next = 0;
    for (int64_t Slot : *Slots) {
      if (Slot < Next)
        return emitOpError("slots must be increasing and not negative");
      Next = Slot + 1;
    }
    if (Slots->size() != getInputs().size())
      return emitOpError("needs a slot for every operand");
  }
  auto Symbols = getSymbols();
  if (!Symbols)
    return success();
  for (StringRef Name : Symbols->getAsValueRange<StringAttr>()) {
    bool Found = llvm::any_of(getOutputs(), [&](Value V) {
      return llvm::any_of(getDims(V), [&](const DimExpr &D) {
        return D.asSymbol() == std::string_view(Name);
      });
    });
    if (!Found)
      return emitOpError("no result has the dimension '") << Name << "'";
  }
  return success();
}

void CustomCallOp::getEffects(
    SmallVectorImpl<MemoryEffects::EffectInstance> &Effects) {
  if (getStateful() || getSymbols())
    Effects.emplace_back(MemoryEffects::Write::get());
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
