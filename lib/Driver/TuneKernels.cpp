//===- TuneKernels.cpp - Choices of a program's kernels by the clock ------===//

#include "TuneKernels.h"

#include "limosa/Compiler.h"
#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Types.h"
#include "limosa/Runtime/Compile.h"
#include "limosa/Runtime/FileLock.h"

#include <set>

using namespace mlir;

namespace limosa {

/// Bytes of all constants: what a run reads once, mostly.
static uint64_t weightBytes(ModuleOp Module) {
  uint64_t Sum = 0;
  Module.walk([&](ConstantOp Op) {
    auto Ty = cast<RankedTensorType>(Op.getResult().getType());
    Sum += dtypeBytes(getDType(Ty.getElementType()), Ty.getNumElements());
  });
  return Sum;
}

llvm::Expected<std::vector<tuning::Verdict>>
tuneKernels(ModuleOp Module, ArrayRef<func::FuncOp> Kernels,
            const codegen::TargetOptions &Target,
            const CompileOptions &Options) {
  auto Say = [&](int32_t Severity, const std::string &Text) {
    if (Options.Diagnostic)
      Options.Diagnostic(Severity, Text);
  };
  auto Info = getTargetInfo(Target.Isa);
  if (!Info)
    return Info.takeError();
  auto Watch =
      tuning::makeStopwatch(Target.Workers, Info->Isa, weightBytes(Module));
  if (!Watch)
    return Watch.takeError();

  const runtime::Cache Notes;
  if (runtime::Status S = Notes.makeFolder())
    return llvm::createStringError(S.message());
  Say(LIMOSA_DIAGNOSTIC_PROGRESS, "waiting for others that tune kernels");
  runtime::FileLock Alone(Notes.folder() + "/lock-tuning");
  tuning::TunerOptions Settings;
  Settings.Target = Target;
  Settings.Target.Isa = Info->Isa;
  Settings.Symbols.insert(Options.TuneSizes.begin(), Options.TuneSizes.end());
  Settings.Notes = &Notes;
  Settings.Compiler = runtime::compilerIdentity();
  Settings.Again = Options.Tune == TuneUse::Again;
  tuning::Tuner Tuner(**Watch, std::move(Settings));

  std::vector<tuning::Verdict> Verdicts;
  std::set<std::string> Open;
  unsigned Unknown = 0;
  for (auto [I, Kernel] : llvm::enumerate(Kernels)) {
    Say(LIMOSA_DIAGNOSTIC_PROGRESS, "tuning kernel " + std::to_string(I + 1) +
                                        " of " +
                                        std::to_string(Kernels.size()));
    tuning::Verdict V = Tuner.tune(Kernel);
    if (V.What == tuning::Verdict::OpenSize) {
      ++Unknown;
      Open.insert(V.Why);
    } else if (V.What == tuning::Verdict::Failed) {
      Say(LIMOSA_DIAGNOSTIC_WARNING,
          "cannot tune " + func::FuncOp(Kernel).getName().str() + ": " + V.Why);
    }
    Verdicts.push_back(std::move(V));
  }
  if (Unknown)
    Say(LIMOSA_DIAGNOSTIC_WARNING,
        std::to_string(Unknown) + " of " + std::to_string(Kernels.size()) +
            " kernels are not tuned, as sizes are not known: give --size " +
            llvm::join(Open, "=.. --size ") + "=..");
  return Verdicts;
}

} // namespace limosa
