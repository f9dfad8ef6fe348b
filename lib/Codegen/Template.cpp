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

int64_t KernelAnalysis::chooseNumber(StringRef Name, int64_t Estimate,
                                     int64_t Least, int64_t Most) const {
  SmallVector<int64_t> Numbers = nearNumbers(Estimate, Least, Most);
  return Numbers[choose(Name, llvm::map_to_vector(Numbers, [](int64_t N) {
                          return std::to_string(N);
                        }))];
}

const KernelTemplate *
TemplateRegistry::choose(const KernelAnalysis &Kernel,
                         const TargetOptions &Options) const {
  SmallVector<std::pair<int, const KernelTemplate *>> Matches;
  for (const KernelTemplate &T : Templates)
    if (std::optional<int> Score = T.Match(Kernel, Options))
      Matches.insert(
          llvm::upper_bound(Matches, *Score,
                            [](int S, auto &M) { return S > M.first; }),
          {*Score, &T});
  if (Matches.empty())
    return nullptr;
  // What a template chose while it was asked for its score does not matter
  // unless it is taken.
  if (Kernel.Decides)
    Kernel.Decides->forget();
  SmallVector<std::string> Ways;
  for (auto &[Score, T] : Matches)
    if (Score > 0 || Ways.empty())
      Ways.push_back(T->Name.str());
  return Matches[Kernel.choose("template", Ways)].second;
}

TemplateRegistry TemplateRegistry::all() {
  TemplateRegistry Registry;
  addLoopTemplates(Registry);
  addProductTemplates(Registry);
  addIrregularTemplates(Registry);
  return Registry;
}
