//===- StringBoundary.h - Strings in, strings out ---------------*- C++ -*-===//
//
// Users give and get strings (limosa_string), programs see numbers. A run of an
// entry that has arguments of strings goes by way of this.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_RUNTIME_SRC_STRINGBOUNDARY_H
#define LIMOSA_RUNTIME_SRC_STRINGBOUNDARY_H

#include "InstanceState.h"

namespace limosa::runtime {

class StringBoundary {
public:
  StringBoundary(InstanceState &I, const fb::Entry &E,
                 std::span<const limosa_tensor> Inputs,
                 std::span<limosa_tensor> Outputs)
      : I(I), E(E), Inputs(Inputs.begin(), Inputs.end()),
        Outputs(Outputs.begin(), Outputs.end()), Given(Outputs) {}

  /// Replaces strings by their numbers in `inputs`. What does not fit the entry
  /// stays as it is, to be refused by who binds inputs.
  Status enter();
  /// After a run: makes strings of numbers and hands the outputs over. On
  /// failure no output owns memory.
  Status leave(Status Run);

  std::span<const limosa_tensor> inputs() const { return Inputs; }
  std::span<limosa_tensor> outputs() { return Outputs; }

private:
  Status toStrings(uint32_t Output, limosa_tensor &Result) const;

  InstanceState &I;
  const fb::Entry &E;
  std::vector<limosa_tensor> Inputs, Outputs;
  std::span<limosa_tensor> Given;
  std::vector<std::vector<int64_t>> Numbers;
};

} // namespace limosa::runtime

#endif // LIMOSA_RUNTIME_SRC_STRINGBOUNDARY_H
