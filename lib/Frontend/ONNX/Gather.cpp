//===- Gather.cpp - Gathering, scattering, selecting ----------------------===//

#include "Registry.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

using Dir = CompareDirection;

/// Index tensors are i32 or i64; other integers are widened.
static Value asIndices(Node &N, Value V) {
  Type E = getElementTypeOrSelf(V);
  return E.isInteger(32) ? V : N.B.convert(V, N.i64());
}

/// A new last dimension of 1: one coordinate per position.
static Value asCoordinates(Node &N, Value V) {
  return N.B.expandDims(V, {cast<RankedTensorType>(V.getType()).getRank()});
}

static LogicalResult gather(Node &N) {
  auto Axis = N.axis(N.attr("axis", int64_t(0)), N.rank(0));
  if (failed(Axis))
    return failure();
  DimExpr Size = N.dim(0, *Axis);
  // One known position is a slice.
  auto Known = N.constInts(1);
  if (Known && Known->size() == 1) {
    DimExpr At(Known->front());
    if (Known->front() < 0)
      At = At + Size;
    if (auto C = Size.constant();
        C && (Known->front() < -*C || Known->front() >= *C))
      return N.fail("index " + Twine(Known->front()) +
                    " lies outside of a dimension of size " + Twine(*C));
    Value V = N.B.sliceDim(N.in(0), *Axis, At, DimExpr(1));
    Dims Shape = N.dims(0), Out(Shape.begin(), Shape.begin() + *Axis);
    Out.append(N.rank(1), DimExpr(1));
    Out.append(Shape.begin() + *Axis + 1, Shape.end());
    return N.done(N.B.reshape(V, Out));
  }
  Value Indices = asIndices(N, N.in(1));
  bool NonNegative =
      Known && llvm::all_of(*Known, [](int64_t I) { return I >= 0; });
  if (!NonNegative)
    Indices = N.wrapIndices(Indices, Size);
  return N.done(N.B.take(N.in(0), Indices, *Axis));
}

/// Dimension `Axis` moved to the end, and the way back.
static Ints toLast(int64_t Rank, int64_t Axis) {
  Ints Perm;
  for (int64_t D = 0; D < Rank; ++D)
    if (D != Axis)
      Perm.push_back(D);
  Perm.push_back(Axis);
  return Perm;
}
static Ints inverse(ArrayRef<int64_t> Perm) {
  Ints Out(Perm.size());
  for (auto [I, P] : llvm::enumerate(Perm))
    Out[P] = I;
  return Out;
}

static LogicalResult gatherElements(Node &N) {
  if (N.rank(0) != N.rank(1) || N.rank(0) == 0)
    return N.fail("data and indices must have one rank of at least 1");
  auto Axis = N.axis(N.attr("axis", int64_t(0)), N.rank(0));
  if (failed(Axis))
    return failure();
  Value X = N.in(0), I = asIndices(N, N.in(1));
  // Data outside of the indices' extent is never read.
  Dims XD = N.dims(0), ID = N.dims(1), Part(ID);
  Part[*Axis] = XD[*Axis];
  for (size_t D = 0; D < XD.size(); ++D)
    if (auto C = (XD[D] - Part[D]).constant(); C && *C < 0)
      return N.fail("indices are larger than the data in dimension " +
                    Twine(D));
  X = N.B.slice(X, Dims(XD.size(), DimExpr(0)), Part, Ints(XD.size(), 1));
  I = N.wrapIndices(I, XD[*Axis]);
  Ints Perm = toLast(XD.size(), *Axis);
  int64_t Batch = int64_t(XD.size()) - 1;
  Value Y =
      N.B.gather(N.B.transpose(X, Perm),
                 asCoordinates(N, N.B.transpose(I, Perm)), {Batch}, Batch);
  return N.done(N.B.transpose(Y, inverse(Perm)));
}

/// Negative coordinates counted from the end; the last dimension of Indices
/// runs over dimensions First, First + 1, .. of a shape.
static Value wrapCoordinates(Node &N, Value Indices, ArrayRef<DimExpr> Sizes) {
  SmallVector<Value> Parts;
  for (const DimExpr &S : Sizes)
    Parts.push_back(N.B.reshape(N.B.dim(S), {DimExpr(1)}));
  Value Vector =
      N.B.convert(N.B.concat(Parts, 0), getElementTypeOrSelf(Indices));
  Value Along = N.B.broadcastTo(Vector, getDims(Indices));
  Value Negative = N.B.compare(Dir::LT, Indices, N.B.full(0, Indices));
  return N.B.select(Negative, N.B.add(Indices, Along), Indices);
}

