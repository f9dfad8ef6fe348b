//===- DevicePlugin.h - Loading devices from shared libraries ---*- C++ -*-===//

#ifndef LIMOSA_RUNTIME_DEVICEPLUGIN_H
#define LIMOSA_RUNTIME_DEVICEPLUGIN_H

#include "limosa/device.h"

#include <string>

namespace limosa::runtime {

/// Asks `Query` for a driver this version can use and checks that the table has
/// every function that is not optional. On failure returns null and sets
/// `Error`. Thread safe.
const limosa_driver *queryDriver(limosa_device_query_fn Query,
                                 std::string &Error);

/// Opens a device plug-in. The library stays loaded until the process ends (a
/// driver may have threads of its own). Loading the same file again gives the
/// same driver. On failure returns null and sets `Error`. Thread safe.
const limosa_driver *loadDevicePlugin(const std::string &Path,
                                      std::string &Error);

/// A host table for calls outside a runtime context, such as claims while
/// compiling: memory from malloc, one worker, messages of warning and above to
/// stderr. Static; `lastHostError` gives what set_error was last told on this
/// thread, and clears it.
const limosa_host *defaultHost();
std::string lastHostError();

} // namespace limosa::runtime

#endif // LIMOSA_RUNTIME_DEVICEPLUGIN_H
