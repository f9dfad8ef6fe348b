//===- Resize.cpp - Resize and Upsample -----------------------------------===//
//
// Resizing is separable: along each dimension an output element is a sum of a
// few input elements ("taps") with weights that depend on its position only.
//
//===----------------------------------------------------------------------===//

#include "Registry.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

using Dir = CompareDirection;

namespace {

struct ResizeMode {
  std::string Mode, Coordinates, Nearest;
  double CubicA, Extrapolation;
  bool ExcludeOutside, Antialias;
};

/// One dimension that is resized.
struct ResizeAxis {
  int64_t Dim;
  DimExpr In, Out;
  Value Scale;                      ///< f32, rank 0
  std::optional<double> ConstScale; ///< the same, if known
  Value RoiStart, RoiEnd;           ///< f32, rank 0; tf_crop_and_resize only
};

struct Tap {
  Value Index;  ///< i64 [Out], not yet clamped
  Value Weight; ///< f32 [Out]; null: 1
};

class AxisResizer {
public:
  AxisResizer(Node &N, const ResizeMode &M, const ResizeAxis &A)
      : N(N), B(N.B), M(M), A(A) {}

  FailureOr<Value> apply(Value X);

private:
  Value along(Value Scalar) { return B.broadcast(Scalar, {A.Out}, {}); }
  Value number(double V) { return B.full(V, {A.Out}, N.f32()); }
  Value size(const DimExpr &E) { return B.convert(B.dim(E), N.f32()); }
  Value coordinates();
  FailureOr<SmallVector<Tap>> taps(Value At);
  Value cubic(Value T);
  bool repeats() const;

  Node &N;
  CoreBuilder &B;
  const ResizeMode &M;
  const ResizeAxis &A;
};

} // namespace

/// Position in the input of each output element: f32 [Out].
Value AxisResizer::coordinates() {
  Value I = B.iota({A.Out}, 0, N.f32());
  Value Scale = along(A.Scale);
  Value Half = B.addScalar(B.div(B.addScalar(I, 0.5), Scale), -0.5);
  bool Single = A.Out.isConstant(1);
  // What a result of one element takes instead.
  auto unlessSingle = [&](Value Many, Value One) {
    if (Single)
      return One;
    if (A.Out.constant())
      return Many;
    Value IsOne =
        B.compare(Dir::EQ, along(B.dim(A.Out)), B.full(1, {A.Out}, N.i64()));
    return B.select(IsOne, One, Many);
  };
  if (M.Coordinates == "asymmetric")
    return B.div(I, Scale);
  if (M.Coordinates == "pytorch_half_pixel")
    return unlessSingle(Half, number(0));
  if (M.Coordinates == "half_pixel_symmetric") {
    Value In = size(A.In);
    Value Adjustment = B.div(size(A.Out), B.mul(In, A.Scale));
    Value Offset =
        B.mul(B.mulScalar(In, 0.5), B.sub(B.scalar(1, N.f32()), Adjustment));
    return B.add(Half, along(Offset));
  }
  Value LastIn = along(size(A.In - DimExpr(1)));
  // The last element of a result of no whole size in the exact sense (scales
  // that are given) is that of the rounded one, as torch has it.
  Value LastOut = B.maxScalar(along(size(A.Out - DimExpr(1))), 1e-9);
  if (M.Coordinates == "align_corners")
    return unlessSingle(B.div(B.mul(I, LastIn), LastOut), number(0));
  if (M.Coordinates == "tf_crop_and_resize") {
    Value Start = along(A.RoiStart), End = along(A.RoiEnd);
    Value Step = B.div(B.mul(B.sub(End, Start), LastIn), LastOut);
    Value Many = B.add(B.mul(Start, LastIn), B.mul(I, Step));
    Value One = B.mul(B.mulScalar(B.add(Start, End), 0.5), LastIn);
    return unlessSingle(Many, One);
  }
  return Half;
}

/// Keys' cubic kernel at distances T >= 0.
Value AxisResizer::cubic(Value T) {
  double K = M.CubicA;
  auto poly = [&](std::array<double, 4> C) {
    Value Acc = B.addScalar(B.mulScalar(T, C[0]), C[1]);
    Acc = B.addScalar(B.mul(Acc, T), C[2]);
    return B.addScalar(B.mul(Acc, T), C[3]);
  };
  Value Near = poly({K + 2, -(K + 3), 0, 1});
  Value Far = poly({K, -5 * K, 8 * K, -4 * K});
  return B.select(B.compare(Dir::LE, T, number(1)), Near,
                  B.select(B.compare(Dir::LT, T, number(2)), Far, number(0)));
}

