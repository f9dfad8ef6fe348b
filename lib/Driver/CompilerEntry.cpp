//===- CompilerEntry.cpp - The C door: limosa_compiler_compile ------------===//

#include "limosa/Compiler.h"
#include "limosa/Driver/Driver.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Threading.h"

#include <cstring>

using namespace limosa;

namespace {

/// The caller's struct as this version knows it: what it did not fill in is
/// zero.
limosa_compile_options readOptions(const limosa_compile_options *Given) {
  limosa_compile_options O = {};
  if (Given)
    std::memcpy(&O, Given, std::min<uint64_t>(Given->size, sizeof(O)));
  return O;
}

llvm::Expected<bool> parseBool(llvm::StringRef Key, llvm::StringRef Value) {
  if (Value == "1" || Value == "on" || Value == "true")
    return true;
  if (Value == "0" || Value == "off" || Value == "false")
    return false;
  return llvm::createStringError("flag '" + Key + "' takes on or off, not '" +
                                 Value + "'");
}

/// What is done never, where an estimate says so, or always.
template <typename UseT>
llvm::Error parseUse(llvm::StringRef Key, llvm::StringRef Value, UseT &Out) {
  if (Value == "always") {
    Out = UseT::Always;
    return llvm::Error::success();
  }
  auto On = parseBool(Key, Value);
  if (!On)
    return On.takeError();
  Out = *On ? UseT::WhereFaster : UseT::Never;
  return llvm::Error::success();
}

llvm::Error parseFlag(llvm::StringRef Flag, CompileOptions &Out) {
  auto [Key, Value] = Flag.split('=');
  bool *Switch = llvm::StringSwitch<bool *>(Key)
                     .Case("fuse", &Out.Fuse)
                     .Case("layouts", &Out.Layouts)
                     .Case("graphs", &Out.KeepGraphs)
                     .Case("verify", &Out.Verify)
                     .Default(nullptr);
  if (Switch) {
    auto On = parseBool(Key, Value);
    if (!On)
      return On.takeError();
    *Switch = *On;
    return llvm::Error::success();
  }
  if (Key == "compile-threads") {
    if (Value.getAsInteger(10, Out.CompileThreads))
      return llvm::createStringError("compile-threads takes a number");
    return llvm::Error::success();
  }
  if (Key == "winograd")
    return parseUse(Key, Value, Out.Winograd);
  if (Key == "batch-loops")
    return parseUse(Key, Value, Out.BatchLoops);
  if (Key == "precision") {
    if (Value != "f32" && Value != "bf16")
      return llvm::createStringError("precision is f32 or bf16, not '" + Value +
                                     "'");
    Out.Precision = Value == "bf16" ? Precision::Bf16 : Precision::F32;
    return llvm::Error::success();
  }
  if (Key == "memory") {
    if (Value != "fast" && Value != "small")
      return llvm::createStringError("memory is fast or small, not '" + Value +
                                     "'");
    // Transformed filters take four times the memory of filters.
    if (Value == "small")
      Out.Winograd = WinogradUse::Never;
    return llvm::Error::success();
  }
  if (Key == "tune") {
    if (Value == "again") {
      Out.Tune = TuneUse::Again;
      return llvm::Error::success();
    }
    auto On = parseBool(Key, Value);
    if (!On)
      return On.takeError();
    Out.Tune = *On ? TuneUse::On : TuneUse::Off;
    return llvm::Error::success();
  }
  if (Key == "plant") {
    Out.Plant = Value.str();
    return llvm::Error::success();
  }
  for (auto [Prefix, Sizes] :
       {std::pair("dim.", &Out.FixedDims), std::pair("tune.", &Out.TuneSizes)})
    if (Key.consume_front(Prefix)) {
      int64_t Size;
      if (Value.getAsInteger(10, Size) || Size < 0)
        return llvm::createStringError(Prefix + Key + " takes a size");
      Sizes->push_back({Key.str(), Size});
      return llvm::Error::success();
    }
  if (Key.consume_front("input.")) {
    Out.Inputs.push_back({Key.str(), Value.str()});
    return llvm::Error::success();
  }
  return llvm::createStringError(
      "unknown flag '" + Key +
      "'; there are fuse, layouts, graphs, verify, compile-threads, "
      "winograd, batch-loops, precision, memory, tune, plant=<op>, "
      "dim.<name>, tune.<name> and input.<name>");
}

llvm::Expected<EmitKind> parseEmit(llvm::StringRef Name) {
  auto Kind = llvm::StringSwitch<std::optional<EmitKind>>(Name)
                  .Cases({"", "lim"}, EmitKind::Lim)
                  .Case("obj", EmitKind::Object)
                  .Case("mlir-import", EmitKind::MLIRImport)
                  .Case("mlir-core", EmitKind::MLIRCore)
                  .Case("mlir-dispatch", EmitKind::MLIRDispatch)
                  .Case("mlir-loops", EmitKind::MLIRLoops)
                  .Case("mlir-llvm", EmitKind::MLIRLLVM)
                  .Default(std::nullopt);
  if (!Kind)
    return llvm::createStringError(
        "cannot emit '" + Name +
        "'; there are lim, obj, mlir-import, mlir-core, mlir-dispatch, "
        "mlir-loops and mlir-llvm");
  return *Kind;
}

std::string text(const char *S, const char *Default) {
  return S && *S ? S : Default;
}

llvm::Error compile(const limosa_compile_options &O, CompileOptions &Options) {
  if (!O.model_path || !O.output_path)
    return llvm::createStringError(
        "a compile needs a model and an output file");
  std::string Path = O.model_path;
  llvm::StringRef Base = llvm::StringRef(Path).rsplit('/').second;
  if (Base.empty())
    Base = Path;
  Options.ModelName = Base.rsplit('.').first.str();
  Options.Entry = text(O.entry, "main");
  Options.Isa = text(O.isa, "auto");
  Options.Devices.clear();
  llvm::SmallVector<llvm::StringRef> Names;
  std::string Device = text(O.device, "cpu");
  llvm::StringRef(Device).split(Names, ',', -1, /*KeepEmpty=*/false);
  for (llvm::StringRef Name : Names)
    Options.Devices.push_back(Name.trim().str());
  for (uint32_t I = 0; I < O.plugin_count; ++I)
    Options.Plugins.push_back(O.plugins[I]);
  Options.Operators.assign(O.operators, O.operators + O.operator_count);
  for (uint32_t I = 0; I < O.flag_count; ++I)
    if (llvm::Error E = parseFlag(O.flags[I], Options))
      return E;
  Options.Threads = O.threads;
  if (Options.Threads == 0)
    Options.Threads = Options.Tune == TuneUse::Off
                          ? 1
                          : llvm::hardware_concurrency().compute_thread_count();
  auto Emit = parseEmit(text(O.emit, ""));
  if (!Emit)
    return Emit.takeError();

  mlir::MLIRContext Context(mlir::MLIRContext::Threading::DISABLED);
  prepareContext(Context);
  if (Options.Diagnostic)
    Options.Diagnostic(LIMOSA_DIAGNOSTIC_PROGRESS, "reading " + Path);
  auto Module = loadModel(Context, Path, Options);
  if (!Module)
    return Module.takeError();
  return compileModuleToFile(**Module, Options, *Emit, O.output_path);
}

} // namespace

int32_t limosa_compiler_compile(const limosa_compile_options *Given,
                                limosa_diagnostic_fn Diagnostic,
                                void *Context) {
  limosa_compile_options O = readOptions(Given);
  CompileOptions Options;
  if (Diagnostic)
    Options.Diagnostic = [&](int32_t Severity, const std::string &Message) {
      Diagnostic(Context, Severity, Message.c_str());
    };
  llvm::Error E = compile(O, Options);
  if (!E)
    return LIMOSA_STATUS_OK;
  std::string Message = llvm::toString(std::move(E));
  if (Diagnostic)
    Diagnostic(Context, LIMOSA_DIAGNOSTIC_ERROR, Message.c_str());
  if (llvm::StringRef(Message).contains("internal:"))
    return LIMOSA_STATUS_INTERNAL;
  return LIMOSA_STATUS_UNSUPPORTED;
}
