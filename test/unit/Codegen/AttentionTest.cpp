//===- AttentionTest.cpp - Softmax between two products -------------------===//

#include "KernelCheck.h"
#include "llvm/ADT/StringExtras.h"
#include <gtest/gtest.h>

using namespace limosa::test;

namespace {

enum class Mask {
  None,
  Bias,    ///< added, one for each score
  Keys,    ///< bool for each key, -inf where false
  Causal,  ///< by comparing positions
  Nothing, ///< -inf everywhere
};

/// Sizes as DimExpr texts: numbers or symbols.
struct Case {
  std::string Batch = "2", Heads = "3", Rows = "5", Keys = "7";
  int64_t Depth = 16, Columns = 16;
  Mask Masked = Mask::None;
  bool ZeroNaN = false;
  /// [batch, sequence, heads, size] as projections leave them, and queries
  /// scaled; otherwise [batch, heads, sequence, size].
  bool Packed = false;
  /// Keys as [.., size, sequence].
  bool TurnedKeys = false;
  std::string Type = "f32";
};

class Writer {
public:
  explicit Writer(const Case &C) : C(C) {}

  std::string write() {
    using L = std::vector<std::string>;
    std::string D = std::to_string(C.Depth), E = std::to_string(C.Columns);
    L Q{C.Batch, C.Heads, C.Rows, D}, K{C.Batch, C.Heads, C.Keys, D},
        V{C.Batch, C.Heads, C.Keys, E}, S{C.Batch, C.Heads, C.Rows, C.Keys},
        R{C.Batch, C.Heads, C.Rows}, R1{C.Batch, C.Heads, C.Rows, "1"},
        O{C.Batch, C.Heads, C.Rows, E};
    if (C.TurnedKeys)
      std::swap(K[2], K[3]);
    std::vector<L *> Args{&Q, &K, &V};
    if (C.Packed)
      for (L *A : Args)
        std::swap((*A)[1], (*A)[2]);
    std::string Head = "func.func private @k(%q: " + type(Q) +
                       ", %k: " + type(K) + ", %v: " + type(V);
    L B{"1", C.Heads, C.Rows, C.Keys}, KeyMask{C.Batch, "1", "1", C.Keys};
    if (C.Masked == Mask::Bias)
      Head += ", %b: " + type(B, "f32");
    if (C.Masked == Mask::Keys)
      Head += ", %b: " + type(KeyMask, "i1");
    Text = Head + ") -> " + type(O) + " attributes {limosa.kernel} {\n";
    line("%ninf = limosa.constant dense<0xFF800000> : tensor<f32>");
    line("%zero = limosa.constant dense<0.0> : tensor<f32>");
    std::string Query = "%q";
    if (C.Packed) {
      line("%c = limosa.constant dense<0.25> : tensor<" + C.Type + ">");
      line("%cb = limosa.broadcast %c {dims = array<i64>} : (tensor<" + C.Type +
           ">) -> " + type(Q));
      op("qs", "mul", "%q, %cb", {type(Q), type(Q)}, type(Q));
      Query = "%qs";
    }
    std::string Heads = C.Packed ? "2" : "1", Sequence = C.Packed ? "1" : "2";
    std::string KeyDepth = C.TurnedKeys ? "2" : "3";
    std::string KeyHeads = Heads;
    if (C.Packed && C.TurnedKeys)
      KeyHeads = "2", KeyDepth = "1"; // [batch, size, heads, sequence]
    line("%s = limosa.contract " + Query + ", %k {lhs_batch = array<i64: 0, " +
         Heads + ">, rhs_batch = array<i64: 0, " + KeyHeads +
         ">, lhs_contract = array<i64: 3>, rhs_contract = array<i64: " +
         KeyDepth + ">} : (" + type(Q) + ", " + type(K) + ") -> " +
         type(S, "f32"));
    std::string X = masked(S, B, KeyMask);
    reduce("m", X, "%ninf", "max", S, R);
    spread("m", R, R1, S);
    op("n", "neg", "%mb", {type(S, "f32")}, type(S, "f32"));
    op("d", "add", X + ", %n", {type(S, "f32"), type(S, "f32")},
       type(S, "f32"));
    op("e", "exp", "%d", {type(S, "f32")}, type(S, "f32"));
    reduce("l", "%e", "%zero", "add", S, R);
    spread("l", R, R1, S);
    op("p", "div", "%e, %lb", {type(S, "f32"), type(S, "f32")}, type(S, "f32"));
    std::string P = "%p";
    if (C.ZeroNaN) {
      line("%pn = limosa.compare %p, %p {direction = #limosa.compare<ne>} : (" +
           type(S, "f32") + ", " + type(S, "f32") + ") -> " + type(S, "i1"));
      line("%pz = limosa.broadcast %zero {dims = array<i64>} : (tensor<f32>) "
           "-> " +
           type(S, "f32"));
      op("pg", "select", "%pn, %pz, %p",
         {type(S, "i1"), type(S, "f32"), type(S, "f32")}, type(S, "f32"));
      P = "%pg";
    }
    if (C.Type != "f32") {
      op("pc", "convert", P, {type(S, "f32")}, type(S));
      P = "%pc";
    }
    line("%o = limosa.contract " + P +
         ", %v {lhs_batch = array<i64: 0, 1>, rhs_batch = array<i64: 0, " +
         Heads + ">, lhs_contract = array<i64: 3>, rhs_contract = array<i64: " +
         Sequence + ">} : (" + type(S) + ", " + type(V) + ") -> " + type(O));
    op("r", "add", "%o, %o", {type(O), type(O)}, type(O));
    line("return %r : " + type(O));
    return Text + "}\n";
  }

private:
  static bool isNumber(const std::string &S) {
    return llvm::all_of(S, llvm::isDigit);
  }

