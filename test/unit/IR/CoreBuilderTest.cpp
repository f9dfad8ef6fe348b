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
  EXPECT_EQ(text(C.add(Two[0], Two[1])), "max(M, N)");
  auto Known = C.broadcastTogether({arg(0), arg(2)});
  EXPECT_EQ(text(C.add(Known[0], Known[1])), "5");
  finish();
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
