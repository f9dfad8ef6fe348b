//===- VectorMathTest.cpp - Errors and edge cases of math functions -------===//

#include "Harness.h"
#include "llvm/ADT/bit.h"
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <random>

using namespace limosa;
using namespace limosa::test;

namespace {

constexpr float Inf = std::numeric_limits<float>::infinity();
constexpr float NaN = std::numeric_limits<float>::quiet_NaN();
constexpr float Min = std::numeric_limits<float>::min();
constexpr float Denormal = std::numeric_limits<float>::denorm_min();
constexpr float Max = std::numeric_limits<float>::max();

/// A kernel that applies `Op` to buffers 0 (and 1), 16 elements at a time and
/// the rest one by one, so that vectors and scalars are both tested.
std::string kernelText(llvm::StringRef Op, unsigned Arguments,
                       llvm::StringRef Type) {
  llvm::StringRef Operands = Arguments == 1 ? "%a" : "%a, %b";
  return llvm::formatv(
      R"(
llvm.func @k(%ctx: !llvm.ptr, %scalars: !llvm.ptr, %buffers: !llvm.ptr, %begin: i64, %end: i64) -> i32 {
  %ok = arith.constant 0 : i32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  %n64 = llvm.load %scalars : !llvm.ptr -> i64
  %n = arith.index_cast %n64 : i64 to index
  %g1 = llvm.getelementptr %buffers[1] : (!llvm.ptr) -> !llvm.ptr, !llvm.ptr
  %g2 = llvm.getelementptr %buffers[2] : (!llvm.ptr) -> !llvm.ptr, !llvm.ptr
  %p0 = llvm.load %buffers : !llvm.ptr -> !llvm.ptr
  %p1 = llvm.load %g1 : !llvm.ptr -> !llvm.ptr
  %p2 = llvm.load %g2 : !llvm.ptr -> !llvm.ptr
  %m0 = builtin.unrealized_conversion_cast %p0 : !llvm.ptr to memref<?x{2}>
  %m1 = builtin.unrealized_conversion_cast %p1 : !llvm.ptr to memref<?x{2}>
  %m2 = builtin.unrealized_conversion_cast %p2 : !llvm.ptr to memref<?x{2}>
  %rest = arith.remui %n, %c16 : index
  %full = arith.subi %n, %rest : index
  scf.for %i = %c0 to %full step %c16 {{
    %a = vector.load %m0[%i] : memref<?x{2}>, vector<16x{2}>
    %b = vector.load %m1[%i] : memref<?x{2}>, vector<16x{2}>
    %r = {0} {1} : vector<16x{2}>
    vector.store %r, %m2[%i] : memref<?x{2}>, vector<16x{2}>
  }
  scf.for %i = %full to %n step %c1 {{
    %a = memref.load %m0[%i] : memref<?x{2}>
    %b = memref.load %m1[%i] : memref<?x{2}>
    %r = {0} {1} : {2}
    memref.store %r, %m2[%i] : memref<?x{2}>
  }
  llvm.return %ok : i32
})",
      Op, Operands, Type);
}

class VectorMath : public testing::TestWithParam<std::string> {
protected:
  template <typename T>
  std::vector<T> apply(llvm::StringRef Op, std::vector<T> X,
                       std::vector<T> Y = {}) {
    llvm::StringRef Type = std::is_same_v<T, double>     ? "f64"
                           : std::is_same_v<T, uint16_t> ? "f16"
                                                         : "f32";
    auto Image =
        compileText(kernelText(Op, Y.empty() ? 1 : 2, Type), GetParam());
    if (!Image) {
      ADD_FAILURE() << llvm::toString(Image.takeError());
      return X;
    }
    if (Y.empty())
      Y = X;
    std::vector<T> R(X.size());
    EXPECT_EQ(0, (*Image)->run("k", {int64_t(X.size())},
                               {X.data(), Y.data(), R.data()}, 0, 1));
    return R;
  }

  /// Distance of `Got` from `Want` in units of Want's last place as a float.
  static double ulps(float Got, double Want) {
    float Rounded = static_cast<float>(Want);
    if (std::isnan(Rounded) || std::isnan(Got))
      return std::isnan(Rounded) == std::isnan(Got) ? 0 : 1e30;
    if (std::isinf(Rounded) || std::isinf(Got))
      return Rounded == Got ? 0 : 1e30;
    int Exponent = Rounded == 0 ? -126 : std::max(std::ilogb(Rounded), -126);
    return std::abs(Got - Want) / std::ldexp(1.0, Exponent - 23);
  }

  /// Checks a function on a dense set of all floats.
  void dense(llvm::StringRef Op, double (*Reference)(double), double MaxUlps) {
    std::vector<float> X;
    for (uint64_t Bits = 0; Bits < (uint64_t(1) << 32); Bits += 3001)
      X.push_back(llvm::bit_cast<float>(static_cast<uint32_t>(Bits)));
    // Where functions bend, more densely.
    for (double V = -110; V < 110; V += 0.00037)
      X.push_back(static_cast<float>(V));
    std::vector<float> R = apply(Op, X);
    double Worst = 0;
    float At = 0;
    for (size_t I = 0; I < X.size(); ++I)
      if (double U = ulps(R[I], Reference(X[I])); U > Worst)
        Worst = U, At = X[I];
    EXPECT_LE(Worst, MaxUlps) << Op.str() << " at " << At;
    RecordProperty("worst_ulp", std::to_string(Worst));
    llvm::errs() << "    " << Op << ": " << Worst << " ulp at " << At << "\n";
  }

  /// Checks single values, by bits but for NaN, in vectors and as scalars.
  void edges(llvm::StringRef Op, std::vector<std::pair<float, float>> Cases) {
    for (size_t Copies : {1, 16}) {
      std::vector<float> X;
      for (auto [In, Out] : Cases)
        X.insert(X.end(), Copies, In);
      std::vector<float> R = apply(Op, X);
      for (size_t I = 0; I < X.size(); ++I) {
        float Want = Cases[I / Copies].second;
        EXPECT_TRUE(std::isnan(Want) ? std::isnan(R[I])
                                     : llvm::bit_cast<uint32_t>(R[I]) ==
                                           llvm::bit_cast<uint32_t>(Want))
            << Op.str() << "(" << X[I] << ") = " << R[I] << ", not " << Want;
      }
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Isa, VectorMath, testing::ValuesIn(allIsas()),
                         [](const auto &Info) { return Info.param; });

TEST_P(VectorMath, Exp) {
  dense(
      "math.exp",
      [](double X) {
        // No denormals: zeros.
        double E = std::exp(X);
        return E < std::numeric_limits<float>::min() ? 0 : E;
      },
      1.1);
  edges("math.exp", {{0, 1},
                     {-0.0f, 1},
                     {Inf, Inf},
                     {-Inf, 0},
                     {NaN, NaN},
                     {88.8f, Inf},
                     {Max, Inf},
                     {-104, 0},
                     {-Max, 0},
                     {-87.33655f, 0},
                     {-103, 0},
                     {Denormal, 1}});
}

TEST_P(VectorMath, Log) {
  dense("math.log", std::log, 1.1);
  edges("math.log", {{0, -Inf},
                     {-0.0f, -Inf},
                     {1, 0},
                     {Inf, Inf},
                     {-Inf, NaN},
                     {-1, NaN},
                     {-Denormal, NaN},
                     {NaN, NaN},
                     {Denormal, std::log(Denormal)},
                     {Min, std::log(Min)}});
}

TEST_P(VectorMath, Tanh) {
  dense("math.tanh", std::tanh, 2.5);
  edges("math.tanh", {{0, 0},
                      {-0.0f, -0.0f},
                      {Inf, 1},
                      {-Inf, -1},
                      {NaN, NaN},
                      {20, 1},
                      {-Max, -1},
                      {Denormal, Denormal}});
}

TEST_P(VectorMath, Erf) {
  dense("math.erf", std::erf, 3.5);
  edges("math.erf", {{0, 0},
                     {-0.0f, -0.0f},
                     {Inf, 1},
                     {-Inf, -1},
                     {NaN, NaN},
                     {4, 1},
                     {-Max, -1}});
}

TEST_P(VectorMath, SinCos) {
  dense("math.sin", std::sin, 1.6);
  dense("math.cos", std::cos, 1.6);
  edges("math.sin", {{0, 0},
                     {-0.0f, -0.0f},
                     {Inf, NaN},
                     {-Inf, NaN},
                     {NaN, NaN},
                     {Denormal, Denormal}});
  edges("math.cos", {{0, 1}, {-0.0f, 1}, {Inf, NaN}, {-Inf, NaN}, {NaN, NaN}});
}

TEST_P(VectorMath, Rsqrt) {
  dense("math.rsqrt", [](double X) { return 1 / std::sqrt(X); }, 1.5);
}

TEST_P(VectorMath, Pow) {
  std::vector<float> X, Y;
  std::vector<float> Special = {
      0,        -0.0f,     1,     -1,       Inf,      -Inf,  NaN,    2,
      -2,       0.5f,      -0.5f, 3,        -3,       1e30f, -1e30f, Max,
      Denormal, -Denormal, 1e-3f, 16777215, 16777216, 2.5f,  -2.5f};
  for (float A : Special)
    for (float B : Special)
      X.push_back(A), Y.push_back(B);
  size_t Edges = X.size();
  std::mt19937 Random(7);
  for (int I = 0; I < 200000; ++I) {
    X.push_back(llvm::bit_cast<float>(uint32_t(Random())));
    Y.push_back(I % 2 ? std::ldexp(float(Random()) / 4e9f, I % 9)
                      : float(int(Random() % 41) - 20));
  }
  for (int I = 0; I < 200000; ++I) {
    X.push_back(std::exp(float(int32_t(Random())) * 1e-9f));
    Y.push_back(float(int32_t(Random())) * 1e-8f);
  }
  std::vector<float> R = apply("math.powf", X, Y);
  double Worst = 0;
  for (size_t I = 0; I < X.size(); ++I) {
    double U = ulps(R[I], std::pow(double(X[I]), double(Y[I])));
    Worst = std::max(Worst, U);
    EXPECT_LE(U, 1.0) << "pow(" << X[I] << ", " << Y[I] << ") = " << R[I];
    if (I < Edges && !std::isnan(R[I]))
      EXPECT_EQ(std::signbit(std::pow(X[I], Y[I])), std::signbit(R[I]))
          << "pow(" << X[I] << ", " << Y[I] << ")";
  }
  llvm::errs() << "    math.powf: " << Worst << " ulp\n";
}

TEST_P(VectorMath, PowByConstants) {
  for (float Power : {1.0f, 2.0f, 3.0f, -1.0f, 0.5f, -0.5f, 0.0f, 1.7f}) {
    std::vector<float> X = {0,    -0.0f, 1,      -1, Inf,   -Inf,  NaN, 2,
                            0.3f, 7,     1e-40f, 12, 3e18f, 0.99f, 4,   9};
    std::string Text = kernelText("math.powf", 2, "f32");
    // Replace the second operand by a constant in both loops.
    for (auto [From, To] :
         {std::pair("%r = math.powf %a, %b : vector<16xf32>",
                    "%y = arith.constant dense<{0}> : vector<16xf32>\n"
                    "%r = math.powf %a, %y : vector<16xf32>"),
          std::pair("%r = math.powf %a, %b : f32",
                    "%y = arith.constant {0} : f32\n"
                    "%r = math.powf %a, %y : f32")}) {
      size_t At = Text.find(From);
      ASSERT_NE(std::string::npos, At);
      std::string Number = llvm::formatv("{0:f3}", Power);
      Text.replace(At, strlen(From), llvm::formatv(To, Number).str());
    }
    auto Image = compileText(Text, GetParam());
    ASSERT_TRUE(static_cast<bool>(Image)) << llvm::toString(Image.takeError());
    for (int64_t N : {16, 15}) {
      std::vector<float> R(16);
      (*Image)->run("k", {N}, {X.data(), X.data(), R.data()}, 0, 1);
      for (int64_t I = 0; I < N; ++I)
        EXPECT_LE(ulps(R[I], std::pow(double(X[I]), double(Power))), 1.6)
            << X[I] << " ** " << Power << " = " << R[I];
    }
  }
}

TEST_P(VectorMath, RemainderIsExact) {
  std::vector<float> X, Y;
  std::vector<float> Special = {0,    -0.0f,    1,      -1,  Inf, -Inf,
                                NaN,  Denormal, Min,    Max, 3,   -3,
                                5.5f, 1e30f,    1e-30f, 0.1f};
  for (float A : Special)
    for (float B : Special)
      X.push_back(A), Y.push_back(B);
  std::mt19937 Random(3);
  for (int I = 0; I < 100000; ++I) {
    X.push_back(llvm::bit_cast<float>(uint32_t(Random())));
    Y.push_back(llvm::bit_cast<float>(uint32_t(Random())));
  }
  std::vector<float> R = apply("arith.remf", X, Y);
  for (size_t I = 0; I < X.size(); ++I) {
    float Want = std::fmod(X[I], Y[I]);
    ASSERT_TRUE(std::isnan(Want) ? std::isnan(R[I])
                                 : llvm::bit_cast<uint32_t>(Want) ==
                                       llvm::bit_cast<uint32_t>(R[I]))
        << "fmod(" << X[I] << ", " << Y[I] << ") = " << R[I];
  }
}

TEST_P(VectorMath, DoubleGoesThroughContext) {
  std::vector<double> X, Y;
  for (int I = 0; I < 37; ++I)
    X.push_back(0.1 + I * 0.37), Y.push_back(2.55 - I * 0.1);
  std::vector<double> Exp = apply("math.exp", X),
                      Pow = apply("math.powf", X, Y),
                      Rem = apply("arith.remf", X, Y),
                      Rsqrt = apply("math.rsqrt", X);
  for (size_t I = 0; I < X.size(); ++I) {
    EXPECT_EQ(std::exp(X[I]), Exp[I]);
    EXPECT_EQ(std::pow(X[I], Y[I]), Pow[I]);
    EXPECT_EQ(std::fmod(X[I], Y[I]), Rem[I]);
    EXPECT_DOUBLE_EQ(1 / std::sqrt(X[I]), Rsqrt[I]);
  }
}

TEST_P(VectorMath, HalfGoesThroughFloat) {
  std::vector<uint16_t> One(20, 0x3c00);
  for (uint16_t Bits : apply("math.exp", One))
    EXPECT_EQ(0x4170, Bits); // 2.71875
}

} // namespace
