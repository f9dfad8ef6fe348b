//===- ConvTaps.cpp - The window positions that a tile reads --------------===//

#include "ConvTaps.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

namespace limosa::codegen {

constexpr unsigned Z = ConvPlan::Z, Y = ConvPlan::Y, X = ConvPlan::X;

void ConvTaps::forPhases(llvm::function_ref<void()> Body) {
  auto Along = [&](auto &&Self, unsigned D) -> void {
    if (D > X)
      return Body();
    if (P.Axes[D].Phases == 1)
      return Self(Self, D + 1);
    KB.forLoop(KB.constant(0), KB.constant(P.Axes[D].Phases), 1, [&](Value I) {
      Phase[D] = I;
      Window[D] = phaseTaps(D);
      Self(Self, D + 1);
    });
  };
  for (unsigned D : {Z, Y, X})
    if (P.Axes[D].Phases == 1 && !P.clipsWindow(D))
      Window[D] = allTaps(D);
  Along(Along, Z);
}

ConvTaps::Taps ConvTaps::allTaps(unsigned D) {
  return {KB.constant(0), B.getIndexAttr(P.Axes[D].Window), KB.constant(0)};
}

/// Axis::phaseWindow of a phase that is known when the kernel runs.
ConvTaps::Taps ConvTaps::phaseTaps(unsigned D) {
  const Axis &A = P.Axes[D];
  Value Phases = KB.constant(A.Phases);
  int64_t Rest = (A.OriginalPad % A.Phases + A.Phases) % A.Phases;
  Taps T;
  T.First = M.sub(KB.constant(Rest + A.Phases), Phase[D]);
  T.First = M.remU(M.mul(T.First, KB.constant(A.InverseDilation)), Phases);
  if (A.Window % A.Phases == 0)
    T.Count = B.getIndexAttr(A.Window / A.Phases);
  else
    T.Count =
        M.divU(M.sub(KB.constant(A.Window + A.Phases - 1), T.First), Phases);
  // From the first position of any phase; negative only if there is no
  // position.
  int64_t Origin = A.OriginalPad - *A.Pad.constant() * A.Phases;
  Value At = M.add(Phase[D], M.mul(T.First, KB.constant(A.Dilation)));
  At = M.max(M.sub(At, KB.constant(Origin)), KB.constant(0));
  T.OffsetA = M.mul(M.divU(At, Phases), KB.dim(A.Pitch));
  return T;
}

void ConvTaps::clipTaps(unsigned D, Value First, Value Count) {
  if (!P.clipsWindow(D))
    return;
  const Axis &A = P.Axes[D];
  Value Zero = KB.constant(0), Stride = KB.constant(A.Stride),
        Dilation = KB.constant(A.Dilation);
  auto StepsUp = [&](Value Distance) {
    return M.divU(M.add(M.max(Distance, Zero), KB.constant(A.Dilation - 1)),
                  Dilation);
  };
  // Position w of output I lies at I * Stride + w * Dilation - Pad.
  Value Last = M.sub(M.add(First, Count), KB.constant(1));
  Value End =
      StepsUp(M.sub(M.add(KB.dim(A.In), KB.dim(A.Pad)), M.mul(First, Stride)));
  End = M.min(End, KB.constant(A.Window));
  Taps &T = Window[D];
  T.First = M.min(StepsUp(M.sub(KB.dim(A.Pad), M.mul(Last, Stride))), End);
  T.Count = M.sub(End, T.First);
  T.OffsetA = M.mul(T.First, KB.dim(P.windowPitch(D)));
}

ConvTaps::Reduction ConvTaps::reductionOver(int64_t PanelWidth) {
  struct Loop {
    OpFoldResult Extent;
    DimExpr StrideA;
    int64_t StrideB;
  };
  SmallVector<Loop> Loops; // innermost first
  auto Add = [&](OpFoldResult Extent, const DimExpr &StrideA, int64_t StrideB) {
    std::optional<int64_t> Known = getConstantIntValue(Extent);
    if (Known == 1)
      return;
    if (Known && !Loops.empty()) {
      Loop &In = Loops.back();
      std::optional<int64_t> Inner = getConstantIntValue(In.Extent);
      if (Inner && StrideA == In.StrideA * DimExpr(*Inner) &&
          StrideB == In.StrideB * *Inner) {
        In.Extent = B.getIndexAttr(*Inner * *Known);
        return;
      }
    }
    Loops.push_back({Extent, StrideA, StrideB});
  };
  Reduction R;
  R.OffsetA = R.OffsetB = KB.constant(0);
  int64_t Channels = llvm::alignTo(P.ChunkChannels, P.Together);
  Add(B.getIndexAttr(Channels / P.Together), P.PitchC * DimExpr(P.Together),
      PanelWidth * P.Together);
  int64_t StepB = PanelWidth * Channels;
  for (unsigned D : {X, Y, Z}) {
    Add(Window[D].Count, P.windowPitch(D), StepB * P.Axes[D].Phases);
    R.OffsetA = M.add(R.OffsetA, Window[D].OffsetA);
    R.OffsetB = M.add(R.OffsetB, M.mul(Window[D].First, KB.constant(StepB)));
    StepB *= P.Axes[D].Window;
  }
  if (Loops.empty())
    Loops.push_back({B.getIndexAttr(1), 0, 0});
  for (const Loop &L : llvm::reverse(Loops))
    R.Loops.push_back({L.Extent, fold(L.StrideA), B.getIndexAttr(L.StrideB)});
  return R;
}

} // namespace limosa::codegen
