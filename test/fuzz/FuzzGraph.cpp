//===- FuzzGraph.cpp - Any bytes as a serialised graph --------------------===//
//
// Validates it and evaluates what is valid with the reference interpreter,
// within bounds of memory and steps.
//
//===----------------------------------------------------------------------===//

#include "limosa/Reference/Interpreter.h"
#include "limosa/Runtime/GraphAccess.h"

#include <algorithm>
#include <cstdlib>

using namespace limosa;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *Data, size_t Size) {
  std::string Error;
  auto Access = runtime::GraphAccess::create({Data, Size}, Error);
  if (!Access)
    return Error.empty() ? abort(), 0 : 0;
  const limosa_graph_api &Api = *runtime::graphApi();
  const limosa_graph *Graph = Access->handle();
  const limosa_region *Body = Api.graph_body(Graph);
  std::vector<reference::Tensor> In, Out;
  for (uint32_t I = 0; I < Api.region_arg_count(Body); ++I) {
    uint32_t V = Api.region_arg(Body, I);
    reference::Shape Dims;
    for (uint32_t D = 0; D < Api.value_rank(Graph, V); ++D)
      Dims.push_back(
          std::clamp(std::atoi(Api.value_dim_text(Graph, V, D)), 1, 8));
    auto T = reference::Tensor::make(DType(Api.value_dtype(Graph, V)), Dims);
    if (!T)
      return 0;
    std::fill_n(T.data(), T.bytes(), uint8_t(1));
    In.push_back(T);
  }
  reference::EvaluateOptions Options;
  Options.MemoryLimit = 1 << 22;
  Options.StepLimit = 200;
  reference::Status S = reference::evaluate(Api, Graph, In, Out, Options);
  if (!S.ok() && S.Message.empty())
    abort();
  return 0;
}
