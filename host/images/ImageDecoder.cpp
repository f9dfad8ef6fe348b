//===- ImageDecoder.cpp - The operator ImageDecoder -----------------------===//

#include "../Call.h"
#include "Image.h"
#include "limosa/limosa.h"

using namespace limosa::host;

/// The weights of ITU-R 601 in 16 bits, rounded, as Pillow has them.
static uint8_t grey(const uint8_t *Pixel) {
  return uint8_t(
      (Pixel[0] * 19595u + Pixel[1] * 38470u + Pixel[2] * 7471u + 0x8000u) >>
      16);
}

static int32_t imageDecoder(const limosa_operator_call *Raw) {
  Call C(Raw);
  if (!C.takes({LIMOSA_U8}, {LIMOSA_U8}))
    return LIMOSA_STATUS_FAILED;
  Image Picture;
  std::string Error;
  if (!decodeImage({C.in<uint8_t>(0), C.input(0).elements}, Picture, Error))
    return C.fail(Error);
  std::string_view Format = C.attr("pixel_format", "RGB");
  bool Grey = Format == "Grayscale";
  int64_t Dims[] = {Picture.Height, Picture.Width, Grey ? 1 : 3};
  if (!C.allocate(0, Dims))
    return LIMOSA_STATUS_FAILED;
  auto *To = C.out<uint8_t>(0);
  size_t Count = size_t(Picture.Width) * Picture.Height;
  for (size_t I = 0; I < Count; ++I) {
    const uint8_t *Pixel = &Picture.Pixels[I * 3];
    if (Grey) {
      To[I] = grey(Pixel);
      continue;
    }
    bool Reversed = Format == "BGR";
    for (size_t K = 0; K < 3; ++K)
      To[I * 3 + K] = Pixel[Reversed ? 2 - K : K];
  }
  return LIMOSA_STATUS_OK;
}

int32_t limosa_operators_query(uint32_t MinVersion, uint32_t MaxVersion,
                               const limosa_operator_library **Out) {
  return offer({{"ImageDecoder", imageDecoder}}, MinVersion, MaxVersion, Out);
}
