//===- LaunchValues.cpp - What a launch reads and writes ------------------===//

#include "LaunchValues.h"
#include "limosa/Support/PackedConstant.h"

#include <cstring>

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

/// The constant that an argument is; null if it is none.
const fb::Constant *constantOf(const Session &Model,
                               const runtime::LaunchView &Launch,
                               uint32_t Argument) {
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

/// One input; false and why if it cannot be had.
bool takeInput(const Session &Model, const runtime::LaunchView &Launch,
               uint32_t Argument, reference::Tensor &Out, std::string &Why) {
  const runtime::BufferView &B = Launch.Buffers[Argument];
  const fb::Constant *Constant = constantOf(Model, Launch, Argument);
  auto Refuse = [&](std::string Text) {
    Why = std::move(Text);
    return false;
  };
  if (Constant && Constant->packed() && Constant->packed()->size()) {
    std::vector<int64_t> Dims(Constant->dims()->begin(),
                              Constant->dims()->end());
    auto Size = HostTensor::byteSize(B.Type, Dims);
    std::optional<std::vector<uint8_t>> Plain;
    if (Size)
      Plain = unpackConstant(Constant->packed()->string_view(),
                             dtypeBits(B.Type) / 8, *Size,
                             Model.module().file().data(*Constant));
    if (!Plain)
      return Refuse("weights packed as '" + Constant->packed()->str() + "'");
    Out = reference::Tensor::fromPacked(B.Type, Dims, Plain->data());
  } else if (!B.Data) {
    return Refuse("memory that the host does not see");
  } else if (dtypeBits(B.Type) < 8) {
    Out = reference::Tensor::fromPacked(B.Type, B.Dims, B.Data);
  } else if ((Out = reference::Tensor::make(B.Type, B.Dims))) {
    toRowMajor(static_cast<const uint8_t *>(B.Data), Out.data(), B.Dims,
               B.Order, dtypeBits(B.Type) / 8);
  }
  return Out || Refuse("not enough memory");
}

} // namespace

uint32_t tool::numLaunchInputs(const runtime::LaunchView &Launch) {
  const auto *Arguments = Launch.Kernel->graph()->body()->args();
  return Arguments ? Arguments->size() : 0;
}

bool tool::launchInputs(const Session &Model, const runtime::LaunchView &Launch,
                        std::vector<reference::Tensor> &Out, std::string &Why) {
  Out.clear();
  const fb::Kernel &K = *Launch.Kernel;
  if (!K.graph() || !K.graph()->body()) {
    Why = "kernels without their graph";
    return false;
  }
  Out.resize(numLaunchInputs(Launch));
  if (Out.size() > Launch.Buffers.size()) {
    Why = "kernels whose arguments are not those of their graph";
    return false;
  }
  for (uint32_t A = 0; A < Out.size(); ++A)
    if (!takeInput(Model, Launch, A, Out[A], Why))
      return false;
  return true;
}

HostTensor tool::launchResult(const runtime::BufferView &B,
                              const std::vector<int64_t> &Found) {
  std::vector<int64_t> Dims = B.Dims;
  // The buffer of a data-dependent result has room for more rows.
  if (!Dims.empty() && Dims.size() == Found.size() && B.Order.empty() &&
      Found[0] < Dims[0])
    Dims[0] = Found[0];
  HostTensor Got(B.Type, Dims);
  if (dtypeBits(B.Type) < 8)
    std::memcpy(Got.data(), B.Data, Got.bytes());
  else
    toRowMajor(static_cast<const uint8_t *>(B.Data), Got.data(), Dims, B.Order,
               dtypeBits(B.Type) / 8);
  return Got;
}

std::vector<int64_t> tool::symbolsOf(Session &Model, const fb::Graph &Graph) {
  std::vector<int64_t> Symbols;
  const SymbolValues Known = Model.symbols();
  for (uint32_t S = 0; Graph.symbols() && S < Graph.symbols()->size(); ++S) {
    auto Found = Known.find(Graph.symbols()->Get(S)->name()->str());
    Symbols.push_back(Found == Known.end() ? 0 : Found->second);
  }
  return Symbols;
}
