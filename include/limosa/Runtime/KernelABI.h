/*===- KernelABI.h - How generated CPU kernels are called ------------*- C -*-===
 *
 * The contract between Codegen and the CPU device. A kernel is a pure function
 * of its buffers: it does not allocate, lock, make threads or call anything but
 * the entries of LimosaKernelContext. Calls with disjoint tile ranges may run at
 * the same time.
 *
 *===----------------------------------------------------------------------===*/

#ifndef LIMOSA_RUNTIME_KERNELABI_H
#define LIMOSA_RUNTIME_KERNELABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a kernel may use besides its buffers. One per worker thread. Append
 * only; generated code addresses the fields by their offsets. */
typedef struct LimosaKernelContext {
  uint64_t size;      /* sizeof(LimosaKernelContext) of the caller */
  void *scratch;      /* 64-byte aligned, Kernel.scratch bytes, this worker's own */
  uint64_t worker;    /* 0 .. workers-1 */
  /* Scalar functions without a vector form, by number (LimosaMathFunction):
   * the only way out of a kernel. */
  double (*const *math)(double, double);
} LimosaKernelContext;

typedef enum LimosaMathFunction {
  LIMOSA_MATH_EXP = 0,
  LIMOSA_MATH_LOG = 1,
  LIMOSA_MATH_SIN = 2,
  LIMOSA_MATH_COS = 3,
  LIMOSA_MATH_TANH = 4,
  LIMOSA_MATH_ERF = 5,
  LIMOSA_MATH_POW = 6,
  LIMOSA_MATH_FMOD = 7,
  LIMOSA_MATH_COUNT = 8
} LimosaMathFunction;

/* 0 on success. `scalars` are the values of the symbols listed by the launch;
 * `buffers` point at the first element of each argument, 64-byte aligned unless
 * the user's own. Computes tiles [tile_begin, tile_end) of the kernel's grid. */
typedef int32_t (*LimosaKernelFn)(const LimosaKernelContext *ctx,
                                  const int64_t *scalars, void *const *buffers,
                                  int64_t tile_begin, int64_t tile_end);

#ifdef __cplusplus
}
#endif

#endif /* LIMOSA_RUNTIME_KERNELABI_H */
