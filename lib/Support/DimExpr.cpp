//===- DimExpr.cpp - Integer expressions over symbolic dimensions ---------===//

#include "limosa/Support/DimExpr.h"

#include <algorithm>
#include <cctype>
#include <numeric>

using namespace limosa;

namespace {

using Atom = DimExpr::Atom;
using Factors = std::vector<Atom>;

int compareFactors(const Factors &A, const Factors &B) {
  for (size_t I = 0; I < A.size() && I < B.size(); ++I)
    if (int C = A[I]->Text.compare(B[I]->Text))
      return C;
  return A.size() < B.size() ? -1 : A.size() > B.size();
}

// Symbolic sums come first and the constant last: "N + 1" rather than "1 + N".
bool termLess(const Factors &A, const Factors &B) {
  if (A.empty() || B.empty())
    return !A.empty() && B.empty();
  return compareFactors(A, B) < 0;
}

int64_t floorDivInt(int64_t A, int64_t B) {
  int64_t Q = A / B;
  return (A % B != 0 && ((A < 0) != (B < 0))) ? Q - 1 : Q;
}

const char *kindName(DimAtomKind Kind) {
  switch (Kind) {
  case DimAtomKind::FloorDiv:
    return "floordiv";
  case DimAtomKind::Mod:
    return "mod";
  case DimAtomKind::Min:
    return "min";
  case DimAtomKind::Max:
    return "max";
  case DimAtomKind::Symbol:
    break;
  }
  return "";
}

std::optional<int64_t> evaluateBinary(DimAtomKind Kind, int64_t A, int64_t B) {
  switch (Kind) {
  case DimAtomKind::FloorDiv:
    if (B == 0 || (A == INT64_MIN && B == -1))
      return std::nullopt;
    return floorDivInt(A, B);
  case DimAtomKind::Mod:
    if (B == 0 || B == -1)
      return B == 0 ? std::nullopt : std::optional<int64_t>(0);
    return A - B * floorDivInt(A, B);
  case DimAtomKind::Min:
    return std::min(A, B);
  case DimAtomKind::Max:
    return std::max(A, B);
  case DimAtomKind::Symbol:
    break;
  }
  return std::nullopt;
}

} // namespace

//===----------------------------------------------------------------------===//
// Construction
//===----------------------------------------------------------------------===//

DimExpr::DimExpr(int64_t Value) {
  if (Value != 0)
    Terms.push_back({Value, {}});
}

DimExpr DimExpr::fromAtom(Atom A) {
  DimExpr E;
  E.Terms.push_back({1, {std::move(A)}});
  return E;
}

bool DimExpr::isValidSymbol(std::string_view Name) {
  auto Start = [](unsigned char C) {
    return std::isalpha(C) || C == '_' || C == '$';
  };
  if (Name.empty() || !Start(Name[0]))
    return false;
  if (Name == "floordiv" || Name == "ceildiv" || Name == "mod" ||
      Name == "min" || Name == "max")
    return false;
  return std::all_of(Name.begin(), Name.end(), [&](unsigned char C) {
    return Start(C) || std::isdigit(C) || C == '.';
  });
}

DimExpr DimExpr::symbol(std::string_view Name) {
  return fromAtom(std::make_shared<DimAtom>(
      DimAtom{DimAtomKind::Symbol, std::string(Name), {}}));
}

void DimExpr::addTerm(int64_t Coefficient, Factors F) {
  if (Coefficient == 0)
    return;
  auto It = std::lower_bound(
      Terms.begin(), Terms.end(), F,
      [](const Term &T, const Factors &F) { return termLess(T.Factors, F); });
  if (It != Terms.end() && compareFactors(It->Factors, F) == 0) {
    It->Coefficient =
        int64_t(uint64_t(It->Coefficient) + uint64_t(Coefficient));
    if (It->Coefficient == 0)
      Terms.erase(It);
    return;
  }
  Terms.insert(It, {Coefficient, std::move(F)});
}

