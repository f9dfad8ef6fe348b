//===- SinkReshapes.cpp - Reshapes below pointwise ops --------------------===//
//
// gelu(reshape(x)) = reshape(gelu(x)). Between a product and its activation a
// reshape of row-major tensors hides that both walk the same elements; below
// the activation it is a view between two kernels. Likewise a transpose with
// scalars: below the scaling of queries it can become part of the product that
// reads it.
//
//===----------------------------------------------------------------------===//

#include "Rules.h"
#include "SplitProducts.h"

#include "limosa/Dispatch/Fusion.h"
#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Types.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace limosa {
namespace {

/// Pointwise, and generated code: what a view may be moved below.
bool canMove(Operation *Op) {
  return Op->hasTrait<OpTrait::SameShape>() && Op->getNumResults() == 1 &&
         dispatch::claimedBy(Op).empty();
}

bool isView(Operation *Op) {
  return isa<ReshapeOp>(Op) && dispatch::isView(Op);
}

/// One value everywhere: a splat constant, or a broadcast of a scalar.
bool isSplat(Value V) {
  if (auto C = V.getDefiningOp<ConstantOp>())
    return C.getValue().isSplat();
  auto B = V.getDefiningOp<BroadcastOp>();
  return B && cast<RankedTensorType>(B.getOperand().getType()).getRank() == 0;
}

/// The splat `V` in another shape of its dtype.
Value splatIn(PatternRewriter &Rewriter, Value V, RankedTensorType Ty) {
  if (auto B = V.getDefiningOp<BroadcastOp>())
    return BroadcastOp::create(Rewriter, V.getLoc(), Ty, B.getOperand(),
                               B.getDimsAttr());
  auto C = V.getDefiningOp<ConstantOp>();
  auto Dense = dyn_cast<SplatElementsAttr>(C.getValue());
  if (!Dense || !Ty.hasStaticShape())
    return ReshapeOp::create(Rewriter, V.getLoc(), Ty, V);
  auto Attr = DenseElementsAttr::get(Ty, Dense.getSplatValue<Attribute>());
  return ConstantOp::create(Rewriter, V.getLoc(), Ty, Attr);
}

/// Whether `V` is computed by a kernel that `Op` could join.
bool isComputed(Value V) {
  Operation *Def = V.getDefiningOp();
  if (!Def)
    return false;
  dispatch::OpClass C = dispatch::classify(Def);
  return C == dispatch::OpClass::Pointwise || C == dispatch::OpClass::Heavy ||
         C == dispatch::OpClass::Reduce;
}

/// The same pointwise op over other operands.
Operation *moveTo(PatternRewriter &Rewriter, Operation *Op, ValueRange Operands,
                  RankedTensorType Shape) {
  auto Result = cast<RankedTensorType>(Op->getResult(0).getType());
  OperationState State(Op->getLoc(), Op->getName(), Operands,
                       withElementType(Shape, Result.getElementType()),
                       Op->getAttrs());
  return Rewriter.create(State);
}

/// What `V` is a view of in type `Shape`'s dimensions: the operand of a reshape
/// from them, or an inline splat to be made in them.
bool comesFrom(Value V, RankedTensorType Shape) {
  Operation *Def = V.getDefiningOp();
  if (!Def)
    return false;
  if (isSplat(V))
    return true;
  return isView(Def) && Def->hasOneUse() &&
         sameShape(Def->getOperand(0).getType(), Shape);
}

struct SinkReshape : RewritePattern {
  explicit SinkReshape(MLIRContext *Ctx)
      : RewritePattern(MatchAnyOpTypeTag(), 1, Ctx) {}

