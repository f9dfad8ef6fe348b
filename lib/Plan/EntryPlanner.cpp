//===- EntryPlanner.cpp - One entry function to steps and buffers ---------===//

#include "EntryPlanner.h"

#include "limosa/IR/Layout.h"
#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Symbols.h"

using namespace mlir;

namespace limosa::plan {

static llvm::Error fail(Operation *Op, const llvm::Twine &Message) {
  std::string Text;
  llvm::raw_string_ostream OS(Text);
  Op->getLoc().print(OS);
  return llvm::createStringError(Text + ": " + Message);
}

//===----------------------------------------------------------------------===//
// Scopes
//===----------------------------------------------------------------------===//

/// Everything that ops inside `Op` use but do not define.
static void forEachUse(Operation *Op, llvm::function_ref<void(Value)> F) {
  for (Value V : Op->getOperands())
    F(V);
  for (Region &R : Op->getRegions())
    R.walk([&](Operation *Inner) {
      for (Value V : Inner->getOperands())
        if (!Op->isAncestor(V.getParentRegion()->getParentOp()))
          F(V);
    });
}

void EntryPlanner::openScope(Scope &S, Block &Body, fb::BlockT &Out,
                             Scope *Parent) {
  S.Body = &Body;
  S.Out = &Out;
  S.Parent = Parent;
  S.Depth = Parent ? Parent->Depth + 1 : 0;
  unsigned I = 0;
  for (Operation &Op : Body) {
    S.Index[&Op] = I;
    forEachUse(&Op, [&](Value V) { S.LastUse[rootOf(V)] = I; });
    ++I;
  }
}

/// What the block used of the blocks around it stays until the end: a loop may
/// run it again.
void EntryPlanner::closeScope(Scope &S) {
  for (unsigned In : S.Outer)
    Storages[In].End = std::max(Storages[In].End, Time);
  ++Time;
}

llvm::Error EntryPlanner::visitBlock(Scope &S) {
  for (Operation &Op : S.Body->without_terminator())
    if (llvm::Error E = visit(&Op, S))
      return E;
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// The entry
//===----------------------------------------------------------------------===//

template <typename T> static std::string nameAttr(T Attr, StringRef Default) {
  auto Name = dyn_cast_or_null<StringAttr>(Attr);
  return Name ? Name.getValue().str() : Default.str();
}

llvm::Error EntryPlanner::planArguments() {
  Scope Whole;
  for (BlockArgument Arg : Func.getArguments()) {
    unsigned I = Arg.getArgNumber();
    auto Ty = cast<RankedTensorType>(Arg.getType());
    std::string Name =
        nameAttr(Func.getArgAttr(I, NameAttrName), "arg" + std::to_string(I));
    bool IsState = nameAttr(Func.getArgAttr(I, KindAttrName), "") == "state";
    if (!isPhysicallyRowMajor(Ty))
      return fail(Func, "argument '" + Name + "' must be row-major");
    unsigned In = newStorage(
        IsState ? fb::BufferKind::State : fb::BufferKind::Input, Whole);
    if (IsState) {
      auto [It, IsNew] = P.States.try_emplace(Name, P.Program.states.size());
      if (IsNew) {
        auto S = std::make_unique<fb::StateT>();
        S->name = Name;
        S->dtype = uint8_t(getDType(Ty.getElementType()));
        S->dims = P.Exprs.add(getDims(Ty));
        if (auto Init = Func.getArgAttrOfType<ElementsAttr>(I, "limosa.init")) {
          OpBuilder B(Func);
          auto C = ConstantOp::create(B, Func.getLoc(), Ty, Init);
          auto Index = P.Constants.add(C);
          C.erase();
          if (!Index)
            return Index.takeError();
          S->init = *Index;
        }
        P.Program.states.push_back(std::move(S));
      }
      Storages[In].Source = It->second;
    } else {
      Storages[In].Source = Entry.inputs.size();
      auto A = std::make_unique<fb::ArgumentT>();
      A->name = Name;
      A->dtype = uint8_t(Func.getArgAttr(I, StringsAttrName)
                             ? DType::String
                             : getDType(Ty.getElementType()));
      A->dims = P.Exprs.add(getDims(Ty));
      Entry.inputs.push_back(std::move(A));
    }
    Buffers[Arg] = newBuffer(Ty, In, Name);
  }

  for (auto [I, ResultTy] : llvm::enumerate(Func.getResultTypes())) {
    auto Ty = cast<RankedTensorType>(ResultTy);
    auto A = std::make_unique<fb::ArgumentT>();
    A->name = nameAttr(Func.getResultAttr(I, NameAttrName),
                       "result" + std::to_string(I));
    A->dtype = uint8_t(Func.getResultAttr(I, StringsAttrName)
                           ? DType::String
                           : getDType(Ty.getElementType()));
    A->dims = P.Exprs.add(getDims(Ty));
    if (auto Alias = Func.getResultAttrOfType<IntegerAttr>(I, AliasAttrName)) {
      uint64_t Arg = Alias.getValue().getZExtValue();
      if (Arg >= Func.getNumArguments() ||
          !sameLogicalType(Func.getArgument(Arg).getType(), Ty))
        return fail(Func, "result '" + A->name +
                              "' replaces no argument of its type");
      const Storage &In = Storages[StorageOf[Buffers[Func.getArgument(Arg)]]];
      A->alias = In.Source;
      A->alias_state = In.Kind == fb::BufferKind::State;
    }
    Entry.outputs.push_back(std::move(A));
  }
  return llvm::Error::success();
}

/// Lets values that are returned be computed in the outputs' memory.
void EntryPlanner::planOutputTargets(Scope &S) {
  Operation *Return = S.Body->getTerminator();
  for (auto [I, V] : llvm::enumerate(Return->getOperands())) {
    Value Root = rootOf(V);
    Operation *Def = Root.getDefiningOp();
    if (!Def || Def->getBlock() != S.Body || isa<ConstantOp>(Def) ||
        S.Target.contains(Root) || !isPhysicallyRowMajor(V.getType()))
      continue;
    if (auto Alias = Func.getResultAttrOfType<IntegerAttr>(I, AliasAttrName)) {
      // The output may be the argument's memory: nothing may read that any
      // more, unless the launch itself reads what it overwrites.
      Value Arg = Func.getArgument(Alias.getValue().getZExtValue());
      auto Last = S.LastUse.find(Arg);
      unsigned At = S.Index.lookup(Def);
      if (Last != S.LastUse.end() && Last->second >= At) {
        auto Launch = dyn_cast<LaunchOp>(Def);
        if (!Launch || Last->second > At)
          continue;
        bool InPlace = false;
        unsigned Uses = 0;
        for (auto [J, In] : llvm::enumerate(Launch.getInputs()))
          if (rootOf(In) == Arg) {
            ++Uses;
            InPlace = mayTakeOver(P.Kernels.lookup(Launch.getKernel()), J,
                                  cast<OpResult>(Root).getResultNumber());
          }
        if (!InPlace || Uses != 1)
          continue;
      }
    }
    unsigned In = newStorage(fb::BufferKind::Output, S);
    Storages[In].Source = I;
    S.Target[Root] = In;
  }
}

llvm::Error EntryPlanner::planReturn(Scope &S) {
  Operation *Return = S.Body->getTerminator();
  struct Move {
    uint32_t From;
    unsigned Output;
    RankedTensorType Ty;
  };
  SmallVector<Move> Moves;
  for (auto [I, V] : llvm::enumerate(Return->getOperands())) {
    auto B = bufferOf(V);
    if (!B)
      return B.takeError();
    const Storage &In = Storages[StorageOf[*B]];
    if (In.Kind == fb::BufferKind::Output && In.Source == I) {
      touch(*B, S);
      continue;
    }
    Moves.push_back({*B, unsigned(I), cast<RankedTensorType>(V.getType())});
  }
  // An argument that is returned may lie where another output goes: save it
  // first.
  bool Replaces =
      llvm::any_of(Entry.outputs, [](const auto &O) { return O->alias >= 0; });
  for (Move &M : Moves) {
    fb::BufferKind Kind = Storages[StorageOf[M.From]].Kind;
    if (!Replaces ||
        (Kind != fb::BufferKind::Input && Kind != fb::BufferKind::State &&
         Kind != fb::BufferKind::Output))
      continue;
    uint32_t Saved =
        newBuffer(M.Ty, newTensorStorage(getDType(M.Ty.getElementType()),
                                         Bounds.upper(numElements(M.Ty)), S));
    allocIfDynamic(Saved, S);
    emitCopy(M.From, Saved, S);
    M.From = Saved;
  }
  for (const Move &M : Moves) {
    unsigned In = newStorage(fb::BufferKind::Output, S);
    Storages[In].Source = M.Output;
    auto RowMajor = withOrder(M.Ty, {});
    emitCopy(M.From, newBuffer(RowMajor, In, Entry.outputs[M.Output]->name), S);
  }
  return llvm::Error::success();
}

llvm::Error EntryPlanner::run() {
  Entry.name = Func.getName().str();
  Entry.body = std::make_unique<fb::BlockT>();
  if (llvm::Error E = planArguments())
    return E;
  Scope S;
  openScope(S, Func.getBody().front(), *Entry.body, nullptr);
  planOutputTargets(S);
  if (llvm::Error E = visitBlock(S))
    return E;
  if (llvm::Error E = planReturn(S))
    return E;
  finishMemory();
  insertFrees();
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

llvm::Error EntryPlanner::visit(Operation *Op, Scope &S) {
  if (isa<ConstantOp>(Op))
    return llvm::Error::success(); // stored when it is used
  if (isAlias(Op) || isa<BarrierOp>(Op)) {
    for (auto [From, To] : llvm::zip(Op->getOperands(), Op->getResults())) {
      auto B = bufferOf(From);
      if (!B)
        return B.takeError();
      Buffers[To] = newBuffer(cast<RankedTensorType>(To.getType()),
                              StorageOf[*B], nameOf(To));
    }
    return llvm::Error::success();
  }
  if (isa<LaunchOp>(Op))
    return visitLaunch(Op, S);
  if (isa<IfOp>(Op))
    return visitIf(Op, S);
  if (isa<WhileOp>(Op))
    return visitWhile(Op, S);
  if (isa<BindSymbolOp>(Op))
    return visitBind(Op, S);
  if (isa<CustomCallOp>(Op))
    return visitCustomCall(Op, S);
  if (auto Dim = dyn_cast<DimOp>(Op)) {
    uint32_t B = define(Dim.getResult(), S);
    touch(B, S);
    fb::StoreExprsT Store;
    Store.buffer = B;
    Store.exprs = {P.Exprs.add(parseDim(Dim.getExpr()))};
    emit(std::move(Store), S);
    return llvm::Error::success();
  }
  if (auto Assert = dyn_cast<AssertOp>(Op)) {
    auto B = bufferOf(Assert.getCondition());
    if (!B)
      return B.takeError();
    touch(*B, S);
    fb::AssertT Check;
    Check.condition = *B;
    Check.message = Assert.getMessage().str();
    emit(std::move(Check), S);
    return llvm::Error::success();
  }
  if (auto Assert = dyn_cast<AssertExprOp>(Op)) {
    fb::AssertExprT Check;
    Check.lhs = P.Exprs.add(parseDim(Assert.getLhs()));
    Check.rhs = P.Exprs.add(parseDim(Assert.getRhs()));
    Check.message = Assert.getMessage().str();
    emit(std::move(Check), S);
    return llvm::Error::success();
  }
  return fail(Op, "internal: '" + Op->getName().getStringRef() +
                      "' is left after dispatch");
}

llvm::Error EntryPlanner::visitBind(Operation *Op, Scope &S) {
  auto Bind = cast<BindSymbolOp>(Op);
  StringRef Symbol = Bind.getSymbol();
  Operation *Def = Bind.getValue().getDefiningOp();
  std::optional<DimExpr> Known;
  if (auto Dim = dyn_cast_or_null<DimOp>(Def))
    Known = parseDim(Dim.getExpr());
  else if (auto C = dyn_cast_or_null<ConstantOp>(Def))
    if (auto Dense = dyn_cast<DenseIntElementsAttr>(C.getValue()))
      Known = DimExpr((*Dense.value_begin<APInt>()).getSExtValue());
  if (Known) {
    setSymbol(Symbol, *Known, S);
    Bounds.define(Symbol, *Known);
    return llvm::Error::success();
  }
  auto B = bufferOf(Bind.getValue());
  if (!B)
    return B.takeError();
  touch(*B, S);
  Assigned.insert(Symbol);
  fb::BindSymbolT Step;
  Step.symbol = P.Exprs.symbol(Symbol);
  Step.buffer = *B;
  emit(std::move(Step), S);
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

void EntryPlanner::finishMemory() {
  for (uint32_t D = 0; D < P.Devices.size(); ++D)
    Entry.arenas.push_back(P.Exprs.add(assignArena(Storages, D)));
  for (auto [B, In] : llvm::zip_equal(Entry.buffers, StorageOf))
    if (B->kind == fb::BufferKind::Temp)
      B->offset = P.Exprs.add(Storages[In].Offset);
}

/// Gives dynamic memory back right after the last step of its block that uses
/// it.
void EntryPlanner::insertFrees() {
  llvm::DenseMap<fb::BlockT *, std::vector<std::pair<size_t, uint32_t>>> Frees;
  for (auto [In, Block] : DynamicIn) {
    const std::vector<unsigned> &Times = StepTimes[Block];
    size_t After = llvm::lower_bound(Times, Storages[In].End) - Times.begin();
    Frees[Block].push_back(
        {std::min(After + 1, Block->steps.size()), Storages[In].Owner});
  }
  for (auto &[Block, List] : Frees) {
    llvm::sort(List, std::greater<>());
    for (auto [At, Buffer] : List) {
      auto Step = std::make_unique<fb::StepT>();
      fb::FreeT F;
      F.buffer = Buffer;
      Step->instr.Set(std::move(F));
      Block->steps.insert(Block->steps.begin() + At, std::move(Step));
    }
  }
}

} // namespace limosa::plan
