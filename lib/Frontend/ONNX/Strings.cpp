//===- Strings.cpp - Operators on strings and pictures --------------------===//
//
// What reads the text of strings or decodes pictures is a call of the host's
// (host/); what only compares and moves strings is compiled.
//
//===----------------------------------------------------------------------===//

#include "Strings.h"
#include "Registry.h"
#include "Tensors.h"
#include "onnx-ml.pb.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

using Dir = CompareDirection;

//===----------------------------------------------------------------------===//
// Shared
//===----------------------------------------------------------------------===//

Value limosa::onnximport::stringVector(CoreBuilder &B,
                                       ArrayRef<std::string> V) {
  auto Ty =
      RankedTensorType::get({int64_t(V.size())}, StringType::get(B.context()));
  return B.constant(DenseStringElementsAttr::get(
      Ty, SmallVector<StringRef>(V.begin(), V.end())));
}

SmallVector<std::string> limosa::onnximport::stringsOf(ElementsAttr A) {
  SmallVector<std::string> Out;
  if (auto Strings = dyn_cast<DenseStringElementsAttr>(A))
    for (StringRef S : Strings.getValues<StringRef>())
      Out.push_back(S.str());
  return Out;
}

std::optional<SmallVector<std::string>>
limosa::onnximport::tensorStrings(Node &N, StringRef Name) {
  const onnx::AttributeProto *A = N.findAttr(Name);
  if (!A || !A->has_t() || A->t().data_type() != onnx::TensorProto::STRING)
    return std::nullopt;
  auto T = readTensor(N.I.context(), N.I.file(), A->t());
  if (!T) {
    consumeError(T.takeError());
    return std::nullopt;
  }
  return stringsOf(*T);
}

Value limosa::onnximport::stringIndex(CoreBuilder &B, Value X,
                                      ArrayRef<std::string> List) {
  auto &Builder = B.builder();
  auto Ty = withElementType(cast<RankedTensorType>(X.getType()),
                            Builder.getI64Type());
  return StringIndexOp::create(Builder, B.loc(), Ty, X,
                               Builder.getStrArrayAttr(SmallVector<StringRef>(
                                   List.begin(), List.end())));
}

Value limosa::onnximport::stringRank(Node &N, Value X) {
  auto Ty = withElementType(cast<RankedTensorType>(X.getType()), N.i64());
  return hostCall(N, "StringRank", {X}, {Ty}).front();
}

SmallVector<Value> limosa::onnximport::hostCall(Node &N, StringRef Op,
                                                ValueRange Inputs,
                                                ArrayRef<Type> Results,
                                                ArrayRef<NamedAttribute> Config,
                                                ArrayRef<DimExpr> Found) {
  auto &B = N.B.builder();
  SmallVector<Attribute> Symbols;
  for (const DimExpr &S : Found)
    Symbols.push_back(B.getStringAttr(S.toString()));
  auto Call = CustomCallOp::create(
      B, N.B.loc(), Results, Inputs, B.getStringAttr("limosa::" + Op),
      B.getI64IntegerAttr(1), B.getDictionaryAttr(Config), DenseI64ArrayAttr(),
      Symbols.empty() ? ArrayAttr() : B.getArrayAttr(Symbols), UnitAttr());
  return llvm::to_vector_of<Value>(Call.getOutputs());
}

FailureOr<Value> limosa::onnximport::castString(Node &N, Value X, Type To) {
  CoreBuilder &B = N.B;
  auto Ty = cast<RankedTensorType>(X.getType());
  Type From = Ty.getElementType();
  // Kernels read and write the widest types; f32 is apart, since its decimal
  // form is not that of a double.
  auto wide = [&](Type E) -> Type {
    if (isFloatType(E))
      return E.isF64() ? E : N.f32();
    return E.isUnsignedInteger(64) ? E : N.i64();
  };
  if (isString(To)) {
    X = B.convert(X, wide(From));
    return hostCall(N, "NumberToString", {X}, {withElementType(Ty, To)})
        .front();
  }
  if (isCarried(To))
    return N.fail("casts from string to " + typeName(To) +
                  " are not supported");
  Type Read = isBool(To) ? B.builder().getF64Type() : wide(To);
  Value Y =
      hostCall(N, "StringToNumber", {X}, {withElementType(Ty, Read)}).front();
  if (isBool(To))
    return B.compare(Dir::NE, Y, B.full(0, Y));
  return B.convert(Y, To);
}

//===----------------------------------------------------------------------===//
// Strings
//===----------------------------------------------------------------------===//

