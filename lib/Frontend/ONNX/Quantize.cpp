//===- Quantize.cpp - Quantised tensors and products ----------------------===//

#include "Quantize.h"
#include "Casts.h"
#include "Tensors.h"
#include "Windows.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

using Dir = CompareDirection;

/// A scale or zero point along the shape of X: a scalar, a vector over an axis,
/// or blocks of `block_size` along an axis.
static FailureOr<Value> alongAxis(Node &N, Value V, ArrayRef<DimExpr> Shape) {
  Dims Own = getDims(V);
  auto Type = cast<RankedTensorType>(V.getType());
  if (Type.hasStaticShape() && Type.getNumElements() == 1)
    return N.B.broadcast(N.B.reshape(V, {}), Shape, {});
  auto Axis = N.axis(N.attr("axis", int64_t(1)), Shape.size());
  if (failed(Axis))
    return failure();
  if (Own.size() == 1) {
    if (failed(N.wantEqual(Own[0], Shape[*Axis],
                           "scales and the size of their axis")))
      return failure();
    return N.B.broadcast(V, Shape, {*Axis});
  }
  int64_t Block = N.attr("block_size", int64_t(0));
  if (Own.size() != Shape.size() || Block < 1)
    return N.fail("scales must be a scalar, a vector, or blocks with "
                  "block_size");
  // Every block repeats its scale; the last one may be cut off.
  Dims Spread(Own), Whole(Own);
  Spread.insert(Spread.begin() + *Axis + 1, DimExpr(Block));
  Whole[*Axis] = Own[*Axis] * DimExpr(Block);
  Ints Positions;
  for (int64_t D = 0; D < int64_t(Own.size()); ++D)
    Positions.push_back(D <= *Axis ? D : D + 1);
  V = N.B.reshape(N.B.broadcast(V, Spread, Positions), Whole);
  if (auto C = (Whole[*Axis] - Shape[*Axis]).constant(); C && *C < 0)
    return N.fail("there are too few blocks of scales");
  V = N.B.sliceDim(V, *Axis, DimExpr(0), Shape[*Axis]);
  return N.as(V, Shape);
}

Value limosa::onnximport::saturate(Node &N, Value X, Value ZeroPoint, Type To) {
  if (isFloatType(To))
    return To.getIntOrFloatBitWidth() == 8 && !N.attr("saturate", int64_t(1))
               ? convertUnsaturated(N.B, X, To)
               : N.B.convert(X, To);
  X = N.B.roundEven(X);
  if (ZeroPoint)
    X = N.B.add(X, N.B.convert(ZeroPoint, getElementTypeOrSelf(X)));
  unsigned Bits = To.getIntOrFloatBitWidth();
  double Low = To.isUnsignedInteger() ? 0 : -std::ldexp(1, int(Bits) - 1);
  double High =
      std::ldexp(1, int(To.isUnsignedInteger() ? Bits : Bits - 1)) - 1;
  // convert saturates by itself, except to 4-bit integers, which wrap.
  X = N.B.minScalar(N.B.maxScalar(X, Low), High);
  return Bits < 8 ? N.B.convert(N.B.convert(X, N.i32()), carrierOf(To))
                  : N.B.convert(X, To);
}

static LogicalResult quantize(Node &N) {
  Type To = IntegerType::get(N.I.context(), 8, IntegerType::Unsigned);
  if (N.has(2))
    To = N.elem(2);
  else if (int64_t Given = N.attr("output_dtype", int64_t(0)))
    To = elementType(N.I.context(), Given);
  if (!To || (isCarried(To) && isFloatType(To)) || isCarried(N.elem(0)))
    return N.fail("the element types are not supported");
  Dims Shape = N.dims(0);
  Type Wide = N.elem(0).isF64() ? N.elem(0) : N.f32();
  auto Scale = alongAxis(N, N.B.convert(N.in(1), Wide), Shape);
  if (failed(Scale))
    return failure();
  Value Zero;
  if (N.has(2) && !isFloatType(To)) {
    Value Z = N.B.convert(N.in(2), N.i32());
    auto Along = alongAxis(N, Z, Shape);
    if (failed(Along))
      return failure();
    Zero = *Along;
  }
  Value X = N.B.div(N.B.convert(N.in(0), Wide), *Scale);
  return N.out(0, Tensor::of(saturate(N, X, Zero, To), To)), success();
}

