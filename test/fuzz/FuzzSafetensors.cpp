//===- FuzzSafetensors.cpp - Any bytes as a file of tensors ---------------===//

#include "Safetensors.h"

#include <cstdlib>

using namespace limosa;
using namespace limosa::tool;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *Data, size_t Size) {
  std::vector<NamedTensor> Tensors;
  if (runtime::Status S = parseSafetensors({Data, Size}, "file", Tensors)) {
    if (S.message().empty() || !Tensors.empty())
      abort();
    return 0;
  }
  // What was read can be written and read again.
  std::vector<uint8_t> Bytes;
  std::vector<NamedTensor> Again;
  if (formatSafetensors(Tensors, Bytes) ||
      parseSafetensors(Bytes, "file", Again) || Again.size() != Tensors.size())
    abort();
  return 0;
}
