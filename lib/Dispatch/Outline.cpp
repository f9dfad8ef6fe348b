//===- Outline.cpp - Groups to kernel functions ---------------------------===//

#include "Outline.h"
#include "BlockGraph.h"
#include "Rules.h"

#include "limosa/Dispatch/Fusion.h"
#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Symbols.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace limosa {

static void collectNodes(Location Loc, SmallVectorImpl<std::string> &Out) {
  if (auto Name = dyn_cast<NameLoc>(Loc)) {
    std::string Text = Name.getName().str();
    if (!llvm::is_contained(Out, Text))
      Out.push_back(std::move(Text));
  } else if (auto Fused = dyn_cast<FusedLoc>(Loc)) {
    for (Location Part : Fused.getLocations())
      collectNodes(Part, Out);
  } else if (auto Call = dyn_cast<CallSiteLoc>(Loc)) {
    // Where a composite was inlined, the node is the caller.
    collectNodes(Call.getCaller(), Out);
  }
}

SmallVector<std::string> modelNodes(Location Loc) {
  SmallVector<std::string> Nodes;
  collectNodes(Loc, Nodes);
  return Nodes;
}

namespace dispatch {

Outliner::Outliner(ModuleOp Module) : Module(Module), Symbols(Module) {
  for (auto Func : Module.getOps<func::FuncOp>())
    if (Func->hasAttr(KernelAttrName))
      ++Counter;
}

/// "k7_contract_encoder_layer_0_MatMul": an identifier in C, so that it can
/// name the symbol of an object file.
std::string Outliner::makeName(Operation *Root, Location Loc) {
  std::string Name = "k" + std::to_string(Counter++) + "_" +
                     Root->getName().stripDialect().str();
  SmallVector<std::string> Nodes = modelNodes(Root->getLoc());
  if (Nodes.empty())
    Nodes = modelNodes(Loc);
  if (Nodes.empty())
    return Name;
  StringRef Node = Nodes.front();
  constexpr size_t MaxNode = 40;
  Name += '_';
  for (char C : Node.take_back(MaxNode))
    if (llvm::isAlnum(C))
      Name += C;
    else if (Name.back() != '_')
      Name += '_';
  return Name;
}

Operation *Outliner::outline(OpBuilder &Builder, Operation *Root,
                             ArrayRef<Operation *> Ops, ArrayRef<Value> Outputs,
                             StringRef Device) {
  llvm::SmallPtrSet<Operation *, 16> Inside(Ops.begin(), Ops.end());
  llvm::SetVector<Value> Inputs;
  llvm::SetVector<Operation *> Inlined;
  SmallVector<Location> Locs;
  for (Operation *Op : Ops) {
    Locs.push_back(Op->getLoc());
    for (Value V : usedValues(Op)) {
      Operation *Def = V.getDefiningOp();
      if (Def && Inside.contains(Def))
        continue;
      if (Def && isInline(Def))
        Inlined.insert(Def);
      else
        Inputs.insert(V);
    }
  }
  Location Loc = Builder.getFusedLoc(Locs);

  // The kernel stays outside the module until it is known to be new.
  SmallVector<Type> InputTypes, OutputTypes;
  for (Value V : Inputs)
    InputTypes.push_back(V.getType());
  for (Value V : Outputs)
    OutputTypes.push_back(V.getType());
  OpBuilder KB(Module.getContext());
  auto Kernel = func::FuncOp::create(
      Loc, "kernel", KB.getFunctionType(InputTypes, OutputTypes));
  Kernel.setPrivate();
  Kernel->setAttr(KernelAttrName, KB.getUnitAttr());
  if (!Device.empty())
    Kernel->setAttr(DeviceAttrName, KB.getStringAttr(Device));
  Block *Body = Kernel.addEntryBlock();
  KB.setInsertionPointToStart(Body);
  IRMapping Map;
  for (auto [I, V] : llvm::enumerate(Inputs)) {
    Map.map(V, Body->getArgument(I));
    if (V.getDefiningOp<ConstantOp>())
      Kernel.setArgAttr(I, ConstantArgAttrName, KB.getUnitAttr());
  }
  for (Operation *Op : Inlined)
    KB.clone(*Op, Map);
  for (Operation *Op : Ops)
    dropClaims(KB.clone(*Op, Map));
  SmallVector<Value> Returned;
  for (Value V : Outputs)
    Returned.push_back(Map.lookup(V));
  func::ReturnOp::create(KB, Loc, Returned);

  std::string Text;
  llvm::raw_string_ostream OS(Text);
  Kernel->print(OS, OpPrintingFlags().printGenericOpForm().assumeVerified());
  auto [It, IsNew] = Known.try_emplace(Text, Kernel);
  if (IsNew) {
    Kernel.setName(makeName(Root, Loc));
    Symbols.insert(Kernel);
  } else {
    Kernel->erase();
    // The one kernel comes from the nodes of all its launches.
    Kernel = It->second;
    Kernel->setLoc(Builder.getFusedLoc({Kernel.getLoc(), Loc}));
  }

  auto Launch =
      LaunchOp::create(Builder, Loc, OutputTypes, Inputs.getArrayRef(),
                       FlatSymbolRefAttr::get(Kernel.getSymNameAttr()),
                       Builder.getStringAttr(Device.empty() ? "cpu" : Device),
                       /*donate=*/DenseI64ArrayAttr());
  return Launch;
}

} // namespace dispatch
} // namespace limosa
