//===- Instance.cpp - Running a module ------------------------------------===//

#include "limosa/Runtime/Instance.h"
#include "Executor.h"
#include "StringBoundary.h"

#include <algorithm>
#include <cstring>

using namespace limosa;
using namespace limosa::runtime;

Instance::Instance() : State(std::make_unique<InstanceState>()) {}

Instance::~Instance() {
  if (State->Sink)
    State->Ctx->removeSink(State->Sink);
}

std::unique_ptr<Instance> Instance::create(std::shared_ptr<const Module> M,
                                           Status &S) {
  std::unique_ptr<Instance> Result(new Instance);
  Result->State->Mod = std::move(M);
  S = Result->State->init();
  return S.ok() ? std::move(Result) : nullptr;
}

//===----------------------------------------------------------------------===//
// Set up and down
//===----------------------------------------------------------------------===//

std::optional<uint64_t>
InstanceState::tensorBytes(DType Type, std::span<const uint32_t> Dims) const {
  int64_t Elements = 1;
  for (uint32_t D : Dims) {
    int64_t Size;
    if (!evaluate(D, Size) || Size < 0 ||
        __builtin_mul_overflow(Elements, Size, &Elements) ||
        Elements > INT64_MAX / 128)
      return std::nullopt;
  }
  return uint64_t(dtypeBytes(Type, Elements));
}

Status InstanceState::init() {
  Program = &Mod->lowered();
  Ctx = Mod->context().get();
  Memory = Ctx->allocator().get();
  Strings = StringPool(&Program->Strings);
  const fb::Program &P = *Program->Table;
  Symbols.assign(P.symbols() ? P.symbols()->size() : 0, -1);
  Arenas.resize(Program->Devices.size());
  for (const DeviceEntry *D : Program->Devices) {
    limosa_queue *Queue = nullptr;
    if (int32_t Code = D->Driver->create_queue(D->Handle, &Queue))
      return Ctx->deviceError(Code, "cannot make a queue");
    Queues.push_back(Queue);
  }
  for (uint32_t S = 0; P.states() && S < P.states()->size(); ++S) {
    const fb::State &T = *P.states()->Get(S);
    auto Bytes =
        tensorBytes(DType(T.dtype()), {T.dims() ? T.dims()->data() : nullptr,
                                       T.dims() ? T.dims()->size() : 0});
    std::string Name = "state '" + T.name()->str() + "'";
    if (!Bytes)
      return corrupt(Name + " has a size that is out of range");
    auto *Data = static_cast<uint8_t *>(Memory->allocate(*Bytes));
    if (!Data)
      return outOfMemory(*Bytes, Name);
    States.push_back({Data, *Bytes});
    std::span<const uint8_t> Init;
    if (T.init() != NoIndex)
      Init = Mod->file().data(*P.constants()->Get(T.init()));
    if (!Init.empty() && Init.size() < *Bytes)
      return corrupt(Name + " is larger than its first value");
    if (Init.empty())
      std::memset(Data, 0, *Bytes);
    else
      std::memcpy(Data, Init.data(), *Bytes);
  }
  Entries.resize(Program->Entries.size());
  for (size_t E = 0; E < Entries.size(); ++E) {
    const LoweredEntry &Code = Program->Entries[E];
    Entries[E].Buffers.resize(Code.Buffers.size());
    Entries[E].Launches.resize(Code.Launches.size());
    for (size_t B = 0; B < Code.Buffers.size(); ++B) {
      const LoweredBuffer &Buffer = Code.Buffers[B];
      Storage &Place = Entries[E].Buffers[B].Place;
      if (Buffer.Kind == fb::BufferKind::State) {
        Place.Address = States[Buffer.Source].Memory;
        Place.Capacity = States[Buffer.Source].Bytes;
      }
      if (Buffer.Kind != fb::BufferKind::Constant)
        continue;
      auto Bytes = Mod->file().data(*P.constants()->Get(Buffer.Source));
      Place.Capacity = Bytes.size();
      for (const UploadedConstant &U : Program->Uploaded)
        if (U.Device == Buffer.Device && U.Constant == Buffer.Source)
          Place.Handle = U.Buffer;
      if (!Place.Handle) // kernels only read constants
        Place.Address = const_cast<uint8_t *>(Bytes.data());
    }
  }
  return {};
}

