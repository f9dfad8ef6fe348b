//===- FuzzLim.cpp - Any bytes as a .lim file -----------------------------===//
//
// Opens, loads and runs the file up to its first kernel: what follows is the
// file's own machine code. Host operators called test::Op are there.
//
//===----------------------------------------------------------------------===//

#include "../unit/Runtime/TouchAll.h"
#include "limosa/Runtime/Context.h"
#include "limosa/Runtime/Instance.h"
#include "limosa/Runtime/LimFile.h"
#include "limosa/Runtime/Module.h"
#include "limosa/Schema/program_generated.h"

#include <cstdlib>
#include <cstring>

using namespace limosa;
using namespace limosa::runtime;

static void *allocate(void *, uint64_t Bytes, uint64_t Alignment) {
  constexpr uint64_t Most = 1 << 24;
  void *Memory = nullptr;
  if (Bytes > Most ||
      posix_memalign(&Memory, Alignment < 8 ? 8 : Alignment, Bytes ? Bytes : 1))
    return nullptr;
  return Memory;
}

static const std::shared_ptr<Context> &context() {
  static std::shared_ptr<Context> Ctx = [] {
    limosa_context_options Options = {};
    Options.threads = 1;
    Options.alloc = allocate;
    Options.free = [](void *, void *Memory, uint64_t) { std::free(Memory); };
    Status S;
    auto Made = Context::create(Options, S);
    if (!Made || Made->operators().add(test::touchAllOperator()))
      abort();
    return Made;
  }();
  return Ctx;
}

/// A small argument of the shape that the entry asks for, symbols being 2.
static limosa_tensor argumentFor(const fb::Program &P, const fb::Argument &A,
                                 std::vector<uint8_t> &Memory) {
  limosa_tensor T = {};
  T.dtype = A.dtype();
  T.rank = A.dims() ? std::min<uint32_t>(A.dims()->size(), 8) : 0;
  uint64_t Elements = 1;
  for (uint32_t D = 0; D < T.rank; ++D) {
    int64_t Fixed =
        std::atoll(P.exprs()->Get(A.dims()->Get(D))->text()->c_str());
    T.dims[D] = Fixed > 0 && Fixed < 64 ? Fixed : 2;
    Elements *= uint64_t(T.dims[D]);
  }
  // Strings of no bytes take the most, 16 bytes each.
  Memory.assign(std::min<uint64_t>(Elements, 1 << 20) * 16, 0);
  T.data = Memory.data();
  return T;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *Data, size_t Size) {
  if (!Size)
    return 0;
  // Constants are used in place, so the bytes have to lie aligned.
  std::unique_ptr<uint8_t, decltype(&std::free)> Bytes(
      static_cast<uint8_t *>(std::aligned_alloc(64, (Size + 63) / 64 * 64)),
      std::free);
  std::memcpy(Bytes.get(), Data, Size);
  std::span<uint8_t> File(Bytes.get(), Size);
  resealLimFile(File);
  Status S;
  auto Opened = LimFile::fromMemory(File, S, /*CheckData=*/true);
  if (!Opened)
    return S.message().empty() ? abort(), 0 : 0;
  auto Loaded = Module::load(context(), Opened, S);
  if (!Loaded)
    return S.message().empty() ? abort(), 0 : 0;
  auto Made = Instance::create(Loaded, S);
  const fb::Program &P = Opened->program();
  if (!Made || !P.entries() || P.entries()->size() == 0)
    return 0;
  Made->setObserver([](const LaunchView &, bool) {
    return Status(LIMOSA_STATUS_FAILED, "stop");
  });
  const fb::Entry &E = *P.entries()->Get(0);
  const uint32_t InCount = E.inputs() ? E.inputs()->size() : 0;
  const uint32_t OutCount = E.outputs() ? E.outputs()->size() : 0;
  std::vector<std::vector<uint8_t>> Memory(InCount);
  std::vector<limosa_tensor> In, Out(OutCount);
  for (uint32_t I = 0; I < InCount; ++I)
    In.push_back(argumentFor(P, *E.inputs()->Get(I), Memory[I]));
  test::CallsOfTouchAll = 0;
  if (Made->run(0, In, Out).ok())
    for (limosa_tensor &T : Out)
      limosa_tensor_release(&T);
  return 0;
}
