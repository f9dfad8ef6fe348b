/*===- limosa.h - Running compiled models from C -----------------------*- C -*-===
 *
 * Load a .lim file (or compile an .onnx file, cached), make an instance, run it:
 *
 *   limosa_context *context;
 *   limosa_module *module;
 *   limosa_instance *instance;
 *   limosa_context_create(NULL, &context);
 *   limosa_module_load(context, "model.lim", &module);
 *   limosa_instance_create(module, &instance);
 *   limosa_tensor in = {.dtype = LIMOSA_F32, .rank = 2, .dims = {1, 10}, .data = x};
 *   limosa_tensor out = {0};
 *   limosa_run(instance, 0, &in, 1, &out, 1);
 *   ... out.data, out.dims ...
 *   limosa_tensor_release(&out);
 *
 * Errors: functions that can fail return LIMOSA_STATUS_OK (0) or another
 * LIMOSA_STATUS_*; limosa_last_error() then says what is wrong in one line. Out
 * parameters are only set on success. Nothing aborts or throws on bad input.
 *
 * Threads: contexts and modules may be used from any number of threads at once.
 * An instance may be used by one thread at a time; instances of one module run
 * concurrently and share its weights.
 *
 * Ownership: what a create or load function returns is given back with the
 * matching destroy function. An instance keeps its module alive and a module its
 * context, so the order does not matter. Strings that are returned live as long
 * as the object they were asked of.
 *
 *===----------------------------------------------------------------------===*/

#ifndef LIMOSA_LIMOSA_H
#define LIMOSA_LIMOSA_H

#include "limosa/Compiler.h"
#include "limosa/operator.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define LIMOSA_API __declspec(dllexport)
#else
#define LIMOSA_API __attribute__((visibility("default")))
#endif

/* Status values. */
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

/* Element types. Bool is a byte of 0 or 1; 4-bit types are two to a byte, low
 * nibble first. */
#define LIMOSA_BOOL 1u
#define LIMOSA_I8 2u
#define LIMOSA_I16 3u
#define LIMOSA_I32 4u
#define LIMOSA_I64 5u
#define LIMOSA_U8 6u
#define LIMOSA_U16 7u
#define LIMOSA_U32 8u
#define LIMOSA_U64 9u
#define LIMOSA_F16 10u
#define LIMOSA_BF16 11u
#define LIMOSA_F32 12u
#define LIMOSA_F64 13u
#define LIMOSA_F8E4M3FN 14u
#define LIMOSA_F8E5M2 15u
#define LIMOSA_F8E4M3FNUZ 16u
#define LIMOSA_F8E5M2FNUZ 17u
#define LIMOSA_I4 18u
#define LIMOSA_U4 19u
#define LIMOSA_F4E2M1FN 20u
/* Elements are limosa_string (limosa/operator.h): bytes with their length, NULs
 * and what is no UTF-8 among them; `data` may be NULL if `length` is 0. Those of
 * an input are read before limosa_run returns, those of an output belong to its
 * memory. */
#define LIMOSA_STRING 21u

#define LIMOSA_MAX_RANK 16

typedef struct limosa_context limosa_context;
typedef struct limosa_module limosa_module;
typedef struct limosa_instance limosa_instance;

/* The version of the library, e.g. "0.1.0". */
LIMOSA_API const char *limosa_version(void);

/* Why the last function that failed on this thread did; "" if none has. Valid
 * until the next call of a Limosa function on this thread. */
LIMOSA_API const char *limosa_last_error(void);

/*===----------------------------------------------------------------------===
 * Contexts: threads, memory, devices
 *===----------------------------------------------------------------------===*/

/* Zero everything that is not used; set `size` to sizeof(limosa_context_options).
 * Fields are only ever appended. */
typedef struct limosa_context_options {
  uint64_t size;
  const void *next;
  /* Worker threads, the calling one included. 0: as many as the process may use
   * processors. Results do not depend on it. */
  uint32_t threads;
  uint32_t reserved;
  void *user; /* passed to the functions below */
  /* The host's allocator, both or neither. `alignment` is a power of two. Called
   * from any thread. NULL from `alloc` becomes LIMOSA_STATUS_OUT_OF_MEMORY. */
  void *(*alloc)(void *user, uint64_t bytes, uint64_t alignment);
  void (*free)(void *user, void *memory, uint64_t bytes);
  /* The host's thread pool, used instead of own threads: calls
   * task(argument, i) once for every i < tasks, concurrently if it can, and
   * returns when all are done. `tasks` is at most `threads`. */
  void (*parallel_for)(void *user, uint32_t tasks,
                       void (*task)(void *argument, uint32_t index),
                       void *argument);
  /* Takes log lines (LIMOSA_LOG_*). Default: warnings and errors to stderr. */
  void (*log)(void *user, int32_t severity, const char *message);
} limosa_context_options;

