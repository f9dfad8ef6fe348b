//===- KnownTest.cpp - Shape arithmetic on expressions --------------------===//

#include "Known.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/MLIRContext.h"

#include "gtest/gtest.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

namespace {

class Known : public ::testing::Test {
protected:
  MLIRContext Context;
  Type I64 = IntegerType::get(&Context, 64), F32 = Float32Type::get(&Context);
  DimExpr N = DimExpr::symbol("N"), S = DimExpr::symbol("S");

  std::string Required; ///< What the last rule wants to be non-negative.

  KnownRef vec(ArrayRef<DimExpr> V) {
    return std::make_shared<KnownTensor>(KnownTensor::vector(V));
  }
  KnownRef num(const KnownNumber &V) {
    return std::make_shared<KnownTensor>(KnownTensor::scalar(V));
  }
  std::string eval(StringRef Op, ArrayRef<KnownRef> In, Type E,
                   Type Result = {}, int64_t Axis = 0) {
    auto Int = [&](StringRef Name, int64_t D) {
      return Name == "axis" ? Axis : D;
    };
    auto Ints = [](StringRef) -> std::optional<SmallVector<int64_t>> {
      return std::nullopt;
    };
    auto Tensor = [](StringRef) { return KnownRef(); };
    Required.clear();
    auto Require = [&](const DimExpr &E) { Required = E.toString(); };
    KnownRef T = evalKnown(
        {Op, 17, In, E, Result ? Result : E, Int, Ints, Tensor, Require});
    if (!T)
      return "unknown";
    std::string Text;
    for (const KnownNumber &V : T->Elements) {
      Text += (Text.empty() ? "" : ", ") + V.Num.toString();
      if (V.Den != 1)
        Text += "/" + std::to_string(V.Den);
    }
    return Text;
  }
};

TEST_F(Known, IntegersFollowExpressions) {
  EXPECT_EQ(eval("Mul", {num(N), num(S)}, I64), "N*S");
  EXPECT_EQ(eval("Div", {num(N * S), num(S)}, I64), "N");
  EXPECT_EQ(eval("Div", {num(KnownNumber(-7)), num(KnownNumber(2))}, I64),
            "-3");
  EXPECT_EQ(eval("Div", {num(N), num(KnownNumber(0))}, I64), "unknown");
  EXPECT_EQ(eval("Concat", {vec({N}), vec({DimExpr(-1)})}, I64), "N, -1");
  EXPECT_EQ(eval("Gather", {vec({N, S}), num(KnownNumber(-1))}, I64), "S");
  EXPECT_EQ(eval("Gather", {vec({N, S}), num(KnownNumber(2))}, I64), "unknown");
  EXPECT_EQ(eval("ReduceProd", {vec({N, S, DimExpr(2)})}, I64), "2*N*S");
}

TEST_F(Known, DivisionTruncates) {
  KnownNumber Four(4);
  EXPECT_EQ(eval("Div", {num(N), num(Four)}, I64), "floordiv(N, 4)");
  EXPECT_EQ(eval("Div", {num(-N), num(Four)}, I64), "-floordiv(N, 4)");
  EXPECT_EQ(Required, "");
  // As exporters write a convolution's size; too small an input is an error.
  EXPECT_EQ(eval("Div", {num(N - DimExpr(1)), num(Four)}, I64),
            DimExpr::floorDiv(N - DimExpr(1), DimExpr(4)).toString());
  EXPECT_EQ(Required, "N - 1");
  EXPECT_EQ(eval("Div", {num(N - S), num(Four)}, I64), "unknown");
}

TEST_F(Known, RootsOfSquares) {
  KnownNumber Half(DimExpr(1), 2);
  EXPECT_EQ(eval("Pow", {num(KnownNumber(196)), num(Half)}, F32), "14");
  EXPECT_EQ(eval("Pow", {num(KnownNumber(197)), num(Half)}, F32), "unknown");
  EXPECT_EQ(eval("Pow", {num(N), num(KnownNumber(2))}, F32), "N*N");
  EXPECT_EQ(eval("Sqrt", {num(KnownNumber(DimExpr(9), 4))}, F32), "3/2");
}

TEST_F(Known, TransposeMovesElements) {
  KnownTensor Plane;
  Plane.Shape = {2, 3};
  for (int64_t I = 0; I < 6; ++I)
    Plane.Elements.push_back(KnownNumber(I));
  KnownRef In = std::make_shared<KnownTensor>(Plane);
  EXPECT_EQ(eval("Transpose", {In}, I64), "0, 3, 1, 4, 2, 5");
}

TEST_F(Known, ComparisonsOnlyWhereTheyShow) {
  Type Bool = IntegerType::get(&Context, 1);
  EXPECT_EQ(
      eval("Equal", {vec({N, DimExpr(-1)}), num(KnownNumber(-1))}, I64, Bool),
      "0, 1");
  EXPECT_EQ(eval("Equal", {num(N), num(S)}, I64, Bool), "unknown");
  EXPECT_EQ(eval("Less", {num(N), num(N + DimExpr(1))}, I64, Bool), "1");
}

TEST_F(Known, ScaleFactorsAreExact) {
  KnownNumber Half(DimExpr(1), 2);
  EXPECT_EQ(eval("Mul", {num(N), num(Half)}, F32), "N/2");
  EXPECT_EQ(eval("Floor", {num(KnownNumber(N, 2))}, F32), "floordiv(N, 2)");
  EXPECT_EQ(eval("Ceil", {num(KnownNumber(N, 2))}, F32), "floordiv(N + 1, 2)");
  EXPECT_EQ(eval("Cast", {num(KnownNumber(N, 2))}, F32, I64), "floordiv(N, 2)");
}

TEST_F(Known, ClipIsBetweenItsBounds) {
  KnownNumber Zero(0), Three(3);
  EXPECT_EQ(eval("Clip", {num(KnownNumber(-2)), num(Zero)}, F32), "0");
  EXPECT_EQ(eval("Clip", {num(KnownNumber(7)), num(Zero), num(Three)}, F32),
            "3");
  EXPECT_EQ(eval("Clip", {num(KnownNumber(7)), nullptr, num(Three)}, F32), "3");
  EXPECT_EQ(eval("Clip", {num(KnownNumber(DimExpr(5), 2)), num(Zero)}, F32),
            "5/2");
  EXPECT_EQ(eval("Clip", {num(N - DimExpr(3)), num(Zero)}, I64),
            DimExpr::max(N - DimExpr(3), DimExpr(0)).toString());
}

TEST_F(Known, ConstantsThatAreNoScaleFactorsStayOut) {
  auto Attr = [&](float V) {
    return DenseElementsAttr::get(RankedTensorType::get({1}, F32), V);
  };
  EXPECT_TRUE(readKnown(Attr(0.25f)));
  EXPECT_FALSE(readKnown(Attr(0.1f)));
  EXPECT_FALSE(readKnown(Attr(std::numeric_limits<float>::infinity())));
  EXPECT_FALSE(readKnown(Attr(-0.0f)));
}

} // namespace
