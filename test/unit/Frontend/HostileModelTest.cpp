//===- HostileModelTest.cpp - Models that are wrong -----------------------===//

#include "ModelBuilder.h"

#include "gtest/gtest.h"

using namespace mlir;
using namespace limosa;

namespace {

void expectError(ModelBuilder &M, StringRef Part) {
  MLIRContext Context;
  std::string Error = M.error(Context);
  EXPECT_NE(Error.find(Part.str()), std::string::npos)
      << "wanted '" << Part.str() << "', got '" << Error << "'";
}

TEST(HostileModel, BytesThatAreNoModel) {
  MLIRContext Context;
  for (StringRef Bytes : {StringRef(""), StringRef("hello"),
                          StringRef("\x08\x07\xff\xff\xff\xff", 6)}) {
    auto Module = importOnnxBytes(Context, Bytes, ".");
    EXPECT_FALSE(bool(Module));
    consumeError(Module.takeError());
  }
}

TEST(HostileModel, TruncatedAnywhere) {
  ModelBuilder M;
  M.input("x", {"N", "2"});
  M.floats("w", {2, 2}, {1, 2, 3, 4});
  M.node("MatMul", {"x", "w"}, {"y"});
  M.output("y");
  std::string Bytes;
  M.Proto.SerializeToString(&Bytes);
  for (size_t Size = 0; Size < Bytes.size(); ++Size) {
    MLIRContext Context;
    auto Module =
        importOnnxBytes(Context, StringRef(Bytes).take_front(Size), ".");
    if (!Module)
      consumeError(Module.takeError());
  }
}

TEST(HostileModel, ListsEveryOperatorThatIsMissing) {
  ModelBuilder M;
  M.input("x", {"N"});
  M.node("NoSuchOp", {"x"}, {"a"});
  M.node("Relu", {"a"}, {"b"});
  M.node("NorThis", {"b"}, {"y"});
  M.output("y");
  expectError(M, "2 nodes cannot be imported");
  expectError(M, "NoSuchOp 'NoSuchOp_a' (version 17): operator not supported");
  expectError(M, "NorThis 'NorThis_y'");
}

TEST(HostileModel, CyclesAndDanglingNames) {
  ModelBuilder Cycle;
  Cycle.input("x", {"N"});
  Cycle.node("Add", {"x", "b"}, {"a"});
  Cycle.node("Relu", {"a"}, {"b"});
  Cycle.output("b");
  expectError(Cycle, "cycle");
  ModelBuilder Dangling;
  Dangling.node("Relu", {"nothing"}, {"y"});
  Dangling.output("y");
  expectError(Dangling, "reads 'nothing', which nothing produces");
  ModelBuilder Output;
  Output.output("y");
  expectError(Output, "output 'y' is produced by nothing");
}

TEST(HostileModel, UnsortedNodesAreSorted) {
  MLIRContext Context;
  ModelBuilder M;
  M.input("x", {"4"});
  M.node("Relu", {"a"}, {"y"});
  M.node("Neg", {"x"}, {"a"});
  M.output("y");
  EXPECT_EQ(M.resultType(Context), "tensor<4xf32>");
}

TEST(HostileModel, TensorsThatLie) {
  ModelBuilder Short;
  Short.floats("w", {2, 2}, {1, 2, 3});
  Short.output("w");
  expectError(Short, "its shape and type need 16");
  ModelBuilder Huge;
  Huge.floats("w", {1ll << 40, 1ll << 40}, {1});
  Huge.output("w");
  expectError(Huge, "more elements than memory can hold");
  ModelBuilder Negative;
  Negative.floats("w", {-1}, {1});
  Negative.output("w");
  expectError(Negative, "negative dimension");
  ModelBuilder Type;
  Type.floats("w", {1}, {1}).set_data_type(onnx::TensorProto::STRING);
  Type.output("w");
  expectError(Type, "has 0 strings, its shape needs 1");
}

TEST(HostileModel, ExternalDataStaysInTheFolder) {
  for (auto [Location, Message] :
       {std::pair("/etc/passwd", "relative to the model"),
        std::pair("../../../../../../../../etc/passwd", "outside"),
        std::pair("no-such-file", "cannot be opened")}) {
    ModelBuilder M;
    auto &T = M.floats("w", {4}, {});
    T.set_data_location(onnx::TensorProto::EXTERNAL);
    auto *Entry = T.add_external_data();
    Entry->set_key("location");
    Entry->set_value(Location);
    M.output("w");
    expectError(M, Message);
  }
}

TEST(HostileModel, ShapesThatDoNotFit) {
  ModelBuilder Product;
  Product.input("a", {"2", "3"});
  Product.input("b", {"4", "5"});
  Product.node("MatMul", {"a", "b"}, {"y"});
  Product.output("y");
  expectError(Product, "must be equal, are 3 and 4");
  ModelBuilder Sum;
  Sum.input("a", {"2"});
  Sum.input("b", {"3"});
  Sum.node("Add", {"a", "b"}, {"y"});
  Sum.output("y");
  expectError(Sum, "does not broadcast");
  ModelBuilder Reshape;
  Reshape.input("a", {"6"});
  Reshape.ints("to", {4, 2});
  Reshape.node("Reshape", {"a", "to"}, {"y"});
  Reshape.output("y");
  expectError(Reshape, "cannot be reshaped");
}

TEST(HostileModel, DimensionsThatAreNotThere) {
  ModelBuilder Resize;
  Resize.input("x", {"1", "1", "2", "4"});
  Resize.input("scales", {});
  Resize.node("Resize", {"x", "", "scales"}, {"y"});
  Resize.output("y");
  expectError(Resize, "input 2 has only 0 dimensions");
}

TEST(HostileModel, FunctionsThatExplode) {
  ModelBuilder M;
  // Each function calls the one below it ten times: 10^12 nodes.
  for (int Level = 0; Level < 12; ++Level) {
    auto *F = M.Proto.add_functions();
    F->set_domain("laugh");
    F->set_name("f" + std::to_string(Level));
    F->add_input("x");
    F->add_output("y");
    for (const char *Domain : {"", "laugh"}) {
      auto *Import = F->add_opset_import();
      Import->set_domain(Domain);
      Import->set_version(17);
    }
    for (int I = 0; I < 10; ++I) {
      auto *N = F->add_node();
      N->set_op_type(Level ? "f" + std::to_string(Level - 1) : "Identity");
      N->set_domain(Level ? "laugh" : "");
      N->add_input(I ? "t" + std::to_string(I - 1) : "x");
      N->add_output(I == 9 ? "y" : "t" + std::to_string(I));
    }
  }
  M.input("x", {"2"});
  M.node("f11", {"x"}, {"y"}).set_domain("laugh");
  M.output("y");
  expectError(M, "expands to more than");
}

} // namespace
