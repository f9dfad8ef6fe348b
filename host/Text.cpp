//===- Text.cpp - Joining, splitting, ordering ----------------------------===//

#include "Call.h"
#include "limosa/limosa.h"

#include <algorithm>
#include <vector>

using namespace limosa::host;

int32_t limosa::host::stringConcat(const limosa_operator_call *Raw) {
  Call C(Raw);
  if (!C.takes({LIMOSA_STRING, LIMOSA_STRING}, {LIMOSA_STRING}))
    return LIMOSA_STATUS_FAILED;
  uint64_t Count = C.output(0).elements;
  if (C.input(0).elements != Count || C.input(1).elements != Count)
    return C.fail("the inputs differ in size");
  std::string Joined;
  for (uint64_t I = 0; I < Count; ++I) {
    Joined = C.text(0, I);
    Joined += C.text(1, I);
    C.setText(0, I, Joined);
  }
  return LIMOSA_STATUS_OK;
}

//===----------------------------------------------------------------------===//
// StringSplit
//===----------------------------------------------------------------------===//

static constexpr std::string_view Whitespace = " \t\n\v\f\r";

/// Parts between runs of white space, at most `Limit` cuts.
static void splitWords(std::string_view Text, uint64_t Limit,
                       std::vector<std::string_view> &Parts) {
  auto Trim = [&] {
    size_t At = Text.find_first_not_of(Whitespace);
    Text.remove_prefix(At == Text.npos ? Text.size() : At);
  };
  Trim();
  for (uint64_t Cuts = 0; !Text.empty(); ++Cuts) {
    size_t End = Cuts < Limit ? Text.find_first_of(Whitespace) : Text.npos;
    if (End == Text.npos) {
      // The rest is one part, without the white space at its end.
      Parts.push_back(Text.substr(0, Text.find_last_not_of(Whitespace) + 1));
      return;
    }
    Parts.push_back(Text.substr(0, End));
    Text.remove_prefix(End);
    Trim();
  }
}

static void splitAt(std::string_view Text, std::string_view Delimiter,
                    uint64_t Limit, std::vector<std::string_view> &Parts) {
  for (uint64_t Cuts = 0; Cuts < Limit; ++Cuts) {
    size_t At = Text.find(Delimiter);
    if (At == Text.npos)
      break;
    Parts.push_back(Text.substr(0, At));
    Text.remove_prefix(At + Delimiter.size());
  }
  Parts.push_back(Text);
}

int32_t limosa::host::stringSplit(const limosa_operator_call *Raw) {
  Call C(Raw);
  if (!C.takes({LIMOSA_STRING}, {LIMOSA_STRING, LIMOSA_I64}))
    return LIMOSA_STATUS_FAILED;
  uint64_t Count = C.input(0).elements;
  if (C.output(1).elements != Count)
    return C.fail("the outputs do not fit the input");
  std::string_view Delimiter = C.attr("delimiter");
  int64_t MaxSplit = C.attr("maxsplit", int64_t(-1));
  uint64_t Limit = MaxSplit < 0 ? UINT64_MAX : uint64_t(MaxSplit);
  std::vector<std::string_view> Parts; // of all elements
  std::vector<uint64_t> Begin(Count + 1);
  uint64_t Most = 0;
  for (uint64_t I = 0; I < Count; ++I) {
    if (Delimiter.empty())
      splitWords(C.text(0, I), Limit, Parts);
    else
      splitAt(C.text(0, I), Delimiter, Limit, Parts);
    Begin[I + 1] = Parts.size();
    Most = std::max(Most, Begin[I + 1] - Begin[I]);
    C.out<int64_t>(1)[I] = int64_t(Begin[I + 1] - Begin[I]);
  }
  std::vector<int64_t> Dims(C.dims(0).begin(), C.dims(0).end());
  Dims.push_back(int64_t(Most));
  if (!C.allocate(0, Dims))
    return LIMOSA_STATUS_FAILED;
  for (uint64_t I = 0; I < Count; ++I)
    for (uint64_t P = Begin[I]; P < Begin[I + 1]; ++P)
      C.setText(0, I * Most + P - Begin[I], Parts[P]);
  return LIMOSA_STATUS_OK;
}

//===----------------------------------------------------------------------===//
// StringRank
//===----------------------------------------------------------------------===//

/// The position of each string among the distinct ones, sorted by their bytes
/// (which is the order of their characters in UTF-8).
int32_t limosa::host::stringRank(const limosa_operator_call *Raw) {
  Call C(Raw);
  if (!C.takes({LIMOSA_STRING}, {LIMOSA_I64}))
    return LIMOSA_STATUS_FAILED;
  uint64_t Count = C.input(0).elements;
  if (C.output(0).elements != Count)
    return C.fail("the output does not fit the input");
  std::vector<std::string_view> Sorted;
  for (uint64_t I = 0; I < Count; ++I)
    Sorted.push_back(C.text(0, I));
  std::sort(Sorted.begin(), Sorted.end());
  Sorted.erase(std::unique(Sorted.begin(), Sorted.end()), Sorted.end());
  for (uint64_t I = 0; I < Count; ++I)
    C.out<int64_t>(0)[I] =
        std::lower_bound(Sorted.begin(), Sorted.end(), C.text(0, I)) -
        Sorted.begin();
  return LIMOSA_STATUS_OK;
}
