//===- PairProductsTest.cpp - Products of bf16, two at a time -------------===//

#include "Disassembly.h"
#include "KernelFixture.h"
#include <bit>
#include <cmath>
#include <gtest/gtest.h>
#include <random>

using namespace mlir;
using namespace limosa;
using namespace limosa::test;

namespace {

/// All levels, vdpbf16ps and tiles where the machine has them.
std::vector<std::string> pairIsas() {
  std::vector<std::string> Out = allIsas();
  auto Host = hostIsa();
  if (!Host) {
    consumeError(Host.takeError());
    return Out;
  }
  constexpr StringLiteral WithPairs = "avx512+vnni+bf16";
  if (StringRef(*Host).starts_with(WithPairs))
    Out.push_back(WithPairs.str());
  if (!llvm::is_contained(Out, *Host))
    Out.push_back(*Host);
  return Out;
}

using Bf16 = uint16_t;

float valueOf(Bf16 B) { return std::bit_cast<float>(uint32_t(B) << 16); }

/// Numbers whose products and short sums are exact in f32.
std::vector<Bf16> randomNumbers(size_t Count, unsigned Seed) {
  std::mt19937 Rng(Seed);
  std::vector<Bf16> Out(Count);
  for (Bf16 &B : Out)
    B = std::bit_cast<uint32_t>(float(int(Rng() % 129) - 64) / 32) >> 16;
  return Out;
}

class PairProductsTest : public testing::TestWithParam<std::string> {
protected:
  struct Sizes {
    int64_t Batch, M, N, K;
  };
  void product(Sizes S, bool Constant, bool Turned, bool Symbolic) {
    auto [Batch, M, N, K] = S;
    SCOPED_TRACE(testing::Message()
                 << Batch << " x " << M << " x " << N << " x " << K
                 << " constant " << Constant << " turned " << Turned
                 << " symbolic " << Symbolic);
    KernelFixture F(GetParam());
    Builder B(F.context());
    DimExpr Rows = Symbolic ? DimExpr::symbol("M") : DimExpr(M);
    DimExpr Depth = Symbolic && !Constant ? DimExpr::symbol("K") : DimExpr(K);
    SmallVector<DimExpr> Right = {Batch, Depth, N};
    if (Turned)
      std::swap(Right[1], Right[2]);
    SmallVector<KernelFixture::Argument> Args = {
        {F.type({Batch, Rows, Depth}, B.getBF16Type())},
        {F.type(Right, B.getBF16Type()), Constant}};
    ASSERT_TRUE(F.compile(Args, [&](CoreBuilder &B, ValueRange In) {
      return SmallVector<Value>{
          B.contract(In[0], In[1], {0}, {0}, {2}, {Turned ? 2 : 1}, F.f32())};
    }));
    EXPECT_EQ(F.kernel().Template, "contract");
    auto X = randomNumbers(Batch * M * K, 1),
         W = randomNumbers(Batch * N * K, 2);
    std::vector<float> Y(Batch * M * N);
    std::map<std::string, int64_t> Symbols;
    if (Symbolic)
      Symbols = {{"M", M}, {"K", K}};
    ASSERT_TRUE(F.run({X.data(), W.data()}, {Y.data()}, Symbols));
    for (int64_t I = 0; I < Batch * M; ++I)
      for (int64_t J = 0; J < N; ++J) {
        double Sum = 0;
        const Bf16 *Of = W.data() + I / M * N * K;
        for (int64_t T = 0; T < K; ++T)
          Sum += valueOf(X[I * K + T]) *
                 valueOf(Of[Turned ? J * K + T : T * N + J]);
        ASSERT_NEAR(Y[I * N + J], Sum, 1e-3) << I << ", " << J;
      }
  }

