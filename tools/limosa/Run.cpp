//===- Run.cpp - limosa run -----------------------------------------------===//

#include "Arrays.h"
#include "Command.h"
#include "Inputs.h"
#include "Json.h"

#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <fmt/format.h>
#include <limosa/Runtime/Profile.h>

using namespace limosa;
using namespace limosa::tool;

namespace {

struct RunOptions {
  ModelOptions Model;
  InputOptions Inputs;
  std::string Output, Profile;
  bool Json = false;
};

double seconds(std::chrono::steady_clock::time_point Start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - Start)
      .count();
}

/// The range of an array's values and how many are not finite.
struct Summary {
  double Min = INFINITY, Max = -INFINITY, Mean = 0;
  int64_t NotFinite = 0;

  explicit Summary(const HostTensor &T) {
    const int64_t Elements = T.elements();
    for (int64_t I = 0; I < Elements; ++I) {
      double Value = T.at(I);
      if (!std::isfinite(Value)) {
        ++NotFinite;
        continue;
      }
      Min = std::min(Min, Value);
      Max = std::max(Max, Value);
      Mean += Value / double(Elements);
    }
  }
};

/// A string in quotes, as JSON writes it.
std::string quoted(std::string_view Text) {
  return jsonText(nlohmann::json(Text), -1);
}

std::string firstValues(const HostTensor &T) {
  std::string Text;
  const bool Strings = T.type() == DType::String;
  const int64_t Shown = std::min<int64_t>(T.elements(), 5);
  for (int64_t I = 0; I < Shown; ++I)
    Text +=
        (I ? ", " : "") + (Strings ? quoted(T.text(I)) : formatNumber(T.at(I)));
  return "[" + Text + (T.elements() > Shown ? ", ...]" : "]");
}

void printResults(const std::vector<NamedTensor> &Results) {
  Table Lines({"output", "type", "min", "max", "mean", "values"});
  for (const auto &[Name, Value] : Results) {
    if (!Value.elements()) {
      Lines.row({Name, describe(Value.type(), Value.dims())});
      continue;
    }
    if (Value.type() == DType::String) {
      Lines.row({Name, describe(Value.type(), Value.dims()), "", "", "",
                 firstValues(Value)});
      continue;
    }
    Summary S(Value);
    Lines.row({Name, describe(Value.type(), Value.dims()), formatNumber(S.Min),
               formatNumber(S.Max), formatNumber(S.Mean), firstValues(Value)});
    if (S.NotFinite)
      warn(fmt::format("{} values of output '{}' are not finite", S.NotFinite,
                       Name));
  }
  fmt::print("{}", Lines.text());
}

nlohmann::ordered_json toJson(const std::vector<NamedTensor> &Results) {
  auto List = nlohmann::ordered_json::array();
  for (const auto &[Name, Value] : Results) {
    nlohmann::ordered_json Item{{"name", Name},
                                {"dtype", dtypeName(Value.type())},
                                {"shape", Value.dims()}};
    if (Value.type() == DType::String) {
      Item["values"] = nlohmann::ordered_json::array();
      for (int64_t I = 0; I < Value.elements(); ++I)
        Item["values"].push_back(Value.text(I));
    } else if (Value.elements()) {
      Summary S(Value);
      Item.update({{"min", S.Min}, {"max", S.Max}, {"mean", S.Mean}});
      Item["not_finite"] = S.NotFinite;
    }
    List.push_back(std::move(Item));
  }
  return List;
}

Status run(RunOptions &Options) {
  Progress Bar;
  Session Model;
  auto Start = std::chrono::steady_clock::now();
  Options.Model.TuneSizes = Options.Inputs.Sizes;
  if (Status S = Model.open(Options.Model, Bar))
    return S;
  const double LoadTime = seconds(Start);

  std::vector<NamedTensor> Arguments, Results;
  std::vector<std::string> Assumed;
  if (Status S = makeInputs(Options.Inputs, Model.inputs(), Arguments, Assumed))
    return S;
  if (!Options.Profile.empty()) {
    // The profile shows a warm run, the one below.
    if (Status S = blameSizes(Model.runOnly(Arguments), Assumed))
      return S;
    if (Status S = Model.instance().startProfile())
      return S;
  }
  Start = std::chrono::steady_clock::now();
  if (Status S = blameSizes(Model.run(Arguments, Results), Assumed))
    return S;
  const double RunTime = seconds(Start);
  if (!Options.Profile.empty())
    if (Status S = Model.instance().stopProfile()->writeChromeTrace(
            Model.module(), Options.Profile))
      return S;
  if (!Options.Output.empty())
    if (Status S = writeArrays(Options.Output, Results))
      return S;

  if (Options.Json) {
    nlohmann::ordered_json Report{{"outputs", toJson(Results)},
                                  {"load_seconds", LoadTime},
                                  {"from_cache", Model.fromCache()},
                                  {"run_seconds", RunTime},
                                  {"assumed_sizes", Assumed}};
    printJson(Report);
    return {};
  }
  if (!Assumed.empty())
    fmt::print("random inputs with {} (set with --size or --input)\n",
               fmt::join(Assumed, ", "));
  printResults(Results);
  fmt::print("{} in {}, run in {}\n",
             Model.fromCache()                     ? "loaded from the cache"
             : isCompiledModel(Options.Model.Path) ? "loaded"
                                                   : "compiled",
             formatSeconds(LoadTime), formatSeconds(RunTime));
  if (!Options.Profile.empty())
    fmt::print("profile in {}: open it at ui.perfetto.dev or "
               "chrome://tracing\n",
               Options.Profile);
  return {};
}

} // namespace

void tool::addRunCommand(CLI::App &App, Action &Chosen) {
  auto Options = std::make_shared<RunOptions>();
  CLI::App *Command =
      App.add_subcommand("run", "runs a model, compiling it first if need be");
  Options->Model.addTo(*Command);
  Options->Inputs.addTo(*Command);
  Command->add_option("-o,--output", Options->Output,
                      "file for the outputs: .npz, .safetensors, or .npy of a "
                      "single one");
  Command->add_option("--profile", Options->Profile,
                      "writes a trace of every kernel (Chrome, Perfetto)");
  Command->add_flag("--json", Options->Json, "prints JSON");
  Command->footer("Examples:\n"
                  "  limosa run model.onnx\n"
                  "  limosa run model.onnx --input x=photo.npy -o result.npz\n"
                  "  limosa run bert.onnx --size batch=2 --size seq=64 "
                  "--threads 2 --profile trace.json");
  Command->callback([Options, &Chosen] {
    Chosen = [Options] { return report(run(*Options)); };
  });
}
