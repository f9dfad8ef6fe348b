//===- OpSupport.cpp - What the families of ops share ---------------------===//

#include "OpSupport.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::detail;

LogicalResult limosa::detail::verifyInferred(
    Operation *Op, Type Declared,
    function_ref<RankedTensorType(infer::FailFn)> Infer) {
  bool Failed = false;
  RankedTensorType Expected = Infer([&](const Twine &Message) {
    Failed = true;
    Op->emitOpError() << Message;
  });
  if (Failed)
    return failure();
  if (!sameLogicalType(Expected, Declared))
    return Op->emitOpError("result must be ")
           << Expected << ", not " << Declared;
  return success();
}

LogicalResult limosa::detail::verifyExprs(Operation *Op, StringRef Name,
                                          ArrayAttr Texts, size_t Count) {
  if (Texts.size() != Count)
    return Op->emitOpError()
           << Name << " needs " << Count << " entries, has " << Texts.size();
  for (Attribute A : Texts) {
    StringRef Text = cast<StringAttr>(A).getValue();
    std::string Error;
    if (!DimExpr::parse(std::string_view(Text.data(), Text.size()), &Error))
      return Op->emitOpError() << Name << ": " << Error;
  }
  return success();
}

LogicalResult limosa::detail::verifyScalarRegion(Operation *Op, Region &R,
                                                 ArrayRef<Type> ArgElements,
                                                 ArrayRef<Type> YieldElements) {
  Block &Body = R.front();
  auto matches = [](TypeRange Types, ArrayRef<Type> Elements) {
    if (Types.size() != Elements.size())
      return false;
    for (auto [Ty, E] : llvm::zip(Types, Elements)) {
      auto T = dyn_cast<RankedTensorType>(Ty);
      if (!T || T.getRank() != 0 || T.getElementType() != E)
        return false;
    }
    return true;
  };
  if (!matches(Body.getArgumentTypes(), ArgElements))
    return Op->emitOpError("region needs ")
           << ArgElements.size() << " rank-0 arguments of the operands' dtypes";
  auto Yield = dyn_cast_or_null<YieldOp>(Body.empty() ? nullptr : &Body.back());
  if (!Yield)
    return Op->emitOpError("region must end in limosa.yield");
  if (!matches(Yield->getOperandTypes(), YieldElements))
    return Op->emitOpError("region must yield ")
           << YieldElements.size() << " rank-0 tensors of the expected dtypes";
  return success();
}

bool limosa::detail::agree(Type A, Type B) {
  auto TA = cast<RankedTensorType>(A), TB = cast<RankedTensorType>(B);
  if (TA.getElementType() != TB.getElementType() ||
      TA.getRank() != TB.getRank())
    return false;
  for (int64_t D = 0; D < TA.getRank(); ++D)
    if (!TA.isDynamicDim(D) && !TB.isDynamicDim(D) &&
        TA.getDimSize(D) != TB.getDimSize(D))
      return false;
  return true;
}

SmallVector<DimAccess> limosa::detail::wholeAccess(Type Ty) {
  return SmallVector<DimAccess>(cast<RankedTensorType>(Ty).getRank(),
                                DimAccess::whole());
}

IterationSpace limosa::detail::spaceFromResult(Operation *Op, MapAccesses Map) {
  IterationSpace S;
  SmallVector<DimAccess> Result;
  for (const DimExpr &D : getDims(Op->getResult(0).getType()))
    Result.push_back(DimAccess::iterator(S.addDim(IteratorKind::Parallel, D)));
  for (Value V : Op->getOperands())
    S.Operands.push_back(wholeAccess(V.getType()));
  Map(S, Result);
  S.Results.assign(Op->getNumResults(), Result);
  return S;
}
