//===- Devices.cpp - Devices by name while compiling ----------------------===//

#include "Devices.h"

#include "ReferenceDevice.h"
#include "limosa/Runtime/DevicePlugin.h"

namespace limosa {

llvm::Expected<std::vector<std::unique_ptr<runtime::DeviceCompiler>>>
openDevices(const CompileOptions &Options) {
  std::vector<const limosa_driver *> Drivers;
  std::string Error;
  for (const std::string &Path : Options.Plugins) {
    const limosa_driver *Driver = runtime::loadDevicePlugin(Path, Error);
    if (!Driver)
      return llvm::createStringError("cannot load plug-in '" + Path +
                                     "': " + Error);
    Drivers.push_back(Driver);
  }
  if (auto *Driver = runtime::queryDriver(limosa_reference_device_query, Error))
    Drivers.push_back(Driver);

  std::vector<std::unique_ptr<runtime::DeviceCompiler>> Devices;
  for (const std::string &Name : Options.Devices) {
    if (Name == "cpu")
      break;
    std::unique_ptr<runtime::DeviceCompiler> Found;
    for (const limosa_driver *Driver : Drivers) {
      Found = runtime::DeviceCompiler::create(Driver, Error);
      if (Found && Name == Found->properties().name)
        break;
      Found.reset();
    }
    if (!Found)
      return llvm::createStringError(
          "no device '" + Name +
          "'; there are cpu, reference and those of the plug-ins given with "
          "--plugin");
    Devices.push_back(std::move(Found));
  }
  return Devices;
}

} // namespace limosa