static LogicalResult dequantize(Node &N) {
  Dims Shape = N.dims(0);
  Type To = N.elem(1);
  if (int64_t Given = N.attr("output_dtype", int64_t(0)))
    To = elementType(N.I.context(), Given);
  if (!To || !isFloatType(To) || isCarried(To) ||
      (isCarried(N.elem(0)) && isFloatType(N.elem(0))))
    return N.fail("the element types are not supported");
  auto Scale = alongAxis(N, N.B.convert(N.in(1), To), Shape);
  if (failed(Scale))
    return failure();
  Value X = N.in(0);
  if (isFloatType(N.elem(0)))
    return N.done(N.B.mul(N.B.convert(X, To), *Scale));
  X = N.B.convert(X, N.i32());
  if (N.has(2)) {
    if (failed(N.sameElem(0, 2)))
      return failure();
    auto Zero = alongAxis(N, N.B.convert(N.in(2), N.i32()), Shape);
    if (failed(Zero))
      return failure();
    X = N.B.sub(X, *Zero);
  }
  return N.done(N.B.mul(N.B.convert(X, To), *Scale));
}

std::array<Value, 3> limosa::onnximport::quantizeByRange(Node &N, Value X) {
  Type E = getElementTypeOrSelf(X);
  Type U8 = IntegerType::get(N.I.context(), 8, IntegerType::Unsigned);
  auto All = llvm::to_vector(llvm::seq<int64_t>(0, getDims(X).size()));
  Value Zero = N.B.scalar(0, E);
  Value Max = N.B.max(N.B.reduceMax(X, All), Zero);
  Value Min = N.B.min(N.B.reduce(CoreBuilder::Combiner::Min, X, All), Zero);
  Value Scale = N.B.mulScalar(N.B.sub(Max, Min), 1.0 / 255);
  // A tensor of zeros has scale 0: any divisor does.
  Value Safe =
      N.B.select(N.B.compare(Dir::EQ, Scale, Zero), N.B.full(1, Scale), Scale);
  Value Point = saturate(N, N.B.div(N.B.neg(Min), Safe), Value(), U8);
  Value Q = N.B.div(X, N.B.broadcast(Safe, getDims(X), {}));
  Value Y = saturate(N, Q, N.B.broadcast(Point, getDims(X), {}), U8);
  return {Y, Scale, Point};
}

static LogicalResult dynamicQuantize(Node &N) {
  auto [Y, Scale, Point] = quantizeByRange(N, N.in(0));
  return N.done({Y, Scale, Point});
}

FailureOr<Value> limosa::onnximport::dequantized(Node &N, unsigned K,
                                                 unsigned Scale,
                                                 unsigned Point) {
  Value V = N.B.convert(N.in(K), N.i32());
  if (N.has(Point)) {
    auto Z = N.scalarLike(Point, V);
    if (failed(Z))
      return failure();
    V = N.B.sub(V, N.B.convert(*Z, N.i32()));
  }
  V = N.B.convert(V, N.f32());
  auto S = N.scalarLike(Scale, V);
  return failed(S) ? FailureOr<Value>(failure())
                   : N.B.mul(V, N.B.convert(*S, N.f32()));
}

LogicalResult limosa::onnximport::requantized(Node &N, Value X, unsigned Scale,
                                              unsigned Point, Type To) {
  auto S = N.scalarLike(Scale, X);
  if (failed(S))
    return failure();
  Value Zero;
  if (N.has(Point)) {
    auto Z = N.scalarLike(Point, X);
    if (failed(Z))
      return failure();
    Zero = N.B.convert(*Z, N.i32());
  }
  X = N.B.div(X, N.B.convert(*S, N.f32()));
  return N.done(saturate(N, X, Zero, To));
}

