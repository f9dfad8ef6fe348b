//===- Normalize.cpp - StringNormalizer -----------------------------------===//

#include "Call.h"
#include "limosa/Support/Utf8.h"
#include "limosa/limosa.h"

#include <clocale>
#include <cwctype>
#include <unordered_set>
#include <vector>

using namespace limosa;
using namespace limosa::host;

namespace {

/// What is known of letters without regard to a country: that of C.UTF-8, which
/// C libraries have built in, or of ASCII alone where they do not.
class Letters {
public:
  Letters() : Locale(newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)) {}
  ~Letters() {
    if (Locale)
      freelocale(Locale);
  }

  /// Bytes that are no character stay as they are.
  std::string change(std::string_view Text, bool Upper) const {
    std::string Out;
    for (size_t At = 0; At < Text.size();) {
      const size_t From = At;
      auto C = nextUtf8(Text, At);
      if (C && (*C < 0x80 || Locale))
        appendUtf8(turn(*C, Upper), Out);
      else
        Out.append(Text.substr(From, At - From));
    }
    return Out;
  }

private:
  char32_t turn(char32_t C, bool Upper) const {
    if (C < 0x80)
      return Upper ? (C >= 'a' && C <= 'z' ? C - 32 : C)
                   : (C >= 'A' && C <= 'Z' ? C + 32 : C);
    return char32_t(Upper ? towupper_l(wint_t(C), Locale)
                          : towlower_l(wint_t(C), Locale));
  }

  locale_t Locale;
};

} // namespace

int32_t limosa::host::stringNormalizer(const limosa_operator_call *Raw) {
  Call C(Raw);
  if (!C.takes({LIMOSA_STRING}, {LIMOSA_STRING}))
    return LIMOSA_STATUS_FAILED;
  auto Dims = C.dims(0);
  if (Dims.empty() || Dims.size() > 2 || (Dims.size() == 2 && Dims[0] != 1))
    return C.fail("the input must be a vector or a matrix of one row");
  static const Letters Known;
  bool Exact = C.attr("is_case_sensitive", int64_t(0)) != 0;
  std::string_view Action = C.attr("case_change_action", "NONE");
  if (Action != "NONE" && Action != "LOWER" && Action != "UPPER")
    return C.fail("case_change_action '" + std::string(Action) +
                  "' does not exist");
  std::unordered_set<std::string> Stops;
  for (const limosa_string &S : C.strings("stopwords")) {
    std::string_view Word(S.data, S.length);
    Stops.insert(Exact ? std::string(Word) : Known.change(Word, false));
  }
  std::vector<std::string_view> Left;
  for (uint64_t I = 0; I < C.input(0).elements; ++I) {
    std::string_view Word = C.text(0, I);
    if (!Stops.count(Exact ? std::string(Word) : Known.change(Word, false)))
      Left.push_back(Word);
  }
  // Nothing left: one empty string.
  std::vector<int64_t> Size(Dims.begin(), Dims.end());
  Size.back() = std::max<int64_t>(1, int64_t(Left.size()));
  if (!C.allocate(0, Size))
    return LIMOSA_STATUS_FAILED;
  for (size_t I = 0; I < Left.size(); ++I)
    C.setText(0, I,
              Action == "NONE" ? std::string(Left[I])
                               : Known.change(Left[I], Action == "UPPER"));
  return LIMOSA_STATUS_OK;
}
