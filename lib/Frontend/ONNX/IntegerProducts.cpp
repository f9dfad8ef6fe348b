//===- IntegerProducts.cpp - Products of quantised tensors ----------------===//
//
// Products and convolutions of bytes with zero points. They are written with
// one unsigned and one signed operand, as instructions want them, and with
// bytes as they are: what the zero points add is a sum, most often of
// constants, taken off the result.
//
//===----------------------------------------------------------------------===//

#include "Quantize.h"
#include "Windows.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

/// Whether a zero point is not given or known to be `Zero` throughout.
static bool isZero(Value Point, int64_t Zero = 0) {
  if (!Point)
    return true;
  auto C = Point.getDefiningOp<ConstantOp>();
  auto Elements = C ? dyn_cast<DenseIntElementsAttr>(C.getValue()) : nullptr;
  bool Unsigned = getElementTypeOrSelf(Point).isUnsignedInteger();
  return Elements && llvm::all_of(Elements.getValues<APInt>(), [&](APInt V) {
           return (Unsigned ? int64_t(V.getZExtValue()) : V.getSExtValue()) ==
                  Zero;
         });
}

FailureOr<Bytes> limosa::onnximport::bytesOf(Node &N, unsigned K,
                                             unsigned Point, int64_t Axis) {
  if (!isByte(N.elem(K)))
    return N.fail("operands must be 8-bit integers");
  Bytes Out{N.in(K), Value(), Axis};
  if (!N.has(Point))
    return Out;
  if (N.elem(Point) != N.elem(K))
    return N.fail("input " + Twine(Point) + " must have the type of input " +
                  Twine(K));
  if (!isZero(N.in(Point)))
    Out.ZeroPoint = N.in(Point);
  return Out;
}

/// The same numbers in bytes of the other sign, 128 away.
static Bytes withOtherSign(Node &N, Bytes X) {
  Type From = getElementTypeOrSelf(X.V);
  bool Unsigned = From.isUnsignedInteger();
  Type To = IntegerType::get(N.I.context(), 8,
                             Unsigned ? IntegerType::Signless
                                      : IntegerType::Unsigned);
  auto flip = [&](Value V) {
    return N.B.bitcast(N.B.bitXor(V, N.B.full(Unsigned ? 128 : -128, V)), To);
  };
  Value Point;
  if (!X.ZeroPoint)
    Point = N.B.scalar(Unsigned ? -128 : 128, To);
  else if (!isZero(X.ZeroPoint, Unsigned ? 128 : -128))
    Point = flip(X.ZeroPoint);
  return {flip(X.V), Point, X.Axis};
}

/// Makes one operand unsigned and the other signed, as instructions want them.
/// The sums of a constant right-hand side cost nothing, so the left-hand side
/// moves its zero point; that of the other one moves if it vanishes.
static void mixSigns(Node &N, Bytes &L, Bytes &R) {
  auto isUnsigned = [](const Bytes &X) {
    return getElementTypeOrSelf(X.V).isUnsignedInteger();
  };
  if (R.ZeroPoint && isZero(R.ZeroPoint, isUnsigned(R) ? 128 : -128))
    R = withOtherSign(N, R);
  if (isUnsigned(L) == isUnsigned(R))
    L = withOtherSign(N, L);
}

/// The zero point of X along a shape, where X's dimension Axis is the shape's
/// dimension At.
static FailureOr<Value> pointAlong(Node &N, const Bytes &X,
                                   ArrayRef<DimExpr> Shape, int64_t At) {
  Value Z = N.B.convert(X.ZeroPoint, N.i32());
  auto Type = cast<RankedTensorType>(Z.getType());
  if (isSingle(Z))
    return N.B.broadcast(N.B.reshape(Z, {}), Shape, {});
  if (Type.getRank() != 1 || X.Axis < 0 || At < 0)
    return N.broadcastTo(Z, Shape);
  if (failed(N.wantEqual(getDim(Type, 0), Shape[At], "zero points")))
    return failure();
  return N.B.broadcast(N.as(Z, {Shape[At]}), Shape, {At});
}

/// X minus its zero point, as i32.
static FailureOr<Value> centred(Node &N, const Bytes &X) {
  Value V = N.B.convert(X.V, N.i32());
  if (!X.ZeroPoint)
    return V;
  auto Z = pointAlong(N, X, getDims(V), X.Axis);
  return failed(Z) ? FailureOr<Value>(failure()) : N.B.sub(V, *Z);
}

