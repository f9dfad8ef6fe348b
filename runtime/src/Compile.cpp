//===- Compile.cpp - From a model to a .lim file, cached ------------------===//

#include "limosa/Runtime/Compile.h"
#include "Libraries.h"
#include "limosa/Runtime/FileLock.h"

#include <dlfcn.h>
#include <unistd.h>

using namespace limosa::runtime;

namespace {

/// The compiler's entry; null sets `S`. The library is never unloaded.
limosa_compiler_compile_fn compilerEntry(Status &S) {
  std::string Path = compilerLibraryPath();
  void *Library = dlopen(Path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!Library) {
    const char *Why = dlerror();
    S = {LIMOSA_STATUS_NOT_FOUND,
         std::string("cannot load the compiler (set LIMOSA_COMPILER_LIBRARY, "
                     "or compile the model beforehand): ") +
             (Why ? Why : Path.c_str())};
    return nullptr;
  }
  void *Entry = dlsym(Library, "limosa_compiler_compile");
  if (!Entry)
    S = {LIMOSA_STATUS_UNSUPPORTED,
         "'" + Path +
             "' is not the compiler: no limosa_compiler_compile in it"};
  return reinterpret_cast<limosa_compiler_compile_fn>(Entry);
}

/// Passes diagnostics on and keeps the first error.
struct DiagnosticRelay {
  limosa_diagnostic_fn Next;
  void *NextContext;
  std::string FirstError;

  static void call(void *Self, int32_t Severity, const char *Message) {
    auto *This = static_cast<DiagnosticRelay *>(Self);
    if (Severity == LIMOSA_DIAGNOSTIC_ERROR && This->FirstError.empty())
      This->FirstError = Message;
    if (This->Next)
      This->Next(This->NextContext, Severity, Message);
  }
};

} // namespace

std::string limosa::runtime::compilerLibraryPath() {
  return libraryPath("LIMOSA_COMPILER_LIBRARY", "libLimosaCompiler.so");
}

std::string limosa::runtime::compilerIdentity() {
  return std::string(LIMOSA_VERSION_STRING) + ":" +
         fileIdentity(compilerLibraryPath());
}

Status limosa::runtime::compileModel(const limosa_compile_options &Options,
                                     limosa_diagnostic_fn Diagnostic,
                                     void *Context) {
  if (!Options.model_path || !Options.output_path)
    return invalidArgument("model_path and output_path have to be set");
  Status S;
  limosa_compiler_compile_fn Compile = compilerEntry(S);
  if (!Compile)
    return S;
  DiagnosticRelay Relay = {Diagnostic, Context, {}};
  if (int32_t Code = Compile(&Options, DiagnosticRelay::call, &Relay))
    return {Code,
            Relay.FirstError.empty()
                ? "cannot compile '" + std::string(Options.model_path) + "'"
                : Relay.FirstError};
  return {};
}

CachedModel limosa::runtime::loadOrCompile(
    const Cache &C, const limosa_compile_options &Options,
    limosa_diagnostic_fn Diagnostic, void *Context, Status &S) {
  CachedModel Result;
  std::string Key;
  S = Cache::computeKey(Options, compilerIdentity(), Key);
  if (!S.ok())
    return Result;
  Result.Path = C.path(Key);
  Result.FromCache = true;
  const std::string Model = Options.model_path;
  if ((Result.File = C.lookup(Key, Model)))
    return Result;

  std::string Temporary;
  S = C.prepare(Key, Temporary);
  if (!S.ok())
    return Result;
  // One lock for all keys that begin alike: no file per entry is left behind.
  FileLock Lock(C.folder() + "/lock-" + Key.substr(0, 2));
  if ((Result.File = C.lookup(Key, Model)))
    return Result;
  Result.FromCache = false;
  limosa_compile_options ToFile = Options;
  ToFile.output_path = Temporary.c_str();
  ToFile.emit = nullptr;
  S = compileModel(ToFile, Diagnostic, Context);
  if (!S.ok()) {
    unlink(Temporary.c_str());
    return Result;
  }
  // Opened before it is published: with a tiny limit it may be gone after.
  Result.File = LimFile::open(Temporary, S, /*CheckData=*/false, Model);
  if (!Result.File) {
    unlink(Temporary.c_str());
    return Result;
  }
  S = C.publish(Key, Temporary);
  if (!S.ok())
    Result.File = nullptr;
  return Result;
}
