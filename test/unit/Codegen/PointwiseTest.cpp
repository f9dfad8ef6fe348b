//===- PointwiseTest.cpp - Pulled elementwise and data ops ----------------===//

#include "KernelCheck.h"
#include "llvm/Support/FormatVariadic.h"

using namespace limosa::test;

namespace {

const char *const Enc1 = "tensor<?x?xf32, #limosa.enc<[\"N\", \"M\"]>>";

std::string replaceAll(std::string S, const std::string &From,
                       const std::string &To) {
  for (size_t At = 0; (At = S.find(From, At)) != std::string::npos;
       At += To.size())
    S.replace(At, From.size(), To);
  return S;
}

TEST(Pointwise, AddOfOddSizes) {
  std::string Text = R"(func.func private @k(%a: T, %b: T) -> T {
    %0 = limosa.add %a, %b : (T, T) -> T
    %1 = limosa.mul %0, %b : (T, T) -> T
    return %1 : T
  })";
  Text = replaceAll(Text, "T", Enc1);
  for (auto [N, M] : {std::pair{1, 1},
                      {3, 5},
                      {7, 33},
                      {64, 129},
                      {0, 4},
                      {5, 0},
                      {1, 20000}})
    checkKernel(Text,
                {.Symbols = {{"N", N}, {"M", M}}, .Template = "pointwise"});
}

TEST(Pointwise, EveryDtype) {
  for (const char *T : {"f32", "f64", "f16", "bf16", "i8", "i16", "i32", "i64",
                        "ui8", "ui16", "ui32", "ui64"}) {
    std::string Text =
        R"(func.func private @k(%a: T, %b: T) -> (T, T, T, T, T) {
      %0 = limosa.add %a, %b : (T, T) -> T
      %1 = limosa.mul %0, %b : (T, T) -> T
      %2 = limosa.div %1, %a : (T, T) -> T
      %3 = limosa.max %2, %b : (T, T) -> T
      %4 = limosa.min %3, %0 : (T, T) -> T
      %5 = limosa.rem %1, %b : (T, T) -> T
      %6 = limosa.neg %4 : (T) -> T
      %7 = limosa.abs %6 : (T) -> T
      return %2, %4, %5, %6, %7 : T, T, T, T, T
    })";
    Text = replaceAll(Text, "T", std::string("tensor<5x37x") + T + ">");
    double Tolerance = *T == 'b' ? 0.05 : T[1] == '1' ? 0.01 : 1e-5;
    checkKernel(Text, {.Tolerance = Tolerance, .Range = 5});
  }
}

TEST(Pointwise, Integers) {
  for (const char *T :
       {"i8", "i16", "i32", "i64", "ui8", "ui16", "ui32", "ui64"}) {
    std::string Text =
        R"(func.func private @k(%a: T, %b: T) -> (T, T, T, T, T, T) {
      %0 = limosa.shl %a, %b : (T, T) -> T
      %1 = limosa.shr %a, %b : (T, T) -> T
      %2 = limosa.and %a, %b : (T, T) -> T
      %3 = limosa.or %a, %b : (T, T) -> T
      %4 = limosa.xor %a, %b : (T, T) -> T
      %5 = limosa.pow %a, %b : (T, T) -> T
      return %0, %1, %2, %3, %4, %5 : T, T, T, T, T, T
    })";
    Text = replaceAll(Text, "T", std::string("tensor<3x23x") + T + ">");
    checkKernel(Text, {.Range = 20});
    checkKernel(Text, {.Range = 100});
  }
}

