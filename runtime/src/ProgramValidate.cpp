//===- ProgramValidate.cpp - Is a program well formed? --------------------===//
//
// After this, whoever reads a program need not check an index, a kind or a
// range of a section, nor that an expression parses.
//
//===----------------------------------------------------------------------===//

#include "limosa/Runtime/LimFile.h"
#include "limosa/Runtime/SymbolExpr.h"
#include "limosa/Schema/program_generated.h"
#include "limosa/Support/DType.h"
#include "limosa/limosa.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

using namespace limosa;
using namespace limosa::runtime;

namespace {

constexpr uint32_t None = 0xffffffffu;

template <typename T> uint32_t count(const flatbuffers::Vector<T> *V) {
  return V ? V->size() : 0;
}

// FlatBuffers' verifier checks where a vector's length lies, not its elements.
template <typename T> bool aligned(const flatbuffers::Vector<T> *V) {
  // An empty vector has no elements to lie anywhere.
  return !V || V->size() == 0 ||
         reinterpret_cast<uintptr_t>(V->Data()) % alignof(T) == 0;
}

class Validator {
public:
  Validator(const fb::Program &P, uint64_t CodeSize, uint64_t DataSize)
      : P(P), CodeSize(CodeSize), DataSize(DataSize) {}

  Status run() {
    bool Ok = symbols() && strings() && executables() && kernels() &&
              constants() && states() && entries();
    return Ok ? Status() : corrupt("damaged file: " + Error);
  }

private:
  static constexpr int MaxNesting = 64;

  bool fail(std::string What) {
    Error = std::move(What);
    return false;
  }
  bool index(uint32_t I, uint32_t Count, const char *What) {
    return I < Count || fail(std::string(What) + " " + std::to_string(I) +
                             " of " + std::to_string(Count));
  }
  bool expr(uint32_t I) {
    return index(I, uint32_t(Exprs.size()), "expression");
  }
  bool dims(const flatbuffers::Vector<uint32_t> *Dims) {
    if (count(Dims) > LIMOSA_MAX_RANK)
      return fail("a tensor of rank " + std::to_string(count(Dims)));
    for (uint32_t I = 0; I < count(Dims); ++I)
      if (!expr(Dims->Get(I)))
        return false;
    return true;
  }
  /// Of what a program computes with; arguments may be strings as well.
  bool dtype(uint8_t Type, bool Argument = false) {
    return (dtypeBits(DType(Type)) != 0 &&
            (DType(Type) != DType::String || Argument)) ||
           fail("unknown element type " + std::to_string(Type));
  }

  bool symbols() {
    std::unordered_map<std::string_view, uint32_t> Numbers;
    for (uint32_t I = 0; I < count(P.symbols()); ++I) {
      const fb::Symbol &S = *P.symbols()->Get(I);
      if (!Numbers.emplace(S.name()->string_view(), I).second)
        return fail("symbol '" + S.name()->str() + "' is there twice");
      if (S.divisor() < 1)
        return fail("symbol '" + S.name()->str() + "' has a wrong divisor");
    }
    auto Lookup = [&](std::string_view Name) -> std::optional<uint32_t> {
      auto It = Numbers.find(Name);
      return It == Numbers.end() ? std::nullopt : std::optional(It->second);
    };
    for (uint32_t I = 0; I < count(P.exprs()); ++I) {
      auto E = SymbolExpr::parse(P.exprs()->Get(I)->text()->string_view(),
                                 Lookup, Error);
      if (!E)
        return false;
      Exprs.push_back(std::move(*E));
    }
    return true;
  }

  bool strings() {
    std::unordered_set<std::string_view> Seen;
    for (uint32_t I = 0; I < count(P.strings()); ++I)
      if (!Seen.insert(P.strings()->Get(I)->string_view()).second)
        return fail("a string is there twice");
    return count(P.strings()) == 0 || P.strings()->Get(0)->size() == 0 ||
           fail("the first string is not empty");
  }

