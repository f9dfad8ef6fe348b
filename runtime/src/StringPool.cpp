//===- StringPool.cpp - Strings by number ---------------------------------===//

#include "StringPool.h"

#include <cstring>

using namespace limosa;
using namespace limosa::runtime;

void StringTable::fill(const fb::Program &P) {
  // Number 0 is the empty string in every program, as zeros are in memory.
  uint32_t Count = P.strings() ? P.strings()->size() : 0;
  Strings.assign(1, std::string_view());
  Strings.reserve(Count);
  for (uint32_t I = 1; I < Count; ++I)
    Strings.push_back(P.strings()->Get(I)->string_view());
  for (size_t I = 0; I < Strings.size(); ++I)
    Numbers.emplace(Strings[I], int64_t(I));
}

std::optional<int64_t> StringTable::find(std::string_view S) const {
  auto It = Numbers.find(S);
  return It == Numbers.end() ? std::nullopt : std::optional(It->second);
}

int64_t StringPool::number(std::string_view S) {
  if (auto Known = Base->find(S))
    return *Known;
  if (auto It = Numbers.find(S); It != Numbers.end())
    return It->second;
  char *Bytes = store(S.size());
  std::memcpy(Bytes, S.data(), S.size());
  auto Number = int64_t(size());
  Added.emplace_back(Bytes, S.size());
  Numbers.emplace(Added.back(), Number);
  return Number;
}

char *StringPool::store(size_t Bytes) {
  constexpr size_t BlockBytes = 1 << 16;
  if (Bytes > Left) {
    size_t Size = std::max(Bytes, BlockBytes);
    Blocks.push_back(std::make_unique_for_overwrite<char[]>(Size));
    Next = Blocks.back().get();
    Left = Size;
  }
  char *At = Next;
  Next += Bytes;
  Left -= Bytes;
  return At;
}

void StringPool::clear() {
  Added.clear();
  Numbers.clear();
  Blocks.clear();
  Next = nullptr;
  Left = 0;
}
