//===- Elementwise.cpp - Arithmetic, comparison, logic, casts -------------===//

#include "Registry.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

using BinaryFn = Value (CoreBuilder::*)(Value, Value);
using UnaryFn = Value (CoreBuilder::*)(Value);
using Dir = CompareDirection;

/// The operands of one shape. Before opset 7 an attribute says where the
/// dimensions of the second one begin.
static FailureOr<SmallVector<Value>> operands(Node &N, bool Mixed = false) {
  Value R = N.in(1);
  if (N.Opset < 7 && N.hasAttr("axis")) {
    auto Axis = N.axis(N.attr("axis", int64_t(0)), N.rank(0));
    if (failed(Axis))
      return failure();
    Dims Shape = N.dims(1);
    if (*Axis + int64_t(Shape.size()) > N.rank(0))
      return N.fail("input 1 does not fit into input 0 at that axis");
    Shape.append(N.rank(0) - *Axis - Shape.size(), DimExpr(1));
    R = N.B.reshape(R, Shape);
  }
  return N.broadcast({N.in(0), R}, Mixed);
}

template <BinaryFn Fn> static LogicalResult binary(Node &N) {
  auto V = operands(N);
  if (failed(V))
    return failure();
  return N.done((N.B.*Fn)((*V)[0], (*V)[1]));
}

template <UnaryFn Fn> static LogicalResult unary(Node &N) {
  return N.done((N.B.*Fn)(N.in(0)));
}

template <Dir D> static LogicalResult comparison(Node &N) {
  auto V = operands(N);
  if (failed(V))
    return failure();
  return N.done(N.B.compare(D, (*V)[0], (*V)[1]));
}

/// Min, Max, Sum: a left fold.
template <BinaryFn Fn> static LogicalResult variadic(Node &N) {
  auto V = N.broadcast(N.allIn());
  if (failed(V))
    return failure();
  Value Acc = V->front();
  for (Value X : llvm::drop_begin(*V))
    Acc = (N.B.*Fn)(Acc, X);
  return N.done(Acc);
}

static LogicalResult mean(Node &N) {
  auto V = N.broadcast(N.allIn());
  if (failed(V))
    return failure();
  Value Acc = V->front();
  for (Value X : llvm::drop_begin(*V))
    Acc = N.B.add(Acc, X);
  return N.done(N.B.div(Acc, N.B.full(double(V->size()), Acc)));
}

static LogicalResult power(Node &N) {
  auto V = operands(N, /*Mixed=*/true);
  if (failed(V))
    return failure();
  Value X = (*V)[0], Y = (*V)[1];
  Type Base = N.elem(0), Exponent = N.elem(1);
  // An integer to a fractional power is made in floats.
  if (!isFloatType(Base) && isFloatType(Exponent)) {
    Type Wide = Exponent.isF64() || Base.getIntOrFloatBitWidth() > 32
                    ? Type(N.B.builder().getF64Type())
                    : N.f32();
    return N.done(
        N.B.convert(N.B.pow(N.B.convert(X, Wide), N.B.convert(Y, Wide)), Base));
  }
  return N.done(N.B.pow(X, N.B.convert(Y, Base)));
}

static LogicalResult modulo(Node &N) {
  auto V = N.broadcast({N.in(0), N.in(1)});
  if (failed(V))
    return failure();
  Value X = (*V)[0], Y = (*V)[1];
  Value R = N.B.rem(X, Y);
  if (N.attr("fmod", int64_t(0)) || N.elem(0).isUnsignedInteger())
    return N.done(R);
  // The remainder takes the divisor's sign.
  Value Zero = N.B.full(0, R);
  Value Differ =
      N.B.bitXor(N.B.compare(Dir::LT, R, Zero), N.B.compare(Dir::LT, Y, Zero));
  Value Adjust = N.B.bitAnd(Differ, N.B.compare(Dir::NE, R, Zero));
  return N.done(N.B.select(Adjust, N.B.add(R, Y), R));
}