namespace limosa {

DimExpr operator+(const DimExpr &A, const DimExpr &B) {
  DimExpr R = A;
  for (const DimExpr::Term &T : B.Terms)
    R.addTerm(T.Coefficient, T.Factors);
  return R;
}

DimExpr operator*(const DimExpr &A, const DimExpr &B) {
  DimExpr R;
  for (const DimExpr::Term &X : A.Terms)
    for (const DimExpr::Term &Y : B.Terms) {
      Factors F;
      std::merge(
          X.Factors.begin(), X.Factors.end(), Y.Factors.begin(),
          Y.Factors.end(), std::back_inserter(F),
          [](const Atom &P, const Atom &Q) { return P->Text < Q->Text; });
      R.addTerm(int64_t(uint64_t(X.Coefficient) * uint64_t(Y.Coefficient)),
                std::move(F));
    }
  return R;
}

DimExpr operator-(const DimExpr &A, const DimExpr &B) { return A + (-B); }

bool operator==(const DimExpr &A, const DimExpr &B) {
  return std::equal(A.Terms.begin(), A.Terms.end(), B.Terms.begin(),
                    B.Terms.end(),
                    [](const DimExpr::Term &X, const DimExpr::Term &Y) {
                      return X.Coefficient == Y.Coefficient &&
                             compareFactors(X.Factors, Y.Factors) == 0;
                    });
}

bool operator<(const DimExpr &A, const DimExpr &B) {
  return A.toString() < B.toString();
}

} // namespace limosa

DimExpr DimExpr::operator-() const { return *this * DimExpr(-1); }

DimExpr DimExpr::makeBinary(DimAtomKind Kind, const DimExpr &A,
                            const DimExpr &B) {
  std::string Text = std::string(kindName(Kind)) + "(" + A.toString() + ", " +
                     B.toString() + ")";
  return fromAtom(
      std::make_shared<DimAtom>(DimAtom{Kind, std::move(Text), {A, B}}));
}

DimExpr DimExpr::floorDiv(const DimExpr &A, const DimExpr &B) {
  if (B.isConstant(1))
    return A;
  if (A.constant() && B.constant())
    if (auto V =
            evaluateBinary(DimAtomKind::FloorDiv, *A.constant(), *B.constant()))
      return DimExpr(*V);
  if (auto Q = A.exactDiv(B))
    return *Q;
  // floordiv(B*Q + R, B) = Q + floordiv(R, B): take out what divides.
  DimExpr Quotient, Rest;
  for (const Term &T : A.Terms) {
    DimExpr One;
    One.Terms.push_back(T);
    std::optional<DimExpr> Q;
    if (auto D = B.constant(); D && T.Factors.empty() && *D > 0) {
      int64_t Whole = floorDivInt(T.Coefficient, *D);
      Quotient = Quotient + DimExpr(Whole);
      Rest = Rest + DimExpr(T.Coefficient - Whole * *D);
      continue;
    }
    if ((Q = One.exactDiv(B)))
      Quotient = Quotient + *Q;
    else
      Rest = Rest + One;
  }
  if (Rest.constant() && B.constant() && *B.constant() > 0)
    return Quotient + DimExpr(floorDivInt(*Rest.constant(), *B.constant()));
  // floordiv(floordiv(X, a) + c, b) = floordiv(X + a*c, a*b) for positive
  // constants a, b: two strided convolutions in a row stay one division.
  if (!Rest.Terms.empty() && Rest.Terms[0].Coefficient == 1 &&
      Rest.Terms[0].Factors.size() == 1 &&
      (Rest.Terms.size() == 1 ||
       (Rest.Terms.size() == 2 && Rest.Terms[1].Factors.empty())) &&
      B.constant() && *B.constant() > 0) {
    const DimAtom &In = *Rest.Terms[0].Factors[0];
    if (In.Kind == DimAtomKind::FloorDiv && In.Args[1].constant() &&
        *In.Args[1].constant() > 0) {
      DimExpr C(Rest.Terms.size() == 2 ? Rest.Terms[1].Coefficient : 0);
      return Quotient + floorDiv(In.Args[0] + In.Args[1] * C, In.Args[1] * B);
    }
  }
  return Quotient + makeBinary(DimAtomKind::FloorDiv, Rest, B);
}

DimExpr DimExpr::ceilDiv(const DimExpr &A, const DimExpr &B) {
  return floorDiv(A + B - DimExpr(1), B);
}

