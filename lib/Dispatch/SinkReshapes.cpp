//===- SinkReshapes.cpp - Reshapes below pointwise ops --------------------===//
//
// gelu(reshape(x)) = reshape(gelu(x)). Between a product and its activation a
// reshape of row-major tensors hides that both walk the same elements; below
// the activation it is a view between two kernels.
//
//===----------------------------------------------------------------------===//

#include "Rules.h"

#include "limosa/Dispatch/Fusion.h"
#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Types.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace limosa {
namespace {

/// What `V` is a view of in type `Shape`'s dimensions: the operand of a reshape
/// from them, or an inline splat to be made in them.
bool comesFrom(Value V, RankedTensorType Shape) {
  Operation *Def = V.getDefiningOp();
  if (!Def)
    return false;
  if (auto C = dyn_cast<ConstantOp>(Def))
    return C.getValue().isSplat();
  return dispatch::isView(Def) && Def->hasOneUse() &&
         sameShape(Def->getOperand(0).getType(), Shape);
}

struct SinkReshape : RewritePattern {
  explicit SinkReshape(MLIRContext *Ctx)
      : RewritePattern(MatchAnyOpTypeTag(), 1, Ctx) {}

  LogicalResult matchAndRewrite(Operation *Op,
                                PatternRewriter &Rewriter) const override {
    if (!Op->hasTrait<OpTrait::SameShape>() || Op->getNumResults() != 1)
      return failure();
    auto Result = cast<RankedTensorType>(Op->getResult(0).getType());
    if (!isRowMajor(Result))
      return failure();
    RankedTensorType Source;
    for (Value V : Op->getOperands())
      if (Operation *Def = V.getDefiningOp();
          Def && !Source && dispatch::isView(Def))
        Source = cast<RankedTensorType>(Def->getOperand(0).getType());
    // Views of something that is in memory already gain nothing below.
    if (!Source || !isRowMajor(Source))
      return failure();
    bool Computed = false;
    for (Value V : Op->getOperands()) {
      if (!sink(V, Source))
        return failure();
      if (auto Reshape = V.getDefiningOp<ReshapeOp>())
        Computed |= isComputed(Reshape.getOperand());
    }
    if (!Computed)
      return failure();

    SmallVector<Value> Operands;
    for (Value V : Op->getOperands()) {
      auto Element = cast<RankedTensorType>(V.getType()).getElementType();
      auto Ty = withElementType(Source, Element);
      if (auto Reshape = V.getDefiningOp<ReshapeOp>();
          Reshape && sameShape(Reshape.getOperand().getType(), Source)) {
        Operands.push_back(Reshape.getOperand());
      } else if (auto C = V.getDefiningOp<ConstantOp>()) {
        Operands.push_back(splatLike(Rewriter, C, Ty));
      } else {
        Operands.push_back(
            ReshapeOp::create(Rewriter, Op->getLoc(), Ty, V).getResult());
      }
    }
    OperationState State(Op->getLoc(), Op->getName(), Operands,
                         withElementType(Source, Result.getElementType()),
                         Op->getAttrs());
    Operation *Moved = Rewriter.create(State);
    Rewriter.replaceOpWithNewOp<ReshapeOp>(Op, Result, Moved->getResult(0));
    return success();
  }

  static bool isComputed(Value V) {
    Operation *Def = V.getDefiningOp();
    if (!Def)
      return false;
    dispatch::OpClass C = dispatch::classify(Def);
    return C == dispatch::OpClass::Pointwise || C == dispatch::OpClass::Heavy ||
           C == dispatch::OpClass::Reduce;
  }

  /// Whether operand `V` can be had in the shape of `Source` for free.
  static bool sink(Value V, RankedTensorType Source) {
    if (comesFrom(V, Source))
      return true;
    Operation *Def = V.getDefiningOp();
    if (!isRowMajor(V.getType()) ||
        isa_and_nonnull<ReshapeOp, BroadcastOp, IotaOp>(Def))
      return false;
    // Something in memory anyway: an argument or what another kernel leaves.
    if (!Def)
      return true;
    dispatch::OpClass C = dispatch::classify(Def);
    return (C == dispatch::OpClass::Outside || C == dispatch::OpClass::Heavy) &&
           !isa<ConstantOp>(Def);
  }

  static Value splatLike(PatternRewriter &Rewriter, ConstantOp C,
                         RankedTensorType Ty) {
    auto Old = cast<RankedTensorType>(C.getType());
    if (auto Dense = dyn_cast<SplatElementsAttr>(C.getValue());
        Dense && Ty.hasStaticShape()) {
      auto Attr = DenseElementsAttr::get(Ty, Dense.getSplatValue<Attribute>());
      return ConstantOp::create(Rewriter, C.getLoc(), Ty, Attr);
    }
    return ReshapeOp::create(Rewriter, C.getLoc(),
                             withElementType(Ty, Old.getElementType()),
                             C.getResult());
  }
};

} // namespace

LogicalResult sinkReshapes(ModuleOp Module) {
  RewritePatternSet Patterns(Module.getContext());
  Patterns.add<SinkReshape>(Module.getContext());
  GreedyRewriteConfig Config;
  return applyPatternsGreedily(Module, std::move(Patterns), Config);
}

} // namespace limosa