  std::string type(const std::vector<std::string> &Shape,
                   std::string Element = {}) {
    std::string Ty = "tensor<", Symbols;
    for (const std::string &S : Shape) {
      Ty += (isNumber(S) ? S : "?") + "x";
      if (!isNumber(S))
        Symbols += (Symbols.empty() ? "\"" : ", \"") + S + "\"";
    }
    Ty += Element.empty() ? C.Type : Element;
    return Ty + (Symbols.empty() ? ">" : ", #limosa.enc<[" + Symbols + "]>>");
  }

  void line(const std::string &S) { Text += "  " + S + "\n"; }
  void op(const std::string &Name, const std::string &Op,
          const std::string &Operands, std::vector<std::string> Types,
          const std::string &Result) {
    line("%" + Name + " = limosa." + Op + " " + Operands + " : (" +
         llvm::join(Types, ", ") + ") -> " + Result);
  }
  void reduce(const std::string &Name, const std::string &Of,
              const std::string &Init, const std::string &Op,
              const std::vector<std::string> &S,
              const std::vector<std::string> &R) {
    line("%" + Name + " = limosa.reduce " + Of + ", " + Init +
         " {\n  ^bb0(%x: tensor<f32>, %y: tensor<f32>):\n    %z = limosa." +
         Op +
         " %x, %y : (tensor<f32>, tensor<f32>) -> tensor<f32>\n    "
         "limosa.yield %z : tensor<f32>\n  } {dims = array<i64: 3>, "
         "operandSegmentSizes = array<i32: 1, 1>} : (" +
         type(S, "f32") + ", tensor<f32>) -> " + type(R, "f32"));
  }
  void spread(const std::string &Name, const std::vector<std::string> &R,
              const std::vector<std::string> &R1,
              const std::vector<std::string> &S) {
    op(Name + "k", "reshape", "%" + Name, {type(R, "f32")}, type(R1, "f32"));
    line("%" + Name + "b = limosa.broadcast %" + Name +
         "k {dims = array<i64: 0, 1, 2, 3>} : (" + type(R1, "f32") + ") -> " +
         type(S, "f32"));
  }

  std::string masked(const std::vector<std::string> &S,
                     const std::vector<std::string> &B,
                     const std::vector<std::string> &KeyMask) {
    auto Spread = [&](const std::string &Name, const std::string &Of,
                      const std::string &From, const std::string &Dims,
                      const std::string &Element) {
      line("%" + Name + " = limosa.broadcast " + Of + " {dims = array<i64" +
           Dims + ">} : (" + From + ") -> " + type(S, Element));
    };
    std::string F = type(S, "f32"), Bool = type(S, "i1");
    if (C.Masked == Mask::None)
      return "%s";
    if (C.Masked == Mask::Bias || C.Masked == Mask::Nothing) {
      if (C.Masked == Mask::Bias)
        Spread("bb", "%b", type(B, "f32"), ": 0, 1, 2, 3", "f32");
      else
        Spread("bb", "%ninf", "tensor<f32>", "", "f32");
      op("sb", "add", "%s, %bb", {F, F}, F);
      return "%sb";
    }
    if (C.Masked == Mask::Keys) {
      Spread("bb", "%b", type(KeyMask, "i1"), ": 0, 1, 2, 3", "i1");
    } else {
      line("%i = limosa.iota {dim = 2 : i64} : () -> " + type(S, "i64"));
      line("%j = limosa.iota {dim = 3 : i64} : () -> " + type(S, "i64"));
      line("%bb = limosa.compare %j, %i {direction = #limosa.compare<le>} : (" +
           type(S, "i64") + ", " + type(S, "i64") + ") -> " + Bool);
    }
    Spread("inf", "%ninf", "tensor<f32>", "", "f32");
    op("sm", "select", "%bb, %s, %inf", {Bool, F, F}, F);
    return "%sm";
  }

