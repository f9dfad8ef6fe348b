//===- OpContext.cpp - Checked access to an op instance -------------------===//

#include "OpContext.h"

#include <algorithm>

using namespace limosa;
using namespace limosa::reference;

Status OpContext::fail(int32_t Code, const std::string &What) const {
  std::string Message = "op '" + std::string(name()) + "'";
  if (const char *Location = Api.op_location(Op); *Location)
    Message += std::string(" at ") + Location;
  return Status(Code, Message + ": " + What);
}

static Status checkCount(const OpContext &C, const char *What, unsigned Is,
                         unsigned Expected) {
  if (Is == Expected)
    return Status();
  return C.fail("has " + std::to_string(Is) + " " + What + ", not " +
                std::to_string(Expected));
}

Status OpContext::expect(unsigned Operands, unsigned Results,
                         unsigned Regions) const {
  LIMOSA_TRY(checkCount(*this, "operands", operandCount(), Operands));
  LIMOSA_TRY(checkCount(*this, "results", resultCount(), Results));
  return checkCount(*this, "regions", regionCount(), Regions);
}

Status OpContext::resultShape(unsigned I, Shape &Out) const {
  Status S = F.declaredShape(Api.op_result(Op, I), Out);
  return S.ok() ? S
                : fail(S.Code, "result " + std::to_string(I) + " " + S.Message);
}

Status OpContext::make(DType T, const Shape &Dims, Tensor &Out) const {
  if (!countElements(Dims))
    return fail(LIMOSA_STATUS_FAILED,
                "a tensor cannot have the shape " + shapeText(Dims));
  Out = Tensor::make(T, Dims, F.E.Budget);
  if (!Out)
    return fail(LIMOSA_STATUS_OUT_OF_MEMORY,
                "no memory for a tensor of shape " + shapeText(Dims));
  return Status();
}

Status OpContext::makeResult(unsigned I, Tensor &Out) const {
  Shape Dims;
  LIMOSA_TRY(resultShape(I, Dims));
  return make(resultType(I), Dims, Out);
}

Status OpContext::setResult(unsigned I, Tensor T) const {
  Status S = F.define(Api.op_result(Op, I), std::move(T));
  return S.ok() ? S
                : fail(S.Code, "result " + std::to_string(I) + " " + S.Message);
}

/// Finds an attribute of one of the given kinds.
static Status findAttr(const OpContext &C, const char *Name,
                       std::initializer_list<uint32_t> Kinds,
                       const limosa_attr *&Out) {
  Out = C.Api.op_find_attr(C.Op, Name);
  if (!Out)
    return C.fail("has no attribute '" + std::string(Name) + "'");
  uint32_t Is = C.Api.attr_kind(Out);
  if (std::find(Kinds.begin(), Kinds.end(), Is) == Kinds.end())
    return C.fail("attribute '" + std::string(Name) + "' is of the wrong kind");
  return Status();
}

Status OpContext::attr(const char *Name, int64_t &Out) const {
  const limosa_attr *A;
  LIMOSA_TRY(findAttr(*this, Name, {LIMOSA_ATTR_INT, LIMOSA_ATTR_BOOL}, A));
  Out = Api.attr_int(A);
  return Status();
}

Status OpContext::attr(const char *Name, std::string_view &Out) const {
  const limosa_attr *A;
  LIMOSA_TRY(findAttr(
      *this, Name, {LIMOSA_ATTR_STRING, LIMOSA_ATTR_FUNCTION, LIMOSA_ATTR_ENUM},
      A));
  Out = Api.attr_string(A);
  return Status();
}

Status OpContext::attr(const char *Name, std::vector<int64_t> &Out) const {
  const limosa_attr *A;
  LIMOSA_TRY(findAttr(*this, Name, {LIMOSA_ATTR_INTS}, A));
  Out.resize(Api.attr_count(A));
  for (uint32_t I = 0; I < Out.size(); ++I)
    Out[I] = Api.attr_int_at(A, I);
  return Status();
}

Status OpContext::attrExprs(const char *Name, std::vector<int64_t> &Out) const {
  const limosa_attr *A;
  LIMOSA_TRY(findAttr(*this, Name, {LIMOSA_ATTR_EXPRS}, A));
  Out.clear();
  for (uint32_t I = 0; I < Api.attr_count(A); ++I) {
    const char *Text = Api.attr_expr_text(Graph, A, I);
    auto Value = F.evaluate(Text);
    if (!Value)
      return fail(LIMOSA_STATUS_FAILED, "the expression '" + std::string(Text) +
                                            "' of '" + Name +
                                            "' has no value here");
    Out.push_back(*Value);
  }
  return Status();
}

Status OpContext::attrIndex(const char *Name, int64_t End, int64_t &Out) const {
  LIMOSA_TRY(attr(Name, Out));
  if (Out < 0 || Out >= End)
    return fail("attribute '" + std::string(Name) + "' is " +
                std::to_string(Out) + ", not in [0, " + std::to_string(End) +
                ")");
  return Status();
}

Status OpContext::attrDims(const char *Name, int64_t End,
                           std::vector<int64_t> &Out) const {
  LIMOSA_TRY(attr(Name, Out));
  for (size_t I = 0; I < Out.size(); ++I)
    if (Out[I] < 0 || Out[I] >= End ||
        std::find(Out.begin(), Out.begin() + I, Out[I]) != Out.begin() + I)
      return fail("attribute '" + std::string(Name) +
                  "' is not a list of distinct dimensions below " +
                  std::to_string(End));
  return Status();
}
