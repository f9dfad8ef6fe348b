//===- Rules.cpp - What is worth fusing -----------------------------------===//

#include "Rules.h"

#include "limosa/Codegen/FusionRules.h"
#include "limosa/IR/Layout.h"
#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Symbols.h"
#include "limosa/IR/Types.h"
#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace limosa::dispatch {

static SmallVector<DimExpr> withoutUnits(Type Ty) {
  SmallVector<DimExpr> Out;
  for (const DimExpr &E : getDims(Ty))
    if (!E.isConstant(1))
      Out.push_back(E);
  return Out;
}

bool sameUpToUnitDims(Type A, Type B) {
  return withoutUnits(A) == withoutUnits(B);
}

bool sameDomain(Type A, Type B) {
  return sameShape(A, B) && getOrder(A) == getOrder(B);
}

bool isInline(Operation *Op) {
  if (isa<DimOp>(Op))
    return true;
  auto C = dyn_cast<ConstantOp>(Op);
  return C && (C.getValue().isSplat() || C.getType().getRank() == 0);
}

bool isView(Operation *Op) { return isAlias(Op); }

static bool isElementwise(Operation *Op) {
  return Op->hasTrait<limosa::OpTrait::SameShape>();
}

llvm::StringRef claimedBy(Operation *Op) {
  auto Device = Op->getAttrOfType<StringAttr>(DeviceAttrName);
  return Device ? Device.getValue() : llvm::StringRef();
}

void dropClaims(Operation *Op) {
  Op->walk([](Operation *Inner) {
    Inner->removeAttr(DeviceAttrName);
    Inner->removeAttr(ClaimedAttrName);
  });
}

OpClass classify(Operation *Op) {
  if (!claimedBy(Op).empty())
    return OpClass::Heavy;
  if (isInline(Op))
    return OpClass::Inline;
  if (isView(Op))
    return OpClass::View;
  if (isElementwise(Op))
    return OpClass::Pointwise;
  return llvm::TypeSwitch<Operation *, OpClass>(Op)
      .Case<IotaOp, ReshapeOp, TransposeOp, BroadcastOp, SliceOp, PadOp,
            ConcatOp, GatherOp, RelayoutOp>([](auto) { return OpClass::Data; })
      .Case<ReduceOp>([](auto) { return OpClass::Reduce; })
      .Case<ContractOp, ConvOp, WindowOp, ScanOp, SortOp, ScatterOp,
            UpdateSliceOp, CompactOp, RandomBitsOp>(
          [](auto) { return OpClass::Heavy; })
      .Default([](auto) { return OpClass::Outside; });
}

unsigned opCost(Operation *Op) {
  if (!isElementwise(Op))
    return isa<GatherOp>(Op) ? 2 : 0;
  if (isa<BitcastOp>(Op))
    return 0;
  if (isa<DivOp, RemOp, SqrtOp>(Op))
    return 4;
  if (isa<PowOp, ExpOp, LogOp, SinOp, CosOp, TanhOp, ErfOp>(Op))
    return 12;
  return 1;
}

unsigned recomputeCost(Operation *Op, unsigned Limit) {
  unsigned Cost = opCost(Op);
  for (Value V : Op->getOperands()) {
    if (Cost > Limit)
      return Cost;
    Operation *Def = V.getDefiningOp();
    if (!Def)
      continue;
    OpClass C = classify(Def);
    if (C == OpClass::Pointwise || C == OpClass::Data)
      Cost += recomputeCost(Def, Limit - Cost);
  }
  return Cost;
}

static int64_t byteSize(RankedTensorType Ty) {
  return dtypeBytes(getDType(Ty.getElementType()), Ty.getNumElements());
}

/// Adds the sizes of the constants that `V` is computed from; false if it is
/// computed from anything else, or by too many ops.
static bool addConstants(Value V, llvm::SmallPtrSetImpl<Operation *> &Seen,
                         int64_t &Bytes) {
  constexpr unsigned MaxOps = 32;
  auto Ty = cast<RankedTensorType>(V.getType());
  Operation *Op = V.getDefiningOp();
  if (!Op || !Ty.hasStaticShape() || Seen.size() > MaxOps)
    return false;
  if (!Seen.insert(Op).second)
    return true;
  if (isa<ConstantOp>(Op)) {
    Bytes += isInline(Op) ? 0 : byteSize(Ty);
    return true;
  }
  if (!claimedBy(Op).empty() ||
      !(isElementwise(Op) || isa<BroadcastOp, ReshapeOp, SliceOp, IotaOp>(Op)))
    return false;
  return llvm::all_of(Op->getOperands(), [&](Value Operand) {
    return addConstants(Operand, Seen, Bytes);
  });
}

