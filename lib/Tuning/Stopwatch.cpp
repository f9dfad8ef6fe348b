//===- Stopwatch.cpp - Times kernels on this machine's CPU ----------------===//
//
// Kernels run as the runtime runs them: loaded by the CPU device of a context,
// tiles shared out to its workers. Values do not matter as long as none is
// slow: floats are 0.01 or so, integers 0, which is an index of anything. What
// a kernel reads and writes besides weights stays in the caches between
// launches, as what the kernel before has just written does.
//
//===----------------------------------------------------------------------===//

#include "limosa/IR/Types.h"
#include "limosa/Runtime/Context.h"
#include "limosa/Runtime/LaunchCost.h"
#include "limosa/Tuning/Tuner.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

#include <chrono>
#include <cstring>

using namespace mlir;
using namespace limosa::codegen;
using limosa::runtime::Context;
using limosa::runtime::Status;

namespace limosa::tuning {

namespace {

/// In any float format bytes of this value are a normal number near 0.01 or 1.
constexpr int FloatFill = 0x3c;
constexpr uint64_t LeastRing = 1 << 20, MostRing = 256 << 20;
constexpr uint64_t Alignment = 64;

llvm::Error toError(const Status &S) {
  return llvm::createStringError(S.message());
}

bool isFloat(Type Ty) { return isa<FloatType>(getElementTypeOrSelf(Ty)); }

int fillOf(Type Ty) {
  if (isFloat(Ty))
    return FloatFill;
  return getElementTypeOrSelf(Ty).isSignlessInteger(1) ? 1 : 0;
}

std::optional<int64_t> valueOf(const DimExpr &E, const Sizes &Symbols) {
  return E.evaluate([&](std::string_view Name) -> std::optional<int64_t> {
    auto It = Symbols.find(std::string(Name));
    return It == Symbols.end() ? std::nullopt : std::optional(It->second);
  });
}

/// Memory through the context's allocator.
class Block {
public:
  Block() = default;
  Block(const Context &Ctx, uint64_t Bytes, int Fill)
      : From(Ctx.allocator()), Size(std::max<uint64_t>(Bytes, 1)),
        Data(static_cast<uint8_t *>(From->allocate(Size, Alignment))) {
    if (Data)
      std::memset(Data, Fill, Size);
  }
  Block(Block &&Other) { *this = std::move(Other); }
  Block &operator=(Block &&Other) {
    std::swap(From, Other.From);
    std::swap(Size, Other.Size);
    std::swap(Data, Other.Data);
    return *this;
  }
  ~Block() {
    if (Data)
      From->release(Data, Size);
  }
  uint8_t *data() const { return Data; }
  uint64_t size() const { return Data ? Size : 0; }

private:
  std::shared_ptr<const runtime::Allocator> From;
  uint64_t Size = 0;
  uint8_t *Data = nullptr;
};

/// Memory of which every launch reads the next part.
class Ring {
public:
  /// Makes room for parts of `Bytes`; false if there is no memory.
  bool reserve(const Context &Ctx, uint64_t Least, uint64_t Bytes, int Fill) {
    Bytes = std::max(Bytes, Least);
    if (Memory.size() < Bytes) {
      Memory = Block();
      Memory = Block(Ctx, Bytes, Fill);
      Next = 0;
    }
    return Memory.size() >= Bytes;
  }
  uint8_t *take(uint64_t Bytes) {
    if (Next + Bytes > Memory.size())
      Next = 0;
    uint8_t *Part = Memory.data() + Next;
    Next += llvm::alignTo(Bytes, Alignment);
    return Part;
  }

private:
  Block Memory;
  uint64_t Next = 0;
};

class MachineStopwatch : public Stopwatch {
public:
  static llvm::Expected<std::unique_ptr<Stopwatch>>
  create(unsigned Threads, StringRef Isa, uint64_t WeightBytes) {
    limosa_context_options Settings = {};
    Settings.size = sizeof(Settings);
    Settings.threads = Threads;
    Status S;
    std::shared_ptr<Context> Ctx = Context::create(Settings, S);
    if (!Ctx)
      return toError(S);
    const limosa_device_properties &Has = Ctx->device(0).Properties;
    if (llvm::none_of(
            llvm::ArrayRef(Has.formats, Has.format_count),
            [&](const limosa_code_format &F) { return Isa == F.isa; }))
      return llvm::createStringError(
          "kernels for " + Isa +
          " cannot be timed on this processor: compile without tuning, or "
          "for another --isa");
    std::unique_ptr<MachineStopwatch> Watch(new MachineStopwatch);
    limosa_queue *Queue;
    if (int32_t Code =
            Ctx->device(0).Driver->create_queue(Ctx->device(0).Handle, &Queue))
      return toError(Ctx->deviceError(Code, "making a queue"));
    Watch->Ctx = std::move(Ctx);
    Watch->Queue = Queue;
    Watch->Isa = Isa.str();
    Watch->RingBytes = std::clamp(WeightBytes, LeastRing, MostRing);
    return std::unique_ptr<Stopwatch>(std::move(Watch));
  }

