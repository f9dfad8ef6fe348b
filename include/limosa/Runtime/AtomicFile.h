//===- AtomicFile.h - Files that appear whole or not at all -----*- C++ -*-===//
#ifndef LIMOSA_RUNTIME_ATOMICFILE_H
#define LIMOSA_RUNTIME_ATOMICFILE_H

#include "limosa/Runtime/Status.h"

#include <cstddef>
#include <string>

namespace limosa::runtime {

/// Writes to a temporary file in the folder of `Path`; `commit` syncs it and
/// renames it to `Path`, or to what a link of that name leads to. Without a
/// successful commit nothing is left behind. Devices, pipes and names below
/// /dev and /proc, such as /dev/stdout, are written to as they are instead.
class AtomicFile {
public:
  explicit AtomicFile(std::string Path);
  ~AtomicFile();
  AtomicFile(const AtomicFile &) = delete;
  AtomicFile &operator=(const AtomicFile &) = delete;

  /// False after an error, which `commit` reports.
  bool write(const void *Bytes, size_t Size);
  Status commit();

private:
  std::string Path;
  std::string Temporary; ///< Empty: written in place.
  int Descriptor = -1;
  int Error = 0;
};

} // namespace limosa::runtime

#endif // LIMOSA_RUNTIME_ATOMICFILE_H
