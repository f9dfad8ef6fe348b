//===- Shape.cpp - Shapes, constants, reshaping ---------------------------===//

#include "Registry.h"
#include "Tensors.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

//===----------------------------------------------------------------------===//
// Shapes as values
//===----------------------------------------------------------------------===//

static LogicalResult shape(Node &N) {
  Dims All = N.dims(0);
  int64_t Rank = All.size(), Start = N.attr("start", int64_t(0)),
          End = N.attr("end", Rank);
  auto clamp = [&](int64_t V) {
    return std::clamp<int64_t>(V < 0 ? V + Rank : V, 0, Rank);
  };
  Start = clamp(Start);
  End = std::max(Start, clamp(End));
  auto Known = std::make_shared<KnownTensor>(
      KnownTensor::vector(ArrayRef(All).slice(Start, End - Start)));
  return N.out(0, Tensor::of(KnownRef(Known), N.i64())), success();
}

static LogicalResult size(Node &N) {
  auto Known = std::make_shared<KnownTensor>(
      KnownTensor::scalar(numElements(N.type(0))));
  return N.out(0, Tensor::of(KnownRef(Known), N.i64())), success();
}

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

static LogicalResult constant(Node &N) {
  if (const onnx::AttributeProto *A = N.findAttr("value"); A && A->has_t()) {
    auto V = readTensor(N.I.context(), N.I.file(), A->t());
    if (!V)
      return N.fail(llvm::toString(V.takeError()));
    Type E = elementType(N.I.context(), A->t().data_type());
    return N.out(0, Tensor::of(*V, E)), success();
  }
  if (const onnx::AttributeProto *A = N.findAttr("sparse_value")) {
    auto V = readSparseTensor(N.I.context(), N.I.file(), A->sparse_tensor());
    if (!V)
      return N.fail(llvm::toString(V.takeError()));
    return N.out(0, Tensor::of(*V)), success();
  }
  auto done = [&](ElementsAttr V) {
    return N.out(0, Tensor::of(V)), success();
  };
  auto typed = [&](ArrayRef<int64_t> Shape, Type E) {
    return RankedTensorType::get(Shape, E);
  };
  if (N.hasAttr("value_int"))
    return done(DenseElementsAttr::get(typed({}, N.i64()),
                                       N.attr("value_int", int64_t(0))));
  if (N.hasAttr("value_float"))
    return done(DenseElementsAttr::get(typed({}, N.f32()),
                                       float(N.attr("value_float", 0.0))));
  if (auto V = N.ints("value_ints"))
    return done(DenseElementsAttr::get(typed({int64_t(V->size())}, N.i64()),
                                       ArrayRef<int64_t>(*V)));
  if (auto V = N.floats("value_floats")) {
    SmallVector<float> F(V->begin(), V->end());
    return done(DenseElementsAttr::get(typed({int64_t(F.size())}, N.f32()),
                                       ArrayRef<float>(F)));
  }
  auto strings = [&](ArrayRef<int64_t> Shape, ArrayRef<StringRef> V) {
    Type E = StringType::get(N.I.context());
    return done(DenseStringElementsAttr::get(typed(Shape, E), V));
  };
  if (N.hasAttr("value_string")) {
    std::string S = N.attr("value_string", StringRef());
    return strings({}, {StringRef(S)});
  }
  if (auto V = N.strings("value_strings"))
    return strings({int64_t(V->size())},
                   SmallVector<StringRef>(V->begin(), V->end()));
  return N.fail("has no value");
}

static LogicalResult constantOfShape(Node &N) {
  auto Shape = N.sizes(0);
  if (failed(Shape))
    return failure();
  for (const DimExpr &D : *Shape)
    if (auto C = D.constant(); C && *C < 0)
      return N.fail("a dimension would be negative");
  if (const onnx::AttributeProto *A = N.findAttr("value")) {
    auto V = readTensor(N.I.context(), N.I.file(), A->t());
    if (!V)
      return N.fail(llvm::toString(V.takeError()));
    if (V->getNumElements() != 1)
      return N.fail("value must have one element");
    Value Scalar = N.B.reshape(N.B.constant(*V), {});
    return N.done(N.B.broadcast(Scalar, *Shape, {}));
  }
  return N.done(N.B.full(0, *Shape, N.f32()));
}

