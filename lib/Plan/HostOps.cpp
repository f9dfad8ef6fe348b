//===- HostOps.cpp - custom_call to a call of the host --------------------===//

#include "EntryPlanner.h"

#include "limosa/Dispatch/Fusion.h"
#include "limosa/IR/LimosaOps.h"

using namespace mlir;

namespace limosa::plan {

static llvm::Expected<std::unique_ptr<fb::AttrT>>
convert(NamedAttribute Named) {
  auto A = std::make_unique<fb::AttrT>();
  A->name = Named.getName().str();
  Attribute Value = Named.getValue();
  if (auto Int = dyn_cast<IntegerAttr>(Value)) {
    A->kind = fb::AttrKind::Int;
    A->i = Int.getValue().getSExtValue();
  } else if (auto Float = dyn_cast<FloatAttr>(Value)) {
    A->kind = fb::AttrKind::Float;
    A->f = Float.getValueAsDouble();
  } else if (auto Text = dyn_cast<StringAttr>(Value)) {
    A->kind = fb::AttrKind::String;
    A->s = Text.str();
  } else if (auto Ints = dyn_cast<DenseI64ArrayAttr>(Value)) {
    A->kind = fb::AttrKind::Ints;
    A->ints.assign(Ints.asArrayRef().begin(), Ints.asArrayRef().end());
  } else if (auto Floats = dyn_cast<DenseF64ArrayAttr>(Value)) {
    A->kind = fb::AttrKind::Floats;
    A->floats.assign(Floats.asArrayRef().begin(), Floats.asArrayRef().end());
  } else if (auto Texts = dyn_cast<ArrayAttr>(Value)) {
    A->kind = fb::AttrKind::Strings;
    for (StringRef Text : Texts.getAsValueRange<StringAttr>())
      A->strings.push_back(Text.str());
  } else if (auto Elements = dyn_cast<ElementsAttr>(Value)) {
    A->kind = fb::AttrKind::Data;
    auto Ty = cast<RankedTensorType>(Elements.getShapedType());
    A->i = int64_t(getDType(Ty.getElementType()));
    A->ints.assign(Ty.getShape().begin(), Ty.getShape().end());
    std::vector<uint8_t> Owned;
    auto Bytes = constantBytes(Elements, Ty, Owned);
    if (!Bytes)
      return Bytes.takeError();
    A->data.assign(Bytes->begin(), Bytes->end());
  } else {
    return llvm::createStringError("internal: attribute '" + A->name +
                                   "' of a custom_call has an unknown kind");
  }
  return A;
}

/// The call allocates results whose sizes it finds; the others have their
/// memory before.
llvm::Error EntryPlanner::visitCustomCall(Operation *Op, Scope &S) {
  auto Call = cast<CustomCallOp>(Op);
  fb::HostOpT Step;
  Step.name = Call.getTarget().str();
  Step.version = int64_t(Call.getVersion());
  if (SmallVector<std::string> Nodes = modelNodes(Op->getLoc()); !Nodes.empty())
    Step.node = Nodes.back();
  for (auto [I, V] : llvm::enumerate(Call.getInputs())) {
    auto B = bufferOf(V);
    if (!B)
      return B.takeError();
    if (auto Slots = Call.getSlots())
      Step.inputs.resize((*Slots)[I], 0xffffffff);
    Step.inputs.push_back(*B);
  }
  for (NamedAttribute Attr : Call.getConfig()) {
    auto A = convert(Attr);
    if (!A)
      return A.takeError();
    Step.attrs.push_back(std::move(*A));
  }
  // Positions among the operands are not those among the operator's inputs.
  auto list = [&](StringRef Name) {
    auto Which = Op->getAttrOfType<DenseI64ArrayAttr>(Name);
    return Which ? Which.asArrayRef() : ArrayRef<int64_t>();
  };
  for (int64_t I : list("string_inputs"))
    Step.string_inputs.push_back(Call.getSlots() ? (*Call.getSlots())[I] : I);
  for (int64_t I : list("string_outputs"))
    Step.string_outputs.push_back(I);
  llvm::StringSet<> Found;
  if (auto Symbols = Call.getSymbols())
    for (StringRef Symbol : Symbols->getAsValueRange<StringAttr>()) {
      Step.symbols.push_back(P.Exprs.symbol(Symbol));
      Assigned.insert(Symbol);
      Found.insert(Symbol);
    }
  for (Value V : Call.getOutputs()) {
    uint32_t B = define(V, S);
    Step.outputs.push_back(B);
    if (llvm::none_of(getDims(V), [&](const DimExpr &D) {
          auto Symbol = D.asSymbol();
          return Symbol && Found.contains(*Symbol);
        }))
      allocIfDynamic(B, S);
  }
  for (uint32_t B : Step.inputs)
    if (B != 0xffffffff)
      touch(B, S);
  for (uint32_t B : Step.outputs)
    touch(B, S);
  emit(std::move(Step), S);
  return llvm::Error::success();
}

} // namespace limosa::plan
