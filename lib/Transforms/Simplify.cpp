//===- Simplify.cpp - Patterns over core ops ------------------------------===//

#include "SimplifyPatterns.h"
#include "limosa/IR/CoreBuilder.h"
#include "limosa/IR/Types.h"
#include "limosa/Transforms/Passes.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include <cmath>

using namespace mlir;
using namespace limosa;

namespace {

/// The float value of a splat constant, looking through broadcasts.
std::optional<double> floatSplat(Value V) {
  while (auto B = V.getDefiningOp<BroadcastOp>())
    V = B.getOperand();
  DenseElementsAttr Elements;
  if (!matchPattern(V, m_Constant(&Elements)) || !Elements.isSplat() ||
      !isa<FloatType>(Elements.getElementType()))
    return std::nullopt;
  return Elements.getSplatValue<APFloat>().convertToDouble();
}

/// x ** c for the exponents that models use.
struct SimplifyPow : OpRewritePattern<PowOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(PowOp Op, PatternRewriter &R) const final {
    auto Exponent = floatSplat(Op.getRhs());
    if (!Exponent)
      return failure();
    CoreBuilder B(R, Op.getLoc());
    Value X = Op.getLhs(), New;
    if (*Exponent == 1)
      New = X;
    else if (*Exponent == 2)
      New = B.mul(X, X);
    else if (*Exponent == 3)
      New = B.mul(B.mul(X, X), X);
    else if (*Exponent == 4)
      New = B.mul(B.mul(X, X), B.mul(X, X));
    else if (*Exponent == -1)
      New = B.div(B.full(1, X), X);
    else
      return failure();
    R.replaceOp(Op, New);
    return success();
  }
};

/// x / c to x * (1 / c) where the reciprocal is exact, so that no bit changes.
struct DivByPowerOfTwo : OpRewritePattern<DivOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(DivOp Op, PatternRewriter &R) const final {
    auto Divisor = floatSplat(Op.getRhs());
    int Exponent = 0;
    if (!Divisor || !std::isfinite(*Divisor) || *Divisor == 0 ||
        std::fabs(std::frexp(*Divisor, &Exponent)) != 0.5 ||
        std::abs(Exponent) > 12)
      return failure();
    CoreBuilder B(R, Op.getLoc());
    R.replaceOp(Op, B.mul(Op.getLhs(), B.full(1 / *Divisor, Op.getLhs())));
    return success();
  }
};

/// An elementwise op whose operands are all broadcasts, of one shape along the
/// same dimensions or of scalars, is done before them. It is less work, and
/// what is computed from constants stays small enough to be folded.
struct HoistElementwise : RewritePattern {
  explicit HoistElementwise(MLIRContext *C)
      : RewritePattern(MatchAnyOpTypeTag(), /*benefit=*/1, C) {}
  LogicalResult matchAndRewrite(Operation *Op, PatternRewriter &R) const final {
    if (!Op->hasTrait<limosa::OpTrait::SameShape>() ||
        Op->getNumResults() != 1 || Op->getNumOperands() == 0)
      return failure();
    auto Ty = cast<RankedTensorType>(Op->getResult(0).getType());
    if (Ty.getRank() == 0)
      return failure();
    BroadcastOp Widest;
    for (Value V : Op->getOperands()) {
      auto B = V.getDefiningOp<BroadcastOp>();
      if (!B)
        return failure();
      if (isScalar(B))
        continue;
      if (sameShape(B.getOperand().getType(), Ty) ||
          (Widest && (B.getDims() != Widest.getDims() ||
                      !sameShape(B.getOperand().getType(),
                                 Widest.getOperand().getType()))))
        return failure();
      Widest = B;
    }
    Dims Small;
    if (Widest)
      Small = getDims(Widest.getOperand());
    SmallVector<Value> Operands;
    for (Value V : Op->getOperands()) {
      auto B = V.getDefiningOp<BroadcastOp>();
      Value From = B.getOperand();
      if (Widest && isScalar(B))
        From = BroadcastOp::create(
            R, Op->getLoc(),
            makeTensorType(Small, getElementTypeOrSelf(From.getType())), From,
            ArrayRef<int64_t>{});
      Operands.push_back(From);
    }
    Operation *Done = R.create(
        Op->getLoc(), Op->getName().getIdentifier(), Operands,
        TypeRange(makeTensorType(Small, Ty.getElementType())), Op->getAttrs());
    R.replaceOpWithNewOp<BroadcastOp>(Op, Ty, Done->getResult(0),
                                      Widest ? Widest.getDims()
                                             : ArrayRef<int64_t>{});
    return success();
  }

private:
  static bool isScalar(BroadcastOp B) {
    return cast<RankedTensorType>(B.getOperand().getType()).getRank() == 0;
  }
};

