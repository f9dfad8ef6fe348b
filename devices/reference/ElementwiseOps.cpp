//===- ElementwiseOps.cpp - The 27 elementwise core ops -------------------===//

#include "Elementwise.h"
#include "OpContext.h"

#include <algorithm>

using namespace limosa;
using namespace limosa::reference;

namespace {

std::string dtypeText(DType T) { return std::string(dtypeName(T)); }

/// Runs a loop over operands of one shape.
Status runLoop(OpContext &C, ElementLoop Loop) {
  const Tensor &First = C.operand(0);
  const void *Operands[3];
  for (unsigned I = 0; I < C.operandCount(); ++I) {
    const Tensor &T = C.operand(I);
    if (T.dims() != First.dims())
      return C.fail("operands have shapes " + shapeText(First.dims()) +
                    " and " + shapeText(T.dims()));
    Operands[I] = T.data();
  }
  Tensor Result;
  LIMOSA_TRY(C.make(C.resultType(0), First.dims(), Result));
  Loop(Operands, Result.data(), First.elements());
  return C.setResult(0, std::move(Result));
}

Status sameType(OpContext &C, unsigned Begin) {
  for (unsigned I = Begin; I < C.operandCount(); ++I)
    if (C.operand(I).dtype() != C.operand(Begin).dtype())
      return C.fail("operands are of dtypes " +
                    dtypeText(C.operand(Begin).dtype()) + " and " +
                    dtypeText(C.operand(I).dtype()));
  return Status();
}

Status notDefined(OpContext &C, DType T) {
  return C.fail("is not defined for dtype " + dtypeText(T));
}

Status runUnary(OpContext &C) {
  LIMOSA_TRY(C.expect(1, 1));
  DType T = C.operand(0).dtype();
  ElementLoop Loop = findUnary(C.name(), T);
  if (!Loop || C.resultType(0) != T)
    return notDefined(C, T);
  return runLoop(C, Loop);
}

Status runBinary(OpContext &C) {
  LIMOSA_TRY(C.expect(2, 1));
  LIMOSA_TRY(sameType(C, 0));
  DType T = C.operand(0).dtype();
  ElementLoop Loop = findBinary(C.name(), T);
  if (!Loop || C.resultType(0) != T)
    return notDefined(C, T);
  return runLoop(C, Loop);
}

Status runCompare(OpContext &C) {
  LIMOSA_TRY(C.expect(2, 1));
  LIMOSA_TRY(sameType(C, 0));
  std::string_view Direction;
  LIMOSA_TRY(C.attr("direction", Direction));
  ElementLoop Loop = findCompare(Direction, C.operand(0).dtype());
  if (!Loop || C.resultType(0) != DType::Bool)
    return notDefined(C, C.operand(0).dtype());
  return runLoop(C, Loop);
}

Status runSelect(OpContext &C) {
  LIMOSA_TRY(C.expect(3, 1));
  LIMOSA_TRY(sameType(C, 1));
  DType T = C.operand(1).dtype();
  if (C.operand(0).dtype() != DType::Bool || C.resultType(0) != T)
    return notDefined(C, C.operand(0).dtype());
  return runLoop(C, findSelect(T));
}

Status runConvert(OpContext &C) {
  LIMOSA_TRY(C.expect(1, 1));
  const Tensor &In = C.operand(0);
  Tensor Out;
  LIMOSA_TRY(C.make(C.resultType(0), In.dims(), Out));
  convertElements(In.dtype(), In.data(), Out.dtype(), Out.data(),
                  In.elements());
  return C.setResult(0, std::move(Out));
}

Status runBitcast(OpContext &C) {
  LIMOSA_TRY(C.expect(1, 1));
  DType From = C.operand(0).dtype(), To = C.resultType(0);
  if (dtypeBits(From) != dtypeBits(To) || From == DType::Bool ||
      To == DType::Bool)
    return C.fail("cannot turn " + dtypeText(From) + " into " + dtypeText(To));
  return C.setResult(0, C.operand(0).withType(To));
}

constexpr OpEntry Ops[] = {
    {"add", runBinary},       {"mul", runBinary},      {"div", runBinary},
    {"rem", runBinary},       {"pow", runBinary},      {"min", runBinary},
    {"max", runBinary},       {"and", runBinary},      {"or", runBinary},
    {"xor", runBinary},       {"shl", runBinary},      {"shr", runBinary},
    {"neg", runUnary},        {"abs", runUnary},       {"floor", runUnary},
    {"round_even", runUnary}, {"exp", runUnary},       {"log", runUnary},
    {"sqrt", runUnary},       {"sin", runUnary},       {"cos", runUnary},
    {"tanh", runUnary},       {"erf", runUnary},       {"compare", runCompare},
    {"select", runSelect},    {"convert", runConvert}, {"bitcast", runBitcast},
};

} // namespace

std::span<const OpEntry> limosa::reference::elementwiseOps() { return Ops; }
