/*===- sample_matmul.c - A device that multiplies matrices -------------*- C
 * -*-===
 *
 * The smallest useful device: it takes f32 `contract` ops whose operands lie as
 * matrices or batches of them, refuses everything else with a reason, compiles
 * what it took to a blob of its own, and runs it on the host's threads. It
 * includes device.h and nothing else of Limosa: start from it for a real chip.
 *
 *===----------------------------------------------------------------------===*/

#include "limosa/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct limosa_device {
  const limosa_host *host;
};
struct limosa_buffer {
  limosa_device *device;
  void *memory;
  uint64_t bytes;
  int owned;
};
struct limosa_queue {
  limosa_device *device;
  int profiling;
};

static int32_t fail(const limosa_host *host, int32_t status, const char *why) {
  host->set_error(host->context, why);
  return status;
}

/*===----------------------------------------------------------------------===
 * What a compiled product is
 *===----------------------------------------------------------------------===*/

#define MAX_FACTORS 8
#define NAME_BYTES 120
#define BLOB_MAGIC 0x314d4d53u /* "SMM1" */

/* A size: a constant times values of symbols. */
typedef struct extent {
  int64_t constant;
  uint32_t symbol_count;
  uint32_t symbols[MAX_FACTORS];
} extent;

/* One kernel: out[batch, rows, columns] = sum over depth of lhs * rhs. A
 * transposed lhs lies as [batch, depth, rows], a transposed rhs as
 * [batch, columns, depth]. */
typedef struct product {
  char name[NAME_BYTES];
  extent batch, rows, columns, depth;
  uint32_t lhs, rhs; /* which input */
  uint32_t lhs_transposed, rhs_transposed;
  uint32_t symbol_count, buffer_count;
} product;

/* The blob: this header, then `count` products. */
typedef struct blob_header {
  uint32_t magic;
  uint32_t count;
} blob_header;

struct limosa_executable {
  limosa_device *device;
  const product *products; /* in the host's bytes */
  uint32_t count;
};

/*===----------------------------------------------------------------------===
 * Claims: can this op be a product?
 *===----------------------------------------------------------------------===*/

/* Multiplies `e` by a dimension; NULL, or why that cannot be. */
static const char *add_dim(const limosa_graph_api *api,
                           const limosa_graph *graph, uint32_t value,
                           uint32_t dim, extent *e) {
  int64_t size;
  if (api->value_dim(graph, value, dim, NULL, &size) == LIMOSA_STATUS_OK) {
    e->constant *= size;
    return NULL;
  }
  const char *text = api->value_dim_text(graph, value, dim);
  for (uint32_t s = 0; s < api->symbol_count(graph); ++s) {
    if (strcmp(text, api->symbol_name(graph, s)) != 0)
      continue;
    if (e->symbol_count == MAX_FACTORS)
      return "more than eight symbolic dimensions";
    e->symbols[e->symbol_count++] = s;
    return NULL;
  }
  return "a dimension is neither a number nor a symbol";
}

/* Whether the attribute lists first, first + 1, ... */
static int is_run(const limosa_graph_api *api, const limosa_attr *attr,
                  uint32_t first) {
  for (uint32_t i = 0; i < api->attr_count(attr); ++i)
    if (api->attr_int_at(attr, i) != (int64_t)(first + i))
      return 0;
  return 1;
}

/* One operand: batch dimensions first, contracted ones next to them or last. */
static const char *match_operand(const limosa_graph_api *api,
                                 const limosa_graph *graph, uint32_t value,
                                 const limosa_attr *batch,
                                 const limosa_attr *contract, extent *free_size,
                                 extent *depth, uint32_t *contract_first) {
  uint32_t rank = api->value_rank(graph, value);
  uint32_t b = api->attr_count(batch), k = api->attr_count(contract);
  if (api->value_dtype(graph, value) != 12)
    return "only f32 is supported";
  if (api->value_order(graph, value))
    return "only row-major operands are supported";
  if (b + k > rank || !is_run(api, batch, 0))
    return "batch dimensions have to come first";
  uint32_t first_k;
  if (is_run(api, contract, rank - k))
    first_k = rank - k;
  else if (is_run(api, contract, b))
    first_k = b;
  else
    return "contracted dimensions have to lie together, first or last";
  *contract_first = first_k == b && b + k < rank;
  for (uint32_t d = b; d < rank; ++d) {
    extent *e = d >= first_k && d < first_k + k ? depth : free_size;
    const char *why = e ? add_dim(api, graph, value, d, e) : NULL;
    if (why)
      return why;
  }
  return NULL;
}

