//===- ReductionTest.cpp - Reduction chains and windows -------------------===//

#include "KernelCheck.h"
#include "llvm/Support/FormatVariadic.h"

using namespace limosa::test;

namespace {

std::string replaceAll(std::string S, const std::string &From,
                       const std::string &To) {
  for (size_t At = 0; (At = S.find(From, At)) != std::string::npos;
       At += To.size())
    S.replace(At, From.size(), To);
  return S;
}

/// Softmax along the last of two dimensions.
const char *const Softmax = R"(func.func private @k(%x: T) -> T {
  %lo = limosa.constant dense<0xFF800000> : tensor<f32>
  %zero = limosa.constant dense<0.0> : tensor<f32>
  %m = limosa.reduce %x, %lo {
  ^bb0(%a: tensor<f32>, %b: tensor<f32>):
    %r = limosa.max %a, %b : (tensor<f32>, tensor<f32>) -> tensor<f32>
    limosa.yield %r : tensor<f32>
  } {dims = array<i64: 1>, operandSegmentSizes = array<i32: 1, 1>} : (T, tensor<f32>) -> R
  %n = limosa.neg %m : (R) -> R
  %mb = limosa.broadcast %n {dims = array<i64: 0>} : (R) -> T
  %s = limosa.add %x, %mb : (T, T) -> T
  %e = limosa.exp %s : (T) -> T
  %sum = limosa.reduce %e, %zero {
  ^bb0(%a: tensor<f32>, %b: tensor<f32>):
    %r = limosa.add %a, %b : (tensor<f32>, tensor<f32>) -> tensor<f32>
    limosa.yield %r : tensor<f32>
  } {dims = array<i64: 1>, operandSegmentSizes = array<i32: 1, 1>} : (T, tensor<f32>) -> R
  %sb = limosa.broadcast %sum {dims = array<i64: 0>} : (R) -> T
  %o = limosa.div %e, %sb : (T, T) -> T
  return %o : T
})";

TEST(ReductionChain, Softmax) {
  std::string Text =
      replaceAll(Softmax, "T", R"(tensor<?x?xf32, #limosa.enc<["N", "M"]>>)");
  // "T" is also in nothing else of the text; R is the row type.
  Text = replaceAll(Text, "-> R", R"(-> tensor<?xf32, #limosa.enc<["N"]>>)");
  Text = replaceAll(Text, "(R)", R"((tensor<?xf32, #limosa.enc<["N"]>>))");
  for (auto [N, M] : {std::pair{3, 5},
                      {1, 1},
                      {4, 64},
                      {5, 131},
                      {0, 3},
                      {2, 9000},
                      {700, 17}})
    checkKernel(
        Text, {.Symbols = {{"N", N}, {"M", M}}, .Template = "reduction-chain"});
}

TEST(ReductionChain, SoftmaxShortAndOuter) {
  for (const char *Shape : {"7x3", "300x4", "5x64", "40x48"}) {
    std::string Rows =
        std::string(Shape).substr(0, std::string(Shape).find('x'));
    std::string Text =
        replaceAll(Softmax, "T", std::string("tensor<") + Shape + "xf32>");
    Text = replaceAll(Text, "-> R", "-> tensor<" + Rows + "xf32>");
    Text = replaceAll(Text, "(R)", "(tensor<" + Rows + "xf32>)");
    checkKernel(Text, {.Template = "reduction-chain"});
  }
}

std::string reduceText(const char *Op, const char *Element, const char *In,
                       const char *Out, const char *Dims, const char *Init) {
  std::string Text = R"(func.func private @k(%x: IN) -> OUT {
    %i = limosa.constant dense<INIT> : tensor<E>
    %m = limosa.reduce %x, %i {
    ^bb0(%a: tensor<E>, %b: tensor<E>):
      %r = limosa.OP %a, %b : (tensor<E>, tensor<E>) -> tensor<E>
      limosa.yield %r : tensor<E>
    } {dims = array<i64: DIMS>, operandSegmentSizes = array<i32: 1, 1>} : (IN, tensor<E>) -> OUT
    return %m : OUT
  })";
  Text = replaceAll(Text, "INIT", Init);
  Text = replaceAll(Text, "DIMS", Dims);
  Text = replaceAll(Text, "<E>", std::string("<") + Element + ">");
  Text = replaceAll(Text, "OUT", Out);
  Text = replaceAll(Text, "IN", In);
  return replaceAll(Text, "limosa.OP", std::string("limosa.") + Op);
}