static LogicalResult bitShift(Node &N) {
  auto V = N.broadcast({N.in(0), N.in(1)});
  if (failed(V))
    return failure();
  bool Left = N.attr("direction", StringRef()) == "LEFT";
  return N.done(Left ? N.B.shl((*V)[0], (*V)[1]) : N.B.shr((*V)[0], (*V)[1]));
}

static LogicalResult sign(Node &N) {
  Value X = N.in(0), Zero = N.B.full(0, X);
  Value Negative =
      N.elem(0).isUnsignedInteger()
          ? X
          : N.B.select(N.B.compare(Dir::LT, X, Zero), N.B.full(-1, X), X);
  // What is neither stays: zeros and NaN.
  return N.done(
      N.B.select(N.B.compare(Dir::GT, X, Zero), N.B.full(1, X), Negative));
}

static LogicalResult reciprocal(Node &N) {
  Value X = N.in(0);
  return N.done(N.B.div(N.B.full(1, X), X));
}

static LogicalResult negative(Node &N) { return N.done(N.B.neg(N.in(0))); }

static LogicalResult identity(Node &N) {
  return N.out(0, N.tensor(0)), success();
}

static LogicalResult isNaN(Node &N) {
  Value X = N.in(0);
  return N.done(N.B.compare(Dir::NE, X, X));
}

static LogicalResult isInf(Node &N) {
  Value X = N.in(0);
  bool Positive = N.attr("detect_positive", int64_t(1)) != 0,
       Negative = N.attr("detect_negative", int64_t(1)) != 0;
  double Inf = std::numeric_limits<double>::infinity();
  if (Positive && Negative)
    return N.done(N.B.compare(Dir::EQ, N.B.abs(X), N.B.full(Inf, X)));
  if (!Positive && !Negative)
    return N.done(N.B.full(0, getDims(X), N.i1()));
  return N.done(N.B.compare(Dir::EQ, X, N.B.full(Positive ? Inf : -Inf, X)));
}

static LogicalResult where(Node &N) {
  if (failed(N.sameElem(1, 2)))
    return failure();
  auto V = N.broadcast({N.in(0), N.in(1), N.in(2)}, /*Mixed=*/true);
  if (failed(V))
    return failure();
  return N.done(N.B.select((*V)[0], (*V)[1], (*V)[2]));
}

static LogicalResult clipAttrs(Node &N) {
  Value X = N.in(0);
  if (N.hasAttr("min"))
    X = N.B.maxScalar(X, N.attr("min", 0.0));
  if (N.hasAttr("max"))
    X = N.B.minScalar(X, N.attr("max", 0.0));
  return N.done(X);
}
static LogicalResult clip(Node &N) {
  Value X = N.in(0);
  for (unsigned K : {1u, 2u}) {
    if (!N.has(K))
      continue;
    if (failed(N.sameElem(0, K)))
      return failure();
    auto Bound = N.scalarLike(K, X);
    if (failed(Bound))
      return failure();
    X = K == 1 ? N.B.max(X, *Bound) : N.B.min(X, *Bound);
  }
  return N.done(X);
}

/// An operator that is a composite of one operand without attributes.
template <const char *Name> static LogicalResult function(Node &N) {
  return N.done(N.composite(Name, {N.in(0)}));
}
static constexpr char Tan[] = "tan", Asin[] = "asin", Acos[] = "acos",
                      Atan[] = "atan", Sinh[] = "sinh", Cosh[] = "cosh",
                      Asinh[] = "asinh", Acosh[] = "acosh", Atanh[] = "atanh";

