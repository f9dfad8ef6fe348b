//===- Doctor.cpp - limosa doctor -----------------------------------------===//

#include "Command.h"
#include "Json.h"
#include "Machine.h"
#include "Peers.h"
#include "limosa/Runtime/Compile.h"
#include "limosa/limosa.h"

#include <CLI/CLI.hpp>
#include <dlfcn.h>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <unistd.h>

using namespace limosa;
using namespace limosa::tool;

namespace {

enum class Verdict { Good, Advice, Bad };

struct Check {
  std::string Name;
  Verdict Result;
  std::string Found, Advice;
};

Check checkProcessor() {
  std::vector<std::string> Features = processorFeatures();
  bool Good =
      std::find(Features.begin(), Features.end(), "avx2") != Features.end();
  return {"processor", Good ? Verdict::Good : Verdict::Bad,
          fmt::format("{}, {} usable; {}", processorName(),
                      availableProcessors(), fmt::join(Features, " ")),
          Good ? "" : "generated code needs AVX2 and FMA"};
}

Check checkGovernor() {
  std::ifstream File("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  std::string Governor;
  if (!(File >> Governor))
    return {"clock", Verdict::Good, "set by the machine", ""};
  bool Good = Governor == "performance";
  return {"clock", Good ? Verdict::Good : Verdict::Advice,
          "governor " + Governor,
          Good ? "" : "timings vary; set the governor to performance"};
}

Check checkMemory() {
  std::ifstream File("/proc/meminfo");
  double Available = 0;
  for (std::string Key, Rest; File >> Key; std::getline(File, Rest))
    if (Key == "MemAvailable:")
      Available = std::strtod(Rest.c_str(), nullptr) * 1024;
  bool Good = Available > double(1u << 30);
  return {"memory", Good ? Verdict::Good : Verdict::Advice,
          formatBytes(Available) + " available",
          Good ? "" : "large models may not fit"};
}

Check checkCompiler() {
  std::string Path = runtime::compilerLibraryPath();
  void *Library = dlopen(Path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!Library)
    return {"compiler", Verdict::Bad, dlerror(),
            "build the target LimosaCompiler, or set "
            "LIMOSA_COMPILER_LIBRARY; .lim files run without it"};
  bool Good = dlsym(Library, "limosa_compiler_compile");
  return {"compiler", Good ? Verdict::Good : Verdict::Bad, Path,
          Good ? "" : "this library is not Limosa's compiler"};
}

Check checkCache() {
  namespace fs = std::filesystem;
  runtime::Cache Cache;
  std::error_code Failed;
  fs::create_directories(Cache.folder(), Failed);
  if (access(Cache.folder().c_str(), W_OK) != 0)
    return {"cache", Verdict::Advice, Cache.folder() + " cannot be written",
            "every start compiles again; set LIMOSA_CACHE_DIR"};
  double Bytes = 0;
  unsigned Files = 0;
  for (const auto &Item : fs::directory_iterator(Cache.folder(), Failed))
    if (Item.path().extension() == ".lim") {
      Bytes += double(Item.file_size(Failed));
      ++Files;
    }
  return {"cache", Verdict::Good,
          fmt::format("{}: {} models, {}", Cache.folder(), Files,
                      formatBytes(Bytes)),
          ""};
}

Check checkPeers() {
  std::string Found, Missing;
  for (const auto &[Name, Version] : peerVersions())
    (Version.empty() ? Missing : Found) +=
        " " + Name + (Version.empty() ? "" : "-" + Version);
  std::string Text = Found.empty() ? "none" : Found.substr(1);
  return {"peers", Missing.empty() ? Verdict::Good : Verdict::Advice, Text,
          Missing.empty()
              ? ""
              : "for `bench --vs`, pip install what is missing:" + Missing};
}

const char *mark(Verdict V) {
  return V == Verdict::Good ? "ok" : V == Verdict::Advice ? "note" : "problem";
}

int examine(bool Json) {
  bool Bad = false;
  auto List = nlohmann::ordered_json::array();
  fmt::print("{}", Json ? "" : fmt::format("limosa {}\n", limosa_version()));
  for (auto *Run : {checkProcessor, checkGovernor, checkMemory, checkCompiler,
                    checkCache, checkPeers}) {
    Check C = Run();
    Bad |= C.Result == Verdict::Bad;
    if (Json)
      List.push_back({{"check", C.Name},
                      {"result", mark(C.Result)},
                      {"found", C.Found},
                      {"advice", C.Advice}});
    else
      fmt::print("{:8} {:10} {}\n{}", mark(C.Result), C.Name, C.Found,
                 C.Advice.empty() ? ""
                                  : fmt::format("{:20}{}\n", "", C.Advice));
  }
  if (Json)
    printJson(List);
  return Bad ? 1 : 0;
}

} // namespace

void tool::addDoctorCommand(CLI::App &App, Action &Chosen) {
  auto Json = std::make_shared<bool>(false);
  CLI::App *Command = App.add_subcommand(
      "doctor", "checks what Limosa needs on this machine and says what to do");
  Command->add_flag("--json", *Json, "prints JSON");
  Command->footer("Example:\n  limosa doctor");
  Command->callback(
      [Json, &Chosen] { Chosen = [Json] { return examine(*Json); }; });
}
