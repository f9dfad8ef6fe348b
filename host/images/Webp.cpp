//===- Webp.cpp - WebP by libwebp -----------------------------------------===//

#include "Image.h"

#include <webp/decode.h>

using namespace limosa::host;

bool limosa::host::decodeWebp(Bytes In, Image &Out, std::string &Error) {
  WebPBitstreamFeatures Features;
  if (WebPGetFeatures(In.data(), In.size(), &Features) != VP8_STATUS_OK) {
    Error = "its header makes no sense";
    return false;
  }
  if (Features.has_animation) {
    Error = "moving pictures are not supported";
    return false;
  }
  if (!Out.make(uint64_t(Features.width), uint64_t(Features.height), In, Error))
    return false;
  if (WebPDecodeRGBInto(In.data(), In.size(), Out.Pixels.data(),
                        Out.Pixels.size(), int(Out.Width * 3)))
    return true;
  Error = "its pixels cannot be decoded";
  return false;
}