  ~MachineStopwatch() override {
    unload();
    if (Queue)
      driver().destroy_queue(Queue);
  }

  std::string machine() const override {
    return Ctx->device(0).Properties.description;
  }

  llvm::Expected<bool> load(func::FuncOp Kernel,
                            ArrayRef<CompiledKernel> Kernels,
                            ArrayRef<uint8_t> Bytes,
                            const Sizes &Symbols) override {
    unload();
    Image.assign(Bytes.begin(), Bytes.end());
    if (int32_t Code = driver().load_executable(
            Ctx->device(0).Handle, "elf-x86_64", Isa.c_str(), Image.data(),
            Image.size(), &Executable))
      return toError(Ctx->deviceError(Code, "loading kernels"));
    PackedBytes.clear();
    Shared.clear();
    Variants.clear();
    for (Type Ty : llvm::concat<const Type>(Kernel.getArgumentTypes(),
                                            Kernel.getResultTypes())) {
      auto Size = bytesOf(Ty, Symbols);
      if (!Size)
        return llvm::createStringError("a size of the kernel is not known");
      // Weights are in the rings.
      bool Constant = Shared.size() < Kernel.getNumArguments() &&
                      isConstant(Kernel, Shared.size());
      Shared.push_back(Constant ? Block() : Block(*Ctx, *Size, fillOf(Ty)));
      if (!Constant && !Shared.back().data())
        return toError(runtime::outOfMemory(*Size, "timing kernels"));
    }
    for (const CompiledKernel &K : Kernels) {
      auto V = prepare(Kernel, K, Symbols);
      if (!V)
        return V.takeError();
      if (V->Launch.grid == 0)
        return false;
      Variants.push_back(std::move(*V));
    }
    return true;
  }

  llvm::Expected<double> time(unsigned Index) override {
    Variant &V = Variants[Index];
    if (V.Runs == 0) {
      auto Once = run(V); // warms up what was never touched
      if (Once)
        Once = run(V);
      if (!Once)
        return Once.takeError();
      V.Runs = unsigned(std::clamp(SlotSeconds / std::max(*Once, 1e-7),
                                   *Once > LongSeconds ? 1. : 3., 100.));
    }
    std::vector<double> Times;
    for (unsigned I = 0; I < V.Runs; ++I) {
      auto Seconds = run(V);
      if (!Seconds)
        return Seconds.takeError();
      Times.push_back(*Seconds);
    }
    llvm::sort(Times);
    return Times[Times.size() / 2];
  }

private:
  /// Time of a variant's turn, and what is long enough to run once in it.
  static constexpr double SlotSeconds = 4e-4, LongSeconds = 3e-3;

  struct Weight {
    unsigned Buffer;
    uint64_t Bytes;
    bool Float;
  };
  struct Variant {
    limosa_launch Launch = {};
    SmallVector<int64_t> Scalars;
    SmallVector<void *> Addresses;
    SmallVector<Weight> Weights;
    unsigned Runs = 0; ///< in a turn
  };

  MachineStopwatch() = default;

  const limosa_driver &driver() const { return *Ctx->device(0).Driver; }

  static bool isConstant(func::FuncOp Kernel, unsigned Argument) {
    return bool(Kernel.getArgAttr(Argument, "limosa.constant"));
  }

  static std::optional<uint64_t> bytesOf(Type Ty, const Sizes &Symbols) {
    auto Elements = valueOf(numElements(Ty), Symbols);
    if (!Elements || *Elements < 0)
      return std::nullopt;
    return dtypeBytes(getDType(getElementTypeOrSelf(Ty)), *Elements);
  }

