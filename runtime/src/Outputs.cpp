//===- Outputs.cpp - Memory before a run, results after it ----------------===//

#include "Executor.h"

#include <algorithm>
#include <cstring>

using namespace limosa;
using namespace limosa::runtime;

static uint32_t rank(const fb::Argument &A) {
  return A.dims() ? A.dims()->size() : 0;
}
static std::span<const uint32_t> dims(const fb::Argument &A) {
  return {A.dims() ? A.dims()->data() : nullptr, rank(A)};
}

//===----------------------------------------------------------------------===//
// Before
//===----------------------------------------------------------------------===//

bool Executor::prepareArenas() {
  const auto *Sizes = Code.Table->arenas();
  for (uint32_t D = 0; Sizes && D < Sizes->size(); ++D) {
    Arena &A = I.Arenas[D];
    int64_t Bytes;
    if (!I.evaluate(Sizes->Get(D), Bytes) || Bytes < 0)
      return fail(outOfMemory(UINT64_MAX, "the arena"));
    if (uint64_t(Bytes) <= A.Bytes)
      continue;
    const DeviceEntry *Device = I.Program->Devices[D];
    ++I.Epoch; // temporaries move
    if (Device->takesAddresses()) {
      I.Memory->release(A.Memory, A.Bytes);
      A = {};
      A.Memory = static_cast<uint8_t *>(I.Memory->allocate(uint64_t(Bytes)));
      if (!A.Memory)
        return fail(outOfMemory(uint64_t(Bytes), "the arena"));
    } else {
      if (A.Handle)
        Device->Driver->free_buffer(A.Handle);
      A = {};
      if (int32_t Code = Device->Driver->alloc_buffer(
              Device->Handle, uint64_t(Bytes), &A.Handle))
        return fail(I.Ctx->deviceError(Code, "cannot allocate the arena"));
    }
    A.Bytes = uint64_t(Bytes);
  }
  return true;
}

bool Executor::prepareOutputs() {
  const auto *Arguments = Code.Table->outputs();
  uint32_t Count = Arguments ? Arguments->size() : 0;
  if (Outputs.size() != Count)
    return fail(invalidArgument("'" + Code.Table->name()->str() + "' gives " +
                                std::to_string(Count) + " outputs, not " +
                                std::to_string(Outputs.size())));
  State.Outputs.assign(Count, {});
  // Inputs first: an output may lie in the memory of one.
  for (uint32_t B = 0; B < Code.Buffers.size(); ++B) {
    const LoweredBuffer &Buffer = Code.Buffers[B];
    if (Buffer.Kind != fb::BufferKind::Input)
      continue;
    const limosa_tensor &T = Inputs[Buffer.Source];
    auto Bytes = I.tensorBytes(Buffer.Type,
                               dims(*Code.Table->inputs()->Get(Buffer.Source)));
    State.Buffers[B].Place = {static_cast<uint8_t *>(T.data), nullptr, 0,
                              Bytes.value_or(0)};
  }
  for (uint32_t O = 0; O < Count; ++O)
    if (!prepareOutput(O))
      return false;
  return true;
}

bool Executor::overlapsOther(uint32_t Output, const void *Memory,
                             uint64_t Bytes) const {
  auto *Begin = static_cast<const uint8_t *>(Memory);
  auto Overlaps = [&](const void *Other, uint64_t Size) {
    auto *At = static_cast<const uint8_t *>(Other);
    return At && At < Begin + Bytes && Begin < At + Size;
  };
  for (uint32_t J = 0; J < Inputs.size(); ++J) {
    auto Size = I.tensorBytes(DType(Inputs[J].dtype),
                              dims(*Code.Table->inputs()->Get(J)));
    if (Overlaps(Inputs[J].data, Size.value_or(0)))
      return true;
  }
  for (uint32_t O = 0; O < Outputs.size(); ++O)
    if (O != Output && Overlaps(Outputs[O].data, Outputs[O].bytes))
      return true;
  return false;
}

bool Executor::prepareOutput(uint32_t Index) {
  const fb::Argument &A = *Code.Table->outputs()->Get(Index);
  limosa_tensor &T = Outputs[Index];
  OutputSlot &Slot = State.Outputs[Index];
  if (T.data && T.dtype && T.dtype != A.dtype())
    return fail(invalidArgument("output '" + A.name()->str() + "' is " +
                                std::string(dtypeName(DType(A.dtype()))) +
                                ", its memory is for " +
                                std::string(dtypeName(DType(T.dtype)))));
  if (A.alias() >= 0 && A.alias_state()) {
    const StateMemory &S = I.States[uint32_t(A.alias())];
    Slot.Memory = S.Memory;
    Slot.Capacity = S.Bytes;
    Slot.KeepInState = true;
    Slot.CopyTo = T.data;
    Slot.CopyCapacity = T.bytes;
    return true;
  }
  const limosa_tensor *Replaced =
      A.alias() >= 0 ? &Inputs[uint32_t(A.alias())] : nullptr;
  uint64_t ReplacedBytes = 0;
  if (Replaced) {
    const fb::Argument &In = *Code.Table->inputs()->Get(uint32_t(A.alias()));
    ReplacedBytes = I.tensorBytes(DType(In.dtype()), dims(In)).value_or(0);
    bool Same = T.data && T.data == Replaced->data;
    if (Same || (!T.data && (Replaced->flags & LIMOSA_TENSOR_DONATED))) {
      Slot.Memory = static_cast<uint8_t *>(Replaced->data);
      Slot.Capacity = ReplacedBytes;
      return true;
    }
  }
  if (T.data && T.owner) {
    Slot.Memory = static_cast<uint8_t *>(T.data);
    Slot.Capacity = static_cast<const OutputBlock *>(T.owner)->Bytes;
    Slot.Reused = true;
  } else if (T.data && overlapsOther(Index, T.data, T.bytes)) {
    Slot.CopyTo = T.data;
    Slot.CopyCapacity = T.bytes;
  } else if (T.data) {
    Slot.Memory = static_cast<uint8_t *>(T.data);
    Slot.Capacity = T.bytes;
  }
  if (Replaced && Code.OutputNeedsValue[Index]) {
    if (!ensureOutput(Index, ReplacedBytes))
      return false;
    if (ReplacedBytes)
      std::memcpy(Slot.Memory, Replaced->data, ReplacedBytes);
  }
  return true;
}

