/*===- device.h - The interface between Limosa and a device ------------*- C -*-===
 *
 * Everything a chip needs to run Limosa's models, in one header without
 * dependencies. A device is a shared library that exports one symbol,
 * `limosa_device_query`; the built-in CPU and the reference interpreter go
 * through the same door.
 *
 * What happens to a device, in order:
 *   1. The host calls limosa_device_query and gets the driver's table.
 *   2. create_device makes a device; get_properties says what it can take.
 *   3. While compiling, claim is offered graphs and answers, op by op, what the
 *      device takes and why it refuses the rest. What it takes is handed to
 *      compile, whose bytes are kept in the .lim file.
 *   4. While running, load_executable gets those bytes (or generated kernels of
 *      a format the device listed), buffers and queues are made, and launch is
 *      called with them.
 * Compiling and running may happen in different processes.
 *
 * Rules that hold for every function here:
 * - Versions: the host states a range, the driver picks one of it. Structs
 *   start with their size as the side that filled them in knows it, and a `next`
 *   pointer to an extension struct or NULL. Fields are only ever appended; a
 *   field beyond `size` counts as zero.
 * - Errors: functions that can fail return LIMOSA_STATUS_*, and before returning
 *   anything but LIMOSA_STATUS_OK call host->set_error with one line that says
 *   what to do. Out parameters are then left alone. Nothing throws or aborts.
 * - Ownership: what a create/alloc/load function returns belongs to the caller
 *   until it is given to the matching destroy/free/unload function. Pointers
 *   passed as arguments are only valid during the call unless stated otherwise.
 * - Threads: functions may be called from any thread; calls on the same queue
 *   are never concurrent, others may be.
 * - Element types are the numbers of limosa/Support/DType.h:
 *   1 bool, 2 i8, 3 i16, 4 i32, 5 i64, 6 u8, 7 u16, 8 u32, 9 u64, 10 f16,
 *   11 bf16, 12 f32, 13 f64, 14.. storage-only fp8 and 4-bit types.
 *
 *===----------------------------------------------------------------------===*/

#ifndef LIMOSA_DEVICE_H
#define LIMOSA_DEVICE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version this header describes. */
#define LIMOSA_DEVICE_VERSION 1u

#if defined(_WIN32)
#define LIMOSA_DEVICE_EXPORT __declspec(dllexport)
#else
#define LIMOSA_DEVICE_EXPORT __attribute__((visibility("default")))
#endif

/* Status values (the same numbers as in limosa.h). */
#define LIMOSA_STATUS_OK 0
#define LIMOSA_STATUS_INVALID_ARGUMENT 1 /* the caller's mistake */
#define LIMOSA_STATUS_NOT_FOUND 2        /* no such file, entry, symbol */
#define LIMOSA_STATUS_CORRUPT 3          /* damaged or hostile data */
#define LIMOSA_STATUS_UNSUPPORTED 4      /* this machine or device cannot do it */
#define LIMOSA_STATUS_OUT_OF_MEMORY 5
#define LIMOSA_STATUS_FAILED 6           /* the model refused its input */
#define LIMOSA_STATUS_INTERNAL 7         /* a bug of Limosa or of the device */

/* Severities of log messages. */
#define LIMOSA_LOG_DEBUG 0
#define LIMOSA_LOG_INFO 1
#define LIMOSA_LOG_WARNING 2
#define LIMOSA_LOG_ERROR 3

/* Opaque handles. Those above the line are the host's, the others the device's. */
typedef struct limosa_graph limosa_graph;
typedef struct limosa_region limosa_region;
typedef struct limosa_op limosa_op;
typedef struct limosa_attr limosa_attr;
/* ---- */
typedef struct limosa_device limosa_device;
typedef struct limosa_executable limosa_executable;
typedef struct limosa_buffer limosa_buffer;
typedef struct limosa_queue limosa_queue;
typedef struct limosa_timeline limosa_timeline;
typedef struct limosa_group limosa_group;

