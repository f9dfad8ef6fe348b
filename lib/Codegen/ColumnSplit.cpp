//===- ColumnSplit.cpp - Products that are read in parts ------------------===//

#include "limosa/Codegen/FusionRules.h"
#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Types.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/SmallPtrSet.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::codegen;

/// A register tile has a vector of each part at least. With more parts than
/// this it has too few rows to be fast, unless there are no more.
static constexpr int64_t PartsOfAnyRows = 3, PartsOfFewRows = 6, FewRows = 6;

/// Weights that the kernel reads in panels; others would have to be copied in
/// parts, too.
static bool isWeight(Value V) {
  if (auto Constant = V.getDefiningOp<ConstantOp>())
    return !Constant.getValue().isSplat();
  auto Arg = dyn_cast<BlockArgument>(V);
  if (!Arg || !Arg.hasOneUse())
    return false;
  auto Func = dyn_cast<func::FuncOp>(Arg.getOwner()->getParentOp());
  return Func && Func.getArgAttr(Arg.getArgNumber(), "limosa.constant");
}

/// The dimension of a product's result that holds the columns of constant
/// weights.
static std::optional<unsigned> weightColumns(ContractOp Op) {
  if (!Op.getLhsBatch().empty())
    return std::nullopt;
  auto freeRank = [](Value V, ArrayRef<int64_t> Contract) {
    return cast<RankedTensorType>(V.getType()).getRank() -
           int64_t(Contract.size());
  };
  int64_t Lhs = freeRank(Op.getLhs(), Op.getLhsContract());
  int64_t Rhs = freeRank(Op.getRhs(), Op.getRhsContract());
  if (Rhs == 1 && isWeight(Op.getRhs()))
    return unsigned(Lhs);
  if (Lhs == 1 && isWeight(Op.getLhs()))
    return 0u;
  return std::nullopt;
}

/// The dimension that `Slice` cuts, if it is one, and begins at a multiple of
/// what it takes.
static std::optional<unsigned> cutDim(SliceOp Slice) {
  Dims From = getDims(Slice.getOperand()), To = getDims(Slice.getResult());
  Dims Starts = parseDims(Slice.getStarts());
  std::optional<unsigned> Cut;
  for (unsigned D = 0; D < From.size(); ++D) {
    if (Slice.getSteps()[D] != 1)
      return std::nullopt;
    if (From[D] == To[D])
      continue;
    auto Start = Starts[D].constant(), Size = To[D].constant();
    if (Cut || !Start || !Size || *Size < 1 || *Start % *Size != 0)
      return std::nullopt;
    Cut = D;
  }
  return Cut;
}

std::optional<ColumnSplit> codegen::findColumnSplit(Operation *Product) {
  auto Op = dyn_cast_or_null<ContractOp>(Product);
  // Narrower elements are multiplied by pairs or fours, in panels of their own.
  auto IsF32 = [](Value V) { return getElementTypeOrSelf(V).isF32(); };
  if (!Op || !isRowMajor(Op.getType()) || !IsF32(Op.getResult()) ||
      !IsF32(Op.getLhs()) || !IsF32(Op.getRhs()))
    return std::nullopt;
  std::optional<unsigned> Dim = weightColumns(Op);
  if (!Dim)
    return std::nullopt;
  Type Whole = Op.getType();
  auto Columns = getDim(Whole, *Dim).constant();
  if (!Columns)
    return std::nullopt;

  ColumnSplit Split{*Dim, 0, 0, {}};
  SmallVector<Value> Work{Op.getResult()};
  llvm::SmallPtrSet<Operation *, 8> Seen;
  while (!Work.empty())
    for (Operation *User : Work.pop_back_val().getUsers()) {
      if (!Seen.insert(User).second)
        continue;
      if (User->getBlock() != Op->getBlock())
        return std::nullopt;
      if (User->hasTrait<limosa::OpTrait::SameShape>()) {
        if (!isRowMajor(User->getResult(0).getType()))
          return std::nullopt;
        llvm::append_range(Work, User->getResults());
        continue;
      }
      auto Slice = dyn_cast<SliceOp>(User);
      if (!Slice || cutDim(Slice) != *Dim || !isRowMajor(Slice.getType()))
        return std::nullopt;
      int64_t Size = *getDim(Slice.getType(), *Dim).constant();
      if (Split.Columns != 0 && Size != Split.Columns)
        return std::nullopt;
      Split.Columns = Size;
      Split.Slices.push_back(Slice);
    }
  if (Split.Slices.size() < 2 || *Columns % Split.Columns != 0)
    return std::nullopt;
  Split.Parts = *Columns / Split.Columns;
  auto Rows = numElements(Whole).constant();
  bool Few = !Rows || *Rows <= FewRows * *Columns;
  if (Split.Parts > (Few ? PartsOfFewRows : PartsOfAnyRows))
    return std::nullopt;
  return Split;
}

bool codegen::canStoreIntoSlice(Operation *Op) {
  auto Update = dyn_cast<UpdateSliceOp>(Op);
  // What the update does not replace is not touched, so nothing else may read
  // the operand, and it must lie in memory.
  return Update && isRowMajor(Update.getType()) &&
         Update.getOperand().hasOneUse() &&
         !isa_and_nonnull<ConstantOp>(Update.getOperand().getDefiningOp());
}
