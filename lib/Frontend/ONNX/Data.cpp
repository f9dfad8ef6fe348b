//===- Data.cpp - Joining, cutting, padding -------------------------------===//

#include "Registry.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

using Dir = CompareDirection;

//===----------------------------------------------------------------------===//
// Concat and Split
//===----------------------------------------------------------------------===//

static LogicalResult concat(Node &N) {
  SmallVector<Value> Vs = N.allIn();
  auto Axis = N.axis(N.attr("axis", int64_t(1)), N.rank(0));
  if (failed(Axis))
    return failure();
  Dims Shape = getDims(Vs[0]);
  for (Value &V : llvm::drop_begin(Vs)) {
    Dims Own = getDims(V);
    if (Own.size() != Shape.size() ||
        getElementTypeOrSelf(V) != getElementTypeOrSelf(Vs[0]))
      return N.fail("inputs must have one rank and element type");
    for (size_t D = 0; D < Shape.size(); ++D)
      if (int64_t(D) != *Axis) {
        if (failed(N.wantEqual(Shape[D], Own[D],
                               "sizes of dimension " + Twine(D))))
          return failure();
        Shape[D] = Shape[D].constant() ? Shape[D] : Own[D];
      }
  }
  for (Value &V : Vs) {
    Dims Own = getDims(V), To(Shape);
    To[*Axis] = Own[*Axis];
    V = N.as(V, To);
  }
  return N.done(N.B.concat(Vs, *Axis));
}

static LogicalResult split(Node &N) {
  auto Axis = N.axis(N.attr("axis", int64_t(0)), N.rank(0));
  if (failed(Axis))
    return failure();
  DimExpr Total = N.dim(0, *Axis);
  size_t Count = N.numOutputs();
  Dims Sizes;
  if (N.Version >= 13 && N.has(1)) {
    auto Given = N.sizes(1);
    if (failed(Given))
      return failure();
    Sizes = *Given;
  } else if (auto Given = N.ints("split"); Given && N.Version < 13) {
    Sizes = Dims(Given->begin(), Given->end());
  } else {
    // Equal parts; the last may be smaller since opset 18.
    DimExpr Parts(int64_t(N.attr("num_outputs", int64_t(Count))));
    auto Exact = Total.exactDiv(Parts);
    DimExpr Part = Exact ? *Exact : DimExpr::ceilDiv(Total, Parts);
    if (!Exact && N.Version < 18) {
      if (Total.constant())
        return N.fail("size " + Total.toString() + " does not divide into " +
                      Twine(Count) + " equal parts");
      if (failed(N.wantEqual(Part * Parts, Total, "the sum of equal parts")))
        return failure();
    }
    Sizes.assign(Count, Part);
    if (!Exact && Count > 0)
      Sizes.back() = Total - Part * (Parts - DimExpr(1));
  }
  if (Sizes.size() != Count)
    return N.fail("has " + Twine(Count) + " outputs for " +
                  Twine(Sizes.size()) + " parts");
  DimExpr At(0);
  std::optional<Dims> Known;
  if (N.rank(0) == 1)
    Known = N.known(0);
  for (auto [K, Size] : llvm::enumerate(Sizes)) {
    auto Count = Size.constant(), First = At.constant();
    if (Count && *Count < 0)
      return N.fail("a part would have negative size");
    // Parts of what is known are known.
    if (Known && Count && First && *First + *Count <= int64_t(Known->size()))
      N.out(K, Tensor::of(std::make_shared<KnownTensor>(KnownTensor::vector(
                              ArrayRef(*Known).slice(*First, *Count))),
                          N.elem(0)));
    else if (N.wants(K))
      N.out(K, N.B.sliceDim(N.in(0), *Axis, At, Size));
    At = At + Size;
  }
  return N.wantEqual(At, Total, "the sum of all parts and the size");
}

//===----------------------------------------------------------------------===//
// Slice
//===----------------------------------------------------------------------===//