/*===----------------------------------------------------------------------===
 * Graphs: read-only access to core ops
 *===----------------------------------------------------------------------===*/

/* Kinds of attributes. */
#define LIMOSA_ATTR_NONE 0u
#define LIMOSA_ATTR_INT 1u
#define LIMOSA_ATTR_FLOAT 2u
#define LIMOSA_ATTR_STRING 3u
#define LIMOSA_ATTR_INTS 4u
#define LIMOSA_ATTR_FLOATS 5u
#define LIMOSA_ATTR_STRINGS 6u
#define LIMOSA_ATTR_EXPRS 7u /* dimension expressions */
#define LIMOSA_ATTR_DTYPE 8u /* the number, read with attr_int */
#define LIMOSA_ATTR_DATA 9u  /* bytes of a tensor constant */
#define LIMOSA_ATTR_BOOL 10u /* 0 or 1, read with attr_int */
/* The name of a function of the graph, and of an enumerator (direction: "lt");
 * read with attr_string. */
#define LIMOSA_ATTR_FUNCTION 11u
#define LIMOSA_ATTR_ENUM 12u

/*
 * A graph is a function over tensors: a body region whose arguments are the
 * function's inputs and whose results are its outputs. Values are numbered from
 * 0 within a graph; a region nested in an op sees the values around it. A
 * composite op names the function that defines it by its "body" attribute.
 * A graph is in order: an op comes after the ops whose results it uses.
 *
 * Dimensions are expressions over the graph's symbols. Functions that evaluate
 * one take `symbols`, the values of the graph's symbols in their order; they
 * return LIMOSA_STATUS_FAILED when the value is negative or overflows, and may
 * be given NULL when the expression is constant.
 *
 * Indexes must be in range (counts are given); a graph has been validated
 * before a device sees it, so that its own references are. Strings are NUL
 * terminated, never NULL unless stated, and live as long as the graph. All
 * functions may be called from any thread.
 */
