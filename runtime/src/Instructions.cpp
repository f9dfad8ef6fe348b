//===- Instructions.cpp - The small instructions --------------------------===//

#include "CopyTensor.h"
#include "Executor.h"

#include <cstring>

using namespace limosa;
using namespace limosa::runtime;

//===----------------------------------------------------------------------===//
// Devices
//===----------------------------------------------------------------------===//

bool Executor::finishDevice(uint32_t Device) {
  const DeviceEntry *D = I.Program->Devices[Device];
  if (int32_t Code = D->Driver->finish_queue(I.Queues[Device]))
    return fail(
        I.Ctx->deviceError(Code, std::string("device ") + D->Properties.name));
  PendingDevices &= ~(uint64_t(1) << (Device % 64));
  return true;
}

bool Executor::waitForOthers(uint32_t Device) {
  if (!(PendingDevices & ~(uint64_t(1) << (Device % 64))))
    return true;
  for (uint32_t D = 0; D < I.Queues.size(); ++D)
    if (D != Device && !finishDevice(D))
      return false;
  return true;
}

bool Executor::readBytes(uint32_t Buffer, uint64_t Offset, void *Out,
                         uint64_t Bytes) {
  if (Bytes == 0)
    return true;
  const Storage &Place = storage(Buffer);
  uint32_t Device = Code.Buffers[Buffer].Device;
  if (Place.Address)
    return waitForOthers(NoIndex) &&
           (std::memcpy(Out, Place.Address + Offset, Bytes), true);
  if (int32_t Code = I.Program->Devices[Device]->Driver->read_buffer(
          I.Queues[Device], Out, {Place.Handle, Place.Offset + Offset, Bytes}))
    return fail(I.Ctx->deviceError(Code, "cannot read " + bufferName(Buffer)));
  return true;
}

bool Executor::writeBytes(uint32_t Buffer, const void *Data, uint64_t Bytes) {
  if (Bytes == 0)
    return true;
  const Storage &Place = storage(Buffer);
  uint32_t Device = Code.Buffers[Buffer].Device;
  if (Place.Address)
    return waitForOthers(NoIndex) &&
           (std::memcpy(Place.Address, Data, Bytes), true);
  if (int32_t Code = I.Program->Devices[Device]->Driver->write_buffer(
          I.Queues[Device], {Place.Handle, Place.Offset, Bytes}, Data))
    return fail(I.Ctx->deviceError(Code, "cannot write " + bufferName(Buffer)));
  return true;
}

//===----------------------------------------------------------------------===//
// Data
//===----------------------------------------------------------------------===//

bool Executor::copy(uint32_t Src, uint32_t Dst) {
  if (!place(Src) || !place(Dst))
    return false;
  const LoweredBuffer &From = Code.Buffers[Src], &To = Code.Buffers[Dst];
  int64_t Dims[LIMOSA_MAX_RANK];
  for (size_t D = 0; D < From.Dims.size(); ++D) {
    int64_t Other;
    if (!I.evaluate(From.Dims[D], Dims[D]) || !I.evaluate(To.Dims[D], Other) ||
        Dims[D] != Other)
      return internal("a copy from " + bufferName(Src) + " to " +
                      bufferName(Dst) + ", which differ in shape");
  }
  const Storage &A = storage(Src), &B = storage(Dst);
  uint64_t Bytes = State.Buffers[Src].Bytes;
  if (Bytes == 0 || (A.Address && A.Address == B.Address))
    return true;
  std::span<const int64_t> Shape(Dims, From.Dims.size());
  if (A.Address && B.Address) {
    if (!waitForOthers(NoIndex))
      return false;
    return copyTensor(From.Type, Shape, A.Address, From.Order, B.Address,
                      To.Order) ||
           internal("a copy that reorders elements of 4 bits");
  }
  // By way of the host, in the order of the destination.
  std::vector<uint8_t> Staged(Bytes);
  const void *Data = A.Address;
  if (!A.Address) {
    if (!readBytes(Src, 0, Staged.data(), Bytes))
      return false;
    Data = Staged.data();
  }
  std::vector<uint8_t> Ordered(Bytes);
  if (!copyTensor(From.Type, Shape, Data, From.Order, Ordered.data(), To.Order))
    return internal("a copy that reorders elements of 4 bits");
  return writeBytes(Dst, Ordered.data(), Bytes);
}

