//===- Terminal.h - What the command line shows -----------------*- C++ -*-===//

#ifndef LIMOSA_TOOLS_TERMINAL_H
#define LIMOSA_TOOLS_TERMINAL_H

#include <cstdint>
#include <string>
#include <vector>

namespace limosa::tool {

/// A line on stderr that is overwritten as work goes on and gone when it ends.
/// Shows nothing unless stderr is a terminal. One at a time.
class Progress {
public:
  Progress();
  ~Progress() { clear(); }
  Progress(const Progress &) = delete;
  Progress &operator=(const Progress &) = delete;

  void show(const std::string &Line);
  void clear();

private:
  bool Enabled;
  bool Shown = false;
};

/// Columns of text; numbers (what begins with a digit or sign) align right.
class Table {
public:
  explicit Table(std::vector<std::string> Header) { row(std::move(Header)); }
  void row(std::vector<std::string> Cells) { Rows.push_back(std::move(Cells)); }
  const std::vector<std::vector<std::string>> &rows() const { return Rows; }
  /// Lines separated by newlines, the header first.
  std::string text() const;

private:
  std::vector<std::vector<std::string>> Rows;
};

/// Prints one line to stderr: "warning: ...".
void warn(const std::string &Message);
void error(const std::string &Message);

/// "1.5 KiB", "2.0 GiB".
std::string formatBytes(double Bytes);
/// "12.3 ms", "1.20 s".
std::string formatSeconds(double Seconds);
/// A number with three significant digits.
std::string formatNumber(double Value);

} // namespace limosa::tool

#endif // LIMOSA_TOOLS_TERMINAL_H
