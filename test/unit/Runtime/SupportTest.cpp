//===- SupportTest.cpp - Expressions, threads and code images -------------===//

#include "ElfImage.h"
#include "ProgramBuilder.h"
#include "ThreadPool.h"
#include "limosa/Runtime/SymbolExpr.h"
#include "limosa/Support/DimExpr.h"

#include <chrono>
#include <gtest/gtest.h>

#include <random>

using namespace limosa;
using namespace limosa::runtime;

namespace {

std::optional<uint32_t> lookup(std::string_view Name) {
  if (Name == "N")
    return 0;
  if (Name == "S")
    return 1;
  return std::nullopt;
}

TEST(SymbolExpr, EvaluatesLikeDimExpr) {
  const char *Texts[] = {"0",
                         "-7",
                         "N",
                         "2*N + 1",
                         "N*S - 3*N + 4",
                         "floordiv(N - 5, 3)",
                         "ceildiv(N*S, 16)*64",
                         "mod(N - 7, S + 1)",
                         "min(N, max(S, 3)) - -S",
                         "((N))*(S + (N))"};
  for (const char *Text : Texts) {
    std::string Error;
    auto E = SymbolExpr::parse(Text, lookup, Error);
    ASSERT_TRUE(E) << Error;
    auto D = DimExpr::parse(Text);
    ASSERT_TRUE(D);
    for (int64_t N : {0, 1, 5, 7, 100})
      for (int64_t S : {0, 3, 64}) {
        int64_t Symbols[] = {N, S}, Value;
        auto Expected = D->evaluate([&](std::string_view Name) {
          return std::optional(Name == "N" ? N : S);
        });
        ASSERT_TRUE(E->evaluate(Symbols, Value)) << Text;
        EXPECT_EQ(Value, Expected) << Text << " N=" << N << " S=" << S;
      }
  }
}

TEST(SymbolExpr, RefusesWhatItCannotEvaluate) {
  std::string Error;
  for (const char *Text : {"", "N +", "M", "min(N)", "N N",
                           "99999999999999999999", "floordiv(N, 3", "N/2"})
    EXPECT_FALSE(SymbolExpr::parse(Text, lookup, Error)) << Text;
  // A zero byte does not end the text.
  EXPECT_FALSE(SymbolExpr::parse(std::string_view("N\0", 2), lookup, Error));
  std::string Deep(1000, '(');
  EXPECT_FALSE(SymbolExpr::parse(Deep, lookup, Error));
  std::string Long = "N";
  for (int I = 0; I < 5000; ++I)
    Long += I % 2 ? " + N" : "*N";
  EXPECT_TRUE(SymbolExpr::parse(Long, lookup, Error));
  int64_t Symbols[] = {INT64_MAX, 0}, Value;
  for (const char *Text :
       {"N + 1", "N*N", "floordiv(N, S)", "mod(1, S)", "floordiv(N, S - 1)"})
    EXPECT_FALSE(
        SymbolExpr::parse(Text, lookup, Error)->evaluate(Symbols, Value))
        << Text;
}

TEST(ThreadPool, CoversEveryTileOnce) {
  for (uint32_t Workers : {1u, 2u, 3u, 8u}) {
    ThreadPool Pool(Workers);
    for (int64_t N : {0, 1, 2, 3, 7, 64, 1000}) {
      std::vector<std::atomic<int>> Seen(size_t(N) + 1);
      struct Job {
        std::vector<std::atomic<int>> &Seen;
        uint32_t Workers;
        std::atomic<bool> Bad{false};
      } J{Seen, Workers};
      for (int Round = 0; Round < 50; ++Round)
        Pool.parallelFor(
            N,
            [](void *Argument, uint32_t Worker, int64_t Begin, int64_t End) {
              Job &J = *static_cast<Job *>(Argument);
              if (Worker >= J.Workers || Begin >= End)
                J.Bad = true;
              for (int64_t I = Begin; I < End; ++I)
                ++J.Seen[size_t(I)];
            },
            &J);
      EXPECT_FALSE(J.Bad);
      for (int64_t I = 0; I < N; ++I)
        ASSERT_EQ(Seen[size_t(I)], 50);
    }
  }
}

/// The worker that has the first tile does not go on before the others have
/// done all but a quarter of its share.
TEST(ThreadPool, OthersTakeOverWhatAHeldUpWorkerLeaves) {
  for (uint32_t Workers : {2u, 4u}) {
    ThreadPool Pool(Workers);
    struct Job {
      int64_t Tiles, Held;
      std::atomic<int64_t> Done{0};
      std::atomic<bool> Alone{false};
    } J;
    J.Tiles = 64 * Workers;
    J.Held = 64 / 4;
    Pool.parallelFor(
        J.Tiles,
        [](void *Argument, uint32_t, int64_t Begin, int64_t End) {
          Job &J = *static_cast<Job *>(Argument);
          auto GiveUp =
              std::chrono::steady_clock::now() + std::chrono::minutes(1);
          while (Begin == 0 && J.Done < J.Tiles - J.Held && !J.Alone) {
            J.Alone = std::chrono::steady_clock::now() > GiveUp;
            std::this_thread::yield();
          }
          J.Done += End - Begin;
        },
        &J);
    EXPECT_FALSE(J.Alone);
    EXPECT_EQ(J.Done, J.Tiles);
  }
}

TEST(ThreadPool, NeverUsesAWorkerTwiceAtOnce) {
  ThreadPool Pool(4);
  struct Job {
    std::atomic<int> Inside[4] = {};
    std::atomic<bool> Bad{false};
    ThreadPool *Pool;
  } J;
  J.Pool = &Pool;
  for (int Round = 0; Round < 2000; ++Round)
    Pool.parallelFor(
        4,
        [](void *Argument, uint32_t Worker, int64_t, int64_t) {
          Job &J = *static_cast<Job *>(Argument);
          if (J.Inside[Worker]++)
            J.Bad = true;
          --J.Inside[Worker];
        },
        &J);
  EXPECT_FALSE(J.Bad);
}

TEST(ThreadPool, RunsNestedAndCompetingCallsAlone) {
  ThreadPool Pool(3);
  std::atomic<int64_t> Sum{0};
  struct Job {
    ThreadPool &Pool;
    std::atomic<int64_t> &Sum;
  } J{Pool, Sum};
  auto Inner = [](void *Argument, uint32_t, int64_t Begin, int64_t End) {
    static_cast<Job *>(Argument)->Sum += End - Begin;
  };
  static ThreadPool::Body InnerBody = Inner;
  auto Outer = [](void *Argument, uint32_t, int64_t Begin, int64_t End) {
    Job &J = *static_cast<Job *>(Argument);
    for (int64_t I = Begin; I < End; ++I)
      J.Pool.parallelFor(10, InnerBody, Argument);
  };
  std::vector<std::thread> Threads;
  for (int T = 0; T < 3; ++T)
    Threads.emplace_back([&] {
      for (int I = 0; I < 100; ++I)
        Pool.parallelFor(5, Outer, &J);
    });
  for (std::thread &T : Threads)
    T.join();
  EXPECT_EQ(Sum, 3 * 100 * 5 * 10);
}

TEST(ThreadPool, UsesTheHosts) {
  int Calls = 0;
  ThreadPool Pool(
      4,
      [](void *User, uint32_t Tasks, void (*Task)(void *, uint32_t),
         void *Argument) {
        ++*static_cast<int *>(User);
        for (uint32_t I = Tasks; I-- > 0;)
          Task(Argument, I);
      },
      &Calls);
  int64_t Sum = 0;
  Pool.parallelFor(
      100,
      [](void *Argument, uint32_t, int64_t Begin, int64_t End) {
        *static_cast<int64_t *>(Argument) += End - Begin;
      },
      &Sum);
  EXPECT_EQ(Sum, 100);
  EXPECT_EQ(Calls, 1);
}

TEST(ElfImage, FindsFunctions) {
  std::string Error;
  auto Image = cpu::ElfImage::load(test::testImage(), Error);
  ASSERT_TRUE(Image) << Error;
  EXPECT_NE(Image->function("add"), nullptr);
  EXPECT_EQ(Image->function("subtract"), nullptr);
}

TEST(ElfImage, SurvivesDamage) {
  const std::vector<uint8_t> &Good = test::testImage();
  std::string Error;
  for (size_t Size = 0; Size < Good.size(); Size += 37)
    cpu::ElfImage::load(std::span(Good).first(Size), Error);
  std::mt19937 Random(7);
  for (int Round = 0; Round < 5000; ++Round) {
    std::vector<uint8_t> Bad = Good;
    for (unsigned Flips = 1 + Random() % 4; Flips; --Flips) {
      // Mostly where headers and tables are.
      size_t At = Random() % 3 ? Random() % 0x400 : Random();
      Bad[At % Bad.size()] ^= uint8_t(1u << Random() % 8);
    }
    cpu::ElfImage::load(Bad, Error);
  }
}

} // namespace
