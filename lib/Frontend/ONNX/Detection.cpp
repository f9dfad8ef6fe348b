//===- Detection.cpp - Boxes and regions of interest ----------------------===//

#include "Registry.h"
#include "Rounds.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

using Dir = CompareDirection;
using Combiner = CoreBuilder::Combiner;

//===----------------------------------------------------------------------===//
// NonMaxSuppression
//===----------------------------------------------------------------------===//

namespace {
/// Sides and area of boxes; tensors of any one shape.
struct Boxes {
  Value Y1, X1, Y2, X2, Area;
};

class Suppression {
public:
  Suppression(Node &N) : N(N), B(N.B) {}
  LogicalResult build();

private:
  LogicalResult read();
  FailureOr<Value> scalar(unsigned K, Type E);
  Boxes sides(Value Corners);
  Boxes along(const Boxes &Given, CoreBuilder::Ints Dims);
  Value overlaps(const Boxes &P, const Boxes &Q);
  SmallVector<Value> round(Value At, ValueRange Carried);

  Node &N;
  CoreBuilder &B;
  Dims Shape;    ///< batches, classes, boxes
  DimExpr Limit; ///< of boxes per class
  Value Corners; ///< [batches, boxes, 4]
  Boxes All;     ///< [batches, classes, boxes]
  Value Scores, Threshold;
};
} // namespace

FailureOr<Value> Suppression::scalar(unsigned K, Type E) {
  if (!N.type(K).hasStaticShape() || N.type(K).getNumElements() != 1)
    return N.fail("input " + Twine(K) + " must be a scalar");
  return B.convert(B.reshape(N.in(K), {}), E);
}

/// The sides of boxes [.., 4].
Boxes Suppression::sides(Value V) {
  Dims Shape = getDims(V);
  int64_t Last = int64_t(Shape.size()) - 1;
  Shape.pop_back();
  auto part = [&](int64_t K) {
    return B.reshape(B.sliceDim(V, Last, DimExpr(K), DimExpr(1)), Shape);
  };
  Value A = part(0), C = part(1), D = part(2), E = part(3);
  Boxes R;
  if (N.attr("center_point_box", int64_t(0))) {
    // x, y of the centre, width, height
    Value HalfW = B.mulScalar(D, 0.5), HalfH = B.mulScalar(E, 0.5);
    R = {B.sub(C, HalfH), B.sub(A, HalfW), B.add(C, HalfH), B.add(A, HalfW),
         Value()};
  } else {
    // Two opposite corners y, x.
    R = {B.min(A, D), B.min(C, E), B.max(A, D), B.max(C, E), Value()};
  }
  R.Area = B.mul(B.sub(R.Y2, R.Y1), B.sub(R.X2, R.X1));
  return R;
}

Boxes Suppression::along(const Boxes &Given, CoreBuilder::Ints At) {
  auto spread = [&](Value V) { return B.broadcast(V, Shape, At); };
  return {spread(Given.Y1), spread(Given.X1), spread(Given.Y2),
          spread(Given.X2), spread(Given.Area)};
}

/// Whether boxes overlap by more than the threshold of their union.
Value Suppression::overlaps(const Boxes &P, const Boxes &Q) {
  auto extent = [&](Value Low, Value High, Value Low2, Value High2) {
    return B.maxScalar(B.sub(B.min(High, High2), B.max(Low, Low2)), 0);
  };
  Value Common =
      B.mul(extent(P.Y1, P.Y2, Q.Y1, Q.Y2), extent(P.X1, P.X2, Q.X1, Q.X2));
  Value Union = B.sub(B.add(P.Area, Q.Area), Common);
  // Without an area there is nothing to overlap.
  Value Real = B.bitAnd(B.compare(Dir::GT, P.Area, B.full(0, P.Area)),
                        B.compare(Dir::GT, Q.Area, B.full(0, Q.Area)));
  Value Much = B.compare(Dir::GT, B.div(Common, Union),
                         B.broadcast(Threshold, Shape, {}));
  return B.bitAnd(Real, Much);
}

