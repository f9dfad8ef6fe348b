//===- Inspect.cpp - limosa inspect ---------------------------------------===//

#include "Command.h"
#include "Html.h"
#include "Inputs.h"
#include "Json.h"
#include "ProgramText.h"
#include "ProgramView.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fmt/format.h>

using namespace limosa;
using namespace limosa::tool;
using Json = nlohmann::ordered_json;

namespace {

struct InspectOptions {
  ModelOptions Model;
  InputOptions Inputs;
  std::string Html;
  unsigned Top = 20;
  bool Static = false, Program = false, AsJson = false;
};

/// All that the report shows.
struct Findings {
  std::vector<std::string> Arguments; ///< "x f32[batch, 3]" lines
  std::vector<std::string> Assumed;
  std::vector<KernelSummary> Kernels;
  MachineLimits Limits;
  MemoryPeak Peak;
  uint64_t Arena = 0, Constants = 0;
  double Seconds = 0; ///< Of one run; 0 if it was not run.
  std::vector<std::pair<std::string, double>> Passes;
};

/// Short models run more often, so that one stall of the machine is not seen.
constexpr unsigned LeastRuns = 5, MostRuns = 200;
constexpr double ProfiledSeconds = 0.5;

Status gather(InspectOptions &Options, Findings &F) {
  Progress Bar;
  Session Model;
  Options.Model.TuneSizes = Options.Inputs.Sizes;
  if (Status S = Model.open(Options.Model, Bar))
    return S;
  for (const ArgumentInfo &A : Model.inputs())
    F.Arguments.push_back("input   " + A.Name + "  " + A.text());
  for (const ArgumentInfo &A : Model.outputs())
    F.Arguments.push_back("output  " + A.Name + "  " + A.text());

  const fb::Program &P = Model.program();
  std::shared_ptr<const runtime::Profile> Recorded;
  unsigned Runs = LeastRuns;
  if (!Options.Static) {
    std::vector<NamedTensor> Arguments;
    if (Status S =
            makeInputs(Options.Inputs, Model.inputs(), Arguments, F.Assumed))
      return S;
    Bar.show("measuring the machine");
    F.Limits = measureMachine(Model.module().context()->threads());
    Bar.show("running the model");
    if (Status S = blameSizes(Model.runOnly(Arguments), F.Assumed))
      return S;
    auto Start = std::chrono::steady_clock::now();
    if (Status S = Model.runOnly(Arguments))
      return S;
    std::chrono::duration<double> Once =
        std::chrono::steady_clock::now() - Start;
    Runs = unsigned(std::clamp(ProfiledSeconds / Once.count(),
                               double(LeastRuns), double(MostRuns)));
    if (Status S = Model.instance().startProfile())
      return S;
    for (unsigned Run = 0; Run < Runs; ++Run)
      if (Status S = Model.runOnly(Arguments))
        return S;
    Recorded = Model.instance().stopProfile();
    for (const runtime::RunRecord &R : Recorded->Runs)
      F.Seconds += double(R.End - R.Begin) * 1e-9 / Runs;
    for (uint32_t D = 0; P.devices() && D < P.devices()->size(); ++D)
      F.Arena += Model.instance().arenaBytes(D);
    F.Peak = findPeak(P, Model.entryTable(), Model.symbols());
  }
  F.Kernels = summariseKernels(P, Model.entryTable(), Recorded.get(), Runs);
  std::sort(F.Kernels.begin(), F.Kernels.end(),
            [](auto &A, auto &B) { return A.Seconds > B.Seconds; });
  for (uint32_t C = 0; P.constants() && C < P.constants()->size(); ++C)
    F.Constants += P.constants()->Get(C)->size();
  for (uint32_t T = 0; P.pass_times() && T < P.pass_times()->size(); ++T)
    F.Passes.emplace_back(P.pass_times()->Get(T)->name()->str(),
                          P.pass_times()->Get(T)->seconds());
  return {};
}

std::string percent(double Part) {
  return Part < 0 ? "" : fmt::format("{:.0f} %", 100 * Part);
}

Table kernelTable(const Findings &F, size_t Limit) {
  Table Lines({"kernel", "template", "ops", "launches", "time", "share",
               "GFLOP/s", "GB/s", "of roof", "bound", "nodes"});
  for (size_t I = 0; I < std::min(Limit, F.Kernels.size()); ++I) {
    const KernelSummary &K = F.Kernels[I];
    const bool Timed = K.Seconds > 0;
    auto Rate = [&](double Amount) {
      return Timed && Amount >= 0
                 ? fmt::format("{:.1f}", Amount / K.Seconds * 1e-9)
                 : std::string();
    };
    Lines.row({K.Name, K.Device == "cpu" ? K.Template : K.Device, K.Ops,
               Timed ? fmt::format("{:.0f}", K.Launches) : "",
               Timed ? formatSeconds(K.Seconds) : "",
               Timed ? percent(K.Seconds / F.Seconds) : "", Rate(K.Flops),
               Rate(K.Bytes), percent(Timed ? K.ofRoof(F.Limits) : -1),
               Timed ? K.bound(F.Limits) : "", K.Nodes});
  }
  return Lines;
}

/// Kernels whose choices were timed when the model was compiled.
Table choiceTable(const Findings &F, size_t Limit) {
  Table Lines({"tuned kernel", "by the clock", "by estimate", "time",
               "estimate's time", "tried"});
  for (const KernelSummary &K : F.Kernels) {
    if (!K.Measured || Lines.rows().size() > Limit)
      continue;
    std::string Taken, Estimated;
    for (const ChoiceSummary &C : K.Choices)
      if (C.Value != C.Estimate) {
        Taken += (Taken.empty() ? "" : ", ") + C.Name + "=" + C.Value;
        Estimated +=
            (Estimated.empty() ? "" : ", ") + C.Name + "=" + C.Estimate;
      }
    Lines.row({K.Name, Taken.empty() ? "the estimate" : Taken, Estimated,
               formatSeconds(K.Measured->seconds),
               formatSeconds(K.Measured->estimate_seconds),
               std::to_string(K.Measured->tried)});
  }
  return Lines;
}

Table memoryTable(const Findings &F, size_t Limit) {
  Table Lines({"held at the peak", "type", "bytes"});
  for (size_t I = 0; I < std::min(Limit, F.Peak.Holders.size()); ++I)
    Lines.row({F.Peak.Holders[I].Name, F.Peak.Holders[I].Type,
               formatBytes(double(F.Peak.Holders[I].Bytes))});
  return Lines;
}

Table passTable(const Findings &F) {
  Table Lines({"pass", "time"});
  for (const auto &[Name, Seconds] : F.Passes)
    Lines.row({Name, formatSeconds(Seconds)});
  return Lines;
}

std::string memoryLine(const Findings &F) {
  return fmt::format(
      "weights {}, arena {}{}", formatBytes(double(F.Constants)),
      formatBytes(double(F.Arena)),
      F.Peak.Bytes
          ? fmt::format(", of it {} in use at the peak, during {}",
                        formatBytes(double(F.Peak.Bytes)), F.Peak.During)
          : "");
}

std::string machineLine(const Findings &F) {
  return fmt::format("{}, {} threads: {:.0f} GFLOP/s, {:.1f} GB/s",
                     processorName(), F.Limits.Threads,
                     F.Limits.PeakFlops * 1e-9, F.Limits.ReadBytes * 1e-9);
}

std::vector<std::string> remarkLines(const Findings &F) {
  std::vector<std::string> Lines;
  for (const KernelSummary &K : F.Kernels)
    for (const std::string &Remark : K.Remarks)
      Lines.push_back(K.Name + ": " + Remark);
  return Lines;
}

void print(const Findings &F, size_t Top) {
  for (const std::string &Line : F.Arguments)
    fmt::print("{}\n", Line);
  if (!F.Assumed.empty())
    fmt::print("random inputs with {}\n", fmt::join(F.Assumed, ", "));
  if (F.Seconds > 0)
    fmt::print("\n{}\none run: {}\n", machineLine(F), formatSeconds(F.Seconds));
  fmt::print("\n{}", kernelTable(F, Top).text());
  if (F.Kernels.size() > Top)
    fmt::print("and {} kernels more (--top)\n", F.Kernels.size() - Top);
  for (const std::string &Line : remarkLines(F))
    fmt::print("remark: {}\n", Line);
  if (Table Choices = choiceTable(F, Top); Choices.rows().size() > 1)
    fmt::print("\n{}", Choices.text());
  fmt::print("\nmemory: {}\n", memoryLine(F));
  if (!F.Peak.Holders.empty())
    fmt::print("{}", memoryTable(F, Top).text());
  if (!F.Passes.empty())
    fmt::print("\n{}", passTable(F).text());
}

void printReport(const Findings &F) {
  Json Kernels = Json::array(), Holders = Json::array(),
       Passes = Json::object();
  for (const KernelSummary &K : F.Kernels) {
    Json Item{{"name", K.Name},         {"template", K.Template},
              {"device", K.Device},     {"ops", K.Ops},
              {"nodes", K.Nodes},       {"remarks", K.Remarks},
              {"launches", K.Launches}, {"seconds", K.Seconds}};
    if (K.Flops >= 0)
      Item["flops"] = K.Flops;
    if (K.Bytes >= 0)
      Item["bytes"] = K.Bytes;
    for (const ChoiceSummary &C : K.Choices)
      Item["choices"].push_back(
          {{"name", C.Name}, {"value", C.Value}, {"estimate", C.Estimate}});
    if (K.Measured)
      Item["measured"] = {{"seconds", K.Measured->seconds},
                          {"estimate_seconds", K.Measured->estimate_seconds},
                          {"tried", K.Measured->tried}};
    if (double Part = K.ofRoof(F.Limits); F.Seconds > 0 && Part >= 0)
      Item["of_roof"] = Part;
    Kernels.push_back(std::move(Item));
  }
  for (const auto &H : F.Peak.Holders)
    Holders.push_back({{"name", H.Name}, {"type", H.Type}, {"bytes", H.Bytes}});
  for (const auto &[Name, Seconds] : F.Passes)
    Passes[Name] = Seconds;
  Json Report{{"arguments", F.Arguments},
              {"assumed_sizes", F.Assumed},
              {"run_seconds", F.Seconds},
              {"machine",
               {{"threads", F.Limits.Threads},
                {"flops", F.Limits.PeakFlops},
                {"read_bytes_per_second", F.Limits.ReadBytes}}},
              {"kernels", Kernels},
              {"memory",
               {{"weights", F.Constants},
                {"arena", F.Arena},
                {"peak", F.Peak.Bytes},
                {"peak_during", F.Peak.During},
                {"holders", Holders}}},
              {"passes", Passes}};
  printJson(Report);
}

/// The kernels on the machine's roofline, both axes logarithmic.
std::string rooflinePicture(const Findings &F) {
  constexpr double Width = 760, Height = 380, Margin = 50;
  constexpr double LowX = -3, HighX = 10, LowY = -6; // powers of two
  const double Peak = F.Limits.PeakFlops * 1e-9;
  const double HighY = std::log2(Peak) + 1;
  auto X = [&](double Intensity) {
    double At = std::clamp(std::log2(Intensity), LowX, HighX);
    return Margin + (At - LowX) / (HighX - LowX) * (Width - 2 * Margin);
  };
  auto Y = [&](double Rate) {
    double At = std::clamp(std::log2(Rate), LowY, HighY);
    return Height - Margin -
           (At - LowY) / (HighY - LowY) * (Height - 2 * Margin);
  };
  std::string Svg = fmt::format("<svg viewBox=\"0 0 {} {}\" width=\"{}\">\n"
                                "<style>text{{font:11px sans-serif}}</style>",
                                Width, Height, Width);
  std::string Roof;
  for (double Power = LowX; Power <= HighX; Power += 0.25) {
    double Intensity = std::exp2(Power);
    double Rate = F.Limits.roof(Intensity, 1) * 1e-9;
    Roof += fmt::format("{:.1f},{:.1f} ", X(Intensity), Y(Rate));
  }
  Svg += fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"#a33\" "
                     "stroke-width=\"2\"/>\n",
                     Roof);
  for (double Power = LowX; Power <= HighX; ++Power)
    Svg += fmt::format("<text x=\"{:.0f}\" y=\"{:.0f}\">{:g}</text>",
                       X(std::exp2(Power)), Height - Margin + 16,
                       std::exp2(Power));
  for (double Rate = 0.1; Rate < Peak * 2; Rate *= 10)
    Svg += fmt::format("<text x=\"6\" y=\"{:.0f}\">{:g}</text>", Y(Rate) + 4,
                       Rate);
  Svg += fmt::format("<text x=\"{:.0f}\" y=\"{:.0f}\">flops per byte</text>"
                     "<text x=\"6\" y=\"14\">GFLOP/s</text>\n",
                     Width / 2 - 30, Height - 8);
  for (const KernelSummary &K : F.Kernels) {
    if (K.Flops <= 0 || K.Bytes <= 0 || K.Seconds <= 0)
      continue;
    double Radius = 3 + 14 * std::sqrt(K.Seconds / F.Seconds);
    Svg += fmt::format(
        "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\" fill=\"#4a7ab5\" "
        "fill-opacity=\".55\"><title>{}: {}, {}</title></circle>\n",
        X(K.Flops / K.Bytes), Y(K.Flops / K.Seconds * 1e-9), Radius,
        HtmlPage::escape(K.Name), HtmlPage::escape(K.Ops),
        formatSeconds(K.Seconds));
  }
  return Svg + "</svg>\n";
}

