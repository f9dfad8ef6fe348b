//===- ByteProductsTest.cpp - Products of bytes, four at a time -----------===//

#include "Disassembly.h"
#include "KernelFixture.h"
#include <gtest/gtest.h>
#include <random>

using namespace mlir;
using namespace limosa;
using namespace limosa::test;

namespace {

/// All levels, and vpdpbusd where the machine has it.
std::vector<std::string> byteIsas() {
  std::vector<std::string> Out = allIsas();
  if (auto Host = hostIsa())
    Out.push_back(*Host);
  else
    consumeError(Host.takeError());
  return Out;
}

/// Random bytes with many of the largest and smallest, which would saturate
/// sums of 16 bits.
std::vector<uint8_t> randomBytes(size_t Count, unsigned Seed) {
  std::mt19937 Rng(Seed);
  std::vector<uint8_t> Out(Count);
  for (uint8_t &B : Out) {
    unsigned R = Rng();
    constexpr uint8_t Extremes[] = {0, 127, 128, 255};
    B = R & 0x100 ? Extremes[R % 4] : uint8_t(R);
  }
  return Out;
}

int32_t valueOf(uint8_t B, bool Unsigned) {
  return Unsigned ? int32_t(B) : int32_t(int8_t(B));
}

class ByteProductsTest : public testing::TestWithParam<std::string> {
protected:
  struct Sizes {
    int64_t M, N, K;
  };
  Type byte(KernelFixture &F, bool Unsigned) {
    return IntegerType::get(F.context(), 8,
                            Unsigned ? IntegerType::Unsigned
                                     : IntegerType::Signless);
  }

  void product(Sizes S, bool UnsignedL, bool Constant, bool Turned,
               bool Symbolic) {
    auto [M, N, K] = S;
    SCOPED_TRACE(testing::Message()
                 << M << " x " << N << " x " << K << " unsigned " << UnsignedL
                 << " constant " << Constant << " turned " << Turned
                 << " symbolic " << Symbolic);
    KernelFixture F(GetParam());
    Builder B(F.context());
    DimExpr Rows = Symbolic ? DimExpr::symbol("M") : DimExpr(M);
    DimExpr Depth = Symbolic && !Constant ? DimExpr::symbol("K") : DimExpr(K);
    Type L = byte(F, UnsignedL), R = byte(F, !UnsignedL);
    SmallVector<DimExpr> Right = {Depth, N};
    if (Turned)
      std::swap(Right[0], Right[1]);
    SmallVector<KernelFixture::Argument> Args = {{F.type({Rows, Depth}, L)},
                                                 {F.type(Right, R), Constant}};
    ASSERT_TRUE(F.compile(Args, [&](CoreBuilder &B, ValueRange In) {
      return SmallVector<Value>{B.contract(In[0], In[1], {}, {}, {1},
                                           {Turned ? 1 : 0},
                                           B.builder().getI32Type())};
    }));
    EXPECT_EQ(F.kernel().Template, "contract");
    auto X = randomBytes(M * K, 1), W = randomBytes(N * K, 2);
    std::vector<int32_t> Y(M * N);
    std::map<std::string, int64_t> Symbols;
    if (Symbolic)
      Symbols = {{"M", M}, {"K", K}};
    ASSERT_TRUE(F.run({X.data(), W.data()}, {Y.data()}, Symbols));
    for (int64_t I = 0; I < M; ++I)
      for (int64_t J = 0; J < N; ++J) {
        int32_t Sum = 0;
        for (int64_t T = 0; T < K; ++T)
          Sum += valueOf(X[I * K + T], UnsignedL) *
                 valueOf(W[Turned ? J * K + T : T * N + J], !UnsignedL);
        ASSERT_EQ(Y[I * N + J], Sum) << I << ", " << J;
      }
  }

