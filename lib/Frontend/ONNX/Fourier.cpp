//===- Fourier.cpp - DFT, STFT and what goes with them --------------------===//
//
// A transform of n points is a product with a matrix of cosines and sines: the
// point and its real and imaginary part are summed over together.
//
//===----------------------------------------------------------------------===//

#include "Registry.h"
#include "Tensors.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

namespace {

/// From n points of `Parts` numbers each (1: real, 2: complex) to `Bins`
/// complex ones.
struct Transform {
  DimExpr Points, Bins;
  int64_t Parts;
  bool Inverse;
};

} // namespace

/// Constants beyond this are computed when the program runs.
static constexpr int64_t MaxMatrix = 1 << 22;

/// The matrix [Points * Parts, Bins * 2].
static Value matrix(Node &N, const Transform &T, Type E) {
  CoreBuilder &B = N.B;
  auto Points = T.Points.constant(), Bins = T.Bins.constant();
  DimExpr Rows = T.Points * DimExpr(T.Parts), Columns = T.Bins * DimExpr(2);
  if (Points && Bins && *Points * *Bins * T.Parts * 2 <= MaxMatrix) {
    SmallVector<Attribute> V;
    double Scale = T.Inverse ? 1.0 / double(*Points) : 1;
    for (int64_t J = 0; J < *Points; ++J)
      for (int64_t Part = 0; Part < T.Parts; ++Part)
        for (int64_t K = 0; K < *Bins; ++K) {
          double Angle =
              2 * llvm::numbers::pi * double(J * K % *Points) / double(*Points);
          double C = std::cos(Angle) * Scale,
                 S = std::sin(Angle) * (T.Inverse ? -Scale : Scale);
          V.push_back(FloatAttr::get(E, Part ? S : C));
          V.push_back(FloatAttr::get(E, Part ? C : -S));
        }
    auto Ty = RankedTensorType::get({*Points * T.Parts, *Bins * 2}, E);
    return B.constant(DenseElementsAttr::get(Ty, V));
  }
  Dims Plane{T.Points, T.Bins};
  Value N64 = B.dim(T.Points);
  Value Turn =
      B.rem(B.mul(B.iota(Plane, 0, N.i64()), B.iota(Plane, 1, N.i64())),
            B.broadcast(N64, Plane, {}));
  Type Wide = E.isF64() ? E : N.f32();
  Value Count = B.broadcast(B.convert(N64, Wide), Plane, {});
  // The quarter of the circle is exact, and the zeros with it.
  Value Quarters = B.mulScalar(Turn, 4), Whole = B.broadcast(N64, Plane, {});
  Value Quarter = B.div(Quarters, Whole);
  Value Angle =
      B.mulScalar(B.div(B.convert(B.rem(Quarters, Whole), Wide), Count),
                  llvm::numbers::pi / 2);
  Value Cos = B.cos(Angle), Sin = B.sin(Angle);
  auto isQuarter = [&](int64_t K) {
    return B.compare(CompareDirection::EQ, Quarter, B.full(double(K), Quarter));
  };
  Value Odd = B.bitOr(isQuarter(1), isQuarter(3));
  auto turned = [&](Value V, Value Other, int64_t From) {
    V = B.select(Odd, Other, V);
    Value Negative = B.bitOr(isQuarter(From), isQuarter(From + 1));
    return B.select(Negative, B.neg(V), V);
  };
  Value C = turned(Cos, Sin, 1), S = turned(Sin, Cos, 2);
  if (T.Inverse) {
    C = B.div(C, Count);
    S = B.neg(B.div(S, Count));
  }
  Dims Cell{T.Points, DimExpr(1), T.Bins, DimExpr(1)};
  auto row = [&](Value Re, Value Im) {
    return B.concat({B.reshape(Re, Cell), B.reshape(Im, Cell)}, 3);
  };
  SmallVector<Value> Parts{row(C, B.neg(S))};
  if (T.Parts == 2)
    Parts.push_back(row(S, C));
  return B.reshape(B.convert(B.concat(Parts, 1), E), {Rows, Columns});
}

