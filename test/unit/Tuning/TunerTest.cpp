//===- TunerTest.cpp - What the clock says is taken -----------------------===//

#include "limosa/Tuning/Tuner.h"
#include "../Codegen/Harness.h"
#include "limosa/IR/LimosaDialect.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/FileSystem.h"
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

using namespace mlir;
using namespace limosa;
using namespace limosa::codegen;
using namespace limosa::test;
using namespace limosa::tuning;

namespace {

//===----------------------------------------------------------------------===//
// compareWays
//===----------------------------------------------------------------------===//

/// Ways that take what they are said to take; noise comes from `Disturb`.
Contest contest(std::vector<double> Seconds,
                llvm::function_ref<double(unsigned Call)> Disturb = nullptr) {
  unsigned Calls = 0;
  auto Result =
      compareWays(Seconds.size(), [&](unsigned I) -> llvm::Expected<double> {
        double Noise = Disturb ? Disturb(Calls) : 1;
        ++Calls;
        return Seconds[I] * Noise;
      });
  EXPECT_TRUE(bool(Result));
  return *Result;
}

TEST(CompareWays, TakesTheFastest) {
  Contest C = contest({1.0, 0.9, 0.8, 1.5});
  EXPECT_EQ(C.Winner, 2u);
  EXPECT_DOUBLE_EQ(C.Seconds, 0.8);
  EXPECT_DOUBLE_EQ(C.FirstSeconds, 1.0);
}

TEST(CompareWays, StaysWithTheFirstUnlessAnotherIsClearlyFaster) {
  EXPECT_EQ(contest({1.0, 0.98}).Winner, 0u);
  EXPECT_EQ(contest({1.0}).Winner, 0u);
  // Faster in half of the rounds only.
  EXPECT_EQ(contest({1.0, 1.0},
                    [](unsigned Call) { return Call % 4 == 1 ? 0.9 : 1.0; })
                .Winner,
            0u);
}

TEST(CompareWays, DoesNotTimeTheHopelessAgain) {
  unsigned Slow = 0, All = 0;
  auto Result = compareWays(3, [&](unsigned I) -> llvm::Expected<double> {
    Slow += I == 1;
    ++All;
    return I == 1 ? 5.0 : 1.0;
  });
  ASSERT_TRUE(bool(Result));
  EXPECT_EQ(Slow, 3u);
  EXPECT_GT(All, 20u);
}

TEST(CompareWays, ErrorsComeThrough) {
  auto Result = compareWays(2, [&](unsigned) -> llvm::Expected<double> {
    return llvm::createStringError("broken");
  });
  EXPECT_EQ(toString(Result.takeError()), "broken");
}

//===----------------------------------------------------------------------===//
// Tuner
//===----------------------------------------------------------------------===//

/// Says of each variant what a table says of its choices.
class FakeStopwatch : public Stopwatch {
public:
  /// Factor on one second for a way, by "name=way".
  std::map<std::string, double> Factors;
  unsigned Loads = 0;
  std::vector<CompiledKernel> Variants;

