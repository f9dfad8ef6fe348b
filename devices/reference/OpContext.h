//===- OpContext.h - What the implementation of an op works with ----------===//

#ifndef LIMOSA_REFERENCE_OPCONTEXT_H
#define LIMOSA_REFERENCE_OPCONTEXT_H

#include "Frame.h"

namespace limosa::reference {

/// One op instance being evaluated. Every accessor checks what it is asked for:
/// a wrong count, kind or dtype is an error naming the op.
class OpContext {
public:
  OpContext(Frame &F, const limosa_op *Op)
      : F(F), Api(F.E.Api), Graph(F.Info.Graph), Op(Op) {}

  Frame &F;
  const limosa_graph_api &Api;
  const limosa_graph *Graph;
  const limosa_op *Op;

  std::string_view name() const { return Api.op_name(Op); }
  /// INVALID_ARGUMENT with "op 'add' at <location>: <what>".
  Status fail(const std::string &What) const {
    return fail(LIMOSA_STATUS_INVALID_ARGUMENT, What);
  }
  Status fail(int32_t Code, const std::string &What) const;

  /// Checks the numbers of operands, results and regions.
  Status expect(unsigned Operands, unsigned Results,
                unsigned Regions = 0) const;
  unsigned operandCount() const { return Api.op_operand_count(Op); }
  unsigned resultCount() const { return Api.op_result_count(Op); }
  unsigned regionCount() const { return Api.op_region_count(Op); }
  const Tensor &operand(unsigned I) const {
    return F.value(Api.op_operand(Op, I));
  }
  const limosa_region *region(unsigned I) const { return Api.op_region(Op, I); }

  DType resultType(unsigned I) const {
    return DType(Api.value_dtype(Graph, Api.op_result(Op, I)));
  }
  /// The shape that the type of result `I` states.
  Status resultShape(unsigned I, Shape &Out) const;
  /// Uninitialised tensor.
  Status make(DType T, const Shape &Dims, Tensor &Out) const;
  /// make of result I's stated dtype and shape.
  Status makeResult(unsigned I, Tensor &Out) const;
  Status setResult(unsigned I, Tensor T) const;

  Status attr(const char *Name, int64_t &Out) const;
  Status attr(const char *Name, std::string_view &Out) const;
  Status attr(const char *Name, std::vector<int64_t> &Out) const;
  /// Dimension expressions, evaluated.
  Status attrExprs(const char *Name, std::vector<int64_t> &Out) const;
  bool hasAttr(const char *Name) const {
    return Api.op_find_attr(Op, Name) != nullptr;
  }
  /// An int attribute in [0, End).
  Status attrIndex(const char *Name, int64_t End, int64_t &Out) const;
  /// Ints that are distinct and in [0, End).
  Status attrDims(const char *Name, int64_t End,
                  std::vector<int64_t> &Out) const;
};

using OpFunction = Status (*)(OpContext &);

struct OpEntry {
  std::string_view Name;
  OpFunction Run;
};

// The implementations, by file.
std::span<const OpEntry> elementwiseOps();
std::span<const OpEntry> dataOps();
std::span<const OpEntry> gatherOps();
std::span<const OpEntry> reduceOps();
std::span<const OpEntry> sortOps();
std::span<const OpEntry> contractOps();
std::span<const OpEntry> convOps();
std::span<const OpEntry> controlOps();
std::span<const OpEntry> randomOps();

/// Null if there is none.
const OpEntry *findOp(std::string_view Name);

} // namespace limosa::reference

#endif // LIMOSA_REFERENCE_OPCONTEXT_H