FailureOr<SmallVector<Tap>> AxisResizer::taps(Value At) {
  auto index = [&](Value V) { return B.convert(V, N.i64()); };
  if (M.Mode == "nearest") {
    Value R;
    if (M.Nearest == "floor")
      R = B.floor(At);
    else if (M.Nearest == "ceil")
      R = B.ceil(At);
    else if (M.Nearest == "round_prefer_ceil")
      R = B.floor(B.addScalar(At, 0.5));
    else
      R = B.ceil(B.addScalar(At, -0.5));
    return SmallVector<Tap>{{index(R), Value()}};
  }
  bool Linear = M.Mode == "linear";
  if (!Linear && M.Mode != "cubic")
    return N.fail("mode '" + M.Mode + "' does not exist");
  // When the result is smaller, antialiasing widens the kernel to match.
  double Stretch = 1;
  if (M.Antialias) {
    if (!A.ConstScale)
      return N.fail("antialiasing needs scales that are known");
    Stretch = std::min(*A.ConstScale, 1.0);
    if (!(Stretch > 1e-3))
      return N.fail("the scale is too small for antialiasing");
  }
  double Reach = Linear ? 1 : 2;
  int64_t First = int64_t(std::floor(-Reach / Stretch)) + 1;
  int64_t Last = 1 - First;
  Value Floor = B.floor(At), Ratio = B.sub(At, Floor);
  SmallVector<Tap> Taps;
  Value Sum;
  for (int64_t K = First; K <= Last; ++K) {
    Value T = B.abs(B.addScalar(B.neg(Ratio), double(K)));
    if (Stretch != 1)
      T = B.mulScalar(T, Stretch);
    Value W = Linear ? B.maxScalar(B.addScalar(B.neg(T), 1), 0) : cubic(T);
    Value I = index(B.addScalar(Floor, double(K)));
    if (M.ExcludeOutside) {
      Value Inside = B.bitAnd(B.compare(Dir::GE, I, B.full(0, I)),
                              B.compare(Dir::LT, I, along(B.dim(A.In))));
      W = B.select(Inside, W, number(0));
    }
    Sum = Sum ? B.add(Sum, W) : W;
    Taps.push_back({I, W});
  }
  if (M.ExcludeOutside || Stretch != 1)
    for (Tap &T : Taps)
      T.Weight = B.div(T.Weight, Sum);
  return Taps;
}

/// Whether every input element is simply repeated a whole number of times.
bool AxisResizer::repeats() const {
  if (M.Mode != "nearest" || !A.ConstScale || *A.ConstScale < 1 ||
      *A.ConstScale != std::floor(*A.ConstScale) ||
      !(A.Out == A.In * DimExpr(int64_t(*A.ConstScale))))
    return false;
  if (M.Coordinates == "asymmetric")
    return M.Nearest == "floor";
  return (M.Coordinates == "half_pixel" ||
          M.Coordinates == "half_pixel_symmetric") &&
         StringRef(M.Nearest).starts_with("round");
}

FailureOr<Value> AxisResizer::apply(Value X) {
  Dims Shape = getDims(X);
  if (repeats()) {
    Dims Spread(Shape), Out(Shape);
    Spread.insert(Spread.begin() + A.Dim + 1, DimExpr(int64_t(*A.ConstScale)));
    Out[A.Dim] = A.Out;
    Ints Positions;
    for (int64_t D = 0; D < int64_t(Shape.size()); ++D)
      Positions.push_back(D <= A.Dim ? D : D + 1);
    return B.reshape(B.broadcast(X, Spread, Positions), Out);
  }
  Value At = coordinates();
  auto Taps = taps(At);
  if (failed(Taps))
    return failure();
  Dims Out(Shape);
  Out[A.Dim] = A.Out;
  Value Y;
  for (const Tap &T : *Taps) {
    Value Last = along(B.dim(A.In - DimExpr(1)));
    Value I = B.min(B.maxScalar(T.Index, 0), Last);
    Value Part = B.take(X, I, A.Dim);
    if (T.Weight)
      Part = B.mul(Part,
                   B.broadcast(B.convert(T.Weight, getElementTypeOrSelf(Part)),
                               Out, {A.Dim}));
    Y = Y ? B.add(Y, Part) : Part;
  }
  if (M.Coordinates == "tf_crop_and_resize") {
    Value Last = along(size(A.In - DimExpr(1)));
    Value Outside = B.bitOr(B.compare(Dir::LT, At, number(0)),
                            B.compare(Dir::GT, At, Last));
    Y = B.select(B.broadcast(Outside, Out, {A.Dim}), B.full(M.Extrapolation, Y),
                 Y);
  }
  return Y;
}