/// The best box of each class that is left, and what is left after it.
SmallVector<Value> Suppression::round(Value At, ValueRange Carried) {
  Value Left = Carried[0];
  Value Low = B.full(-std::numeric_limits<double>::infinity(), Scores);
  Value Best = B.argReduce(B.select(Left, Scores, Low), 2, /*IsMax=*/true,
                           /*SelectLast=*/false, /*KeepDims=*/false)
                   .second;
  Value Any = B.reduce(Combiner::Or, Left, {2});
  Value Chosen = B.gather(Corners, B.expandDims(Best, {2}), {1}, 1);
  Value Itself = B.compare(Dir::EQ, B.iota(Shape, 2, N.i64()),
                           B.broadcast(Best, Shape, {0, 1}));
  Value Gone = B.bitOr(Itself, overlaps(along(sides(Chosen), {0, 1}), All));
  return {B.bitAnd(Left, B.bitNot(Gone)), withRow(B, Carried[1], Best, At),
          withRow(B, Carried[2], Any, At)};
}

LogicalResult Suppression::read() {
  if (failed(N.wantRank(0, 3)) || failed(N.wantRank(1, 3)) ||
      failed(N.sameElem(0, 1)) ||
      failed(N.wantEqual(N.dim(0, 0), N.dim(1, 0), "batch sizes")) ||
      failed(N.wantEqual(N.dim(0, 1), N.dim(1, 2), "boxes and scores")) ||
      failed(N.wantEqual(N.dim(0, 2), DimExpr(4), "numbers of a box and 4")))
    return failure();
  Shape = N.dims(1);
  Corners = N.as(N.in(0), {Shape[0], Shape[2], DimExpr(4)});
  Scores = N.in(1);
  Limit = DimExpr(0);
  if (N.has(2)) {
    auto Given = N.sizes(2);
    if (failed(Given))
      return failure();
    if (Given->size() != 1)
      return N.fail("max_output_boxes_per_class must be a scalar");
    Limit = DimExpr::min(DimExpr::max(Given->front(), DimExpr(0)), Shape[2]);
  }
  Threshold = B.scalar(0, N.elem(0));
  if (N.has(3)) {
    auto Given = scalar(3, N.elem(0));
    if (failed(Given))
      return failure();
    Threshold = *Given;
  }
  return success();
}

LogicalResult Suppression::build() {
  if (failed(read()))
    return failure();
  Value Left = B.full(1, Shape, N.i1());
  if (N.has(4)) {
    auto Least = scalar(4, N.elem(0));
    if (failed(Least))
      return failure();
    Left = B.compare(Dir::GT, Scores, B.broadcast(*Least, Shape, {}));
  }
  All = along(sides(Corners), {0, 2});
  Dims Rounds{Limit, Shape[0], Shape[1]};
  auto Last = buildRounds(
      B, Limit, {Left, B.full(0, Rounds, N.i64()), B.full(0, Rounds, N.i1())},
      [&](Value At, ValueRange Carried) { return round(At, Carried); },
      [&](ValueRange Carried) {
        return B.reduce(Combiner::Or, Carried[0], {0, 1, 2});
      });
  // In the order of batches, classes and rounds.
  Value Box = B.transpose(Last[1], {1, 2, 0}),
        Valid = B.transpose(Last[2], {1, 2, 0});
  DimExpr Bound = numElements(Valid.getType());
  DimExpr Count = N.I.freshSymbol("boxes", &Bound);
  Value At = B.compact(Valid, Count.toString()).first;
  Value Index = B.reshape(B.gather(Box, At, {0, 1, 2}, 0), {Count, DimExpr(1)});
  return N.done(
      B.concat({B.sliceDim(At, 1, DimExpr(0), DimExpr(2)), Index}, 1));
}

static LogicalResult nonMaxSuppression(Node &N) {
  return Suppression(N).build();
}

