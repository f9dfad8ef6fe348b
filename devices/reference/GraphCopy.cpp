//===- GraphCopy.cpp - A graph read through the accessors, kept as bytes --===//

#include "GraphCopy.h"

#include "limosa/Schema/graph_generated.h"

#include <unordered_map>

using namespace limosa;

namespace {

class Copier {
public:
  Copier(const limosa_graph_api &Api, const limosa_graph *Graph)
      : Api(Api), Graph(Graph) {}

  std::unique_ptr<fb::GraphT> run() {
    Out->name = Api.graph_name(Graph);
    for (uint32_t I = 0; I < Api.symbol_count(Graph); ++I) {
      auto S = std::make_unique<fb::SymbolT>();
      const char *Bound = nullptr;
      S->name = Api.symbol_name(Graph, I);
      Api.symbol_range(Graph, I, &S->min, &S->max, &S->divisor, &Bound);
      S->bound = Bound ? Bound : "";
      Out->symbols.push_back(std::move(S));
    }
    for (uint32_t I = 0; I < Api.value_count(Graph); ++I)
      Out->values.push_back(copyValue(I));
    Out->body = copyRegion(Api.graph_body(Graph));
    for (uint32_t I = 0; I < Api.function_count(Graph); ++I)
      Out->functions.push_back(Copier(Api, Api.function(Graph, I)).run());
    return std::move(Out);
  }

private:
  uint32_t expr(const char *Text) {
    auto [It, New] = Exprs.try_emplace(Text, uint32_t(Out->exprs.size()));
    if (New) {
      Out->exprs.push_back(std::make_unique<fb::ExprT>());
      Out->exprs.back()->text = Text;
    }
    return It->second;
  }

  std::unique_ptr<fb::ValueT> copyValue(uint32_t Value) {
    auto V = std::make_unique<fb::ValueT>();
    uint32_t Rank = Api.value_rank(Graph, Value);
    V->dtype = uint8_t(Api.value_dtype(Graph, Value));
    V->name = Api.value_name(Graph, Value);
    for (uint32_t D = 0; D < Rank; ++D)
      V->dims.push_back(expr(Api.value_dim_text(Graph, Value, D)));
    if (const uint8_t *Order = Api.value_order(Graph, Value))
      V->order.assign(Order, Order + Rank);
    return V;
  }

  std::unique_ptr<fb::RegionT> copyRegion(const limosa_region *Region) {
    auto R = std::make_unique<fb::RegionT>();
    for (uint32_t I = 0; I < Api.region_arg_count(Region); ++I)
      R->args.push_back(Api.region_arg(Region, I));
    for (uint32_t I = 0; I < Api.region_op_count(Region); ++I)
      R->ops.push_back(copyOp(Api.region_op(Region, I)));
    for (uint32_t I = 0; I < Api.region_result_count(Region); ++I)
      R->results.push_back(Api.region_result(Region, I));
    return R;
  }

  std::unique_ptr<fb::OpT> copyOp(const limosa_op *Op) {
    auto O = std::make_unique<fb::OpT>();
    O->name = Api.op_name(Op);
    O->version = uint16_t(Api.op_version(Op));
    O->location = Api.op_location(Op);
    for (uint32_t I = 0; I < Api.op_operand_count(Op); ++I)
      O->operands.push_back(Api.op_operand(Op, I));
    for (uint32_t I = 0; I < Api.op_result_count(Op); ++I)
      O->results.push_back(Api.op_result(Op, I));
    for (uint32_t I = 0; I < Api.op_attr_count(Op); ++I)
      O->attrs.push_back(copyAttr(Api.op_attr(Op, I)));
    for (uint32_t I = 0; I < Api.op_region_count(Op); ++I)
      O->regions.push_back(copyRegion(Api.op_region(Op, I)));
    return O;
  }

  std::unique_ptr<fb::AttrT> copyAttr(const limosa_attr *Attr) {
    auto A = std::make_unique<fb::AttrT>();
    A->name = Api.attr_name(Attr);
    A->kind = fb::AttrKind(Api.attr_kind(Attr));
    uint32_t Count = Api.attr_count(Attr);
    switch (A->kind) {
    case fb::AttrKind::Int:
    case fb::AttrKind::Bool:
    case fb::AttrKind::DType:
      A->i = Api.attr_int(Attr);
      break;
    case fb::AttrKind::Float:
      A->f = Api.attr_float(Attr);
      break;
    case fb::AttrKind::String:
    case fb::AttrKind::Function:
    case fb::AttrKind::Enum:
      A->s = Api.attr_string(Attr);
      break;
    case fb::AttrKind::Ints:
      for (uint32_t I = 0; I < Count; ++I)
        A->ints.push_back(Api.attr_int_at(Attr, I));
      break;
    case fb::AttrKind::Floats:
      for (uint32_t I = 0; I < Count; ++I)
        A->floats.push_back(Api.attr_float_at(Attr, I));
      break;
    case fb::AttrKind::Strings:
      for (uint32_t I = 0; I < Count; ++I)
        A->strings.push_back(Api.attr_string_at(Attr, I));
      break;
    case fb::AttrKind::Exprs:
      for (uint32_t I = 0; I < Count; ++I)
        A->exprs.push_back(expr(Api.attr_expr_text(Graph, Attr, I)));
      break;
    case fb::AttrKind::Data: {
      uint64_t Bytes = 0;
      if (const void *Data = Api.attr_data(Graph, Attr, &Bytes)) {
        auto *First = static_cast<const uint8_t *>(Data);
        A->data.assign(First, First + Bytes);
      }
      break;
    }
    case fb::AttrKind::None:
      break;
    }
    return A;
  }

  const limosa_graph_api &Api;
  const limosa_graph *Graph;
  std::unique_ptr<fb::GraphT> Out = std::make_unique<fb::GraphT>();
  std::unordered_map<std::string, uint32_t> Exprs;
};

} // namespace

std::vector<uint8_t> limosa::reference::copyGraph(const limosa_graph_api &Api,
                                                  const limosa_graph *Graph) {
  flatbuffers::FlatBufferBuilder B;
  B.Finish(fb::Graph::Pack(B, Copier(Api, Graph).run().get()));
  return {B.GetBufferPointer(), B.GetBufferPointer() + B.GetSize()};
}
