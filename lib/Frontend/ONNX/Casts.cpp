//===- Casts.cpp - Cast, CastLike, BitCast --------------------------------===//

#include "Casts.h"
#include "Registry.h"
#include "Strings.h"
#include "Tensors.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

using Dir = CompareDirection;

Value limosa::onnximport::convertUnsaturated(CoreBuilder &B, Value V, Type To) {
  // The smallest magnitude that no longer rounds to a number, and the bits of
  // what it becomes.
  struct Overflow {
    double From;
    bool Inclusive;
    unsigned Bits;
    bool Signed;
  };
  Overflow O = isa<Float8E4M3FNType>(To) ? Overflow{464, false, 0x7f, true}
               : isa<Float8E5M2Type>(To) ? Overflow{61440, true, 0x7c, true}
               : isa<Float8E4M3FNUZType>(To)
                   ? Overflow{248, true, 0x80, false}
                   : Overflow{61440, true, 0x80, false};
  Type E = getElementTypeOrSelf(V);
  if (E.getIntOrFloatBitWidth() < 32)
    V = B.convert(V, B.builder().getF32Type());
  Value Magnitude = B.abs(V);
  Value Over =
      B.compare(O.Inclusive ? Dir::GE : Dir::GT, Magnitude, B.full(O.From, V));
  Type Byte = B.builder().getIntegerType(8, /*isSigned=*/false);
  Value Bits = B.bitcast(B.convert(V, To), Byte);
  Value Special = B.full(O.Bits, Bits);
  if (O.Signed)
    Special = B.bitOr(Special, B.bitAnd(Bits, B.full(0x80, Bits)));
  return B.bitcast(B.select(Over, Special, Bits), To);
}

//===----------------------------------------------------------------------===//
// Types that other types carry
//===----------------------------------------------------------------------===//

/// Powers of two as bytes: exponents of floats, 255 for what is no number.
static Value decodeExponents(CoreBuilder &B, Value Bytes) {
  auto &Builder = B.builder();
  Value E = B.convert(Bytes, Builder.getI32Type());
  Value Bits = B.shl(E, B.full(23, E));
  // 2^-127 is no normal float; 255 is NaN, as a float's infinity is not.
  Bits =
      B.select(B.compare(Dir::EQ, E, B.full(0, E)), B.full(0x400000, E), Bits);
  Bits = B.select(B.compare(Dir::EQ, E, B.full(255, E)), B.full(0x7fc00000, E),
                  Bits);
  return B.bitcast(Bits, Builder.getF32Type());
}

static FailureOr<Value> encodeExponents(Node &N, Value V) {
  CoreBuilder &B = N.B;
  Value Bits = B.bitcast(B.convert(V, N.f32()), N.i32());
  auto with = [&](int64_t Mask) {
    return B.bitAnd(Bits, B.full(double(Mask), Bits));
  };
  Value Zero = B.full(0, Bits);
  Value E = B.bitAnd(B.shr(Bits, B.full(23, Bits)), B.full(255, Bits));
  std::string Mode = N.attr("round_mode", StringRef("up"));
  Value Up;
  if (Mode == "up") {
    Up = B.compare(Dir::NE, with(0x7fffff), Zero);
  } else if (Mode == "nearest") {
    // Ties go up, but for those below the first normal float.
    Value Half = B.compare(Dir::NE, with(0x400000), Zero);
    Value More = B.bitOr(B.compare(Dir::NE, with(0x3fffff), Zero),
                         B.compare(Dir::GT, E, Zero));
    Up = B.bitAnd(Half, More);
  } else if (Mode == "down") {
    Up = B.full(0, getDims(V), N.i1());
  } else {
    return N.fail("round_mode '" + Mode + "' does not exist");
  }
  // NaN and infinities stay 255.
  double Last = N.attr("saturate", int64_t(1)) ? 254 : 255;
  Up = B.bitAnd(Up, B.compare(Dir::LT, E, B.full(Last, E)));
  E = B.add(E, B.convert(Up, N.i32()));
  return B.convert(E, B.builder().getIntegerType(8, /*isSigned=*/false));
}

