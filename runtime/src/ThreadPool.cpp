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

// About 200 microseconds where a pause is 140 cycles, 80 where it is 60: longer
// than what one worker computes alone between two shared kernels.
constexpr int SpinsBeforeSleep = 4000;
// A caller that waits longer than this lets others have its processor.
constexpr int SpinsBeforeYield = 4000;

/// Enough that a held up worker leaves most of its share to others; each costs
/// a call of the kernel.
constexpr uint32_t ChunksPerShare = 4;

/// The state that sends a worker home: no job has it, since its end is 0.
constexpr uint64_t Stop = uint64_t(1) << 16;

uint32_t firstOf(uint64_t State) { return uint32_t(State) >> 16; }
uint32_t endOf(uint64_t State) { return uint32_t(State) & 0xffff; }
bool isOpen(uint64_t State) { return firstOf(State) < endOf(State); }

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
  for (uint32_t W = 1; W <= Threads.size(); ++W) {
    Shares[W].State.store(Stop);
    wake(W);
  }
  for (std::thread &T : Threads)
    T.join();
}

/// Part `I` of `Parts` even ones of [0, Count) begins here.
static int64_t splitAt(int64_t Count, uint32_t Parts, int64_t I) {
  // Count * I may not fit 64 bits; split by quotient and remainder.
  return Count / Parts * I + std::min(I, Count % Parts);
}

int64_t ThreadPool::shareBegin(uint32_t Index) const {
  return splitAt(Count, Parts, Index);
}

uint32_t ThreadPool::chunksOf(uint32_t Index) const {
  return uint32_t(std::min<int64_t>(shareBegin(Index + 1) - shareBegin(Index),
                                    ChunksPerShare));
}

void ThreadPool::runChunk(uint32_t Worker, uint32_t Index, uint32_t Chunk) {
  int64_t Begin = shareBegin(Index), Size = shareBegin(Index + 1) - Begin;
  uint32_t Chunks = chunksOf(Index);
  F(Argument, Worker, Begin + splitAt(Size, Chunks, Chunk),
    Begin + splitAt(Size, Chunks, int64_t(Chunk) + 1));
  Pending.fetch_sub(1, std::memory_order_release);
}

void ThreadPool::drain(uint32_t Worker, uint32_t Index, bool Front) {
  std::atomic<uint64_t> &State = Shares[Index].State;
  uint64_t Seen = State.load(std::memory_order_relaxed);
  while (isOpen(Seen)) {
    uint64_t Claimed = Front ? Seen + (1 << 16) : Seen - 1;
    if (!State.compare_exchange_weak(Seen, Claimed, std::memory_order_acquire,
                                     std::memory_order_relaxed))
      continue;
    runChunk(Worker, Index, Front ? firstOf(Seen) : endOf(Seen) - 1);
    Seen = State.load(std::memory_order_relaxed);
  }
}

/// The own share, then what others have not come to. All shares are looked at:
/// how many the current job has may only be read by who holds a chunk of it.
void ThreadPool::drainAll(uint32_t Worker) {
  drain(Worker, Worker, /*Front=*/true);
  for (uint32_t Next = 1; Next < Workers; ++Next)
    drain(Worker, (Worker + Next) % Workers, /*Front=*/false);
}

void ThreadPool::work(uint32_t Worker) {
  Share &Mine = Shares[Worker];
  for (;;) {
    int Spins = 0;
    uint64_t State;
    while (!isOpen(State = Mine.State.load(std::memory_order_acquire)) &&
           State != Stop) {
      if (++Spins < SpinsBeforeSleep) {
        relax();
        continue;
      }
      // Whoever opens the share looks at Asleep afterwards; both orders are
      // sequentially consistent, so one of us sees the other.
      Mine.Asleep.store(1);
      State = Mine.State.load();
      if (!isOpen(State) && State != Stop)
        futex(Mine.Asleep, FUTEX_WAIT_PRIVATE, 1);
      Mine.Asleep.store(0);
      Spins = 0;
    }
    if (State == Stop)
      return;
    drainAll(Worker);
  }
}

void ThreadPool::wake(uint32_t Worker) {
  Share &S = Shares[Worker];
  if (S.Asleep.load() && S.Asleep.exchange(0))
    futex(S.Asleep, FUTEX_WAKE_PRIVATE, 1);
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
  uint32_t Chunks = 0;
  for (uint32_t W = 0; W < Parts; ++W)
    Chunks += chunksOf(W);
  Pending.store(Chunks, std::memory_order_relaxed);
  // Opening a share releases the job, ordered with Asleep.
  for (uint32_t W = 0; W < Parts; ++W)
    Shares[W].State.store(uint64_t(Job) << 32 | chunksOf(W));
  for (uint32_t W = 1; W < Parts; ++W)
    wake(W);

  drainAll(0);
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
        auto &Pool = *static_cast<ThreadPool *>(Self);
        Pool.F(Pool.Argument, Index, Pool.shareBegin(Index),
               Pool.shareBegin(Index + 1));
      },
      this);
}
