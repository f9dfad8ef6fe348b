//===- Choices.cpp - What a template can do in several ways ---------------===//

#include "limosa/Codegen/Choices.h"

using namespace llvm;

namespace limosa::codegen {

std::string toText(const AskedWays &Ways) {
  std::string Text;
  for (const auto &[Name, Way] : Ways)
    Text += (Text.empty() ? "" : ",") + Name + "=" + Way;
  return Text;
}

std::optional<AskedWays> parseWays(StringRef Text) {
  AskedWays Ways;
  SmallVector<StringRef> Parts;
  if (!Text.empty())
    Text.split(Parts, ',');
  for (StringRef Part : Parts) {
    auto [Name, Way] = Part.split('=');
    if (Name.empty() || Way.empty() || Way.contains('=') ||
        !Ways.try_emplace(Name.str(), Way.str()).second)
      return std::nullopt;
  }
  return Ways;
}

unsigned Chooser::take(StringRef Name, ArrayRef<std::string> Ways) {
  unsigned Taken = 0;
  if (auto It = Asked.find(Name.str()); It != Asked.end())
    if (auto *Way = find(Ways, It->second); Way != Ways.end())
      Taken = Way - Ways.begin();
  if (Ways.size() < 2)
    return Taken;
  auto Note = find_if(Made, [&](const Choice &C) { return C.Name == Name; });
  if (Note == Made.end())
    Note = Made.insert(Note, Choice());
  *Note = {Name.str(), Ways[Taken], Ways.vec()};
  return Taken;
}

AskedWays Chooser::unknown() const {
  AskedWays Unknown = Asked;
  for (const Choice &C : Made)
    if (auto It = Unknown.find(C.Name);
        It != Unknown.end() && It->second == C.Taken)
      Unknown.erase(It);
  return Unknown;
}

SmallVector<int64_t> nearNumbers(int64_t Estimate, int64_t Least,
                                 int64_t Most) {
  SmallVector<int64_t> Numbers = {Estimate};
  for (int64_t Other : {Estimate / 2, Estimate * 2})
    if (int64_t Number = std::clamp(Other, Least, std::max(Least, Most));
        !is_contained(Numbers, Number))
      Numbers.push_back(Number);
  return Numbers;
}

} // namespace limosa::codegen
