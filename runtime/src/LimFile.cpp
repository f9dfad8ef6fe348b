//===- LimFile.cpp - Opening compiled models ------------------------------===//

#include "limosa/Runtime/LimFile.h"
#include "Hash.h"
#include "limosa/Schema/program_generated.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace limosa;
using namespace limosa::runtime;

namespace {

uint64_t checksum(std::span<const uint8_t> Header,
                  std::span<const uint8_t> Meta,
                  std::span<const uint8_t> Code) {
  Hasher H;
  H.add(Header.first(offsetof(LimHeader, Checksum)));
  H.add(Meta);
  H.add(Code);
  return H.digest64();
}

uint64_t checksum(std::span<const uint8_t> Data) {
  Hasher H;
  H.add(Data);
  return H.digest64();
}

/// Whether [Offset, Offset + Size) lies within [0, Limit).
bool inRange(uint64_t Offset, uint64_t Size, uint64_t Limit) {
  return Offset <= Limit && Size <= Limit - Offset;
}

Status systemError(const std::string &What, const std::string &Path) {
  int Error = errno;
  return {Error == ENOENT ? LIMOSA_STATUS_NOT_FOUND
                          : LIMOSA_STATUS_INVALID_ARGUMENT,
          "cannot " + What + " '" + Path + "': " + std::strerror(Error)};
}

} // namespace

std::shared_ptr<const LimFile> LimFile::open(const std::string &Path, Status &S,
                                             bool CheckData,
                                             const std::string &Model) {
  int Descriptor = ::open(Path.c_str(), O_RDONLY | O_CLOEXEC);
  if (Descriptor < 0) {
    S = systemError("open", Path);
    return nullptr;
  }
  struct stat Info;
  if (fstat(Descriptor, &Info) != 0 || !S_ISREG(Info.st_mode)) {
    S = invalidArgument("'" + Path + "' is not a file");
    close(Descriptor);
    return nullptr;
  }
  uint64_t Size = uint64_t(Info.st_size);
  void *Memory =
      Size ? mmap(nullptr, Size, PROT_READ, MAP_PRIVATE, Descriptor, 0)
           : MAP_FAILED;
  if (Size && Memory == MAP_FAILED)
    S = systemError("map", Path);
  else if (!Size)
    S = corrupt("'" + Path + "' is empty");
  close(Descriptor);
  if (Memory == MAP_FAILED)
    return nullptr;
  std::span<const uint8_t> Bytes(static_cast<const uint8_t *>(Memory), Size);
  auto File = fromMemory(Bytes, S, CheckData, [=] { munmap(Memory, Size); });
  if (!File) {
    S = Status(S.code(), "'" + Path + "': " + S.message());
    return nullptr;
  }
  const_cast<LimFile &>(*File).Name = Model.empty() ? Path : Model;
  return File;
}

std::shared_ptr<const LimFile>
LimFile::fromMemory(std::span<const uint8_t> Bytes, Status &S, bool CheckData,
                    std::function<void()> Release) {
  std::shared_ptr<LimFile> File(new LimFile);
  File->Name = "<memory>";
  File->Bytes = Bytes;
  File->Release = std::move(Release);
  S = File->check(CheckData);
  return S.ok() ? File : nullptr;
}

LimFile::~LimFile() {
  if (Release)
    Release();
}

Status LimFile::check(bool CheckData) {
  LimHeader H;
  if (Bytes.size() < sizeof(H))
    return corrupt("not a .lim file: too short");
  std::memcpy(&H, Bytes.data(), sizeof(H));
  if (std::memcmp(H.Magic, LimMagic, sizeof(LimMagic)) != 0)
    return corrupt("not a .lim file");
  if (H.Version != LimVersion)
    return {LIMOSA_STATUS_UNSUPPORTED,
            "file version " + std::to_string(H.Version) +
                " is not known to this runtime (it knows " +
                std::to_string(LimVersion) + "): compile the model again"};
  uint64_t Size = Bytes.size();
  if (!inRange(LimHeaderSize, H.MetaSize, Size) ||
      !inRange(H.CodeOffset, H.CodeSize, Size) ||
      !inRange(H.DataOffset, H.DataSize, Size) ||
      !inRange(H.DataOffset + H.DataSize, sizeof(uint64_t), Size) ||
      H.CodeOffset % LimItemAlignment || H.DataOffset % LimItemAlignment)
    return corrupt("damaged file: a section lies outside it (truncated?)");
  auto Meta = Bytes.subspan(LimHeaderSize, H.MetaSize);
  Code = Bytes.subspan(H.CodeOffset, H.CodeSize);
  Data = Bytes.subspan(H.DataOffset, H.DataSize);
  if (H.Checksum != checksum(Bytes, Meta, Code))
    return corrupt("damaged file: wrong checksum");
  if (CheckData) {
    uint64_t Expected;
    std::memcpy(&Expected, Data.data() + Data.size(), sizeof(Expected));
    if (Expected != checksum(Data))
      return corrupt("damaged file: wrong checksum of the constants");
  }
  flatbuffers::Verifier Verifier(Meta.data(), Meta.size(), /*max_depth=*/128,
                                 /*max_tables=*/1u << 28);
  if (!fb::VerifyProgramBuffer(Verifier))
    return corrupt("damaged file: malformed program");
  Program = fb::GetProgram(Meta.data());
  return validateProgram(*Program, Code.size(), Data.size());
}

std::span<const uint8_t> LimFile::code(const fb::Executable &E) const {
  return Code.subspan(E.offset(), E.size());
}

std::span<const uint8_t> LimFile::data(const fb::Constant &C) const {
  return Data.subspan(C.offset(), C.size());
}

void limosa::runtime::resealLimFile(std::span<uint8_t> Bytes) {
  LimHeader H;
  if (Bytes.size() < sizeof(H))
    return;
  std::memcpy(&H, Bytes.data(), sizeof(H));
  uint64_t Size = Bytes.size();
  if (inRange(LimHeaderSize, H.MetaSize, Size) &&
      inRange(H.CodeOffset, H.CodeSize, Size)) {
    H.Checksum = checksum(Bytes, Bytes.subspan(LimHeaderSize, H.MetaSize),
                          Bytes.subspan(H.CodeOffset, H.CodeSize));
    std::memcpy(Bytes.data(), &H, sizeof(H));
  }
  if (inRange(H.DataOffset, H.DataSize, Size) &&
      inRange(H.DataOffset + H.DataSize, sizeof(uint64_t), Size)) {
    uint64_t Sum = checksum(Bytes.subspan(H.DataOffset, H.DataSize));
    std::memcpy(Bytes.data() + H.DataOffset + H.DataSize, &Sum, sizeof(Sum));
  }
}
