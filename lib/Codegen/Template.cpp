//===- Template.cpp - How a kernel's template is chosen -------------------===//

#include "limosa/Codegen/Template.h"
#include "limosa/Codegen/FusionRules.h"
#include "limosa/IR/LimosaOps.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::codegen;

llvm::Expected<KernelAnalysis> KernelAnalysis::create(func::FuncOp Func) {
  if (!Func.getBody().hasOneBlock())
    return llvm::createStringError("kernel '" + Func.getName() +
                                   "' must have a body of one block");
  KernelAnalysis Result;
  Result.Func = Func;
  for (Operation &Op : Func.getBody().front()) {
    if (auto Return = dyn_cast<func::ReturnOp>(Op)) {
      llvm::append_range(Result.Outputs, Return.getOperands());
      break;
    }
    Result.Ops.push_back(&Op);
    if (!isPullable(&Op))
      Result.Anchors.push_back(&Op);
  }
  return Result;
}

const KernelTemplate *
TemplateRegistry::choose(const KernelAnalysis &Kernel,
                         const TargetOptions &Options) const {
  const KernelTemplate *Best = nullptr;
  int BestScore = -1;
  for (const KernelTemplate &T : Templates)
    if (std::optional<int> Score = T.Match(Kernel, Options);
        Score && *Score > BestScore) {
      Best = &T;
      BestScore = *Score;
    }
  return Best;
}

TemplateRegistry TemplateRegistry::all() {
  TemplateRegistry Registry;
  addLoopTemplates(Registry);
  addProductTemplates(Registry);
  addIrregularTemplates(Registry);
  return Registry;
}
