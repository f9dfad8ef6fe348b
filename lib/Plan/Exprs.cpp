//===- Exprs.cpp - Expressions and symbols of a program -------------------===//

#include "Exprs.h"

#include "limosa/IR/Symbols.h"

using namespace mlir;

namespace limosa::plan {

uint32_t ExprTable::symbol(llvm::StringRef Name) {
  auto [It, IsNew] = Symbols.try_emplace(Name, Program.symbols.size());
  if (IsNew) {
    auto S = std::make_unique<fb::SymbolT>();
    S->name = Name.str();
    SymbolAttr Info = getSymbolInfo(Module, Name);
    S->min = Info.getMin();
    S->max = Info.getMax();
    S->divisor = Info.getDivisor();
    S->bound = Info.getBound().str();
    Program.symbols.push_back(std::move(S));
  }
  return It->second;
}

uint32_t ExprTable::add(const DimExpr &E) {
  std::string Text = E.toString();
  auto [It, IsNew] = Exprs.try_emplace(Text, Program.exprs.size());
  if (IsNew) {
    auto X = std::make_unique<fb::ExprT>();
    X->text = Text;
    Program.exprs.push_back(std::move(X));
    for (const std::string &S : E.symbols())
      symbol(S);
  }
  return It->second;
}

std::vector<uint32_t> ExprTable::add(llvm::ArrayRef<DimExpr> Es) {
  std::vector<uint32_t> Out;
  for (const DimExpr &E : Es)
    Out.push_back(add(E));
  return Out;
}

std::string ExprTable::freshSymbol(llvm::StringRef Hint) {
  std::string Name = makeFreshSymbol(Module, Hint, getSymbolInfo(Module, Hint));
  symbol(Name);
  return Name;
}

SizeBounds::SizeBounds(ModuleOp Module, TypeRange Inputs) : Module(Module) {
  for (Type Ty : Inputs)
    for (const DimExpr &E : getDims(Ty))
      if (auto S = E.asSymbol())
        Known.insert(llvm::StringRef(S->data(), S->size()));
}

bool SizeBounds::isKnown(const DimExpr &E) const {
  return llvm::all_of(E.symbols(),
                      [&](const std::string &S) { return Known.contains(S); });
}

std::optional<DimExpr> SizeBounds::upperAtom(const DimAtom &A,
                                             unsigned Depth) const {
  switch (A.Kind) {
  case DimAtomKind::Symbol: {
    if (Known.contains(A.Text))
      return DimExpr::symbol(A.Text);
    if (auto It = Defined.find(A.Text); It != Defined.end())
      return upper(It->second, Depth + 1);
    SymbolAttr Info = getSymbolInfo(Module, A.Text);
    if (!Info.getBound().empty())
      if (auto Bound = DimExpr::parse(Info.getBound()))
        if (auto U = upper(*Bound, Depth + 1))
          return U;
    // A range is only a bound worth reserving if it is small.
    constexpr int64_t MaxReserved = 1024;
    if (Info.getMax() <= MaxReserved)
      return DimExpr(Info.getMax());
    return std::nullopt;
  }
  case DimAtomKind::FloorDiv: {
    auto Divisor = A.Args[1].constant();
    if (!Divisor || *Divisor <= 0)
      return std::nullopt;
    auto U = upper(A.Args[0], Depth);
    if (!U)
      return std::nullopt;
    return DimExpr::floorDiv(*U, A.Args[1]);
  }
  case DimAtomKind::Mod:
    if (auto Divisor = upper(A.Args[1], Depth))
      return *Divisor - 1;
    return upper(A.Args[0], Depth);
  case DimAtomKind::Min: {
    auto L = upper(A.Args[0], Depth), R = upper(A.Args[1], Depth);
    if (L && R)
      return DimExpr::min(*L, *R);
    return L ? L : R;
  }
  case DimAtomKind::Max: {
    auto L = upper(A.Args[0], Depth), R = upper(A.Args[1], Depth);
    if (L && R)
      return DimExpr::max(*L, *R);
    return std::nullopt;
  }
  }
  return std::nullopt;
}

std::optional<DimExpr> SizeBounds::upper(const DimExpr &E,
                                         unsigned Depth) const {
  if (Depth > 8) // bounds that name each other
    return std::nullopt;
  if (isKnown(E))
    return E;
  DimExpr Sum;
  for (const DimExpr::Term &T : E.terms()) {
    DimExpr Product(T.Coefficient);
    bool IsKnown = true, OnlySymbols = true;
    std::optional<DimExpr> Bound = DimExpr(T.Coefficient);
    for (const DimExpr::Atom &A : T.Factors) {
      OnlySymbols &= A->Kind == DimAtomKind::Symbol;
      IsKnown &= A->Kind == DimAtomKind::Symbol
                     ? Known.contains(A->Text)
                     : llvm::all_of(A->Args, [&](const DimExpr &Arg) {
                         return isKnown(Arg);
                       });
      if (Bound) {
        auto U = upperAtom(*A, Depth);
        Bound = U ? std::optional(*Bound * *U) : std::nullopt;
      }
    }
    // What is subtracted is at least 0 if it is a product of sizes; if it is
    // known it is subtracted as it is.
    if (T.Coefficient < 0 && !IsKnown) {
      if (!OnlySymbols)
        return std::nullopt;
      continue;
    }
    if (!Bound)
      return std::nullopt;
    Sum = Sum + *Bound;
  }
  return Sum;
}

DimExpr tensorBytes(DType T, const DimExpr &Elements) {
  unsigned Bits = dtypeBits(T);
  if (Bits % 8 == 0)
    return Elements * DimExpr(Bits / 8);
  return DimExpr::ceilDiv(Elements * DimExpr(Bits), 8);
}

} // namespace limosa::plan
