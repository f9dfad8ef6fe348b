//===- ProgramBuilder.h - Programs by hand, for tests -----------*- C++ -*-===//
#ifndef LIMOSA_TEST_UNIT_RUNTIME_PROGRAMBUILDER_H
#define LIMOSA_TEST_UNIT_RUNTIME_PROGRAMBUILDER_H

#include "limosa/Runtime/Instance.h"
#include "limosa/Schema/program_generated.h"

#include <cstring>
#include <string>
#include <vector>

namespace limosa::test {

/// The image made of Kernels.c.
const std::vector<uint8_t> &testImage();

class ProgramBuilder {
public:
  fb::ProgramT P;
  runtime::LimFileWriter Writer;

  explicit ProgramBuilder(const std::string &Device = "cpu") {
    addDevice(Device);
    P.entries.push_back(std::make_unique<fb::EntryT>());
    entry().name = "main";
    entry().body = std::make_unique<fb::BlockT>();
    Blocks.push_back(entry().body.get());
  }
  ProgramBuilder(const ProgramBuilder &) = delete;

  fb::EntryT &entry() { return *P.entries.back(); }

  uint32_t addDevice(const std::string &Name) {
    P.devices.push_back(std::make_unique<fb::DeviceT>());
    P.devices.back()->name = Name;
    return uint32_t(P.devices.size() - 1);
  }
  uint32_t expr(const std::string &Text) {
    for (size_t I = 0; I < P.exprs.size(); ++I)
      if (P.exprs[I]->text == Text)
        return uint32_t(I);
    P.exprs.push_back(std::make_unique<fb::ExprT>());
    P.exprs.back()->text = Text;
    return uint32_t(P.exprs.size() - 1);
  }
  uint32_t symbol(const std::string &Name, int64_t Min = 0,
                  int64_t Max = INT64_MAX, int64_t Divisor = 1) {
    P.symbols.push_back(std::make_unique<fb::SymbolT>());
    fb::SymbolT &S = *P.symbols.back();
    S.name = Name;
    S.min = Min;
    S.max = Max;
    S.divisor = Divisor;
    return uint32_t(P.symbols.size() - 1);
  }

  uint32_t input(const std::string &Name, DType Type,
                 std::vector<std::string> Dims) {
    entry().inputs.push_back(argument(Name, Type, Dims));
    return buffer(fb::BufferKind::Input, held(Type), Dims,
                  uint32_t(entry().inputs.size() - 1), Name);
  }
  uint32_t output(const std::string &Name, DType Type,
                  std::vector<std::string> Dims, int32_t Alias = -1,
                  bool AliasState = false) {
    auto A = argument(Name, Type, Dims);
    A->alias = Alias;
    A->alias_state = AliasState;
    entry().outputs.push_back(std::move(A));
    return buffer(fb::BufferKind::Output, held(Type), Dims,
                  uint32_t(entry().outputs.size() - 1), Name);
  }
  uint32_t temp(DType Type, std::vector<std::string> Dims,
                const std::string &Offset) {
    uint32_t B = buffer(fb::BufferKind::Temp, Type, Dims, 0);
    entry().buffers[B]->offset = expr(Offset);
    return B;
  }
  template <typename T>
  uint32_t constant(DType Type, std::vector<int64_t> Dims,
                    const std::vector<T> &Values) {
    std::vector<uint8_t> Bytes(Values.size() * sizeof(T));
    std::memcpy(Bytes.data(), Values.data(), Bytes.size());
    auto C = std::make_unique<fb::ConstantT>();
    C->dtype = uint8_t(Type);
    C->dims = Dims;
    C->size = Bytes.size();
    C->offset = Writer.addData(std::move(Bytes));
    P.constants.push_back(std::move(C));
    std::vector<std::string> Text;
    for (int64_t D : Dims)
      Text.push_back(std::to_string(D));
    return buffer(fb::BufferKind::Constant, Type, Text,
                  uint32_t(P.constants.size() - 1));
  }
  uint32_t state(const std::string &Name, DType Type,
                 std::vector<std::string> Dims, uint32_t Init = 0xffffffff) {
    P.states.push_back(std::make_unique<fb::StateT>());
    P.states.back()->name = Name;
    P.states.back()->dtype = uint8_t(Type);
    P.states.back()->dims = exprs(Dims);
    P.states.back()->init = Init;
    return uint32_t(P.states.size() - 1);
  }
  uint32_t buffer(fb::BufferKind Kind, DType Type,
                  const std::vector<std::string> &Dims, uint32_t Source,
                  const std::string &Name = "") {
    auto B = std::make_unique<fb::BufferT>();
    B->kind = Kind;
    B->dtype = uint8_t(Type);
    B->dims = exprs(Dims);
    B->source = Source;
    B->name = Name;
    entry().buffers.push_back(std::move(B));
    return uint32_t(entry().buffers.size() - 1);
  }

