//===- Bench.cpp - limosa bench -------------------------------------------===//
//
// Without a model: what the machine can do. With one: its time, and with --vs
// that of other engines. Engines take turns, round by round, so that what else
// happens on the machine hits them alike; they are compared by the ratios of
// the medians within each round, and only where nine rounds of ten agree is one
// called faster.
//
//===----------------------------------------------------------------------===//

#include "Arrays.h"
#include "Command.h"
#include "Compare.h"
#include "Html.h"
#include "Inputs.h"
#include "Json.h"
#include "Machine.h"
#include "Npy.h"
#include "Peers.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fmt/format.h>
#include <thread>

using namespace limosa;
using namespace limosa::tool;
using Json = nlohmann::ordered_json;

namespace {

struct BenchOptions {
  ModelOptions Model;
  InputOptions Inputs;
  std::vector<std::string> Against;
  std::string Html;
  double Seconds = 10;
  unsigned Rounds = 15;
  bool AsJson = false;
};

double quantile(std::vector<double> Values, double Q) {
  std::sort(Values.begin(), Values.end());
  double At = Q * double(Values.size() - 1);
  size_t Low = size_t(At);
  size_t High = std::min(Low + 1, Values.size() - 1);
  return Values[Low] + (At - double(Low)) * (Values[High] - Values[Low]);
}

/// One engine and its times. `Run(n, times)` runs it n times.
struct Contestant {
  std::string Name, Version;
  std::function<Status(unsigned, std::vector<double> &)> Run;
  std::unique_ptr<Peer> Helper;
  unsigned PerRound = 1;
  std::vector<double> Times, RoundMedians;
  std::string Trouble; ///< Why it has no times.
  std::vector<NamedTensor> Outputs;

  double median() const { return quantile(Times, 0.5); }
};

/// How much faster the first engine is than another, round by round.
struct Versus {
  double Ratio, Low, High; ///< Median, 10th and 90th percentile.

