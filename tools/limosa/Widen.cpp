//===- Widen.cpp - A kernel's ops in double precision ---------------------===//

#include "Widen.h"

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
