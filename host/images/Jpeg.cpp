//===- Jpeg.cpp - JPEG by libjpeg -----------------------------------------===//

#include "Image.h"

#include <csetjmp>
#include <cstdio>

#include <jpeglib.h>

using namespace limosa::host;

namespace {

struct Errors {
  jpeg_error_mgr Base;
  jmp_buf Return;
  char Message[JMSG_LENGTH_MAX];
};

void leave(j_common_ptr Info) {
  auto *E = reinterpret_cast<Errors *>(Info->err);
  E->Base.format_message(Info, E->Message);
  longjmp(E->Return, 1);
}
void ignore(j_common_ptr) {}

/// Progressive files may ask for endless passes over a large picture.
void countScans(j_common_ptr Info) {
  constexpr int MaxScans = 500;
  if (reinterpret_cast<j_decompress_ptr>(Info)->input_scan_number <= MaxScans)
    return;
  auto *E = reinterpret_cast<Errors *>(Info->err);
  std::snprintf(E->Message, sizeof(E->Message), "it has too many scans");
  longjmp(E->Return, 1);
}

/// Inverted CMYK, as Adobe writes it, to RGB.
void fromInks(const uint8_t *Inks, uint32_t Count, bool Inverted, uint8_t *To) {
  for (uint32_t X = 0; X < Count; ++X, Inks += 4, To += 3)
    for (int C = 0; C < 3; ++C) {
      unsigned Ink = Inverted ? Inks[C] : 255 - Inks[C];
      unsigned Black = Inverted ? Inks[3] : 255 - Inks[3];
      To[C] = uint8_t((Ink * Black + 127) / 255);
    }
}

} // namespace

// setjmp returns here: nothing with a destructor is made after it.
bool limosa::host::decodeJpeg(Bytes In, Image &Out, std::string &Error) {
  jpeg_decompress_struct Info;
  jpeg_progress_mgr Progress = {};
  Errors E;
  std::vector<uint8_t> Inks;
  Info.err = jpeg_std_error(&E.Base);
  E.Base.error_exit = leave;
  E.Base.output_message = ignore;
  if (setjmp(E.Return)) {
    Error = E.Message;
    jpeg_destroy_decompress(&Info);
    return false;
  }
  jpeg_create_decompress(&Info);
  Progress.progress_monitor = countScans;
  Info.progress = &Progress;
  jpeg_mem_src(&Info, In.data(), static_cast<unsigned long>(In.size()));
  jpeg_read_header(&Info, TRUE);
  if (!Out.make(Info.image_width, Info.image_height, In, Error)) {
    jpeg_destroy_decompress(&Info);
    return false;
  }
  bool Four = Info.num_components == 4;
  Info.out_color_space = Four ? JCS_CMYK : JCS_RGB;
  Inks.resize(Four ? size_t(Out.Width) * 4 : 0);
  jpeg_start_decompress(&Info);
  while (Info.output_scanline < Info.output_height) {
    uint32_t Y = Info.output_scanline;
    JSAMPROW Row = Four ? Inks.data() : Out.row(Y);
    jpeg_read_scanlines(&Info, &Row, 1);
    if (Four)
      fromInks(Inks.data(), Out.Width, Info.saw_Adobe_marker, Out.row(Y));
  }
  jpeg_finish_decompress(&Info);
  jpeg_destroy_decompress(&Info);
  return true;
}