static LogicalResult range(Node &N) {
  if (failed(N.sameElem(0, 1)) || failed(N.sameElem(0, 2)))
    return failure();
  for (unsigned K = 0; K < 3; ++K)
    if (!N.type(K).hasStaticShape() || N.type(K).getNumElements() != 1)
      return N.fail("start, limit and delta must be scalars");
  Type E = N.elem(0);
  auto Start = N.known(0), Limit = N.known(1), Delta = N.known(2);
  DimExpr Count;
  if (Start && Limit && Delta && Delta->front().constant() &&
      *Delta->front().constant() != 0) {
    int64_t D = *Delta->front().constant();
    DimExpr Span = D > 0 ? Limit->front() - Start->front()
                         : Start->front() - Limit->front();
    Count =
        DimExpr::max(DimExpr::ceilDiv(Span, DimExpr(std::abs(D))), DimExpr(0));
  } else {
    // max(ceil((limit - start) / delta), 0), known when the program gets here.
    Value S = N.B.reshape(N.in(0), {}), L = N.B.reshape(N.in(1), {}),
          D = N.B.reshape(N.in(2), {});
    Type F64 = N.B.builder().getF64Type();
    Value Span = N.B.convert(N.B.sub(L, S), F64);
    Value Quotient = N.B.ceil(N.B.div(Span, N.B.convert(D, F64)));
    Value C = N.B.convert(N.B.maxScalar(Quotient, 0), N.i64());
    Count = N.bind(C, "range").front();
  }
  Value I = N.B.iota({Count}, 0, E);
  Value Step = N.B.broadcast(N.B.reshape(N.in(2), {}), {Count}, {});
  Value From = N.B.broadcast(N.B.reshape(N.in(0), {}), {Count}, {});
  bool StepOne = Delta && Delta->front().isConstant(1),
       FromZero = Start && Start->front().isConstant(0);
  Value V = StepOne ? I : N.B.mul(I, Step);
  return N.done(FromZero ? V : N.B.add(V, From));
}

static LogicalResult eyeLike(Node &N) {
  if (failed(N.wantRank(0, 2)))
    return failure();
  Type E = N.hasAttr("dtype")
               ? elementType(N.I.context(), N.attr("dtype", int64_t(0)))
               : N.elem(0);
  if (!E)
    return N.fail("dtype is not supported");
  Dims Shape = N.dims(0);
  Value Row = N.B.iota(Shape, 0, N.i64()), Column = N.B.iota(Shape, 1, N.i64());
  Value Diagonal =
      N.B.compare(CompareDirection::EQ, Column,
                  N.B.addScalar(Row, double(N.attr("k", int64_t(0)))));
  return N.done(N.B.convert(Diagonal, E));
}

//===----------------------------------------------------------------------===//
// Same elements, other shape
//===----------------------------------------------------------------------===//

static LogicalResult reshape(Node &N) {
  Dims In = N.dims(0);
  DimExpr Total = numElements(N.type(0));
  bool AllowZero = N.attr("allowzero", int64_t(0)) != 0;
  Dims Out;
  if (auto Shape = N.known(1)) {
    if (N.rank(1) != 1)
      return N.fail("the shape must be a vector");
    Out = *Shape;
    int64_t Free = -1;
    DimExpr Others(1);
    for (size_t D = 0; D < Out.size(); ++D) {
      if (Out[D].isConstant(0) && !AllowZero) {
        if (D >= In.size())
          return N.fail("the shape copies a dimension that the input lacks");
        Out[D] = In[D];
      }
      if (Out[D].isConstant(-1)) {
        if (Free >= 0)
          return N.fail("the shape has more than one -1");
        Free = D;
      } else {
        Others = Others * Out[D];
      }
    }
    if (Free >= 0) {
      if (Others.isConstant(0))
        return N.fail("-1 beside a dimension of 0 has no meaning");
      if (auto C = Total.constant(), O = Others.constant();
          C && O && *C % *O != 0)
        return N.fail("the input's " + Twine(*C) +
                      " elements do not fill the shape");
      Out[Free] = DimExpr::floorDiv(Total, Others);
    }
    // floordiv that is not exact as written: the program has to check it.
    if (Free >= 0 && !Total.exactDiv(Others)) {
      if (failed(N.wantEqual(Out[Free] * Others, Total, "element counts")))
        return failure();
      return N.done(N.B.reshape(N.in(0), Out));
    }
  } else {
    // 0 and -1 are only seen when the program runs.
    auto Type = N.type(1);
    if (Type.getRank() != 1 || !Type.hasStaticShape() ||
        Type.getDimSize(0) > 64)
      return N.fail("the length of the shape must be known");
    Value S = N.B.convert(N.in(1), N.i64());
    int64_t Rank = Type.getDimSize(0);
    SmallVector<Value> Own;
    for (int64_t D = 0; D < Rank; ++D)
      Own.push_back(N.B.reshape(
          N.B.dim(D < int64_t(In.size()) ? In[D] : DimExpr(0)), {DimExpr(1)}));
    Value Zero = N.B.full(0, S);
    if (!AllowZero)
      S = N.B.select(N.B.compare(CompareDirection::EQ, S, Zero),
                     N.B.concat(Own, 0), S);
    Value IsFree = N.B.compare(CompareDirection::LT, S, Zero);
    Value Known = N.B.reduce(CoreBuilder::Combiner::Mul,
                             N.B.select(IsFree, N.B.full(1, S), S), {0});
    Value Rest = N.B.div(N.B.dim(Total), Known);
    S = N.B.select(IsFree, N.B.broadcast(Rest, getDims(S), {}), S);
    // Bounds of several sizes would multiply to far more than the whole.
    Out = N.bind(S, "reshape", Rank == 1 ? &Total : nullptr);
  }
  auto V = N.reshape(N.in(0), Out);
  return failed(V) ? failure() : N.done(*V);
}

