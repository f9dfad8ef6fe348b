//===- Backend.cpp - Splits a module and runs the stages on each part -----===//

#include "limosa/Codegen/Backend.h"
#include "Stages.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Index/IR/IndexDialect.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/DiagnosticInfo.h"
#include "llvm/IR/DiagnosticPrinter.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/Utils/Cloning.h"
#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

using namespace mlir;

namespace limosa {

void registerBackendDialects(DialectRegistry &Registry) {
  Registry.insert<LLVM::LLVMDialect, affine::AffineDialect, arith::ArithDialect,
                  cf::ControlFlowDialect, index::IndexDialect,
                  math::MathDialect, memref::MemRefDialect, scf::SCFDialect,
                  ub::UBDialect, vector::VectorDialect>();
  registerBuiltinDialectTranslation(Registry);
  registerLLVMDialectTranslation(Registry);
}

namespace {

/// A slice of the user's module, compiled by itself.
struct Part {
  OwningOpRef<ModuleOp> Module;
  std::string Kernels; ///< Names, for messages and dumps.
  ObjectCode Object;
  std::optional<std::string> Failure;
  BackendTimings Timings;
};

class Stopwatch {
public:
  explicit Stopwatch(double &Total) : Total(Total) {}
  ~Stopwatch() {
    Total += std::chrono::duration<double, std::milli>(
                 std::chrono::steady_clock::now() - Start)
                 .count();
  }

private:
  double &Total;
  std::chrono::steady_clock::time_point Start =
      std::chrono::steady_clock::now();
};

} // namespace

/// Parts are cut by size alone: not by the number of threads, on which the
/// output must not depend.
static constexpr int64_t OpsPerPart = 2000;

static bool isKernel(Operation &Op) {
  auto Func = dyn_cast<LLVM::LLVMFuncOp>(Op);
  return Func && !Func.isExternal() &&
         Func.getLinkage() == LLVM::Linkage::External &&
         SymbolTable::getSymbolVisibility(Func) ==
             SymbolTable::Visibility::Public;
}

/// Copies into `Into` the symbols of `From` that its ops use and it lacks.
static void cloneHelpers(ModuleOp Into, SymbolTable &From) {
  SymbolTable Known(Into);
  SmallVector<Operation *> Work;
  for (Operation &Op : Into.getBody()->getOperations())
    Work.push_back(&Op);
  while (!Work.empty()) {
    Operation *Op = Work.pop_back_val();
    std::optional<SymbolTable::UseRange> Uses = SymbolTable::getSymbolUses(Op);
    if (!Uses)
      continue;
    SmallVector<StringAttr> Names;
    for (const SymbolTable::SymbolUse &Use : *Uses)
      Names.push_back(Use.getSymbolRef().getRootReference());
    for (StringAttr Name : Names) {
      Operation *Helper = From.lookup(Name);
      if (!Helper || Known.lookup(Name))
        continue;
      Operation *Copy = Helper->clone();
      Known.insert(Copy);
      Work.push_back(Copy);
    }
  }
}

static std::vector<Part> splitModule(ModuleOp Module) {
  std::vector<Part> Parts;
  SymbolTable Symbols(Module);
  SmallVector<Operation *> Kernels;
  for (Operation &Op : Module.getBody()->getOperations())
    if (isKernel(Op))
      Kernels.push_back(&Op);
  int64_t Ops = 0;
  for (Operation *Kernel : Kernels) {
    if (Parts.empty() || Ops >= OpsPerPart) {
      Parts.emplace_back().Module = ModuleOp::create(Module.getLoc());
      Ops = 0;
    }
    Part &Last = Parts.back();
    if (!Last.Kernels.empty())
      Last.Kernels += ", ";
    Last.Kernels += cast<LLVM::LLVMFuncOp>(Kernel).getName();
    Kernel->walk([&](Operation *) { ++Ops; });
    Symbols.remove(Kernel);
    Kernel->remove();
    Last.Module->push_back(Kernel);
  }
  for (Part &P : Parts)
    cloneHelpers(*P.Module, Symbols);
  return Parts;
}

/// Ops outside the LLVM dialect that survived, by name.
static std::optional<std::string> findUnlowered(ModuleOp Module) {
  std::optional<std::string> Found;
  Module.walk([&](Operation *Op) {
    if (Op == Module || isa<LLVM::LLVMDialect>(Op->getDialect()))
      return WalkResult::advance();
    auto Func = Op->getParentOfType<LLVM::LLVMFuncOp>();
    Found = llvm::formatv("{0}: no lowering for {1}",
                          Func ? Func.getName() : "module", Op->getName());
    return WalkResult::interrupt();
  });
  return Found;
}

namespace {

/// Compiles parts; shared by all threads of one compileToObjects.
class PartCompiler {
public:
  explicit PartCompiler(const BackendOptions &Options) : Options(Options) {}

  void compile(Part &P) {
    if (std::optional<std::string> Message = run(P))
      P.Failure = std::move(Message);
    P.Module = nullptr;
    if (wants(DumpStage::Times))
      dump(DumpStage::Times, P,
           llvm::formatv("lower {0:f1}, translate {1:f1}, optimize {2:f1}, "
                         "emit {3:f1} ms, {4} bytes",
                         P.Timings.Lower, P.Timings.Translate,
                         P.Timings.Optimize, P.Timings.Emit,
                         P.Object.Bytes.size())
               .str());
  }

private:
  std::optional<std::string> run(Part &P);
  bool wants(DumpStage Stage) const {
    return Options.Dump &&
           (Options.DumpStages >> static_cast<unsigned>(Stage) & 1);
  }
  void dump(DumpStage Stage, const Part &P, StringRef Text) {
    std::lock_guard<std::mutex> Lock(DumpMutex);
    Options.Dump(Stage, P.Kernels, Text);
  }
  template <typename T> void print(DumpStage Stage, const Part &P, T &&Thing) {
    if (!wants(Stage))
      return;
    std::string Text;
    llvm::raw_string_ostream Stream(Text);
    Stream << Thing;
    dump(Stage, P, Text);
  }

