//===- ImportTest.cpp - Importing ONNX models -----------------------------===//

#include "ModelBuilder.h"
#include "Registry.h"
#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Symbols.h"

#include "gtest/gtest.h"

using namespace mlir;
using namespace limosa;

namespace {

unsigned countOps(ModuleOp Module, StringRef Name) {
  unsigned Count = 0;
  Module.walk(
      [&](Operation *Op) { Count += Op->getName().getStringRef() == Name; });
  return Count;
}

TEST(ImportOnnx, NamesSymbolsAndLocations) {
  MLIRContext Context;
  ModelBuilder M;
  M.input("x", {"batch size", "2"});
  M.floats("w", {2, 3}, {1, 2, 3, 4, 5, 6});
  M.node("MatMul", {"x", "w"}, {"h"});
  M.node("Relu", {"h"}, {"y"});
  M.output("y");
  auto Module = M.import(Context);
  ASSERT_TRUE(bool(Module)) << toString(Module.takeError());
  auto Main = (*Module)->lookupSymbol<func::FuncOp>("main");
  ASSERT_TRUE(Main);
  EXPECT_TRUE(Main->hasAttr(EntryAttrName));
  EXPECT_EQ(Main.getArgAttrOfType<StringAttr>(0, NameAttrName).getValue(), "x");
  EXPECT_EQ(Main.getResultAttrOfType<StringAttr>(0, NameAttrName).getValue(),
            "y");
  auto Symbols = (**Module)->getAttrOfType<DictionaryAttr>(SymbolsAttrName);
  EXPECT_TRUE(Symbols.contains("batch_size"));
  auto Contract = *Main.getOps<ContractOp>().begin();
  auto Loc = dyn_cast<NameLoc>(Contract.getLoc());
  ASSERT_TRUE(Loc);
  EXPECT_EQ(Loc.getName().getValue(), "MatMul_h");
}

TEST(ImportOnnx, FollowsShapeArithmetic) {
  MLIRContext Context;
  ModelBuilder M;
  // The attention heads' reshape as exporters write it.
  M.input("x", {"N", "S", "64"});
  M.ints("zero", {0});
  M.ints("one", {1});
  M.ints("heads", {4});
  M.ints("rest", {-1});
  M.node("Shape", {"x"}, {"shape"});
  M.node("Gather", {"shape", "zero"}, {"n"});
  M.node("Gather", {"shape", "one"}, {"s"});
  ModelBuilder::attr(M.node("Concat", {"n", "s", "heads", "rest"}, {"to"}),
                     "axis", 0);
  M.node("Reshape", {"x", "to"}, {"y"});
  M.node("Mul", {"n", "s"}, {"ns"});
  ModelBuilder::attr(M.node("Concat", {"ns", "rest"}, {"flat"}), "axis", 0);
  M.node("Reshape", {"x", "flat"}, {"z"});
  M.output("y");
  M.output("z");
  EXPECT_EQ(M.resultType(Context, 0),
            "tensor<?x?x4x16xf32, #limosa.enc<[\"N\", \"S\"]>>");
  EXPECT_EQ(M.resultType(Context, 1),
            "tensor<?x64xf32, #limosa.enc<[\"N*S\"]>>");
  auto Module = M.import(Context);
  ASSERT_TRUE(bool(Module));
  EXPECT_EQ(countOps(**Module, "limosa.dim"), 0u);
  EXPECT_EQ(countOps(**Module, "limosa.assert_expr"), 0u);
}

TEST(ImportOnnx, BindsSizesThatDependOnData) {
  MLIRContext Context;
  ModelBuilder M;
  M.input("n", {"1"}, onnx::TensorProto::INT64);
  M.node("ConstantOfShape", {"n"}, {"y"});
  M.output("y");
  auto Module = M.import(Context);
  ASSERT_TRUE(bool(Module)) << toString(Module.takeError());
  EXPECT_EQ(countOps(**Module, "limosa.bind_symbol"), 1u);
}

TEST(ImportOnnx, KeepsSizesThatInputsCombine) {
  MLIRContext Context;
  ModelBuilder M;
  M.input("past", {"P", "8"});
  M.input("new", {"S", "8"});
  M.input("mask", {"P + S"});
  ModelBuilder::attr(M.node("Concat", {"past", "new"}, {"all"}), "axis", 0);
  M.ints("axis", {1});
  M.node("Unsqueeze", {"mask", "axis"}, {"column"});
  M.node("Mul", {"all", "column"}, {"y"});
  M.output("y");
  EXPECT_EQ(M.resultType(Context), "tensor<?x8xf32, #limosa.enc<[\"P + S\"]>>");
}

TEST(ImportOnnx, FixesDimensions) {
  MLIRContext Context;
  ModelBuilder M;
  M.input("x", {"N", "3"});
  M.node("Relu", {"x"}, {"y"});
  M.output("y");
  OnnxImportOptions Options;
  Options.FixedDims["N"] = 7;
  auto Module = M.import(Context, Options);
  ASSERT_TRUE(bool(Module));
  auto Main = (*Module)->lookupSymbol<func::FuncOp>("main");
  EXPECT_EQ(cast<RankedTensorType>(Main.getResultTypes()[0]).getDimSize(0), 7);
}

TEST(ImportOnnx, SharesCompositeBodies) {
  MLIRContext Context;
  ModelBuilder M(20);
  M.input("x", {"N", "8"});
  M.node("Gelu", {"x"}, {"a"});
  M.node("Gelu", {"a"}, {"b"});
  M.node("Softmax", {"b"}, {"y"});
  M.output("y");
  auto Module = M.import(Context);
  ASSERT_TRUE(bool(Module)) << toString(Module.takeError());
  EXPECT_EQ(countOps(**Module, "limosa.composite"), 3u);
  EXPECT_EQ(countOps(**Module, "func.func"), 3u); // main, gelu, softmax
}

TEST(ImportOnnx, TakesTheBranchThatIsKnown) {
  MLIRContext Context;
  ModelBuilder M;
  M.input("x", {"N", "1"});
  auto *C = M.graph().add_initializer();
  C->set_name("c");
  C->set_data_type(onnx::TensorProto::BOOL);
  C->add_int32_data(1);
  auto &N = M.node("If", {"c"}, {"y"});
  for (const char *Name : {"then_branch", "else_branch"}) {
    auto *A = N.add_attribute();
    A->set_name(Name);
    A->set_type(onnx::AttributeProto::GRAPH);
    auto *G = A->mutable_g();
    ModelBuilder::node(*G,
                       StringRef(Name) == "then_branch" ? "Relu" : "NoSuchOp",
                       {"x"}, {"inner"});
    G->add_output()->set_name("inner");
  }
  M.output("y");
  auto Module = M.import(Context);
  ASSERT_TRUE(bool(Module)) << toString(Module.takeError());
  EXPECT_EQ(countOps(**Module, "limosa.if"), 0u);
}

TEST(ImportOnnx, CarriesGrowingTensorsThroughLoops) {
  MLIRContext Context;
  ModelBuilder M;
  M.input("trips", {}, onnx::TensorProto::INT64);
  M.input("x", {"2", "3"});
  M.floats("row", {1, 3}, {1, 2, 3});
  auto &N = M.node("Loop", {"trips", "", "x"}, {"y"});
  auto *A = N.add_attribute();
  A->set_name("body");
  A->set_type(onnx::AttributeProto::GRAPH);
  auto *G = A->mutable_g();
  ModelBuilder::setType(*G->add_input(), "i", {}, onnx::TensorProto::INT64);
  ModelBuilder::setType(*G->add_input(), "go", {}, onnx::TensorProto::BOOL);
  G->add_input()->set_name("state");
  ModelBuilder::attr(
      ModelBuilder::node(*G, "Concat", {"state", "row"}, {"next"}), "axis", 0);
  ModelBuilder::node(*G, "Identity", {"go"}, {"on"});
  G->add_output()->set_name("on");
  G->add_output()->set_name("next");
  M.output("y");
  EXPECT_EQ(M.resultType(Context),
            "tensor<?x3xf32, #limosa.enc<[\"looped\"]>>");
}

TEST(OperatorTable, PicksTheRowOfTheOpset) {
  using onnximport::findOp;
  EXPECT_EQ(findOp("", "Softmax", 12)->Since, 1);
  EXPECT_EQ(findOp("", "Softmax", 13)->Since, 13);
  EXPECT_EQ(findOp("ai.onnx", "Softmax", 20)->Since, 13);
  EXPECT_EQ(findOp("", "Gelu", 19), nullptr);
  EXPECT_EQ(findOp("", "NoSuchOp", 20), nullptr);
}

} // namespace
