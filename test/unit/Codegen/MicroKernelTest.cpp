//===- MicroKernelTest.cpp - Tiles, and what the hot loops are made of ----===//

#include "limosa/Codegen/MicroKernel.h"
#include "Disassembly.h"
#include "KernelFixture.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace limosa;
using namespace limosa::codegen;
using namespace limosa::test;

namespace {

TEST(TileTest, FitsTheRegisters) {
  for (unsigned Registers : {16u, 32u})
    for (unsigned Vectors : {1u, 2u, 3u, 4u}) {
      RegisterFile Regs{Registers, 8};
      unsigned Rows = maxRows(Regs, Vectors);
      EXPECT_GE(Rows, 1u);
      EXPECT_LE(Rows * Vectors + Vectors + 1, Registers);
    }
}

TEST(TileTest, ExtrasOfTheIsaKeepItsRegisters) {
  MLIRContext Context;
  Type F32 = Float32Type::get(&Context);
  for (StringRef Isa : {"avx512", "avx512+vnni", "avx512+vnni+bf16"}) {
    RegisterFile Regs = getRegisterFile(Isa, F32);
    EXPECT_EQ(Regs.Registers, 32u) << Isa.str();
    EXPECT_EQ(Regs.Lanes, 16u) << Isa.str();
  }
  EXPECT_EQ(getRegisterFile("avx2+vnni", F32).Registers, 16u);
}

TEST(TileTest, SharesRowsEvenly) {
  RegisterFile Avx512{32, 16};
  for (int64_t M : {1, 7, 14, 49, 196, 1024})
    for (int64_t N : {10, 64, 256, 1000}) {
      TileShape T = chooseTile(Avx512, M, N);
      EXPECT_LE(T.Rows, maxRows(Avx512, T.Vectors));
      EXPECT_LE(T.Rows, M);
      // As many tiles as with the highest that fit: 49 rows in tiles of at
      // most 8 are 7 x 7.
      int64_t Most = maxRows(Avx512, T.Vectors);
      EXPECT_EQ((M + T.Rows - 1) / T.Rows, (M + Most - 1) / Most)
          << M << " x " << N;
    }
}

class HotLoopTest : public testing::TestWithParam<std::string> {
protected:
  /// Every innermost loop that holds a whole register tile's multiply-adds.
  static void checkLoops(const KernelFixture &F) {
    auto Code = disassemble(F.image().code(F.kernel().Symbol));
    unsigned Hot = 0;
    for (auto &Loop : innermostLoops(Code)) {
      unsigned MultiplyAdds = countMatching(Loop, "vfmadd");
      if (MultiplyAdds < 40)
        continue;
      ++Hot;
      EXPECT_EQ(countSpills(Loop), 0u);
      // Loads of B, splats of A (alone or folded into multiply-adds), and the
      // loop's own few instructions: no address arithmetic in between.
      unsigned Splats =
          countMatching(Loop, "vbroadcast") + countMatching(Loop, "{1to");
      EXPECT_GT(Splats, 0u);
      EXPECT_LT(Loop.size(), 2.1 * MultiplyAdds);
    }
    EXPECT_GE(Hot, 1u) << "no hot loop found";
  }
};

TEST_P(HotLoopTest, Product) {
  KernelFixture F(GetParam());
  SmallVector<KernelFixture::Argument> Args = {
      {F.type({512, 260})}, {F.type({260, 512}), true}, {F.type({512}), true}};
  ASSERT_TRUE(F.compile(Args, [](CoreBuilder &B, ValueRange In) {
    Value V = B.contract(In[0], In[1], {}, {}, {1}, {0});
    V = B.add(V, B.broadcastTo(In[2], getDims(V)));
    return SmallVector<Value>{B.max(V, B.full(0, V))};
  }));
  checkLoops(F);
}

/// Weights are fetched before they are used, unless they stay in the
/// first-level cache anyway or rows are so few that nothing else is done.
TEST_P(HotLoopTest, FetchesWeightsAhead) {
  auto fetches = [](int64_t M, int64_t N) {
    KernelFixture F(GetParam());
    SmallVector<KernelFixture::Argument> Args = {{F.type({M, 768})},
                                                 {F.type({768, N}), true}};
    EXPECT_TRUE(F.compile(Args, [](CoreBuilder &B, ValueRange In) {
      return SmallVector<Value>{B.contract(In[0], In[1], {}, {}, {1}, {0})};
    }));
    std::pair<unsigned, unsigned> Most;
    for (auto &Loop :
         innermostLoops(disassemble(F.image().code(F.kernel().Symbol)))) {
      Most.first = std::max(Most.first, countMatching(Loop, "prefetcht0"));
      Most.second = std::max(Most.second, countMatching(Loop, "prefetcht1"));
    }
    return Most;
  };
  auto [Own, Next] = fetches(128, 1536);
  EXPECT_GE(Own, 4u); // a cache line per step of K and more
  EXPECT_EQ(Next, 1u);
  EXPECT_EQ(fetches(128, 8), std::pair(0u, 0u));
  EXPECT_EQ(fetches(1, 1536), std::pair(0u, 0u));
}

/// A long epilogue must not cost the loop its registers.
TEST_P(HotLoopTest, ProductBiasGelu) {
  KernelFixture F(GetParam());
  SmallVector<KernelFixture::Argument> Args = {
      {F.type({512, 260})}, {F.type({260, 512}), true}, {F.type({512}), true}};
  ASSERT_TRUE(F.compile(Args, [](CoreBuilder &B, ValueRange In) {
    Value V = B.contract(In[0], In[1], {}, {}, {1}, {0});
    V = B.add(V, B.broadcastTo(In[2], getDims(V)));
    Value Erf = B.erf(B.mulScalar(V, 0.70710678118654752));
    return SmallVector<Value>{
        B.mul(B.mulScalar(V, 0.5), B.addScalar(Erf, 1.0))};
  }));
  checkLoops(F);
}

TEST_P(HotLoopTest, Convolution) {
  KernelFixture F(GetParam());
  SmallVector<int64_t> Nhwc = {0, 2, 3, 1};
  SmallVector<KernelFixture::Argument> Args = {
      {F.type({1, 64, 56, 56}, {}, Nhwc)}, {F.type({64, 64, 3, 3}), true}};
  ASSERT_TRUE(F.compile(Args,
                        [](CoreBuilder &B, ValueRange In) {
                          infer::ConvAttrs A;
                          A.Strides = A.LhsDilation = A.RhsDilation = {1, 1};
                          A.PadLow = A.PadHigh = {1, 1};
                          return SmallVector<Value>{B.conv(In[0], In[1], A)};
                        },
                        {Nhwc}));
  checkLoops(F);
}

TEST_P(HotLoopTest, NarrowGroups) {
  KernelFixture F(GetParam());
  SmallVector<int64_t> Nhwc = {0, 2, 3, 1};
  SmallVector<KernelFixture::Argument> Args = {
      {F.type({1, 64, 56, 56}, {}, Nhwc)}, {F.type({64, 4, 3, 3}), true}};
  ASSERT_TRUE(F.compile(Args,
                        [](CoreBuilder &B, ValueRange In) {
                          infer::ConvAttrs A;
                          A.Strides = A.LhsDilation = A.RhsDilation = {1, 1};
                          A.PadLow = A.PadHigh = {1, 1};
                          A.FeatureGroups = 16;
                          return SmallVector<Value>{B.conv(In[0], In[1], A)};
                        },
                        {Nhwc}));
  unsigned Hot = 0;
  for (auto &Loop :
       innermostLoops(disassemble(F.image().code(F.kernel().Symbol)))) {
    unsigned MultiplyAdds = countMatching(Loop, "vfmadd");
    if (MultiplyAdds < 18)
      continue;
    ++Hot;
    EXPECT_EQ(countSpills(Loop), 0u);
    // An input column is loaded and spread once, not for each of its windows.
    EXPECT_LE(countMatching(Loop, "vpermps"), MultiplyAdds / 3 + 2);
  }
  EXPECT_GE(Hot, 1u) << "no hot loop found";
}

INSTANTIATE_TEST_SUITE_P(Isa, HotLoopTest, testing::ValuesIn(allIsas()),
                         [](auto &Info) { return Info.param; });

} // namespace
