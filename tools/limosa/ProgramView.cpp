//===- ProgramView.cpp - What a compiled program is made of ---------------===//

#include "ProgramView.h"

#include <algorithm>
#include <fmt/format.h>

using namespace limosa;
using namespace limosa::tool;

namespace {

/// Calls `Visit` for every step, nested ones included.
template <typename Fn> void forEachStep(const fb::Block *B, Fn Visit) {
  for (uint32_t I = 0; B && B->steps() && I < B->steps()->size(); ++I) {
    const fb::Step &S = *B->steps()->Get(I);
    Visit(S);
    if (const fb::If *Choice = S.instr_as_If()) {
      forEachStep(Choice->then_block(), Visit);
      forEachStep(Choice->else_block(), Visit);
    } else if (const fb::While *Loop = S.instr_as_While()) {
      forEachStep(Loop->before(), Visit);
      forEachStep(Loop->body(), Visit);
    }
  }
}

/// Buffers that a step itself (not the steps nested in it) mentions.
template <typename Fn> void forEachBuffer(const fb::Step &S, Fn Visit) {
  auto Each = [&](const flatbuffers::Vector<uint32_t> *List) {
    for (uint32_t I = 0; List && I < List->size(); ++I)
      Visit(List->Get(I));
  };
  switch (S.instr_type()) {
  case fb::Instr::Launch:
    return Each(S.instr_as_Launch()->buffers());
  case fb::Instr::Copy:
    Visit(S.instr_as_Copy()->src());
    return Visit(S.instr_as_Copy()->dst());
  case fb::Instr::BindSymbol:
    return Visit(S.instr_as_BindSymbol()->buffer());
  case fb::Instr::StoreExprs:
    return Visit(S.instr_as_StoreExprs()->buffer());
  case fb::Instr::Swap:
    Visit(S.instr_as_Swap()->a());
    return Visit(S.instr_as_Swap()->b());
  case fb::Instr::If:
    return Visit(S.instr_as_If()->condition());
  case fb::Instr::While:
    return Visit(S.instr_as_While()->condition());
  case fb::Instr::Assert:
    return Visit(S.instr_as_Assert()->condition());
  case fb::Instr::HostOp:
    for (uint32_t I = 0; S.instr_as_HostOp()->inputs() &&
                         I < S.instr_as_HostOp()->inputs()->size();
         ++I)
      if (uint32_t B = S.instr_as_HostOp()->inputs()->Get(I); B != 0xffffffff)
        Visit(B);
    return Each(S.instr_as_HostOp()->outputs());
  default:
    return;
  }
}

std::string stepName(const fb::Program &P, const fb::Step &S) {
  if (const fb::Launch *L = S.instr_as_Launch())
    return P.kernels()->Get(L->kernel())->name()->str();
  if (const fb::HostOp *H = S.instr_as_HostOp())
    return H->name()->str();
  return fb::EnumNameInstr(S.instr_type());
}

struct Lifetime {
  size_t First = SIZE_MAX, Last = 0;
  void extend(size_t From, size_t To) {
    First = std::min(First, From);
    Last = std::max(Last, To);
  }
};

/// Numbers the steps of an entry and finds the lifetimes of its buffers.
class LifetimeWalk {
public:
  explicit LifetimeWalk(const fb::Entry &E)
      : Lifetimes(E.buffers() ? E.buffers()->size() : 0) {
    walk(E.body());
  }
  std::vector<Lifetime> Lifetimes;
  std::vector<const fb::Step *> Steps;

private:
  void walk(const fb::Block *B) {
    for (uint32_t I = 0; B && B->steps() && I < B->steps()->size(); ++I) {
      const fb::Step &S = *B->steps()->Get(I);
      const size_t Here = Steps.size();
      Steps.push_back(&S);
      forEachBuffer(
          S, [&](uint32_t Buffer) { Lifetimes[Buffer].extend(Here, Here); });
      if (const fb::If *Choice = S.instr_as_If()) {
        walk(Choice->then_block());
        walk(Choice->else_block());
      } else if (const fb::While *Loop = S.instr_as_While()) {
        walk(Loop->before());
        walk(Loop->body());
        for (Lifetime &L : Lifetimes)
          if (L.First != SIZE_MAX && L.Last >= Here)
            L.extend(Here, Steps.size() - 1);
      }
    }
  }
};

double valueOf(int64_t Known) { return Known < 0 ? -1 : double(Known); }

} // namespace

