//===- Tiff.cpp - TIFF by libtiff -----------------------------------------===//

#include "Image.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <tiffio.h>

using namespace limosa::host;

namespace {

/// The bytes as a file that libtiff reads.
struct Memory {
  Bytes All;
  uint64_t At = 0;

  static tmsize_t read(thandle_t Handle, void *To, tmsize_t Count) {
    auto *M = static_cast<Memory *>(Handle);
    uint64_t Left = M->At < M->All.size() ? M->All.size() - M->At : 0;
    uint64_t Here = std::min<uint64_t>(Left, uint64_t(Count));
    if (Here)
      std::memcpy(To, &M->All[M->At], Here);
    M->At += Here;
    return tmsize_t(Here);
  }
  static tmsize_t write(thandle_t, void *, tmsize_t) { return 0; }
  static toff_t seek(thandle_t Handle, toff_t Offset, int From) {
    auto *M = static_cast<Memory *>(Handle);
    M->At = Offset + (From == SEEK_CUR   ? M->At
                      : From == SEEK_END ? M->All.size()
                                         : 0);
    return M->At;
  }
  static int close(thandle_t) { return 0; }
  static toff_t size(thandle_t Handle) {
    return static_cast<Memory *>(Handle)->All.size();
  }
};

int keepFirst(TIFF *, void *Error, const char *, const char *Format,
              va_list Values) {
  auto *E = static_cast<std::string *>(Error);
  char Text[256];
  if (E->empty() && std::vsnprintf(Text, sizeof(Text), Format, Values) > 0)
    E->assign(Text);
  return 1; // nothing more to do
}
int ignore(TIFF *, void *, const char *, const char *, va_list) { return 1; }

} // namespace

bool limosa::host::decodeTiff(Bytes In, Image &Out, std::string &Error) {
  // Handlers of this file alone: the process may use libtiff itself.
  TIFFOpenOptions *Options = TIFFOpenOptionsAlloc();
  if (!Options) {
    Error = "out of memory";
    return false;
  }
  TIFFOpenOptionsSetErrorHandlerExtR(Options, keepFirst, &Error);
  TIFFOpenOptionsSetWarningHandlerExtR(Options, ignore, nullptr);
  TIFFOpenOptionsSetMaxSingleMemAlloc(Options, MaxPixels * sizeof(uint32_t));
  Memory M{In};
  TIFF *File = TIFFClientOpenExt("picture", "rm", &M, Memory::read,
                                 Memory::write, Memory::seek, Memory::close,
                                 Memory::size, nullptr, nullptr, Options);
  TIFFOpenOptionsFree(Options);
  if (!File) {
    if (Error.empty())
      Error = "its header makes no sense";
    return false;
  }
  uint32_t Width = 0, Height = 0;
  char Why[1024] = "";
  bool Ok = TIFFGetField(File, TIFFTAG_IMAGEWIDTH, &Width) &&
            TIFFGetField(File, TIFFTAG_IMAGELENGTH, &Height) &&
            TIFFRGBAImageOK(File, Why);
  if (!Ok)
    Error = *Why ? Why : "it has no size";
  Ok = Ok && Out.make(Width, Height, In, Error);
  std::vector<uint32_t> Packed(Ok ? size_t(Width) * Height : 0);
  if (Ok && !TIFFReadRGBAImageOriented(File, Width, Height, Packed.data(),
                                       ORIENTATION_TOPLEFT,
                                       /*stop_on_error=*/1)) {
    if (Error.empty())
      Error = "its pixels cannot be decoded";
    Ok = false;
  }
  TIFFClose(File);
  for (size_t I = 0; Ok && I < Packed.size(); ++I) {
    Out.Pixels[I * 3] = uint8_t(TIFFGetR(Packed[I]));
    Out.Pixels[I * 3 + 1] = uint8_t(TIFFGetG(Packed[I]));
    Out.Pixels[I * 3 + 2] = uint8_t(TIFFGetB(Packed[I]));
  }
  return Ok;
}
