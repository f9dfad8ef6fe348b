//===- Cache.h - Compiled models kept between processes ---------*- C++ -*-===//
//
// A folder of .lim files named by a 128-bit key of everything their contents
// depend on. Any number of processes may use it: entries appear whole by
// rename, and one that is being removed stays readable to those who have it
// mapped.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_RUNTIME_CACHE_H
#define LIMOSA_RUNTIME_CACHE_H

#include "limosa/Compiler.h"
#include "limosa/Runtime/LimFile.h"

#include <optional>
#include <string>
#include <string_view>

namespace limosa::runtime {

/// Stateless but for its settings; thread safe.
class Cache {
public:
  /// `Folder` empty: $LIMOSA_CACHE_DIR, else $XDG_CACHE_HOME/limosa, else
  /// $HOME/.cache/limosa, else a folder under /tmp of this user's own.
  /// `MaxBytes` 0: $LIMOSA_CACHE_SIZE (bytes), else 10 GiB.
  explicit Cache(std::string Folder = {}, uint64_t MaxBytes = 0);

  const std::string &folder() const { return Folder; }
  std::string path(const std::string &Key) const;
  /// Makes the folder if it is not there.
  Status makeFolder() const;

  /// Opens the entry and notes that it was used. Null if there is none; a
  /// damaged one is removed. `Model` is its name in messages.
  std::shared_ptr<const LimFile> lookup(const std::string &Key,
                                        const std::string &Model = "") const;
  /// Makes the folder and the name under which the compiler is to write an
  /// entry before `publish`. Unique to this call.
  Status prepare(const std::string &Key, std::string &TemporaryPath) const;
  /// Renames what was written to the entry and keeps the folder within its
  /// limit, removing what was not used for longest.
  Status publish(const std::string &Key,
                 const std::string &TemporaryPath) const;

  /// A short text kept under a name of letters, digits and '-'; nullopt if
  /// there is none. Notes that nobody has read for a season are removed.
  std::optional<std::string> readNote(const std::string &Name) const;
  Status writeNote(const std::string &Name, std::string_view Text) const;

  /// The key of compiling `Options`: 32 hexadecimal digits of XXH3 over the
  /// model's bytes and those of its external data, the options that matter for
  /// the code, the processor (if isa is "auto", or if it is tuned for) and
  /// `CompilerIdentity`.
  static Status computeKey(const limosa_compile_options &Options,
                           const std::string &CompilerIdentity,
                           std::string &Key);

private:
  void shrink(const std::string &Keep) const;

  std::string Folder;
  uint64_t MaxBytes;
};

} // namespace limosa::runtime

#endif // LIMOSA_RUNTIME_CACHE_H
