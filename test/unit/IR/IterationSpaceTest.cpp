//===- IterationSpaceTest.cpp - How dimensions follow iterators -----------===//

#include "IRTestBase.h"

using namespace limosa;
using namespace mlir;

namespace {

using Kind = DimAccess::Kind;

class IterationSpaceTest : public IRTest {
protected:
  static IterationSpace space(Value V) {
    return cast<CoreOp>(V.getDefiningOp()).getIterationSpace();
  }
};

TEST_F(IterationSpaceTest, ContractPairsBatchAndReduction) {
  auto C = begin({makeTensorType({sym("N"), 4, 8}, F32),
                  makeTensorType({sym("N"), 8, 5}, F32)});
  IterationSpace S = space(C.contract(arg(0), arg(1), {0}, {0}, {2}, {1}));
  finish();
  ASSERT_EQ(S.Dims.size(), 4u); // batch, contracted, m, n
  EXPECT_EQ(S.Operands[0][0].Iterator, S.Operands[1][0].Iterator);
  EXPECT_EQ(S.Operands[0][2].Iterator, S.Operands[1][1].Iterator);
  EXPECT_EQ(S.Dims[S.Operands[0][2].Iterator].Kind, IteratorKind::Reduction);
  EXPECT_EQ(S.Results[0][1].Iterator, S.Operands[0][1].Iterator);
  EXPECT_EQ(S.Results[0][2].Iterator, S.Operands[1][2].Iterator);
}

TEST_F(IterationSpaceTest, ConvReadsAWindow) {
  auto C = begin(
      {makeTensorType({1, 4, 9, 9}, F32), makeTensorType({6, 4, 3, 3}, F32)});
  infer::ConvAttrs A;
  A.Strides = {2, 2};
  A.LhsDilation = {1, 1};
  A.RhsDilation = {1, 2};
  A.PadLow = {1, 1};
  A.PadHigh = {1, 1};
  IterationSpace S = space(C.conv(arg(0), arg(1), A));
  finish();
  EXPECT_EQ(S.Operands[0][2].K, Kind::Window);
  EXPECT_EQ(S.Operands[0][3].Stride, 2);
  EXPECT_EQ(S.Operands[0][3].Dilation, 2);
  EXPECT_EQ(S.Dims[S.Operands[0][1].Iterator].Kind, IteratorKind::Reduction);
  EXPECT_EQ(S.Operands[1][2].Iterator, S.Operands[0][2].WindowIterator);
}

TEST_F(IterationSpaceTest, ReshapeCarriesDimensionsThatStay) {
  auto C = begin({makeTensorType({sym("N"), 12, 64}, F32)});
  IterationSpace S = space(C.reshape(arg(0), {sym("N"), 3, 4, 64}));
  finish();
  EXPECT_EQ(S.Operands[0][0].Iterator, S.Results[0][0].Iterator);
  EXPECT_EQ(S.Operands[0][1].K, Kind::Whole);
  EXPECT_EQ(S.Operands[0][2].Iterator, S.Results[0][3].Iterator);
}

TEST_F(IterationSpaceTest, ScanIsSequentialAlongItsDimension) {
  auto C = begin({makeTensorType({2, 7}, F32)});
  Value Zero = C.scalar(0, F32);
  Value R = C.scan(ValueRange(arg(0)), ValueRange(Zero), 1, false, false,
                   [](CoreBuilder &CB, ValueRange Acc, ValueRange X) {
                     return SmallVector<Value>{CB.add(Acc[0], X[0])};
                   })[0];
  IterationSpace S = space(R);
  finish();
  EXPECT_EQ(S.Dims[S.Operands[0][0].Iterator].Kind, IteratorKind::Parallel);
  EXPECT_EQ(S.Dims[S.Operands[0][1].Iterator].Kind, IteratorKind::Sequential);
}

TEST_F(IterationSpaceTest, GatherSharesPositionsAndSlices) {
  auto C = begin({makeTensorType({100, 16}, F32),
                  makeTensorType({sym("S")}, B.getI64Type())});
  Value R = C.take(arg(0), arg(1), 0);
  IterationSpace S = space(R);
  finish();
  EXPECT_EQ(S.Operands[0][0].K, Kind::Whole);
  EXPECT_EQ(S.Operands[0][1].Iterator, S.Results[0][1].Iterator);
  EXPECT_EQ(S.Operands[1][0].Iterator, S.Results[0][0].Iterator);
}

} // namespace