typedef struct limosa_graph_api {
  uint64_t size;
  const void *next;

  const char *(*graph_name)(const limosa_graph *graph);
  const limosa_region *(*graph_body)(const limosa_graph *graph);

  uint32_t (*symbol_count)(const limosa_graph *graph);
  const char *(*symbol_name)(const limosa_graph *graph, uint32_t symbol);
  /* What is known: min <= value <= max, divisor divides it. `bound` is set to
   * an upper bound as an expression of other symbols or to NULL. Any of the out
   * pointers may be NULL. */
  void (*symbol_range)(const limosa_graph *graph, uint32_t symbol, int64_t *min,
                       int64_t *max, int64_t *divisor, const char **bound);

  uint32_t (*value_count)(const limosa_graph *graph);
  const char *(*value_name)(const limosa_graph *graph, uint32_t value); /* "" */
  uint32_t (*value_dtype)(const limosa_graph *graph, uint32_t value);
  uint32_t (*value_rank)(const limosa_graph *graph, uint32_t value);
  /* A dimension as text, e.g. "3" or "2*N + 1". */
  const char *(*value_dim_text)(const limosa_graph *graph, uint32_t value,
                                uint32_t dim);
  /* A dimension as a number. */
  int32_t (*value_dim)(const limosa_graph *graph, uint32_t value, uint32_t dim,
                       const int64_t *symbols, int64_t *out);
  /* The physical order of the logical dimensions, outermost first, `rank`
   * numbers; NULL for row-major. */
  const uint8_t *(*value_order)(const limosa_graph *graph, uint32_t value);

  uint32_t (*region_arg_count)(const limosa_region *region);
  uint32_t (*region_arg)(const limosa_region *region, uint32_t index);
  uint32_t (*region_op_count)(const limosa_region *region);
  const limosa_op *(*region_op)(const limosa_region *region, uint32_t index);
  uint32_t (*region_result_count)(const limosa_region *region);
  uint32_t (*region_result)(const limosa_region *region, uint32_t index);

  /* The mnemonic without dialect, e.g. "add". */
  const char *(*op_name)(const limosa_op *op);
  /* The version of the op's definition. A device refuses versions it does not
   * know. */
  uint32_t (*op_version)(const limosa_op *op);
  uint32_t (*op_operand_count)(const limosa_op *op);
  uint32_t (*op_operand)(const limosa_op *op, uint32_t index);
  uint32_t (*op_result_count)(const limosa_op *op);
  uint32_t (*op_result)(const limosa_op *op, uint32_t index);
  uint32_t (*op_region_count)(const limosa_op *op);
  const limosa_region *(*op_region)(const limosa_op *op, uint32_t index);
  const char *(*op_location)(const limosa_op *op); /* "" if unknown */
  uint32_t (*op_attr_count)(const limosa_op *op);
  const limosa_attr *(*op_attr)(const limosa_op *op, uint32_t index);
  /* NULL if the op has no such attribute. */
  const limosa_attr *(*op_find_attr)(const limosa_op *op, const char *name);

  const char *(*attr_name)(const limosa_attr *attr);
  uint32_t (*attr_kind)(const limosa_attr *attr);
  /* The scalar kinds; zero or "" if the kind is another. */
  int64_t (*attr_int)(const limosa_attr *attr);
  double (*attr_float)(const limosa_attr *attr);
  const char *(*attr_string)(const limosa_attr *attr);
  /* The list kinds: their length (0 for others) and elements. */
  uint32_t (*attr_count)(const limosa_attr *attr);
  int64_t (*attr_int_at)(const limosa_attr *attr, uint32_t index);
  double (*attr_float_at)(const limosa_attr *attr, uint32_t index);
  const char *(*attr_string_at)(const limosa_attr *attr, uint32_t index);
  const char *(*attr_expr_text)(const limosa_graph *graph,
                                const limosa_attr *attr, uint32_t index);
  int32_t (*attr_expr)(const limosa_graph *graph, const limosa_attr *attr,
                       uint32_t index, const int64_t *symbols, int64_t *out);
  /* The little-endian, row-major bytes of a tensor constant, 16-byte aligned;
   * NULL if it is empty or not at hand (a constant kept outside the graph that
   * the host did not attach). `bytes` may be NULL. */
  const void *(*attr_data)(const limosa_graph *graph, const limosa_attr *attr,
                           uint64_t *bytes);

  /* Bodies of composites. */
  uint32_t (*function_count)(const limosa_graph *graph);
  const limosa_graph *(*function)(const limosa_graph *graph, uint32_t index);
  /* NULL if there is no function of that name. */
  const limosa_graph *(*find_function)(const limosa_graph *graph,
                                       const char *name);
} limosa_graph_api;

/*===----------------------------------------------------------------------===
 * What the host gives
 *===----------------------------------------------------------------------===*/

/* One interval of a timeline, for profiles. Times are nanoseconds of the host's
 * clock (`host->now`). `lane` numbers what runs side by side within a device
 * (worker threads, streams). `tag` is the launch's. */
typedef struct limosa_profile_event {
  uint64_t size;
  const void *next;
  const char *name; /* valid during the call; NULL for a launch: tag names it */
  uint64_t tag;
  uint32_t lane;
  uint32_t reserved;
  uint64_t begin;
  uint64_t end;
} limosa_profile_event;

/* The table a device calls back into. It and what it points to outlive the
 * device. Every function may be called from any thread, with `context` first. */
