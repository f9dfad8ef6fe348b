//===- Library.cpp - The operators of the host library --------------------===//
//
// Operators on the text in strings. The compiler calls them by name, where it
// imports an operator that needs them; what only moves or compares strings is
// compiled.
//
//===----------------------------------------------------------------------===//

#include "Call.h"

using namespace limosa::host;

int32_t limosa_operators_query(uint32_t MinVersion, uint32_t MaxVersion,
                               const limosa_operator_library **Out) {
  return offer({{"NumberToString", numberToString},
                {"RegexFullMatch", regexFullMatch},
                {"StringConcat", stringConcat},
                {"StringNormalizer", stringNormalizer},
                {"StringRank", stringRank},
                {"StringSplit", stringSplit},
                {"StringToNumber", stringToNumber}},
               MinVersion, MaxVersion, Out);
}
