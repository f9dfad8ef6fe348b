//===- Outline.h - Groups to kernel functions -------------------*- C++ -*-===//

#ifndef LIMOSA_LIB_DISPATCH_OUTLINE_H
#define LIMOSA_LIB_DISPATCH_OUTLINE_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/StringMap.h"

namespace limosa::dispatch {

/// Makes kernel functions and the launches that call them. Equal kernels are
/// made once.
class Outliner {
public:
  explicit Outliner(mlir::ModuleOp Module);

  /// Copies `Ops` (in order; of one block) into a kernel named after `Root` and
  /// makes a launch of it at `Builder`'s insertion point. `Outputs` are the
  /// results that others use; the caller replaces them by the launch's. Splat
  /// constants and dims are copied in as well. `Device` is empty for generated
  /// code.
  mlir::Operation *outline(mlir::OpBuilder &Builder, mlir::Operation *Root,
                           llvm::ArrayRef<mlir::Operation *> Ops,
                           llvm::ArrayRef<mlir::Value> Outputs,
                           llvm::StringRef Device = "");

private:
  std::string makeName(mlir::Operation *Root, mlir::Location Loc);

  mlir::ModuleOp Module;
  mlir::SymbolTable Symbols;
  llvm::StringMap<mlir::func::FuncOp> Known; // by printed text
  unsigned Counter = 0;
};

} // namespace limosa::dispatch

#endif // LIMOSA_LIB_DISPATCH_OUTLINE_H
