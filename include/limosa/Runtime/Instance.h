//===- Instance.h - Running a module ----------------------------*- C++ -*-===//

#ifndef LIMOSA_RUNTIME_INSTANCE_H
#define LIMOSA_RUNTIME_INSTANCE_H

#include "limosa/Runtime/Module.h"
#include "limosa/Support/DType.h"

#include <functional>
#include <span>

namespace limosa {
namespace fb {
struct Kernel;
}

namespace runtime {

class Profile;
struct InstanceState;

/// A buffer as a launch sees it.
struct BufferView {
  void *Data; ///< Null if the host does not see the memory.
  uint64_t Bytes;
  DType Type;
  std::vector<int64_t> Dims;
  std::span<const uint8_t> Order; ///< Physical order; empty for row-major.
  std::string_view Name;          ///< The model's name, or "".
};

/// A launch about to start, or just done. Valid during the call.
struct LaunchView {
  uint32_t Entry;
  uint32_t Launch; ///< Number of the launch among those of the entry.
  uint32_t KernelIndex;
  const fb::Kernel *Kernel;
  int64_t Grid;
  std::span<const int64_t> Scalars;
  std::span<const BufferView> Buffers;
};

/// Called before (`After` false) and after every launch; an error ends the run
/// and is returned by it.
using LaunchObserver = std::function<Status(const LaunchView &, bool After)>;

/// States, arenas and queues of one user of a module. One thread at a time;
/// instances run concurrently.
class Instance {
public:
  static std::unique_ptr<Instance> create(std::shared_ptr<const Module> M,
                                          Status &S);
  ~Instance();
  Instance(const Instance &) = delete;
  Instance &operator=(const Instance &) = delete;

  /// See limosa_run.
  Status run(uint32_t Entry, std::span<const limosa_tensor> Inputs,
             std::span<limosa_tensor> Outputs);
  Status readState(uint32_t Index, void *Data, uint64_t Bytes) const;
  Status writeState(uint32_t Index, const void *Data, uint64_t Bytes);

  void setObserver(LaunchObserver Observer);
  /// Records all runs until `stopProfile`, which returns what was recorded
  /// (null if nothing was started).
  Status startProfile();
  std::shared_ptr<const Profile> stopProfile();

  const Module &module() const;
  /// The values of the module's symbols after the last run; -1: never known.
  std::span<const int64_t> symbols() const;
  /// Bytes of the arena of a device (an index of Program.devices) so far.
  uint64_t arenaBytes(uint32_t Device) const;

private:
  Instance();
  std::unique_ptr<InstanceState> State;
};

} // namespace runtime
} // namespace limosa

#endif // LIMOSA_RUNTIME_INSTANCE_H