  bool executables() {
    for (uint32_t I = 0; I < count(P.executables()); ++I) {
      const fb::Executable &E = *P.executables()->Get(I);
      if (!index(E.device(), count(P.devices()), "device"))
        return false;
      if (E.offset() > CodeSize || E.size() > CodeSize - E.offset())
        return fail("an executable lies outside the code section");
    }
    return true;
  }

  bool kernels() {
    for (uint32_t I = 0; I < count(P.kernels()); ++I) {
      const fb::Kernel &K = *P.kernels()->Get(I);
      if (!index(K.executable(), count(P.executables()), "executable") ||
          !expr(K.grid()) || !expr(K.scratch()) ||
          (K.flops() != None && !expr(K.flops())) ||
          (K.bytes() != None && !expr(K.bytes())))
        return false;
    }
    return true;
  }

  bool constants() {
    for (uint32_t I = 0; I < count(P.constants()); ++I) {
      const fb::Constant &C = *P.constants()->Get(I);
      if (!dtype(C.dtype()))
        return false;
      if (C.offset() > DataSize || C.size() > DataSize - C.offset())
        return fail("a constant lies outside the data section");
      if (C.offset() % LimItemAlignment)
        return fail("a constant is not aligned");
      if (!aligned(C.dims()))
        return fail("a constant has misplaced dimensions");
      int64_t Elements = 1;
      for (uint32_t D = 0; D < count(C.dims()); ++D)
        if (C.dims()->Get(D) < 0 ||
            __builtin_mul_overflow(Elements, C.dims()->Get(D), &Elements) ||
            Elements > INT64_MAX / 128)
          return fail("a constant has wrong dimensions");
      if (!C.packed() &&
          C.size() < uint64_t(dtypeBytes(DType(C.dtype()), Elements)))
        return fail("a constant is shorter than its dimensions say");
    }
    return true;
  }

  bool states() {
    for (uint32_t I = 0; I < count(P.states()); ++I) {
      const fb::State &S = *P.states()->Get(I);
      if (!dtype(S.dtype()) || !dims(S.dims()))
        return false;
      for (uint32_t D = 0; D < count(S.dims()); ++D)
        if (!Exprs[S.dims()->Get(D)].isConstant())
          return fail("state '" + S.name()->str() +
                      "' has a size that is not constant");
      if (S.init() != None &&
          !index(S.init(), count(P.constants()), "constant"))
        return false;
    }
    return true;
  }

  //===--------------------------------------------------------------------===//
  // Entries
  //===--------------------------------------------------------------------===//

  bool entries() {
    for (uint32_t I = 0; I < count(P.entries()); ++I) {
      Entry = P.entries()->Get(I);
      if (!arguments() || !buffers())
        return false;
      if (count(Entry->arenas()) > count(P.devices()))
        return fail("more arenas than devices");
      for (uint32_t A = 0; A < count(Entry->arenas()); ++A)
        if (!expr(Entry->arenas()->Get(A)))
          return false;
      if (!block(Entry->body(), 0))
        return false;
    }
    return true;
  }

  bool arguments() {
    for (uint32_t I = 0; I < count(Entry->inputs()); ++I) {
      const fb::Argument &A = *Entry->inputs()->Get(I);
      if (!dtype(A.dtype(), /*Argument=*/true) || !dims(A.dims()))
        return false;
    }
    for (uint32_t I = 0; I < count(Entry->outputs()); ++I) {
      const fb::Argument &A = *Entry->outputs()->Get(I);
      if (!dtype(A.dtype(), /*Argument=*/true) || !dims(A.dims()))
        return false;
      if (A.alias() < -1)
        return fail("output '" + A.name()->str() + "' has a wrong alias");
      if (A.alias() >= 0 &&
          !index(uint32_t(A.alias()),
                 A.alias_state() ? count(P.states()) : count(Entry->inputs()),
                 "alias"))
        return false;
      if (A.alias() >= 0 && A.alias_state() &&
          DType(A.dtype()) == DType::String)
        return fail("output '" + A.name()->str() +
                    "' holds strings, which no state can");
    }
    return true;
  }

