//===- Json.h - JSON as the commands write it -------------------*- C++ -*-===//

#ifndef LIMOSA_TOOLS_JSON_H
#define LIMOSA_TOOLS_JSON_H

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <string>

namespace limosa::tool {

/// The text of a value, in one line if `Indent` is -1. Names come from models:
/// what is no UTF-8 in them is replaced.
template <typename Json> std::string jsonText(const Json &Value, int Indent) {
  return Value.dump(Indent, ' ', false, Json::error_handler_t::replace);
}

/// Prints a report.
template <typename Json> void printJson(const Json &Value) {
  fmt::print("{}\n", jsonText(Value, 2));
}

} // namespace limosa::tool

#endif // LIMOSA_TOOLS_JSON_H