/// The number of coordinates per position: the last dimension of input 1.
static FailureOr<int64_t> coordinates(Node &N, int64_t Batch) {
  if (failed(N.wantMinRank(1, Batch + 1)))
    return failure();
  auto K = N.dim(1, N.rank(1) - 1).constant();
  if (!K)
    return N.fail("the last dimension of the indices must be known");
  if (Batch + *K > N.rank(0))
    return N.fail("indices have " + Twine(*K) + " coordinates, the data " +
                  Twine(N.rank(0) - Batch) + " dimensions");
  return *K;
}

static LogicalResult gatherND(Node &N) {
  int64_t Batch = N.attr("batch_dims", int64_t(0));
  if (Batch < 0 || Batch >= N.rank(0) + 1)
    return N.fail("batch_dims is out of range");
  auto K = coordinates(N, Batch);
  if (failed(K))
    return failure();
  Dims X = N.dims(0), I = N.dims(1);
  for (int64_t D = 0; D < Batch; ++D) {
    if (failed(N.wantEqual(X[D], I[D], "batch sizes")))
      return failure();
    I[D] = X[D];
  }
  Value Indices = N.as(asIndices(N, N.in(1)), I);
  if (*K > 0)
    Indices = wrapCoordinates(N, Indices, ArrayRef(X).slice(Batch, *K));
  return N.done(N.B.gather(
      N.in(0), Indices, llvm::to_vector(llvm::seq<int64_t>(Batch, Batch + *K)),
      Batch));
}

//===----------------------------------------------------------------------===//
// Scatter
//===----------------------------------------------------------------------===//

static FailureOr<std::optional<CoreBuilder::Combiner>> reduction(Node &N) {
  using C = CoreBuilder::Combiner;
  std::optional<C> None;
  std::string Name = N.attr("reduction", StringRef("none"));
  if (Name == "none")
    return None;
  if (Name == "add")
    return std::optional<C>(C::Add);
  if (Name == "mul")
    return std::optional<C>(C::Mul);
  if (Name == "max")
    return std::optional<C>(C::Max);
  if (Name == "min")
    return std::optional<C>(C::Min);
  return N.fail("reduction '" + Name + "' does not exist");
}

static Value scatter(Node &N, Value X, Value Indices, Value Updates,
                     ArrayRef<int64_t> Axes, int64_t Batch,
                     std::optional<CoreBuilder::Combiner> C) {
  return N.B.scatter(X, Indices, Updates, Axes, Batch,
                     [&](CoreBuilder &B, Value Old, Value New) {
                       return C ? B.combine(*C, Old, New) : New;
                     });
}

static LogicalResult scatterElements(Node &N) {
  int64_t Rank = N.rank(0);
  if (N.rank(1) != Rank || N.rank(2) != Rank || Rank == 0)
    return N.fail("data, indices and updates must have one rank of at least 1");
  auto Axis = N.axis(N.attr("axis", int64_t(0)), Rank);
  auto C = reduction(N);
  if (failed(Axis) || failed(C) || failed(N.sameElem(0, 2)))
    return failure();
  if (*C && isBool(N.elem(0)))
    return N.fail("bool elements cannot be combined");
  Dims XD = N.dims(0), ID = N.dims(1), UD = N.dims(2);
  for (int64_t D = 0; D < Rank; ++D) {
    if (failed(N.wantEqual(ID[D], UD[D], "sizes of indices and updates")))
      return failure();
    if (auto L = (XD[D] - ID[D]).constant(); D != *Axis && L && *L < 0)
      return N.fail("indices are larger than the data in dimension " +
                    Twine(D));
  }
  Value Updates = N.as(N.in(2), ID);
  Value Indices = N.wrapIndices(asIndices(N, N.in(1)), XD[*Axis]);
  bool SameElsewhere = true;
  for (int64_t D = 0; D < Rank; ++D)
    SameElsewhere &= D == *Axis || XD[D] == ID[D];
  if (SameElsewhere) {
    // The other dimensions are a batch.
    Ints Perm = toLast(Rank, *Axis);
    Value Y = scatter(N, N.B.transpose(N.in(0), Perm),
                      asCoordinates(N, N.B.transpose(Indices, Perm)),
                      N.B.transpose(Updates, Perm), {Rank - 1}, Rank - 1, *C);
    return N.done(N.B.transpose(Y, inverse(Perm)));
  }
  SmallVector<Value> Parts;
  for (int64_t D = 0; D < Rank; ++D)
    Parts.push_back(asCoordinates(
        N,
        D == *Axis ? Indices : N.B.iota(ID, D, getElementTypeOrSelf(Indices))));
  return N.done(scatter(N, N.in(0), N.B.concat(Parts, Rank), Updates,
                        llvm::to_vector(llvm::seq<int64_t>(0, Rank)), 0, *C));
}

