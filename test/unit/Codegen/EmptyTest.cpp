//===- EmptyTest.cpp - Kernels with dimensions of size 0 ------------------===//
//
// Each text is tried with Z = 0 known at compile time, and with Z a symbol that
// is 0, and then 3, when the kernel runs.
//
//===----------------------------------------------------------------------===//

#include "KernelCheck.h"
#include <regex>

using namespace limosa::test;

namespace {

/// The text with the dimension Z of its tensor types made static or symbolic.
std::string withZ(const std::string &Text, bool IsStatic) {
  static const std::regex Tensor("tensor<([^<>]*)>");
  std::string Result;
  auto Rest = Text.cbegin();
  for (std::sregex_iterator I(Text.begin(), Text.end(), Tensor), End; I != End;
       ++I) {
    Result.append(Rest, (*I)[0].first);
    Rest = (*I)[0].second;
    std::string Type = (*I)[1], Encoding;
    for (size_t At = 0; (At = Type.find('Z', At)) != std::string::npos; ++At) {
      Type[At] = IsStatic ? '0' : '?';
      Encoding += Encoding.empty() ? R"("Z")" : R"(, "Z")";
    }
    Result += "tensor<" + Type;
    if (!IsStatic && !Encoding.empty())
      Result += ", #limosa.enc<[" + Encoding + "]>";
    Result += ">";
  }
  return Result.append(Rest, Text.cend());
}

/// `Signature` is "(arguments) -> (results)"; `AnySize`: Z need not be 0.
void checkEmpty(const std::string &Signature, const std::string &Body,
                bool AnySize = true) {
  std::string Text = "func.func private @k" + Signature + " {\n" + Body + "\n}";
  checkKernel(withZ(Text, /*IsStatic=*/true), {.MaxRemarks = 8});
  std::string Symbolic = withZ(Text, /*IsStatic=*/false);
  checkKernel(Symbolic, {.Symbols = {{"Z", 0}}, .MaxRemarks = 8});
  if (AnySize)
    checkKernel(Symbolic, {.Symbols = {{"Z", 3}}, .MaxRemarks = 8});
}

TEST(Empty, Pointwise) {
  checkEmpty(
      "(%a: tensor<Zxf32>, %s: tensor<f32>) -> tensor<Zxf32>",
      R"(%0 = limosa.broadcast %s {dims = array<i64>} : (tensor<f32>) -> tensor<Zxf32>
    %1 = limosa.add %a, %0 : (tensor<Zxf32>, tensor<Zxf32>) -> tensor<Zxf32>
    return %1 : tensor<Zxf32>)");
  for (const char *Shape : {"Zx5", "5xZ", "2xZx7", "Zx4x40", "40x4xZ"}) {
    std::string T = std::string("tensor<") + Shape + "xf32>";
    checkEmpty("(%a: " + T + ") -> " + T, "%0 = limosa.exp %a : (" + T +
                                              ") -> " + T +
                                              "\nreturn %0 : " + T);
  }
}

TEST(Empty, Movement) {
  checkEmpty(
      "(%a: tensor<2xZx7xf32>) -> (tensor<7x2xZxf32>, tensor<Zx14xf32>)",
      R"(%0 = limosa.transpose %a {perm = array<i64: 2, 0, 1>} : (tensor<2xZx7xf32>) -> tensor<7x2xZxf32>
    %1 = limosa.transpose %a {perm = array<i64: 1, 0, 2>} : (tensor<2xZx7xf32>) -> tensor<Zx2x7xf32>
    %2 = limosa.reshape %1 : (tensor<Zx2x7xf32>) -> tensor<Zx14xf32>
    return %0, %2 : tensor<7x2xZxf32>, tensor<Zx14xf32>)");
  checkEmpty(
      "(%a: tensor<Zx1xf32>) -> tensor<4xZx6xf32>",
      R"(%0 = limosa.broadcast %a {dims = array<i64: 1, 2>} : (tensor<Zx1xf32>) -> tensor<4xZx6xf32>
    return %0 : tensor<4xZx6xf32>)");
  checkEmpty(
      "(%a: tensor<8x4xf32>) -> tensor<Zx4xf32>",
      R"(%0 = limosa.slice %a {starts = ["1", "0"], steps = array<i64: 2, 1>} : (tensor<8x4xf32>) -> tensor<Zx4xf32>
    return %0 : tensor<Zx4xf32>)");
  checkEmpty("() -> tensor<Zx4xi64>",
             R"(%0 = limosa.iota {dim = 0 : i64} : () -> tensor<Zx4xi64>
    return %0 : tensor<Zx4xi64>)");
}

TEST(Empty, Pad) {
  std::string Static =
      "func.func private @k(%a: tensor<0x4xf32>, %v: tensor<f32>) -> "
      "tensor<3x9xf32> {\n%0 = limosa.pad %a, %v {low = [\"1\", \"2\"], high "
      "= [\"2\", \"3\"], interior = array<i64: 1, 0>} : (tensor<0x4xf32>, "
      "tensor<f32>) -> tensor<3x9xf32>\nreturn %0 : tensor<3x9xf32>\n}";
  checkKernel(Static);
  std::string Symbolic = R"(
    !in = tensor<?x4xf32, #limosa.enc<["Z"]>>
    !out = tensor<?x9xf32, #limosa.enc<["Z + 3"]>>
    func.func private @k(%a: !in, %v: tensor<f32>) -> !out {
    %0 = limosa.pad %a, %v {low = ["1", "2"], high = ["2", "3"], interior = array<i64: 0, 0>} : (!in, tensor<f32>) -> !out
    return %0 : !out
  })";
  for (int Z : {0, 1, 3})
    checkKernel(Symbolic, {.Symbols = {{"Z", Z}}});
}

