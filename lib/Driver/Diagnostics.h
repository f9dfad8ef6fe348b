//===- Diagnostics.h - MLIR's diagnostics as one-line messages --*- C++ -*-===//

#ifndef LIMOSA_LIB_DRIVER_DIAGNOSTICS_H
#define LIMOSA_LIB_DRIVER_DIAGNOSTICS_H

#include "limosa/Driver/Driver.h"
#include "mlir/IR/Diagnostics.h"

namespace limosa {

/// While it lives, errors of the context are collected, everything else goes to
/// the options' callback. Messages begin with the model's node.
class DiagnosticCollector {
public:
  DiagnosticCollector(mlir::MLIRContext *Context,
                      const CompileOptions &Options);

  /// The first error since the last call, or `Otherwise`.
  llvm::Error takeError(const std::string &Otherwise);

private:
  std::string First;
  mlir::ScopedDiagnosticHandler Handler;
};

} // namespace limosa

#endif // LIMOSA_LIB_DRIVER_DIAGNOSTICS_H
