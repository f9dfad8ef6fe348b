//===- Compile.cpp - limosa compile ---------------------------------------===//

#include "Command.h"
#include "Json.h"
#include "Machine.h"
#include "Session.h"

#include <CLI/CLI.hpp>
#include <chrono>
#include <filesystem>
#include <fmt/format.h>

using namespace limosa;
using namespace limosa::tool;

namespace {

struct CompileOptions {
  ModelOptions Model;
  std::string Output;
  std::string Emit = "lim";
  bool Json = false;
};

Status compile(CompileOptions &Options) {
  if (isCompiledModel(Options.Model.Path))
    return runtime::invalidArgument(Options.Model.Path +
                                    " is compiled already; `limosa run` it");
  if (Options.Output.empty()) {
    const char *Extension = Options.Emit == "lim"   ? ".lim"
                            : Options.Emit == "obj" ? ".o"
                                                    : ".mlir";
    Options.Output = std::filesystem::path(Options.Model.Path)
                         .filename()
                         .replace_extension(Extension);
  }
  runtime::OperatorRegistry Registry;
  if (Status S = Options.Model.loadOperators(Registry))
    return S;
  if (Options.Model.Threads == 0)
    Options.Model.Threads = availableProcessors();
  limosa_compile_options Request = Options.Model.compileOptions();
  Request.output_path = Options.Output.c_str();
  Request.emit = Options.Emit.c_str();
  Progress Bar;
  auto Start = std::chrono::steady_clock::now();
  if (Status S = compileModel(Request, Bar))
    return S;
  const double Seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - Start)
          .count();
  // Nothing belongs beside what went to the standard output or a pipe.
  std::error_code NoFile;
  const auto Size = std::filesystem::file_size(Options.Output, NoFile);
  if (NoFile || Options.Output.starts_with("/dev/"))
    return {};
  if (Options.Json)
    printJson(nlohmann::ordered_json{
        {"output", Options.Output}, {"bytes", Size}, {"seconds", Seconds}});
  else
    fmt::print("{}: {}, compiled in {}\n", Options.Output,
               formatBytes(double(Size)), formatSeconds(Seconds));
  return {};
}

} // namespace

void tool::addCompileCommand(CLI::App &App, Action &Chosen) {
  auto Options = std::make_shared<CompileOptions>();
  CLI::App *Command =
      App.add_subcommand("compile", "compiles a model to a file");
  Options->Model.addCompileOptionsTo(*Command);
  Command->add_option("-o,--output", Options->Output,
                      "file to write; default: the model's name, here");
  Command
      ->add_option("--emit", Options->Emit,
                   "lim, obj (an object file to link), or a stage: "
                   "mlir-import, mlir-core, mlir-dispatch, mlir-loops, "
                   "mlir-llvm")
      ->capture_default_str()
      ->check(CLI::IsMember({"lim", "obj", "mlir-import", "mlir-core",
                             "mlir-dispatch", "mlir-loops", "mlir-llvm"}));
  Command
      ->add_option("--size", Options->Model.TuneSizes,
                   "what to take a symbolic dimension for when kernels are "
                   "timed, e.g. batch=4")
      ->needs("--tune")
      ->take_all();
  Command->add_flag("--json", Options->Json, "prints JSON");
  Command->footer(
      "Examples:\n"
      "  limosa compile model.onnx -o model.lim\n"
      "  limosa compile model.onnx --isa avx2 --threads 4\n"
      "  limosa compile model.onnx --precision bf16\n"
      "  limosa compile model.onnx --tune --threads 2 --size batch=4\n"
      "  limosa compile model.onnx --emit obj -o model.o\n"
      "  limosa compile model.onnx --emit mlir-core -o /dev/stdout");
  Command->callback([Options, &Chosen] {
    Chosen = [Options] { return report(compile(*Options)); };
  });
}