InstanceState::~InstanceState() {
  if (!Program)
    return;
  for (size_t D = 0; D < Queues.size(); ++D) {
    Program->Devices[D]->Driver->finish_queue(Queues[D]);
    Program->Devices[D]->Driver->destroy_queue(Queues[D]);
  }
  for (size_t D = 0; D < Arenas.size(); ++D) {
    if (Arenas[D].Handle)
      Program->Devices[D]->Driver->free_buffer(Arenas[D].Handle);
    Memory->release(Arenas[D].Memory, Arenas[D].Bytes);
  }
  for (const StateMemory &S : States)
    Memory->release(S.Memory, S.Bytes);
}

//===----------------------------------------------------------------------===//
// Use
//===----------------------------------------------------------------------===//

static Status runNumbers(InstanceState &State, uint32_t Entry,
                         std::span<const limosa_tensor> Inputs,
                         std::span<limosa_tensor> Outputs) {
  if (Status S = bindInputs(State, Entry, Inputs))
    return S;
  return Executor(State, Entry, Inputs, Outputs).run();
}

Status Instance::run(uint32_t Entry, std::span<const limosa_tensor> Inputs,
                     std::span<limosa_tensor> Outputs) {
  if (Entry >= State->Entries.size())
    return invalidArgument("there is no entry " + std::to_string(Entry));
  State->Strings.clear();
  const LoweredEntry &Code = State->Program->Entries[Entry];
  if (!Code.Strings)
    return runNumbers(*State, Entry, Inputs, Outputs);
  StringBoundary Boundary(*State, *Code.Table, Inputs, Outputs);
  if (Status S = Boundary.enter())
    return S;
  return Boundary.leave(
      runNumbers(*State, Entry, Boundary.inputs(), Boundary.outputs()));
}

Status Instance::readState(uint32_t Index, void *Data, uint64_t Bytes) const {
  if (Index >= State->States.size())
    return invalidArgument("there is no state " + std::to_string(Index));
  const StateMemory &S = State->States[Index];
  if (Bytes != S.Bytes)
    return invalidArgument("the state takes " + std::to_string(S.Bytes) +
                           " bytes, not " + std::to_string(Bytes));
  if (Bytes)
    std::memcpy(Data, S.Memory, Bytes);
  return {};
}

Status Instance::writeState(uint32_t Index, const void *Data, uint64_t Bytes) {
  if (Index >= State->States.size())
    return invalidArgument("there is no state " + std::to_string(Index));
  const StateMemory &S = State->States[Index];
  if (Bytes != S.Bytes)
    return invalidArgument("the state takes " + std::to_string(S.Bytes) +
                           " bytes, not " + std::to_string(Bytes));
  if (Bytes)
    std::memcpy(S.Memory, Data, Bytes);
  return {};
}

void Instance::setObserver(LaunchObserver Observer) {
  State->Observer = std::move(Observer);
}

Status Instance::startProfile() {
  if (State->Recording)
    return invalidArgument("a profile is already being taken");
  State->Recording = std::make_shared<Profile>();
  State->Sink = State->Ctx->addSink(State->Recording.get());
  for (size_t D = 0; D < State->Queues.size(); ++D)
    if (auto *Set = State->Program->Devices[D]->Driver->set_profiling)
      Set(State->Queues[D], 1);
  return {};
}

std::shared_ptr<const Profile> Instance::stopProfile() {
  if (!State->Recording)
    return nullptr;
  for (size_t D = 0; D < State->Queues.size(); ++D)
    if (auto *Set = State->Program->Devices[D]->Driver->set_profiling)
      Set(State->Queues[D], 0);
  State->Ctx->removeSink(State->Sink);
  State->Sink = 0;
  return std::exchange(State->Recording, nullptr);
}

const Module &Instance::module() const { return *State->Mod; }
std::span<const int64_t> Instance::symbols() const { return State->Symbols; }
uint64_t Instance::arenaBytes(uint32_t Device) const {
  return State->Arenas[Device].Bytes;
}