//===----------------------------------------------------------------------===//
// RoiAlign
//===----------------------------------------------------------------------===//

namespace {
/// The sample points of regions along one dimension of the image.
struct Samples {
  Dims Shape;          ///< regions, cells, points per cell
  Value Low, High;     ///< the pixels beside a point, i64
  Value Fraction;      ///< how near the point is to High
  Value Counts;        ///< whether the point is one of its cell's
  Value InImage;       ///< whether it lies in the image
  Value PointsPerCell; ///< [regions], of the element type
};

class RoiAlign {
public:
  RoiAlign(Node &N) : N(N), B(N.B), E(N.elem(0)) {}
  LogicalResult build();

private:
  FailureOr<Samples> samples(int64_t First, int64_t Cells, const DimExpr &Size);

  Node &N;
  CoreBuilder &B;
  Type E;
};
} // namespace

/// Coordinates First and First + 2 of a region are where it begins and ends.
FailureOr<Samples> RoiAlign::samples(int64_t First, int64_t Cells,
                                     const DimExpr &Size) {
  DimExpr Regions = N.dim(1, 0);
  double Scale = N.attr("spatial_scale", 1.0);
  std::string Mode =
      N.attr("coordinate_transformation_mode",
             StringRef(N.Version < 16 ? "output_half_pixel" : "half_pixel"));
  bool Half = Mode == "half_pixel";
  auto side = [&](int64_t K) {
    Value V =
        B.reshape(B.sliceDim(N.in(1), 1, DimExpr(K), DimExpr(1)), {Regions});
    return B.addScalar(B.mulScalar(V, Scale), Half ? -0.5 : 0);
  };
  Value Start = side(First), Extent = B.sub(side(First + 2), Start);
  if (!Half)
    Extent = B.maxScalar(Extent, 1);
  Value Cell = B.div(Extent, B.full(double(Cells), Extent));
  Samples S;
  int64_t Ratio = N.attr("sampling_ratio", int64_t(0));
  DimExpr Points(Ratio);
  if (Ratio > 0) {
    S.PointsPerCell = B.full(double(Ratio), Cell);
  } else {
    // As many as pixels in the cell; arrays are as large as the most.
    S.PointsPerCell = B.maxScalar(B.ceil(Cell), 0);
    Value Most = B.maxScalar(B.reduceMax(S.PointsPerCell, {0}), 0);
    Points = N.bind(B.convert(Most, N.i64()), "roi_points").front();
  }
  S.Shape = {Regions, DimExpr(Cells), Points};
  auto along = [&](Value V) { return B.broadcast(V, S.Shape, {0}); };
  Value I = B.iota(S.Shape, 2, E), J = B.iota(S.Shape, 1, E);
  S.Counts = B.compare(Dir::LT, I, along(S.PointsPerCell));
  Value Step = B.div(Cell, B.maxScalar(S.PointsPerCell, 1));
  Value At =
      B.add(along(Start), B.add(B.mul(J, along(Cell)),
                                B.mul(B.addScalar(I, 0.5), along(Step))));
  Value End = B.broadcast(B.convert(B.dim(Size), E), S.Shape, {});
  S.InImage = B.bitAnd(B.compare(Dir::GE, At, B.full(-1, At)),
                       B.compare(Dir::LE, At, End));
  At = B.min(B.maxScalar(At, 0), B.addScalar(End, -1));
  Value Low = B.floor(At);
  S.Fraction = B.sub(At, Low);
  S.Low = B.convert(Low, N.i64());
  S.High = B.min(B.addScalar(S.Low, 1),
                 B.broadcast(B.dim(Size - DimExpr(1)), S.Shape, {}));
  return S;
}