/// X[.., Points, Parts] to [.., Bins, 2].
static FailureOr<Value> apply(Node &N, Value X, const Transform &T) {
  Dims Shape = getDims(X);
  Shape.pop_back();
  Dims Out(Shape);
  Shape.back() = T.Points * DimExpr(T.Parts);
  auto Y =
      N.matmul(N.B.reshape(X, Shape), matrix(N, T, getElementTypeOrSelf(X)));
  if (failed(Y))
    return failure();
  Out.back() = T.Bins;
  Out.push_back(DimExpr(2));
  return N.B.reshape(*Y, Out);
}

/// The parts per number: the size of the last dimension.
static FailureOr<int64_t> parts(Node &N) {
  auto Parts = N.dim(0, N.rank(0) - 1).constant();
  if (Parts != 1 && Parts != 2)
    return N.fail("the last dimension must be 1 (real) or 2 (complex)");
  return *Parts;
}

/// The bins of a transform of real numbers that tell the others.
static DimExpr halfOf(const DimExpr &Points) {
  return DimExpr::floorDiv(Points, DimExpr(2)) + DimExpr(1);
}

/// X[.., n, parts] with `Points` points: cut, then filled up with zeros, one of
/// which does nothing.
static Value resized(Node &N, Value X, const DimExpr &Points) {
  Dims Shape = getDims(X);
  size_t Rank = Shape.size();
  Dims High(Rank, DimExpr(0)), None(Rank, DimExpr(0));
  DimExpr Kept = DimExpr::min(Shape[Rank - 2], Points);
  X = N.B.sliceDim(X, int64_t(Rank) - 2, DimExpr(0), Kept);
  High[Rank - 2] = Points - Kept;
  X = N.B.pad(X, N.B.scalar(0, getElementTypeOrSelf(X)), None, High);
  Shape[Rank - 2] = Points;
  return N.as(X, Shape);
}

/// All `Points` bins from the first half of them: the others are conjugates.
static Value mirrored(CoreBuilder &B, Value X, const DimExpr &Points) {
  int64_t Rank = cast<RankedTensorType>(X.getType()).getRank();
  Value Rest = B.reverse(
      B.sliceDim(X, Rank - 2, DimExpr(1), Points - halfOf(Points)), Rank - 2);
  auto part = [&](int64_t K) {
    return B.sliceDim(Rest, Rank - 1, DimExpr(K), DimExpr(1));
  };
  Rest = B.concat({part(0), B.neg(part(1))}, Rank - 1);
  return B.concat({X, Rest}, Rank - 2);
}

static LogicalResult dft(Node &N) {
  if (failed(N.wantMinRank(0, 2)))
    return failure();
  auto Parts = ::parts(N);
  if (failed(Parts))
    return failure();
  int64_t Rank = N.rank(0), Given = N.attr("axis", int64_t(1));
  if (N.Version >= 20) {
    Given = -2;
    if (N.has(2)) {
      auto Axis = N.constInts(2);
      if (!Axis || Axis->size() != 1)
        return N.fail("the axis must be a constant");
      Given = Axis->front();
    }
  }
  auto Axis = N.axis(Given, Rank);
  if (failed(Axis))
    return failure();
  if (*Axis == Rank - 1)
    return N.fail("the axis must not be that of real and imaginary parts");
  bool Inverse = N.attr("inverse", int64_t(0)) != 0,
       OneSided = N.attr("onesided", int64_t(0)) != 0;
  if (Inverse && OneSided && *Parts != 2)
    return N.fail("a onesided inverse transform needs complex numbers");
  Ints Perm = llvm::to_vector(llvm::seq<int64_t>(0, Rank));
  std::swap(Perm[*Axis], Perm[Rank - 2]);
  Value X = N.B.transpose(N.in(0), Perm);
  DimExpr Have = N.dim(0, *Axis), Points = Have;
  if (N.has(1)) {
    auto Length = N.sizes(1);
    if (failed(Length))
      return failure();
    if (Length->size() != 1)
      return N.fail("dft_length must be a scalar");
    Points = Length->front();
  } else if (Inverse && OneSided) {
    Points = (Have - DimExpr(1)) * DimExpr(2);
  }
  if (Inverse && OneSided) {
    X = mirrored(N.B, resized(N, X, halfOf(Points)), Points);
    auto Y = apply(N, X, {Points, Points, *Parts, Inverse});
    if (failed(Y))
      return failure();
    Value Real = N.B.sliceDim(*Y, Rank - 1, DimExpr(0), DimExpr(1));
    return N.done(N.B.transpose(Real, Perm));
  }
  if (!(Points == Have))
    X = resized(N, X, Points);
  DimExpr Bins = OneSided ? halfOf(Points) : Points;
  auto Y = apply(N, X, {Points, Bins, *Parts, Inverse});
  return failed(Y) ? failure() : N.done(N.B.transpose(*Y, Perm));
}