  std::string machine() const override { return "a fake"; }
  llvm::Expected<bool> load(func::FuncOp, llvm::ArrayRef<CompiledKernel> Ks,
                            llvm::ArrayRef<uint8_t> Image,
                            const Sizes &) override {
    ++Loads;
    EXPECT_FALSE(Image.empty());
    Variants = Ks.vec();
    return true;
  }
  llvm::Expected<double> time(unsigned I) override {
    double Seconds = 1;
    for (const Choice &C : Variants[I].Choices)
      if (auto It = Factors.find(C.Name + "=" + C.Taken); It != Factors.end())
        Seconds *= It->second;
    return Seconds;
  }
};

/// A kernel that is quick to compile in all its ways; `Size` may be a symbol.
std::string square(const std::string &Size = "5000") {
  std::string Ty = llvm::all_of(Size, llvm::isDigit)
                       ? "tensor<" + Size + "xf32>"
                       : "tensor<?xf32, #limosa.enc<[\"" + Size + "\"]>>";
  return "func.func private @k(%a: " + Ty + ") -> " + Ty +
         " attributes {limosa.kernel} {\n %0 = limosa.mul %a, %a : (" + Ty +
         ", " + Ty + ") -> " + Ty + "\n return %0 : " + Ty + "\n}";
}

class TunerTest : public ::testing::Test {
protected:
  void SetUp() override {
    Context = makeContext();
    Context->loadDialect<LimosaDialect, func::FuncDialect>();
    Folder = std::filesystem::path(::testing::TempDir()) /
             ("limosa-tuner-test-" + std::to_string(getpid()));
    std::filesystem::remove_all(Folder);
    Notes = std::make_unique<runtime::Cache>(Folder.string());
    Options.Target.Isa = "avx2";
    Options.Target.Workers = 2;
    Options.Notes = Notes.get();
    Options.Compiler = "this one";
  }
  void TearDown() override { std::filesystem::remove_all(Folder); }

  Verdict tune(const std::string &Text = square()) {
    Module = parseSourceString<ModuleOp>(Text, Context.get());
    EXPECT_TRUE(bool(Module));
    Tuner T(Watch, Options);
    return T.tune(Module->lookupSymbol<func::FuncOp>("k"));
  }
  /// A choice of the kernel with a way that is not the estimate's.
  std::pair<std::string, std::string> otherWay(llvm::StringRef Name) {
    Module = parseSourceString<ModuleOp>(square(), Context.get());
    auto Compiler = KernelCompiler::create(Context.get(), Options.Target);
    auto K = (*Compiler)->add(Module->lookupSymbol<func::FuncOp>("k"));
    for (const Choice &C : K->Choices)
      if (C.Name == Name)
        return {C.Name, C.Ways.back()};
    ADD_FAILURE() << "no choice " << Name.str();
    return {};
  }
  std::vector<std::string> notes() const {
    std::vector<std::string> Paths;
    for (auto &Entry : std::filesystem::directory_iterator(Folder))
      Paths.push_back(Entry.path().string());
    return Paths;
  }