DimExpr DimExpr::mod(const DimExpr &A, const DimExpr &B) {
  if (A.constant() && B.constant())
    if (auto V = evaluateBinary(DimAtomKind::Mod, *A.constant(), *B.constant()))
      return DimExpr(*V);
  if (A.exactDiv(B))
    return DimExpr(0);
  DimExpr Rest;
  for (const Term &T : A.Terms) {
    DimExpr One;
    One.Terms.push_back(T);
    if (!One.exactDiv(B))
      Rest = Rest + One;
  }
  if (Rest.constant() && B.constant())
    if (auto V =
            evaluateBinary(DimAtomKind::Mod, *Rest.constant(), *B.constant()))
      return DimExpr(*V);
  return makeBinary(DimAtomKind::Mod, Rest, B);
}

/// Whether E is one atom of this kind that has Arg as an argument.
static bool isBinaryWith(const DimExpr &E, DimAtomKind Kind,
                         const DimExpr &Arg) {
  if (E.terms().size() != 1 || E.terms()[0].Coefficient != 1 ||
      E.terms()[0].Factors.size() != 1)
    return false;
  const DimAtom &A = *E.terms()[0].Factors[0];
  return A.Kind == Kind && (A.Args[0] == Arg || A.Args[1] == Arg);
}

/// min and max absorb: with Same their own kind and Other the opposite one,
/// Same(Other(x, b), b) = b and Same(Same(x, b), b) = Same(x, b).
static std::optional<DimExpr> absorb(DimAtomKind Same, DimAtomKind Other,
                                     const DimExpr &A, const DimExpr &B) {
  if (isBinaryWith(A, Other, B) || isBinaryWith(B, Same, A))
    return B;
  if (isBinaryWith(B, Other, A) || isBinaryWith(A, Same, B))
    return A;
  return std::nullopt;
}

DimExpr DimExpr::min(const DimExpr &A, const DimExpr &B) {
  if (auto E = absorb(DimAtomKind::Min, DimAtomKind::Max, A, B))
    return *E;
  DimExpr Difference = A - B;
  if (auto L = Difference.lowerBound(); L && *L >= 0)
    return B;
  if (auto L = (-Difference).lowerBound(); L && *L >= 0)
    return A;
  return B.toString() < A.toString() ? makeBinary(DimAtomKind::Min, B, A)
                                     : makeBinary(DimAtomKind::Min, A, B);
}

DimExpr DimExpr::max(const DimExpr &A, const DimExpr &B) {
  if (auto E = absorb(DimAtomKind::Max, DimAtomKind::Min, A, B))
    return *E;
  DimExpr Difference = A - B;
  if (auto L = Difference.lowerBound(); L && *L >= 0)
    return A;
  if (auto L = (-Difference).lowerBound(); L && *L >= 0)
    return B;
  return B.toString() < A.toString() ? makeBinary(DimAtomKind::Max, B, A)
                                     : makeBinary(DimAtomKind::Max, A, B);
}

//===----------------------------------------------------------------------===//
// Queries
//===----------------------------------------------------------------------===//

std::optional<int64_t> DimExpr::constant() const {
  if (Terms.empty())
    return 0;
  if (Terms.size() == 1 && Terms[0].Factors.empty())
    return Terms[0].Coefficient;
  return std::nullopt;
}

std::optional<std::string_view> DimExpr::asSymbol() const {
  if (Terms.size() != 1 || Terms[0].Coefficient != 1 ||
      Terms[0].Factors.size() != 1 ||
      Terms[0].Factors[0]->Kind != DimAtomKind::Symbol)
    return std::nullopt;
  return Terms[0].Factors[0]->Text;
}

void DimExpr::collectSymbols(std::set<std::string> &Out) const {
  for (const Term &T : Terms)
    for (const Atom &A : T.Factors) {
      if (A->Kind == DimAtomKind::Symbol)
        Out.insert(A->Text);
      for (const DimExpr &Arg : A->Args)
        Arg.collectSymbols(Out);
    }
}

std::set<std::string> DimExpr::symbols() const {
  std::set<std::string> Out;
  collectSymbols(Out);
  return Out;
}

std::optional<DimExpr> DimExpr::exactDiv(const DimExpr &B) const {
  if (Terms.empty())
    return DimExpr(0);
  if (*this == B)
    return DimExpr(1);
  if (B.Terms.size() != 1)
    return std::nullopt;
  const Term &D = B.Terms[0];
  DimExpr Quotient;
  for (const Term &T : Terms) {
    if (T.Coefficient == INT64_MIN || T.Coefficient % D.Coefficient != 0)
      return std::nullopt;
    Factors Left = T.Factors;
    for (const Atom &F : D.Factors) {
      auto It = std::find_if(Left.begin(), Left.end(),
                             [&](const Atom &A) { return A->Text == F->Text; });
      if (It == Left.end())
        return std::nullopt;
      Left.erase(It);
    }
    Quotient.addTerm(T.Coefficient / D.Coefficient, std::move(Left));
  }
  return Quotient;
}

