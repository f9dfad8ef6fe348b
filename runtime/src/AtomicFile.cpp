//===- AtomicFile.cpp - Files that appear whole or not at all -------------===//

#include "limosa/Runtime/AtomicFile.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

using namespace limosa::runtime;

AtomicFile::AtomicFile(std::string Path) : Path(std::move(Path)) {
  static std::atomic<unsigned> Counter;
  do {
    Temporary = this->Path + "." + std::to_string(getpid()) + "." +
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
  if (!Error && fsync(Descriptor) != 0)
    Error = errno;
  if (Descriptor >= 0) {
    if (close(Descriptor) != 0 && !Error)
      Error = errno;
    Descriptor = -1;
    if (!Error && rename(Temporary.c_str(), Path.c_str()) != 0)
      Error = errno;
    if (Error)
      unlink(Temporary.c_str());
  }
  if (!Error)
    return {};
  return {Error == ENOSPC ? LIMOSA_STATUS_OUT_OF_MEMORY
                          : LIMOSA_STATUS_INVALID_ARGUMENT,
          "cannot write '" + Path + "': " + std::strerror(Error)};
}
