//===- Context.cpp - Threads, memory and devices --------------------------===//

#include "limosa/Runtime/Context.h"
#include "ThreadPool.h"
#include "limosa/Runtime/DevicePlugin.h"
#include "limosa/Runtime/GraphAccess.h"

#include "CpuDevice.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

using namespace limosa::runtime;

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

static constexpr uint64_t HugePage = uint64_t(2) << 20;

Allocator::Allocator(const limosa_context_options &Options)
    : User(Options.user), Alloc(Options.alloc), Free(Options.free) {}

void *Allocator::allocate(uint64_t Bytes, uint64_t Alignment) const {
  if (Alloc)
    return Alloc(User, std::max<uint64_t>(Bytes, 1), Alignment);
  bool Huge = Bytes >= 2 * HugePage;
  Alignment = std::max<uint64_t>(Huge ? HugePage : sizeof(void *), Alignment);
  void *Result = nullptr;
  if (Bytes > INT64_MAX - Alignment ||
      posix_memalign(&Result, Alignment, std::max<uint64_t>(Bytes, 1)) != 0)
    return nullptr;
  if (Huge)
    madvise(Result, Bytes, MADV_HUGEPAGE); // a hint
  return Result;
}

void Allocator::release(void *Memory, uint64_t Bytes) const {
  if (!Memory)
    return;
  if (Free)
    Free(User, Memory, std::max<uint64_t>(Bytes, 1));
  else
    std::free(Memory);
}

//===----------------------------------------------------------------------===//
// The host table
//===----------------------------------------------------------------------===//

void Context::profileCallback(void *Self, const limosa_profile_event *Event) {
  auto *This = static_cast<Context *>(Self);
  std::lock_guard<std::mutex> Lock(This->Mutex);
  for (auto &[Id, Sink] : This->Sinks)
    if (Id == Event->tag >> 32)
      Sink->event(*Event);
}

Context::Context(const limosa_context_options &Options)
    : Options(Options), Memory(std::make_shared<Allocator>(Options)) {
  uint32_t Threads =
      Options.threads ? Options.threads : ThreadPool::availableProcessors();
  Pool =
      std::make_unique<ThreadPool>(Threads, Options.parallel_for, Options.user);
  Host = *defaultHost(); // set_error and now need no context
  Host.context = this;
  Host.log = [](void *Self, int32_t Severity, const char *Message) {
    static_cast<Context *>(Self)->log(Severity, Message);
  };
  Host.alloc = [](void *Self, uint64_t Bytes, uint64_t Alignment) {
    return static_cast<Context *>(Self)->Memory->allocate(Bytes, Alignment);
  };
  Host.free = [](void *Self, void *Memory, uint64_t Bytes) {
    static_cast<Context *>(Self)->Memory->release(Memory, Bytes);
  };
  Host.worker_count = [](void *Self) {
    return static_cast<Context *>(Self)->Pool->workers();
  };
  Host.parallel_for = [](void *Self, int64_t Count, ThreadPool::Body Body,
                         void *Argument) {
    static_cast<Context *>(Self)->Pool->parallelFor(Count, Body, Argument);
  };
  Host.profile = profileCallback;
}

std::shared_ptr<Context> Context::create(const limosa_context_options &Options,
                                         Status &S) {
  constexpr uint32_t MaxThreads = 4096;
  if (Options.threads > MaxThreads) {
    S = invalidArgument("threads is " + std::to_string(Options.threads) +
                        ", the most is " + std::to_string(MaxThreads));
    return nullptr;
  }
  if (!Options.alloc != !Options.free) {
    S = invalidArgument("alloc and free have to be given together");
    return nullptr;
  }
  std::shared_ptr<Context> Result(new Context(Options));
  S = Result->addDriver(limosa_cpu_device_query);
  return S.ok() ? Result : nullptr;
}

Context::~Context() {
  for (auto &D : Devices)
    D->Driver->destroy_device(D->Handle);
}

uint32_t Context::threads() const { return Pool->workers(); }

void Context::log(int32_t Severity, const std::string &Message) const {
  if (Options.log)
    Options.log(Options.user, Severity, Message.c_str());
  else if (Severity >= LIMOSA_LOG_WARNING)
    std::fprintf(stderr, "limosa: %s\n", Message.c_str());
}

Status Context::deviceError(int32_t Code, const std::string &What) const {
  std::string Why = lastHostError();
  return {Code, Why.empty() ? What : What + ": " + Why};
}

//===----------------------------------------------------------------------===//
// Devices
//===----------------------------------------------------------------------===//

Status Context::addDriver(limosa_device_query_fn Query) {
  std::string Error;
  const limosa_driver *Driver = queryDriver(Query, Error);
  if (!Driver)
    return {LIMOSA_STATUS_UNSUPPORTED, Error};
  return addDriver(Driver);
}

Status Context::addDriver(const limosa_driver *Driver) {
  std::lock_guard<std::mutex> Lock(Mutex);
  for (auto &D : Devices)
    if (D->Driver == Driver)
      return {};
  for (uint32_t I = 0, E = Driver->device_count(); I < E; ++I) {
    auto Entry = std::make_unique<DeviceEntry>();
    Entry->Driver = Driver;
    std::string What = std::string("cannot make device ") + Driver->name;
    if (int32_t Code = Driver->create_device(&Host, I, &Entry->Handle))
      return deviceError(Code, What);
    limosa_device_properties &P = Entry->Properties;
    P = {};
    P.size = sizeof(P);
    int32_t Code = Driver->get_properties(Entry->Handle, &P);
    if (Code || !P.name) {
      Driver->destroy_device(Entry->Handle);
      return deviceError(Code ? Code : LIMOSA_STATUS_INTERNAL,
                         What + ": no properties");
    }
    if (!P.description)
      P.description = P.name;
    Devices.push_back(std::move(Entry));
  }
  return {};
}

Status Context::loadPlugin(const std::string &Path) {
  std::string Error;
  const limosa_driver *Driver = loadDevicePlugin(Path, Error);
  if (!Driver)
    return {LIMOSA_STATUS_NOT_FOUND, Error};
  return addDriver(Driver);
}

uint32_t Context::deviceCount() const {
  std::lock_guard<std::mutex> Lock(Mutex);
  return uint32_t(Devices.size());
}

const DeviceEntry &Context::device(uint32_t Index) const {
  std::lock_guard<std::mutex> Lock(Mutex);
  return *Devices[Index];
}

const DeviceEntry *Context::findDevice(std::string_view Name) const {
  std::lock_guard<std::mutex> Lock(Mutex);
  for (auto &D : Devices)
    if (Name == D->Properties.name)
      return D.get();
  return nullptr;
}

uint32_t Context::addSink(ProfileSink *Sink) {
  std::lock_guard<std::mutex> Lock(Mutex);
  Sinks.emplace_back(NextSink, Sink);
  return NextSink++;
}

void Context::removeSink(uint32_t Id) {
  std::lock_guard<std::mutex> Lock(Mutex);
  std::erase_if(Sinks, [=](const auto &S) { return S.first == Id; });
}