FailureOr<Value> limosa::onnximport::integerMatmul(Node &N, Bytes L, Bytes R) {
  CoreBuilder &B = N.B;
  Dims LD = getDims(L.V), RD = getDims(R.V);
  if (LD.size() < 2 || RD.size() < 2) {
    // Products of vectors are small.
    auto A = centred(N, L), C = centred(N, R);
    if (failed(A) || failed(C))
      return failure();
    return N.matmul(*A, *C);
  }
  mixSigns(N, L, R);
  auto Product = N.matmul(L.V, R.V, N.i32());
  if (failed(Product))
    return failure();
  // sum (l - a)(r - b) = sum l r - a sum r - b sum l + K a b
  Dims Shape = getDims(*Product);
  int64_t Rank = int64_t(Shape.size());
  Value Y = *Product;
  /// Takes off what the zero point of X adds: along dimension At, and times the
  /// sums of Other over dimension K. Returns the zero point.
  auto takeOff = [&](const Bytes &X, int64_t At, const Bytes &Other,
                     int64_t K) -> FailureOr<Value> {
    if (!X.ZeroPoint)
      return Value();
    auto Z = pointAlong(N, X, Shape, At);
    Value Wide = B.convert(Other.V, N.i32());
    auto Sum = N.broadcastTo(B.reduceSum(Wide, {K}, /*KeepDims=*/true), Shape);
    if (failed(Z) || failed(Sum))
      return failure();
    Y = B.sub(Y, B.mul(*Z, *Sum));
    return Z;
  };
  auto A = takeOff(L, Rank - 2, R, int64_t(RD.size()) - 2);
  auto C = takeOff(R, Rank - 1, L, int64_t(LD.size()) - 1);
  if (failed(A) || failed(C))
    return failure();
  if (*A && *C) {
    Value K = B.broadcast(B.convert(B.dim(LD.back()), N.i32()), Shape, {});
    Y = B.add(Y, B.mul(K, B.mul(*A, *C)));
  }
  return Y;
}

//===----------------------------------------------------------------------===//
// Convolutions
//===----------------------------------------------------------------------===//

/// What the filter's zero points add to a convolution: them times the sums of
/// the centred input under each window.
static FailureOr<Value> addedByFilter(Node &N, const Bytes &X, const Bytes &W,
                                      ArrayRef<DimExpr> Shape) {
  CoreBuilder &B = N.B;
  auto Centred = centred(N, X);
  if (failed(Centred))
    return failure();
  DimExpr Groups = N.attr("group", int64_t(1));
  Dims XD = getDims(X.V), WD = getDims(W.V);
  // [n, groups, channels, ..] -> [n, groups, ..] -> sums under windows
  Dims Split(XD), Ones(WD), Spread(Shape);
  Split[1] = Groups;
  Split.insert(Split.begin() + 2, WD[1]);
  Value Sums = B.reduceSum(B.reshape(*Centred, Split), {2});
  Ones[0] = Groups;
  Ones[1] = 1;
  auto Windows = buildConv(N, Sums, B.full(1, Ones, N.i32()), {});
  if (failed(Windows))
    return failure();
  Spread[1] = Groups;
  Spread.insert(Spread.begin() + 2, DimExpr::floorDiv(WD[0], Groups));
  Ints Kept;
  for (int64_t D = 0; D < int64_t(Spread.size()); ++D)
    if (D != 2)
      Kept.push_back(D);
  Value All = B.reshape(B.broadcast(*Windows, Spread, Kept), Shape);
  auto Z = pointAlong(N, W, Shape, 1);
  return failed(Z) ? FailureOr<Value>(failure()) : B.mul(All, *Z);
}

FailureOr<Value> limosa::onnximport::integerConv(Node &N, Bytes X, Bytes W) {
  CoreBuilder &B = N.B;
  if (X.ZeroPoint && !isSingle(X.ZeroPoint))
    return N.fail("the input's zero point must be a scalar");
  mixSigns(N, X, W);
  Value Point = X.ZeroPoint ? B.reshape(X.ZeroPoint, {}) : Value();
  auto Product = buildConv(N, X.V, W.V, N.i32(), Point);
  if (failed(Product))
    return failure();
  Value Y = *Product;
  Dims Shape = getDims(Y);
  if (Point) {
    Ints Others = llvm::to_vector(
        llvm::seq<int64_t>(1, cast<RankedTensorType>(W.V.getType()).getRank()));
    Value Sum = B.reduceSum(B.convert(W.V, N.i32()), Others);
    Value Wide = B.broadcast(B.convert(Point, N.i32()), getDims(Sum), {});
    Value Added = B.mul(Sum, Wide);
    Y = B.sub(Y, B.broadcast(N.as(Added, {Shape[1]}), Shape, {1}));
  }
  if (!W.ZeroPoint)
    return Y;
  auto Added = addedByFilter(N, X, W, Shape);
  return failed(Added) ? FailureOr<Value>(failure()) : B.sub(Y, *Added);
}

//===----------------------------------------------------------------------===//
// Scales
//===----------------------------------------------------------------------===//

