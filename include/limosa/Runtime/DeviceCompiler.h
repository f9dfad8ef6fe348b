//===- DeviceCompiler.h - Asking devices what they take ---------*- C++ -*-===//
//
// The compiling side of limosa/device.h in C++: claims and executables, outside
// of a runtime context. Used by Dispatch; graphs come from GraphAccess.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_RUNTIME_DEVICECOMPILER_H
#define LIMOSA_RUNTIME_DEVICECOMPILER_H

#include "limosa/device.h"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace limosa::runtime {

/// A device's answer about one op of a graph's body.
struct DeviceClaim {
  bool Accepted = false;
  std::string Reason; ///< Why not; "" if the device did not say.
};

/// A device made for compiling. Functions return false after setting `Error`.
/// One thread at a time.
class DeviceCompiler {
public:
  /// The first device of a driver (see DevicePlugin.h). Null on failure, or if
  /// the driver has no device here.
  static std::unique_ptr<DeviceCompiler> create(const limosa_driver *Driver,
                                                std::string &Error);
  ~DeviceCompiler();
  DeviceCompiler(const DeviceCompiler &) = delete;
  DeviceCompiler &operator=(const DeviceCompiler &) = delete;

  const limosa_device_properties &properties() const { return Properties; }
  /// Whether it compiles graphs itself, as opposed to only running kernels that
  /// were generated for it.
  bool compilesGraphs() const { return Driver->claim && Driver->compile; }

  /// One answer for each op of the body of `Graph`, in order. A device that
  /// does not compile graphs refuses all.
  bool claim(const limosa_graph *Graph, std::vector<DeviceClaim> &Answers,
             std::string &Error);
  /// Compiles graphs whose ops the device took into one executable; the kernel
  /// of Graphs[i] is called Symbols[i].
  bool compile(std::span<const limosa_graph *const> Graphs,
               std::span<const std::string> Symbols,
               std::span<const std::string> Options,
               std::vector<uint8_t> &Executable, std::string &Error);

private:
  DeviceCompiler() = default;
  const limosa_driver *Driver = nullptr;
  limosa_device *Device = nullptr;
  limosa_device_properties Properties = {};
};

} // namespace limosa::runtime

#endif // LIMOSA_RUNTIME_DEVICECOMPILER_H
