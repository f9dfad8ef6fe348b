//===- GraphMaker.h - Serialised graphs written by hand, for tests --------===//

#ifndef LIMOSA_TEST_UNIT_REFERENCE_GRAPHMAKER_H
#define LIMOSA_TEST_UNIT_REFERENCE_GRAPHMAKER_H

#include "limosa/Reference/Interpreter.h"
#include "limosa/Schema/graph_generated.h"

#include <gtest/gtest.h>

namespace limosa::reference {

inline std::unique_ptr<fb::AttrT> makeAttr(const char *Name,
                                           fb::AttrKind Kind) {
  auto A = std::make_unique<fb::AttrT>();
  A->name = Name;
  A->kind = Kind;
  return A;
}

/// Builds a graph with the object API; nothing is checked, so that malformed
/// graphs can be made too.
class GraphMaker {
public:
  using Attrs = std::vector<std::unique_ptr<fb::AttrT>>;

  GraphMaker() { G.body = std::make_unique<fb::RegionT>(); }

  uint32_t expr(const std::string &Text) {
    auto E = std::make_unique<fb::ExprT>();
    E->text = Text;
    G.exprs.push_back(std::move(E));
    return uint32_t(G.exprs.size() - 1);
  }
  void symbol(const std::string &Name) {
    auto S = std::make_unique<fb::SymbolT>();
    S->name = Name;
    G.symbols.push_back(std::move(S));
  }
  uint32_t value(DType T, const std::vector<std::string> &Dims) {
    auto V = std::make_unique<fb::ValueT>();
    V->dtype = uint8_t(T);
    for (const std::string &D : Dims)
      V->dims.push_back(expr(D));
    G.values.push_back(std::move(V));
    return uint32_t(G.values.size() - 1);
  }
  uint32_t input(DType T, const std::vector<std::string> &Dims) {
    G.body->args.push_back(value(T, Dims));
    return G.body->args.back();
  }
  fb::OpT &op(const char *Name, std::vector<uint32_t> Operands,
              std::vector<uint32_t> Results) {
    auto O = std::make_unique<fb::OpT>();
    O->name = Name;
    O->operands = std::move(Operands);
    O->results = std::move(Results);
    O->location = "test.mlir:1";
    G.body->ops.push_back(std::move(O));
    return *G.body->ops.back();
  }
  static void ints(fb::OpT &O, const char *Name, std::vector<int64_t> V) {
    auto A = makeAttr(Name, fb::AttrKind::Ints);
    A->ints = std::move(V);
    O.attrs.push_back(std::move(A));
  }
  static void integer(fb::OpT &O, const char *Name, int64_t V) {
    auto A = makeAttr(Name, fb::AttrKind::Int);
    A->i = V;
    O.attrs.push_back(std::move(A));
  }
  void exprs(fb::OpT &O, const char *Name, std::vector<std::string> V) {
    auto A = makeAttr(Name, fb::AttrKind::Exprs);
    for (const std::string &T : V)
      A->exprs.push_back(expr(T));
    O.attrs.push_back(std::move(A));
  }
  static void string(fb::OpT &O, const char *Name, const char *V) {
    auto A = makeAttr(Name, fb::AttrKind::String);
    A->s = V;
    O.attrs.push_back(std::move(A));
  }
  void output(uint32_t V) { G.body->results.push_back(V); }

  Status run(std::vector<Tensor> Inputs, std::vector<Tensor> &Outputs,
             const EvaluateOptions &Options = {}) {
    flatbuffers::FlatBufferBuilder B;
    B.Finish(fb::Graph::Pack(B, &G));
    return evaluate(*flatbuffers::GetRoot<fb::Graph>(B.GetBufferPointer()),
                    std::move(Inputs), Outputs, Options);
  }

  fb::GraphT G;
};

template <typename T> std::vector<T> elements(const Tensor &V) {
  return std::vector<T>(V.as<T>(), V.as<T>() + V.elements());
}

} // namespace limosa::reference

#endif // LIMOSA_TEST_UNIT_REFERENCE_GRAPHMAKER_H