TEST(Pointwise, Transcendental) {
  for (const char *T : {"f32", "f16", "bf16", "f64"}) {
    std::string Text = R"(func.func private @k(%a: T) -> (T, T, T, T, T, T, T) {
      %0 = limosa.exp %a : (T) -> T
      %1 = limosa.sqrt %0 : (T) -> T
      %2 = limosa.log %1 : (T) -> T
      %3 = limosa.tanh %a : (T) -> T
      %4 = limosa.erf %a : (T) -> T
      %5 = limosa.sin %a : (T) -> T
      %6 = limosa.floor %a : (T) -> T
      %7 = limosa.round_even %a : (T) -> T
      %8 = limosa.pow %0, %a : (T, T) -> T
      return %1, %2, %3, %4, %5, %6, %8 : T, T, T, T, T, T, T
    })";
    Text = replaceAll(Text, "T", std::string("tensor<3x41x") + T + ">");
    checkKernel(Text, {.Tolerance = *T == 'b'     ? 0.05
                                    : T[1] == '1' ? 0.01
                                                  : 1e-5});
  }
}

TEST(Pointwise, Converts) {
  const char *Types[] = {"f32",        "f64",      "f16",    "bf16",
                         "i8",         "i16",      "i32",    "i64",
                         "ui8",        "ui16",     "ui32",   "ui64",
                         "i1",         "f8E4M3FN", "f8E5M2", "f8E4M3FNUZ",
                         "f8E5M2FNUZ", "i4",       "ui4",    "f4E2M1FN"};
  for (const std::string From : Types) {
    std::string Body, Values, Results;
    for (const std::string To : Types) {
      if (From == To)
        continue; // NaNs keep their payload
      std::string In = "tensor<3x21x" + From + ">";
      std::string Out = "tensor<3x21x" + To + ">";
      Body +=
          "  %v" + To + " = limosa.convert %a : (" + In + ") -> " + Out + "\n";
      Values += (Values.empty() ? "%v" : ", %v") + To;
      Results += (Results.empty() ? "" : ", ") + Out;
    }
    std::string Text = "func.func private @k(%a: tensor<3x21x" + From +
                       ">) -> (" + Results + ") {\n" + Body + "  return " +
                       Values + " : " + Results + "\n}";
    checkKernel(Text, {.Tolerance = 1e-6, .Range = 300});
  }
}

/// Inputs and output have other neighbours in memory.
TEST(Transpose, Squares) {
  auto Check = [](const std::string &In, const std::string &Out,
                  const std::string &Perm, const char *Template,
                  std::map<std::string, int64_t> Symbols = {}) {
    checkKernel("func.func private @k(%a: " + In + ") -> " + Out + " {\n" +
                    "  %t = limosa.transpose %a {perm = array<i64: " + Perm +
                    ">} : (" + In + ") -> " + Out + "\n" +
                    "  %n = limosa.neg %t : (" + Out + ") -> " + Out +
                    "\n  return %n : " + Out + "\n}",
                {.Symbols = Symbols, .Template = Template});
  };
  Check("tensor<64x48xf32>", "tensor<48x64xf32>", "1, 0", "transpose");
  Check("tensor<37x41xf32>", "tensor<41x37xf32>", "1, 0", "transpose");
  Check("tensor<3x50x20xi64>", "tensor<3x20x50xi64>", "0, 2, 1", "transpose");
  // Not for AVX2, which has no masks for 16 bits.
  Check("tensor<21x70xbf16>", "tensor<70x21xbf16>", "1, 0", "");
  Check("tensor<2x5x30x17xf32>", "tensor<17x5x2x30xf32>", "3, 1, 0, 2",
        "transpose");
  // Several dimensions of the output as one.
  Check("tensor<2x9x7x33xf32>", "tensor<2x33x9x7xf32>", "0, 3, 1, 2",
        "transpose");
  // Too narrow, or nothing to turn.
  Check("tensor<3x500xf32>", "tensor<500x3xf32>", "1, 0", "pointwise");
  Check("tensor<30x40x50xf32>", "tensor<40x30x50xf32>", "1, 0, 2", "pointwise");
  for (auto [M, N] : {std::pair{1, 1}, {5, 40}, {16, 32}, {33, 1}, {0, 7}})
    Check(R"(tensor<?x?xf32, #limosa.enc<["M", "N"]>>)",
          R"(tensor<?x?xf32, #limosa.enc<["N", "M"]>>)", "1, 0", "transpose",
          {{"M", M}, {"N", N}});
}