  Versus(const Contestant &Own, const Contestant &Other) {
    std::vector<double> Ratios;
    for (size_t R = 0; R < Own.RoundMedians.size(); ++R)
      Ratios.push_back(Other.RoundMedians[R] / Own.RoundMedians[R]);
    Ratio = quantile(Ratios, 0.5);
    Low = quantile(Ratios, 0.1);
    High = quantile(Ratios, 0.9);
  }
  const char *verdict() const {
    return Low > 1    ? "limosa faster"
           : High < 1 ? "limosa slower"
                      : "same within noise";
  }
};

/// A folder for exchange with helpers, removed at the end.
struct TemporaryFolder {
  std::string Path;
  TemporaryFolder() {
    char Name[] = "/tmp/limosa-bench-XXXXXX";
    if (mkdtemp(Name))
      Path = Name;
  }
  ~TemporaryFolder() {
    std::error_code Ignored;
    if (!Path.empty())
      std::filesystem::remove_all(Path, Ignored);
  }
};

Status startPeers(const BenchOptions &Options, unsigned Threads,
                  const std::string &Folder, Progress &Bar,
                  std::vector<Contestant> &Engines) {
  for (const std::string &Name : Options.Against) {
    Bar.show("starting " + Name);
    Contestant C;
    C.Name = Name;
    std::string OutputPath = Folder + "/" + Name + ".npz";
    Status S =
        Peer::start(Name, Options.Model.Path, Options.Model.Precision, Threads,
                    Folder + "/inputs.npz", OutputPath, C.Helper);
    if (!S)
      S = readArrays(OutputPath, C.Outputs);
    if (S) {
      C.Trouble = S.message();
      Bar.clear();
      warn(S.message());
    } else {
      C.Version = C.Helper->version();
      C.Run = [Helper = C.Helper.get()](unsigned N, std::vector<double> &Out) {
        return Helper->run(N, Out);
      };
    }
    Engines.push_back(std::move(C));
  }
  return {};
}

Status measure(const BenchOptions &Options, Progress &Bar,
               std::vector<Contestant> &Engines) {
  unsigned Active = 0;
  for (Contestant &C : Engines)
    Active += C.Trouble.empty();
  const double Share = Options.Seconds / Options.Rounds / Active;
  for (Contestant &C : Engines) { // warm up, and find how often to run
    if (!C.Trouble.empty())
      continue;
    std::vector<double> Warm;
    if (Status S = C.Run(3, Warm))
      return S;
    double Best = *std::min_element(Warm.begin(), Warm.end());
    C.PerRound = unsigned(std::clamp(Share / std::max(Best, 1e-6), 1., 10000.));
  }
  for (unsigned Round = 0; Round < Options.Rounds; ++Round)
    for (size_t I = 0; I < Engines.size(); ++I) {
      // Every other round backwards: nobody always follows the same engine.
      Contestant &C = Engines[Round % 2 ? Engines.size() - 1 - I : I];
      if (!C.Trouble.empty())
        continue;
      Bar.show(
          fmt::format("round {}/{}: {}", Round + 1, Options.Rounds, C.Name));
      // Threads of the engine before, spinning for more work, go to sleep.
      if (Active > 1)
        std::this_thread::sleep_for(std::chrono::milliseconds(30));
      std::vector<double> Times;
      if (Status S = C.Run(C.PerRound, Times))
        return S;
      C.RoundMedians.push_back(quantile(Times, 0.5));
      C.Times.insert(C.Times.end(), Times.begin(), Times.end());
    }
  Bar.clear();
  return {};
}

/// The worst difference of an engine's outputs from the first engine's.
std::string outputDifference(const Contestant &Own, const Contestant &Other,
                             const Tolerance &Allowed, bool &Agrees) {
  double Worst = 0;
  for (const NamedTensor &Output : Own.Outputs) {
    auto Found = std::find_if(
        Other.Outputs.begin(), Other.Outputs.end(),
        [&](const NamedTensor &T) { return T.Name == Output.Name; });
    if (Found == Other.Outputs.end())
      return "output " + Output.Name + " missing";
    Difference D = compare(Output.Value, Found->Value, Allowed);
    Worst = std::max(Worst, D.relative());
    Agrees &= D.Agrees;
  }
  return fmt::format("{:.1e}{}", Worst, Agrees ? "" : " DIFFERS");
}

int benchModel(BenchOptions &Options) {
  Progress Bar;
  Session Model;
  if (Options.Model.Threads == 0)
    Options.Model.Threads = availableProcessors();
  if (!Options.Against.empty() && isCompiledModel(Options.Model.Path))
    return report(runtime::invalidArgument(
        "--vs needs the .onnx file, which the other engines read"));
  Options.Model.TuneSizes = Options.Inputs.Sizes;
  if (Status S = Model.open(Options.Model, Bar))
    return report(S);
  std::vector<NamedTensor> Arguments;
  std::vector<std::string> Assumed;
  if (Status S = makeInputs(Options.Inputs, Model.inputs(), Arguments, Assumed))
    return report(S);

  std::vector<Contestant> Engines(1);
  Engines[0].Name = "limosa";
  Engines[0].Version = limosa_version();
  Engines[0].Run = [&](unsigned N, std::vector<double> &Out) -> Status {
    for (unsigned I = 0; I < N; ++I) {
      auto Start = std::chrono::steady_clock::now();
      if (Status S = Model.runOnly(Arguments))
        return S;
      Out.push_back(std::chrono::duration<double>(
                        std::chrono::steady_clock::now() - Start)
                        .count());
    }
    return {};
  };
  if (Status S = blameSizes(Model.run(Arguments, Engines[0].Outputs), Assumed))
    return report(S);

  TemporaryFolder Folder;
  if (!Options.Against.empty()) {
    if (Status S = writeNpz(Folder.Path + "/inputs.npz", Arguments))
      return report(S);
    if (Status S = startPeers(Options, Options.Model.Threads, Folder.Path, Bar,
                              Engines))
      return report(S);
  }
  if (Status S = measure(Options, Bar, Engines))
    return report(S);

  Table Lines({"engine", "version", "median", "best", "90 %", "vs limosa",
               "verdict", "difference"});
  std::vector<HtmlPage::Bar> Bars;
  Json Results = Json::array();
  bool AllAgree = true, AllRan = true;
  constexpr Tolerance OfBf16{0.1}; // of two results that are both rounded
  const Tolerance Allowed = Options.Model.isBf16() ? OfBf16 : Tolerance();
  for (const Contestant &C : Engines) {
    if (!C.Trouble.empty()) {
      AllRan = false;
      Lines.row({C.Name, "", "not run"});
      Results.push_back({{"engine", C.Name}, {"error", C.Trouble}});
      continue;
    }
    std::vector<std::string> Row = {C.Name, C.Version,
                                    formatSeconds(C.median()),
                                    formatSeconds(quantile(C.Times, 0)),
                                    formatSeconds(quantile(C.Times, 0.9))};
    Json Result{{"engine", C.Name},
                {"version", C.Version},
                {"runs", C.Times.size()},
                {"median_seconds", C.median()},
                {"best_seconds", quantile(C.Times, 0)},
                {"p90_seconds", quantile(C.Times, 0.9)}};
    if (&C != &Engines[0]) {
      Versus V(Engines[0], C);
      bool Agrees = true;
      std::string Apart = outputDifference(Engines[0], C, Allowed, Agrees);
      AllAgree &= Agrees;
      Row.insert(Row.end(), {fmt::format("{:.2f}x ({:.2f} to {:.2f})", V.Ratio,
                                         V.Low, V.High),
                             V.verdict(), Apart});
      Result.update({{"time_over_limosa", V.Ratio},
                     {"low", V.Low},
                     {"high", V.High},
                     {"verdict", V.verdict()},
                     {"outputs_agree", Agrees}});
    }
    Lines.row(Row);
    Bars.push_back(
        {C.Name + " " + C.Version, C.median(), formatSeconds(C.median())});
    Results.push_back(std::move(Result));
  }

  std::string Setting = fmt::format(
      "{}, {}, {} threads, {} rounds{}", Options.Model.Path,
      Options.Model.Precision, Options.Model.Threads, Options.Rounds,
      Assumed.empty()
          ? ""
          : fmt::format(", random inputs with {}", fmt::join(Assumed, ", ")));
  if (Options.AsJson)
    printJson(Json{{"model", Options.Model.Path},
                   {"precision", Options.Model.Precision},
                   {"threads", Options.Model.Threads},
                   {"rounds", Options.Rounds},
                   {"assumed_sizes", Assumed},
                   {"results", Results}});
  else
    fmt::print("{}\n{}", Setting, Lines.text());
  if (!Options.Html.empty()) {
    HtmlPage Page(
        "limosa bench: " +
        std::filesystem::path(Options.Model.Path).filename().string());
    Page.paragraph(Setting);
    Page.paragraph(processorName());
    Page.heading("Median time of a run");
    Page.bars(Bars);
    Page.heading("All figures");
    Page.table(Lines);
    Page.paragraph(
        "\"vs limosa\" is the engine's time over Limosa's: the median "
        "over the rounds, and where nine rounds of ten lie. A "
        "difference that the rounds do not agree on is noise.");
    if (Status S = Page.write(Options.Html))
      return report(S);
  }
  if (!AllAgree)
    error(fmt::format("outputs differ by more than {} of the largest value",
                      Allowed.Relative));
  return AllAgree && AllRan ? 0 : 1;
}

int benchMachine(const BenchOptions &Options) {
  const unsigned All =
      Options.Model.Threads ? Options.Model.Threads : availableProcessors();
  Table Lines({"threads", "f32 multiply-add", "memory read"});
  Json Results = Json::array();
  std::string Isa;
  for (unsigned Threads : {1u, All}) {
    MachineLimits L = measureMachine(Threads);
    Isa = L.Isa;
    Lines.row({std::to_string(Threads),
               fmt::format("{:.1f} GFLOP/s", L.PeakFlops * 1e-9),
               fmt::format("{:.1f} GB/s", L.ReadBytes * 1e-9)});
    Results.push_back({{"threads", Threads},
                       {"f32_flops", L.PeakFlops},
                       {"read_bytes_per_second", L.ReadBytes}});
    if (All == 1)
      break;
  }
  if (Options.AsJson)
    printJson(Json{
        {"processor", processorName()}, {"isa", Isa}, {"limits", Results}});
  else
    fmt::print("{}, {}\n{}", processorName(), Isa, Lines.text());
  return 0;
}

} // namespace

