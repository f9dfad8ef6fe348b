//===- ThreadPool.cpp - Workers that split tiles --------------------------===//

#include "ThreadPool.h"

#include <algorithm>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

using namespace limosa::runtime;

namespace {

inline void relax() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("isb");
#endif
}

// About 50 microseconds where a pause is 140 cycles, 20 where it is 60.
constexpr int SpinsBeforeSleep = 1000;
// A caller that waits longer than this lets others have its processor.
constexpr int SpinsBeforeYield = 4000;

void futex(std::atomic<uint32_t> &Word, int Operation, uint32_t Value) {
  static_assert(sizeof(Word) == sizeof(uint32_t));
  syscall(SYS_futex, &Word, Operation, Value, nullptr, nullptr, 0);
}

} // namespace

uint32_t ThreadPool::availableProcessors() {
  cpu_set_t Set;
  if (sched_getaffinity(0, sizeof(Set), &Set) == 0)
    return uint32_t(std::max(1, CPU_COUNT(&Set)));
  return std::max(1u, std::thread::hardware_concurrency());
}

ThreadPool::ThreadPool(uint32_t Workers, HostParallelFor Host, void *User)
    : Workers(std::max(1u, Workers)), Host(Host), User(User) {
  if (Host)
    return;
  Shares = std::make_unique<Share[]>(this->Workers);
  Threads.reserve(this->Workers - 1);
  for (uint32_t W = 1; W < this->Workers; ++W)
    Threads.emplace_back([this, W] { work(W); });
}

ThreadPool::~ThreadPool() {
  F = nullptr; // tells the workers to leave
  ++Job;
  for (uint32_t W = 1; W <= Threads.size(); ++W) {
    Shares[W].State.store(2 * Job + 1);
    Shares[W].Asleep.store(0);
    futex(Shares[W].Asleep, FUTEX_WAKE_PRIVATE, 1);
  }
  for (std::thread &T : Threads)
    T.join();
}

bool ThreadPool::claim(Share &S, uint64_t Open) {
  return S.State.compare_exchange_strong(
      Open, Open - 1, std::memory_order_acquire, std::memory_order_relaxed);
}

void ThreadPool::runShare(uint32_t Worker, uint32_t Index) {
  // Count * Index may not fit 64 bits; split by quotient and remainder.
  int64_t Quotient = Count / Parts, Rest = Count % Parts;
  auto Bound = [&](int64_t I) { return Quotient * I + std::min(I, Rest); };
  F(Argument, Worker, Bound(Index), Bound(int64_t(Index) + 1));
}

void ThreadPool::work(uint32_t Worker) {
  Share &Mine = Shares[Worker];
  for (;;) {
    int Spins = 0;
    uint64_t State;
    while (!((State = Mine.State.load(std::memory_order_relaxed)) & 1)) {
      if (++Spins < SpinsBeforeSleep) {
        relax();
        continue;
      }
      // Whoever opens the share looks at Asleep afterwards; both orders are
      // sequentially consistent, so one of us sees the other.
      Mine.Asleep.store(1);
      if (!(Mine.State.load() & 1))
        futex(Mine.Asleep, FUTEX_WAIT_PRIVATE, 1);
      Mine.Asleep.store(0);
      Spins = 0;
    }
    if (!claim(Mine, State))
      continue;
    if (!F)
      return;
    runShare(Worker, Worker);
    Pending.fetch_sub(1, std::memory_order_release);
  }
}

void ThreadPool::steal(uint32_t Worker) {
  for (uint32_t W = 1; W < Parts; ++W) {
    if (Shares[W].State.load(std::memory_order_relaxed) != 2 * Job + 1 ||
        !claim(Shares[W], 2 * Job + 1))
      continue;
    runShare(Worker, W);
    Pending.fetch_sub(1, std::memory_order_relaxed);
  }
}

void ThreadPool::parallelFor(int64_t N, Body Function, void *Arg) {
  if (N <= 0)
    return;
  if (N == 1 || Workers == 1 ||
      Busy.exchange(true, std::memory_order_acquire)) {
    Function(Arg, 0, 0, N);
    return;
  }
  if (Host) {
    runOnHost(N, Function, Arg);
    Busy.store(false, std::memory_order_release);
    return;
  }
  F = Function;
  Argument = Arg;
  Count = N;
  Parts = uint32_t(std::min<int64_t>(N, Workers));
  ++Job;
  Pending.store(Parts - 1, std::memory_order_relaxed);
  for (uint32_t W = 1; W < Parts; ++W)
    Shares[W].State.store(2 * Job + 1); // releases the job, ordered with Asleep
  for (uint32_t W = 1; W < Parts; ++W)
    if (Shares[W].Asleep.load() && Shares[W].Asleep.exchange(0))
      futex(Shares[W].Asleep, FUTEX_WAKE_PRIVATE, 1);

  runShare(0, 0);
  steal(0);
  for (int Spins = 0; Pending.load(std::memory_order_acquire); ++Spins)
    Spins < SpinsBeforeYield ? relax() : void(sched_yield());
  Busy.store(false, std::memory_order_release);
}

void ThreadPool::runOnHost(int64_t N, Body Function, void *Arg) {
  F = Function;
  Argument = Arg;
  Count = N;
  Parts = uint32_t(std::min<int64_t>(N, Workers));
  Host(
      User, Parts,
      [](void *Self, uint32_t Index) {
        static_cast<ThreadPool *>(Self)->runShare(Index, Index);
      },
      this);
}
