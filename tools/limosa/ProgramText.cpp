//===- ProgramText.cpp - A compiled program as text -----------------------===//
//
//   entry main(x: f32[N, 64]) -> (y: f32[N, 10])
//   arena cpu: 256*N bytes
//   %2 = temp f32[N, 64] at 0
//   launch k0_contract(%0, %3, %2)
//   while %5 {
//
//===----------------------------------------------------------------------===//

#include "ProgramText.h"

#include "limosa/Support/DType.h"
#include <fmt/format.h>

using namespace limosa;
using namespace limosa::tool;

namespace {

using Indices = flatbuffers::Vector<uint32_t>;

class Writer {
public:
  Writer(const fb::Program &P, const fb::Entry &E) : P(P), E(E) {}

  std::string write() {
    line("entry {}({}) -> ({})", E.name()->string_view(),
         arguments(E.inputs(), false), arguments(E.outputs(), true));
    for (uint32_t D = 0; E.arenas() && D < E.arenas()->size(); ++D)
      line("arena {}: {} bytes", P.devices()->Get(D)->name()->string_view(),
           expr(E.arenas()->Get(D)));
    for (uint32_t B = 0; E.buffers() && B < E.buffers()->size(); ++B)
      buffer(B, *E.buffers()->Get(B));
    block(E.body());
    return std::move(Text);
  }

private:
  template <typename... Args>
  void line(fmt::format_string<Args...> Format, Args &&...Values) {
    Text.append(2 * Depth, ' ');
    fmt::format_to(std::back_inserter(Text), Format,
                   std::forward<Args>(Values)...);
    Text += '\n';
  }

  std::string_view expr(uint32_t Index) const {
    return P.exprs()->Get(Index)->text()->string_view();
  }
  std::string_view symbol(uint32_t Index) const {
    return P.symbols()->Get(Index)->name()->string_view();
  }

  /// Elements of a list, each as `One` writes it.
  template <typename Fn>
  static std::string joined(const Indices *List, Fn One) {
    std::string Result;
    for (uint32_t I = 0; List && I < List->size(); ++I)
      Result += fmt::format("{}{}", I ? ", " : "", One(List->Get(I)));
    return Result;
  }
  static std::string buffers(const Indices *List) {
    return joined(List, [](uint32_t B) { return fmt::format("%{}", B); });
  }

  std::string type(uint8_t Element, const Indices *Dims) const {
    return fmt::format("{}[{}]", dtypeName(DType(Element)),
                       joined(Dims, [&](uint32_t D) { return expr(D); }));
  }

  std::string
  arguments(const flatbuffers::Vector<flatbuffers::Offset<fb::Argument>> *List,
            bool Results) const {
    std::string Result;
    for (uint32_t I = 0; List && I < List->size(); ++I) {
      const fb::Argument &A = *List->Get(I);
      Result += fmt::format("{}{}: {}", I ? ", " : "", A.name()->string_view(),
                            type(A.dtype(), A.dims()));
      if (!Results || A.alias() < 0)
        continue;
      Result +=
          A.alias_state()
              ? fmt::format(" in state {}",
                            P.states()->Get(A.alias())->name()->string_view())
              : fmt::format(" in {}",
                            E.inputs()->Get(A.alias())->name()->string_view());
    }
    return Result;
  }

  std::string place(const fb::Buffer &B) const {
    switch (B.kind()) {
    case fb::BufferKind::Temp:
      return fmt::format("at {}", expr(B.offset()));
    case fb::BufferKind::Constant: {
      const fb::Constant &C = *P.constants()->Get(B.source());
      return C.packed() && C.packed()->size()
                 ? fmt::format("packed {}", C.packed()->string_view())
                 : std::string();
    }
    case fb::BufferKind::Input:
      return std::string(E.inputs()->Get(B.source())->name()->string_view());
    case fb::BufferKind::Output:
      return std::string(E.outputs()->Get(B.source())->name()->string_view());
    case fb::BufferKind::State:
      return std::string(P.states()->Get(B.source())->name()->string_view());
    case fb::BufferKind::Dynamic:
      return B.source() ? fmt::format("view of %{}", B.source() - 1)
                        : std::string();
    default:
      return {};
    }
  }

