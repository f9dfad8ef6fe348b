//===- Lowered.h - A program as the executor wants it -----------*- C++ -*-===//
//
// What is made of a FlatBuffers Program when it is loaded: expressions as
// postfix code, blocks as flat instructions with jumps. Immutable.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_RUNTIME_SRC_LOWERED_H
#define LIMOSA_RUNTIME_SRC_LOWERED_H

#include "StringPool.h"
#include "limosa/Runtime/Context.h"
#include "limosa/Runtime/Operators.h"
#include "limosa/Runtime/SymbolExpr.h"
#include "limosa/Schema/program_generated.h"
#include "limosa/Support/DType.h"

#include <span>

namespace limosa::runtime {

inline constexpr uint32_t NoIndex = 0xffffffffu;

struct LoweredBuffer {
  fb::BufferKind Kind;
  DType Type;
  bool Lazy; // Output and Dynamic: the memory is made while running
  uint32_t Device;
  uint32_t Source;
  uint32_t Home;   // the buffer whose memory it has: itself unless a view
  uint32_t Offset; // expression
  std::span<const uint32_t> Dims;
  std::span<const uint8_t> Order;
  const char *Name;
};

struct LoweredLaunch {
  uint32_t Kernel;
  bool HasLazy; // one of the buffers is
  std::span<const uint32_t> Buffers;
  std::span<const uint32_t> Symbols;
};

struct LoweredHostOp {
  const fb::HostOp *Table;
  std::span<const uint32_t> Inputs; // NoIndex: not given
  std::span<const uint32_t> Outputs;
  std::span<const uint32_t> Symbols; // that the call gives a value
  std::vector<bool> Open;            // by output: the call says its size
  std::vector<bool> StringInputs, StringOutputs; // held as numbers
  std::shared_ptr<OperatorAttributes> AttributeMemory;
  std::span<const limosa_operator_attribute *const> Attributes;
  std::shared_ptr<const Operator> Operator; // set when the module is loaded
};

enum class Opcode : uint8_t {
  Launch,     // A: launch
  Copy,       // A: source, B: destination
  BindSymbol, // A: symbol, B: buffer, Wide: element
  SetSymbol,  // A: symbol, B: expression
  StoreExprs, // A: buffer, Table: fb::StoreExprs
  Alloc,      // A: buffer
  Free,       // A: buffer
  Swap,       // A, B: buffers
  Jump,       // A: target
  JumpUnless, // A: target, B: condition buffer
  Assert,     // A: condition buffer, Table: fb::Assert
  AssertExpr, // A, B: expressions, Table: fb::AssertExpr
  HostOp,     // A: host operator
  Wait,       // A: device
};

struct Instruction {
  Opcode Op;
  uint32_t A = 0;
  uint32_t B = 0;
  uint64_t Wide = 0;
  const void *Table = nullptr;
};

struct LoweredEntry {
  const fb::Entry *Table;
  std::vector<LoweredBuffer> Buffers;
  std::vector<LoweredLaunch> Launches;
  std::vector<LoweredHostOp> HostOps;
  std::vector<Instruction> Code;
  /// Outputs that replace an argument and whose buffer is read before it is
  /// written: it has to hold the argument's value at the start.
  std::vector<bool> OutputNeedsValue;
  /// An argument holds strings.
  bool Strings = false;
};

struct LoweredKernel {
  const fb::Kernel *Table;
  const DeviceEntry *Device;
  uint32_t DeviceIndex;
  limosa_executable *Executable;
  uint64_t Handle;
};

/// A constant in the memory of a device that the host cannot see.
struct UploadedConstant {
  uint32_t Device;
  uint32_t Constant;
  limosa_buffer *Buffer;
};

struct LoweredProgram {
  const fb::Program *Table;
  std::vector<SymbolExpr> Exprs;
  StringTable Strings;
  std::vector<const DeviceEntry *> Devices;
  std::vector<limosa_executable *> Executables; // null until loaded
  std::vector<LoweredKernel> Kernels;
  std::vector<LoweredEntry> Entries;
  std::vector<UploadedConstant> Uploaded;
};

/// Fills everything but what belongs to devices. The program has been
/// validated.
void lowerProgram(const fb::Program &P, LoweredProgram &Out);

} // namespace limosa::runtime

#endif // LIMOSA_RUNTIME_SRC_LOWERED_H
