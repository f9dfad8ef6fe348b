//===- Image.cpp - Pictures of any format ---------------------------------===//

#include "Image.h"

#include <cstring>
#include <string_view>

using namespace limosa::host;

bool Image::make(uint64_t W, uint64_t H, Bytes In, std::string &Error) {
  uint64_t Most = In.size() > MaxPixels / PixelsPerByte
                      ? MaxPixels
                      : FreePixels + In.size() * PixelsPerByte;
  Most = Most < MaxPixels ? Most : MaxPixels;
  if (!W || !H || W > Most || H > Most || W * H > Most) {
    Error = "it claims " + std::to_string(W) + " x " + std::to_string(H) +
            " pixels; with its bytes there can be " + std::to_string(Most);
    return false;
  }
  Width = uint32_t(W);
  Height = uint32_t(H);
  Pixels.assign(size_t(W) * H * 3, 0);
  return true;
}

namespace {

struct Format {
  const char *Name;
  std::string_view Mark; ///< "?" stands for any byte.
  bool (*Decode)(Bytes, Image &, std::string &);
};

using namespace std::string_view_literals;
constexpr Format Formats[] = {
    {"BMP", "BM"sv, decodeBmp},
    {"JPEG", "\xff\xd8\xff"sv, decodeJpeg},
    {"JPEG 2000", "\0\0\0\x0cjP  \r\n\x87\n"sv, decodeJpeg2000},
    {"JPEG 2000", "\xff\x4f\xff\x51"sv, decodeJpeg2000},
    {"PNG", "\x89PNG\r\n\x1a\n"sv, decodePng},
    {"PNM", "P1"sv, decodePnm},
    {"PNM", "P2"sv, decodePnm},
    {"PNM", "P3"sv, decodePnm},
    {"PNM", "P4"sv, decodePnm},
    {"PNM", "P5"sv, decodePnm},
    {"PNM", "P6"sv, decodePnm},
    {"TIFF", "II*\0"sv, decodeTiff},
    {"TIFF", "MM\0*"sv, decodeTiff},
    {"WebP", "RIFF????WEBP"sv, decodeWebp},
};

bool beginsWith(Bytes In, std::string_view Mark) {
  if (In.size() < Mark.size())
    return false;
  for (size_t I = 0; I < Mark.size(); ++I)
    if (Mark[I] != '?' && uint8_t(Mark[I]) != In[I])
      return false;
  return true;
}

} // namespace

bool limosa::host::decodeImage(Bytes In, Image &Out, std::string &Error) {
  for (const Format &F : Formats)
    if (beginsWith(In, F.Mark)) {
      if (F.Decode(In, Out, Error))
        return true;
      Error = std::string("not a ") + F.Name + " picture: " + Error;
      return false;
    }
  Error = "the bytes are no picture of BMP, JPEG, JPEG 2000, PNG, PNM, TIFF or "
          "WebP";
  return false;
}
