//===- Devices.cpp - limosa devices ---------------------------------------===//

#include "Command.h"
#include "Json.h"
#include "ReferenceDevice.h"
#include "limosa/Runtime/Context.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

using namespace limosa;
using namespace limosa::tool;

namespace {

struct DevicesOptions {
  std::vector<std::string> Plugins;
  bool Json = false;
};

runtime::Status list(const DevicesOptions &Options) {
  runtime::Status S;
  limosa_context_options Settings = {};
  Settings.size = sizeof(Settings);
  auto Context = runtime::Context::create(Settings, S);
  if (!Context)
    return S;
  if (runtime::Status Failed =
          Context->addDriver(limosa_reference_device_query))
    return Failed;
  for (const std::string &Plugin : Options.Plugins)
    if (runtime::Status Failed = Context->loadPlugin(Plugin))
      return Failed;
  Table Lines({"device", "what it is"});
  auto List = nlohmann::ordered_json::array();
  for (uint32_t D = 0; D < Context->deviceCount(); ++D) {
    const limosa_device_properties &P = Context->device(D).Properties;
    Lines.row({P.name, P.description});
    List.push_back({{"name", P.name}, {"description", P.description}});
  }
  if (Options.Json)
    printJson(List);
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
