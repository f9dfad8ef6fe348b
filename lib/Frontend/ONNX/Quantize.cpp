//===- Quantize.cpp - Quantised tensors and products ----------------------===//

#include "Quantize.h"
#include "Casts.h"
#include "Tensors.h"
#include "Windows.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

using Dir = CompareDirection;

/// `Shape` with the dimension `Axis` as blocks and what is in each.
static Dims splitBlocks(Dims Shape, int64_t Axis, const DimExpr &Blocks,
                        int64_t Block) {
  Shape[Axis] = Blocks;
  Shape.insert(Shape.begin() + Axis + 1, DimExpr(Block));
  return Shape;
}

/// Where the dimensions of scales by block stand among those of splitBlocks.
static Ints positionsInBlocks(const Dims &Scales, int64_t Axis) {
  Ints Positions;
  for (int64_t D = 0; D < int64_t(Scales.size()); ++D)
    Positions.push_back(D <= Axis ? D : D + 1);
  return Positions;
}

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
  Dims Spread = splitBlocks(Own, *Axis, Own[*Axis], Block), Whole(Own);
  Whole[*Axis] = Own[*Axis] * DimExpr(Block);
  V = N.B.reshape(N.B.broadcast(V, Spread, positionsInBlocks(Own, *Axis)),
                  Whole);
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
  if (Bits >= 8)
    return N.B.convert(X, To);
  X = N.B.minScalar(N.B.maxScalar(X, Low), High);
  return N.B.convert(N.B.convert(X, N.i32()), carrierOf(To));
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

/// The axis of input 0 that blocks of scales, input 1, divide; none if the
/// scales are of another kind or it does not show.
static std::optional<int64_t> dividedAxis(Node &N) {
  const int64_t Block = N.attr("block_size", int64_t(0));
  const Dims Shape = N.dims(0), Scales = N.dims(1);
  if (Block < 1 || Shape.size() < 2 || Scales.size() != Shape.size() ||
      (N.has(2) && N.dims(2) != Scales))
    return std::nullopt;
  auto Axis = N.axis(N.attr("axis", int64_t(1)), Shape.size());
  if (failed(Axis))
    return std::nullopt;
  for (int64_t D = 0; D < int64_t(Shape.size()); ++D)
    if (Shape[D] != (D == *Axis ? Scales[D] * DimExpr(Block) : Scales[D]))
      return std::nullopt;
  return *Axis;
}

static LogicalResult dequantize(Node &N) {
  Dims Shape = N.dims(0);
  Type To = N.elem(1);
  if (int64_t Given = N.attr("output_dtype", int64_t(0)))
    To = elementType(N.I.context(), Given);
  if (!To || !isFloatType(To) || isCarried(To) ||
      (isCarried(N.elem(0)) && isFloatType(N.elem(0))))
    return N.fail("the element types are not supported");
  // Blocks that divide their axis are a dimension of their own while scales are
  // applied, which then need no copies for every element.
  Value X = N.in(0);
  std::optional<int64_t> Axis = dividedAxis(N);
  if (Axis)
    X = N.B.reshape(X, splitBlocks(Shape, *Axis, N.dims(1)[*Axis],
                                   N.attr("block_size", int64_t(0))));
  auto along = [&](Value V) -> FailureOr<Value> {
    if (!Axis)
      return alongAxis(N, V, Shape);
    return N.B.broadcast(V, getDims(X), positionsInBlocks(getDims(V), *Axis));
  };
  auto Scale = along(N.B.convert(N.in(1), To));
  if (failed(Scale))
    return failure();
  if (isFloatType(N.elem(0)))
    return N.done(N.B.reshape(N.B.mul(N.B.convert(X, To), *Scale), Shape));
  X = N.B.convert(X, N.i32());
  if (N.has(2)) {
    if (failed(N.sameElem(0, 2)))
      return failure();
    auto Zero = along(N.B.convert(N.in(2), N.i32()));
    if (failed(Zero))
      return failure();
    X = N.B.sub(X, *Zero);
  }
  Tensor Y =
      Tensor::of(N.B.reshape(N.B.mul(N.B.convert(X, To), *Scale), Shape));
  if (To.isF32() && isByte(N.elem(0)) && N.rank(1) <= 1)
    Y.Quantised = std::make_shared<Dequantised>(
        Dequantised{N.in(0), N.in(1), N.has(2) ? N.in(2) : Value(),
                    N.rank(1) == 1 ? N.attr("axis", int64_t(1)) : 0});
  return N.out(0, std::move(Y)), success();
}

std::array<Value, 3> limosa::onnximport::quantizeByRange(Node &N, Value X) {
  Type E = getElementTypeOrSelf(X);
  Type U8 = IntegerType::get(N.I.context(), 8, IntegerType::Unsigned);
  // Rows first: they can be shared between threads, a single result cannot.
  auto overAll = [&](CoreBuilder::Combiner C) {
    Value V = X;
    if (int64_t Rank = getDims(X).size(); Rank > 1)
      V = N.B.reduce(C, V, {Rank - 1});
    auto Rest = llvm::to_vector(llvm::seq<int64_t>(0, getDims(V).size()));
    return N.B.reduce(C, V, Rest);
  };
  Value Zero = N.B.scalar(0, E);
  Value Max = N.B.max(overAll(CoreBuilder::Combiner::Max), Zero);
  Value Min = N.B.min(overAll(CoreBuilder::Combiner::Min), Zero);
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

/// Output 0: saturate(round(Y * scales / out scale) + out point).
static LogicalResult requantize(Node &N, Value Y, Value A, int64_t AxisA,
                                Value B, int64_t AxisB, unsigned OutScale,
                                unsigned OutPoint) {
  if (!isSingle(N.in(OutScale)))
    return N.fail("input " + Twine(OutScale) + " must be a scalar");
  auto X = scaled(N, Y, A, AxisA, B, AxisB, N.in(OutScale));
  auto Z = N.scalarLike(OutPoint, Y);
  if (failed(X) || failed(Z))
    return failure();
  Value Point = N.B.convert(*Z, N.i32());
  return N.done(saturate(N, *X, Point, N.elem(OutPoint)));
}

static LogicalResult qlinearMatmul(Node &N) {
  auto Y = integerProduct(N, 0, 3, 2, 5);
  if (failed(Y))
    return failure();
  int64_t Rank = cast<RankedTensorType>(Y->getType()).getRank();
  return requantize(N, *Y, N.in(1), Rank - 2, N.in(4), Rank - 1, 6, 7);
}

//===----------------------------------------------------------------------===//
// Convolutions of integers
//===----------------------------------------------------------------------===//

static FailureOr<Value> integerConv(Node &N, unsigned X, unsigned W,
                                    unsigned PointX, unsigned PointW) {
  auto A = bytesOf(N, X, PointX, -1), B = bytesOf(N, W, PointW, 0);
  if (failed(A) || failed(B))
    return failure();
  return integerConv(N, *A, *B);
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
  if (!isSingle(N.in(1)))
    return N.fail("input 1 must be a scalar");
  if (!isSingle(N.in(4)) && N.rank(4) != 1)
    return N.fail("filter scales must be a scalar or a vector");
  return requantize(N, V, N.in(1), -1, N.in(4), 1, 6, 7);
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