/// A - B >= 0 for all sizes, counting floordiv(x, c) as at most x.
static bool provablyAtLeast(const DimExpr &A, const DimExpr &B) {
  DimExpr Difference = A - B;
  if (auto L = Difference.lowerBound())
    return *L >= 0;
  DimExpr Upper;
  for (const DimExpr::Term &T : B.terms()) {
    DimExpr Product(T.Coefficient);
    for (const DimExpr::Atom &F : T.Factors) {
      bool Shrinks = F->Kind == DimAtomKind::FloorDiv && T.Coefficient > 0 &&
                     F->Args[1].constant().value_or(0) >= 1 &&
                     F->Args[0].lowerBound().value_or(-1) >= 0;
      Product = Product * (Shrinks ? F->Args[0] : *DimExpr::parse(F->Text));
    }
    Upper = Upper + Product;
  }
  auto L = (A - Upper).lowerBound();
  return L && *L >= 0;
}

/// No dimension is this long: such a position means the end.
static constexpr int64_t Endless = 1'000'000'000;

/// A position that Slice gives, as 0 <= p <= Size (forwards).
static DimExpr clampPosition(Node &N, DimExpr P, const DimExpr &Size) {
  auto C = P.constant();
  if (C && *C >= Endless)
    return Size;
  if (C && *C <= -Endless)
    return DimExpr(0);
  bool Negative = C ? *C < 0 : (-P).lowerBound().value_or(0) > 0;
  if (Negative) {
    P = P + Size;
    if (provablyAtLeast(P, DimExpr(0)))
      return P;
    // The last element of a size that is not known: there has to be one.
    if (C && *C == -1 && !Size.constant()) {
      (void)N.wantEqual(DimExpr::max(P, DimExpr(0)), P, "positions");
      return P;
    }
    return DimExpr::max(P, DimExpr(0));
  }
  if (!C && !provablyAtLeast(P, DimExpr(0)))
    (void)N.wantEqual(DimExpr::max(P, DimExpr(0)), P, "positions");
  if (provablyAtLeast(Size, P))
    return P;
  return DimExpr::min(P, Size);
}

/// The same for a tensor element, when the program runs.
static Value clampPosition(Node &N, Value P, const DimExpr &Size) {
  Value S = N.B.dim(Size);
  P = N.wrapIndices(P, Size);
  return N.B.min(N.B.max(P, N.B.full(0, P)), S);
}

namespace {
struct SliceArgs {
  Ints Axes, Steps;
  std::optional<Dims> Starts, Ends; ///< Known positions,
  Value StartValues, EndValues;     ///< or i64 vectors of them.
};
} // namespace

static FailureOr<SliceArgs> sliceArgs(Node &N) {
  SliceArgs A;
  auto asDims = [](const Ints &V) { return Dims(V.begin(), V.end()); };
  std::optional<Ints> Axes, Steps;
  if (N.Version < 10) {
    auto S = N.ints("starts"), E = N.ints("ends");
    if (!S || !E)
      return N.fail("starts or ends are missing");
    A.Starts = asDims(*S);
    A.Ends = asDims(*E);
    Axes = N.ints("axes");
  } else {
    A.Starts = N.known(1);
    A.Ends = N.known(2);
    for (unsigned K : {1u, 2u})
      if (N.rank(K) != 1 || !N.type(K).hasStaticShape())
        return N.fail("starts and ends must be vectors of known length");
    if (N.has(3) && !(Axes = N.constInts(3)))
      return N.fail("axes that are computed are not supported");
    if (N.has(4) && !(Steps = N.constInts(4)))
      return N.fail("steps that are computed are not supported");
    if (!A.Starts || !A.Ends) {
      A.StartValues = N.B.convert(N.in(1), N.i64());
      A.EndValues = N.B.convert(N.in(2), N.i64());
    }
  }
  size_t Count = A.Starts ? A.Starts->size() : N.type(1).getDimSize(0);
  size_t EndCount = A.Ends ? A.Ends->size() : N.type(2).getDimSize(0);
  auto Normal = N.axes(
      Axes ? *Axes : llvm::to_vector(llvm::seq<int64_t>(0, Count)), N.rank(0));
  if (failed(Normal))
    return failure();
  A.Axes = *Normal;
  A.Steps = Steps ? *Steps : Ints(Count, 1);
  if (A.Axes.size() != Count || EndCount != Count || A.Steps.size() != Count)
    return N.fail("starts, ends, axes and steps must have one length");
  for (int64_t S : A.Steps)
    if (S == 0 || S == INT64_MIN)
      return N.fail("steps must not be 0");
  return A;
}

