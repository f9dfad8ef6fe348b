//===- GraphAccess.h - What is behind limosa_graph --------------*- C++ -*-===//
#ifndef LIMOSA_RUNTIME_SRC_GRAPHACCESS_H
#define LIMOSA_RUNTIME_SRC_GRAPHACCESS_H

#include "limosa/Runtime/GraphAccess.h"
#include "limosa/Runtime/SymbolExpr.h"
#include "limosa/Schema/graph_generated.h"

#include <vector>

/// limosa_region, limosa_op and limosa_attr are the FlatBuffers tables
/// themselves; a graph needs more.
struct limosa_graph {
  const limosa::fb::Graph *Table = nullptr;
  const limosa::runtime::GraphAccess::ExternalData *External = nullptr;
  std::vector<limosa::runtime::SymbolExpr> Exprs;
  std::vector<std::unique_ptr<limosa_graph>> Functions;
  limosa::runtime::GraphAccess::ExternalData OwnedExternal; // of the root only
};

namespace limosa::runtime {

/// Checks that a verified table is a well-formed graph and parses its
/// expressions. On failure returns null and sets `Error`.
std::unique_ptr<limosa_graph> validateGraph(const fb::Graph &G,
                                            std::string &Error);

} // namespace limosa::runtime

#endif // LIMOSA_RUNTIME_SRC_GRAPHACCESS_H
