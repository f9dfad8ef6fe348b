//===- Lower.cpp - From the file's tables to flat code --------------------===//

#include "Lowered.h"

#include <algorithm>
#include <unordered_map>

using namespace limosa;
using namespace limosa::runtime;

namespace {

template <typename T> std::span<const T> span(const flatbuffers::Vector<T> *V) {
  return V ? std::span<const T>(V->data(), V->size()) : std::span<const T>();
}

class EntryLowering {
public:
  EntryLowering(const fb::Program &P, const fb::Entry &E,
                std::span<const SymbolExpr> Exprs, LoweredEntry &Out)
      : P(P), E(E), Exprs(Exprs), Out(Out) {}

  void run() {
    Out.Table = &E;
    for (const auto *List : {E.inputs(), E.outputs()})
      for (uint32_t A = 0; List && A < List->size(); ++A)
        Out.Strings |= DType(List->Get(A)->dtype()) == DType::String;
    for (uint32_t I = 0; E.buffers() && I < E.buffers()->size(); ++I) {
      const fb::Buffer *B = E.buffers()->Get(I);
      bool Dynamic = B->kind() == fb::BufferKind::Dynamic;
      LoweredBuffer L = {};
      L.Kind = B->kind();
      L.Type = DType(B->dtype());
      L.Lazy = Dynamic || B->kind() == fb::BufferKind::Output;
      L.Device = B->device();
      L.Source = B->source();
      L.Home = Dynamic && B->source() ? B->source() - 1 : I;
      L.Offset = B->offset();
      L.Dims = span(B->dims());
      L.Order = span(B->order());
      L.Name = B->name() ? B->name()->c_str() : "";
      Out.Buffers.push_back(L);
    }
    Out.OutputNeedsValue.resize(E.outputs() ? E.outputs()->size() : 0);
    Seen.resize(Out.OutputNeedsValue.size());
    block(E.body());
  }

private:
  uint32_t here() const { return uint32_t(Out.Code.size()); }
  void emit(Instruction I) { Out.Code.push_back(I); }

  /// Notes the first use of an output's buffer.
  void use(uint32_t Buffer, bool Reads) {
    const LoweredBuffer &B = Out.Buffers[Buffer];
    if (B.Kind != fb::BufferKind::Output || Seen[B.Source])
      return;
    Seen[B.Source] = true;
    Out.OutputNeedsValue[B.Source] = Reads;
  }

  void block(const fb::Block *B) {
    if (B && B->steps())
      for (const fb::Step *S : *B->steps())
        step(*S);
  }

  void launch(const fb::Launch &L) {
    LoweredLaunch Launch = {L.kernel(), false, span(L.buffers()),
                            span(L.symbols())};
    auto Args = span(P.kernels()->Get(L.kernel())->args());
    for (size_t I = 0; I < Launch.Buffers.size(); ++I) {
      Launch.HasLazy |= Out.Buffers[Launch.Buffers[I]].Lazy;
      bool Writes =
          I < Args.size() && fb::KernelArg(Args[I]) == fb::KernelArg::Out;
      use(Launch.Buffers[I], !Writes);
    }
    emit({Opcode::Launch, uint32_t(Out.Launches.size())});
    Out.Launches.push_back(Launch);
  }

  void hostOp(const fb::HostOp &H) {
    LoweredHostOp Call;
    Call.Table = &H;
    Call.Inputs = span(H.inputs());
    Call.Outputs = span(H.outputs());
    Call.Symbols = span(H.symbols());
    for (uint32_t B : Call.Inputs)
      if (B != NoIndex)
        use(B, true);
    for (uint32_t B : Call.Outputs) {
      use(B, false);
      Call.Open.push_back(std::any_of(
          Out.Buffers[B].Dims.begin(), Out.Buffers[B].Dims.end(),
          [&](uint32_t D) {
            auto Symbol = Exprs[D].asSymbol();
            return Symbol && std::find(Call.Symbols.begin(), Call.Symbols.end(),
                                       *Symbol) != Call.Symbols.end();
          }));
    }
    Call.StringInputs.resize(Call.Inputs.size());
    for (uint32_t K : span(H.string_inputs()))
      Call.StringInputs[K] = true;
    Call.StringOutputs.resize(Call.Outputs.size());
    for (uint32_t K : span(H.string_outputs()))
      Call.StringOutputs[K] = true;
    Call.AttributeMemory = std::make_shared<OperatorAttributes>();
    for (uint32_t A = 0; H.attrs() && A < H.attrs()->size(); ++A)
      attribute(*H.attrs()->Get(A), *Call.AttributeMemory);
    Call.Attributes = Call.AttributeMemory->list();
    emit({Opcode::HostOp, uint32_t(Out.HostOps.size())});
    Out.HostOps.push_back(std::move(Call));
  }

  template <typename T>
  static std::vector<T> list(const flatbuffers::Vector<T> *V) {
    return V ? std::vector<T>(V->begin(), V->end()) : std::vector<T>();
  }