  /// Bytes of a constant as a kernel wants it.
  llvm::Expected<uint64_t> weightBytes(func::FuncOp Kernel, unsigned Argument,
                                       const CompiledKernel &K) {
    auto Ty = cast<RankedTensorType>(Kernel.getArgumentTypes()[Argument]);
    uint64_t Plain = *bytesOf(Ty, {});
    for (const PackRequest &Pack : K.Packs) {
      if (Pack.Operand != Argument)
        continue;
      auto [It, IsNew] = PackedBytes.try_emplace({Argument, Pack.Spec}, 0);
      if (IsNew) {
        auto Packed = packConstant(Pack.Spec, Ty, std::vector<uint8_t>(Plain));
        if (!Packed)
          return Packed.takeError();
        It->second = Packed->size();
      }
      return It->second;
    }
    return Plain;
  }

  llvm::Expected<Variant> prepare(func::FuncOp Kernel, const CompiledKernel &K,
                                  const Sizes &Symbols) {
    Variant V;
    V.Launch.size = sizeof(V.Launch);
    V.Launch.executable = Executable;
    if (int32_t Code = driver().find_kernel(Executable, K.Symbol.c_str(),
                                            &V.Launch.kernel))
      return toError(Ctx->deviceError(Code, "looking for a kernel"));
    auto Grid = valueOf(K.Grid, Symbols),
         Scratch = valueOf(K.ScratchBytes, Symbols);
    if (!Grid || *Grid < 0 || !Scratch || *Scratch < 0)
      return llvm::createStringError("a size of the kernel is not known");
    V.Launch.grid = *Grid;
    V.Launch.scratch_bytes = *Scratch;
    for (const std::string &Name : K.Symbols)
      V.Scalars.push_back(Symbols.at(Name));
    auto Flops = K.Flops ? valueOf(*K.Flops, Symbols) : std::nullopt,
         Moved = K.Bytes ? valueOf(*K.Bytes, Symbols) : std::nullopt;
    if (Flops && Moved && *Flops >= 0 && *Moved >= 0)
      V.Launch.cost = runtime::launchCost(*Flops, *Moved);
    for (const Block &B : Shared)
      V.Addresses.push_back(B.data());
    for (const UpdatedOperand &U : K.Updates)
      V.Addresses[Kernel.getNumArguments() + U.Result] = V.Addresses[U.Operand];
    for (unsigned I = 0; I < Kernel.getNumArguments(); ++I) {
      if (!isConstant(Kernel, I))
        continue;
      auto Size = weightBytes(Kernel, I, K);
      if (!Size)
        return Size.takeError();
      bool Float = isFloat(Kernel.getArgumentTypes()[I]);
      if (!ring(Float).reserve(*Ctx, RingBytes, *Size, Float ? FloatFill : 0))
        return toError(runtime::outOfMemory(*Size, "timing kernels"));
      V.Weights.push_back({I, *Size, Float});
    }
    V.Launch.scalar_count = V.Scalars.size();
    V.Launch.buffer_count = V.Addresses.size();
    return V;
  }

  Ring &ring(bool Float) { return Float ? Floats : Integers; }

  llvm::Expected<double> run(Variant &V) {
    for (const Weight &W : V.Weights)
      V.Addresses[W.Buffer] = ring(W.Float).take(W.Bytes);
    V.Launch.scalars = V.Scalars.data();
    V.Launch.addresses = V.Addresses.data();
    auto Begin = std::chrono::steady_clock::now();
    if (int32_t Code = driver().launch(Queue, &V.Launch))
      return toError(Ctx->deviceError(Code, "timing a kernel"));
    return std::chrono::duration<double>(std::chrono::steady_clock::now() -
                                         Begin)
        .count();
  }

  void unload() {
    Variants.clear();
    if (Executable)
      driver().unload_executable(std::exchange(Executable, nullptr));
  }

  std::shared_ptr<Context> Ctx;
  limosa_queue *Queue = nullptr;
  limosa_executable *Executable = nullptr;
  std::string Isa;
  uint64_t RingBytes = 0;
  Ring Floats, Integers;
  std::vector<uint8_t> Image;
  std::vector<Block> Shared; ///< of all variants, by buffer
  std::vector<Variant> Variants;
  std::map<std::pair<unsigned, std::string>, uint64_t> PackedBytes;
};

} // namespace

llvm::Expected<std::unique_ptr<Stopwatch>>
makeStopwatch(unsigned Threads, StringRef Isa, uint64_t WeightBytes) {
  return MachineStopwatch::create(Threads, Isa, WeightBytes);
}

} // namespace limosa::tuning