static LogicalResult slice(Node &N) {
  auto Args = sliceArgs(N);
  if (failed(Args))
    return failure();
  Dims Sizes = N.dims(0), Starts(Sizes.size(), DimExpr(0));
  Ints Steps(Sizes.size(), 1);
  for (auto [I, Axis] : llvm::enumerate(Args->Axes)) {
    DimExpr Size = Sizes[Axis];
    int64_t Step = Args->Steps[I];
    Steps[Axis] = Step;
    if (!Args->Starts || !Args->Ends) {
      if (Step < 0)
        return N.fail("positions that are computed with a negative step are "
                      "not supported");
      auto element = [&](Value V) {
        return N.B.reshape(N.B.sliceDim(V, 0, DimExpr(int64_t(I)), DimExpr(1)),
                           {});
      };
      Value S = clampPosition(N, element(Args->StartValues), Size);
      Value E = clampPosition(N, element(Args->EndValues), Size);
      Value Span = N.B.maxScalar(N.B.sub(E, S), 0);
      Value Count =
          N.B.div(N.B.addScalar(Span, double(Step - 1)), N.B.full(Step, Span));
      Starts[Axis] = N.bind(S, "slice_start", &Size).front();
      Sizes[Axis] = N.bind(Count, "slice_size", &Size).front();
      continue;
    }
    DimExpr S = (*Args->Starts)[I], E = (*Args->Ends)[I];
    DimExpr Span;
    if (Step > 0) {
      S = clampPosition(N, S, Size);
      E = clampPosition(N, E, Size);
      Span = E - S;
    } else {
      // Backwards, starts lie in [0, Size - 1] and ends in [-1, Size - 1].
      auto clampBack = [&](const DimExpr &P, int64_t Least) {
        auto C = P.constant();
        if (C && *C >= Endless)
          return Size - DimExpr(1);
        if (C && *C <= -Endless)
          return DimExpr::min(DimExpr(Least), Size - DimExpr(1));
        bool Negative = C ? *C < 0 : (-P).lowerBound().value_or(0) > 0;
        DimExpr Q = Negative ? P + Size : P;
        if (C && *C == -1)
          return Q;
        return DimExpr::min(DimExpr::max(Q, DimExpr(Least)), Size - DimExpr(1));
      };
      S = clampBack(S, 0);
      E = clampBack(E, -1);
      Span = S - E;
    }
    DimExpr Count = DimExpr::ceilDiv(Span, DimExpr(std::abs(Step)));
    const bool Forwards = Step > 0;
    if (!provablyAtLeast(Count, DimExpr(0)) &&
        !provablyAtLeast(Forwards ? E : S, Forwards ? S : E))
      Count = DimExpr::max(Count, DimExpr(0));
    Starts[Axis] = Count.isConstant(0) ? DimExpr(0) : S;
    Sizes[Axis] = Count;
  }
  return N.done(N.B.slice(N.in(0), Starts, Sizes, Steps));
}

//===----------------------------------------------------------------------===//
// Pad, Tile
//===----------------------------------------------------------------------===//

/// Which element of a dimension of size Size stands at position i - Low of the
/// padded dimension: an i64 vector of Total elements.
static Value padIndices(Node &N, StringRef Mode, const DimExpr &Low,
                        const DimExpr &Size, const DimExpr &Total) {
  auto along = [&](const DimExpr &E) {
    return N.B.broadcast(N.B.dim(E), {Total}, {});
  };
  Value I = N.B.sub(N.B.iota({Total}, 0, N.i64()), along(Low));
  Value Zero = N.B.full(0, I);
  if (Mode == "edge")
    return N.B.min(N.B.max(I, Zero), along(Size - DimExpr(1)));
  DimExpr Period = Mode == "wrap" ? Size : DimExpr(2) * (Size - DimExpr(1));
  Value P = along(DimExpr::max(Period, DimExpr(1)));
  Value R = N.B.rem(I, P);
  R = N.B.select(N.B.compare(Dir::LT, R, Zero), N.B.add(R, P), R);
  if (Mode == "wrap")
    return R;
  return N.B.min(R, N.B.sub(along(Period), R));
}

