/* Runs a compiled model with one thread: for valgrind, which counts what the
 * runs take:  count-launches model.lim RUNS */

#include <limosa/limosa.h>

#include <stdio.h>
#include <stdlib.h>

enum { MaxTensors = 8 };

static int fail(void) {
  fprintf(stderr, "error: %s\n", limosa_last_error());
  return 1;
}

/* 0.5 everywhere; sizes must be numbers and elements f32. */
static int make_input(const limosa_tensor_info *info, limosa_tensor *out) {
  uint64_t elements = 1;
  if (info->dtype != LIMOSA_F32)
    return 1;
  out->dtype = info->dtype;
  out->rank = info->rank;
  for (uint32_t d = 0; d < info->rank; ++d) {
    out->dims[d] = atoll(info->dims[d]);
    elements *= (uint64_t)out->dims[d];
  }
  float *data = aligned_alloc(64, (elements * sizeof(float) + 63) / 64 * 64);
  if (!data)
    return 1;
  for (uint64_t i = 0; i < elements; ++i)
    data[i] = 0.5f;
  out->data = data;
  return 0;
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: %s model.lim RUNS\n", argv[0]);
    return 2;
  }
  limosa_context_options options = {.size = sizeof(options), .threads = 1};
  limosa_context *context = NULL;
  limosa_module *module = NULL;
  limosa_instance *instance = NULL;
  if (limosa_context_create(&options, &context) ||
      limosa_module_load(context, argv[1], &module) ||
      limosa_instance_create(module, &instance))
    return fail();

  limosa_tensor inputs[MaxTensors] = {0};
  uint32_t input_count = limosa_module_input_count(module, 0);
  uint32_t output_count = limosa_module_output_count(module, 0);
  if (input_count > MaxTensors || output_count > MaxTensors)
    return 2;
  for (uint32_t i = 0; i < input_count; ++i) {
    limosa_tensor_info info = {sizeof(info)};
    if (limosa_module_input(module, 0, i, &info))
      return fail();
    if (make_input(&info, &inputs[i]))
      return 2;
  }
  for (long run = atol(argv[2]); run > 0; --run) {
    limosa_tensor outputs[MaxTensors] = {0};
    if (limosa_run(instance, 0, inputs, input_count, outputs, output_count))
      return fail();
    for (uint32_t i = 0; i < output_count; ++i)
      limosa_tensor_release(&outputs[i]);
  }
  for (uint32_t i = 0; i < input_count; ++i)
    free(inputs[i].data);
  limosa_instance_destroy(instance);
  limosa_module_destroy(module);
  limosa_context_destroy(context);
  return 0;
}
