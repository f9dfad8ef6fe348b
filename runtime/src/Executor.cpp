//===- Executor.cpp - The instruction loop and launches -------------------===//

#include "Executor.h"
#include "limosa/Runtime/LaunchCost.h"

#include <algorithm>

using namespace limosa;
using namespace limosa::runtime;

static uint64_t now(const Context &C) {
  return C.host()->now(C.host()->context);
}

Status Executor::run() {
  for (uint32_t B = 0; B < State.Buffers.size(); ++B)
    State.Buffers[B].Home = Code.Buffers[B].Home;
  State.Swapped = false;
  uint64_t Begin = I.Recording ? now(*I.Ctx) : 0;
  bool Ok = prepareArenas() && prepareOutputs() && execute() && finish();
  if (!Ok) {
    for (uint32_t D = 0; D < I.Queues.size(); ++D) {
      Status First = std::move(Error); // finishDevice may fail as well
      finishDevice(D);
      Error = std::move(First);
    }
    releaseOutputs();
  }
  releaseDynamic();
  if (I.Recording)
    I.Recording->Runs.push_back({EntryIndex, Begin, now(*I.Ctx)});
  return std::move(Error);
}

bool Executor::execute() {
  const std::vector<Instruction> &Program = Code.Code;
  for (size_t At = 0; At < Program.size();) {
    const Instruction &In = Program[At++];
    bool Ok = true;
    switch (In.Op) {
    case Opcode::Launch:
      Ok = launch(In.A);
      break;
    case Opcode::Copy:
      Ok = copy(In.A, In.B);
      break;
    case Opcode::BindSymbol:
      Ok = bindSymbol(In.A, In.B, In.Wide);
      break;
    case Opcode::SetSymbol: {
      int64_t Value;
      Ok = I.evaluate(In.B, Value) ? setSymbol(In.A, Value)
                                   : internal("a size is out of range");
      break;
    }
    case Opcode::StoreExprs:
      Ok = storeExprs(In.A, *static_cast<const fb::StoreExprs *>(In.Table));
      break;
    case Opcode::Alloc:
      Ok = allocate(In.A);
      break;
    case Opcode::Free:
      freeDynamic(In.A);
      break;
    case Opcode::Swap:
      Ok = place(In.A) && place(In.B);
      std::swap(State.Buffers[In.A].Home, State.Buffers[In.B].Home);
      State.Swapped = true;
      break;
    case Opcode::Jump:
      At = In.A;
      break;
    case Opcode::JumpUnless: {
      bool Value = false;
      Ok = condition(In.B, Value);
      if (!Value)
        At = In.A;
      break;
    }
    case Opcode::Assert:
      Ok = assertAll(In.A, *static_cast<const fb::Assert *>(In.Table));
      break;
    case Opcode::AssertExpr:
      Ok = assertExpr(In, *static_cast<const fb::AssertExpr *>(In.Table));
      break;
    case Opcode::HostOp:
      Ok = hostOp(In.A);
      break;
    case Opcode::Wait:
      Ok = finishDevice(In.A);
      break;
    }
    if (!Ok)
      return false;
  }
  return true;
}

//===----------------------------------------------------------------------===//
// Where buffers are
//===----------------------------------------------------------------------===//

std::string Executor::bufferName(uint32_t Buffer) const {
  const LoweredBuffer &B = Code.Buffers[Buffer];
  return *B.Name ? std::string("'") + B.Name + "'"
                 : "buffer " + std::to_string(Buffer);
}

bool Executor::bufferBytes(uint32_t Buffer) {
  BufferState &S = State.Buffers[Buffer];
  if (S.BytesEpoch == I.Epoch)
    return true;
  const LoweredBuffer &B = Code.Buffers[Buffer];
  auto Bytes = I.tensorBytes(B.Type, B.Dims);
  if (!Bytes)
    return internal("the size of " + bufferName(Buffer) +
                    " is not known or out of range");
  S.Bytes = *Bytes;
  S.BytesEpoch = I.Epoch;
  return true;
}