int64_t DimExpr::knownDivisor() const {
  int64_t G = 0;
  for (const Term &T : Terms)
    G = T.Coefficient == INT64_MIN ? 1 : std::gcd(G, T.Coefficient);
  return G;
}

std::optional<int64_t> DimExpr::lowerBound() const {
  int64_t Bound = 0;
  for (const Term &T : Terms) {
    if (T.Factors.empty()) {
      if (__builtin_add_overflow(Bound, T.Coefficient, &Bound))
        return std::nullopt;
      continue;
    }
    // Without upper bounds a subtracted product can be arbitrarily large.
    if (T.Coefficient < 0)
      return std::nullopt;
    int64_t Product = T.Coefficient;
    for (const Atom &A : T.Factors) {
      int64_t Low = 0;
      if (A->Kind != DimAtomKind::Symbol) {
        auto L0 = A->Args[0].lowerBound(), L1 = A->Args[1].lowerBound();
        switch (A->Kind) {
        case DimAtomKind::FloorDiv:
          if (!L0)
            return std::nullopt;
          if (auto D = A->Args[1].constant(); D && *D > 0)
            Low = floorDivInt(*L0, *D);
          else if (*L0 < 0)
            return std::nullopt;
          break;
        case DimAtomKind::Min:
          if (!L0 || !L1)
            return std::nullopt;
          Low = std::min(*L0, *L1);
          break;
        case DimAtomKind::Max:
          if (!L0 && !L1)
            return std::nullopt;
          Low = std::max(L0.value_or(INT64_MIN), L1.value_or(INT64_MIN));
          break;
        case DimAtomKind::Mod:
        case DimAtomKind::Symbol:
          break;
        }
      }
      // A product of two factors of unknown sign has no bound.
      if (Low < 0 && T.Factors.size() > 1)
        return std::nullopt;
      if (__builtin_mul_overflow(Product, Low, &Product))
        return std::nullopt;
    }
    if (__builtin_add_overflow(Bound, Product, &Bound))
      return std::nullopt;
  }
  return Bound;
}

std::optional<int64_t> DimExpr::evaluate(const Lookup &Symbols) const {
  int64_t Sum = 0;
  for (const Term &T : Terms) {
    int64_t Product = T.Coefficient;
    for (const Atom &A : T.Factors) {
      std::optional<int64_t> V;
      if (A->Kind == DimAtomKind::Symbol) {
        V = Symbols(A->Text);
      } else {
        auto L = A->Args[0].evaluate(Symbols), R = A->Args[1].evaluate(Symbols);
        if (L && R)
          V = evaluateBinary(A->Kind, *L, *R);
      }
      if (!V || __builtin_mul_overflow(Product, *V, &Product))
        return std::nullopt;
    }
    if (__builtin_add_overflow(Sum, Product, &Sum))
      return std::nullopt;
  }
  return Sum;
}

DimExpr DimExpr::substitute(
    const std::function<std::optional<DimExpr>(std::string_view)> &Replace)
    const {
  DimExpr Sum;
  for (const Term &T : Terms) {
    DimExpr Product(T.Coefficient);
    for (const Atom &A : T.Factors) {
      if (A->Kind == DimAtomKind::Symbol) {
        auto R = Replace(A->Text);
        Product = Product * (R ? *R : fromAtom(A));
        continue;
      }
      DimExpr X = A->Args[0].substitute(Replace),
              Y = A->Args[1].substitute(Replace);
      switch (A->Kind) {
      case DimAtomKind::FloorDiv:
        Product = Product * floorDiv(X, Y);
        break;
      case DimAtomKind::Mod:
        Product = Product * mod(X, Y);
        break;
      case DimAtomKind::Min:
        Product = Product * min(X, Y);
        break;
      case DimAtomKind::Max:
        Product = Product * max(X, Y);
        break;
      case DimAtomKind::Symbol:
        break;
      }
    }
    Sum = Sum + Product;
  }
  return Sum;
}