  uint32_t executable(uint32_t Device, const std::string &Format,
                      std::vector<uint8_t> Bytes) {
    P.executables.push_back(std::make_unique<fb::ExecutableT>());
    fb::ExecutableT &E = *P.executables.back();
    E.device = Device;
    E.format = Format;
    E.size = Bytes.size();
    E.offset = Writer.addCode(std::move(Bytes));
    return uint32_t(P.executables.size() - 1);
  }
  /// A kernel of the test image unless `Executable` says otherwise.
  uint32_t kernel(const std::string &Symbol, const std::string &Grid,
                  std::vector<fb::KernelArg> Args = {},
                  const std::string &Scratch = "0",
                  uint32_t Executable = 0xffffffff) {
    if (Executable == 0xffffffff) {
      if (TestExecutable == 0xffffffff)
        TestExecutable = executable(0, "elf-x86_64", testImage());
      Executable = TestExecutable;
    }
    P.kernels.push_back(std::make_unique<fb::KernelT>());
    fb::KernelT &K = *P.kernels.back();
    K.name = K.symbol = Symbol;
    K.executable = Executable;
    K.grid = expr(Grid);
    K.scratch = expr(Scratch);
    K.args = Args;
    K.flops = K.bytes = 0xffffffff;
    return uint32_t(P.kernels.size() - 1);
  }

  template <typename T> T &step(T Instruction) {
    auto S = std::make_unique<fb::StepT>();
    auto *Value = new T(std::move(Instruction));
    S->instr.type = fb::InstrUnionTraits<T>::enum_value;
    S->instr.value = Value;
    Blocks.back()->steps.push_back(std::move(S));
    return *Value;
  }
  void launch(uint32_t Kernel, std::vector<uint32_t> Buffers,
              std::vector<uint32_t> Symbols = {}) {
    fb::LaunchT L;
    L.kernel = Kernel;
    L.buffers = Buffers;
    L.symbols = Symbols;
    step(std::move(L));
  }
  void copy(uint32_t Src, uint32_t Dst) {
    fb::CopyT C;
    C.src = Src;
    C.dst = Dst;
    step(std::move(C));
  }
  /// Steps go to `B` until `pop`.
  void push(std::unique_ptr<fb::BlockT> &B) {
    B = std::make_unique<fb::BlockT>();
    Blocks.push_back(B.get());
  }
  void pop() { Blocks.pop_back(); }

  std::vector<uint8_t> meta() {
    flatbuffers::FlatBufferBuilder Builder;
    fb::FinishProgramBuffer(Builder, fb::Program::Pack(Builder, &P));
    return {Builder.GetBufferPointer(),
            Builder.GetBufferPointer() + Builder.GetSize()};
  }
  std::vector<uint8_t> bytes() { return Writer.bytes(meta()); }

private:
  /// What a program holds of an argument: numbers in place of strings.
  static DType held(DType Type) {
    return Type == DType::String ? DType::I64 : Type;
  }
  std::unique_ptr<fb::ArgumentT> argument(const std::string &Name, DType Type,
                                          const std::vector<std::string> &D) {
    auto A = std::make_unique<fb::ArgumentT>();
    A->name = Name;
    A->dtype = uint8_t(Type);
    A->dims = exprs(D);
    return A;
  }
  std::vector<uint32_t> exprs(const std::vector<std::string> &Texts) {
    std::vector<uint32_t> Result;
    for (const std::string &T : Texts)
      Result.push_back(expr(T));
    return Result;
  }

  std::vector<fb::BlockT *> Blocks;
  uint32_t TestExecutable = 0xffffffff;
};

/// Bytes at a 64-byte boundary, as a mapped file would be.
struct AlignedBytes {
  explicit AlignedBytes(const std::vector<uint8_t> &Bytes)
      : Storage(Bytes.size() / 64 + 1), Size(Bytes.size()) {
    std::memcpy(Storage.data(), Bytes.data(), Size);
  }
  std::span<uint8_t> span() {
    return {reinterpret_cast<uint8_t *>(Storage.data()), Size};
  }
  struct alignas(64) Line {
    uint8_t Bytes[64];
  };
  std::vector<Line> Storage;
  size_t Size;
};

/// A program loaded and made into an instance.
class Running {
public:
  explicit Running(ProgramBuilder &B, uint32_t Threads = 2,
                   std::shared_ptr<runtime::Context> C = nullptr)
      : Bytes(B.bytes()) {
    limosa_context_options Options = {};
    Options.threads = Threads;
    Ctx = C ? C : runtime::Context::create(Options, S);
    if (!S.ok())
      return;
    auto File = runtime::LimFile::fromMemory(Bytes.span(), S, true);
    if (File)
      Mod = runtime::Module::load(Ctx, File, S);
    if (Mod)
      Inst = runtime::Instance::create(Mod, S);
  }

  AlignedBytes Bytes;
  runtime::Status S;
  std::shared_ptr<runtime::Context> Ctx;
  std::shared_ptr<const runtime::Module> Mod;
  std::unique_ptr<runtime::Instance> Inst;
};

template <typename T>
limosa_tensor tensor(DType Type, std::vector<int64_t> Dims,
                     const std::vector<T> &Values) {
  limosa_tensor Result = {};
  Result.dtype = uint32_t(Type);
  Result.rank = uint32_t(Dims.size());
  std::copy(Dims.begin(), Dims.end(), Result.dims);
  Result.data = const_cast<T *>(Values.data());
  return Result;
}

template <typename T> std::vector<T> values(const limosa_tensor &Tensor) {
  std::vector<T> Result(Tensor.bytes / sizeof(T));
  if (!Result.empty())
    std::memcpy(Result.data(), Tensor.data, Tensor.bytes);
  return Result;
}

inline std::span<limosa_tensor> one(limosa_tensor &T) { return {&T, 1}; }

/// An output that gives its memory back.
struct Output : limosa_tensor {
  Output() : limosa_tensor{} {}
  ~Output() { limosa_tensor_release(this); }
  Output(const Output &) = delete;
};

} // namespace limosa::test

#endif // LIMOSA_TEST_UNIT_RUNTIME_PROGRAMBUILDER_H
