//===- Machine.h - What this machine can do at most -------------*- C++ -*-===//

#ifndef LIMOSA_TOOLS_MACHINE_H
#define LIMOSA_TOOLS_MACHINE_H

#include <cstdint>
#include <string>
#include <vector>

namespace limosa::tool {

/// The roofline of this machine for a number of threads.
struct MachineLimits {
  unsigned Threads = 1;
  std::string Isa;      ///< What the peak was measured with.
  double PeakFlops = 0; ///< f32 multiply-adds, counted as two.
  double ReadBytes = 0; ///< Bytes a second from memory.

  /// The most that a kernel of `Flops` and `Bytes` can reach, in flops a
  /// second.
  double roof(double Flops, double Bytes) const;
};

/// Measures for about `Seconds`, best of several tries.
MachineLimits measureMachine(unsigned Threads, double Seconds = 0.6);

/// Processors that this process may run on.
unsigned availableProcessors();
/// The processor's name, or "unknown".
std::string processorName();
/// Instruction sets that matter to generated code, e.g. "avx2", "avx512f".
std::vector<std::string> processorFeatures();

} // namespace limosa::tool

#endif // LIMOSA_TOOLS_MACHINE_H