TEST(ReductionChain, DimsAndOrders) {
  const char *Enc = R"(tensor<?x5x?x?xf32, #limosa.enc<["N", "H", "W"]{0}>>)";
  for (const char *Order : {"", ", [0, 2, 3, 1]", ", [3, 1, 0, 2]"}) {
    std::string In = llvm::formatv(Enc, Order);
    for (auto [Dims, Out] :
         {std::pair{"3", R"(tensor<?x5x?xf32, #limosa.enc<["N", "H"]>>)"},
          {"2, 3", R"(tensor<?x5xf32, #limosa.enc<["N"]>>)"},
          {"1", R"(tensor<?x?x?xf32, #limosa.enc<["N", "H", "W"]>>)"},
          {"0, 2, 3", "tensor<5xf32>"},
          {"0, 1, 2, 3", "tensor<f32>"},
          {"0", R"(tensor<5x?x?xf32, #limosa.enc<["H", "W"]>>)"},
          {"1, 2", R"(tensor<?x?xf32, #limosa.enc<["N", "W"]>>)"}})
      for (auto [N, H, W] :
           {std::tuple{2, 3, 7}, {1, 9, 40}, {3, 1, 1}, {0, 2, 2}, {2, 0, 3}})
        checkKernel(reduceText("add", "f32", In.c_str(), Out, Dims, "0.0"),
                    {.Symbols = {{"N", N}, {"H", H}, {"W", W}},
                     .Template = "reduction-chain"});
  }
}

TEST(ReductionChain, Dtypes) {
  for (auto [T, Init] : {std::pair{"f64", "0.0"},
                         {"f16", "0.0"},
                         {"bf16", "0.0"},
                         {"i8", "0"},
                         {"i32", "0"},
                         {"i64", "0"},
                         {"ui8", "0"},
                         {"ui64", "0"}})
    for (const char *Size : {"37", "4"}) {
      std::string In = llvm::formatv("tensor<6x{0}x{1}>", Size, T);
      std::string Out = llvm::formatv("tensor<6x{0}>", T);
      checkKernel(reduceText("add", T, In.c_str(), Out.c_str(), "1", Init));
      Out = llvm::formatv("tensor<{0}x{1}>", Size, T);
      checkKernel(reduceText("add", T, In.c_str(), Out.c_str(), "0", Init));
    }
  checkKernel(
      reduceText("or", "i1", "tensor<6x50xi1>", "tensor<6xi1>", "1", "false"));
  checkKernel(
      reduceText("and", "i1", "tensor<6x50xi1>", "tensor<50xi1>", "0", "true"));
}

TEST(ReductionChain, LongSumsAreExact) {
  // One float accumulator is off by 5e-6 here.
  const char *Text = R"(func.func private @k(%x: IN) -> tensor<32xf32> {
    %i = limosa.constant dense<0.0> : tensor<f32>
    %s = limosa.mul %x, %x : (IN, IN) -> IN
    %m = limosa.reduce %s, %i {
    ^bb0(%a: tensor<f32>, %b: tensor<f32>):
      %r = limosa.add %a, %b : (tensor<f32>, tensor<f32>) -> tensor<f32>
      limosa.yield %r : tensor<f32>
    } {dims = array<i64: 0>, operandSegmentSizes = array<i32: 1, 1>} : (IN, tensor<f32>) -> tensor<32xf32>
    return %m : tensor<32xf32>
  })";
  for (const char *In :
       {"tensor<65536x32xf32>", R"(tensor<?x32xf32, #limosa.enc<["N"]>>)"})
    checkKernel(replaceAll(Text, "IN", In), {.Symbols = {{"N", 65537}},
                                             .Tolerance = 1e-6,
                                             .Template = "reduction-chain"});
}

