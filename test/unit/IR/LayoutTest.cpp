//===- LayoutTest.cpp - Which ops move no bytes ---------------------------===//

#include "limosa/IR/Layout.h"
#include "IRTestBase.h"

using namespace limosa;
using namespace mlir;

namespace {

class LayoutTest : public IRTest {};

TEST_F(LayoutTest, TransposeOfChannelsLastIsAnAlias) {
  auto Nhwc = makeTensorType({1, 8, 4, 5}, F32, {0, 2, 3, 1});
  auto C = begin({Nhwc, makeTensorType({1, 8, 4, 5}, F32)});
  EXPECT_TRUE(isAlias(C.transpose(arg(0), {0, 2, 3, 1}).getDefiningOp()));
  EXPECT_FALSE(isAlias(C.transpose(arg(1), {0, 2, 3, 1}).getDefiningOp()));
  finish();
}

TEST_F(LayoutTest, UnitDimensionsDoNotMatter) {
  auto Pooled = makeTensorType({sym("N"), 8, 1, 1}, F32, {0, 2, 3, 1});
  auto C = begin({Pooled});
  EXPECT_TRUE(isPhysicallyRowMajor(Pooled));
  EXPECT_TRUE(isAlias(C.reshape(arg(0), {sym("N"), 8}).getDefiningOp()));
  finish();
}

TEST_F(LayoutTest, OrdersInvert) {
  SmallVector<int64_t> Perm = {2, 0, 3, 1}, Order = {3, 1, 0, 2};
  EXPECT_EQ(
      resultOrderForTranspose(Perm, operandOrderForTranspose(Perm, Order)),
      Order);
}

} // namespace
