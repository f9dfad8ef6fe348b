//===- GridSample.cpp - GridSample, AffineGrid ----------------------------===//
//
// Sampling at computed positions is a gather per neighbour ("tap"), each with a
// weight that depends on the position's fraction. Positions outside follow the
// padding mode.
//
//===----------------------------------------------------------------------===//

#include "Registry.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

using Dir = CompareDirection;

namespace {

enum class Padding { Zeros, Border, Reflection };

/// GridSample of X[N, C, D1 .. Dr] at Grid[N, O1 .. Or, r].
class GridSampler {
public:
  GridSampler(Node &N, Padding P, bool AlignCorners)
      : N(N), B(N.B), P(P), AlignCorners(AlignCorners) {
    E = N.elem(1).isF64() ? N.elem(1) : N.f32();
    Sizes = N.dims(0);
    Sizes.erase(Sizes.begin(), Sizes.begin() + 2);
    Positions = N.dims(1);
    Positions[0] = N.dim(0, 0);
    Grid = B.convert(N.as(N.in(1), Positions), E);
    Positions.pop_back();
  }

  Value nearest();
  Value weighted(bool Cubic);

private:
  unsigned rank() const { return Sizes.size(); }
  Value full(double V) { return B.full(V, Positions, E); }
  /// A size, or an expression of one, at every position.
  Value size(const DimExpr &D) {
    return B.broadcast(B.convert(B.dim(D), E), Positions, {});
  }
  Value coordinate(unsigned D);
  Value reflect(Value V, unsigned D);
  Value inside(Value V, unsigned D) {
    return B.bitAnd(B.compare(Dir::GE, V, full(0)),
                    B.compare(Dir::LT, V, size(Sizes[D])));
  }
  Value pixel(ArrayRef<Value> At);
  Value cubic(Value T);

  Node &N;
  CoreBuilder &B;
  Padding P;
  bool AlignCorners;
  Type E;         ///< What positions are computed in.
  Dims Sizes;     ///< D1 .. Dr
  Dims Positions; ///< N, O1 .. Or
  Value Grid;     ///< of element type E
  Value Data;     ///< X[N, D1 .. Dr, C]
};

} // namespace

/// V mirrored into the extent of dimension D: at the outer pixels' centres, or
/// at their outer edges.
Value GridSampler::reflect(Value V, unsigned D) {
  double Low = AlignCorners ? 0 : -0.5;
  Value Range = size(AlignCorners ? Sizes[D] - DimExpr(1) : Sizes[D]);
  Value Period = B.maxScalar(B.mulScalar(Range, 2), 1e-6);
  Value T = B.addScalar(V, -Low);
  T = B.sub(T, B.mul(B.floor(B.div(T, Period)), Period));
  return B.addScalar(B.min(B.min(T, B.sub(Period, T)), Range), Low);
}

/// Where the grid points to along dimension D, in pixels.
Value GridSampler::coordinate(unsigned D) {
  int64_t Last = int64_t(Positions.size());
  Value G =
      B.sliceDim(Grid, Last, DimExpr(int64_t(rank()) - 1 - D), DimExpr(1));
  G = B.addScalar(B.reshape(G, Positions), 1);
  if (AlignCorners)
    return B.mulScalar(B.mul(G, size(Sizes[D] - DimExpr(1))), 0.5);
  return B.mulScalar(B.addScalar(B.mul(G, size(Sizes[D])), -1), 0.5);
}

