//===- Devices.h - Devices by name while compiling --------------*- C++ -*-===//

#ifndef LIMOSA_LIB_DRIVER_DEVICES_H
#define LIMOSA_LIB_DRIVER_DEVICES_H

#include "limosa/Driver/Driver.h"
#include "limosa/Runtime/DeviceCompiler.h"
#include <memory>

namespace limosa {

/// The devices of the options that are offered ops, in order of preference. The
/// CPU takes what they refuse and is not among them; it ends the list, since
/// nothing is left after it.
llvm::Expected<std::vector<std::unique_ptr<runtime::DeviceCompiler>>>
openDevices(const CompileOptions &Options);

} // namespace limosa

#endif // LIMOSA_LIB_DRIVER_DEVICES_H