static LogicalResult pad(Node &N) {
  int64_t Rank = N.rank(0);
  std::string Mode = N.attr("mode", StringRef("constant"));
  Dims Pads;
  if (N.Version < 11) {
    auto Given = N.ints("pads");
    if (!Given)
      return N.fail("pads are missing");
    Pads = Dims(Given->begin(), Given->end());
  } else {
    auto Given = N.sizes(1);
    if (failed(Given))
      return failure();
    Pads = *Given;
  }
  Ints Axes = llvm::to_vector(llvm::seq<int64_t>(0, Rank));
  if (N.has(3)) {
    auto Given = N.constInts(3);
    if (!Given)
      return N.fail("axes that are computed are not supported");
    auto Normal = N.axes(*Given, Rank);
    if (failed(Normal))
      return failure();
    Axes = *Normal;
  }
  if (Pads.size() != 2 * Axes.size())
    return N.fail("pads must have two entries per axis");
  Dims Low(Rank, DimExpr(0)), High(Low), Size = N.dims(0), Start(Low);
  for (auto [I, A] : llvm::enumerate(Axes)) {
    // What is negative cuts off.
    auto cut = [&](const DimExpr &P, DimExpr &Grow) {
      if (provablyAtLeast(P, DimExpr(0))) {
        Grow = P;
        return DimExpr(0);
      }
      Grow = DimExpr::max(P, DimExpr(0));
      return Grow - P;
    };
    DimExpr CutLow = cut(Pads[I], Low[A]),
            CutHigh = cut(Pads[I + Axes.size()], High[A]);
    Start[A] = CutLow;
    Size[A] = Size[A] - CutLow - CutHigh;
    if (auto C = Size[A].constant(); C && *C < 0)
      return N.fail("pads cut off more than there is");
  }
  Value X = N.B.slice(N.in(0), Start, Size, Ints(Rank, 1));
  if (Mode == "constant") {
    Value Fill;
    if (N.has(2)) {
      if (failed(N.sameElem(0, 2)))
        return failure();
      auto V = N.scalarLike(2, N.B.scalar(0, N.elem(0)));
      if (failed(V))
        return failure();
      Fill = *V;
    } else {
      Fill = N.B.scalar(N.Version < 11 ? N.attr("value", 0.0) : 0.0, N.elem(0));
    }
    return N.done(N.B.pad(X, Fill, Low, High));
  }
  if (Mode != "edge" && Mode != "reflect" && Mode != "wrap")
    return N.fail("mode '" + Mode + "' does not exist");
  for (int64_t D = 0; D < Rank; ++D) {
    if (Low[D].isConstant(0) && High[D].isConstant(0))
      continue;
    DimExpr Total = Low[D] + Size[D] + High[D];
    X = N.B.take(X, padIndices(N, Mode, Low[D], Size[D], Total), D);
  }
  return N.done(X);
}

static LogicalResult centerCropPad(Node &N) {
  auto Wanted = N.sizes(1);
  if (failed(Wanted))
    return failure();
  int64_t Rank = N.rank(0);
  auto Given = N.ints("axes");
  auto Axes = N.axes(
      Given ? *Given : llvm::to_vector(llvm::seq<int64_t>(0, Rank)), Rank);
  if (failed(Axes))
    return failure();
  if (Axes->size() != Wanted->size())
    return N.fail("shape must have one entry per axis");
  Dims Start(Rank, DimExpr(0)), Low(Start), High(Start), Size = N.dims(0);
  for (auto [A, To] : llvm::zip(*Axes, *Wanted)) {
    DimExpr Excess = DimExpr::max(Size[A] - To, DimExpr(0)),
            Missing = DimExpr::max(To - Size[A], DimExpr(0));
    Start[A] = DimExpr::floorDiv(Excess, DimExpr(2));
    Low[A] = DimExpr::floorDiv(Missing, DimExpr(2));
    High[A] = Missing - Low[A];
    Size[A] = Size[A] - Excess;
  }
  Value X = N.B.slice(N.in(0), Start, Size, Ints(Rank, 1));
  return N.done(N.B.pad(X, N.B.scalar(0, N.elem(0)), Low, High));
}

static LogicalResult tile(Node &N) {
  auto Repeats = N.sizes(1);
  if (failed(Repeats))
    return failure();
  Dims In = N.dims(0), Spread, Out;
  if (Repeats->size() != In.size())
    return N.fail("repeats must have one entry per dimension");
  Ints Positions;
  for (size_t D = 0; D < In.size(); ++D) {
    if (auto C = (*Repeats)[D].constant(); C && *C < 0)
      return N.fail("repeats must not be negative");
    Spread.push_back((*Repeats)[D]);
    Positions.push_back(Spread.size());
    Spread.push_back(In[D]);
    Out.push_back((*Repeats)[D] * In[D]);
  }
  return N.done(N.B.reshape(N.B.broadcast(N.in(0), Spread, Positions), Out));
}

