//===- Driver.cpp - The compiler as one call ------------------------------===//

#include "limosa/Driver/Driver.h"
#include "Diagnostics.h"
#include "PassTimer.h"

#include "limosa/Codegen/Backend.h"
#include "limosa/Codegen/Codegen.h"
#include "limosa/Compiler.h"
#include "limosa/Dispatch/Fusion.h"
#include "limosa/IR/LimosaDialect.h"
#include "limosa/IR/Symbols.h"
#include "limosa/Plan/Plan.h"
#include "limosa/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/FileOutputBuffer.h"
#include "llvm/Support/Threading.h"

using namespace mlir;

namespace limosa {
namespace {

/// One compile: the steps in order, with what they need.
class Compilation {
public:
  Compilation(ModuleOp Module, const CompileOptions &Options)
      : Module(Module), Options(Options),
        Diagnostics(Module.getContext(), Options) {}

  llvm::Error transform() {
    progress("simplifying");
    return run("inline-composites", createInlineCompositesPass(), "simplify",
               createSimplifyPass(), "constant-fold", createConstantFoldPass(),
               "simplify-folded", createSimplifyPass());
  }

  llvm::Error assignLayouts() {
    if (!Options.Layouts)
      return llvm::Error::success();
    return run("assign-layouts", createAssignLayoutsPass(), "simplify-layouts",
               createSimplifyPass(), "fold-layouts", createConstantFoldPass());
  }

  llvm::Error dispatch() {
    progress("forming kernels");
    FusionOptions Fusion;
    Fusion.Fuse = Options.Fuse;
    if (failed(Timer.time("sink-reshapes",
                          [&] { return sinkReshapes(Module); })) ||
        failed(Timer.time("form-kernels",
                          [&] { return formKernels(Module, Fusion); })))
      return Diagnostics.takeError("forming kernels failed");
    return llvm::Error::success();
  }

  /// Loops for all kernels that are generated code.
  llvm::Error generate() {
    codegen::TargetOptions Target;
    Target.Isa = Options.Isa;
    Target.Workers = std::max(1u, Options.Threads);
    Target.CompileThreads =
        Options.CompileThreads
            ? Options.CompileThreads
            : llvm::hardware_concurrency().compute_thread_count();
    auto C = codegen::KernelCompiler::create(Module.getContext(), Target);
    if (!C)
      return C.takeError();
    Compiler = std::move(*C);
    SmallVector<func::FuncOp> Kernels;
    for (auto Func : Module.getOps<func::FuncOp>())
      if (Func->hasAttr(KernelAttrName) && !Func->hasAttr(DeviceAttrName))
        Kernels.push_back(Func);
    return Timer.time("emit-loops", [&]() -> llvm::Error {
      for (auto [I, Kernel] : llvm::enumerate(Kernels)) {
        progress("generating kernel " + std::to_string(I + 1) + "/" +
                 std::to_string(Kernels.size()));
        auto K = Compiler->add(Kernel);
        if (!K)
          return K.takeError();
        for (const std::string &Remark : K->Remarks)
          remark(K->Name + ": " + Remark);
        Generated.Kernels.push_back(std::move(*K));
      }
      return llvm::Error::success();
    });
  }

  llvm::Error finishCode() {
    progress("compiling " + std::to_string(Generated.Kernels.size()) +
             " kernels");
    auto Image =
        Timer.time("compile-kernels", [&] { return Compiler->finish(); });
    if (!Image)
      return Image.takeError();
    // Parts of compile-kernels, added up over the threads.
    const BackendTimings &Parts = Compiler->timings();
    Timer.add("kernels: lower", Parts.Lower / 1000);
    Timer.add("kernels: translate", Parts.Translate / 1000);
    Timer.add("kernels: optimize", Parts.Optimize / 1000);
    Timer.add("kernels: emit", Parts.Emit / 1000);
    auto Target = getTargetInfo(Options.Isa);
    if (!Target)
      return Target.takeError();
    Generated.Format = "elf-x86_64";
    Generated.Isa = Target->Isa;
    Generated.Bytes = std::move(*Image);
    return llvm::Error::success();
  }

  /// The program's table; code and constants go to `File`.
  llvm::Expected<std::vector<uint8_t>> plan(runtime::LimFileWriter &File) {
    progress("planning memory");
    PlanOptions Plan;
    Plan.ModelName = Options.ModelName;
    Plan.Producer = "limosa " LIMOSA_VERSION;
    Plan.KeepGraphs = Options.KeepGraphs;
    Plan.Devices = {{"cpu", true}};
    Plan.Options = {{"isa", Generated.Isa},
                    {"fuse", Options.Fuse ? "1" : "0"},
                    {"layouts", Options.Layouts ? "1" : "0"},
                    {"threads", std::to_string(Options.Threads)}};
    std::vector<PlanExecutable> Executables;
    if (!Generated.Kernels.empty())
      Executables.push_back(std::move(Generated));
    auto Program = Timer.time("plan", [&] {
      return planProgram(Module, std::move(Executables), Plan, File);
    });
    if (!Program)
      return Program.takeError();
    Program->pass_times = Timer.take();
    return finishProgram(*Program);
  }