/* Makes a context. `options` may be NULL. */
LIMOSA_API int32_t limosa_context_create(const limosa_context_options *options,
                                         limosa_context **out);
/* NULL is allowed. Memory and threads stay until its modules, instances and
 * tensors are gone. */
LIMOSA_API void limosa_context_destroy(limosa_context *context);
/* The number of worker threads. */
LIMOSA_API uint32_t limosa_context_threads(const limosa_context *context);

/* Adds the devices of a plug-in (a shared library that exports
 * limosa_device_query, see limosa/device.h). */
LIMOSA_API int32_t limosa_context_load_plugin(limosa_context *context,
                                              const char *path);
/* Makes an operator known to the models that are compiled and loaded in this
 * context from now on (limosa/operator.h). Replaces one of the same domain, name
 * and version; modules that are loaded keep theirs. */
LIMOSA_API int32_t limosa_context_register_operator(
    limosa_context *context, const limosa_operator *op);
/* The same for all operators of a shared library that exports
 * limosa_operators_query. */
LIMOSA_API int32_t limosa_context_load_operators(limosa_context *context,
                                                 const char *path);

/* The devices at hand; number 0 is the CPU. */
LIMOSA_API uint32_t limosa_context_device_count(const limosa_context *context);
/* Sets the short name models refer to and a description for people; either may
 * be NULL. */
LIMOSA_API int32_t limosa_context_device(const limosa_context *context,
                                         uint32_t device, const char **name,
                                         const char **description);

/*===----------------------------------------------------------------------===
 * Modules: compiled models
 *===----------------------------------------------------------------------===*/

/* Maps a .lim file. A file holds machine code: load what you trust. */
LIMOSA_API int32_t limosa_module_load(limosa_context *context, const char *path,
                                      limosa_module **out);
/* The same for the bytes of a file, 64-byte aligned, which must stay unchanged
 * until the module and its instances are gone. */
LIMOSA_API int32_t limosa_module_load_memory(limosa_context *context,
                                             const void *bytes, uint64_t size,
                                             limosa_module **out);
LIMOSA_API void limosa_module_destroy(limosa_module *module);

/* Compiles options->model_path to options->output_path, by way of
 * libLimosaCompiler.so: the one named by $LIMOSA_COMPILER_LIBRARY, else the one
 * next to this library, else the system's. `diagnostic` gets errors,
 * warnings and progress and may be NULL; limosa_last_error() has the first
 * error. */
LIMOSA_API int32_t limosa_compile(const limosa_compile_options *options,
                                  limosa_diagnostic_fn diagnostic,
                                  void *diagnostic_context);

/* The same with the operators that are registered in a context. */
LIMOSA_API int32_t limosa_context_compile(limosa_context *context,
                                          const limosa_compile_options *options,
                                          limosa_diagnostic_fn diagnostic,
                                          void *diagnostic_context);

/* Loads the compiled form of options->model_path from the cache, compiling it if
 * it is not there; output_path and emit are not used. The cache lies in
 * $LIMOSA_CACHE_DIR or $XDG_CACHE_HOME/limosa or ~/.cache/limosa and is safe to
 * share between processes. A hit does not load the compiler. Sets
 * `*from_cache` to 1 or 0 if it is not NULL. */
LIMOSA_API int32_t limosa_load_or_compile(limosa_context *context,
                                          const limosa_compile_options *options,
                                          limosa_diagnostic_fn diagnostic,
                                          void *diagnostic_context,
                                          limosa_module **out,
                                          int32_t *from_cache);

/* What is known about an input, an output or a state. Set `size` before the
 * call. */
typedef struct limosa_tensor_info {
  uint64_t size;
  const void *next;
  const char *name;
  uint32_t dtype;
  uint32_t rank;
  /* Expressions of the model's symbols: "3", "batch", "2*S + 1". */
  const char *dims[LIMOSA_MAX_RANK];
} limosa_tensor_info;

