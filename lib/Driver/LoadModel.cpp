//===- LoadModel.cpp - Models from files ----------------------------------===//

#include "Diagnostics.h"

#include "limosa/Driver/Driver.h"
#include "limosa/Frontend/ImportOnnx.h"
#include "mlir/Parser/Parser.h"

using namespace mlir;

namespace limosa {

llvm::Expected<OwningOpRef<ModuleOp>> loadModel(MLIRContext &Context,
                                                const std::string &Path,
                                                const CompileOptions &Options) {
  if (!StringRef(Path).ends_with(".mlir")) {
    OnnxImportOptions Import;
    Import.EntryName = Options.Entry;
    for (const auto &[Name, Size] : Options.FixedDims)
      Import.FixedDims[Name] = Size;
    for (const auto &[Name, Spec] : Options.Inputs)
      Import.Inputs[Name] = Spec;
    Import.Operators = Options.Operators;
    return importOnnx(Context, Path, Import);
  }
  DiagnosticCollector Diagnostics(&Context, Options);
  auto Module = parseSourceFile<ModuleOp>(Path, ParserConfig(&Context));
  if (!Module)
    return Diagnostics.takeError("cannot read '" + Path + "'");
  return Module;
}

} // namespace limosa
