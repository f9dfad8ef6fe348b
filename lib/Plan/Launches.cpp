//===- Launches.cpp - Launches, donation, transfers -----------------------===//

#include "EntryPlanner.h"

#include "limosa/Codegen/FusionRules.h"
#include "limosa/IR/LimosaOps.h"

using namespace mlir;

namespace limosa::plan {

bool mayTakeOver(const KernelInfo &Kernel, unsigned Operand, unsigned Result) {
  func::FuncOp Func = Kernel.Func;
  if (!Func)
    return false; // visitLaunch reports it
  BlockArgument Arg = Func.getArgument(Operand);
  Value Out = Func.getBody().front().getTerminator()->getOperand(Result);
  if (Arg.getType() != Out.getType())
    return false;
  // These write only what changes when they find both in one place.
  Operation *Def = Out.getDefiningOp();
  if (isa_and_nonnull<UpdateSliceOp, ScatterOp>(Def) &&
      Def->getOperand(0) == Arg && Arg.hasOneUse())
    return true;
  // Products that store into a slice do so tile by tile.
  return codegen::canDonate(Arg, Out, /*Together=*/!Kernel.Updates.empty());
}

/// The operand that result `Result` is a changed form of, or null.
static const codegen::UpdatedOperand *updateOf(const KernelInfo &K,
                                               unsigned Result) {
  auto *It = llvm::find_if(K.Updates, [&](const codegen::UpdatedOperand &U) {
    return U.Result == Result;
  });
  return It == K.Updates.end() ? nullptr : It;
}

/// The operand whose memory a result takes over: one that nothing needs after
/// this launch and that is as large.
std::optional<unsigned>
EntryPlanner::takeOver(Operation *Op, const KernelInfo &K, unsigned Result,
                       ArrayRef<uint32_t> Operands, Scope &S) {
  auto Launch = cast<LaunchOp>(Op);
  const codegen::UpdatedOperand *Update = updateOf(K, Result);
  for (auto [I, V] : llvm::enumerate(Launch.getInputs())) {
    if (Update && I != Update->Operand)
      continue;
    unsigned In = StorageOf[Operands[I]];
    const Storage &Memory = Storages[In];
    if (Memory.Kind != fb::BufferKind::Temp || Pinned.contains(In) ||
        !dies(V, Op, S) || !mayTakeOver(K, I, Result))
      continue;
    // Another view of the same memory may be read in another order.
    unsigned Readers = llvm::count_if(
        Operands, [&](uint32_t B) { return StorageOf[B] == In; });
    if (Readers == 1)
      return In;
  }
  return std::nullopt;
}

/// A copy of a buffer in a device's own memory; made once in each block.
uint32_t EntryPlanner::toDevice(uint32_t Buffer, uint32_t Device, Scope &S) {
  auto [It, IsNew] = S.OnDevice.try_emplace({Buffer, Device}, 0);
  if (!IsNew)
    return It->second;
  const fb::BufferT &From = *Entry.buffers[Buffer];
  unsigned In = newStorage(fb::BufferKind::Temp, S);
  Storages[In].Device = Device;
  Storages[In].Bytes = Storages[StorageOf[Buffer]].Bytes;
  auto To = std::make_unique<fb::BufferT>(From);
  To->kind = fb::BufferKind::Temp;
  To->device = Device;
  To->source = 0;
  Entry.buffers.push_back(std::move(To));
  StorageOf.push_back(In);
  return It->second = Entry.buffers.size() - 1;
}

llvm::Error EntryPlanner::visitLaunch(Operation *Op, Scope &S) {
  auto Launch = cast<LaunchOp>(Op);
  auto It = P.Kernels.find(Launch.getKernel());
  if (It == P.Kernels.end())
    return llvm::createStringError("internal: kernel '" + Launch.getKernel() +
                                   "' was not compiled");
  const KernelInfo &K = It->second;

  SmallVector<uint32_t> Operands;
  for (auto [I, V] : llvm::enumerate(Launch.getInputs())) {
    StringRef Spec;
    for (const auto &[Operand, Packing] : K.Packs)
      if (Operand == I)
        Spec = Packing;
    auto Constant = V.getDefiningOp<ConstantOp>();
    if (!Spec.empty() && !Constant)
      return llvm::createStringError("internal: kernel '" + Launch.getKernel() +
                                     "' wants a value packed that is not "
                                     "constant");
    auto B = Spec.empty() ? bufferOf(V) : constantBuffer(Constant, Spec);
    if (!B)
      return B.takeError();
    Operands.push_back(*B);
  }

  SmallVector<uint32_t> Results(Launch.getNumResults());
  llvm::DenseSet<unsigned> Taken;
  for (auto [R, V] : llvm::enumerate(Launch.getOutputs())) {
    auto Compact = llvm::find_if(
        K.Compacts, [&](const CompactResult &C) { return C.Indices == R; });
    if (Compact != K.Compacts.end()) {
      // Room for all that could be found; the value sees what was.
      auto Ty = cast<RankedTensorType>(V.getType());
      Dims Room = getDims(Ty);
      Room[0] = Compact->Capacity;
      unsigned In =
          newTensorStorage(DType::I64, Bounds.upper(Room[0] * Room[1]), S);
      Results[R] = newBuffer(DType::I64, Room, {}, In, nameOf(V));
      continue;
    }
    if (!S.Target.contains(V)) {
      auto In = takeOver(Op, K, R, Operands, S);
      if (In && Taken.insert(*In).second) {
        Results[R] = Buffers[V] =
            newBuffer(cast<RankedTensorType>(V.getType()), *In, nameOf(V));
        continue;
      }
    }
    Results[R] = define(V, S);
  }
  for (uint32_t B : Results)
    if (!Taken.contains(StorageOf[B]))
      allocIfDynamic(B, S);
  // What a kernel only changes in part it has to find in the result's memory.
  for (const codegen::UpdatedOperand &U : K.Updates)
    if (StorageOf[Operands[U.Operand]] != StorageOf[Results[U.Result]])
      emitCopy(Operands[U.Operand], Results[U.Result], S);

  fb::LaunchT Step;
  Step.kernel = K.Index;
  Step.symbols = K.Symbols;
  bool Shares = P.Devices[K.Device].SharesHostMemory;
  SmallVector<uint32_t> OnDevice;
  for (uint32_t B : Operands) {
    if (Shares) {
      Step.buffers.push_back(B);
      touch(B, S);
      continue;
    }
    bool IsNew = !S.OnDevice.contains({B, K.Device});
    uint32_t There = toDevice(B, K.Device, S);
    if (IsNew)
      emitCopy(B, There, S);
    Step.buffers.push_back(There);
  }
  for (uint32_t B : Results) {
    uint32_t There = Shares ? B : toDevice(B, K.Device, S);
    OnDevice.push_back(There);
    Step.buffers.push_back(There);
  }
  for (uint32_t B : Step.buffers)
    touch(B, S);
  emit(std::move(Step), S);
  if (!Shares)
    for (auto [From, To] : llvm::zip_equal(OnDevice, Results))
      emitCopy(From, To, S);

  for (const CompactResult &C : K.Compacts) {
    touch(Results[C.Count], S);
    Assigned.insert(C.Symbol);
    fb::BindSymbolT Bind;
    Bind.symbol = P.Exprs.symbol(C.Symbol);
    Bind.buffer = Results[C.Count];
    emit(std::move(Bind), S);
    Value Indices = Launch.getResult(C.Indices);
    Buffers[Indices] =
        newBuffer(cast<RankedTensorType>(Indices.getType()),
                  StorageOf[Results[C.Indices]], nameOf(Indices));
    if (auto Most = Bounds.upper(C.Capacity))
      Bounds.define(C.Symbol, *Most);
  }
  return llvm::Error::success();
}

} // namespace limosa::plan