//===----------------------------------------------------------------------===//
// Products of integers
//===----------------------------------------------------------------------===//

static bool isByte(Type T) {
  return isa<IntegerType>(T) && T.getIntOrFloatBitWidth() == 8;
}

/// Input K minus its zero point, as i32. Per-row zero points of a left-hand
/// side lie along dimension rank - 2, others along the last.
static FailureOr<Value> centred(Node &N, unsigned K, unsigned Point,
                                int64_t Axis) {
  Value V = N.B.convert(N.in(K), N.i32());
  if (!N.has(Point))
    return V;
  if (N.elem(Point) != N.elem(K))
    return N.fail("input " + Twine(Point) + " must have the type of input " +
                  Twine(K));
  Value Z = N.B.convert(N.in(Point), N.i32());
  auto Type = cast<RankedTensorType>(Z.getType());
  Dims Shape = getDims(V);
  if (Type.hasStaticShape() && Type.getNumElements() == 1)
    Z = N.B.broadcast(N.B.reshape(Z, {}), Shape, {});
  else if (Type.getRank() == 1 && Axis >= 0) {
    if (failed(N.wantEqual(getDim(Type, 0), Shape[Axis], "zero points")))
      return failure();
    Z = N.B.broadcast(Z, Shape, {Axis});
  } else {
    auto B = N.broadcastTo(Z, Shape);
    if (failed(B))
      return failure();
    Z = *B;
  }
  return N.B.sub(V, Z);
}

/// Whether a zero point is not given or known to be 0.
static bool noPoint(Node &N, unsigned K) {
  if (!N.has(K))
    return true;
  auto V = N.constInts(K);
  return V && llvm::all_of(*V, [](int64_t Z) { return Z == 0; });
}

FailureOr<Bytes> limosa::onnximport::bytesOf(Node &N, unsigned K,
                                             unsigned Point, int64_t Axis) {
  if (!isByte(N.elem(K)))
    return N.fail("operands must be 8-bit integers");
  Bytes Out{N.in(K), Value(), Axis};
  if (noPoint(N, Point))
    return Out;
  if (N.elem(Point) != N.elem(K))
    return N.fail("input " + Twine(Point) + " must have the type of input " +
                  Twine(K));
  Out.ZeroPoint = N.in(Point);
  return Out;
}

/// The zero point of X along a shape, where X's dimension Axis is the shape's
/// dimension At.
static FailureOr<Value> pointAlong(Node &N, const Bytes &X,
                                   ArrayRef<DimExpr> Shape, int64_t At) {
  Value Z = N.B.convert(X.ZeroPoint, N.i32());
  auto Type = cast<RankedTensorType>(Z.getType());
  if (Type.hasStaticShape() && Type.getNumElements() == 1)
    return N.B.broadcast(N.B.reshape(Z, {}), Shape, {});
  if (Type.getRank() != 1 || X.Axis < 0 || At < 0)
    return N.broadcastTo(Z, Shape);
  if (failed(N.wantEqual(getDim(Type, 0), Shape[At], "zero points")))
    return failure();
  return N.B.broadcast(N.as(Z, {Shape[At]}), Shape, {At});
}

