//===- KernelCheck.cpp - Kernels against the reference interpreter --------===//

#include "KernelCheck.h"
#include "Harness.h"
#include "limosa/Codegen/KernelBuilder.h"
#include "limosa/IR/LimosaDialect.h"
#include "limosa/IR/Serialize.h"
#include "limosa/Reference/Interpreter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <sys/mman.h>

using namespace mlir;
using namespace limosa;
using namespace limosa::codegen;
using reference::Tensor;

namespace limosa::test {

namespace {

/// Memory that ends where a page begins that must not be touched.
class GuardedBuffer {
public:
  explicit GuardedBuffer(size_t Bytes) {
    Size = (Bytes + 4095) / 4096 * 4096 + 3 * 4096;
    Map = static_cast<uint8_t *>(mmap(nullptr, Size, PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    std::memset(Map, 0xCD, Size);
    mprotect(Map + Size - 4096, 4096, PROT_NONE);
    mprotect(Map, 4096, PROT_NONE);
    Data = Map + Size - 4096 - Bytes;
  }
  ~GuardedBuffer() { munmap(Map, Size); }
  GuardedBuffer(const GuardedBuffer &) = delete;
  uint8_t *Data;

private:
  uint8_t *Map;
  size_t Size;
};

reference::Shape shapeOf(Type Ty, const KernelCheck &Check) {
  reference::Shape Shape;
  for (const DimExpr &E : getDims(Ty)) {
    auto V = E.evaluate([&](std::string_view S) -> std::optional<int64_t> {
      auto It = Check.Symbols.find(std::string(S));
      if (It == Check.Symbols.end())
        return std::nullopt;
      return It->second;
    });
    EXPECT_TRUE(V) << "no value for " << E.toString();
    Shape.push_back(V.value_or(0));
  }
  return Shape;
}

DType dtypeOf(Type Ty) { return getDType(getElementTypeOrSelf(Ty)); }

template <typename E>
void fill(Tensor &T, std::mt19937 &Rng, double Lo, double Hi) {
  // Narrow integers can't hold what wide ones are tested with.
  if constexpr (std::is_integral_v<E>) {
    Lo = std::max(Lo, double(std::numeric_limits<E>::min()));
    Hi = std::min(Hi, double(std::numeric_limits<E>::max()));
  }
  std::uniform_real_distribution<double> Real(Lo, Hi);
  for (int64_t I = 0; I < T.elements(); ++I)
    T.as<E>()[I] = E(Real(Rng));
}

uint16_t bf16Of(float F) {
  uint32_t Bits;
  std::memcpy(&Bits, &F, 4);
  return uint16_t((Bits + 0x7FFF + ((Bits >> 16) & 1)) >> 16);
}

void fillRandom(Tensor &T, std::mt19937 &Rng, double Range) {
  DTypeClass C = dtypeClass(T.dtype());
  double Lo = C == DTypeClass::Signed || C == DTypeClass::Float ? -Range : 0;
  double Hi = C == DTypeClass::Float ? Range : Range + 0.999;
  switch (T.dtype()) {
  case DType::F32:
    return fill<float>(T, Rng, Lo, Hi);
  case DType::F64:
    return fill<double>(T, Rng, Lo, Hi);
  case DType::F16:
    return fill<_Float16>(T, Rng, Lo, Hi);
  case DType::BF16: {
    std::uniform_real_distribution<float> Real(Lo, Hi);
    for (int64_t I = 0; I < T.elements(); ++I)
      T.as<uint16_t>()[I] = bf16Of(Real(Rng));
    return;
  }
  case DType::I8:
    return fill<int8_t>(T, Rng, Lo, Hi);
  case DType::I16:
    return fill<int16_t>(T, Rng, Lo, Hi);
  case DType::I32:
    return fill<int32_t>(T, Rng, Lo, Hi);
  case DType::I64:
    return fill<int64_t>(T, Rng, Lo, Hi);
  case DType::U8:
    return fill<uint8_t>(T, Rng, Lo, Hi);
  case DType::U16:
    return fill<uint16_t>(T, Rng, Lo, Hi);
  case DType::U32:
    return fill<uint32_t>(T, Rng, Lo, Hi);
  case DType::U64:
    return fill<uint64_t>(T, Rng, Lo, Hi);
  case DType::Bool:
    return fill<uint8_t>(T, Rng, 0, 1.999);
  default: { // fp8 and 4-bit: any bits
    uint8_t Mask = dtypeBits(T.dtype()) == 4 ? 15 : 255;
    for (int64_t I = 0; I < T.elements(); ++I)
      T.data()[I] = uint8_t(Rng()) & Mask;
  }
  }
}

/// Calls F(logical linear position, physical linear position).
template <typename Fn>
void forPhysical(const reference::Shape &Shape, ArrayRef<int64_t> Order, Fn F) {
  int64_t Count = 1;
  for (int64_t D : Shape)
    Count *= D;
  SmallVector<int64_t> Strides(Shape.size());
  int64_t Step = 1;
  for (int64_t D : llvm::reverse(Order)) {
    Strides[D] = Step;
    Step *= Shape[D];
  }
  SmallVector<int64_t> At(Shape.size());
  for (int64_t I = 0; I < Count; ++I) {
    int64_t Rest = I, Physical = 0;
    for (int64_t D = int64_t(Shape.size()) - 1; D >= 0; --D) {
      Physical += Rest % Shape[D] * Strides[D];
      Rest /= Shape[D];
    }
    F(I, Physical);
  }
}

void toMemory(const Tensor &T, Type Ty, uint8_t *Out) {
  if (dtypeBits(T.dtype()) < 8) {
    T.pack(Out);
    return;
  }
  int64_t Bytes = reference::elementBytes(T.dtype());
  forPhysical(T.dims(), getOrder(Ty), [&](int64_t L, int64_t P) {
    std::memcpy(Out + P * Bytes, T.data() + L * Bytes, Bytes);
  });
}

Tensor fromMemory(Type Ty, const reference::Shape &Shape, const uint8_t *In) {
  DType T = dtypeOf(Ty);
  if (dtypeBits(T) < 8)
    return Tensor::fromPacked(T, Shape, In);
  Tensor Result = Tensor::make(T, Shape);
  int64_t Bytes = reference::elementBytes(T);
  forPhysical(Shape, getOrder(Ty), [&](int64_t L, int64_t P) {
    std::memcpy(Result.data() + L * Bytes, In + P * Bytes, Bytes);
  });
  return Result;
}

double valueAt(const Tensor &T, int64_t I) {
  switch (T.dtype()) {
  case DType::F32:
    return T.as<float>()[I];
  case DType::F64:
    return T.as<double>()[I];
  case DType::F16:
    return double(T.as<_Float16>()[I]);
  case DType::BF16: {
    uint32_t Bits = uint32_t(T.as<uint16_t>()[I]) << 16;
    float F;
    std::memcpy(&F, &Bits, 4);
    return F;
  }
  default:
    return 0;
  }
}

void compare(const Tensor &Got, const Tensor &Want, double Tolerance,
             unsigned Output) {
  ASSERT_EQ(Got.dims(), Want.dims());
  bool Float = Want.dtype() == DType::F32 || Want.dtype() == DType::F64 ||
               Want.dtype() == DType::F16 || Want.dtype() == DType::BF16;
  if (Want.dtype() == DType::F16)
    Tolerance = std::max(Tolerance, 2e-3);
  if (Want.dtype() == DType::BF16)
    Tolerance = std::max(Tolerance, 1.6e-2);
  int64_t Bytes = reference::elementBytes(Want.dtype());
  for (int64_t I = 0; I < Want.elements(); ++I) {
    if (!Float) {
      int64_t A = 0, B = 0;
      std::memcpy(&A, Got.data() + I * Bytes, Bytes);
      std::memcpy(&B, Want.data() + I * Bytes, Bytes);
      ASSERT_EQ(A, B) << "output " << Output << " element " << I;
      continue;
    }
    double A = valueAt(Got, I), B = valueAt(Want, I);
    if (std::isnan(A) && std::isnan(B))
      continue;
    if (A == B)
      continue;
    ASSERT_LE(std::abs(A - B), Tolerance * std::max(1.0, std::abs(B)))
        << "output " << Output << " element " << I << ": " << A << ", not "
        << B;
  }
}

int64_t evaluate(const DimExpr &E, const KernelCheck &Check) {
  return E
      .evaluate([&](std::string_view S) -> std::optional<int64_t> {
        auto It = Check.Symbols.find(std::string(S));
        return It == Check.Symbols.end() ? std::nullopt
                                         : std::optional<int64_t>(It->second);
      })
      .value_or(-1);
}

void runOne(func::FuncOp Func, const std::string &Isa, const KernelCheck &Check,
            const std::vector<Tensor> &Inputs,
            const std::vector<Tensor> &Want) {
  SCOPED_TRACE(Isa);
  TargetOptions Options;
  Options.Isa = Isa;
  Options.Workers = Check.Workers;
  auto Compiler = KernelCompiler::create(Func.getContext(), Options);
  ASSERT_TRUE(bool(Compiler)) << toString(Compiler.takeError());
  auto Kernel = (*Compiler)->add(Func, Check.Ways);
  ASSERT_TRUE(bool(Kernel)) << toString(Kernel.takeError());
  if (!Check.Template.empty())
    EXPECT_EQ(Kernel->Template, Check.Template);
  EXPECT_LE(Kernel->Remarks.size(), Check.MaxRemarks)
      << llvm::join(Kernel->Remarks, "; ");
  if (std::getenv("LIMOSA_TEST_PRINT_LOOPS"))
    (*Compiler)->loops().dump();
  auto Image = (*Compiler)->finish();
  ASSERT_TRUE(bool(Image)) << toString(Image.takeError());
  auto Loaded = LoadedImage::load(*Image);
  ASSERT_TRUE(bool(Loaded)) << toString(Loaded.takeError());

  std::vector<std::unique_ptr<GuardedBuffer>> Buffers;
  SmallVector<void *> Pointers;
  auto Add = [&](size_t Bytes) {
    Buffers.push_back(std::make_unique<GuardedBuffer>(Bytes));
    Pointers.push_back(Buffers.back()->Data);
  };
  for (auto [I, T, Ty] : llvm::enumerate(Inputs, Func.getArgumentTypes())) {
    std::vector<uint8_t> Bytes(T.packedBytes());
    toMemory(T, Ty, Bytes.data());
    for (const PackRequest &Pack : Kernel->Packs)
      if (Pack.Operand == I) {
        auto Packed =
            codegen::packConstant(Pack.Spec, cast<RankedTensorType>(Ty), Bytes);
        ASSERT_TRUE(bool(Packed)) << toString(Packed.takeError());
        Bytes = std::move(*Packed);
        Bytes.resize(llvm::alignTo(Bytes.size(), 64)); // panels are aligned
      }
    Add(Bytes.size());
    llvm::copy(Bytes, static_cast<uint8_t *>(Buffers.back()->Data));
  }
  for (auto [O, T] : llvm::enumerate(Want)) {
    if (O < Check.Donate.size() && Check.Donate[O] >= 0)
      Pointers.push_back(Pointers[Check.Donate[O]]);
    else
      Add(T.packedBytes());
  }
  SmallVector<int64_t> Scalars;
  for (const std::string &S : Kernel->Symbols)
    Scalars.push_back(Check.Symbols.at(S));
  int64_t Grid = evaluate(Kernel->Grid, Check);
  int64_t Scratch = evaluate(Kernel->ScratchBytes, Check);
  ASSERT_GE(Grid, 0);
  ASSERT_GE(Scratch, 0);
  // The second half first: tiles are independent.
  int64_t Half = Grid / 2;
  if (Half < Grid)
    ASSERT_EQ(
        (*Loaded)->run(Kernel->Symbol, Scalars, Pointers, Half, Grid, Scratch),
        0);
  if (Half > 0)
    ASSERT_EQ(
        (*Loaded)->run(Kernel->Symbol, Scalars, Pointers, 0, Half, Scratch), 0);
  for (auto [I, T] : llvm::enumerate(Want)) {
    const auto *Data =
        static_cast<const uint8_t *>(Pointers[Inputs.size() + I]);
    Tensor Got = fromMemory(Func.getResultTypes()[I], T.dims(), Data);
    compare(Got, T, Check.Tolerance, I);
    for (unsigned B = 1; B <= 32; ++B)
      ASSERT_EQ(Data[-int(B)], 0xCD) << "written before the output";
  }
}

} // namespace

std::vector<Choice> checkEveryWay(const std::string &Text,
                                  const KernelCheck &Check) {
  std::vector<Choice> All;
  for (const std::string &Isa : allIsas()) {
    auto Context = makeContext();
    Context->loadDialect<LimosaDialect, func::FuncDialect>();
    auto Module = parseSourceString<ModuleOp>(Text, Context.get());
    TargetOptions Options;
    Options.Isa = Isa;
    Options.Workers = Check.Workers;
    auto Compiler = KernelCompiler::create(Context.get(), Options);
    if (!Module || !Compiler) {
      ADD_FAILURE() << "no kernel or no compiler";
      return {};
    }
    auto Kernel = (*Compiler)->add(Module->lookupSymbol<func::FuncOp>("k"));
    if (!Kernel) {
      ADD_FAILURE() << toString(Kernel.takeError());
      return {};
    }
    for (const Choice &C : Kernel->Choices) {
      EXPECT_GE(C.Ways.size(), 2u) << C.Name;
      EXPECT_EQ(C.Taken, C.estimate()) << C.Name;
      for (const std::string &Way : C.Ways) {
        SCOPED_TRACE(C.Name + "=" + Way);
        KernelCheck One = Check;
        One.Isas = {Isa};
        One.Ways = {{C.Name, Way}};
        checkKernel(Text, One);
      }
    }
    llvm::append_range(All, Kernel->Choices);
  }
  return All;
}

void checkKernel(const std::string &Text, const KernelCheck &Check) {
  SCOPED_TRACE(Text);
  auto Context = makeContext();
  Context->loadDialect<LimosaDialect, func::FuncDialect>();
  auto Module = parseSourceString<ModuleOp>(Text, Context.get());
  ASSERT_TRUE(bool(Module));
  auto Func = Module->lookupSymbol<func::FuncOp>("k");
  ASSERT_TRUE(bool(Func));

  std::mt19937 Rng(Check.Seed);
  std::vector<Tensor> Inputs, Want;
  for (Type Ty : Func.getArgumentTypes()) {
    Inputs.push_back(Tensor::make(dtypeOf(Ty), shapeOf(Ty, Check)));
    fillRandom(Inputs.back(), Rng, Check.Range);
  }
  auto Bytes = serializeGraph(Func);
  ASSERT_TRUE(bool(Bytes)) << toString(Bytes.takeError());
  const auto *Graph = flatbuffers::GetRoot<fb::Graph>(Bytes->data());
  std::vector<int64_t> Symbols;
  if (Graph->symbols())
    for (const fb::Symbol *S : *Graph->symbols()) {
      auto It = Check.Symbols.find(S->name()->str());
      Symbols.push_back(It == Check.Symbols.end() ? 0 : It->second);
    }
  reference::EvaluateOptions Options;
  Options.Symbols = Symbols;
  reference::Status S = reference::evaluate(*Graph, Inputs, Want, Options);
  ASSERT_TRUE(S.ok()) << S.Message;
  for (const std::string &Isa : Check.Isas.empty() ? allIsas() : Check.Isas)
    runOne(Func, Isa, Check, Inputs, Want);
}

} // namespace limosa::test