  void buffer(uint32_t Index, const fb::Buffer &B) {
    static constexpr std::string_view Kinds[] = {
        "unused", "temp", "constant", "input", "output", "state", "dynamic"};
    std::string Where = place(B);
    std::string Order;
    for (uint32_t I = 0; B.order() && I < B.order()->size(); ++I)
      Order += fmt::format("{}{}", I ? "," : " order ", B.order()->Get(I));
    line("%{} = {} {}{}{}{}{}", Index, Kinds[size_t(B.kind())],
         type(B.dtype(), B.dims()), Order, Where.empty() ? "" : " ", Where,
         B.device()
             ? fmt::format(" on {}",
                           P.devices()->Get(B.device())->name()->string_view())
             : "");
  }

  void block(const fb::Block *B) {
    for (uint32_t I = 0; B && B->steps() && I < B->steps()->size(); ++I)
      step(*B->steps()->Get(I));
  }
  void nested(const fb::Block *B) {
    ++Depth;
    block(B);
    --Depth;
  }

  void step(const fb::Step &S) {
    switch (S.instr_type()) {
    case fb::Instr::Launch: {
      const fb::Launch &L = *S.instr_as_Launch();
      const fb::Kernel &K = *P.kernels()->Get(L.kernel());
      return line("launch {}({}) tiles {}", K.name()->string_view(),
                  buffers(L.buffers()), expr(K.grid()));
    }
    case fb::Instr::Copy:
      return line("%{} = copy %{}", S.instr_as_Copy()->dst(),
                  S.instr_as_Copy()->src());
    case fb::Instr::BindSymbol: {
      const fb::BindSymbol &B = *S.instr_as_BindSymbol();
      return line("{} = %{}[{}]", symbol(B.symbol()), B.buffer(), B.element());
    }
    case fb::Instr::SetSymbol:
      return line("{} = {}", symbol(S.instr_as_SetSymbol()->symbol()),
                  expr(S.instr_as_SetSymbol()->expr()));
    case fb::Instr::StoreExprs:
      return line("%{} = values {}", S.instr_as_StoreExprs()->buffer(),
                  joined(S.instr_as_StoreExprs()->exprs(),
                         [&](uint32_t X) { return expr(X); }));
    case fb::Instr::Alloc:
      return line("alloc %{}", S.instr_as_Alloc()->buffer());
    case fb::Instr::Free:
      return line("free %{}", S.instr_as_Free()->buffer());
    case fb::Instr::Swap:
      return line("swap %{}, %{}", S.instr_as_Swap()->a(),
                  S.instr_as_Swap()->b());
    case fb::Instr::If:
      line("if %{} {{", S.instr_as_If()->condition());
      nested(S.instr_as_If()->then_block());
      line("}} else {{");
      nested(S.instr_as_If()->else_block());
      return line("}}");
    case fb::Instr::While:
      line("before {{");
      nested(S.instr_as_While()->before());
      line("}} while %{} {{", S.instr_as_While()->condition());
      nested(S.instr_as_While()->body());
      return line("}}");
    case fb::Instr::Assert:
      return line("assert %{}", S.instr_as_Assert()->condition());
    case fb::Instr::AssertExpr:
      return line("assert {} == {}", expr(S.instr_as_AssertExpr()->lhs()),
                  expr(S.instr_as_AssertExpr()->rhs()));
    case fb::Instr::HostOp: {
      const fb::HostOp &H = *S.instr_as_HostOp();
      std::string Inputs = joined(H.inputs(), [](uint32_t B) {
        return B == 0xffffffff ? std::string("_") : fmt::format("%{}", B);
      });
      std::string Found =
          joined(H.symbols(), [&](uint32_t X) { return symbol(X); });
      return line("{}{}{} = host {}({})", buffers(H.outputs()),
                  Found.empty() ? "" : ", ", Found, H.name()->string_view(),
                  Inputs);
    }
    case fb::Instr::Wait:
      return line("wait {} for {}", S.instr_as_Wait()->timeline(),
                  S.instr_as_Wait()->value());
    default:
      return line("nothing");
    }
  }

  const fb::Program &P;
  const fb::Entry &E;
  std::string Text;
  unsigned Depth = 0;
};

} // namespace

std::string tool::programText(const fb::Program &P, const fb::Entry &E) {
  return Writer(P, E).write();
}