LogicalResult RoiAlign::build() {
  if (failed(N.wantRank(0, 4)) || failed(N.wantRank(1, 2)) ||
      failed(N.wantRank(2, 1)) || failed(N.sameElem(0, 1)) ||
      failed(N.wantEqual(N.dim(1, 1), DimExpr(4), "numbers of a region and 4")))
    return failure();
  std::string Mode = N.attr("mode", StringRef("avg"));
  if (Mode != "avg" && Mode != "max")
    return N.fail("mode '" + Mode + "' does not exist");
  int64_t Rows = N.attr("output_height", int64_t(1)),
          Columns = N.attr("output_width", int64_t(1));
  if (Rows < 1 || Columns < 1)
    return N.fail("the output's sizes must be positive");
  auto Y = samples(1, Rows, N.dim(0, 2)), X = samples(0, Columns, N.dim(0, 3));
  if (failed(Y) || failed(X))
    return failure();
  // regions, rows, points, columns, points
  Dims Full{Y->Shape[0], Y->Shape[1], Y->Shape[2], X->Shape[1], X->Shape[2]};
  auto alongY = [&](Value V) { return B.broadcast(V, Full, {0, 1, 2}); };
  auto alongX = [&](Value V) { return B.broadcast(V, Full, {0, 3, 4}); };
  if (failed(N.wantEqual(N.dim(2, 0), Full[0], "regions")))
    return failure();
  Value Image =
      B.broadcast(B.convert(N.as(N.in(2), {Full[0]}), N.i64()), Full, {0});
  Value Data = B.transpose(N.in(0), {0, 2, 3, 1});
  Dims Taps = Full;
  Taps.push_back(N.dim(0, 1));
  auto corner = [&](bool Below, bool Right) {
    Value At = B.concat({B.expandDims(Image, {5}),
                         B.expandDims(alongY(Below ? Y->High : Y->Low), {5}),
                         B.expandDims(alongX(Right ? X->High : X->Low), {5})},
                        5);
    auto weight = [&](Value F, bool High) {
      return High ? F : B.addScalar(B.neg(F), 1);
    };
    Value W = B.mul(alongY(weight(Y->Fraction, Below)),
                    alongX(weight(X->Fraction, Right)));
    W = B.select(B.bitAnd(alongY(Y->InImage), alongX(X->InImage)), W,
                 B.full(0, W));
    return B.mul(B.gather(Data, At, {0, 1, 2}, 0),
                 B.broadcast(W, Taps, {0, 1, 2, 3, 4}));
  };
  bool Max = Mode == "max";
  Value V;
  for (bool Below : {false, true})
    for (bool Right : {false, true}) {
      Value Part = corner(Below, Right);
      V = !V ? Part : Max ? B.max(V, Part) : B.add(V, Part);
    }
  Value Counts = B.broadcast(B.bitAnd(alongY(Y->Counts), alongX(X->Counts)),
                             Taps, {0, 1, 2, 3, 4});
  Value Result;
  if (Max) {
    double Low = -std::numeric_limits<double>::infinity();
    Result = B.reduceMax(B.select(Counts, V, B.full(Low, V)), {2, 4});
    // A cell without points is 0.
    Result = B.select(B.compare(Dir::EQ, Result, B.full(Low, Result)),
                      B.full(0, Result), Result);
  } else {
    Value Sum = B.reduceSum(B.select(Counts, V, B.full(0, V)), {2, 4});
    Value Number = B.maxScalar(B.mul(Y->PointsPerCell, X->PointsPerCell), 1);
    Result = B.div(Sum, B.broadcast(Number, getDims(Sum), {0}));
  }
  return N.done(B.transpose(Result, {0, 3, 1, 2}));
}

static LogicalResult roiAlign(Node &N) { return RoiAlign(N).build(); }

//===----------------------------------------------------------------------===//
// MaxRoiPool
//===----------------------------------------------------------------------===//

