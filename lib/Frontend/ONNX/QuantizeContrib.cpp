//===- QuantizeContrib.cpp - Quantised operators of com.microsoft ---------===//
//
// What onnxruntime's quantiser writes besides ONNX's own operators.
//
//===----------------------------------------------------------------------===//

#include "Quantize.h"
#include "Registry.h"
#include "Tensors.h"
#include "Windows.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

using Dir = CompareDirection;
using BinaryFn = Value (CoreBuilder::*)(Value, Value);

//===----------------------------------------------------------------------===//
// Elementwise and data: dequantise, do it in floats, quantise
//===----------------------------------------------------------------------===//

/// a, scale, point, b, scale, point, result's scale and point.
template <BinaryFn Fn> static LogicalResult qlinearBinary(Node &N) {
  auto A = dequantized(N, 0, 1, 2), B = dequantized(N, 3, 4, 5);
  if (failed(A) || failed(B))
    return failure();
  auto V = N.broadcast({*A, *B});
  if (failed(V))
    return failure();
  return requantized(N, (N.B.*Fn)((*V)[0], (*V)[1]), 6, 7, N.elem(0));
}

static LogicalResult qlinearSigmoid(Node &N) {
  auto X = dequantized(N, 0, 1, 2);
  return failed(X) ? failure()
                   : requantized(N, N.B.sigmoid(*X), 3, 4, N.elem(0));
}

static LogicalResult qlinearLeakyRelu(Node &N) {
  auto X = dequantized(N, 0, 1, 2);
  if (failed(X))
    return failure();
  Value Scaled = N.B.mulScalar(*X, N.attr("alpha", 0.01));
  Value Negative = N.B.compare(Dir::LT, *X, N.B.full(0, *X));
  return requantized(N, N.B.select(Negative, Scaled, *X), 3, 4, N.elem(0));
}

static LogicalResult qlinearSoftmax(Node &N) {
  auto X = dequantized(N, 0, 1, 2);
  int64_t Rank = N.rank(0);
  auto Axis = N.axis(N.attr("axis", int64_t(-1)), Rank);
  if (failed(X) || failed(Axis))
    return failure();
  if (N.attr("opset", int64_t(13)) < 13 && *Axis != Rank - 1)
    return N.fail("a softmax over several dimensions is not supported");
  Value Y = N.composite("softmax", {*X}, {N.cfg("axis", *Axis)})[0];
  return requantized(N, Y, 3, 4, N.elem(0));
}

static LogicalResult qlinearGlobalAverage(Node &N) {
  auto X = dequantized(N, 0, 1, 2);
  if (failed(X) || failed(N.wantMinRank(0, 3)))
    return failure();
  int64_t First = N.attr("channels_last", int64_t(0)) ? 1 : 2;
  Ints Spatial =
      llvm::to_vector(llvm::seq<int64_t>(First, First + N.rank(0) - 2));
  return requantized(N, N.B.reduceMean(*X, Spatial, /*KeepDims=*/true), 3, 4,
                     N.elem(0));
}

static LogicalResult qlinearAverage(Node &N) {
  if (N.attr("channels_last", int64_t(0)))
    return N.fail("channels_last is not supported");
  auto X = dequantized(N, 0, 1, 2);
  if (failed(X))
    return failure();
  auto Y = buildAveragePool(N, *X);
  return failed(Y) ? failure() : requantized(N, *Y, 3, 4, N.elem(0));
}

