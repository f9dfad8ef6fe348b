//===- Operators.h - Operators of the host ----------------------*- C++ -*-===//
//
// The registry behind limosa/operator.h: operators that users register in a
// context, those of plug-in libraries, and those of Limosa's own host library,
// which is opened when a program names an operator that nobody has registered.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_RUNTIME_OPERATORS_H
#define LIMOSA_RUNTIME_OPERATORS_H

#include "limosa/Compiler.h"
#include "limosa/Runtime/OperatorAttributes.h"
#include "limosa/Runtime/Status.h"

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace limosa::runtime {

/// A registered operator: a copy of what was given, complete and with defaults
/// filled in. Released when nobody uses it any more. Immutable.
class Operator {
public:
  /// Null, and `S`, if the description lacks something. `Origin`, if not empty,
  /// is added to the revision: it stands for the library that it came from.
  static std::shared_ptr<const Operator>
  create(const limosa_operator &Given, Status &S, std::string_view Origin = "");
  ~Operator();
  Operator(const Operator &) = delete;
  Operator &operator=(const Operator &) = delete;

  const limosa_operator &table() const { return Table; }
  /// "my.domain::Op".
  const std::string &fullName() const { return FullName; }
  /// Held during calls of an operator that is LIMOSA_OPERATOR_SERIAL.
  std::mutex &turn() const { return Turn; }

private:
  Operator() = default;

  limosa_operator Table = {};
  limosa_operator_arity Arity = {}; ///< what `Table` refers to, if any
  std::string Domain, Name, Revision, FullName;
  bool Taken = false; ///< `user` is ours to release
  mutable std::mutex Turn;
};

/// Operators as the compiler takes them, kept alive.
struct OperatorTables {
  std::vector<std::shared_ptr<const Operator>> Kept;
  std::vector<const limosa_operator *> Pointers;

  void addTo(limosa_compile_options &Options) const {
    Options.operators = Pointers.data();
    Options.operator_count = uint32_t(Pointers.size());
  }
};

/// Thread safe.
class OperatorRegistry {
public:
  /// Replaces an operator of the same name and version.
  Status add(const limosa_operator &Given);
  /// All operators of a library that exports limosa_operators_query.
  Status load(const std::string &Path);
  /// The operator of exactly that version. Null sets `S`, which says how to
  /// register it; `Node` is the model's name for what needs it.
  std::shared_ptr<const Operator> find(std::string_view FullName,
                                       int64_t Version, std::string_view Node,
                                       Status &S);
  /// All that are registered, host library apart.
  OperatorTables tables() const;

private:
  std::shared_ptr<const Operator>
  lookup(std::string_view FullName, int64_t Version, std::string &Others) const;
  void openHostLibrary();

  mutable std::mutex Mutex; // guards what follows
  std::vector<std::shared_ptr<const Operator>> Registered;
  std::vector<std::shared_ptr<const Operator>> OfHost;
  size_t HostOpened = 0; ///< how many of the host libraries
  std::string HostErrors;
};

} // namespace limosa::runtime

#endif // LIMOSA_RUNTIME_OPERATORS_H
