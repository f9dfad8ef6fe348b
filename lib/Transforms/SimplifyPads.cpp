//===- SimplifyPads.cpp - Pads into the windows that read them ------------===//
//
// Frameworks that pad by their own rule ("same") write a pad of its own before
// a convolution or a pool. Both count what lies outside of their input as they
// count such a pad, so that it costs nothing there.
//
//===----------------------------------------------------------------------===//

#include "SimplifyPatterns.h"
#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Types.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace limosa;

namespace {

bool hasNoInterior(PadOp Pad) {
  return llvm::all_of(Pad.getInterior(), [](int64_t I) { return I == 0; });
}

/// Adds amounts to the paddings from dimension `From` of the pad on.
ArrayAttr widened(ArrayAttr Amounts, ArrayAttr By, size_t From) {
  Dims Sum = parseDims(Amounts);
  Dims More = parseDims(By);
  for (size_t D = 0; D < Sum.size(); ++D)
    Sum[D] = Sum[D] + More[From + D];
  return dimsAttr(Amounts.getContext(), Sum);
}

struct PadIntoConv : OpRewritePattern<ConvOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConvOp Op, PatternRewriter &R) const final {
    auto Pad = Op.getInput().getDefiningOp<PadOp>();
    if (!Pad || !hasNoInterior(Pad) ||
        !(matchPattern(Pad.getValue(), m_AnyZeroFloat()) ||
          matchPattern(Pad.getValue(), m_Zero())) ||
        llvm::any_of(Op.getLhsDilation(), [](int64_t D) { return D != 1; }))
      return failure();
    // Only pixels: the batch and the channels are no windows.
    Dims Low = parseDims(Pad.getLow()), High = parseDims(Pad.getHigh());
    for (size_t D = 0; D < 2; ++D)
      if (!Low[D].isConstant(0) || !High[D].isConstant(0))
        return failure();
    R.modifyOpInPlace(Op, [&] {
      Op.setPadLowAttr(widened(Op.getPadLow(), Pad.getLow(), 2));
      Op.setPadHighAttr(widened(Op.getPadHigh(), Pad.getHigh(), 2));
      Op.getInputMutable().assign(Pad.getOperand());
    });
    return success();
  }
};

struct PadIntoWindow : OpRewritePattern<WindowOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(WindowOp Op, PatternRewriter &R) const final {
    if (Op.getInputs().size() != 1)
      return failure();
    auto Pad = Op.getInputs()[0].getDefiningOp<PadOp>();
    if (!Pad || !hasNoInterior(Pad))
      return failure();
    Attribute Value, Init;
    if (Pad.getValue() != Op.getInits()[0] &&
        (!matchPattern(Pad.getValue(), m_Constant(&Value)) ||
         !matchPattern(Op.getInits()[0], m_Constant(&Init)) || Value != Init))
      return failure();
    R.modifyOpInPlace(Op, [&] {
      Op.setPadLowAttr(widened(Op.getPadLow(), Pad.getLow(), 0));
      Op.setPadHighAttr(widened(Op.getPadHigh(), Pad.getHigh(), 0));
      Op.getInputsMutable().assign(Pad.getOperand());
    });
    return success();
  }
};

} // namespace

void limosa::populatePadPatterns(RewritePatternSet &Patterns) {
  Patterns.add<PadIntoConv, PadIntoWindow>(Patterns.getContext());
}
