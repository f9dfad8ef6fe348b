//===- Numbers.cpp - Casts between strings and numbers --------------------===//

#include "Call.h"
#include "limosa/limosa.h"

#include <charconv>
#include <cmath>
#include <cstdio>

using namespace limosa::host;

//===----------------------------------------------------------------------===//
// To strings
//===----------------------------------------------------------------------===//

/// Eight digits, as onnxruntime writes them.
static std::string_view text(double V, char (&Memory)[64]) {
  if (std::isnan(V))
    return "NaN";
  if (std::isinf(V))
    return V < 0 ? "-INF" : "INF";
  return {Memory, size_t(std::snprintf(Memory, sizeof(Memory), "%.8g", V))};
}
static std::string_view text(float V, char (&Memory)[64]) {
  return text(double(V), Memory);
}
template <typename T> static std::string_view text(T V, char (&Memory)[64]) {
  return {Memory, std::to_chars(Memory, Memory + sizeof(Memory), V).ptr};
}

template <typename T> static int32_t toStrings(const Call &C) {
  char Memory[64];
  for (uint64_t I = 0; I < C.input(0).elements; ++I)
    C.setText(0, I, text(C.in<T>(0)[I], Memory));
  return LIMOSA_STATUS_OK;
}

int32_t limosa::host::numberToString(const limosa_operator_call *Raw) {
  Call C(Raw);
  if (!C.takes({0}, {LIMOSA_STRING}))
    return LIMOSA_STATUS_FAILED;
  if (C.input(0).elements != C.output(0).elements)
    return C.fail("the output does not fit the input");
  switch (C.input(0).dtype) {
  case LIMOSA_F32:
    return toStrings<float>(C);
  case LIMOSA_F64:
    return toStrings<double>(C);
  case LIMOSA_I64:
    return toStrings<int64_t>(C);
  case LIMOSA_U64:
    return toStrings<uint64_t>(C);
  default:
    return C.fail("the input has an element type that is not supported");
  }
}

//===----------------------------------------------------------------------===//
// From strings
//===----------------------------------------------------------------------===//

static bool equalsLower(std::string_view Text, std::string_view Lower) {
  if (Text.size() != Lower.size())
    return false;
  for (size_t I = 0; I < Text.size(); ++I)
    if ((Text[I] | 0x20) != Lower[I])
      return false;
  return true;
}

/// The number that all of the text, but white space around it, stands for.
template <typename T> static bool parse(std::string_view Text, T &Out) {
  constexpr std::string_view Whitespace = " \t\n\v\f\r";
  size_t Begin = Text.find_first_not_of(Whitespace);
  if (Begin == Text.npos)
    return false;
  Text = Text.substr(Begin, Text.find_last_not_of(Whitespace) + 1 - Begin);
  std::string_view Bare = Text;
  if (Bare[0] == '+' && Bare.size() > 1 && Bare[1] != '-')
    Bare.remove_prefix(1);
  const char *End = Bare.data() + Bare.size();
  if constexpr (std::is_integral_v<T>) {
    auto [At, Error] = std::from_chars(Bare.data(), End, Out);
    if (Error == std::errc() && At == End)
      return true;
    // "100.5" is 100, and "1e3" is 1000.
    double Wide;
    constexpr double Limit = 18446744073709551616.0;
    if (!parse(Text, Wide) ||
        !(Wide > (std::is_signed_v<T> ? -Limit / 2 - 1 : -1)) ||
        !(Wide < (std::is_signed_v<T> ? Limit / 2 : Limit)))
      return false;
    Out = T(Wide);
    return true;
  } else {
    bool Negative = Bare[0] == '-';
    std::string_view Name = Negative ? Bare.substr(1) : Bare;
    if (equalsLower(Name, "inf") || equalsLower(Name, "infinity"))
      return Out = Negative ? -INFINITY : INFINITY, true;
    if (equalsLower(Name, "nan"))
      return Out = NAN, true;
    auto [At, Error] = std::from_chars(Bare.data(), End, Out);
    if (Error == std::errc::result_out_of_range && At == End) {
      // Too large or too small: what strtod makes of it.
      Out = T(std::strtod(std::string(Bare).c_str(), nullptr));
      return true;
    }
    return Error == std::errc() && At == End;
  }
}

template <typename T> static int32_t toNumbers(const Call &C) {
  for (uint64_t I = 0; I < C.input(0).elements; ++I)
    if (!parse(C.text(0, I), C.out<T>(0)[I]))
      return C.fail("'" + std::string(C.text(0, I).substr(0, 64)) +
                    "' is no number of the type wanted");
  return LIMOSA_STATUS_OK;
}

int32_t limosa::host::stringToNumber(const limosa_operator_call *Raw) {
  Call C(Raw);
  if (!C.takes({LIMOSA_STRING}, {0}))
    return LIMOSA_STATUS_FAILED;
  if (C.input(0).elements != C.output(0).elements)
    return C.fail("the output does not fit the input");
  switch (C.output(0).dtype) {
  case LIMOSA_F32:
    return toNumbers<float>(C);
  case LIMOSA_F64:
    return toNumbers<double>(C);
  case LIMOSA_I64:
    return toNumbers<int64_t>(C);
  case LIMOSA_U64:
    return toNumbers<uint64_t>(C);
  default:
    return C.fail("the output has an element type that is not supported");
  }
}