double KernelSummary::ofRoof(const MachineLimits &Limits) const {
  if (Seconds <= 0 || (Flops < 0 && Bytes < 0))
    return -1;
  double Compute = Flops > 0 ? Flops / Limits.PeakFlops : 0;
  double Memory = Bytes > 0 ? Bytes / Limits.ReadBytes : 0;
  return std::max(Compute, Memory) / Seconds;
}

const char *KernelSummary::bound(const MachineLimits &Limits) const {
  if (Flops < 0 || Bytes < 0)
    return "";
  return Flops / Limits.PeakFlops > Bytes / Limits.ReadBytes ? "compute"
                                                             : "memory";
}

std::string tool::opsOf(const fb::Kernel &K) {
  std::vector<std::pair<std::string, unsigned>> Counted;
  const fb::Region *Body = K.graph() ? K.graph()->body() : nullptr;
  for (uint32_t I = 0; Body && Body->ops() && I < Body->ops()->size(); ++I) {
    std::string Name = Body->ops()->Get(I)->name()->str();
    auto Found = std::find_if(Counted.begin(), Counted.end(),
                              [&](auto &Item) { return Item.first == Name; });
    if (Found == Counted.end())
      Counted.emplace_back(Name, 1);
    else
      ++Found->second;
  }
  std::string Text;
  for (auto &[Name, Count] : Counted)
    Text += fmt::format("{}{}{}", Text.empty() ? "" : ", ", Name,
                        Count > 1 ? fmt::format(" x{}", Count) : "");
  return Text;
}

std::string tool::nodesOf(const fb::Kernel &K, size_t Limit) {
  std::string Text;
  const size_t Count = K.nodes() ? K.nodes()->size() : 0;
  for (size_t I = 0; I < std::min(Count, Limit); ++I)
    Text += (I ? ", " : "") + K.nodes()->Get(uint32_t(I))->str();
  if (Count > Limit)
    Text += fmt::format(" and {} more", Count - Limit);
  return Text;
}

std::vector<KernelSummary>
tool::summariseKernels(const fb::Program &P, const fb::Entry &E,
                       const runtime::Profile *Recorded, unsigned Runs) {
  std::vector<KernelSummary> Kernels;
  std::map<uint32_t, size_t> Places;
  std::vector<size_t> HostPlaces; // by number of the host operator
  forEachStep(E.body(), [&](const fb::Step &S) {
    if (const fb::HostOp *H = S.instr_as_HostOp()) {
      HostPlaces.push_back(Kernels.size());
      KernelSummary Summary;
      Summary.Name = Summary.Ops = H->name()->str();
      Summary.Template = Summary.Device = "host";
      Summary.Nodes = H->node() ? H->node()->str() : "";
      Kernels.push_back(std::move(Summary));
      return;
    }
    const fb::Launch *L = S.instr_as_Launch();
    if (!L || !Places.emplace(L->kernel(), Kernels.size()).second)
      return;
    const fb::Kernel &K = *P.kernels()->Get(L->kernel());
    KernelSummary Summary;
    Summary.Name = K.name()->str();
    Summary.Template = K.template_() ? K.template_()->str() : "";
    const fb::Executable &Code = *P.executables()->Get(K.executable());
    Summary.Device = P.devices()->Get(Code.device())->name()->str();
    Summary.Ops = opsOf(K);
    Summary.Nodes = nodesOf(K);
    for (uint32_t R = 0; K.remarks() && R < K.remarks()->size(); ++R)
      Summary.Remarks.push_back(K.remarks()->Get(R)->str());
    for (uint32_t C = 0; K.choices() && C < K.choices()->size(); ++C) {
      const fb::Choice &Choice = *K.choices()->Get(C);
      Summary.Choices.push_back({Choice.name()->str(), Choice.value()->str(),
                                 Choice.estimate()->str()});
    }
    if (K.measured())
      K.measured()->UnPackTo(&Summary.Measured.emplace());
    Kernels.push_back(std::move(Summary));
  });
  if (!Recorded)
    return Kernels;
  for (const runtime::HostCallRecord &H : Recorded->HostCalls)
    if (H.Operator < HostPlaces.size()) {
      KernelSummary &K = Kernels[HostPlaces[H.Operator]];
      K.Launches += 1.0 / Runs;
      K.Seconds += double(H.End - H.Begin) * 1e-9 / Runs;
    }
  for (const runtime::LaunchRecord &L : Recorded->Launches) {
    auto Found = Places.find(L.Kernel);
    if (Found == Places.end())
      continue;
    KernelSummary &K = Kernels[Found->second];
    auto Add = [&](double &Sum, double Value) {
      if (Value >= 0)
        Sum = std::max(Sum, 0.0) + Value / Runs;
    };
    K.Launches += 1.0 / Runs;
    K.Seconds += double(L.End - L.Begin) * 1e-9 / Runs;
    Add(K.Flops, valueOf(L.Flops));
    Add(K.Bytes, valueOf(L.Bytes));
  }
  return Kernels;
}

