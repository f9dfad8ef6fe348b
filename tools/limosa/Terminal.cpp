//===- Terminal.cpp - What the command line shows -------------------------===//

#include "Terminal.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

using namespace limosa;
using namespace limosa::tool;

Progress::Progress() : Enabled(isatty(STDERR_FILENO)) {}

void Progress::show(const std::string &Line) {
  if (!Enabled)
    return;
  winsize Size = {};
  unsigned Width = 80;
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &Size) == 0 && Size.ws_col)
    Width = Size.ws_col;
  fmt::print(stderr, "\r\033[K{}", Line.substr(0, Width - 1));
  std::fflush(stderr);
  Shown = true;
}

void Progress::clear() {
  if (!Shown)
    return;
  fmt::print(stderr, "\r\033[K");
  std::fflush(stderr);
  Shown = false;
}

/// Number of characters, not bytes, of UTF-8 text.
static size_t width(const std::string &Text) {
  return size_t(std::count_if(Text.begin(), Text.end(),
                              [](char C) { return (C & 0xC0) != 0x80; }));
}

static bool isNumber(const std::string &Text) {
  return !Text.empty() && (std::isdigit(uint8_t(Text[0])) ||
                           ((Text[0] == '-' || Text[0] == '+') &&
                            Text.size() > 1 && std::isdigit(uint8_t(Text[1]))));
}

std::string Table::text() const {
  std::vector<size_t> Widths;
  std::vector<bool> Right;
  for (size_t R = 0; R < Rows.size(); ++R) {
    Widths.resize(std::max(Widths.size(), Rows[R].size()));
    Right.resize(Widths.size(), Rows.size() > 1);
    for (size_t C = 0; C < Rows[R].size(); ++C) {
      Widths[C] = std::max(Widths[C], width(Rows[R][C]));
      if (R && !Rows[R][C].empty() && !isNumber(Rows[R][C]))
        Right[C] = false;
    }
  }
  std::string Text;
  for (const auto &Row : Rows) {
    std::string Line;
    for (size_t C = 0; C < Row.size(); ++C) {
      std::string Space(Widths[C] - width(Row[C]), ' ');
      Line += C ? "  " : "";
      Line += Right[C] ? Space + Row[C] : Row[C] + Space;
    }
    Line.erase(Line.find_last_not_of(' ') + 1);
    Text += Line + "\n";
  }
  return Text;
}

void tool::warn(const std::string &Message) {
  fmt::print(stderr, "warning: {}\n", Message);
}

void tool::error(const std::string &Message) {
  fmt::print(stderr, "error: {}\n", Message);
}

std::string tool::formatBytes(double Bytes) {
  const char *Units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  unsigned Unit = 0;
  while (Bytes >= 1024 && Unit < 4) {
    Bytes /= 1024;
    ++Unit;
  }
  return fmt::format("{:.{}f} {}", Bytes, Unit ? 1 : 0, Units[Unit]);
}

std::string tool::formatSeconds(double Seconds) {
  if (Seconds < 1e-3)
    return fmt::format("{:.1f} µs", Seconds * 1e6);
  if (Seconds < 1)
    return fmt::format("{:.2f} ms", Seconds * 1e3);
  return fmt::format("{:.2f} s", Seconds);
}

std::string tool::formatNumber(double Value) {
  if (Value == 0 || !std::isfinite(Value))
    return fmt::format("{}", Value);
  double Size = std::fabs(Value);
  if (Size >= 100 && Size < 1e7)
    return fmt::format("{:.0f}", Value);
  return fmt::format("{:.3g}", Value);
}
