//===- Upgrade.cpp - Old op versions made current -------------------------===//

#include "limosa/IR/Upgrade.h"

using namespace limosa;

// All ops are of version 1 so far.
std::span<const Upgrader> limosa::upgraders() { return {}; }

namespace {

class GraphUpgrader {
public:
  GraphUpgrader(fb::GraphT &Graph, const CurrentVersion &Current,
                std::span<const Upgrader> Table, std::string &Error)
      : Graph(Graph), Current(Current), Table(Table), Error(Error) {}

  bool run(fb::RegionT &Region) {
    for (auto &Op : Region.ops) {
      if (!run(*Op))
        return false;
      for (auto &Inner : Op->regions)
        if (!run(*Inner))
          return false;
    }
    return true;
  }

private:
  bool fail(const fb::OpT &Op, const char *Why) {
    Error = "op '" + Op.name + "' of version " + std::to_string(Op.version) +
            " " + Why;
    return false;
  }

  bool run(fb::OpT &Op) {
    uint16_t Newest = Current(Op.name);
    if (Newest == 0)
      return fail(Op, "is not known to this version of Limosa");
    if (Op.version > Newest)
      return fail(Op, "was written by a newer version of Limosa; update it");
    while (Op.version < Newest) {
      const Upgrader *Next = find(Op);
      if (!Next)
        return fail(Op, "can no longer be read");
      if (!Next->Run(Op, Graph, Error))
        return false;
      Op.version = uint16_t(Next->From + 1);
    }
    return true;
  }

  const Upgrader *find(const fb::OpT &Op) const {
    for (const Upgrader &U : Table)
      if (U.Op == Op.name && U.From == Op.version)
        return &U;
    return nullptr;
  }

  fb::GraphT &Graph;
  const CurrentVersion &Current;
  std::span<const Upgrader> Table;
  std::string &Error;
};

} // namespace

bool limosa::upgradeGraph(fb::GraphT &Graph, const CurrentVersion &Current,
                          std::string &Error, std::span<const Upgrader> Table) {
  if (Graph.body &&
      !GraphUpgrader(Graph, Current, Table, Error).run(*Graph.body))
    return false;
  for (auto &Function : Graph.functions)
    if (!upgradeGraph(*Function, Current, Error, Table))
      return false;
  return true;
}