/// V as a number of a type that Limosa has, if its type is carried.
static Value fromCarrier(CoreBuilder &B, Value V, Type Carried) {
  return isFloatType(Carried) && isCarried(Carried) ? decodeExponents(B, V) : V;
}

/// V as a carried integer: its low bits.
static Value wrapInteger(CoreBuilder &B, Value V, Type To) {
  V = B.convert(V, B.builder().getI32Type());
  Value Shift = B.full(double(32 - To.getIntOrFloatBitWidth()), V);
  if (To.isUnsignedInteger())
    V = B.bitAnd(V,
                 B.full(std::ldexp(1, int(To.getIntOrFloatBitWidth())) - 1, V));
  else
    V = B.shr(B.shl(V, Shift), Shift);
  return B.convert(V, carrierOf(To));
}

//===----------------------------------------------------------------------===//
// Operators
//===----------------------------------------------------------------------===//

static LogicalResult castTo(Node &N, Type To) {
  if (!To)
    return N.fail("casts to " + dataTypeName(N.attr("to", int64_t(0))) +
                  " are not supported");
  if (To == N.elem(0))
    return N.out(0, N.tensor(0)), success();
  CoreBuilder &B = N.B;
  if (isString(To) || isString(N.elem(0))) {
    auto Y = castString(N, fromCarrier(B, N.in(0), N.elem(0)), To);
    return failed(Y) ? failure() : N.done(*Y);
  }
  Value V = fromCarrier(B, N.in(0), N.elem(0));
  if (isCarried(To)) {
    auto Y = isFloatType(To) ? encodeExponents(N, V)
                             : FailureOr<Value>(wrapInteger(B, V, To));
    return failed(Y) ? failure() : (N.out(0, Tensor::of(*Y, To)), success());
  }
  unsigned Bits = To.getIntOrFloatBitWidth();
  if (isFloatType(To) && Bits == 8 && !N.attr("saturate", int64_t(1)))
    return N.done(convertUnsaturated(B, V, To));
  // Floats become narrow integers by way of wide ones, whose low bits stay.
  if (isa<IntegerType>(To) && Bits == 4)
    V = B.convert(V, N.i32());
  return N.done(B.convert(V, To));
}
static LogicalResult cast(Node &N) {
  return castTo(N, elementType(N.I.context(), N.attr("to", int64_t(0))));
}
static LogicalResult castLike(Node &N) { return castTo(N, N.elem(1)); }

static LogicalResult bitCast(Node &N) {
  int64_t Wanted = N.attr("to", int64_t(0));
  Type From = N.elem(0), To = elementType(N.I.context(), Wanted);
  if (!To || isCarried(To) || isString(To))
    return N.fail("casts to " + dataTypeName(Wanted) + " are not supported");
  if (From == To)
    return N.out(0, N.tensor(0)), success();
  // A bool is a byte of 0 or 1.
  Type Byte = N.B.builder().getIntegerType(8, /*isSigned=*/false);
  Type Source = isBool(From) ? Byte : From, Result = isBool(To) ? Byte : To;
  if (Source.getIntOrFloatBitWidth() != Result.getIntOrFloatBitWidth())
    return N.fail("elements of " + typeName(From) + " and " + typeName(To) +
                  " have different sizes");
  Value V = N.B.convert(N.in(0), Source);
  return N.done(N.B.convert(N.B.bitcast(V, Result), To));
}

llvm::ArrayRef<OpEntry> limosa::onnximport::castOps() {
  static const OpEntry Table[] = {
      {"", "Cast", 6, 1, 1, AnyOrString | CarriedTypes, cast},
      {"", "CastLike", 15, 2, 2, AnyOrString | CarriedTypes, castLike, 2},
      {"", "BitCast", 26, 1, 1, AnyType, bitCast},
  };
  return Table;
}
