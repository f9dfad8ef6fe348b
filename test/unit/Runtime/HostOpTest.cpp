//===- HostOpTest.cpp - Host operators: registry and calls ----------------===//

#include "ProgramBuilder.h"
#include "limosa/Runtime/Profile.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <functional>
#include <thread>

using namespace limosa;
using namespace limosa::test;
using namespace limosa::runtime;

namespace {

int32_t noShape(const limosa_operator_shapes *) {
  return LIMOSA_STATUS_UNSUPPORTED;
}

limosa_operator describe(int32_t (*Run)(const limosa_operator_call *),
                         void *User = nullptr) {
  limosa_operator Op = {};
  Op.size = sizeof(Op);
  Op.domain = "test";
  Op.name = "Op";
  Op.user = User;
  Op.infer = noShape;
  Op.run = Run;
  return Op;
}

int32_t copyInput(const limosa_operator_call *C) {
  std::memcpy(C->outputs[0]->data, C->inputs[0]->data, C->inputs[0]->bytes);
  return LIMOSA_STATUS_OK;
}

/// y[N] = test::Op(x[N]).
struct OneCall : ProgramBuilder {
  OneCall() {
    symbol("N", 0, 1 << 20);
    Op.name = "test::Op";
    Op.node = "the node";
    Op.inputs = {input("x", DType::F32, {"N"})};
    Op.outputs = {output("y", DType::F32, {"N"})};
  }
  /// After this nothing more is added.
  Running load(std::vector<limosa_operator> Operators = {}) {
    step(fb::HostOpT(Op));
    Status S;
    limosa_context_options Options = {};
    Options.threads = 1;
    auto Ctx = Context::create(Options, S);
    for (const limosa_operator &O : Operators)
      if (S.ok())
        S = Ctx->operators().add(O);
    EXPECT_TRUE(S.ok()) << S.message();
    return Running(*this, 1, Ctx);
  }
  fb::HostOpT Op;
};

std::string runError(Running &R, size_t N = 4) {
  if (!R.Inst)
    return R.S.message();
  std::vector<float> X(N, 1);
  limosa_tensor In = tensor(DType::F32, {int64_t(N)}, X);
  Output Out;
  return R.Inst->run(0, {&In, 1}, one(Out)).message();
}

TEST(HostOp, SaysHowToRegisterWhatIsMissing) {
  OneCall B;
  Running R = B.load();
  EXPECT_NE(R.S.message().find(
                "the model needs operator 'test::Op' version 1 (node 'the "
                "node'), which is not registered: register it with "
                "limosa_context_register_operator"),
            std::string::npos)
      << R.S.message();
  EXPECT_EQ(R.S.code(), LIMOSA_STATUS_NOT_FOUND);
}

TEST(HostOp, TakesTheVersionOfTheProgram) {
  limosa_operator Second = describe(copyInput);
  Second.since_version = 2;
  OneCall Other;
  EXPECT_NE(
      Other.load({Second}).S.message().find("which is registered as version 2"),
      std::string::npos);
  limosa_operator Fails = describe([](const limosa_operator_call *) {
    return int32_t(LIMOSA_STATUS_FAILED);
  });
  OneCall B;
  B.Op.version = 2;
  Running R = B.load({Fails, Second});
  EXPECT_EQ(runError(R), "");
}

TEST(HostOp, RefusesBadDescriptions) {
  OperatorRegistry Registry;
  auto Error = [&](auto Change) {
    limosa_operator Op = describe(copyInput);
    Change(Op);
    return Registry.add(Op).message();
  };
  EXPECT_EQ(Error([](auto &) {}), "");
  EXPECT_NE(Error([](auto &Op) { Op.size = 8; }).find("has no size"),
            std::string::npos);
  EXPECT_NE(Error([](auto &Op) { Op.domain = ""; }).find("needs a domain"),
            std::string::npos);
  EXPECT_NE(Error([](auto &Op) { Op.run = nullptr; }).find("needs a kernel"),
            std::string::npos);
  EXPECT_NE(Error([](auto &Op) { Op.infer = nullptr; }).find("shape function"),
            std::string::npos);
  EXPECT_NE(Error([](auto &Op) { Op.since_version = -1; }).find("negative"),
            std::string::npos);
  limosa_operator_arity Arity = {};
  auto Give = [&](auto &Op) { Op.arity = &Arity; };
  EXPECT_NE(Error(Give).find("arity without a size"), std::string::npos);
  Arity.size = sizeof(Arity);
  Arity.min_outputs = 1;
  EXPECT_NE(Error(Give).find("least is more than its most"), std::string::npos);
  EXPECT_NE(limosa_context_register_operator(nullptr, nullptr), 0);
  EXPECT_NE(Registry.load("/nowhere/ops.so").message().find("cannot load"),
            std::string::npos);
}

const limosa_operator_arity OneToOne = {
    sizeof(limosa_operator_arity), nullptr, 1, 1, 1, 1};

/// What loading a file that calls an operator of this arity says.
std::string loadError(const limosa_operator_arity &Arity,
                      const std::function<void(OneCall &)> &Damage = {}) {
  limosa_operator Op = describe(copyInput);
  Op.arity = &Arity;
  OneCall B;
  if (Damage)
    Damage(B);
  return B.load({Op}).S.message();
}

TEST(HostOp, FilesAreHeldToTheArity) {
  EXPECT_EQ(loadError(OneToOne), "");
  auto Expect = [](const std::string &Message, const char *Part) {
    EXPECT_NE(Message.find(std::string("node 'the node' (test::Op): ") + Part),
              std::string::npos)
        << Message;
  };
  auto NoInput = [](OneCall &B) { B.Op.inputs.clear(); };
  auto TwoInputs = [](OneCall &B) { B.Op.inputs.push_back(B.Op.inputs[0]); };
  auto NotGiven = [](OneCall &B) { B.Op.inputs[0] = 0xffffffff; };
  auto NoOutput = [](OneCall &B) { B.Op.outputs.clear(); };
  Expect(loadError(OneToOne, NoInput), "the operator takes 1 input, not 0");
  Expect(loadError(OneToOne, TwoInputs), "the operator takes 1 input, not 2");
  Expect(loadError(OneToOne, NotGiven), "the operator needs its input 0");
  Expect(loadError(OneToOne, NoOutput), "the operator gives 1 output, not 0");
  limosa_operator_arity Many = OneToOne;
  Many.max_inputs = LIMOSA_OPERATOR_MANY;
  EXPECT_EQ(loadError(Many, TwoInputs), "");
  Expect(loadError(Many, NoInput), "the operator takes at least 1 input, not");
  Many.max_inputs = 3;
  Many.min_inputs = 2;
  Expect(loadError(Many), "the operator takes 2 to 3 inputs, not 1");
}

TEST(HostOp, TakesDescriptionsOfBeforeTheArity) {
  limosa_operator Op = describe(copyInput);
  Op.size = offsetof(limosa_operator, arity);
  Op.arity = reinterpret_cast<const limosa_operator_arity *>(1);
  OneCall B;
  Running R = B.load({Op});
  EXPECT_EQ(runError(R), "");
}

TEST(HostOp, WhoeverSaysWhyHasFailed) {
  OneCall B;
  Running R = B.load({describe([](const limosa_operator_call *C) -> int32_t {
    C->set_error(C, "first\nline");
    C->set_error(C, "second");
    return copyInput(C);
  })});
  EXPECT_EQ(runError(R), "node 'the node' (test::Op): first");
  OneCall Silent;
  Running Q = Silent.load({describe([](const limosa_operator_call *C) {
    C->set_error(C, nullptr);
    return copyInput(C);
  })});
  EXPECT_NE(runError(Q), "");
}

TEST(HostOp, IsReleasedWhenNobodyUsesIt) {
  static int Released;
  Released = 0;
  limosa_operator Op = describe(copyInput);
  Op.release = [](void *) { ++Released; };
  {
    OneCall B;
    Running R = B.load({Op});
    ASSERT_TRUE(R.Inst) << R.S.message();
    // Replaced, but a module still has it.
    ASSERT_TRUE(R.Ctx->operators().add(describe(copyInput)).ok());
    EXPECT_EQ(Released, 0);
    EXPECT_EQ(runError(R), "");
  }
  EXPECT_EQ(Released, 1);
}

TEST(HostOp, SerialOnesTakeTurns) {
  struct Counter {
    std::atomic<int> Inside{0}, Most{0};
  } Count;
  limosa_operator Op = describe(
      [](const limosa_operator_call *C) -> int32_t {
        auto &Count = *static_cast<Counter *>(C->user);
        int Now = ++Count.Inside;
        Count.Most = std::max<int>(Count.Most, Now);
        std::this_thread::yield();
        --Count.Inside;
        return copyInput(C);
      },
      &Count);
  Op.flags = LIMOSA_OPERATOR_SERIAL;
  OneCall B;
  Running R = B.load({Op});
  ASSERT_TRUE(R.Mod) << R.S.message();
  std::vector<std::thread> Threads;
  for (int T = 0; T < 4; ++T)
    Threads.emplace_back([&] {
      Status S;
      auto Inst = Instance::create(R.Mod, S);
      std::vector<float> X(64, 1);
      limosa_tensor In = tensor(DType::F32, {64}, X);
      for (int Run = 0; Inst && Run < 200; ++Run) {
        Output Out;
        S = Inst->run(0, {&In, 1}, one(Out));
        EXPECT_TRUE(S.ok()) << S.message();
      }
    });
  for (std::thread &T : Threads)
    T.join();
  EXPECT_EQ(Count.Most, 1);
}

TEST(HostOp, AllocatesEachOutputOnceWithItsSymbols) {
  static std::vector<int64_t> First, Second;
  auto Run = [](const limosa_operator_call *C) -> int32_t {
    C->allocate(C, 0, uint32_t(First.size()), First.data());
    C->allocate(C, 1, uint32_t(Second.size()), Second.data());
    return LIMOSA_STATUS_OK;
  };
  auto Error = [&](std::vector<int64_t> A, std::vector<int64_t> C) {
    First = A;
    Second = C;
    OneCall B;
    uint32_t U = B.symbol("U", 0, 100);
    B.Op.symbols = {U};
    for (const char *Size : {"U", "2"})
      B.Op.outputs.push_back(
          B.buffer(fb::BufferKind::Dynamic, DType::I64, {"U", Size}, 0));
    B.Op.outputs.erase(B.Op.outputs.begin());
    Running R = B.load({describe(Run)});
    return runError(R);
  };
  auto Has = [](const std::string &Text, const char *Part) {
    EXPECT_NE(Text.find(Part), std::string::npos) << Text;
  };
  EXPECT_EQ(Error({3, 3}, {3, 2}), "");
  EXPECT_EQ(Error({0, 0}, {0, 2}), "");
  Has(Error({3, 4}, {3, 2}), "has 4 elements in dimension 1, not 3");
  Has(Error({3, 3}, {4, 2}), "output 1 has 4 elements in dimension 0, not 3");
  Has(Error({3, 3}, {3, 3}), "output 1 has 3 elements in dimension 1, not 2");
  Has(Error({3}, {3, 2}), "has rank 2, the kernel gives 1");
  Has(Error({-1, -1}, {3, 2}), "output 0 has -1 elements");
  Has(Error({101, 101}, {101, 2}), "U came out as 101");
}

TEST(HostOp, RefusesMemoryThatMovesUnderTheCall) {
  OneCall B;
  uint32_t U = B.symbol("U");
  uint32_t Found = B.buffer(fb::BufferKind::Dynamic, DType::F32, {"U"}, 0);
  B.Op.symbols = {U};
  B.Op.outputs = {Found, Found};
  Running R = B.load({describe(copyInput)});
  EXPECT_EQ(runError(R), "a host operator allocates memory that it uses");
}

TEST(HostOp, StandsInTraces) {
  OneCall B;
  Running R = B.load({describe(copyInput)});
  ASSERT_TRUE(R.Inst) << R.S.message();
  ASSERT_TRUE(R.Inst->startProfile().ok());
  EXPECT_EQ(runError(R), "");
  auto Recorded = R.Inst->stopProfile();
  ASSERT_EQ(Recorded->HostCalls.size(), 1u);
  std::string Trace = Recorded->toChromeTrace(*R.Mod);
  EXPECT_NE(Trace.find("\"name\":\"test::Op\""), std::string::npos) << Trace;
  EXPECT_NE(Trace.find("\"nodes\":\"the node\""), std::string::npos) << Trace;
}

} // namespace
