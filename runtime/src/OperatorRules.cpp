//===- OperatorRules.cpp - What operators are held to ---------------------===//

#include "limosa/Runtime/OperatorRules.h"

#include <string_view>

using namespace limosa::runtime;

void OperatorError::say(const char *Message) {
  if (Said)
    return;
  Said = true;
  std::string_view Whole = Message ? Message : "";
  Text = Whole.substr(0, Whole.find_first_of("\r\n"));
}

std::string OperatorError::text(int32_t Code, const char *Who) const {
  return Text.empty() ? Who + ("failed with status " + std::to_string(Code))
                      : Text;
}

/// Why a count is not between two bounds; "" if it is.
static std::string countProblem(uint32_t Count, uint32_t Least, uint32_t Most,
                                const char *Takes, const char *What) {
  if (Count >= Least && Count <= Most)
    return "";
  std::string Wanted = std::to_string(Least);
  if (Most == LIMOSA_OPERATOR_MANY)
    Wanted = "at least " + Wanted;
  else if (Most != Least)
    Wanted += " to " + std::to_string(Most);
  const bool One = (Most == LIMOSA_OPERATOR_MANY ? Least : Most) == 1;
  return std::string("the operator ") + Takes + " " + Wanted + " " + What +
         (One ? ", not " : "s, not ") + std::to_string(Count);
}

std::string
limosa::runtime::arityProblem(const limosa_operator_arity *Arity,
                              uint32_t Inputs, uint32_t Outputs,
                              const std::function<bool(uint32_t)> &IsGiven) {
  if (!Arity)
    return "";
  std::string Why = countProblem(Inputs, Arity->min_inputs, Arity->max_inputs,
                                 "takes", "input");
  if (Why.empty())
    Why = countProblem(Outputs, Arity->min_outputs, Arity->max_outputs, "gives",
                       "output");
  for (uint32_t K = 0; Why.empty() && K < Arity->min_inputs; ++K)
    if (!IsGiven(K))
      Why = "the operator needs its input " + std::to_string(K);
  return Why;
}
