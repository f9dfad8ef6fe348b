//===- Elementwise.cpp - Elementwise core ops on register values ----------===//

#include "Convert.h"
#include "limosa/Codegen/Backend.h"
#include "limosa/Codegen/Pull.h"
#include "limosa/Codegen/VectorMath.h"
#include "limosa/IR/LimosaOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::codegen;

using Pred = arith::CmpIPredicate;
using PredF = arith::CmpFPredicate;

namespace {

class Emitter {
public:
  Emitter(KernelBuilder &KB, Type Element)
      : KB(KB), B(KB.builder()), Loc(KB.loc()), Element(Element),
        Float(isa<FloatType>(Element)), Bool(Element.isInteger(1)),
        Unsigned(Element.isUnsignedInteger() || Bool) {}

  bool isFloat() const { return Float; }
  template <typename Op> Value make(ValueRange Operands) {
    if constexpr (requires(Value V) { Op::create(B, Loc, V, V); })
      return Op::create(B, Loc, Operands[0], Operands[1]);
    else
      return Op::create(B, Loc, Operands[0]);
  }
  template <typename FloatOp, typename IntOp> Value either(ValueRange V) {
    return Float ? make<FloatOp>(V) : make<IntOp>(V);
  }
  Value ints(Value Like, int64_t V) {
    return intConstant(KB, Like.getType(), V);
  }
  Value cmp(Pred P, Value L, Value R) {
    return arith::CmpIOp::create(B, Loc, P, L, R);
  }
  Value cmp(PredF P, Value L, Value R) {
    return arith::CmpFOp::create(B, Loc, P, L, R);
  }
  Value select(Value C, Value T, Value F) {
    return arith::SelectOp::create(B, Loc, C, T, F);
  }

  Value minMax(Value L, Value R, bool Max) {
    if (Bool)
      return Max ? make<arith::OrIOp>({L, R}) : make<arith::AndIOp>({L, R});
    if (!Float) {
      if (Unsigned)
        return Max ? make<arith::MaxUIOp>({L, R})
                   : make<arith::MinUIOp>({L, R});
      return Max ? make<arith::MaxSIOp>({L, R}) : make<arith::MinSIOp>({L, R});
    }
    if (isNumberConstant(L))
      std::swap(L, R);
    // The hardware's max gives its second operand for a NaN: L, written so. A
    // NaN in R needs a second look, unless R is a constant.
    Value Best = select(cmp(Max ? PredF::OLT : PredF::OGT, L, R), R, L);
    if (isNumberConstant(R))
      return Best;
    return select(cmp(PredF::UNO, R, R), R, Best);
  }

  Value compare(CompareDirection D, Value L, Value R) {
    if (Float) {
      constexpr PredF Preds[] = {PredF::OEQ, PredF::UNE, PredF::OLT,
                                 PredF::OLE, PredF::OGT, PredF::OGE};
      return cmp(Preds[unsigned(D)], L, R);
    }
    constexpr Pred SignedPreds[] = {Pred::eq,  Pred::ne,  Pred::slt,
                                    Pred::sle, Pred::sgt, Pred::sge};
    constexpr Pred UnsignedPreds[] = {Pred::eq,  Pred::ne,  Pred::ult,
                                      Pred::ule, Pred::ugt, Pred::uge};
    return cmp((Unsigned ? UnsignedPreds : SignedPreds)[unsigned(D)], L, R);
  }

  /// Quotient or remainder without traps: a zero divisor gives 0, MIN / -1 MIN.
  Value divRem(Value L, Value R, bool WantQuotient) {
    Value Zero = ints(R, 0), One = ints(R, 1);
    Value IsZero = cmp(Pred::eq, R, Zero);
    Value Unsafe = IsZero, IsMinusOne;
    if (!Unsigned) {
      IsMinusOne = cmp(Pred::eq, R, ints(R, -1));
      Unsafe = make<arith::OrIOp>({IsZero, IsMinusOne});
    }
    Value Safe = select(Unsafe, One, R);
    Value Q = quotient(L, Safe);
    if (!WantQuotient) {
      // A remainder by one is 0, which is right for 0 and -1 as well.
      return make<arith::SubIOp>({L, make<arith::MulIOp>({Q, Safe})});
    }
    if (!Unsigned)
      Q = select(IsMinusOne, make<arith::SubIOp>({Zero, L}), Q);
    return select(IsZero, Zero, Q);
  }

