//===- KernelCheck.cpp - Kernels against the reference interpreter --------===//

#include "KernelCheck.h"
#include "ProgramView.h"
#include "Widen.h"
#include "limosa/Support/PanelLayout.h"

#include <cmath>
#include <cstring>
#include <fmt/format.h>

using namespace limosa;
using namespace limosa::tool;

namespace {

/// Copies `From`, whose dimensions lie in the physical order `Order` (outermost
/// first; empty: row-major), to row-major bytes.
void toRowMajor(const uint8_t *From, uint8_t *To,
                const std::vector<int64_t> &Dims,
                std::span<const uint8_t> Order, size_t Width) {
  const size_t Rank = Dims.size();
  int64_t Elements = 1;
  for (int64_t Dim : Dims)
    Elements *= Dim;
  if (Order.size() != Rank) {
    std::memcpy(To, From, size_t(Elements) * Width);
    return;
  }
  std::vector<int64_t> Strides(Rank), Index(Rank);
  int64_t Stride = 1;
  for (size_t P = Rank; P-- > 0;) {
    Strides[Order[P]] = Stride;
    Stride *= Dims[Order[P]];
  }
  int64_t At = 0;
  for (int64_t I = 0; I < Elements; ++I) {
    std::memcpy(To + size_t(I) * Width, From + size_t(At) * Width, Width);
    for (size_t D = Rank; D-- > 0;) {
      At += Strides[D];
      if (++Index[D] < Dims[D])
        break;
      At -= Strides[D] * Dims[D];
      Index[D] = 0;
    }
  }
}

/// The launch of that number, in program order, nested blocks included.
const fb::Launch *findLaunch(const fb::Block *B, uint32_t &Number) {
  for (uint32_t I = 0; B && B->steps() && I < B->steps()->size(); ++I) {
    const fb::Step &S = *B->steps()->Get(I);
    if (const fb::Launch *L = S.instr_as_Launch()) {
      if (Number-- == 0)
        return L;
      continue;
    }
    const fb::Block *Nested[2] = {};
    if (const fb::If *Choice = S.instr_as_If()) {
      Nested[0] = Choice->then_block();
      Nested[1] = Choice->else_block();
    } else if (const fb::While *Loop = S.instr_as_While()) {
      Nested[0] = Loop->before();
      Nested[1] = Loop->body();
    }
    for (const fb::Block *Inner : Nested)
      if (const fb::Launch *Found = findLaunch(Inner, Number))
        return Found;
  }
  return nullptr;
}

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

const fb::Constant *KernelCheck::constantOf(const runtime::LaunchView &Launch,
                                            uint32_t Argument) const {
  const fb::Entry &E = *Model.program().entries()->Get(Launch.Entry);
  uint32_t Number = Launch.Launch;
  const fb::Launch *L = findLaunch(E.body(), Number);
  if (!L || !L->buffers() || Argument >= L->buffers()->size())
    return nullptr;
  const fb::Buffer &B = *E.buffers()->Get(L->buffers()->Get(Argument));
  return B.kind() == fb::BufferKind::Constant
             ? Model.program().constants()->Get(B.source())
             : nullptr;
}

bool KernelCheck::takeInput(const runtime::LaunchView &Launch,
                            uint32_t Argument) {
  const runtime::BufferView &B = Launch.Buffers[Argument];
  const fb::Constant *Constant = constantOf(Launch, Argument);
  if (Constant && Constant->packed() && Constant->packed()->size()) {
    std::vector<int64_t> Dims(Constant->dims()->begin(),
                              Constant->dims()->end());
    auto Layout = PanelLayout::parse(Constant->packed()->string_view());
    auto Size = HostTensor::byteSize(B.Type, Dims);
    std::optional<std::vector<uint8_t>> Plain;
    if (Layout && Size)
      Plain = Layout->unpack(dtypeBits(B.Type) / 8, *Size,
                             Model.module().file().data(*Constant));
    if (!Plain)
      return skip("weights packed as '" + Constant->packed()->str() + "'");
    Inputs.push_back(
        reference::Tensor::fromPacked(B.Type, Dims, Plain->data()));
    return bool(Inputs.back());
  }
  if (!B.Data)
    return skip("memory that the host does not see");
  if (dtypeBits(B.Type) < 8) {
    Inputs.push_back(reference::Tensor::fromPacked(B.Type, B.Dims, B.Data));
    return bool(Inputs.back());
  }
  reference::Tensor T = reference::Tensor::make(B.Type, B.Dims);
  if (!T)
    return skip("not enough memory");
  toRowMajor(static_cast<const uint8_t *>(B.Data), T.data(), B.Dims, B.Order,
             dtypeBits(B.Type) / 8);
  Inputs.push_back(std::move(T));
  return true;
}

bool KernelCheck::prepare(const runtime::LaunchView &Launch) {
  Inputs.clear();
  const fb::Kernel &K = *Launch.Kernel;
  if (!K.graph() || !K.graph()->body())
    return skip("kernels without their graph");
  const auto *Arguments = K.graph()->body()->args();
  const uint32_t Count = Arguments ? Arguments->size() : 0;
  if (Count > Launch.Buffers.size())
    return skip("kernels whose arguments are not those of their graph");
  for (uint32_t A = 0; A < Count; ++A)
    if (!takeInput(Launch, A))
      return false;
  return true;
}

std::vector<int64_t> KernelCheck::symbolsOf(const fb::Graph &Graph) const {
  std::vector<int64_t> Symbols;
  const SymbolValues Known = Model.symbols();
  for (uint32_t S = 0; Graph.symbols() && S < Graph.symbols()->size(); ++S) {
    auto Found = Known.find(Graph.symbols()->Get(S)->name()->str());
    Symbols.push_back(Found == Known.end() ? 0 : Found->second);
  }
  return Symbols;
}

bool KernelCheck::isRounding(const fb::Graph &Graph, uint32_t Result,
                             const HostTensor &Got, const HostTensor &Want) {
  if (Got.type() != DType::F32 || Got.dims() != Want.dims())
    return false;
  const std::vector<int64_t> Symbols = symbolsOf(Graph);
  reference::EvaluateOptions Options;
  Options.Symbols = Symbols;
  std::vector<reference::Tensor> Exact;
  if (!evaluateWide(Graph, Inputs, Options, Exact).ok() ||
      Exact[Result].dtype() != DType::F64 ||
      Exact[Result].dims() != Want.dims())
    return false;
  Options.NarrowAccumulation = true;
  std::vector<reference::Tensor> Plain;
  if (!reference::evaluate(Graph, Inputs, Plain, Options).ok())
    return false;
  const double *True = Exact[Result].as<double>();
  const float *Rounded = Plain[Result].as<float>();
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

void KernelCheck::compareResult(const runtime::LaunchView &Launch,
                                uint32_t Argument, uint32_t Result,
                                const reference::Tensor &Expected) {
  const runtime::BufferView &B = Launch.Buffers[Argument];
  HostTensor Want(Expected.dtype(), Expected.dims());
  Expected.pack(Want.data());
  std::vector<int64_t> Dims = B.Dims;
  // The buffer of a data-dependent result has room for more rows.
  if (!Dims.empty() && Dims.size() == Expected.rank() && B.Order.empty() &&
      Expected.dim(0) < Dims[0])
    Dims[0] = Expected.dim(0);
  HostTensor Got(B.Type, Dims);
  if (dtypeBits(B.Type) < 8)
    std::memcpy(Got.data(), B.Data, Got.bytes());
  else
    toRowMajor(static_cast<const uint8_t *>(B.Data), Got.data(), Dims, B.Order,
               dtypeBits(B.Type) / 8);
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
    Ready = prepare(Launch);
    return {};
  }
  if (!Ready)
    return {};
  const fb::Graph &Graph = *Launch.Kernel->graph();
  const std::vector<int64_t> Symbols = symbolsOf(Graph);
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
  const uint32_t First =
      uint32_t(Launch.Kernel->graph()->body()->args()
                   ? Launch.Kernel->graph()->body()->args()->size()
                   : 0);
  if (First + Results.size() > Launch.Buffers.size()) {
    skip("kernels whose results are not those of their graph");
    return {};
  }
  for (uint32_t R = 0; R < Results.size(); ++R)
    compareResult(Launch, First + R, R, Results[R]);
  ++Checked;
  return {};
}
