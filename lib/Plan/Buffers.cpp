//===- Buffers.cpp - Values, buffers and the memory behind them -----------===//

#include "EntryPlanner.h"

#include "limosa/Dispatch/Fusion.h"
#include "limosa/IR/Layout.h"
#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Symbols.h"

using namespace mlir;

namespace limosa::plan {

/// The value whose memory `V` is a view of.
Value EntryPlanner::rootOf(Value V) const {
  while (Operation *Def = V.getDefiningOp()) {
    if (isAlias(Def))
      V = Def->getOperand(0);
    else if (isa<BarrierOp>(Def))
      V = Def->getOperand(cast<OpResult>(V).getResultNumber());
    else
      break;
  }
  return V;
}

/// Whether nothing after `At` reads the memory of `V`, a value of this block.
bool EntryPlanner::dies(Value V, Operation *At, const Scope &S) const {
  Value Root = rootOf(V);
  if (Root.getParentBlock() != S.Body)
    return false;
  auto It = S.LastUse.find(Root);
  return It == S.LastUse.end() || It->second <= S.Index.lookup(At);
}

unsigned EntryPlanner::newStorage(fb::BufferKind Kind, const Scope &S) {
  Storage &New = Storages.emplace_back();
  New.Kind = Kind;
  New.Begin = New.End = Time;
  New.Depth = S.Depth;
  if (Kind == fb::BufferKind::Dynamic)
    DynamicIn[Storages.size() - 1] = S.Out;
  return Storages.size() - 1;
}

unsigned EntryPlanner::newTensorStorage(DType T,
                                        const std::optional<DimExpr> &Elements,
                                        const Scope &S) {
  unsigned New =
      newStorage(Elements ? fb::BufferKind::Temp : fb::BufferKind::Dynamic, S);
  if (Elements)
    Storages[New].Bytes = tensorBytes(T, *Elements);
  return New;
}

uint32_t EntryPlanner::newBuffer(DType T, ArrayRef<DimExpr> Dims,
                                 ArrayRef<int64_t> Order, unsigned In,
                                 StringRef Name) {
  auto B = std::make_unique<fb::BufferT>();
  Storage &S = Storages[In];
  B->kind = S.Kind;
  B->dtype = uint8_t(T);
  B->dims = P.Exprs.add(Dims);
  if (!llvm::is_sorted(Order))
    B->order.assign(Order.begin(), Order.end());
  B->source = S.Source;
  B->device = S.Device;
  B->name = Name.str();
  uint32_t Index = Entry.buffers.size();
  if (S.Kind == fb::BufferKind::Dynamic) {
    // The first buffer owns the memory, the others look at it.
    if (DynamicOwners.insert(In).second)
      S.Owner = Index;
    else
      B->source = S.Owner + 1;
  }
  Entry.buffers.push_back(std::move(B));
  StorageOf.push_back(In);
  return Index;
}

uint32_t EntryPlanner::newBuffer(RankedTensorType Ty, unsigned In,
                                 StringRef Name) {
  return newBuffer(getDType(Ty.getElementType()), getDims(Ty), getOrder(Ty), In,
                   Name);
}

std::string EntryPlanner::nameOf(Value V) const {
  SmallVector<std::string> Nodes = modelNodes(V.getLoc());
  return Nodes.empty() ? std::string() : Nodes.back();
}

llvm::Expected<uint32_t> EntryPlanner::constantBuffer(Operation *Op,
                                                      StringRef Spec) {
  auto Constant = cast<ConstantOp>(Op);
  auto Index = P.Constants.add(Constant, Spec);
  if (!Index)
    return Index.takeError();
  auto Ty = cast<RankedTensorType>(Constant.getType());
  auto [It, IsNew] = ConstantBuffers.try_emplace({*Index, Ty}, 0);
  if (IsNew) {
    Scope Whole;
    unsigned In = newStorage(fb::BufferKind::Constant, Whole);
    Storages[In].Source = *Index;
    It->second = newBuffer(Ty, In, nameOf(Constant.getResult()));
  }
  return It->second;
}

llvm::Expected<uint32_t> EntryPlanner::bufferOf(Value V) {
  if (auto It = Buffers.find(V); It != Buffers.end())
    return It->second;
  if (auto Constant = V.getDefiningOp<ConstantOp>()) {
    auto B = constantBuffer(Constant, "");
    if (B)
      Buffers[V] = *B;
    return B;
  }
  std::string Text;
  llvm::raw_string_ostream(Text) << V;
  return llvm::createStringError("internal: no buffer for " + Text);
}

uint32_t EntryPlanner::define(Value V, Scope &S) {
  auto Ty = cast<RankedTensorType>(V.getType());
  auto It = S.Target.find(V);
  unsigned In = It != S.Target.end()
                    ? It->second
                    : newTensorStorage(getDType(Ty.getElementType()),
                                       Bounds.upper(numElements(Ty)), S);
  return Buffers[V] = newBuffer(Ty, In, nameOf(V));
}

void EntryPlanner::touch(uint32_t Buffer, Scope &S) {
  unsigned In = StorageOf[Buffer];
  Storage &Used = Storages[In];
  Used.Begin = std::min(Used.Begin, Time);
  Used.End = std::max(Used.End, Time);
  for (Scope *Around = &S; Around && Around->Depth > Used.Depth;
       Around = Around->Parent)
    Around->Outer.insert(In);
}

void EntryPlanner::allocIfDynamic(uint32_t Buffer, Scope &S) {
  Storage &In = Storages[StorageOf[Buffer]];
  if (In.Kind != fb::BufferKind::Dynamic || In.Owner != Buffer)
    return;
  touch(Buffer, S);
  fb::AllocT A;
  A.buffer = Buffer;
  emit(std::move(A), S);
}

void EntryPlanner::emitCopy(uint32_t Src, uint32_t Dst, Scope &S) {
  touch(Src, S);
  touch(Dst, S);
  fb::CopyT C;
  C.src = Src;
  C.dst = Dst;
  emit(std::move(C), S);
}

void EntryPlanner::setSymbol(StringRef Symbol, const DimExpr &E, Scope &S) {
  Assigned.insert(Symbol);
  fb::SetSymbolT Set;
  Set.symbol = P.Exprs.symbol(Symbol);
  Set.expr = P.Exprs.add(E);
  emit(std::move(Set), S);
}

} // namespace limosa::plan