Status writePage(const Findings &F, const InspectOptions &Options) {
  HtmlPage Page("limosa inspect: " +
                std::filesystem::path(Options.Model.Path).filename().string());
  for (const std::string &Line : F.Arguments)
    Page.paragraph(Line);
  if (F.Seconds > 0) {
    Page.heading(fmt::format("One run: {}", formatSeconds(F.Seconds)));
    Page.paragraph(machineLine(F));
    Page.raw(rooflinePicture(F));
    Page.paragraph("Each circle is a kernel, its area the share of the time; "
                   "the line is the most that the machine can reach.");
  }
  Page.heading("Kernels");
  Page.table(kernelTable(F, F.Kernels.size()));
  for (const std::string &Line : remarkLines(F))
    Page.paragraph(Line);
  if (Table Choices = choiceTable(F, F.Kernels.size());
      Choices.rows().size() > 1) {
    Page.heading("Choices by the clock");
    Page.table(Choices);
  }
  Page.heading("Memory");
  Page.paragraph(memoryLine(F));
  Page.table(memoryTable(F, F.Peak.Holders.size()));
  Page.heading("Time of each compiler pass");
  Page.table(passTable(F));
  return Page.write(Options.Html);
}

Status printProgram(InspectOptions &Options) {
  Progress Bar;
  Session Model;
  if (Status S = Model.open(Options.Model, Bar))
    return S;
  Bar.clear();
  fmt::print("{}", programText(Model.program(), Model.entryTable()));
  return {};
}

