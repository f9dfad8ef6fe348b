//===- Widen.h - A kernel's ops in double precision -----------------*- C++
//-*-===//
//
// How far may a right kernel be from the reference? Where a kernel subtracts
// nearly equal numbers, one rounding moves its result by more than any fixed
// tolerance. The same ops evaluated with f64 in place of f32 tell: the distance
// between the two evaluations is what rounding alone does there.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_TOOLS_WIDEN_H
#define LIMOSA_TOOLS_WIDEN_H

#include "limosa/Reference/Interpreter.h"
#include "limosa/Schema/program_generated.h"

namespace limosa::tool {

/// Evaluates `Graph` with every f32 value as f64. `Inputs` are as for the graph
/// itself; results that would be f32 are f64.
reference::Status evaluateWide(const fb::Graph &Graph,
                               const std::vector<reference::Tensor> &Inputs,
                               const reference::EvaluateOptions &Options,
                               std::vector<reference::Tensor> &Outputs);

} // namespace limosa::tool

#endif // LIMOSA_TOOLS_WIDEN_H