TEST(Empty, Concat) {
  checkKernel(
      R"(func.func private @k(%a: tensor<0x5xf32>, %b: tensor<3x5xf32>, %c: tensor<0x5xf32>) -> tensor<3x5xf32> {
    %0 = limosa.concat %a, %b, %c {dim = 0 : i64} : (tensor<0x5xf32>, tensor<3x5xf32>, tensor<0x5xf32>) -> tensor<3x5xf32>
    return %0 : tensor<3x5xf32>
  })");
  checkKernel(
      R"(func.func private @k(%a: tensor<5x0xf32>, %b: tensor<5x3xf32>) -> tensor<5x3xf32> {
    %0 = limosa.concat %a, %b {dim = 1 : i64} : (tensor<5x0xf32>, tensor<5x3xf32>) -> tensor<5x3xf32>
    return %0 : tensor<5x3xf32>
  })");
  std::string Symbolic = R"(
    !in = tensor<5x?xf32, #limosa.enc<["Z"]>>
    !out = tensor<5x?xf32, #limosa.enc<["2*Z + 3"]>>
    func.func private @k(%a: !in, %b: tensor<5x3xf32>) -> !out {
    %0 = limosa.concat %a, %b, %a {dim = 1 : i64} : (!in, tensor<5x3xf32>, !in) -> !out
    return %0 : !out
  })";
  for (int Z : {0, 1, 40})
    checkKernel(Symbolic, {.Symbols = {{"Z", Z}}});
}

TEST(Empty, Gather) {
  checkEmpty(
      "(%a: tensor<7x4xf32>, %i: tensor<Zx1xi64>) -> tensor<Zx4xf32>",
      R"(%0 = limosa.gather %a, %i {axes = array<i64: 0>, batch = 0 : i64} : (tensor<7x4xf32>, tensor<Zx1xi64>) -> tensor<Zx4xf32>
    return %0 : tensor<Zx4xf32>)");
  checkEmpty(
      "(%a: tensor<Zx4xf32>, %i: tensor<Zx1xi64>) -> tensor<Zx4xf32>",
      R"(%0 = limosa.gather %a, %i {axes = array<i64: 0>, batch = 0 : i64} : (tensor<Zx4xf32>, tensor<Zx1xi64>) -> tensor<Zx4xf32>
    return %0 : tensor<Zx4xf32>)");
  // From nothing: zeros.
  checkEmpty(
      "(%a: tensor<Zx4xf32>, %i: tensor<5x1xi64>) -> tensor<5x4xf32>",
      R"(%0 = limosa.gather %a, %i {axes = array<i64: 0>, batch = 0 : i64} : (tensor<Zx4xf32>, tensor<5x1xi64>) -> tensor<5x4xf32>
    return %0 : tensor<5x4xf32>)");
}

