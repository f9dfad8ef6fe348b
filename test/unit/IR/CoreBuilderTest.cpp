//===- CoreBuilderTest.cpp - Inferred shapes ------------------------------===//

#include "IRTestBase.h"

using namespace limosa;
using namespace mlir;

namespace {

class CoreBuilderTest : public IRTest {};

TEST_F(CoreBuilderTest, MatmulBroadcastsBatchDimensions) {
  auto C = begin({makeTensorType({sym("B"), 1, 4, 8}, F32),
                  makeTensorType({3, 8, 5}, F32)});
  EXPECT_EQ(text(C.matmul(arg(0), arg(1))), "Bx3x4x5");
  finish();
}

TEST_F(CoreBuilderTest, MatmulOfVectors) {
  auto C = begin({makeTensorType({8}, F32), makeTensorType({2, 8, 5}, F32)});
  EXPECT_EQ(text(C.matmul(arg(0), arg(1))), "2x5");
  finish();
}

TEST_F(CoreBuilderTest, ConvExtentsAreExpressions) {
  auto C = begin({makeTensorType({sym("N"), 3, sym("H"), 224}, F32),
                  makeTensorType({64, 3, 7, 7}, F32)});
  infer::ConvAttrs A;
  A.Strides = {2, 2};
  A.LhsDilation = A.RhsDilation = {1, 1};
  A.PadLow = A.PadHigh = {3, 3};
  EXPECT_EQ(text(C.conv(arg(0), arg(1), A)), "Nx64xfloordiv(H + 1, 2)x112");
  finish();
}

TEST_F(CoreBuilderTest, BroadcastOfTwoUnknownSizes) {
  auto C = begin({makeTensorType({sym("N")}, F32),
                  makeTensorType({sym("M")}, F32), makeTensorType({5}, F32)});
  auto Two = C.broadcastTogether({arg(0), arg(1)});
  EXPECT_EQ(text(C.add(Two[0], Two[1])), "max(M, N)*min(N, min(1, M))");
  auto Known = C.broadcastTogether({arg(0), arg(2)});
  EXPECT_EQ(text(C.add(Known[0], Known[1])), "5");
  finish();
}

TEST_F(CoreBuilderTest, BroadcastSizesHoldForEveryValue) {
  auto Common = [](std::initializer_list<const char *> Sizes) {
    SmallVector<Dims> Shapes;
    for (const char *Size : Sizes)
      Shapes.push_back({parseDim(Size)});
    return CoreBuilder::broadcastShapes(Shapes)[0];
  };
  auto At = [](const DimExpr &E, int64_t N, int64_t M) {
    return *E.evaluate([=](std::string_view S) -> std::optional<int64_t> {
      return S == "N" ? N : M;
    });
  };
  DimExpr E = Common({"N", "M"});
  for (auto [N, M, Want] : {std::array<int64_t, 3>{1, 1, 1},
                            {1, 5, 5},
                            {5, 1, 5},
                            {5, 5, 5},
                            {0, 1, 0},
                            {1, 0, 0},
                            {0, 0, 0}})
    EXPECT_EQ(At(E, N, M), Want) << N << ", " << M;
  // What has been broadcast broadcasts with its parts, and in any order, to the
  // same expression.
  const std::string Text = E.toString();
  EXPECT_EQ(Common({"M", "N"}), E);
  EXPECT_EQ(Common({Text.c_str(), "N"}), E);
  EXPECT_EQ(Common({"M", Text.c_str()}), E);
  EXPECT_EQ(Common({Text.c_str(), "K"}), Common({"K", "N", "M"}));
  EXPECT_EQ(Common({Text.c_str(), "7"}), DimExpr(7));
  // Sizes that are not 0 need no care.
  EXPECT_EQ(Common({"N + 1", "M + 1"}).toString(), "max(M + 1, N + 1)");
  EXPECT_EQ(At(Common({"N", "N + 1"}), 0, 0), 0);
}

TEST_F(CoreBuilderTest, TakePutsPositionsWhereTheDimensionWas) {
  auto C = begin({makeTensorType({2, 9, 4}, F32),
                  makeTensorType({sym("P"), 3}, B.getI64Type())});
  EXPECT_EQ(text(C.take(arg(0), arg(1), 1)), "2xPx3x4");
  finish();
}

TEST_F(CoreBuilderTest, ReductionsKeepOrDropDimensions) {
  auto C = begin({makeTensorType({2, sym("S"), 4}, F32)});
  EXPECT_EQ(text(C.reduceSum(arg(0), {1})), "2x4");
  EXPECT_EQ(text(C.reduceMean(arg(0), {2, 1}, true)), "2x1x1");
  auto [Value, Index] = C.argReduce(arg(0), 2, true, false, false);
  EXPECT_EQ(text(Index), "2xS");
  EXPECT_TRUE(getElementTypeOrSelf(Index).isInteger(64));
  finish();
}

} // namespace
