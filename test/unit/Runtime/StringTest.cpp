//===- StringTest.cpp - Strings in programs of numbers --------------------===//

#include "ProgramBuilder.h"
#include "StringPool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace limosa;
using namespace limosa::test;
using namespace limosa::runtime;
using namespace std::string_view_literals;

namespace {

/// Gives its input of strings back.
void copyStrings(ProgramBuilder &B) {
  B.symbol("N");
  uint32_t In = B.input("x", DType::String, {"N"});
  uint32_t Out = B.output("y", DType::String, {"N"});
  B.copy(In, Out);
}

std::vector<limosa_string> views(const std::vector<std::string_view> &Texts) {
  std::vector<limosa_string> Out;
  for (std::string_view T : Texts)
    Out.push_back({T.data(), T.size()});
  return Out;
}

std::vector<std::string_view> texts(const limosa_tensor &T) {
  std::vector<std::string_view> Out;
  for (const limosa_string &S : values<limosa_string>(T))
    Out.emplace_back(S.data, S.length);
  return Out;
}

TEST(StringPoolTest, FileFirstThenWhatIsMet) {
  ProgramBuilder B;
  B.P.strings = {"", "one", "two"};
  AlignedBytes Bytes(B.bytes());
  Status S;
  auto File = LimFile::fromMemory(Bytes.span(), S, true);
  ASSERT_TRUE(S.ok()) << S.message();
  StringTable Table;
  Table.fill(File->program());
  StringPool Pool(&Table);
  EXPECT_EQ(Pool.number(""), 0);
  EXPECT_EQ(Pool.number("two"), 2);
  EXPECT_EQ(Pool.number("three"), 3);
  EXPECT_EQ(Pool.number("three\0"sv), 4);
  EXPECT_EQ(Pool.number("three"), 3);
  std::string Long(100000, 'x');
  EXPECT_EQ(Pool.number(Long), 5);
  EXPECT_EQ(Pool.string(3), "three");
  EXPECT_EQ(Pool.string(5), Long);
  EXPECT_EQ(Pool.string(6), std::nullopt);
  EXPECT_EQ(Pool.string(-1), std::nullopt);
  Pool.clear();
  EXPECT_EQ(Pool.string(3), std::nullopt);
  EXPECT_EQ(Pool.number("four"), 3);
}

TEST(StringsTest, InAndOut) {
  ProgramBuilder B;
  copyStrings(B);
  Running R(B);
  ASSERT_TRUE(R.S.ok()) << R.S.message();
  Output Out;
  for (auto Texts :
       {std::vector<std::string_view>{"a", "", "with\0nul"sv, "\xff not UTF-8",
                                      "a", "é"},
        std::vector<std::string_view>{}, std::vector<std::string_view>{"b"}}) {
    auto Views = views(Texts);
    Views.push_back({}); // so that there is an address
    auto In = tensor(DType::String, {int64_t(Texts.size())}, Views);
    Status S = R.Inst->run(0, one(In), one(Out));
    ASSERT_TRUE(S.ok()) << S.message();
    EXPECT_EQ(Out.dtype, LIMOSA_STRING);
    EXPECT_EQ(Out.bytes, Texts.size() * sizeof(limosa_string));
    EXPECT_EQ(texts(Out), Texts);
  }
}

TEST(StringsTest, EqualStringsHaveOneNumber) {
  ProgramBuilder B;
  B.P.strings = {"", "known"};
  uint32_t In = B.input("x", DType::String, {"4"});
  uint32_t Out = B.output("y", DType::I64, {"4"});
  B.copy(In, Out);
  Running R(B);
  ASSERT_TRUE(R.S.ok()) << R.S.message();
  auto Views = views({"new", "known", "", "new"});
  auto In0 = tensor(DType::String, {4}, Views);
  Output Numbers;
  ASSERT_TRUE(R.Inst->run(0, one(In0), one(Numbers)).ok());
  EXPECT_EQ(values<int64_t>(Numbers), (std::vector<int64_t>{2, 1, 0, 2}));
}

TEST(StringsTest, MistakesOfTheCaller) {
  ProgramBuilder B;
  copyStrings(B);
  Running R(B);
  Output Out;
  auto why = [&](limosa_tensor In, limosa_tensor &Out) {
    return R.Inst->run(0, one(In), one(Out)).message();
  };
  using testing::HasSubstr;
  std::vector<int64_t> Numbers{0, 1};
  EXPECT_THAT(why(tensor(DType::I64, {2}, Numbers), Out),
              HasSubstr("the model wants string[N]: the element type differs"));
  std::vector<limosa_string> Bad{{nullptr, 4}};
  EXPECT_THAT(why(tensor(DType::String, {1}, Bad), Out),
              HasSubstr("string 0 of input 'x' has no data"));
  auto Views = views({"a", "b"});
  auto In = tensor(DType::String, {2}, Views);
  In.bytes = 16;
  EXPECT_THAT(why(In, Out), HasSubstr("has 2 strings, which take 32 bytes"));
  In.bytes = 0;
  In.data = nullptr;
  EXPECT_THAT(why(In, Out), HasSubstr("has no data"));
  In.dims[0] = -1;
  EXPECT_THAT(why(In, Out), HasSubstr("out of range"));
  limosa_tensor Own = {};
  limosa_string Room[2];
  Own.data = Room;
  Own.bytes = sizeof(Room);
  EXPECT_THAT(why(tensor(DType::String, {2}, Views), Own),
              HasSubstr("its data must be NULL"));
}

TEST(StringsTest, NumbersThatNoStringHas) {
  for (int64_t Wrong : {int64_t(7), int64_t(-1), INT64_MIN}) {
    ProgramBuilder B;
    uint32_t C = B.constant<int64_t>(DType::I64, {2}, {0, Wrong});
    uint32_t Out = B.output("y", DType::String, {"2"});
    uint32_t More = B.output("z", DType::I64, {"2"});
    B.copy(C, Out);
    B.copy(C, More);
    Running R(B);
    ASSERT_TRUE(R.S.ok()) << R.S.message();
    std::vector<limosa_tensor> Outputs(2);
    Status S = R.Inst->run(0, {}, Outputs);
    EXPECT_THAT(S.message(),
                testing::HasSubstr("has a string that does not exist"));
    for (const limosa_tensor &T : Outputs)
      EXPECT_EQ(T.owner, nullptr);
  }
}

TEST(StringsTest, FilesThatAreWrong) {
  auto why = [](auto Change) {
    ProgramBuilder B;
    copyStrings(B);
    Change(B);
    return Running(B).S.message();
  };
  using testing::HasSubstr;
  EXPECT_THAT(why([](auto &B) { B.P.strings = {"first"}; }),
              HasSubstr("the first string is not empty"));
  EXPECT_THAT(why([](auto &B) { B.P.strings = {"", "a", "a"}; }),
              HasSubstr("a string is there twice"));
  EXPECT_THAT(
      why([](auto &B) { B.entry().buffers[0]->dtype = uint8_t(DType::F32); }),
      HasSubstr("argument 'x' of strings is no i64"));
  EXPECT_THAT(why([](auto &B) {
                B.entry().buffers[0]->dtype = uint8_t(DType::String);
              }),
              HasSubstr("of strings is no i64"));
  EXPECT_THAT(why([](auto &B) { B.state("s", DType::String, {"2"}); }),
              HasSubstr("unknown element type 21"));
}

} // namespace
