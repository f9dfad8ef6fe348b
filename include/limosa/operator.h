/*===- operator.h - Operators of your own ------------------------------*- C -*-===
 *
 * How an operator that Limosa does not know is described: a kernel that runs on
 * the host, a shape function, and optionally a body made of ONNX operators,
 * which is compiled and fused like the rest of the model and runs on any device.
 *
 *   static int32_t run(const limosa_operator_call *call) {
 *     const float *x = call->inputs[0]->data;
 *     float *y = call->outputs[0]->data;
 *     for (uint64_t i = 0; i < call->inputs[0]->elements; ++i)
 *       y[i] = x[i] * x[i];
 *     return LIMOSA_STATUS_OK;
 *   }
 *   static int32_t infer(const limosa_operator_shapes *s) {
 *     const limosa_operator_type *x = s->inputs[0];
 *     return s->set_output(s, 0, x->dtype, x->rank, x->dims);
 *   }
 *   static const limosa_operator_arity one = {sizeof(one), NULL, 1, 1, 1, 1};
 *   limosa_operator square = {.size = sizeof(square), .domain = "my.domain",
 *                             .name = "Square", .infer = infer, .run = run,
 *                             .arity = &one};
 *   limosa_context_register_operator(context, &square);
 *
 * A shared library with operators exports `limosa_operators_query`. The guide is
 * docs/custom-operators.md.
 *
 * Rules that hold for every function here:
 * - Structs start with their size as the side that filled them in knows it, and
 *   a `next` pointer to an extension struct or NULL. Fields are only ever
 *   appended; a field beyond `size` counts as zero.
 * - Functions return LIMOSA_STATUS_OK or another LIMOSA_STATUS_*, and say why in
 *   one line by `set_error`. One that has called `set_error` has failed, also if
 *   it returns LIMOSA_STATUS_OK; of several messages the first counts. Nothing
 *   may throw or abort.
 * - Pointers that are passed are only valid during the call.
 * - Threads: a kernel may be called from any thread, by several at once unless
 *   LIMOSA_OPERATOR_SERIAL is set. Shape functions and bodies are called while a
 *   model is compiled, by the thread that compiles.
 *
 *===----------------------------------------------------------------------===*/

#ifndef LIMOSA_OPERATOR_H
#define LIMOSA_OPERATOR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version this header describes. */
#define LIMOSA_OPERATOR_VERSION 1u

#if defined(_WIN32)
#define LIMOSA_OPERATOR_EXPORT __declspec(dllexport)
#else
#define LIMOSA_OPERATOR_EXPORT __attribute__((visibility("default")))
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

/* Bytes that need not end in a zero. */
typedef struct limosa_string {
  const char *data;
  uint64_t length;
} limosa_string;

/* A dense row-major tensor in the host's memory. dtype: LIMOSA_F32 ... of
 * limosa.h; the elements of a tensor of strings (LIMOSA_STRING) are
 * limosa_string. */
typedef struct limosa_operator_tensor {
  uint64_t size;
  const void *next;
  uint32_t dtype;
  uint32_t rank;
  const int64_t *dims;
  uint64_t elements; /* the product of dims */
  uint64_t bytes;
  void *data; /* not NULL, except in an output that is not allocated yet */
} limosa_operator_tensor;

/* limosa_operator_attribute.kind */
#define LIMOSA_ATTRIBUTE_INT 1u     /* ints, count 1 */
#define LIMOSA_ATTRIBUTE_FLOAT 2u   /* floats, count 1 */
#define LIMOSA_ATTRIBUTE_STRING 3u  /* strings, count 1 */
#define LIMOSA_ATTRIBUTE_INTS 4u    /* ints */
#define LIMOSA_ATTRIBUTE_FLOATS 5u  /* floats */
#define LIMOSA_ATTRIBUTE_STRINGS 6u /* strings */
#define LIMOSA_ATTRIBUTE_TENSOR 7u  /* tensor */

