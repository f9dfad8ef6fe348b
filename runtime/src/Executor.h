//===- Executor.h - One run of an entry -------------------------*- C++ -*-===//
#ifndef LIMOSA_RUNTIME_SRC_EXECUTOR_H
#define LIMOSA_RUNTIME_SRC_EXECUTOR_H

#include "InstanceState.h"

namespace limosa::runtime {

/// Runs the code of an entry. Made for one run, after the inputs were bound.
/// Functions that return bool return false after setting `Error`.
class Executor {
public:
  Executor(InstanceState &I, uint32_t Entry,
           std::span<const limosa_tensor> Inputs,
           std::span<limosa_tensor> Outputs)
      : I(I), EntryIndex(Entry), Code(I.Program->Entries[Entry]),
        State(I.Entries[Entry]), Inputs(Inputs), Outputs(Outputs) {}

  /// Everything from placing buffers to filling in the outputs. On failure
  /// nothing that was allocated is left.
  Status run();

private:
  // Outputs.cpp: before and after the code runs.
  bool prepareArenas();
  bool prepareOutputs();
  bool prepareOutput(uint32_t Index);
  bool overlapsOther(uint32_t Output, const void *Memory, uint64_t Bytes) const;
  bool ensureOutput(uint32_t Index, uint64_t Bytes);
  bool finish();
  bool finishOutput(uint32_t Index, uint64_t &Size);
  bool restoreSwapped();
  void releaseOutputs();
  void releaseDynamic();

  // Executor.cpp
  bool execute();
  bool launch(uint32_t Index);
  bool resolveLaunch(const LoweredLaunch &L, LaunchState &S);
  bool bufferBytes(uint32_t Buffer);
  /// Makes the buffer's storage known and big enough.
  bool place(uint32_t Buffer);
  bool placeHome(uint32_t Home);
  Storage &storage(uint32_t Buffer) {
    return State.Buffers[State.Buffers[Buffer].Home].Place;
  }
  bool observe(const LoweredLaunch &L, uint32_t Index, int64_t Grid,
               std::span<const int64_t> Scalars, bool After);

  // HostOp.cpp
  struct HostCall;
  bool hostOp(uint32_t Index);

  // Instructions.cpp: everything else.
  bool copy(uint32_t Src, uint32_t Dst);
  bool bindSymbol(uint32_t Symbol, uint32_t Buffer, uint64_t Element);
  /// Gives a symbol a value that data decides, if that is a possible one.
  bool bindValue(uint32_t Symbol, int64_t Value);
  bool setSymbol(uint32_t Symbol, int64_t Value);
  bool storeExprs(uint32_t Buffer, const fb::StoreExprs &X);
  bool allocate(uint32_t Buffer);
  void freeDynamic(uint32_t Buffer);
  bool condition(uint32_t Buffer, bool &Value);
  bool assertAll(uint32_t Buffer, const fb::Assert &A);
  bool assertExpr(const Instruction &In, const fb::AssertExpr &A);
  bool readBytes(uint32_t Buffer, uint64_t Offset, void *Out, uint64_t Bytes);
  bool writeBytes(uint32_t Buffer, const void *Data, uint64_t Bytes);
  /// Waits for what other devices than `Device` still have to do.
  bool waitForOthers(uint32_t Device);
  bool finishDevice(uint32_t Device);

  bool fail(Status S) {
    Error = std::move(S);
    return false;
  }
  bool internal(const std::string &What) {
    return fail({LIMOSA_STATUS_INTERNAL, What});
  }
  std::string bufferName(uint32_t Buffer) const;

  InstanceState &I;
  const uint32_t EntryIndex;
  const LoweredEntry &Code;
  EntryState &State;
  std::span<const limosa_tensor> Inputs;
  std::span<limosa_tensor> Outputs;
  Status Error;
  uint64_t PendingDevices = 0; // bit per device (64 and above: always pending)
  // Arguments of a launch, kept to save allocations.
  std::vector<void *> Addresses;
  std::vector<limosa_binding> Bindings;
  std::vector<int64_t> Scalars;
};

} // namespace limosa::runtime

#endif // LIMOSA_RUNTIME_SRC_EXECUTOR_H