/// The pixels [N, O1 .. Or, C] at whole numbers, padded.
Value GridSampler::pixel(ArrayRef<Value> At) {
  if (!Data) {
    Ints Perm{0};
    for (unsigned D = 0; D < rank(); ++D)
      Perm.push_back(D + 2);
    Perm.push_back(1);
    Data = B.transpose(N.in(0), Perm);
  }
  SmallVector<Value> Parts;
  Value Inside;
  int64_t Rank = Positions.size();
  for (auto [D, Given] : llvm::enumerate(At)) {
    Value V = Given;
    if (P == Padding::Reflection)
      V = reflect(V, D);
    if (P == Padding::Zeros) {
      Value In = inside(V, D);
      Inside = Inside ? B.bitAnd(Inside, In) : In;
    }
    // Clamped here as well as by gather, so that converting is defined.
    V = B.min(B.maxScalar(V, -1), size(Sizes[D]));
    Parts.push_back(B.expandDims(B.convert(V, N.i64()), {Rank}));
  }
  Ints Axes = llvm::to_vector(llvm::seq<int64_t>(1, 1 + rank()));
  Value Y = B.gather(Data, B.concat(Parts, Rank), Axes, 1);
  if (!Inside)
    return Y;
  Ints Leading = llvm::to_vector(llvm::seq<int64_t>(0, Rank));
  return B.select(B.broadcast(Inside, getDims(Y), Leading), Y, B.full(0, Y));
}

Value GridSampler::nearest() {
  SmallVector<Value> At;
  for (unsigned D = 0; D < rank(); ++D) {
    Value V = coordinate(D);
    if (P == Padding::Reflection)
      V = reflect(V, D);
    At.push_back(B.roundEven(V));
  }
  return pixel(At);
}

/// Keys' kernel with a = -0.75 at distances T >= 0.
Value GridSampler::cubic(Value T) {
  auto poly = [&](std::array<double, 4> C) {
    Value Acc = B.addScalar(B.mulScalar(T, C[0]), C[1]);
    Acc = B.addScalar(B.mul(Acc, T), C[2]);
    return B.addScalar(B.mul(Acc, T), C[3]);
  };
  return B.select(B.compare(Dir::LE, T, full(1)), poly({1.25, -2.25, 0, 1}),
                  poly({-0.75, 3.75, -6, 3}));
}

Value GridSampler::weighted(bool Cubic) {
  struct Tap {
    Value At, Weight;
  };
  SmallVector<SmallVector<Tap>> Taps(rank());
  for (unsigned D = 0; D < rank(); ++D) {
    Value V = coordinate(D);
    if (P == Padding::Reflection)
      V = reflect(V, D);
    else if (P == Padding::Border && !Cubic)
      V = B.min(B.maxScalar(V, 0), size(Sizes[D] - DimExpr(1)));
    Value Floor = B.floor(V), Ratio = B.sub(V, Floor);
    for (int K = Cubic ? -1 : 0; K <= (Cubic ? 2 : 1); ++K) {
      Value T = B.abs(B.addScalar(B.neg(Ratio), K));
      Value W = Cubic ? cubic(T) : B.addScalar(B.neg(T), 1);
      Taps[D].push_back({B.addScalar(Floor, K), W});
    }
  }
  // Every combination of one tap per dimension.
  Type Result = N.elem(0);
  Type Sum = Result.isF64() ? Result : N.f32();
  Ints Leading =
      llvm::to_vector(llvm::seq<int64_t>(0, int64_t(Positions.size())));
  SmallVector<unsigned> Pick(rank(), 0);
  Value Y;
  while (true) {
    SmallVector<Value> At;
    Value W;
    for (unsigned D = 0; D < rank(); ++D) {
      const Tap &T = Taps[D][Pick[D]];
      At.push_back(T.At);
      W = W ? B.mul(W, T.Weight) : T.Weight;
    }
    Value Part = B.convert(pixel(At), Sum);
    Part = B.mul(Part, B.broadcast(B.convert(W, Sum), getDims(Part), Leading));
    Y = Y ? B.add(Y, Part) : Part;
    unsigned D = 0;
    while (D < rank() && ++Pick[D] == Taps[D].size())
      Pick[D++] = 0;
    if (D == rank())
      return B.convert(Y, Result);
  }
}