bool Executor::place(uint32_t Buffer) {
  uint32_t Home = State.Buffers[Buffer].Home;
  if (!bufferBytes(Buffer) || !placeHome(Home))
    return false;
  uint64_t Bytes = State.Buffers[Buffer].Bytes;
  // An output grows to what is written to it.
  if (Bytes > State.Buffers[Home].Place.Capacity &&
      Code.Buffers[Home].Kind == fb::BufferKind::Output) {
    uint32_t Output = Code.Buffers[Home].Source;
    if (!ensureOutput(Output, Bytes))
      return false;
    const OutputSlot &Slot = State.Outputs[Output];
    State.Buffers[Home].Place = {Slot.Memory, nullptr, 0, Slot.Capacity};
  }
  if (Bytes > State.Buffers[Home].Place.Capacity)
    return internal(bufferName(Buffer) + " takes " + std::to_string(Bytes) +
                    " bytes, but its memory is " +
                    std::to_string(State.Buffers[Home].Place.Capacity));
  return true;
}

bool Executor::placeHome(uint32_t Home) {
  const LoweredBuffer &B = Code.Buffers[Home];
  BufferState &S = State.Buffers[Home];
  switch (B.Kind) {
  case fb::BufferKind::Temp: {
    if (S.PlaceEpoch == I.Epoch)
      return true;
    const Arena &A = I.Arenas[B.Device];
    int64_t Offset;
    if (!I.evaluate(B.Offset, Offset) || Offset < 0 ||
        uint64_t(Offset) > A.Bytes)
      return internal(bufferName(Home) + " lies outside the arena");
    S.Place = {A.Memory ? A.Memory + Offset : nullptr, A.Handle,
               uint64_t(Offset), A.Bytes - uint64_t(Offset)};
    S.PlaceEpoch = I.Epoch;
    return true;
  }
  case fb::BufferKind::Output: {
    if (!bufferBytes(Home) || !ensureOutput(B.Source, S.Bytes))
      return false;
    const OutputSlot &Slot = State.Outputs[B.Source];
    S.Place = {Slot.Memory, nullptr, 0, Slot.Capacity};
    return true;
  }
  case fb::BufferKind::Dynamic:
    if (!S.Place.Address && !S.Place.Handle)
      return internal(bufferName(Home) + " is used before it is allocated");
    return true;
  case fb::BufferKind::Constant: // placed once, with the instance
  case fb::BufferKind::State:
  case fb::BufferKind::Input: // placed at the start of a run
  case fb::BufferKind::None:
    return true;
  }
  return true;
}

//===----------------------------------------------------------------------===//
// Launches
//===----------------------------------------------------------------------===//

bool Executor::resolveLaunch(const LoweredLaunch &L, LaunchState &S) {
  const fb::Kernel &K = *I.Program->Kernels[L.Kernel].Table;
  int64_t Scratch;
  if (!I.evaluate(K.grid(), S.Grid) || S.Grid < 0 ||
      !I.evaluate(K.scratch(), Scratch) || Scratch < 0)
    return internal("the grid of kernel " + K.name()->str() +
                    " is not known or out of range");
  S.Scratch = uint64_t(Scratch);
  int64_t Flops = 0, Bytes = 0;
  bool Known = K.flops() != NoIndex && K.bytes() != NoIndex &&
               I.evaluate(K.flops(), Flops) && I.evaluate(K.bytes(), Bytes);
  S.Cost = Known && Flops >= 0 && Bytes >= 0
               ? launchCost(uint64_t(Flops), uint64_t(Bytes))
               : 0;
  // A skipped launch may have buffers whose size makes no sense.
  if (S.Grid > 0)
    for (uint32_t B : L.Buffers)
      if (Code.Buffers[B].Kind != fb::BufferKind::None && !place(B))
        return false;
  S.Epoch = I.Epoch;
  return true;
}