static LogicalResult flatten(Node &N) {
  Dims In = N.dims(0);
  int64_t Rank = In.size(), Axis = N.attr("axis", int64_t(1));
  if (Axis < -Rank || Axis > Rank)
    return N.fail("axis is out of range");
  Axis = Axis < 0 ? Axis + Rank : Axis;
  DimExpr Rows(1), Columns(1);
  for (int64_t D = 0; D < Rank; ++D)
    (D < Axis ? Rows : Columns) = (D < Axis ? Rows : Columns) * In[D];
  return N.done(N.B.reshape(N.in(0), {Rows, Columns}));
}

/// Axes: an attribute until opset 12, then an input. Empty optional if absent.
static FailureOr<std::optional<Ints>> axesOf(Node &N) {
  if (N.Version < 13)
    return N.ints("axes");
  if (!N.has(1))
    return std::optional<Ints>();
  auto Axes = N.constInts(1);
  if (!Axes)
    return N.fail("axes that are computed are not supported");
  return std::optional<Ints>(*Axes);
}

static LogicalResult squeezeAxes(Node &N, ArrayRef<int64_t> Axes) {
  Dims In = N.dims(0);
  for (int64_t D : Axes)
    if (failed(N.wantEqual(In[D], DimExpr(1), "a squeezed size and 1")))
      return failure();
  return N.done(N.B.squeeze(N.in(0), Axes));
}

static LogicalResult squeeze(Node &N) {
  auto Axes = axesOf(N);
  if (failed(Axes))
    return failure();
  if (*Axes) {
    auto Normal = N.axes(**Axes, N.rank(0));
    return failed(Normal) ? failure() : squeezeAxes(N, *Normal);
  }
  // Sizes that are 1 go. Those that the model does not fix, its batch say, are
  // meant to be there; unless what follows does not take them.
  Ints Ones, MayBeOne;
  for (auto [D, Size] : llvm::enumerate(N.dims(0)))
    if (!Size.constant() || Size.isConstant(1)) {
      MayBeOne.push_back(D);
      if (Size.isConstant(1))
        Ones.push_back(D);
    }
  if (Ones.size() == MayBeOne.size())
    return squeezeAxes(N, Ones);
  N.I.fork({&N.P, Value(),
            [&I = N.I, &P = N.P, &F = N.F, Ones, MayBeOne](unsigned Way) {
              Node Again(I, P, F, F.opset(P.domain()));
              return squeezeAxes(Again, Way == 0 ? MayBeOne : Ones);
            }});
  return success();
}

static LogicalResult unsqueeze(Node &N) {
  auto Axes = axesOf(N);
  if (failed(Axes))
    return failure();
  if (!*Axes)
    return N.fail("axes are missing");
  auto Normal = N.axes(**Axes, N.rank(0) + int64_t((*Axes)->size()));
  if (failed(Normal))
    return failure();
  return N.done(N.B.expandDims(N.in(0), *Normal));
}

static LogicalResult transpose(Node &N) {
  int64_t Rank = N.rank(0);
  Ints Perm;
  if (auto Given = N.ints("perm")) {
    auto Normal = N.axes(*Given, Rank);
    if (failed(Normal))
      return failure();
    if (int64_t(Normal->size()) != Rank)
      return N.fail("perm must name every dimension");
    Perm = *Normal;
  } else {
    Perm = llvm::to_vector(llvm::reverse(llvm::seq<int64_t>(0, Rank)));
  }
  return N.done(N.B.transpose(N.in(0), Perm));
}

static LogicalResult expand(Node &N) {
  auto Shape = N.sizes(1);
  if (failed(Shape))
    return failure();
  Dims Out = CoreBuilder::broadcastShapes({N.dims(0), *Shape});
  auto V = N.broadcastTo(N.in(0), Out);
  return failed(V) ? failure() : N.done(*V);
}

llvm::ArrayRef<OpEntry> limosa::onnximport::shapeOps() {
  static const OpEntry Table[] = {
      {"", "Shape", 1, 1, 1, AnyOrString, shape},
      {"", "Size", 1, 1, 1, AnyOrString, size},
      {"", "Constant", 1, 0, 0, AnyOrString, constant},
      {"", "ConstantOfShape", 9, 1, 1, SignedInts, constantOfShape},
      {"", "Range", 11, 3, 3, Numbers, range},
      {"", "EyeLike", 9, 1, 1, Computes, eyeLike},
      {"", "Reshape", 5, 2, 2, AnyOrString, reshape},
      {"", "Flatten", 1, 1, 1, AnyOrString, flatten},
      {"", "Squeeze", 1, 1, 1, AnyOrString, squeeze},
      {"", "Squeeze", 13, 1, 2, AnyOrString, squeeze},
      {"", "Unsqueeze", 1, 1, 1, AnyOrString, unsqueeze},
      {"", "Unsqueeze", 13, 2, 2, AnyOrString, unsqueeze},
      {"", "Transpose", 1, 1, 1, AnyOrString, transpose},
      {"", "Expand", 8, 2, 2, AnyOrString, expand},
  };
  return Table;
}
