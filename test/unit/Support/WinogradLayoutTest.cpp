//===- WinogradLayoutTest.cpp - Filters of F(4x4, 3x3) and back -----------===//

#include "limosa/Support/PackedConstant.h"
#include "limosa/Support/WinogradLayout.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <random>

using namespace limosa;

namespace {

/// A filter [20, 5, 3, 3] in panels of 32 columns.
WinogradLayout layout() {
  WinogradLayout L;
  L.PanelColumns = 32;
  L.Lanes = 16;
  L.Columns = {20, 45};
  L.Channels = {5, 9};
  L.Lines = {3, 3};
  L.Pixels = {3, 1};
  return L;
}

std::vector<uint8_t> randomFilter(size_t Elements) {
  std::mt19937 Gen(1);
  std::uniform_real_distribution<float> Dist(-1, 1);
  std::vector<uint8_t> Bytes(Elements * 4);
  for (size_t I = 0; I < Elements; ++I) {
    float F = Dist(Gen);
    std::memcpy(&Bytes[I * 4], &F, 4);
  }
  return Bytes;
}

float at(const std::vector<uint8_t> &Bytes, size_t I) {
  float F;
  std::memcpy(&F, &Bytes[I * 4], 4);
  return F;
}

TEST(WinogradLayout, TextRoundTrips) {
  WinogradLayout L = layout();
  L.Offset = 7;
  auto Parsed = WinogradLayout::parse(L.toString());
  ASSERT_TRUE(Parsed);
  EXPECT_EQ(Parsed->toString(), L.toString());
}

TEST(WinogradLayout, RefusesWhatIsNoLayout) {
  for (const char *Bad :
       {"", "winograd ", "panel nr=32 vl=16",
        "winograd nr=32 vl=0 n=2:1 c=2:1 y=3:3 x=3:1",
        "winograd nr=32 vl=16 n=2:1 c=2:1 y=2:3 x=3:1",
        "winograd nr=32 vl=16 n=2:1,2:1 c=2:1 y=3:3 x=3:1",
        "winograd nr=32 vl=16 n=2:1 c=2:1 y=3:3 x=3:1 z=1"})
    EXPECT_FALSE(WinogradLayout::parse(Bad)) << Bad;
}

/// The first product is of the first tap of each dimension, the last one of the
/// last.
TEST(WinogradLayout, HasCornersAsTheyAre) {
  WinogradLayout L = layout();
  std::vector<uint8_t> Plain = randomFilter(20 * 45);
  auto Packed = L.pack(Plain);
  ASSERT_TRUE(Packed);
  const size_t Product = 5 * 32; // channels x a panel of 20, padded
  ASSERT_EQ(Packed->size(), 36 * Product * 4);
  for (size_t Channel = 0; Channel < 5; ++Channel)
    for (size_t Column = 0; Column < 20; ++Column) {
      size_t From = Column * 45 + Channel * 9, To = Channel * 32 + Column;
      EXPECT_EQ(at(*Packed, To), at(Plain, From));
      EXPECT_EQ(at(*Packed, 35 * Product + To), at(Plain, From + 8));
    }
}

TEST(WinogradLayout, GivesTheFilterBack) {
  std::vector<uint8_t> Plain = randomFilter(20 * 45);
  std::string Text = layout().toString();
  auto Packed = packConstant(Text, 4, Plain);
  ASSERT_TRUE(Packed);
  auto Back = unpackConstant(Text, 4, Plain.size(), *Packed);
  ASSERT_TRUE(Back);
  for (size_t I = 0; I < Plain.size() / 4; ++I)
    EXPECT_NEAR(at(*Back, I), at(Plain, I), 1e-6);
}

TEST(WinogradLayout, RefusesSizesThatDoNotFit) {
  std::vector<uint8_t> Plain = randomFilter(20 * 45);
  WinogradLayout L = layout();
  auto Packed = L.pack(Plain);
  ASSERT_TRUE(Packed);
  EXPECT_FALSE(L.unpack(Plain.size() - 4, *Packed));
  Packed->pop_back();
  EXPECT_FALSE(L.unpack(Plain.size(), *Packed));
  L.Offset = 1;
  EXPECT_FALSE(L.pack(Plain));
  L.Offset = -1;
  EXPECT_FALSE(L.pack(Plain));
  L.Offset = 0;
  L.Columns.Extent = INT64_MAX;
  EXPECT_FALSE(L.pack(Plain));
  EXPECT_FALSE(packConstant(layout().toString(), 2, Plain));
}

} // namespace
