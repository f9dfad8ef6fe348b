//===- ProductTypesTest.cpp - Products of other dtypes than f32 -----------===//

#include "KernelFixture.h"
#include "llvm/ADT/APFloat.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace limosa;
using namespace limosa::test;

namespace {

constexpr int64_t M = 21, N = 37, K = 45;

/// Small integers, exact in every dtype: signed -3 .. 3, unsigned 0 .. 6.
int64_t sample(int64_t I, bool Unsigned) {
  return (I * 7 + I / 5) % 7 - (Unsigned ? 0 : 3);
}

/// Bytes of `Count` samples of an element type.
std::vector<uint8_t> samples(Type Element, int64_t Count) {
  unsigned Bytes = Element.getIntOrFloatBitWidth() / 8;
  std::vector<uint8_t> Out(Count * Bytes);
  for (int64_t I = 0; I < Count; ++I) {
    int64_t V = sample(I, Element.isUnsignedInteger());
    uint64_t Bits = V;
    if (auto F = dyn_cast<FloatType>(Element)) {
      llvm::APFloat X(double{0});
      X = llvm::APFloat(double(V));
      bool Lost;
      X.convert(F.getFloatSemantics(), llvm::APFloat::rmNearestTiesToEven,
                &Lost);
      Bits = X.bitcastToAPInt().getZExtValue();
    }
    std::memcpy(&Out[I * Bytes], &Bits, Bytes);
  }
  return Out;
}

double readAt(Type Element, ArrayRef<uint8_t> Bytes, int64_t I) {
  unsigned Size = Element.getIntOrFloatBitWidth() / 8;
  uint64_t Bits = 0;
  std::memcpy(&Bits, &Bytes[I * Size], Size);
  llvm::APInt Int(Size * 8, Bits);
  if (auto F = dyn_cast<FloatType>(Element)) {
    llvm::APFloat X(F.getFloatSemantics(), Int);
    return X.convertToDouble();
  }
  return Element.isUnsignedInteger() ? double(Int.getZExtValue())
                                     : double(Int.getSExtValue());
}

class ProductTypesTest : public testing::TestWithParam<std::string> {
protected:
  void product(KernelFixture &F, Type L, Type R, Type Result, bool Constant) {
    std::string Text;
    llvm::raw_string_ostream(Text) << L << " x " << R << " -> " << Result;
    SCOPED_TRACE(Text);
    SmallVector<KernelFixture::Argument> Args = {{F.type({M, K}, L)},
                                                 {F.type({K, N}, R), Constant}};
    ASSERT_TRUE(F.compile(Args, [&](CoreBuilder &B, ValueRange In) {
      return SmallVector<Value>{
          B.contract(In[0], In[1], {}, {}, {1}, {0}, Result)};
    }));
    EXPECT_EQ(F.kernel().Template, "contract");
    auto X = samples(L, M * K), W = samples(R, K * N);
    std::vector<uint8_t> Y(M * N * Result.getIntOrFloatBitWidth() / 8);
    ASSERT_TRUE(F.run({X.data(), W.data()}, {Y.data()}));
    for (int64_t I = 0; I < M; ++I)
      for (int64_t J = 0; J < N; ++J) {
        int64_t Sum = 0;
        for (int64_t T = 0; T < K; ++T)
          Sum += sample(I * K + T, L.isUnsignedInteger()) *
                 sample(T * N + J, R.isUnsignedInteger());
        double Got = readAt(Result, Y, I * N + J);
        if (Result.isInteger(8)) // wraps
          Sum = Result.isUnsignedInteger() ? int64_t(uint8_t(Sum))
                                           : int64_t(int8_t(Sum));
        if (Result.isBF16()) {
          ASSERT_NEAR(Got, double(Sum), std::abs(Sum) / 128.0);
        } else {
          ASSERT_EQ(Got, double(Sum)) << I << ", " << J;
        }
      }
  }
};

TEST_P(ProductTypesTest, Products) {
  for (bool Constant : {true, false}) {
    auto Run = [&](auto Pick) {
      KernelFixture F(GetParam());
      Builder B(F.context());
      auto [L, R, Result] = Pick(B);
      product(F, L, R, Result, Constant);
    };
    using Types = std::tuple<Type, Type, Type>;
    Run([](Builder B) -> Types {
      return {B.getF64Type(), B.getF64Type(), B.getF64Type()};
    });
    Run([](Builder B) -> Types {
      return {B.getF32Type(), B.getF32Type(), B.getF64Type()};
    });
    Run([](Builder B) -> Types {
      return {B.getF16Type(), B.getF16Type(), B.getF16Type()};
    });
    Run([](Builder B) -> Types {
      return {B.getBF16Type(), B.getBF16Type(), B.getBF16Type()};
    });
    Run([](Builder B) -> Types {
      return {B.getBF16Type(), B.getBF16Type(), B.getF32Type()};
    });
    Run([](Builder B) -> Types {
      return {B.getI8Type(), B.getI8Type(), B.getI32Type()};
    });
    Run([](Builder B) -> Types {
      return {B.getIntegerType(8, false), B.getI8Type(), B.getI32Type()};
    });
    Run([](Builder B) -> Types {
      return {B.getI8Type(), B.getI8Type(), B.getI8Type()};
    });
    Run([](Builder B) -> Types {
      return {B.getI32Type(), B.getI32Type(), B.getI32Type()};
    });
    Run([](Builder B) -> Types {
      return {B.getI64Type(), B.getI64Type(), B.getI64Type()};
    });
  }
}

/// Exact small integers through the convolution templates.
TEST_P(ProductTypesTest, Convolutions) {
  constexpr int64_t C = 16, Size = 6;
  for (bool Depthwise : {false, true})
    for (unsigned Kind = 0; Kind < 3; ++Kind) {
      KernelFixture F(GetParam());
      Builder B(F.context());
      Type Element = Kind == 0   ? Type(B.getF16Type())
                     : Kind == 1 ? Type(B.getF64Type())
                                 : Type(B.getI32Type());
      SmallVector<int64_t> Nhwc = {0, 2, 3, 1};
      int64_t Depth = Depthwise ? 1 : C;
      SmallVector<KernelFixture::Argument> Args = {
          {F.type({1, C, Size, Size}, Element, Nhwc)},
          {F.type({C, Depth, 3, 3}, Element), true}};
      ASSERT_TRUE(
          F.compile(Args,
                    [&](CoreBuilder &B, ValueRange In) {
                      infer::ConvAttrs A;
                      A.Strides = A.LhsDilation = A.RhsDilation = {1, 1};
                      A.PadLow = A.PadHigh = {1, 1};
                      A.FeatureGroups = Depthwise ? C : 1;
                      return SmallVector<Value>{B.conv(In[0], In[1], A)};
                    },
                    {Nhwc}));
      auto X = samples(Element, C * Size * Size);
      auto W = samples(Element, C * Depth * 9);
      std::vector<uint8_t> Y(X.size());
      ASSERT_TRUE(F.run({X.data(), W.data()}, {Y.data()}));
      for (int64_t I = 0; I < Size; ++I)
        for (int64_t J = 0; J < Size; ++J)
          for (int64_t O = 0; O < C; ++O) {
            int64_t Sum = 0;
            for (int64_t D = 0; D < Depth; ++D)
              for (int64_t T = 0; T < 9; ++T) {
                int64_t R = I + T / 3 - 1, S = J + T % 3 - 1;
                if (R < 0 || S < 0 || R >= Size || S >= Size)
                  continue;
                int64_t Channel = Depthwise ? O : D;
                Sum += sample((R * Size + S) * C + Channel, false) *
                       sample((O * Depth + D) * 9 + T, false);
              }
            ASSERT_EQ(readAt(Element, Y, (I * Size + J) * C + O), double(Sum))
                << "kind " << Kind << " depthwise " << Depthwise;
          }
    }
}

INSTANTIATE_TEST_SUITE_P(Isa, ProductTypesTest, testing::ValuesIn(allIsas()),
                         [](auto &Info) { return Info.param; });

} // namespace