static LogicalResult stft(Node &N) {
  if (N.rank(0) != 2 && failed(N.wantRank(0, 3)))
    return failure();
  CoreBuilder &B = N.B;
  Value X = N.in(0);
  int64_t Parts = 1;
  if (N.rank(0) == 2) {
    X = B.expandDims(X, {2});
  } else {
    auto Given = ::parts(N);
    if (failed(Given))
      return failure();
    Parts = *Given;
  }
  auto Step = N.sizes(1);
  if (failed(Step))
    return failure();
  DimExpr Points;
  if (N.has(3)) {
    auto Length = N.sizes(3);
    if (failed(Length))
      return failure();
    if (Length->size() != 1)
      return N.fail("frame_length must be a scalar");
    Points = Length->front();
  } else if (N.has(2)) {
    Points = N.dim(2, 0);
  } else {
    return N.fail("neither a window nor frame_length is given");
  }
  if (Step->size() != 1 || Step->front().isConstant(0))
    return N.fail("frame_step must be a positive scalar");
  Dims Shape = getDims(X);
  DimExpr Frames =
      DimExpr::floorDiv(Shape[1] - Points, Step->front()) + DimExpr(1);
  Dims Plane{Frames, Points};
  Value Start = B.mul(B.iota(Plane, 0, N.i64()),
                      B.broadcast(B.dim(Step->front()), Plane, {}));
  X = B.take(X, B.add(Start, B.iota(Plane, 1, N.i64())), 1);
  if (N.has(2)) {
    if (failed(N.wantRank(2, 1)) || failed(N.sameElem(0, 2)) ||
        failed(N.wantEqual(N.dim(2, 0), Points,
                           "the window's length and frame_length")))
      return failure();
    Value Window = N.as(N.in(2), {Points});
    X = B.mul(X, B.broadcast(Window, getDims(X), {2}));
  }
  bool OneSided = N.attr("onesided", int64_t(1)) != 0 && Parts == 1;
  DimExpr Bins = OneSided ? halfOf(Points) : Points;
  auto Y = apply(N, X, {Points, Bins, Parts, /*Inverse=*/false});
  return failed(Y) ? failure() : N.done(*Y);
}

/// The element type that an attribute names, float by default.
static FailureOr<Type> outputType(Node &N) {
  Type E = elementType(N.I.context(), N.attr("output_datatype", int64_t(1)));
  if (!E)
    return N.fail("output_datatype is not supported");
  return E;
}

