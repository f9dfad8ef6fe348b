//===- Upgrade.h - Old op versions made current -----------------*- C++ -*-===//
//
// Every serialised op carries the version of its definition. When an op's
// operands or attributes change meaning, its getDefinitionVersion is raised and
// an upgrader from the version before is added to the table in
// lib/IR/Upgrade.cpp; readers then take old files for ever. Free of MLIR.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_IR_UPGRADE_H
#define LIMOSA_IR_UPGRADE_H

#include "limosa/Schema/graph_generated.h"

#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace limosa {

/// Turns an op of version `From` into one of version `From + 1`.
struct Upgrader {
  std::string_view Op; ///< Mnemonic.
  uint16_t From;
  /// False, with `Error` set, if the op is not one of that version.
  bool (*Run)(fb::OpT &Op, fb::GraphT &Graph, std::string &Error);
};

/// The upgraders of all released versions.
std::span<const Upgrader> upgraders();

/// The current version of an op; 0 if there is no such op.
using CurrentVersion = std::function<uint16_t(std::string_view Op)>;

/// Brings all ops of a graph and its functions to their current versions. Fails
/// for unknown ops, newer versions and missing upgraders.
bool upgradeGraph(fb::GraphT &Graph, const CurrentVersion &Current,
                  std::string &Error,
                  std::span<const Upgrader> Table = upgraders());

} // namespace limosa

#endif // LIMOSA_IR_UPGRADE_H
