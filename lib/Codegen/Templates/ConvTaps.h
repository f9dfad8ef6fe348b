//===- ConvTaps.h - The window positions that a tile reads ------*- C++ -*-===//
//
// All positions of the filter's window, or a phase's (see ConvPlan.h), or those
// that do not fall into the padding for every output of a tile.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_CODEGEN_TEMPLATES_CONVTAPS_H
#define LIMOSA_CODEGEN_TEMPLATES_CONVTAPS_H

#include "ConvPlan.h"
#include "ProductEmitter.h"

namespace limosa::codegen {

class ConvTaps : protected ProductEmitter {
protected:
  using Axis = ConvPlan::Axis;

  /// Window positions First, First + Phases .. of one axis.
  struct Taps {
    Value First;
    mlir::OpFoldResult Count;
    Value OffsetA; ///< of the first one, in elements
  };

  ConvTaps(KernelBuilder &KB, const KernelAnalysis &Kernel, ConvOp Op,
           const ConvPlan &P)
      : ProductEmitter(KB, Op.getResult(), Kernel.Outputs, P.Tile,
                       P.Regs.Lanes),
        Op(Op), P(P) {}

  /// Emits `Body` for each combination of phases, with theirs in `Window`.
  void forPhases(llvm::function_ref<void()> Body);
  /// Sets the positions along axis `D` for `Count` outputs from `First` on, as
  /// far as they are to be clipped.
  void clipTaps(unsigned D, Value First, Value Count);

  /// The reduction loops over `Window` and channels; neighbours merge where A
  /// and B are even. `OffsetB` is where the window's first position is in a
  /// panel of the width.
  struct Reduction {
    llvm::SmallVector<ReductionLoop> Loops;
    Value OffsetA, OffsetB;
  };
  Reduction reductionOver(int64_t PanelWidth);

  ConvOp Op;
  const ConvPlan &P;

  // Of the tile being emitted.
  Taps Window[3];
  Value Phase[3]; ///< null: there is one

  Taps allTaps(unsigned D);

private:
  Taps phaseTaps(unsigned D);
};

} // namespace limosa::codegen

#endif // LIMOSA_CODEGEN_TEMPLATES_CONVTAPS_H