llvm::ArrayRef<OpEntry> limosa::onnximport::elementwiseOps() {
  using CB = CoreBuilder;
  static const OpEntry Table[] = {
      {"", "Add", 1, 2, 2, Numbers, binary<&CB::add>},
      {"", "Sub", 1, 2, 2, Numbers, binary<&CB::sub>},
      {"", "Mul", 1, 2, 2, Numbers, binary<&CB::mul>},
      {"", "Div", 1, 2, 2, Numbers, binary<&CB::div>},
      {"", "Pow", 1, 2, 2, Numbers, power},
      {"", "Mod", 10, 2, 2, Numbers, modulo},
      {"", "Min", 1, 1, -1, Numbers, variadic<&CB::min>},
      {"", "Max", 1, 1, -1, Numbers, variadic<&CB::max>},
      {"", "Sum", 1, 1, -1, Numbers, variadic<&CB::add>},
      {"", "Mean", 1, 1, -1, Floats, mean},
      {"", "And", 1, 2, 2, Bools, binary<&CB::bitAnd>},
      {"", "Or", 1, 2, 2, Bools, binary<&CB::bitOr>},
      {"", "Xor", 1, 2, 2, Bools, binary<&CB::bitXor>},
      {"", "Not", 1, 1, 1, Bools, unary<&CB::bitNot>},
      {"", "BitwiseAnd", 18, 2, 2, Integers, binary<&CB::bitAnd>},
      {"", "BitwiseOr", 18, 2, 2, Integers, binary<&CB::bitOr>},
      {"", "BitwiseXor", 18, 2, 2, Integers, binary<&CB::bitXor>},
      {"", "BitwiseNot", 18, 1, 1, Integers, unary<&CB::bitNot>},
      {"", "BitShift", 11, 2, 2, Integers, bitShift},
      {"", "Equal", 1, 2, 2, Computes | Strings, comparison<Dir::EQ>, 2},
      {"", "Less", 1, 2, 2, Numbers, comparison<Dir::LT>},
      {"", "Greater", 1, 2, 2, Numbers, comparison<Dir::GT>},
      {"", "LessOrEqual", 12, 2, 2, Numbers, comparison<Dir::LE>},
      {"", "GreaterOrEqual", 12, 2, 2, Numbers, comparison<Dir::GE>},
      {"", "Abs", 1, 1, 1, Numbers, unary<&CB::abs>},
      {"", "Neg", 1, 1, 1, Numbers, negative},
      {"", "Sign", 9, 1, 1, Numbers, sign},
      {"", "Reciprocal", 1, 1, 1, Floats, reciprocal},
      {"", "Floor", 1, 1, 1, Floats, unary<&CB::floor>},
      {"", "Ceil", 1, 1, 1, Floats, unary<&CB::ceil>},
      {"", "Round", 11, 1, 1, Floats, unary<&CB::roundEven>},
      {"", "Sqrt", 1, 1, 1, Floats, unary<&CB::sqrt>},
      {"", "Exp", 1, 1, 1, Floats, unary<&CB::exp>},
      {"", "Log", 1, 1, 1, Floats, unary<&CB::log>},
      {"", "Sin", 7, 1, 1, Floats, unary<&CB::sin>},
      {"", "Cos", 7, 1, 1, Floats, unary<&CB::cos>},
      {"", "Tan", 7, 1, 1, Floats, function<Tan>},
      {"", "Asin", 7, 1, 1, Floats, function<Asin>},
      {"", "Acos", 7, 1, 1, Floats, function<Acos>},
      {"", "Atan", 7, 1, 1, Floats, function<Atan>},
      {"", "Sinh", 9, 1, 1, Floats, function<Sinh>},
      {"", "Cosh", 9, 1, 1, Floats, function<Cosh>},
      {"", "Asinh", 9, 1, 1, Floats, function<Asinh>},
      {"", "Acosh", 9, 1, 1, Floats, function<Acosh>},
      {"", "Atanh", 9, 1, 1, Floats, function<Atanh>},
      {"", "Tanh", 1, 1, 1, Floats, unary<&CB::tanh>},
      {"", "Erf", 9, 1, 1, Floats, unary<&CB::erf>},
      {"", "Identity", 1, 1, 1, AnyOrString | Sequences | CarriedTypes,
       identity},
      {"", "IsNaN", 9, 1, 1, Floats, isNaN},
      {"", "IsInf", 10, 1, 1, Floats, isInf},
      {"", "Where", 9, 3, 3, Bools, where, 6},
      {"", "Clip", 1, 1, 1, Numbers, clipAttrs},
      {"", "Clip", 11, 1, 3, Numbers, clip},
  };
  return Table;
}
