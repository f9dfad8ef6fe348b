//===- Pool.cpp - Pooling -------------------------------------------------===//

#include "Windows.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

using Combiner = CoreBuilder::Combiner;

/// Attributes of a pooling node, pads and ceil_mode resolved.
static FailureOr<Windows> poolWindows(Node &N) {
  if (failed(N.wantMinRank(0, 3)))
    return failure();
  auto Kernel = N.ints("kernel_shape");
  size_t Rank = N.rank(0) - 2;
  if (!Kernel || Kernel->size() != Rank)
    return N.fail("kernel_shape must have one entry per spatial dimension");
  auto W = readWindows(N, *Kernel);
  Dims X = N.dims(0);
  if (failed(W) || failed(W->resolveAutoPad(N, ArrayRef(X).drop_front(2))))
    return failure();
  for (size_t D = 0; D < Rank; ++D) {
    DimExpr In = X[D + 2] + W->Low[D], Stride(W->Strides[D]),
            Extent(W->extent(D));
    if (N.attr("ceil_mode", int64_t(0))) {
      // A last window that is not full counts, if it begins inside of the
      // input or its padding in front.
      DimExpr Out = DimExpr::min(
          DimExpr::ceilDiv(In + W->High[D] - Extent, Stride) + DimExpr(1),
          DimExpr::ceilDiv(In, Stride));
      DimExpr High = (Out - DimExpr(1)) * Stride + Extent - In;
      auto C = High.constant();
      W->High[D] = C && *C >= 0 ? High : DimExpr::max(High, DimExpr(0));
    }
    if (auto C = (In + W->High[D] - Extent).constant(); C && *C < 0)
      return N.fail("the window is larger than the padded input");
  }
  return W;
}

/// The window op over the spatial dimensions of X.
static Value slide(Node &N, Combiner C, Value X, Value Init, const Windows &W) {
  Ints Sizes{1, 1}, Strides{1, 1}, Dilations{1, 1};
  Dims Low{DimExpr(0), DimExpr(0)}, High(Low);
  llvm::append_range(Sizes, W.Kernel);
  llvm::append_range(Strides, W.Strides);
  llvm::append_range(Dilations, W.Dilations);
  llvm::append_range(Low, W.Low);
  llvm::append_range(High, W.High);
  return N.B.window(C, X, Init, Sizes, Strides, Dilations, Low, High);
}

static Value slide(Node &N, Combiner C, Value X, const Windows &W) {
  return slide(N, C, X, N.B.combinerInit(C, getElementTypeOrSelf(X)), W);
}

/// MaxPool's indices: the position of the maximum in the whole input.
static Value maxPoolIndices(Node &N, const Windows &W) {
  // The first maximum of a window is found by value and position together.
  Value X = N.in(0);
  Dims Shape = getDims(X);
  Value Position = N.B.iota({numElements(X.getType())}, 0, N.i64());
  if (N.attr("storage_order", int64_t(0))) {
    // Column-major positions within the spatial dimensions.
    Dims Turned(Shape);
    std::reverse(Turned.begin() + 2, Turned.end());
    Ints Perm{0, 1};
    for (int64_t D = int64_t(Shape.size()) - 1; D >= 2; --D)
      Perm.push_back(D);
    Position = N.B.transpose(N.B.reshape(Position, Turned), Perm);
  } else {
    Position = N.B.reshape(Position, Shape);
  }
  Ints Sizes{1, 1}, Strides{1, 1}, Dilations{1, 1};
  Dims Low{DimExpr(0), DimExpr(0)}, High(Low);
  llvm::append_range(Sizes, W.Kernel);
  llvm::append_range(Strides, W.Strides);
  llvm::append_range(Dilations, W.Dilations);
  llvm::append_range(Low, W.Low);
  llvm::append_range(High, W.High);
  auto Scalar = RankedTensorType::get({}, N.i64());
  Value Last = N.B.constant(DenseElementsAttr::get(Scalar, int64_t(INT64_MAX)));
  Value Inits[] = {N.B.combinerInit(Combiner::Max, N.elem(0)), Last};
  return N.B.window({X, Position}, Inits, Sizes, Strides, Dilations, Low, High,
                    [](CoreBuilder &B, ValueRange Acc, ValueRange V) {
                      using D = CompareDirection;
                      Value Better = B.compare(D::GT, V[0], Acc[0]);
                      Value Equal = B.compare(D::EQ, V[0], Acc[0]);
                      Value Earlier = B.compare(D::LT, V[1], Acc[1]);
                      Value Take = B.bitOr(Better, B.bitAnd(Equal, Earlier));
                      return SmallVector<Value>{B.select(Take, V[0], Acc[0]),
                                                B.select(Take, V[1], Acc[1])};
                    })[1];
}