  const BackendOptions &Options;
  std::mutex DumpMutex;
};

/// LLVM ends the process on an error that nobody handles.
struct KeepMessage : llvm::DiagnosticHandler {
  explicit KeepMessage(std::optional<std::string> &Message)
      : Message(Message) {}
  bool handleDiagnostics(const llvm::DiagnosticInfo &Info) override {
    if (Info.getSeverity() == llvm::DS_Error && !Message) {
      llvm::raw_string_ostream Stream(Message.emplace());
      llvm::DiagnosticPrinterRawOStream Printer(Stream);
      Info.print(Printer);
    }
    return true;
  }
  std::optional<std::string> &Message;
};

} // namespace

std::optional<std::string> PartCompiler::run(Part &P) {
  print(DumpStage::Loops, P, *P.Module);
  {
    Stopwatch Time(P.Timings.Lower);
    if (failed(lowerToLLVMDialect(*P.Module, Options.Target)))
      return P.Kernels + ": lowering to LLVM failed";
  }
  print(DumpStage::LLVMDialect, P, *P.Module);
  if (std::optional<std::string> Message = findUnlowered(*P.Module))
    return Message;

  llvm::LLVMContext Context;
  std::optional<std::string> Message;
  Context.setDiagnosticHandler(std::make_unique<KeepMessage>(Message));
  std::unique_ptr<llvm::Module> M;
  {
    Stopwatch Time(P.Timings.Translate);
    M = translateModuleToLLVMIR(*P.Module, Context, P.Kernels);
  }
  if (!M)
    return P.Kernels + ": translation to LLVM IR failed";
  // Helpers are this part's own; only kernels have names outside.
  for (llvm::Function &F : *M)
    if (!F.isDeclaration() && F.hasPrivateLinkage())
      F.setLinkage(llvm::GlobalValue::InternalLinkage);
  print(DumpStage::LLVMIR, P, *M);

  auto Machine = makeTargetMachine(Options.Target);
  if (!Machine)
    return llvm::toString(Machine.takeError());
  {
    Stopwatch Time(P.Timings.Optimize);
    optimizeModule(*M, **Machine, Options.Target);
  }
  print(DumpStage::OptimizedLLVMIR, P, *M);
  if (wants(DumpStage::Assembly)) {
    SmallVector<char, 0> Text;
    auto Copy = llvm::CloneModule(*M);
    if (llvm::Error Err = emitModule(*Copy, **Machine, true, Text))
      return llvm::toString(std::move(Err));
    dump(DumpStage::Assembly, P, StringRef(Text.data(), Text.size()));
  }
  {
    Stopwatch Time(P.Timings.Emit);
    if (llvm::Error Err = emitModule(*M, **Machine, false, P.Object.Bytes))
      return llvm::toString(std::move(Err));
  }
  if (Message)
    return P.Kernels + ": " + *Message;
  return std::nullopt;
}

llvm::Expected<std::vector<ObjectCode>>
compileToObjects(ModuleOp Module, const BackendOptions &Options,
                 BackendTimings *Timings) {
  MLIRContext *Context = Module.getContext();
  DialectRegistry Registry;
  registerBackendDialects(Registry);
  Context->appendDialectRegistry(Registry);
  // Passes on several threads must not load dialects.
  Context->loadDialect<LLVM::LLVMDialect, arith::ArithDialect,
                       cf::ControlFlowDialect, index::IndexDialect,
                       math::MathDialect, memref::MemRefDialect,
                       scf::SCFDialect, ub::UBDialect, vector::VectorDialect,
                       affine::AffineDialect>();

  // The first error explains more than "lowering failed".
  std::string Diagnostic;
  ScopedDiagnosticHandler Handler(Context, [&](mlir::Diagnostic &D) {
    if (D.getSeverity() == DiagnosticSeverity::Error && Diagnostic.empty())
      Diagnostic = D.str();
    return success();
  });

  std::vector<Part> Parts = splitModule(Module);
  PartCompiler Compiler(Options);
  std::atomic<size_t> Next = 0;
  auto Work = [&] {
    for (size_t I; (I = Next++) < Parts.size();)
      Compiler.compile(Parts[I]);
  };
  // Parts share the context, which locks only when it expects several threads.
  size_t Threads = std::min<size_t>(Options.Threads, Parts.size());
  bool Unlocked = Threads > 1 && !Context->isMultithreadingEnabled();
  if (Unlocked)
    Context->enableMultithreading();
  std::vector<std::thread> Pool;
  for (size_t I = 1; I < Threads; ++I)
    Pool.emplace_back(Work);
  Work();
  for (std::thread &T : Pool)
    T.join();
  if (Unlocked)
    Context->disableMultithreading();

  std::vector<ObjectCode> Objects;
  for (Part &P : Parts) {
    if (P.Failure)
      return llvm::createStringError(
          *P.Failure + (Diagnostic.empty() ? "" : ": " + Diagnostic));
    Objects.push_back(std::move(P.Object));
    if (Timings) {
      Timings->Lower += P.Timings.Lower;
      Timings->Translate += P.Timings.Translate;
      Timings->Optimize += P.Timings.Optimize;
      Timings->Emit += P.Timings.Emit;
    }
  }
  return Objects;
}

} // namespace limosa
