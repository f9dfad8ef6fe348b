//===- ConvTest.cpp - Convolutions against plain loops --------------------===//

#include "KernelFixture.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace limosa;
using namespace limosa::test;

namespace {

struct Case {
  std::vector<int64_t> Input;  ///< N, C, spatial..
  std::vector<int64_t> Filter; ///< O, C / groups, window..
  std::vector<int64_t> Stride, Low, High, Dilation, InDilation;
  int64_t Groups = 1;
  bool ChannelsLast = true; ///< of the input
  bool ResultLast = true;   ///< of the result
  bool ConstantFilter = true;
  std::string Symbolic = {}; ///< digits: input dimensions of unknown size
  const char *Template = "conv";
  WinogradUse Winograd = WinogradUse::Never;

  Case(std::vector<int64_t> In, std::vector<int64_t> F, int64_t S = 1,
       int64_t Pad = 0)
      : Input(std::move(In)), Filter(std::move(F)) {
    size_t N = Input.size() - 2;
    Stride.assign(N, S);
    Low.assign(N, Pad);
    High.assign(N, Pad);
    Dilation.assign(N, 1);
    InDilation.assign(N, 1);
    Groups = Input[1] / Filter[1];
  }
};

int64_t product(ArrayRef<int64_t> V) {
  int64_t P = 1;
  for (int64_t X : V)
    P *= X;
  return P;
}

/// Physical offset of logical coordinates.
int64_t offsetOf(ArrayRef<int64_t> At, ArrayRef<int64_t> Shape, bool Last) {
  int64_t O = At[0];
  if (!Last)
    O = O * Shape[1] + At[1];
  for (size_t D = 2; D < Shape.size(); ++D)
    O = O * Shape[D] + At[D];
  return Last ? O * Shape[1] + At[1] : O;
}

SmallVector<int64_t> channelsLast(size_t Rank) {
  SmallVector<int64_t> Order = {0};
  for (size_t D = 2; D < Rank; ++D)
    Order.push_back(D);
  Order.push_back(1);
  return Order;
}

bool next(SmallVectorImpl<int64_t> &At, ArrayRef<int64_t> Shape) {
  for (size_t D = Shape.size(); D-- > 0;) {
    if (++At[D] < Shape[D])
      return true;
    At[D] = 0;
  }
  return false;
}

void check(const Case &C, StringRef Isa) {
  std::string Name = Isa.str();
  for (int64_t D : C.Input)
    Name += " " + std::to_string(D);
  Name += " filter";
  for (int64_t D : C.Filter)
    Name += " " + std::to_string(D);
  Name += " stride " + std::to_string(C.Stride[0]) + " pad " +
          std::to_string(C.Low[0]) + " symbolic '" + C.Symbolic + "'";
  SCOPED_TRACE(Name);
  size_t Rank = C.Input.size();

  KernelFixture F(Isa, /*Workers=*/2, C.Winograd);
  std::map<std::string, int64_t> Symbols;
  SmallVector<DimExpr> InShape;
  for (size_t D = 0; D < Rank; ++D) {
    std::string Digit = std::to_string(D);
    if (StringRef(C.Symbolic).contains(Digit)) {
      InShape.push_back(DimExpr::symbol("D" + Digit));
      Symbols["D" + Digit] = C.Input[D];
    } else {
      InShape.push_back(C.Input[D]);
    }
  }
  SmallVector<DimExpr> FilterShape(C.Filter.begin(), C.Filter.end());
  SmallVector<int64_t> Order = channelsLast(Rank), Plain;
  for (size_t D = 0; D < Rank; ++D)
    Plain.push_back(D);
  SmallVector<KernelFixture::Argument> Args = {
      {F.type(InShape, {}, C.ChannelsLast ? Order : Plain)},
      {F.type(FilterShape), C.ConstantFilter},
      {F.type({C.Filter[0]}), true}};
  infer::ConvAttrs A;
  A.Strides.assign(C.Stride.begin(), C.Stride.end());
  A.LhsDilation.assign(C.InDilation.begin(), C.InDilation.end());
  A.RhsDilation.assign(C.Dilation.begin(), C.Dilation.end());
  A.PadLow.assign(C.Low.begin(), C.Low.end());
  A.PadHigh.assign(C.High.begin(), C.High.end());
  A.FeatureGroups = C.Groups;
  auto Ordered = [&](Value V) {
    if (C.ResultLast)
      V.setType(withOrder(cast<RankedTensorType>(V.getType()), Order));
    return V;
  };
  ASSERT_TRUE(F.compile(Args, [&](CoreBuilder &B, ValueRange In) {
    Value V = Ordered(B.conv(In[0], In[1], A));
    Value Bias = Ordered(B.broadcast(In[2], getDims(V), {1}));
    return SmallVector<Value>{Ordered(B.add(V, Bias))};
  }));
  EXPECT_EQ(F.kernel().Template, C.Template);

  SmallVector<int64_t> Shape = {C.Input[0], C.Filter[0]};
  for (size_t D = 2; D < Rank; ++D) {
    int64_t In = (C.Input[D] - 1) * C.InDilation[D - 2] + 1;
    int64_t Window = (C.Filter[D] - 1) * C.Dilation[D - 2] + 1;
    Shape.push_back(
        (In + C.Low[D - 2] + C.High[D - 2] - Window) / C.Stride[D - 2] + 1);
  }
  auto In = randomFloats(product(C.Input), 1);
  auto W = randomFloats(product(C.Filter), 2);
  auto Bias = randomFloats(C.Filter[0], 3);
  std::vector<float> Got(product(Shape) + 16, 77.0f);
  ASSERT_TRUE(F.run({In.data(), W.data(), Bias.data()}, {Got.data()}, Symbols));

  SmallVector<int64_t> At(Rank, 0);
  SmallVector<int64_t> Window(C.Filter.begin() + 1, C.Filter.end());
  do {
    double Sum = Bias[At[1]];
    int64_t G = At[1] * C.Groups / C.Filter[0];
    SmallVector<int64_t> K(Rank - 1, 0);
    do {
      SmallVector<int64_t> From = {At[0], G * C.Filter[1] + K[0]};
      bool Inside = true;
      for (size_t D = 2; D < Rank; ++D) {
        int64_t Pos = At[D] * C.Stride[D - 2] + K[D - 1] * C.Dilation[D - 2] -
                      C.Low[D - 2];
        Inside &= Pos >= 0 && Pos % C.InDilation[D - 2] == 0 &&
                  Pos / C.InDilation[D - 2] < C.Input[D];
        From.push_back(Pos / C.InDilation[D - 2]);
      }
      if (!Inside)
        continue;
      SmallVector<int64_t> FilterAt = {At[1]};
      FilterAt.append(K.begin(), K.end());
      Sum += double(In[offsetOf(From, C.Input, C.ChannelsLast)]) *
             W[offsetOf(FilterAt, C.Filter, false)];
    } while (next(K, Window));
    ASSERT_NEAR(Got[offsetOf(At, Shape, C.ResultLast)], Sum,
                1e-5 * (2 + product(Window)))
        << "element " << At[0] << " " << At[1] << " " << At[2];
  } while (next(At, Shape));
  for (unsigned I = 0; I < 16; ++I)
    ASSERT_EQ(Got[product(Shape) + I], 77.0f) << "written past the end";
}

class ConvTest : public testing::TestWithParam<std::string> {};

TEST_P(ConvTest, Pointwise) {
  check({{1, 24, 9, 11}, {40, 24, 1, 1}}, GetParam());
  check({{2, 24, 9, 11}, {40, 24, 1, 1}, 2}, GetParam());
  Case Plain({1, 24, 9, 11}, {40, 24, 1, 1});
  Plain.ChannelsLast = false;
  check(Plain, GetParam());
}

TEST_P(ConvTest, Windows) {
  for (int64_t Size : {5, 7, 14, 19})
    for (int64_t Stride : {1, 2})
      for (int64_t Pad : {0, 1})
        check({{1, 16, Size, Size}, {32, 16, 3, 3}, Stride, Pad}, GetParam());
  check({{2, 20, 9, 28}, {50, 20, 3, 3}, 1, 1}, GetParam());
  check({{1, 3, 33, 40}, {64, 3, 7, 7}, 2, 3}, GetParam());
  Case Tall({1, 8, 12, 10}, {17, 8, 5, 1});
  Tall.Low = {2, 0};
  Tall.High = {1, 0};
  check(Tall, GetParam());
}

TEST_P(ConvTest, FirstLayerReadsChannelsFirst) {
  Case C({1, 3, 33, 40}, {32, 3, 3, 3}, 2, 1);
  C.ChannelsLast = false;
  check(C, GetParam());
  C.Input[1] = C.Filter[1] = 20;
  check(C, GetParam());
}

TEST_P(ConvTest, WritesChannelsFirst) {
  Case C({1, 8, 9, 9}, {32, 8, 3, 3}, 1, 1);
  C.ResultLast = false;
  check(C, GetParam());
}

TEST_P(ConvTest, Dilations) {
  Case C({1, 8, 15, 15}, {32, 8, 3, 3}, 1, 2);
  C.Dilation = {2, 2};
  check(C, GetParam());
  Case Transposed({1, 8, 7, 9}, {24, 8, 2, 2});
  Transposed.InDilation = {2, 2};
  Transposed.Low = Transposed.High = {1, 1};
  check(Transposed, GetParam());
  Case Odd({1, 8, 7, 9}, {24, 8, 3, 3});
  Odd.InDilation = {2, 3};
  Odd.Low = {1, 2};
  Odd.High = {2, 1};
  check(Odd, GetParam());
  Odd.ChannelsLast = false;
  Odd.Symbolic = "23";
  check(Odd, GetParam());
}

/// Panels of the filter beyond the second-level cache: K in chunks.
TEST_P(ConvTest, ManyChannels) {
  for (const char *Symbolic : {"", "23"})
    for (bool Last : {true, false}) {
      Case C({1, 1536, 5, 6}, {40, 1536, 3, 3}, 1, 1);
      C.Symbolic = Symbolic;
      C.ChannelsLast = Last;
      check(C, GetParam());
    }
  check({{1, 1536, 5, 6}, {72, 1536, 3, 3}, 1}, GetParam());
  check({{1, 16384, 3, 5}, {20, 16384, 1, 1}}, GetParam());
  Case Transposed({1, 1536, 3, 4}, {20, 1536, 4, 4}, 1, 2);
  Transposed.InDilation = {2, 2};
  check(Transposed, GetParam());
  Case Runtime({1, 1536, 4, 5}, {40, 1536, 3, 3}, 1, 1);
  Runtime.ConstantFilter = false;
  check(Runtime, GetParam());
}

/// Transposed convolutions: zeros between the elements of the input.
TEST_P(ConvTest, Phases) {
  auto Transposed = [&](Case C, std::vector<int64_t> Spread,
                        std::vector<int64_t> Low, std::vector<int64_t> High) {
    C.InDilation = std::move(Spread);
    C.Low = std::move(Low);
    C.High = std::move(High);
    check(C, GetParam());
    C.ResultLast = false;
    check(C, GetParam());
    C.ResultLast = true;
    C.Symbolic = C.Input.size() == 4 ? "023" : "2";
    check(C, GetParam());
  };
  // As exporters write it: the padding is the window's reach less the cut.
  Transposed({{2, 24, 5, 6}, {40, 24, 2, 2}}, {2, 2}, {1, 1}, {1, 1});
  Transposed({{1, 24, 5, 6}, {40, 24, 4, 4}}, {2, 2}, {2, 2}, {2, 2});
  Transposed({{1, 24, 5, 6}, {40, 24, 3, 3}}, {2, 2}, {1, 1}, {2, 2});
  Transposed({{1, 24, 5, 6}, {40, 24, 3, 3}}, {2, 2}, {1, 1}, {1, 1});
  Transposed({{1, 8, 5, 6}, {3, 8, 5, 2}}, {3, 1}, {2, 0}, {3, 1});
  // One channel; the last line of a phase lies outside the result.
  Transposed({{1, 16, 7, 7}, {1, 16, 3, 5}}, {2, 1}, {2, 4}, {2, 4});
  // Phases without any position.
  Transposed({{1, 8, 4, 5}, {24, 8, 1, 1}}, {2, 3}, {0, 0}, {1, 2});
  Transposed({{1, 8, 4, 5}, {24, 8, 2, 2}}, {3, 3}, {0, -1}, {0, 2});
  Transposed({{1, 32, 5, 6}, {64, 16, 4, 4}}, {2, 2}, {2, 2}, {2, 2});
  Transposed({{1, 16, 9}, {8, 16, 16}}, {8}, {11}, {11});
  Transposed({{1, 8, 3, 4, 5}, {24, 8, 2, 2, 2}}, {2, 2, 2}, {1, 1, 1},
             {1, 1, 1});
  Transposed({{1, 8, 3, 4, 5}, {24, 8, 3, 3, 3}}, {2, 2, 2}, {1, 1, 1},
             {2, 2, 2});
  Case Dilated({1, 8, 5, 6}, {24, 8, 3, 3});
  Dilated.Dilation = {3, 2}; // along Y each phase; along X half meet nothing
  Transposed(Dilated, {2, 2}, {4, 3}, {4, 3});
  Case Runtime({1, 8, 5, 6}, {24, 8, 3, 3});
  Runtime.ConstantFilter = false;
  Transposed(Runtime, {2, 2}, {1, 1}, {2, 2});
  Transposed({{1, 8, 3, 200}, {24, 8, 4, 4}}, {2, 2}, {2, 2}, {2, 2});
}

/// The copy holds only the lines that windows read; here most lie outside.
TEST_P(ConvTest, WindowsLargerThanTheImage) {
  for (const char *Symbolic : {"", "2", "3", "23"})
    for (int64_t Stride : {1, 2}) {
      Case C({2, 24, 6, 8}, {40, 24, 3, 3}, Stride, 12);
      C.Dilation = {12, 12};
      C.Symbolic = Symbolic;
      check(C, GetParam());
      Case Long({1, 8, 7, 300}, {24, 8, 3, 3}, Stride, 3);
      Long.Dilation = {3, 3};
      Long.Symbolic = Symbolic;
      check(Long, GetParam());
    }
}

TEST_P(ConvTest, NegativePads) {
  Case C({1, 8, 15, 15}, {32, 8, 3, 3});
  C.Low = {-1, 0};
  C.High = {-2, -1};
  check(C, GetParam());
  C.Filter = {32, 8, 1, 1};
  check(C, GetParam());
}

TEST_P(ConvTest, Groups) {
  check({{1, 32, 9, 9}, {64, 16, 3, 3}, 1, 1}, GetParam());
  check({{1, 24, 9, 9}, {24, 3, 3, 3}, 1, 1}, GetParam());
  check({{2, 24, 9, 9}, {72, 8, 3, 3}, 2, 1}, GetParam());
  check({{1, 32, 6, 6}, {64, 16, 1, 1}}, GetParam());
  check({{1, 6, 6, 6}, {4, 3, 3, 3}, 1, 1}, GetParam());
}

/// Groups that fill a vector together.
TEST_P(ConvTest, NarrowGroups) {
  auto Narrow = [&](Case C) {
    int64_t Lanes = StringRef(GetParam()).starts_with("avx512") ? 16 : 8;
    C.Template = C.Filter[1] * 2 <= Lanes ? "depthwise" : "conv";
    check(C, GetParam());
    C.Symbolic = "023";
    check(C, GetParam());
  };
  for (int64_t Group : {2, 4, 8})
    for (int64_t Stride : {1, 2}) {
      Narrow({{2, 40, 9, 19}, {40, Group, 3, 3}, Stride, 1});
      Narrow({{1, 16, 7, 6}, {16, Group, 1, 1}, Stride});
    }
  Narrow({{1, 48, 9, 30}, {48, 4, 5, 3}, 1, 2});
  Case Line({1, 16, 50}, {16, 4, 4}, 1, 0);
  Line.Template = "depthwise";
  check(Line, GetParam());
}

TEST_P(ConvTest, OneAndThreeDimensions) {
  check({{2, 16, 50}, {24, 16, 3}, 1, 1}, GetParam());
  check({{1, 16, 700}, {24, 16, 5}, 2, 2}, GetParam());
  check({{1, 8, 5, 6, 7}, {24, 8, 3, 3, 3}, 1, 1}, GetParam());
  check({{1, 8, 6, 6, 7}, {24, 8, 2, 2, 2}, 2}, GetParam());
}

TEST_P(ConvTest, SymbolicSizes) {
  for (const char *Symbolic : {"0", "2", "3", "023"})
    for (int64_t Size : {1, 6, 17}) {
      Case C({2, 12, Size, Size + 3}, {40, 12, 3, 3}, 1, 1);
      C.Symbolic = Symbolic;
      check(C, GetParam());
      C.Stride = {2, 2};
      check(C, GetParam());
      Case One({2, 12, Size, Size + 3}, {40, 12, 1, 1});
      One.Symbolic = Symbolic;
      check(One, GetParam());
    }
}

TEST_P(ConvTest, FilterThatIsNotConstant) {
  Case C({1, 8, 9, 9}, {40, 8, 3, 3}, 1, 1);
  C.ConstantFilter = false;
  check(C, GetParam());
  Case G({1, 32, 9, 9}, {64, 16, 3, 3}, 1, 1);
  G.ConstantFilter = false;
  check(G, GetParam());
}

/// 3 x 3 in tiles of 4 x 4 outputs.
TEST_P(ConvTest, Winograd) {
  auto Filtered = [&](Case C, std::vector<std::string> Symbolic = {""}) {
    C.Template = "winograd";
    C.Winograd = WinogradUse::Always;
    for (const std::string &Dims : Symbolic) {
      C.Symbolic = Dims;
      check(C, GetParam());
    }
  };
  // Whole tiles, and ones that reach over each edge.
  for (int64_t Size : {1, 3, 4, 7, 8, 14})
    Filtered({{2, 16, Size, 15 - Size}, {32, 16, 3, 3}, 1, 1}, {"", "023"});
  // Channels that do not fill vectors, columns that do not fill panels.
  for (int64_t Channels : {1, 3, 17, 40})
    Filtered({{1, Channels, 9, 6}, {Channels + 5, Channels, 3, 3}, 1, 1});
  // Several blocks of rows and of columns.
  Filtered({{3, 64, 30, 21}, {150, 64, 3, 3}, 1, 1}, {"", "0", "2", "3"});
  Filtered({{1, 16, 9, 10}, {16, 16, 3, 3}, 1, 0});
  Case Uneven({1, 16, 9, 10}, {16, 16, 3, 3});
  Uneven.Low = {3, 0};
  Uneven.High = {0, 5};
  Filtered(Uneven, {"", "23"});
  Uneven.Low = {-1, 2};
  Uneven.High = {1, -2};
  Filtered(Uneven, {"", "23"});
}

/// It is taken where there is enough to save, and only if its inputs suit.
TEST_P(ConvTest, WinogradWhereFaster) {
  auto Chosen = [&](Case C, const char *Template) {
    C.Winograd = WinogradUse::WhereFaster;
    C.Template = Template;
    check(C, GetParam());
  };
  Chosen({{1, 64, 28, 28}, {64, 64, 3, 3}, 1, 1}, "winograd");
  Chosen({{1, 64, 28, 28}, {64, 64, 3, 3}, 2, 1}, "conv");
  Chosen({{1, 8, 28, 28}, {64, 8, 3, 3}, 1, 1}, "conv");
  Chosen({{1, 256, 2, 2}, {256, 256, 3, 3}, 1, 1}, "conv");
  Case First({1, 32, 28, 28}, {64, 32, 3, 3}, 1, 1);
  First.ChannelsLast = false;
  Chosen(First, "conv");
  Case Runtime({1, 32, 28, 28}, {64, 32, 3, 3}, 1, 1);
  Runtime.ConstantFilter = false;
  Chosen(Runtime, "conv");
}

TEST_P(ConvTest, Depthwise) {
  auto Depthwise = [&](Case C) {
    C.Template = "depthwise";
    check(C, GetParam());
    C.Symbolic = "023";
    check(C, GetParam());
  };
  for (int64_t Channels : {16, 24, 40})
    for (int64_t Stride : {1, 2}) {
      Depthwise({{2, Channels, 11, 19}, {Channels, 1, 3, 3}, Stride, 1});
      Depthwise({{1, Channels, 9, 9}, {Channels, 1, 5, 5}, Stride, 2});
    }
  // Lines of one tile, of two that both have an end, and of more.
  for (int64_t Width : {7, 15, 57})
    for (int64_t Window : {3, 7})
      for (int64_t Stride : {1, 2}) {
        Case Ends({1, 24, 5, Width}, {24, 1, Window, Window}, Stride,
                  Window / 2);
        Ends.Template = "depthwise";
        check(Ends, GetParam());
      }
  Depthwise({{1, 16, 2, 2}, {16, 1, 5, 5}, 1, 2});
  Depthwise({{1, 16, 30, 30}, {16, 1, 7, 7}, 1, 3});
  Depthwise({{1, 16, 9, 30}, {16, 1, 1, 3}});
  Case Dilated({1, 20, 13, 14}, {20, 1, 3, 3}, 1, 2);
  Dilated.Dilation = {2, 2};
  Depthwise(Dilated);
  Case Uneven({1, 16, 13, 14}, {16, 1, 3, 3}, 2);
  Uneven.Low = {0, 0};
  Uneven.High = {1, 1};
  Depthwise(Uneven);
  Case Line({1, 16, 50}, {16, 1, 4}, 1, 0);
  Line.Template = "depthwise";
  Line.Low = {3};
  check(Line, GetParam());
  Case Volume({1, 16, 5, 6, 7}, {16, 1, 3, 3, 3}, 1, 1);
  Volume.Template = "depthwise";
  check(Volume, GetParam());
  // Channels-first images take the general way.
  Case First({1, 16, 6, 7}, {16, 1, 3, 3}, 1, 1);
  First.ChannelsLast = false;
  check(First, GetParam());
  Case Multiplier({1, 8, 6, 7}, {16, 1, 3, 3}, 1, 1);
  check(Multiplier, GetParam());
}

INSTANTIATE_TEST_SUITE_P(Isa, ConvTest, testing::ValuesIn(allIsas()),
                         [](auto &Info) { return Info.param; });

} // namespace