static LogicalResult scatterND(Node &N) {
  auto K = coordinates(N, 0);
  auto C = reduction(N);
  if (failed(K) || failed(C) || failed(N.sameElem(0, 2)))
    return failure();
  if (*C && isBool(N.elem(0)))
    return N.fail("bool elements cannot be combined");
  Dims X = N.dims(0), I = N.dims(1), Want(I.begin(), I.end() - 1),
       U = N.dims(2);
  Want.append(X.begin() + *K, X.end());
  if (Want.size() != U.size())
    return N.fail("updates must have rank " + Twine(Want.size()));
  for (size_t D = 0; D < U.size(); ++D)
    if (failed(N.wantEqual(Want[D], U[D], "sizes of updates")))
      return failure();
  Value Indices = asIndices(N, N.in(1));
  if (*K > 0)
    Indices = wrapCoordinates(N, Indices, ArrayRef(X).take_front(*K));
  return N.done(scatter(N, N.in(0), Indices, N.as(N.in(2), Want),
                        llvm::to_vector(llvm::seq<int64_t>(0, *K)), 0, *C));
}

/// Columns [N, C * block, L], the blocks that a convolution would read, added
/// back into the image.
static LogicalResult col2Im(Node &N) {
  auto Image = N.sizes(1);
  auto Block = N.constInts(2);
  if (failed(Image) || failed(N.wantRank(0, 3)))
    return failure();
  size_t R = Image->size();
  if (!Block || Block->size() != R || R == 0)
    return N.fail("block_shape must be constant, with an entry per dimension");
  auto list = [&](StringRef Name, size_t Count, int64_t Default) {
    return N.ints(Name).value_or(Ints(Count, Default));
  };
  Ints Strides = list("strides", R, 1), Dilations = list("dilations", R, 1),
       Pads = list("pads", 2 * R, 0);
  if (Strides.size() != R || Dilations.size() != R || Pads.size() != 2 * R)
    return N.fail("attributes must have an entry per dimension");
  // Positions in the image: [block .., steps .., R].
  Dims Grid;
  DimExpr Cells(1), Steps(1);
  for (int64_t B : *Block) {
    if (B < 1)
      return N.fail("block_shape must be positive");
    Grid.push_back(DimExpr(B));
    Cells = Cells * DimExpr(B);
  }
  for (size_t D = 0; D < R; ++D) {
    if (Strides[D] < 1 || Dilations[D] < 1)
      return N.fail("strides and dilations must be positive");
    DimExpr Room = (*Image)[D] + DimExpr(Pads[D] + Pads[R + D] -
                                         Dilations[D] * ((*Block)[D] - 1) - 1);
    Grid.push_back(DimExpr::floorDiv(Room, DimExpr(Strides[D])) + DimExpr(1));
    Steps = Steps * Grid.back();
  }
  Dims X = N.dims(0);
  auto Channels = X[1].exactDiv(Cells);
  if (!Channels)
    return N.fail("the columns are no multiple of the block's size");
  if (failed(N.wantEqual(X[2], Steps, "the number of blocks")))
    return failure();
  CoreBuilder &B = N.B;
  SmallVector<Value> Parts;
  for (size_t D = 0; D < R; ++D) {
    Value Cell = B.mulScalar(B.iota(Grid, D, N.i64()), double(Dilations[D]));
    Value Step = B.mulScalar(B.iota(Grid, R + D, N.i64()), double(Strides[D]));
    Parts.push_back(
        asCoordinates(N, B.addScalar(B.add(Cell, Step), -double(Pads[D]))));
  }
  // What lies in the padding is dropped.
  Value At = B.concat(Parts, 2 * int64_t(R));
  Value Columns = B.reshape(N.as(N.in(0), {X[0], X[1], Steps}),
                            {X[0], *Channels, Cells, Steps});
  Dims Updates(Grid), Out(*Image);
  Updates.append({X[0], *Channels});
  Out.append({X[0], *Channels});
  Columns = B.reshape(B.transpose(Columns, {2, 3, 0, 1}), Updates);
  Value Y = scatter(N, B.full(0, Out, N.elem(0)), At, Columns,
                    llvm::to_vector(llvm::seq<int64_t>(0, R)), 0,
                    CoreBuilder::Combiner::Add);
  Ints Perm{int64_t(R), int64_t(R) + 1};
  for (size_t D = 0; D < R; ++D)
    Perm.push_back(D);
  return N.done(B.transpose(Y, Perm));
}

