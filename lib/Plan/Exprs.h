//===- Exprs.h - Expressions and symbols of a program -----------*- C++ -*-===//

#ifndef LIMOSA_LIB_PLAN_EXPRS_H
#define LIMOSA_LIB_PLAN_EXPRS_H

#include "limosa/IR/Types.h"
#include "limosa/Schema/program_generated.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

namespace limosa::plan {

/// The tables Program.exprs and Program.symbols. Equal entries are one.
class ExprTable {
public:
  ExprTable(mlir::ModuleOp Module, fb::ProgramT &Program)
      : Module(Module), Program(Program) {}

  /// Index of an expression; its symbols are added too.
  uint32_t add(const DimExpr &E);
  std::vector<uint32_t> add(llvm::ArrayRef<DimExpr> Es);
  uint32_t symbol(llvm::StringRef Name);
  /// A symbol that nothing else uses.
  std::string freshSymbol(llvm::StringRef Hint);

private:
  mlir::ModuleOp Module;
  fb::ProgramT &Program;
  llvm::StringMap<uint32_t> Exprs, Symbols;
};

/// Upper bounds of expressions by symbols that are known when an entry starts.
class SizeBounds {
public:
  SizeBounds(mlir::ModuleOp Module, mlir::TypeRange Inputs);

  bool isKnown(const DimExpr &E) const;
  /// `Symbol` always has this value when it is used.
  void define(llvm::StringRef Symbol, const DimExpr &Value) {
    Defined[Symbol] = Value;
  }
  /// An expression of known symbols that is at least `E`; `E` itself if it is
  /// known. Nothing if no bound shows.
  std::optional<DimExpr> upper(const DimExpr &E) const { return upper(E, 0); }

private:
  std::optional<DimExpr> upper(const DimExpr &E, unsigned Depth) const;
  std::optional<DimExpr> upperAtom(const DimAtom &A, unsigned Depth) const;

  mlir::ModuleOp Module;
  llvm::StringSet<> Known;
  llvm::StringMap<DimExpr> Defined;
};

/// Bytes of a dense tensor.
DimExpr tensorBytes(DType T, const DimExpr &Elements);

} // namespace limosa::plan

#endif // LIMOSA_LIB_PLAN_EXPRS_H
