//===- ReferenceDevice.cpp - The interpreter behind the device interface --===//
//
// Claims whatever the interpreter implements. An executable holds the claimed
// graphs in their serialised form; a launch evaluates one. Launches are
// synchronous, buffers plain memory.
//
//===----------------------------------------------------------------------===//

#include "ReferenceDevice.h"

#include "GraphCopy.h"
#include "Strided.h"
#include "limosa/Reference/Interpreter.h"
#include "limosa/Runtime/GraphAccess.h"

#include <algorithm>
#include <cstring>
#include <string>

using namespace limosa;
using namespace limosa::reference;

namespace {

struct Device {
  const limosa_host *Host;
};

struct Kernel {
  std::string Name;
  std::vector<uint64_t> Bytes; // of the graph, aligned for FlatBuffers
  std::unique_ptr<runtime::GraphAccess> Graph;
};

struct Executable {
  const limosa_host *Host;
  std::vector<Kernel> Kernels;
};

struct Buffer {
  const limosa_host *Host;
  void *Memory;
  uint64_t Bytes;
  bool Owned;
};

struct Queue {
  const limosa_host *Host;
  bool Profiling = false;
};

// The interface's handles are names without a definition.
#define LIMOSA_HANDLE(TYPE, HANDLE)                                            \
  TYPE *impl(HANDLE *H) { return reinterpret_cast<TYPE *>(H); }                \
  HANDLE *handle(TYPE *I) { return reinterpret_cast<HANDLE *>(I); }
LIMOSA_HANDLE(Device, limosa_device)
LIMOSA_HANDLE(Executable, limosa_executable)
LIMOSA_HANDLE(Buffer, limosa_buffer)
LIMOSA_HANDLE(Queue, limosa_queue)
#undef LIMOSA_HANDLE

constexpr uint64_t Alignment = 64;

int32_t fail(const limosa_host *Host, int32_t Status,
             const std::string &Message) {
  Host->set_error(Host->context, Message.c_str());
  return Status;
}

//===----------------------------------------------------------------------===//
// Device, claims
//===----------------------------------------------------------------------===//

uint32_t deviceCount() { return 1; }

int32_t createDevice(const limosa_host *Host, uint32_t Ordinal,
                     limosa_device **Out) {
  if (Ordinal != 0)
    return fail(Host, LIMOSA_STATUS_NOT_FOUND, "there is one reference device");
  *Out = handle(new Device{Host});
  return LIMOSA_STATUS_OK;
}

void destroyDevice(limosa_device *D) { delete impl(D); }

int32_t getProperties(limosa_device *, limosa_device_properties *Out) {
  limosa_device_properties P = {};
  P.size = std::min<uint64_t>(Out->size, sizeof(P));
  P.name = "reference";
  P.description = "interpreter of core ops, exact and slow";
  P.takes = LIMOSA_TAKES_OPS | LIMOSA_TAKES_COMPOSITES | LIMOSA_TAKES_SUBGRAPHS;
  P.flags = LIMOSA_DEVICE_HOST_VISIBLE | LIMOSA_DEVICE_HOST_ADDRESSES;
  P.alignment = Alignment;
  P.lanes = 1;
  std::memcpy(static_cast<void *>(Out), &P, P.size);
  return LIMOSA_STATUS_OK;
}

/// Why the interpreter cannot evaluate an op or what is in its regions; empty
/// if it can.
std::string refusal(const limosa_graph_api &Api, const limosa_op *Op) {
  std::string Name = Api.op_name(Op);
  if (!isImplemented(Name, Api.op_version(Op)))
    return "the reference interpreter does not know version " +
           std::to_string(Api.op_version(Op)) + " of '" + Name + "'";
  const limosa_attr *Ranks = Api.op_find_attr(Op, "ranks");
  if (Ranks && Api.attr_int(Ranks) != 1)
    return "the reference interpreter is a group of one rank";
  for (uint32_t I = 0; I < Api.op_region_count(Op); ++I) {
    const limosa_region *Region = Api.op_region(Op, I);
    for (uint32_t J = 0; J < Api.region_op_count(Region); ++J)
      if (std::string Why = refusal(Api, Api.region_op(Region, J));
          !Why.empty())
        return Why;
  }
  return {};
}

int32_t claim(limosa_device *D, const limosa_claim_request *Request) {
  const limosa_graph_api &Api = *impl(D)->Host->graph;
  const limosa_region *Body = Api.graph_body(Request->graph);
  for (uint32_t I = 0; I < Api.region_op_count(Body); ++I) {
    std::string Why = refusal(Api, Api.region_op(Body, I));
    Request->answer(Request->context, I, Why.empty(), Why.c_str());
  }
  return LIMOSA_STATUS_OK;
}

//===----------------------------------------------------------------------===//
// Executables: "LREF", a count, then for each kernel the lengths of its name
// and graph and both, each padded to 8 bytes.
//===----------------------------------------------------------------------===//

constexpr uint32_t Magic = 0x4645524c;

uint64_t padded(uint64_t Size) { return (Size + 7) & ~uint64_t(7); }

int32_t compile(limosa_device *D, const limosa_compile_request *Request) {
  const limosa_graph_api &Api = *impl(D)->Host->graph;
  std::vector<uint8_t> Out;
  auto Number = [&](uint64_t V) {
    for (int I = 0; I < 8; ++I)
      Out.push_back(uint8_t(V >> (8 * I)));
  };
  Number(Magic | uint64_t(Request->graph_count) << 32);
  for (uint32_t I = 0; I < Request->graph_count; ++I) {
    std::string_view Name = Request->symbols[I];
    std::vector<uint8_t> Graph = copyGraph(Api, Request->graphs[I]);
    Number(Name.size());
    Number(Graph.size());
    Out.insert(Out.end(), Name.begin(), Name.end());
    Out.resize(padded(Out.size()));
    Out.insert(Out.end(), Graph.begin(), Graph.end());
    Out.resize(padded(Out.size()));
  }
  return Request->write(Request->context, Out.data(), Out.size());
}

/// Reads the pieces of an executable; all bounds are checked.
class Reader {
public:
  Reader(const uint8_t *Bytes, uint64_t Size) : At(Bytes), Left(Size) {}
  bool number(uint64_t &Out) {
    const uint8_t *P;
    if (!bytes(8, P))
      return false;
    Out = 0;
    for (int I = 7; I >= 0; --I)
      Out = Out << 8 | P[I];
    return true;
  }
  bool bytes(uint64_t Size, const uint8_t *&Out) {
    if (Size > Left || padded(Size) > Left)
      return false;
    Out = At;
    At += padded(Size);
    Left -= padded(Size);
    return true;
  }

private:
  const uint8_t *At;
  uint64_t Left;
};

int32_t loadExecutable(limosa_device *D, const char *, const char *,
                       const void *Bytes, uint64_t Size,
                       limosa_executable **Out) {
  const limosa_host *Host = impl(D)->Host;
  auto Made = std::make_unique<Executable>();
  Made->Host = Host;
  Reader In(static_cast<const uint8_t *>(Bytes), Size);
  uint64_t Head = 0, NameSize, GraphSize;
  if (!In.number(Head) || uint32_t(Head) != Magic)
    return fail(Host, LIMOSA_STATUS_CORRUPT,
                "damaged executable of the reference device");
  for (uint64_t I = 0; I < Head >> 32; ++I) {
    const uint8_t *Name, *Graph;
    if (!In.number(NameSize) || !In.number(GraphSize) ||
        !In.bytes(NameSize, Name) || !In.bytes(GraphSize, Graph))
      return fail(Host, LIMOSA_STATUS_CORRUPT,
                  "damaged executable of the reference device");
    Kernel K;
    K.Name.assign(reinterpret_cast<const char *>(Name), NameSize);
    K.Bytes.resize(size_t(padded(GraphSize) / 8));
    std::memcpy(K.Bytes.data(), Graph, GraphSize);
    std::string Error;
    K.Graph = runtime::GraphAccess::create(
        {reinterpret_cast<const uint8_t *>(K.Bytes.data()), GraphSize}, Error);
    if (!K.Graph)
      return fail(Host, LIMOSA_STATUS_CORRUPT, Error);
    Made->Kernels.push_back(std::move(K));
  }
  *Out = handle(Made.release());
  return LIMOSA_STATUS_OK;
}

void unloadExecutable(limosa_executable *E) { delete impl(E); }

int32_t findKernel(const limosa_executable *Handle, const char *Symbol,
                   uint64_t *Out) {
  auto *E = reinterpret_cast<const Executable *>(Handle);
  for (size_t I = 0; I < E->Kernels.size(); ++I)
    if (E->Kernels[I].Name == Symbol) {
      *Out = I;
      return LIMOSA_STATUS_OK;
    }
  return fail(E->Host, LIMOSA_STATUS_NOT_FOUND,
              std::string("no kernel '") + Symbol + "' in the executable");
}

//===----------------------------------------------------------------------===//
// Buffers
//===----------------------------------------------------------------------===//

int32_t allocBuffer(limosa_device *D, uint64_t Bytes, limosa_buffer **Out) {
  const limosa_host *Host = impl(D)->Host;
  void *Memory = Host->alloc(Host->context, Bytes, Alignment);
  if (!Memory)
    return fail(Host, LIMOSA_STATUS_OUT_OF_MEMORY,
                "out of memory: " + std::to_string(Bytes) + " bytes");
  *Out = handle(new Buffer{Host, Memory, Bytes, true});
  return LIMOSA_STATUS_OK;
}

int32_t importBuffer(limosa_device *D, void *Memory, uint64_t Bytes,
                     limosa_buffer **Out) {
  *Out = handle(new Buffer{impl(D)->Host, Memory, Bytes, false});
  return LIMOSA_STATUS_OK;
}

void freeBuffer(limosa_buffer *H) {
  Buffer *B = impl(H);
  if (B->Owned)
    B->Host->free(B->Host->context, B->Memory, B->Bytes);
  delete B;
}

void *hostPointer(limosa_buffer *B) { return impl(B)->Memory; }

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

int32_t createQueue(limosa_device *D, limosa_queue **Out) {
  *Out = handle(new Queue{impl(D)->Host});
  return LIMOSA_STATUS_OK;
}
void destroyQueue(limosa_queue *Q) { delete impl(Q); }
int32_t finishQueue(limosa_queue *) { return LIMOSA_STATUS_OK; }
int32_t setProfiling(limosa_queue *Q, int32_t On) {
  impl(Q)->Profiling = On != 0;
  return LIMOSA_STATUS_OK;
}

/// Copies between the logical row-major order and the physical one, in which
/// dimension order[0] is outermost.
void permute(const Tensor &Logical, const uint8_t *Order, uint8_t *Dst,
             const uint8_t *Src, bool ToPhysical) {
  Shape Physical;
  for (size_t D = 0; D < Logical.rank(); ++D)
    Physical.push_back(Logical.dim(Order[D]));
  Shape PhysicalStrides = rowMajorStrides(Physical), Strides(Logical.rank());
  for (size_t D = 0; D < Logical.rank(); ++D)
    Strides[Order[D]] = PhysicalStrides[D];
  Shape RowMajor = rowMajorStrides(Logical.dims());
  copyStrided(Dst, ToPhysical ? Strides : RowMajor, Src,
              ToPhysical ? RowMajor : Strides, Logical.dims(),
              elementBytes(Logical.dtype()));
}

int32_t readInput(const limosa_graph_api &Api, const limosa_graph *Graph,
                  uint32_t Value, const int64_t *Symbols, const void *Address,
                  Tensor &Out) {
  Shape Dims(Api.value_rank(Graph, Value));
  for (uint32_t D = 0; D < Dims.size(); ++D)
    if (int32_t S = Api.value_dim(Graph, Value, D, Symbols, &Dims[D]))
      return S;
  Out = Tensor::fromPacked(DType(Api.value_dtype(Graph, Value)), Dims, Address);
  if (!Out)
    return LIMOSA_STATUS_OUT_OF_MEMORY;
  const uint8_t *Order = Api.value_order(Graph, Value);
  if (!Order || Out.elements() == 0)
    return LIMOSA_STATUS_OK;
  Tensor Logical = Tensor::make(Out.dtype(), Dims);
  if (!Logical)
    return LIMOSA_STATUS_OUT_OF_MEMORY;
  permute(Logical, Order, Logical.data(), Out.data(), /*ToPhysical=*/false);
  Out = Logical;
  return LIMOSA_STATUS_OK;
}

int32_t writeOutput(const uint8_t *Order, const Tensor &Result, void *Address) {
  if (!Order || Result.elements() == 0) {
    Result.pack(Address);
    return LIMOSA_STATUS_OK;
  }
  Tensor Physical = Tensor::make(Result.dtype(), Result.dims());
  if (!Physical)
    return LIMOSA_STATUS_OUT_OF_MEMORY;
  permute(Result, Order, Physical.data(), Result.data(), /*ToPhysical=*/true);
  Physical.pack(Address);
  return LIMOSA_STATUS_OK;
}

int32_t launch(limosa_queue *Handle, const limosa_launch *Launch) {
  Queue *Q = impl(Handle);
  auto *E = reinterpret_cast<const Executable *>(Launch->executable);
  if (Launch->kernel >= E->Kernels.size())
    return fail(Q->Host, LIMOSA_STATUS_INVALID_ARGUMENT, "no such kernel");
  uint64_t Begin = Q->Host->now(Q->Host->context);
  // Executables hold graphs of this device's own making.
  const limosa_graph_api &Api = *runtime::graphApi();
  const limosa_graph *Graph = E->Kernels[Launch->kernel].Graph->handle();
  const limosa_region *Body = Api.graph_body(Graph);
  uint32_t InputCount = Api.region_arg_count(Body),
           OutputCount = Api.region_result_count(Body);
  if (Launch->buffer_count != InputCount + OutputCount ||
      Launch->scalar_count != Api.symbol_count(Graph))
    return fail(Q->Host, LIMOSA_STATUS_INVALID_ARGUMENT,
                "a launch has other buffers or symbols than its graph");
  std::vector<Tensor> Inputs(InputCount), Outputs;
  for (uint32_t I = 0; I < InputCount; ++I)
    if (int32_t S = readInput(Api, Graph, Api.region_arg(Body, I),
                              Launch->scalars, Launch->addresses[I], Inputs[I]))
      return fail(Q->Host, S, "an input cannot be read");
  EvaluateOptions Options;
  Options.Symbols = {Launch->scalars, Launch->scalar_count};
  if (Status S = evaluate(Api, Graph, std::move(Inputs), Outputs, Options);
      !S.ok())
    return fail(Q->Host, S.Code, S.Message);
  for (uint32_t I = 0; I < OutputCount; ++I)
    if (int32_t S =
            writeOutput(Api.value_order(Graph, Api.region_result(Body, I)),
                        Outputs[I], Launch->addresses[InputCount + I]))
      return fail(Q->Host, S, "out of memory");
  if (Q->Profiling) {
    limosa_profile_event Event = {};
    Event.size = sizeof(Event);
    Event.tag = Launch->tag;
    Event.begin = Begin;
    Event.end = Q->Host->now(Q->Host->context);
    Q->Host->profile(Q->Host->context, &Event);
  }
  return LIMOSA_STATUS_OK;
}

constexpr limosa_driver makeDriver() {
  limosa_driver D = {};
  D.size = sizeof(D);
  D.version = 1;
  D.name = "reference";
  D.device_count = deviceCount;
  D.create_device = createDevice;
  D.destroy_device = destroyDevice;
  D.get_properties = getProperties;
  D.claim = claim;
  D.compile = compile;
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

extern "C" int32_t limosa_reference_device_query(const limosa_host *Host,
                                                 uint32_t MinVersion,
                                                 uint32_t MaxVersion,
                                                 const limosa_driver **Out) {
  if (MinVersion > 1 || MaxVersion < 1)
    return fail(Host, LIMOSA_STATUS_UNSUPPORTED,
                "the reference device speaks version 1 of the device "
                "interface");
  *Out = &Driver;
  return LIMOSA_STATUS_OK;
}
