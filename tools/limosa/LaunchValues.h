//===- LaunchValues.h - What a launch reads and writes ----------*- C++ -*-===//
//
// The bytes of a kernel's arguments as tensors that the reference interpreter
// takes: row-major, unpacked.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_TOOLS_LAUNCHVALUES_H
#define LIMOSA_TOOLS_LAUNCHVALUES_H

#include "Session.h"
#include "limosa/Reference/Interpreter.h"
#include "limosa/Runtime/GraphAccess.h"

namespace limosa::tool {

/// The inputs of a launch, in the order of its kernel's graph; false and why if
/// some cannot be had.
bool launchInputs(const Session &Model, const runtime::LaunchView &Launch,
                  std::vector<reference::Tensor> &Out, std::string &Why);
/// The number of the launch's inputs: its results are the buffers behind them.
uint32_t numLaunchInputs(const runtime::LaunchView &Launch);
/// A result of a launch, of the dimensions that the reference found.
HostTensor launchResult(const runtime::BufferView &B,
                        const std::vector<int64_t> &Found);
/// Values of a graph's symbols.
std::vector<int64_t> symbolsOf(Session &Model, const fb::Graph &Graph);

} // namespace limosa::tool

#endif // LIMOSA_TOOLS_LAUNCHVALUES_H
