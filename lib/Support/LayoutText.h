//===- LayoutText.h - Layouts as text ---------------------------*- C++ -*-===//

#ifndef LIMOSA_LIB_SUPPORT_LAYOUTTEXT_H
#define LIMOSA_LIB_SUPPORT_LAYOUTTEXT_H

#include "limosa/Support/PanelLayout.h"

#include <algorithm>
#include <charconv>

namespace limosa::layouttext {

using PanelDims = std::vector<PanelLayout::Dim>;

/// "extent:stride,extent:stride", outermost first.
inline std::string joinDims(const PanelDims &Ds) {
  std::string Out;
  for (PanelLayout::Dim D : Ds)
    Out += (Out.empty() ? "" : ",") + std::to_string(D.Extent) + ":" +
           std::to_string(D.Stride);
  return Out;
}

/// Takes what stands before `Separator`, and it, off the front of `Text`.
inline std::string_view takeUntil(std::string_view &Text, char Separator) {
  size_t End = std::min(Text.find(Separator), Text.size());
  std::string_view Part = Text.substr(0, End);
  Text.remove_prefix(std::min(End + 1, Text.size()));
  return Part;
}

inline bool parseNumber(std::string_view Text, int64_t &Out) {
  auto [End, Error] =
      std::from_chars(Text.data(), Text.data() + Text.size(), Out);
  return Error == std::errc() && End == Text.data() + Text.size();
}

inline bool parseDims(std::string_view Text, PanelDims &Out) {
  while (!Text.empty()) {
    std::string_view Stride = takeUntil(Text, ',');
    std::string_view Extent = takeUntil(Stride, ':');
    PanelLayout::Dim D;
    if (!parseNumber(Extent, D.Extent) || !parseNumber(Stride, D.Stride) ||
        D.Extent < 0)
      return false;
    Out.push_back(D);
  }
  return true;
}

} // namespace limosa::layouttext

#endif // LIMOSA_LIB_SUPPORT_LAYOUTTEXT_H
