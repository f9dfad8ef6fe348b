//===- ControlOps.cpp - Control flow, calls, symbols, collectives ---------===//

#include "OpContext.h"

#include <algorithm>
#include <cstring>

using namespace limosa;
using namespace limosa::reference;

namespace {

Status setResults(OpContext &C, std::vector<Tensor> &Values,
                  const char *Giver) {
  if (Values.size() != C.resultCount())
    return C.fail(std::string(Giver) + " gives " +
                  std::to_string(Values.size()) + " values, not " +
                  std::to_string(C.resultCount()));
  for (unsigned I = 0; I < Values.size(); ++I)
    LIMOSA_TRY(C.setResult(I, std::move(Values[I])));
  return Status();
}

/// A failure inside a region or function keeps its own message: it names the op
/// that failed. One of the region itself is told as this op's.
Status runRegion(OpContext &C, unsigned R, std::vector<Tensor> Args,
                 std::vector<Tensor> &Results) {
  Status S = C.F.runRegion(C.region(R), std::move(Args), Results);
  if (!S.ok() && S.Message.compare(0, 3, "op ") != 0)
    return C.fail(S.Code, S.Message);
  return S;
}

Status readCondition(OpContext &C, const Tensor &T, bool &Out) {
  if (T.dtype() != DType::Bool || T.rank() != 0)
    return C.fail("the condition is not a rank-0 bool");
  Out = *T.data() != 0;
  return Status();
}

Status runIf(OpContext &C) {
  LIMOSA_TRY(C.expect(1, C.resultCount(), 2));
  bool Condition;
  LIMOSA_TRY(readCondition(C, C.operand(0), Condition));
  std::vector<Tensor> Values;
  LIMOSA_TRY(runRegion(C, Condition ? 0 : 1, {}, Values));
  return setResults(C, Values, "the branch");
}

Status runWhile(OpContext &C) {
  LIMOSA_TRY(C.expect(C.operandCount(), C.operandCount(), 2));
  std::vector<Tensor> Values, Test;
  for (unsigned I = 0; I < C.operandCount(); ++I)
    Values.push_back(C.operand(I));
  for (;;) {
    LIMOSA_TRY(runRegion(C, 0, Values, Test));
    if (Test.size() != 1)
      return C.fail("'before' does not yield one value");
    bool Condition;
    LIMOSA_TRY(readCondition(C, Test[0], Condition));
    if (!Condition)
      break;
    std::vector<Tensor> Next;
    LIMOSA_TRY(runRegion(C, 1, std::move(Values), Next));
    Values = std::move(Next);
  }
  return setResults(C, Values, "'after'");
}

Status call(OpContext &C, const char *Attr) {
  LIMOSA_TRY(C.expect(C.operandCount(), C.resultCount()));
  std::string_view Function;
  LIMOSA_TRY(C.attr(Attr, Function));
  std::vector<Tensor> Args, Values;
  for (unsigned I = 0; I < C.operandCount(); ++I)
    Args.push_back(C.operand(I));
  Frame &F = C.F;
  Status S = F.E.call(Function, std::move(Args), Values,
                      [&F](std::string_view Name) { return F.symbol(Name); });
  if (!S.ok())
    return C.fail(S.Code, S.Message);
  return setResults(C, Values, "the function");
}

Status runComposite(OpContext &C) { return call(C, "body"); }
Status runLaunch(OpContext &C) { return call(C, "kernel"); }

Status runConstant(OpContext &C) {
  LIMOSA_TRY(C.expect(0, 1));
  Shape Dims;
  LIMOSA_TRY(C.resultShape(0, Dims));
  auto Count = countElements(Dims);
  const limosa_attr *A = C.Api.op_find_attr(C.Op, "value");
  uint64_t Bytes = 0;
  const void *Data = A ? C.Api.attr_data(C.Graph, A, &Bytes) : nullptr;
  if (!Count || *Count > INT64_MAX / 64 ||
      int64_t(Bytes) != dtypeBytes(C.resultType(0), *Count))
    return C.fail("its data is missing or does not have the size of its type");
  Tensor Out = Tensor::fromPacked(C.resultType(0), Dims, Data, C.F.E.Budget);
  if (!Out)
    return C.fail(LIMOSA_STATUS_OUT_OF_MEMORY, "no memory");
  return C.setResult(0, std::move(Out));
}

Status runDim(OpContext &C) {
  LIMOSA_TRY(C.expect(0, 1));
  std::vector<int64_t> Value;
  LIMOSA_TRY(C.attrExprs("expr", Value));
  if (Value.size() != 1)
    return C.fail("'expr' is not one expression");
  return C.setResult(0, Tensor::of(DType::I64, {}, Value));
}

Status runBindSymbol(OpContext &C) {
  LIMOSA_TRY(C.expect(1, 0));
  const Tensor &Value = C.operand(0);
  std::string_view Name;
  LIMOSA_TRY(C.attr("symbol", Name));
  auto Symbol = C.F.Info.findSymbol(Name);
  if (!Symbol)
    return C.fail("the graph has no symbol '" + std::string(Name) + "'");
  if (Value.dtype() != DType::I64 || Value.rank() != 0)
    return C.fail("the value is not a rank-0 i64");
  Status S = C.F.bindSymbol(*Symbol, *Value.as<int64_t>());
  return S.ok() ? S : C.fail(S.Code, S.Message);
}

Status runAssert(OpContext &C) {
  LIMOSA_TRY(C.expect(1, 0));
  const Tensor &Condition = C.operand(0);
  std::string_view Message;
  LIMOSA_TRY(C.attr("message", Message));
  if (Condition.dtype() != DType::Bool)
    return C.fail("the condition is not of dtype bool");
  for (int64_t I = 0; I < Condition.elements(); ++I)
    if (!Condition.data()[I])
      return C.fail(LIMOSA_STATUS_FAILED, std::string(Message));
  return Status();
}

Status runAssertExpr(OpContext &C) {
  LIMOSA_TRY(C.expect(0, 0));
  std::vector<int64_t> L, R;
  std::string_view Message;
  LIMOSA_TRY(C.attrExprs("lhs", L));
  LIMOSA_TRY(C.attrExprs("rhs", R));
  LIMOSA_TRY(C.attr("message", Message));
  if (L.size() != 1 || L != R)
    return C.fail(LIMOSA_STATUS_FAILED, std::string(Message));
  return Status();
}

/// barrier and relayout: nothing to the logical values.
Status runIdentity(OpContext &C) {
  LIMOSA_TRY(C.expect(C.operandCount(), C.operandCount()));
  for (unsigned I = 0; I < C.operandCount(); ++I)
    LIMOSA_TRY(C.setResult(I, C.operand(I)));
  return Status();
}

//===----------------------------------------------------------------------===//
// Collectives, in a group of one
//===----------------------------------------------------------------------===//

Status runGathering(OpContext &C) {
  LIMOSA_TRY(C.expect(1, 1));
  int64_t Dim, Ranks;
  LIMOSA_TRY(C.attrIndex("dim", int64_t(C.operand(0).rank()), Dim));
  LIMOSA_TRY(C.attr("ranks", Ranks));
  if (Ranks != 1)
    return C.fail(LIMOSA_STATUS_UNSUPPORTED,
                  "the reference interpreter is a group of one rank, not of " +
                      std::to_string(Ranks));
  return C.setResult(0, C.operand(0));
}

Status runPermute(OpContext &C) {
  LIMOSA_TRY(C.expect(1, 1));
  std::vector<int64_t> Targets;
  LIMOSA_TRY(C.attr("targets", Targets));
  if (Targets.size() != 1 || Targets[0] < -1 || Targets[0] > 0)
    return C.fail(LIMOSA_STATUS_UNSUPPORTED,
                  "the reference interpreter is a group of one rank");
  if (Targets[0] == 0)
    return C.setResult(0, C.operand(0));
  Tensor Zeros;
  LIMOSA_TRY(C.make(C.operand(0).dtype(), C.operand(0).dims(), Zeros));
  std::memset(Zeros.data(), 0, size_t(Zeros.bytes()));
  return C.setResult(0, std::move(Zeros));
}

constexpr OpEntry Ops[] = {
    {"if", runIf},
    {"while", runWhile},
    {"composite", runComposite},
    {"launch", runLaunch},
    {"constant", runConstant},
    {"dim", runDim},
    {"bind_symbol", runBindSymbol},
    {"assert", runAssert},
    {"assert_expr", runAssertExpr},
    {"barrier", runIdentity},
    {"relayout", runIdentity},
    {"all_gather", runGathering},
    {"reduce_scatter", runGathering},
    {"permute", runPermute},
};

} // namespace

std::span<const OpEntry> limosa::reference::controlOps() { return Ops; }
