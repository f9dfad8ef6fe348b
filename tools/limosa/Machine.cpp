//===- Machine.cpp - What this machine can do at most ---------------------===//
//
// The roofline of Williams, Waterman and Patterson (CACM 52(4), 2009): a kernel
// is bound by the multiply-adds of the cores or by the bytes from memory.
//
//===----------------------------------------------------------------------===//

#include "Machine.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <memory>
#include <sched.h>
#include <thread>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

using namespace limosa;
using namespace limosa::tool;

namespace {

using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point Start) {
  return std::chrono::duration<double>(Clock::now() - Start).count();
}

// Twelve independent chains hide the four to five cycles of a multiply-add on
// two ports. The empty asm keeps the compiler from folding the loop.
constexpr int Chains = 12;

#if defined(__x86_64__)
__attribute__((target("avx512f"))) void fmaAvx512(int64_t Steps) {
  __m512 A[Chains], X = _mm512_set1_ps(0.999f), Y = _mm512_set1_ps(1e-3f);
  for (__m512 &V : A)
    V = _mm512_set1_ps(1.0f);
  for (int64_t I = 0; I < Steps; ++I) {
    for (__m512 &V : A)
      V = _mm512_fmadd_ps(V, X, Y);
    asm volatile("" : "+v"(X));
  }
  for (__m512 &V : A)
    asm volatile("" : : "v"(V));
}

__attribute__((target("avx2,fma"))) void fmaAvx2(int64_t Steps) {
  __m256 A[Chains], X = _mm256_set1_ps(0.999f), Y = _mm256_set1_ps(1e-3f);
  for (__m256 &V : A)
    V = _mm256_set1_ps(1.0f);
  for (int64_t I = 0; I < Steps; ++I) {
    for (__m256 &V : A)
      V = _mm256_fmadd_ps(V, X, Y);
    asm volatile("" : "+x"(X));
  }
  for (__m256 &V : A)
    asm volatile("" : : "x"(V));
}
#endif

typedef float Vector4 __attribute__((vector_size(16)));
void fmaPortable(int64_t Steps) {
  Vector4 A[Chains], X = {0.999f, 0.999f, 0.999f, 0.999f};
  for (Vector4 &V : A)
    V = X;
  for (int64_t I = 0; I < Steps; ++I)
    for (Vector4 &V : A) {
      V = V * X + X;
      asm volatile("" : "+m"(V));
    }
}

struct FmaLoop {
  const char *Isa;
  void (*Run)(int64_t);
  int Lanes;
};

FmaLoop bestFmaLoop() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f"))
    return {"avx512", fmaAvx512, 16};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return {"avx2", fmaAvx2, 8};
#endif
  return {"128-bit", fmaPortable, 4};
}

/// Seconds from a common start until all threads are done with `Work`.
double timeThreads(unsigned Threads,
                   const std::function<void(unsigned)> &Work) {
  std::atomic<unsigned> Ready = 0;
  std::atomic<bool> Go = false;
  std::vector<std::thread> Team;
  for (unsigned T = 1; T < Threads; ++T)
    Team.emplace_back([&, T] {
      ++Ready;
      while (!Go.load(std::memory_order_acquire)) {
      }
      Work(T);
    });
  while (Ready.load() + 1 < Threads) {
  }
  Clock::time_point Start = Clock::now();
  Go.store(true, std::memory_order_release);
  Work(0);
  for (std::thread &T : Team)
    T.join();
  return secondsSince(Start);
}

double sumOf(const double *Data, size_t Count) {
  typedef double Vector8 __attribute__((vector_size(64), aligned(8)));
  Vector8 Sums[4] = {};
  for (size_t I = 0; I + 32 <= Count; I += 32)
    for (int S = 0; S < 4; ++S)
      Sums[S] += *reinterpret_cast<const Vector8 *>(Data + I + 8 * S);
  Vector8 Sum = Sums[0] + Sums[1] + Sums[2] + Sums[3];
  double Total = 0;
  for (int L = 0; L < 8; ++L)
    Total += Sum[L];
  return Total;
}

} // namespace

double MachineLimits::roof(double Flops, double Bytes) const {
  return Bytes > 0 ? std::min(PeakFlops, Flops / Bytes * ReadBytes) : PeakFlops;
}

MachineLimits tool::measureMachine(unsigned Threads, double Seconds) {
  MachineLimits Limits;
  Limits.Threads = Threads;
  FmaLoop Loop = bestFmaLoop();
  Limits.Isa = Loop.Isa;
  constexpr int64_t Steps = 1 << 20;
  Clock::time_point Start = Clock::now();
  do {
    double Time = timeThreads(Threads, [&](unsigned) { Loop.Run(Steps); });
    Limits.PeakFlops = std::max(Limits.PeakFlops, 2.0 * Loop.Lanes * Chains *
                                                      Steps * Threads / Time);
  } while (secondsSince(Start) < Seconds / 2);

  // Far larger than any cache, and touched by the thread that reads it.
  constexpr size_t Count = size_t(128) << 20 >> 3;
  std::vector<std::unique_ptr<double[]>> Arrays(Threads);
  timeThreads(Threads, [&](unsigned T) {
    Arrays[T].reset(new double[Count]);
    std::fill_n(Arrays[T].get(), Count, 1.0);
  });
  Start = Clock::now();
  do {
    std::atomic<double> Sink = 0;
    double Time = timeThreads(Threads, [&](unsigned T) {
      Sink.store(sumOf(Arrays[T].get(), Count), std::memory_order_relaxed);
    });
    Limits.ReadBytes =
        std::max(Limits.ReadBytes, double(Count) * 8 * Threads / Time);
  } while (secondsSince(Start) < Seconds / 2);
  return Limits;
}

unsigned tool::availableProcessors() {
  cpu_set_t Set;
  if (sched_getaffinity(0, sizeof(Set), &Set) == 0)
    return unsigned(std::max(1, CPU_COUNT(&Set)));
  return std::max(1u, std::thread::hardware_concurrency());
}

std::string tool::processorName() {
  std::ifstream Info("/proc/cpuinfo");
  for (std::string Line; std::getline(Info, Line);)
    if (Line.starts_with("model name"))
      return Line.substr(std::min(Line.size(), Line.find(':') + 2));
  return "unknown";
}

std::vector<std::string> tool::processorFeatures() {
  std::vector<std::string> Found;
#if defined(__x86_64__)
#define LIMOSA_FEATURE(NAME)                                                   \
  if (__builtin_cpu_supports(NAME))                                            \
    Found.push_back(NAME);
  LIMOSA_FEATURE("avx2")
  LIMOSA_FEATURE("fma")
  LIMOSA_FEATURE("avx512f")
  LIMOSA_FEATURE("avx512vl")
  LIMOSA_FEATURE("avx512vnni")
  LIMOSA_FEATURE("avx512bf16")
#undef LIMOSA_FEATURE
#endif
  return Found;
}
