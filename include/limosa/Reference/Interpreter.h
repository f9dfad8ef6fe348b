//===- Interpreter.h - The reference interpreter ----------------*- C++ -*-===//
//
// Evaluates a serialised graph (runtime/schema/graph.fbs) op by op, exactly as
// the ops' spec sentences say: obvious, independent of Codegen, and what
// compiled code is compared with. Float reductions, products and convolutions
// accumulate in f64. Reads graphs through the C accessors of limosa/device.h
// only.
//
// Errors are values: a graph that passed GraphAccess may still be wrong (ranks,
// dtypes, attributes, sizes), and no such graph makes the interpreter crash.
// Collective ops act as in a group of one rank.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_REFERENCE_INTERPRETER_H
#define LIMOSA_REFERENCE_INTERPRETER_H

#include "limosa/Reference/Status.h"
#include "limosa/Reference/Tensor.h"
#include "limosa/device.h"

#include <functional>
#include <span>
#include <string_view>
#include <vector>

namespace limosa {
namespace fb {
struct Graph;
}

namespace reference {

struct EvaluateOptions {
  /// Bytes that live tensors may take; 0 means the machine's memory.
  int64_t MemoryLimit = 0;
  /// Ops that may be evaluated before giving up; 0 means any number.
  int64_t StepLimit = 0;
  /// If not empty: values of the graph's symbols, in their order, known
  /// beforehand. Symbols that the graph itself defines (see bind_symbol,
  /// compact) are not taken from here.
  std::span<const int64_t> Symbols;
  /// Floats of reduce, scan and window accumulate in their own type, in order,
  /// rather than in f64: what plain arithmetic loses.
  bool NarrowAccumulation = false;
  /// Called with every result of the ops of the graph's body, in order.
  std::function<void(uint32_t Value, const Tensor &)> Observe;
};

/// Evaluates `Graph`. `Inputs` are as many as the body has arguments; symbols
/// are bound by their shapes. On success `Outputs` holds the results. Thread
/// safe: calls share nothing.
Status evaluate(const limosa_graph_api &Api, const limosa_graph *Graph,
                std::vector<Tensor> Inputs, std::vector<Tensor> &Outputs,
                const EvaluateOptions &Options = {});

/// The same for a FlatBuffers graph in a verified buffer; validates it first.
Status evaluate(const fb::Graph &Graph, std::vector<Tensor> Inputs,
                std::vector<Tensor> &Outputs,
                const EvaluateOptions &Options = {});

/// Whether the interpreter can evaluate ops of this mnemonic ("add") and
/// version of definition.
bool isImplemented(std::string_view Op, uint32_t Version = 1);
/// All mnemonics it can evaluate, sorted.
std::vector<std::string_view> implementedOps();

} // namespace reference
} // namespace limosa

#endif // LIMOSA_REFERENCE_INTERPRETER_H
