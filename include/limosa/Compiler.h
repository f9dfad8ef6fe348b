/*===- Compiler.h - The C door to the compiler library -----------------*- C
 * -*-===
 *
 * libLimosaCompiler.so exports the function below. The runtime opens it only
 * when something has to be compiled (limosa_compile in limosa.h); programs that
 * always compile may link it. C only, so that a cached model never loads LLVM.
 *
 *===----------------------------------------------------------------------===*/

#ifndef LIMOSA_COMPILER_H
#define LIMOSA_COMPILER_H

#include "limosa/operator.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Severities of diagnostics. */
#define LIMOSA_DIAGNOSTIC_ERROR 0
#define LIMOSA_DIAGNOSTIC_WARNING 1
#define LIMOSA_DIAGNOSTIC_REMARK                                               \
  2 /* e.g. an op that misses its fast kernel                                  \
     */
#define LIMOSA_DIAGNOSTIC_PROGRESS                                             \
  3 /* one line for a terminal: "fusing 3/120" */

/* What to compile and how. Set `size` to sizeof(limosa_compile_options) and
 * what is not used to zero; fields are only ever appended. Strings are only
 * read during the call. */
typedef struct limosa_compile_options {
  uint64_t size;
  const void *next;
  const char *model_path;  /* .onnx (or what the emit kinds give: .mlir) */
  const char *output_path; /* written under a temporary name, then renamed;
                              "-": the standard output */
  const char *entry;       /* name of the entry; NULL: "main" */
  const char *device;      /* "cpu" (NULL), "reference", a plug-in's name, or
                              several in order of preference: "npu,cpu" */
  const char *isa;         /* "auto" (NULL): this machine; "avx2"; "avx512" */
  const char *emit;        /* "lim" (NULL); "obj"; "mlir-import", "mlir-core",
                              "mlir-dispatch", "mlir-loops", "mlir-llvm" */
  uint32_t threads;        /* threads it will run on; 0: the context's, or
                              unknown without one */
  uint32_t flag_count;
  const char *const *flags; /* further options as "key=value", unknown keys are
                               errors: "tune=on", "precision=bf16" ... */
  const char *const *plugins; /* paths of device plug-ins to load */
  uint32_t plugin_count;
  uint32_t operator_count;
  /* Operators that models may hold (limosa/operator.h), besides those of the
   * context that is compiled for. */
  const limosa_operator *const *operators;
} limosa_compile_options;

/* Called with each message, on the thread that called the compiler. `message`
 * is one line without a newline, valid during the call. */
typedef void (*limosa_diagnostic_fn)(void *context, int32_t severity,
                                     const char *message);

/* Compiles a model to a file. Returns 0, or a LIMOSA_STATUS_* value (see
 * limosa.h) after at least one diagnostic of severity error; then the output
 * file has not been touched. The time of every pass is kept in the .lim file.
 * `diagnostic` may be NULL. Thread safe: calls share nothing. */
#if defined(_WIN32)
__declspec(dllexport)
#else
__attribute__((visibility("default")))
#endif
int32_t limosa_compiler_compile(const limosa_compile_options *options,
                                limosa_diagnostic_fn diagnostic, void *context);

typedef int32_t (*limosa_compiler_compile_fn)(const limosa_compile_options *,
                                              limosa_diagnostic_fn, void *);

#ifdef __cplusplus
}
#endif

#endif /* LIMOSA_COMPILER_H */