/* Functions of the model that can be run. */
LIMOSA_API uint32_t limosa_module_entry_count(const limosa_module *module);
LIMOSA_API const char *limosa_module_entry_name(const limosa_module *module,
                                                uint32_t entry);
/* The entry of that name. */
LIMOSA_API int32_t limosa_module_find_entry(const limosa_module *module,
                                            const char *name, uint32_t *out);
LIMOSA_API uint32_t limosa_module_input_count(const limosa_module *module,
                                              uint32_t entry);
LIMOSA_API uint32_t limosa_module_output_count(const limosa_module *module,
                                               uint32_t entry);
LIMOSA_API int32_t limosa_module_input(const limosa_module *module,
                                       uint32_t entry, uint32_t index,
                                       limosa_tensor_info *out);
LIMOSA_API int32_t limosa_module_output(const limosa_module *module,
                                        uint32_t entry, uint32_t index,
                                        limosa_tensor_info *out);
/* Tensors that outlive a run, shared by all entries of an instance. */
LIMOSA_API uint32_t limosa_module_state_count(const limosa_module *module);
LIMOSA_API int32_t limosa_module_state(const limosa_module *module,
                                       uint32_t index, limosa_tensor_info *out);

/*===----------------------------------------------------------------------===
 * Instances: running
 *===----------------------------------------------------------------------===*/

/* The input may be overwritten by the output that replaces it, which then needs
 * no memory of its own (limosa_run). */
#define LIMOSA_TENSOR_DONATED 1u

/* A dense row-major tensor in the host's memory. Zero what is not used. */
typedef struct limosa_tensor {
  uint32_t dtype;
  uint32_t rank;
  int64_t dims[LIMOSA_MAX_RANK];
  void *data; /* 64-byte alignment is fastest, element alignment required */
  uint64_t bytes; /* outputs with `data`: its capacity. Inputs: 0, or checked */
  uint32_t flags; /* LIMOSA_TENSOR_* */
  uint32_t reserved;
  void *owner; /* of memory from limosa_run; see limosa_tensor_release */
} limosa_tensor;

/* Makes an instance, its states at their first values. */
LIMOSA_API int32_t limosa_instance_create(limosa_module *module,
                                          limosa_instance **out);
LIMOSA_API void limosa_instance_destroy(limosa_instance *instance);

/* Runs an entry. `inputs` are read, in the order of the module's list. Each
 * output is written to `data` if that is set (and `bytes` is enough), otherwise
 * to memory made for it, which the caller gives back with
 * limosa_tensor_release; dtype, rank, dims and bytes are set. A tensor that owns
 * memory from an earlier run may be passed again: its memory is used again, or
 * replaced if it is too small.
 *
 * An output that replaces an input (the model says so) lies in the input's
 * memory if that is donated and `data` is NULL or the same address; it then has
 * no owner. An output that replaces a state is kept in the state, and copied out
 * only if `data` is set. Other outputs may overlap inputs; that costs a copy.
 *
 * Outputs of strings always lie in memory made for them: `data` must be NULL, or
 * that of an earlier run, which is given back first.
 *
 * After an error, memory made for outputs has been given back and the contents
 * of outputs and states are undefined. */
LIMOSA_API int32_t limosa_run(limosa_instance *instance, uint32_t entry,
                              const limosa_tensor *inputs, uint32_t input_count,
                              limosa_tensor *outputs, uint32_t output_count);
/* Gives back the memory of an output and clears `data`, `bytes` and `owner`.
 * From any thread, also after the instance is gone. Does nothing if there is no
 * owner. */
LIMOSA_API void limosa_tensor_release(limosa_tensor *tensor);

/* Copies a state out or in; `bytes` must be its exact size. */
LIMOSA_API int32_t limosa_state_read(limosa_instance *instance, uint32_t state,
                                     void *data, uint64_t bytes);
LIMOSA_API int32_t limosa_state_write(limosa_instance *instance, uint32_t state,
                                      const void *data, uint64_t bytes);

/* Starts recording the runs of an instance: every kernel, on every worker. */
LIMOSA_API int32_t limosa_profile_start(limosa_instance *instance);
/* Ends it and writes a trace for Perfetto or chrome://tracing to `path`. */
LIMOSA_API int32_t limosa_profile_stop(limosa_instance *instance,
                                       const char *path);

#ifdef __cplusplus
}
#endif

#endif /* LIMOSA_LIMOSA_H */