/// floor(size * scale) for a scale that is known or not.
static FailureOr<DimExpr> scaledSize(Node &N, const DimExpr &In,
                                     std::optional<double> Scale,
                                     Value ScaleV) {
  if (Scale) {
    if (!(*Scale > 0) || *Scale > 1e6)
      return N.fail("scales must be positive");
    if (auto C = In.constant())
      return DimExpr(int64_t(std::floor(float(*Scale) * float(*C))));
    double Num = *Scale * 4096;
    if (Num == std::floor(Num))
      return DimExpr::floorDiv(In * DimExpr(int64_t(Num)), DimExpr(4096));
  }
  Value V = N.B.mul(N.B.convert(N.B.dim(In), N.f32()), ScaleV);
  return N.bind(N.B.convert(N.B.floor(V), N.i64()), "resized").front();
}

/// Fills Out and the scales of all axes from input `ScalesIn` or `SizesIn`.
static LogicalResult readScales(Node &N, int ScalesIn, int SizesIn,
                                MutableArrayRef<ResizeAxis> Axes) {
  auto element = [&](Value V, int64_t K) {
    return N.B.reshape(N.B.sliceDim(V, 0, DimExpr(K), DimExpr(1)), {});
  };
  bool HasScales =
      ScalesIn >= 0 && N.has(ScalesIn) && N.dim(ScalesIn, 0).constant() != 0;
  if (HasScales) {
    if (N.dim(ScalesIn, 0).constant() != int64_t(Axes.size()))
      return N.fail("scales must have one entry per axis");
    auto Known = N.constFloats(ScalesIn);
    for (auto [K, A] : llvm::enumerate(Axes)) {
      if (Known)
        A.ConstScale = (*Known)[K];
      A.Scale = Known ? N.B.scalar((*Known)[K], N.f32())
                      : N.B.convert(element(N.in(ScalesIn), K), N.f32());
      auto Out = scaledSize(N, A.In, A.ConstScale, A.Scale);
      if (failed(Out))
        return failure();
      A.Out = *Out;
    }
    return success();
  }
  if (SizesIn < 0 || !N.has(SizesIn))
    return N.fail("neither scales nor sizes are given");
  auto Sizes = N.sizes(SizesIn);
  if (failed(Sizes))
    return failure();
  if (Sizes->size() != Axes.size())
    return N.fail("sizes must have one entry per axis");
  std::string Policy = N.attr("keep_aspect_ratio_policy", StringRef("stretch"));
  std::optional<double> Common;
  if (Policy != "stretch") {
    for (auto [A, S] : llvm::zip(Axes, *Sizes)) {
      auto In = A.In.constant(), Out = S.constant();
      if (!In || !Out || *In <= 0)
        return N.fail("keep_aspect_ratio_policy needs sizes that are known");
      double Ratio = double(*Out) / double(*In);
      Common = !Common                  ? Ratio
               : Policy == "not_larger" ? std::min(*Common, Ratio)
                                        : std::max(*Common, Ratio);
    }
  }
  for (auto [A, S] : llvm::zip(Axes, *Sizes)) {
    if (auto C = S.constant(); C && *C < 0)
      return N.fail("sizes must not be negative");
    A.Out = Common ? DimExpr(int64_t(
                         std::floor(*Common * double(*A.In.constant()) + 0.5)))
                   : S;
    auto In = A.In.constant(), Out = A.Out.constant();
    if (Common)
      A.ConstScale = Common;
    else if (In && Out && *In > 0)
      A.ConstScale = double(*Out) / double(*In);
    else if (auto Q = A.Out.exactDiv(A.In); Q && Q->constant())
      A.ConstScale = double(*Q->constant());
    A.Scale = A.ConstScale ? N.B.scalar(*A.ConstScale, N.f32())
                           : N.B.div(N.B.convert(N.B.dim(A.Out), N.f32()),
                                     N.B.convert(N.B.dim(A.In), N.f32()));
  }
  return success();
}