TEST(ReductionChain, ArgMax) {
  std::string Text = R"(func.func private @k(%x: T) -> (R, I) {
    %lo = limosa.constant dense<0xFF800000> : tensor<f32>
    %big = limosa.constant dense<9223372036854775807> : tensor<i64>
    %i = limosa.iota {dim = 1 : i64} : () -> J
    %m:2 = limosa.reduce %x, %i, %lo, %big {
    ^bb0(%a: tensor<f32>, %ai: tensor<i64>, %b: tensor<f32>, %bi: tensor<i64>):
      %gt = limosa.compare %a, %b {direction = #limosa.compare<gt>} : (tensor<f32>, tensor<f32>) -> tensor<i1>
      %eq = limosa.compare %a, %b {direction = #limosa.compare<eq>} : (tensor<f32>, tensor<f32>) -> tensor<i1>
      %lt = limosa.compare %ai, %bi {direction = #limosa.compare<lt>} : (tensor<i64>, tensor<i64>) -> tensor<i1>
      %e = limosa.and %eq, %lt : (tensor<i1>, tensor<i1>) -> tensor<i1>
      %c = limosa.or %gt, %e : (tensor<i1>, tensor<i1>) -> tensor<i1>
      %v = limosa.select %c, %a, %b : (tensor<i1>, tensor<f32>, tensor<f32>) -> tensor<f32>
      %w = limosa.select %c, %ai, %bi : (tensor<i1>, tensor<i64>, tensor<i64>) -> tensor<i64>
      limosa.yield %v, %w : tensor<f32>, tensor<i64>
    } {dims = array<i64: 1>, operandSegmentSizes = array<i32: 2, 2>} : (T, J, tensor<f32>, tensor<i64>) -> (R, I)
    return %m#0, %m#1 : R, I
  })";
  auto Make = [&](std::string T, std::string J, std::string R, std::string I) {
    std::string S = replaceAll(Text, "(T, J,", "(" + T + ", " + J + ",");
    S = replaceAll(S, "%x: T", "%x: " + T);
    S = replaceAll(S, "-> J", "-> " + J);
    S = replaceAll(S, "(R, I)", "(" + R + ", " + I + ")");
    return replaceAll(S, ": R, I", ": " + R + ", " + I);
  };
  checkKernel(Make("tensor<5x77xf32>", "tensor<5x77xi64>", "tensor<5xf32>",
                   "tensor<5xi64>"));
  checkKernel(Make("tensor<5x77x9xf32>", "tensor<5x77x9xi64>",
                   "tensor<5x9xf32>", "tensor<5x9xi64>"));
  checkKernel(Make("tensor<50x3xf32>", "tensor<50x3xi64>", "tensor<50xf32>",
                   "tensor<50xi64>"));
}

TEST(ReductionChain, GroupNorm) {
  checkKernel(
      R"(func.func private @k(%x: tensor<2x6x5x7xf32>, %g: tensor<6xf32>) -> tensor<2x6x5x7xf32> {
    %zero = limosa.constant dense<0.0> : tensor<f32>
    %count = limosa.constant dense<105.0> : tensor<2x2x1xf32>
    %eps = limosa.constant dense<1.0e-5> : tensor<2x2x1xf32>
    %y = limosa.reshape %x : (tensor<2x6x5x7xf32>) -> tensor<2x2x105xf32>
    %s = limosa.reduce %y, %zero {
    ^bb0(%a: tensor<f32>, %b: tensor<f32>):
      %r = limosa.add %a, %b : (tensor<f32>, tensor<f32>) -> tensor<f32>
      limosa.yield %r : tensor<f32>
    } {dims = array<i64: 2>, operandSegmentSizes = array<i32: 1, 1>} : (tensor<2x2x105xf32>, tensor<f32>) -> tensor<2x2xf32>
    %s1 = limosa.reshape %s : (tensor<2x2xf32>) -> tensor<2x2x1xf32>
    %mean = limosa.div %s1, %count : (tensor<2x2x1xf32>, tensor<2x2x1xf32>) -> tensor<2x2x1xf32>
    %nm = limosa.neg %mean : (tensor<2x2x1xf32>) -> tensor<2x2x1xf32>
    %mb = limosa.broadcast %nm {dims = array<i64: 0, 1, 2>} : (tensor<2x2x1xf32>) -> tensor<2x2x105xf32>
    %d = limosa.add %y, %mb : (tensor<2x2x105xf32>, tensor<2x2x105xf32>) -> tensor<2x2x105xf32>
    %q = limosa.mul %d, %d : (tensor<2x2x105xf32>, tensor<2x2x105xf32>) -> tensor<2x2x105xf32>
    %v = limosa.reduce %q, %zero {
    ^bb0(%a: tensor<f32>, %b: tensor<f32>):
      %r = limosa.add %a, %b : (tensor<f32>, tensor<f32>) -> tensor<f32>
      limosa.yield %r : tensor<f32>
    } {dims = array<i64: 2>, operandSegmentSizes = array<i32: 1, 1>} : (tensor<2x2x105xf32>, tensor<f32>) -> tensor<2x2xf32>
    %v1 = limosa.reshape %v : (tensor<2x2xf32>) -> tensor<2x2x1xf32>
    %var = limosa.div %v1, %count : (tensor<2x2x1xf32>, tensor<2x2x1xf32>) -> tensor<2x2x1xf32>
    %ve = limosa.add %var, %eps : (tensor<2x2x1xf32>, tensor<2x2x1xf32>) -> tensor<2x2x1xf32>
    %sd = limosa.sqrt %ve : (tensor<2x2x1xf32>) -> tensor<2x2x1xf32>
    %sb = limosa.broadcast %sd {dims = array<i64: 0, 1, 2>} : (tensor<2x2x1xf32>) -> tensor<2x2x105xf32>
    %n = limosa.div %d, %sb : (tensor<2x2x105xf32>, tensor<2x2x105xf32>) -> tensor<2x2x105xf32>
    %z = limosa.reshape %n : (tensor<2x2x105xf32>) -> tensor<2x6x5x7xf32>
    %gb = limosa.broadcast %g {dims = array<i64: 1>} : (tensor<6xf32>) -> tensor<2x6x5x7xf32>
    %o = limosa.mul %z, %gb : (tensor<2x6x5x7xf32>, tensor<2x6x5x7xf32>) -> tensor<2x6x5x7xf32>
    return %o : tensor<2x6x5x7xf32>
  })",
      {.Template = "reduction-chain"});
}

