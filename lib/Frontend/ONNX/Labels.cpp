//===- Labels.cpp - Names for numbers and numbers for names (ai.onnx.ml) --===//
//
// LabelEncoder, CategoryMapper, OneHotEncoder: the position of each element in
// a list of keys, then what stands there in a list of values.
//
//===----------------------------------------------------------------------===//

#include "MachineLearning.h"
#include "Registry.h"
#include "Strings.h"
#include "Tensors.h"
#include "onnx-ml.pb.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

using Dir = CompareDirection;

namespace {

/// A column of a table of labels: strings or numbers.
struct Column {
  SmallVector<std::string> Texts;
  SmallVector<double> Numbers;
  Ints Whole;
  Type Element; ///< Null: there is no such column.

  size_t size() const {
    return isString(Element)               ? Texts.size()
           : Element.isSignlessInteger(64) ? Whole.size()
                                           : Numbers.size();
  }
};

} // namespace

/// The attribute `Kind` + "_strings", "_int64s", "_floats" or "_tensor".
static Column readColumn(Node &N, StringRef Kind) {
  Column C;
  Type String = StringType::get(N.I.context());
  if (auto V = N.strings((Kind + "_strings").str()); V && !V->empty()) {
    C.Texts = *V;
    C.Element = String;
  } else if (auto V = N.ints((Kind + "_int64s").str()); V && !V->empty()) {
    C.Whole = *V;
    C.Element = N.i64();
  } else if (auto V = N.floats((Kind + "_floats").str()); V && !V->empty()) {
    C.Numbers = *V;
    C.Element = N.f32();
  } else if (auto V = tensorStrings(N, (Kind + "_tensor").str())) {
    C.Texts = *V;
    C.Element = String;
  } else if (auto V = tensorNumbers(N, (Kind + "_tensor").str())) {
    const onnx::AttributeProto *A = N.findAttr((Kind + "_tensor").str());
    C.Element = elementType(N.I.context(), A->t().data_type());
    C.Numbers = *V;
    if (C.Element.isSignlessInteger(64))
      C.Whole.assign(V->begin(), V->end());
  }
  return C;
}

/// Positions (i64) of the elements of X among numbers, the last of equal ones,
/// or -1. All are compared with all.
static FailureOr<Value> numberIndex(Node &N, Value X, const Column &Keys) {
  CoreBuilder &B = N.B;
  constexpr size_t MostKeys = 4096;
  if (Keys.size() > MostKeys)
    return N.fail("more than " + Twine(MostKeys) +
                  " keys that are numbers are not supported");
  Dims Shape = getDims(X);
  int64_t Rank = int64_t(Shape.size());
  Shape.push_back(DimExpr(int64_t(Keys.size())));
  Ints Leading = llvm::to_vector(llvm::seq<int64_t>(0, Rank));
  Value Wide, Names, Hit;
  if (!Keys.Whole.empty() && isa<IntegerType>(getElementTypeOrSelf(X))) {
    Wide = B.broadcast(B.convert(X, N.i64()), Shape, Leading);
    Names = B.broadcast(B.intVector(Keys.Whole), Shape, {Rank});
    Hit = B.compare(Dir::EQ, Wide, Names);
  } else {
    Type F64 = B.builder().getF64Type();
    SmallVector<double> Numbers = Keys.Numbers;
    if (Numbers.empty())
      Numbers.assign(Keys.Whole.begin(), Keys.Whole.end());
    if (getElementTypeOrSelf(X).isF32())
      for (double &K : Numbers)
        K = double(float(K));
    Wide = B.broadcast(B.convert(X, F64), Shape, Leading);
    Names = B.broadcast(floatVector(B, Numbers, F64), Shape, {Rank});
    Hit = B.compare(Dir::EQ, Wide, Names);
    // NaN is a key like others.
    if (llvm::any_of(Numbers, [](double K) { return std::isnan(K); }))
      Hit = B.bitOr(Hit, B.bitAnd(B.compare(Dir::NE, Wide, Wide),
                                  B.compare(Dir::NE, Names, Names)));
  }
  Value At =
      B.select(Hit, B.iota(Shape, Rank, N.i64()), B.full(-1, Shape, N.i64()));
  return B.reduceMax(At, {Rank});
}

/// What stands in `Values` where the elements of X stand in `Keys`; `Default`,
/// a scalar, for those that do not.
static FailureOr<Value> lookUp(Node &N, Value X, const Column &Keys,
                               const Column &Values, Value Default) {
  CoreBuilder &B = N.B;
  if (!Keys.Element || !Values.Element)
    return N.fail("keys or values are missing");
  if (Keys.size() != Values.size())
    return N.fail("keys and values differ in number");
  if (isString(Keys.Element) != isString(getElementTypeOrSelf(X)))
    return N.fail("the keys are of type " + typeName(Keys.Element) +
                  ", the input of type " + typeName(getElementTypeOrSelf(X)));
  Value Otherwise = B.broadcast(Default, getDims(X), {});
  if (Keys.size() == 0)
    return Otherwise;
  FailureOr<Value> At = isString(Keys.Element) ? stringIndex(B, X, Keys.Texts)
                                               : numberIndex(N, X, Keys);
  if (failed(At))
    return failure();
  Value Table =
      isString(Values.Element) ? stringVector(B, Values.Texts)
      : !Values.Whole.empty()
          ? B.intVector(Values.Whole)
          : B.convert(floatVector(B, Values.Numbers, B.builder().getF64Type()),
                      Values.Element);
  Value Found = B.take(Table, B.maxScalar(*At, 0), 0);
  return B.select(B.compare(Dir::GE, *At, B.full(0, *At)), Found, Otherwise);
}