static LogicalResult resizeAxes(Node &N, const ResizeMode &M,
                                ArrayRef<ResizeAxis> Axes) {
  // Weighted sums are made in floats.
  Type E = N.elem(0);
  bool Weighted = M.Mode != "nearest";
  Value X = N.in(0);
  if (Weighted && !E.isF32() && !E.isF64())
    X = N.B.convert(X, N.f32());
  for (const ResizeAxis &A : Axes) {
    bool Same = A.In == A.Out && (!A.ConstScale || *A.ConstScale == 1) &&
                M.Coordinates != "tf_crop_and_resize";
    if (Same)
      continue;
    auto Y = AxisResizer(N, M, A).apply(X);
    if (failed(Y))
      return failure();
    X = *Y;
  }
  return N.done(N.B.convert(X, E));
}

static LogicalResult resize(Node &N) {
  bool Old = N.Version < 11;
  ResizeMode M{
      N.attr("mode", StringRef("nearest")),
      N.attr("coordinate_transformation_mode",
             StringRef(Old ? "asymmetric" : "half_pixel")),
      N.attr("nearest_mode", StringRef(Old ? "floor" : "round_prefer_floor")),
      N.attr("cubic_coeff_a", -0.75),
      N.attr("extrapolation_value", 0.0),
      N.attr("exclude_outside", int64_t(0)) != 0,
      N.attr("antialias", int64_t(0)) != 0};
  static constexpr StringRef Known[] = {
      "asymmetric",           "half_pixel",    "pytorch_half_pixel",
      "half_pixel_symmetric", "align_corners", "tf_crop_and_resize"};
  if (!llvm::is_contained(Known, M.Coordinates))
    return N.fail("coordinate_transformation_mode '" + M.Coordinates +
                  "' does not exist");
  if (M.Mode == "bilinear" || M.Mode == "trilinear")
    M.Mode = "linear";
  auto Given = N.ints("axes");
  auto Positions =
      N.axes(Given ? *Given : llvm::to_vector(llvm::seq<int64_t>(0, N.rank(0))),
             N.rank(0));
  if (failed(Positions))
    return failure();
  SmallVector<ResizeAxis> Axes;
  for (int64_t D : *Positions)
    Axes.push_back({D, N.dim(0, D), {}, {}, {}, {}, {}});
  if (failed(readScales(N, Old ? 1 : 2, Old ? -1 : 3, Axes)))
    return failure();
  if (M.Coordinates == "tf_crop_and_resize") {
    int64_t Count = Axes.size();
    if (!N.has(1) || N.rank(1) != 1 || N.dim(1, 0).constant() != 2 * Count)
      return N.fail("roi must have two entries per axis");
    Value Roi = N.B.convert(N.in(1), N.f32());
    for (auto [K, A] : llvm::enumerate(Axes)) {
      auto at = [&](int64_t I) {
        return N.B.reshape(N.B.sliceDim(Roi, 0, DimExpr(I), DimExpr(1)), {});
      };
      A.RoiStart = at(K);
      A.RoiEnd = at(int64_t(K) + Count);
    }
  }
  return resizeAxes(N, M, Axes);
}

static LogicalResult upsample(Node &N) {
  std::string Mode = N.attr("mode", StringRef("nearest"));
  ResizeMode M{Mode == "bilinear" ? "linear" : Mode,
               "asymmetric",
               "floor",
               -0.75,
               0,
               false,
               false};
  SmallVector<ResizeAxis> Axes;
  for (int64_t D = 0; D < N.rank(0); ++D)
    Axes.push_back({D, N.dim(0, D), {}, {}, {}, {}, {}});
  if (N.Version >= 9) {
    if (failed(readScales(N, 1, -1, Axes)))
      return failure();
    return resizeAxes(N, M, Axes);
  }
  auto Scales = N.floats("scales");
  if (!Scales || Scales->size() != Axes.size())
    return N.fail("scales must have one entry per dimension");
  for (auto [A, S] : llvm::zip(Axes, *Scales)) {
    A.ConstScale = S;
    A.Scale = N.B.scalar(S, N.f32());
    auto Out = scaledSize(N, A.In, S, A.Scale);
    if (failed(Out))
      return failure();
    A.Out = *Out;
  }
  return resizeAxes(N, M, Axes);
}

llvm::ArrayRef<OpEntry> limosa::onnximport::resizeOps() {
  static const OpEntry Table[] = {
      {"", "Resize", 10, 2, 2, Numbers, resize},
      {"", "Resize", 11, 1, 4, Numbers, resize},
      {"", "Upsample", 7, 1, 1, Numbers, upsample},
      {"", "Upsample", 9, 2, 2, Numbers, upsample},
  };
  return Table;
}