MemoryPeak tool::findPeak(const fb::Program &P, const fb::Entry &E,
                          const SymbolValues &Symbols) {
  LifetimeWalk Walk(E);
  std::vector<uint64_t> Sizes(Walk.Lifetimes.size());
  std::vector<int64_t> Change(Walk.Steps.size() + 1);
  std::vector<std::vector<int64_t>> Shapes(Sizes.size());
  for (uint32_t B = 0; B < Sizes.size(); ++B) {
    const fb::Buffer &Buffer = *E.buffers()->Get(B);
    if (Buffer.kind() != fb::BufferKind::Temp ||
        Walk.Lifetimes[B].First == SIZE_MAX)
      continue;
    bool Known = true;
    for (uint32_t D = 0; Buffer.dims() && D < Buffer.dims()->size(); ++D) {
      auto Value = evaluate(
          P.exprs()->Get(Buffer.dims()->Get(D))->text()->str(), Symbols);
      Known &= Value.has_value();
      Shapes[B].push_back(Value.value_or(0));
    }
    if (Known)
      Sizes[B] =
          HostTensor::byteSize(DType(Buffer.dtype()), Shapes[B]).value_or(0);
    Change[Walk.Lifetimes[B].First] += int64_t(Sizes[B]);
    Change[Walk.Lifetimes[B].Last + 1] -= int64_t(Sizes[B]);
  }
  MemoryPeak Peak;
  size_t Where = 0;
  int64_t Live = 0;
  for (size_t S = 0; S < Walk.Steps.size(); ++S) {
    Live += Change[S];
    if (uint64_t(Live) > Peak.Bytes) {
      Peak.Bytes = uint64_t(Live);
      Where = S;
    }
  }
  if (!Peak.Bytes)
    return Peak;
  Peak.During = stepName(P, *Walk.Steps[Where]);
  for (uint32_t B = 0; B < Sizes.size(); ++B)
    if (Sizes[B] && Walk.Lifetimes[B].First <= Where &&
        Walk.Lifetimes[B].Last >= Where) {
      const fb::Buffer &Buffer = *E.buffers()->Get(B);
      Peak.Holders.push_back(
          {Buffer.name() && Buffer.name()->size() ? Buffer.name()->str()
                                                  : fmt::format("buffer {}", B),
           describe(DType(Buffer.dtype()), Shapes[B]), Sizes[B]});
    }
  std::sort(Peak.Holders.begin(), Peak.Holders.end(),
            [](auto &A, auto &B) { return A.Bytes > B.Bytes; });
  return Peak;
}
