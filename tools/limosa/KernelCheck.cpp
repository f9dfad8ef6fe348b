//===- KernelCheck.cpp - Kernels against the reference interpreter --------===//

#include "KernelCheck.h"
#include "ProgramView.h"

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
    auto Plain = unpackConstant(Constant->packed()->str(), B.Type, Dims,
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

bool KernelCheck::evaluateGraph(const runtime::LaunchView &Launch,
                                std::vector<reference::Tensor> &Results) {
  const fb::Graph &Graph = *Launch.Kernel->graph();
  std::vector<int64_t> Symbols;
  const SymbolValues Known = Model.symbols();
  for (uint32_t S = 0; Graph.symbols() && S < Graph.symbols()->size(); ++S) {
    auto Found = Known.find(Graph.symbols()->Get(S)->name()->str());
    Symbols.push_back(Found == Known.end() ? 0 : Found->second);
  }
  reference::EvaluateOptions Options;
  Options.Symbols = Symbols;
  reference::Status S =
      reference::evaluate(Graph, std::move(Inputs), Results, Options);
  Inputs.clear();
  return S.ok() || skip("the reference could not evaluate " +
                        Launch.Kernel->name()->str() + ": " + S.Message);
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
  if (isFloat(B.Type))
    Worst = std::max(Worst, D.Agrees ? D.relative() : 0);
  if (D.Agrees)
    return;
  const fb::Graph &Graph = *Launch.Kernel->graph();
  Wrong.push_back(
      {Launch.Launch, Launch.Kernel,
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
  std::vector<reference::Tensor> Results;
  if (!Ready || !evaluateGraph(Launch, Results))
    return {};
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
