//===- SplitProducts.cpp - Products with weights stored by blocks ---------===//
//
// Narrow weights have a scale for each block of a dimension, so that they are
// spread in a shape in which the block is a dimension of its own. A product
// takes them in that shape: its other operand is a view with the same split,
// and no position of the weights needs a division.
//
//===----------------------------------------------------------------------===//

#include "SplitProducts.h"

#include "Rules.h"
#include "limosa/IR/CoreBuilder.h"
#include "limosa/IR/Types.h"
#include "mlir/IR/PatternMatch.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace limosa::dispatch {
namespace {

using Ints = SmallVector<int64_t>;

/// Sizes of `From` that make up each dimension of `To`, in order.
std::optional<SmallVector<Ints>> splitOf(ArrayRef<int64_t> From,
                                         ArrayRef<int64_t> To) {
  SmallVector<Ints> Parts;
  size_t Next = 0;
  for (int64_t Size : To) {
    Ints Part;
    int64_t Product = 1;
    while (Next < From.size() && (Part.empty() || Product < Size)) {
      Product *= From[Next];
      Part.push_back(From[Next++]);
    }
    if (Part.empty() || Product != Size)
      return std::nullopt;
    Parts.push_back(std::move(Part));
  }
  return Next == From.size() ? std::optional(std::move(Parts)) : std::nullopt;
}

/// One operand of a product and how its dimensions are split.
struct Side {
  Value V;
  ArrayRef<int64_t> Batch, Contract;
  SmallVector<Ints> Parts; ///< Of split dimensions; empty: as it is.

  explicit Side(Value V, ArrayRef<int64_t> Batch, ArrayRef<int64_t> Contract)
      : V(V), Batch(Batch), Contract(Contract), Parts(getDims(V).size()) {}

  size_t width(int64_t D) const { return std::max<size_t>(Parts[D].size(), 1); }
  /// Where the parts of some dimensions stand after the split.
  Ints positions(ArrayRef<int64_t> Of) const {
    Ints Out;
    for (int64_t D : Of) {
      int64_t First = 0;
      for (int64_t Before = 0; Before < D; ++Before)
        First += width(Before);
      for (size_t I = 0; I < width(D); ++I)
        Out.push_back(First + I);
    }
    return Out;
  }
  Dims shape() const {
    Dims Out;
    for (auto [Size, Part] : llvm::zip_equal(getDims(V), Parts)) {
      if (Part.empty())
        Out.push_back(Size);
      Out.append(Part.begin(), Part.end());
    }
    return Out;
  }
};

struct SplitProduct : OpRewritePattern<ContractOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ContractOp Op,
                                PatternRewriter &Rewriter) const override {
    if (!claimedBy(Op).empty())
      return failure();
    for (bool Left : {false, true})
      if (succeeded(split(Op, Left, Rewriter)))
        return success();
    return failure();
  }

private:
  static LogicalResult split(ContractOp Op, bool Left,
                             PatternRewriter &Rewriter) {
    Side L(Op.getLhs(), Op.getLhsBatch(), Op.getLhsContract()),
        R(Op.getRhs(), Op.getRhsBatch(), Op.getRhsContract());
    Side &Weights = Left ? L : R, &Other = Left ? R : L;
    auto Reshape = Weights.V.getDefiningOp<ReshapeOp>();
    if (!Reshape || !isRowMajor(Op.getType()) ||
        !isRowMajor(Other.V.getType()) || !isView(Reshape) ||
        !spreadsConstants(Reshape.getOperand().getDefiningOp()))
      return failure();
    auto From = cast<RankedTensorType>(Reshape.getOperand().getType()),
         To = cast<RankedTensorType>(Reshape.getType());
    auto Parts = splitOf(From.getShape(), To.getShape());
    if (!Parts || From.getRank() == To.getRank())
      return failure();
    for (int64_t D : Weights.Batch)
      if ((*Parts)[D].size() > 1)
        return failure();
    Weights.Parts = std::move(*Parts);
    for (auto [Own, Its] : llvm::zip_equal(Weights.Contract, Other.Contract))
      Other.Parts[Its] = Weights.Parts[Own];

    CoreBuilder B(Rewriter, Op.getLoc());
    Weights.V = Reshape.getOperand();
    if (Dims Shape = Other.shape(); Shape.size() != getDims(Other.V).size())
      Other.V = B.reshape(Other.V, Shape);
    Value New = B.contract(L.V, R.V, L.positions(L.Batch), R.positions(R.Batch),
                           L.positions(L.Contract), R.positions(R.Contract),
                           Op.getType().getElementType());
    Rewriter.replaceOp(Op, B.reshape(New, getDims(Op.getType())));
    return success();
  }
};

} // namespace

void addSplitProductPatterns(RewritePatternSet &Patterns) {
  Patterns.add<SplitProduct>(Patterns.getContext());
}

} // namespace limosa::dispatch
