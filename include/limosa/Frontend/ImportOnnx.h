//===- ImportOnnx.h - From an .onnx file to the limosa dialect --*- C++ -*-===//
//
// Reads a model and writes it as one function of core ops and composites.
// Implements the ONNX specification, opset 7 and later, of the domains "" and,
// in part, "com.microsoft"; docs/onnx.md lists the operators.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_FRONTEND_IMPORTONNX_H
#define LIMOSA_FRONTEND_IMPORTONNX_H

#include "limosa/operator.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace limosa {

struct OnnxImportOptions {
  /// Name of the function that is made.
  std::string EntryName = "main";
  /// Fixes named dimensions of the inputs, e.g. {"batch", 1}.
  llvm::StringMap<int64_t> FixedDims;
  /// What is known of inputs beyond their declarations, by name: "{1,-2}" is a
  /// value, "2x?" a shape, "[2x3;4x3]" a sequence of tensors of these shapes,
  /// "none" an empty optional. A value makes the input a constant; sequence `s`
  /// becomes the inputs `s[0]`, `s[1]` ...
  llvm::StringMap<std::string> Inputs;
  /// Initialisers that are also graph inputs become inputs (kind "parameter"),
  /// not constants.
  bool InitializersAsInputs = false;
  /// Operators that users registered. They come before Limosa's own and the
  /// model's functions.
  std::vector<const limosa_operator *> Operators;
};

/// Imports the model at `Path`; "-" reads the standard input.
///
/// The module holds one entry function `EntryName` (attribute `limosa.entry`)
/// whose arguments and results carry `limosa.name`, the private functions that
/// define the composites used, and `limosa.symbols`. Every named dimension of
/// an input becomes a symbol. Every op's location is the name of its node.
///
/// Large weights are dense resources that map the file (or its external data)
/// and keep it mapped as long as `Context` lives; the file must not change.
///
/// A model that cannot be imported is an error: one message that names the
/// cause, or all nodes that have no translation, each with its reason. Nothing
/// in a file makes the importer crash, read outside of the model's folder, or
/// allocate much more than the file's size. Thread safe for distinct contexts.
llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>>
importOnnx(mlir::MLIRContext &Context, llvm::StringRef Path,
           const OnnxImportOptions &Options = {});

/// The same for a model in memory; external data is looked for in `Folder`.
llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>>
importOnnxBytes(mlir::MLIRContext &Context, llvm::StringRef Bytes,
                llvm::StringRef Folder, const OnnxImportOptions &Options = {});

/// Writes the table of operators as Markdown (docs/onnx.md).
void printOnnxOperators(llvm::raw_ostream &OS);

} // namespace limosa

#endif // LIMOSA_FRONTEND_IMPORTONNX_H