static LogicalResult stringConcat(Node &N) {
  if (failed(N.sameElem(0, 1)))
    return failure();
  auto Vs = N.broadcast({N.in(0), N.in(1)});
  if (failed(Vs))
    return failure();
  return N.done(hostCall(N, "StringConcat", *Vs, {(*Vs)[0].getType()}));
}

static LogicalResult stringSplit(Node &N) {
  Dims Shape = N.dims(0);
  auto Counts = withElementType(N.type(0), N.i64());
  DimExpr Most = N.I.freshSymbol("parts");
  Shape.push_back(Most);
  return N.done(hostCall(
      N, "StringSplit", {N.in(0)}, {makeTensorType(Shape, N.elem(0)), Counts},
      {N.cfg("delimiter", StringRef(N.attr("delimiter", StringRef()))),
       N.cfg("maxsplit", N.attr("maxsplit", int64_t(-1)))},
      {Most}));
}

static LogicalResult stringNormalizer(Node &N) {
  Dims Shape = N.dims(0);
  if (Shape.empty() || Shape.size() > 2)
    return N.fail("the input must be a vector or a matrix of one row");
  if (Shape.size() == 2) {
    if (failed(N.wantEqual(Shape[0], DimExpr(1), "the number of rows and 1")))
      return failure();
    Shape[0] = DimExpr(1);
  }
  std::string Locale = N.attr("locale", StringRef("en_US"));
  StringRef Language = StringRef(Locale).split('.').first;
  if (!llvm::is_contained({"", "C", "POSIX", "en_US", "en-US", "en_GB"},
                          Language))
    return N.fail("locale '" + Locale + "' is not supported");
  Value X = N.as(N.in(0), Shape);
  DimExpr Bound = DimExpr::max(Shape.back(), DimExpr(1));
  DimExpr Left = N.I.freshSymbol("words", &Bound, /*Min=*/1);
  Shape.back() = Left;
  auto &B = N.B.builder();
  SmallVector<StringRef> Stops;
  auto Given = N.strings("stopwords");
  if (Given)
    Stops.append(Given->begin(), Given->end());
  std::string Action = N.attr("case_change_action", StringRef("NONE"));
  return N.done(hostCall(
      N, "StringNormalizer", {X}, {makeTensorType(Shape, N.elem(0))},
      {N.cfg("case_change_action", StringRef(Action)),
       N.cfg("is_case_sensitive", N.attr("is_case_sensitive", int64_t(0))),
       B.getNamedAttr("stopwords", B.getStrArrayAttr(Stops))},
      {Left}));
}

static LogicalResult regexFullMatch(Node &N) {
  std::string Pattern = N.attr("pattern", StringRef());
  return N.done(hostCall(N, "RegexFullMatch", {N.in(0)},
                         {withElementType(N.type(0), N.i1())},
                         {N.cfg("pattern", StringRef(Pattern))}));
}

//===----------------------------------------------------------------------===//
// Pictures
//===----------------------------------------------------------------------===//

static LogicalResult imageDecoder(Node &N) {
  if (failed(N.wantRank(0, 1)))
    return failure();
  if (!N.elem(0).isUnsignedInteger(8))
    return N.fail("the picture must be bytes (uint8)");
  std::string Format = N.attr("pixel_format", StringRef("RGB"));
  if (Format != "RGB" && Format != "BGR" && Format != "Grayscale")
    return N.fail("pixel_format '" + Format + "' does not exist");
  DimExpr Height = N.I.freshSymbol("height"), Width = N.I.freshSymbol("width");
  Dims Shape{Height, Width, DimExpr(Format == "Grayscale" ? 1 : 3)};
  return N.done(
      hostCall(N, "ImageDecoder", {N.in(0)}, {makeTensorType(Shape, N.elem(0))},
               {N.cfg("pixel_format", StringRef(Format))}, {Height, Width}));
}

llvm::ArrayRef<OpEntry> limosa::onnximport::hostOps() {
  static const OpEntry Table[] = {
      {"", "ImageDecoder", 20, 1, 1, UnsignedInts, imageDecoder},
      {"", "RegexFullMatch", 20, 1, 1, Strings, regexFullMatch},
      {"", "StringConcat", 20, 2, 2, Strings, stringConcat, 2},
      {"", "StringNormalizer", 10, 1, 1, Strings, stringNormalizer},
      {"", "StringSplit", 20, 1, 1, Strings, stringSplit},
  };
  return Table;
}
