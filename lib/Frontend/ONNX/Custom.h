//===- Custom.h - Operators that users registered ---------------*- C++ -*-===//

#ifndef LIMOSA_LIB_FRONTEND_ONNX_CUSTOM_H
#define LIMOSA_LIB_FRONTEND_ONNX_CUSTOM_H

#include "Node.h"
#include "limosa/Runtime/OperatorAttributes.h"
#include "limosa/Runtime/OperatorRules.h"

#include <deque>

namespace limosa::onnximport {

/// Imports a node by what the user registered for it: the ops of its body, or a
/// custom_call of the types that its shape function says.
LogicalResult importCustomOperator(Node &N, const limosa_operator &Op);

/// A tensor as limosa_operator_type shows it, with all it refers to.
struct TypeView {
  limosa_operator_type Table = {};

  /// False if user code cannot be told of it: a sequence, a carried type.
  bool fill(Importer &I, Tensor &T);

private:
  void fillValue(const Tensor &T);

  std::vector<std::string> DimTexts, ElementTexts;
  std::vector<const char *> Dims, Elements;
  std::vector<int64_t> Sizes;
  std::vector<uint64_t> Words; // of the value
  limosa_operator_tensor Value = {};
};

/// What a user's function is told of a node.
struct NodeView {
  std::deque<TypeView> Types;
  std::vector<const limosa_operator_type *> Inputs; // null: not given
  runtime::OperatorAttributes AttributeMemory;
  std::span<const limosa_operator_attribute *const> Attributes;
  llvm::StringMap<mlir::ElementsAttr> Tensors; // attributes that are, by name

  /// Notes why the node cannot be shown.
  LogicalResult fill(Node &N);

  template <typename Table> Table table(Node &N, const limosa_operator &Op) {
    Table T = {};
    T.size = sizeof(T);
    T.user = Op.user;
    T.node = N.P.name().c_str();
    T.input_count = uint32_t(Inputs.size());
    T.output_count = N.numOutputs();
    T.attribute_count = uint32_t(Attributes.size());
    T.inputs = Inputs.data();
    T.attributes = Attributes.data();
    return T;
  }
};

/// The body of a node, made by the user's function. Unsupported: it declines,
/// and nothing of it is left.
enum class BodyResult { Made, Declined, Failed };
BodyResult importCustomBody(Node &N, const limosa_operator &Op, NodeView &View);

} // namespace limosa::onnximport

#endif // LIMOSA_LIB_FRONTEND_ONNX_CUSTOM_H
