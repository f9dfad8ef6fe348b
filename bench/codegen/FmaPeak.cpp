//===- FmaPeak.cpp - The machine's multiply-add peak ----------------------===//

#include "FmaPeak.h"

#include <chrono>
#include <immintrin.h>

namespace limosa::bench {

static double seconds() {
  return std::chrono::duration<double>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

constexpr int Chains = 12; // two ports with a latency of four need eight
constexpr int Steps = 3000;

__attribute__((target("avx2,fma"), noinline)) double fmaPeak256() {
  static __m256 Keep[Chains];
  __m256 Acc[Chains], X = _mm256_set1_ps(0.9f), Y = _mm256_set1_ps(0.1f);
  for (int I = 0; I < Chains; ++I)
    Acc[I] = Keep[I];
  double Start = seconds();
  for (int S = 0; S < Steps; ++S) {
#pragma clang loop unroll(full)
    for (int I = 0; I < Chains; ++I)
      Acc[I] = _mm256_fmadd_ps(Acc[I], X, Y);
    asm volatile("");
  }
  double Time = seconds() - Start;
  for (int I = 0; I < Chains; ++I)
    Keep[I] = Acc[I];
  return 2.0 * 8 * Chains * Steps / Time;
}

__attribute__((target("avx512f"), noinline)) double fmaPeak512() {
  static __m512 Keep[Chains];
  __m512 Acc[Chains], X = _mm512_set1_ps(0.9f), Y = _mm512_set1_ps(0.1f);
  for (int I = 0; I < Chains; ++I)
    Acc[I] = Keep[I];
  double Start = seconds();
  for (int S = 0; S < Steps; ++S) {
#pragma clang loop unroll(full)
    for (int I = 0; I < Chains; ++I)
      Acc[I] = _mm512_fmadd_ps(Acc[I], X, Y);
    asm volatile("");
  }
  double Time = seconds() - Start;
  for (int I = 0; I < Chains; ++I)
    Keep[I] = Acc[I];
  return 2.0 * 16 * Chains * Steps / Time;
}

} // namespace limosa::bench
