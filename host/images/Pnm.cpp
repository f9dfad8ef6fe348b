//===- Pnm.cpp - Netpbm's bitmaps, greymaps and pixmaps -------------------===//

#include "Image.h"

using namespace limosa::host;

namespace {

class Reader {
public:
  Reader(Bytes In, Image &Out, std::string &Error)
      : In(In), Out(Out), Error(Error) {}

  bool run() {
    int Kind = In[1] - '0'; // 1 to 3 as text, 4 to 6 as bytes
    Text = Kind <= 3;
    Bits = Kind % 3 == 1;
    Channels = Kind % 3 == 0 ? 3 : 1;
    uint32_t Width, Height;
    At = 2;
    if (!number(Width) || !number(Height) || (!Bits && !number(Most)))
      return fail("its header makes no sense");
    if (Most < 1 || Most > 65535)
      return fail("its largest value makes no sense");
    // One white space between header and bytes.
    if (!Text)
      ++At;
    uint64_t Row = Bits && !Text ? (uint64_t(Width) + 7) / 8
                                 : uint64_t(Width) * Channels *
                                       (!Text && Most > 255 ? 2 : 1);
    uint64_t Left = At < In.size() ? In.size() - At : 0;
    if (Height && Row > Left / Height)
      return fail("it ends before its last pixel");
    return Out.make(Width, Height, In, Error) && pixels(Row);
  }

private:
  bool fail(const char *Why) {
    Error = Why;
    return false;
  }

  /// Skips white space and comments.
  void skip() {
    while (At < In.size()) {
      uint8_t C = In[At];
      if (C == '#')
        while (At < In.size() && In[At] != '\n')
          ++At;
      else if (C == ' ' || (C >= '\t' && C <= '\r'))
        ++At;
      else
        return;
    }
  }
  bool number(uint32_t &Out) {
    skip();
    Out = 0;
    size_t Start = At;
    for (; At < In.size() && In[At] >= '0' && In[At] <= '9'; ++At) {
      if (Out > 100'000'000)
        return false;
      Out = Out * 10 + uint32_t(In[At] - '0');
    }
    return At > Start;
  }
  /// A value of a bitmap in text: they need no space between them.
  bool bit(uint32_t &Out) {
    skip();
    if (At >= In.size() || (In[At] != '0' && In[At] != '1'))
      return false;
    Out = In[At++] == '0';
    return true;
  }

  bool value(uint64_t Row, uint32_t Y, uint32_t I, uint32_t &V) {
    if (Text)
      return Bits ? bit(V) : number(V);
    const uint8_t *Line = &In[At + Y * Row];
    if (Bits)
      V = !(Line[I / 8] >> (7 - I % 8) & 1);
    else
      V = Most > 255 ? uint32_t(Line[2 * I]) << 8 | Line[2 * I + 1] : Line[I];
    return true;
  }

  bool pixels(uint64_t Row) {
    for (uint32_t Y = 0; Y < Out.Height; ++Y) {
      uint8_t *To = Out.row(Y);
      for (uint32_t X = 0; X < Out.Width; ++X, To += 3)
        for (uint32_t C = 0; C < 3; ++C) {
          if (C >= Channels) {
            To[C] = To[0];
            continue;
          }
          uint32_t V;
          if (!value(Row, Y, X * Channels + C, V))
            return fail("it ends before its last pixel");
          V = V > Most ? Most : V;
          To[C] = uint8_t((V * 255 + Most / 2) / Most);
        }
    }
    return true;
  }

  Bytes In;
  Image &Out;
  std::string &Error;
  size_t At = 0;
  bool Text = false, Bits = false;
  uint32_t Channels = 1, Most = 1;
};

} // namespace

bool limosa::host::decodePnm(Bytes In, Image &Out, std::string &Error) {
  return Reader(In, Out, Error).run();
}
