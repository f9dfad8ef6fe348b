//===- SymbolExpr.h - Dimension expressions compiled for evaluation -------===//
//
// The text of a DimExpr as postfix code over numbered symbols: parsed once when
// a file is loaded, evaluated without allocation at each run. Does not
// canonicalise (a hostile product of sums would explode), so that parsing takes
// linear time.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_RUNTIME_SYMBOLEXPR_H
#define LIMOSA_RUNTIME_SYMBOLEXPR_H

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace limosa::runtime {

/// Immutable after construction; safe to share between threads.
class SymbolExpr {
public:
  /// Number of a symbol, or nullopt if there is none of that name.
  using SymbolIndex = std::function<std::optional<uint32_t>(std::string_view)>;

  SymbolExpr() : SymbolExpr(0) {}
  explicit SymbolExpr(int64_t Constant);

  /// Parses the grammar of DimExpr::parse. On failure (grammar, unknown symbol,
  /// nesting beyond 64) returns nullopt and sets `Error`.
  static std::optional<SymbolExpr>
  parse(std::string_view Text, const SymbolIndex &Symbols, std::string &Error);

  /// The value for the given symbol values; false if an operation overflows or
  /// divides by zero. `Symbols` may be null if `isConstant()`.
  bool evaluate(const int64_t *Symbols, int64_t &Out) const {
    if (Code.size() == 1) { // a constant or a bare symbol: nearly all of them
      Out = Code[0].Op == Opcode::Constant ? Code[0].Value
                                           : Symbols[Code[0].Value];
      return true;
    }
    return run(Symbols, Out);
  }
  bool isConstant() const {
    return Code.size() == 1 && Code[0].Op == Opcode::Constant;
  }
  /// The symbol's number if the expression is a bare symbol.
  std::optional<uint32_t> asSymbol() const {
    if (Code.size() == 1 && Code[0].Op == Opcode::Symbol)
      return uint32_t(Code[0].Value);
    return std::nullopt;
  }
  /// Calls `F` with the number of every symbol that occurs.
  template <typename Fn> void forEachSymbol(Fn F) const {
    for (const Item &I : Code)
      if (I.Op == Opcode::Symbol)
        F(uint32_t(I.Value));
  }

private:
  enum class Opcode : uint8_t {
    Constant,
    Symbol,
    Add,
    Sub,
    Mul,
    FloorDiv,
    CeilDiv,
    Mod,
    Min,
    Max
  };
  struct Item {
    Opcode Op;
    int64_t Value; // the constant or the symbol's number
  };
  bool run(const int64_t *Symbols, int64_t &Out) const;
  /// A := A op B; false on overflow or a divisor that is not positive.
  static bool apply(Opcode Op, int64_t &A, int64_t B);
  class Parser;

  std::vector<Item> Code;
};

} // namespace limosa::runtime

#endif // LIMOSA_RUNTIME_SYMBOLEXPR_H
