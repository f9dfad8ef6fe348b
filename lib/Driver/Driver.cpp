//===- Driver.cpp - The compiler as one call ------------------------------===//

#include "limosa/Driver/Driver.h"
#include "Devices.h"
#include "Diagnostics.h"
#include "ModelObject.h"
#include "PassTimer.h"
#include "TuneKernels.h"

#include "limosa/Codegen/Backend.h"
#include "limosa/Codegen/Codegen.h"
#include "limosa/Compiler.h"
#include "limosa/Dispatch/Claims.h"
#include "limosa/Dispatch/Fusion.h"
#include "limosa/IR/LimosaDialect.h"
#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Symbols.h"
#include "limosa/Plan/Plan.h"
#include "limosa/Runtime/AtomicFile.h"
#include "limosa/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/Support/Threading.h"

using namespace mlir;

namespace limosa {
namespace {

/// A copy of the kernel in which the first result of every `Op` is doubled;
/// null if it has none. The kernel itself goes on to say what is right.
OwningOpRef<func::FuncOp> plantError(func::FuncOp Kernel, StringRef Op) {
  if (Op.empty())
    return nullptr;
  OwningOpRef<func::FuncOp> Copy(Kernel.clone());
  bool Found = false;
  for (Operation &Inner :
       llvm::make_early_inc_range(Copy->getBody().front().getOperations())) {
    if (!isa<CoreOp>(Inner) || Inner.getName().stripDialect() != Op ||
        getElementTypeOrSelf(Inner.getResult(0).getType()).isInteger(1))
      continue;
    OpBuilder B(Inner.getContext());
    B.setInsertionPointAfter(&Inner);
    Value Right = Inner.getResult(0);
    auto Twice =
        AddOp::create(B, Inner.getLoc(), Right.getType(), Right, Right);
    Right.replaceAllUsesExcept(Twice, Twice);
    Found = true;
  }
  return Found ? std::move(Copy) : nullptr;
}

template <typename UseT> const char *nameOf(UseT Use) {
  switch (Use) {
  case UseT::Never:
    return "0";
  case UseT::WhereFaster:
    return "1";
  case UseT::Always:
    break;
  }
  return "always";
}

/// One compile: the steps in order, with what they need.
class Compilation {
public:
  Compilation(ModuleOp Module, const CompileOptions &Options)
      : Module(Module), Options(Options),
        Diagnostics(Module.getContext(), Options) {}

  llvm::Error transform() {
    auto Opened = openDevices(Options);
    if (!Opened)
      return Opened.takeError();
    Devices = std::move(*Opened);
    if (llvm::Error E = run("lower-strings", createLowerStringsPass()))
      return E;
    if (llvm::Error E = offer(ClaimStage::Composites))
      return E;
    progress("simplifying");
    if (llvm::Error E = run("inline-composites", createInlineCompositesPass(),
                            "simplify", createSimplifyPass(), "constant-fold",
                            createConstantFoldPass(), "cse", createCSEPass()))
      return E;
    if (failed(
            Timer.time("sink-reshapes", [&] { return sinkReshapes(Module); })))
      return Diagnostics.takeError("sinking reshapes failed");
    if (llvm::Error E = run("simplify-folded", createSimplifyPass()))
      return E;
    // Other devices are offered the graph as it is.
    if (!Devices.empty())
      return llvm::Error::success();
    return run("batch-loops", createBatchLoopsPass(Options.BatchLoops));
  }

  llvm::Error assignLayouts() {
    if (!Options.Layouts)
      return llvm::Error::success();
    return run("assign-layouts", createAssignLayoutsPass(), "simplify-layouts",
               createSimplifyPass(), "fold-layouts", createConstantFoldPass());
  }

  llvm::Error dispatch() {
    if (llvm::Error E = offer(ClaimStage::Ops))
      return E;
    progress("forming kernels");
    FusionOptions Fusion;
    Fusion.Fuse = Options.Fuse;
    Fusion.FuseExpansions = Options.Precision != Precision::Bf16;
    for (const auto &Device : Devices)
      if (Device->properties().takes & LIMOSA_TAKES_SUBGRAPHS)
        Fusion.SubgraphDevices.push_back(
            std::string(Device->properties().name));
    if (failed(
            Timer.time("sink-views", [&] { return sinkReshapes(Module); })) ||
        failed(Timer.time("form-kernels",
                          [&] { return formKernels(Module, Fusion); })))
      return Diagnostics.takeError("forming kernels failed");
    if (Options.Precision == Precision::Bf16)
      Timer.time("use-bf16", [&] { useBf16(Module); });
    return llvm::Error::success();
  }