std::string windowText(const char *Op, const char *In, const char *Out,
                       const char *Attrs, const char *Init) {
  std::string Text = R"(func.func private @k(%x: IN) -> OUT {
    %i = limosa.constant dense<INIT> : tensor<f32>
    %m = limosa.window %x, %i {
    ^bb0(%a: tensor<f32>, %b: tensor<f32>):
      %r = limosa.OP %a, %b : (tensor<f32>, tensor<f32>) -> tensor<f32>
      limosa.yield %r : tensor<f32>
    } {ATTRS, operandSegmentSizes = array<i32: 1, 1>} : (IN, tensor<f32>) -> OUT
    %n = limosa.neg %m : (OUT) -> OUT
    return %n : OUT
  })";
  Text = replaceAll(Text, "INIT", Init);
  Text = replaceAll(Text, "ATTRS", Attrs);
  Text = replaceAll(Text, "OUT", Out);
  Text = replaceAll(Text, "IN", In);
  return replaceAll(Text, "limosa.OP", std::string("limosa.") + Op);
}

/// The first output takes over the memory of an argument that the second one
/// reads too.
TEST(ReductionChain, OutputsInPlace) {
  for (const char *Shape : {"300x2", "5x64", "3x131"}) {
    std::string Text =
        replaceAll(Softmax, "(%x: T) -> T", "(%x: T, %h: T) -> (T, T)");
    Text = replaceAll(Text, "return %o : T",
                      "%p = limosa.mul %o, %h : (T, T) -> T\n"
                      "  return %o, %p : T, T");
    std::string Rows(Shape, std::string_view(Shape).find('x'));
    Text = replaceAll(Text, "-> R", "-> tensor<" + Rows + "xf32>");
    Text = replaceAll(Text, "(R)", "(tensor<" + Rows + "xf32>)");
    Text = replaceAll(Text, "T", "tensor<" + std::string(Shape) + "xf32>");
    checkKernel(Text, {.Template = "reduction-chain", .Donate = {1}});
  }
  for (const char *Shape : {"40x64", "3x2"}) {
    std::string Text = R"(func.func private @k(%x: T, %h: R) -> (R, R) {
      %zero = limosa.constant dense<0.0> : tensor<f32>
      %sum = limosa.reduce %x, %zero {
      ^bb0(%a: tensor<f32>, %b: tensor<f32>):
        %r = limosa.add %a, %b : (tensor<f32>, tensor<f32>) -> tensor<f32>
        limosa.yield %r : tensor<f32>
      } {dims = array<i64: 1>, operandSegmentSizes = array<i32: 1, 1>} : (T, tensor<f32>) -> R
      %o = limosa.add %sum, %h : (R, R) -> R
      %p = limosa.mul %sum, %h : (R, R) -> R
      return %o, %p : R, R
    })";
    std::string Rows(Shape, std::string_view(Shape).find('x'));
    Text = replaceAll(Text, "R", "tensor<" + Rows + "xf32>");
    Text = replaceAll(Text, "T", "tensor<" + std::string(Shape) + "xf32>");
    checkKernel(Text, {.Template = "reduction-chain", .Donate = {1}});
  }
}