static Value textScalar(CoreBuilder &B, const std::string &Text) {
  return B.reshape(stringVector(B, {Text}), {});
}

/// The default of values of a type: from `default_tensor`, or the attribute of
/// the type.
static Value defaultOf(Node &N, Type E) {
  CoreBuilder &B = N.B;
  if (isString(E)) {
    if (auto V = tensorStrings(N, "default_tensor"); V && V->size() == 1)
      return textScalar(B, V->front());
    return textScalar(B, N.attr("default_string", StringRef("_Unused")));
  }
  if (auto V = tensorNumbers(N, "default_tensor"); V && V->size() == 1)
    return B.scalar(V->front(), E);
  if (isFloatType(E))
    return B.scalar(
        N.hasAttr("values_tensor") ? 0 : N.attr("default_float", 0.0), E);
  return B.reshape(
      B.convert(B.intVector({N.attr("default_int64", int64_t(-1))}), E), {});
}

static LogicalResult labelEncoder(Node &N) {
  Column Keys = readColumn(N, "keys"), Values = readColumn(N, "values");
  if (!Values.Element)
    return N.fail("values are missing");
  auto Y = lookUp(N, N.in(0), Keys, Values, defaultOf(N, Values.Element));
  return failed(Y) ? failure() : N.done(*Y);
}

/// A list of names and the numbers that stand for them, either way round.
static LogicalResult mapNames(Node &N, Column Names, Column Numbers) {
  bool FromNames = isString(N.elem(0));
  if (!FromNames && !N.elem(0).isSignlessInteger(64))
    return N.fail("takes strings or int64");
  auto Y = lookUp(N, N.in(0), FromNames ? Names : Numbers,
                  FromNames ? Numbers : Names,
                  defaultOf(N, FromNames ? N.i64() : Names.Element));
  return failed(Y) ? failure() : N.done(*Y);
}

static Column texts(Node &N, StringRef Name) {
  Column C;
  C.Texts = N.strings(Name).value_or(SmallVector<std::string>());
  C.Element = StringType::get(N.I.context());
  return C;
}

/// Version 1: strings and their positions.
static LogicalResult labelEncoder1(Node &N) {
  Column Names = texts(N, "classes_strings"), Numbers;
  for (size_t K = 0; K < Names.size(); ++K)
    Numbers.Whole.push_back(int64_t(K));
  Numbers.Element = N.i64();
  return mapNames(N, Names, Numbers);
}

static LogicalResult categoryMapper(Node &N) {
  Column Numbers;
  Numbers.Whole = N.ints("cats_int64s").value_or(Ints());
  Numbers.Element = N.i64();
  return mapNames(N, texts(N, "cats_strings"), Numbers);
}

static LogicalResult oneHotEncoder(Node &N) {
  CoreBuilder &B = N.B;
  Value X = N.in(0), Names;
  int64_t Count;
  if (isString(N.elem(0))) {
    Column Categories = texts(N, "cats_strings");
    Count = int64_t(Categories.size());
    Names = stringVector(B, Categories.Texts);
  } else {
    Ints Categories = N.ints("cats_int64s").value_or(Ints());
    Count = int64_t(Categories.size());
    Names = B.intVector(Categories);
    X = B.convert(X, N.i64());
  }
  if (Count == 0)
    return N.fail("categories of the input's type are missing");
  Dims Shape = N.dims(0);
  Shape.push_back(DimExpr(Count));
  Ints Leading = llvm::to_vector(llvm::seq<int64_t>(0, N.rank(0)));
  Value Hit = B.compare(Dir::EQ, B.broadcast(X, Shape, Leading),
                        B.broadcast(Names, Shape, {N.rank(0)}));
  return N.done(B.convert(Hit, N.f32()));
}

llvm::ArrayRef<OpEntry> limosa::onnximport::labelOps() {
  static const OpEntry Table[] = {
      {"ai.onnx.ml", "CategoryMapper", 1, 1, 1, SignedInts | Strings,
       categoryMapper},
      {"ai.onnx.ml", "LabelEncoder", 1, 1, 1, SignedInts | Strings,
       labelEncoder1},
      {"ai.onnx.ml", "LabelEncoder", 2, 1, 1, Numbers | Strings, labelEncoder},
      {"ai.onnx.ml", "OneHotEncoder", 1, 1, 1, Numbers | Strings,
       oneHotEncoder},
  };
  return Table;
}