typedef struct limosa_host {
  uint64_t size;
  const void *next;
  void *context;
  const limosa_graph_api *graph;

  /* Keeps a copy of `message` as the reason of the error being returned on this
   * thread. */
  void (*set_error)(void *context, const char *message);
  /* One line, LIMOSA_LOG_*. */
  void (*log)(void *context, int32_t severity, const char *message);
  /* Memory through the host's allocator; NULL if there is none. `alignment` is a
   * power of two. Free with the same size. */
  void *(*alloc)(void *context, uint64_t bytes, uint64_t alignment);
  void (*free)(void *context, void *memory, uint64_t bytes);
  /* Monotonic nanoseconds. */
  uint64_t (*now)(void *context);

  /* The host's worker threads, for devices that compute on the CPU: calls
   * body(argument, worker, begin, end) for disjoint ranges that cover
   * [0, count), never twice at the same time for one worker, and returns when
   * all are done. Worker numbers are below worker_count; the calling thread is
   * one of them. Runs on the calling thread alone if the workers are busy or
   * when called from within `body`. */
  uint32_t (*worker_count)(void *context);
  void (*parallel_for)(void *context, int64_t count,
                       void (*body)(void *argument, uint32_t worker,
                                    int64_t begin, int64_t end),
                       void *argument);

  /* Takes an interval for the profile; called by devices between
   * set_profiling(1) and set_profiling(0). */
  void (*profile)(void *context, const limosa_profile_event *event);
} limosa_host;

/*===----------------------------------------------------------------------===
 * What a device gives
 *===----------------------------------------------------------------------===*/

/* What a device may be offered (limosa_device_properties.takes). */
#define LIMOSA_TAKES_OPS 1u        /* single core ops */
#define LIMOSA_TAKES_COMPOSITES 2u /* whole composites, without looking inside */
#define LIMOSA_TAKES_SUBGRAPHS 4u  /* graphs of any number of ops */
#define LIMOSA_TAKES_KERNELS 8u    /* generated code of the listed formats */

/* limosa_device_properties.flags */
/* Buffers are ordinary memory: host_pointer never returns NULL. */
#define LIMOSA_DEVICE_HOST_VISIBLE 1u
/* Launches take plain addresses (limosa_launch.addresses) of any memory of the
 * host, not bindings: such devices share buffers with each other and with the
 * user. To and from the memory of other devices the program copies. Implies
 * HOST_VISIBLE. */
#define LIMOSA_DEVICE_HOST_ADDRESSES 2u

/* A kind of generated code. The device runs code whose isa is listed. */
typedef struct limosa_code_format {
  const char *format; /* "elf-x86_64", "ptx", "opencl-c" ... */
  const char *isa;    /* "avx2", "avx512", "sm_80" ...; best first */
} limosa_code_format;

/* Filled by get_properties; pointers live as long as the device. */
typedef struct limosa_device_properties {
  uint64_t size;
  const void *next;
  const char *name;        /* short: "cpu"; chosen by users, written in files */
  const char *description; /* for people: "AMD EPYC 9454, 2 cores" */
  uint32_t takes;          /* LIMOSA_TAKES_* */
  uint32_t flags;          /* LIMOSA_DEVICE_* */
  uint64_t memory_bytes;   /* 0: unknown */
  uint64_t alignment;      /* of buffers and offsets; a power of two */
  uint32_t lanes;          /* what runs side by side: threads, compute units */
  uint32_t format_count;
  const limosa_code_format *formats;
} limosa_device_properties;

/* A question: which ops of the body of `graph` does the device take? The device
 * calls `answer` once for each op it wants to speak about; ops it does not
 * mention are refused without a reason. */
typedef struct limosa_claim_request {
  uint64_t size;
  const void *next;
  const limosa_graph *graph;
  void *context;
  /* `reason` is one line, required for a refusal, copied. */
  void (*answer)(void *context, uint32_t op, int32_t accepted,
                 const char *reason);
} limosa_claim_request;

/* Graphs of claimed ops, to be compiled into one executable. `symbols[i]` is the
 * name by which find_kernel will ask for `graphs[i]`. Options are "key=value".
 * The device passes its bytes to `write`, in pieces if it likes; a non-zero
 * result of `write` must be returned as the status. */
typedef struct limosa_compile_request {
  uint64_t size;
  const void *next;
  const limosa_graph *const *graphs;
  const char *const *symbols;
  uint32_t graph_count;
  uint32_t option_count;
  const char *const *options;
  void *context;
  int32_t (*write)(void *context, const void *bytes, uint64_t size);
} limosa_compile_request;

