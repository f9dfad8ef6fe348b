//===- Utf8.h - Characters of UTF-8 -----------------------------*- C++ -*-===//

#ifndef LIMOSA_SUPPORT_UTF8_H
#define LIMOSA_SUPPORT_UTF8_H

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace limosa {

/// The character at `At`, which moves behind it. Nullopt if the bytes there are
/// none: a byte astray, too long a form, a surrogate, a number above 0x10ffff;
/// then `At` moves by one byte.
inline std::optional<char32_t> nextUtf8(std::string_view Text, size_t &At) {
  const auto Lead = uint8_t(Text[At++]);
  if (Lead < 0x80)
    return Lead;
  const size_t More = Lead >= 0xf0 ? 3 : Lead >= 0xe0 ? 2 : 1;
  if (Lead < 0xc2 || Lead > 0xf4 || Text.size() - At < More)
    return std::nullopt;
  char32_t C = Lead & (0x3f >> More);
  for (size_t K = 0; K < More; ++K) {
    if ((Text[At + K] & 0xc0) != 0x80)
      return std::nullopt;
    C = C << 6 | (Text[At + K] & 0x3f);
  }
  constexpr char32_t Least[] = {0, 0x80, 0x800, 0x10000};
  if (C < Least[More] || C > 0x10ffff || (C >= 0xd800 && C < 0xe000))
    return std::nullopt;
  At += More;
  return C;
}

inline void appendUtf8(char32_t C, std::string &Out) {
  if (C < 0x80) {
    Out += char(C);
    return;
  }
  const int More = C < 0x800 ? 1 : C < 0x10000 ? 2 : 3;
  Out += char(uint8_t(0xff00 >> (More + 1)) | C >> (6 * More));
  for (int K = More - 1; K >= 0; --K)
    Out += char(0x80 | (C >> (6 * K) & 0x3f));
}

} // namespace limosa

#endif // LIMOSA_SUPPORT_UTF8_H
