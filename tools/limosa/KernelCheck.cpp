//===- KernelCheck.cpp - Kernels against the reference interpreter --------===//

#include "KernelCheck.h"
#include "LaunchValues.h"
#include "ProgramView.h"
#include "Widen.h"

#include <fmt/format.h>

using namespace limosa;
using namespace limosa::tool;

namespace {

/// "add at /encoder/Add_3": the op of a kernel's graph that makes a value.
std::string makerOf(const fb::Graph &G, uint32_t Value) {
  const fb::Region &Body = *G.body();
  for (uint32_t I = 0; Body.ops() && I < Body.ops()->size(); ++I) {
    const fb::Op &Op = *Body.ops()->Get(I);
    for (uint32_t R = 0; Op.results() && R < Op.results()->size(); ++R)
      if (Op.results()->Get(R) == Value)
        return Op.name()->str() + (Op.location() && Op.location()->size()
                                       ? " at " + Op.location()->str()
                                       : "");
  }
  return "an argument";
}

} // namespace

bool KernelCheck::isRounding(const fb::Graph &Graph, uint32_t Result,
                             const HostTensor &Got, const HostTensor &Want) {
  if (Got.type() != DType::F32)
    return false;
  const std::vector<int64_t> Symbols = symbolsOf(Model, Graph);
  reference::EvaluateOptions Options;
  Options.Symbols = Symbols;
  std::vector<reference::Tensor> Exact, Narrow;
  if (!evaluateWide(Graph, Inputs, Options, Exact).ok())
    return false;
  Options.NarrowAccumulation = true;
  return reference::evaluate(Graph, Inputs, Narrow, Options).ok() &&
         isRoundingApart(Got, Want, Exact[Result], Narrow[Result], Allowed);
}

void KernelCheck::compareResult(const runtime::LaunchView &Launch,
                                uint32_t Argument, uint32_t Result,
                                const reference::Tensor &Expected) {
  const runtime::BufferView &B = Launch.Buffers[Argument];
  HostTensor Want(Expected.dtype(), Expected.dims());
  Expected.pack(Want.data());
  const HostTensor Got = launchResult(B, Expected.dims());
  Difference D = compare(Got, Want, Allowed);
  const fb::Graph &Graph = *Launch.Kernel->graph();
  if (!D.Agrees && isRounding(Graph, Result, Got, Want)) {
    ++Rounding;
    return;
  }
  if (D.Agrees) {
    if (isFloat(B.Type))
      Worst = std::max(Worst, D.relative());
    return;
  }
  const fb::Kernel &K = *Launch.Kernel;
  Wrong.push_back(
      {Launch.Launch, K.name()->str(),
       K.template_() ? K.template_()->str() : "", opsOf(K),
       nodesOf(K, SIZE_MAX), Graph.body()->ops()->size(),
       B.Name.empty() ? fmt::format("result {}", Result) : std::string(B.Name),
       makerOf(Graph, Graph.body()->results()->Get(Result)), D});
}

Status KernelCheck::observe(const runtime::LaunchView &Launch, bool After) {
  if (!After) {
    Bar.show(fmt::format("checking launch {}: {}", Launch.Launch,
                         Launch.Kernel->name()->str()));
    std::string Why;
    Ready = launchInputs(Model, Launch, Inputs, Why) || skip(Why);
    return {};
  }
  if (!Ready)
    return {};
  const fb::Graph &Graph = *Launch.Kernel->graph();
  const std::vector<int64_t> Symbols = symbolsOf(Model, Graph);
  reference::EvaluateOptions Options;
  Options.Symbols = Symbols;
  std::vector<reference::Tensor> Results;
  if (reference::Status S =
          reference::evaluate(Graph, Inputs, Results, Options);
      !S.ok()) {
    skip("the reference could not evaluate " + Launch.Kernel->name()->str() +
         ": " + S.Message);
    return {};
  }
  const uint32_t First = numLaunchInputs(Launch);
  if (First + Results.size() > Launch.Buffers.size()) {
    skip("kernels whose results are not those of their graph");
    return {};
  }
  for (uint32_t R = 0; R < Results.size(); ++R)
    compareResult(Launch, First + R, R, Results[R]);
  ++Checked;
  return {};
}
