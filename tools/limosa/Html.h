//===- Html.h - Reports as pages --------------------------------*- C++ -*-===//

#ifndef LIMOSA_TOOLS_HTML_H
#define LIMOSA_TOOLS_HTML_H

#include "Terminal.h"
#include "limosa/Runtime/Status.h"

namespace limosa::tool {

/// A page in one file, without scripts or anything loaded from elsewhere.
class HtmlPage {
public:
  explicit HtmlPage(const std::string &Title);
  void heading(const std::string &Text);
  void paragraph(const std::string &Text);
  void table(const Table &Rows);
  /// Horizontal bars with a label and a value text each.
  struct Bar {
    std::string Label;
    double Value;
    std::string Text;
  };
  void bars(const std::vector<Bar> &Bars);
  /// Marked-up text, e.g. an SVG picture, as it is.
  void raw(const std::string &Markup) { Body += Markup; }
  runtime::Status write(const std::string &Path) const;

  static std::string escape(const std::string &Text);

private:
  std::string Title, Body;
};

} // namespace limosa::tool

#endif // LIMOSA_TOOLS_HTML_H
