//===- Regex.cpp - RegexFullMatch -----------------------------------------===//

#include "Call.h"
#include "limosa/limosa.h"

#include <re2/re2.h>

using namespace limosa::host;

int32_t limosa::host::regexFullMatch(const limosa_operator_call *Raw) {
  Call C(Raw);
  if (!C.takes({LIMOSA_STRING}, {LIMOSA_BOOL}))
    return LIMOSA_STATUS_FAILED;
  uint64_t Count = C.input(0).elements;
  if (C.output(0).elements != Count)
    return C.fail("the output does not fit the input");
  std::string_view Pattern = C.attr("pattern");
  re2::RE2::Options Options;
  Options.set_log_errors(false);
  re2::RE2 Regex(re2::StringPiece(Pattern.data(), Pattern.size()), Options);
  if (!Regex.ok())
    return C.fail("pattern '" + std::string(Pattern.substr(0, 256)) +
                  "': " + Regex.error());
  for (uint64_t I = 0; I < Count; ++I) {
    std::string_view Text = C.text(0, I);
    C.out<uint8_t>(0)[I] =
        re2::RE2::FullMatch(re2::StringPiece(Text.data(), Text.size()), Regex);
  }
  return LIMOSA_STATUS_OK;
}
