//===- Dialect.cpp - The limosa dialect and its attributes ----------------===//

#include "limosa/IR/LimosaDialect.h"
#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Types.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/Transforms/InliningUtils.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace limosa;

#include "limosa/IR/LimosaDialect.cpp.inc"
#include "limosa/IR/LimosaEnums.cpp.inc"
#include "limosa/IR/LimosaInterfaces.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "limosa/IR/LimosaAttrs.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "limosa/IR/LimosaTypes.cpp.inc"
#define GET_OP_CLASSES
#include "limosa/IR/LimosaOps.cpp.inc"

namespace {

/// Everything may be inlined: composites are inlined when no device claims
/// them.
struct LimosaInliner : DialectInlinerInterface {
  using DialectInlinerInterface::DialectInlinerInterface;
  bool isLegalToInline(Operation *, Operation *, bool) const final {
    return true;
  }
  bool isLegalToInline(Operation *, Region *, bool, IRMapping &) const final {
    return true;
  }
  bool isLegalToInline(Region *, Region *, bool, IRMapping &) const final {
    return true;
  }
  void handleTerminator(Operation *, ValueRange) const final {}
};

} // namespace

void LimosaDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "limosa/IR/LimosaAttrs.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "limosa/IR/LimosaTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "limosa/IR/LimosaOps.cpp.inc"
      >();
  addInterfaces<LimosaInliner>();
}

Operation *LimosaDialect::materializeConstant(OpBuilder &B, Attribute Value,
                                              Type Ty, Location Loc) {
  auto Elements = dyn_cast<ElementsAttr>(Value);
  if (!Elements || Elements.getType() != Ty)
    return nullptr;
  return ConstantOp::create(B, Loc, Ty, Elements);
}

// `<` `[` "dim", .. `]` (`,` `[` order, .. `]`)? `>`
Attribute EncodingAttr::parse(AsmParser &P, Type) {
  SmallVector<StringAttr> Dims;
  SmallVector<int64_t> Order;
  auto parseDim = [&] { return P.parseAttribute(Dims.emplace_back()); };
  auto parseOrder = [&] { return P.parseInteger(Order.emplace_back()); };
  using Delimiter = AsmParser::Delimiter;
  SMLoc Start = P.getCurrentLocation();
  if (P.parseLess() || P.parseCommaSeparatedList(Delimiter::Square, parseDim) ||
      (succeeded(P.parseOptionalComma()) &&
       P.parseCommaSeparatedList(Delimiter::Square, parseOrder)) ||
      P.parseGreater())
    return {};
  return getChecked([&] { return P.emitError(Start); }, P.getContext(), Dims,
                    Order);
}

void EncodingAttr::print(AsmPrinter &P) const {
  P << "<[";
  llvm::interleaveComma(getDims(), P, [&](StringAttr D) { P << D; });
  P << "]";
  if (!getOrder().empty()) {
    P << ", [";
    llvm::interleaveComma(getOrder(), P);
    P << "]";
  }
  P << ">";
}

LogicalResult EncodingAttr::verify(function_ref<InFlightDiagnostic()> EmitError,
                                   ArrayRef<StringAttr> Dims,
                                   ArrayRef<int64_t> Order) {
  for (StringAttr D : Dims) {
    std::string Error;
    auto E = DimExpr::parse(std::string_view(D.data(), D.size()), &Error);
    if (!E)
      return EmitError() << "dimension expression: " << Error;
    if (E->toString() != std::string_view(D.data(), D.size()))
      return EmitError() << "dimension expression '" << D.getValue()
                         << "' must be written '" << E->toString() << "'";
  }
  SmallVector<bool> Seen(Order.size(), false);
  for (int64_t O : Order) {
    if (O < 0 || O >= int64_t(Order.size()) || Seen[O])
      return EmitError() << "order must be a permutation";
    Seen[O] = true;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Traits
//===----------------------------------------------------------------------===//

static SmallVector<Type> allTypes(Operation *Op) {
  SmallVector<Type> Types(Op->getOperandTypes());
  llvm::append_range(Types, Op->getResultTypes());
  return Types;
}

LogicalResult limosa::OpTrait::detail::verifySameShape(Operation *Op) {
  SmallVector<Type> Types = allTypes(Op);
  for (Type Ty : Types)
    if (!isa<RankedTensorType>(Ty) || !sameShape(Ty, Types.front()))
      return Op->emitOpError(
                 "needs one shape for all operands and results, got ")
             << Types.front() << " and " << Ty;
  return success();
}

LogicalResult limosa::OpTrait::detail::verifySameElementType(Operation *Op) {
  SmallVector<Type> Types = allTypes(Op);
  for (Type Ty : Types)
    if (getElementTypeOrSelf(Ty) != getElementTypeOrSelf(Types.front()))
      return Op->emitOpError(
                 "needs one dtype for all operands and results, got ")
             << Types.front() << " and " << Ty;
  return success();
}
