//===- Verify.cpp - limosa verify -----------------------------------------===//
//
// Two checks: every kernel against the reference interpreter on the bytes it
// reads, and the model's results against those of the reference device, which
// runs the unfused model op by op.
//
//===----------------------------------------------------------------------===//

#include "Command.h"
#include "Inputs.h"
#include "Json.h"
#include "KernelCheck.h"
#include "ProgramView.h"
#include "Widen.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

using namespace limosa;
using namespace limosa::tool;
using Json = nlohmann::ordered_json;

namespace {

struct VerifyOptions {
  ModelOptions Model;
  InputOptions Inputs;
  double Tolerance = 1e-4;
  bool KernelsOnly = false, AsJson = false;

  /// How far outputs may be from those of the reference, which runs the model
  /// in f32. Kernels have to do what their ops say in any precision.
  double wholeTolerance() const {
    constexpr double OfBf16 = 0.05;
    return Model.isBf16() ? std::max(Tolerance, OfBf16) : Tolerance;
  }
};

/// An output of the whole model, compared.
struct OutputCheck {
  std::string Name;
  Difference Apart;
  bool Rounding = false; ///< Apart by no more than rounding (Widen.h).

  bool agrees() const { return Apart.Agrees || Rounding; }
};
struct WholeModel {
  std::string Skipped; ///< Why it was not compared.
  std::vector<OutputCheck> Outputs;
};

/// A kernel that another device runs; empty if there is none.
std::string kernelNotOn(const fb::Program &P, std::string_view Device) {
  for (uint32_t I = 0; P.kernels() && I < P.kernels()->size(); ++I) {
    const fb::Kernel &K = *P.kernels()->Get(I);
    const fb::Executable &E = *P.executables()->Get(K.executable());
    if (P.devices()->Get(E.device())->name()->string_view() != Device)
      return K.name()->str() + " (" + opsOf(K) + ")";
  }
  return "";
}

/// Finds out for outputs that differ whether it is rounding, by another run of
/// the reference: `Expected` are its results.
Status judgeByRounding(const VerifyOptions &Options, Session &Reference,
                       const std::vector<NamedTensor> &Arguments,
                       const std::vector<NamedTensor> &Expected,
                       const std::vector<NamedTensor> &Results,
                       WholeModel &Found) {
  ShadowRun Exact(Reference, ShadowRun::Wide),
      Narrow(Reference, ShadowRun::NarrowSums);
  Reference.instance().setObserver(
      [&](const runtime::LaunchView &Launch, bool After) {
        Exact.observe(Launch, After);
        Narrow.observe(Launch, After);
        return Status();
      });
  std::vector<NamedTensor> Again;
  if (Status S = Reference.run(Arguments, Again))
    return {S.code(), "the reference device: " + S.message()};
  for (size_t I = 0; I < Found.Outputs.size(); ++I) {
    OutputCheck &Output = Found.Outputs[I];
    const HostTensor &Want = Expected[I].Value;
    const reference::Tensor *InF64 = Exact.of(Want), *InF32 = Narrow.of(Want);
    Output.Rounding = !Output.Apart.Agrees && InF64 && InF32 &&
                      isRoundingApart(Results[I].Value, Want, *InF64, *InF32,
                                      Tolerance{Options.Tolerance});
  }
  return {};
}

Status compareWhole(VerifyOptions &Options,
                    const std::vector<NamedTensor> &Arguments,
                    const std::vector<NamedTensor> &Results, Progress &Bar,
                    WholeModel &Found) {
  if (isCompiledModel(Options.Model.Path)) {
    Found.Skipped = "a compiled file has no unfused model to compare with";
    return {};
  }
  ModelOptions Reference = Options.Model;
  Reference.Precision = "f32";
  Reference.Device = "reference";
  Reference.Flags.push_back("layouts=off"); // they are the CPU's
  // The compiler is another library and gets the device as a plug-in.
  const std::string Plugin = besideExecutable("lib/liblimosa_reference.so");
  if (!Plugin.empty())
    Reference.Plugins.push_back(Plugin);
  Session Model;
  Bar.show("compiling for the reference device");
  if (Status S = Model.open(Reference, Bar)) {
    Found.Skipped = "no reference result: " + S.message();
    return {};
  }
  if (std::string Elsewhere = kernelNotOn(Model.program(), "reference");
      !Elsewhere.empty()) {
    Found.Skipped = "the reference device did not take " + Elsewhere;
    return {};
  }
  std::vector<NamedTensor> Expected;
  Bar.show("running the reference");
  if (Status S = Model.run(Arguments, Expected))
    return {S.code(), "the reference device: " + S.message()};
  bool Differs = false;
  for (size_t I = 0; I < Expected.size() && I < Results.size(); ++I) {
    Found.Outputs.push_back(
        {Expected[I].Name, compare(Results[I].Value, Expected[I].Value,
                                   Tolerance{Options.wholeTolerance()})});
    Differs |= !Found.Outputs.back().agrees();
  }
  Status S;
  if (Differs && !Options.Model.isBf16()) {
    Bar.show("running the reference in f64");
    S = judgeByRounding(Options, Model, Arguments, Expected, Results, Found);
  }
  Bar.clear();
  return S;
}

/// Runs the model with one op to a kernel, to find the op of a wrong kernel.
/// Nullopt if nothing is wrong then, or it cannot be told.
std::optional<WrongResult> findOp(const VerifyOptions &Options,
                                  const std::vector<NamedTensor> &Arguments,
                                  Progress &Bar) {
  ModelOptions Unfused = Options.Model;
  Unfused.Flags.push_back("fuse=off");
  Session Model;
  std::vector<NamedTensor> Results;
  if (Model.open(Unfused, Bar))
    return std::nullopt;
  KernelCheck Ops(Model, Tolerance{Options.Tolerance}, Bar);
  Model.instance().setObserver(
      [&](const runtime::LaunchView &Launch, bool After) {
        return Ops.observe(Launch, After);
      });
  Status Ignored = Model.run(Arguments, Results);
  Bar.clear();
  return Ops.wrong().empty() ? std::nullopt : std::optional(Ops.wrong()[0]);
}

/// All that the report shows.
struct Findings {
  std::vector<std::string> Assumed;
  WholeModel Whole;
  std::optional<WrongResult> Op; ///< The first that differs, unfused.
  bool Good = true;
};

void print(const KernelCheck &Kernels, const Findings &F, bool IsBf16) {
  if (!F.Assumed.empty())
    fmt::print("random inputs with {}\n", fmt::join(F.Assumed, ", "));
  for (const WrongResult &W : Kernels.wrong())
    fmt::print("WRONG  launch {}, kernel {} ({}): {} made by {}: {}\n"
               "       ops: {}\n       nodes: {}\n",
               W.Launch, W.Kernel, W.Template, W.Value, W.Op, W.Apart.Why,
               W.Ops, W.Nodes);
  if (F.Op)
    fmt::print("first wrong op: {} ({}): {}\n", F.Op->Op, F.Op->Nodes,
               F.Op->Apart.Why);
  for (const std::string &Why : Kernels.unchecked())
    fmt::print("not checked: {}\n", Why);
  fmt::print("{} launches checked, {} wrong, worst difference {:.1e}\n",
             Kernels.checked(), Kernels.wrong().size(), Kernels.worst());
  if (Kernels.rounding())
    fmt::print("{} results are further off, but no more than f32 rounding "
               "moves them (compared with f64)\n",
               Kernels.rounding());
  for (const OutputCheck &O : F.Whole.Outputs)
    fmt::print("output {}: {}{}\n", O.Name,
               !O.agrees() ? "WRONG, " + O.Apart.Why
               : IsBf16    ? fmt::format("{:.1e} of the largest value off f32",
                                         O.Apart.relative())
                           : fmt::format("agrees, {:.1e}", O.Apart.relative()),
               O.Rounding ? ", which is what f32 rounding does to this model "
                            "(compared with f64)"
                          : "");
  if (!F.Whole.Skipped.empty())
    fmt::print("not compared: {}\n", F.Whole.Skipped);
}

Json toJson(const WrongResult &W) {
  return {{"launch", W.Launch}, {"kernel", W.Kernel},
          {"value", W.Value},   {"op", W.Op},
          {"ops", W.Ops},       {"nodes", W.Nodes},
          {"why", W.Apart.Why}, {"difference", W.Apart.relative()}};
}

void printReport(const KernelCheck &Kernels, const Findings &F,
                 const std::string &Precision) {
  Json Wrong = Json::array(), Outputs = Json::array();
  for (const WrongResult &W : Kernels.wrong())
    Wrong.push_back(toJson(W));
  for (const OutputCheck &O : F.Whole.Outputs)
    Outputs.push_back({{"name", O.Name},
                       {"agrees", O.agrees()},
                       {"within_rounding", O.Rounding},
                       {"difference", O.Apart.relative()}});
  printJson(Json{{"good", F.Good},
                 {"precision", Precision},
                 {"launches_checked", Kernels.checked()},
                 {"worst", Kernels.worst()},
                 {"within_rounding", Kernels.rounding()},
                 {"wrong", Wrong},
                 {"first_wrong_op", F.Op ? toJson(*F.Op) : Json()},
                 {"unchecked", Kernels.unchecked()},
                 {"outputs", Outputs},
                 {"not_compared", F.Whole.Skipped}});
}

int verify(VerifyOptions &Options) {
  Progress Bar;
  Session Model;
  Options.Model.TuneSizes = Options.Inputs.Sizes;
  if (Status S = Model.open(Options.Model, Bar))
    return report(S);
  Findings F;
  std::vector<NamedTensor> Arguments, Results;
  if (Status S =
          makeInputs(Options.Inputs, Model.inputs(), Arguments, F.Assumed))
    return report(S);

  KernelCheck Kernels(Model, Tolerance{Options.Tolerance}, Bar);
  Model.instance().setObserver(
      [&](const runtime::LaunchView &Launch, bool After) {
        return Kernels.observe(Launch, After);
      });
  if (Status S = blameSizes(Model.run(Arguments, Results), F.Assumed))
    return report(S);
  Bar.clear();
  if (!Kernels.wrong().empty() && Kernels.wrong()[0].OpCount == 1)
    F.Op = Kernels.wrong()[0];
  else if (!Kernels.wrong().empty() && !isCompiledModel(Options.Model.Path))
    F.Op = findOp(Options, Arguments, Bar);
  if (Options.KernelsOnly)
    F.Whole.Skipped = "--kernels-only";
  else if (Status S = compareWhole(Options, Arguments, Results, Bar, F.Whole))
    return report(S);

  // What the host's operators do is their own reference.
  bool HasKernels =
      Model.program().kernels() && Model.program().kernels()->size();
  F.Good = Kernels.wrong().empty() && (Kernels.checked() > 0 || !HasKernels);
  for (const OutputCheck &O : F.Whole.Outputs)
    F.Good &= O.agrees();
  if (Options.AsJson)
    printReport(Kernels, F, Options.Model.Precision);
  else
    print(Kernels, F, Options.Model.isBf16());
  return F.Good ? 0 : 1;
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
                  "  limosa verify model.onnx --precision bf16\n"
                  "  limosa verify model.onnx --size batch=2 --size seq=31");
  Command->callback(
      [Options, &Chosen] { Chosen = [Options] { return verify(*Options); }; });
}
