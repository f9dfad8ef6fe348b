//===- Driver.h - The compiler as one call ----------------------*- C++ -*-===//
//
// From a module of core ops and composites (or a model's file) to a .lim file.
// The C entry point over this is limosa/Compiler.h.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_DRIVER_DRIVER_H
#define LIMOSA_DRIVER_DRIVER_H

#include "limosa/Support/WinogradLayout.h"
#include "limosa/Transforms/Passes.h"
#include "limosa/device.h"
#include "limosa/operator.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/Support/Error.h"
#include <functional>
#include <string>
#include <vector>

namespace limosa {

enum class EmitKind : uint8_t {
  Lim,
  Object,       ///< relocatable object for the system linker
  MLIRImport,   ///< as imported
  MLIRCore,     ///< core ops after the transforms
  MLIRDispatch, ///< kernels and launches
  MLIRLoops,    ///< loops of the kernels
  MLIRLLVM      ///< kernels in the LLVM dialect
};

/// What f32 models are computed in. Bf16: weights and values between kernels
/// are stored as bf16, products of bf16 are summed in f32.
enum class Precision : uint8_t { F32, Bf16 };

/// Whether kernels' choices are timed (limosa/Tuning) and what is known of them
/// is used.
enum class TuneUse : uint8_t {
  Off,
  On,
  Again ///< as if nothing were known
};

struct CompileOptions {
  std::string ModelName = "model";
  std::string Entry = "main";
  /// Names of devices in order of preference, the last of which takes what the
  /// others refuse.
  std::vector<std::string> Devices = {"cpu"};
  /// Shared libraries to find devices in, besides the built-in ones.
  std::vector<std::string> Plugins;
  std::string Isa = "auto";
  unsigned Threads = 1;        ///< threads the model will run on
  unsigned CompileThreads = 0; ///< 0: as many as there are processors
  bool Fuse = true;            ///< off: a kernel for every op
  bool Layouts = true;         ///< off: everything row-major
  /// 3 x 3 convolutions by minimal filtering.
  WinogradUse Winograd = WinogradUse::WhereFaster;
  /// The first layers for one element of a batch at a time.
  BatchLoopUse BatchLoops = BatchLoopUse::WhereFaster;
  limosa::Precision Precision = limosa::Precision::F32;
  TuneUse Tune = TuneUse::Off;
  /// What to take symbols in kernels' shapes for when they are timed.
  std::vector<std::pair<std::string, int64_t>> TuneSizes;
  bool KeepGraphs = true; ///< keep core ops for verify and inspect
  bool Verify = false;    ///< check the IR after every pass
  /// If not empty: the mnemonic of an op whose code is to be wrong, in every
  /// kernel, so that what finds wrong kernels can be tested.
  std::string Plant;
  /// Sizes for named dimensions of the inputs.
  std::vector<std::pair<std::string, int64_t>> FixedDims;
  /// What is known of inputs (OnnxImportOptions::Inputs).
  std::vector<std::pair<std::string, std::string>> Inputs;
  /// Operators that users registered.
  std::vector<const limosa_operator *> Operators;

  /// One-line messages (LIMOSA_DIAGNOSTIC_*); may be empty.
  std::function<void(int32_t Severity, const std::string &Message)> Diagnostic;
};

/// Registers and loads what compiling needs. Call once for a context.
void prepareContext(mlir::MLIRContext &Context);

/// Reads a .onnx or .mlir file. The context keeps mapped files alive.
llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>>
loadModel(mlir::MLIRContext &Context, const std::string &Path,
          const CompileOptions &Options);

/// Compiles a module, which is used up, to the bytes of a .lim file.
llvm::Expected<std::vector<uint8_t>>
compileModule(mlir::ModuleOp Module, const CompileOptions &Options);

/// Compiles a module, which is used up, to `Path`, written under a temporary
/// name and then renamed.
llvm::Error compileModuleToFile(mlir::ModuleOp Module,
                                const CompileOptions &Options, EmitKind Emit,
                                const std::string &Path);

} // namespace limosa

#endif // LIMOSA_DRIVER_DRIVER_H
