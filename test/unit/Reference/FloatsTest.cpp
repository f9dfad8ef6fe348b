//===- FloatsTest.cpp - Small float formats and conversion ----------------===//

#include "Floats.h"
#include "Elementwise.h"

#include <cmath>
#include <gtest/gtest.h>
#include <limits>

using namespace limosa;
using namespace limosa::reference;

namespace {

template <typename To, typename From> To convert(DType F, From V, DType T) {
  To Out{};
  convertElements(F, &V, T, &Out, 1);
  return Out;
}

void roundTrips(const FloatFormat &F, unsigned Bits) {
  for (uint32_t I = 0; I < (1u << Bits); ++I) {
    double V = decodeFloat(F, I);
    if (std::isnan(V))
      EXPECT_TRUE(std::isnan(decodeFloat(F, encodeFloat(F, V))));
    else if (!(std::isinf(V) && F.Saturate))
      EXPECT_EQ(encodeFloat(F, V), I) << V;
  }
}

} // namespace

TEST(Floats, EveryEncodingRoundTrips) {
  roundTrips(FormatF16, 16);
  roundTrips(FormatBF16, 16);
  roundTrips(FormatF8E4M3FN, 8);
  roundTrips(FormatF8E5M2, 8);
  roundTrips(FormatF8E4M3FNUZ, 8);
  roundTrips(FormatF8E5M2FNUZ, 8);
  roundTrips(FormatF4E2M1FN, 4);
}

TEST(Floats, RoundsToNearestEven) {
  // Between any two neighbours of f16 the middle goes to the even one.
  for (uint32_t I = 0; I < 0x7bff; ++I) {
    double Low = decodeFloat(FormatF16, I),
           High = decodeFloat(FormatF16, I + 1);
    double Middle = (Low + High) / 2;
    EXPECT_EQ(encodeFloat(FormatF16, Middle), I + (I & 1));
    EXPECT_EQ(encodeFloat(FormatF16, std::nextafter(Middle, 0)), I);
    EXPECT_EQ(encodeFloat(FormatF16, std::nextafter(Middle, 1e9)), I + 1);
  }
  EXPECT_EQ(encodeFloat(FormatF16, 65519.99), 0x7bffu);
  EXPECT_EQ(encodeFloat(FormatF16, 65520.0), 0x7c00u);
}

TEST(Floats, KnownValues) {
  EXPECT_EQ(decodeFloat(FormatF8E4M3FN, 0x7e), 448.0);
  EXPECT_EQ(decodeFloat(FormatF8E5M2, 0x7b), 57344.0);
  EXPECT_EQ(decodeFloat(FormatF8E4M3FNUZ, 0x7f), 240.0);
  EXPECT_EQ(decodeFloat(FormatF8E5M2FNUZ, 0x7f), 57344.0);
  EXPECT_EQ(decodeFloat(FormatF4E2M1FN, 7), 6.0);
  EXPECT_EQ(encodeFloat(FormatF8E4M3FN, 1e9), 0x7eu);
  EXPECT_EQ(encodeFloat(FormatF8E5M2, -INFINITY), 0xfbu);
  EXPECT_EQ(encodeFloat(FormatF4E2M1FN, 5.0), 6u); // tie: 4, the even one
  EXPECT_EQ(encodeFloat(FormatF8E4M3FNUZ, -0.0), 0u);
}

TEST(Convert, FollowsTheSpecSentence) {
  EXPECT_EQ((convert<int32_t>(DType::F32, -1.9f, DType::I32)), -1);
  EXPECT_EQ((convert<int32_t>(DType::F32, 1e20f, DType::I32)), INT32_MAX);
  EXPECT_EQ((convert<int64_t>(DType::F64, 1e300, DType::I64)), INT64_MAX);
  EXPECT_EQ((convert<int64_t>(DType::F64, -1e300, DType::I64)), INT64_MIN);
  EXPECT_EQ((convert<uint64_t>(DType::F64, 1e300, DType::U64)), UINT64_MAX);
  EXPECT_EQ((convert<uint8_t>(DType::F32, -3.f, DType::U8)), 0);
  EXPECT_EQ((convert<int8_t>(DType::F32, NAN, DType::I8)), 0);
  EXPECT_EQ((convert<int8_t>(DType::I32, 200, DType::I8)), -56);
  EXPECT_EQ((convert<uint32_t>(DType::I8, int8_t(-1), DType::U32)), UINT32_MAX);
  EXPECT_EQ((convert<uint8_t>(DType::F32, 0.25f, DType::Bool)), 1);
  EXPECT_EQ((convert<uint8_t>(DType::F32, NAN, DType::Bool)), 1);
  EXPECT_EQ((convert<float>(DType::Bool, uint8_t(1), DType::F32)), 1.f);
  EXPECT_EQ((convert<uint8_t>(DType::F32, -9.f, DType::I4)), 8);
  EXPECT_EQ((convert<int32_t>(DType::I4, uint8_t(8), DType::I32)), -8);
  EXPECT_EQ((convert<uint8_t>(DType::I32, 17, DType::U4)), 1);
  // One rounding only: as double this is a tie of bf16 that goes down.
  int64_t Big = (int64_t(1) << 62) + (int64_t(1) << 54) + 1;
  EXPECT_EQ((convert<uint16_t>(DType::I64, Big, DType::BF16)), 0x5e81);
}