//===----------------------------------------------------------------------===//
// Selection
//===----------------------------------------------------------------------===//

static LogicalResult oneHot(Node &N) {
  auto Axis = N.axis(N.attr("axis", int64_t(-1)), N.rank(0) + 1);
  if (failed(Axis) || failed(N.wantRank(2, 1)))
    return failure();
  if (!N.type(1).hasStaticShape() || N.type(1).getNumElements() != 1 ||
      N.dim(2, 0).constant() != 2)
    return N.fail("depth must be a scalar and values have two elements");
  DimExpr Depth;
  if (auto Known = N.known(1))
    Depth = Known->front();
  else
    Depth =
        N.bind(N.B.convert(N.B.reshape(N.in(1), {}), N.i64()), "depth").front();
  if (auto C = Depth.constant(); C && *C < 0)
    return N.fail("depth must not be negative");
  Value I = N.B.convert(N.in(0), N.i64());
  I = N.wrapIndices(I, Depth);
  Dims Shape = N.dims(0);
  Ints Positions;
  for (int64_t D = 0; D <= N.rank(0); ++D)
    if (D != *Axis)
      Positions.push_back(D);
  Shape.insert(Shape.begin() + *Axis, Depth);
  Value Hot = N.B.compare(Dir::EQ, N.B.iota(Shape, *Axis, N.i64()),
                          N.B.broadcast(I, Shape, Positions));
  auto value = [&](int64_t K) {
    Value V = N.B.sliceDim(N.in(2), 0, DimExpr(K), DimExpr(1));
    return N.B.broadcast(N.B.reshape(V, {}), Shape, {});
  };
  return N.done(N.B.select(Hot, value(1), value(0)));
}

static LogicalResult reverseSequence(Node &N) {
  int64_t Time = N.attr("time_axis", int64_t(0)),
          Batch = N.attr("batch_axis", int64_t(1));
  if (failed(N.wantMinRank(0, 2)) || failed(N.wantRank(1, 1)))
    return failure();
  if (Time + Batch != 1 || Time * Batch != 0)
    return N.fail("time_axis and batch_axis must be 0 and 1");
  Dims Shape = N.dims(0);
  Ints Perm = llvm::to_vector(llvm::seq<int64_t>(0, N.rank(0)));
  if (Time == 0)
    std::swap(Perm[0], Perm[1]);
  if (failed(N.wantEqual(Shape[Batch], N.dim(1, 0), "batch sizes")))
    return failure();
  Dims Plane{Shape[Batch], Shape[Time]};
  Value I = N.B.iota(Plane, 1, N.i64());
  Value Length = N.as(N.B.convert(N.in(1), N.i64()), {Shape[Batch]});
  Length = N.B.broadcast(Length, Plane, {0});
  Value Back = N.B.addScalar(N.B.sub(Length, I), -1);
  Value Source = N.B.select(N.B.compare(Dir::LT, I, Length), Back, I);
  Value Y = N.B.gather(N.B.transpose(N.in(0), Perm), asCoordinates(N, Source),
                       {1}, 1);
  return N.done(N.B.transpose(Y, Perm));
}

llvm::ArrayRef<OpEntry> limosa::onnximport::gatherOps() {
  static const OpEntry Table[] = {
      {"", "Gather", 1, 2, 2, AnyOrString, gather},
      {"", "GatherElements", 11, 2, 2, AnyOrString, gatherElements},
      {"", "GatherND", 11, 2, 2, AnyOrString, gatherND},
      {"", "Scatter", 9, 3, 3, AnyOrString, scatterElements, 4},
      {"", "ScatterElements", 11, 3, 3, AnyOrString, scatterElements, 4},
      {"", "ScatterND", 11, 3, 3, AnyOrString, scatterND, 4},
      {"", "Col2Im", 18, 3, 3, Numbers, col2Im},
      {"", "OneHot", 9, 3, 3, Numbers, oneHot, 4},
      {"", "ReverseSequence", 10, 2, 2, AnyOrString, reverseSequence},
  };
  return Table;
}