/* Part of a buffer. */
typedef struct limosa_binding {
  limosa_buffer *buffer;
  uint64_t offset;
  uint64_t bytes;
} limosa_binding;

/* Points on timelines: `count` pairs. */
typedef struct limosa_points {
  limosa_timeline *const *timelines;
  const uint64_t *values;
  uint64_t count;
} limosa_points;

/* One run of a kernel. Everything pointed to is only valid during the call,
 * except the memory of the buffers, which stays until the work is done. */
typedef struct limosa_launch {
  uint64_t size;
  const void *next;
  const limosa_executable *executable;
  uint64_t kernel; /* from find_kernel */
  /* Generated kernels: tiles [0, grid), and bytes of scratch for each worker.
   * Kernels compiled from a graph by the device: 1 and 0. */
  int64_t grid;
  uint64_t scratch_bytes;
  /* Generated kernels: the scalars of the kernel. Kernels compiled from a graph:
   * values of the graph's symbols, in their order. */
  const int64_t *scalars;
  /* Inputs, then outputs, in the order of the graph's body. `addresses` for
   * LIMOSA_DEVICE_HOST_ADDRESSES devices, `bindings` for the others. */
  void *const *addresses;
  const limosa_binding *bindings;
  uint32_t scalar_count;
  uint32_t buffer_count;
  limosa_points wait;   /* before it starts */
  limosa_points signal; /* after it is done */
  uint64_t tag;         /* for profile events */
  /* Estimated nanoseconds on one worker, 0 if unknown: work that is shorter than
   * waking others is not worth sharing. */
  uint64_t cost;
} limosa_launch;

/* Movement between devices in one process group, or between processes; see
 * limosa_driver.collectives. Buffers hold `count` elements of `dtype` for each
 * member; reductions are sums. Work is queued like a launch. */
typedef struct limosa_collectives {
  uint64_t size;
  const void *next;
  /* Makes member `rank` of `ranks`; all members pass the same `id`, bytes that
   * make_id produced at one of them. */
  int32_t (*make_id)(limosa_device *device, uint8_t id[128]);
  int32_t (*create_group)(limosa_device *device, const uint8_t id[128],
                          uint32_t rank, uint32_t ranks, limosa_group **out);
  void (*destroy_group)(limosa_group *group);
  int32_t (*all_gather)(limosa_queue *queue, limosa_group *group,
                        uint32_t dtype, uint64_t count, limosa_binding src,
                        limosa_binding dst);
  int32_t (*reduce_scatter)(limosa_queue *queue, limosa_group *group,
                            uint32_t dtype, uint64_t count, limosa_binding src,
                            limosa_binding dst);
  /* Member i sends to targets[i] (-1: nobody); who gets nothing gets zeros. */
  int32_t (*permute)(limosa_queue *queue, limosa_group *group, uint32_t dtype,
                     uint64_t count, const int32_t *targets,
                     limosa_binding src, limosa_binding dst);
} limosa_collectives;

/* A driver: the functions of one kind of device. Lives as long as the library
 * that holds it. Functions marked "may be NULL" may be absent. */
