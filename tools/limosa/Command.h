//===- Command.h - The commands of `limosa` ---------------------*- C++ -*-===//
//
// Each command has a file of its own with one function that adds it to the
// parser. When the command is the one given, parsing sets `Action`, which is
// then run: it returns the exit code (0 well, 1 failed) and has printed its
// errors.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_TOOLS_COMMAND_H
#define LIMOSA_TOOLS_COMMAND_H

#include "Terminal.h"
#include "limosa/Runtime/Status.h"

#include <functional>

namespace CLI {
class App;
}

namespace limosa::tool {

using Action = std::function<int()>;

void addRunCommand(CLI::App &App, Action &Chosen);
void addCompileCommand(CLI::App &App, Action &Chosen);
void addVerifyCommand(CLI::App &App, Action &Chosen);
void addInspectCommand(CLI::App &App, Action &Chosen);
void addBenchCommand(CLI::App &App, Action &Chosen);
void addDevicesCommand(CLI::App &App, Action &Chosen);
void addDoctorCommand(CLI::App &App, Action &Chosen);
void addCompletionCommand(CLI::App &App, Action &Chosen);

/// Prints the error of a Status, if it is one, and gives the exit code.
inline int report(const runtime::Status &S) {
  if (S.ok())
    return 0;
  error(S.message());
  return 1;
}

} // namespace limosa::tool

#endif // LIMOSA_TOOLS_COMMAND_H
