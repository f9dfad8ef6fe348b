//===- Profile.h - What ran when --------------------------------*- C++ -*-===//

#ifndef LIMOSA_RUNTIME_PROFILE_H
#define LIMOSA_RUNTIME_PROFILE_H

#include "limosa/Runtime/Context.h"

#include <string>
#include <vector>

namespace limosa::runtime {

class Module;

/// One launch. Times are nanoseconds of the host's clock.
struct LaunchRecord {
  uint32_t Kernel; ///< Index of Program.kernels.
  uint64_t Begin;
  uint64_t End;
  int64_t Flops; ///< -1: unknown
  int64_t Bytes; ///< -1: unknown
};

/// One call of a host operator.
struct HostCallRecord {
  uint32_t Entry;
  uint32_t Operator; ///< Number of the host operator among those of the entry.
  uint64_t Begin;
  uint64_t End;
};

/// A part of a launch on one lane (worker thread or stream) of its device.
struct LaneRecord {
  uint32_t Launch; ///< Index of `Launches`.
  uint32_t Lane;
  uint64_t Begin;
  uint64_t End;
};

struct RunRecord {
  uint32_t Entry;
  uint64_t Begin;
  uint64_t End;
};

class Profile final : public ProfileSink {
public:
  std::vector<RunRecord> Runs;
  std::vector<LaunchRecord> Launches;
  std::vector<HostCallRecord> HostCalls;
  std::vector<LaneRecord> Lanes;

  /// The trace as JSON for Perfetto and chrome://tracing: one track for runs
  /// and launches, one for each worker. Launches carry the kernel's template,
  /// the model's nodes, GFLOP/s and GB/s. `M` is the module that was run.
  std::string toChromeTrace(const Module &M) const;
  Status writeChromeTrace(const Module &M, const std::string &Path) const;

  void event(const limosa_profile_event &Event) override;
};

} // namespace limosa::runtime

#endif // LIMOSA_RUNTIME_PROFILE_H