/* Fills everything of `out` but the name and which inputs; NULL or a reason. */
static const char *match(const limosa_graph_api *api, const limosa_graph *graph,
                         const limosa_op *op, product *out) {
  if (strcmp(api->op_name(op), "contract") != 0)
    return "only matrix products (contract) are taken";
  if (api->op_version(op) != 1)
    return "an unknown version of contract";
  const limosa_attr *lhs_batch = api->op_find_attr(op, "lhs_batch");
  const limosa_attr *rhs_batch = api->op_find_attr(op, "rhs_batch");
  const limosa_attr *lhs_contract = api->op_find_attr(op, "lhs_contract");
  const limosa_attr *rhs_contract = api->op_find_attr(op, "rhs_contract");
  if (!lhs_batch || !rhs_batch || !lhs_contract || !rhs_contract ||
      api->op_operand_count(op) != 2 || api->op_result_count(op) != 1)
    return "a malformed contract";
  uint32_t lhs = api->op_operand(op, 0), rhs = api->op_operand(op, 1);
  uint32_t result = api->op_result(op, 0);
  if (api->value_dtype(graph, result) != 12)
    return "only f32 is supported";
  if (api->value_order(graph, result))
    return "only row-major results are supported";
  out->batch.constant = out->rows.constant = out->columns.constant =
      out->depth.constant = 1;
  const char *why =
      match_operand(api, graph, lhs, lhs_batch, lhs_contract, &out->rows,
                    &out->depth, &out->lhs_transposed);
  if (why)
    return why;
  uint32_t depth_first;
  why = match_operand(api, graph, rhs, rhs_batch, rhs_contract, &out->columns,
                      NULL, &depth_first);
  if (why)
    return why;
  /* For rhs, depth first is the ordinary way round. A vector is either. */
  out->rhs_transposed = !depth_first;
  for (uint32_t d = 0; d < api->attr_count(lhs_batch); ++d)
    if ((why = add_dim(api, graph, lhs, d, &out->batch)))
      return why;
  return NULL;
}

static int32_t claim(limosa_device *device,
                     const limosa_claim_request *request) {
  const limosa_graph_api *api = device->host->graph;
  const limosa_region *body = api->graph_body(request->graph);
  for (uint32_t i = 0; i < api->region_op_count(body); ++i) {
    product ignored;
    memset(&ignored, 0, sizeof(ignored));
    const char *why =
        match(api, request->graph, api->region_op(body, i), &ignored);
    request->answer(request->context, i, why == NULL, why);
  }
  return LIMOSA_STATUS_OK;
}

/*===----------------------------------------------------------------------===
 * Compiling
 *===----------------------------------------------------------------------===*/

static int find_argument(const limosa_graph_api *api, const limosa_region *body,
                         uint32_t value, uint32_t *out) {
  for (uint32_t i = 0; i < api->region_arg_count(body); ++i)
    if (api->region_arg(body, i) == value) {
      *out = i;
      return 1;
    }
  return 0;
}

static const char *compile_graph(const limosa_graph_api *api,
                                 const limosa_graph *graph, const char *name,
                                 product *out) {
  const limosa_region *body = api->graph_body(graph);
  memset(out, 0, sizeof(*out));
  if (strlen(name) >= NAME_BYTES)
    return "a kernel's name is too long";
  strcpy(out->name, name);
  if (api->region_op_count(body) != 1 || api->region_result_count(body) != 1)
    return "only graphs of one op are taken";
  const limosa_op *op = api->region_op(body, 0);
  const char *why = match(api, graph, op, out);
  if (why)
    return why;
  if (!find_argument(api, body, api->op_operand(op, 0), &out->lhs) ||
      !find_argument(api, body, api->op_operand(op, 1), &out->rhs) ||
      api->region_result(body, 0) != api->op_result(op, 0))
    return "operands have to be the graph's arguments";
  out->symbol_count = api->symbol_count(graph);
  out->buffer_count = api->region_arg_count(body) + 1;
  return NULL;
}

