//===- ElementwiseOps.td - The 27 elementwise core ops -----*- tablegen -*-===//

#ifndef LIMOSA_IR_ELEMENTWISE_OPS
#define LIMOSA_IR_ELEMENTWISE_OPS

include "limosa/IR/LimosaBase.td"

/// All operands and results have one shape.
def Limosa_SameShape : NativeOpTrait<"SameShape"> {
  let cppNamespace = "::limosa::OpTrait";
}
/// All operands and results have one dtype.
def Limosa_SameElementType : NativeOpTrait<"SameElementType"> {
  let cppNamespace = "::limosa::OpTrait";
}

/// All operands and results have one shape; iteration space: one parallel
/// dimension per tensor dimension.
class Limosa_ElementwiseOp<string mnemonic, list<Trait> traits = []>
    : Limosa_Op<mnemonic, !listconcat(traits,
        [Pure, CoreOpInterface, Limosa_SameShape])> {
  code iterationSpaceDecl = [{
    ::limosa::IterationSpace getIterationSpace() {
      return ::limosa::elementwiseIterationSpace(getOperation());
    }
  }];
  let extraClassDeclaration = iterationSpaceDecl;
}

class Limosa_BinaryOp<string mnemonic, Type type, list<Trait> traits = []>
    : Limosa_ElementwiseOp<mnemonic,
        !listconcat(traits, [Limosa_SameElementType])> {
  let arguments = (ins type:$lhs, type:$rhs);
  let results = (outs type:$result);
}

class Limosa_UnaryOp<string mnemonic, Type type, list<Trait> traits = []>
    : Limosa_ElementwiseOp<mnemonic,
        !listconcat(traits, [Limosa_SameElementType])> {
  let arguments = (ins type:$operand);
  let results = (outs type:$result);
}

def Limosa_AddOp : Limosa_BinaryOp<"add", Limosa_NumberTensor, [Commutative]> {
  let summary = "Sum";
  let description = "result[i] = lhs[i] + rhs[i]. Integers wrap. All shapes and dtypes equal; any number dtype.";
  let hasFolder = 1;
}
def Limosa_MulOp : Limosa_BinaryOp<"mul", Limosa_NumberTensor, [Commutative]> {
  let summary = "Product";
  let description = "result[i] = lhs[i] * rhs[i]. Integers wrap. All shapes and dtypes equal; any number dtype.";
  let hasFolder = 1;
}
def Limosa_DivOp : Limosa_BinaryOp<"div", Limosa_NumberTensor> {
  let summary = "Quotient";
  let description = "result[i] = lhs[i] / rhs[i]; integers truncate toward zero, a zero divisor gives 0 and MIN / -1 gives MIN. Any number dtype.";
  let hasFolder = 1;
}
def Limosa_RemOp : Limosa_BinaryOp<"rem", Limosa_NumberTensor> {
  let summary = "Remainder with the dividend's sign";
  let description = "result[i] = lhs[i] - trunc(lhs[i] / rhs[i]) * rhs[i] (C fmod, exact); integer remainder by zero gives 0. Any number dtype.";
}
def Limosa_PowOp : Limosa_BinaryOp<"pow", Limosa_NumberTensor> {
  let summary = "Power";
  let description = "result[i] = lhs[i] ** rhs[i] as C pow; integers by repeated wrapping multiplication, a negative exponent truncates (0 unless the base is 1 or -1; base 0 gives 0). Any number dtype.";
}
def Limosa_MinOp : Limosa_BinaryOp<"min", Limosa_ComputeTensor, [Commutative]> {
  let summary = "Minimum";
  let description = "result[i] = the smaller of lhs[i], rhs[i]; NaN if either is NaN. Any number dtype and bool.";
  let hasFolder = 1;
}
def Limosa_MaxOp : Limosa_BinaryOp<"max", Limosa_ComputeTensor, [Commutative]> {
  let summary = "Maximum";
  let description = "result[i] = the larger of lhs[i], rhs[i]; NaN if either is NaN. Any number dtype and bool.";
  let hasFolder = 1;
}
def Limosa_AndOp : Limosa_BinaryOp<"and", Limosa_BitsTensor, [Commutative]> {
  let summary = "Bitwise and";
  let description = "result[i] = lhs[i] & rhs[i]. Integers and bool.";
}
def Limosa_OrOp : Limosa_BinaryOp<"or", Limosa_BitsTensor, [Commutative]> {
  let summary = "Bitwise or";
  let description = "result[i] = lhs[i] | rhs[i]. Integers and bool.";
}
def Limosa_XorOp : Limosa_BinaryOp<"xor", Limosa_BitsTensor, [Commutative]> {
  let summary = "Bitwise exclusive or";
  let description = "result[i] = lhs[i] ^ rhs[i]. Integers and bool.";
}
def Limosa_ShlOp : Limosa_BinaryOp<"shl", Limosa_IntTensor> {
  let summary = "Shift left";
  let description = "result[i] = lhs[i] << rhs[i]; 0 when rhs[i] is negative or at least the width. Integers.";
}
def Limosa_ShrOp : Limosa_BinaryOp<"shr", Limosa_IntTensor> {
  let summary = "Shift right";
  let description = "result[i] = lhs[i] >> rhs[i], arithmetic for signed and logical for unsigned dtypes; a shift that is negative or at least the width gives 0, or -1 for a negative signed lhs[i]. Integers.";
}

