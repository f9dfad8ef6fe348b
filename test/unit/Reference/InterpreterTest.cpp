//===- InterpreterTest.cpp - Symbols, errors, randomness ------------------===//

#include "GraphMaker.h"
#include "Philox.h"


using namespace limosa;
using namespace limosa::reference;

TEST(Philox, KnownAnswers) {
  // From Random123's kat_vectors.
  using Words = std::array<uint32_t, 4>;
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
            (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                       {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Interpreter, BindsSymbolsByShapes) {
  GraphMaker M;
  M.symbol("N");
  uint32_t A = M.input(DType::F32, {"N"}), B = M.input(DType::F32, {"2*N"});
  uint32_t R = M.value(DType::F32, {"3*N"});
  GraphMaker::integer(M.op("concat", {A, B}, {R}), "dim", 0);
  M.output(R);
  std::vector<Tensor> Out;
  auto Two = Tensor::of<float>(DType::F32, {2}, {1, 2});
  auto Four = Tensor::of<float>(DType::F32, {4}, {3, 4, 5, 6});
  ASSERT_TRUE(M.run({Two, Four}, Out).ok());
  EXPECT_EQ(elements<float>(Out[0]), (std::vector<float>{1, 2, 3, 4, 5, 6}));
  Status S = M.run({Two, Two}, Out);
  EXPECT_EQ(S.Code, LIMOSA_STATUS_FAILED);
  EXPECT_EQ(S.Message, "input 1 has shape [2], but dimension 0 should be 2*N");
}

TEST(Interpreter, NamesTheOpThatFails) {
  GraphMaker M;
  uint32_t A = M.input(DType::F32, {"2"}), B = M.input(DType::F32, {"3"});
  uint32_t R = M.value(DType::F32, {"2"});
  M.op("add", {A, B}, {R});
  M.output(R);
  std::vector<Tensor> Out;
  Status S = M.run({Tensor::of<float>(DType::F32, {2}, {1, 2}),
                    Tensor::of<float>(DType::F32, {3}, {1, 2, 3})},
                   Out);
  EXPECT_EQ(S.Message,
            "op 'add' at test.mlir:1: operands have shapes [2] and [3]");
}

TEST(Interpreter, RefusesTensorsBeyondTheMemoryLimit) {
  GraphMaker M;
  uint32_t R = M.value(DType::F32, {"1000000", "1000000"});
  GraphMaker::integer(M.op("iota", {}, {R}), "dim", 0);
  M.output(R);
  std::vector<Tensor> Out;
  EvaluateOptions Options;
  Options.MemoryLimit = 1 << 20;
  EXPECT_EQ(M.run({}, Out, Options).Code, LIMOSA_STATUS_OUT_OF_MEMORY);
  M.G.exprs[0]->text = "9000000000000000000";
  EXPECT_EQ(M.run({}, Out, Options).Code, LIMOSA_STATUS_FAILED);
}

TEST(Interpreter, RefusesUnknownOpsAndVersions) {
  GraphMaker M;
  uint32_t A = M.input(DType::F32, {"2"});
  uint32_t R = M.value(DType::F32, {"2"});
  M.op("neg", {A}, {R}).version = 7;
  M.output(R);
  std::vector<Tensor> Out;
  auto In = Tensor::of<float>(DType::F32, {2}, {1, 2});
  EXPECT_EQ(M.run({In}, Out).Code, LIMOSA_STATUS_UNSUPPORTED);
  M.G.body->ops[0]->version = 1;
  EXPECT_TRUE(M.run({In}, Out).ok());
  M.G.body->ops[0]->name = "frobnicate";
  EXPECT_EQ(M.run({In}, Out).Code, LIMOSA_STATUS_UNSUPPORTED);
}

// Every op with wrong operands, results, attributes: an error, not a crash.
TEST(Interpreter, SurvivesMalformedOps) {
  const DType Types[] = {DType::F32, DType::Bool,     DType::I64,
                         DType::U8,  DType::F8E4M3FN, DType::I4};
  const std::vector<std::string> Shapes[] = {
      {}, {"2"}, {"0", "3"}, {"2", "2", "1"}};
  for (std::string_view Name : implementedOps()) {
    for (unsigned Seed = 0; Seed < 200; ++Seed) {
      GraphMaker M;
      std::vector<uint32_t> Operands, Results;
      std::vector<Tensor> Inputs;
      for (unsigned I = 0; I < Seed % 4; ++I) {
        DType T = Types[(Seed / 3 + I * (Seed % 7)) % 6];
        const auto &Dims = Shapes[(Seed / 5 + I * (Seed % 3)) % 4];
        Operands.push_back(M.input(T, Dims));
        Shape S;
        for (const std::string &D : Dims)
          S.push_back(std::stoll(D));
        Inputs.push_back(Tensor::fromPacked(
            T, S, std::vector<uint8_t>(256, uint8_t(Seed)).data()));
      }
      for (unsigned I = 0; I < (Seed / 4) % 3; ++I)
        Results.push_back(
            M.value(Types[(Seed / 11 + I) % 6], Shapes[(Seed / 13) % 4]));
      fb::OpT &Op = M.op(std::string(Name).c_str(), Operands, Results);
      const char *Indexes[] = {"dim",         "batch", "exclusive",
                               "reverse",     "ranks", "feature_groups",
                               "batch_groups"};
      for (const char *A : Indexes)
        GraphMaker::integer(Op, A, int64_t(Seed % 5) - 1);
      const char *Lists[] = {"perm",         "dims",         "steps",
                             "interior",     "axes",         "sizes",
                             "strides",      "dilations",    "lhs_batch",
                             "rhs_batch",    "lhs_contract", "rhs_contract",
                             "lhs_dilation", "rhs_dilation", "targets"};
      for (const char *A : Lists)
        GraphMaker::ints(Op, A,
                         std::vector<int64_t>(Seed % 4, int64_t(Seed % 9) - 3));
      for (const char *A : {"starts", "low", "high", "pad_low", "pad_high",
                            "expr", "lhs", "rhs"})
        M.exprs(Op, A,
                std::vector<std::string>(Seed % 4, Seed % 2 ? "1" : "-7"));
      for (const char *A : {"symbol", "direction", "message", "body", "kernel"})
        GraphMaker::string(Op, A, "lt");
      for (uint32_t R : Results)
        M.output(R);
      std::vector<Tensor> Out;
      Status S = M.run(Inputs, Out);
      EXPECT_TRUE(S.ok() || !S.Message.empty());
      EXPECT_NE(S.Code, LIMOSA_STATUS_INTERNAL) << S.Message;
    }
  }
}

TEST(Interpreter, ContractOfManyBlocks) {
  GraphMaker M;
  uint32_t A = M.input(DType::F32, {"512", "512"}),
           B = M.input(DType::F32, {"512", "512"});
  uint32_t R = M.value(DType::F32, {"512", "512"});
  fb::OpT &Op = M.op("contract", {A, B}, {R});
  GraphMaker::ints(Op, "lhs_batch", {});
  GraphMaker::ints(Op, "rhs_batch", {});
  GraphMaker::ints(Op, "lhs_contract", {1});
  GraphMaker::ints(Op, "rhs_contract", {0});
  M.output(R);
  auto In = Tensor::of<float>(DType::F32, {512, 512},
                              std::vector<float>(512 * 512, 1.f));
  std::vector<Tensor> Out;
  ASSERT_TRUE(M.run({In, In}, Out).ok());
  EXPECT_EQ(Out[0].as<float>()[1234], 512.f);
}

TEST(Interpreter, ConvOfManyBlocks) {
  GraphMaker M;
  uint32_t A = M.input(DType::F32, {"1", "64", "56", "56"}),
           B = M.input(DType::F32, {"64", "64", "3", "3"});
  uint32_t R = M.value(DType::F32, {"1", "64", "56", "56"});
  fb::OpT &Op = M.op("conv", {A, B}, {R});
  for (const char *Name : {"strides", "lhs_dilation", "rhs_dilation"})
    GraphMaker::ints(Op, Name, {1, 1});
  for (const char *Name : {"pad_low", "pad_high"})
    M.exprs(Op, Name, {"1", "1"});
  for (const char *Name : {"feature_groups", "batch_groups"})
    GraphMaker::integer(Op, Name, 1);
  M.output(R);
  auto In = Tensor::of<float>(DType::F32, {1, 64, 56, 56},
                              std::vector<float>(64 * 56 * 56, 1.f));
  auto Filter = Tensor::of<float>(DType::F32, {64, 64, 3, 3},
                                  std::vector<float>(64 * 64 * 9, 1.f));
  std::vector<Tensor> Out;
  ASSERT_TRUE(M.run({In, Filter}, Out).ok());
  EXPECT_EQ(Out[0].as<float>()[0], 4 * 64.f);
  EXPECT_EQ(Out[0].as<float>()[57], 9 * 64.f);
}