TEST(Empty, Scatter) {
  const char *Body =
      R"(%0 = limosa.scatter %a, %i, %u {
    ^bb0(%x: tensor<f32>, %y: tensor<f32>):
      %s = limosa.add %x, %y : (tensor<f32>, tensor<f32>) -> tensor<f32>
      limosa.yield %s : tensor<f32>
    } {axes = array<i64: 0>, batch = 0 : i64} : (TA, TI, TU) -> TA
    return %0 : TA)";
  for (auto [A, I, U] : {std::tuple{"7x4", "Zx1", "Zx4"},
                         {"Zx4", "5x1", "5x4"},
                         {"7xZ", "5x1", "5xZ"}}) {
    auto Type = [](std::string Shape, const char *Element) {
      return "tensor<" + Shape + "x" + Element + ">";
    };
    std::string TA = Type(A, "f32"), TI = Type(I, "i64"), TU = Type(U, "f32");
    std::string Text = std::regex_replace(Body, std::regex("TA"), TA);
    Text = std::regex_replace(Text, std::regex("TI"), TI);
    Text = std::regex_replace(Text, std::regex("TU"), TU);
    checkEmpty("(%a: " + TA + ", %i: " + TI + ", %u: " + TU + ") -> " + TA,
               Text);
  }
}

TEST(Empty, UpdateSlice) {
  checkEmpty(
      "(%a: tensor<7x4xf32>, %u: tensor<Zx4xf32>, %s: tensor<2xi64>) -> "
      "tensor<7x4xf32>",
      R"(%0 = limosa.update_slice %a, %u, %s : (tensor<7x4xf32>, tensor<Zx4xf32>, tensor<2xi64>) -> tensor<7x4xf32>
    return %0 : tensor<7x4xf32>)");
}

TEST(Empty, Reduce) {
  for (auto [In, Out, Dims] : {std::tuple{"4xZ", "4x", "1"},
                               {"Zx4", "Zx", "1"},
                               {"Zx4", "4x", "0"},
                               {"3xZx40", "3x40x", "1"},
                               {"3x40xZ", "Zx", "0, 1"},
                               {"Zx3x5", "", "0, 1, 2"}}) {
    std::string TI = std::string("tensor<") + In + "xf32>";
    std::string TO = std::string("tensor<") + Out + "f32>";
    checkEmpty("(%a: " + TI + ", %i: tensor<f32>) -> " + TO,
               R"(%0 = limosa.reduce %a, %i {
    ^bb0(%x: tensor<f32>, %y: tensor<f32>):
      %s = limosa.max %x, %y : (tensor<f32>, tensor<f32>) -> tensor<f32>
      limosa.yield %s : tensor<f32>
    } {dims = array<i64: )" +
                   std::string(Dims) +
                   ">, operandSegmentSizes = array<i32: 1, 1>} : (" + TI +
                   ", tensor<f32>) -> " + TO + "\nreturn %0 : " + TO);
  }
}

TEST(Empty, Window) {
  checkKernel(
      R"(func.func private @k(%a: tensor<2x0xf32>, %i: tensor<f32>) -> tensor<2x3xf32> {
    %0 = limosa.window %a, %i {
    ^bb0(%x: tensor<f32>, %y: tensor<f32>):
      %s = limosa.max %x, %y : (tensor<f32>, tensor<f32>) -> tensor<f32>
      limosa.yield %s : tensor<f32>
    } {sizes = array<i64: 1, 2>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pad_low = ["0", "2"], pad_high = ["0", "2"], operandSegmentSizes = array<i32: 1, 1>} : (tensor<2x0xf32>, tensor<f32>) -> tensor<2x3xf32>
    return %0 : tensor<2x3xf32>
  })");
  checkEmpty("(%a: tensor<Zx8x6xf32>, %i: tensor<f32>) -> tensor<Zx4x6xf32>",
             R"(%0 = limosa.window %a, %i {
    ^bb0(%x: tensor<f32>, %y: tensor<f32>):
      %s = limosa.max %x, %y : (tensor<f32>, tensor<f32>) -> tensor<f32>
      limosa.yield %s : tensor<f32>
    } {sizes = array<i64: 1, 2, 1>, strides = array<i64: 1, 2, 1>, dilations = array<i64: 1, 1, 1>, pad_low = ["0", "0", "0"], pad_high = ["0", "0", "0"], operandSegmentSizes = array<i32: 1, 1>} : (tensor<Zx8x6xf32>, tensor<f32>) -> tensor<Zx4x6xf32>
    return %0 : tensor<Zx4x6xf32>)");
}

