//===- NarrowFloatTest.cpp - Conversions to and from 16-bit floats --------===//

#include "Harness.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/bit.h"
#include <gtest/gtest.h>
#include <limits>
#include <random>

using namespace limosa;
using namespace limosa::test;

namespace {

class NarrowFloat : public testing::TestWithParam<std::string> {
protected:
  template <typename To, typename From>
  std::vector<To> convert(llvm::StringRef Op, llvm::StringRef FromType,
                          llvm::StringRef ToType,
                          const std::vector<From> &Values) {
    auto Image = compileText(llvm::formatv(R"(
llvm.func @k(%ctx: !llvm.ptr, %scalars: !llvm.ptr, %buffers: !llvm.ptr, %begin: i64, %end: i64) -> i32 {
  %ok = arith.constant 0 : i32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %n64 = llvm.load %scalars : !llvm.ptr -> i64
  %n = arith.index_cast %n64 : i64 to index
  %g1 = llvm.getelementptr %buffers[1] : (!llvm.ptr) -> !llvm.ptr, !llvm.ptr
  %p0 = llvm.load %buffers : !llvm.ptr -> !llvm.ptr
  %p1 = llvm.load %g1 : !llvm.ptr -> !llvm.ptr
  %m0 = builtin.unrealized_conversion_cast %p0 : !llvm.ptr to memref<?x{1}>
  %m1 = builtin.unrealized_conversion_cast %p1 : !llvm.ptr to memref<?x{2}>
  %rest = arith.remui %n, %c8 : index
  %full = arith.subi %n, %rest : index
  scf.for %i = %c0 to %full step %c8 {{
    %a = vector.load %m0[%i] : memref<?x{1}>, vector<8x{1}>
    %r = {0} %a : vector<8x{1}> to vector<8x{2}>
    vector.store %r, %m1[%i] : memref<?x{2}>, vector<8x{2}>
  }
  scf.for %i = %full to %n step %c1 {{
    %a = memref.load %m0[%i] : memref<?x{1}>
    %r = {0} %a : {1} to {2}
    memref.store %r, %m1[%i] : memref<?x{2}>
  }
  llvm.return %ok : i32
})",
                                           Op, FromType, ToType)
                                 .str(),
                             GetParam());
    std::vector<To> Result(Values.size());
    if (!Image) {
      ADD_FAILURE() << llvm::toString(Image.takeError());
      return Result;
    }
    auto *In = const_cast<From *>(Values.data());
    EXPECT_EQ(0, (*Image)->run("k", {int64_t(Values.size())},
                               {In, Result.data()}, 0, 1));
    return Result;
  }

  template <typename From>
  void checkTruncation(llvm::StringRef FromType, llvm::StringRef ToType,
                       const llvm::fltSemantics &Semantics,
                       const std::vector<From> &Values) {
    auto Got = convert<uint16_t>("arith.truncf", FromType, ToType, Values);
    for (size_t I = 0; I < Values.size(); ++I) {
      llvm::APFloat Want(Values[I]);
      bool Lost;
      Want.convert(Semantics, llvm::APFloat::rmNearestTiesToEven, &Lost);
      llvm::APFloat Have(Semantics, llvm::APInt(16, Got[I]));
      ASSERT_TRUE(Want.isNaN() ? Have.isNaN() : Want.bitwiseIsEqual(Have))
          << Values[I] << " gave " << Got[I];
    }
  }

  static std::vector<float> floats() {
    std::vector<float> Values;
    for (uint64_t Bits = 0; Bits < (uint64_t(1) << 32); Bits += 0x3ff1)
      Values.push_back(llvm::bit_cast<float>(uint32_t(Bits)));
    for (uint32_t Bits = 0; Bits < 0x10000; ++Bits) // ties
      Values.push_back(llvm::bit_cast<float>((Bits << 16) | 0x8000));
    return Values;
  }
  static std::vector<double> doubles() {
    std::vector<double> Values = {0.0,    -0.0,      1e300,  -1e300,
                                  1e-300, 65519.999, 65520.0};
    for (float F : floats()) {
      // Around halfway points, where rounding twice goes wrong.
      Values.push_back(F);
      Values.push_back(double(F) * (1 + 1e-12));
      Values.push_back(double(F) * (1 - 1e-12));
    }
    for (uint32_t Half = 0; Half < 0x7c00; ++Half) {
      llvm::APFloat V(llvm::APFloat::IEEEhalf(), llvm::APInt(16, Half));
      llvm::APFloat Next = V;
      Next.next(false);
      double Middle = (V.convertToDouble() + Next.convertToDouble()) / 2;
      for (double D : {Middle, Middle * (1 + 1e-15), Middle * (1 - 1e-15)})
        Values.push_back(D), Values.push_back(-D);
    }
    return Values;
  }
};
INSTANTIATE_TEST_SUITE_P(Isa, NarrowFloat, testing::ValuesIn(allIsas()),
                         [](const auto &Info) { return Info.param; });

TEST_P(NarrowFloat, FloatToBFloat) {
  checkTruncation("f32", "bf16", llvm::APFloat::BFloat(), floats());
}
TEST_P(NarrowFloat, FloatToHalf) {
  checkTruncation("f32", "f16", llvm::APFloat::IEEEhalf(), floats());
}
TEST_P(NarrowFloat, DoubleToBFloat) {
  checkTruncation("f64", "bf16", llvm::APFloat::BFloat(), doubles());
}
TEST_P(NarrowFloat, DoubleToHalf) {
  checkTruncation("f64", "f16", llvm::APFloat::IEEEhalf(), doubles());
}

TEST_P(NarrowFloat, Widening) {
  std::vector<uint16_t> All;
  for (uint32_t Bits = 0; Bits < 0x10003; ++Bits)
    All.push_back(static_cast<uint16_t>(Bits));
  for (bool IsHalf : {false, true}) {
    const llvm::fltSemantics &Semantics =
        IsHalf ? llvm::APFloat::IEEEhalf() : llvm::APFloat::BFloat();
    llvm::StringRef Type = IsHalf ? "f16" : "bf16";
    auto Single = convert<float>("arith.extf", Type, "f32", All);
    auto Double = convert<double>("arith.extf", Type, "f64", All);
    for (size_t I = 0; I < All.size(); ++I) {
      llvm::APFloat Want(Semantics, llvm::APInt(16, All[I]));
      if (Want.isNaN()) {
        EXPECT_TRUE(std::isnan(Single[I]) && std::isnan(Double[I]));
        continue;
      }
      EXPECT_EQ(Want.convertToDouble(), Single[I]) << All[I];
      EXPECT_EQ(Want.convertToDouble(), Double[I]) << All[I];
    }
  }
}

} // namespace
