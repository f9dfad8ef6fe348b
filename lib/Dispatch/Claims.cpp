//===- Claims.cpp - What devices take -------------------------------------===//

#include "limosa/Dispatch/Claims.h"
#include "BlockGraph.h"
#include "Rules.h"

#include "limosa/Dispatch/Fusion.h"
#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Serialize.h"
#include "limosa/IR/Symbols.h"
#include "limosa/IR/Types.h"
#include "limosa/Runtime/GraphAccess.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace limosa {

static StringRef nameOf(const runtime::DeviceCompiler &Device) {
  return Device.properties().name;
}

static llvm::Error deviceError(const runtime::DeviceCompiler &Device,
                               const std::string &Why) {
  return llvm::createStringError("device '" + nameOf(Device) + "': " + Why);
}

//===----------------------------------------------------------------------===//
// Offers
//===----------------------------------------------------------------------===//

namespace {

/// A block as a function of its own, in a module of its own: what is defined
/// outside and constants too large to copy are arguments.
struct Offer {
  OwningOpRef<ModuleOp> Module;
  func::FuncOp Func;
  SmallVector<Operation *> Originals; ///< by op of the function's body
};

constexpr int64_t MaxCopiedConstant = 1024;

bool isLarge(ConstantOp C) {
  auto Ty = cast<RankedTensorType>(C.getType());
  return !C.getValue().isSplat() && Ty.getNumElements() > MaxCopiedConstant;
}

Offer makeOffer(Block &B, ModuleOp Whole) {
  Offer Out;
  Location Loc = B.getParentOp()->getLoc();
  Out.Module = ModuleOp::create(Loc);
  if (Attribute Symbols = Whole->getAttr(SymbolsAttrName))
    (*Out.Module)->setAttr(SymbolsAttrName, Symbols);

  IRMapping Map;
  SmallVector<Type> ArgTypes;
  SmallVector<Value> Args;
  auto AddArg = [&](Value V) {
    if (!llvm::is_contained(Args, V)) {
      Args.push_back(V);
      ArgTypes.push_back(V.getType());
    }
  };
  for (BlockArgument A : B.getArguments())
    AddArg(A);
  for (Operation &Op : B.without_terminator()) {
    if (auto C = dyn_cast<ConstantOp>(Op); C && isLarge(C))
      AddArg(C.getResult());
    for (Value V : dispatch::usedValues(&Op))
      if (V.getParentBlock() != &B)
        AddArg(V);
  }
  SmallVector<Value> Results;
  for (Value V : B.getTerminator()->getOperands())
    if (V.getParentBlock() == &B && !llvm::is_contained(Results, V))
      Results.push_back(V);

  OpBuilder Builder(Whole.getContext());
  Builder.setInsertionPointToEnd(Out.Module->getBody());
  Out.Func = func::FuncOp::create(
      Builder, Loc, "offer",
      Builder.getFunctionType(ArgTypes, ValueRange(Results).getTypes()));
  Block *Body = Out.Func.addEntryBlock();
  Map.map(Args, Body->getArguments());
  Builder.setInsertionPointToEnd(Body);
  SymbolTable Symbols(*Out.Module);
  for (Operation &Op : B.without_terminator()) {
    if (Op.getNumResults() && Map.contains(Op.getResult(0)))
      continue;
    // Who has claimed what already is not the device's business.
    dispatch::dropClaims(Builder.clone(Op, Map));
    Out.Originals.push_back(&Op);
    Op.walk([&](CompositeOp C) {
      auto Definition = Whole.lookupSymbol<func::FuncOp>(C.getBody());
      if (Definition && !Symbols.lookup(Definition.getName()))
        Symbols.insert(Definition.clone());
    });
  }
  SmallVector<Value> Returned;
  for (Value V : Results)
    Returned.push_back(Map.lookup(V));
  func::ReturnOp::create(Builder, Loc, Returned);
  return Out;
}

bool mayOffer(Operation *Op, ClaimStage Stage) {
  if (Op->hasAttr(DeviceAttrName))
    return false;
  if (Stage == ClaimStage::Composites)
    return isa<CompositeOp>(Op);
  return isa<CoreOp>(Op) && !isa<IfOp, WhileOp>(Op);
}

llvm::Error offerBlock(Block &B, ModuleOp Whole,
                       runtime::DeviceCompiler &Device, ClaimStage Stage) {
  if (llvm::none_of(B, [&](Operation &Op) { return mayOffer(&Op, Stage); }))
    return llvm::Error::success();
  Offer O = makeOffer(B, Whole);
  auto Bytes = serializeGraph(O.Func);
  if (!Bytes)
    return Bytes.takeError();
  std::string Error;
  auto Graph = runtime::GraphAccess::create(std::span(*Bytes), Error);
  if (!Graph)
    return llvm::createStringError("internal: " + Error);
  std::vector<runtime::DeviceClaim> Answers;
  if (!Device.claim(Graph->handle(), Answers, Error))
    return deviceError(Device, Error);
  for (auto [Op, Answer] : llvm::zip_equal(O.Originals, Answers)) {
    if (!mayOffer(Op, Stage))
      continue;
    if (Answer.Accepted) {
      Op->setAttr(DeviceAttrName,
                  StringAttr::get(Op->getContext(), nameOf(Device)));
      if (isa<CompositeOp>(Op))
        Op->setAttr(ClaimedAttrName, UnitAttr::get(Op->getContext()));
    } else if (!Answer.Reason.empty()) {
      Op->emitRemark() << "device '" << nameOf(Device) << "' refuses "
                       << Op->getName().stripDialect() << ": " << Answer.Reason;
    }
  }
  return llvm::Error::success();
}

llvm::Error offerRegionOf(Block &B, ModuleOp Whole,
                          runtime::DeviceCompiler &Device, ClaimStage Stage) {
  if (llvm::Error E = offerBlock(B, Whole, Device, Stage))
    return E;
  for (Operation &Op : B)
    if (isa<IfOp, WhileOp>(Op))
      for (Region &R : Op.getRegions())
        if (llvm::Error E = offerRegionOf(R.front(), Whole, Device, Stage))
          return E;
  return llvm::Error::success();
}

} // namespace