  /// The numbers of strings are all that a buffer of strings can hold.
  bool argument(const fb::Buffer &B, const fb::Argument &A) {
    return DType(A.dtype()) != DType::String ||
           DType(B.dtype()) == DType::I64 ||
           fail("argument '" + A.name()->str() + "' of strings is no i64");
  }

  bool source(const fb::Buffer &B) {
    switch (B.kind()) {
    case fb::BufferKind::Temp:
      return expr(B.offset()) &&
             index(B.device(), count(Entry->arenas()), "arena");
    case fb::BufferKind::Constant:
      return index(B.source(), count(P.constants()), "constant");
    case fb::BufferKind::Input:
      return index(B.source(), count(Entry->inputs()), "input") &&
             argument(B, *Entry->inputs()->Get(B.source()));
    case fb::BufferKind::Output:
      return index(B.source(), count(Entry->outputs()), "output") &&
             argument(B, *Entry->outputs()->Get(B.source()));
    case fb::BufferKind::State:
      return index(B.source(), count(P.states()), "state");
    case fb::BufferKind::Dynamic:
      return B.source() == 0 || view(B);
    case fb::BufferKind::None:
      return true;
    }
    return fail("unknown kind of buffer");
  }

  /// A view of a buffer that is allocated while running.
  bool view(const fb::Buffer &B) {
    if (!index(B.source() - 1, count(Entry->buffers()), "buffer"))
      return false;
    const fb::Buffer &Of = *Entry->buffers()->Get(B.source() - 1);
    return (Of.kind() == fb::BufferKind::Dynamic && Of.source() == 0 &&
            Of.device() == B.device()) ||
           fail("a view of a buffer that is not allocated while running");
  }

  bool buffers() {
    for (uint32_t I = 0; I < count(Entry->buffers()); ++I) {
      const fb::Buffer &B = *Entry->buffers()->Get(I);
      if (!index(B.device(), count(P.devices()), "device") || !source(B))
        return false;
      if (B.kind() == fb::BufferKind::None)
        continue;
      if (!dtype(B.dtype()) || !dims(B.dims()))
        return false;
      if (!count(B.order()))
        continue;
      std::vector<bool> Seen(count(B.dims()));
      if (B.order()->size() != Seen.size())
        return fail("a buffer has a wrong order");
      for (uint8_t D : *B.order()) {
        if (D >= Seen.size() || Seen[D])
          return fail("a buffer has a wrong order");
        Seen[D] = true;
      }
    }
    return true;
  }

  /// A buffer of a known type; `Type` Invalid accepts any.
  bool buffer(uint32_t I, DType Type = DType::Invalid) {
    if (!index(I, count(Entry->buffers()), "buffer"))
      return false;
    const fb::Buffer &B = *Entry->buffers()->Get(I);
    if (B.kind() == fb::BufferKind::None)
      return fail("an instruction uses an absent buffer");
    if (Type != DType::Invalid && DType(B.dtype()) != Type)
      return fail("a buffer has a wrong element type");
    return true;
  }
  bool dynamic(uint32_t I) {
    if (!buffer(I))
      return false;
    const fb::Buffer &B = *Entry->buffers()->Get(I);
    return (B.kind() == fb::BufferKind::Dynamic && B.source() == 0) ||
           fail("only dynamic buffers are allocated and freed");
  }
  bool symbol(uint32_t I) { return index(I, count(P.symbols()), "symbol"); }

  bool launch(const fb::Launch &L) {
    if (!index(L.kernel(), count(P.kernels()), "kernel"))
      return false;
    const fb::Kernel &K = *P.kernels()->Get(L.kernel());
    if (count(K.args()) && count(K.args()) != count(L.buffers()))
      return fail("kernel '" + K.name()->str() + "' is given " +
                  std::to_string(count(L.buffers())) + " buffers and takes " +
                  std::to_string(count(K.args())));
    for (uint32_t I = 0; I < count(L.buffers()); ++I)
      if (!index(L.buffers()->Get(I), count(Entry->buffers()), "buffer"))
        return false;
    for (uint32_t I = 0; I < count(L.symbols()); ++I)
      if (!symbol(L.symbols()->Get(I)))
        return false;
    return true;
  }

