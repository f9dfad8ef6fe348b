//===- Peers.cpp - Other engines, each in a helper process ----------------===//

#include "Peers.h"
#include "Session.h"

#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace limosa;
using namespace limosa::tool;

extern char **environ;

namespace {

/// $LIMOSA_PYTHON, the clone's environment for a command in its build folder,
/// or python3.
std::string findPython() {
  if (const char *Chosen = std::getenv("LIMOSA_PYTHON"))
    return Chosen;
  std::string Own = besideExecutable("../.venv/bin/python");
  return Own.empty() ? "python3" : Own;
}

std::string findScript() {
  std::string InBuild = besideExecutable("python/limosa/bench_peers.py");
  return InBuild.empty() ? besideExecutable("share/limosa/bench_peers.py")
                         : InBuild;
}

/// Starts Python with pipes to its standard input and output.
bool spawn(std::vector<std::string> Arguments, pid_t &Process, FILE *&To,
           FILE *&From) {
  int In[2], Out[2];
  if (pipe2(In, O_CLOEXEC))
    return false;
  if (pipe2(Out, O_CLOEXEC)) {
    close(In[0]);
    close(In[1]);
    return false;
  }
  posix_spawn_file_actions_t Files;
  posix_spawn_file_actions_init(&Files);
  posix_spawn_file_actions_adddup2(&Files, In[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&Files, Out[1], STDOUT_FILENO);
  std::vector<char *> Raw;
  for (std::string &Argument : Arguments)
    Raw.push_back(Argument.data());
  Raw.push_back(nullptr);
  int Failed =
      posix_spawnp(&Process, Raw[0], &Files, nullptr, Raw.data(), environ);
  posix_spawn_file_actions_destroy(&Files);
  close(In[0]);
  close(Out[1]);
  if (Failed) {
    close(In[1]);
    close(Out[0]);
    return false;
  }
  To = fdopen(In[1], "w");
  From = fdopen(Out[0], "r");
  // A helper that died shows as the end of its output, not as a signal.
  std::signal(SIGPIPE, SIG_IGN);
  return true;
}

bool readLine(FILE *File, std::string &Line) {
  Line.clear();
  for (int C; (C = std::getc(File)) != EOF;) {
    if (C == '\n')
      return true;
    Line += char(C);
  }
  return false;
}

} // namespace

Peer::~Peer() {
  if (ToPeer)
    std::fclose(ToPeer); // it leaves at the end of its input
  if (FromPeer)
    std::fclose(FromPeer);
  if (Process > 0)
    waitpid(Process, nullptr, 0);
}

Status Peer::receive(std::string &Line) {
  // Lines of libraries that print to standard output are not ours.
  do {
    if (!readLine(FromPeer, Line))
      return {LIMOSA_STATUS_FAILED,
              Name + " ended without an answer; its messages are above"};
  } while (!Line.starts_with("{\"limosa\":"));
  auto Answer = nlohmann::json::parse(Line, nullptr, false);
  if (Answer.is_discarded())
    return {LIMOSA_STATUS_FAILED, Name + " answered with no JSON: " + Line};
  if (Answer.contains("error"))
    return {LIMOSA_STATUS_FAILED,
            Name + ": " + Answer["error"].get<std::string>()};
  return {};
}

Status Peer::start(const std::string &Name, const std::string &ModelPath,
                   const std::string &Precision, unsigned Threads,
                   const std::string &InputPath, const std::string &OutputPath,
                   std::unique_ptr<Peer> &Out) {
  std::string Script = findScript();
  if (Script.empty())
    return {LIMOSA_STATUS_NOT_FOUND,
            "bench_peers.py is missing; build all, or install Limosa again"};
  std::unique_ptr<Peer> P(new Peer);
  P->Name = Name;
  if (!spawn({findPython(), Script, "--peer", Name, "--model", ModelPath,
              "--precision", Precision, "--threads", std::to_string(Threads),
              "--inputs", InputPath, "--outputs", OutputPath},
             P->Process, P->ToPeer, P->FromPeer))
    return {LIMOSA_STATUS_NOT_FOUND,
            "cannot start Python; set LIMOSA_PYTHON to one that has " + Name};
  std::string Line;
  if (Status S = P->receive(Line))
    return S;
  P->Version = nlohmann::json::parse(Line).value("version", "");
  Out = std::move(P);
  return {};
}

Status Peer::run(unsigned Count, std::vector<double> &Seconds) {
  std::fprintf(ToPeer, "run %u\n", Count);
  std::fflush(ToPeer);
  std::string Line;
  if (Status S = receive(Line))
    return S;
  auto Answer = nlohmann::json::parse(Line);
  for (const auto &Time : Answer["seconds"])
    Seconds.push_back(Time.get<double>());
  return {};
}

std::vector<std::pair<std::string, std::string>> tool::peerVersions() {
  std::vector<std::pair<std::string, std::string>> Versions;
  for (const char *Name : {"onnxruntime", "openvino", "torch", "jax"})
    Versions.emplace_back(Name, "");
  pid_t Process;
  FILE *To, *From;
  std::string Script = findScript(), Line;
  if (Script.empty() ||
      !spawn({findPython(), Script, "--versions"}, Process, To, From))
    return Versions;
  readLine(From, Line);
  std::fclose(To);
  std::fclose(From);
  waitpid(Process, nullptr, 0);
  auto Answer = nlohmann::json::parse(Line, nullptr, false);
  if (Answer.is_object())
    for (auto &[Name, Version] : Versions)
      Version = Answer.value(Name, "");
  return Versions;
}
