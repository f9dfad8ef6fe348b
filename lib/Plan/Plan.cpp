//===- Plan.cpp - From launches to the program of a .lim file -------------===//

#include "limosa/Plan/Plan.h"
#include "EntryPlanner.h"

#include "limosa/Dispatch/Fusion.h"
#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Serialize.h"
#include "limosa/IR/Symbols.h"

using namespace mlir;

namespace limosa {
namespace plan {
namespace {

constexpr uint32_t NoIndex = 0xffffffff;

/// Adds a kernel to the program and notes what its launches need.
llvm::Error addKernel(ProgramState &P, const codegen::CompiledKernel &Compiled,
                      uint32_t Executable, uint32_t Device, bool KeepGraph) {
  auto Func = P.Module.lookupSymbol<func::FuncOp>(Compiled.Name);
  if (!Func)
    return llvm::createStringError("internal: no kernel '" + Compiled.Name +
                                   "'");
  KernelInfo Info;
  Info.Index = P.Program.kernels.size();
  Info.Device = Device;
  Info.Func = Func;
  for (const std::string &S : Compiled.Symbols)
    Info.Symbols.push_back(P.Exprs.symbol(S));
  for (const codegen::PackRequest &Pack : Compiled.Packs)
    Info.Packs.push_back({Pack.Operand, Pack.Spec});
  Info.Updates.assign(Compiled.Updates.begin(), Compiled.Updates.end());
  Operation *Return = Func.getBody().front().getTerminator();
  Func.walk([&](CompactOp Op) {
    CompactResult R;
    R.Symbol = Op.getSymbol().str();
    R.Capacity = numElements(Op.getMask().getType());
    for (auto [I, V] : llvm::enumerate(Return->getOperands())) {
      if (V == Op.getIndices())
        R.Indices = I;
      if (V == Op.getCount())
        R.Count = I;
    }
    Info.Compacts.push_back(R);
  });

  auto K = std::make_unique<fb::KernelT>();
  K->name = Compiled.Name;
  K->executable = Executable;
  K->symbol = Compiled.Symbol;
  K->grid = P.Exprs.add(Compiled.Grid);
  K->scratch = P.Exprs.add(Compiled.ScratchBytes);
  K->args.assign(Func.getNumArguments(), fb::KernelArg::In);
  K->args.insert(K->args.end(), Func.getNumResults(), fb::KernelArg::Out);
  K->template_ = Compiled.Template;
  K->flops = Compiled.Flops ? P.Exprs.add(*Compiled.Flops) : NoIndex;
  K->bytes = Compiled.Bytes ? P.Exprs.add(*Compiled.Bytes) : NoIndex;
  K->remarks = Compiled.Remarks;
  for (const codegen::Choice &C : Compiled.Choices) {
    auto Choice = std::make_unique<fb::ChoiceT>();
    Choice->name = C.Name;
    Choice->value = C.Taken;
    Choice->estimate = C.estimate();
    K->choices.push_back(std::move(Choice));
  }
  if (const auto &M = Compiled.Measured) {
    K->measured = std::make_unique<fb::MeasurementT>();
    K->measured->seconds = M->Seconds;
    K->measured->estimate_seconds = M->EstimateSeconds;
    K->measured->tried = M->Tried;
  }
  for (std::string &Node : modelNodes(Func.getLoc()))
    K->nodes.push_back(std::move(Node));
  if (KeepGraph) {
    auto Bytes = serializeGraph(Func);
    if (!Bytes)
      return Bytes.takeError();
    K->graph.reset(fb::GetGraph(Bytes->data())->UnPack());
  }
  P.Program.kernels.push_back(std::move(K));
  P.Kernels[Compiled.Name] = std::move(Info);
  return llvm::Error::success();
}

} // namespace
} // namespace plan

llvm::Expected<fb::ProgramT>
planProgram(ModuleOp Module, std::vector<PlanExecutable> Executables,
            const PlanOptions &Options, runtime::LimFileWriter &File) {
  fb::ProgramT Program;
  Program.name = Options.ModelName;
  Program.producer = Options.Producer;
  plan::ProgramState P{Module,
                       Program,
                       Options.Devices,
                       plan::ExprTable(Module, Program),
                       plan::ConstantTable(Program, File),
                       {},
                       {}};
  for (const PlanDevice &D : Options.Devices) {
    auto Device = std::make_unique<fb::DeviceT>();
    Device->name = D.Name;
    Program.devices.push_back(std::move(Device));
  }
  for (const auto &[Key, Value] : Options.Options) {
    auto A = std::make_unique<fb::AttrT>();
    A->name = Key;
    A->kind = fb::AttrKind::String;
    A->s = Value;
    Program.options.push_back(std::move(A));
  }
  if (auto Table = Module->getAttrOfType<ArrayAttr>(StringTableAttrName))
    for (auto S : Table.getAsRange<StringAttr>())
      Program.strings.push_back(S.str());
  for (PlanExecutable &E : Executables) {
    auto X = std::make_unique<fb::ExecutableT>();
    X->device = E.Device;
    X->format = E.Format;
    X->isa = E.Isa;
    X->size = E.Bytes.size();
    X->offset = File.addCode(std::move(E.Bytes));
    for (const codegen::CompiledKernel &K : E.Kernels)
      if (llvm::Error Err = plan::addKernel(P, K, Program.executables.size(),
                                            E.Device, Options.KeepGraphs))
        return Err;
    Program.executables.push_back(std::move(X));
  }
  for (auto Func : Module.getOps<func::FuncOp>()) {
    if (!Func->hasAttr(EntryAttrName))
      continue;
    auto Entry = std::make_unique<fb::EntryT>();
    if (llvm::Error Err = plan::EntryPlanner(P, Func, *Entry).run())
      return Err;
    Program.entries.push_back(std::move(Entry));
  }
  return Program;
}

std::vector<uint8_t> finishProgram(const fb::ProgramT &Program) {
  flatbuffers::FlatBufferBuilder Builder;
  Builder.Finish(fb::Program::Pack(Builder, &Program), fb::ProgramIdentifier());
  return {Builder.GetBufferPointer(),
          Builder.GetBufferPointer() + Builder.GetSize()};
}

} // namespace limosa