//===----------------------------------------------------------------------===//
// Blocks of channels and pixels
//===----------------------------------------------------------------------===//

static LogicalResult depthToSpace(Node &N) {
  int64_t S = N.attr("blocksize", int64_t(0));
  if (failed(N.wantRank(0, 4)))
    return failure();
  if (S <= 0)
    return N.fail("blocksize must be positive");
  Dims X = N.dims(0);
  DimExpr Block(S), C = DimExpr::floorDiv(X[1], DimExpr(S * S));
  if (failed(N.wantEqual(C * DimExpr(S * S), X[1],
                         "channels and a multiple of blocksize^2")))
    return failure();
  bool Crd = N.attr("mode", StringRef("DCR")) == "CRD";
  Dims Split = Crd ? Dims{X[0], C, Block, Block, X[2], X[3]}
                   : Dims{X[0], Block, Block, C, X[2], X[3]};
  Ints Perm = Crd ? Ints{0, 1, 4, 2, 5, 3} : Ints{0, 3, 4, 1, 5, 2};
  Value V = N.B.transpose(N.B.reshape(N.in(0), Split), Perm);
  return N.done(N.B.reshape(V, {X[0], C, X[2] * Block, X[3] * Block}));
}

static LogicalResult spaceToDepth(Node &N) {
  int64_t S = N.attr("blocksize", int64_t(0));
  if (failed(N.wantRank(0, 4)))
    return failure();
  if (S <= 0)
    return N.fail("blocksize must be positive");
  Dims X = N.dims(0);
  DimExpr Block(S), H = DimExpr::floorDiv(X[2], Block),
                    W = DimExpr::floorDiv(X[3], Block);
  if (failed(
          N.wantEqual(H * Block, X[2], "height and a multiple of blocksize")) ||
      failed(N.wantEqual(W * Block, X[3], "width and a multiple of blocksize")))
    return failure();
  Value V = N.B.reshape(N.in(0), {X[0], X[1], H, Block, W, Block});
  V = N.B.transpose(V, {0, 3, 5, 1, 2, 4});
  return N.done(N.B.reshape(V, {X[0], X[1] * DimExpr(S * S), H, W}));
}

static LogicalResult trilu(Node &N) {
  if (failed(N.wantMinRank(0, 2)))
    return failure();
  Dims Shape = N.dims(0);
  size_t R = Shape.size();
  Dims Plane{Shape[R - 2], Shape[R - 1]};
  Value Row = N.B.iota(Plane, 0, N.i64()), Column = N.B.iota(Plane, 1, N.i64());
  if (N.has(1)) {
    auto K = N.scalarLike(1, Row);
    if (failed(K))
      return failure();
    Row = N.B.add(Row, N.B.convert(*K, N.i64()));
  }
  bool Upper = N.attr("upper", int64_t(1)) != 0;
  Value Keep = N.B.compare(Upper ? Dir::GE : Dir::LE, Column, Row);
  Value X = N.in(0);
  return N.done(N.B.select(N.B.broadcastTo(Keep, Shape), X, N.B.full(0, X)));
}

llvm::ArrayRef<OpEntry> limosa::onnximport::dataOps() {
  static const OpEntry Table[] = {
      {"", "Concat", 4, 1, -1, AnyOrString, concat, 0xff},
      {"", "Split", 2, 1, 1, AnyOrString, split},
      {"", "Split", 13, 1, 2, AnyOrString, split},
      {"", "Split", 18, 1, 2, AnyOrString, split},
      {"", "Slice", 1, 1, 1, AnyOrString, slice},
      {"", "Slice", 10, 3, 5, AnyOrString, slice},
      {"", "Pad", 2, 1, 1, AnyOrString, pad, 4},
      {"", "Pad", 11, 2, 4, AnyOrString, pad, 4},
      {"", "CenterCropPad", 18, 2, 2, AnyOrString, centerCropPad},
      {"", "Tile", 6, 2, 2, AnyOrString, tile},
      {"", "DepthToSpace", 1, 1, 1, AnyOrString, depthToSpace},
      {"", "SpaceToDepth", 1, 1, 1, AnyOrString, spaceToDepth},
      {"", "Trilu", 14, 1, 2, Computes, trilu},
  };
  return Table;
}
