//===- HostileFileTest.cpp - Damaged and malicious .lim files -------------===//

#include "ProgramBuilder.h"
#include "TouchAll.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <random>

using namespace limosa;
using namespace limosa::test;
using namespace limosa::runtime;

namespace {

/// A program with something of everything.
std::vector<uint8_t> everything() {
  ProgramBuilder B;
  uint32_t N = B.symbol("N", 0, 64);
  uint32_t K = B.symbol("K", 0, 64);
  uint32_t C = B.constant<float>(DType::F32, {4}, {1, 2, 3, 4});
  B.state("s", DType::F32, {"4"}, 0);
  uint32_t In = B.input("x", DType::F32, {"N", "4"});
  B.P.strings = {"", "one", "two"};
  uint32_t Words = B.input("words", DType::String, {"N"});
  uint32_t Out = B.output("y", DType::F32, {"N", "4"}, 0);
  uint32_t Same = B.output("same", DType::String, {"N"});
  uint32_t State = B.buffer(fb::BufferKind::State, DType::F32, {"4"}, 0);
  uint32_t T = B.temp(DType::F32, {"N", "4"}, "64");
  B.entry().buffers[T]->order = {1, 0};
  uint32_t Flag = B.temp(DType::Bool, {}, "0");
  uint32_t Size = B.temp(DType::I64, {}, "8");
  uint32_t Dynamic = B.buffer(fb::BufferKind::Dynamic, DType::F32, {"K"}, 0);
  B.entry().arenas = {B.expr("64 + 16*N")};
  uint32_t Kernel =
      B.kernel("add", "ceildiv(4*N, 16)",
               {fb::KernelArg::In, fb::KernelArg::In, fb::KernelArg::Out});
  B.P.kernels[0]->nodes = {"node"};
  B.copy(In, T);
  B.copy(C, State);
  fb::StoreExprsT Store;
  Store.buffer = Size;
  Store.exprs = {B.expr("min(N, 3)")};
  B.step(std::move(Store));
  fb::BindSymbolT Bind;
  Bind.symbol = K;
  Bind.buffer = Size;
  B.step(std::move(Bind));
  fb::AllocT Alloc;
  Alloc.buffer = Dynamic;
  B.step(std::move(Alloc));
  uint32_t M = B.symbol("M", 0, 64);
  fb::HostOpT Host;
  Host.name = "test::Op";
  Host.node = "node";
  Host.inputs = {In, 0xffffffff, C};
  Host.outputs = {B.buffer(fb::BufferKind::Dynamic, DType::F32, {"M"}, 0),
                  Size};
  Host.symbols = {M};
  for (fb::AttrKind Kind : {fb::AttrKind::Int, fb::AttrKind::Floats,
                            fb::AttrKind::Strings, fb::AttrKind::Data}) {
    auto A = std::make_unique<fb::AttrT>();
    A->name = fb::EnumNameAttrKind(Kind);
    A->kind = Kind;
    A->i = int64_t(DType::F32);
    A->floats = {1, 2};
    A->strings = {"a", "b"};
    A->ints = {1, 2};
    A->data.resize(8);
    Host.attrs.push_back(std::move(A));
  }
  B.step(std::move(Host));
  auto &If = B.step(fb::IfT());
  If.condition = Flag;
  B.push(If.then_block);
  B.launch(Kernel, {T, T, T}, {N});
  B.pop();
  fb::SwapT Swap;
  Swap.a = T;
  Swap.b = T;
  B.step(std::move(Swap));
  B.copy(T, Out);
  B.copy(Words, Same);
  return B.bytes();
}

/// Does with a file what tools do, short of running its code.
void use(const std::shared_ptr<const LimFile> &File,
         const std::shared_ptr<Context> &Ctx) {
  if (!File)
    return;
  const fb::Program &P = File->program();
  if (P.constants())
    for (const fb::Constant *C : *P.constants())
      (void)File->data(*C);
  Status S;
  auto Mod = Module::load(Ctx, File, S);
  if (!Mod)
    return;
  auto Inst = Instance::create(Mod, S);
  if (!Inst || !P.entries() || P.entries()->size() == 0)
    return;
  // Ends the run before the first kernel: what follows is the file's own code.
  Inst->setObserver([](const LaunchView &, bool) {
    return Status(LIMOSA_STATUS_FAILED, "stop");
  });
  std::vector<float> X(16);
  limosa_tensor In = tensor(DType::F32, {4, 4}, X);
  limosa_tensor Out = {};
  CallsOfTouchAll = 0;
  if (Inst->run(0, {&In, 1}, {&Out, 1}).ok())
    limosa_tensor_release(&Out);
}

class HostileFile : public ::testing::Test {
protected:
  void SetUp() override {
    limosa_context_options Options = {};
    Options.threads = 1;
    // Sizes in damaged files may be anything.
    Options.alloc = [](void *, uint64_t Bytes, uint64_t Alignment) -> void * {
      void *Memory = nullptr;
      if (Bytes > (1 << 24) ||
          posix_memalign(&Memory, std::max<size_t>(Alignment, 8), Bytes))
        return nullptr;
      return Memory;
    };
    Options.free = [](void *, void *Memory, uint64_t) { free(Memory); };
    Status S;
    Ctx = Context::create(Options, S);
    ASSERT_TRUE(Ctx) << S.message();
    ASSERT_TRUE(Ctx->operators().add(touchAllOperator()).ok());
    Good = everything();
  }
  std::shared_ptr<Context> Ctx;
  std::vector<uint8_t> Good;
};

TEST_F(HostileFile, NoStateHoldsStrings) {
  for (DType Type : {DType::F32, DType::String}) {
    ProgramBuilder B;
    B.constant<float>(DType::F32, {4}, {1, 2, 3, 4});
    B.state("s", DType::F32, {"4"}, 0);
    B.output("y", Type, {"4"}, 0, /*AliasState=*/true);
    AlignedBytes Bytes(B.bytes());
    Status S;
    auto File = LimFile::fromMemory(Bytes.span(), S, true);
    EXPECT_EQ(bool(File && Module::load(Ctx, File, S)), Type == DType::F32);
  }
}

TEST_F(HostileFile, GoodOneLoads) {
  AlignedBytes B(Good);
  Status S;
  auto File = LimFile::fromMemory(B.span(), S, true);
  ASSERT_TRUE(File) << S.message();
  ASSERT_TRUE(Module::load(Ctx, File, S)) << S.message();
  use(File, Ctx);
}

TEST_F(HostileFile, Truncated) {
  AlignedBytes B(Good);
  Status S;
  for (size_t Size = 0; Size < Good.size(); Size += Size < 2000 ? 1 : 61) {
    EXPECT_FALSE(LimFile::fromMemory(B.span().first(Size), S));
    EXPECT_NE(S.message(), "");
  }
}

TEST_F(HostileFile, BitFlipsAreNoticed) {
  std::mt19937 Random(1);
  LimHeader H;
  std::memcpy(&H, Good.data(), sizeof(H));
  for (int Round = 0; Round < 2000; ++Round) {
    AlignedBytes B(Good);
    size_t Covered = LimHeaderSize + H.MetaSize;
    B.span()[Random() % Covered] ^= uint8_t(1u << Random() % 8);
    Status S;
    EXPECT_FALSE(LimFile::fromMemory(B.span(), S));
  }
  for (uint64_t At : {H.CodeOffset + H.CodeSize / 2, H.DataOffset}) {
    AlignedBytes B(Good);
    B.span()[At] ^= 1;
    Status S;
    EXPECT_FALSE(LimFile::fromMemory(B.span(), S, /*CheckData=*/true));
  }
}

TEST_F(HostileFile, FlipsWithRightChecksumsDoNotCrash) {
  LimHeader H;
  std::memcpy(&H, Good.data(), sizeof(H));
  int Loaded = 0;
  for (uint32_t Seed = 0; Seed < 20000; ++Seed) {
    std::mt19937 Random(Seed);
    AlignedBytes B(Good);
    for (unsigned Flips = 1 + Random() % 3; Flips; --Flips) {
      size_t Limit = LimHeaderSize + H.MetaSize;
      uint8_t &Byte = B.span()[8 + Random() % (Limit - 8)];
      if (Random() % 2)
        Byte ^= uint8_t(1u << Random() % 8);
      else
        Byte = uint8_t(Random());
    }
    resealLimFile(B.span());
    Status S;
    auto File = LimFile::fromMemory(B.span(), S);
    Loaded += File != nullptr;
    use(File, Ctx);
  }
  EXPECT_GT(Loaded, 100); // otherwise nothing behind the verifier was tried
}

TEST_F(HostileFile, OpenSaysWhy) {
  Status S;
  EXPECT_FALSE(LimFile::open("/nowhere/model.lim", S));
  EXPECT_EQ(S.code(), LIMOSA_STATUS_NOT_FOUND);
  EXPECT_FALSE(LimFile::open("/tmp", S));
  EXPECT_EQ(S.message(), "'/tmp' is not a file");
  std::string Path = ::testing::TempDir() + "/limosa-hostile.lim";
  std::ofstream(Path) << "hello";
  EXPECT_FALSE(LimFile::open(Path, S));
  EXPECT_EQ(S.message(), "'" + Path + "': not a .lim file: too short");
  std::remove(Path.c_str());
}

} // namespace