typedef struct limosa_operator_attribute {
  uint64_t size;
  const void *next;
  const char *name;
  uint32_t kind;
  uint32_t reserved;
  uint64_t count;
  const int64_t *ints;
  const double *floats;
  const limosa_string *strings;
  const limosa_operator_tensor *tensor;
} limosa_operator_attribute;

/* One call of a kernel. */
typedef struct limosa_operator_call limosa_operator_call;
struct limosa_operator_call {
  uint64_t size;
  const void *next;
  void *user;       /* limosa_operator.user */
  const char *node; /* the model's name for the node, for messages */
  uint32_t input_count;
  uint32_t output_count;
  uint32_t attribute_count;
  uint32_t reserved;
  /* NULL where an optional input is not given. Not to be written. */
  const limosa_operator_tensor *const *inputs;
  /* To be filled. An output with a "?" dimension has no dims and data before
   * `allocate`. */
  const limosa_operator_tensor *const *outputs;
  const limosa_operator_attribute *const *attributes; /* by name */
  void *context;                                      /* the host's */
  /* Gives an output its size; once for each one with a "?" dimension. The
   * memory, also in outputs[output]->data; NULL if the size is not possible:
   * then return anything but LIMOSA_STATUS_OK, the reason is known. */
  void *(*allocate)(const limosa_operator_call *call, uint32_t output,
                    uint32_t rank, const int64_t *dims);
  /* Says why the call fails: one line, copied. */
  void (*set_error)(const limosa_operator_call *call, const char *message);
  /* Sets an element of an output of strings, which has no memory of its own
   * (`bytes` is 0): the value's bytes are copied. Elements that are not set are
   * empty. This and `allocate` may only be called by the thread that runs the
   * kernel. */
  void (*set_string)(const limosa_operator_call *call, uint32_t output,
                     uint64_t index, limosa_string value);
};

/* What is known of an input while a model is compiled. */
typedef struct limosa_operator_type {
  uint64_t size;
  const void *next;
  uint32_t dtype;
  uint32_t rank;
  /* Expressions: "3", "N", "2*S + 1"; sums, products, floordiv(a, b),
   * ceildiv, mod, min and max over the model's symbols. */
  const char *const *dims;
  /* The value, if it is a constant of the model; NULL otherwise. */
  const limosa_operator_tensor *value;
  /* Elements of a small tensor of integers that the compiler can follow, as
   * expressions, such as those of a shape; NULL otherwise. */
  const char *const *elements;
  uint64_t element_count;
} limosa_operator_type;

/* A question: what are the types of the outputs? */
typedef struct limosa_operator_shapes limosa_operator_shapes;
struct limosa_operator_shapes {
  uint64_t size;
  const void *next;
  void *user;
  const char *node;
  uint32_t input_count;
  uint32_t output_count; /* that the node has; all have to be set */
  uint32_t attribute_count;
  uint32_t reserved;
  const limosa_operator_type *const *inputs; /* NULL: not given */
  const limosa_operator_attribute *const *attributes;
  void *context;
  /* `dims` are expressions over the symbols of the inputs, or "?" for a size
   * that only the kernel knows. */
  int32_t (*set_output)(const limosa_operator_shapes *shapes, uint32_t output,
                        uint32_t dtype, uint32_t rank,
                        const char *const *dims);
  void (*set_error)(const limosa_operator_shapes *shapes, const char *message);
};

/* Makes the body of a node out of ONNX operators. Values are numbers: first the
 * inputs, 0 to input_count - 1, then what `make` and `constant` gave. */
