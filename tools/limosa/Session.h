//===- Session.h - A model that a command works on --------------*- C++ -*-===//

#ifndef LIMOSA_TOOLS_SESSION_H
#define LIMOSA_TOOLS_SESSION_H

#include "HostTensor.h"
#include "Terminal.h"
#include "limosa/Runtime/Instance.h"
#include "limosa/Schema/program_generated.h"

#include <map>

namespace CLI {
class App;
}

namespace limosa::tool {

using runtime::Status;

/// What the commands that take a model have in common.
struct ModelOptions {
  std::string Path;
  std::string Device = "cpu";
  std::string Isa = "auto";
  std::string Entry;
  std::string Precision = "f32";
  std::string Memory = "fast";
  unsigned Threads = 0;
  bool Tune = false;
  /// What to take open sizes for when kernels are timed: "batch=4".
  std::vector<std::string> TuneSizes;
  std::vector<std::string> Plugins;
  std::vector<std::string> Flags;
  std::vector<std::string> OperatorLibraries;
  bool NoCache = false;

  /// Adds them to a command; `Path` as its positional argument.
  void addTo(CLI::App &Command);
  /// Adds those that matter for compiling only.
  void addCompileOptionsTo(CLI::App &Command);
  bool isBf16() const { return Precision == "bf16"; }
  /// For the compiler, valid as long as these options do not change.
  limosa_compile_options compileOptions();
  /// Loads the operator libraries into a registry, and shows the compiler what
  /// it has.
  Status loadOperators(runtime::OperatorRegistry &Registry);

private:
  std::vector<std::string> TuneFlags;
  std::vector<const char *> FlagPointers, PluginPointers;
  runtime::OperatorTables Operators;
};

/// A shape as the program gives it.
struct ArgumentInfo {
  std::string Name;
  DType Type;
  std::vector<std::string> Dims; ///< Expressions of symbols.
  std::string text() const;      ///< "f32[batch, 3, 224, 224]"
};

using SymbolValues = std::map<std::string, int64_t>;

/// Evaluates an expression of the program; nullopt if a symbol has no value.
std::optional<int64_t> evaluate(const std::string &Expression,
                                const SymbolValues &Symbols);

/// A loaded model with one instance. Not thread safe.
class Session {
public:
  /// Loads a .lim file, or compiles any other model by way of the cache.
  /// Warnings and remarks of the compiler are printed as they come.
  Status open(ModelOptions &Options, Progress &Bar);

  const runtime::Module &module() const { return *Module; }
  const fb::Program &program() const { return Module->program(); }
  runtime::Instance &instance() { return *Instance; }
  uint32_t entry() const { return Entry; }
  const fb::Entry &entryTable() const;
  const std::vector<ArgumentInfo> &inputs() const { return Inputs; }
  const std::vector<ArgumentInfo> &outputs() const { return Outputs; }
  bool fromCache() const { return FromCache; }

  /// Runs the entry; `Results` gets the outputs in the model's order.
  Status run(const std::vector<NamedTensor> &Arguments,
             std::vector<NamedTensor> &Results);
  /// Runs without keeping the outputs, for timing.
  Status runOnly(const std::vector<NamedTensor> &Arguments);
  /// Symbols and their values after a run.
  SymbolValues symbols();

private:
  Status runRaw(const std::vector<NamedTensor> &Arguments,
                std::vector<limosa_tensor> &Raw);

  std::shared_ptr<runtime::Context> Context;
  std::shared_ptr<const runtime::Module> Module;
  std::unique_ptr<runtime::Instance> Instance;
  std::vector<ArgumentInfo> Inputs, Outputs;
  uint32_t Entry = 0;
  bool FromCache = false;
};

/// Whether the file begins with the mark of compiled models.
bool isCompiledModel(const std::string &Path);

/// Path of a file of this build or installation, given from the folder that
/// holds bin/ with this command; "" if there is none.
std::string besideExecutable(const std::string &Path);

/// Compiles with progress on the terminal. Errors come back as the Status,
/// which has all lines that the compiler said.
Status compileModel(const limosa_compile_options &Options, Progress &Bar);

} // namespace limosa::tool

#endif // LIMOSA_TOOLS_SESSION_H
