//===- Harness.cpp - Runs kernels inside tests ----------------------------===//

#include "Harness.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

using namespace llvm;

namespace limosa::test {

double (*const MathTable[LIMOSA_MATH_COUNT])(double, double) = {
    [](double X, double) { return std::exp(X); },
    [](double X, double) { return std::log(X); },
    [](double X, double) { return std::sin(X); },
    [](double X, double) { return std::cos(X); },
    [](double X, double) { return std::tanh(X); },
    [](double X, double) { return std::erf(X); },
    [](double X, double Y) { return std::pow(X, Y); },
    [](double X, double Y) { return std::fmod(X, Y); },
};

std::unique_ptr<mlir::MLIRContext> makeContext() {
  mlir::DialectRegistry Registry;
  registerBackendDialects(Registry);
  auto Context = std::make_unique<mlir::MLIRContext>(Registry);
  Context->loadAllAvailableDialects();
  return Context;
}

std::vector<std::string> allIsas() {
  std::vector<std::string> Result;
  Expected<std::string> Host = hostIsa();
  if (!Host) {
    consumeError(Host.takeError());
    return Result;
  }
  Result.push_back("avx2");
  if (StringRef(*Host).starts_with("avx512"))
    Result.push_back("avx512");
  return Result;
}

Expected<std::unique_ptr<LoadedImage>>
LoadedImage::load(ArrayRef<uint8_t> Image) {
  auto Symbols = readImageSymbols(Image);
  if (!Symbols)
    return Symbols.takeError();
  std::unique_ptr<LoadedImage> Result(new LoadedImage);
  Result->Symbols = std::move(*Symbols);
  Result->Bytes = alignTo(Image.size(), 4096);
  void *Base = mmap(nullptr, Result->Bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (Base == MAP_FAILED)
    return createStringError("mmap failed");
  Result->Base = static_cast<uint8_t *>(Base);
  std::memcpy(Base, Image.data(), Image.size());
  if (mprotect(Base, Result->Bytes, PROT_READ | PROT_EXEC))
    return createStringError("mprotect failed");
  return Result;
}

LoadedImage::~LoadedImage() {
  if (Base)
    munmap(Base, Bytes);
}

ArrayRef<uint8_t> LoadedImage::code(StringRef Name) const {
  for (const ImageSymbol &Symbol : Symbols)
    if (Symbol.Name == Name)
      return ArrayRef(Base + Symbol.Offset, Symbol.Size);
  return {};
}

LimosaKernelFn LoadedImage::find(StringRef Name) const {
  ArrayRef<uint8_t> Code = code(Name);
  return Code.empty() ? nullptr
                      : reinterpret_cast<LimosaKernelFn>(
                            const_cast<uint8_t *>(Code.data()));
}

int32_t LoadedImage::run(StringRef Name, ArrayRef<int64_t> Scalars,
                         ArrayRef<void *> Buffers, int64_t Begin, int64_t End,
                         size_t ScratchBytes) const {
  LimosaKernelFn Kernel = find(Name);
  if (!Kernel)
    return -1;
  void *Scratch = std::aligned_alloc(64, alignTo(ScratchBytes + 1, 64));
  std::memset(Scratch, 0xff, ScratchBytes); // no number of any type
  LimosaKernelContext Context = {sizeof(Context), Scratch, 0, MathTable};
  int32_t Status = Kernel(&Context, Scalars.data(), Buffers.data(), Begin, End);
  std::free(Scratch);
  return Status;
}

Expected<std::unique_ptr<LoadedImage>>
compileModule(mlir::ModuleOp Module, StringRef Isa, unsigned Threads) {
  BackendOptions Options;
  dumpFromEnvironment(Options);
  Options.Threads = Threads;
  auto Target = getTargetInfo(Isa);
  if (!Target)
    return Target.takeError();
  Options.Target = std::move(*Target);
  auto Objects = compileToObjects(Module, Options);
  if (!Objects)
    return Objects.takeError();
  auto Image = linkImage(*Objects);
  if (!Image)
    return Image.takeError();
  return LoadedImage::load(*Image);
}

Expected<std::unique_ptr<LoadedImage>>
compileText(StringRef Text, StringRef Isa, unsigned Threads) {
  auto Context = makeContext();
  auto Module = mlir::parseSourceString<mlir::ModuleOp>(Text, Context.get());
  if (!Module)
    return createStringError("the test's MLIR does not parse");
  return compileModule(*Module, Isa, Threads);
}

} // namespace limosa::test