/// Which pixels along a dimension of size Size belong to which of `Cells` cells
/// of each region: bool [regions, cells, size]. Columns First and First + 2 of
/// the regions [n, 5] are where they begin and end.
static Value cellMask(Node &N, int64_t First, int64_t Cells,
                      const DimExpr &Size) {
  CoreBuilder &B = N.B;
  DimExpr Regions = N.dim(1, 0);
  double Scale = N.attr("spatial_scale", 1.0);
  auto side = [&](int64_t K) {
    Value V =
        B.reshape(B.sliceDim(N.in(1), 1, DimExpr(K), DimExpr(1)), {Regions});
    return B.floor(B.addScalar(B.mulScalar(V, Scale), 0.5));
  };
  Dims Plane{Regions, DimExpr(Cells)}, Shape{Regions, DimExpr(Cells), Size};
  Value Start = side(First);
  Value Extent = B.maxScalar(B.addScalar(B.sub(side(First + 2), Start), 1), 1);
  Value Cell =
      B.broadcast(B.div(Extent, B.full(double(Cells), Extent)), Plane, {0});
  Value Index = B.iota(Plane, 1, N.elem(0));
  Value Begin = B.broadcast(Start, Plane, {0});
  auto along = [&](Value V) { return B.broadcast(V, Shape, {0, 1}); };
  Value Low = along(B.add(B.floor(B.mul(Index, Cell)), Begin)),
        High = along(B.add(B.ceil(B.mul(B.addScalar(Index, 1), Cell)), Begin));
  Value Pixel = B.iota(Shape, 2, N.elem(0));
  return B.bitAnd(B.compare(Dir::GE, Pixel, Low),
                  B.compare(Dir::LT, Pixel, High));
}

static LogicalResult maxRoiPool(Node &N) {
  CoreBuilder &B = N.B;
  auto Pooled = N.ints("pooled_shape");
  if (failed(N.wantRank(0, 4)) || failed(N.wantRank(1, 2)) ||
      failed(N.sameElem(0, 1)) ||
      failed(N.wantEqual(N.dim(1, 1), DimExpr(5), "numbers of a region and 5")))
    return failure();
  if (!Pooled || Pooled->size() != 2 || (*Pooled)[0] < 1 || (*Pooled)[1] < 1)
    return N.fail("pooled_shape must have two positive entries");
  DimExpr Regions = N.dim(1, 0), Channels = N.dim(0, 1), H = N.dim(0, 2),
          W = N.dim(0, 3), Rows((*Pooled)[0]), Columns((*Pooled)[1]);
  Value Image =
      B.reshape(B.sliceDim(N.in(1), 1, DimExpr(0), DimExpr(1)), {Regions});
  Value X = B.take(N.in(0), B.convert(Image, N.i64()), 0);
  // One dimension after the other.
  auto most = [&](Value V, Value Mask, Dims Shape, CoreBuilder::Ints VDims,
                  CoreBuilder::Ints MaskDims, int64_t Over) {
    double Low = -std::numeric_limits<double>::infinity();
    Value All = B.broadcast(V, Shape, VDims);
    Value Inside = B.broadcast(Mask, Shape, MaskDims);
    return B.reduceMax(B.select(Inside, All, B.full(Low, All)), {Over});
  };
  Value Y =
      most(X, cellMask(N, 1, (*Pooled)[1], W),
           {Regions, Channels, H, Columns, W}, {0, 1, 2, 4}, {0, 3, 4}, 4);
  Y = most(Y, cellMask(N, 2, (*Pooled)[0], H),
           {Regions, Channels, Rows, H, Columns}, {0, 1, 3, 4}, {0, 2, 3}, 3);
  // Cells without pixels are 0.
  Value Empty = B.compare(Dir::EQ, Y,
                          B.full(-std::numeric_limits<double>::infinity(), Y));
  return N.done(B.select(Empty, B.full(0, Y), Y));
}

llvm::ArrayRef<OpEntry> limosa::onnximport::detectionOps() {
  static const OpEntry Table[] = {
      {"", "NonMaxSuppression", 10, 2, 5, Floats, nonMaxSuppression},
      {"", "MaxRoiPool", 1, 2, 2, Floats, maxRoiPool},
      {"", "RoiAlign", 10, 3, 3, Floats, roiAlign},
      {"", "RoiAlign", 16, 3, 3, Floats, roiAlign},
  };
  return Table;
}
