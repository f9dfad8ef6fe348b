//===- Harness.h - Compiled programs against the interpreter --------------===//

#ifndef LIMOSA_TEST_UNIT_DRIVER_HARNESS_H
#define LIMOSA_TEST_UNIT_DRIVER_HARNESS_H

#include "limosa/Driver/Driver.h"
#include "limosa/Reference/Tensor.h"
#include "limosa/Runtime/Instance.h"

#include <memory>
#include <string>
#include <vector>

namespace limosa::test {

using reference::Tensor;

/// Random elements: floats in [-2, 2], integers small, bools either.
Tensor randomTensor(DType T, reference::Shape Dims, unsigned Seed = 1);

/// A module compiled to a .lim file in memory and loaded, together with the
/// serialised form of its entry for the interpreter.
class Model {
public:
  /// Null after a test failure that says why.
  static std::unique_ptr<Model>
  compile(const std::string &Mlir, CompileOptions Options = {},
          const std::vector<limosa_operator> &Operators = {});

  /// Loads the bytes of a file, which must outlive the model.
  static std::unique_ptr<Model>
  load(std::span<const uint8_t> Lim,
       const std::vector<std::string> &Plugins = {},
       const std::vector<limosa_operator> &Operators = {});

  /// Runs entry `Entry`; empty after a failure.
  std::vector<Tensor> run(std::vector<Tensor> Inputs, uint32_t Entry = 0);
  /// What the interpreter says of the first entry.
  std::vector<Tensor> expected(std::vector<Tensor> Inputs);
  /// Runs both and compares: the largest difference of floats is at most
  /// `Tolerance` of the largest value, all else is equal.
  void check(std::vector<Tensor> Inputs, double Tolerance = 1e-4);

  const fb::Program &program() const { return Loaded->program(); }
  runtime::Instance &instance() { return *Run; }

private:
  std::unique_ptr<uint8_t, void (*)(void *)> Memory{nullptr, free}; // the file
  std::vector<uint8_t> Graph;
  std::shared_ptr<const runtime::Module> Loaded;
  std::unique_ptr<runtime::Instance> Run;
};

void expectClose(const Tensor &Actual, const Tensor &Expected,
                 double Tolerance);

} // namespace limosa::test

#endif // LIMOSA_TEST_UNIT_DRIVER_HARNESS_H