FailureOr<Value> limosa::onnximport::integerMatmul(Node &N, Bytes L, Bytes R) {
  CoreBuilder &B = N.B;
  auto Product = N.matmul(L.V, R.V, N.i32());
  if (failed(Product) || (!L.ZeroPoint && !R.ZeroPoint))
    return Product;
  Dims LD = getDims(L.V), RD = getDims(R.V), Shape = getDims(*Product);
  if (LD.size() < 2 || RD.size() < 2) {
    // Products of vectors are small.
    auto centred = [&](const Bytes &X) -> FailureOr<Value> {
      Value V = B.convert(X.V, N.i32());
      if (!X.ZeroPoint)
        return V;
      auto Z = pointAlong(N, X, getDims(V), X.Axis);
      return failed(Z) ? FailureOr<Value>(failure()) : B.sub(V, *Z);
    };
    auto A = centred(L), C = centred(R);
    if (failed(A) || failed(C))
      return failure();
    return N.matmul(*A, *C);
  }
  // sum (l - a)(r - b) = sum l r - a sum r - b sum l + K a b
  int64_t Rank = int64_t(Shape.size());
  Value Y = *Product, A, C;
  auto along = [&](const Bytes &X, int64_t At) {
    return pointAlong(N, X, Shape, At);
  };
  if (L.ZeroPoint) {
    auto Z = along(L, Rank - 2);
    auto Sum = N.broadcastTo(B.reduceSum(B.convert(R.V, N.i32()),
                                         {int64_t(RD.size()) - 2},
                                         /*KeepDims=*/true),
                             Shape);
    if (failed(Z) || failed(Sum))
      return failure();
    A = *Z;
    Y = B.sub(Y, B.mul(A, *Sum));
  }
  if (R.ZeroPoint) {
    auto Z = along(R, Rank - 1);
    auto Sum = N.broadcastTo(B.reduceSum(B.convert(L.V, N.i32()),
                                         {int64_t(LD.size()) - 1},
                                         /*KeepDims=*/true),
                             Shape);
    if (failed(Z) || failed(Sum))
      return failure();
    C = *Z;
    Y = B.sub(Y, B.mul(C, *Sum));
  }
  if (A && C) {
    Value K = B.broadcast(B.convert(B.dim(LD.back()), N.i32()), Shape, {});
    Y = B.add(Y, B.mul(K, B.mul(A, C)));
  }
  return Y;
}

/// The product of inputs A and B. A vector of zero points of A belongs to its
/// rows, one of B to its columns.
static FailureOr<Value> integerProduct(Node &N, unsigned A, unsigned B,
                                       unsigned PointA, unsigned PointB) {
  auto L = bytesOf(N, A, PointA, N.rank(A) - 2),
       R = bytesOf(N, B, PointB, N.rank(B) - 1);
  if (failed(L) || failed(R))
    return failure();
  return integerMatmul(N, *L, *R);
}

static LogicalResult matmulInteger(Node &N) {
  auto Y = integerProduct(N, 0, 1, 2, 3);
  return failed(Y) ? failure() : N.done(*Y);
}

/// y = saturate(round(x * scale) + zero point).
static LogicalResult requantize(Node &N, Value Y, Value Scale,
                                unsigned OutScale, unsigned OutPoint) {
  Dims Shape = getDims(Y);
  auto S = N.scalarLike(OutScale, Y);
  auto Z = N.scalarLike(OutPoint, Y);
  if (failed(S) || failed(Z))
    return failure();
  Value X = N.B.mul(N.B.convert(Y, N.f32()), Scale);
  X = N.B.div(X, N.B.convert(*S, N.f32()));
  Value Point = N.B.convert(*Z, N.i32());
  return N.done(saturate(N, X, Point, N.elem(OutPoint)));
}

static LogicalResult qlinearMatmul(Node &N) {
  auto Y = integerProduct(N, 0, 3, 2, 5);
  if (failed(Y))
    return failure();
  Dims Shape = getDims(*Y);
  auto scale = [&](unsigned K, int64_t Axis) -> FailureOr<Value> {
    Value V = N.B.convert(N.in(K), N.f32());
    auto Type = cast<RankedTensorType>(V.getType());
    if (Type.hasStaticShape() && Type.getNumElements() == 1)
      return N.B.broadcast(N.B.reshape(V, {}), Shape, {});
    if (Type.getRank() == 1 && Axis >= 0 && Axis < int64_t(Shape.size()))
      return N.B.broadcast(V, Shape, {Axis});
    return N.broadcastTo(V, Shape);
  };
  auto A = scale(1, int64_t(Shape.size()) - 2),
       B = scale(4, int64_t(Shape.size()) - 1);
  if (failed(A) || failed(B))
    return failure();
  return requantize(N, *Y, N.B.mul(*A, *B), 6, 7);
}

