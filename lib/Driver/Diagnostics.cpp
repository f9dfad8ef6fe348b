//===- Diagnostics.cpp - MLIR's diagnostics as one-line messages ----------===//

#include "Diagnostics.h"

#include "limosa/Compiler.h"
#include "limosa/Dispatch/Fusion.h"

using namespace mlir;

namespace limosa {

static std::string oneLine(Diagnostic &D) {
  std::string Text;
  SmallVector<std::string> Nodes = modelNodes(D.getLocation());
  if (!Nodes.empty()) {
    Text = "node '" + Nodes.front() + "': ";
  } else if (auto File = dyn_cast<FileLineColLoc>(D.getLocation())) {
    Text =
        File.getFilename().str() + ":" + std::to_string(File.getLine()) + ": ";
  }
  Text += D.str();
  std::replace(Text.begin(), Text.end(), '\n', ' ');
  return Text;
}

DiagnosticCollector::DiagnosticCollector(MLIRContext *Context,
                                         const CompileOptions &Options)
    : Handler(Context, [this, &Options](Diagnostic &D) {
        if (D.getSeverity() == DiagnosticSeverity::Error) {
          if (First.empty())
            First = oneLine(D);
          return success();
        }
        if (Options.Diagnostic)
          Options.Diagnostic(D.getSeverity() == DiagnosticSeverity::Warning
                                 ? LIMOSA_DIAGNOSTIC_WARNING
                                 : LIMOSA_DIAGNOSTIC_REMARK,
                             oneLine(D));
        return success();
      }) {}

llvm::Error DiagnosticCollector::takeError(const std::string &Otherwise) {
  std::string Message = First.empty() ? Otherwise : First;
  First.clear();
  return llvm::createStringError(Message);
}

} // namespace limosa