/// X along a shape: one element, or a vector over dimension Axis.
static FailureOr<Value> along(Node &N, Value X, ArrayRef<DimExpr> Shape,
                              int64_t Axis) {
  if (isSingle(X))
    return N.B.broadcast(N.B.reshape(X, {}), Shape, {});
  auto Type = cast<RankedTensorType>(X.getType());
  if (Type.getRank() != 1 || Axis < 0 || Axis >= int64_t(Shape.size()))
    return N.broadcastTo(X, Shape);
  if (failed(N.wantEqual(getDim(Type, 0), Shape[Axis],
                         "scales and the size of their axis")))
    return failure();
  return N.B.broadcast(N.as(X, {Shape[Axis]}), Shape, {Axis});
}

FailureOr<Value> limosa::onnximport::scaled(Node &N, Value Y, Value A,
                                            int64_t AxisA, Value B,
                                            int64_t AxisB, Value Over) {
  if (!isSingle(A)) {
    std::swap(A, B);
    std::swap(AxisA, AxisB);
  }
  auto float32 = [&](Value V) { return N.B.convert(V, N.f32()); };
  auto overAll = [&](Value V, Value Like) {
    return N.B.broadcast(N.B.reshape(float32(V), {}), getDims(Like), {});
  };
  Value Scale = float32(B);
  if (isSingle(A))
    Scale = N.B.mul(Scale, overAll(A, Scale));
  if (Over)
    Scale = N.B.div(Scale, overAll(Over, Scale));
  Dims Shape = getDims(Y);
  auto Spread = along(N, Scale, Shape, AxisB);
  if (failed(Spread))
    return failure();
  Y = N.B.mul(float32(Y), *Spread);
  if (isSingle(A))
    return Y;
  auto Other = along(N, float32(A), Shape, AxisA);
  return failed(Other) ? FailureOr<Value>(failure()) : N.B.mul(Y, *Other);
}

//===----------------------------------------------------------------------===//
// Products between DequantizeLinear and QuantizeLinear
//===----------------------------------------------------------------------===//

/// What input K was dequantised from here, with scales and zero points that are
/// scalars or vectors along Axis.
static const Dequantised *dequantisedInput(Node &N, unsigned K, int64_t Axis) {
  const Dequantised *D = N.tensor(K).Quantised.get();
  if (!D || Value(D->V).getParentBlock() != N.B.builder().getInsertionBlock())
    return nullptr;
  auto fits = [&](Value V) {
    return !V || isSingle(V) ||
           (Axis >= 0 && (D->Axis == Axis || D->Axis == Axis - N.rank(K)));
  };
  return fits(D->Scale) && fits(D->ZeroPoint) ? D : nullptr;
}

static bool isConstant(Value V) { return bool(V.getDefiningOp<ConstantOp>()); }

static Bytes bytesBehind(const Dequantised &D, int64_t Axis) {
  return {D.V, isZero(D.ZeroPoint) ? Value() : D.ZeroPoint, Axis};
}

/// Sums of this many products of bytes stay in an i32.
static bool sumsFit(const DimExpr &Count) {
  auto C = Count.constant();
  return C && *C <= INT32_MAX / (255 * 255);
}

FailureOr<Value> limosa::onnximport::quantisedMatmul(Node &N, bool TransB) {
  int64_t Rank = N.rank(1);
  int64_t Columns = TransB ? Rank - 2 : Rank - 1;
  if (N.rank(0) < 2 || Rank < 2)
    return Value();
  const Dequantised *L = dequantisedInput(N, 0, -1),
                    *R = dequantisedInput(N, 1, Columns);
  if (!L || !R || !isSingle(L->Scale) || !isConstant(R->V) ||
      !sumsFit(N.dim(1, TransB ? Rank - 1 : Rank - 2)))
    return Value();
  Bytes B = bytesBehind(*R, Rank - 1);
  if (TransB)
    B.V = N.B.transpose(B.V, {1, 0});
  auto Y = integerMatmul(N, bytesBehind(*L, -1), B);
  if (failed(Y))
    return failure();
  int64_t Last = cast<RankedTensorType>(Y->getType()).getRank() - 1;
  return scaled(N, *Y, L->Scale, -1, R->Scale, Last);
}

FailureOr<Value> limosa::onnximport::quantisedConv(Node &N) {
  const Dequantised *X = dequantisedInput(N, 0, -1),
                    *W = dequantisedInput(N, 1, 0);
  if (!X || !W || !isSingle(X->Scale) || !isConstant(W->V))
    return Value();
  DimExpr Count = 1;
  Dims Filter = N.dims(1);
  for (const DimExpr &D : llvm::drop_begin(Filter))
    Count = Count * D;
  if (!sumsFit(Count))
    return Value();
  auto Y = integerConv(N, bytesBehind(*X, -1), bytesBehind(*W, 0));
  if (failed(Y))
    return failure();
  return scaled(N, *Y, X->Scale, -1, W->Scale, 1);
}
