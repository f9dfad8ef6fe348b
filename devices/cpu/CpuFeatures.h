//===- CpuFeatures.h - What this processor can do -------------------*- C++
//-*-===//
#ifndef LIMOSA_DEVICES_CPU_CPUFEATURES_H
#define LIMOSA_DEVICES_CPU_CPUFEATURES_H

#include <span>
#include <string>
#include <string_view>

namespace limosa::cpu {

/// The features kernels may ask for that this processor (and the system, which
/// has to save the registers) has; best first. The texts are NUL terminated.
std::span<const std::string_view> features();

/// "Intel(R) Xeon(R) ..., 2 threads" or what is known.
std::string describe(unsigned Workers);

} // namespace limosa::cpu

#endif // LIMOSA_DEVICES_CPU_CPUFEATURES_H