TEST(Empty, Contract) {
  for (const char *T : {"f32", "f64", "bf16", "i8", "i64"})
    for (auto [L, R, Out] : {std::tuple{"4xZ", "Zx5", "4x5"},
                             {"Zx4", "4x5", "Zx5"},
                             {"4x6", "6xZ", "4xZ"},
                             {"ZxZ", "ZxZ", "ZxZ"},
                             {"40x300", "300xZ", "40xZ"}}) {
      auto Type = [&](const char *Shape) {
        return std::string("tensor<") + Shape + "x" + T + ">";
      };
      checkEmpty("(%a: " + Type(L) + ", %b: " + Type(R) + ") -> " + Type(Out),
                 "%0 = limosa.contract %a, %b {lhs_batch = array<i64>, "
                 "rhs_batch = array<i64>, lhs_contract = array<i64: 1>, "
                 "rhs_contract = array<i64: 0>} : (" +
                     Type(L) + ", " + Type(R) + ") -> " + Type(Out) +
                     "\nreturn %0 : " + Type(Out));
    }
  checkEmpty("(%a: tensor<Zx3x4xf32>, %b: tensor<Zx4x5xf32>) -> "
             "tensor<Zx3x5xf32>",
             "%0 = limosa.contract %a, %b {lhs_batch = array<i64: 0>, "
             "rhs_batch = array<i64: 0>, lhs_contract = array<i64: 2>, "
             "rhs_contract = array<i64: 1>} : (tensor<Zx3x4xf32>, "
             "tensor<Zx4x5xf32>) -> tensor<Zx3x5xf32>\n"
             "return %0 : tensor<Zx3x5xf32>");
}

TEST(Empty, Conv) {
  auto Conv = [](const std::string &In, const std::string &Filter,
                 const std::string &Out, int Groups, const char *Pads) {
    auto Type = [](const std::string &Shape) {
      return "tensor<" + Shape + "xf32>";
    };
    checkEmpty(
        "(%a: " + Type(In) + ", %b: " + Type(Filter) + ") -> " + Type(Out),
        "%0 = limosa.conv %a, %b {strides = array<i64: 1, 1>, pad_low "
        "= " +
            std::string(Pads) + ", pad_high = " + Pads +
            ", lhs_dilation = array<i64: 1, 1>, rhs_dilation = "
            "array<i64: 1, 1>, feature_groups = " +
            std::to_string(Groups) + " : i64, batch_groups = 1 : i64} : (" +
            Type(In) + ", " + Type(Filter) + ") -> " + Type(Out) +
            "\nreturn %0 : " + Type(Out));
  };
  const char *None = R"(["0", "0"])", *Same = R"(["1", "1"])";
  Conv("Zx4x6x6", "8x4x3x3", "Zx8x4x4", 1, None);
  Conv("Zx16x6x6", "16x1x3x3", "Zx16x6x6", 16, Same);
  Conv("2x16x6x6", "Zx16x1x1", "2xZx6x6", 1, None);
  Conv("2xZx6x6", "16xZx3x3", "2x16x6x6", 1, Same);
  Conv("2x3x6xZ", "16x3x3x3", "2x16x6xZ", 1, Same);
}

TEST(Empty, Irregular) {
  for (const char *Shape : {"Zx4", "4xZ"}) {
    std::string T = std::string("tensor<") + Shape + "xf32>";
    for (const char *Dim : {"0", "1"}) {
      checkEmpty("(%a: " + T + ") -> " + T, R"(%0 = limosa.sort %a {
    ^bb0(%x: tensor<f32>, %y: tensor<f32>):
      %s = limosa.compare %x, %y {direction = #limosa.compare<lt>} : (tensor<f32>, tensor<f32>) -> tensor<i1>
      limosa.yield %s : tensor<i1>
    } {dim = )" + std::string(Dim) + " : i64} : (" +
                                                T + ") -> " + T +
                                                "\nreturn %0 : " + T);
      checkEmpty("(%a: " + T + ", %i: tensor<f32>) -> " + T,
                 R"(%0 = limosa.scan %a, %i {
    ^bb0(%x: tensor<f32>, %y: tensor<f32>):
      %s = limosa.add %x, %y : (tensor<f32>, tensor<f32>) -> tensor<f32>
      limosa.yield %s : tensor<f32>
    } {dim = )" + std::string(Dim) +
                     " : i64, exclusive = false, reverse = false, "
                     "operandSegmentSizes = array<i32: 1, 1>} : (" +
                     T + ", tensor<f32>) -> " + T + "\nreturn %0 : " + T);
    }
  }
  checkEmpty("(%k: tensor<2xui64>) -> tensor<Zxui32>",
             R"(%0 = limosa.random_bits %k : (tensor<2xui64>) -> tensor<Zxui32>
    return %0 : tensor<Zxui32>)");
}

} // namespace
