//===- Verify.cpp - limosa verify -----------------------------------------===//
//
// Two checks: every kernel against the reference interpreter on the bytes it
// reads, and the model's results against those of the reference device, which
// runs the unfused model op by op.
//
//===----------------------------------------------------------------------===//

#include "Command.h"
#include "Inputs.h"
#include "KernelCheck.h"
#include "ProgramView.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

using namespace limosa;
using namespace limosa::tool;
using Json = nlohmann::ordered_json;

namespace {

struct VerifyOptions {
  ModelOptions Model;
  InputOptions Inputs;
  double Tolerance = 1e-4;
  bool KernelsOnly = false, AsJson = false;
};

/// The outputs of the whole model, compared.
struct WholeModel {
  std::string Skipped; ///< Why it was not compared.
  std::vector<std::pair<std::string, Difference>> Outputs;
};

Status compareWhole(VerifyOptions &Options,
                    const std::vector<NamedTensor> &Arguments,
                    const std::vector<NamedTensor> &Results, Progress &Bar,
                    WholeModel &Found) {
  if (isCompiledModel(Options.Model.Path)) {
    Found.Skipped = "a compiled file has no unfused model to compare with";
    return {};
  }
  ModelOptions Reference = Options.Model;
  Reference.Device = "reference";
  Session Model;
  Bar.show("compiling for the reference device");
  if (Status S = Model.open(Reference, Bar)) {
    Found.Skipped = "no reference result: " + S.message();
    return {};
  }
  std::vector<NamedTensor> Expected;
  Bar.show("running the reference");
  if (Status S = Model.run(Arguments, Expected))
    return {S.code(), "the reference device: " + S.message()};
  Bar.clear();
  for (size_t I = 0; I < Expected.size() && I < Results.size(); ++I)
    Found.Outputs.emplace_back(Expected[I].Name,
                               compare(Results[I].Value, Expected[I].Value,
                                       Tolerance{Options.Tolerance}));
  return {};
}

void print(const KernelCheck &Kernels, const WholeModel &Whole,
           const std::vector<std::string> &Assumed) {
  if (!Assumed.empty())
    fmt::print("random inputs with {}\n", fmt::join(Assumed, ", "));
  for (const WrongResult &W : Kernels.wrong())
    fmt::print("WRONG  launch {}, kernel {} ({}): {} made by {}: {}\n"
               "       ops: {}\n       nodes: {}\n",
               W.Launch, W.Kernel->name()->str(),
               W.Kernel->template_() ? W.Kernel->template_()->str() : "",
               W.Value, W.Op, W.Apart.Why, opsOf(*W.Kernel),
               nodesOf(*W.Kernel, 10));
  for (const std::string &Why : Kernels.unchecked())
    fmt::print("not checked: {}\n", Why);
  fmt::print("{} launches checked, {} wrong, worst difference {:.1e}\n",
             Kernels.checked(), Kernels.wrong().size(), Kernels.worst());
  for (const auto &[Name, D] : Whole.Outputs)
    fmt::print("output {}: {}\n", Name,
               D.Agrees ? fmt::format("agrees, {:.1e}", D.relative())
                        : "WRONG, " + D.Why);
  if (!Whole.Skipped.empty())
    fmt::print("not compared: {}\n", Whole.Skipped);
}

void printJson(const KernelCheck &Kernels, const WholeModel &Whole, bool Good) {
  Json Wrong = Json::array(), Outputs = Json::array();
  for (const WrongResult &W : Kernels.wrong())
    Wrong.push_back({{"launch", W.Launch},
                     {"kernel", W.Kernel->name()->str()},
                     {"value", W.Value},
                     {"op", W.Op},
                     {"ops", opsOf(*W.Kernel)},
                     {"nodes", nodesOf(*W.Kernel, SIZE_MAX)},
                     {"difference", W.Apart.relative()},
                     {"why", W.Apart.Why}});
  for (const auto &[Name, D] : Whole.Outputs)
    Outputs.push_back(
        {{"name", Name}, {"agrees", D.Agrees}, {"difference", D.relative()}});
  fmt::print("{}\n", Json{{"good", Good},
                          {"launches_checked", Kernels.checked()},
                          {"worst", Kernels.worst()},
                          {"wrong", Wrong},
                          {"unchecked", Kernels.unchecked()},
                          {"outputs", Outputs},
                          {"not_compared", Whole.Skipped}}
                         .dump(2));
}

int verify(VerifyOptions &Options) {
  Progress Bar;
  Session Model;
  if (Status S = Model.open(Options.Model, Bar))
    return report(S);
  std::vector<NamedTensor> Arguments, Results;
  std::vector<std::string> Assumed;
  if (Status S = makeInputs(Options.Inputs, Model.inputs(), Arguments, Assumed))
    return report(S);

  KernelCheck Kernels(Model, Tolerance{Options.Tolerance}, Bar);
  Model.instance().setObserver(
      [&](const runtime::LaunchView &Launch, bool After) {
        return Kernels.observe(Launch, After);
      });
  if (Status S = Model.run(Arguments, Results))
    return report(S);
  Bar.clear();
  WholeModel Whole;
  if (Options.KernelsOnly)
    Whole.Skipped = "--kernels-only";
  else if (Status S = compareWhole(Options, Arguments, Results, Bar, Whole))
    return report(S);

  bool Good = Kernels.wrong().empty() && Kernels.checked() > 0;
  for (const auto &[Name, D] : Whole.Outputs)
    Good &= D.Agrees;
  if (Options.AsJson)
    printJson(Kernels, Whole, Good);
  else
    print(Kernels, Whole, Assumed);
  return Good ? 0 : 1;
}

} // namespace

void tool::addVerifyCommand(CLI::App &App, Action &Chosen) {
  auto Options = std::make_shared<VerifyOptions>();
  CLI::App *Command = App.add_subcommand(
      "verify", "compares every kernel, and the model, with the reference");
  Options->Model.addTo(*Command);
  Options->Inputs.addTo(*Command);
  Command
      ->add_option("--tolerance", Options->Tolerance,
                   "largest difference allowed, of the largest value")
      ->capture_default_str();
  Command->add_flag("--kernels-only", Options->KernelsOnly,
                    "leaves out the run of the whole model on the reference");
  Command->add_flag("--json", Options->AsJson, "prints JSON");
  Command->footer("Examples:\n"
                  "  limosa verify model.onnx\n"
                  "  limosa verify model.onnx --size batch=2 --size seq=31");
  Command->callback(
      [Options, &Chosen] { Chosen = [Options] { return verify(*Options); }; });
}
