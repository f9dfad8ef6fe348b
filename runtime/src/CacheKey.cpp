//===- CacheKey.cpp - What a compiled model depends on --------------------===//

#include "CpuFeatures.h"
#include "Hash.h"
#include "Libraries.h"
#include "limosa/Runtime/Cache.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <set>
#include <span>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace limosa;
using namespace limosa::runtime;

namespace {

/// A file mapped for reading.
class MappedFile {
public:
  explicit MappedFile(const std::string &Path) {
    int Descriptor = open(Path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat Info;
    if (Descriptor < 0 || fstat(Descriptor, &Info) != 0 ||
        !S_ISREG(Info.st_mode)) {
      Error = Descriptor < 0 ? errno : EISDIR;
    } else if (Info.st_size > 0) {
      Size = size_t(Info.st_size);
      Memory = mmap(nullptr, Size, PROT_READ, MAP_PRIVATE, Descriptor, 0);
      if (Memory == MAP_FAILED)
        Error = errno;
      else
        madvise(Memory, Size, MADV_SEQUENTIAL);
    }
    if (Descriptor >= 0)
      close(Descriptor);
  }
  ~MappedFile() {
    if (Memory && Memory != MAP_FAILED)
      munmap(Memory, Size);
  }
  MappedFile(const MappedFile &) = delete;
  MappedFile &operator=(const MappedFile &) = delete;

  int error() const { return Error; }
  std::span<const uint8_t> bytes() const {
    return {static_cast<const uint8_t *>(Memory), Error ? 0 : Size};
  }

private:
  void *Memory = nullptr;
  size_t Size = 0;
  int Error = 0;
};

/// The files an ONNX model keeps weights in. They are named by key-value pairs
/// whose key is "location"; finding these bytes is enough, as a file named by
/// mistake only makes the key depend on more than it has to.
std::set<std::string> externalFiles(std::span<const uint8_t> Model) {
  // StringStringEntryProto: field 1 (key), 8 bytes; then field 2 (value).
  static constexpr char Pattern[] = "\x0a\x08location\x12";
  constexpr size_t PatternSize = sizeof(Pattern) - 1;
  std::set<std::string> Result;
  const uint8_t *At = Model.data(), *End = At + Model.size();
  while (At < End && (At = static_cast<const uint8_t *>(memmem(
                          At, size_t(End - At), Pattern, PatternSize)))) {
    At += PatternSize;
    uint64_t Length = 0;
    for (unsigned Shift = 0; At < End && Shift < 28; Shift += 7) {
      Length |= uint64_t(*At & 0x7f) << Shift;
      if (!(*At++ & 0x80))
        break;
    }
    if (Length <= size_t(End - At))
      Result.emplace(reinterpret_cast<const char *>(At), Length);
  }
  return Result;
}

class KeyBuilder {
public:
  /// Lengths are hashed as well: "ab","c" differs from "a","bc".
  void text(std::string_view Text) {
    uint64_t Size = Text.size();
    Hash.add(&Size, sizeof(Size));
    Hash.add(Text.data(), Text.size());
  }
  void text(const char *Text) { text(std::string_view(Text ? Text : "")); }
  void bytes(std::span<const uint8_t> Bytes) {
    uint64_t Size = Bytes.size();
    Hash.add(&Size, sizeof(Size));
    Hash.add(Bytes);
  }
  void identity(const char *Path) {
    text(Path);
    text(fileIdentity(Path));
  }
  void operatorTable(const limosa_operator &Op) {
    text(Op.domain);
    text(Op.name);
    text(Op.revision);
    text(std::to_string(Op.since_version) + ":" + std::to_string(Op.flags) +
         ":" + std::to_string(Op.body_opset) + (Op.infer ? "i" : "") +
         (Op.run ? "r" : "") + (Op.build ? "b" : ""));
    if (Op.arity)
      text(std::to_string(Op.arity->min_inputs) + ":" +
           std::to_string(Op.arity->max_inputs) + ":" +
           std::to_string(Op.arity->min_outputs) + ":" +
           std::to_string(Op.arity->max_outputs));
  }
  std::string finish() const {
    XXH128_hash_t H = Hash.digest128();
    char Text[33];
    std::snprintf(Text, sizeof(Text), "%016llx%016llx",
                  static_cast<unsigned long long>(H.high64),
                  static_cast<unsigned long long>(H.low64));
    return Text;
  }

private:
  Hasher Hash;
};

} // namespace

Status Cache::computeKey(const limosa_compile_options &Options,
                         const std::string &CompilerIdentity,
                         std::string &Key) {
  if (!Options.model_path)
    return invalidArgument("no model is given");
  std::string Path = Options.model_path;
  MappedFile Model(Path);
  if (Model.error())
    return {Model.error() == ENOENT ? LIMOSA_STATUS_NOT_FOUND
                                    : LIMOSA_STATUS_INVALID_ARGUMENT,
            "cannot read '" + Path + "': " + std::strerror(Model.error())};
  KeyBuilder Builder;
  Builder.text(CompilerIdentity);
  Builder.bytes(Model.bytes());
  std::string Folder = Path.substr(0, Path.find_last_of('/') + 1);
  for (const std::string &Name : externalFiles(Model.bytes())) {
    MappedFile External(Folder + Name);
    Builder.text(Name);
    Builder.bytes(External.bytes());
  }
  // An extension says how to read the model.
  size_t Dot = Path.find_last_of('.');
  Builder.text(Dot == std::string::npos ? "" : Path.substr(Dot).c_str());
  Builder.text(Options.entry ? Options.entry : "main");
  Builder.text(Options.device ? Options.device : "cpu");
  std::string Isa = Options.isa ? Options.isa : "auto";
  Builder.text(Isa);
  if (Isa == "auto")
    for (std::string_view Feature : cpu::features())
      Builder.text(Feature);
  Builder.text(std::to_string(Options.threads));
  for (uint32_t F = 0; F < Options.flag_count; ++F) {
    Builder.text(Options.flags[F]);
    if (std::string_view(Options.flags[F]).starts_with("tune="))
      Builder.text(cpu::describe(0));
  }
  for (uint32_t P = 0; P < Options.plugin_count; ++P)
    Builder.identity(Options.plugins[P]);
  // An operator matters to models that name it; the body of one may name any
  // other.
  auto IsNamed = [&](const limosa_operator *Op) {
    return memmem(Model.bytes().data(), Model.bytes().size(), Op->name,
                  std::strlen(Op->name)) != nullptr;
  };
  std::span Operators(Options.operators, Options.operator_count);
  const bool Bodies = std::ranges::any_of(
      Operators, [&](auto *Op) { return Op->build && IsNamed(Op); });
  for (const limosa_operator *Op : Operators)
    if (Bodies || IsNamed(Op))
      Builder.operatorTable(*Op);
  Key = Builder.finish();
  return {};
}
