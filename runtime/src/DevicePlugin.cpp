//===- DevicePlugin.cpp - Loading devices from shared libraries -----------===//

#include "limosa/Runtime/DevicePlugin.h"
#include "limosa/Runtime/GraphAccess.h"

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <utility>

using namespace limosa::runtime;

namespace {

thread_local std::string HostError;

void setError(void *, const char *Message) { HostError = Message; }
void log(void *, int32_t Severity, const char *Message) {
  if (Severity >= LIMOSA_LOG_WARNING)
    std::fprintf(stderr, "limosa: %s\n", Message);
}
void *allocate(void *, uint64_t Bytes, uint64_t Alignment) {
  if (Alignment < sizeof(void *))
    Alignment = sizeof(void *);
  void *Memory = nullptr;
  return posix_memalign(&Memory, Alignment, Bytes ? Bytes : 1) ? nullptr
                                                               : Memory;
}
void release(void *, void *Memory, uint64_t) { std::free(Memory); }
uint64_t now(void *) {
  return uint64_t(std::chrono::steady_clock::now().time_since_epoch() /
                  std::chrono::nanoseconds(1));
}
uint32_t workerCount(void *) { return 1; }
void parallelFor(void *, int64_t Count,
                 void (*Body)(void *, uint32_t, int64_t, int64_t),
                 void *Argument) {
  if (Count > 0)
    Body(Argument, 0, 0, Count);
}
void profile(void *, const limosa_profile_event *) {}

} // namespace

const limosa_host *limosa::runtime::defaultHost() {
  static const limosa_host Host = {sizeof(limosa_host),
                                   nullptr,
                                   nullptr,
                                   graphApi(),
                                   setError,
                                   log,
                                   allocate,
                                   release,
                                   now,
                                   workerCount,
                                   parallelFor,
                                   profile};
  return &Host;
}

std::string limosa::runtime::lastHostError() {
  return std::exchange(HostError, {});
}

const limosa_driver *limosa::runtime::queryDriver(limosa_device_query_fn Query,
                                                  std::string &Error) {
  const limosa_driver *Driver = nullptr;
  HostError.clear();
  if (Query(defaultHost(), 1, LIMOSA_DEVICE_VERSION, &Driver) !=
          LIMOSA_STATUS_OK ||
      !Driver) {
    Error = HostError.empty()
                ? "the device speaks no version of the interface up to " +
                      std::to_string(LIMOSA_DEVICE_VERSION)
                : lastHostError();
    return nullptr;
  }
  // Everything of version 1 up to the last required function must be there.
  bool Complete =
      Driver->size >= offsetof(limosa_driver, set_profiling) &&
      Driver->version >= 1 && Driver->version <= LIMOSA_DEVICE_VERSION &&
      Driver->name && Driver->device_count && Driver->create_device &&
      Driver->destroy_device && Driver->get_properties &&
      Driver->load_executable && Driver->unload_executable &&
      Driver->find_kernel && Driver->alloc_buffer && Driver->free_buffer &&
      Driver->host_pointer && Driver->write_buffer && Driver->read_buffer &&
      Driver->copy_buffer && Driver->create_queue && Driver->destroy_queue &&
      Driver->launch && Driver->finish_queue;
  if (!Complete) {
    Error = "the device's driver lacks required functions";
    return nullptr;
  }
  return Driver;
}

const limosa_driver *limosa::runtime::loadDevicePlugin(const std::string &Path,
                                                       std::string &Error) {
  void *Library = dlopen(Path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!Library) {
    const char *Why = dlerror();
    Error = std::string("cannot load device plug-in: ") + (Why ? Why : Path);
    return nullptr;
  }
  auto Query = reinterpret_cast<limosa_device_query_fn>(
      dlsym(Library, "limosa_device_query"));
  const limosa_driver *Driver = nullptr;
  if (!Query)
    Error = "'" + Path +
            "' is not a device plug-in: it does not export "
            "limosa_device_query";
  else if (!(Driver = queryDriver(Query, Error)))
    Error = "'" + Path + "': " + Error;
  if (!Driver)
    dlclose(Library);
  return Driver;
}