TEST(Transpose, Relayout) {
  std::string Text =
      R"(func.func private @k(%a: $L, %b: $L, %c: tensor<40xf32>) -> $F {
    %0 = limosa.add %a, %b : ($L, $L) -> $L
    %1 = limosa.broadcast %c {dims = array<i64: 1>} : (tensor<40xf32>) -> $L
    %2 = limosa.mul %0, %1 : ($L, $L) -> $L
    %3 = limosa.relayout %2 : ($L) -> $F
    return %3 : $F
  })";
  Text = replaceAll(Text, "$L",
                    "tensor<2x40x9x11xf32, #limosa.enc<[], [0, 2, 3, 1]>>");
  Text = replaceAll(Text, "$F", "tensor<2x40x9x11xf32>");
  checkKernel(Text, {.Template = "transpose"});
}

TEST(Pointwise, BoolsAndSelect) {
  std::string Text = R"(func.func private @k(%a: T, %b: T, %c: B) -> (T, B) {
    %0 = limosa.compare %a, %b {direction = #limosa.compare<lt>} : (T, T) -> B
    %1 = limosa.xor %0, %c : (B, B) -> B
    %2 = limosa.select %1, %a, %b : (B, T, T) -> T
    return %2, %1 : T, B
  })";
  Text = replaceAll(Text, "T", "tensor<3x19xf32>");
  Text = replaceAll(Text, "B", "tensor<3x19xi1>");
  checkKernel(Text);
}

TEST(Pointwise, BiasOverChannels) {
  for (const char *Order : {"", ", [0, 2, 3, 1]"}) {
    std::string Text = R"(func.func private @k(%a: T, %b: tensor<24xf32>) -> T {
      %0 = limosa.broadcast %b {dims = array<i64: 1>} : (tensor<24xf32>) -> T
      %1 = limosa.add %a, %0 : (T, T) -> T
      return %1 : T
    })";
    Text = replaceAll(Text, "T",
                      llvm::formatv("tensor<?x24x?x?xf32, #limosa.enc<[\"N\", "
                                    "\"H\", \"W\"]{0}>>",
                                    Order));
    checkKernel(Text, {.Symbols = {{"N", 2}, {"H", 5}, {"W", 7}}});
    checkKernel(Text, {.Symbols = {{"N", 1}, {"H", 16}, {"W", 16}}});
  }
}

TEST(Pointwise, TinyInnerDimension) {
  std::string Text =
      R"(func.func private @k(%a: tensor<?x1xf32, #limosa.enc<["N"]>>, %b: tensor<4xf32>) -> T {
    %0 = limosa.broadcast %a {dims = array<i64: 0, 1>} : (tensor<?x1xf32, #limosa.enc<["N"]>>) -> T
    %1 = limosa.broadcast %b {dims = array<i64: 1>} : (tensor<4xf32>) -> T
    %2 = limosa.mul %0, %1 : (T, T) -> T
    return %2 : T
  })";
  Text = replaceAll(Text, "T", "tensor<?x4xf32, #limosa.enc<[\"N\"]>>");
  for (int N : {1, 5, 100, 3001})
    checkKernel(Text, {.Symbols = {{"N", N}}});
}

TEST(Pointwise, BroadcastThatMayBeOne) {
  std::string Text = R"(func.func private @k(%a: A, %b: B) -> R {
    %0 = limosa.broadcast %a {dims = array<i64: 0, 1>} : (A) -> R
    %1 = limosa.broadcast %b {dims = array<i64: 0, 1>} : (B) -> R
    %2 = limosa.add %0, %1 : (R, R) -> R
    return %2 : R
  })";
  Text = replaceAll(Text, "A", R"(tensor<?x?xf32, #limosa.enc<["N", "M"]>>)");
  Text = replaceAll(Text, "B", R"(tensor<?x?xf32, #limosa.enc<["P", "Q"]>>)");
  Text = replaceAll(
      Text, "R",
      R"-(tensor<?x?xf32, #limosa.enc<["max(N, P)", "max(M, Q)"]>>)-");
  for (auto [N, P] : {std::pair{1, 6}, {6, 1}, {6, 6}})
    for (auto [M, Q] : {std::pair{1, 35}, {35, 1}, {35, 35}})
      checkKernel(Text, {.Symbols = {{"N", N}, {"P", P}, {"M", M}, {"Q", Q}}});
}

