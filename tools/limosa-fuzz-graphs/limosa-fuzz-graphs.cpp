//===- limosa-fuzz-graphs.cpp - Random graphs, compiled and interpreted ---===//
//
// Every graph is checked in a process of its own making (one process checks
// many until one dies), so that a crash of compiled code is a finding like
// others.
//
//===----------------------------------------------------------------------===//

#include "limosa/Driver/Driver.h"
#include "limosa/Testing/Check.h"
#include "llvm/Support/raw_ostream.h"

#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace llvm;
using namespace limosa;
using namespace limosa::testing;

namespace {

constexpr char Help[] =
    R"(Runs random graphs of core ops compiled and interpreted and compares.

  limosa-fuzz-graphs --count 10000 --jobs 2  the long run
  limosa-fuzz-graphs --seed 1234 --count 1   the failure of one seed, made small
  limosa-fuzz-graphs --seed 1234 --print     its graph

  --count N      how many graphs (200)
  --seed N       the first one's seed (1)
  --jobs N       processes (1)
  --threads N    threads of a run (2)
  --max-ops N    ops of a graph (12)
  --timeout N    seconds for one graph (60)
  --isa NAME     auto, avx2 or avx512 (auto)
  --device NAME  the device (cpu)
  --plugin FILE  a device plug-in
  --no-compile   only simplify and serialise, interpreted both times
  --no-reduce    do not make failing graphs smaller
  --keep-going   go on after the tenth finding
  --print        print the graph of the seed
)";

// Read without LLVM's options: the compiler's own would mix with them.
unsigned Count = 200, Jobs = 1, Threads = 2, MaxOps = 12, Seconds = 60;
uint64_t Seed = 1;
std::string Isa = "auto", DeviceName = "cpu";
std::vector<std::string> Plugins;
bool NoCompile = false, NoReduce = false, KeepGoing = false, PrintOnly = false;

/// False if an option is not one or has no value.
bool parseOptions(int Argc, char **Argv) {
  for (int I = 1; I < Argc; ++I) {
    StringRef Name = Argv[I];
    auto Flag = [&](StringRef Is, bool &Out) {
      if (Name == Is)
        Out = true;
      return Name == Is;
    };
    if (Flag("--no-compile", NoCompile) || Flag("--no-reduce", NoReduce) ||
        Flag("--keep-going", KeepGoing) || Flag("--print", PrintOnly))
      continue;
    if (I + 1 == Argc)
      return false;
    StringRef Value = Argv[++I];
    auto Number = [&](StringRef Is, auto &Out) {
      return Name == Is && !Value.getAsInteger(10, Out);
    };
    auto Text = [&](StringRef Is, std::string &Out) {
      if (Name == Is)
        Out = Value.str();
      return Name == Is;
    };
    if (Name == "--plugin")
      Plugins.push_back(Value.str());
    else if (!Number("--count", Count) && !Number("--seed", Seed) &&
             !Number("--jobs", Jobs) && !Number("--threads", Threads) &&
             !Number("--max-ops", MaxOps) && !Number("--timeout", Seconds) &&
             !Text("--isa", Isa) && !Text("--device", DeviceName))
      return false;
  }
  return true;
}

} // namespace

namespace {

CheckOptions checkOptions() {
  CheckOptions Options;
  Options.Compile = !NoCompile;
  Options.Isa = Isa;
  Options.Device = DeviceName;
  Options.Plugins = Plugins;
  Options.Threads = Threads;
  return Options;
}

GraphOptions graphOptions() {
  GraphOptions Options;
  Options.MaxOps = MaxOps;
  return Options;
}

std::unique_ptr<mlir::MLIRContext> makeContext() {
  auto Context = std::make_unique<mlir::MLIRContext>(
      mlir::MLIRContext::Threading::DISABLED);
  prepareContext(*Context);
  return Context;
}

/// A child that writes one line to a pipe for each thing it has done.
class Child {
public:
  template <typename Fn> explicit Child(Fn Work) {
    int Ends[2];
    if (pipe(Ends) != 0)
      return;
    Pid = fork();
    if (Pid == 0) {
      close(Ends[0]);
      int Null = ::open("/dev/null", O_WRONLY);
      dup2(Null, 2); // what crash handlers print
      struct rlimit None = {0, 0};
      setrlimit(RLIMIT_CORE, &None);
      for (int Signal : {SIGSEGV, SIGABRT, SIGILL, SIGBUS, SIGFPE})
        std::signal(Signal, SIG_DFL);
      Work([&](const std::string &Line) {
        std::string Text = Line;
        for (char &C : Text)
          if (C == '\n')
            C = ' ';
        Text += '\n';
        [[maybe_unused]] auto N = ::write(Ends[1], Text.data(), Text.size());
      });
      _exit(0);
    }
    close(Ends[1]);
    Pipe = Ends[0];
  }
  ~Child() {
    if (Pipe >= 0)
      close(Pipe);
  }
  Child(const Child &) = delete;