/// The convolution of centred integers.
static FailureOr<Value> integerConv(Node &N, unsigned X, unsigned W,
                                    unsigned PointX, unsigned PointW) {
  if (!isByte(N.elem(X)) || !isByte(N.elem(W)))
    return N.fail("operands must be 8-bit integers");
  if (noPoint(N, PointX) && noPoint(N, PointW))
    return buildConv(N, N.in(X), N.in(W), N.i32());
  if (noPoint(N, PointW) && N.elem(PointX) == N.elem(X) &&
      N.type(PointX).hasStaticShape() && N.type(PointX).getNumElements() == 1) {
    // The bytes themselves, padded with what stands for 0; what the zero point
    // adds to all results of a channel is taken off.
    CoreBuilder &B = N.B;
    Value Point = B.reshape(N.in(PointX), {});
    auto Y = buildConv(N, N.in(X), N.in(W), N.i32(), Point);
    if (failed(Y))
      return failure();
    Ints Others = llvm::to_vector(llvm::seq<int64_t>(1, N.rank(W)));
    Value Sum = B.reduceSum(B.convert(N.in(W), N.i32()), Others);
    Value Wide = B.broadcast(B.convert(Point, N.i32()), getDims(Sum), {});
    Value Added = B.mul(Sum, Wide);
    Dims Shape = getDims(*Y);
    return B.sub(*Y, B.broadcast(N.as(Added, {Shape[1]}), Shape, {1}));
  }
  auto A = centred(N, X, PointX, -1), B = centred(N, W, PointW, 0);
  if (failed(A) || failed(B))
    return failure();
  return buildConv(N, *A, *B, {});
}

static LogicalResult convInteger(Node &N) {
  auto Y = integerConv(N, 0, 1, 2, 3);
  return failed(Y) ? failure() : N.done(*Y);
}

static LogicalResult qlinearConv(Node &N) {
  auto Y = integerConv(N, 0, 3, 2, 5);
  if (failed(Y))
    return failure();
  Value V = *Y;
  Dims Shape = getDims(V);
  if (N.has(8)) {
    if (failed(N.wantRank(8, 1)) || !N.elem(8).isInteger(32))
      return N.fail("the bias must be a vector of int32");
    if (failed(N.wantEqual(N.dim(8, 0), Shape[1], "bias and channels")))
      return failure();
    V = N.B.add(V, N.B.broadcast(N.in(8), Shape, {1}));
  }
  auto SX = N.scalarLike(1, V);
  if (failed(SX))
    return failure();
  Value SW = N.in(4);
  auto Type = cast<RankedTensorType>(SW.getType());
  if (Type.hasStaticShape() && Type.getNumElements() == 1)
    SW = N.B.broadcast(N.B.reshape(SW, {}), Shape, {});
  else if (Type.getRank() == 1)
    SW = N.B.broadcast(SW, Shape, {1});
  else
    return N.fail("filter scales must be a scalar or a vector");
  return requantize(N, V, N.B.mul(*SX, SW), 6, 7);
}

llvm::ArrayRef<OpEntry> limosa::onnximport::quantizeOps() {
  static constexpr uint8_t Quantized = Integers | StorageTypes | CarriedTypes;
  static const OpEntry Table[] = {
      {"", "QuantizeLinear", 10, 2, 3, Floats | SignedInts | CarriedTypes,
       quantize},
      {"", "DequantizeLinear", 10, 2, 3, Quantized, dequantize},
      {"", "DynamicQuantizeLinear", 11, 1, 1, Floats, dynamicQuantize},
      {"", "MatMulInteger", 10, 2, 4, Integers, matmulInteger},
      {"", "ConvInteger", 10, 2, 4, Integers, convInteger},
      {"", "QLinearMatMul", 10, 8, 8, Integers, qlinearMatmul},
      {"", "QLinearConv", 10, 8, 9, Integers, qlinearConv},
      {"com.microsoft", "QuantizeLinear", 1, 2, 3, Floats, quantize},
      {"com.microsoft", "DequantizeLinear", 1, 2, 3, Quantized, dequantize},
  };
  return Table;
}
