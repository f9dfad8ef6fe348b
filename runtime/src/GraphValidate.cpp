//===- GraphValidate.cpp - Is a serialised graph well formed? -------------===//
//
// Files may be damaged or hostile: after this, every index, kind and expression
// of a graph can be used without a check.
//
//===----------------------------------------------------------------------===//

#include "GraphAccess.h"
#include "limosa/Support/DType.h"

#include <algorithm>
#include <unordered_map>

using namespace limosa;
using namespace limosa::runtime;

/// Graphs have numbers in place of strings.
static bool isComputed(uint8_t Type) {
  return dtypeBits(DType(Type)) != 0 && DType(Type) != DType::String;
}

namespace {

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
  Validator(const fb::Graph &G, limosa_graph &Out, std::string &Error)
      : G(G), Out(Out), Error(Error) {}

  bool run() {
    Out.Table = &G;
    if (!checkSymbols() || !checkValues())
      return false;
    if (!G.body())
      return fail("no body");
    States.resize(count(G.values()));
    return checkRegion(*G.body(), 0) && checkFunctions();
  }

private:
  static constexpr int MaxNesting = 32;

  bool fail(std::string What) {
    Error = "damaged graph '" + (G.name() ? G.name()->str() : std::string()) +
            "': " + std::move(What);
    return false;
  }

  bool checkSymbols() {
    std::unordered_map<std::string_view, uint32_t> Numbers;
    for (uint32_t I = 0; I < count(G.symbols()); ++I)
      if (!Numbers.emplace(G.symbols()->Get(I)->name()->string_view(), I)
               .second)
        return fail("symbol '" + G.symbols()->Get(I)->name()->str() +
                    "' is there twice");
    auto Lookup = [&](std::string_view Name) -> std::optional<uint32_t> {
      auto It = Numbers.find(Name);
      return It == Numbers.end() ? std::nullopt : std::optional(It->second);
    };
    for (uint32_t I = 0; I < count(G.exprs()); ++I) {
      std::string Why;
      auto E = SymbolExpr::parse(G.exprs()->Get(I)->text()->string_view(),
                                 Lookup, Why);
      if (!E)
        return fail(std::move(Why));
      Out.Exprs.push_back(std::move(*E));
    }
    return true;
  }

  bool checkExprs(const flatbuffers::Vector<uint32_t> *List) {
    for (uint32_t I = 0; I < count(List); ++I)
      if (List->Get(I) >= Out.Exprs.size())
        return fail("expression " + std::to_string(List->Get(I)) +
                    " does not exist");
    return true;
  }

  bool checkValues() {
    for (uint32_t I = 0; I < count(G.values()); ++I) {
      const fb::Value &V = *G.values()->Get(I);
      if (!isComputed(V.dtype()))
        return fail("value " + std::to_string(I) + " has no element type");
      if (!checkExprs(V.dims()))
        return false;
      if (!V.order() || V.order()->size() == 0)
        continue;
      std::vector<bool> Seen(count(V.dims()));
      if (V.order()->size() != Seen.size())
        return fail("value " + std::to_string(I) + " has a wrong order");
      for (uint8_t D : *V.order()) {
        if (D >= Seen.size() || Seen[D])
          return fail("value " + std::to_string(I) + " has a wrong order");
        Seen[D] = true;
      }
    }
    return true;
  }

  bool define(const flatbuffers::Vector<uint32_t> *List) {
    for (uint32_t I = 0; I < count(List); ++I) {
      uint32_t V = List->Get(I);
      if (V >= States.size())
        return fail("value " + std::to_string(V) + " does not exist");
      if (States[V] != State::Undefined)
        return fail("value " + std::to_string(V) + " is defined twice");
      States[V] = State::Visible;
      Scope.push_back(V);
    }
    return true;
  }

  bool use(const flatbuffers::Vector<uint32_t> *List) {
    for (uint32_t I = 0; I < count(List); ++I)
      if (List->Get(I) >= States.size() ||
          States[List->Get(I)] != State::Visible)
        return fail("value " + std::to_string(List->Get(I)) +
                    " is used before it is defined");
    return true;
  }

  bool checkAttr(const fb::Attr &A) {
    if (!aligned(A.ints()) || !aligned(A.floats()))
      return fail("attribute '" + A.name()->str() + "' is misplaced");
    switch (A.kind()) {
    case fb::AttrKind::DType:
      if (A.i() < 0 || A.i() > 255 || !isComputed(uint8_t(A.i())))
        return fail("attribute '" + A.name()->str() + "' is no element type");
      return true;
    case fb::AttrKind::Exprs:
      return checkExprs(A.exprs());
    default:
      if (A.kind() > fb::AttrKind::MAX)
        return fail("attribute '" + A.name()->str() +
                    "' has a kind this version does not know");
      return true;
    }
  }

  bool checkRegion(const fb::Region &R, int Nesting) {
    if (Nesting > MaxNesting)
      return fail("regions nested too deeply");
    size_t Outer = Scope.size();
    if (!define(R.args()))
      return false;
    for (uint32_t I = 0; I < count(R.ops()); ++I) {
      const fb::Op &Op = *R.ops()->Get(I);
      if (!use(Op.operands()))
        return false;
      for (uint32_t J = 0; J < count(Op.attrs()); ++J)
        if (!checkAttr(*Op.attrs()->Get(J)))
          return false;
      for (uint32_t J = 0; J < count(Op.regions()); ++J)
        if (!checkRegion(*Op.regions()->Get(J), Nesting + 1))
          return false;
      if (!define(Op.results()))
        return false;
    }
    if (!use(R.results()))
      return false;
    // What a region defines is not seen outside it.
    if (Nesting > 0)
      for (; Scope.size() > Outer; Scope.pop_back())
        States[Scope.back()] = State::Hidden;
    return true;
  }

  bool checkFunctions() {
    for (uint32_t I = 0; I < count(G.functions()); ++I) {
      const fb::Graph &F = *G.functions()->Get(I);
      if (count(F.functions()) != 0)
        return fail("functions nested in functions");
      auto Function = std::make_unique<limosa_graph>();
      if (!Validator(F, *Function, Error).run())
        return false;
      Out.Functions.push_back(std::move(Function));
    }
    return true;
  }

  const fb::Graph &G;
  limosa_graph &Out;
  std::string &Error;
  enum class State : uint8_t { Undefined, Visible, Hidden };
  std::vector<State> States;   // of the values
  std::vector<uint32_t> Scope; // visible values in the order of definition
};

} // namespace

std::unique_ptr<limosa_graph>
limosa::runtime::validateGraph(const fb::Graph &G, std::string &Error) {
  auto Result = std::make_unique<limosa_graph>();
  if (!Validator(G, *Result, Error).run())
    return nullptr;
  return Result;
}