static int32_t compile(limosa_device *device,
                       const limosa_compile_request *request) {
  const limosa_host *host = device->host;
  blob_header header = {BLOB_MAGIC, request->graph_count};
  int32_t status = request->write(request->context, &header, sizeof(header));
  for (uint32_t i = 0; !status && i < request->graph_count; ++i) {
    product p;
    const char *why =
        compile_graph(host->graph, request->graphs[i], request->symbols[i], &p);
    if (why)
      return fail(host, LIMOSA_STATUS_UNSUPPORTED, why);
    status = request->write(request->context, &p, sizeof(p));
  }
  return status;
}

/*===----------------------------------------------------------------------===
 * Executables: bytes of a file, which may be damaged
 *===----------------------------------------------------------------------===*/

static int good_extent(const extent *e, uint32_t symbols) {
  if (e->constant < 0 || e->symbol_count > MAX_FACTORS)
    return 0;
  for (uint32_t i = 0; i < e->symbol_count; ++i)
    if (e->symbols[i] >= symbols)
      return 0;
  return 1;
}

static int good_product(const product *p) {
  return memchr(p->name, 0, NAME_BYTES) && p->buffer_count >= 2 &&
         p->buffer_count <= 3 && p->lhs < p->buffer_count - 1 &&
         p->rhs < p->buffer_count - 1 &&
         good_extent(&p->batch, p->symbol_count) &&
         good_extent(&p->rows, p->symbol_count) &&
         good_extent(&p->columns, p->symbol_count) &&
         good_extent(&p->depth, p->symbol_count);
}

static int32_t load_executable(limosa_device *device, const char *format,
                               const char *isa, const void *bytes,
                               uint64_t size, limosa_executable **out) {
  (void)isa;
  blob_header header;
  if (strcmp(format, "sample_matmul") != 0)
    return fail(device->host, LIMOSA_STATUS_UNSUPPORTED,
                "not code of sample_matmul");
  if (size < sizeof(header))
    return fail(device->host, LIMOSA_STATUS_CORRUPT, "damaged code: too short");
  memcpy(&header, bytes, sizeof(header));
  if (header.magic != BLOB_MAGIC ||
      (size - sizeof(header)) / sizeof(product) < header.count)
    return fail(device->host, LIMOSA_STATUS_CORRUPT, "damaged code");
  const product *products =
      (const product *)(const void *)((const char *)bytes + sizeof(header));
  for (uint32_t i = 0; i < header.count; ++i)
    if (!good_product(&products[i]))
      return fail(device->host, LIMOSA_STATUS_CORRUPT, "damaged code");
  limosa_executable *executable = malloc(sizeof(*executable));
  if (!executable)
    return fail(device->host, LIMOSA_STATUS_OUT_OF_MEMORY, "out of memory");
  executable->device = device;
  executable->products = products;
  executable->count = header.count;
  *out = executable;
  return LIMOSA_STATUS_OK;
}

static void unload_executable(limosa_executable *executable) {
  free(executable);
}

static int32_t find_kernel(const limosa_executable *executable,
                           const char *symbol, uint64_t *out) {
  for (uint32_t i = 0; i < executable->count; ++i)
    if (strcmp(executable->products[i].name, symbol) == 0) {
      *out = i;
      return LIMOSA_STATUS_OK;
    }
  return fail(executable->device->host, LIMOSA_STATUS_NOT_FOUND,
              "no such product");
}

/*===----------------------------------------------------------------------===
 * Running
 *===----------------------------------------------------------------------===*/

typedef struct task {
  const product *p;
  const float *lhs, *rhs;
  float *out;
  int64_t rows, columns, depth;
} task;

