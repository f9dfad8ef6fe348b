//===- InstanceState.h - What an instance holds -----------------*- C++ -*-===//
#ifndef LIMOSA_RUNTIME_SRC_INSTANCESTATE_H
#define LIMOSA_RUNTIME_SRC_INSTANCESTATE_H

#include "Lowered.h"
#include "limosa/Runtime/Instance.h"
#include "limosa/Runtime/Profile.h"

namespace limosa::runtime {

/// Memory a buffer refers to: an address, or a place in a device's buffer.
struct Storage {
  uint8_t *Address = nullptr;
  limosa_buffer *Handle = nullptr;
  uint64_t Offset = 0;
  uint64_t Capacity = 0;
};

/// What is remembered about a buffer between launches. `Epoch` is the
/// instance's at the time it was computed.
struct BufferState {
  uint64_t Bytes = 0;
  uint64_t BytesEpoch = 0;
  uint64_t PlaceEpoch = 0;
  /// The buffer whose storage this one refers to: itself until swapped.
  uint32_t Home = 0;
  Storage Place; // as a home
};

struct LaunchState {
  int64_t Grid = 0;
  uint64_t Scratch = 0;
  uint64_t Cost = 0;
  uint64_t Epoch = 0;
};

/// Where an output goes.
struct OutputSlot {
  uint8_t *Memory = nullptr; // null until it is known how much is needed
  uint64_t Capacity = 0;
  bool Owned = false;       // Memory was allocated here
  bool KeepInState = false; // replaces a state
  bool Reused = false;      // Memory is the tensor's own, of an earlier run
  void *CopyTo = nullptr;   // the user's memory, if Memory is another
  uint64_t CopyCapacity = 0;
};

struct EntryState {
  std::vector<BufferState> Buffers;
  std::vector<LaunchState> Launches;
  std::vector<OutputSlot> Outputs;
  bool Swapped = false;
};

struct Arena {
  uint8_t *Memory = nullptr;
  limosa_buffer *Handle = nullptr;
  uint64_t Bytes = 0;
};

struct StateMemory {
  uint8_t *Memory = nullptr;
  uint64_t Bytes = 0;
};

/// Behind limosa_tensor.owner.
struct OutputBlock {
  std::shared_ptr<const Allocator> From;
  void *Memory;
  uint64_t Bytes;
};

struct InstanceState {
  std::shared_ptr<const Module> Mod;
  const LoweredProgram *Program = nullptr;
  Context *Ctx = nullptr;
  const Allocator *Memory = nullptr;

  std::vector<limosa_queue *> Queues; // per device of the program
  std::vector<Arena> Arenas;          // likewise
  std::vector<StateMemory> States;
  std::vector<EntryState> Entries;

  /// Values of the program's symbols. `Epoch` grows when one changes or memory
  /// moves, so that everything computed from them is computed again.
  std::vector<int64_t> Symbols;
  uint64_t Epoch = 1;
  StringPool Strings;

  LaunchObserver Observer;
  std::shared_ptr<Profile> Recording;
  uint32_t Sink = 0;

  ~InstanceState();
  Status init();
  /// The bytes of a tensor; nullopt if a dimension is negative or unknown, or
  /// the product too large.
  std::optional<uint64_t> tensorBytes(DType Type,
                                      std::span<const uint32_t> Dims) const;
  bool evaluate(uint32_t Expr, int64_t &Out) const {
    return Program->Exprs[Expr].evaluate(Symbols.data(), Out);
  }
};

/// Checks the inputs against the entry and sets the symbols (Bind.cpp).
Status bindInputs(InstanceState &I, uint32_t Entry,
                  std::span<const limosa_tensor> Inputs);
/// "f32[N, 3, 224]".
std::string describeArgument(const fb::Program &P, const fb::Argument &A);

} // namespace limosa::runtime

#endif // LIMOSA_RUNTIME_SRC_INSTANCESTATE_H