typedef struct limosa_operator_builder limosa_operator_builder;
struct limosa_operator_builder {
  uint64_t size;
  const void *next;
  void *user;
  const char *node;
  uint32_t input_count;
  uint32_t output_count;
  uint32_t attribute_count;
  uint32_t reserved;
  const limosa_operator_type *const *inputs; /* NULL: not given */
  const limosa_operator_attribute *const *attributes;
  void *context;
  /* A node of operator `op` ("Mul", "ReduceMean") of ONNX's default domain, or
   * "domain::Op". LIMOSA_OPERATOR_NONE stands for an input that is left out. */
  int32_t (*make)(const limosa_operator_builder *builder, const char *op,
                  const uint32_t *operands, uint32_t operand_count,
                  const limosa_operator_attribute *const *attributes,
                  uint32_t attribute_count, uint32_t *results,
                  uint32_t result_count);
  int32_t (*constant)(const limosa_operator_builder *builder,
                      const limosa_operator_tensor *value, uint32_t *result);
  /* The type of a value, valid until the body is made; NULL if there is none. */
  const limosa_operator_type *(*type)(const limosa_operator_builder *builder,
                                      uint32_t value);
  int32_t (*set_output)(const limosa_operator_builder *builder,
                        uint32_t output, uint32_t value);
  void (*set_error)(const limosa_operator_builder *builder,
                    const char *message);
};

#define LIMOSA_OPERATOR_NONE 0xffffffffu

/* limosa_operator.flags */
/* The kernel is never called by two threads at once. */
#define LIMOSA_OPERATOR_SERIAL 1u
/* The kernel has effects or gives other results for the same inputs: it is
 * called as often and in the order that the model says. Without it, calls whose
 * results nobody uses are dropped and equal calls are made once. */
#define LIMOSA_OPERATOR_STATEFUL 2u
/* Call the kernel although there is a body. */
#define LIMOSA_OPERATOR_PREFER_KERNEL 4u

/* How many inputs and outputs a node of an operator may have. A model or a file
 * with other numbers is refused before a function of the operator is called. */
typedef struct limosa_operator_arity {
  uint64_t size;
  const void *next;
  /* The first `min_inputs` inputs are always given (not NULL). */
  uint32_t min_inputs;
  uint32_t max_inputs; /* LIMOSA_OPERATOR_MANY: any number */
  uint32_t min_outputs;
  uint32_t max_outputs;
} limosa_operator_arity;

#define LIMOSA_OPERATOR_MANY 0xffffffffu

/* An operator. It is copied, with its texts and its arity, when it is
 * registered; what `user` points to and the code have to stay until `release` is
 * called. */
typedef struct limosa_operator {
  uint64_t size;
  const void *next;
  const char *domain; /* of the node: "my.domain" */
  const char *name;   /* op_type of the node */
  /* The version of the domain's operator set from which on this is the
   * operator's meaning; 0 counts as 1. Of several the newest that is not newer
   * than the model's is taken. */
  int64_t since_version;
  /* Changes when `infer` or `build` do: compiled models that are kept in the
   * cache depend on it. May be NULL. */
  const char *revision;
  uint32_t flags; /* LIMOSA_OPERATOR_* */
  /* Operator set of the body's operators, 0: 21. */
  uint32_t body_opset;
  void *user;
  /* At least one of `run` (with `infer`) and `build` is there. */
  int32_t (*infer)(const limosa_operator_shapes *shapes);
  int32_t (*run)(const limosa_operator_call *call);
  /* LIMOSA_STATUS_UNSUPPORTED: not for these inputs; then `run` is used. */
  int32_t (*build)(const limosa_operator_builder *builder);
  /* Called when nothing uses the operator any more. May be NULL. */
  void (*release)(void *user);
  /* NULL: any numbers; then each function has to look at the counts itself. */
  const limosa_operator_arity *arity;
} limosa_operator;

/* What a library with operators gives. */
typedef struct limosa_operator_library {
  uint64_t size;
  const void *next;
  uint32_t version; /* the one chosen from the host's range */
  uint32_t operator_count;
  const limosa_operator *const *operators;
} limosa_operator_library;

/* The one symbol that a library exports. Picks a version in [min_version,
 * max_version] and sets `*out`, which lives as long as the library;
 * UNSUPPORTED if it knows none of them. Thread safe. */
typedef int32_t (*limosa_operators_query_fn)(
    uint32_t min_version, uint32_t max_version,
    const limosa_operator_library **out);
LIMOSA_OPERATOR_EXPORT int32_t limosa_operators_query(
    uint32_t min_version, uint32_t max_version,
    const limosa_operator_library **out);

#ifdef __cplusplus
}
#endif

#endif /* LIMOSA_OPERATOR_H */
