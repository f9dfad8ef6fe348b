//===- InputSpec.cpp - What a caller knows of a model's inputs ------------===//

#include "InputSpec.h"
#include "Tensors.h"
#include "limosa/IR/LimosaDialect.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using llvm::Error;
using llvm::Expected;
using namespace limosa;
using namespace limosa::onnximport;

/// Sequences longer than this are no arguments that somebody lists.
static constexpr size_t MaxListed = 1 << 12;

static Expected<InputSpec::Shape> parseShape(StringRef Text) {
  InputSpec::Shape Out;
  if (Text.empty())
    return Out;
  SmallVector<StringRef> Sizes;
  Text.split(Sizes, 'x');
  for (StringRef S : Sizes) {
    int64_t Size;
    if (S == "?")
      Out.push_back(std::nullopt);
    else if (S.getAsInteger(10, Size) || Size < 0)
      return makeError("'" + S + "' is no size");
    else
      Out.push_back(Size);
  }
  return Out;
}

Expected<InputSpec> InputSpec::parse(StringRef Text) {
  InputSpec Out;
  if (Text == "none") {
    Out.K = Kind::Absent;
    return Out;
  }
  if (Text.consume_front("{")) {
    Out.K = Kind::Value;
    if (!Text.consume_back("}"))
      return makeError("'}' is missing");
    if (!Text.empty())
      Text.split(Out.Elements, ',');
    return Out;
  }
  SmallVector<StringRef> Shapes{Text};
  if (Text.consume_front("[")) {
    Out.K = Kind::List;
    if (!Text.consume_back("]"))
      return makeError("']' is missing");
    Shapes.clear();
    if (!Text.empty())
      Text.split(Shapes, ';');
    if (Shapes.size() > MaxListed)
      return makeError("the sequence is too long");
  }
  for (StringRef S : Shapes) {
    auto Shape = parseShape(S == "scalar" ? "" : S);
    if (!Shape)
      return Shape.takeError();
    Out.Shapes.push_back(std::move(*Shape));
  }
  return Out;
}

Expected<ElementsAttr>
InputSpec::value(MLIRContext *Ctx,
                 const onnx::TypeProto_Tensor &Declared) const {
  Type E = elementType(Ctx, Declared.elem_type());
  if (!E || isCarried(E))
    return makeError("holds elements of type " +
                     dataTypeName(Declared.elem_type()) +
                     ", of which no value can be given");
  SmallVector<int64_t> Shape;
  if (!Declared.has_shape() ? Elements.size() != 1
                            : Declared.shape().dim_size() == 1)
    Shape.push_back(int64_t(Elements.size()));
  else if (Declared.shape().dim_size() > 1 || Elements.size() != 1)
    return makeError("is no scalar or vector, which is all that can be given "
                     "a value");
  if (isa<StringType>(E)) {
    SmallVector<StringRef> Values(Elements.begin(), Elements.end());
    return cast<ElementsAttr>(cast<DenseElementsAttr>(
        DenseStringElementsAttr::get(RankedTensorType::get(Shape, E), Values)));
  }
  SmallVector<Attribute> Values;
  for (StringRef Text : Elements) {
    Text = Text.trim();
    if (auto F = dyn_cast<FloatType>(E)) {
      APFloat V(F.getFloatSemantics());
      auto Status = V.convertFromString(Text, APFloat::rmNearestTiesToEven);
      if (!Status) {
        consumeError(Status.takeError());
        return makeError("takes numbers, not '" + Text + "'");
      }
      Values.push_back(FloatAttr::get(E, V));
      continue;
    }
    APInt V;
    bool Negative = Text.consume_front("-");
    if (Text.getAsInteger(10, V) || V.getActiveBits() > 64)
      return makeError("takes integers, not '" + Text + "'");
    V = V.zextOrTrunc(64);
    if (Negative)
      V.negate();
    Values.push_back(
        IntegerAttr::get(E, V.trunc(std::min(64u, E.getIntOrFloatBitWidth()))));
  }
  return cast<ElementsAttr>(
      DenseElementsAttr::get(RankedTensorType::get(Shape, E), Values));
}
