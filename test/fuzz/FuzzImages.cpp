//===- FuzzImages.cpp - The decoders of pictures under libFuzzer ----------===//

#include "images/Image.h"

using namespace limosa::host;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *Data, size_t Size) {
  Image Picture;
  std::string Error;
  if (decodeImage({Data, Size}, Picture, Error)
          ? Picture.Pixels.size() != size_t(Picture.Width) * Picture.Height * 3
          : Error.empty())
    __builtin_trap();
  return 0;
}
