//===- ImageLinker.h - Objects to one loadable image ------------*- C++ -*-===//
//
// A static linker for what Backend emits: x86-64 ELF objects with read-only
// data and code only. The image it makes is an ELF64 ET_DYN file that needs no
// relocation, no other library and no fixed address:
//
//   PT_LOAD  R    file offset 0: ELF and program headers, .hash, .dynsym,
//                 .dynstr, .dynamic, constants
//   PT_LOAD  R X  code, at the next multiple of 4096
//   PT_DYNAMIC    DT_HASH, DT_SYMTAB, DT_STRTAB, DT_STRSZ, DT_SYMENT
//
// Offsets in the file equal virtual addresses, so that a loader can map the
// file, or copy it whole to 4096-aligned memory, protect the second segment and
// call `base + st_value`. Kernels are the STT_FUNC symbols of .dynsym, sorted
// by name; DT_HASH's nchain is the number of symbols. `dlopen` and binutils
// understand it too. The bytes depend only on the input.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_CODEGEN_IMAGELINKER_H
#define LIMOSA_CODEGEN_IMAGELINKER_H

#include "limosa/Codegen/Backend.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace limosa {

/// Links objects to an image. Fails on undefined or duplicate symbols (named),
/// writable data and relocations that would need the load address.
llvm::Expected<std::vector<uint8_t>>
linkImage(llvm::ArrayRef<ObjectCode> Objects);

/// A kernel of an image: its offset and size in the file.
struct ImageSymbol {
  std::string Name;
  uint64_t Offset;
  uint64_t Size;
};

/// The kernels of an image made by `linkImage`, sorted by name.
llvm::Expected<std::vector<ImageSymbol>>
readImageSymbols(llvm::ArrayRef<uint8_t> Image);

/// Read-only bytes for `makeObject`.
struct ObjectData {
  std::string Symbol;
  llvm::ArrayRef<uint8_t> Bytes;
  uint64_t Align = 64;
};

/// A relocatable object for `ld` that holds the image's kernels, each under
/// `SymbolPrefix` + its name, and the data. For programs that link a model
/// instead of loading a file.
llvm::Expected<std::vector<uint8_t>>
makeObject(llvm::ArrayRef<uint8_t> Image, llvm::StringRef SymbolPrefix,
           llvm::ArrayRef<ObjectData> Data = {});

} // namespace limosa

#endif // LIMOSA_CODEGEN_IMAGELINKER_H
