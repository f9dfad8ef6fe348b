//===- Check.h - Random graphs against the interpreter ----------*- C++ -*-===//

#ifndef LIMOSA_TESTING_CHECK_H
#define LIMOSA_TESTING_CHECK_H

#include "limosa/Reference/Status.h"
#include "limosa/Testing/RandomGraph.h"

#include <functional>
#include <optional>

namespace limosa::testing {

struct CheckOptions {
  /// Also compile and run; otherwise only simplify and serialise.
  bool Compile = true;
  std::string Isa = "auto";
  std::string Device = "cpu";
  std::vector<std::string> Plugins;
  unsigned Threads = 2;
};

struct Failure {
  /// reference, simplify, serialise, compile, load, run, mismatch; and crash,
  /// timeout, which the caller finds out.
  std::string Kind;
  std::string Message;
};

/// Evaluates `main` of a module on the reference interpreter.
reference::Status evaluateModule(mlir::ModuleOp Module,
                                 std::vector<reference::Tensor> Inputs,
                                 std::vector<reference::Tensor> &Outputs);

/// What is different, or nothing. NaNs are equal to NaNs; integers must be
/// equal, floats within the tolerance.
std::string compareTensors(const reference::Tensor &Expected,
                           const reference::Tensor &Actual, double Tolerance);

/// Runs a graph every way there is and compares with the interpreter.
std::optional<Failure> checkGraph(const RandomGraph &G,
                                  const CheckOptions &Options);

/// Makes a failing graph smaller: drops outputs, replaces ops by inputs of the
/// same values, drops runs and unused inputs, as long as `StillFails` says so
/// (which should run it where a crash does no harm).
void reduceGraph(RandomGraph &G,
                 const std::function<bool(const RandomGraph &)> &StillFails);

} // namespace limosa::testing

#endif // LIMOSA_TESTING_CHECK_H
