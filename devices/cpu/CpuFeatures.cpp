//===- CpuFeatures.cpp - What this processor can do -----------------------===//

#include "CpuFeatures.h"
#include "limosa/Support/TilePermission.h"

#include <cstring>
#include <vector>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

using namespace limosa::cpu;

#if defined(__x86_64__)
/// AMX with products of bf16, from the processor alone.
static bool hasTiles() {
  unsigned A, B, C, D;
  constexpr unsigned AmxBf16 = 1u << 22, AmxTile = 1u << 24;
  return __get_cpuid_count(7, 0, &A, &B, &C, &D) && (D & AmxBf16) &&
         (D & AmxTile);
}
#endif

static std::vector<std::string_view> detect() {
  std::vector<std::string_view> Result;
#if defined(__x86_64__)
  __builtin_cpu_init();
  bool Avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
              __builtin_cpu_supports("f16c");
  bool Avx512 = Avx2 && __builtin_cpu_supports("avx512f") &&
                __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512dq") &&
                __builtin_cpu_supports("avx512vl");
  bool Vnni512 = Avx512 && __builtin_cpu_supports("avx512vnni");
  bool Bf16 = Vnni512 && __builtin_cpu_supports("avx512bf16");
  if (Bf16 && hasTiles() && limosa::mayUseTiles())
    Result.push_back("avx512+vnni+bf16+amx");
  if (Bf16)
    Result.push_back("avx512+vnni+bf16");
  if (Vnni512)
    Result.push_back("avx512+vnni");
  if (Avx512)
    Result.push_back("avx512");
  if (Avx2 && __builtin_cpu_supports("avxvnni"))
    Result.push_back("avx2+vnni");
  if (Avx2)
    Result.push_back("avx2");
#endif
  return Result;
}

std::span<const std::string_view> limosa::cpu::features() {
  static const std::vector<std::string_view> Features = detect();
  return Features;
}

std::string limosa::cpu::describe(unsigned Workers) {
  std::string Name = "CPU";
#if defined(__x86_64__)
  char Brand[49] = {};
  for (unsigned I = 0; I < 3; ++I) {
    unsigned R[4];
    if (!__get_cpuid(0x80000002 + I, &R[0], &R[1], &R[2], &R[3]))
      break;
    std::memcpy(Brand + 16 * I, R, sizeof(R));
  }
  std::string_view Text(Brand);
  while (!Text.empty() && Text.front() == ' ')
    Text.remove_prefix(1);
  while (!Text.empty() && Text.back() == ' ')
    Text.remove_suffix(1);
  if (!Text.empty())
    Name = Text;
#endif
  return Name + ", " + std::to_string(Workers) +
         (Workers == 1 ? " thread" : " threads");
}