  Value shift(Value L, Value R, bool Left) {
    unsigned Bits = getElementTypeOrSelf(L).getIntOrFloatBitWidth();
    Value Inside = cmp(Pred::ult, R, ints(R, Bits));
    Value Amount = select(Inside, R, ints(R, Left || Unsigned ? 0 : Bits - 1));
    if (!Left && !Unsigned)
      return make<arith::ShRSIOp>({L, Amount});
    Value Shifted = Left ? make<arith::ShLIOp>({L, Amount})
                         : make<arith::ShRUIOp>({L, Amount});
    return select(Inside, Shifted, ints(L, 0));
  }

  /// Wrapping powers by squaring; the exponent's bits are used up one a step.
  Value intPow(Value Base, Value Exponent) {
    Value Zero = ints(Base, 0), One = ints(Base, 1);
    Value Negative = Unsigned ? Value() : cmp(Pred::slt, Exponent, Zero);
    Value E = Negative ? select(Negative, Zero, Exponent) : Exponent;
    unsigned Bits = getElementTypeOrSelf(Base).getIntOrFloatBitWidth();
    SmallVector<Value> Last =
        KB.forLoop(KB.constant(0), KB.constant(Bits), 1, {One, Base, E},
                   [&](Value, ValueRange Carried) -> SmallVector<Value> {
                     Value R = Carried[0], S = Carried[1], Rest = Carried[2];
                     Value Odd =
                         cmp(Pred::ne, make<arith::AndIOp>({Rest, One}), Zero);
                     Value Times = make<arith::MulIOp>({R, S});
                     return {select(Odd, Times, R), make<arith::MulIOp>({S, S}),
                             make<arith::ShRUIOp>({Rest, One})};
                   });
    if (!Negative)
      return Last[0];
    // 1 / base ** n truncated: only 1 and -1 survive.
    Value MinusOne = ints(Base, -1);
    Value Odd = cmp(Pred::ne, make<arith::AndIOp>({Exponent, One}), Zero);
    Value Sign = select(Odd, MinusOne, One);
    Value Inverse = select(cmp(Pred::eq, Base, MinusOne), Sign, Zero);
    Inverse = select(cmp(Pred::eq, Base, One), One, Inverse);
    return select(Negative, Inverse, Last[0]);
  }

  Value intAbs(Value V) {
    if (Unsigned)
      return V;
    Value Zero = ints(V, 0);
    return select(cmp(Pred::slt, V, Zero), make<arith::SubIOp>({Zero, V}), V);
  }

private:
  /// A float constant other than NaN.
  static bool isNumberConstant(Value V) {
    FloatAttr F;
    return matchPattern(V, m_Constant(&F)) ? !F.getValue().isNaN()
                                           : isSplatNumber(V);
  }
  static bool isSplatNumber(Value V) {
    DenseFPElementsAttr A;
    return matchPattern(V, m_Constant(&A)) && A.isSplat() &&
           !A.getSplatValue<APFloat>().isNaN();
  }

  /// L / R for a divisor that does not trap. Vectors have no integer division:
  /// up to 32 bits the quotient in f64, truncated, is exact.
  Value quotient(Value L, Value R) {
    auto Vec = dyn_cast<VectorType>(L.getType());
    unsigned Bits = getElementTypeOrSelf(L).getIntOrFloatBitWidth();
    if (!Vec || Bits > 32)
      return Unsigned ? make<arith::DivUIOp>({L, R})
                      : make<arith::DivSIOp>({L, R});
    Type F64 = VectorType::get(Vec.getShape(), B.getF64Type());
    auto ToFloat = [&](Value V) -> Value {
      if (Unsigned)
        return arith::UIToFPOp::create(B, Loc, F64, V);
      return arith::SIToFPOp::create(B, Loc, F64, V);
    };
    Value Q = make<arith::DivFOp>({ToFloat(L), ToFloat(R)});
    if (Unsigned)
      return arith::FPToUIOp::create(B, Loc, Vec, Q);
    return arith::FPToSIOp::create(B, Loc, Vec, Q);
  }

  KernelBuilder &KB;
  OpBuilder &B;
  Location Loc;
  Type Element;
  bool Float, Bool, Unsigned;
};

/// Whether no lane can be less than 1: one more than an exponential, as in a
/// sigmoid.
bool isLarge(Value V) {
  auto Sum = V.getDefiningOp<arith::AddFOp>();
  if (!Sum)
    return false;
  auto IsExp = [](Value Term) {
    return bool(Term.getDefiningOp<math::ExpOp>());
  };
  auto IsOne = [](Value Term) { return matchPattern(Term, m_OneFloat()); };
  Value L = Sum.getLhs(), R = Sum.getRhs();
  return (IsExp(L) && IsOne(R)) || (IsOne(L) && IsExp(R));
}

} // namespace

