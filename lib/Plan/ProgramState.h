//===- ProgramState.h - What the entries of a program share -----*- C++ -*-===//

#ifndef LIMOSA_LIB_PLAN_PROGRAMSTATE_H
#define LIMOSA_LIB_PLAN_PROGRAMSTATE_H

#include "Constants.h"
#include "Exprs.h"
#include "limosa/Plan/Plan.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace limosa::plan {

/// A compact in a kernel: its count becomes a symbol after the launch.
struct CompactResult {
  unsigned Indices, Count; ///< numbers of the kernel's results
  std::string Symbol;
  DimExpr Capacity; ///< elements of the mask
};

struct KernelInfo {
  uint32_t Index = 0; ///< of Program.kernels
  uint32_t Device = 0;
  mlir::func::FuncOp Func;
  std::vector<uint32_t> Symbols;
  llvm::SmallVector<std::pair<unsigned, std::string>, 2> Packs;
  llvm::SmallVector<CompactResult, 1> Compacts;
  llvm::SmallVector<codegen::UpdatedOperand, 1> Updates;
};

struct ProgramState {
  mlir::ModuleOp Module;
  fb::ProgramT &Program;
  llvm::ArrayRef<PlanDevice> Devices;
  ExprTable Exprs;
  ConstantTable Constants;
  llvm::StringMap<KernelInfo> Kernels;
  llvm::StringMap<uint32_t> States;
};

/// Whether result `Result` of the kernel may be written over its argument
/// `Operand`.
bool mayTakeOver(const KernelInfo &Kernel, unsigned Operand, unsigned Result);

} // namespace limosa::plan

#endif // LIMOSA_LIB_PLAN_PROGRAMSTATE_H