  /// What a host operator takes or gives: a row-major tensor.
  bool hostTensor(uint32_t I) {
    return buffer(I) && (!count(Entry->buffers()->Get(I)->order()) ||
                         fail("a host operator's tensor is not row-major"));
  }

  bool hostOp(const fb::HostOp &H) {
    if (!H.name() || H.version() < 1)
      return fail("a host operator without a name or version");
    if (!aligned(H.inputs()) || !aligned(H.outputs()) || !aligned(H.symbols()))
      return fail("a host operator has a misplaced list");
    for (uint32_t I = 0; I < count(H.inputs()); ++I)
      if (H.inputs()->Get(I) != None && !hostTensor(H.inputs()->Get(I)))
        return false;
    for (uint32_t I = 0; I < count(H.outputs()); ++I) {
      if (!hostTensor(H.outputs()->Get(I)))
        return false;
      fb::BufferKind Kind = Entry->buffers()->Get(H.outputs()->Get(I))->kind();
      if (Kind == fb::BufferKind::Constant || Kind == fb::BufferKind::Input)
        return fail("a host operator writes to a constant or an input");
    }
    for (uint32_t I = 0; I < count(H.symbols()); ++I)
      if (!symbol(H.symbols()->Get(I)))
        return false;
    if (!hostStrings(H.string_inputs(), H.inputs()) ||
        !hostStrings(H.string_outputs(), H.outputs()))
      return false;
    for (uint32_t I = 0; I < count(H.attrs()); ++I)
      if (!hostAttribute(*H.attrs()->Get(I)))
        return false;
    return true;
  }

  /// Which of a host operator's tensors are strings.
  bool hostStrings(const flatbuffers::Vector<uint32_t> *Which,
                   const flatbuffers::Vector<uint32_t> *Tensors) {
    if (!aligned(Which))
      return fail("a host operator has a misplaced list");
    for (uint32_t I = 0; I < count(Which); ++I)
      if (!index(Which->Get(I), count(Tensors), "tensor of strings") ||
          !buffer(Tensors->Get(Which->Get(I)), DType::I64))
        return false;
    return true;
  }

  bool hostAttribute(const fb::Attr &A) {
    switch (A.kind()) {
    case fb::AttrKind::Int:
    case fb::AttrKind::Float:
    case fb::AttrKind::String:
    case fb::AttrKind::Strings:
      return true;
    case fb::AttrKind::Ints:
      return aligned(A.ints()) || fail("an attribute has a misplaced list");
    case fb::AttrKind::Floats:
      return aligned(A.floats()) || fail("an attribute has a misplaced list");
    case fb::AttrKind::Data:
      break;
    default:
      return fail("an attribute of a kind that host operators do not have");
    }
    if (A.i() < 0 || A.i() > 255 || !dtype(uint8_t(A.i())))
      return fail("an attribute has an unknown element type");
    if (!aligned(A.ints()) || count(A.ints()) > LIMOSA_MAX_RANK)
      return fail("an attribute has wrong dimensions");
    int64_t Elements = 1;
    for (uint32_t D = 0; D < count(A.ints()); ++D)
      if (A.ints()->Get(D) < 0 ||
          __builtin_mul_overflow(Elements, A.ints()->Get(D), &Elements) ||
          Elements > INT64_MAX / 128)
        return fail("an attribute has wrong dimensions");
    return count(A.data()) == uint64_t(dtypeBytes(DType(A.i()), Elements)) ||
           fail("an attribute has another size than its dimensions say");
  }

  bool block(const fb::Block *B, int Nesting) {
    if (Nesting > MaxNesting)
      return fail("blocks nested too deeply");
    if (!B || !B->steps())
      return true;
    for (const fb::Step *S : *B->steps())
      if (!S->instr() || !step(*S, Nesting))
        return Error.empty() ? fail("an empty step") : false;
    return true;
  }