bool Executor::ensureOutput(uint32_t Index, uint64_t Bytes) {
  OutputSlot &Slot = State.Outputs[Index];
  if (Slot.Memory && Bytes <= Slot.Capacity)
    return true;
  const fb::Argument &A = *Code.Table->outputs()->Get(Index);
  if (Slot.Memory && !Slot.Owned && !Slot.Reused)
    return fail(invalidArgument(
        "output '" + A.name()->str() + "' takes " + std::to_string(Bytes) +
        " bytes, but its memory is " + std::to_string(Slot.Capacity)));
  if (Slot.Owned)
    I.Memory->release(Slot.Memory, Slot.Capacity);
  Slot.Memory = static_cast<uint8_t *>(I.Memory->allocate(Bytes));
  Slot.Owned = Slot.Memory != nullptr;
  Slot.Capacity = Slot.Owned ? Bytes : 0;
  return Slot.Owned ||
         fail(outOfMemory(Bytes, "output '" + A.name()->str() + "'"));
}

//===----------------------------------------------------------------------===//
// After
//===----------------------------------------------------------------------===//

bool Executor::finish() {
  for (uint32_t D = 0; D < I.Queues.size(); ++D)
    if (I.Program->Devices[D]->asynchronous() && !finishDevice(D))
      return false;
  if (State.Swapped && !restoreSwapped())
    return false;
  std::vector<uint64_t> Bytes(Outputs.size());
  for (uint32_t O = 0; O < Outputs.size(); ++O)
    if (!finishOutput(O, Bytes[O]))
      return false;
  // From here on nothing fails: hand the memory over.
  for (uint32_t O = 0; O < Outputs.size(); ++O) {
    OutputSlot &Slot = State.Outputs[O];
    limosa_tensor &T = Outputs[O];
    if (Slot.KeepInState || Slot.CopyTo) {
      if (Slot.Owned)
        I.Memory->release(Slot.Memory, Slot.Capacity);
    } else {
      if (T.data != Slot.Memory)
        limosa_tensor_release(&T); // too small for this run
      T.data = Slot.Memory;
      if (Slot.Owned)
        T.owner =
            new OutputBlock{I.Ctx->allocator(), Slot.Memory, Slot.Capacity};
    }
    T.bytes = Bytes[O];
    Slot = {};
  }
  return true;
}

/// Puts values of outputs and states that were swapped away back where they
/// belong.
bool Executor::restoreSwapped() {
  struct Move {
    uint8_t *To;
    std::vector<uint8_t> Value;
  };
  std::vector<Move> Moves;
  for (uint32_t B = 0; B < Code.Buffers.size(); ++B) {
    const LoweredBuffer &Buffer = Code.Buffers[B];
    if (State.Buffers[B].Home == B || (Buffer.Kind != fb::BufferKind::Output &&
                                       Buffer.Kind != fb::BufferKind::State))
      continue;
    if (!place(B) || !placeHome(B))
      return false;
    const Storage &From = storage(B), &To = State.Buffers[B].Place;
    uint64_t Bytes = State.Buffers[B].Bytes;
    if (Bytes > To.Capacity)
      return internal(bufferName(B) + " has grown beyond its memory");
    Moves.push_back({To.Address, {From.Address, From.Address + Bytes}});
  }
  for (const Move &M : Moves)
    if (!M.Value.empty())
      std::memcpy(M.To, M.Value.data(), M.Value.size());
  return true;
}

bool Executor::finishOutput(uint32_t Index, uint64_t &Size) {
  const fb::Argument &A = *Code.Table->outputs()->Get(Index);
  OutputSlot &Slot = State.Outputs[Index];
  limosa_tensor &T = Outputs[Index];
  auto Bytes = I.tensorBytes(DType(A.dtype()), dims(A));
  if (!Bytes)
    return internal("the size of output '" + A.name()->str() +
                    "' is not known or out of range");
  if (!ensureOutput(Index, *Bytes))
    return false;
  if (Slot.CopyTo) {
    if (*Bytes > Slot.CopyCapacity)
      return fail(invalidArgument(
          "output '" + A.name()->str() + "' takes " + std::to_string(*Bytes) +
          " bytes, but its memory is " + std::to_string(Slot.CopyCapacity)));
    if (*Bytes)
      std::memcpy(Slot.CopyTo, Slot.Memory, *Bytes);
  }
  T.dtype = A.dtype();
  T.rank = rank(A);
  for (uint32_t D = 0; D < T.rank; ++D)
    I.evaluate(A.dims()->Get(D), T.dims[D]);
  Size = *Bytes;
  return true;
}

void Executor::releaseOutputs() {
  for (OutputSlot &Slot : State.Outputs) {
    if (Slot.Owned)
      I.Memory->release(Slot.Memory, Slot.Capacity);
    Slot = {};
  }
}

void Executor::releaseDynamic() {
  for (uint32_t B = 0; B < Code.Buffers.size(); ++B) {
    State.Buffers[B].Home = Code.Buffers[B].Home;
    if (Code.Buffers[B].Kind == fb::BufferKind::Dynamic)
      freeDynamic(B);
  }
}
