//===- FuzzOnnx.cpp - Any bytes as an ONNX model --------------------------===//

#include "limosa/Frontend/ImportOnnx.h"
#include "mlir/IR/MLIRContext.h"

#include <cstdlib>

using namespace limosa;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *Data, size_t Size) {
  // A context keeps every attribute it has seen.
  mlir::MLIRContext Context(mlir::MLIRContext::Threading::DISABLED);
  auto Module = importOnnxBytes(
      Context, {reinterpret_cast<const char *>(Data), Size}, "/nonexistent");
  if (!Module && llvm::toString(Module.takeError()).empty())
    abort();
  return 0;
}
