//===- LaunchCost.h - How long a launch may take ----------------*- C++ -*-===//
#ifndef LIMOSA_RUNTIME_LAUNCHCOST_H
#define LIMOSA_RUNTIME_LAUNCHCOST_H

#include <cstdint>

namespace limosa::runtime {

/// limosa_launch.cost of a kernel: nanoseconds on one worker, assuming neither
/// fast arithmetic nor cached data. What is called short must be short.
inline uint64_t launchCost(uint64_t Flops, uint64_t Bytes) {
  return Flops / 16 + Bytes / 8 + 1;
}

} // namespace limosa::runtime

#endif // LIMOSA_RUNTIME_LAUNCHCOST_H