static LogicalResult gridSample(Node &N) {
  if (failed(N.wantMinRank(0, 3)))
    return failure();
  int64_t Rank = N.rank(0) - 2;
  if (failed(N.wantRank(1, N.rank(0))) ||
      failed(N.wantEqual(N.dim(0, 0), N.dim(1, 0), "batch sizes")))
    return failure();
  if (N.dim(1, Rank + 1).constant() != Rank)
    return N.fail("the grid's last dimension must be " + Twine(Rank));
  if (!isFloatType(N.elem(1)))
    return N.fail("the grid must have float elements");
  std::string Mode = N.attr("mode", StringRef("linear")),
              Pad = N.attr("padding_mode", StringRef("zeros"));
  if (Pad != "zeros" && Pad != "border" && Pad != "reflection")
    return N.fail("padding_mode '" + Pad + "' does not exist");
  Padding P = Pad == "zeros"    ? Padding::Zeros
              : Pad == "border" ? Padding::Border
                                : Padding::Reflection;
  GridSampler S(N, P, N.attr("align_corners", int64_t(0)) != 0);
  Value Y;
  if (Mode == "nearest") {
    Y = S.nearest();
  } else if (Mode == "linear" || Mode == "bilinear" || Mode == "cubic" ||
             Mode == "bicubic") {
    if (!isFloatType(N.elem(0)))
      return N.fail("mode '" + Mode + "' needs float elements");
    Y = S.weighted(StringRef(Mode).ends_with("cubic"));
  } else {
    return N.fail("mode '" + Mode + "' does not exist");
  }
  Ints Perm{0, Rank + 1};
  for (int64_t D = 1; D <= Rank; ++D)
    Perm.push_back(D);
  return N.done(N.B.transpose(Y, Perm));
}

/// theta[N, r, r + 1] applied to the positions of an image of the given size.
static LogicalResult affineGrid(Node &N) {
  auto Size = N.sizes(1);
  if (failed(Size) || failed(N.wantRank(0, 3)))
    return failure();
  int64_t Rank = int64_t(Size->size()) - 2;
  if (Rank < 1 || N.dim(0, 1).constant() != Rank ||
      N.dim(0, 2).constant() != Rank + 1)
    return N.fail("theta must have shape [N, r, r + 1] for r spatial sizes");
  if (failed(N.wantEqual(N.dim(0, 0), (*Size)[0], "batch sizes")))
    return failure();
  bool Align = N.attr("align_corners", int64_t(0)) != 0;
  CoreBuilder &B = N.B;
  Type E = N.elem(0);
  Dims Shape(Size->begin() + 2, Size->end());
  Dims Column(Shape);
  Column.push_back(DimExpr(1));
  SmallVector<Value> Parts;
  DimExpr Count(1);
  for (int64_t K = 0; K < Rank; ++K) {
    int64_t D = Rank - 1 - K; // x comes first
    Value I = B.iota(Shape, D, E);
    Value L = B.broadcast(B.convert(B.dim(Shape[D]), E), Shape, {});
    // -1 and 1 are the centres of the outer pixels, or their outer edges.
    Value V;
    if (Align)
      V = B.addScalar(
          B.div(B.mulScalar(I, 2), B.maxScalar(B.addScalar(L, -1), 1)), -1);
    else
      V = B.addScalar(B.div(B.addScalar(B.mulScalar(I, 2), 1), L), -1);
    Parts.push_back(B.reshape(V, Column));
    Count = Count * Shape[K];
  }
  Parts.push_back(B.full(1, Column, E));
  Value Base = B.reshape(B.concat(Parts, Rank), {Count, DimExpr(Rank + 1)});
  auto Grid = N.matmul(Base, B.transpose(N.in(0), {0, 2, 1}));
  if (failed(Grid))
    return failure();
  Dims Out{N.dim(0, 0)};
  llvm::append_range(Out, Shape);
  Out.push_back(DimExpr(Rank));
  auto Y = N.reshape(*Grid, Out);
  return failed(Y) ? failure() : N.done(*Y);
}

llvm::ArrayRef<OpEntry> limosa::onnximport::gridOps() {
  static const OpEntry Table[] = {
      {"", "GridSample", 16, 2, 2, Numbers, gridSample},
      {"", "AffineGrid", 20, 2, 2, Floats, affineGrid},
  };
  return Table;
}
