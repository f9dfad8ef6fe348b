//===- MachineLearning.cpp - Linear models and features (ai.onnx.ml) ------===//

#include "MachineLearning.h"
#include "Registry.h"
#include "Strings.h"
#include "Tensors.h"
#include "onnx-ml.pb.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

using Dir = CompareDirection;

//===----------------------------------------------------------------------===//
// Shared
//===----------------------------------------------------------------------===//

Value limosa::onnximport::floatVector(CoreBuilder &B, ArrayRef<double> V,
                                      Type E) {
  SmallVector<Attribute> Values;
  for (double D : V)
    Values.push_back(FloatAttr::get(E, D));
  return B.constant(cast<ElementsAttr>(DenseElementsAttr::get(
      RankedTensorType::get({int64_t(V.size())}, E), Values)));
}

std::optional<SmallVector<double>>
limosa::onnximport::tensorNumbers(Node &N, StringRef Name) {
  const onnx::AttributeProto *A = N.findAttr(Name);
  if (!A || !A->has_t())
    return std::nullopt;
  auto T = readTensor(N.I.context(), N.I.file(), A->t());
  if (!T) {
    consumeError(T.takeError());
    return std::nullopt;
  }
  auto Dense = dyn_cast<DenseElementsAttr>(*T);
  Type E = T->getElementType();
  SmallVector<double> Out;
  if (Dense && isFloatType(E)) {
    for (APFloat V : Dense.getValues<APFloat>()) {
      bool Loses;
      V.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &Loses);
      Out.push_back(V.convertToDouble());
    }
    return Out;
  }
  if (Dense && isa<IntegerType>(E)) {
    for (APInt V : Dense.getValues<APInt>())
      Out.push_back(E.isUnsignedInteger() ? double(V.getZExtValue())
                                          : double(V.getSExtValue()));
    return Out;
  }
  // Large tensors stay in the file.
  auto Raw = rawElements(*T);
  if (!Raw || Raw->Splat || !(E.isF32() || E.isF64()))
    return std::nullopt;
  Out.resize(T->getNumElements());
  for (size_t K = 0; K < Out.size(); ++K) {
    float F;
    if (E.isF64())
      std::memcpy(&Out[K], Raw->Bytes.data() + K * 8, 8);
    else
      std::memcpy(&F, Raw->Bytes.data() + K * 4, 4), Out[K] = F;
  }
  return Out;
}

FailureOr<Value> limosa::onnximport::classLabels(Node &N, StringRef Numbers) {
  if (auto Names = N.strings("classlabels_strings"); Names && !Names->empty())
    return stringVector(N.B, *Names);
  auto Labels = N.ints(Numbers);
  if (!Labels || Labels->empty())
    return N.fail("labels are missing");
  return N.B.intVector(*Labels);
}

int64_t limosa::onnximport::countLabels(Value Labels) {
  return cast<RankedTensorType>(Labels.getType()).getDimSize(0);
}

FailureOr<Value> limosa::onnximport::postTransform(Node &N, Value Scores,
                                                   StringRef Transform) {
  if (Transform == "NONE")
    return Scores;
  if (Transform == "LOGISTIC")
    return N.B.sigmoid(Scores);
  int64_t Last = cast<RankedTensorType>(Scores.getType()).getRank() - 1;
  if (Transform == "SOFTMAX")
    return N.composite("softmax", {Scores}, {N.cfg("axis", Last)})[0];
  if (Transform == "SOFTMAX_ZERO") {
    // Zeros stay zeros and do not count.
    Value Zero = N.B.full(0, Scores);
    Value Counts = N.B.compare(Dir::NE, Scores, Zero);
    double Low = -std::numeric_limits<double>::infinity();
    Value Given = N.B.select(Counts, Scores, N.B.full(Low, Scores));
    Value Y = N.composite("softmax", {Given}, {N.cfg("axis", Last)})[0];
    return N.B.select(Counts, Y, Zero);
  }
  return N.fail("post_transform '" + Transform + "' is not supported");
}