  const Case &C;
  std::string Text;
};

void check(const Case &C, std::map<std::string, int64_t> Symbols = {},
           double Range = 1, double Tolerance = 2e-5) {
  checkKernel(Writer(C).write(), {.Symbols = Symbols,
                                  .Tolerance = Tolerance,
                                  .Range = Range,
                                  .Template = "attention"});
}

TEST(Attention, Sizes) {
  for (auto [Rows, Keys, Depth, Columns] : {std::array<int, 4>{49, 49, 32, 32},
                                            {1, 1, 1, 1},
                                            {1, 33, 64, 64},
                                            {4, 16, 32, 32},
                                            {9, 17, 80, 80},
                                            {8, 130, 40, 24},
                                            {197, 197, 64, 64},
                                            {33, 5, 7, 70},
                                            {20, 1000, 16, 8}})
    check({.Rows = std::to_string(Rows),
           .Keys = std::to_string(Keys),
           .Depth = Depth,
           .Columns = Columns});
}

TEST(Attention, ManyKeys) {
  for (auto [Rows, Keys] : {std::array<int, 2>{1, 1100}, {30, 1537}, {3, 2048}})
    for (Mask M : {Mask::None, Mask::Causal})
      check({.Batch = "1",
             .Heads = "2",
             .Rows = std::to_string(Rows),
             .Keys = std::to_string(Keys),
             .Masked = M});
}

TEST(Attention, PackedHeads) {
  for (bool Turned : {false, true})
    for (const char *Rows : {"3", "50"})
      check({.Rows = Rows,
             .Keys = "37",
             .Depth = 32,
             .Columns = 40,
             .Packed = true,
             .TurnedKeys = Turned});
  check({.Rows = "50", .Keys = "37", .Depth = 24, .TurnedKeys = true});
  check({.Rows = "2", .Keys = "37", .Depth = 24, .TurnedKeys = true});
}

TEST(Attention, Masks) {
  for (Mask M : {Mask::Bias, Mask::Keys, Mask::Causal, Mask::Nothing})
    for (bool ZeroNaN : {false, true})
      for (const char *Rows : {"6", "21"})
        check({.Rows = Rows, .Keys = "19", .Masked = M, .ZeroNaN = ZeroNaN});
}

TEST(Attention, LargeScores) {
  // Exponentials that would be denormal; an ulp of a score is large.
  check({.Rows = "20", .Keys = "40", .Depth = 64}, {}, 8, 1e-3);
}

TEST(Attention, SizesOfTheRun) {
  for (auto [B, S, T] : {std::array<int64_t, 3>{2, 5, 7},
                         {1, 8, 16},
                         {1, 1, 1},
                         {1, 3, 600},
                         {3, 65, 49},
                         {1, 70, 600},
                         {2, 1, 700},
                         {2, 9, 0},
                         {2, 1, 0},
                         {2, 0, 5},
                         {0, 4, 5}})
    for (Mask M : {Mask::None, Mask::Keys, Mask::Causal, Mask::Nothing})
      check({.Batch = "B",
             .Heads = "2",
             .Rows = "S",
             .Keys = "T",
             .Masked = M,
             .ZeroNaN = M == Mask::Keys,
             .Packed = true},
            {{"B", B}, {"S", S}, {"T", T}});
}

TEST(Attention, NarrowFloats) {
  for (const char *Type : {"f16", "bf16"})
    for (const char *Rows : {"2", "30"})
      check({.Rows = Rows, .Keys = "21", .Depth = 32, .Type = Type});
}

TEST(Attention, EveryWay) {
  auto Made = checkEveryWay(
      Writer({.Rows = "70", .Keys = "90", .Depth = 32, .Columns = 48}).write(),
      {.Tolerance = 1e-4, .Workers = 2, .Template = "attention"});
  EXPECT_TRUE(llvm::any_of(
      Made, [](auto &Choice) { return Choice.Name == "attention.rows"; }));
}

} // namespace
