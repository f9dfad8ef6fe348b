//===- ColumnSplitTest.cpp - Products whose parts meet again --------------===//
//
// Gates of recurrent cells and gated units, and what such a kernel stores into
// a part of a tensor.
//
//===----------------------------------------------------------------------===//

#include "KernelFixture.h"
#include "limosa/Codegen/FusionRules.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace limosa;
using namespace limosa::test;

namespace {

struct Gates {
  int64_t Rows, Parts, Columns, Depth;
  bool SymbolicRows = false;
  bool WeightsFirst = false; ///< contract(w, x), its result [columns, rows]
};

/// z = x w^T + bias in Parts; y = z0 * z1 + z2 + .. and s = state + z1.
class ColumnSplitTest : public testing::TestWithParam<std::string> {
protected:
  static Value part(CoreBuilder &B, Value Z, const Gates &G, int64_t I) {
    return B.sliceDim(Z, G.WeightsFirst ? 0 : 1, DimExpr(I * G.Columns),
                      DimExpr(G.Columns));
  }

  void check(const Gates &G) {
    SCOPED_TRACE(std::to_string(G.Rows) + " rows, " + std::to_string(G.Parts) +
                 " x " + std::to_string(G.Columns) + " columns");
    KernelFixture F(GetParam());
    DimExpr Rows = G.SymbolicRows ? DimExpr::symbol("M") : DimExpr(G.Rows);
    int64_t All = G.Parts * G.Columns;
    SmallVector<DimExpr> State{Rows, G.Columns};
    if (G.WeightsFirst)
      std::swap(State[0], State[1]);
    SmallVector<KernelFixture::Argument> Args = {{F.type({Rows, G.Depth})},
                                                 {F.type({All, G.Depth}), true},
                                                 {F.type({All}), true},
                                                 {F.type(State)}};
    ASSERT_TRUE(F.compile(Args, [&](CoreBuilder &B, ValueRange In) {
      Value Z = G.WeightsFirst ? B.contract(In[1], In[0], {}, {}, {1}, {1})
                               : B.contract(In[0], In[1], {}, {}, {1}, {1});
      Z = B.add(Z, B.broadcast(In[2], getDims(Z), {G.WeightsFirst ? 0 : 1}));
      Value Y = B.mul(part(B, Z, G, 0), part(B, Z, G, 1));
      for (int64_t I = 2; I < G.Parts; ++I)
        Y = B.add(Y, part(B, Z, G, I));
      return SmallVector<Value>{Y, B.add(In[3], part(B, Z, G, 1))};
    }));
    EXPECT_EQ(F.kernel().Template, "contract");
    ASSERT_EQ(F.kernel().Packs.size(), 1u);
    EXPECT_NE(F.kernel().Packs[0].Spec.find(" p="), std::string::npos);

    auto X = randomFloats(G.Rows * G.Depth, 1),
         W = randomFloats(All * G.Depth, 2), Bias = randomFloats(All, 3),
         S = randomFloats(G.Rows * G.Columns, 4);
    std::vector<float> Y(S.size() + 16, 77.0f), Next(S.size() + 16, 77.0f);
    ASSERT_TRUE(F.run({X.data(), W.data(), Bias.data(), S.data()},
                      {Y.data(), Next.data()}, {{"M", G.Rows}}));
    for (int64_t R = 0; R < G.Rows; ++R)
      for (int64_t C = 0; C < G.Columns; ++C) {
        auto Z = [&](int64_t Part) {
          int64_t Column = Part * G.Columns + C;
          double Sum = Bias[Column];
          for (int64_t K = 0; K < G.Depth; ++K)
            Sum += double(X[R * G.Depth + K]) * W[Column * G.Depth + K];
          return Sum;
        };
        int64_t At = G.WeightsFirst ? C * G.Rows + R : R * G.Columns + C;
        double Want = Z(0) * Z(1);
        for (int64_t I = 2; I < G.Parts; ++I)
          Want += Z(I);
        ASSERT_NEAR(Y[At], Want, 1e-4) << "row " << R << ", column " << C;
        ASSERT_NEAR(Next[At], S[At] + Z(1), 1e-4);
      }
    for (size_t I = 0; I < 16; ++I) {
      ASSERT_EQ(Y[S.size() + I], 77.0f) << "written past the end";
      ASSERT_EQ(Next[S.size() + I], 77.0f) << "written past the end";
    }
  }
};

TEST_P(ColumnSplitTest, Sizes) {
  for (int64_t Rows : {1, 2, 6})
    for (int64_t Parts : {2, 3, 4, 6})
      for (int64_t Columns : {5, 16, 40})
        check({Rows, Parts, Columns, 21});
  check({29, 2, 70, 33});
  check({29, 3, 17, 33});
}

TEST_P(ColumnSplitTest, SymbolicRows) {
  for (int64_t Rows : {1, 3, 20})
    check({Rows, 4, 24, 30, true});
}

TEST_P(ColumnSplitTest, WeightsFirst) {
  check({1, 4, 24, 30, false, true});
  check({5, 3, 24, 30, false, true});
}

/// Four parts make tiles of few rows; with many rows that would cost more than
/// the fusion gains.
TEST_P(ColumnSplitTest, ManyRowsOfFourPartsStayWhole) {
  KernelFixture F(GetParam());
  ASSERT_TRUE(F.compile({{F.type({64, 8})}, {F.type({32, 8}), true}},
                        [](CoreBuilder &B, ValueRange In) {
                          Value Z = B.contract(In[0], In[1], {}, {}, {1}, {1});
                          B.sliceDim(Z, 1, DimExpr(0), DimExpr(8));
                          B.sliceDim(Z, 1, DimExpr(8), DimExpr(8));
                          EXPECT_FALSE(
                              codegen::findColumnSplit(Z.getDefiningOp()));
                          return SmallVector<Value>{Z};
                        }));
}

/// Elements go to their place in a sequence; the rest of it is not touched.
TEST_P(ColumnSplitTest, StoresIntoASequence) {
  constexpr int64_t Steps = 5, Rows = 3, Columns = 20, Depth = 9;
  KernelFixture F(GetParam());
  Type I64 = IntegerType::get(F.context(), 64);
  SmallVector<KernelFixture::Argument> Args = {
      {F.type({Rows, Depth})},
      {F.type({2 * Columns, Depth}), true},
      {F.type({Steps, Rows, Columns})},
      {F.type({3}, I64)}};
  ASSERT_TRUE(F.compile(Args, [&](CoreBuilder &B, ValueRange In) {
    Value Z = B.contract(In[0], In[1], {}, {}, {1}, {1});
    Value Y = B.mul(B.sliceDim(Z, 1, DimExpr(0), DimExpr(Columns)),
                    B.sliceDim(Z, 1, DimExpr(Columns), DimExpr(Columns)));
    Value Block = B.reshape(Y, {DimExpr(1), DimExpr(Rows), DimExpr(Columns)});
    return SmallVector<Value>{Y, B.updateSlice(In[2], Block, In[3])};
  }));
  EXPECT_EQ(F.kernel().Template, "contract");
  ASSERT_EQ(F.kernel().Updates.size(), 1u);
  EXPECT_EQ(F.kernel().Updates[0].Operand, 2u);
  EXPECT_EQ(F.kernel().Updates[0].Result, 1u);

  auto X = randomFloats(Rows * Depth, 1),
       W = randomFloats(2 * Columns * Depth, 2);
  for (int64_t At : {0, 3, 4, 9, -2}) {
    std::vector<float> Y(Rows * Columns), Sequence(Steps * Y.size(), 7.0f);
    int64_t Starts[3] = {At, 0, 0};
    ASSERT_TRUE(F.run({X.data(), W.data(), Sequence.data(), Starts},
                      {Y.data(), Sequence.data()}));
    int64_t Step = std::clamp<int64_t>(At, 0, Steps - 1);
    for (size_t I = 0; I < Sequence.size(); ++I)
      ASSERT_EQ(Sequence[I],
                int64_t(I / Y.size()) == Step ? Y[I % Y.size()] : 7.0f);
  }
}

INSTANTIATE_TEST_SUITE_P(Isa, ColumnSplitTest, testing::ValuesIn(allIsas()),
                         [](auto &Info) { return Info.param; });

} // namespace