/// A - B cos(2 pi i / n) + C cos(4 pi i / n).
static LogicalResult window(Node &N, double A, double B, double C) {
  auto Size = N.sizes(0);
  auto E = outputType(N);
  if (failed(Size) || failed(E))
    return failure();
  if (Size->size() != 1)
    return N.fail("the size must be a scalar");
  CoreBuilder &K = N.B;
  bool Periodic = N.attr("periodic", int64_t(1)) != 0;
  Type F64 = K.builder().getF64Type();
  Value Count = K.convert(
      K.dim(Periodic ? Size->front() : Size->front() - DimExpr(1)), F64);
  Value Angle =
      K.mulScalar(K.div(K.iota(*Size, 0, F64), K.broadcast(Count, *Size, {})),
                  2 * llvm::numbers::pi);
  Value Y = K.addScalar(K.mulScalar(K.cos(Angle), -B), A);
  if (C != 0)
    Y = K.add(Y, K.mulScalar(K.cos(K.mulScalar(Angle, 2)), C));
  return N.done(K.convert(Y, *E));
}
static LogicalResult hann(Node &N) { return window(N, 0.5, 0.5, 0); }
static LogicalResult hamming(Node &N) {
  return window(N, 25.0 / 46.0, 21.0 / 46.0, 0);
}
static LogicalResult blackman(Node &N) { return window(N, 0.42, 0.5, 0.08); }

static LogicalResult melWeightMatrix(Node &N) {
  double V[5];
  for (unsigned K = 0; K < 5; ++K) {
    auto C = N.constFloats(K);
    if (!C || C->size() != 1)
      return N.fail("all inputs must be constant scalars");
    V[K] = C->front();
  }
  auto E = outputType(N);
  if (failed(E))
    return failure();
  int64_t Bands = int64_t(V[0]), Points = int64_t(V[1]), Rate = int64_t(V[2]);
  int64_t Rows = Points / 2 + 1;
  if (Bands < 1 || Points < 1 || Rate < 1 || Bands > 4096 || Points > 1 << 20)
    return N.fail("sizes and the sample rate must be positive");
  auto mel = [](double Hertz) { return 2595 * std::log10(1 + Hertz / 700); };
  double Low = mel(V[3]), Step = (mel(V[4]) - Low) / double(Bands + 2);
  SmallVector<int64_t> Edges;
  for (int64_t I = 0; I < Bands + 2; ++I) {
    double Hertz = 700 * (std::pow(10.0, (double(I) * Step + Low) / 2595) - 1);
    Edges.push_back(
        int64_t(std::floor(double(Points + 1) * Hertz / double(Rate))));
    if (Edges.back() < 0 || Edges.back() > Rows)
      return N.fail("the edges lie outside of the spectrum");
  }
  std::vector<double> M(Rows * Bands, 0.0);
  auto set = [&](int64_t Row, int64_t Band, double W) {
    if (Row < Rows)
      M[Row * Bands + Band] = W;
  };
  for (int64_t I = 0; I < Bands; ++I) {
    int64_t L = Edges[I], C = Edges[I + 1], H = Edges[I + 2];
    if (C == L)
      set(C, I, 1);
    else
      for (int64_t J = L; J <= C; ++J)
        set(J, I, double(J - L) / double(C - L));
    for (int64_t J = C; J < H; ++J)
      set(J, I, double(H - J) / double(H - C));
  }
  auto Ty = RankedTensorType::get({Rows, Bands}, N.B.builder().getF64Type());
  Value All = N.B.constant(DenseElementsAttr::get(Ty, ArrayRef<double>(M)));
  return N.done(N.B.convert(All, *E));
}

llvm::ArrayRef<OpEntry> limosa::onnximport::fourierOps() {
  static const OpEntry Table[] = {
      {"", "DFT", 17, 1, 2, Floats, dft},
      {"", "DFT", 20, 1, 3, Floats, dft},
      {"", "STFT", 17, 2, 4, Floats, stft},
      {"", "HannWindow", 17, 1, 1, Integers, hann},
      {"", "HammingWindow", 17, 1, 1, Integers, hamming},
      {"", "BlackmanWindow", 17, 1, 1, Integers, blackman},
      {"", "MelWeightMatrix", 17, 5, 5, Integers, melWeightMatrix},
  };
  return Table;
}