/* Rows [begin, end) of all batches together. */
static void run_rows(void *argument, uint32_t worker, int64_t begin,
                     int64_t end) {
  (void)worker;
  const task *t = argument;
  int64_t depth = t->depth, columns = t->columns;
  int64_t lhs_step = t->p->lhs_transposed ? t->rows : 1;
  for (int64_t i = begin; i < end; ++i) {
    int64_t batch = i / t->rows, row = i % t->rows;
    const float *lhs = t->lhs + batch * t->rows * depth +
                       (t->p->lhs_transposed ? row : row * depth);
    const float *rhs = t->rhs + batch * depth * columns;
    float *out = t->out + i * columns;
    if (t->p->rhs_transposed) {
      for (int64_t j = 0; j < columns; ++j) {
        float sum = 0.0f;
        for (int64_t k = 0; k < depth; ++k)
          sum += lhs[k * lhs_step] * rhs[j * depth + k];
        out[j] = sum;
      }
      continue;
    }
    memset(out, 0, (size_t)columns * sizeof(float));
    for (int64_t k = 0; k < depth; ++k) {
      float factor = lhs[k * lhs_step];
      for (int64_t j = 0; j < columns; ++j)
        out[j] += factor * rhs[k * columns + j];
    }
  }
}

static int64_t evaluate(const extent *e, const int64_t *symbols) {
  int64_t size = e->constant;
  for (uint32_t i = 0; i < e->symbol_count; ++i)
    size *= symbols[e->symbols[i]];
  return size;
}

static int32_t launch(limosa_queue *queue, const limosa_launch *l) {
  const limosa_host *host = queue->device->host;
  if (l->kernel >= l->executable->count)
    return fail(host, LIMOSA_STATUS_INVALID_ARGUMENT, "no such product");
  const product *p = &l->executable->products[l->kernel];
  if (l->buffer_count != p->buffer_count || l->scalar_count != p->symbol_count)
    return fail(host, LIMOSA_STATUS_INVALID_ARGUMENT,
                "a launch with the wrong number of arguments");
  task t = {p,
            l->addresses[p->lhs],
            l->addresses[p->rhs],
            l->addresses[p->buffer_count - 1],
            evaluate(&p->rows, l->scalars),
            evaluate(&p->columns, l->scalars),
            evaluate(&p->depth, l->scalars)};
  uint64_t begin = queue->profiling ? host->now(host->context) : 0;
  host->parallel_for(host->context, evaluate(&p->batch, l->scalars) * t.rows,
                     run_rows, &t);
  if (queue->profiling) {
    limosa_profile_event event = {0};
    event.size = sizeof(event);
    event.tag = l->tag;
    event.begin = begin;
    event.end = host->now(host->context);
    host->profile(host->context, &event);
  }
  return LIMOSA_STATUS_OK;
}

static int32_t create_queue(limosa_device *device, limosa_queue **out) {
  limosa_queue *queue = calloc(1, sizeof(*queue));
  if (!queue)
    return fail(device->host, LIMOSA_STATUS_OUT_OF_MEMORY, "out of memory");
  queue->device = device;
  *out = queue;
  return LIMOSA_STATUS_OK;
}

static void destroy_queue(limosa_queue *queue) { free(queue); }

static int32_t finish_queue(limosa_queue *queue) {
  (void)queue; /* launches are done when they return */
  return LIMOSA_STATUS_OK;
}

static int32_t set_profiling(limosa_queue *queue, int32_t on) {
  queue->profiling = on;
  return LIMOSA_STATUS_OK;
}

/*===----------------------------------------------------------------------===
 * Memory: the host's
 *===----------------------------------------------------------------------===*/

static int32_t make_buffer(limosa_device *device, void *memory, uint64_t bytes,
                           int owned, limosa_buffer **out) {
  limosa_buffer *buffer = memory ? malloc(sizeof(*buffer)) : NULL;
  if (!buffer) {
    if (owned && memory)
      device->host->free(device->host->context, memory, bytes);
    return fail(device->host, LIMOSA_STATUS_OUT_OF_MEMORY, "out of memory");
  }
  buffer->device = device;
  buffer->memory = memory;
  buffer->bytes = bytes;
  buffer->owned = owned;
  *out = buffer;
  return LIMOSA_STATUS_OK;
}

