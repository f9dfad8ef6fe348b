//===- Plan.h - From launches to the program of a .lim file -----*- C++ -*-===//
//
// Turns a dispatched module (launches, views, control flow) into the register
// program of runtime/schema/program.fbs: a buffer for every value, memory from
// lifetimes, symbols, constants with their packed copies.
//
// Memory: values that alias or take over each other's memory share a storage.
// Storages whose size follows from the entry's inputs lie in the arena of their
// device at offsets that are formulas of the symbols; storages of other sizes
// are allocated while the program runs.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_PLAN_PLAN_H
#define LIMOSA_PLAN_PLAN_H

#include "limosa/Codegen/Codegen.h"
#include "limosa/Runtime/LimFile.h"
#include "limosa/Schema/program_generated.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace limosa {

/// A device the program runs on. Number 0 is the host's CPU.
struct PlanDevice {
  std::string Name;
  /// Its launches take addresses of host memory, so that it shares the arena
  /// and the buffers of the CPU. Otherwise operands are copied to and fro.
  bool SharesHostMemory = true;
};

/// Machine code, or what else a device loads, with the kernels in it.
struct PlanExecutable {
  uint32_t Device = 0;
  std::string Format; ///< "elf-x86_64", or the device's own
  std::string Isa;
  std::vector<uint8_t> Bytes;
  std::vector<codegen::CompiledKernel> Kernels;
};

struct PlanOptions {
  std::string ModelName;
  std::string Producer;
  std::vector<PlanDevice> Devices;
  /// Keep the core ops of every kernel, for `limosa verify` and `inspect`.
  bool KeepGraphs = true;
  /// Written to Program.options for `inspect`.
  std::vector<std::pair<std::string, std::string>> Options;
};

/// Plans all functions marked `limosa.entry`. Code and constants are added to
/// `File`, which keeps references into `Module`'s constants: write it before
/// the module goes. Fails, naming kernel or value, when a launch has no
/// compiled kernel or a constant's bytes are missing.
llvm::Expected<fb::ProgramT>
planProgram(mlir::ModuleOp Module, std::vector<PlanExecutable> Executables,
            const PlanOptions &Options, runtime::LimFileWriter &File);

/// The finished buffer for LimFileWriter::write.
std::vector<uint8_t> finishProgram(const fb::ProgramT &Program);

} // namespace limosa

#endif // LIMOSA_PLAN_PLAN_H
