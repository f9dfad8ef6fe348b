//===- KernelFixture.cpp - Builds, compiles and runs one kernel -----------===//

#include "KernelFixture.h"
#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Symbols.h"
#include "mlir/IR/Verifier.h"
#include <cstdlib>
#include <cstring>
#include <random>

using namespace mlir;

namespace limosa::test {

KernelFixture::KernelFixture(StringRef Isa, unsigned Workers,
                             WinogradUse Winograd)
    : Context(makeContext()), Isa(Isa.str()), Workers(Workers),
      Winograd(Winograd) {
  Context->loadDialect<LimosaDialect, func::FuncDialect>();
}

RankedTensorType KernelFixture::type(ArrayRef<DimExpr> Shape, Type Element,
                                     ArrayRef<int64_t> Order) {
  return makeTensorType(Shape, Element ? Element : f32(), Order);
}

Type KernelFixture::f32() { return Float32Type::get(Context.get()); }

bool KernelFixture::compile(ArrayRef<Argument> Arguments, Body Build,
                            ArrayRef<SmallVector<int64_t>> ResultOrders) {
  Args.assign(Arguments.begin(), Arguments.end());
  OpBuilder B(Context.get());
  Location Loc = B.getUnknownLoc();
  Module = ModuleOp::create(Loc);
  B.setInsertionPointToStart(Module->getBody());
  SmallVector<Type> Types;
  for (const Argument &A : Args)
    Types.push_back(A.Type);
  auto Func = func::FuncOp::create(B, Loc, "k", B.getFunctionType(Types, {}));
  Func.setPrivate();
  Func->setAttr(KernelAttrName, B.getUnitAttr());
  for (auto [I, A] : llvm::enumerate(Args))
    if (A.Constant)
      Func.setArgAttr(I, "limosa.constant", B.getUnitAttr());
  Block *Entry = Func.addEntryBlock();
  B.setInsertionPointToStart(Entry);
  CoreBuilder Core(B, Loc);
  SmallVector<Value> Results = Build(Core, Entry->getArguments());
  for (auto [V, Order] : llvm::zip(Results, ResultOrders))
    V.setType(withOrder(cast<RankedTensorType>(V.getType()), Order));
  func::ReturnOp::create(B, Loc, Results);
  Func.setType(B.getFunctionType(Types, ValueRange(Results).getTypes()));
  if (failed(verify(*Module))) {
    ADD_FAILURE() << "the kernel does not verify";
    return false;
  }

  codegen::TargetOptions Options;
  Options.Isa = Isa;
  Options.Workers = Workers;
  Options.Winograd = Winograd;
  auto Compiler = codegen::KernelCompiler::create(Context.get(), Options);
  if (!Compiler) {
    ADD_FAILURE() << toString(Compiler.takeError());
    return false;
  }
  auto Result = (*Compiler)->add(Func);
  if (!Result) {
    ADD_FAILURE() << toString(Result.takeError());
    return false;
  }
  Compiled = *Result;
  auto Bytes = (*Compiler)->finish();
  if (!Bytes) {
    ADD_FAILURE() << toString(Bytes.takeError());
    return false;
  }
  auto Loaded = LoadedImage::load(*Bytes);
  if (!Loaded) {
    ADD_FAILURE() << toString(Loaded.takeError());
    return false;
  }
  Image = std::move(*Loaded);
  return true;
}

bool KernelFixture::prepare(ArrayRef<const void *> Inputs,
                            ArrayRef<void *> Outputs,
                            const std::map<std::string, int64_t> &Symbols) {
  auto Lookup = [&](std::string_view Name) -> std::optional<int64_t> {
    auto It = Symbols.find(std::string(Name));
    return It == Symbols.end() ? std::nullopt : std::optional(It->second);
  };
  Buffers.clear();
  for (const void *In : Inputs)
    Buffers.push_back(const_cast<void *>(In));
  for (void *Out : Outputs)
    Buffers.push_back(Out);
  Packed.clear();
  for (const codegen::PackRequest &R : Compiled.Packs) {
    RankedTensorType Ty = Args[R.Operand].Type;
    ArrayRef<uint8_t> Bytes(static_cast<const uint8_t *>(Inputs[R.Operand]),
                            Ty.getNumElements() *
                                (Ty.getElementTypeBitWidth() / 8));
    auto New = codegen::packConstant(R.Spec, Ty, Bytes);
    if (!New) {
      ADD_FAILURE() << toString(New.takeError());
      return false;
    }
    // Vector loads expect the arena's alignment.
    size_t Shift = 0;
    New->resize(New->size() + 64);
    Packed.push_back(std::move(*New));
    uint8_t *Data = Packed.back().data();
    while ((reinterpret_cast<uintptr_t>(Data) + Shift) % 64)
      ++Shift;
    std::memmove(Data + Shift, Data, Packed.back().size() - 64);
    Buffers[R.Operand] = Data + Shift;
  }
  Scalars.clear();
  for (const std::string &Name : Compiled.Symbols)
    Scalars.push_back(Symbols.at(Name));
  auto GridValue = Compiled.Grid.evaluate(Lookup);
  auto ScratchBytes = Compiled.ScratchBytes.evaluate(Lookup);
  if (!GridValue || !ScratchBytes) {
    ADD_FAILURE() << "grid or scratch size has unknown symbols";
    return false;
  }
  Grid = *GridValue;
  Scratch.reset(std::aligned_alloc(64, llvm::alignTo(*ScratchBytes + 64, 64)),
                std::free);
  // No number of any type: kernels must not rely on what they did not write.
  std::memset(Scratch.get(), 0xff, *ScratchBytes);
  return true;
}

int32_t KernelFixture::runTiles(int64_t Begin, int64_t End) const {
  LimosaKernelContext Ctx = {sizeof(Ctx), Scratch.get(), 0, MathTable};
  return Image->find(Compiled.Symbol)(&Ctx, Scalars.data(), Buffers.data(),
                                      Begin, End);
}

bool KernelFixture::run(ArrayRef<const void *> Inputs, ArrayRef<void *> Outputs,
                        const std::map<std::string, int64_t> &Symbols) {
  if (!prepare(Inputs, Outputs, Symbols))
    return false;
  return runTiles(Grid / 2, Grid) == 0 && runTiles(0, Grid / 2) == 0;
}

std::vector<float> randomFloats(size_t N, unsigned Seed) {
  std::mt19937 Gen(Seed);
  std::uniform_real_distribution<float> Dist(-1, 1);
  std::vector<float> V(N);
  for (float &X : V)
    X = Dist(Gen);
  return V;
}

std::string isaTestName(const testing::TestParamInfo<std::string> &Isa) {
  std::string Name = Isa.param;
  llvm::replace(Name, '+', '_');
  return Name;
}

} // namespace limosa::test
