/* Runs a compiled model on inputs of ones and prints the first values of each
 * output:  run_model model.lim [size of symbolic dimensions] */

#include <limosa/limosa.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t ElementBytes[] = {0, 1, 1, 2, 4, 8, 1,
                                        2, 4, 8, 2, 2, 4, 8};

static int fail(void) {
  fprintf(stderr, "error: %s\n", limosa_last_error());
  return 1;
}

/* Ones of the shape the model asks for; symbolic dimensions are `size`. */
static int make_input(const limosa_tensor_info *info, int64_t size,
                      limosa_tensor *out) {
  uint64_t elements = 1;
  memset(out, 0, sizeof(*out));
  if (info->dtype >= sizeof(ElementBytes) / sizeof(*ElementBytes)) {
    fprintf(stderr, "error: '%s' has an element type this example lacks\n",
            info->name);
    return 1;
  }
  out->dtype = info->dtype;
  out->rank = info->rank;
  for (uint32_t d = 0; d < info->rank; ++d) {
    char *end;
    out->dims[d] = strtoll(info->dims[d], &end, 10);
    if (*end)
      out->dims[d] = size;
    elements *= (uint64_t)out->dims[d];
  }
  out->data = calloc(elements ? elements : 1, ElementBytes[info->dtype]);
  if (!out->data)
    return 1;
  for (uint64_t i = 0; i < elements; ++i) {
    if (info->dtype == LIMOSA_F32)
      ((float *)out->data)[i] = 1.0f;
    else if (info->dtype == LIMOSA_I64)
      ((int64_t *)out->data)[i] = 1;
    else if (info->dtype == LIMOSA_I32)
      ((int32_t *)out->data)[i] = 1;
  }
  return 0;
}

static void print(const char *name, const limosa_tensor *t) {
  printf("%s: [", name);
  for (uint32_t d = 0; d < t->rank; ++d)
    printf("%s%lld", d ? ", " : "", (long long)t->dims[d]);
  printf("]");
  for (uint64_t i = 0; i < 5 && t->dtype == LIMOSA_F32 && i < t->bytes / 4; ++i)
    printf(" %g", (double)((const float *)t->data)[i]);
  printf("\n");
}

int main(int argc, char **argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: %s model.lim [size of symbolic dimensions]\n",
            argv[0]);
    return 2;
  }
  int64_t size = argc > 2 ? atoll(argv[2]) : 1;
  limosa_context *context = NULL;
  limosa_module *module = NULL;
  limosa_instance *instance = NULL;
  if (limosa_context_create(NULL, &context) ||
      limosa_module_load(context, argv[1], &module) ||
      limosa_instance_create(module, &instance))
    return fail();

  uint32_t input_count = limosa_module_input_count(module, 0);
  uint32_t output_count = limosa_module_output_count(module, 0);
  limosa_tensor *inputs = calloc(input_count + 1, sizeof(*inputs));
  limosa_tensor *outputs = calloc(output_count + 1, sizeof(*outputs));
  limosa_tensor_info info = {sizeof(info)};
  for (uint32_t i = 0; i < input_count; ++i)
    if (limosa_module_input(module, 0, i, &info))
      return fail();
    else if (make_input(&info, size, &inputs[i]))
      return 1;
  if (limosa_run(instance, 0, inputs, input_count, outputs, output_count))
    return fail();
  for (uint32_t i = 0; i < output_count; ++i) {
    if (limosa_module_output(module, 0, i, &info))
      return fail();
    print(info.name, &outputs[i]);
    limosa_tensor_release(&outputs[i]);
  }
  for (uint32_t i = 0; i < input_count; ++i)
    free(inputs[i].data);
  free(inputs);
  free(outputs);
  limosa_instance_destroy(instance);
  limosa_module_destroy(module);
  limosa_context_destroy(context);
  return 0;
}