static LogicalResult maxPool(Node &N) {
  auto W = poolWindows(N);
  if (failed(W))
    return failure();
  N.out(0, slide(N, Combiner::Max, N.in(0), *W));
  if (N.wants(1))
    N.out(1, maxPoolIndices(N, *W));
  return success();
}

FailureOr<Value> limosa::onnximport::buildAveragePool(Node &N, Value X) {
  auto W = poolWindows(N);
  if (failed(W))
    return failure();
  Value Sum = slide(N, Combiner::Add, X, *W);
  bool CountPads = N.attr("count_include_pad", int64_t(0)) != 0,
       Ceil = N.attr("ceil_mode", int64_t(0)) != 0;
  bool Padded = false;
  int64_t Cells = 1;
  for (size_t D = 0; D < W->Kernel.size(); ++D) {
    Padded |= !W->Low[D].isConstant(0) || !W->High[D].isConstant(0);
    Cells *= W->Kernel[D];
  }
  if (!Padded || (CountPads && !Ceil))
    return N.B.mulScalar(Sum, 1.0 / double(Cells));
  // How many cells of each window count: those of the input, or with
  // count_include_pad also those of the declared pads (not of ceil_mode's).
  Dims Plane{DimExpr(1), DimExpr(1)};
  Dims Shape = getDims(X);
  Windows Counted(*W);
  if (CountPads) {
    auto Declared = readWindows(N, W->Kernel);
    if (failed(Declared) ||
        failed(Declared->resolveAutoPad(N, ArrayRef(Shape).drop_front(2))))
      return failure();
    for (size_t D = 0; D < W->Kernel.size(); ++D) {
      Plane.push_back(Shape[D + 2] + Declared->Low[D] + Declared->High[D]);
      Counted.Low[D] = DimExpr(0);
      DimExpr Rest = W->High[D] - Declared->High[D];
      auto C = Rest.constant();
      Counted.High[D] = C && *C >= 0 ? Rest : DimExpr::max(Rest, DimExpr(0));
      if (C && *C < 0)
        Plane.back() = Plane.back() + Rest;
    }
  } else {
    Plane.append(Shape.begin() + 2, Shape.end());
  }
  Value Ones = N.B.full(1, Plane, getElementTypeOrSelf(X));
  Value Count = slide(N, Combiner::Add, Ones, Counted);
  Dims Out = getDims(Sum);
  Dims Flat(Out.begin() + 2, Out.end());
  Ints Positions;
  for (size_t D = 2; D < Out.size(); ++D)
    Positions.push_back(D);
  Count = N.B.broadcast(N.B.reshape(Count, Flat), Out, Positions);
  return N.B.div(Sum, Count);
}

static LogicalResult averagePool(Node &N) {
  auto Y = buildAveragePool(N, N.in(0));
  return failed(Y) ? failure() : N.done(*Y);
}

/// Root of a power, exact where it matters.
static Value root(Node &N, Value V, int64_t P) {
  if (P == 1)
    return V;
  if (P == 2)
    return N.B.sqrt(V);
  return N.B.pow(V, N.B.full(1.0 / double(P), V));
}
static Value power(Node &N, Value V, int64_t P) {
  if (P == 2)
    return N.B.mul(V, V);
  V = N.B.abs(V);
  return P == 1 ? V : N.B.pow(V, N.B.full(double(P), V));
}