/// Result's scale and point, then (x, scale, point) of each part.
static LogicalResult qlinearConcat(Node &N) {
  if (N.numInputs() < 5 || (N.numInputs() - 2) % 3)
    return N.fail("inputs must be a scale, a zero point and triples");
  SmallVector<Value> Parts;
  auto Axis = N.axis(N.attr("axis", int64_t(0)), N.rank(2));
  if (failed(Axis))
    return failure();
  for (unsigned K = 2; K < N.numInputs(); K += 3) {
    auto X = dequantized(N, K, K + 1, K + 2);
    if (failed(X))
      return failure();
    Dims Shape = Parts.empty() ? getDims(*X) : getDims(Parts[0]),
         Own = getDims(*X);
    if (Shape.size() != Own.size())
      return N.fail("inputs must have one rank");
    for (size_t D = 0; D < Shape.size(); ++D)
      if (int64_t(D) != *Axis &&
          failed(N.wantEqual(Shape[D], Own[D], "sizes of the parts")))
        return failure();
    Shape[*Axis] = Own[*Axis];
    Parts.push_back(N.as(*X, Shape));
  }
  return requantized(N, N.B.concat(Parts, *Axis), 0, 1, N.elem(1));
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// A scale input along a product: a scalar, or a vector over the columns.
static FailureOr<Value> productScale(Node &N, unsigned K, Value Like) {
  Dims Shape = getDims(Like);
  Value S = N.B.convert(N.in(K), N.f32());
  auto Type = cast<RankedTensorType>(S.getType());
  if (Type.hasStaticShape() && Type.getNumElements() == 1)
    return N.B.broadcast(N.B.reshape(S, {}), Shape, {});
  if (Type.getRank() != 1 || Shape.empty())
    return N.fail("scales must be a scalar or a vector over the columns");
  if (failed(N.wantEqual(getDim(Type, 0), Shape.back(), "scales and columns")))
    return failure();
  return N.B.broadcast(N.as(S, {Shape.back()}), Shape,
                       {int64_t(Shape.size()) - 1});
}

static LogicalResult withBias(Node &N, Value Y, unsigned Bias) {
  if (N.has(Bias)) {
    auto V = N.broadcast({Y, N.B.convert(N.in(Bias), N.f32())});
    if (failed(V))
      return failure();
    Y = N.B.add((*V)[0], (*V)[1]);
  }
  return N.done(Y);
}

/// a, b, scales of both, points of both, bias: a product of bytes as floats.
static LogicalResult matmulIntegerToFloat(Node &N) {
  auto A = bytesOf(N, 0, 4, -1), B = bytesOf(N, 1, 5, N.rank(1) - 1);
  if (failed(A) || failed(B))
    return failure();
  auto Product = integerMatmul(N, *A, *B);
  if (failed(Product))
    return failure();
  auto SA = productScale(N, 2, *Product), SB = productScale(N, 3, *Product);
  if (failed(SA) || failed(SB))
    return failure();
  Value Y = N.B.mul(N.B.convert(*Product, N.f32()), N.B.mul(*SA, *SB));
  return withBias(N, Y, 6);
}

/// a (floats, quantised here), b, its scale and point, bias.
static LogicalResult dynamicQuantizeMatmul(Node &N) {
  auto B = bytesOf(N, 1, 3, N.rank(1) - 1);
  if (failed(B))
    return failure();
  auto [Q, Scale, Point] = quantizeByRange(N, N.in(0));
  auto Product = integerMatmul(N, {Q, Point, -1}, *B);
  if (failed(Product))
    return failure();
  auto SB = productScale(N, 2, *Product);
  if (failed(SB))
    return failure();
  Value SA = N.B.broadcast(Scale, getDims(*Product), {});
  Value Y = N.B.mul(N.B.convert(*Product, N.f32()), N.B.mul(SA, *SB));
  return withBias(N, Y, 4);
}

/// a, scale, point, b, scale, point, c (i32), result's scale and point; without
/// the latter the result is floats.
static LogicalResult qgemm(Node &N) {
  if (failed(N.wantRank(0, 2)) || failed(N.wantRank(3, 2)))
    return failure();
  bool TransB = N.attr("transB", int64_t(0)) != 0;
  auto A = bytesOf(N, 0, 2, -1), B = bytesOf(N, 3, 5, TransB ? 0 : 1);
  if (failed(A) || failed(B))
    return failure();
  if (N.attr("transA", int64_t(0)))
    A->V = N.B.transpose(A->V, {1, 0});
  if (TransB) {
    B->V = N.B.transpose(B->V, {1, 0});
    B->Axis = 1;
  }
  auto Product = integerMatmul(N, *A, *B);
  if (failed(Product))
    return failure();
  Value Y = *Product;
  if (N.has(6)) {
    auto C = N.broadcastTo(N.in(6), getDims(Y));
    if (failed(C))
      return failure();
    Y = N.B.add(Y, N.B.convert(*C, N.i32()));
  }
  auto SA = productScale(N, 1, Y), SB = productScale(N, 4, Y);
  if (failed(SA) || failed(SB))
    return failure();
  Y = N.B.mul(N.B.convert(Y, N.f32()), N.B.mul(*SA, *SB));
  Y = N.B.mulScalar(Y, N.attr("alpha", 1.0));
  if (!N.has(7))
    return N.done(Y);
  return requantized(N, Y, 7, 8, N.has(8) ? N.elem(8) : N.elem(0));
}

/// Integers of `Bits` bits that input K packs into rows of bytes, the lowest
/// bits first: [Rows, RowBytes * 8 / Bits]. Constants of 4 and 8 bits stay as
/// they are.
static Value unpacked(Node &N, unsigned K, int64_t Rows, int64_t RowBytes,
                      int64_t Bits) {
  CoreBuilder &B = N.B;
  const int64_t PerByte = 8 / Bits;
  if (Bits == 8)
    return B.reshape(N.in(K), {DimExpr(Rows), DimExpr(RowBytes)});
  if (ElementsAttr Const = N.tensor(K).Const; Const && Bits == 4) {
    Type U4 = IntegerType::get(N.I.context(), 4, IntegerType::Unsigned);
    if (ElementsAttr Same = bytesAs(
            Const, RankedTensorType::get({Rows, RowBytes * PerByte}, U4)))
      return B.constant(Same);
  }
  Dims Shape{DimExpr(Rows), DimExpr(RowBytes), DimExpr(PerByte)};
  Value V = B.reshape(N.in(K), {DimExpr(Rows), DimExpr(RowBytes)});
  V = B.broadcast(B.convert(V, N.i32()), Shape, {0, 1});
  Value Shift = B.mulScalar(B.iota(Shape, 2, N.i32()), double(Bits));
  V = B.bitAnd(B.shr(V, Shift), B.full(double((1 << Bits) - 1), V));
  return B.reshape(V, {DimExpr(Rows), DimExpr(RowBytes * PerByte)});
}

/// a * b^T, b [N, blocks, bytes] of narrow integers with a scale per block.
/// Blocks stay a dimension of their own and columns go last, a panel of them at
/// a time: so each scale is read once for its block, next to those of the
/// neighbouring columns, and the weights of a panel lie in the order of K.
static LogicalResult matmulNBits(Node &N) {
  CoreBuilder &B = N.B;
  int64_t K = N.attr("K", int64_t(0)), Rows = N.attr("N", int64_t(0)),
          Bits = N.attr("bits", int64_t(4)),
          Block = N.attr("block_size", int64_t(0));
  if (K < 1 || Rows < 1 || Block < 1 || (Bits != 2 && Bits != 4 && Bits != 8))
    return N.fail("K, N, bits or block_size are not supported");
  if (N.has(4))
    return N.fail("g_idx is not supported");
  int64_t Blocks = (K + Block - 1) / Block, PerByte = 8 / Bits;
  if (Block % PerByte ||
      N.type(1).getNumElements() != Rows * Blocks * (Block / PerByte))
    return N.fail("b does not have the size that K, N and block_size need");
  if (failed(N.wantMinRank(0, 1)) ||
      failed(N.wantEqual(N.dims(0).back(), DimExpr(K), "K and the columns")))
    return failure();
  Type E = N.elem(0);
  int64_t Panel = Rows;
  for (int64_t Columns : {16, 32, 64})
    if (Rows % Columns == 0)
      Panel = Columns;
  const DimExpr Panels(Rows / Panel);
  Dims Blocked{Panels, DimExpr(Blocks), DimExpr(Block), DimExpr(Panel)},
      PerBlock{DimExpr(Rows), DimExpr(Blocks)};
  Value W = unpacked(N, 1, Rows, Blocks * Block / PerByte, Bits);
  W = B.reshape(W, {Panels, DimExpr(Panel), DimExpr(Blocks), DimExpr(Block)});
  W = B.convert(B.transpose(W, {0, 2, 3, 1}), E);
  auto alongBlocks = [&](Value V) {
    V = B.reshape(V, {Panels, DimExpr(Panel), DimExpr(Blocks)});
    V = B.convert(B.transpose(V, {0, 2, 1}), E);
    return B.broadcast(V, Blocked, {0, 1, 3});
  };
  Value Zero = B.full(double(1 << (Bits - 1)), W);
  if (N.has(3) && isFloatType(N.elem(3))) {
    auto Same = N.reshape(N.in(3), PerBlock);
    if (failed(Same))
      return failure();
    Zero = alongBlocks(*Same);
  } else if (N.has(3)) {
    int64_t ZeroBytes = (Blocks + PerByte - 1) / PerByte;
    if (N.type(3).getNumElements() != Rows * ZeroBytes)
      return N.fail("zero points have the wrong size");
    Value Z = unpacked(N, 3, Rows, ZeroBytes, Bits);
    Zero = alongBlocks(B.sliceDim(Z, 1, DimExpr(0), DimExpr(Blocks)));
  }
  auto Scales = N.reshape(N.in(2), PerBlock);
  if (failed(Scales))
    return failure();
  W = B.mul(B.sub(W, Zero), alongBlocks(*Scales));

  // The last block may be longer than what is left of K.
  Dims Shape = N.dims(0);
  Shape.back() = DimExpr(K);
  Value X = N.as(N.in(0), Shape);
  if (Blocks * Block != K) {
    Dims Low(Shape.size(), DimExpr(0)), High(Low);
    High.back() = DimExpr(Blocks * Block - K);
    X = B.pad(X, B.scalar(0, E), Low, High);
  }
  Dims Split = Shape;
  Split.back() = DimExpr(Blocks);
  Split.push_back(DimExpr(Block));
  int64_t Rank = Split.size();
  auto Y =
      N.contract(B.reshape(X, Split), W, {}, {}, {Rank - 2, Rank - 1}, {1, 2});
  if (failed(Y))
    return failure();
  Shape.back() = DimExpr(Rows);
  Y = B.reshape(*Y, Shape);
  if (N.has(5)) {
    auto V = N.broadcast({*Y, N.in(5)});
    if (failed(V))
      return failure();
    Y = B.add((*V)[0], (*V)[1]);
  }
  return N.done(*Y);
}

llvm::ArrayRef<OpEntry> limosa::onnximport::quantizeContribOps() {
  using CB = CoreBuilder;
  static const OpEntry Table[] = {
      {"com.microsoft", "QLinearAdd", 1, 7, 8, Integers,
       qlinearBinary<&CB::add>},
      {"com.microsoft", "QLinearMul", 1, 7, 8, Integers,
       qlinearBinary<&CB::mul>},
      {"com.microsoft", "QLinearSigmoid", 1, 4, 5, Integers, qlinearSigmoid},
      {"com.microsoft", "QLinearLeakyRelu", 1, 4, 5, Integers,
       qlinearLeakyRelu},
      {"com.microsoft", "QLinearSoftmax", 1, 4, 5, Integers, qlinearSoftmax},
      {"com.microsoft", "QLinearGlobalAveragePool", 1, 4, 5, Integers,
       qlinearGlobalAverage},
      {"com.microsoft", "QLinearAveragePool", 1, 4, 5, Integers,
       qlinearAverage},
      {"com.microsoft", "QLinearConcat", 1, 5, -1, Floats, qlinearConcat},
      {"com.microsoft", "QGemm", 1, 6, 9, Integers, qgemm},
      {"com.microsoft", "MatMulIntegerToFloat", 1, 4, 7, Integers,
       matmulIntegerToFloat},
      {"com.microsoft", "DynamicQuantizeMatMul", 1, 3, 5, Floats,
       dynamicQuantizeMatmul},
      {"com.microsoft", "MatMulNBits", 1, 3, 6, Floats, matmulNBits},
  };
  return Table;
}