Value Puller::elementwise(Operation *Op, ArrayRef<Value> Raw, bool Narrow) {
  // Bring all operands to one shape.
  unsigned N = 0;
  for (Value V : Raw)
    if (auto Vec = dyn_cast<VectorType>(V.getType()))
      N = Vec.getDimSize(0);
  SmallVector<Value> V;
  for (Value R : Raw)
    V.push_back(KB.broadcast(R, N));

  Type Element = getElementTypeOrSelf(Op->getOperand(0).getType());
  Type ResultElement = getElementTypeOrSelf(Op->getResult(0).getType());
  Emitter E(KB, Element);
  auto Rounded = [&](Value R) {
    return Narrow ? roundTo(KB, R, ResultElement) : R;
  };
  return llvm::TypeSwitch<Operation *, Value>(Op)
      .Case([&](AddOp) {
        return Rounded(E.either<arith::AddFOp, arith::AddIOp>(V));
      })
      .Case([&](MulOp) {
        Value Product = E.either<arith::MulFOp, arith::MulIOp>(V);
        // A product that is also needed by itself is one rounded number for
        // all: x - max(x) is 0, not what x lost.
        if (E.isFloat() && !Op->hasOneUse())
          markExact(Product.getDefiningOp());
        return Rounded(Product);
      })
      .Case([&](DivOp) {
        if (!E.isFloat())
          return E.divRem(V[0], V[1], true);
        Value Quotient = E.make<arith::DivFOp>(V);
        if (isLarge(V[1]))
          Quotient.getDefiningOp()->setAttr(LargeDivisorAttrName,
                                            KB.builder().getUnitAttr());
        return Rounded(Quotient);
      })
      .Case([&](RemOp) {
        return E.isFloat() ? Rounded(E.make<arith::RemFOp>(V))
                           : E.divRem(V[0], V[1], false);
      })
      .Case([&](PowOp) {
        return E.isFloat() ? Rounded(E.make<math::PowFOp>(V))
                           : E.intPow(V[0], V[1]);
      })
      .Case([&](MinOp) { return E.minMax(V[0], V[1], false); })
      .Case([&](MaxOp) { return E.minMax(V[0], V[1], true); })
      .Case([&](AndOp) { return E.make<arith::AndIOp>(V); })
      .Case([&](OrOp) { return E.make<arith::OrIOp>(V); })
      .Case([&](XorOp) { return E.make<arith::XOrIOp>(V); })
      .Case([&](ShlOp) { return E.shift(V[0], V[1], true); })
      .Case([&](ShrOp) { return E.shift(V[0], V[1], false); })
      .Case([&](NegOp) {
        return E.isFloat() ? E.make<arith::NegFOp>(V)
                           : E.make<arith::SubIOp>({E.ints(V[0], 0), V[0]});
      })
      .Case([&](AbsOp) {
        return E.isFloat() ? E.make<math::AbsFOp>(V) : E.intAbs(V[0]);
      })
      .Case([&](FloorOp) { return E.make<math::FloorOp>(V); })
      .Case([&](RoundEvenOp) { return E.make<math::RoundEvenOp>(V); })
      .Case([&](ExpOp) { return Rounded(E.make<math::ExpOp>(V)); })
      .Case([&](LogOp) { return Rounded(E.make<math::LogOp>(V)); })
      .Case([&](SqrtOp) { return Rounded(E.make<math::SqrtOp>(V)); })
      .Case([&](SinOp) { return Rounded(E.make<math::SinOp>(V)); })
      .Case([&](CosOp) { return Rounded(E.make<math::CosOp>(V)); })
      .Case([&](TanhOp) { return Rounded(E.make<math::TanhOp>(V)); })
      .Case([&](ErfOp) { return Rounded(E.make<math::ErfOp>(V)); })
      .Case(
          [&](CompareOp C) { return E.compare(C.getDirection(), V[0], V[1]); })
      .Case([&](SelectOp) { return E.select(V[0], V[1], V[2]); })
      .Case([&](ConvertOp) {
        return convertElement(KB, V[0], Element, ResultElement);
      })
      .Case([&](BitcastOp) {
        return bitcastElement(KB, V[0], Element, ResultElement);
      })
      .Default(Value());
}
