//===- Main.cpp - limosa: compiles, runs and examines models --------------===//

#include "Command.h"
#include "limosa/limosa.h"

#include <CLI/CLI.hpp>

using namespace limosa::tool;

int main(int Count, char **Arguments) {
  CLI::App App("Compiles models and runs them on any chip.", "limosa");
  App.footer("Examples:\n"
             "  limosa run model.onnx --input x=photo.npy\n"
             "  limosa compile model.onnx -o model.lim\n"
             "  limosa verify model.onnx\n"
             "  limosa bench model.onnx --vs onnxruntime\n"
             "`limosa COMMAND --help` has the options and examples of each.");
  App.set_version_flag("--version", std::string("limosa ") + limosa_version());
  App.require_subcommand(1);
  App.get_formatter()->column_width(34);

  Action Chosen;
  addRunCommand(App, Chosen);
  addCompileCommand(App, Chosen);
  addVerifyCommand(App, Chosen);
  addInspectCommand(App, Chosen);
  addBenchCommand(App, Chosen);
  addDevicesCommand(App, Chosen);
  addDoctorCommand(App, Chosen);
  addCompletionCommand(App, Chosen);

  // CLI11 reports by exceptions; they end here.
  try {
    App.parse(Count, Arguments);
  } catch (const CLI::Success &Wanted) { // --help, --version
    return App.exit(Wanted);
  } catch (const CLI::ParseError &Wrong) {
    if (Count == 1) {
      std::cout << App.help();
      return 2;
    }
    const std::string First = Arguments[1];
    const bool Known =
        First[0] == '-' || !App.get_subcommands([&](CLI::App *Command) {
                                 return Command->get_name() == First;
                               })
                                .empty();
    error(Known ? std::string(Wrong.what()) + "; see limosa " +
                      (First[0] == '-' ? "" : First + " ") + "--help"
                : "there is no command '" + First + "'; see limosa --help");
    return 2;
  }
  return Chosen ? Chosen() : 2;
}