/// Comparisons of dimensions that hold, or fail, for all sizes.
struct CompareDims : OpRewritePattern<CompareOp> {
  using OpRewritePattern::OpRewritePattern;
  static std::optional<DimExpr> asExpr(Value V) {
    if (auto D = V.getDefiningOp<DimOp>())
      return parseDim(D.getExpr());
    DenseElementsAttr E;
    if (matchPattern(V, m_Constant(&E)) && E.isSplat() &&
        E.getElementType().isSignlessInteger(64))
      return DimExpr(E.getSplatValue<APInt>().getSExtValue());
    return std::nullopt;
  }
  LogicalResult matchAndRewrite(CompareOp Op, PatternRewriter &R) const final {
    if (Op.getType().getRank() != 0)
      return failure();
    auto L = asExpr(Op.getLhs()), Rhs = asExpr(Op.getRhs());
    if (!L || !Rhs)
      return failure();
    DimExpr Difference = *L - *Rhs;
    auto Low = Difference.lowerBound(), Negated = (-Difference).lowerBound();
    auto Exact = Difference.constant();
    std::optional<bool> Known;
    switch (Op.getDirection()) {
    case CompareDirection::EQ:
    case CompareDirection::NE:
      if (Exact)
        Known = *Exact == 0;
      else if ((Low && *Low > 0) || (Negated && *Negated > 0))
        Known = false;
      if (Known && Op.getDirection() == CompareDirection::NE)
        Known = !*Known;
      break;
    case CompareDirection::LT:
      if (Low && *Low >= 0)
        Known = false;
      else if (Negated && *Negated > 0)
        Known = true;
      break;
    case CompareDirection::LE:
      if (Low && *Low > 0)
        Known = false;
      else if (Negated && *Negated >= 0)
        Known = true;
      break;
    case CompareDirection::GT:
      if (Low && *Low > 0)
        Known = true;
      else if (Negated && *Negated >= 0)
        Known = false;
      break;
    case CompareDirection::GE:
      if (Low && *Low >= 0)
        Known = true;
      else if (Negated && *Negated > 0)
        Known = false;
      break;
    }
    if (!Known)
      return failure();
    CoreBuilder B(R, Op.getLoc());
    R.replaceOp(Op, B.scalar(*Known, R.getI1Type()));
    return success();
  }
};

/// An `if` whose condition is known is the region it takes.
struct KnownIf : OpRewritePattern<IfOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(IfOp Op, PatternRewriter &R) const final {
    DenseElementsAttr Condition;
    if (!matchPattern(Op.getCondition(), m_Constant(&Condition)))
      return failure();
    Region &Taken = Condition.getSplatValue<bool>() ? Op.getThenRegion()
                                                    : Op.getElseRegion();
    Operation *Yield = Taken.front().getTerminator();
    SmallVector<Value> Results(Yield->getOperands());
    // Result dimensions may be named by symbols of their own; users would be
    // left with symbols that nobody binds.
    if (Yield->getOperandTypes() != Op.getResultTypes())
      return failure();
    R.inlineBlockBefore(&Taken.front(), Op);
    R.eraseOp(Yield);
    R.replaceOp(Op, Results);
    return success();
  }
};

struct Simplify : PassWrapper<Simplify, OperationPass<>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(Simplify)
  StringRef getArgument() const final { return "limosa-simplify"; }
  StringRef getDescription() const final {
    return "Fold and simplify core ops";
  }
  LogicalResult initialize(MLIRContext *Context) final {
    RewritePatternSet Set(Context);
    Set.add<SimplifyPow, DivByPowerOfTwo, CompareDims, KnownIf>(Context);
    Set.add<HoistElementwise>(Context);
    populateTransposePatterns(Set);
    populatePadPatterns(Set);
    Patterns = std::move(Set);
    return success();
  }
  void runOnOperation() final {
    if (failed(applyPatternsGreedily(getOperation(), Patterns)))
      getOperation()->emitWarning("simplification did not reach a fixed point");
  }
  FrozenRewritePatternSet Patterns;
};

} // namespace

std::unique_ptr<Pass> limosa::createSimplifyPass() {
  return std::make_unique<Simplify>();
}