typedef struct limosa_driver {
  uint64_t size;
  const void *next;
  uint32_t version; /* the one chosen from the host's range */
  uint32_t reserved;
  const char *name; /* of the driver: "cpu", "reference", "sample_matmul" */

  /* How many devices there are now. Zero is not an error. */
  uint32_t (*device_count)(void);
  /* `host` outlives the device. */
  int32_t (*create_device)(const limosa_host *host, uint32_t ordinal,
                           limosa_device **out);
  /* After everything made with the device has been given back. */
  void (*destroy_device)(limosa_device *device);
  /* Fills at most out->size bytes and sets out->size to what it filled. */
  int32_t (*get_properties)(limosa_device *device,
                            limosa_device_properties *out);

  /* --- Compiling. May be NULL for devices that only take kernels. --- */
  int32_t (*claim)(limosa_device *device, const limosa_claim_request *request);
  int32_t (*compile)(limosa_device *device,
                     const limosa_compile_request *request);

  /* --- Executables --- */
  /* Makes code ready to run. `bytes` come from a file that may be damaged or
   * hostile: check them. They stay valid and unchanged until
   * unload_executable. `isa` may be "". */
  int32_t (*load_executable)(limosa_device *device, const char *format,
                             const char *isa, const void *bytes, uint64_t size,
                             limosa_executable **out);
  void (*unload_executable)(limosa_executable *executable);
  /* The number to launch the kernel of that name by; NOT_FOUND otherwise. */
  int32_t (*find_kernel)(const limosa_executable *executable,
                         const char *symbol, uint64_t *out);

  /* --- Buffers. --- */
  int32_t (*alloc_buffer)(limosa_device *device, uint64_t bytes,
                          limosa_buffer **out);
  /* Uses the host's memory as a buffer without a copy; UNSUPPORTED where that
   * cannot be done. The memory must outlive the buffer. May be NULL. */
  int32_t (*import_buffer)(limosa_device *device, void *memory, uint64_t bytes,
                           limosa_buffer **out);
  void (*free_buffer)(limosa_buffer *buffer);
  /* Where the host sees the buffer, or NULL. Work using it must be waited for
   * first. */
  void *(*host_pointer)(limosa_buffer *buffer);
  /* In queue order. The host's memory may be reused when the call returns for
   * write_buffer, and holds the bytes when it returns for read_buffer. */
  int32_t (*write_buffer)(limosa_queue *queue, limosa_binding dst,
                          const void *src);
  int32_t (*read_buffer)(limosa_queue *queue, void *dst, limosa_binding src);
  /* Within the device; ranges do not overlap; src.bytes are copied. */
  int32_t (*copy_buffer)(limosa_queue *queue, limosa_binding dst,
                         limosa_binding src);

  /* --- Queues: work starts in the order it was given. --- */
  int32_t (*create_queue)(limosa_device *device, limosa_queue **out);
  void (*destroy_queue)(limosa_queue *queue);
  /* May return before the work is done, unless the device is synchronous. The
   * result of work that fails later is returned by finish_queue. */
  int32_t (*launch)(limosa_queue *queue, const limosa_launch *launch);
  /* Waits for all work given so far. */
  int32_t (*finish_queue)(limosa_queue *queue);

  /* --- Timeline semaphores: counters that only grow. May be NULL for a
   * synchronous device, whose launches then have no points. --- */
  int32_t (*create_timeline)(limosa_device *device, uint64_t value,
                             limosa_timeline **out);
  void (*destroy_timeline)(limosa_timeline *timeline);
  int32_t (*query_timeline)(limosa_timeline *timeline, uint64_t *out);
  int32_t (*signal_timeline)(limosa_timeline *timeline, uint64_t value);
  /* Waits on the host; FAILED after `timeout` nanoseconds (UINT64_MAX: never). */
  int32_t (*wait_timeline)(limosa_timeline *timeline, uint64_t value,
                           uint64_t timeout);

  /* Starts (1) or stops (0) feeding host->profile for work on this queue. May
   * be NULL. */
  int32_t (*set_profiling)(limosa_queue *queue, int32_t on);

  /* NULL: the device has none. */
  const limosa_collectives *collectives;
} limosa_driver;

/* The one exported symbol. Picks a version in [min_version, max_version] and
 * sets `*out` to the driver's table for it; UNSUPPORTED if it knows none of
 * them. `host` is for messages during this call only. Thread safe. */
typedef int32_t (*limosa_device_query_fn)(const limosa_host *host,
                                          uint32_t min_version,
                                          uint32_t max_version,
                                          const limosa_driver **out);
LIMOSA_DEVICE_EXPORT int32_t limosa_device_query(const limosa_host *host,
                                                 uint32_t min_version,
                                                 uint32_t max_version,
                                                 const limosa_driver **out);

#ifdef __cplusplus
}
#endif

#endif /* LIMOSA_DEVICE_H */