  bool step(const fb::Step &S, int Nesting) {
    switch (S.instr_type()) {
    case fb::Instr::Launch:
      return launch(*S.instr_as_Launch());
    case fb::Instr::Copy: {
      const fb::Copy &C = *S.instr_as_Copy();
      return buffer(C.src()) && buffer(C.dst()) &&
             buffer(C.dst(), DType(Entry->buffers()->Get(C.src())->dtype())) &&
             (count(Entry->buffers()->Get(C.src())->dims()) ==
                  count(Entry->buffers()->Get(C.dst())->dims()) ||
              fail("a copy between different ranks"));
    }
    case fb::Instr::BindSymbol:
      return symbol(S.instr_as_BindSymbol()->symbol()) &&
             buffer(S.instr_as_BindSymbol()->buffer(), DType::I64);
    case fb::Instr::SetSymbol:
      return symbol(S.instr_as_SetSymbol()->symbol()) &&
             expr(S.instr_as_SetSymbol()->expr());
    case fb::Instr::StoreExprs: {
      const fb::StoreExprs &X = *S.instr_as_StoreExprs();
      for (uint32_t I = 0; I < count(X.exprs()); ++I)
        if (!expr(X.exprs()->Get(I)))
          return false;
      return buffer(X.buffer(), DType::I64);
    }
    case fb::Instr::Alloc:
      return dynamic(S.instr_as_Alloc()->buffer());
    case fb::Instr::Free:
      return dynamic(S.instr_as_Free()->buffer());
    case fb::Instr::Swap:
      return swap(*S.instr_as_Swap());
    case fb::Instr::If: {
      const fb::If &X = *S.instr_as_If();
      return buffer(X.condition(), DType::Bool) &&
             block(X.then_block(), Nesting + 1) &&
             block(X.else_block(), Nesting + 1);
    }
    case fb::Instr::While: {
      const fb::While &X = *S.instr_as_While();
      return buffer(X.condition(), DType::Bool) &&
             block(X.before(), Nesting + 1) && block(X.body(), Nesting + 1);
    }
    case fb::Instr::Assert:
      return buffer(S.instr_as_Assert()->condition(), DType::Bool);
    case fb::Instr::AssertExpr:
      return expr(S.instr_as_AssertExpr()->lhs()) &&
             expr(S.instr_as_AssertExpr()->rhs());
    case fb::Instr::HostOp:
      return hostOp(*S.instr_as_HostOp());
    case fb::Instr::Wait:
      return index(S.instr_as_Wait()->timeline(), count(P.devices()),
                   "timeline");
    case fb::Instr::NONE:
      break;
    }
    return fail("an instruction this runtime does not know");
  }

  /// Swapped buffers have to be alike in everything but where they lie.
  bool swap(const fb::Swap &S) {
    if (!buffer(S.a()) || !buffer(S.b()))
      return false;
    const fb::Buffer &A = *Entry->buffers()->Get(S.a());
    const fb::Buffer &B = *Entry->buffers()->Get(S.b());
    if (A.dtype() != B.dtype() || A.device() != B.device())
      return fail("a swap between different kinds of buffers");
    bool Dynamic = A.kind() == fb::BufferKind::Dynamic;
    if (Dynamic != (B.kind() == fb::BufferKind::Dynamic))
      return fail("a swap between different kinds of buffers");
    if (Dynamic && (A.source() || B.source()))
      return fail("a swap of a view");
    for (const fb::Buffer *X : {&A, &B})
      if (X->kind() == fb::BufferKind::Constant ||
          X->kind() == fb::BufferKind::Input)
        return fail("a swap with a constant or an input");
    return true;
  }

  const fb::Program &P;
  uint64_t CodeSize, DataSize;
  std::vector<SymbolExpr> Exprs;
  const fb::Entry *Entry = nullptr;
  std::string Error;
};

} // namespace

Status limosa::runtime::validateProgram(const fb::Program &P, uint64_t CodeSize,
                                        uint64_t DataSize) {
  return Validator(P, CodeSize, DataSize).run();
}
