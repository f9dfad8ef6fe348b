//===- PluginTest.cpp - Devices from outside ------------------------------===//

#include "FarDevice.h"
#include "ProgramBuilder.h"
#include "limosa/Runtime/DeviceCompiler.h"
#include "limosa/Runtime/GraphAccess.h"

#include <gtest/gtest.h>

using namespace limosa;
using namespace limosa::test;
using namespace limosa::runtime;
using fb::KernelArg;

namespace {

/// A graph of one op named `Op`: contract of lhs and rhs over their attributes.
struct GraphBuilder {
  fb::GraphT G;
  std::vector<uint8_t> Bytes;
  std::unique_ptr<GraphAccess> Access;
  std::string Error;

  uint32_t value(DType Type, std::vector<std::string> Dims) {
    auto V = std::make_unique<fb::ValueT>();
    V->dtype = uint8_t(Type);
    for (const std::string &D : Dims) {
      G.exprs.push_back(std::make_unique<fb::ExprT>());
      G.exprs.back()->text = D;
      V->dims.push_back(uint32_t(G.exprs.size() - 1));
    }
    G.values.push_back(std::move(V));
    return uint32_t(G.values.size() - 1);
  }
  void symbol(const std::string &Name) {
    G.symbols.push_back(std::make_unique<fb::SymbolT>());
    G.symbols.back()->name = Name;
  }
  void body(const std::string &Name, std::vector<uint32_t> Operands,
            uint32_t Result,
            std::vector<std::pair<std::string, std::vector<int64_t>>> Attrs) {
    auto Op = std::make_unique<fb::OpT>();
    Op->name = Name;
    Op->operands = Operands;
    Op->results = {Result};
    for (auto &[Key, Value] : Attrs) {
      Op->attrs.push_back(std::make_unique<fb::AttrT>());
      Op->attrs.back()->name = Key;
      Op->attrs.back()->kind = fb::AttrKind::Ints;
      Op->attrs.back()->ints = Value;
    }
    G.body = std::make_unique<fb::RegionT>();
    G.body->args = Operands;
    G.body->ops.push_back(std::move(Op));
    G.body->results = {Result};
  }
  const limosa_graph *finish() {
    flatbuffers::FlatBufferBuilder B;
    B.Finish(fb::Graph::Pack(B, &G));
    Bytes.assign(B.GetBufferPointer(), B.GetBufferPointer() + B.GetSize());
    Access = GraphAccess::create(Bytes, Error);
    return Access ? Access->handle() : nullptr;
  }
};

/// [B, M, K] x [B, K, N] or, transposed, [B, N, K].
void product(GraphBuilder &G, bool Transposed) {
  G.symbol("M");
  uint32_t A = G.value(DType::F32, {"2", "M", "3"});
  uint32_t B = Transposed ? G.value(DType::F32, {"2", "4", "3"})
                          : G.value(DType::F32, {"2", "3", "4"});
  uint32_t C = G.value(DType::F32, {"2", "M", "4"});
  G.body("contract", {A, B}, C,
         {{"lhs_batch", {0}},
          {"rhs_batch", {0}},
          {"lhs_contract", {2}},
          {"rhs_contract", {Transposed ? 2 : 1}}});
}

DeviceClaim claim(const limosa_driver *Driver, const limosa_graph *Graph) {
  std::string Error;
  std::vector<DeviceClaim> Answers;
  auto Device = DeviceCompiler::create(Driver, Error);
  EXPECT_TRUE(Device && Device->claim(Graph, Answers, Error)) << Error;
  EXPECT_EQ(Answers.size(), 1u);
  return Answers.at(0);
}

std::vector<uint8_t> compile(const limosa_driver *Driver,
                             const limosa_graph *Graph,
                             const std::string &Name) {
  std::string Error;
  std::vector<uint8_t> Executable;
  auto Device = DeviceCompiler::create(Driver, Error);
  EXPECT_TRUE(Device &&
              Device->compile({&Graph, 1}, {&Name, 1}, {}, Executable, Error))
      << Error;
  return Executable;
}

class Plugin : public ::testing::Test {
protected:
  void SetUp() override {
    limosa_context_options Options = {};
    Options.threads = 2;
    Status S;
    Ctx = Context::create(Options, S);
    S = Ctx->loadPlugin(LIMOSA_TEST_PLUGIN);
    ASSERT_TRUE(S.ok()) << S.message();
    Device = Ctx->findDevice("sample_matmul");
    ASSERT_TRUE(Device);
  }
  std::shared_ptr<Context> Ctx;
  const DeviceEntry *Device = nullptr;
};

TEST_F(Plugin, ClaimsProductsAndSaysWhyNotTheRest) {
  for (bool Transposed : {false, true}) {
    GraphBuilder G;
    product(G, Transposed);
    ASSERT_TRUE(G.finish()) << G.Error;
    EXPECT_TRUE(claim(Device->Driver, G.Access->handle()).Accepted);
  }
  GraphBuilder Add;
  uint32_t A = Add.value(DType::F32, {"4"}), B = Add.value(DType::F32, {"4"});
  Add.body("add", {A, B}, Add.value(DType::F32, {"4"}), {});
  ASSERT_TRUE(Add.finish()) << Add.Error;
  DeviceClaim No = claim(Device->Driver, Add.Access->handle());
  EXPECT_FALSE(No.Accepted);
  EXPECT_EQ(No.Reason, "only matrix products (contract) are taken");
  GraphBuilder Half;
  product(Half, false);
  Half.G.values[0]->dtype = uint8_t(DType::F16);
  ASSERT_TRUE(Half.finish()) << Half.Error;
  No = claim(Device->Driver, Half.Access->handle());
  EXPECT_FALSE(No.Accepted);
  EXPECT_EQ(No.Reason, "only f32 is supported");
}

TEST_F(Plugin, RunsBesideTheCpu) {
  // y = contract(x + x, w): the sum on the CPU, the product on the plug-in.
  for (bool Transposed : {false, true}) {
    GraphBuilder G;
    product(G, Transposed);
    ASSERT_TRUE(G.finish()) << G.Error;
    auto Blob = compile(Device->Driver, G.Access->handle(), "product");
    ProgramBuilder B;
    uint32_t There = B.addDevice("sample_matmul");
    uint32_t M = B.symbol("M");
    uint32_t Total = B.symbol("total");
    uint32_t X = B.input("x", DType::F32, {"2", "M", "3"});
    uint32_t W = Transposed ? B.input("w", DType::F32, {"2", "4", "3"})
                            : B.input("w", DType::F32, {"2", "3", "4"});
    uint32_t Y = B.output("y", DType::F32, {"2", "M", "4"});
    uint32_t T = B.temp(DType::F32, {"2", "M", "3"}, "0");
    B.entry().arenas = {B.expr("24*M"), B.expr("0")};
    fb::SetSymbolT Set;
    Set.symbol = Total;
    Set.expr = B.expr("6*M");
    B.step(std::move(Set));
    B.launch(B.kernel("add", "ceildiv(6*M, 16)",
                      {KernelArg::In, KernelArg::In, KernelArg::Out}),
             {X, X, T}, {Total});
    uint32_t E = B.executable(There, "sample_matmul", Blob);
    B.launch(B.kernel("product", "1",
                      {KernelArg::In, KernelArg::In, KernelArg::Out}, "0", E),
             {T, W, Y}, {M});
    Running R(B, 2, Ctx);
    ASSERT_TRUE(R.Inst) << R.S.message();
    for (int64_t Rows : {1, 5, 40}) {
      std::vector<float> XV(2 * Rows * 3), WV(2 * 3 * 4);
      for (size_t I = 0; I < XV.size(); ++I)
        XV[I] = float(I % 7) - 3;
      for (size_t I = 0; I < WV.size(); ++I)
        WV[I] = float(I % 5) - 2;
      limosa_tensor In[] = {tensor(DType::F32, {2, Rows, 3}, XV),
                            Transposed ? tensor(DType::F32, {2, 4, 3}, WV)
                                       : tensor(DType::F32, {2, 3, 4}, WV)};
      Output Out;
      Status S = R.Inst->run(0, In, one(Out));
      ASSERT_TRUE(S.ok()) << S.message();
      auto V = values<float>(Out);
      for (int64_t Batch = 0; Batch < 2; ++Batch)
        for (int64_t I = 0; I < Rows; ++I)
          for (int64_t J = 0; J < 4; ++J) {
            float Sum = 0;
            for (int64_t K = 0; K < 3; ++K)
              Sum += 2 * XV[(Batch * Rows + I) * 3 + K] *
                     WV[Transposed ? (Batch * 4 + J) * 3 + K
                                   : (Batch * 3 + K) * 4 + J];
            ASSERT_EQ(V[(Batch * Rows + I) * 4 + J], Sum);
          }
    }
  }
}

TEST_F(Plugin, RefusesDamagedCode) {
  GraphBuilder G;
  product(G, false);
  ASSERT_TRUE(G.finish()) << G.Error;
  auto Blob = compile(Device->Driver, G.Access->handle(), "product");
  limosa_executable *E = nullptr;
  for (size_t Size = 0; Size < Blob.size(); ++Size)
    EXPECT_EQ(Device->Driver->load_executable(Device->Handle, "sample_matmul",
                                              "", Blob.data(), Size, &E),
              LIMOSA_STATUS_CORRUPT);
}

TEST_F(Plugin, MissingDevicesAreNamed) {
  ProgramBuilder B("npu");
  Running R(B);
  EXPECT_EQ(R.S.message(), "<memory>: the model needs the device 'npu', which "
                           "is not here: load its plug-in first");
  EXPECT_FALSE(Ctx->loadPlugin("/nowhere.so").ok());
  EXPECT_NE(Ctx->loadPlugin("libm.so.6").message().find("not a device plug-in"),
            std::string::npos);
}

TEST(FarDevice, IsReachedByCopies) {
  limosa_context_options Options = {};
  Options.threads = 1;
  Status S;
  auto Ctx = Context::create(Options, S);
  ASSERT_TRUE(Ctx->addDriver(farDeviceQuery).ok());
  ProgramBuilder B;
  uint32_t Far = B.addDevice("far");
  uint32_t N = B.symbol("N");
  uint32_t X = B.input("x", DType::F32, {"N"});
  uint32_t Y = B.output("y", DType::F32, {"N"});
  uint32_t There = B.temp(DType::F32, {"N"}, "64");
  B.entry().buffers[There]->device = Far;
  uint32_t Back = B.temp(DType::F32, {"N"}, "0");
  uint32_t Weights = B.constant<float>(DType::F32, {2}, {3, 4});
  B.entry().buffers[Weights]->device = Far;
  B.entry().arenas = {B.expr("4*N"), B.expr("4*N + 64")};
  uint32_t E = B.executable(Far, "far", {1});
  B.copy(X, There);
  B.launch(B.kernel("scale", "1", {KernelArg::InOut, KernelArg::In}, "0", E),
           {There, Weights}, {N});
  B.copy(There, Back);
  B.launch(B.kernel("add", "ceildiv(N, 16)",
                    {KernelArg::In, KernelArg::In, KernelArg::Out}),
           {Back, X, Y}, {N});
  {
    Running R(B, 1, Ctx);
    ASSERT_TRUE(R.Inst) << R.S.message();
    for (int64_t Size : {4, 100}) {
      std::vector<float> V(Size, 2), Expected(Size, 2 * 3 + 2);
      limosa_tensor In = tensor(DType::F32, {Size}, V);
      Output Out;
      Status S = R.Inst->run(0, {&In, 1}, one(Out));
      ASSERT_TRUE(S.ok()) << S.message();
      EXPECT_EQ(values<float>(Out), Expected);
    }
  }
  EXPECT_EQ(farBuffersAlive(), 0);
}

} // namespace
