//===- Html.cpp - Reports as pages ----------------------------------------===//

#include "Html.h"

#include <algorithm>
#include <fmt/format.h>
#include <fstream>

using namespace limosa;
using namespace limosa::tool;

static constexpr const char *Style = R"(
body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:70em;padding:0 1em;color:#223}
h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}
table{border-collapse:collapse;font-size:.92em}
th,td{padding:.25em .8em;border-bottom:1px solid #dde;text-align:left;vertical-align:top}
th{background:#eef2f7}tr:hover td{background:#f7f9fc}
.bar{display:grid;grid-template-columns:16em 1fr;gap:.6em;align-items:center;margin:.15em 0}
.bar i{display:inline-block;height:1.1em;background:#4a7ab5;border-radius:2px;vertical-align:middle;margin-right:.5em}
)";

std::string HtmlPage::escape(const std::string &Text) {
  std::string Out;
  for (char C : Text)
    switch (C) {
    case '<':
      Out += "&lt;";
      break;
    case '>':
      Out += "&gt;";
      break;
    case '&':
      Out += "&amp;";
      break;
    case '"':
      Out += "&quot;";
      break;
    default:
      Out += C;
    }
  return Out;
}

HtmlPage::HtmlPage(const std::string &Title) : Title(Title) {
  Body = "<h1>" + escape(Title) + "</h1>\n";
}

void HtmlPage::heading(const std::string &Text) {
  Body += "<h2>" + escape(Text) + "</h2>\n";
}

void HtmlPage::paragraph(const std::string &Text) {
  Body += "<p>" + escape(Text) + "</p>\n";
}

void HtmlPage::table(const Table &Rows) {
  Body += "<table>\n";
  for (size_t R = 0; R < Rows.rows().size(); ++R) {
    Body += "<tr>";
    for (const std::string &Cell : Rows.rows()[R])
      Body += fmt::format("<{0}>{1}</{0}>", R ? "td" : "th", escape(Cell));
    Body += "</tr>\n";
  }
  Body += "</table>\n";
}

void HtmlPage::bars(const std::vector<Bar> &Bars) {
  double Largest = 0;
  for (const Bar &B : Bars)
    Largest = std::max(Largest, B.Value);
  for (const Bar &B : Bars)
    Body +=
        fmt::format("<div class=bar><span>{}</span><span><i "
                    "style=\"width:{:.1f}%\"></i>{}</span></div>\n",
                    escape(B.Label), Largest > 0 ? 80 * B.Value / Largest : 0,
                    escape(B.Text));
}

runtime::Status HtmlPage::write(const std::string &Path) const {
  std::ofstream File(Path, std::ios::binary);
  File << "<!doctype html>\n<html lang=en><meta charset=utf-8>\n<title>"
       << escape(Title) << "</title>\n<style>" << Style << "</style>\n"
       << Body << "</html>\n";
  File.close();
  if (!File)
    return {LIMOSA_STATUS_FAILED, "cannot write " + Path};
  return {};
}
