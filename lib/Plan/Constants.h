//===- Constants.h - The data section of a program --------------*- C++ -*-===//

#ifndef LIMOSA_LIB_PLAN_CONSTANTS_H
#define LIMOSA_LIB_PLAN_CONSTANTS_H

#include "limosa/IR/LimosaOps.h"
#include "limosa/Runtime/LimFile.h"
#include "limosa/Schema/program_generated.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Error.h"

namespace limosa::plan {

/// Adds constants to a file as they are first used, each once: equal bytes in
/// equal packing are one. A constant that is only used packed is never stored
/// plain.
class ConstantTable {
public:
  ConstantTable(fb::ProgramT &Program, runtime::LimFileWriter &File)
      : Program(Program), File(File) {}

  /// Index of the constant in the physical order of its type; `Spec` empty, or
  /// a packing of codegen::packConstant.
  llvm::Expected<uint32_t> add(ConstantOp Op, llvm::StringRef Spec = "");

private:
  fb::ProgramT &Program;
  runtime::LimFileWriter &File;
  llvm::DenseMap<std::pair<mlir::Attribute, mlir::Type>,
                 llvm::StringMap<uint32_t>>
      ByAttr;
  llvm::StringMap<uint32_t> ByContent; // hash, dtype, dims and packing
};

/// Little-endian bytes of a constant in the physical order of type `Ty`. Where
/// the attribute holds them like that they are referred to, not copied;
/// otherwise they are put into `Owned`.
llvm::Expected<llvm::ArrayRef<uint8_t>>
constantBytes(mlir::ElementsAttr Value, mlir::RankedTensorType Ty,
              std::vector<uint8_t> &Owned);

} // namespace limosa::plan

#endif // LIMOSA_LIB_PLAN_CONSTANTS_H
