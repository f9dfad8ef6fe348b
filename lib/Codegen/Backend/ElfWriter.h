//===- ElfWriter.h - The bytes of an image ----------------------*- C++ -*-===//
//
// Private to lib/Codegen/Backend. Writes everything of an image but the
// sections' contents: see limosa/Codegen/ImageLinker.h for the layout.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_LIB_CODEGEN_BACKEND_ELFWRITER_H
#define LIMOSA_LIB_CODEGEN_BACKEND_ELFWRITER_H

#include "llvm/ADT/ArrayRef.h"
#include <cstdint>
#include <string>
#include <vector>

namespace limosa {

struct ElfSymbol {
  std::string Name;
  uint64_t Address;
  uint64_t Size;
};

class ElfImage {
public:
  static constexpr uint64_t PageBytes = 4096;

  /// Where constants may begin, behind the headers and tables for `Kernels`
  /// (their addresses do not matter yet).
  static uint64_t headerBytes(llvm::ArrayRef<ElfSymbol> Kernels);

  /// An image whose constants end at `ConstantsEnd` and whose code lies in
  /// [CodeBegin, CodeEnd). Gaps in the code are filled with traps.
  ElfImage(std::vector<ElfSymbol> Kernels, uint64_t ConstantsEnd,
           uint64_t CodeBegin, uint64_t CodeEnd);

  /// The bytes at an address below CodeEnd.
  uint8_t *at(uint64_t Address) { return Bytes.data() + Address; }

  std::vector<uint8_t> take() { return std::move(Bytes); }

private:
  std::vector<uint8_t> Bytes;
};

} // namespace limosa

#endif // LIMOSA_LIB_CODEGEN_BACKEND_ELFWRITER_H
