//===- ExecutorTest.cpp - Programs through the executor -------------------===//

#include "ProgramBuilder.h"
#include "limosa/Runtime/Profile.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <thread>

using namespace limosa;
using namespace limosa::test;
using fb::KernelArg;
using runtime::Status;

namespace {

std::vector<float> ramp(size_t N, float Start = 0) {
  std::vector<float> V(N);
  std::iota(V.begin(), V.end(), Start);
  return V;
}

/// out = (a + b) + b with a temporary, for any N that 4 divides.
void buildAdd(ProgramBuilder &B) {
  uint32_t N = B.symbol("N", 1, 1 << 20, 4);
  uint32_t A = B.input("a", DType::F32, {"N"});
  uint32_t C = B.input("b", DType::F32, {"N"});
  uint32_t Out = B.output("sum", DType::F32, {"N"});
  uint32_t T = B.temp(DType::F32, {"N"}, "64");
  B.entry().arenas = {B.expr("4*N + 64")};
  uint32_t K = B.kernel("add", "ceildiv(N, 16)",
                        {KernelArg::In, KernelArg::In, KernelArg::Out});
  B.launch(K, {A, C, T}, {N});
  B.launch(K, {T, C, Out}, {N});
}

TEST(Executor, RunsLaunchesAtSeveralSizes) {
  ProgramBuilder B;
  buildAdd(B);
  for (uint32_t Threads : {1u, 2u, 5u}) {
    Running R(B, Threads);
    ASSERT_TRUE(R.Inst) << R.S.message();
    for (int64_t N : {4, 1000, 16, 4096, 1000}) {
      auto A = ramp(N), C = ramp(N, 100);
      limosa_tensor In[] = {tensor(DType::F32, {N}, A),
                            tensor(DType::F32, {N}, C)};
      Output Out;
      Status S = R.Inst->run(0, In, one(Out));
      ASSERT_TRUE(S.ok()) << S.message();
      ASSERT_EQ(Out.rank, 1u);
      ASSERT_EQ(Out.dims[0], N);
      auto V = values<float>(Out);
      for (int64_t I = 0; I < N; ++I)
        ASSERT_EQ(V[I], A[I] + C[I] + C[I]);
    }
  }
}

TEST(Executor, NamesTheInputThatDoesNotFit) {
  ProgramBuilder B;
  buildAdd(B);
  Running R(B);
  ASSERT_TRUE(R.Inst) << R.S.message();
  auto V = ramp(16);
  auto Run = [&](limosa_tensor A, limosa_tensor C) {
    limosa_tensor In[] = {A, C};
    Output Out;
    return R.Inst->run(0, In, one(Out)).message();
  };
  limosa_tensor Good = tensor(DType::F32, {8}, V);
  EXPECT_EQ(Run(Good, tensor(DType::F32, {4}, V)),
            "input 'b' is f32[4] but the model wants f32[N]: dimension 0 must "
            "be 8, as N is elsewhere");
  EXPECT_EQ(Run(Good, tensor(DType::F32, {2, 4}, V)),
            "input 'b' is f32[2, 4] but the model wants f32[N]: the number of "
            "dimensions differs");
  EXPECT_EQ(Run(tensor(DType::I32, {8}, V), Good),
            "input 'a' is i32[8] but the model wants f32[N]: the element type "
            "differs");
  EXPECT_EQ(Run(tensor(DType::F32, {6}, V), tensor(DType::F32, {6}, V)),
            "the inputs make N 6, but it has to be a multiple of 4");
  EXPECT_EQ(Run(tensor(DType::F32, {0}, V), tensor(DType::F32, {0}, V)),
            "the inputs make N 0, but it has to be at least 1");
  limosa_tensor NoData = Good;
  NoData.data = nullptr;
  EXPECT_EQ(Run(NoData, Good), "input 'a' has no data");
  EXPECT_EQ(R.Inst->run(0, {&Good, 1}, {}).message(),
            "'main' takes 2 inputs, not 1");
  EXPECT_EQ(R.Inst->run(7, {}, {}).message(), "there is no entry 7");
  // And it still works.
  EXPECT_EQ(Run(Good, Good), "");
}

TEST(Executor, WritesToTheUsersMemory) {
  ProgramBuilder B;
  buildAdd(B);
  Running R(B);
  ASSERT_TRUE(R.Inst) << R.S.message();
  auto A = ramp(8), C = ramp(8);
  limosa_tensor In[] = {tensor(DType::F32, {8}, A), tensor(DType::F32, {8}, C)};
  std::vector<float> Mine(9, -1);
  limosa_tensor Out = {};
  Out.data = Mine.data();
  Out.bytes = 8 * sizeof(float);
  ASSERT_TRUE(R.Inst->run(0, In, one(Out)).ok());
  EXPECT_EQ(Out.data, Mine.data());
  EXPECT_EQ(Out.owner, nullptr);
  EXPECT_EQ(Mine[7], 21);
  EXPECT_EQ(Mine[8], -1);
  Out.bytes = 7 * sizeof(float);
  EXPECT_EQ(R.Inst->run(0, In, one(Out)).message(),
            "output 'sum' takes 32 bytes, but its memory is 28");
  // In the memory of an input that is read again: by way of a copy.
  Out.data = C.data();
  Out.bytes = 8 * sizeof(float);
  ASSERT_TRUE(R.Inst->run(0, In, one(Out)).ok());
  EXPECT_EQ(C, (std::vector<float>{0, 3, 6, 9, 12, 15, 18, 21}));
}

TEST(Executor, UsesOutputsOfEarlierRunsAgain) {
  ProgramBuilder B;
  buildAdd(B);
  Running R(B);
  ASSERT_TRUE(R.Inst) << R.S.message();
  Output Out;
  void *First = nullptr;
  for (int64_t N : {64, 16, 64, 4096}) {
    auto A = ramp(N);
    limosa_tensor In[] = {tensor(DType::F32, {N}, A),
                          tensor(DType::F32, {N}, A)};
    ASSERT_TRUE(R.Inst->run(0, In, one(Out)).ok());
    EXPECT_EQ(values<float>(Out)[N - 1], 3 * float(N - 1));
    if (!First)
      First = Out.data;
    EXPECT_EQ(Out.data == First, N <= 64);
  }
}

TEST(Executor, UpdatesDonatedInputsInPlace) {
  ProgramBuilder B;
  uint32_t N = B.symbol("N");
  B.input("x", DType::F32, {"N"});
  uint32_t Out = B.output("y", DType::F32, {"N"}, /*Alias=*/0);
  B.launch(B.kernel("increment", "ceildiv(N, 16)", {KernelArg::InOut}), {Out},
           {N});
  Running R(B);
  ASSERT_TRUE(R.Inst) << R.S.message();
  auto X = ramp(20);
  limosa_tensor In = tensor(DType::F32, {20}, X);
  { // Not donated: the input keeps its value.
    Output Y;
    ASSERT_TRUE(R.Inst->run(0, {&In, 1}, one(Y)).ok());
    EXPECT_EQ(values<float>(Y), ramp(20, 1));
    EXPECT_EQ(X, ramp(20));
  }
  In.flags = LIMOSA_TENSOR_DONATED;
  Output Y;
  ASSERT_TRUE(R.Inst->run(0, {&In, 1}, one(Y)).ok());
  EXPECT_EQ(Y.data, X.data());
  EXPECT_EQ(Y.owner, nullptr);
  EXPECT_EQ(X, ramp(20, 1));
}

TEST(Executor, KeepsStates) {
  ProgramBuilder B;
  B.constant<float>(DType::F32, {4}, {10, 20, 30, 40});
  B.state("counter", DType::F32, {"4"}, 0);
  uint32_t State = B.buffer(fb::BufferKind::State, DType::F32, {"4"}, 0);
  uint32_t N = B.symbol("N");
  B.input("x", DType::F32, {"N"});
  B.output("next", DType::F32, {"4"}, 0, /*AliasState=*/true);
  B.launch(B.kernel("increment", "1", {KernelArg::InOut}), {State}, {N});
  Running R(B);
  ASSERT_TRUE(R.Inst) << R.S.message();
  auto X = ramp(4);
  limosa_tensor In = tensor(DType::F32, {4}, X), Out = {};
  ASSERT_TRUE(R.Inst->run(0, {&In, 1}, one(Out)).ok());
  EXPECT_EQ(Out.data, nullptr); // it stays in the state
  std::vector<float> Value(4);
  Out.data = Value.data();
  Out.bytes = 16;
  ASSERT_TRUE(R.Inst->run(0, {&In, 1}, one(Out)).ok());
  EXPECT_EQ(Value, (std::vector<float>{12, 22, 32, 42}));
  ASSERT_TRUE(R.Inst->readState(0, Value.data(), 16).ok());
  EXPECT_EQ(Value[3], 42);
  ASSERT_TRUE(R.Inst->writeState(0, X.data(), 16).ok());
  EXPECT_FALSE(R.Inst->writeState(0, X.data(), 12).ok());
  // Another instance has its own.
  Status S;
  auto Other = runtime::Instance::create(R.Mod, S);
  ASSERT_TRUE(Other);
  ASSERT_TRUE(Other->readState(0, Value.data(), 16).ok());
  EXPECT_EQ(Value[3], 40);
}

TEST(Executor, LoopsAndSwaps) {
  // while (counter++ < limit) { next = x + b; swap(next, x) }; y = x
  ProgramBuilder B;
  uint32_t N = B.symbol("N");
  uint32_t In = B.input("x", DType::F32, {"N"});
  uint32_t Limit = B.input("limit", DType::I64, {});
  uint32_t Out = B.output("y", DType::F32, {"N"});
  uint32_t Counter = B.temp(DType::I64, {}, "0");
  uint32_t Flag = B.temp(DType::Bool, {}, "64");
  uint32_t X = B.temp(DType::F32, {"N"}, "128");
  uint32_t Next = B.temp(DType::F32, {"N"}, "128 + 64*ceildiv(N, 16)");
  uint32_t Trip = B.symbol("trip");
  B.entry().arenas = {B.expr("128 + 128*ceildiv(N, 16)")};
  uint32_t Add = B.kernel("add", "ceildiv(N, 16)",
                          {KernelArg::In, KernelArg::In, KernelArg::Out});
  uint32_t Below =
      B.kernel("below", "1", {KernelArg::InOut, KernelArg::In, KernelArg::Out});
  B.copy(In, X);
  fb::StoreExprsT Zero;
  Zero.buffer = Counter;
  Zero.exprs = {B.expr("0")};
  B.step(std::move(Zero));
  auto &Loop = B.step(fb::WhileT());
  Loop.condition = Flag;
  B.push(Loop.before);
  B.launch(Below, {Counter, Limit, Flag});
  B.pop();
  B.push(Loop.body);
  fb::BindSymbolT Bind; // changes in each round: everything is placed again
  Bind.symbol = Trip;
  Bind.buffer = Counter;
  B.step(std::move(Bind));
  B.launch(Add, {X, In, Next}, {N});
  fb::SwapT Swap;
  Swap.a = X;
  Swap.b = Next;
  B.step(std::move(Swap));
  B.pop();
  B.copy(X, Out);
  Running R(B);
  ASSERT_TRUE(R.Inst) << R.S.message();
  auto V = ramp(100);
  for (int64_t Rounds : {0, 1, 2, 7}) {
    std::vector<int64_t> L = {Rounds};
    limosa_tensor Inputs[] = {tensor(DType::F32, {100}, V),
                              tensor(DType::I64, {}, L)};
    Output Y;
    Status S = R.Inst->run(0, Inputs, one(Y));
    ASSERT_TRUE(S.ok()) << S.message();
    EXPECT_EQ(values<float>(Y)[99], 99.0f * float(Rounds + 1));
  }
}

TEST(Executor, PutsSwappedOutputsAndStatesBack) {
  ProgramBuilder B;
  B.state("s", DType::F32, {"4"});
  uint32_t State = B.buffer(fb::BufferKind::State, DType::F32, {"4"}, 0);
  uint32_t In = B.input("x", DType::F32, {"4"});
  uint32_t Out = B.output("y", DType::F32, {"4"});
  B.copy(In, Out);
  fb::SwapT Swap;
  Swap.a = State;
  Swap.b = Out;
  B.step(std::move(Swap));
  Running R(B);
  ASSERT_TRUE(R.Inst) << R.S.message();
  auto First = ramp(4, 1), Second = ramp(4, 5);
  for (auto [X, Expected] : {std::pair{&First, std::vector<float>(4, 0)},
                             std::pair{&Second, First}}) {
    limosa_tensor T = tensor(DType::F32, {4}, *X);
    Output Y;
    ASSERT_TRUE(R.Inst->run(0, {&T, 1}, one(Y)).ok());
    EXPECT_EQ(values<float>(Y), Expected);
  }
}

TEST(Executor, MakesOutputsOfDataDependentSize) {
  ProgramBuilder B;
  uint32_t N = B.symbol("N");
  uint32_t K = B.symbol("K", 0, 50);
  uint32_t In = B.input("x", DType::F32, {"N"});
  uint32_t Out = B.output("positions", DType::I64, {"K"});
  uint32_t Count = B.temp(DType::I64, {}, "0");
  uint32_t All = B.temp(DType::I64, {"N"}, "64");
  uint32_t Head = B.buffer(fb::BufferKind::Temp, DType::I64, {"K"}, 0);
  B.entry().buffers[Head]->offset = B.expr("64");
  uint32_t Kept = B.buffer(fb::BufferKind::Dynamic, DType::I64, {"K"}, 0);
  B.entry().arenas = {B.expr("64 + 8*N")};
  B.launch(
      B.kernel("nonzero", "1", {KernelArg::In, KernelArg::Out, KernelArg::Out}),
      {In, All, Count}, {N});
  fb::BindSymbolT Bind;
  Bind.symbol = K;
  Bind.buffer = Count;
  B.step(std::move(Bind));
  fb::AllocT Alloc;
  Alloc.buffer = Kept;
  B.step(std::move(Alloc));
  B.copy(Head, Kept);
  // Seen once more under another shape.
  uint32_t Column =
      B.buffer(fb::BufferKind::Dynamic, DType::I64, {"K"}, Kept + 1);
  B.copy(Column, Out);
  Running R(B);
  ASSERT_TRUE(R.Inst) << R.S.message();
  for (size_t Ones : {3, 0, 20}) {
    std::vector<float> X(40);
    std::vector<int64_t> Expected;
    for (size_t I = 0; I < Ones; ++I) {
      X[2 * I + 1] = 1;
      Expected.push_back(int64_t(2 * I + 1));
    }
    limosa_tensor T = tensor(DType::F32, {40}, X);
    Output Y;
    Status S = R.Inst->run(0, {&T, 1}, one(Y));
    ASSERT_TRUE(S.ok()) << S.message();
    EXPECT_EQ(Y.dims[0], int64_t(Ones));
    EXPECT_EQ(values<int64_t>(Y), Expected);
  }
  std::vector<float> Many(60, 1);
  limosa_tensor T = tensor(DType::F32, {60}, Many);
  Output Y;
  EXPECT_EQ(R.Inst->run(0, {&T, 1}, one(Y)).message(),
            "the size K came out as 60, outside of 0 to 50");
}

TEST(Executor, Branches) {
  ProgramBuilder B;
  uint32_t Flag = B.input("flag", DType::Bool, {});
  uint32_t X = B.input("x", DType::F32, {"2"});
  uint32_t Y = B.input("y", DType::F32, {"2"});
  uint32_t Out = B.output("out", DType::F32, {"2"});
  auto &If = B.step(fb::IfT());
  If.condition = Flag;
  B.push(If.then_block);
  B.copy(X, Out);
  B.pop();
  B.push(If.else_block);
  B.copy(Y, Out);
  B.pop();
  fb::AssertT Assert;
  Assert.condition = Flag;
  Assert.message = "the flag has to be set";
  B.step(std::move(Assert));
  Running R(B);
  ASSERT_TRUE(R.Inst) << R.S.message();
  std::vector<float> A = {1, 2}, C = {3, 4};
  for (uint8_t Value : {1, 0}) {
    std::vector<uint8_t> F = {Value};
    limosa_tensor In[] = {tensor(DType::Bool, {}, F),
                          tensor(DType::F32, {2}, A),
                          tensor(DType::F32, {2}, C)};
    std::vector<float> Result(2);
    limosa_tensor Out = {};
    Out.data = Result.data();
    Out.bytes = 8;
    EXPECT_EQ(R.Inst->run(0, In, one(Out)).message(),
              Value ? "" : "the flag has to be set");
    EXPECT_EQ(Result, Value ? A : C);
  }
}

TEST(Executor, CopiesBetweenOrders) {
  ProgramBuilder B;
  uint32_t In = B.input("x", DType::F32, {"2", "3", "4"});
  uint32_t Out = B.output("y", DType::F32, {"2", "3", "4"});
  uint32_t T = B.temp(DType::F32, {"2", "3", "4"}, "0");
  B.entry().buffers[T]->order = {2, 0, 1};
  uint32_t Flat = B.output("flat", DType::F32, {"24"});
  uint32_t Raw = B.temp(DType::F32, {"24"}, "0");
  B.entry().arenas = {B.expr("96")};
  B.copy(In, T);
  B.copy(T, Out);
  B.copy(Raw, Flat);
  Running R(B);
  ASSERT_TRUE(R.Inst) << R.S.message();
  auto X = ramp(24);
  limosa_tensor I = tensor(DType::F32, {2, 3, 4}, X);
  limosa_tensor Outs[2] = {};
  ASSERT_TRUE(R.Inst->run(0, {&I, 1}, Outs).ok());
  EXPECT_EQ(values<float>(Outs[0]), X);
  EXPECT_EQ(values<float>(Outs[1])[1], 4); // [0][1][0] follows [0][0][0]
  EXPECT_EQ(values<float>(Outs[1])[6], 1); // [0][0][1]
  limosa_tensor_release(&Outs[0]);
  limosa_tensor_release(&Outs[1]);
}

TEST(Executor, GivesEachWorkerItsScratch) {
  ProgramBuilder B;
  uint32_t N = B.symbol("N");
  B.input("n", DType::U8, {"N"});
  uint32_t Out = B.output("done", DType::U8, {"1000"});
  B.launch(B.kernel("use_scratch", "1000", {KernelArg::Out}, "N"), {Out}, {N});
  Running R(B, 4);
  ASSERT_TRUE(R.Inst) << R.S.message();
  for (int64_t Bytes : {1, 100, 5000}) {
    std::vector<uint8_t> In(Bytes);
    limosa_tensor T = tensor(DType::U8, {Bytes}, In);
    Output Y;
    Status S = R.Inst->run(0, {&T, 1}, one(Y));
    ASSERT_TRUE(S.ok()) << S.message();
    EXPECT_EQ(values<uint8_t>(Y), std::vector<uint8_t>(1000, 1));
  }
}

TEST(Executor, ReportsKernelsThatFail) {
  ProgramBuilder B;
  B.launch(B.kernel("refuse", "3"), {});
  Running R(B);
  ASSERT_TRUE(R.Inst) << R.S.message();
  EXPECT_EQ(R.Inst->run(0, {}, {}).message(),
            "kernel refuse: a kernel returned 42");
}

TEST(Executor, CallsTheMathTable) {
  ProgramBuilder B;
  uint32_t N = B.symbol("N");
  uint32_t In = B.input("x", DType::F32, {"N"});
  uint32_t Out = B.output("y", DType::F32, {"N"});
  B.launch(B.kernel("exponential", "ceildiv(N, 16)",
                    {KernelArg::In, KernelArg::Out}),
           {In, Out}, {N});
  Running R(B);
  ASSERT_TRUE(R.Inst) << R.S.message();
  auto X = ramp(5);
  limosa_tensor T = tensor(DType::F32, {5}, X);
  Output Y;
  ASSERT_TRUE(R.Inst->run(0, {&T, 1}, one(Y)).ok());
  EXPECT_FLOAT_EQ(values<float>(Y)[2], std::exp(2.0f));
}

TEST(Executor, RunsInstancesConcurrently) {
  ProgramBuilder B;
  buildAdd(B);
  Running R(B, 4);
  ASSERT_TRUE(R.Inst) << R.S.message();
  std::vector<std::thread> Threads;
  std::atomic<int> Wrong{0};
  for (int T = 0; T < 4; ++T)
    Threads.emplace_back([&, T] {
      Status S;
      auto Mine = runtime::Instance::create(R.Mod, S);
      for (int Round = 0; Round < 200; ++Round) {
        int64_t N = 4 * (1 + (Round * 7 + T) % 300);
        auto A = ramp(N, float(T)), C = ramp(N);
        limosa_tensor In[] = {tensor(DType::F32, {N}, A),
                              tensor(DType::F32, {N}, C)};
        Output Out;
        if (!Mine->run(0, In, one(Out)).ok() ||
            values<float>(Out)[N - 1] != A[N - 1] + 2 * C[N - 1])
          ++Wrong;
      }
    });
  for (std::thread &T : Threads)
    T.join();
  EXPECT_EQ(Wrong, 0);
}

TEST(Executor, ShowsLaunchesToObservers) {
  ProgramBuilder B;
  buildAdd(B);
  Running R(B);
  ASSERT_TRUE(R.Inst) << R.S.message();
  int Before = 0, After = 0;
  R.Inst->setObserver([&](const runtime::LaunchView &L, bool Done) {
    (Done ? After : Before)++;
    EXPECT_EQ(L.Kernel->name()->str(), "add");
    EXPECT_EQ(L.Buffers.size(), 3u);
    EXPECT_EQ(L.Buffers[0].Dims, std::vector<int64_t>{8});
    EXPECT_EQ(L.Scalars[0], 8);
    if (L.Launch == 1 && Done)
      return Status(LIMOSA_STATUS_FAILED, "enough");
    return Status();
  });
  auto A = ramp(8);
  limosa_tensor In[] = {tensor(DType::F32, {8}, A), tensor(DType::F32, {8}, A)};
  Output Out;
  EXPECT_EQ(R.Inst->run(0, In, one(Out)).message(), "enough");
  EXPECT_EQ(Before, 2);
  EXPECT_EQ(After, 2);
}

TEST(Executor, RecordsProfiles) {
  ProgramBuilder B;
  buildAdd(B);
  B.P.kernels[0]->nodes = {"/layer/Add \"1\""};
  B.P.kernels[0]->flops = B.expr("N");
  Running R(B);
  ASSERT_TRUE(R.Inst) << R.S.message();
  auto A = ramp(4096);
  limosa_tensor In[] = {tensor(DType::F32, {4096}, A),
                        tensor(DType::F32, {4096}, A)};
  Output Out;
  ASSERT_TRUE(R.Inst->startProfile().ok());
  EXPECT_FALSE(R.Inst->startProfile().ok());
  ASSERT_TRUE(R.Inst->run(0, In, one(Out)).ok());
  auto P = R.Inst->stopProfile();
  ASSERT_TRUE(P);
  EXPECT_EQ(P->Runs.size(), 1u);
  ASSERT_EQ(P->Launches.size(), 2u);
  EXPECT_EQ(P->Launches[0].Flops, 4096);
  EXPECT_GE(P->Lanes.size(), 2u);
  std::string Trace = P->toChromeTrace(*R.Mod);
  EXPECT_NE(Trace.find("\"nodes\":\"/layer/Add \\\"1\\\"\""),
            std::string::npos);
  EXPECT_EQ(R.Inst->stopProfile(), nullptr);
}

} // namespace
