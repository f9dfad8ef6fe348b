//===- Bmp.cpp - Windows bitmaps ------------------------------------------===//

#include "Image.h"

#include <bit>
#include <cstdlib>

using namespace limosa::host;

namespace {

class Reader {
public:
  Reader(Bytes In, Image &Out, std::string &Error)
      : In(In), Out(Out), Error(Error) {}

  bool run() {
    if (!header() || !Out.make(Width, Height, In, Error))
      return false;
    if (!palette())
      return false;
    Data = In.subspan(Offset);
    return Compression == 1 || Compression == 2 ? runs() : rows();
  }

private:
  bool fail(const char *Why) {
    Error = Why;
    return false;
  }
  uint32_t word(size_t At) const { return In[At] | uint32_t(In[At + 1]) << 8; }
  uint32_t dword(size_t At) const { return word(At) | word(At + 2) << 16; }

  bool header() {
    if (In.size() < 30)
      return fail("it ends within its header");
    Offset = dword(10);
    HeaderBytes = dword(14);
    bool Old = HeaderBytes == 12;
    if ((!Old && HeaderBytes < 40) || HeaderBytes > In.size() - 14 ||
        Offset > In.size())
      return fail("its header makes no sense");
    auto H = int64_t(Old ? word(20) : int32_t(dword(22)));
    auto W = int64_t(Old ? word(18) : int32_t(dword(18)));
    TopDown = H < 0;
    if (W < 0)
      return fail("its width is negative");
    Width = uint64_t(W);
    Height = uint64_t(std::llabs(H));
    Bits = word(Old ? 24 : 28);
    Compression = Old ? 0 : dword(30);
    Colors = Old ? 0 : dword(46);
    if (Bits != 1 && Bits != 4 && Bits != 8 && Bits != 16 && Bits != 24 &&
        Bits != 32)
      return fail("it has a number of bits per pixel that is not supported");
    bool Runs =
        (Compression == 1 && Bits == 8) || (Compression == 2 && Bits == 4);
    bool Fields = (Compression == 3 || Compression == 6) && Bits >= 16;
    if (Compression && !Runs && !Fields)
      return fail("its compression is not supported");
    if (Bits == 16)
      setMasks(0x7c00, 0x3e0, 0x1f);
    else
      setMasks(0xff0000, 0xff00, 0xff);
    if (Fields) {
      if (In.size() < 66)
        return fail("it ends within its header");
      setMasks(dword(54), dword(58), dword(62));
    }
    return true;
  }
  void setMasks(uint32_t R, uint32_t G, uint32_t B) {
    Masks[0] = R;
    Masks[1] = G;
    Masks[2] = B;
  }

  bool palette() {
    if (Bits > 8)
      return true;
    bool Old = HeaderBytes == 12;
    size_t Entry = Old ? 3 : 4, Start = 14 + HeaderBytes;
    size_t Count = Colors && Colors <= 256 ? Colors : size_t(1) << Bits;
    for (size_t K = 0; K < Count && Start + (K + 1) * Entry <= In.size(); ++K)
      for (size_t C = 0; C < 3; ++C)
        Palette[K][C] = In[Start + K * Entry + 2 - C];
    return true;
  }

  uint8_t *line(uint32_t FromTop) {
    return Out.row(TopDown ? FromTop : Out.Height - 1 - FromTop);
  }
  void put(uint8_t *Pixel, uint8_t Index) {
    for (int C = 0; C < 3; ++C)
      Pixel[C] = Palette[Index][C];
  }

  bool rows() {
    uint64_t Stride = (Width * Bits + 31) / 32 * 4;
    if (Stride > Data.size() / Height)
      return fail("it ends before its last row");
    for (uint32_t Y = 0; Y < Out.Height; ++Y) {
      const uint8_t *From = &Data[Y * Stride];
      uint8_t *To = line(Y);
      for (uint32_t X = 0; X < Out.Width; ++X, To += 3)
        pixel(From, X, To);
    }
    return true;
  }
  void pixel(const uint8_t *Row, uint32_t X, uint8_t *To) {
    switch (Bits) {
    case 1:
      return put(To, Row[X / 8] >> (7 - X % 8) & 1);
    case 4:
      return put(To, Row[X / 2] >> (X % 2 ? 0 : 4) & 15);
    case 8:
      return put(To, Row[X]);
    case 24:
      for (int C = 0; C < 3; ++C)
        To[C] = Row[X * 3 + 2 - C];
      return;
    default:
      break;
    }
    uint32_t V = 0;
    for (uint32_t K = 0; K < Bits / 8; ++K)
      V |= uint32_t(Row[X * (Bits / 8) + K]) << (8 * K);
    for (int C = 0; C < 3; ++C) {
      uint32_t M = Masks[C];
      int Shift = M ? std::countr_zero(M) : 0;
      uint64_t Most = M >> Shift;
      To[C] = Most ? uint8_t(((V & M) >> Shift) * uint64_t(255) / Most) : 0;
    }
  }

  /// Run-length encoding: (count, value), or 0 and a command.
  bool runs() {
    uint64_t X = 0, Y = 0;
    size_t At = 0;
    auto plot = [&](uint8_t Index) {
      if (X < Width && Y < Height)
        put(line(uint32_t(Y)) + X * 3, Index);
      ++X;
    };
    for (uint32_t YY = 0; YY < Out.Height; ++YY)
      for (uint32_t XX = 0; XX < Out.Width; ++XX)
        put(line(YY) + XX * 3, 0);
    while (At + 1 < Data.size() && Y < Height) {
      uint8_t Count = Data[At], Value = Data[At + 1];
      At += 2;
      if (Count) {
        for (unsigned K = 0; K < Count; ++K)
          plot(Bits == 8 ? Value : Value >> (K % 2 ? 0 : 4) & 15);
        continue;
      }
      if (Value == 0) {
        X = 0;
        ++Y;
      } else if (Value == 1) {
        return true;
      } else if (Value == 2) {
        if (At + 1 >= Data.size())
          break;
        X += Data[At];
        Y += Data[At + 1];
        At += 2;
      } else {
        size_t Length = Bits == 8 ? Value : (Value + 1) / 2;
        if (At + Length > Data.size())
          break;
        for (unsigned K = 0; K < Value; ++K)
          plot(Bits == 8 ? Data[At + K]
                         : Data[At + K / 2] >> (K % 2 ? 0 : 4) & 15);
        At += (Length + 1) / 2 * 2;
      }
    }
    return Y >= Height || fail("it ends before its last row");
  }

  Bytes In, Data;
  Image &Out;
  std::string &Error;
  uint64_t Width = 0, Height = 0;
  uint32_t Offset = 0, HeaderBytes = 0, Bits = 0, Compression = 0, Colors = 0;
  uint32_t Masks[3] = {};
  uint8_t Palette[256][3] = {};
  bool TopDown = false;
};

} // namespace

bool limosa::host::decodeBmp(Bytes In, Image &Out, std::string &Error) {
  return Reader(In, Out, Error).run();
}
