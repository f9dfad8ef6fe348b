//===- ChoicesTest.cpp - Every way of a kernel is right -------------------===//

#include "limosa/Codegen/Choices.h"
#include "KernelCheck.h"
#include "llvm/Support/FormatVariadic.h"
#include <gtest/gtest.h>

using namespace limosa::codegen;
using namespace limosa::test;

namespace {

std::vector<std::string> namesOf(llvm::ArrayRef<Choice> Choices) {
  std::vector<std::string> Names;
  for (const Choice &C : Choices)
    if (!llvm::is_contained(Names, C.Name))
      Names.push_back(C.Name);
  return Names;
}

/// Whether one of the choices is `Name` with a way `Way`.
bool hasWay(llvm::ArrayRef<Choice> Choices, llvm::StringRef Name,
            llvm::StringRef Way) {
  return llvm::any_of(Choices, [&](const Choice &C) {
    return C.Name == Name && llvm::is_contained(C.Ways, Way);
  });
}

TEST(Choices, TextAndBack) {
  AskedWays Ways = {{"template", "conv"}, {"conv.lines", "4"}};
  EXPECT_EQ(toText(Ways), "conv.lines=4,template=conv");
  EXPECT_EQ(parseWays(toText(Ways)), Ways);
  EXPECT_EQ(parseWays(""), AskedWays());
  for (const char *Bad : {"a", "a=", "=b", "a=b,", "a=b,a=c", "a=b=c"})
    EXPECT_EQ(parseWays(Bad), std::nullopt) << Bad;
}

TEST(Choices, TakesWhatIsAskedForIfItIsThere) {
  Chooser C({{"a", "2"}, {"b", "9"}});
  EXPECT_EQ(C.take("a", {"1", "2", "3"}), 1u);
  EXPECT_EQ(C.take("b", {"1", "2"}), 0u);
  EXPECT_EQ(C.take("c", {"1", "2"}), 0u);
  EXPECT_EQ(C.take("d", {"1"}), 0u); // nothing to choose
  EXPECT_EQ(namesOf(C.made()), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(C.made()[0].Taken, "2");
  EXPECT_EQ(C.made()[0].estimate(), "1");
  EXPECT_EQ(C.unknown(), (AskedWays{{"b", "9"}}));
  // Named again: the later ways count.
  EXPECT_EQ(C.take("a", {"5", "2"}), 1u);
  EXPECT_EQ(C.made()[0].Ways, (std::vector<std::string>{"5", "2"}));
}

TEST(Choices, CandidatesAreTheCheapestFew) {
  Candidates<int> Of;
  Of.add("far", 9, 0);
  Of.add("x", 1.2, 1);
  Of.add("best", 1.1, 2);
  Of.add("best", 1.0, 3); // the same way, cheaper
  Of.add("x", 1.3, 4);
  std::vector<std::string> Ways;
  EXPECT_EQ(Of.take([&](llvm::ArrayRef<std::string> W) {
    Ways = W.vec();
    return 0;
  }),
            3);
  EXPECT_EQ(Ways, (std::vector<std::string>{"best", "x"}));
}

TEST(Choices, NumbersNearTheEstimate) {
  using L = llvm::SmallVector<int64_t>;
  EXPECT_EQ(nearNumbers(4, 1, 100), (L{4, 2, 8}));
  EXPECT_EQ(nearNumbers(4, 3, 6), (L{4, 3, 6}));
  EXPECT_EQ(nearNumbers(1, 1, 1), (L{1}));
}

TEST(Choices, AWayThatIsNotThereIsARemark) {
  const char *Text =
      R"(func.func private @k(%a: tensor<64xf32>) -> tensor<64xf32> attributes {limosa.kernel} {
    %0 = limosa.add %a, %a : (tensor<64xf32>, tensor<64xf32>) -> tensor<64xf32>
    return %0 : tensor<64xf32>
  })";
  checkKernel(Text, {.MaxRemarks = 1, .Ways = {{"conv.lines", "4"}}});
}

TEST(Choices, EveryWayOfAProduct) {
  auto Made = checkEveryWay(
      R"(func.func private @k(%a: tensor<70x96xf32>, %b: tensor<96x200xf32> {limosa.constant}) -> tensor<70x200xf32> attributes {limosa.kernel} {
    %0 = limosa.contract %a, %b {lhs_batch = array<i64>, rhs_batch = array<i64>, lhs_contract = array<i64: 1>, rhs_contract = array<i64: 0>} : (tensor<70x96xf32>, tensor<96x200xf32>) -> tensor<70x200xf32>
    %1 = limosa.neg %0 : (tensor<70x200xf32>) -> tensor<70x200xf32>
    return %1 : tensor<70x200xf32>
  })",
      {.Tolerance = 1e-4, .Workers = 2, .Template = "contract"});
  for (const char *Name : {"contract.tile", "contract.panels", "contract.rows"})
    EXPECT_TRUE(llvm::is_contained(namesOf(Made), Name)) << Name;
}