bool Executor::storeExprs(uint32_t Buffer, const fb::StoreExprs &X) {
  if (!place(Buffer))
    return false;
  std::vector<int64_t> Values(X.exprs() ? X.exprs()->size() : 0);
  if (Values.size() * sizeof(int64_t) > State.Buffers[Buffer].Bytes)
    return internal("more sizes than " + bufferName(Buffer) + " has room for");
  for (uint32_t E = 0; E < Values.size(); ++E)
    if (!I.evaluate(X.exprs()->Get(E), Values[E]))
      return internal("a size is out of range");
  return writeBytes(Buffer, Values.data(), Values.size() * sizeof(int64_t));
}

bool Executor::allocate(uint32_t Buffer) {
  freeDynamic(Buffer);
  if (!bufferBytes(Buffer))
    return false;
  uint64_t Bytes = State.Buffers[Buffer].Bytes;
  uint32_t Device = Code.Buffers[Buffer].Device;
  const DeviceEntry *D = I.Program->Devices[Device];
  Storage Place;
  Place.Capacity = Bytes;
  if (D->takesAddresses())
    Place.Address = static_cast<uint8_t *>(I.Memory->allocate(Bytes));
  else if (int32_t Code =
               D->Driver->alloc_buffer(D->Handle, Bytes, &Place.Handle))
    return fail(
        I.Ctx->deviceError(Code, "cannot allocate " + bufferName(Buffer)));
  if (!Place.Address && !Place.Handle)
    return fail(outOfMemory(Bytes, bufferName(Buffer)));
  storage(Buffer) = Place;
  return true;
}

void Executor::freeDynamic(uint32_t Buffer) {
  Storage &Place = storage(Buffer);
  const DeviceEntry *D = I.Program->Devices[Code.Buffers[Buffer].Device];
  if (Place.Address)
    I.Memory->release(Place.Address, Place.Capacity);
  if (Place.Handle)
    D->Driver->free_buffer(Place.Handle);
  Place = {};
}

//===----------------------------------------------------------------------===//
// Symbols, conditions and assertions
//===----------------------------------------------------------------------===//

bool Executor::setSymbol(uint32_t Symbol, int64_t Value) {
  if (I.Symbols[Symbol] == Value)
    return true;
  I.Symbols[Symbol] = Value;
  ++I.Epoch;
  return true;
}

bool Executor::bindSymbol(uint32_t Symbol, uint32_t Buffer, uint64_t Element) {
  if (!place(Buffer))
    return false;
  int64_t Value;
  if (Element >= State.Buffers[Buffer].Bytes / sizeof(Value))
    return internal("a size outside of " + bufferName(Buffer));
  if (!readBytes(Buffer, Element * sizeof(Value), &Value, sizeof(Value)))
    return false;
  return bindValue(Symbol, Value);
}

bool Executor::bindValue(uint32_t Symbol, int64_t Value) {
  const fb::Symbol &Known = *I.Program->Table->symbols()->Get(Symbol);
  if (Value < Known.min() || Value > Known.max() || Value < 0)
    return fail({LIMOSA_STATUS_FAILED,
                 "the size " + Known.name()->str() + " came out as " +
                     std::to_string(Value) + ", outside of " +
                     std::to_string(Known.min()) + " to " +
                     std::to_string(Known.max())});
  return setSymbol(Symbol, Value);
}

bool Executor::condition(uint32_t Buffer, bool &Value) {
  if (!place(Buffer))
    return false;
  if (State.Buffers[Buffer].Bytes != 1)
    return internal("the condition " + bufferName(Buffer) +
                    " has not one element");
  uint8_t Byte;
  if (!readBytes(Buffer, 0, &Byte, 1))
    return false;
  Value = Byte != 0;
  return true;
}

bool Executor::assertAll(uint32_t Buffer, const fb::Assert &A) {
  if (!place(Buffer))
    return false;
  std::vector<uint8_t> Values(State.Buffers[Buffer].Bytes);
  if (!Values.empty() && !readBytes(Buffer, 0, Values.data(), Values.size()))
    return false;
  if (Values.empty() || !std::memchr(Values.data(), 0, Values.size()))
    return true;
  return fail({LIMOSA_STATUS_FAILED,
               A.message() ? A.message()->str() : "an assertion failed"});
}

bool Executor::assertExpr(const Instruction &In, const fb::AssertExpr &A) {
  int64_t Left = 0, Right = 0;
  if (I.evaluate(In.A, Left) && I.evaluate(In.B, Right) && Left == Right)
    return true;
  return fail({LIMOSA_STATUS_FAILED,
               (A.message() ? A.message()->str() : "sizes differ") + " (" +
                   std::to_string(Left) + " and " + std::to_string(Right) +
                   ")"});
}
