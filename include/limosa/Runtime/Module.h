//===- Module.h - A compiled model, ready to run ----------------*- C++ -*-===//

#ifndef LIMOSA_RUNTIME_MODULE_H
#define LIMOSA_RUNTIME_MODULE_H

#include "limosa/Runtime/Context.h"
#include "limosa/Runtime/LimFile.h"

#include <optional>

namespace limosa::runtime {

struct LoweredProgram;

/// A .lim file whose executables are loaded on the context's devices. Immutable
/// and thread safe; any number of instances share it.
class Module {
public:
  /// On failure (a device or an operator that is missing, code the processor
  /// cannot run)
  /// returns null and sets `S`.
  static std::shared_ptr<const Module> load(std::shared_ptr<Context> C,
                                            std::shared_ptr<const LimFile> File,
                                            Status &S);
  ~Module();
  Module(const Module &) = delete;
  Module &operator=(const Module &) = delete;

  const std::shared_ptr<Context> &context() const { return Ctx; }
  const LimFile &file() const { return *File; }
  const fb::Program &program() const { return File->program(); }
  std::optional<uint32_t> findEntry(std::string_view Name) const;
  /// For the runtime's own use.
  const LoweredProgram &lowered() const { return *Lowered; }

private:
  Module() = default;
  Status loadDevices();
  Status loadExecutables();
  Status loadConstants();
  Status loadOperators();

  std::shared_ptr<Context> Ctx;
  std::shared_ptr<const LimFile> File;
  std::unique_ptr<LoweredProgram> Lowered;
};

} // namespace limosa::runtime

#endif // LIMOSA_RUNTIME_MODULE_H
