//===- SimplifyTransposes.cpp - Transposes that need not move data --------===//

#include "SimplifyPatterns.h"
#include "limosa/IR/CoreBuilder.h"

using namespace mlir;
using namespace limosa;

namespace {

/// contract(transpose(x), y): a product names its dimensions, so it can read x
/// itself, as long as its free dimensions keep their order.
struct TransposeIntoContract : OpRewritePattern<ContractOp> {
  using OpRewritePattern::OpRewritePattern;

  /// Operand, batch and contracting dimensions with a transpose looked through.
  struct Side {
    Value Operand;
    SmallVector<int64_t> Batch, Contract;
    bool Changed = false;
  };

  static Side lookThrough(Value V, ArrayRef<int64_t> Batch,
                          ArrayRef<int64_t> Contract) {
    Side S{V, llvm::to_vector(Batch), llvm::to_vector(Contract), false};
    auto T = V.getDefiningOp<TransposeOp>();
    if (!T)
      return S;
    int64_t LastFree = -1;
    for (auto [D, P] : llvm::enumerate(T.getPerm())) {
      if (llvm::is_contained(Batch, int64_t(D)) ||
          llvm::is_contained(Contract, int64_t(D)))
        continue;
      if (P < LastFree)
        return S;
      LastFree = P;
    }
    for (int64_t &D : S.Batch)
      D = T.getPerm()[D];
    for (int64_t &D : S.Contract)
      D = T.getPerm()[D];
    S.Operand = T.getOperand();
    S.Changed = true;
    return S;
  }

  LogicalResult matchAndRewrite(ContractOp Op, PatternRewriter &R) const final {
    Side L = lookThrough(Op.getLhs(), Op.getLhsBatch(), Op.getLhsContract());
    Side Rhs = lookThrough(Op.getRhs(), Op.getRhsBatch(), Op.getRhsContract());
    if (!L.Changed && !Rhs.Changed)
      return failure();
    R.replaceOpWithNewOp<ContractOp>(Op, Op.getType(), L.Operand, Rhs.Operand,
                                     L.Batch, Rhs.Batch, L.Contract,
                                     Rhs.Contract);
    return success();
  }
};

/// transpose(reshape(x)) to reshape(transpose(x)) when the reshape only merges
/// neighbouring dimensions: the transpose then meets what made x.
struct TransposeAboveMerge : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;

  /// For each result dimension the operand dimensions it merges, or nullopt.
  static std::optional<SmallVector<SmallVector<int64_t>>>
  mergedGroups(const Dims &In, const Dims &Out) {
    SmallVector<SmallVector<int64_t>> Groups;
    size_t Next = 0;
    for (const DimExpr &O : Out) {
      SmallVector<int64_t> Group;
      DimExpr Product(1);
      while (Next < In.size() && !(Product == O && !Group.empty())) {
        Product = Product * In[Next];
        Group.push_back(Next++);
      }
      if (!(Product == O) || Group.empty())
        return std::nullopt;
      Groups.push_back(std::move(Group));
    }
    for (; Next < In.size(); ++Next) {
      if (!In[Next].isConstant(1) || Groups.empty())
        return std::nullopt;
      Groups.back().push_back(Next);
    }
    return Groups;
  }

  LogicalResult matchAndRewrite(TransposeOp Op,
                                PatternRewriter &R) const final {
    auto Reshape = Op.getOperand().getDefiningOp<ReshapeOp>();
    if (!Reshape || !Reshape->hasOneUse())
      return failure();
    auto Groups = mergedGroups(getDims(Reshape.getOperand()),
                               getDims(Reshape.getResult()));
    if (!Groups)
      return failure();
    SmallVector<int64_t> Perm;
    for (int64_t P : Op.getPerm())
      llvm::append_range(Perm, (*Groups)[P]);
    CoreBuilder B(R, Op.getLoc());
    Value New = B.reshape(B.transpose(Reshape.getOperand(), Perm),
                          getDims(Op.getResult()));
    if (New.getType() != Op.getType())
      return failure();
    R.replaceOp(Op, New);
    return success();
  }
};

} // namespace

void limosa::populateTransposePatterns(RewritePatternSet &Patterns) {
  Patterns.add<TransposeIntoContract, TransposeAboveMerge>(
      Patterns.getContext());
}
