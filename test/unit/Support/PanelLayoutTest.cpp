//===- PanelLayoutTest.cpp - Constants to panels and back -----------------===//

#include "limosa/Support/PanelLayout.h"

#include <cstring>
#include <gtest/gtest.h>
#include <numeric>

using namespace limosa;

namespace {

/// A grouped 3x3 filter [columns, k, 3, 3] in panels of 32 columns.
PanelLayout groupedFilter() {
  PanelLayout L;
  L.PanelColumns = 32;
  L.Lanes = 16;
  L.Groups = 2;
  L.K = {{3, 3}, {3, 1}, {5, 9}};
  L.Columns = {{80, 45}};
  return L;
}

TEST(PanelLayout, TextRoundTrips) {
  PanelLayout L = groupedFilter();
  L.Offset = 5;
  L.Columns = {{80, -45}};
  auto Parsed = PanelLayout::parse(L.toString());
  ASSERT_TRUE(Parsed);
  EXPECT_EQ(Parsed->toString(), L.toString());
}

TEST(PanelLayout, RefusesWhatIsNoLayout) {
  for (const char *Bad :
       {"", "panel ", "panel nr=48 vl=0", "panel nr=x vl=16",
        "panel nr=50 vl=16 n=1:1", "panel nr=16 vl=16 n=3",
        "panel nr=16 vl=16 g=2 n=3:1", "other nr=16 vl=16",
        "panel nr=16 vl=16 n=9223372036854775807:1,9223372036854775807:1"})
    EXPECT_FALSE(PanelLayout::parse(Bad)) << Bad;
}

TEST(PanelLayout, PutsColumnsSideBySide) {
  PanelLayout L = groupedFilter();
  std::vector<float> Plain(80 * 45);
  std::iota(Plain.begin(), Plain.end(), 0.0f);
  std::vector<uint8_t> Bytes(Plain.size() * 4);
  std::memcpy(Bytes.data(), Plain.data(), Bytes.size());
  auto Packed = L.pack(4, Bytes);
  ASSERT_TRUE(Packed);
  // 40 columns a group: a panel of 32 and one of 8, rounded up to 16.
  ASSERT_EQ(Packed->size(), 2u * 45 * (32 + 16) * 4);
  auto At = [&](size_t I) {
    float F;
    std::memcpy(&F, Packed->data() + I * 4, 4);
    return F;
  };
  EXPECT_EQ(At(1), 45.0f);                       // next column
  EXPECT_EQ(At(32), 9.0f);                       // next position of K
  EXPECT_EQ(At(45 * 32), 32 * 45.0f);            // second panel
  EXPECT_EQ(At(45 * 32 + 8), 0.0f);              // its padding
  EXPECT_EQ(At(45 * (32 + 16) + 3), 43 * 45.0f); // second group

  EXPECT_EQ(L.unpack(4, Bytes.size(), *Packed), Bytes);
}

TEST(PanelLayout, PutsStepsOfKTogether) {
  PanelLayout L;
  L.PanelColumns = L.Lanes = 8;
  L.Together = 4;
  L.K = {{2, 50}, {5, 10}};
  L.Columns = {{9, 1}};
  std::vector<uint8_t> Plain(100);
  std::iota(Plain.begin(), Plain.end(), uint8_t(0));
  auto Packed = L.pack(1, Plain);
  ASSERT_TRUE(Packed);
  ASSERT_EQ(Packed->size(), 2u * 8 * (8 + 8)); // 5 steps fill two fours
  auto At = [&](size_t I) { return int((*Packed)[I]); };
  EXPECT_EQ(At(1), 10);         // next step of K
  EXPECT_EQ(At(4), 1);          // next column
  EXPECT_EQ(At(32), 40);        // the second four
  EXPECT_EQ(At(33), 0);         // has one step and zeros
  EXPECT_EQ(At(64), 50);        // the outer dimension of K
  EXPECT_EQ(At(16 * 8), 8);     // second panel
  EXPECT_EQ(At(16 * 8 + 4), 0); // its padding
  EXPECT_EQ(L.unpack(1, Plain.size(), *Packed)->at(57), 57);
  auto Parsed = PanelLayout::parse(L.toString());
  ASSERT_TRUE(Parsed);
  EXPECT_EQ(Parsed->toString(), L.toString());
}

TEST(PanelLayout, PadsKFurther) {
  PanelLayout L;
  L.PanelColumns = L.Lanes = 8;
  L.Together = 2;
  L.Align = 6;
  L.K = {{7, 8}};
  L.Columns = {{8, 1}};
  std::vector<uint8_t> Plain(56 * 2, 1);
  auto Packed = L.pack(2, Plain);
  ASSERT_TRUE(Packed);
  ASSERT_EQ(Packed->size(), 2u * 8 * 12);
  EXPECT_EQ((*Packed)[2 * 6 * 8], 1);       // step 6, column 0
  EXPECT_EQ((*Packed)[2 * (6 * 8 + 1)], 0); // step 7
  EXPECT_EQ(Packed->back(), 0);
  EXPECT_EQ(L.unpack(2, Plain.size(), *Packed), Plain);
  auto Parsed = PanelLayout::parse(L.toString());
  ASSERT_TRUE(Parsed);
  EXPECT_EQ(Parsed->Align, 6);
  EXPECT_FALSE(
      PanelLayout::parse("panel nr=8 vl=8 t=2 a=3 g=1 o=0 b= k=1:1 n=1:1"));
}

TEST(PanelLayout, PutsPartsSideBySide) {
  PanelLayout L;
  L.PanelColumns = L.Lanes = 8;
  L.Parts = 3;
  L.K = {{5, 1}};
  L.Columns = {{30, 5}};
  std::vector<uint8_t> Plain(150);
  std::iota(Plain.begin(), Plain.end(), uint8_t(0));
  auto Packed = L.pack(1, Plain);
  ASSERT_TRUE(Packed);
  ASSERT_EQ(Packed->size(), 5u * 3 * (8 + 8)); // 10 columns of each part
  auto At = [&](size_t I) { return int((*Packed)[I]); };
  EXPECT_EQ(At(1), 5);                // next column
  EXPECT_EQ(At(8), 50);               // the second part
  EXPECT_EQ(At(24), 1);               // next step of K
  EXPECT_EQ(At(5 * 24), 8 * 5);       // second panel
  EXPECT_EQ(At(5 * 24 + 2), 0);       // its padding
  EXPECT_EQ(At(5 * 24 + 17), 29 * 5); // its third part
  EXPECT_EQ(L.unpack(1, Plain.size(), *Packed), Plain);
  auto Parsed = PanelLayout::parse(L.toString());
  ASSERT_TRUE(Parsed);
  EXPECT_EQ(Parsed->toString(), L.toString());
  EXPECT_FALSE(PanelLayout::parse("panel nr=16 vl=16 p=2 n=3:1"));
}

TEST(PanelLayout, RefusesSizesThatDoNotFit) {
  PanelLayout L;
  L.PanelColumns = L.Lanes = 16;
  L.K = {{4, 8}};
  L.Columns = {{8, 1}};
  std::vector<uint8_t> Plain(32 * 4);
  auto Packed = L.pack(4, Plain);
  ASSERT_TRUE(Packed);
  EXPECT_EQ(Packed->size(), 4u * 16 * 4);
  EXPECT_FALSE(L.unpack(4, Plain.size() - 4, *Packed));
  Packed->pop_back();
  EXPECT_FALSE(L.unpack(4, Plain.size(), *Packed));
  EXPECT_FALSE(L.pack(3, Plain));
  L.Offset = 1;
  EXPECT_FALSE(L.pack(4, Plain));
}

} // namespace