bool Executor::launch(uint32_t Index) {
  const LoweredLaunch &L = Code.Launches[Index];
  LaunchState &S = State.Launches[Index];
  if (S.Epoch != I.Epoch) {
    if (!resolveLaunch(L, S))
      return false;
  } else if ((L.HasLazy || State.Swapped) && S.Grid > 0) {
    for (uint32_t B : L.Buffers)
      if (Code.Buffers[B].Kind != fb::BufferKind::None && !place(B))
        return false;
  }
  if (S.Grid == 0)
    return true;

  const LoweredKernel &K = I.Program->Kernels[L.Kernel];
  limosa_launch Launch = {};
  Launch.size = sizeof(Launch);
  Launch.executable = K.Executable;
  Launch.kernel = K.Handle;
  Launch.grid = S.Grid;
  Launch.scratch_bytes = S.Scratch;
  Launch.cost = S.Cost;
  Scalars.resize(L.Symbols.size());
  for (size_t J = 0; J < L.Symbols.size(); ++J)
    Scalars[J] = I.Symbols[L.Symbols[J]];
  Launch.scalars = Scalars.data();
  Launch.scalar_count = uint32_t(Scalars.size());
  Launch.buffer_count = uint32_t(L.Buffers.size());
  if (K.Device->takesAddresses()) {
    Addresses.resize(L.Buffers.size());
    for (size_t J = 0; J < L.Buffers.size(); ++J)
      Addresses[J] = storage(L.Buffers[J]).Address;
    Launch.addresses = Addresses.data();
  } else {
    Bindings.resize(L.Buffers.size());
    for (size_t J = 0; J < L.Buffers.size(); ++J) {
      const Storage &Place = storage(L.Buffers[J]);
      Bindings[J] = {Place.Handle, Place.Offset,
                     State.Buffers[L.Buffers[J]].Bytes};
    }
    Launch.bindings = Bindings.data();
  }
  if (!waitForOthers(K.DeviceIndex))
    return false;
  if (I.Observer && !observe(L, Index, S.Grid, Scalars, false))
    return false;

  uint32_t Record = 0;
  if (I.Recording) {
    Record = uint32_t(I.Recording->Launches.size());
    Launch.tag = uint64_t(I.Sink) << 32 | Record;
    int64_t Flops = -1, Bytes = -1;
    if (K.Table->flops() != NoIndex)
      I.evaluate(K.Table->flops(), Flops);
    if (K.Table->bytes() != NoIndex)
      I.evaluate(K.Table->bytes(), Bytes);
    I.Recording->Launches.push_back({L.Kernel, now(*I.Ctx), 0, Flops, Bytes});
  }
  if (int32_t Result =
          K.Device->Driver->launch(I.Queues[K.DeviceIndex], &Launch))
    return fail(I.Ctx->deviceError(Result, "kernel " + K.Table->name()->str()));
  if (K.Device->asynchronous()) {
    PendingDevices |= uint64_t(1) << (K.DeviceIndex % 64);
    // Times and contents are only known when it is done.
    if ((I.Recording || I.Observer) && !finishDevice(K.DeviceIndex))
      return false;
  }
  if (I.Recording)
    I.Recording->Launches[Record].End = now(*I.Ctx);
  return !I.Observer || observe(L, Index, S.Grid, Scalars, true);
}

bool Executor::observe(const LoweredLaunch &L, uint32_t Index, int64_t Grid,
                       std::span<const int64_t> Scalars, bool After) {
  std::vector<BufferView> Views;
  for (uint32_t Buffer : L.Buffers) {
    const LoweredBuffer &B = Code.Buffers[Buffer];
    BufferView View = {storage(Buffer).Address,
                       State.Buffers[Buffer].Bytes,
                       B.Type,
                       {},
                       B.Order,
                       B.Name};
    for (uint32_t D : B.Dims) {
      int64_t Size = 0;
      I.evaluate(D, Size);
      View.Dims.push_back(Size);
    }
    Views.push_back(std::move(View));
  }
  LaunchView View = {
      EntryIndex, Index,   L.Kernel, I.Program->Kernels[L.Kernel].Table,
      Grid,       Scalars, Views};
  Status S = I.Observer(View, After);
  return S.ok() || fail(std::move(S));
}
