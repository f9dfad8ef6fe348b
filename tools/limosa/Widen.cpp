//===- Widen.cpp - What rounding alone does -------------------------------===//

#include "Widen.h"
#include "LaunchValues.h"

#include <cmath>
#include <cstring>

using namespace limosa;
using namespace limosa::tool;

namespace {

constexpr uint8_t Narrow = uint8_t(DType::F32), Wide = uint8_t(DType::F64);

std::vector<uint8_t> widenBytes(const uint8_t *Bytes, size_t Size) {
  std::vector<uint8_t> Out(Size * 2);
  for (size_t I = 0; I + 4 <= Size; I += 4) {
    float Value;
    std::memcpy(&Value, Bytes + I, 4);
    double Double = Value;
    std::memcpy(&Out[I * 2], &Double, 8);
  }
  return Out;
}

/// Constants first, while the values' dtypes still tell which are f32.
void widenConstants(fb::RegionT &Region, const fb::GraphT &Graph) {
  for (auto &Op : Region.ops) {
    const bool IsNarrow = Op->results.size() == 1 &&
                          Graph.values[Op->results[0]]->dtype == Narrow;
    for (auto &Attr : Op->attrs) {
      if (Attr->kind == fb::AttrKind::Data && IsNarrow)
        Attr->data = widenBytes(Attr->data.data(), Attr->data.size());
      else if (Attr->kind == fb::AttrKind::DType && Attr->i == Narrow)
        Attr->i = Wide;
    }
    for (auto &Nested : Op->regions)
      widenConstants(*Nested, Graph);
  }
}

void widenGraph(fb::GraphT &Graph) {
  if (Graph.body)
    widenConstants(*Graph.body, Graph);
  for (auto &Value : Graph.values)
    if (Value->dtype == Narrow)
      Value->dtype = Wide;
  for (auto &Function : Graph.functions)
    widenGraph(*Function);
}

reference::Tensor widenTensor(const reference::Tensor &T) {
  if (T.dtype() != DType::F32)
    return T;
  std::vector<uint8_t> Bytes = widenBytes(T.data(), size_t(T.bytes()));
  return reference::Tensor::fromPacked(DType::F64, T.dims(), Bytes.data());
}

} // namespace

reference::Status
tool::evaluateWide(const fb::Graph &Graph,
                   const std::vector<reference::Tensor> &Inputs,
                   const reference::EvaluateOptions &Options,
                   std::vector<reference::Tensor> &Outputs) {
  std::unique_ptr<fb::GraphT> Copy(Graph.UnPack());
  widenGraph(*Copy);
  flatbuffers::FlatBufferBuilder Builder;
  Builder.Finish(fb::Graph::Pack(Builder, Copy.get()));
  std::vector<reference::Tensor> WideInputs;
  for (const reference::Tensor &Input : Inputs)
    WideInputs.push_back(widenTensor(Input));
  return reference::evaluate(
      *flatbuffers::GetRoot<fb::Graph>(Builder.GetBufferPointer()),
      std::move(WideInputs), Outputs, Options);
}

bool tool::isRoundingApart(const HostTensor &Got, const HostTensor &Want,
                           const reference::Tensor &Exact,
                           const reference::Tensor &Narrow,
                           const Tolerance &Allowed) {
  if (Got.type() != DType::F32 || Want.type() != DType::F32 ||
      Exact.dtype() != DType::F64 || Narrow.dtype() != DType::F32 ||
      Got.dims() != Want.dims() || Exact.dims() != Want.dims() ||
      Narrow.dims() != Want.dims())
    return false;
  const double *True = Exact.as<double>();
  const float *Rounded = Narrow.as<float>();
  double Scale = 0, Noise = 0, Apart = 0;
  for (int64_t I = 0, E = Want.elements(); I < E; ++I) {
    if (!std::isfinite(True[I]) || !std::isfinite(Got.at(I)))
      return false;
    Scale = std::max(Scale, std::fabs(True[I]));
    Noise = std::max({Noise, std::fabs(Want.at(I) - True[I]),
                      std::fabs(double(Rounded[I]) - True[I])});
    Apart = std::max(Apart, std::fabs(Got.at(I) - True[I]));
  }
  // Orders of summation differ, so a few times one order's rounding.
  return Apart <= Allowed.Relative * Scale + 8 * Noise;
}

//===----------------------------------------------------------------------===//
// Whole models
//===----------------------------------------------------------------------===//

void ShadowRun::observe(const runtime::LaunchView &Launch, bool After) {
  if (!After) {
    std::string Why;
    Ready = launchInputs(Model, Launch, Inputs, Why);
    for (size_t A = 0; Ready && A < Inputs.size(); ++A) {
      const reference::Tensor &Plain = Inputs[A];
      auto It = Twins.find(Launch.Buffers[A].Data);
      if (Plain.dtype() == DType::F32 && It != Twins.end() &&
          It->second.Plain.size() == size_t(Plain.bytes()) &&
          std::equal(It->second.Plain.begin(), It->second.Plain.end(),
                     Plain.data()))
        Inputs[A] = It->second.Value.withShape(Plain.dims());
    }
    return;
  }
  if (!Ready)
    return;
  const fb::Graph &Graph = *Launch.Kernel->graph();
  const std::vector<int64_t> Symbols = symbolsOf(Model, Graph);
  reference::EvaluateOptions Options;
  Options.Symbols = Symbols;
  Options.NarrowAccumulation = Kind == NarrowSums;
  std::vector<reference::Tensor> Results;
  if (!(Kind == Wide ? evaluateWide(Graph, Inputs, Options, Results)
                     : reference::evaluate(Graph, Inputs, Results, Options))
           .ok())
    return;
  const uint32_t First = numLaunchInputs(Launch);
  for (uint32_t R = 0; R < Results.size() && First + R < Launch.Buffers.size();
       ++R) {
    const runtime::BufferView &B = Launch.Buffers[First + R];
    if (B.Type != DType::F32 || !B.Data)
      continue;
    HostTensor Plain = launchResult(B, Results[R].dims());
    if (Plain.dims() == Results[R].dims())
      Twins[B.Data] = {{Plain.data(), Plain.data() + Plain.bytes()},
                       std::move(Results[R])};
  }
}

const reference::Tensor *ShadowRun::of(const HostTensor &Result) const {
  for (const auto &[Address, T] : Twins)
    if (T.Value.dims() == Result.dims() && T.Plain.size() == Result.bytes() &&
        std::equal(T.Plain.begin(), T.Plain.end(), Result.data()))
      return &T.Value;
  return nullptr;
}
