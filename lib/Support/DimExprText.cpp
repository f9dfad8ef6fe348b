//===- DimExprText.cpp - Expressions as text, and back --------------------===//

#include "limosa/Support/DimExpr.h"

#include <cctype>

using namespace limosa;

std::string DimExpr::toString() const {
  if (Terms.empty())
    return "0";
  std::string S;
  for (const Term &T : Terms) {
    bool Negative = T.Coefficient < 0;
    if (!S.empty())
      S += Negative ? " - " : " + ";
    else if (Negative)
      S += "-";
    uint64_t Magnitude =
        Negative ? 0 - uint64_t(T.Coefficient) : uint64_t(T.Coefficient);
    bool NeedStar = false;
    if (Magnitude != 1 || T.Factors.empty()) {
      S += std::to_string(Magnitude);
      NeedStar = true;
    }
    for (const Atom &A : T.Factors) {
      if (NeedStar)
        S += "*";
      S += A->Text;
      NeedStar = true;
    }
  }
  return S;
}

namespace {

class Parser {
public:
  Parser(std::string_view Text) : Text(Text) {}

  std::optional<DimExpr> parseAll(std::string *Error) {
    auto E = parseSum();
    skipSpace();
    if (E && Pos != Text.size())
      E = fail("unexpected character");
    if (!E && Error)
      *Error = Message + " at offset " + std::to_string(Pos) + " of '" +
               std::string(Text) + "'";
    return E;
  }

private:
  static constexpr int MaxDepth = 64;
  /// A product of sums is multiplied out. No model's size comes near this.
  static constexpr size_t MaxTerms = 4096;

  std::nullopt_t fail(const char *What) {
    if (Message.empty())
      Message = What;
    return std::nullopt;
  }
  void skipSpace() {
    while (Pos < Text.size() && Text[Pos] == ' ')
      ++Pos;
  }
  bool eat(char C) {
    skipSpace();
    if (Pos >= Text.size() || Text[Pos] != C)
      return false;
    ++Pos;
    return true;
  }
  std::optional<DimExpr> parseSum() {
    auto L = parseTerm();
    while (L) {
      bool Plus = eat('+');
      if (!Plus && !eat('-'))
        break;
      auto R = parseTerm();
      if (!R)
        return std::nullopt;
      L = Plus ? *L + *R : *L - *R;
    }
    return L;
  }
  std::optional<DimExpr> parseTerm() {
    auto L = parseFactor();
    while (L && eat('*')) {
      auto R = parseFactor();
      if (!R)
        return std::nullopt;
      if (L->terms().size() * R->terms().size() > MaxTerms)
        return fail("expression too large");
      L = *L * *R;
    }
    return L;
  }
  std::optional<DimExpr> parseFactor() {
    struct DepthGuard {
      int &Depth;
      ~DepthGuard() { --Depth; }
    } Guard{++Depth};
    if (Depth > MaxDepth)
      return fail("expression nested too deeply");
    if (eat('-')) {
      auto E = parseFactor();
      return E ? std::optional<DimExpr>(-*E) : std::nullopt;
    }
    if (eat('(')) {
      auto E = parseSum();
      if (E && !eat(')'))
        return fail("expected ')'");
      return E;
    }
    skipSpace();
    size_t Begin = Pos;
    if (Pos < Text.size() && std::isdigit((unsigned char)Text[Pos])) {
      int64_t V = 0;
      for (; Pos < Text.size() && std::isdigit((unsigned char)Text[Pos]); ++Pos)
        if (__builtin_mul_overflow(V, int64_t(10), &V) ||
            __builtin_add_overflow(V, int64_t(Text[Pos] - '0'), &V))
          return fail("integer out of range");
      return DimExpr(V);
    }
    while (Pos < Text.size() &&
           (std::isalnum((unsigned char)Text[Pos]) || Text[Pos] == '_' ||
            Text[Pos] == '.' || Text[Pos] == '$'))
      ++Pos;
    std::string_view Name = Text.substr(Begin, Pos - Begin);
    using Function = DimExpr (*)(const DimExpr &, const DimExpr &);
    static constexpr struct {
      std::string_view Name;
      Function F;
    } Functions[] = {{"floordiv", DimExpr::floorDiv},
                     {"ceildiv", DimExpr::ceilDiv},
                     {"mod", DimExpr::mod},
                     {"min", DimExpr::min},
                     {"max", DimExpr::max}};
    for (const auto &Fn : Functions) {
      if (Name != Fn.Name)
        continue;
      if (!eat('('))
        return fail("expected '('");
      auto A = parseSum();
      if (!A)
        return std::nullopt;
      if (!eat(','))
        return fail("expected ','");
      auto B = parseSum();
      if (!B)
        return std::nullopt;
      if (!eat(')'))
        return fail("expected ')'");
      return Fn.F(*A, *B);
    }
    if (!DimExpr::isValidSymbol(Name))
      return fail("expected a number, a symbol or '('");
    return DimExpr::symbol(Name);
  }

  std::string_view Text;
  size_t Pos = 0;
  int Depth = 0;
  std::string Message;
};

} // namespace

std::optional<DimExpr> DimExpr::parse(std::string_view Text,
                                      std::string *Error) {
  return Parser(Text).parseAll(Error);
}
