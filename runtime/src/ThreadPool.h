//===- ThreadPool.h - Workers that split tiles ------------------*- C++ -*-===//
#ifndef LIMOSA_RUNTIME_SRC_THREADPOOL_H
#define LIMOSA_RUNTIME_SRC_THREADPOOL_H

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace limosa::runtime {

/// Splits a range into one contiguous share per worker; the calling thread is
/// worker 0. A worker goes through its share in a few chunks; whoever is done
/// takes chunks from the end of others' shares, so that a worker that starts
/// late or loses its processor holds up one chunk and no more. Workers spin for
/// some time after a job before they sleep, so that the next kernel finds them
/// awake: handing out and collecting shares then takes well under a
/// microsecond.
///
/// One job at a time; a second caller, or a nested call, does its work alone.
class ThreadPool {
public:
  using Body = void (*)(void *Argument, uint32_t Worker, int64_t Begin,
                        int64_t End);
  /// The host's own pool; see limosa_context_options.parallel_for.
  using HostParallelFor = void (*)(void *User, uint32_t Tasks,
                                   void (*Task)(void *Argument, uint32_t Index),
                                   void *Argument);

  /// `Workers` is at least 1. With `Host`, no threads are made.
  explicit ThreadPool(uint32_t Workers, HostParallelFor Host = nullptr,
                      void *User = nullptr);
  ~ThreadPool();
  ThreadPool(const ThreadPool &) = delete;
  ThreadPool &operator=(const ThreadPool &) = delete;

  uint32_t workers() const { return Workers; }

  /// Calls `F` for disjoint ranges that cover [0, Count) and returns when all
  /// are done. Any thread may call.
  void parallelFor(int64_t Count, Body F, void *Argument);

  /// The processors this process may use.
  static uint32_t availableProcessors();

private:
  /// A worker's share of the current job. `State` is the job's number in the
  /// upper half (so that a claim never succeeds on a later job's state by
  /// mistake) and the chunks nobody has claimed in the lower: the first in its
  /// upper 16 bits, the end in its lower.
  struct alignas(128) Share {
    std::atomic<uint64_t> State{0};
    std::atomic<uint32_t> Asleep{0};
  };

  void work(uint32_t Worker);
  /// Runs what is left of share `Index`, from its front or its end.
  void drain(uint32_t Worker, uint32_t Index, bool Front);
  void drainAll(uint32_t Worker);
  int64_t shareBegin(uint32_t Index) const;
  uint32_t chunksOf(uint32_t Index) const;
  void runChunk(uint32_t Worker, uint32_t Index, uint32_t Chunk);
  void wake(uint32_t Worker);
  void runOnHost(int64_t Count, Body F, void *Argument);

  const uint32_t Workers;
  const HostParallelFor Host;
  void *const User;
  std::unique_ptr<Share[]> Shares;
  std::vector<std::thread> Threads;
  std::atomic<bool> Busy{false};

  // The current job. Written while `Busy` and before its shares are opened,
  // read by those who claimed one: it cannot change until they are done.
  Body F = nullptr;
  void *Argument = nullptr;
  int64_t Count = 0;
  uint32_t Parts = 0;
  uint32_t Job = 0;
  alignas(128) std::atomic<uint32_t> Pending{0};
};

} // namespace limosa::runtime

#endif // LIMOSA_RUNTIME_SRC_THREADPOOL_H
