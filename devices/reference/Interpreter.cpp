//===- Interpreter.cpp - The table of ops and the way in ------------------===//

#include "limosa/Reference/Interpreter.h"

#include "OpContext.h"
#include "limosa/Runtime/GraphAccess.h"
#include "limosa/Schema/graph_generated.h"

#include <algorithm>

using namespace limosa;
using namespace limosa::reference;

static const std::unordered_map<std::string_view, OpEntry> &table() {
  static const auto Table = [] {
    std::unordered_map<std::string_view, OpEntry> T;
    for (auto Part :
         {elementwiseOps(), dataOps(), gatherOps(), reduceOps(), sortOps(),
          contractOps(), convOps(), controlOps(), randomOps()})
      for (const OpEntry &Entry : Part)
        T.emplace(Entry.Name, Entry);
    return T;
  }();
  return Table;
}

const OpEntry *limosa::reference::findOp(std::string_view Name) {
  auto It = table().find(Name);
  return It == table().end() ? nullptr : &It->second;
}

bool limosa::reference::isImplemented(std::string_view Op, uint32_t Version) {
  return Version == 1 && findOp(Op);
}

std::vector<std::string_view> limosa::reference::implementedOps() {
  std::vector<std::string_view> Names;
  for (const auto &[Name, Entry] : table())
    Names.push_back(Name);
  std::sort(Names.begin(), Names.end());
  return Names;
}

Status limosa::reference::evaluate(const limosa_graph_api &Api,
                                   const limosa_graph *Graph,
                                   std::vector<Tensor> Inputs,
                                   std::vector<Tensor> &Outputs,
                                   const EvaluateOptions &Options) {
  return Evaluation(Api, Graph, Options).run(std::move(Inputs), Outputs);
}

Status limosa::reference::evaluate(const fb::Graph &Graph,
                                   std::vector<Tensor> Inputs,
                                   std::vector<Tensor> &Outputs,
                                   const EvaluateOptions &Options) {
  std::string Error;
  auto Access = runtime::GraphAccess::create(Graph, Error);
  if (!Access)
    return Status(LIMOSA_STATUS_CORRUPT, std::move(Error));
  return evaluate(*runtime::graphApi(), Access->handle(), std::move(Inputs),
                  Outputs, Options);
}
