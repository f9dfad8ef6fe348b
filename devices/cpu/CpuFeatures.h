//===- CpuFeatures.h - What this processor can do ---------------*- C++ -*-===//
#ifndef LIMOSA_DEVICES_CPU_CPUFEATURES_H
#define LIMOSA_DEVICES_CPU_CPUFEATURES_H

#include <span>
#include <string>
#include <string_view>

namespace limosa::cpu {

/// The ISA texts (limosa/Codegen/TargetInfo.h) of code that this processor and
/// its system can run; best first. The texts are NUL terminated.
std::span<const std::string_view> features();

/// "Intel(R) Xeon(R) ..., 2 threads" or what is known.
std::string describe(unsigned Workers);

} // namespace limosa::cpu

#endif // LIMOSA_DEVICES_CPU_CPUFEATURES_H
