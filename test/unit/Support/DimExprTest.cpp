//===- DimExprTest.cpp - Simplified expressions keep their values ---------===//

#include "limosa/Support/DimExpr.h"

#include <gtest/gtest.h>
#include <random>

using namespace limosa;

namespace {

int64_t floorDivide(int64_t A, int64_t B) {
  int64_t Q = A / B;
  return A % B != 0 && (A < 0) != (B < 0) ? Q - 1 : Q;
}

/// A random expression beside its value for N and S, computed step by step
/// without any simplification.
struct Sample {
  DimExpr E;
  int64_t Value;
};

class Generator {
public:
  Generator(unsigned Seed, int64_t N, int64_t S) : Random(Seed), N(N), S(S) {}

  Sample make(unsigned Depth) {
    unsigned Kind = Depth ? pick(10) : pick(3);
    switch (Kind) {
    case 0:
      return {DimExpr::symbol("N"), N};
    case 1:
      return {DimExpr::symbol("S"), S};
    case 2: {
      int64_t C = int64_t(pick(9)) - 2;
      return {DimExpr(C), C};
    }
    default:
      break;
    }
    Sample A = make(Depth - 1);
    if (Kind >= 8) { // divisors are positive
      int64_t D = 1 + pick(7);
      return Kind == 8
                 ? Sample{DimExpr::floorDiv(A.E, D), floorDivide(A.Value, D)}
                 : Sample{DimExpr::mod(A.E, D),
                          A.Value - D * floorDivide(A.Value, D)};
    }
    Sample B = make(Depth - 1);
    switch (Kind) {
    case 3:
      return {A.E + B.E, A.Value + B.Value};
    case 4:
      return {A.E - B.E, A.Value - B.Value};
    case 5:
      return {A.E * B.E, A.Value * B.Value};
    case 6:
      return {DimExpr::min(A.E, B.E), std::min(A.Value, B.Value)};
    default:
      return {DimExpr::max(A.E, B.E), std::max(A.Value, B.Value)};
    }
  }

private:
  unsigned pick(unsigned Count) { return Random() % Count; }

  std::mt19937 Random;
  int64_t N, S;
};

TEST(DimExpr, SimplifyingKeepsTheValue) {
  for (unsigned Seed = 0; Seed < 3000; ++Seed) {
    const int64_t N = Seed % 5, S = Seed % 7 * 3;
    Sample X = Generator(Seed, N, S).make(4);
    auto Lookup = [&](std::string_view Name) {
      return std::optional(Name == "N" ? N : S);
    };
    ASSERT_EQ(X.E.evaluate(Lookup), X.Value) << X.E.toString();

    auto Again = DimExpr::parse(X.E.toString());
    ASSERT_TRUE(Again) << X.E.toString();
    EXPECT_EQ(*Again, X.E) << X.E.toString();

    if (auto Low = X.E.lowerBound()) {
      EXPECT_LE(*Low, X.Value) << X.E.toString();
    }
    if (int64_t D = X.E.knownDivisor()) {
      EXPECT_EQ(X.Value % D, 0) << X.E.toString();
    }
    DimExpr Fixed = X.E.substitute([&](std::string_view Name) {
      return std::optional<DimExpr>(*Lookup(Name));
    });
    EXPECT_EQ(Fixed.evaluate(Lookup), X.Value) << X.E.toString();
  }
}

TEST(DimExpr, SpellsOutOneForm) {
  EXPECT_EQ(DimExpr::parse("1 + N")->toString(), "N + 1");
  EXPECT_EQ(DimExpr::parse("(N + 1)*(N - 1)")->toString(), "N*N - 1");
  EXPECT_EQ(DimExpr::parse("floordiv(floordiv(N - 1, 2) + 1, 2)"),
            DimExpr::parse("floordiv(N + 1, 4)"));
  EXPECT_EQ(DimExpr::parse("max(N + 1, N)")->toString(), "N + 1");
}

// Files bring any text. What has no value has none; nothing traps.
TEST(DimExpr, SurvivesAnyText) {
  const char *Texts[] = {"mod(N, 0)",
                         "mod(5, 0)",
                         "floordiv(0, 0)",
                         "floordiv(N, 0)",
                         "mod(3*N, N - N)",
                         "-9223372036854775807 - 1",
                         "floordiv((-9223372036854775807 - 1)*N, -1)",
                         "floordiv(-9223372036854775807 - 1, -1)",
                         "mod(-9223372036854775807 - 1, -1)",
                         "min(9223372036854775807*N, N + 9223372036854775807)",
                         "max(9223372036854775807 + N, -N)",
                         "max(9223372036854775807, 9223372036854775807)*N"};
  for (const char *Text : Texts) {
    auto E = DimExpr::parse(Text);
    ASSERT_TRUE(E) << Text;
    E->lowerBound();
    E->knownDivisor();
    E->toString();
    E->evaluate([](std::string_view) { return std::optional<int64_t>(3); });
  }
  for (std::string_view Text : {std::string_view("N\0", 2), std::string_view(),
                                std::string_view("N N"), std::string_view("(")})
    EXPECT_FALSE(DimExpr::parse(Text)) << Text;
}

TEST(DimExpr, RefusesExpressionsThatGrowWithoutBound) {
  std::string Product = "(a + b)";
  for (char C = 'c'; C <= 'y'; ++C)
    Product += std::string("*(") + C + " + z" + C + ")";
  std::string Error;
  EXPECT_FALSE(DimExpr::parse(Product, &Error));
  EXPECT_NE(Error.find("too large"), std::string::npos) << Error;
}

} // namespace
