//===- LimFile.h - Compiled models as files ---------------------*- C++ -*-===//
//
// A .lim file is
//
//   offset  size  field
//        0     8  magic "LIMOSA\r\n"
//        8     4  version of this layout, 1
//       12     4  flags, 0
//       16     8  size of the meta section, which begins at 64
//       24     8  offset of the code section, a multiple of 4096
//       32     8  size of the code section
//       40     8  offset of the data section, a multiple of 4096
//       48     8  size of the data section
//       56     8  XXH3 of bytes 0..55, the meta section and the code section
//       64        meta: a FlatBuffers Program (runtime/schema/program.fbs)
//                 code: executables, at multiples of 64
//                 data: constants, at multiples of 64
//     last     8  XXH3 of the data section, right behind it
//
// Checksums are the low 64 bits of XXH3-128. All numbers are little-endian. The
// data section is mapped, not read. Gaps are zero. Readers take any file whose
// version they know; new fields go to the FlatBuffers table.
//
// A file holds machine code: run files you trust. Reading one is safe whatever
// is in it.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_RUNTIME_LIMFILE_H
#define LIMOSA_RUNTIME_LIMFILE_H

#include "limosa/Runtime/Status.h"

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace limosa {
namespace fb {
struct Program;
struct Executable;
struct Constant;
} // namespace fb

namespace runtime {

inline constexpr char LimMagic[8] = {'L', 'I', 'M', 'O', 'S', 'A', '\r', '\n'};
inline constexpr uint32_t LimVersion = 1;
inline constexpr uint64_t LimHeaderSize = 64;
inline constexpr uint64_t LimSectionAlignment = 4096;
inline constexpr uint64_t LimItemAlignment = 64;

struct LimHeader {
  char Magic[8];
  uint32_t Version;
  uint32_t Flags;
  uint64_t MetaSize;
  uint64_t CodeOffset;
  uint64_t CodeSize;
  uint64_t DataOffset;
  uint64_t DataSize;
  uint64_t Checksum;
};
static_assert(sizeof(LimHeader) == LimHeaderSize);

/// An opened file: checked, immutable, safe to share between threads. All that
/// `program()` refers to by index has been validated.
class LimFile {
public:
  /// Maps the file at `Path`. With `CheckData` the constants' checksum is
  /// compared as well, which reads all of them. On failure returns null and
  /// sets `S`. `Model` is what to call it in messages if `Path` is a name that
  /// the user has not given.
  static std::shared_ptr<const LimFile> open(const std::string &Path, Status &S,
                                             bool CheckData = false,
                                             const std::string &Model = "");
  /// The same for bytes in memory, which must outlive the file and should be
  /// 64-byte aligned (constants are used in place). `Release`, if given, is
  /// called when the file is closed.
  static std::shared_ptr<const LimFile>
  fromMemory(std::span<const uint8_t> Bytes, Status &S, bool CheckData = false,
             std::function<void()> Release = {});
  ~LimFile();
  LimFile(const LimFile &) = delete;
  LimFile &operator=(const LimFile &) = delete;

  const fb::Program &program() const { return *Program; }
  std::span<const uint8_t> code(const fb::Executable &E) const;
  std::span<const uint8_t> data(const fb::Constant &C) const;
  /// For messages: the path of this file or of its model, or "<memory>".
  const std::string &name() const { return Name; }

private:
  LimFile() = default;
  Status check(bool CheckData);

  std::string Name;
  std::span<const uint8_t> Bytes, Code, Data;
  const fb::Program *Program = nullptr;
  std::function<void()> Release;
};

/// Checks every index, kind and section range of a program that a
/// flatbuffers::Verifier has accepted; see ProgramValidate.cpp. Part of
/// LimFile::open.
Status validateProgram(const fb::Program &P, uint64_t CodeSize,
                       uint64_t DataSize);

/// Builds a file. Offsets that the add functions return are what
/// Executable.offset and Constant.offset hold. Not thread safe.
class LimFileWriter {
public:
  /// Adds an executable or a constant. The bytes are not copied and must live
  /// until `write`.
  uint64_t addCode(std::span<const uint8_t> Bytes) { return add(Code, Bytes); }
  uint64_t addData(std::span<const uint8_t> Bytes) { return add(Data, Bytes); }
  /// The same, taking the bytes over.
  uint64_t addCode(std::vector<uint8_t> &&Bytes);
  uint64_t addData(std::vector<uint8_t> &&Bytes);

  /// Writes `Path` by way of a temporary file next to it, so that others see
  /// the old file or the new one whole. `Meta` is a finished Program buffer.
  Status write(const std::string &Path, std::span<const uint8_t> Meta) const;
  /// The same into memory.
  std::vector<uint8_t> bytes(std::span<const uint8_t> Meta) const;

private:
  struct Section {
    std::vector<std::span<const uint8_t>> Items;
    uint64_t Size = 0;
  };
  static uint64_t add(Section &S, std::span<const uint8_t> Bytes);
  using Sink = std::function<bool(const void *, size_t)>;
  bool emit(std::span<const uint8_t> Meta, const Sink &Out) const;

  Section Code, Data;
  std::vector<std::vector<uint8_t>> Owned;
};

/// Recomputes both checksums of a file in memory whose header is in range. For
/// tests that damage files on purpose.
void resealLimFile(std::span<uint8_t> Bytes);

} // namespace runtime
} // namespace limosa

#endif // LIMOSA_RUNTIME_LIMFILE_H