TEST(Pointwise, ReshapeAndTranspose) {
  // Heads of attention, split and merged.
  std::string Split =
      R"(func.func private @k(%a: tensor<?x?x96xf32, #limosa.enc<["B", "S"]>>) -> tensor<?x6x?x16xf32, #limosa.enc<["B", "S"]>> {
    %0 = limosa.reshape %a : (tensor<?x?x96xf32, #limosa.enc<["B", "S"]>>) -> tensor<?x?x6x16xf32, #limosa.enc<["B", "S"]>>
    %1 = limosa.transpose %0 {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x?x6x16xf32, #limosa.enc<["B", "S"]>>) -> tensor<?x6x?x16xf32, #limosa.enc<["B", "S"]>>
    return %1 : tensor<?x6x?x16xf32, #limosa.enc<["B", "S"]>>
  })";
  checkKernel(Split, {.Symbols = {{"B", 2}, {"S", 5}}});
  std::string Merge =
      R"(func.func private @k(%a: tensor<?x6x?x20xf32, #limosa.enc<["B", "S"]>>) -> tensor<?x?x120xf32, #limosa.enc<["B", "S"]>> {
    %0 = limosa.transpose %a {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x6x?x20xf32, #limosa.enc<["B", "S"]>>) -> tensor<?x?x6x20xf32, #limosa.enc<["B", "S"]>>
    %1 = limosa.reshape %0 : (tensor<?x?x6x20xf32, #limosa.enc<["B", "S"]>>) -> tensor<?x?x120xf32, #limosa.enc<["B", "S"]>>
    return %1 : tensor<?x?x120xf32, #limosa.enc<["B", "S"]>>
  })";
  checkKernel(Merge, {.Symbols = {{"B", 2}, {"S", 5}}});
  checkKernel(
      R"(func.func private @k(%a: tensor<7x3x5xi16>) -> tensor<35x3xi16> {
    %0 = limosa.transpose %a {perm = array<i64: 2, 0, 1>} : (tensor<7x3x5xi16>) -> tensor<5x7x3xi16>
    %1 = limosa.reshape %0 : (tensor<5x7x3xi16>) -> tensor<35x3xi16>
    return %1 : tensor<35x3xi16>
  })");
}

TEST(Pointwise, SliceAndPad) {
  std::string Text =
      R"-(func.func private @k(%a: tensor<?x37xf32, #limosa.enc<["N"]>>, %v: tensor<f32>) -> R {
    %0 = limosa.slice %a {starts = ["1", "30"], steps = array<i64: 2, -3>} : (tensor<?x37xf32, #limosa.enc<["N"]>>) -> tensor<?x9xf32, #limosa.enc<["floordiv(N, 2)"]>>
    %1 = limosa.pad %0, %v {low = ["1", "N"], high = ["0", "2"], interior = array<i64: 0, 1>} : (tensor<?x9xf32, #limosa.enc<["floordiv(N, 2)"]>>, tensor<f32>) -> R
    return %1 : R
  })-";
  Text = replaceAll(
      Text, "R",
      R"-(tensor<?x?xf32, #limosa.enc<["floordiv(N, 2) + 1", "N + 19"]>>)-");
  for (int N : {1, 2, 6, 11})
    checkKernel(Text, {.Symbols = {{"N", N}}});
}

