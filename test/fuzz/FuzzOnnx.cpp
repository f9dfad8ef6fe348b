//===- FuzzOnnx.cpp - Any bytes as an ONNX model --------------------------===//
//
// Two operators are registered: fuzz::Call, which has a kernel, and fuzz::Body,
// which is made of whatever attribute "op" names.
//
//===----------------------------------------------------------------------===//

#include "limosa/Frontend/ImportOnnx.h"
#include "mlir/IR/MLIRContext.h"

#include <cstdlib>
#include <cstring>

using namespace limosa;

/// Outputs like the inputs, but for the first dimension.
static int32_t infer(const limosa_operator_shapes *S) {
  for (uint32_t O = 0; O < S->output_count; ++O) {
    const limosa_operator_type *X = O < S->input_count ? S->inputs[O] : nullptr;
    if (!X)
      return LIMOSA_STATUS_INVALID_ARGUMENT;
    std::vector<const char *> Dims(X->dims, X->dims + X->rank);
    if (!Dims.empty())
      Dims[0] = "?";
    S->set_output(S, O, X->dtype, X->rank, Dims.data());
  }
  return LIMOSA_STATUS_OK;
}

static int32_t build(const limosa_operator_builder *B) {
  std::string Op = "Mul";
  std::vector<const limosa_operator_attribute *> Others;
  for (uint32_t A = 0; A < B->attribute_count; ++A)
    if (const auto *Given = B->attributes[A];
        !std::strcmp(Given->name, "op") && Given->strings && Given->count)
      Op.assign(Given->strings[0].data, Given->strings[0].length);
    else
      Others.push_back(Given);
  std::vector<uint32_t> Operands, Results(B->output_count);
  for (uint32_t I = 0; I < B->input_count; ++I)
    Operands.push_back(B->inputs[I] ? I : LIMOSA_OPERATOR_NONE);
  if (int32_t Code =
          B->make(B, Op.c_str(), Operands.data(), B->input_count, Others.data(),
                  uint32_t(Others.size()), Results.data(), B->output_count))
    return Code;
  for (uint32_t O = 0; O < B->output_count; ++O) {
    B->type(B, Results[O]);
    B->set_output(B, O, Results[O]);
  }
  return LIMOSA_STATUS_OK;
}

static OnnxImportOptions options() {
  static limosa_operator Call = {}, Body = {};
  for (limosa_operator *Op : {&Call, &Body}) {
    Op->size = sizeof(*Op);
    Op->domain = "fuzz";
    Op->since_version = 1;
  }
  Call.name = "Call";
  Call.infer = infer;
  Call.run = [](const limosa_operator_call *) { return LIMOSA_STATUS_OK; };
  Body.name = "Body";
  Body.build = build;
  OnnxImportOptions Options;
  Options.Operators = {&Call, &Body};
  return Options;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *Data, size_t Size) {
  static const OnnxImportOptions Options = options();
  // A context keeps every attribute it has seen.
  mlir::MLIRContext Context(mlir::MLIRContext::Threading::DISABLED);
  auto Module =
      importOnnxBytes(Context, {reinterpret_cast<const char *>(Data), Size},
                      "/nonexistent", Options);
  if (!Module && llvm::toString(Module.takeError()).empty())
    abort();
  return 0;
}