TEST(Window, Pools) {
  for (const char *Order : {"", ", [0, 2, 3, 1]"}) {
    std::string In = llvm::formatv(
        R"(tensor<?x5x?x?xf32, #limosa.enc<["N", "H", "W"]{0}>>)", Order);
    std::string Max = llvm::formatv(
        R"-(tensor<?x5x?x?xf32, #limosa.enc<["N", "floordiv(H, 2) + 1", "floordiv(W + 1, 2)"]{0}>>)-",
        Order);
    std::string Avg = llvm::formatv(
        R"(tensor<?x5x?x?xf32, #limosa.enc<["N", "H - 1", "W - 2"]{0}>>)",
        Order);
    for (auto [N, H, W] :
         {std::tuple{2, 5, 7}, {1, 40, 41}, {1, 3, 3}, {1, 4, 80}}) {
      KernelCheck Check{.Symbols = {{"N", N}, {"H", H}, {"W", W}},
                        .Template = "window"};
      checkKernel(
          windowText(
              "max", In.c_str(), Max.c_str(),
              R"(sizes = array<i64: 1, 1, 3, 3>, strides = array<i64: 1, 1, 2, 2>, dilations = array<i64: 1, 1, 1, 1>, pad_low = ["0", "0", "1", "1"], pad_high = ["0", "0", "2", "1"])",
              "0xFF800000"),
          Check);
      checkKernel(
          windowText(
              "add", In.c_str(), Avg.c_str(),
              R"(sizes = array<i64: 1, 1, 2, 2>, strides = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1, 1, 2>, pad_low = ["0", "0", "0", "0"], pad_high = ["0", "0", "0", "0"])",
              "0.0"),
          Check);
    }
  }
}

TEST(Generic, ProductsAndMixedReductions) {
  checkKernel(
      R"(func.func private @k(%a: tensor<3x5x7xf32>, %b: tensor<3x7x20xf32>) -> tensor<3x5x20xf32> {
    %0 = limosa.contract %a, %b {lhs_batch = array<i64: 0>, rhs_batch = array<i64: 0>, lhs_contract = array<i64: 2>, rhs_contract = array<i64: 1>} : (tensor<3x5x7xf32>, tensor<3x7x20xf32>) -> tensor<3x5x20xf32>
    return %0 : tensor<3x5x20xf32>
  })",
      {.MaxRemarks = 5});
  checkKernel(
      R"(func.func private @k(%x: tensor<2x4x9x11xf32>, %w: tensor<6x2x3x3xf32>) -> tensor<2x6x5x9xf32> {
    %0 = limosa.conv %x, %w {strides = array<i64: 2, 1>, pad_low = ["1", "0"], pad_high = ["1", "2"], lhs_dilation = array<i64: 1, 1>, rhs_dilation = array<i64: 1, 2>, feature_groups = 2 : i64, batch_groups = 1 : i64} : (tensor<2x4x9x11xf32>, tensor<6x2x3x3xf32>) -> tensor<2x6x5x9xf32>
    return %0 : tensor<2x6x5x9xf32>
  })",
      {.MaxRemarks = 5});
  checkKernel(
      R"(func.func private @k(%x: tensor<1x2x4xf32>, %w: tensor<3x2x3xf32>) -> tensor<1x3x9xf32> {
    %0 = limosa.conv %x, %w {strides = array<i64: 1>, pad_low = ["2"], pad_high = ["2"], lhs_dilation = array<i64: 2>, rhs_dilation = array<i64: 1>, feature_groups = 1 : i64, batch_groups = 1 : i64} : (tensor<1x2x4xf32>, tensor<3x2x3xf32>) -> tensor<1x3x9xf32>
    return %0 : tensor<1x3x9xf32>
  })",
      {.MaxRemarks = 5});
}

} // namespace
