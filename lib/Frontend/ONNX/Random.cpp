//===- Random.cpp - Random numbers ----------------------------------------===//
//
// Bits come from the counter-based generator: the key is the node's seed, or a
// hash of its name where it has none, so that a program gives the same numbers
// every time it runs.
//
//===----------------------------------------------------------------------===//

#include "Registry.h"
#include "Tensors.h"
#include "onnx-ml.pb.h"
#include "llvm/Support/xxhash.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

/// Uniform f32 in [0, 1), of 24 bits. Streams of one node differ in `Stream`.
static Value uniform(Node &N, ArrayRef<DimExpr> Shape, uint64_t Stream) {
  uint64_t Seed = llvm::xxh3_64bits(N.P.output_size() ? StringRef(N.P.output(0))
                                                      : StringRef());
  if (N.op() == "Dropout" && N.hasAttr("seed"))
    Seed = uint64_t(N.attr("seed", int64_t(0)));
  else if (N.hasAttr("seed"))
    Seed = llvm::bit_cast<uint64_t>(N.attr("seed", 0.0));
  Type U64 = IntegerType::get(N.I.context(), 64, IntegerType::Unsigned);
  Type U32 = IntegerType::get(N.I.context(), 32, IntegerType::Unsigned);
  SmallVector<APInt> Key{APInt(64, Seed), APInt(64, Stream)};
  Value K = N.B.constant(
      DenseElementsAttr::get(RankedTensorType::get({2}, U64), Key));
  Value Bits = N.B.randomBits(K, Shape, U32);
  Bits = N.B.shr(Bits, N.B.full(8, Bits));
  return N.B.mulScalar(N.B.convert(Bits, N.f32()), std::ldexp(1, -24));
}

/// Shape and element type: attributes, or those of input 0.
static LogicalResult target(Node &N, Dims &Shape, Type &E) {
  E = N.f32();
  if (N.has(0)) {
    Shape = N.dims(0);
    E = isFloatType(N.elem(0)) ? N.elem(0) : E;
  } else {
    auto Given = N.ints("shape");
    if (!Given)
      return N.fail("the shape is missing");
    for (int64_t D : *Given) {
      if (D < 0)
        return N.fail("the shape must not be negative");
      Shape.push_back(DimExpr(D));
    }
  }
  if (int64_t Given = N.attr("dtype", int64_t(0)))
    E = elementType(N.I.context(), Given);
  return E ? success() : LogicalResult(N.fail("dtype is not supported"));
}

static LogicalResult randomUniform(Node &N) {
  Dims Shape;
  Type E;
  if (failed(target(N, Shape, E)))
    return failure();
  double Low = N.attr("low", 0.0), High = N.attr("high", 1.0);
  Value V = N.B.addScalar(N.B.mulScalar(uniform(N, Shape, 0), High - Low), Low);
  return N.done(N.B.convert(V, E));
}

static LogicalResult randomNormal(Node &N) {
  Dims Shape;
  Type E;
  if (failed(target(N, Shape, E)))
    return failure();
  // Box and Muller: sqrt(-2 ln u) cos(2 pi v) with u in (0, 1].
  Value U = N.B.addScalar(N.B.neg(uniform(N, Shape, 0)), 1);
  Value Radius = N.B.sqrt(N.B.mulScalar(N.B.log(U), -2));
  Value Angle = N.B.mulScalar(uniform(N, Shape, 1), 6.28318530717958647693);
  Value V = N.B.mul(Radius, N.B.cos(Angle));
  V = N.B.addScalar(N.B.mulScalar(V, N.attr("scale", 1.0)),
                    N.attr("mean", 0.0));
  return N.done(N.B.convert(V, E));
}

static LogicalResult bernoulli(Node &N) {
  Type E = N.elem(0);
  if (int64_t Given = N.attr("dtype", int64_t(0)))
    E = elementType(N.I.context(), Given);
  if (!E)
    return N.fail("dtype is not supported");
  Value P = N.B.convert(N.in(0), N.f32());
  Value Hit = N.B.compare(CompareDirection::LT, uniform(N, N.dims(0), 0), P);
  return N.done(N.B.convert(Hit, E));
}

/// Draws classes by logarithms of their probabilities: the largest of those
/// with Gumbel noise added.
static LogicalResult multinomial(Node &N) {
  CoreBuilder &B = N.B;
  int64_t Count = N.attr("sample_size", int64_t(1));
  Type E = elementType(N.I.context(), N.attr("dtype", int64_t(6)));
  if (failed(N.wantRank(0, 2)))
    return failure();
  if (Count < 1 || !E || !isa<IntegerType>(E))
    return N.fail("sample_size or dtype is out of range");
  Dims Shape{N.dim(0, 0), DimExpr(Count), N.dim(0, 1)};
  // In (0, 1), so that both logarithms are finite.
  Value U = B.addScalar(uniform(N, Shape, 0), std::ldexp(1, -25));
  Value Noise = B.neg(B.log(B.neg(B.log(U))));
  Value LogP = B.broadcast(B.convert(N.in(0), N.f32()), Shape, {0, 2});
  Value Best = B.argReduce(B.add(LogP, Noise), 2, /*IsMax=*/true,
                           /*SelectLast=*/false, /*KeepDims=*/false)
                   .second;
  return N.done(B.convert(Best, E));
}

/// Data, ratio, training mode. Outside of training a copy.
static LogicalResult dropout(Node &N) {
  CoreBuilder &B = N.B;
  // Before opset 12 there is no training mode.
  auto Known = N.has(2) ? N.constInts(2) : Ints{0};
  if (Known && Known->size() == 1 && !Known->front()) {
    N.out(0, N.tensor(0));
    if (N.wants(1))
      N.out(1, B.full(1, N.dims(0), N.i1()));
    return success();
  }
  Value X = N.in(0), Draw = uniform(N, N.dims(0), 0), Ratio = B.full(0.5, Draw);
  if (N.has(1)) {
    auto Given = N.scalarLike(1, Draw);
    if (failed(Given))
      return failure();
    Ratio = B.convert(*Given, N.f32());
  }
  auto Training = N.scalarLike(2, Draw);
  if (failed(Training))
    return failure();
  Value Keep = B.bitOr(B.bitNot(*Training),
                       B.compare(CompareDirection::GE, Draw, Ratio));
  // What is kept makes up for what is not.
  Value Scale = B.div(B.full(1, Ratio), B.addScalar(B.neg(Ratio), 1));
  Scale = B.select(*Training, Scale, B.full(1, Scale));
  Value Y = B.mul(X, B.convert(Scale, N.elem(0)));
  N.out(0, B.select(Keep, Y, B.full(0, Y)));
  N.out(1, Keep);
  return success();
}

llvm::ArrayRef<OpEntry> limosa::onnximport::randomOps() {
  static const OpEntry Table[] = {
      {"", "RandomUniform", 1, 0, 0, AnyType, randomUniform},
      {"", "RandomUniformLike", 1, 1, 1, AnyType, randomUniform},
      {"", "RandomNormal", 1, 0, 0, AnyType, randomNormal},
      {"", "RandomNormalLike", 1, 1, 1, AnyType, randomNormal},
      {"", "Bernoulli", 15, 1, 1, Floats, bernoulli},
      {"", "Multinomial", 7, 1, 1, Floats, multinomial},
      {"", "Dropout", 7, 1, 3, Floats, dropout},
  };
  return Table;
}