  std::unique_ptr<MLIRContext> Context;
  OwningOpRef<ModuleOp> Module;
  std::filesystem::path Folder;
  std::unique_ptr<runtime::Cache> Notes;
  FakeStopwatch Watch;
  TunerOptions Options;
};

TEST_F(TunerTest, TakesWhatTheClockSays) {
  auto [Name, Way] = otherWay("pointwise.tile");
  Watch.Factors[Name + "=" + Way] = 0.8;
  Verdict V = tune();
  EXPECT_EQ(V.What, Verdict::Measured);
  EXPECT_EQ(V.Ways, (AskedWays{{Name, Way}}));
  EXPECT_DOUBLE_EQ(V.Times->Seconds, 0.8);
  EXPECT_DOUBLE_EQ(V.Times->EstimateSeconds, 1);
  EXPECT_GE(V.Times->Tried, 3u);
}

TEST_F(TunerTest, GoesOnFromTheBest) {
  auto [Tile, TileWay] = otherWay("pointwise.tile");
  Watch.Factors[Tile + "=" + TileWay] = 0.8;
  auto [Unroll, UnrollWay] = otherWay("pointwise.unroll");
  Watch.Factors[Unroll + "=" + UnrollWay] = 0.9;
  EXPECT_EQ(tune().Ways, (AskedWays{{Tile, TileWay}, {Unroll, UnrollWay}}));
}

TEST_F(TunerTest, EstimatesStayWhereNothingIsFaster) {
  auto [Name, Way] = otherWay("pointwise.tile");
  Watch.Factors[Name + "=" + Way] = 0.99;
  Verdict V = tune();
  EXPECT_EQ(V.What, Verdict::Measured);
  EXPECT_TRUE(V.Ways.empty());
}

TEST_F(TunerTest, WhatIsKnownIsNotMeasuredAgain) {
  auto [Name, Way] = otherWay("pointwise.tile");
  Watch.Factors[Name + "=" + Way] = 0.8;
  Verdict First = tune();
  EXPECT_EQ(notes().size(), 1u);
  Watch.Loads = 0;
  Verdict Second = tune();
  EXPECT_EQ(Second.What, Verdict::Known);
  EXPECT_EQ(Second.Ways, First.Ways);
  EXPECT_NEAR(Second.Times->Seconds, 0.8, 1e-6);
  EXPECT_EQ(Watch.Loads, 0u);
  // Unless it is to be, or for something else.
  Options.Again = true;
  EXPECT_EQ(tune().What, Verdict::Measured);
  Options.Again = false;
  Options.Target.Workers = 1;
  EXPECT_EQ(tune().What, Verdict::Measured);
  Options.Target.Workers = 2;
  Options.Compiler = "another";
  EXPECT_EQ(tune().What, Verdict::Measured);
}

TEST_F(TunerTest, BadNotesAreMeasuredAgain) {
  for (const char *Text :
       {"", "limosa-choice-1\n", "limosa-choice-0\n\n1 1 1\n",
        "limosa-choice-1\npointwise.tile=99\n1e0 1e0 3\n",
        "limosa-choice-1\nconv.lines=4\n1e0 1e0 3\n",
        "limosa-choice-1\npointwise.tile\n1e0 1e0 3\n",
        "limosa-choice-1\n\n1e0 many 3\n"}) {
    tune();
    ASSERT_EQ(notes().size(), 1u);
    std::ofstream(notes()[0]) << Text;
    EXPECT_EQ(tune().What, Verdict::Measured) << Text;
    EXPECT_EQ(tune().What, Verdict::Known) << Text;
  }
}

TEST_F(TunerTest, OpenSizesAreNotTimed) {
  const std::string Open = square("Rows");
  Verdict V = tune(Open);
  EXPECT_EQ(V.What, Verdict::OpenSize);
  EXPECT_EQ(V.Why, "Rows");
  Options.Symbols["Rows"] = 17;
  EXPECT_EQ(tune(Open).What, Verdict::Measured);
  EXPECT_EQ(tune(Open).What, Verdict::Known);
  Options.Symbols["Rows"] = 18;
  EXPECT_EQ(tune(Open).What, Verdict::Measured);
}

TEST_F(TunerTest, NothingToChoose) {
  Verdict V = tune(
      R"(func.func private @k(%a: tensor<0x4xf32>) -> tensor<0x4xf32> attributes {limosa.kernel} {
    %0 = limosa.neg %a : (tensor<0x4xf32>) -> tensor<0x4xf32>
    return %0 : tensor<0x4xf32>
  })");
  EXPECT_EQ(V.What, Verdict::OneWay);
  EXPECT_EQ(Watch.Loads, 0u);
}

//===----------------------------------------------------------------------===//
// On this machine
//===----------------------------------------------------------------------===//

TEST_F(TunerTest, TimesOnThisMachine) {
  auto Clock = makeStopwatch(2, "avx2", 1 << 22);
  ASSERT_TRUE(bool(Clock)) << toString(Clock.takeError());
  Module = parseSourceString<ModuleOp>(square(), Context.get());
  Tuner T(**Clock, Options);
  Verdict V = T.tune(Module->lookupSymbol<func::FuncOp>("k"));
  EXPECT_EQ(V.What, Verdict::Measured) << V.Why;
  EXPECT_GT(V.Times->Seconds, 0);
  EXPECT_LT(V.Times->Seconds, 1);
}

TEST(Stopwatch, NeedsTheIsa) {
  auto Clock = makeStopwatch(1, "avx2048", 0);
  ASSERT_FALSE(bool(Clock));
  EXPECT_NE(toString(Clock.takeError()).find("avx2048"), std::string::npos);
}

} // namespace