  LogicalResult matchAndRewrite(Operation *Op,
                                PatternRewriter &Rewriter) const override {
    if (!canMove(Op))
      return failure();
    auto Result = cast<RankedTensorType>(Op->getResult(0).getType());
    if (!isRowMajor(Result))
      return failure();
    RankedTensorType Source;
    for (Value V : Op->getOperands())
      if (Operation *Def = V.getDefiningOp(); Def && !Source && isView(Def))
        Source = cast<RankedTensorType>(Def->getOperand(0).getType());
    // Views of something that is in memory already gain nothing below.
    if (!Source || !isRowMajor(Source))
      return failure();
    // The last of the kernels behind the reshapes.
    Operation *Kernel = nullptr;
    for (Value V : Op->getOperands())
      if (auto Reshape = V.getDefiningOp<ReshapeOp>();
          Reshape && isComputed(Reshape.getOperand())) {
        Operation *Def = Reshape.getOperand().getDefiningOp();
        if (!Kernel || isBefore(Kernel, Def))
          Kernel = Def;
      }
    if (!Kernel || !llvm::all_of(Op->getOperands(), [&](Value V) {
          return sink(V, Source, Kernel);
        }))
      return failure();

    SmallVector<Value> Operands;
    for (Value V : Op->getOperands()) {
      auto Element = cast<RankedTensorType>(V.getType()).getElementType();
      auto Ty = withElementType(Source, Element);
      if (auto Reshape = V.getDefiningOp<ReshapeOp>();
          Reshape && sameShape(Reshape.getOperand().getType(), Source)) {
        Operands.push_back(Reshape.getOperand());
      } else if (isSplat(V)) {
        Operands.push_back(splatIn(Rewriter, V, Ty));
      } else {
        Operands.push_back(
            ReshapeOp::create(Rewriter, Op->getLoc(), Ty, V).getResult());
      }
    }
    Operation *Moved = moveTo(Rewriter, Op, Operands, Source);
    Rewriter.replaceOpWithNewOp<ReshapeOp>(Op, Result, Moved->getResult(0));
    return success();
  }

  static bool isBefore(Operation *A, Operation *B) {
    return A->getBlock() == B->getBlock() && A->isBeforeInBlock(B);
  }

  /// Whether operand `V` can be had in the shape of `Source`, where `Op` is to
  /// join `Kernel`, for free.
  static bool sink(Value V, RankedTensorType Source, Operation *Kernel) {
    if (comesFrom(V, Source))
      return true;
    Operation *Def = V.getDefiningOp();
    if (!isRowMajor(V.getType()) ||
        isa_and_nonnull<ReshapeOp, BroadcastOp, IotaOp>(Def))
      return false;
    // Something in memory anyway: an argument or what another kernel leaves. Of
    // two kernels the later one is joined, whose shape the op would have to
    // keep changing otherwise.
    if (!Def)
      return true;
    dispatch::OpClass C = dispatch::classify(Def);
    return (C == dispatch::OpClass::Outside && !isa<ConstantOp>(Def)) ||
           (C == dispatch::OpClass::Heavy && isBefore(Def, Kernel));
  }
};

struct SinkTranspose : RewritePattern {
  explicit SinkTranspose(MLIRContext *Ctx)
      : RewritePattern(MatchAnyOpTypeTag(), 1, Ctx) {}

  LogicalResult matchAndRewrite(Operation *Op,
                                PatternRewriter &Rewriter) const override {
    if (!canMove(Op))
      return failure();
    TransposeOp First;
    for (Value V : Op->getOperands()) {
      if (isSplat(V))
        continue;
      auto T = V.getDefiningOp<TransposeOp>();
      if (!T || !T->hasOneUse() || !isRowMajor(T.getType()) ||
          !isRowMajor(T.getOperand().getType()) ||
          (First && First.getPerm() != T.getPerm()))
        return failure();
      First = T;
    }
    if (!First || !comesFromKernel(First.getOperand()))
      return failure();
    auto Source = cast<RankedTensorType>(First.getOperand().getType());
    SmallVector<Value> Operands;
    for (Value V : Op->getOperands()) {
      auto Ty = cast<RankedTensorType>(V.getType());
      if (isSplat(V))
        Operands.push_back(
            splatIn(Rewriter, V, withElementType(Source, Ty.getElementType())));
      else
        Operands.push_back(V.getDefiningOp<TransposeOp>().getOperand());
    }
    Operation *Moved = moveTo(Rewriter, Op, Operands, Source);
    Rewriter.replaceOpWithNewOp<TransposeOp>(Op, Op->getResult(0).getType(),
                                             Moved->getResult(0),
                                             First.getPermAttr());
    return success();
  }

  static bool comesFromKernel(Value V) {
    if (auto R = V.getDefiningOp<ReshapeOp>())
      V = R.getOperand();
    return isComputed(V);
  }
};

} // namespace

LogicalResult sinkReshapes(ModuleOp Module) {
  RewritePatternSet Patterns(Module.getContext());
  Patterns.add<SinkReshape, SinkTranspose>(Module.getContext());
  dispatch::addSplitProductPatterns(Patterns);
  GreedyRewriteConfig Config;
  return applyPatternsGreedily(Module, std::move(Patterns), Config);
}

} // namespace limosa
