//===- FuzzArrays.cpp - Any bytes as .npy and .npz ------------------------===//

#include "Npy.h"

#include <cstdlib>

using namespace limosa;
using namespace limosa::tool;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *Data, size_t Size) {
  HostTensor Array;
  if (Status S = parseNpy({Data, Size}, "file", Array);
      S && S.message().empty())
    abort();
  std::vector<std::pair<std::string, std::vector<uint8_t>>> Members;
  if (Status S = readZip({Data, Size}, "file", Members)) {
    if (S.message().empty())
      abort();
    return 0;
  }
  for (auto &[Name, Bytes] : Members)
    if (Status S = parseNpy(Bytes, Name, Array); S && S.message().empty())
      abort();
  return 0;
}