LogicalResult limosa::onnximport::classify(Node &N, Value Scores, Value Names,
                                           Binary Two) {
  CoreBuilder &B = N.B;
  int64_t Classes = countLabels(Names);
  std::string Transform = N.attr("post_transform", StringRef("NONE"));
  Dims Samples{getDim(Scores.getType(), 0)};
  bool One = getDim(Scores.getType(), 1).isConstant(1) && Classes == 2;
  if (Two == Binary::Linear && !One)
    Two = Binary::Scores;
  if (Two != Binary::Scores) {
    Value Last = B.sliceDim(Scores, 1, DimExpr(One ? 0 : 1), DimExpr(1));
    double Threshold = Two == Binary::Probability ? 0.5 : 0;
    Value Second =
        B.reshape(B.compare(Dir::GT, Last, B.full(Threshold, Last)), Samples);
    N.out(0, B.take(Names, B.convert(Second, N.i64()), 0));
    if (One && Two == Binary::Linear) {
      auto Y = postTransform(N, Scores, Transform);
      if (failed(Y))
        return failure();
      Scores = *Y;
    }
    if (One) {
      // The other class has what is left, or the opposite.
      bool Opposite = Two != Binary::Linear &&
                      (Two == Binary::Margin || Transform == "LOGISTIC");
      Value First = B.neg(Scores);
      if (!Opposite)
        First = B.addScalar(First, 1);
      Scores = B.concat({First, Scores}, 1);
      if (Transform != "LOGISTIC" || Two == Binary::Linear)
        return N.out(1, Scores), success();
    }
    auto Y = postTransform(N, Scores, Transform);
    return failed(Y) ? failure() : (N.out(1, *Y), success());
  }
  if (!getDim(Scores.getType(), 1).isConstant(Classes))
    return N.fail("there must be a score per label");
  Value Best = B.argReduce(Scores, 1, /*IsMax=*/true, /*SelectLast=*/false,
                           /*KeepDims=*/false)
                   .second;
  N.out(0, B.take(Names, Best, 0));
  auto Y = postTransform(N, Scores, Transform);
  return failed(Y) ? failure() : (N.out(1, *Y), success());
}

//===----------------------------------------------------------------------===//
// Linear models
//===----------------------------------------------------------------------===//

/// X * coefficients^T + intercepts, [samples, rows].
static FailureOr<Value> linear(Node &N, int64_t Rows) {
  CoreBuilder &B = N.B;
  auto Coefficients = N.floats("coefficients"),
       Intercepts = N.floats("intercepts");
  if (N.rank(0) > 2 || N.rank(0) < 1 || !Coefficients || Rows < 1 ||
      Coefficients->size() % size_t(Rows))
    return N.fail("coefficients do not fit the input");
  int64_t Features = int64_t(Coefficients->size()) / Rows;
  Value X = B.convert(N.in(0), N.f32());
  if (N.rank(0) == 1)
    X = B.expandDims(X, {0});
  Value W = B.reshape(floatVector(B, *Coefficients, N.f32()),
                      {DimExpr(Rows), DimExpr(Features)});
  auto Y = N.contract(X, W, {}, {}, {1}, {1});
  if (failed(Y) || !Intercepts || Intercepts->empty())
    return Y;
  if (int64_t(Intercepts->size()) != Rows)
    return N.fail("intercepts must have one entry per row of coefficients");
  Value Along = floatVector(B, *Intercepts, N.f32());
  return B.add(*Y, B.broadcast(Along, getDims(*Y), {1}));
}

static LogicalResult linearRegressor(Node &N) {
  auto Y = linear(N, N.attr("targets", int64_t(1)));
  if (failed(Y))
    return failure();
  Y = postTransform(N, *Y, N.attr("post_transform", StringRef("NONE")));
  return failed(Y) ? failure() : N.done(*Y);
}

static LogicalResult linearClassifier(Node &N) {
  auto Labels = classLabels(N, "classlabels_ints");
  if (failed(Labels))
    return failure();
  auto Intercepts = N.floats("intercepts");
  int64_t Rows = Intercepts && !Intercepts->empty()
                     ? int64_t(Intercepts->size())
                     : countLabels(*Labels);
  auto Y = linear(N, Rows);
  return failed(Y) ? failure() : classify(N, *Y, *Labels, Binary::Linear);
}

//===----------------------------------------------------------------------===//
// Features
//===----------------------------------------------------------------------===//

/// An attribute of one number per feature, or one for all, along the input.
static FailureOr<Value> perFeature(Node &N, ArrayRef<double> V, Value Like) {
  Dims Shape = getDims(Like);
  Type E = getElementTypeOrSelf(Like);
  if (V.size() == 1)
    return N.B.full(V[0], Like);
  if (Shape.empty() ||
      failed(N.wantEqual(Shape.back(), DimExpr(int64_t(V.size())),
                         "features and what is given for them")))
    return failure();
  Shape.back() = DimExpr(int64_t(V.size()));
  Value Along =
      N.B.broadcast(floatVector(N.B, V, E), Shape, {int64_t(Shape.size()) - 1});
  return N.as(Along, getDims(Like));
}

static LogicalResult scaler(Node &N) {
  Value X = N.B.convert(N.in(0), N.f32());
  auto Offsets = N.floats("offset"), Scales = N.floats("scale");
  if (Offsets && !Offsets->empty()) {
    auto V = perFeature(N, *Offsets, X);
    if (failed(V))
      return failure();
    X = N.B.sub(X, *V);
  }
  if (Scales && !Scales->empty()) {
    auto V = perFeature(N, *Scales, X);
    if (failed(V))
      return failure();
    X = N.B.mul(X, *V);
  }
  return N.done(X);
}