static int32_t alloc_buffer(limosa_device *device, uint64_t bytes,
                            limosa_buffer **out) {
  void *memory = device->host->alloc(device->host->context, bytes, 64);
  return make_buffer(device, memory, bytes, 1, out);
}

static int32_t import_buffer(limosa_device *device, void *memory,
                             uint64_t bytes, limosa_buffer **out) {
  return make_buffer(device, memory, bytes, 0, out);
}

static void free_buffer(limosa_buffer *buffer) {
  const limosa_host *host = buffer->device->host;
  if (buffer->owned)
    host->free(host->context, buffer->memory, buffer->bytes);
  free(buffer);
}

static void *host_pointer(limosa_buffer *buffer) { return buffer->memory; }

static char *address(limosa_binding b) {
  return (char *)b.buffer->memory + b.offset;
}

static int32_t write_buffer(limosa_queue *queue, limosa_binding dst,
                            const void *src) {
  (void)queue;
  memcpy(address(dst), src, dst.bytes);
  return LIMOSA_STATUS_OK;
}
static int32_t read_buffer(limosa_queue *queue, void *dst, limosa_binding src) {
  (void)queue;
  memcpy(dst, address(src), src.bytes);
  return LIMOSA_STATUS_OK;
}
static int32_t copy_buffer(limosa_queue *queue, limosa_binding dst,
                           limosa_binding src) {
  (void)queue;
  memcpy(address(dst), address(src), src.bytes);
  return LIMOSA_STATUS_OK;
}

/*===----------------------------------------------------------------------===
 * The device and the door
 *===----------------------------------------------------------------------===*/

static uint32_t device_count(void) { return 1; }

static int32_t create_device(const limosa_host *host, uint32_t ordinal,
                             limosa_device **out) {
  if (ordinal != 0)
    return fail(host, LIMOSA_STATUS_NOT_FOUND, "there is one device");
  limosa_device *device = malloc(sizeof(*device));
  if (!device)
    return fail(host, LIMOSA_STATUS_OUT_OF_MEMORY, "out of memory");
  device->host = host;
  *out = device;
  return LIMOSA_STATUS_OK;
}

static void destroy_device(limosa_device *device) { free(device); }

static int32_t get_properties(limosa_device *device,
                              limosa_device_properties *out) {
  limosa_device_properties p = {0};
  p.size = out->size < sizeof(p) ? out->size : sizeof(p);
  p.name = "sample_matmul";
  p.description = "Sample plug-in: matrix products in plain C";
  p.takes = LIMOSA_TAKES_OPS;
  p.flags = LIMOSA_DEVICE_HOST_VISIBLE | LIMOSA_DEVICE_HOST_ADDRESSES;
  p.alignment = 64;
  p.lanes = device->host->worker_count(device->host->context);
  memcpy(out, &p, p.size);
  return LIMOSA_STATUS_OK;
}

static const limosa_driver driver = {
    .size = sizeof(limosa_driver),
    .version = 1,
    .name = "sample_matmul",
    .device_count = device_count,
    .create_device = create_device,
    .destroy_device = destroy_device,
    .get_properties = get_properties,
    .claim = claim,
    .compile = compile,
    .load_executable = load_executable,
    .unload_executable = unload_executable,
    .find_kernel = find_kernel,
    .alloc_buffer = alloc_buffer,
    .import_buffer = import_buffer,
    .free_buffer = free_buffer,
    .host_pointer = host_pointer,
    .write_buffer = write_buffer,
    .read_buffer = read_buffer,
    .copy_buffer = copy_buffer,
    .create_queue = create_queue,
    .destroy_queue = destroy_queue,
    .launch = launch,
    .finish_queue = finish_queue,
    .set_profiling = set_profiling,
};

int32_t limosa_device_query(const limosa_host *host, uint32_t min_version,
                            uint32_t max_version, const limosa_driver **out) {
  if (min_version > 1 || max_version < 1)
    return fail(host, LIMOSA_STATUS_UNSUPPORTED,
                "sample_matmul speaks version 1 of the device interface");
  *out = &driver;
  return LIMOSA_STATUS_OK;
}
