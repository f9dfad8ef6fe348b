//===- Jpeg2000.cpp - JPEG 2000 by OpenJPEG -------------------------------===//

#include "Image.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <openjpeg.h>

using namespace limosa::host;

namespace {

/// Each one takes four bytes a pixel while decoding.
constexpr uint32_t MaxComponents = 5;

struct Memory {
  Bytes All;
  uint64_t At = 0;

  static OPJ_SIZE_T read(void *To, OPJ_SIZE_T Count, void *Self) {
    auto *M = static_cast<Memory *>(Self);
    uint64_t Left = M->All.size() - M->At;
    if (!Left)
      return OPJ_SIZE_T(-1);
    Count = std::min<OPJ_SIZE_T>(Count, Left);
    std::memcpy(To, &M->All[M->At], Count);
    M->At += Count;
    return Count;
  }
  static OPJ_OFF_T skip(OPJ_OFF_T Count, void *Self) {
    auto *M = static_cast<Memory *>(Self);
    if (Count < 0)
      return -1;
    uint64_t By = std::min<uint64_t>(uint64_t(Count), M->All.size() - M->At);
    M->At += By;
    return OPJ_OFF_T(By);
  }
  static OPJ_BOOL seek(OPJ_OFF_T To, void *Self) {
    auto *M = static_cast<Memory *>(Self);
    if (To < 0 || uint64_t(To) > M->All.size())
      return OPJ_FALSE;
    M->At = uint64_t(To);
    return OPJ_TRUE;
  }
};

void keepFirst(const char *Message, void *Error) {
  auto *E = static_cast<std::string *>(Error);
  if (E->empty())
    E->assign(Message, std::strcspn(Message, "\r\n"));
}

/// A component's value at a pixel of the picture, in eight bits.
int sample(const opj_image_comp_t &C, uint32_t X, uint32_t Y) {
  uint32_t CX = std::min(X / std::max(C.dx, 1u), C.w - 1);
  uint32_t CY = std::min(Y / std::max(C.dy, 1u), C.h - 1);
  int64_t V = C.data[size_t(CY) * C.w + CX];
  if (C.sgnd)
    V += int64_t(1) << (C.prec - 1);
  if (C.prec > 8)
    V >>= C.prec - 8;
  else if (C.prec < 8)
    V = V * 255 / ((1 << C.prec) - 1);
  return int(std::clamp<int64_t>(V, 0, 255));
}

bool convert(const opj_image_t &From, Image &Out, std::string &Error) {
  uint32_t Count = From.numcomps >= 3 ? 3 : 1;
  for (uint32_t C = 0; C < Count; ++C) {
    const opj_image_comp_t &Comp = From.comps[C];
    if (!Comp.data || !Comp.w || !Comp.h || Comp.prec < 1 || Comp.prec > 31) {
      Error = "its components make no sense";
      return false;
    }
  }
  bool Luma = Count == 3 && (From.color_space == OPJ_CLRSPC_SYCC ||
                             (From.color_space != OPJ_CLRSPC_SRGB &&
                              From.comps[1].dx > From.comps[0].dx));
  for (uint32_t Y = 0; Y < Out.Height; ++Y) {
    uint8_t *To = Out.row(Y);
    for (uint32_t X = 0; X < Out.Width; ++X, To += 3) {
      int V[3];
      for (uint32_t C = 0; C < 3; ++C)
        V[C] = C < Count ? sample(From.comps[C], X, Y) : V[0];
      if (Luma) {
        double L = V[0], B = V[1] - 128, R = V[2] - 128;
        V[0] = int(std::lround(L + 1.402 * R));
        V[1] = int(std::lround(L - 0.344136 * B - 0.714136 * R));
        V[2] = int(std::lround(L + 1.772 * B));
      }
      for (int C = 0; C < 3; ++C)
        To[C] = uint8_t(std::clamp(V[C], 0, 255));
    }
  }
  return true;
}

} // namespace

bool limosa::host::decodeJpeg2000(Bytes In, Image &Out, std::string &Error) {
  Memory M{In};
  opj_stream_t *Stream = opj_stream_default_create(OPJ_TRUE);
  opj_codec_t *Codec =
      opj_create_decompress(In[0] == 0 ? OPJ_CODEC_JP2 : OPJ_CODEC_J2K);
  opj_image_t *Picture = nullptr;
  bool Ok = false;
  if (Stream && Codec) {
    opj_stream_set_user_data(Stream, &M, nullptr);
    opj_stream_set_user_data_length(Stream, In.size());
    opj_stream_set_read_function(Stream, Memory::read);
    opj_stream_set_skip_function(Stream, Memory::skip);
    opj_stream_set_seek_function(Stream, Memory::seek);
    opj_set_error_handler(Codec, keepFirst, &Error);
    opj_dparameters_t Parameters;
    opj_set_default_decoder_parameters(&Parameters);
    Ok = opj_setup_decoder(Codec, &Parameters) &&
         opj_read_header(Stream, Codec, &Picture) && Picture &&
         Picture->numcomps > 0 && Picture->numcomps <= MaxComponents &&
         Picture->x1 > Picture->x0 && Picture->y1 > Picture->y0 &&
         Out.make(Picture->x1 - Picture->x0, Picture->y1 - Picture->y0, In,
                  Error) &&
         opj_decode(Codec, Stream, Picture) &&
         opj_end_decompress(Codec, Stream) && convert(*Picture, Out, Error);
  }
  if (!Ok && Error.empty())
    Error = "it cannot be decoded";
  opj_image_destroy(Picture);
  opj_destroy_codec(Codec);
  opj_stream_destroy(Stream);
  return Ok;
}