  enum class Event { Line, Crash, Timeout, End };
  /// The next line, or how the child ended. A child that takes longer than the
  /// limit for a line is killed.
  Event next(std::string &Line) {
    for (;;) {
      if (size_t End = Buffer.find('\n'); End != std::string::npos) {
        Line = Buffer.substr(0, End);
        Buffer.erase(0, End + 1);
        return Event::Line;
      }
      pollfd P = {Pipe, POLLIN, 0};
      if (poll(&P, 1, int(Seconds) * 1000) == 0) {
        kill(Pid, SIGKILL);
        waitpid(Pid, nullptr, 0);
        return Event::Timeout;
      }
      char Piece[4096];
      ssize_t N = ::read(Pipe, Piece, sizeof(Piece));
      if (N > 0) {
        Buffer.append(Piece, size_t(N));
        continue;
      }
      int State = 0;
      waitpid(Pid, &State, 0);
      if (WIFEXITED(State) && WEXITSTATUS(State) == 0)
        return Event::End;
      Line = WIFSIGNALED(State) ? strsignal(WTERMSIG(State)) : "exit";
      return Event::Crash;
    }
  }

private:
  pid_t Pid = -1;
  int Pipe = -1;
  std::string Buffer;
};

using Report = std::function<void(const std::string &)>;

/// How a check in a process of its own ends; empty if it passes.
std::string checkApart(const RandomGraph &G) {
  Child C([&](const Report &Say) {
    if (auto F = checkGraph(G, checkOptions()))
      Say(F->Kind);
  });
  std::string Line;
  switch (C.next(Line)) {
  case Child::Event::Line:
    return Line;
  case Child::Event::Crash:
    return "crash";
  case Child::Event::Timeout:
    return "timeout";
  case Child::Event::End:
    break;
  }
  return {};
}

void showFailure(uint64_t At, const std::string &Kind,
                 const std::string &Message) {
  outs() << "seed " << At << ": " << Kind << ": " << Message << "\n";
  outs().flush(); // before forks copy it
  if (NoReduce)
    return;
  auto Context = makeContext();
  RandomGraph G = makeRandomGraph(*Context, At, graphOptions());
  reduceGraph(G, [&](const RandomGraph &Smaller) {
    return checkApart(Smaller) == Kind;
  });
  G.Module->print(outs());
  if (!G.Sizes[0].empty()) {
    outs() << "// with";
    for (const auto &[Name, Size] : G.Sizes[0])
      outs() << " " << Name << " = " << Size;
    outs() << "\n";
  }
  outs().flush();
}

/// Checks every `Jobs`-th seed from `First` on; returns how many failed.
unsigned checkSeeds(uint64_t First, uint64_t End) {
  unsigned Failed = 0;
  for (uint64_t At = First; At < End;) {
    Child C([&](const Report &Say) {
      auto Context = makeContext();
      // A context keeps every type and attribute ever made: not for ever.
      unsigned Made = 0;
      for (uint64_t I = At; I < End; I += Jobs) {
        if (++Made % 100 == 0)
          Context = makeContext();
        RandomGraph G = makeRandomGraph(*Context, I, graphOptions());
        auto F = checkGraph(G, checkOptions());
        Say(F ? F->Kind + ": " + F->Message : "ok");
      }
    });
    for (bool Running = true; Running;) {
      std::string Line;
      Child::Event E = C.next(Line);
      if (E == Child::Event::End)
        return Failed;
      if (E != Child::Event::Line) {
        Line = (E == Child::Event::Crash ? "crash: " : "timeout: ") + Line;
        Running = false;
      }
      if (Line != "ok") {
        size_t Colon = Line.find(": ");
        showFailure(At, Line.substr(0, Colon), Line.substr(Colon + 2));
        if (++Failed == 10 && !KeepGoing) {
          outs() << "stopped after ten findings\n";
          outs().flush();
          return Failed;
        }
      }
      At += Jobs;
    }
  }
  return Failed;
}

} // namespace

int main(int Argc, char **Argv) {
  if (!parseOptions(Argc, Argv)) {
    bool Asked = Argc == 2 && StringRef(Argv[1]) == "--help";
    (Asked ? outs() : errs()) << Help;
    return Asked ? 0 : 2;
  }
  if (PrintOnly) {
    auto Context = makeContext();
    makeRandomGraph(*Context, Seed, graphOptions()).Module->print(outs());
    return 0;
  }
  Jobs = std::max(1u, Jobs);
  uint64_t End = Seed + Count;
  std::vector<pid_t> Workers;
  unsigned Failed = 0;
  if (Jobs == 1)
    Failed = checkSeeds(Seed, End);
  for (unsigned J = 0; Jobs > 1 && J < Jobs; ++J) {
    outs().flush();
    pid_t Pid = fork();
    if (Pid == 0) {
      unsigned Found = checkSeeds(Seed + J, End);
      outs().flush();
      _exit(int(std::min(Found, 100u)));
    }
    Workers.push_back(Pid);
  }
  for (pid_t Pid : Workers) {
    int State = 0;
    waitpid(Pid, &State, 0);
    Failed += WIFEXITED(State) ? unsigned(WEXITSTATUS(State)) : 1;
  }
  outs() << Count << " graphs, " << Failed << " findings\n";
  return Failed != 0;
}
