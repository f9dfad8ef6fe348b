/* Operators in C, in a library to load:
 *
 *   cc -shared -fPIC operators.c -I<limosa>/include -lm -o liboperators.so
 *   limosa run model.onnx --operators ./liboperators.so
 *
 * my.domain::Gelu2 multiplies x by a logistic function of it, with an attribute;
 * my.domain::Positive keeps the positive elements, so that only its kernel knows
 * how many there are. */
#include "limosa/limosa.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

static double number(const limosa_operator_call *call, const char *name,
                     double fallback) {
  for (uint32_t i = 0; i < call->attribute_count; ++i)
    if (!strcmp(call->attributes[i]->name, name) && call->attributes[i]->floats)
      return call->attributes[i]->floats[0];
  return fallback;
}

/* Each has one input and one output; so no function is called for a node, or by
 * a damaged file, with other numbers. */
static const limosa_operator_arity one_to_one = {
    .size = sizeof(limosa_operator_arity),
    .min_inputs = 1,
    .max_inputs = 1,
    .min_outputs = 1,
    .max_outputs = 1};

/* --- Gelu2 --- */

static int32_t gelu2_infer(const limosa_operator_shapes *shapes) {
  const limosa_operator_type *x;
  if (shapes->inputs[0]->dtype != LIMOSA_F32) {
    shapes->set_error(shapes, "takes a tensor of f32");
    return LIMOSA_STATUS_INVALID_ARGUMENT;
  }
  x = shapes->inputs[0];
  return shapes->set_output(shapes, 0, x->dtype, x->rank, x->dims);
}

static int32_t gelu2_run(const limosa_operator_call *call) {
  const limosa_operator_tensor *x = call->inputs[0];
  const float *from = (const float *)x->data;
  float *to = (float *)call->outputs[0]->data;
  const double alpha = number(call, "alpha", 1.702);
  for (uint64_t i = 0; i < x->elements; ++i)
    to[i] = (float)(from[i] / (1 + exp(-alpha * from[i])));
  return LIMOSA_STATUS_OK;
}

static const limosa_operator gelu2 = {.size = sizeof(limosa_operator),
                                      .domain = "my.domain",
                                      .name = "Gelu2",
                                      .infer = gelu2_infer,
                                      .run = gelu2_run,
                                      .arity = &one_to_one};

/* --- Positive --- */

static int32_t positive_infer(const limosa_operator_shapes *shapes) {
  const char *unknown = "?";
  if (shapes->inputs[0]->dtype != LIMOSA_F32) {
    shapes->set_error(shapes, "takes a tensor of f32");
    return LIMOSA_STATUS_INVALID_ARGUMENT;
  }
  return shapes->set_output(shapes, 0, LIMOSA_F32, 1, &unknown);
}

static int32_t positive_run(const limosa_operator_call *call) {
  const limosa_operator_tensor *x = call->inputs[0];
  const float *from = (const float *)x->data;
  int64_t count = 0;
  float *to;
  for (uint64_t i = 0; i < x->elements; ++i)
    count += from[i] > 0;
  to = (float *)call->allocate(call, 0, 1, &count);
  if (!to)
    return LIMOSA_STATUS_FAILED;
  for (uint64_t i = 0; i < x->elements; ++i)
    if (from[i] > 0)
      *to++ = from[i];
  return LIMOSA_STATUS_OK;
}

static const limosa_operator positive = {.size = sizeof(limosa_operator),
                                         .domain = "my.domain",
                                         .name = "Positive",
                                         .infer = positive_infer,
                                         .run = positive_run,
                                         .arity = &one_to_one};

/* --- The library --- */

int32_t limosa_operators_query(uint32_t min_version, uint32_t max_version,
                               const limosa_operator_library **out) {
  static const limosa_operator *const operators[] = {&gelu2, &positive};
  static const limosa_operator_library library = {
      .size = sizeof(limosa_operator_library),
      .version = LIMOSA_OPERATOR_VERSION,
      .operator_count = sizeof(operators) / sizeof(operators[0]),
      .operators = operators};
  if (min_version > LIMOSA_OPERATOR_VERSION ||
      max_version < LIMOSA_OPERATOR_VERSION)
    return LIMOSA_STATUS_UNSUPPORTED;
  *out = &library;
  return LIMOSA_STATUS_OK;
}
