//===- Context.h - Threads, memory, devices, operators ----------*- C++ -*-===//

#ifndef LIMOSA_RUNTIME_CONTEXT_H
#define LIMOSA_RUNTIME_CONTEXT_H

#include "limosa/Runtime/Operators.h"
#include "limosa/Runtime/Status.h"
#include "limosa/limosa.h"

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace limosa::runtime {

class ThreadPool;

/// Where memory comes from: the host's functions or the system. Shared by all
/// that has to give memory back, so that it outlives a context.
class Allocator {
public:
  explicit Allocator(const limosa_context_options &Options);
  /// Null if there is none. Large blocks are backed by huge pages where the
  /// system has them.
  void *allocate(uint64_t Bytes, uint64_t Alignment = 64) const;
  void release(void *Memory, uint64_t Bytes) const;

private:
  void *User = nullptr;
  void *(*Alloc)(void *, uint64_t, uint64_t) = nullptr;
  void (*Free)(void *, void *, uint64_t) = nullptr;
};

/// A device of a context.
struct DeviceEntry {
  const limosa_driver *Driver;
  limosa_device *Handle;
  limosa_device_properties Properties;

  /// Shares the host's memory. Other devices have their own, reached by copies.
  bool takesAddresses() const {
    return Properties.flags & LIMOSA_DEVICE_HOST_ADDRESSES;
  }
  /// Whether launches may return before they are done.
  bool asynchronous() const { return Driver->create_timeline != nullptr; }
};

/// Receives the intervals devices report while a profile is taken.
class ProfileSink {
public:
  virtual void event(const limosa_profile_event &Event) = 0;

protected:
  ~ProfileSink() = default;
};

/// Thread safe. Modules and instances keep it alive.
class Context {
public:
  /// Makes a context whose device 0 is the CPU.
  static std::shared_ptr<Context> create(const limosa_context_options &Options,
                                         Status &S);
  ~Context();
  Context(const Context &) = delete;
  Context &operator=(const Context &) = delete;

  uint32_t threads() const;
  const std::shared_ptr<const Allocator> &allocator() const { return Memory; }

  /// Adds all devices of a driver (a plug-in's or a linked-in one's). Adding a
  /// driver again does nothing.
  Status addDriver(const limosa_driver *Driver);
  Status addDriver(limosa_device_query_fn Query);
  Status loadPlugin(const std::string &Path);

  uint32_t deviceCount() const;
  /// Entries stay where they are until the context is gone.
  const DeviceEntry &device(uint32_t Index) const;
  /// Null if there is no device of that name.
  const DeviceEntry *findDevice(std::string_view Name) const;

  /// Operators of the host.
  OperatorRegistry &operators() { return Operators; }

  /// An error of a device's function as a Status, with the message it gave
  /// through set_error on this thread. `What` says what was being done.
  Status deviceError(int32_t Code, const std::string &What) const;
  void log(int32_t Severity, const std::string &Message) const;

  /// Routes profile events whose tag has `id` in its upper 32 bits.
  uint32_t addSink(ProfileSink *Sink);
  void removeSink(uint32_t Id);

  const limosa_host *host() const { return &Host; }

private:
  explicit Context(const limosa_context_options &Options);
  static void profileCallback(void *Self, const limosa_profile_event *Event);

  limosa_context_options Options;
  std::shared_ptr<const Allocator> Memory;
  std::unique_ptr<ThreadPool> Pool;
  limosa_host Host = {};
  OperatorRegistry Operators;

  mutable std::mutex Mutex; // guards what follows
  std::vector<std::unique_ptr<DeviceEntry>> Devices;
  std::vector<std::pair<uint32_t, ProfileSink *>> Sinks;
  uint32_t NextSink = 1;
};

} // namespace limosa::runtime

#endif // LIMOSA_RUNTIME_CONTEXT_H