  llvm::Error toProgram() {
    if (llvm::Error E = transform())
      return E;
    if (llvm::Error E = assignLayouts())
      return E;
    return dispatch();
  }
  llvm::Error toCode() {
    if (llvm::Error E = toProgram())
      return E;
    if (llvm::Error E = generate())
      return E;
    return finishCode();
  }

  /// The LLVM dialect of all kernels as text.
  llvm::Expected<std::string> llvmText() {
    auto Target = getTargetInfo(Options.Isa);
    if (!Target)
      return Target.takeError();
    std::string Text;
    BackendOptions Backend;
    Backend.Target = *Target;
    Backend.DumpStages = 1u << unsigned(DumpStage::LLVMDialect);
    Backend.Dump = [&](DumpStage, StringRef, StringRef Part) {
      Text += Part;
      Text += '\n';
    };
    auto Objects = compileToObjects(Compiler->loops(), Backend);
    if (!Objects)
      return Objects.takeError();
    return Text;
  }
  ModuleOp loops() { return Compiler->loops(); }

private:
  llvm::Error run() { return llvm::Error::success(); }
  template <typename... Rest>
  llvm::Error run(StringRef Name, std::unique_ptr<Pass> P, Rest... More) {
    PassManager PM(Module.getContext());
    PM.enableVerifier(Options.Verify);
    PM.addPass(std::move(P));
    if (failed(Timer.time(Name, [&] { return PM.run(Module); })))
      return Diagnostics.takeError("pass " + Name.str() + " failed");
    return run(std::move(More)...);
  }
  void progress(const std::string &Text) {
    if (Options.Diagnostic)
      Options.Diagnostic(LIMOSA_DIAGNOSTIC_PROGRESS, Text);
  }
  void remark(const std::string &Text) {
    if (Options.Diagnostic)
      Options.Diagnostic(LIMOSA_DIAGNOSTIC_REMARK, Text);
  }

  ModuleOp Module;
  const CompileOptions &Options;
  DiagnosticCollector Diagnostics;
  PassTimer Timer;
  std::unique_ptr<codegen::KernelCompiler> Compiler;
  PlanExecutable Generated;
};

llvm::Error writeText(const std::string &Path, StringRef Text) {
  auto Buffer = llvm::FileOutputBuffer::create(Path, Text.size());
  if (!Buffer)
    return llvm::createStringError("cannot write '" + Path +
                                   "': " + llvm::toString(Buffer.takeError()));
  std::copy(Text.begin(), Text.end(), (*Buffer)->getBufferStart());
  return (*Buffer)->commit();
}

std::string printed(ModuleOp Module) {
  std::string Text;
  llvm::raw_string_ostream OS(Text);
  OpPrintingFlags Flags;
  Flags.elideLargeResourceString(64).elideLargeElementsAttrs(64);
  Module.print(OS, Flags);
  return Text;
}

llvm::Error toError(const runtime::Status &S) {
  return llvm::createStringError(S.message());
}

} // namespace

void prepareContext(MLIRContext &Context) {
  Context.loadDialect<LimosaDialect, func::FuncDialect>();
  // Compiles share machines with other work; kernels are compiled in parallel
  // by the backend.
  Context.disableMultithreading();
}

llvm::Expected<std::vector<uint8_t>>
compileModule(ModuleOp Module, const CompileOptions &Options) {
  Compilation C(Module, Options);
  if (llvm::Error E = C.toCode())
    return E;
  runtime::LimFileWriter File;
  auto Meta = C.plan(File);
  if (!Meta)
    return Meta.takeError();
  return File.bytes(*Meta);
}

llvm::Error compileModuleToFile(ModuleOp Module, const CompileOptions &Options,
                                EmitKind Emit, const std::string &Path) {
  Compilation C(Module, Options);
  switch (Emit) {
  case EmitKind::MLIRImport:
    return writeText(Path, printed(Module));
  case EmitKind::MLIRCore:
    if (llvm::Error E = C.transform())
      return E;
    return writeText(Path, printed(Module));
  case EmitKind::MLIRDispatch:
    if (llvm::Error E = C.toProgram())
      return E;
    return writeText(Path, printed(Module));
  case EmitKind::MLIRLoops:
  case EmitKind::MLIRLLVM: {
    if (llvm::Error E = C.toProgram())
      return E;
    if (llvm::Error E = C.generate())
      return E;
    if (Emit == EmitKind::MLIRLoops)
      return writeText(Path, printed(C.loops()));
    auto Text = C.llvmText();
    if (!Text)
      return Text.takeError();
    return writeText(Path, *Text);
  }
  case EmitKind::Object:
    return llvm::createStringError("--emit=obj is not there yet");
  case EmitKind::Lim:
    break;
  }
  if (llvm::Error E = C.toCode())
    return E;
  runtime::LimFileWriter File;
  auto Meta = C.plan(File);
  if (!Meta)
    return Meta.takeError();
  if (runtime::Status S = File.write(Path, *Meta))
    return toError(S);
  return llvm::Error::success();
}

} // namespace limosa