def Limosa_NegOp : Limosa_UnaryOp<"neg", Limosa_NumberTensor> {
  let summary = "Negation";
  let description = "result[i] = -operand[i]; integers wrap. Any number dtype.";
  let hasFolder = 1;
}
def Limosa_AbsOp : Limosa_UnaryOp<"abs", Limosa_NumberTensor> {
  let summary = "Absolute value";
  let description = "result[i] = |operand[i]|; the smallest signed integer maps to itself. Any number dtype.";
}
def Limosa_FloorOp : Limosa_UnaryOp<"floor", Limosa_FloatTensor> {
  let summary = "Largest integer not above";
  let description = "result[i] = floor(operand[i]). Floats.";
}
def Limosa_RoundEvenOp : Limosa_UnaryOp<"round_even", Limosa_FloatTensor> {
  let summary = "Nearest integer, ties to even";
  let description = "result[i] = operand[i] rounded to the nearest integer, ties to even. Floats.";
}
def Limosa_ExpOp : Limosa_UnaryOp<"exp", Limosa_FloatTensor> {
  let summary = "Exponential";
  let description = "result[i] = e ** operand[i]. Floats.";
}
def Limosa_LogOp : Limosa_UnaryOp<"log", Limosa_FloatTensor> {
  let summary = "Natural logarithm";
  let description = "result[i] = ln(operand[i]); NaN below zero, -inf at zero. Floats.";
}
def Limosa_SqrtOp : Limosa_UnaryOp<"sqrt", Limosa_FloatTensor> {
  let summary = "Square root";
  let description = "result[i] = sqrt(operand[i]), correctly rounded; NaN below zero. Floats.";
}
def Limosa_SinOp : Limosa_UnaryOp<"sin", Limosa_FloatTensor> {
  let summary = "Sine";
  let description = "result[i] = sin(operand[i]), radians. Floats.";
}
def Limosa_CosOp : Limosa_UnaryOp<"cos", Limosa_FloatTensor> {
  let summary = "Cosine";
  let description = "result[i] = cos(operand[i]), radians. Floats.";
}
def Limosa_TanhOp : Limosa_UnaryOp<"tanh", Limosa_FloatTensor> {
  let summary = "Hyperbolic tangent";
  let description = "result[i] = tanh(operand[i]). Floats.";
}
def Limosa_ErfOp : Limosa_UnaryOp<"erf", Limosa_FloatTensor> {
  let summary = "Error function";
  let description = "result[i] = erf(operand[i]). Floats.";
}

def Limosa_CompareOp : Limosa_ElementwiseOp<"compare"> {
  let hasVerifier = 1;
  let summary = "Comparison";
  let description = "result[i] = lhs[i] DIRECTION rhs[i] as bool; with a NaN all but `ne` are false. Any number dtype and bool, both alike; strings with `eq` and `ne`.";
  let arguments = (ins Limosa_ComparableTensor:$lhs, Limosa_ComparableTensor:$rhs,
                       Limosa_CompareDirectionAttr:$direction);
  let results = (outs Limosa_BoolTensor:$result);
}
def Limosa_SelectOp : Limosa_ElementwiseOp<"select"> {
  let hasVerifier = 1;
  let summary = "Choice by element";
  let description = "result[i] = condition[i] ? on_true[i] : on_false[i]. Bool condition; any dtype, both alike.";
  let arguments = (ins Limosa_BoolTensor:$condition, Limosa_Tensor:$on_true,
                       Limosa_Tensor:$on_false);
  let results = (outs Limosa_Tensor:$result);
  let hasFolder = 1;
}
def Limosa_ConvertOp : Limosa_ElementwiseOp<"convert"> {
  let hasVerifier = 1;
  let summary = "Conversion of dtype by value";
  let description = "result[i] = operand[i] in the result's dtype: floats round to nearest even (to fp8 and fp4 saturating to the largest finite value); float to integer truncates toward zero and saturates, NaN gives 0; integers wrap; to bool, nonzero is true; bool gives 0 or 1. Every pair of dtypes.";
  let arguments = (ins Limosa_Tensor:$operand);
  let results = (outs Limosa_Tensor:$result);
  let hasFolder = 1;
}
def Limosa_BitcastOp : Limosa_ElementwiseOp<"bitcast"> {
  let hasVerifier = 1;
  let summary = "Reinterpretation of bits";
  let description = "result[i] has the bits of operand[i]. Dtypes of the same width, not bool.";
  let arguments = (ins Limosa_Tensor:$operand);
  let results = (outs Limosa_Tensor:$result);
}

#endif // LIMOSA_IR_ELEMENTWISE_OPS
