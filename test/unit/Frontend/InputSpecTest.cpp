//===- InputSpecTest.cpp - What a caller tells of a model's inputs --------===//

#include "InputSpec.h"
#include "ModelBuilder.h"
#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Symbols.h"

#include "gtest/gtest.h"

using namespace mlir;
using namespace limosa;
using onnximport::InputSpec;

namespace {

TEST(InputSpec, ParsesValuesShapesListsAndAbsence) {
  auto Value = InputSpec::parse("{1,-2}");
  ASSERT_TRUE(bool(Value));
  EXPECT_EQ(Value->K, InputSpec::Kind::Value);
  EXPECT_EQ(Value->Elements.size(), 2u);
  auto Shape = InputSpec::parse("2x?x3");
  ASSERT_TRUE(bool(Shape));
  ASSERT_EQ(Shape->Shapes.size(), 1u);
  EXPECT_EQ(Shape->Shapes[0].size(), 3u);
  EXPECT_FALSE(Shape->Shapes[0][1]);
  auto List = InputSpec::parse("[2x3;scalar]");
  ASSERT_TRUE(bool(List));
  EXPECT_EQ(List->K, InputSpec::Kind::List);
  ASSERT_EQ(List->Shapes.size(), 2u);
  EXPECT_TRUE(List->Shapes[1].empty());
  auto Empty = InputSpec::parse("[]");
  ASSERT_TRUE(bool(Empty));
  EXPECT_TRUE(Empty->Shapes.empty());
  EXPECT_EQ(cantFail(InputSpec::parse("none")).K, InputSpec::Kind::Absent);
}

TEST(InputSpec, RefusesWhatItCannotRead) {
  for (const char *Text : {"{1", "[2", "2x-1", "2xx3", "abc"})
    EXPECT_TRUE(bool(InputSpec::parse(Text).takeError())) << Text;
}

/// y = ReduceSum(x, axes), with axes an input.
ModelBuilder sumOverAxes() {
  ModelBuilder M(18);
  M.input("x", {"N", "4"});
  M.input("axes", {"1"}, onnx::TensorProto::INT64);
  M.node("ReduceSum", {"x", "axes"}, {"y"});
  M.output("y");
  return M;
}

TEST(ImportOnnx, SaysWhichValueIsMissing) {
  MLIRContext Context;
  std::string Error = sumOverAxes().error(Context);
  EXPECT_NE(Error.find("compiling needs the value of input 'axes'"),
            std::string::npos)
      << Error;
}

TEST(ImportOnnx, MakesAnInputOfKnownValueAConstant) {
  MLIRContext Context;
  OnnxImportOptions Options;
  Options.Inputs["axes"] = "{1}";
  auto Module = sumOverAxes().import(Context, Options);
  ASSERT_TRUE(bool(Module)) << toString(Module.takeError());
  auto Main = (*Module)->lookupSymbol<func::FuncOp>("main");
  ASSERT_EQ(Main.getNumArguments(), 1u);
  EXPECT_EQ(cast<RankedTensorType>(Main.getResultTypes()[0]).getDimSize(1), 1);
}

TEST(ImportOnnx, RefusesSpecsThatFitNoInput) {
  MLIRContext Context;
  for (auto [Name, Text] :
       {std::pair("nothing", "{1}"), std::pair("axes", "none"),
        std::pair("axes", "{x}"), std::pair("x", "{1}"),
        std::pair("x", "2x3x4"), std::pair("x", "[2]")}) {
    OnnxImportOptions Options;
    Options.Inputs[Name] = Text;
    auto Module = sumOverAxes().import(Context, Options);
    EXPECT_FALSE(bool(Module)) << Name << "=" << Text;
    consumeError(Module.takeError());
  }
}

TEST(ImportOnnx, SequencesComeAndGoAsTheirElements) {
  MLIRContext Context;
  ModelBuilder M(18);
  auto *In = M.graph().add_input();
  In->set_name("s");
  In->mutable_type()
      ->mutable_sequence_type()
      ->mutable_elem_type()
      ->mutable_tensor_type()
      ->set_elem_type(onnx::TensorProto::FLOAT);
  M.input("x", {"3"});
  M.node("SequenceInsert", {"s", "x"}, {"t"});
  M.output("t");
  OnnxImportOptions Options;
  Options.Inputs["s"] = "[2x2;?]";
  auto Module = M.import(Context, Options);
  ASSERT_TRUE(bool(Module)) << toString(Module.takeError());
  auto Main = (*Module)->lookupSymbol<func::FuncOp>("main");
  ASSERT_EQ(Main.getNumArguments(), 3u);
  EXPECT_EQ(Main.getArgAttrOfType<StringAttr>(1, NameAttrName).getValue(),
            "s[1]");
  ASSERT_EQ(Main.getNumResults(), 3u);
  EXPECT_EQ(Main.getResultAttrOfType<StringAttr>(2, NameAttrName).getValue(),
            "t[2]");
}

} // namespace