TEST(Pointwise, PadUnderReshape) {
  checkKernel(
      R"(func.func private @k(%a: tensor<3x8xf32>, %v: tensor<f32>) -> tensor<31xf32> {
    %0 = limosa.reshape %a : (tensor<3x8xf32>) -> tensor<24xf32>
    %1 = limosa.pad %0, %v {low = ["5"], high = ["2"], interior = array<i64: 0>} : (tensor<24xf32>, tensor<f32>) -> tensor<31xf32>
    return %1 : tensor<31xf32>
  })");
  checkKernel(
      R"(func.func private @k(%a: tensor<8x3xf32>, %v: tensor<f32>) -> tensor<31xf32> {
    %t = limosa.transpose %a {perm = array<i64: 1, 0>} : (tensor<8x3xf32>) -> tensor<3x8xf32>
    %0 = limosa.reshape %t : (tensor<3x8xf32>) -> tensor<24xf32>
    %1 = limosa.pad %0, %v {low = ["5"], high = ["2"], interior = array<i64: 0>} : (tensor<24xf32>, tensor<f32>) -> tensor<31xf32>
    return %1 : tensor<31xf32>
  })");
}

TEST(Pointwise, Concat) {
  std::string Text = R"(func.func private @k(%a: A, %b: B, %c: A) -> R {
    %0 = limosa.neg %b : (B) -> B
    %1 = limosa.concat %a, %0, %c {dim = D : i64} : (A, B, A) -> R
    return %1 : R
  })";
  std::string Rows = replaceAll(Text, "dim = D", "dim = 0");
  Rows = replaceAll(Rows, "A", R"(tensor<?x9xf32, #limosa.enc<["N"]>>)");
  Rows = replaceAll(Rows, "B", R"(tensor<4x9xf32>)");
  Rows = replaceAll(Rows, "R", R"(tensor<?x9xf32, #limosa.enc<["2*N + 4"]>>)");
  std::string Columns = replaceAll(Text, "dim = D", "dim = 1");
  Columns = replaceAll(Columns, "A", R"(tensor<5x?xf32, #limosa.enc<["N"]>>)");
  Columns = replaceAll(Columns, "B", R"(tensor<5x4xf32>)");
  Columns =
      replaceAll(Columns, "R", R"(tensor<5x?xf32, #limosa.enc<["2*N + 4"]>>)");
  for (int N : {0, 1, 7, 40}) {
    checkKernel(Rows, {.Symbols = {{"N", N}}});
    checkKernel(Columns, {.Symbols = {{"N", N}}});
  }
}

TEST(Pointwise, ConcatOfChannelsWithEpilogue) {
  for (const char *Order : {"", ", [0, 2, 3, 1]"}) {
    auto Type = [&](int Channels) -> std::string {
      return llvm::formatv("tensor<?x{0}x?x?xf32, #limosa.enc<[\"N\", \"H\", "
                           "\"W\"]{1}>>",
                           Channels, Order);
    };
    std::string Text = R"(func.func private @k(%a: A, %b: B, %c: R) -> R {
      %0 = limosa.concat %a, %b {dim = 1 : i64} : (A, B) -> R
      %1 = limosa.mul %0, %c : (R, R) -> R
      return %1 : R
    })";
    Text = replaceAll(Text, "A", Type(5));
    Text = replaceAll(Text, "B", Type(19));
    Text = replaceAll(Text, "R", Type(24));
    checkKernel(Text, {.Symbols = {{"N", 1}, {"H", 3}, {"W", 7}}});
    checkKernel(Text, {.Symbols = {{"N", 2}, {"H", 8}, {"W", 16}}});
  }
}

TEST(Pointwise, ManyDiamonds) {
  std::string Text = "func.func private @k(%v0: T, %w: T) -> T {\n";
  for (int I = 0; I < 40; ++I)
    Text += llvm::formatv("%n{0} = limosa.neg %v{0} : (T) -> T\n"
                          "%v{1} = limosa.max %v{0}, %n{0} : (T, T) -> T\n",
                          I, I + 1);
  Text += "return %v40 : T }";
  checkKernel(replaceAll(Text, "T", "tensor<3x21xf32>"));
}

