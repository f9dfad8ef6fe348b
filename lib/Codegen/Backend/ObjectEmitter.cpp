//===- ObjectEmitter.cpp - LLVM IR to objects -----------------------------===//

#include "Stages.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/Analysis/TargetTransformInfo.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/Utils/LowerMemIntrinsics.h"
#include <mutex>
#include <optional>

using namespace llvm;

namespace limosa {

Expected<std::unique_ptr<TargetMachine>>
makeTargetMachine(const TargetInfo &Info) {
  static std::once_flag Once;
  std::call_once(Once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeX86AsmParser();
  });
  std::string Message;
  Triple TheTriple(Info.Triple);
  const Target *TheTarget = TargetRegistry::lookupTarget(TheTriple, Message);
  if (!TheTarget)
    return createStringError("this LLVM has no x86 backend: " + Message);
  TargetOptions Options;
  Options.FunctionSections = true;
  Options.DataSections = true;
  Options.UniqueSectionNames = true;
  std::unique_ptr<TargetMachine> Machine(TheTarget->createTargetMachine(
      TheTriple, Info.Cpu, Info.Features, Options, Reloc::PIC_,
      CodeModel::Small, CodeGenOptLevel::Default));
  if (!Machine)
    return createStringError("LLVM cannot target " + Info.Isa);
  return Machine;
}

/// Marks what the code generator must know about each function: the CPU, and
/// that nothing outside may be called.
static void setAttributes(Module &M, const TargetInfo &Info) {
  for (Function &F : M) {
    if (F.isIntrinsic())
      continue;
    F.setDSOLocal(true);
    if (F.isDeclaration())
      continue;
    if (!F.hasLocalLinkage()) {
      F.setVisibility(GlobalValue::HiddenVisibility);
      F.setAlignment(Align(64));
    }
    F.addFnAttr("target-cpu", Info.Cpu);
    F.addFnAttr("tune-cpu", Info.TuneCpu);
    F.addFnAttr("target-features", Info.Features);
    F.addFnAttr("prefer-vector-width", std::to_string(Info.VectorBits));
    F.addFnAttr("no-builtins");
    F.addFnAttr("no-trapping-math", "true");
    F.addFnAttr(Attribute::NoUnwind);
  }
  for (GlobalVariable &G : M.globals())
    G.setDSOLocal(true);
}

/// Turns block copies that would become calls into loops.
static void expandMemIntrinsics(Module &M, TargetMachine &Machine) {
  constexpr uint64_t MaxInlineBytes = 128;
  SmallVector<MemIntrinsic *> Work;
  for (Function &F : M)
    for (BasicBlock &B : F)
      for (Instruction &I : B)
        if (auto *Mem = dyn_cast<MemIntrinsic>(&I)) {
          auto *Length = dyn_cast<ConstantInt>(Mem->getLength());
          if (!Length || Length->getZExtValue() > MaxInlineBytes)
            Work.push_back(Mem);
        }
  for (MemIntrinsic *Mem : Work) {
    TargetTransformInfo TTI =
        Machine.getTargetTransformInfo(*Mem->getFunction());
    if (auto *Copy = dyn_cast<MemCpyInst>(Mem))
      expandMemCpyAsLoop(Copy, TTI);
    else if (auto *Move = dyn_cast<MemMoveInst>(Mem))
      expandMemMoveAsLoop(Move, TTI);
    else
      expandMemSetAsLoop(cast<MemSetInst>(Mem));
    Mem->eraseFromParent();
  }
}

/// Writes single lanes as scalars. LLVM 22 does so itself while selecting
/// instructions, but stores the whole wider element where the value had been
/// truncated: an i16 lane overwrites its neighbour.
static void scalarizeSingleLaneStores(Module &M) {
  SmallVector<IntrinsicInst *> Work;
  for (Function &F : M)
    for (BasicBlock &B : F)
      for (Instruction &I : B)
        if (auto *Store = dyn_cast<IntrinsicInst>(&I);
            Store && Store->getIntrinsicID() == Intrinsic::masked_store)
          Work.push_back(Store);
  for (IntrinsicInst *Store : Work) {
    auto *Mask =
        dyn_cast<Constant>(Store->getArgOperand(Store->arg_size() - 1));
    auto *Ty = cast<FixedVectorType>(Store->getArgOperand(0)->getType());
    std::optional<unsigned> Lane;
    unsigned Set = 0;
    for (unsigned I = 0; Mask && I < Ty->getNumElements(); ++I) {
      Constant *Element = Mask->getAggregateElement(I);
      if (Element && Element->isNullValue())
        continue;
      ++Set;
      if (Element && Element->isOneValue())
        Lane = I;
    }
    if (Set != 1 || !Lane)
      continue;
    IRBuilder<> Builder(Store);
    Value *Element =
        Builder.CreateExtractElement(Store->getArgOperand(0), *Lane);
    Value *To = Builder.CreateConstInBoundsGEP1_64(
        Ty->getElementType(), Store->getArgOperand(1), *Lane);
    Builder.CreateAlignedStore(
        Element, To, M.getDataLayout().getABITypeAlign(Ty->getElementType()));
    Store->eraseFromParent();
  }
}

void optimizeModule(Module &M, TargetMachine &Machine, const TargetInfo &Info) {
  M.setTargetTriple(Machine.getTargetTriple());
  M.setDataLayout(Machine.createDataLayout());
  setAttributes(M, Info);

  // Kernels come vectorised and unrolled as they should be.
  PipelineTuningOptions Tuning;
  Tuning.LoopVectorization = false;
  Tuning.LoopInterleaving = false;
  Tuning.SLPVectorization = false;
  Tuning.LoopUnrolling = false;
  Tuning.CallGraphProfile = false;
  LoopAnalysisManager Loops;
  FunctionAnalysisManager Functions;
  CGSCCAnalysisManager Sccs;
  ModuleAnalysisManager Modules;
  PassBuilder Builder(&Machine, Tuning);
  TargetLibraryInfoImpl Library(Machine.getTargetTriple());
  Library.disableAllFunctions();
  Functions.registerPass([&] { return TargetLibraryAnalysis(Library); });
  Builder.registerModuleAnalyses(Modules);
  Builder.registerCGSCCAnalyses(Sccs);
  Builder.registerFunctionAnalyses(Functions);
  Builder.registerLoopAnalyses(Loops);
  Builder.crossRegisterProxies(Loops, Functions, Sccs, Modules);
  Builder.buildPerModuleDefaultPipeline(OptimizationLevel::O2).run(M, Modules);

  expandMemIntrinsics(M, Machine);
  scalarizeSingleLaneStores(M);
}

Error emitModule(Module &M, TargetMachine &Machine, bool Assembly,
                 SmallVectorImpl<char> &Out) {
  raw_svector_ostream Stream(Out);
  legacy::PassManager Passes;
  if (Machine.addPassesToEmitFile(Passes, Stream, nullptr,
                                  Assembly ? CodeGenFileType::AssemblyFile
                                           : CodeGenFileType::ObjectFile))
    return createStringError("LLVM cannot emit objects for this target");
  Passes.run(M);
  return Error::success();
}

} // namespace limosa
