//===- FileLock.h - One process at a time -----------------------*- C++ -*-===//
#ifndef LIMOSA_RUNTIME_FILELOCK_H
#define LIMOSA_RUNTIME_FILELOCK_H

#include <fcntl.h>
#include <string>
#include <sys/file.h>
#include <unistd.h>

namespace limosa::runtime {

/// Holds an exclusive lock on a file, made if needed, until destroyed. Where
/// locking is not possible (a read-only or odd file system) it does nothing: it
/// only saves work.
class FileLock {
public:
  explicit FileLock(const std::string &Path)
      : Descriptor(open(Path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
    if (Descriptor >= 0)
      flock(Descriptor, LOCK_EX);
  }
  ~FileLock() {
    if (Descriptor >= 0)
      close(Descriptor);
  }
  FileLock(const FileLock &) = delete;
  FileLock &operator=(const FileLock &) = delete;

private:
  int Descriptor;
};

} // namespace limosa::runtime

#endif // LIMOSA_RUNTIME_FILELOCK_H
