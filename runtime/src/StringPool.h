//===- StringPool.h - Strings by number -------------------------*- C++ -*-===//
//
// Programs hold strings as numbers. Those of the file come first, shared by all
// instances; what a run meets beyond them is in the pool of its instance until
// the next run begins.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_RUNTIME_SRC_STRINGPOOL_H
#define LIMOSA_RUNTIME_SRC_STRINGPOOL_H

#include "limosa/Schema/program_generated.h"

#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace limosa::runtime {

/// The strings of a file. They lie in the file's memory.
class StringTable {
public:
  /// Numbers the strings of a program that has been validated.
  void fill(const fb::Program &P);

  std::optional<int64_t> find(std::string_view S) const;
  size_t size() const { return Strings.size(); }
  std::string_view operator[](size_t Number) const { return Strings[Number]; }

private:
  std::vector<std::string_view> Strings;
  std::unordered_map<std::string_view, int64_t> Numbers;
};

class StringPool {
public:
  explicit StringPool(const StringTable *Base = nullptr) : Base(Base) {}

  /// The number of a string, which is copied if it is new.
  int64_t number(std::string_view S);
  /// The string of a number; null if no string has it. Valid until `clear`.
  std::optional<std::string_view> string(int64_t Number) const {
    auto At = uint64_t(Number);
    if (At < Base->size())
      return (*Base)[At];
    At -= Base->size();
    return At < Added.size() ? std::optional(Added[At]) : std::nullopt;
  }
  /// All numbers are less.
  size_t size() const { return Base->size() + Added.size(); }
  /// Forgets what was added.
  void clear();

private:
  char *store(size_t Bytes);

  const StringTable *Base;
  std::vector<std::string_view> Added;
  std::unordered_map<std::string_view, int64_t> Numbers;
  /// Bytes of the strings: blocks that never move.
  std::vector<std::unique_ptr<char[]>> Blocks;
  char *Next = nullptr;
  size_t Left = 0;
};

} // namespace limosa::runtime

#endif // LIMOSA_RUNTIME_SRC_STRINGPOOL_H
