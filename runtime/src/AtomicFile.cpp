//===- AtomicFile.cpp - Files that appear whole or not at all -------------===//

#include "limosa/Runtime/AtomicFile.h"

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace limosa::runtime;

/// Whether a name stands for something that is not to be replaced: a device, a
/// pipe, or what a descriptor is open on (/dev/stdout, also where that is a
/// file).
static bool isWrittenInPlace(const std::string &Path) {
  struct stat Info;
  return Path.starts_with("/dev/") || Path.starts_with("/proc/") ||
         (stat(Path.c_str(), &Info) == 0 && !S_ISREG(Info.st_mode) &&
          !S_ISDIR(Info.st_mode));
}

AtomicFile::AtomicFile(std::string GivenPath) : Path(std::move(GivenPath)) {
  if (isWrittenInPlace(Path)) {
    Descriptor = open(Path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
    if (Descriptor < 0)
      Error = errno;
    return;
  }
  // A link stays, what it leads to is replaced.
  if (char Target[PATH_MAX]; realpath(Path.c_str(), Target))
    Path = Target;
  static std::atomic<unsigned> Counter;
  do {
    Temporary = Path + "." + std::to_string(getpid()) + "." +
                std::to_string(Counter++) + ".tmp";
    Descriptor =
        open(Temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (Descriptor < 0 && errno == EEXIST);
  if (Descriptor < 0)
    Error = errno;
}

AtomicFile::~AtomicFile() {
  if (Descriptor >= 0) {
    close(Descriptor);
    if (!Temporary.empty())
      unlink(Temporary.c_str());
  }
}

bool AtomicFile::write(const void *Bytes, size_t Size) {
  auto *At = static_cast<const char *>(Bytes);
  while (Size && !Error) {
    ssize_t Written = ::write(Descriptor, At, Size);
    if (Written < 0 && errno == EINTR)
      continue;
    if (Written < 0) {
      Error = errno;
      break;
    }
    At += Written;
    Size -= size_t(Written);
  }
  return Error == 0;
}

Status AtomicFile::commit() {
  const bool Replaces = !Temporary.empty();
  if (!Error && Replaces && fsync(Descriptor) != 0)
    Error = errno;
  if (Descriptor >= 0) {
    if (close(Descriptor) != 0 && !Error)
      Error = errno;
    Descriptor = -1;
    if (!Error && Replaces && rename(Temporary.c_str(), Path.c_str()) != 0)
      Error = errno;
    if (Error && Replaces)
      unlink(Temporary.c_str());
  }
  if (!Error)
    return {};
  return {Error == ENOSPC ? LIMOSA_STATUS_OUT_OF_MEMORY
                          : LIMOSA_STATUS_INVALID_ARGUMENT,
          "cannot write '" + Path + "': " + std::strerror(Error)};
}
