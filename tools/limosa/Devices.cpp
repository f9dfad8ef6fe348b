//===- Devices.cpp - limosa devices ---------------------------------------===//

#include "Command.h"
#include "limosa/limosa.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

using namespace limosa;
using namespace limosa::tool;

namespace {

struct DevicesOptions {
  std::vector<std::string> Plugins;
  bool Json = false;
};

runtime::Status lastError(int32_t Code) { return {Code, limosa_last_error()}; }

runtime::Status list(const DevicesOptions &Options) {
  limosa_context *Raw = nullptr;
  if (int32_t Code = limosa_context_create(nullptr, &Raw))
    return lastError(Code);
  std::unique_ptr<limosa_context, decltype(&limosa_context_destroy)> Context(
      Raw, limosa_context_destroy);
  for (const std::string &Plugin : Options.Plugins)
    if (int32_t Code = limosa_context_load_plugin(Raw, Plugin.c_str()))
      return lastError(Code);
  Table Lines({"device", "what it is"});
  auto List = nlohmann::ordered_json::array();
  for (uint32_t D = 0, E = limosa_context_device_count(Raw); D < E; ++D) {
    const char *Name = "", *Description = "";
    if (int32_t Code = limosa_context_device(Raw, D, &Name, &Description))
      return lastError(Code);
    Lines.row({Name, Description});
    List.push_back({{"name", Name}, {"description", Description}});
  }
  if (Options.Json)
    fmt::print("{}\n", List.dump(2));
  else
    fmt::print("{}", Lines.text());
  return {};
}

} // namespace

void tool::addDevicesCommand(CLI::App &App, Action &Chosen) {
  auto Options = std::make_shared<DevicesOptions>();
  CLI::App *Command =
      App.add_subcommand("devices", "lists the devices models can run on");
  Command
      ->add_option("--plugin", Options->Plugins,
                   "shared library of a device to load")
      ->take_all();
  Command->add_flag("--json", Options->Json, "prints JSON");
  Command->footer("Examples:\n"
                  "  limosa devices\n"
                  "  limosa devices --plugin ./liblimosa-npu.so");
  Command->callback([Options, &Chosen] {
    Chosen = [Options] { return report(list(*Options)); };
  });
}
