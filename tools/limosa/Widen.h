//===- Widen.h - What rounding alone does -----------------------*- C++ -*-===//
//
// How far may a right kernel, or a right model, be from the reference? Where
// nearly equal numbers are subtracted, one rounding moves the result by more
// than any fixed tolerance. The same ops evaluated with f64 in place of f32
// tell: the distance between the two evaluations is what rounding alone does
// there.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_TOOLS_WIDEN_H
#define LIMOSA_TOOLS_WIDEN_H

#include "Compare.h"
#include "Session.h"
#include "limosa/Reference/Interpreter.h"
#include "limosa/Schema/program_generated.h"

namespace limosa::tool {

/// Evaluates `Graph` with every f32 value as f64. `Inputs` are as for the graph
/// itself; results that would be f32 are f64.
reference::Status evaluateWide(const fb::Graph &Graph,
                               const std::vector<reference::Tensor> &Inputs,
                               const reference::EvaluateOptions &Options,
                               std::vector<reference::Tensor> &Outputs);

/// Whether `Got` is no further from the f64 result than the tolerance and a few
/// times what rounding does: the distances of the reference's result in f32
/// (`Want`) and of that with sums in f32 too (`Narrow`). For results of f32.
bool isRoundingApart(const HostTensor &Got, const HostTensor &Want,
                     const reference::Tensor &Exact,
                     const reference::Tensor &Narrow, const Tolerance &Allowed);

/// A run of a model on the reference device in f64, or with sums in f32: goes
/// along with a plain run, kernel by kernel. What a kernel reads is what this
/// class made of it before, as long as the plain run's bytes are the ones it
/// belongs to; sizes and integers are the plain run's.
class ShadowRun {
public:
  enum Precision { Wide, NarrowSums };

  ShadowRun(Session &Model, Precision Kind) : Model(Model), Kind(Kind) {}

  /// For Instance::setObserver.
  void observe(const runtime::LaunchView &Launch, bool After);
  /// What stands for a result of the plain run; null if that is not known.
  const reference::Tensor *of(const HostTensor &Result) const;

private:
  struct Twin {
    std::vector<uint8_t> Plain; ///< Bytes of the plain run.
    reference::Tensor Value;
  };

  Session &Model;
  Precision Kind;
  std::map<const void *, Twin> Twins; ///< By address in the plain run.
  std::vector<reference::Tensor> Inputs;
  bool Ready = false;
};

} // namespace limosa::tool

#endif // LIMOSA_TOOLS_WIDEN_H
