//===- KernelCompiler.cpp - Kernels of core ops to machine code -----------===//

#include "KernelCost.h"
#include "limosa/Codegen/Backend.h"
#include "limosa/Codegen/Codegen.h"
#include "limosa/Codegen/ImageLinker.h"
#include "limosa/Codegen/KernelBuilder.h"
#include "limosa/Codegen/Template.h"
#include "mlir/IR/Verifier.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::codegen;

KernelCompiler::KernelCompiler(MLIRContext *Ctx, TargetOptions Opts)
    : Options(std::move(Opts)), Loops(ModuleOp::create(UnknownLoc::get(Ctx))),
      Templates(std::make_unique<TemplateRegistry>(TemplateRegistry::all())) {}

KernelCompiler::~KernelCompiler() = default;

llvm::Expected<std::unique_ptr<KernelCompiler>>
KernelCompiler::create(MLIRContext *Ctx, const TargetOptions &Options) {
  llvm::Expected<TargetInfo> Target = getTargetInfo(Options.Isa);
  if (!Target)
    return Target.takeError();
  DialectRegistry Registry;
  registerBackendDialects(Registry);
  Ctx->appendDialectRegistry(Registry);
  for (StringRef Name : {"arith", "math", "vector", "memref", "scf", "llvm"})
    Ctx->getOrLoadDialect(Name);
  TargetOptions Resolved = Options;
  Resolved.Isa = Target->Isa;
  return std::unique_ptr<KernelCompiler>(
      new KernelCompiler(Ctx, std::move(Resolved)));
}

std::string codegen::kernelText(func::FuncOp Kernel) {
  std::string Text;
  llvm::raw_string_ostream OS(Text);
  func::FuncOp Copy = Kernel.clone();
  Copy.setSymName("k");
  Copy.print(OS, OpPrintingFlags().useLocalScope());
  Copy.erase();
  return Text;
}

llvm::Expected<CompiledKernel> KernelCompiler::add(func::FuncOp Kernel,
                                                   const AskedWays &Ways) {
  std::string Text = kernelText(Kernel) + toText(Ways);
  if (auto Found = ByText.find(Text); Found != ByText.end()) {
    CompiledKernel Same = Found->second;
    Same.Name = Kernel.getName().str();
    return Same;
  }
  llvm::Expected<KernelAnalysis> Analysis = KernelAnalysis::create(Kernel);
  if (!Analysis)
    return Analysis.takeError();
  Chooser Decides(Ways);
  Analysis->Decides = &Decides;
  // Without elements nothing is to be computed, and templates need not mind.
  bool Empty = llvm::all_of(Kernel.getResultTypes(), [](Type Ty) {
    return numElements(Ty).isConstant(0);
  });
  const KernelTemplate *Template =
      Empty ? nullptr : Templates->choose(*Analysis, Options);
  if (!Empty && !Template)
    return llvm::createStringError("no code for kernel '" + Kernel.getName() +
                                   "': no template takes its ops together");
  CompiledKernel Result;
  Result.Name = Result.Symbol = Kernel.getName().str();
  Result.Template = Empty ? "empty" : Template->Name.str();
  KernelBuilder KB(*Loops, Kernel, Options, Result);
  if (Empty)
    KB.setGrid(0);
  else if (llvm::Error E = Template->Emit(KB, *Analysis))
    return E;
  KB.finish();
  if (!Empty) {
    if (!Result.Flops)
      Result.Flops = operationCount(*Analysis);
    if (!Result.Bytes)
      Result.Bytes = bytesMoved(*Analysis);
  }
  for (const auto &[Name, Way] : Decides.unknown())
    Result.Remarks.push_back("no choice '" + Name + "=" + Way +
                             "': the estimate is taken");
  Result.Choices = Decides.made().vec();
  ByText.insert({Text, Result});
  return Result;
}

static llvm::Expected<std::vector<uint8_t>>
compileAndLink(ModuleOp Loops, const TargetOptions &Options,
               BackendTimings &Timings) {
  if (failed(verify(Loops)))
    return llvm::createStringError("internal: generated loops do not verify");
  llvm::Expected<TargetInfo> Target = getTargetInfo(Options.Isa);
  if (!Target)
    return Target.takeError();
  BackendOptions Backend;
  Backend.Target = *Target;
  Backend.Threads = Options.CompileThreads;
  dumpFromEnvironment(Backend);
  auto Objects = compileToObjects(Loops, Backend, &Timings);
  if (!Objects)
    return Objects.takeError();
  return linkImage(*Objects);
}

llvm::Expected<std::vector<uint8_t>> KernelCompiler::finish() {
  return compileAndLink(*Loops, Options, Timings);
}

llvm::Expected<std::vector<uint8_t>>
KernelCompiler::finishObject(StringRef Prefix) {
  auto Image = compileAndLink(*Loops, Options, Timings);
  if (!Image)
    return Image.takeError();
  return makeObject(*Image, Prefix);
}