  struct Layer {
    int64_t C, O, Height, Width, Window, Stride, Pad, Dilation, Groups;
  };
  void convolution(Layer P, bool ChannelsLast) {
    SCOPED_TRACE(testing::Message()
                 << P.C << " -> " << P.O << " of " << P.Height << " x "
                 << P.Width << " window " << P.Window << " stride " << P.Stride
                 << " pad " << P.Pad << " groups " << P.Groups << " last "
                 << ChannelsLast);
    KernelFixture F(GetParam());
    SmallVector<int64_t> Nhwc = {0, 2, 3, 1}, Nchw = {0, 1, 2, 3};
    int64_t Depth = P.C / P.Groups;
    Type Element = Builder(F.context()).getBF16Type();
    SmallVector<KernelFixture::Argument> Args = {
        {F.type({2, P.C, P.Height, P.Width}, Element,
                ChannelsLast ? Nhwc : Nchw)},
        {F.type({P.O, Depth, P.Window, P.Window}, Element), true}};
    ASSERT_TRUE(F.compile(Args,
                          [&](CoreBuilder &B, ValueRange In) {
                            infer::ConvAttrs A;
                            A.Strides = {P.Stride, P.Stride};
                            A.LhsDilation = {1, 1};
                            A.RhsDilation = {P.Dilation, P.Dilation};
                            A.PadLow = A.PadHigh = {P.Pad, P.Pad};
                            A.FeatureGroups = P.Groups;
                            return SmallVector<Value>{
                                B.conv(In[0], In[1], A, F.f32())};
                          },
                          {Nhwc}));
    auto OutOf = [&](int64_t Size) {
      return (Size + 2 * P.Pad - (P.Window - 1) * P.Dilation - 1) / P.Stride +
             1;
    };
    int64_t OutY = OutOf(P.Height), OutX = OutOf(P.Width);
    auto X = randomNumbers(2 * P.C * P.Height * P.Width, 1),
         W = randomNumbers(P.O * Depth * P.Window * P.Window, 2);
    std::vector<float> Y(2 * OutY * OutX * P.O);
    ASSERT_TRUE(F.run({X.data(), W.data()}, {Y.data()}));
    for (size_t I = 0; I < Y.size(); ++I) {
      int64_t O = I % P.O, Px = I / P.O % OutX, Py = I / P.O / OutX % OutY;
      const Bf16 *Image =
          X.data() + I / (OutY * OutX * P.O) * P.C * P.Height * P.Width;
      int64_t First = O / (P.O / P.Groups) * Depth;
      double Sum = 0;
      for (int64_t T = 0; T < P.Window * P.Window * Depth; ++T) {
        int64_t C = T % Depth, Kx = T / Depth % P.Window,
                Ky = T / Depth / P.Window;
        int64_t R = Py * P.Stride + Ky * P.Dilation - P.Pad,
                S = Px * P.Stride + Kx * P.Dilation - P.Pad;
        if (R < 0 || S < 0 || R >= P.Height || S >= P.Width)
          continue;
        int64_t At = ChannelsLast ? (R * P.Width + S) * P.C + First + C
                                  : ((First + C) * P.Height + R) * P.Width + S;
        Sum += valueOf(Image[At]) *
               valueOf(W[((O * Depth + C) * P.Window + Ky) * P.Window + Kx]);
      }
      ASSERT_NEAR(Y[I], Sum, 2e-3)
          << "pixel " << Py << ", " << Px << " channel " << O;
    }
  }

  /// A dense layer with bias and activation whose result is stored as bf16.
  void compileLayer(KernelFixture &F, int64_t K) {
    Type Element = Builder(F.context()).getBF16Type();
    SmallVector<KernelFixture::Argument> Args = {
        {F.type({512, K}, Element)},
        {F.type({K, 512}, Element), true},
        {F.type({512}), true}};
    ASSERT_TRUE(F.compile(Args, [&](CoreBuilder &B, ValueRange In) {
      Value V = B.contract(In[0], In[1], {}, {}, {1}, {0}, F.f32());
      V = B.add(V, B.broadcastTo(In[2], getDims(V)));
      return SmallVector<Value>{B.convert(V, Element)};
    }));
  }
};

TEST_P(PairProductsTest, Products) {
  // Odd K, K that tiles share out and not, rows that are left.
  for (Sizes S : {Sizes{1, 21, 37, 45},
                  {2, 7, 130, 64},
                  {1, 70, 16, 40},
                  {3, 33, 48, 96},
                  {1, 1, 64, 33}})
    for (bool Constant : {true, false})
      for (bool Turned : {true, false})
        for (bool Symbolic : {true, false})
          product(S, Constant, Turned, Symbolic);
}

TEST_P(PairProductsTest, Convolutions) {
  for (Layer P : {Layer{64, 64, 9, 9, 1, 1, 0, 1, 1},
                  {64, 40, 9, 14, 3, 1, 1, 1, 1},
                  {3, 20, 15, 31, 7, 2, 3, 1, 1},
                  {24, 48, 8, 28, 3, 2, 1, 1, 1},
                  {32, 64, 8, 8, 3, 1, 1, 1, 2},
                  {16, 8, 6, 6, 1, 2, 0, 1, 1},
                  {6, 12, 7, 7, 3, 1, 0, 1, 3},
                  {32, 32, 19, 40, 3, 1, 18, 18, 1},
                  {1024, 32, 5, 5, 3, 1, 1, 1, 1},
                  {16, 32, 3, 300, 3, 1, 1, 1, 1}})
    for (bool Last : {true, false})
      convolution(P, Last);
}

TEST_P(PairProductsTest, Depthwise) {
  convolution({40, 40, 9, 9, 3, 1, 1, 1, 40}, true);
  convolution({16, 16, 8, 8, 5, 2, 2, 1, 16}, true);
}

TEST_P(PairProductsTest, HotLoop) {
  StringRef Isa = GetParam();
  KernelFixture F(Isa);
  // So many steps of tiles that they are not unrolled.
  compileLayer(F, Isa.contains("+amx") ? 1024 : 256);
  StringRef Instruction = Isa.contains("+amx")    ? "tdpbf16ps"
                          : Isa.contains("+bf16") ? "vdpbf16ps"
                                                  : "vfmadd";
  unsigned Wanted = Isa.contains("+amx") ? 4 : 16, Hot = 0;
  auto Code = disassemble(F.image().code(F.kernel().Symbol));
  for (auto &Loop : innermostLoops(Code)) {
    unsigned Products = countMatching(Loop, Instruction);
    if (Products < Wanted)
      continue;
    ++Hot;
    if (!Isa.contains("+bf16"))
      continue; // widened pairs are no fast path
    EXPECT_EQ(countSpills(Loop), 0u);
    if (!Isa.contains("+amx")) {
      EXPECT_LT(Loop.size(), 2.1 * Products);
    }
  }
  EXPECT_GE(Hot, 1u) << "no hot loop found";
}

INSTANTIATE_TEST_SUITE_P(Isa, PairProductsTest, testing::ValuesIn(pairIsas()),
                         isaTestName);

} // namespace