  /// Loops for all kernels that are generated code.
  llvm::Error generate() {
    codegen::TargetOptions Target;
    Target.Isa = Options.Isa;
    Target.Workers = std::max(1u, Options.Threads);
    Target.Winograd = Options.Winograd;
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
    std::vector<tuning::Verdict> Choices(Kernels.size());
    if (Options.Tune != TuneUse::Off) {
      auto Tuned = Timer.time("tune", [&] {
        return tuneKernels(Module, Kernels, Target, Options);
      });
      if (!Tuned)
        return Tuned.takeError();
      Choices = std::move(*Tuned);
    }
    return Timer.time("emit-loops", [&]() -> llvm::Error {
      for (auto [I, Kernel] : llvm::enumerate(Kernels)) {
        progress("generating kernel " + std::to_string(I + 1) + "/" +
                 std::to_string(Kernels.size()));
        OwningOpRef<func::FuncOp> Wrong = plantError(Kernel, Options.Plant);
        auto K = Compiler->add(Wrong ? *Wrong : Kernel, Choices[I].Ways);
        if (!K)
          return K.takeError();
        K->Measured = Choices[I].Times;
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
    Generated.Format = Format;
    Generated.Isa = Isa = Target->Isa;
    Generated.Bytes = std::move(*Image);
    if (!Generated.Kernels.empty())
      Executables.push_back(std::move(Generated));

    for (auto [I, Device] : llvm::enumerate(Devices)) {
      PlanExecutable Claimed;
      auto Kernels = compileClaimed(Module, *Device, Claimed.Bytes);
      if (!Kernels)
        return Kernels.takeError();
      if (Kernels->empty())
        continue;
      Claimed.Device = I + 1;
      Claimed.Format = std::string(Device->properties().name);
      Claimed.Kernels = std::move(*Kernels);
      Executables.push_back(std::move(Claimed));
    }
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
    for (const auto &Device : Devices)
      Plan.Devices.push_back(
          {std::string(Device->properties().name),
           (Device->properties().flags & LIMOSA_DEVICE_HOST_ADDRESSES) != 0});
    Plan.Options = {
        {"isa", Isa},
        {"fuse", Options.Fuse ? "1" : "0"},
        {"layouts", Options.Layouts ? "1" : "0"},
        {"winograd", nameOf(Options.Winograd)},
        {"batch-loops", nameOf(Options.BatchLoops)},
        {"precision", Options.Precision == Precision::Bf16 ? "bf16" : "f32"},
        {"tune", Options.Tune == TuneUse::Off ? "0" : "1"},
        {"threads", std::to_string(Options.Threads)}};
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

  /// The code will run where the linker puts it.
  void linkLater() { Format = "elf-x86_64-linked"; }

  llvm::Expected<std::vector<uint8_t>> toFile() {
    if (llvm::Error E = toCode())
      return E;
    runtime::LimFileWriter File;
    auto Meta = plan(File);
    if (!Meta)
      return Meta.takeError();
    return File.bytes(*Meta);
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
  llvm::Error offer(ClaimStage Stage) {
    for (const auto &Device : Devices)
      if (llvm::Error E =
              Timer.time("offer-" + std::string(Device->properties().name),
                         [&] { return offerToDevice(Module, *Device, Stage); }))
        return E;
    return llvm::Error::success();
  }
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
  std::vector<std::unique_ptr<runtime::DeviceCompiler>>
      Devices; // without the CPU
  PlanExecutable Generated;
  std::vector<PlanExecutable> Executables;
  std::string Isa, Format = "elf-x86_64";
};

llvm::Error toError(const runtime::Status &S) {
  return llvm::createStringError(S.message());
}

llvm::Error writeText(const std::string &Path, StringRef Text) {
  runtime::AtomicFile File(Path);
  File.write(Text.data(), Text.size());
  if (runtime::Status S = File.commit())
    return toError(S);
  return llvm::Error::success();
}

std::string printed(ModuleOp Module) {
  std::string Text;
  llvm::raw_string_ostream OS(Text);
  OpPrintingFlags Flags;
  Flags.elideLargeResourceString(64).elideLargeElementsAttrs(64);
  Module.print(OS, Flags);
  return Text;
}

/// A model's name as an identifier of C.
std::string identifier(StringRef Name) {
  std::string Out;
  for (char C : Name)
    Out += llvm::isAlnum(C) ? C : '_';
  if (Out.empty() || llvm::isDigit(Out.front()))
    Out.insert(0, "model_");
  return Out;
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
  return Compilation(Module, Options).toFile();
}

llvm::Error compileModuleToFile(ModuleOp Module, const CompileOptions &Options,
                                EmitKind Emit, const std::string &GivenPath) {
  const std::string Path = GivenPath == "-" ? "/dev/stdout" : GivenPath;
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
  case EmitKind::Object: {
    C.linkLater();
    auto Bytes = C.toFile();
    if (!Bytes)
      return Bytes.takeError();
    auto Object = makeModelObject(*Bytes, identifier(Options.ModelName));
    if (!Object)
      return Object.takeError();
    return writeText(
        Path, {reinterpret_cast<const char *>(Object->data()), Object->size()});
  }
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
