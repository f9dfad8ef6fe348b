//===- Expansion.cpp - Depthwise convolutions of expanded channels --------===//

#include "limosa/Codegen/FusionRules.h"
#include "limosa/Codegen/StridedView.h"
#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Types.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/SmallPtrSet.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::codegen;

/// Expanded images up to this size, in bytes, stay in the second-level caches
/// between two kernels, which then are as fast.
static constexpr int64_t SmallImage = 128 << 10;
/// Products on bands of lines run at two thirds of the speed of whole ones. For
/// images up to this size only products of few channels make up for that: those
/// that give so many times more channels than they take.
static constexpr int64_t NearImage = 1280 << 10, Ratio = 3;
/// More ops than this between the convolutions are not searched.
static constexpr unsigned MaxOps = 32;

static bool isElementwise(Operation *Op) {
  return Op->hasTrait<limosa::OpTrait::SameShape>();
}

/// A filter that the kernel reads in panels.
static bool isPackedFilter(Value V) {
  if (!llvm::all_of(V.getUsers(), llvm::IsaPred<ConvOp>))
    return false;
  if (auto Constant = V.getDefiningOp<ConstantOp>())
    return !Constant.getValue().isSplat();
  auto Arg = dyn_cast<BlockArgument>(V);
  auto Func =
      Arg ? dyn_cast<func::FuncOp>(Arg.getOwner()->getParentOp()) : nullptr;
  return Func && Func.getArgAttr(Arg.getArgNumber(), "limosa.constant");
}

/// An image of f32 whose pixels lie evenly, each with its channels side by
/// side.
static bool isChannelsLast(Value V) {
  auto Ty = cast<RankedTensorType>(V.getType());
  return Ty.getElementType().isF32() && Ty.getRank() == 4 &&
         getOrder(Ty) == SmallVector<int64_t>{0, 2, 3, 1};
}

static bool isPlain(ConvOp Op) {
  auto IsOne = [](int64_t D) { return D == 1; };
  return Op.getBatchGroups() == 1 && llvm::all_of(Op.getLhsDilation(), IsOne) &&
         getElementTypeOrSelf(Op.getFilter()).isF32() &&
         cast<RankedTensorType>(Op.getFilter().getType()).hasStaticShape() &&
         isPackedFilter(Op.getFilter()) && isChannelsLast(Op.getInput()) &&
         isChannelsLast(Op.getResult());
}

static bool isDepthwise(ConvOp Op) {
  auto Filter = cast<RankedTensorType>(Op.getFilter().getType());
  int64_t Groups = Op.getFeatureGroups();
  return isPlain(Op) && Groups > 1 && Filter.getDimSize(0) == Groups &&
         Filter.getDimSize(1) == 1;
}

/// A product of each pixel's channels.
static bool isPixelProduct(ConvOp Op) {
  auto Filter = cast<RankedTensorType>(Op.getFilter().getType());
  auto IsOne = [](int64_t D) { return D == 1; };
  auto IsZero = [](const DimExpr &E) { return E.isConstant(0); };
  return isPlain(Op) && Op.getFeatureGroups() == 1 &&
         Filter.getNumElements() > 0 && Filter.getDimSize(2) == 1 &&
         Filter.getDimSize(3) == 1 && llvm::all_of(Op.getStrides(), IsOne) &&
         llvm::all_of(parseDims(Op.getPadLow()), IsZero) &&
         llvm::all_of(parseDims(Op.getPadHigh()), IsZero);
}

bool codegen::isExpansionFaster(ArrayRef<Operation *> ExpansionOps) {
  auto Product = cast<ConvOp>(ExpansionOps.front());
  auto Count = numElements(Product.getResult().getType()).constant();
  int64_t Bytes = Count ? *Count * int64_t(sizeof(float)) : NearImage + 1;
  auto Filter = cast<RankedTensorType>(Product.getFilter().getType());
  return Bytes > NearImage ||
         (Bytes > SmallImage &&
          Filter.getDimSize(0) >= Ratio * Filter.getDimSize(1));
}

SmallVector<Operation *> codegen::expansionOps(Operation *Depthwise) {
  auto Conv = dyn_cast<ConvOp>(Depthwise);
  if (!Conv || !isDepthwise(Conv))
    return {};
  // What the input is computed from element by element, and the last product
  // among it.
  llvm::SmallSetVector<Operation *, 16> Ops;
  Operation *Product = nullptr;
  Type Image = Conv.getInput().getType();
  SmallVector<int64_t> Order = getOrder(Image);
  auto Visit = [&](Value V) {
    Operation *Op = V.getDefiningOp();
    if (!Op || Op->getBlock() != Conv->getBlock() ||
        !sameShape(V.getType(), Image) || getOrder(V.getType()) != Order)
      return;
    if (auto Found = dyn_cast<ConvOp>(Op); Found && isPixelProduct(Found)) {
      if (!Product || Product->isBeforeInBlock(Op))
        Product = Op;
    } else if (isElementwise(Op)) {
      Ops.insert(Op);
    }
  };
  Visit(Conv.getInput());
  for (unsigned I = 0; I < Ops.size(); ++I) {
    if (Ops.size() > MaxOps)
      return {};
    llvm::for_each(Ops[I]->getOperands(), Visit);
  }
  if (!Product || cast<ConvOp>(Product).getFilter() == Conv.getFilter())
    return {};

  SmallVector<Operation *> Sorted = Ops.takeVector();
  llvm::sort(Sorted,
             [](Operation *A, Operation *B) { return A->isBeforeInBlock(B); });
  SmallVector<Operation *> Result{Product};
  llvm::SmallPtrSet<Operation *, 16> Depends{Product};
  for (Operation *Op : Sorted)
    if (llvm::any_of(Op->getOperands(), [&](Value V) {
          return Depends.contains(V.getDefiningOp());
        })) {
      Depends.insert(Op);
      Result.push_back(Op);
    }
  Result.push_back(Depthwise);
  return Result;
}
