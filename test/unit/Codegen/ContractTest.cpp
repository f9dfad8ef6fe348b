//===- ContractTest.cpp - Products against plain loops --------------------===//

#include "KernelFixture.h"
#include "limosa/Codegen/Packing.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace mlir;
using namespace limosa;
using namespace limosa::test;

namespace {

/// A product of dimensions by letter, e.g. "bmk,bkn->bmn"; the letters' order
/// in an operand is its logical order.
struct Case {
  const char *Lhs, *Rhs;
  std::map<char, int64_t> Size;
  bool ConstantRhs = false;
  bool ConstantLhs = false;
  std::string Symbolic =
      {};                ///< letters whose sizes are unknown to the compiler
  bool Epilogue = false; ///< relu(x + bias along the last dimension)
};

std::string describe(const Case &C) {
  std::string S = std::string(C.Lhs) + "," + C.Rhs;
  for (auto [L, N] : C.Size)
    S += std::string(" ") + L + "=" + std::to_string(N);
  return S + " symbolic '" + C.Symbolic + "'" +
         (C.ConstantRhs ? " const rhs" : "") +
         (C.ConstantLhs ? " const lhs" : "");
}

bool has(StringRef S, char C) { return S.contains(C); }

void check(const Case &C, StringRef Isa) {
  SCOPED_TRACE(describe(C) + " " + Isa.str());
  StringRef Lhs = C.Lhs, Rhs = C.Rhs;
  std::string Result;
  SmallVector<int64_t> LB, RB, LK, RK;
  for (auto [I, L] : llvm::enumerate(Lhs))
    if (has(Rhs, L)) {
      // Uppercase letters are batch dimensions.
      (isupper(L) ? LB : LK).push_back(I);
      (isupper(L) ? RB : RK).push_back(Rhs.find(L));
    }
  for (int64_t D : LB)
    Result += Lhs[D];
  for (char L : Lhs)
    if (!has(Rhs, L))
      Result += L;
  for (char L : Rhs)
    if (!has(Lhs, L))
      Result += L;

  KernelFixture F(Isa);
  auto TypeOf = [&](StringRef Letters) {
    SmallVector<DimExpr> Shape;
    for (char L : Letters)
      Shape.push_back(has(C.Symbolic, L) ? DimExpr::symbol(std::string(1, L))
                                         : DimExpr(C.Size.at(L)));
    return F.type(Shape);
  };
  auto Count = [&](StringRef Letters) {
    int64_t N = 1;
    for (char L : Letters)
      N *= C.Size.at(L);
    return N;
  };
  SmallVector<KernelFixture::Argument> Args = {{TypeOf(Lhs), C.ConstantLhs},
                                               {TypeOf(Rhs), C.ConstantRhs}};
  StringRef Last = StringRef(Result).take_back();
  if (C.Epilogue)
    Args.push_back({TypeOf(Last), true});
  ASSERT_TRUE(F.compile(Args, [&](CoreBuilder &B, ValueRange In) {
    Value V = B.contract(In[0], In[1], LB, RB, LK, RK);
    if (C.Epilogue) {
      V = B.add(V, B.broadcastTo(In[2], getDims(V)));
      V = B.max(V, V);
    }
    return SmallVector<Value>{V};
  }));
  EXPECT_EQ(F.kernel().Template, "contract");

  auto X = randomFloats(Count(Lhs), 1), Y = randomFloats(Count(Rhs), 2);
  auto Bias = randomFloats(Count(Last), 3);
  std::vector<float> Got(Count(Result) + 16, 77.0f);
  SmallVector<const void *> Inputs = {X.data(), Y.data()};
  if (C.Epilogue)
    Inputs.push_back(Bias.data());
  std::map<std::string, int64_t> Symbols;
  for (char L : C.Symbolic)
    Symbols[std::string(1, L)] = C.Size.at(L);
  ASSERT_TRUE(F.run(Inputs, {Got.data()}, Symbols));

  // The sum in f64, one letter after the other.
  std::string K;
  for (int64_t D : LK)
    K += Lhs[D];
  std::string All = Result + K;
  std::map<char, int64_t> At;
  auto Offset = [&](StringRef Letters) {
    int64_t O = 0;
    for (char L : Letters)
      O = O * C.Size.at(L) + At[L];
    return O;
  };
  int64_t Terms = Count(K);
  for (int64_t I = 0; I < Count(Result); ++I) {
    int64_t Rest = I;
    for (char L : llvm::reverse(Result)) {
      At[L] = Rest % C.Size.at(L);
      Rest /= C.Size.at(L);
    }
    double Sum = 0;
    for (int64_t J = 0; J < Terms; ++J) {
      Rest = J;
      for (char L : llvm::reverse(K)) {
        At[L] = Rest % C.Size.at(L);
        Rest /= C.Size.at(L);
      }
      Sum += double(X[Offset(Lhs)]) * Y[Offset(Rhs)];
    }
    if (C.Epilogue)
      Sum += Bias[Offset(Last)];
    ASSERT_NEAR(Got[I], Sum, 1e-5 * (1 + Terms)) << "element " << I;
  }
  for (unsigned I = 0; I < 16; ++I)
    ASSERT_EQ(Got[Count(Result) + I], 77.0f) << "written past the end";
}

class ContractTest : public testing::TestWithParam<std::string> {};

TEST_P(ContractTest, PlainSizes) {
  for (auto [M, N, K] : {std::array<int64_t, 3>{64, 64, 64},
                         {1, 1000, 33},
                         {7, 5, 3},
                         {49, 50, 17},
                         {50, 49, 1},
                         {3, 160, 100},
                         {130, 97, 65},
                         {33, 1, 40},
                         {1, 40, 40}})
    for (bool Constant : {true, false})
      for (bool Epilogue : {false, true})
        check({"mk",
               "kn",
               {{'m', M}, {'n', N}, {'k', K}},
               Constant,
               false,
               "",
               Epilogue},
              GetParam());
}

TEST_P(ContractTest, OtherOrders) {
  for (const char *Lhs : {"mk", "km"})
    for (const char *Rhs : {"kn", "nk"})
      for (bool Constant : {true, false})
        check({Lhs,
               Rhs,
               {{'m', 37}, {'n', 41}, {'k', 53}},
               Constant,
               false,
               "",
               true},
              GetParam());
  check({"mk", "kn", {{'m', 37}, {'n', 41}, {'k', 53}}, false, true, "", true},
        GetParam());
}

/// A weight seen through a transpose and a slice is still packed once.
TEST_P(ContractTest, ConstantBehindDataMovement) {
  KernelFixture F(GetParam());
  SmallVector<KernelFixture::Argument> Args = {{F.type({9, 20})},
                                               {F.type({50, 24}), true}};
  ASSERT_TRUE(F.compile(Args, [](CoreBuilder &B, ValueRange In) {
    Value W = B.transpose(B.sliceDim(In[1], 1, 3, 20), {1, 0});
    return SmallVector<Value>{B.contract(In[0], W, {}, {}, {1}, {0})};
  }));
  EXPECT_EQ(F.kernel().Packs.size(), 1u);
  auto X = randomFloats(9 * 20, 1), W = randomFloats(50 * 24, 2);
  std::vector<float> Y(9 * 50);
  ASSERT_TRUE(F.run({X.data(), W.data()}, {Y.data()}));
  for (int64_t I = 0; I < 9; ++I)
    for (int64_t J = 0; J < 50; ++J) {
      double Sum = 0;
      for (int64_t K = 0; K < 20; ++K)
        Sum += double(X[I * 20 + K]) * W[J * 24 + K + 3];
      ASSERT_NEAR(Y[I * 50 + J], Sum, 1e-5);
    }
}

TEST_P(ContractTest, Batches) {
  for (const char *Rhs : {"BHkn", "BHnk", "BkHn"})
    for (const char *Lhs : {"BHmk", "BmHk"})
      check({Lhs, Rhs, {{'B', 2}, {'H', 3}, {'m', 19}, {'n', 35}, {'k', 24}}},
            GetParam());
  check({"Bmk", "Bkn", {{'B', 3}, {'m', 9}, {'n', 35}, {'k', 24}}, true},
        GetParam());
}

TEST_P(ContractTest, SeveralFreeAndContractedDims) {
  check({"abk",
         "kn",
         {{'a', 3}, {'b', 5}, {'n', 40}, {'k', 24}},
         true,
         false,
         "",
         true},
        GetParam());
  check({"akb", "kn", {{'a', 3}, {'b', 5}, {'n', 40}, {'k', 24}}, true},
        GetParam());
  check({"axy", "xyn", {{'a', 13}, {'n', 40}, {'x', 4}, {'y', 6}}, true},
        GetParam());
  check({"axy", "yxn", {{'a', 13}, {'n', 40}, {'x', 4}, {'y', 6}}}, GetParam());
  check({"ak", "pkq", {{'a', 13}, {'p', 4}, {'q', 6}, {'k', 19}}}, GetParam());
  check({"ak", "pkq", {{'a', 13}, {'p', 4}, {'q', 6}, {'k', 19}}, true},
        GetParam());
}

/// A dimension of size 1 behind the columns has stride 1, the columns have not.
TEST_P(ContractTest, UnitDimensionBehindTheColumns) {
  for (const char *Rhs : {"nku", "nuk", "knu", "unk"})
    check({"mk", Rhs, {{'m', 4}, {'n', 24}, {'k', 8}, {'u', 1}}}, GetParam());
}

TEST_P(ContractTest, SymbolicSizes) {
  for (int64_t M : {1, 2, 5, 23, 64})
    check(
        {"mk", "kn", {{'m', M}, {'n', 100}, {'k', 40}}, true, false, "m", true},
        GetParam());
  for (int64_t S : {1, 7, 16, 50})
    for (const char *Rhs : {"BHkn", "BHnk"})
      check({"BHmk",
             Rhs,
             {{'B', 2}, {'H', 2}, {'m', S}, {'n', S + 3}, {'k', S + 9}},
             false,
             false,
             "Bmnk"},
            GetParam());
}

INSTANTIATE_TEST_SUITE_P(Isa, ContractTest, testing::ValuesIn(allIsas()),
                         [](auto &Info) { return Info.param; });

} // namespace
