//===- Symbols.h - The module's symbols -------------------------*- C++ -*-===//
//
// `limosa.symbols` of a module: a dictionary from symbol name to
// #limosa.symbol. Bare symbols of entry inputs are bound by the shapes given;
// others by bind_symbol or compact.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_IR_SYMBOLS_H
#define LIMOSA_IR_SYMBOLS_H

#include "limosa/IR/LimosaDialect.h"
#include "mlir/IR/BuiltinOps.h"

namespace limosa {

/// What is known about `Name`; the default (any size >= 0) if nothing is.
SymbolAttr getSymbolInfo(mlir::ModuleOp Module, llvm::StringRef Name);
void setSymbolInfo(mlir::ModuleOp Module, llvm::StringRef Name,
                   SymbolAttr Info);
/// A name that no symbol of the module has, beginning with `Hint`, and declares
/// it with `Info`.
std::string makeFreshSymbol(mlir::ModuleOp Module, llvm::StringRef Hint,
                            SymbolAttr Info);

// Names of discardable attributes used across layers.
inline constexpr llvm::StringLiteral SymbolsAttrName = "limosa.symbols";
/// On entry function arguments and results: the model's name (string).
inline constexpr llvm::StringLiteral NameAttrName = "limosa.name";
/// On entry function arguments: "input" (default), "parameter" or "state".
inline constexpr llvm::StringLiteral KindAttrName = "limosa.kind";
/// On entry function results: index (i64) of the argument whose memory the
/// result takes over.
inline constexpr llvm::StringLiteral AliasAttrName = "limosa.alias";
/// On entry function arguments and results that hold numbers of strings (i64):
/// the user gives and gets the strings (unit).
inline constexpr llvm::StringLiteral StringsAttrName = "limosa.strings";
/// On modules: the strings of numbers 0, 1, .. (array). Number 0 is "".
inline constexpr llvm::StringLiteral StringTableAttrName =
    "limosa.string_table";
/// On functions: entry points, outlined kernels, composite bodies (unit).
inline constexpr llvm::StringLiteral EntryAttrName = "limosa.entry";
inline constexpr llvm::StringLiteral KernelAttrName = "limosa.kernel";
inline constexpr llvm::StringLiteral CompositeAttrName = "limosa.composite";
/// On composites that a device takes whole, not to be inlined (unit).
inline constexpr llvm::StringLiteral ClaimedAttrName = "limosa.claimed";

} // namespace limosa

#endif // LIMOSA_IR_SYMBOLS_H