TEST(Pointwise, Gather) {
  std::string Embedding =
      R"(func.func private @k(%a: tensor<50x33xf32>, %i: tensor<?x?x1xi64, #limosa.enc<["B", "S"]>>) -> R {
    %0 = limosa.gather %a, %i {axes = array<i64: 0>, batch = 0 : i64} : (tensor<50x33xf32>, tensor<?x?x1xi64, #limosa.enc<["B", "S"]>>) -> R
    return %0 : R
  })";
  Embedding = replaceAll(Embedding, "R",
                         R"(tensor<?x?x33xf32, #limosa.enc<["B", "S"]>>)");
  checkKernel(Embedding, {.Symbols = {{"B", 2}, {"S", 7}}, .Range = 60});
  // Lanes with an index each; batch dimension; clamped.
  checkKernel(
      R"(func.func private @k(%a: tensor<3x10x6xi8>, %i: tensor<3x21x2xi32>) -> tensor<3x21xi8> {
    %0 = limosa.gather %a, %i {axes = array<i64: 1, 2>, batch = 1 : i64} : (tensor<3x10x6xi8>, tensor<3x21x2xi32>) -> tensor<3x21xi8>
    return %0 : tensor<3x21xi8>
  })",
      {.Range = 12});
}

TEST(Pointwise, UpdateSliceIotaDim) {
  checkKernel(
      R"(func.func private @k(%a: tensor<6x20xf32>, %u: tensor<2x20xf32>, %s: tensor<2xi64>) -> tensor<6x20xf32> {
    %0 = limosa.update_slice %a, %u, %s : (tensor<6x20xf32>, tensor<2x20xf32>, tensor<2xi64>) -> tensor<6x20xf32>
    return %0 : tensor<6x20xf32>
  })",
      {.Range = 5});
  checkKernel(
      R"(func.func private @k(%a: tensor<6x20xf32>, %u: tensor<2x3xf32>, %s: tensor<2xi32>) -> tensor<6x20xf32> {
    %0 = limosa.update_slice %a, %u, %s : (tensor<6x20xf32>, tensor<2x3xf32>, tensor<2xi32>) -> tensor<6x20xf32>
    return %0 : tensor<6x20xf32>
  })",
      {.Range = 9});
  std::string Text = R"(func.func private @k() -> (T, T) {
    %0 = limosa.iota {dim = 1 : i64} : () -> T
    %1 = limosa.iota {dim = 0 : i64} : () -> T
    %2 = limosa.dim {expr = "N + 1"} : () -> tensor<i64>
    %3 = limosa.broadcast %2 {dims = array<i64>} : (tensor<i64>) -> tensor<?x5xi64, #limosa.enc<["N"]>>
    %4 = limosa.convert %3 : (tensor<?x5xi64, #limosa.enc<["N"]>>) -> T
    %5 = limosa.add %4, %1 : (T, T) -> T
    return %0, %5 : T, T
  })";
  Text = replaceAll(Text, "T", R"(tensor<?x5xf16, #limosa.enc<["N"]>>)");
  checkKernel(Text, {.Symbols = {{"N", 13}}});
}

TEST(Pointwise, NonSplatConstant) {
  checkKernel(R"(func.func private @k(%a: tensor<3x5xf32>) -> tensor<3x5xf32> {
    %c = limosa.constant dense<[1.0, 2.0, 3.0, 4.0, 5.0]> : tensor<5xf32>
    %0 = limosa.broadcast %c {dims = array<i64: 1>} : (tensor<5xf32>) -> tensor<3x5xf32>
    %1 = limosa.mul %a, %0 : (tensor<3x5xf32>, tensor<3x5xf32>) -> tensor<3x5xf32>
    return %1 : tensor<3x5xf32>
  })");
}

TEST(Pointwise, Relayout) {
  std::string Text = R"(func.func private @k(%a: A) -> B {
    %0 = limosa.relayout %a : (A) -> B
    return %0 : B
  })";
  Text = replaceAll(Text, "A", R"(tensor<2x7x5x3xf32>)");
  Text = replaceAll(Text, "B",
                    R"(tensor<2x7x5x3xf32, #limosa.enc<[], [0, 2, 3, 1]>>)");
  checkKernel(Text);
}

} // namespace
