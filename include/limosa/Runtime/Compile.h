//===- Compile.h - From a model to a .lim file, cached ----------*- C++ -*-===//

#ifndef LIMOSA_RUNTIME_COMPILE_H
#define LIMOSA_RUNTIME_COMPILE_H

#include "limosa/Runtime/Cache.h"

namespace limosa::runtime {

/// Compiles by way of libLimosaCompiler.so, which is loaded at the first call:
/// $LIMOSA_COMPILER_LIBRARY if set, else the one next to this library or in the
/// lib folder beside it, else the system's. The Status holds the first error
/// the compiler reported. Thread safe.
Status compileModel(const limosa_compile_options &Options,
                    limosa_diagnostic_fn Diagnostic, void *Context);

/// Where the compiler library would be loaded from; a bare name if it is left
/// to the system. Does not load it.
std::string compilerLibraryPath();

/// What stands for the compiler in keys of the cache: changes when the library
/// is replaced. Does not load it.
std::string compilerIdentity();

struct CachedModel {
  std::shared_ptr<const LimFile> File; ///< Null on failure.
  std::string Path;                    ///< Of the cache's entry.
  bool FromCache = false;
};

/// The compiled form of Options.model_path out of `C`, compiled first if it is
/// not there. Of several processes that miss the same entry at the same time
/// one compiles and the others wait for it. `S` is set on failure.
CachedModel loadOrCompile(const Cache &C, const limosa_compile_options &Options,
                          limosa_diagnostic_fn Diagnostic, void *Context,
                          Status &S);

} // namespace limosa::runtime

#endif // LIMOSA_RUNTIME_COMPILE_H