  static void attribute(const fb::Attr &A, OperatorAttributes &List) {
    std::string_view Name = A.name()->string_view();
    switch (A.kind()) {
    case fb::AttrKind::Int:
      return List.addInt(Name, A.i());
    case fb::AttrKind::Float:
      return List.addFloat(Name, A.f());
    case fb::AttrKind::String:
      return List.addString(Name, A.s() ? A.s()->string_view() : "");
    case fb::AttrKind::Ints:
      return List.addInts(Name, list(A.ints()));
    case fb::AttrKind::Floats:
      return List.addFloats(Name, list(A.floats()));
    case fb::AttrKind::Strings: {
      std::vector<std::string> Texts;
      for (uint32_t I = 0; A.strings() && I < A.strings()->size(); ++I)
        Texts.push_back(A.strings()->Get(I)->str());
      return List.addStrings(Name, std::move(Texts));
    }
    case fb::AttrKind::Data:
      return List.addTensor(Name, DType(A.i()), list(A.ints()), span(A.data()));
    default:
      return; // refused by validateProgram
    }
  }

  void step(const fb::Step &S) {
    switch (S.instr_type()) {
    case fb::Instr::Launch:
      return launch(*S.instr_as_Launch());
    case fb::Instr::Copy:
      use(S.instr_as_Copy()->src(), true);
      use(S.instr_as_Copy()->dst(), false);
      return emit(
          {Opcode::Copy, S.instr_as_Copy()->src(), S.instr_as_Copy()->dst()});
    case fb::Instr::BindSymbol: {
      const fb::BindSymbol &B = *S.instr_as_BindSymbol();
      use(B.buffer(), true);
      return emit({Opcode::BindSymbol, B.symbol(), B.buffer(), B.element()});
    }
    case fb::Instr::SetSymbol:
      return emit({Opcode::SetSymbol, S.instr_as_SetSymbol()->symbol(),
                   S.instr_as_SetSymbol()->expr()});
    case fb::Instr::StoreExprs:
      use(S.instr_as_StoreExprs()->buffer(), false);
      return emit({Opcode::StoreExprs, S.instr_as_StoreExprs()->buffer(), 0, 0,
                   S.instr()});
    case fb::Instr::Alloc:
      return emit({Opcode::Alloc, S.instr_as_Alloc()->buffer()});
    case fb::Instr::Free:
      return emit({Opcode::Free, S.instr_as_Free()->buffer()});
    case fb::Instr::Swap:
      use(S.instr_as_Swap()->a(), true);
      use(S.instr_as_Swap()->b(), true);
      return emit(
          {Opcode::Swap, S.instr_as_Swap()->a(), S.instr_as_Swap()->b()});
    case fb::Instr::If: {
      const fb::If &I = *S.instr_as_If();
      use(I.condition(), true);
      uint32_t Branch = here();
      emit({Opcode::JumpUnless, 0, I.condition()});
      block(I.then_block());
      uint32_t Leave = here();
      emit({Opcode::Jump});
      Out.Code[Branch].A = here();
      block(I.else_block());
      Out.Code[Leave].A = here();
      return;
    }
    case fb::Instr::While: {
      const fb::While &W = *S.instr_as_While();
      uint32_t Begin = here();
      block(W.before());
      use(W.condition(), true);
      uint32_t Leave = here();
      emit({Opcode::JumpUnless, 0, W.condition()});
      block(W.body());
      emit({Opcode::Jump, Begin});
      Out.Code[Leave].A = here();
      return;
    }
    case fb::Instr::Assert:
      use(S.instr_as_Assert()->condition(), true);
      return emit(
          {Opcode::Assert, S.instr_as_Assert()->condition(), 0, 0, S.instr()});
    case fb::Instr::AssertExpr:
      return emit({Opcode::AssertExpr, S.instr_as_AssertExpr()->lhs(),
                   S.instr_as_AssertExpr()->rhs(), 0, S.instr()});
    case fb::Instr::Wait:
      return emit({Opcode::Wait, S.instr_as_Wait()->timeline()});
    case fb::Instr::HostOp:
      return hostOp(*S.instr_as_HostOp());
    case fb::Instr::NONE:
      return; // refused by validateProgram
    }
  }

  const fb::Program &P;
  const fb::Entry &E;
  std::span<const SymbolExpr> Exprs;
  LoweredEntry &Out;
  std::vector<bool> Seen;
};

} // namespace

void limosa::runtime::lowerProgram(const fb::Program &P, LoweredProgram &Out) {
  Out.Table = &P;
  Out.Strings.fill(P);
  std::unordered_map<std::string_view, uint32_t> Numbers;
  if (P.symbols())
    for (uint32_t I = 0; I < P.symbols()->size(); ++I)
      Numbers.emplace(P.symbols()->Get(I)->name()->string_view(), I);
  auto Lookup = [&](std::string_view Name) -> std::optional<uint32_t> {
    return Numbers.find(Name)->second;
  };
  std::string Error;
  if (P.exprs())
    for (const fb::Expr *E : *P.exprs())
      Out.Exprs.push_back(
          *SymbolExpr::parse(E->text()->string_view(), Lookup, Error));
  if (P.entries()) {
    Out.Entries.resize(P.entries()->size());
    for (uint32_t I = 0; I < P.entries()->size(); ++I)
      EntryLowering(P, *P.entries()->Get(I), Out.Exprs, Out.Entries[I]).run();
  }
}
