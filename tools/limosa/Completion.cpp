//===- Completion.cpp - limosa completion ---------------------------------===//
//
// Scripts for bash and zsh, made from the parser itself, so that they know
// every command and option there is.
//
//===----------------------------------------------------------------------===//

#include "Command.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

using namespace limosa;
using namespace limosa::tool;

namespace {

std::vector<std::string> optionNames(const CLI::App &Command) {
  std::vector<std::string> Names;
  for (const CLI::Option *Option : Command.get_options())
    for (const std::string &Name : Option->get_lnames())
      Names.push_back("--" + Name);
  return Names;
}

std::string bashScript(const CLI::App &App) {
  std::string Cases;
  std::vector<std::string> Commands;
  for (const CLI::App *Command : App.get_subcommands({})) {
    Commands.push_back(Command->get_name());
    Cases += fmt::format("    {}) options='{}' ;;\n", Command->get_name(),
                         fmt::join(optionNames(*Command), " "));
  }
  return fmt::format(
      R"(_limosa() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} options=''
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '{} --help --version' -- "$word"))
    return
  fi
  case ${{COMP_WORDS[1]}} in
{}  esac
  if [[ $word == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$word"))
  else
    COMPREPLY=($(compgen -f -- "$word"))
  fi
}}
complete -o filenames -F _limosa limosa
)",
      fmt::join(Commands, " "), Cases);
}

/// Text between single quotes of zsh's _arguments, where colons and brackets
/// have a meaning.
std::string zshText(const std::string &Text) {
  std::string Out;
  for (char C : Text) {
    if (C == '\'')
      Out += "'\\'";
    else if (C == '[' || C == ']' || C == ':')
      Out += '\\';
    Out += C;
  }
  return Out;
}

std::string zshScript(const CLI::App &App) {
  std::string Names, Cases;
  for (const CLI::App *Command : App.get_subcommands({})) {
    Names += fmt::format("    '{}:{}'\n", Command->get_name(),
                         zshText(Command->get_description()));
    Cases += fmt::format("    {})\n      _arguments", Command->get_name());
    for (const CLI::Option *Option : Command->get_options())
      for (const std::string &Name : Option->get_lnames())
        Cases += fmt::format(" \\\n        '*--{}[{}]{}'", Name,
                             zshText(Option->get_description()),
                             Option->get_items_expected_max() ? ":value:_files"
                                                              : "");
    Cases += " \\\n        '*:file:_files' ;;\n";
  }
  return fmt::format(R"(#compdef limosa
_limosa() {{
  local -a commands=(
{}  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
{}  esac
}}
compdef _limosa limosa
)",
                     Names, Cases);
}

} // namespace

void tool::addCompletionCommand(CLI::App &App, Action &Chosen) {
  auto Shell = std::make_shared<std::string>();
  CLI::App *Command = App.add_subcommand(
      "completion", "prints a script that completes commands in a shell");
  Command->add_option("shell", *Shell, "bash or zsh")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh"}));
  Command->footer("Examples:\n"
                  "  source <(limosa completion bash)\n"
                  "  limosa completion zsh > ~/.zfunc/_limosa");
  Command->callback([Shell, &App, &Chosen] {
    Chosen = [Shell, &App] {
      fmt::print("{}", *Shell == "bash" ? bashScript(App) : zshScript(App));
      return 0;
    };
  });
}