Status inspect(InspectOptions &Options) {
  if (Options.Program)
    return printProgram(Options);
  Findings F;
  if (Status S = gather(Options, F))
    return S;
  if (Options.AsJson)
    printReport(F);
  else
    print(F, Options.Top);
  return Options.Html.empty() ? Status() : writePage(F, Options);
}

} // namespace

void tool::addInspectCommand(CLI::App &App, Action &Chosen) {
  auto Options = std::make_shared<InspectOptions>();
  CLI::App *Command = App.add_subcommand(
      "inspect", "shows a model's kernels, their speed, memory, compile time");
  Options->Model.addTo(*Command);
  Options->Inputs.addTo(*Command);
  Command->add_option("--top", Options->Top, "kernels to list")
      ->capture_default_str();
  Command->add_flag("--static", Options->Static,
                    "only what the file says, without running it");
  Command->add_flag("--program", Options->Program,
                    "only the program: its buffers and steps in order");
  Command->add_option("--html", Options->Html,
                      "writes a page with all kernels");
  Command->add_flag("--json", Options->AsJson, "prints JSON");
  Command->footer(
      "Examples:\n"
      "  limosa inspect model.onnx\n"
      "  limosa inspect model.lim --size batch=8 --html model.html\n"
      "  limosa inspect model.lim --program");
  Command->callback([Options, &Chosen] {
    Chosen = [Options] { return report(inspect(*Options)); };
  });
}