llvm::Error offerToDevice(ModuleOp Module, runtime::DeviceCompiler &Device,
                          ClaimStage Stage) {
  uint32_t Wanted = Stage == ClaimStage::Composites
                        ? LIMOSA_TAKES_COMPOSITES
                        : LIMOSA_TAKES_OPS | LIMOSA_TAKES_SUBGRAPHS;
  if (!(Device.properties().takes & Wanted) || !Device.compilesGraphs())
    return llvm::Error::success();
  for (auto Func : Module.getOps<func::FuncOp>())
    if (Func->hasAttr(EntryAttrName))
      if (llvm::Error E =
              offerRegionOf(Func.getBody().front(), Module, Device, Stage))
        return E;
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Compiling
//===----------------------------------------------------------------------===//

llvm::Expected<std::vector<codegen::CompiledKernel>>
compileClaimed(ModuleOp Module, runtime::DeviceCompiler &Device,
               std::vector<uint8_t> &Bytes) {
  std::vector<codegen::CompiledKernel> Kernels;
  std::vector<std::vector<uint8_t>> Buffers;
  std::vector<std::unique_ptr<runtime::GraphAccess>> Graphs;
  for (auto Func : Module.getOps<func::FuncOp>()) {
    auto Name = Func->getAttrOfType<StringAttr>(DeviceAttrName);
    if (!Func->hasAttr(KernelAttrName) || !Name ||
        Name.getValue() != nameOf(Device))
      continue;
    auto Serialized = serializeGraph(Func);
    if (!Serialized)
      return Serialized.takeError();
    Buffers.push_back(std::move(*Serialized));
    std::string Error;
    auto Graph = runtime::GraphAccess::create(std::span(Buffers.back()), Error);
    if (!Graph)
      return llvm::createStringError("internal: " + Error);
    codegen::CompiledKernel K;
    K.Name = K.Symbol = Func.getName().str();
    K.Template = nameOf(Device).str();
    const limosa_graph_api *Api = runtime::graphApi();
    for (uint32_t I = 0; I < Api->symbol_count(Graph->handle()); ++I)
      K.Symbols.push_back(Api->symbol_name(Graph->handle(), I));
    K.Grid = 1;
    Kernels.push_back(std::move(K));
    Graphs.push_back(std::move(Graph));
  }
  if (Kernels.empty())
    return Kernels;

  std::vector<const limosa_graph *> Handles;
  std::vector<std::string> Symbols;
  for (auto [G, K] : llvm::zip_equal(Graphs, Kernels)) {
    Handles.push_back(G->handle());
    Symbols.push_back(K.Symbol);
  }
  std::string Error;
  if (!Device.compile(Handles, Symbols, {}, Bytes, Error))
    return deviceError(Device, Error);
  return Kernels;
}

} // namespace limosa