  struct Layer {
    int64_t C, O, Size, Window, Stride, Pad, Groups;
  };
  void convolution(Layer P, bool UnsignedX, bool ChannelsLast) {
    SCOPED_TRACE(testing::Message()
                 << P.C << " -> " << P.O << " window " << P.Window << " stride "
                 << P.Stride << " pad " << P.Pad << " groups " << P.Groups
                 << " unsigned " << UnsignedX << " last " << ChannelsLast);
    KernelFixture F(GetParam());
    SmallVector<int64_t> Nhwc = {0, 2, 3, 1}, Nchw = {0, 1, 2, 3};
    int64_t Depth = P.C / P.Groups;
    SmallVector<KernelFixture::Argument> Args = {
        {F.type({1, P.C, P.Size, P.Size}, byte(F, UnsignedX),
                ChannelsLast ? Nhwc : Nchw)},
        {F.type({P.O, Depth, P.Window, P.Window}, byte(F, !UnsignedX)), true}};
    ASSERT_TRUE(F.compile(Args,
                          [&](CoreBuilder &B, ValueRange In) {
                            infer::ConvAttrs A;
                            A.Strides = {P.Stride, P.Stride};
                            A.LhsDilation = A.RhsDilation = {1, 1};
                            A.PadLow = A.PadHigh = {P.Pad, P.Pad};
                            A.FeatureGroups = P.Groups;
                            return SmallVector<Value>{B.conv(
                                In[0], In[1], A, B.builder().getI32Type())};
                          },
                          {Nhwc}));
    int64_t Out = (P.Size + 2 * P.Pad - P.Window) / P.Stride + 1;
    auto X = randomBytes(P.C * P.Size * P.Size, 1),
         W = randomBytes(P.O * Depth * P.Window * P.Window, 2);
    std::vector<int32_t> Y(Out * Out * P.O);
    ASSERT_TRUE(F.run({X.data(), W.data()}, {Y.data()}));
    for (int64_t I = 0; I < Out * Out * P.O; ++I) {
      int64_t O = I % P.O, Px = I / P.O % Out, Py = I / P.O / Out;
      int64_t First = O / (P.O / P.Groups) * Depth;
      int32_t Sum = 0;
      for (int64_t T = 0; T < P.Window * P.Window * Depth; ++T) {
        int64_t C = T % Depth, Kx = T / Depth % P.Window,
                Ky = T / Depth / P.Window;
        int64_t R = Py * P.Stride + Ky - P.Pad, S = Px * P.Stride + Kx - P.Pad;
        if (R < 0 || S < 0 || R >= P.Size || S >= P.Size)
          continue;
        int64_t At = ChannelsLast ? (R * P.Size + S) * P.C + First + C
                                  : ((First + C) * P.Size + R) * P.Size + S;
        Sum += valueOf(X[At], UnsignedX) *
               valueOf(W[((O * Depth + C) * P.Window + Ky) * P.Window + Kx],
                       !UnsignedX);
      }
      ASSERT_EQ(Y[I], Sum) << "pixel " << Py << ", " << Px << " channel " << O;
    }
  }
};

TEST_P(ByteProductsTest, Products) {
  for (Sizes S : {Sizes{21, 37, 45}, {7, 130, 64}})
    for (bool Unsigned : {true, false})
      for (bool Constant : {true, false})
        for (bool Turned : {true, false})
          for (bool Symbolic : {true, false})
            product(S, Unsigned, Constant, Turned, Symbolic);
}

TEST_P(ByteProductsTest, Convolutions) {
  for (Layer P : {Layer{64, 64, 9, 1, 1, 0, 1},
                  {64, 40, 9, 3, 1, 1, 1},
                  {3, 20, 15, 7, 2, 3, 1},
                  {24, 48, 8, 3, 2, 1, 2},
                  {16, 8, 6, 1, 2, 0, 1},
                  {6, 12, 7, 3, 1, 0, 3},
                  {1024, 32, 5, 3, 1, 1, 1}})
    for (bool Unsigned : {true, false})
      for (bool Last : {true, false})
        convolution(P, Unsigned, Last);
}

TEST_P(ByteProductsTest, Depthwise) {
  for (bool Unsigned : {true, false}) {
    convolution({40, 40, 9, 3, 1, 1, 40}, Unsigned, true);
    convolution({16, 16, 8, 5, 2, 2, 16}, Unsigned, true);
  }
}

TEST_P(ByteProductsTest, HotLoop) {
  if (!StringRef(GetParam()).contains("vnni"))
    GTEST_SKIP() << "has no vpdpbusd";
  KernelFixture F(GetParam());
  SmallVector<KernelFixture::Argument> Args = {
      {F.type({512, 256}, byte(F, true))},
      {F.type({256, 512}, byte(F, false)), true},
      {F.type({512}), true}};
  ASSERT_TRUE(F.compile(Args, [&](CoreBuilder &B, ValueRange In) {
    Value V =
        B.contract(In[0], In[1], {}, {}, {1}, {0}, B.builder().getI32Type());
    V = B.convert(V, B.builder().getF32Type());
    V = B.mul(V, B.broadcastTo(In[2], getDims(V)));
    return SmallVector<Value>{
        B.convert(B.roundEven(V), B.builder().getI8Type())};
  }));
  unsigned Hot = 0;
  for (auto &Loop :
       innermostLoops(disassemble(F.image().code(F.kernel().Symbol)))) {
    unsigned Products = countMatching(Loop, "vpdpbusd");
    if (Products < 16)
      continue;
    ++Hot;
    EXPECT_EQ(countSpills(Loop), 0u);
    EXPECT_LT(Loop.size(), 2.1 * Products);
  }
  EXPECT_GE(Hot, 1u) << "no hot loop found";
}

INSTANTIATE_TEST_SUITE_P(Isa, ByteProductsTest, testing::ValuesIn(byteIsas()),
                         isaTestName);

} // namespace