TEST(Choices, EveryWayOfAProductOfUnknownRows) {
  checkEveryWay(
      R"(func.func private @k(%a: tensor<?x40xf32, #limosa.enc<["N"]>>, %b: tensor<40x72xf32> {limosa.constant}) -> tensor<?x72xf32, #limosa.enc<["N"]>> attributes {limosa.kernel} {
    %0 = limosa.contract %a, %b {lhs_batch = array<i64>, rhs_batch = array<i64>, lhs_contract = array<i64: 1>, rhs_contract = array<i64: 0>} : (tensor<?x40xf32, #limosa.enc<["N"]>>, tensor<40x72xf32>) -> tensor<?x72xf32, #limosa.enc<["N"]>>
    return %0 : tensor<?x72xf32, #limosa.enc<["N"]>>
  })",
      {.Symbols = {{"N", 29}}, .Tolerance = 1e-4, .Workers = 2});
}

std::string convolution(int64_t In, int64_t Out, int64_t Size, int64_t Window,
                        int64_t Groups = 1) {
  std::string Image = llvm::formatv(
      "tensor<1x{0}x{1}x{1}xf32, #limosa.enc<[], [0, 2, 3, 1]>>", In, Size);
  std::string Result = llvm::formatv(
      "tensor<1x{0}x{1}x{1}xf32, #limosa.enc<[], [0, 2, 3, 1]>>", Out, Size);
  std::string Filter =
      llvm::formatv("tensor<{0}x{1}x{2}x{2}xf32>", Out, In / Groups, Window);
  return llvm::formatv(
      R"(func.func private @k(%x: {0}, %f: {1} {{limosa.constant}) -> {2} attributes {{limosa.kernel} {{
    %0 = limosa.conv %x, %f {{strides = array<i64: 1, 1>, pad_low = ["{3}", "{3}"], pad_high = ["{3}", "{3}"], lhs_dilation = array<i64: 1, 1>, rhs_dilation = array<i64: 1, 1>, feature_groups = {4} : i64, batch_groups = 1 : i64} : ({0}, {1}) -> {2}
    return %0 : {2}
  })",
      Image, Filter, Result, Window / 2, Groups);
}

TEST(Choices, EveryWayOfAPointwiseConvolution) {
  auto Made = checkEveryWay(convolution(48, 160, 14, 1),
                            {.Tolerance = 1e-4, .Workers = 2});
  EXPECT_TRUE(llvm::is_contained(namesOf(Made), "conv.tile"));
  EXPECT_TRUE(llvm::is_contained(namesOf(Made), "conv.tiles"));
}

// As in squeeze-and-excite: for AVX2 84 columns are 3 panels of 32, of which
// one worker would get two, or 4 of 24.
TEST(Choices, PanelsOfOnePixelAreSharedOutEvenly) {
  auto Made = checkEveryWay(convolution(336, 84, 1, 1),
                            {.Tolerance = 1e-3, .Workers = 2});
  EXPECT_TRUE(llvm::any_of(Made, [](const Choice &C) {
    return C.Name == "conv.tile" && C.estimate() == "1x3";
  }));
}

TEST(Choices, EveryWayOfAConvolution) {
  auto Made = checkEveryWay(convolution(64, 64, 20, 3),
                            {.Tolerance = 1e-3, .Workers = 2});
  EXPECT_TRUE(hasWay(Made, "template", "winograd"));
  EXPECT_TRUE(hasWay(Made, "template", "conv"));
  Made = checkEveryWay(convolution(24, 40, 13, 5),
                       {.Tolerance = 1e-4, .Workers = 2});
  EXPECT_TRUE(llvm::is_contained(namesOf(Made), "conv.lines"));
}

TEST(Choices, EveryWayOfADepthwiseConvolution) {
  auto Made = checkEveryWay(convolution(48, 48, 14, 3, 48),
                            {.Tolerance = 1e-4, .Workers = 2});
  EXPECT_TRUE(hasWay(Made, "template", "depthwise"));
}

TEST(Choices, EveryWayOfATranspose) {
  auto Made = checkEveryWay(
      R"(func.func private @k(%a: tensor<64x48xf32>) -> tensor<48x64xf32> attributes {limosa.kernel} {
    %0 = limosa.transpose %a {perm = array<i64: 1, 0>} : (tensor<64x48xf32>) -> tensor<48x64xf32>
    return %0 : tensor<48x64xf32>
  })");
  EXPECT_TRUE(hasWay(Made, "template", "transpose"));
  EXPECT_TRUE(hasWay(Made, "template", "pointwise"));
}

} // namespace
