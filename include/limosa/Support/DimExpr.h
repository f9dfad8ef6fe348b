//===- DimExpr.h - Integer expressions over symbolic dimensions -*- C++ -*-===//
//
// A tensor dimension that is not known at compile time is an expression over
// named symbols: sums and products, floordiv, mod, min and max. Expressions are
// kept in one canonical form, so that two expressions that print alike are
// equal and `toString` is the serialised form.
//
// Free of LLVM: the runtime evaluates what the compiler writes.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_SUPPORT_DIMEXPR_H
#define LIMOSA_SUPPORT_DIMEXPR_H

#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace limosa {

class DimExpr;

enum class DimAtomKind : uint8_t { Symbol, FloorDiv, Mod, Min, Max };

/// What a product is made of: a symbol, or an operation that does not
/// distribute over sums. Immutable and shared.
struct DimAtom {
  DimAtomKind Kind;
  std::string Text;          ///< Canonical spelling; the sort key.
  std::vector<DimExpr> Args; ///< Empty for symbols, two otherwise.
};

/// A canonical integer expression. A value type; copying is cheap. Safe to
/// share between threads. All symbols stand for sizes and are taken to be
/// non-negative by the simplifier; a divisor is taken to be positive.
class DimExpr {
public:
  using Atom = std::shared_ptr<const DimAtom>;
  /// Coefficient times a sorted product of atoms (empty: the constant term).
  struct Term {
    int64_t Coefficient;
    std::vector<Atom> Factors;
  };

  DimExpr() = default; ///< Zero.
  DimExpr(int64_t Value);
  /// A symbol. `Name` must satisfy `isValidSymbol`.
  static DimExpr symbol(std::string_view Name);
  static DimExpr floorDiv(const DimExpr &A, const DimExpr &B);
  static DimExpr ceilDiv(const DimExpr &A, const DimExpr &B);
  static DimExpr mod(const DimExpr &A, const DimExpr &B);
  static DimExpr min(const DimExpr &A, const DimExpr &B);
  static DimExpr max(const DimExpr &A, const DimExpr &B);

  /// Parses what `toString` prints (and any other spelling of the grammar
  /// `sum := term (('+'|'-') term)*`, `term := factor ('*' factor)*`,
  /// `factor := int | symbol | '-' factor | '(' sum ')' | fn '(' sum, sum ')'`
  /// with fn one of floordiv, ceildiv, mod, min, max). Nesting is limited to
  /// 64. On failure returns nullopt and, if given, sets `Error`.
  static std::optional<DimExpr> parse(std::string_view Text,
                                      std::string *Error = nullptr);
  /// Letters, digits, '_', '.', '$'; starting with a letter, '_' or '$'.
  static bool isValidSymbol(std::string_view Name);

  std::string toString() const;

  /// The value if it does not depend on a symbol.
  std::optional<int64_t> constant() const;
  bool isConstant(int64_t V) const { return constant() == V; }
  /// The name if the expression is a bare symbol.
  std::optional<std::string_view> asSymbol() const;
  const std::vector<Term> &terms() const { return Terms; }

  /// All symbols that occur.
  std::set<std::string> symbols() const;
  void collectSymbols(std::set<std::string> &Out) const;

  /// The exact quotient when every value of `*this` is a multiple of `B` and
  /// that shows from the form, e.g. (6*N*S) / (3*S) = 2*N.
  std::optional<DimExpr> exactDiv(const DimExpr &B) const;
  /// The largest constant known to divide the value (0 for zero).
  int64_t knownDivisor() const;
  /// A bound that holds for all non-negative symbol values, if one shows.
  std::optional<int64_t> lowerBound() const;

  using Lookup = std::function<std::optional<int64_t>(std::string_view)>;
  /// The value; nullopt for an unknown symbol, division by zero or overflow.
  std::optional<int64_t> evaluate(const Lookup &Symbols) const;
  /// Replaces the symbols for which `Replace` returns an expression.
  DimExpr substitute(
      const std::function<std::optional<DimExpr>(std::string_view)> &Replace)
      const;

  friend DimExpr operator+(const DimExpr &A, const DimExpr &B);
  friend DimExpr operator-(const DimExpr &A, const DimExpr &B);
  friend DimExpr operator*(const DimExpr &A, const DimExpr &B);
  DimExpr operator-() const;
  friend bool operator==(const DimExpr &A, const DimExpr &B);
  friend bool operator<(const DimExpr &A, const DimExpr &B);

private:
  static DimExpr fromAtom(Atom A);
  static DimExpr makeBinary(DimAtomKind Kind, const DimExpr &A,
                            const DimExpr &B);
  void addTerm(int64_t Coefficient, std::vector<Atom> Factors);

  std::vector<Term> Terms; // sorted by factors; no zero coefficients
};

} // namespace limosa

#endif // LIMOSA_SUPPORT_DIMEXPR_H