static LogicalResult normalizer(Node &N) {
  CoreBuilder &B = N.B;
  if (failed(N.wantMinRank(0, 1)))
    return failure();
  Value X = B.convert(N.in(0), N.f32());
  int64_t Last = N.rank(0) - 1;
  std::string Norm = N.attr("norm", StringRef("MAX"));
  Value Size;
  if (Norm == "MAX")
    Size = B.reduceMax(X, {Last}, /*KeepDims=*/true);
  else if (Norm == "L1")
    Size = B.reduceSum(B.abs(X), {Last}, /*KeepDims=*/true);
  else if (Norm == "L2")
    Size = B.sqrt(B.reduceSum(B.mul(X, X), {Last}, /*KeepDims=*/true));
  else
    return N.fail("norm '" + Norm + "' does not exist");
  // A sample of zeros stays as it is.
  Size = B.select(B.compare(Dir::EQ, Size, B.full(0, Size)), B.full(1, Size),
                  Size);
  return N.done(B.div(X, B.broadcastTo(Size, getDims(X))));
}

static LogicalResult binarizer(Node &N) {
  Value X = N.in(0);
  Value Above = N.B.compare(Dir::GT, X, N.B.full(N.attr("threshold", 0.0), X));
  return N.done(N.B.convert(Above, N.elem(0)));
}

static LogicalResult arrayFeatureExtractor(Node &N) {
  if (failed(N.wantMinRank(0, 1)))
    return failure();
  Value X = N.in(0);
  if (N.rank(0) == 1)
    X = N.B.expandDims(X, {0});
  Value At = N.B.convert(N.in(1), N.i64());
  At = N.B.reshape(At, {numElements(At.getType())});
  return N.done(
      N.B.take(X, At, cast<RankedTensorType>(X.getType()).getRank() - 1));
}

static LogicalResult imputer(Node &N) {
  Value X = N.in(0);
  bool Float = isFloatType(N.elem(0));
  auto Floats = N.floats("imputed_value_floats");
  auto Whole = N.ints("imputed_value_int64s");
  SmallVector<double> New;
  if (Float && Floats)
    New = *Floats;
  else if (!Float && Whole && Whole->size() == 1)
    New.push_back(double(Whole->front()));
  if (New.empty())
    return N.fail("imputed values for the input's type are missing");
  double Old = Float ? N.attr("replaced_value_float", 0.0)
                     : double(N.attr("replaced_value_int64", int64_t(0)));
  auto V = perFeature(N, New, X);
  if (failed(V))
    return failure();
  Value Replaced = std::isnan(Old) ? N.B.compare(Dir::NE, X, X)
                                   : N.B.compare(Dir::EQ, X, N.B.full(Old, X));
  return N.done(N.B.select(Replaced, *V, X));
}

static LogicalResult featureVectorizer(Node &N) {
  SmallVector<Value> Parts;
  for (Value V : N.allIn()) {
    Dims Shape = getDims(V);
    if (Shape.empty() || Shape.size() > 2)
      return N.fail("inputs must have rank 1 or 2");
    if (Shape.size() == 1)
      V = N.B.expandDims(V, {0});
    Parts.push_back(N.B.convert(V, N.f32()));
  }
  Dims First = getDims(Parts[0]);
  for (Value &V : Parts) {
    Dims Own = getDims(V);
    if (failed(N.wantEqual(First[0], Own[0], "samples")))
      return failure();
    V = N.as(V, {First[0], Own[1]});
  }
  return N.done(N.B.concat(Parts, 1));
}

/// A map from class to probability for each row. Limosa has no maps: the result
/// is the tensor of the probabilities, whose columns are the classes in order.
static LogicalResult zipMap(Node &N) {
  if (N.rank(0) != 1 && failed(N.wantRank(0, 2)))
    return failure();
  auto Ints = N.ints("classlabels_int64s");
  auto Texts = N.strings("classlabels_strings");
  size_t Classes = Ints && !Ints->empty() ? Ints->size()
                   : Texts                ? Texts->size()
                                          : 0;
  if (failed(N.wantEqual(N.dim(0, N.rank(0) - 1), DimExpr(int64_t(Classes)),
                         "probabilities and classes")))
    return failure();
  Value X = N.in(0);
  if (N.rank(0) == 1)
    X = N.B.expandDims(X, {0});
  return N.done(X);
}

llvm::ArrayRef<OpEntry> limosa::onnximport::machineLearningOps() {
  static const OpEntry Table[] = {
      {"ai.onnx.ml", "ArrayFeatureExtractor", 1, 2, 2, AnyOrString,
       arrayFeatureExtractor},
      {"ai.onnx.ml", "Binarizer", 1, 1, 1, Numbers, binarizer},
      {"ai.onnx.ml", "FeatureVectorizer", 1, 1, -1, Numbers, featureVectorizer},
      {"ai.onnx.ml", "Imputer", 1, 1, 1, Numbers, imputer},
      {"ai.onnx.ml", "LinearClassifier", 1, 1, 1, Numbers, linearClassifier},
      {"ai.onnx.ml", "LinearRegressor", 1, 1, 1, Numbers, linearRegressor},
      {"ai.onnx.ml", "Normalizer", 1, 1, 1, Numbers, normalizer},
      {"ai.onnx.ml", "Scaler", 1, 1, 1, Numbers, scaler},
      {"ai.onnx.ml", "ZipMap", 1, 1, 1, Floats, zipMap},
  };
  return Table;
}
