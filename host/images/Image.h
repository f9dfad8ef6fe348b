//===- Image.h - Pictures from bytes ----------------------------*- C++ -*-===//
//
// A decoder per format. Bytes may be damaged or hostile: sizes are checked
// before memory is taken for them, and what is wrong is said.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_HOST_IMAGES_IMAGE_H
#define LIMOSA_HOST_IMAGES_IMAGE_H

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace limosa::host {

using Bytes = std::span<const uint8_t>;

/// Pixels row by row: red, green, blue.
struct Image {
  uint32_t Width = 0, Height = 0;
  std::vector<uint8_t> Pixels;

  /// Makes room for a picture that came as so many bytes; false if it has no
  /// pixels, or more than could come of them.
  bool make(uint64_t W, uint64_t H, Bytes In, std::string &Error);
  uint8_t *row(uint32_t Y) { return &Pixels[size_t(Y) * Width * 3]; }
};

/// Pixels that a picture may have: at most, without regard to its bytes, and
/// for each of those (deflate makes about a thousand of one, with eight pixels
/// each).
inline constexpr uint64_t MaxPixels = uint64_t(1) << 27;
inline constexpr uint64_t FreePixels = uint64_t(1) << 22;
inline constexpr uint64_t PixelsPerByte = uint64_t(1) << 13;

/// False sets `Error`.
bool decodeBmp(Bytes In, Image &Out, std::string &Error);
bool decodeJpeg(Bytes In, Image &Out, std::string &Error);
bool decodeJpeg2000(Bytes In, Image &Out, std::string &Error);
bool decodePng(Bytes In, Image &Out, std::string &Error);
bool decodePnm(Bytes In, Image &Out, std::string &Error);
bool decodeTiff(Bytes In, Image &Out, std::string &Error);
bool decodeWebp(Bytes In, Image &Out, std::string &Error);

/// By what the bytes begin with.
bool decodeImage(Bytes In, Image &Out, std::string &Error);

} // namespace limosa::host

#endif // LIMOSA_HOST_IMAGES_IMAGE_H