static LogicalResult lpPool(Node &N) {
  auto W = poolWindows(N);
  if (failed(W))
    return failure();
  int64_t P = N.attr("p", int64_t(2));
  if (P < 1)
    return N.fail("p must be positive");
  return N.done(root(N, slide(N, Combiner::Add, power(N, N.in(0), P), *W), P));
}

static Ints spatialDims(Node &N) {
  return llvm::to_vector(llvm::seq<int64_t>(2, N.rank(0)));
}
static LogicalResult globalAverage(Node &N) {
  if (failed(N.wantMinRank(0, 2)))
    return failure();
  return N.done(N.B.reduceMean(N.in(0), spatialDims(N), /*KeepDims=*/true));
}
static LogicalResult globalMax(Node &N) {
  if (failed(N.wantMinRank(0, 2)))
    return failure();
  return N.done(N.B.reduceMax(N.in(0), spatialDims(N), /*KeepDims=*/true));
}
static LogicalResult globalLp(Node &N) {
  int64_t P = N.attr("p", int64_t(2));
  if (failed(N.wantMinRank(0, 2)))
    return failure();
  if (P < 1)
    return N.fail("p must be positive");
  return N.done(
      root(N, N.B.reduceSum(power(N, N.in(0), P), spatialDims(N), true), P));
}

static LogicalResult maxUnpool(Node &N) {
  if (failed(N.wantMinRank(0, 3)))
    return failure();
  auto Kernel = N.ints("kernel_shape");
  size_t Rank = N.rank(0) - 2;
  if (!Kernel || Kernel->size() != Rank)
    return N.fail("kernel_shape must have one entry per spatial dimension");
  auto W = readWindows(N, *Kernel);
  if (failed(W))
    return failure();
  Dims In = N.dims(0), Pooled(In);
  for (size_t D = 0; D < Rank; ++D)
    Pooled[D + 2] = (In[D + 2] - DimExpr(1)) * DimExpr(W->Strides[D]) +
                    DimExpr(W->Kernel[D]) - W->Low[D] - W->High[D];
  Dims Out(Pooled);
  if (N.has(2)) {
    auto Given = N.sizes(2);
    if (failed(Given))
      return failure();
    if (Given->size() != In.size())
      return N.fail("output_shape must have one entry per dimension");
    Out = *Given;
  }
  // Positions count in the tensor that was pooled, not in a larger output.
  DimExpr Total(1), Count = numElements(N.type(0));
  for (const DimExpr &D : Pooled)
    Total = Total * D;
  auto Indices = N.reshape(N.in(1), {Count, DimExpr(1)});
  if (failed(Indices))
    return failure();
  Value Values = N.B.reshape(N.in(0), {Count});
  Value Flat =
      N.B.scatter(N.B.full(0, {Total}, N.elem(0)), *Indices, Values, {0}, 0,
                  [](CoreBuilder &, Value, Value New) { return New; });
  Value Y = N.B.reshape(Flat, Pooled);
  Dims Low(Out.size(), DimExpr(0)), High(Low);
  for (size_t D = 0; D < Out.size(); ++D) {
    High[D] = Out[D] - Pooled[D];
    if (auto C = High[D].constant(); C && *C < 0)
      return N.fail("output_shape is smaller than what was pooled");
  }
  return N.done(N.B.pad(Y, N.B.scalar(0, N.elem(0)), Low, High));
}

llvm::ArrayRef<OpEntry> limosa::onnximport::poolOps() {
  static const OpEntry Table[] = {
      {"", "MaxPool", 1, 1, 1, Numbers, maxPool},
      {"", "AveragePool", 1, 1, 1, Floats, averagePool},
      {"", "LpPool", 2, 1, 1, Floats, lpPool},
      {"", "GlobalAveragePool", 1, 1, 1, Floats, globalAverage},
      {"", "GlobalMaxPool", 1, 1, 1, Floats, globalMax},
      {"", "GlobalLpPool", 2, 1, 1, Floats, globalLp},
      {"", "MaxUnpool", 9, 2, 3, Floats, maxUnpool},
  };
  return Table;
}
