//===- SymbolExpr.cpp - Dimension expressions compiled for evaluation -----===//

#include "limosa/Runtime/SymbolExpr.h"

#include <algorithm>

using namespace limosa::runtime;

SymbolExpr::SymbolExpr(int64_t Constant) {
  Code.push_back({Opcode::Constant, Constant});
}

//===----------------------------------------------------------------------===//
// Parsing: sum := term (('+'|'-') term)*, term := factor ('*' factor)*
//===----------------------------------------------------------------------===//

namespace {
constexpr int MaxDepth = 64;
// Every level of nesting keeps at most the left sides of a sum, a product and
// of a function alive.
constexpr int MaxStack = 4 * MaxDepth + 4;

bool isStart(char C) {
  return (C >= 'a' && C <= 'z') || (C >= 'A' && C <= 'Z') || C == '_' ||
         C == '$';
}
bool isDigit(char C) { return C >= '0' && C <= '9'; }
} // namespace

class SymbolExpr::Parser {
public:
  Parser(std::string_view Text, const SymbolIndex &Symbols, SymbolExpr &Out,
         std::string &Error)
      : Text(Text), Symbols(Symbols), Code(Out.Code), Error(Error) {
    Code.clear();
  }

  bool parse() {
    if (!parseSum())
      return false;
    peek();
    return Pos == Text.size() || fail("unexpected character");
  }

private:
  bool fail(std::string_view What) {
    Error = std::string(What) + " at offset " + std::to_string(Pos) + " of '" +
            std::string(Text.substr(0, 80)) + "'";
    return false;
  }
  char peek() {
    while (Pos < Text.size() && Text[Pos] == ' ')
      ++Pos;
    return Pos < Text.size() ? Text[Pos] : 0;
  }
  bool eat(char C) {
    if (peek() != C)
      return false;
    ++Pos;
    return true;
  }
  bool expect(char C) {
    return eat(C) || fail(std::string("expected '") + C + "'");
  }
  /// Appends an operation, folding it if both sides are constants.
  void emit(Opcode Op) {
    Code.push_back({Op, 0});
    size_t N = Code.size();
    if (N < 3 || Code[N - 2].Op != Opcode::Constant ||
        Code[N - 3].Op != Opcode::Constant)
      return;
    int64_t Value = Code[N - 3].Value;
    if (!apply(Op, Value, Code[N - 2].Value))
      return; // left to fail when it is evaluated
    Code.resize(N - 3);
    Code.push_back({Opcode::Constant, Value});
  }

  bool parseSum() {
    if (!parseTerm())
      return false;
    for (;;) {
      Opcode Op;
      if (eat('+'))
        Op = Opcode::Add;
      else if (eat('-'))
        Op = Opcode::Sub;
      else
        return true;
      if (!parseTerm())
        return false;
      emit(Op);
    }
  }

  bool parseTerm() {
    if (!parseFactor())
      return false;
    while (eat('*')) {
      if (!parseFactor())
        return false;
      emit(Opcode::Mul);
    }
    return true;
  }

  bool parseFactor() {
    if (Depth == MaxDepth)
      return fail("expression nested too deeply");
    ++Depth;
    bool Ok = parseNested();
    --Depth;
    return Ok;
  }

  bool parseNested() {
    char C = peek();
    if (eat('-')) {
      Code.push_back({Opcode::Constant, -1});
      if (!parseFactor())
        return false;
      emit(Opcode::Mul);
      return true;
    }
    if (eat('('))
      return parseSum() && expect(')');
    if (isDigit(C))
      return parseInteger();
    if (!isStart(C))
      return fail("expected a number, a symbol or '('");
    size_t Begin = Pos;
    while (Pos < Text.size() &&
           (isStart(Text[Pos]) || isDigit(Text[Pos]) || Text[Pos] == '.'))
      ++Pos;
    std::string_view Name = Text.substr(Begin, Pos - Begin);
    static constexpr std::pair<std::string_view, Opcode> Functions[] = {
        {"floordiv", Opcode::FloorDiv},
        {"ceildiv", Opcode::CeilDiv},
        {"mod", Opcode::Mod},
        {"min", Opcode::Min},
        {"max", Opcode::Max}};
    for (auto [Function, Op] : Functions) {
      if (Name != Function)
        continue;
      if (!expect('(') || !parseSum() || !expect(',') || !parseSum() ||
          !expect(')'))
        return false;
      emit(Op);
      return true;
    }
    auto Number = Symbols(Name);
    if (!Number)
      return fail("unknown symbol '" + std::string(Name.substr(0, 80)) + "'");
    Code.push_back({Opcode::Symbol, int64_t(*Number)});
    return true;
  }

  bool parseInteger() {
    int64_t Value = 0;
    for (; Pos < Text.size() && isDigit(Text[Pos]); ++Pos)
      if (__builtin_mul_overflow(Value, int64_t(10), &Value) ||
          __builtin_add_overflow(Value, int64_t(Text[Pos] - '0'), &Value))
        return fail("integer out of range");
    Code.push_back({Opcode::Constant, Value});
    return true;
  }

  std::string_view Text;
  const SymbolIndex &Symbols;
  std::vector<Item> &Code;
  std::string &Error;
  size_t Pos = 0;
  int Depth = 0;
};

std::optional<SymbolExpr> SymbolExpr::parse(std::string_view Text,
                                            const SymbolIndex &Symbols,
                                            std::string &Error) {
  SymbolExpr Result;
  if (!Parser(Text, Symbols, Result, Error).parse())
    return std::nullopt;
  return Result;
}

//===----------------------------------------------------------------------===//
// Evaluation
//===----------------------------------------------------------------------===//

bool SymbolExpr::apply(Opcode Op, int64_t &A, int64_t B) {
  switch (Op) {
  case Opcode::Add:
    return !__builtin_add_overflow(A, B, &A);
  case Opcode::Sub:
    return !__builtin_sub_overflow(A, B, &A);
  case Opcode::Mul:
    return !__builtin_mul_overflow(A, B, &A);
  case Opcode::FloorDiv:
  case Opcode::CeilDiv:
  case Opcode::Mod: {
    if (B <= 0) // a divisor is positive; also keeps out INT64_MIN / -1
      return false;
    int64_t Floor = A / B - (A % B < 0);
    if (Op == Opcode::FloorDiv)
      A = Floor;
    else if (Op == Opcode::CeilDiv)
      A = A / B + (A % B > 0);
    else
      A = A - B * Floor;
    return true;
  }
  case Opcode::Min:
    A = std::min(A, B);
    return true;
  case Opcode::Max:
    A = std::max(A, B);
    return true;
  case Opcode::Constant:
  case Opcode::Symbol:
    break;
  }
  return false;
}

bool SymbolExpr::run(const int64_t *Symbols, int64_t &Out) const {
  int64_t Stack[MaxStack];
  unsigned Top = 0;
  for (const Item &I : Code) {
    if (I.Op == Opcode::Constant) {
      Stack[Top++] = I.Value;
    } else if (I.Op == Opcode::Symbol) {
      Stack[Top++] = Symbols[I.Value];
    } else {
      --Top;
      if (!apply(I.Op, Stack[Top - 1], Stack[Top]))
        return false;
    }
  }
  Out = Stack[0];
  return true;
}
