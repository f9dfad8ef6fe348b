//===- ElfImage.h - A small loader for generated code -----------*- C++ -*-===//
//
// Loads a position-independent ELF image (x86-64, ET_DYN) that needs nothing
// from outside: no undefined symbols, no libraries, only relative relocations.
// Pages are writable or executable, never both. The image may be damaged or
// hostile: every offset is checked.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_DEVICES_CPU_ELFIMAGE_H
#define LIMOSA_DEVICES_CPU_ELFIMAGE_H

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

namespace limosa::cpu {

/// Immutable after loading; unmaps the code when destroyed.
class ElfImage {
public:
  /// On failure returns null and sets `Error`.
  static std::unique_ptr<ElfImage> load(std::span<const uint8_t> Bytes,
                                        std::string &Error);
  /// Uses an image where it lies: in code that was linked into the program, at
  /// a multiple of 4096. `Bytes` must outlive it. Nothing is mapped.
  static std::unique_ptr<ElfImage> linked(std::span<const uint8_t> Bytes,
                                          std::string &Error);
  ~ElfImage();
  ElfImage(const ElfImage &) = delete;
  ElfImage &operator=(const ElfImage &) = delete;

  /// Address of a global function, or null.
  void *function(std::string_view Name) const;

private:
  class Loader;
  ElfImage() = default;

  uint8_t *Base = nullptr;
  uint64_t Size = 0;
  bool Mapped = false;
  std::unordered_map<std::string, void *> Functions;
};

} // namespace limosa::cpu

#endif // LIMOSA_DEVICES_CPU_ELFIMAGE_H
