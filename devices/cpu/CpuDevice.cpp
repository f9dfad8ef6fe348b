//===- CpuDevice.cpp - The built-in CPU -----------------------------------===//
//
// Generated kernels on the host's worker threads, through the same door as
// every other device. Launches are synchronous; buffers are plain memory.
//
//===----------------------------------------------------------------------===//

#include "CpuDevice.h"
#include "CpuFeatures.h"
#include "ElfImage.h"
#include "limosa/Runtime/KernelABI.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <vector>

using namespace limosa::cpu;

namespace {

// The handles of the interface are names without a definition: these are what
// is behind them, under names of this file's own.
struct CpuDevice {
  const limosa_host *Host;
  std::string Description;
  std::vector<limosa_code_format> Formats;
};

struct CpuExecutable {
  std::unique_ptr<ElfImage> Image;
  const limosa_host *Host;
};

struct CpuBuffer {
  CpuDevice *Device;
  void *Memory;
  uint64_t Bytes;
  bool Owned;
};

struct CpuQueue {
  CpuDevice *Device;
  // Scratch of all workers, grown to the largest kernel launched so far.
  uint8_t *Scratch = nullptr;
  uint64_t ScratchBytes = 0; // of all workers together
  bool Profiling = false;
};

CpuDevice *impl(limosa_device *H) { return reinterpret_cast<CpuDevice *>(H); }
limosa_device *handle(CpuDevice *I) {
  return reinterpret_cast<limosa_device *>(I);
}
CpuExecutable *impl(limosa_executable *H) {
  return reinterpret_cast<CpuExecutable *>(H);
}
limosa_executable *handle(CpuExecutable *I) {
  return reinterpret_cast<limosa_executable *>(I);
}
CpuBuffer *impl(limosa_buffer *H) { return reinterpret_cast<CpuBuffer *>(H); }
limosa_buffer *handle(CpuBuffer *I) {
  return reinterpret_cast<limosa_buffer *>(I);
}
CpuQueue *impl(limosa_queue *H) { return reinterpret_cast<CpuQueue *>(H); }
limosa_queue *handle(CpuQueue *I) {
  return reinterpret_cast<limosa_queue *>(I);
}

constexpr uint64_t Alignment = 64;
// Work shorter than this, in nanoseconds, is done before others are awake.
constexpr uint64_t WorthSharing = 2000;

int32_t fail(const limosa_host *Host, int32_t Status,
             const std::string &Message) {
  Host->set_error(Host->context, Message.c_str());
  return Status;
}

//===----------------------------------------------------------------------===//
// The way out of a kernel
//===----------------------------------------------------------------------===//

double mathExp(double X, double) { return std::exp(X); }
double mathLog(double X, double) { return std::log(X); }
double mathSin(double X, double) { return std::sin(X); }
double mathCos(double X, double) { return std::cos(X); }
double mathTanh(double X, double) { return std::tanh(X); }
double mathErf(double X, double) { return std::erf(X); }
double mathPow(double X, double Y) { return std::pow(X, Y); }
double mathFmod(double X, double Y) { return std::fmod(X, Y); }

constexpr double (*MathTable[LIMOSA_MATH_COUNT])(double, double) = {
    mathExp, mathLog, mathSin, mathCos, mathTanh, mathErf, mathPow, mathFmod};

//===----------------------------------------------------------------------===//
// Device and executables
//===----------------------------------------------------------------------===//

uint32_t deviceCount() { return 1; }

int32_t createDevice(const limosa_host *Host, uint32_t Ordinal,
                     limosa_device **Out) {
  if (Ordinal != 0)
    return fail(Host, LIMOSA_STATUS_NOT_FOUND, "there is one CPU device");
  auto *Device = new CpuDevice;
  Device->Host = Host;
  Device->Description = describe(Host->worker_count(Host->context));
  for (std::string_view Isa : features())
    Device->Formats.push_back({"elf-x86_64", Isa.data()});
  *Out = handle(Device);
  return LIMOSA_STATUS_OK;
}

void destroyDevice(limosa_device *Device) { delete impl(Device); }

int32_t getProperties(limosa_device *Handle, limosa_device_properties *Out) {
  CpuDevice *Device = impl(Handle);
  limosa_device_properties P = {};
  P.size = std::min<uint64_t>(Out->size, sizeof(P));
  P.name = "cpu";
  P.description = Device->Description.c_str();
  P.takes = LIMOSA_TAKES_KERNELS;
  P.flags = LIMOSA_DEVICE_HOST_VISIBLE | LIMOSA_DEVICE_HOST_ADDRESSES;
  P.alignment = Alignment;
  P.lanes = Device->Host->worker_count(Device->Host->context);
  P.format_count = uint32_t(Device->Formats.size());
  P.formats = Device->Formats.data();
  std::memcpy(static_cast<void *>(Out), &P, P.size);
  return LIMOSA_STATUS_OK;
}

int32_t loadExecutable(limosa_device *Device, const char *Format,
                       const char *Isa, const void *Bytes, uint64_t Size,
                       limosa_executable **Out) {
  const limosa_host *Host = impl(Device)->Host;
  bool Linked = std::string_view(Format) == "elf-x86_64-linked";
  if (!Linked && std::string_view(Format) != "elf-x86_64")
    return fail(Host, LIMOSA_STATUS_UNSUPPORTED,
                std::string("the CPU does not run code of format '") + Format +
                    "'");
  auto Can = features();
  if (*Isa && std::find(Can.begin(), Can.end(), Isa) == Can.end())
    return fail(Host, LIMOSA_STATUS_UNSUPPORTED,
                std::string("the model is compiled for ") + Isa +
                    ", which this processor does not have: compile it with "
                    "--isa avx2 or on this machine");
  std::string Error;
  std::span<const uint8_t> Code(static_cast<const uint8_t *>(Bytes), Size);
  auto Image =
      Linked ? ElfImage::linked(Code, Error) : ElfImage::load(Code, Error);
  if (!Image)
    return fail(Host, LIMOSA_STATUS_CORRUPT, Error);
  *Out = handle(new CpuExecutable{std::move(Image), Host});
  return LIMOSA_STATUS_OK;
}

void unloadExecutable(limosa_executable *Executable) {
  delete impl(Executable);
}

int32_t findKernel(const limosa_executable *Handle, const char *Symbol,
                   uint64_t *Out) {
  auto *Executable = reinterpret_cast<const CpuExecutable *>(Handle);
  void *Address = Executable->Image->function(Symbol);
  if (!Address)
    return fail(Executable->Host, LIMOSA_STATUS_NOT_FOUND,
                std::string("no kernel '") + Symbol + "' in the executable");
  *Out = reinterpret_cast<uint64_t>(Address);
  return LIMOSA_STATUS_OK;
}

//===----------------------------------------------------------------------===//
// Buffers
//===----------------------------------------------------------------------===//

int32_t allocBuffer(limosa_device *Device, uint64_t Bytes,
                    limosa_buffer **Out) {
  const limosa_host *Host = impl(Device)->Host;
  void *Memory = Host->alloc(Host->context, Bytes, Alignment);
  if (!Memory)
    return fail(Host, LIMOSA_STATUS_OUT_OF_MEMORY,
                "out of memory: " + std::to_string(Bytes) + " bytes");
  *Out = handle(new CpuBuffer{impl(Device), Memory, Bytes, true});
  return LIMOSA_STATUS_OK;
}

int32_t importBuffer(limosa_device *Device, void *Memory, uint64_t Bytes,
                     limosa_buffer **Out) {
  *Out = handle(new CpuBuffer{impl(Device), Memory, Bytes, false});
  return LIMOSA_STATUS_OK;
}

void freeBuffer(limosa_buffer *Handle) {
  CpuBuffer *Buffer = impl(Handle);
  const limosa_host *Host = Buffer->Device->Host;
  if (Buffer->Owned)
    Host->free(Host->context, Buffer->Memory, Buffer->Bytes);
  delete Buffer;
}

void *hostPointer(limosa_buffer *Buffer) { return impl(Buffer)->Memory; }

uint8_t *address(const limosa_binding &B) {
  return static_cast<uint8_t *>(impl(B.buffer)->Memory) + B.offset;
}

int32_t writeBuffer(limosa_queue *, limosa_binding Dst, const void *Src) {
  std::memcpy(address(Dst), Src, Dst.bytes);
  return LIMOSA_STATUS_OK;
}
int32_t readBuffer(limosa_queue *, void *Dst, limosa_binding Src) {
  std::memcpy(Dst, address(Src), Src.bytes);
  return LIMOSA_STATUS_OK;
}
int32_t copyBuffer(limosa_queue *, limosa_binding Dst, limosa_binding Src) {
  std::memcpy(address(Dst), address(Src), Src.bytes);
  return LIMOSA_STATUS_OK;
}

//===----------------------------------------------------------------------===//
// Queues
//===----------------------------------------------------------------------===//

int32_t createQueue(limosa_device *Device, limosa_queue **Out) {
  *Out = handle(new CpuQueue{impl(Device)});
  return LIMOSA_STATUS_OK;
}

void destroyQueue(limosa_queue *Handle) {
  CpuQueue *Queue = impl(Handle);
  const limosa_host *Host = Queue->Device->Host;
  if (Queue->Scratch)
    Host->free(Host->context, Queue->Scratch, Queue->ScratchBytes);
  delete Queue;
}

/// Makes room for `Bytes` of scratch for each of the workers.
int32_t growScratch(CpuQueue *Queue, uint64_t Bytes, uint32_t Workers) {
  const limosa_host *Host = Queue->Device->Host;
  uint64_t Total;
  if (__builtin_mul_overflow(Bytes, uint64_t(Workers), &Total))
    Total = UINT64_MAX;
  if (Total <= Queue->ScratchBytes)
    return LIMOSA_STATUS_OK;
  void *Memory = Total == UINT64_MAX
                     ? nullptr
                     : Host->alloc(Host->context, Total, Alignment);
  if (!Memory)
    return fail(Host, LIMOSA_STATUS_OUT_OF_MEMORY,
                "out of memory: " + std::to_string(Total) +
                    " bytes of scratch for a kernel");
  if (Queue->Scratch)
    Host->free(Host->context, Queue->Scratch, Queue->ScratchBytes);
  Queue->Scratch = static_cast<uint8_t *>(Memory);
  Queue->ScratchBytes = Total;
  return LIMOSA_STATUS_OK;
}

struct Task {
  CpuQueue *Queue;
  const limosa_launch *Launch;
  LimosaKernelFn Kernel;
  uint64_t ScratchStride;
  std::atomic<int32_t> Result{0};
};

void runTiles(void *Argument, uint32_t Worker, int64_t Begin, int64_t End) {
  Task &T = *static_cast<Task *>(Argument);
  const limosa_host *Host = T.Queue->Device->Host;
  LimosaKernelContext Context = {};
  Context.size = sizeof(Context);
  Context.scratch = T.Queue->Scratch + Worker * T.ScratchStride;
  Context.worker = Worker;
  Context.math = MathTable;
  uint64_t Start = T.Queue->Profiling ? Host->now(Host->context) : 0;
  int32_t Result =
      T.Kernel(&Context, T.Launch->scalars, T.Launch->addresses, Begin, End);
  if (Result != 0)
    T.Result.store(Result, std::memory_order_relaxed);
  if (!T.Queue->Profiling)
    return;
  limosa_profile_event Event = {};
  Event.size = sizeof(Event);
  Event.tag = T.Launch->tag;
  Event.lane = Worker;
  Event.begin = Start;
  Event.end = Host->now(Host->context);
  Host->profile(Host->context, &Event);
}

int32_t launch(limosa_queue *Handle, const limosa_launch *Launch) {
  CpuQueue *Queue = impl(Handle);
  const limosa_host *Host = Queue->Device->Host;
  uint64_t Stride = 0;
  if (uint64_t Bytes = Launch->scratch_bytes) {
    if (Bytes > UINT64_MAX - Alignment)
      Bytes = UINT64_MAX - Alignment;
    Stride = (Bytes + Alignment - 1) & ~(Alignment - 1);
    uint32_t Workers = Host->worker_count(Host->context);
    if (int32_t S = growScratch(Queue, Stride, Workers))
      return S;
  }
  Task T = {Queue,
            Launch,
            reinterpret_cast<LimosaKernelFn>(Launch->kernel),
            Stride,
            {0}};
  if (Launch->grid == 1 || (Launch->cost && Launch->cost < WorthSharing))
    runTiles(&T, 0, 0, Launch->grid);
  else
    Host->parallel_for(Host->context, Launch->grid, runTiles, &T);
  if (int32_t Result = T.Result.load(std::memory_order_relaxed))
    return fail(Host, LIMOSA_STATUS_FAILED,
                "a kernel returned " + std::to_string(Result));
  return LIMOSA_STATUS_OK;
}

int32_t finishQueue(limosa_queue *) { return LIMOSA_STATUS_OK; }

int32_t setProfiling(limosa_queue *Queue, int32_t On) {
  impl(Queue)->Profiling = On != 0;
  return LIMOSA_STATUS_OK;
}

constexpr limosa_driver makeDriver() {
  limosa_driver D = {};
  D.size = sizeof(D);
  D.version = 1;
  D.name = "cpu";
  D.device_count = deviceCount;
  D.create_device = createDevice;
  D.destroy_device = destroyDevice;
  D.get_properties = getProperties;
  D.load_executable = loadExecutable;
  D.unload_executable = unloadExecutable;
  D.find_kernel = findKernel;
  D.alloc_buffer = allocBuffer;
  D.import_buffer = importBuffer;
  D.free_buffer = freeBuffer;
  D.host_pointer = hostPointer;
  D.write_buffer = writeBuffer;
  D.read_buffer = readBuffer;
  D.copy_buffer = copyBuffer;
  D.create_queue = createQueue;
  D.destroy_queue = destroyQueue;
  D.launch = launch;
  D.finish_queue = finishQueue;
  D.set_profiling = setProfiling;
  return D;
}
constexpr limosa_driver Driver = makeDriver();

} // namespace

extern "C" int32_t limosa_cpu_device_query(const limosa_host *Host,
                                           uint32_t MinVersion,
                                           uint32_t MaxVersion,
                                           const limosa_driver **Out) {
  if (MinVersion > 1 || MaxVersion < 1)
    return fail(Host, LIMOSA_STATUS_UNSUPPORTED,
                "the CPU device speaks version 1 of the device interface");
  *Out = &Driver;
  return LIMOSA_STATUS_OK;
}