void tool::addBenchCommand(CLI::App &App, Action &Chosen) {
  auto Options = std::make_shared<BenchOptions>();
  CLI::App *Command = App.add_subcommand(
      "bench", "measures a model, against other engines too, or the machine");
  Options->Model.addTo(*Command);
  Command->get_option("model")->required(false);
  Options->Inputs.addTo(*Command);
  Command
      ->add_option("--vs", Options->Against,
                   "other engines: onnxruntime, openvino, torch, jax")
      ->delimiter(',')
      ->check(CLI::IsMember({"onnxruntime", "openvino", "torch", "jax"}));
  Command->add_option("--rounds", Options->Rounds, "turns of each engine")
      ->capture_default_str()
      ->check(CLI::Range(1u, 1000u));
  Command->add_option("--seconds", Options->Seconds, "time for all rounds")
      ->capture_default_str();
  Command->add_option("--html", Options->Html, "writes a page");
  Command->add_flag("--json", Options->AsJson, "prints JSON");
  Command->footer(
      "Examples:\n"
      "  limosa bench\n"
      "  limosa bench model.onnx --threads 2\n"
      "  limosa bench model.onnx --tune --size batch=8\n"
      "  limosa bench model.onnx --precision bf16 --vs openvino\n"
      "  limosa bench model.onnx --vs onnxruntime,openvino --html bench.html");
  Command->callback([Options, &Chosen] {
    Chosen = [Options] {
      return Options->Model.Path.empty() ? benchMachine(*Options)
                                         : benchModel(*Options);
    };
  });
}
