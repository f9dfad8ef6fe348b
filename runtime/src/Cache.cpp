//===- Cache.cpp - Compiled models kept between processes -----------------===//

#include "limosa/Runtime/Cache.h"
#include "limosa/Runtime/AtomicFile.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

using namespace limosa::runtime;

namespace {

constexpr uint64_t DefaultMaxBytes = uint64_t(10) << 30;
// Leftovers of processes that died while compiling.
constexpr time_t StaleSeconds = 24 * 60 * 60;
constexpr time_t NoteSeconds = 90 * StaleSeconds;
constexpr size_t MaxNoteBytes = 64 << 10;

const char *environment(const char *Name) {
  const char *Value = std::getenv(Name);
  return Value && *Value ? Value : nullptr;
}

std::string defaultFolder() {
  if (const char *Dir = environment("LIMOSA_CACHE_DIR"))
    return Dir;
  if (const char *Dir = environment("XDG_CACHE_HOME"))
    return std::string(Dir) + "/limosa";
  if (const char *Dir = environment("HOME"))
    return std::string(Dir) + "/.cache/limosa";
  return "/tmp/limosa-cache-" + std::to_string(getuid());
}

uint64_t defaultMaxBytes() {
  uint64_t Bytes = DefaultMaxBytes;
  if (const char *Text = environment("LIMOSA_CACHE_SIZE"))
    std::from_chars(Text, Text + std::strlen(Text), Bytes);
  return Bytes;
}

/// mkdir -p, readable by the user only: entries are code that will be run.
bool makeFolders(const std::string &Path) {
  for (size_t At = 1; At != std::string::npos;) {
    At = Path.find('/', At + 1);
    if (mkdir(Path.substr(0, At).c_str(), 0700) != 0 && errno != EEXIST)
      return false;
  }
  return true;
}

bool endsWith(std::string_view Text, std::string_view Suffix) {
  return Text.size() >= Suffix.size() &&
         Text.substr(Text.size() - Suffix.size()) == Suffix;
}

} // namespace

Cache::Cache(std::string Folder, uint64_t MaxBytes)
    : Folder(Folder.empty() ? defaultFolder() : std::move(Folder)),
      MaxBytes(MaxBytes ? MaxBytes : defaultMaxBytes()) {}

std::string Cache::path(const std::string &Key) const {
  return Folder + "/" + Key + ".lim";
}

std::shared_ptr<const LimFile> Cache::lookup(const std::string &Key,
                                             const std::string &Model) const {
  std::string Path = path(Key);
  struct stat Info;
  if (stat(Path.c_str(), &Info) != 0)
    return nullptr;
  // Entries of other users are not trusted.
  if (Info.st_uid != getuid() && Info.st_uid != 0)
    return nullptr;
  Status S;
  auto File = LimFile::open(Path, S, /*CheckData=*/true, Model);
  if (!File) {
    if (S.code() == LIMOSA_STATUS_CORRUPT ||
        S.code() == LIMOSA_STATUS_UNSUPPORTED)
      unlink(Path.c_str());
    return nullptr;
  }
  utimensat(AT_FDCWD, Path.c_str(), nullptr, 0); // the time of last use
  return File;
}

Status Cache::makeFolder() const {
  if (makeFolders(Folder))
    return {};
  return invalidArgument("cannot make the cache folder '" + Folder +
                         "': " + std::strerror(errno) +
                         ": set LIMOSA_CACHE_DIR to one that can be written");
}

Status Cache::prepare(const std::string &Key,
                      std::string &TemporaryPath) const {
  static std::atomic<unsigned> Counter;
  if (Status S = makeFolder())
    return S;
  TemporaryPath = Folder + "/" + Key + "." + std::to_string(getpid()) + "." +
                  std::to_string(Counter++) + ".part";
  return {};
}

Status Cache::publish(const std::string &Key,
                      const std::string &TemporaryPath) const {
  if (rename(TemporaryPath.c_str(), path(Key).c_str()) != 0) {
    int Error = errno;
    unlink(TemporaryPath.c_str());
    return invalidArgument("cannot write '" + path(Key) +
                           "': " + std::strerror(Error));
  }
  shrink(path(Key));
  return {};
}

std::optional<std::string> Cache::readNote(const std::string &Name) const {
  const std::string Path = Folder + "/" + Name + ".note";
  const int File = open(Path.c_str(), O_RDONLY | O_CLOEXEC);
  if (File < 0)
    return std::nullopt;
  // Notes of other users are not trusted.
  struct stat Info;
  std::optional<std::string> Text;
  if (fstat(File, &Info) == 0 && S_ISREG(Info.st_mode) &&
      (Info.st_uid == getuid() || Info.st_uid == 0) &&
      size_t(Info.st_size) <= MaxNoteBytes) {
    Text.emplace(size_t(Info.st_size), '\0');
    if (read(File, Text->data(), Text->size()) != ssize_t(Text->size()))
      Text.reset();
    futimens(File, nullptr); // the time of last use
  }
  close(File);
  return Text;
}

Status Cache::writeNote(const std::string &Name, std::string_view Text) const {
  if (Status S = makeFolder())
    return S;
  AtomicFile File(Folder + "/" + Name + ".note");
  File.write(Text.data(), Text.size());
  return File.commit();
}

void Cache::shrink(const std::string &Keep) const {
  struct Entry {
    std::string Path;
    uint64_t Bytes;
    timespec Used;
  };
  std::vector<Entry> Entries;
  uint64_t Total = 0;
  DIR *Directory = opendir(Folder.c_str());
  if (!Directory)
    return;
  time_t Now = time(nullptr);
  while (const dirent *D = readdir(Directory)) {
    std::string Path = Folder + "/" + D->d_name;
    struct stat Info;
    if (stat(Path.c_str(), &Info) != 0 || !S_ISREG(Info.st_mode))
      continue;
    if (endsWith(Path, ".lim")) {
      Entries.push_back({Path, uint64_t(Info.st_size), Info.st_mtim});
      Total += uint64_t(Info.st_size);
    } else {
      const bool IsNote = endsWith(Path, ".note");
      const bool IsPart = endsWith(Path, ".part") || endsWith(Path, ".tmp");
      if ((IsNote || IsPart) &&
          Now - Info.st_mtim.tv_sec > (IsNote ? NoteSeconds : StaleSeconds))
        unlink(Path.c_str());
    }
  }
  closedir(Directory);
  std::sort(Entries.begin(), Entries.end(), [](const Entry &A, const Entry &B) {
    return A.Used.tv_sec != B.Used.tv_sec ? A.Used.tv_sec < B.Used.tv_sec
                                          : A.Used.tv_nsec < B.Used.tv_nsec;
  });
  for (const Entry &E : Entries) {
    if (Total <= MaxBytes)
      return;
    if (E.Path != Keep && unlink(E.Path.c_str()) == 0)
      Total -= E.Bytes;
  }
}