bool spreadsConstants(Operation *Op) {
  if (!Op || !isElementwise(Op) || Op->getNumResults() != 1)
    return false;
  llvm::SmallPtrSet<Operation *, 16> Seen;
  int64_t Bytes = 0;
  Value Result = Op->getResult(0);
  return addConstants(Result, Seen, Bytes) && Bytes > 0 &&
         2 * Bytes <= byteSize(cast<RankedTensorType>(Result.getType()));
}

bool hasEpilogue(Operation *Root) {
  return isa<ContractOp, ConvOp, WindowOp>(Root) && Root->getNumResults() == 1;
}

std::optional<codegen::ColumnSplit> gatesOf(Operation *Root) {
  auto Split = codegen::findColumnSplit(Root);
  if (!Split)
    return std::nullopt;
  for (Operation *Part : Split->Slices)
    if (!llvm::all_of(Part->getUsers(), isElementwise))
      return std::nullopt;
  return Split;
}

unsigned maxOutputs(Operation *Root, const FusionOptions &Options) {
  return std::max<unsigned>(Options.MaxOutputs, Root->getNumResults());
}

ChainDomain chainDomain(Operation *Op) {
  auto Reduce = cast<ReduceOp>(Op);
  ChainDomain D;
  D.Domain = cast<RankedTensorType>(Reduce.getInputs()[0].getType());
  D.Rows = cast<RankedTensorType>(Reduce.getResult(0).getType());
  D.Dims.assign(Reduce.getDims().begin(), Reduce.getDims().end());
  D.Whole = true;
  // One row leaves nothing to share between threads.
  auto Rows = numElements(D.Rows).constant();
  auto All = numElements(D.Domain).constant();
  if (Rows && *Rows < 2 && !(All && *All <= 16384))
    D.Whole = false;
  return D;
}

bool joinsChain(const ChainDomain &D, Operation *Op) {
  if (Op->getNumResults() == 0 || !claimedBy(Op).empty())
    return false;
  Type Result = Op->getResult(0).getType();
  bool IsRows = sameUpToUnitDims(Result, D.Rows) && isRowMajor(Result);
  if (isElementwise(Op))
    return IsRows || (D.Whole && sameDomain(Result, D.Domain));
  if (isView(Op))
    return IsRows && sameUpToUnitDims(Op->getOperand(0).getType(), D.Rows);
  if (auto Broadcast = dyn_cast<BroadcastOp>(Op)) {
    if (!D.Whole || !sameDomain(Result, D.Domain) ||
        !sameUpToUnitDims(Broadcast.getOperand().getType(), D.Rows))
      return false;
    Dims From = getDims(Broadcast.getOperand());
    for (auto [I, To] : llvm::enumerate(Broadcast.getDims()))
      if (!From[I].isConstant(1) && llvm::is_contained(D.Dims, To))
        return false;
    return true;
  }
  if (auto Reduce = dyn_cast<ReduceOp>(Op))
    return D.Whole && sameDomain(Reduce.getInputs()[0].getType(), D.Domain) &&
           llvm::equal(Reduce.getDims(), D.Dims);
  return false;
}

/// A few elements, as of a position or a shape.
static bool isShort(Type Ty) {
  auto Elements = numElements(Ty).constant();
  return Elements && *Elements <= 16;
}

bool canPull(Operation *Producer, Operation *User, unsigned Operand) {
  if (isa<UpdateSliceOp>(User) && Operand == 2)
    return isShort(Producer->getResult(0).getType());
  // Moves of whole blocks keep kernels of their own: pulled element by element
  // they cost a choice at each.
  if (isa<ConcatOp>(Producer))
    return false;
  if (isElementwise(User))
    return true;
  return llvm::TypeSwitch<Operation *, bool>(User)
      .Case<ReduceOp>([&](auto) {
        return codegen::keepsContiguity(Producer) || isa<IotaOp>(Producer);
      })
      .Case<TransposeOp, SliceOp, PadOp, ConcatOp, ReshapeOp, RelayoutOp>(
          [](auto) { return true; })
      .Case<BroadcastOp>([&](BroadcastOp B) {
        // Whatever is below a broadcast is computed once per copy.
        return recomputeCost(Producer, 2) <= 2;
      })
      .Case<ContractOp>([&](auto) { return spreadsConstants(Producer); })
      .Case<GatherOp>([&](GatherOp) {
        return Operand == 1 ? isElementwise(Producer) || isView(Producer)
                            : isa<BroadcastOp, ConvertOp>(Producer);
      })
      .Case<UpdateSliceOp>([&](auto) {
        // The block that is written; the rest has to be in memory.
        return Operand == 1 && Producer->getNumResults() == 1;
      })
      .Default([](auto) { return false; });
}

bool attentionReads(Operation *Producer, const FusionOptions &Options) {
  if (isa<TransposeOp, SliceOp, ReshapeOp, BroadcastOp, RelayoutOp>(Producer))
    return true;
  return isElementwise(Producer) &&
         recomputeCost(Producer, Options.MaxRecompute) <= Options.MaxRecompute;
}

} // namespace limosa::dispatch
