/* Kernels for the tests of the runtime, with the ABI of generated code. Built
 * into an image without libraries. */

#include "limosa/Runtime/KernelABI.h"

#define KERNEL(Name)                                                           \
  __attribute__((visibility("default"))) int32_t Name(                         \
      const LimosaKernelContext *ctx, const int64_t *scalars,                  \
      void *const *buffers, int64_t begin, int64_t end)

/* out[i] = a[i] + b[i], a tile of 16; scalars: N. */
KERNEL(add) {
  const float *a = buffers[0], *b = buffers[1];
  float *out = buffers[2];
  for (int64_t i = begin * 16; i < end * 16 && i < scalars[0]; ++i)
    out[i] = a[i] + b[i];
  return 0;
}

/* x[i] += 1 in place; scalars: N. */
KERNEL(increment) {
  float *x = buffers[0];
  for (int64_t i = begin * 16; i < end * 16 && i < scalars[0]; ++i)
    x[i] += 1.0f;
  return 0;
}

/* out[i] = exp(a[i]) by the table; scalars: N. */
KERNEL(exponential) {
  const float *a = buffers[0];
  float *out = buffers[1];
  for (int64_t i = begin * 16; i < end * 16 && i < scalars[0]; ++i)
    out[i] = (float)ctx->math[LIMOSA_MATH_EXP](a[i], 0.0);
  return 0;
}

/* flag = counter < limit; counter += 1. */
KERNEL(below) {
  int64_t *counter = buffers[0];
  const int64_t *limit = buffers[1];
  uint8_t *flag = buffers[2];
  *flag = *counter < *limit;
  *counter += 1;
  return 0;
}

/* Positions of non-zero elements of a, and how many; scalars: N. */
KERNEL(nonzero) {
  const float *a = buffers[0];
  int64_t *positions = buffers[1], *count = buffers[2];
  int64_t n = 0;
  for (int64_t i = 0; i < scalars[0]; ++i)
    if (a[i] != 0.0f)
      positions[n++] = i;
  *count = n;
  return 0;
}

/* Fills scratch and checks that nobody else does; scalars: bytes. */
KERNEL(use_scratch) {
  volatile uint8_t *scratch = ctx->scratch;
  for (int64_t tile = begin; tile < end; ++tile) {
    for (int64_t i = 0; i < scalars[0]; ++i)
      scratch[i] = (uint8_t)(tile + ctx->worker);
    for (int64_t i = 0; i < scalars[0]; ++i)
      if (scratch[i] != (uint8_t)(tile + ctx->worker))
        return 1;
    ((uint8_t *)buffers[0])[tile] = 1;
  }
  return 0;
}

KERNEL(refuse) { return 42; }
