//===- DepthwiseLines.cpp - Output lines of a depthwise convolution -------===//

#include "DepthwiseLines.h"

#include "PackingLoops.h"
#include "limosa/Codegen/Packing.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace limosa::codegen {

DepthwiseLines::DepthwiseLines(KernelBuilder &KB, const KernelAnalysis &Kernel,
                               ConvOp Op, const DepthwisePlan &P,
                               const TensorView &In)
    : ProductEmitter(KB, Op.getResult(), Kernel.Outputs, P.Tile, P.Lanes),
      Op(Op), P(P), In(In) {
  packWeights();
  if (P.Group > 1)
    prepareSpread();
}

void DepthwiseLines::packWeights() {
  StridedView Filter = *getStridedView(Op.getFilter());
  SmallVector<unsigned> Window;
  for (unsigned D = 2; D < Filter.Dims.size(); ++D)
    Window.push_back(D);
  Window.push_back(1);
  PanelLayout Layout;
  Layout.PanelColumns = Layout.Lanes = lanes();
  Layout.Offset = *Filter.Offset.constant();
  Layout.K = *panelDims(Filter, Window);
  Layout.Columns = *panelDims(Filter, {0u});
  Depth = Layout.depth();
  unsigned Arg = Filter.Argument.getArgNumber();
  KB.requestPack(Arg, Layout.toString());
  Weights = KB.input(Arg);
}

/// For each lane the first of its group.
void DepthwiseLines::prepareSpread() {
  SmallVector<int32_t> First;
  for (int32_t I = 0; I < int32_t(lanes()); ++I)
    First.push_back(I / P.Group * P.Group);
  auto Ty = VectorType::get({int64_t(lanes())}, B.getI32Type());
  FirstLanes = arith::ConstantOp::create(
      B, KB.loc(), DenseElementsAttr::get(Ty, ArrayRef(First)));
}

/// Puts the current member of each group into all lanes of the group.
Value DepthwiseLines::spread(Value V) {
  auto Ty = cast<VectorType>(FirstLanes.getType());
  Value Lane = arith::IndexCastOp::create(B, KB.loc(), B.getI32Type(), Member);
  Value From =
      arith::AddIOp::create(B, KB.loc(), FirstLanes,
                            vector::BroadcastOp::create(B, KB.loc(), Ty, Lane));
  StringRef Name =
      lanes() == 16 ? "llvm.x86.avx512.permvar.sf.512" : "llvm.x86.avx2.permps";
  return LLVM::CallIntrinsicOp::create(B, KB.loc(), V.getType(),
                                       B.getStringAttr(Name),
                                       ValueRange{V, From})
      .getResult(0);
}

void DepthwiseLines::emitLines(Value First, Value End, Value ColumnBlock,
                               llvm::function_ref<Value(Value Vector)> Origin) {
  forPanels(
      panelRange(P.Channels, ColumnBlock, P.BlockPanels, P.columnBlocks() == 1),
      [&](Value Panel, ArrayRef<Value> Masks) {
        Channel = M.mul(Panel, KB.constant(lanes()));
        Lane = Lanes{lanes(), Masks[0]};
        FilterAt = M.mul(Panel, KB.constant(Depth * lanes()));
        InputAt = Origin(Panel);
        KB.forLoop(First, End, 1, [&](Value Line) { emitLine(Line); });
      });
}

void DepthwiseLines::emitLine(Value OutLine) {
  Line = OutLine;
  if (P.KnownEnds)
    return emitKnownLine(*P.KnownEnds);
  Value First = KB.dim(P.FirstInner), End = KB.dim(P.EndInner);
  KB.forLoop(KB.constant(0), First, 1, [&](Value Px) { emitEdge(Px); });
  Value Count = KB.dim(P.EndInner - P.FirstInner);
  Value Tiles = M.divU(Count, KB.constant(Tile.Rows));
  auto Rows = [&](Value Row, unsigned Count) {
    emitInner(M.add(First, Row), Count);
  };
  forRowTiles(KB.constant(0), Tiles, Rows);
  forRowTail(M.mul(Tiles, KB.constant(Tile.Rows)), Count, M.eq(First, First),
             Rows);
  KB.forLoop(End, KB.dim(P.Axes[X].Out), 1, [&](Value Px) { emitEdge(Px); });
}

void DepthwiseLines::emitKnownLine(const DepthwisePlan::Ends &Ends) {
  int64_t Rows = Tile.Rows;
  auto EmitAt = [&](int64_t First) {
    emitInner(KB.constant(First), unsigned(std::min(Rows, Ends.Out - First)),
              First);
  };
  for (int64_t T = 0; T < Ends.First; ++T)
    EmitAt(T * Rows);
  forRowTiles(KB.constant(Ends.First), KB.constant(Ends.Behind),
              [&](Value Row, unsigned Count) { emitInner(Row, Count); });
  for (int64_t At = Ends.Behind * Rows; At < Ends.Out; At += Rows)
    EmitAt(At);
}

/// Window positions [first, end) of output I that fall inside the input.
std::pair<Value, Value> DepthwiseLines::clip(const DepthwisePlan::Axis &A,
                                             Value I) {
  if (!A.Dim)
    return {KB.constant(0), KB.constant(1)};
  Value Begin = begin(A, I), Zero = KB.constant(0);
  Value Step = KB.constant(A.Dilation), Up = KB.constant(A.Dilation - 1);
  auto DivUp = [&](Value V) { return M.divU(M.add(M.max(V, Zero), Up), Step); };
  Value Window = KB.constant(A.Window);
  Value First = M.min(DivUp(M.sub(Zero, Begin)), Window);
  Value End = M.min(DivUp(M.sub(KB.dim(A.In), Begin)), Window);
  return {First, M.max(First, End)};
}
/// Input position of the first window position of output I.
Value DepthwiseLines::begin(const DepthwisePlan::Axis &A, Value I) {
  return M.sub(M.mul(I, KB.constant(A.Stride)), KB.dim(A.Pad));
}

/// Loops over the window's planes and lines that lie inside, and the members
/// of a group; `Body` adds one line's products to the accumulators. One loop
/// for lines and members: a loop over members alone would be unrolled, and
/// keep every input vector in a register from the first to the last.
SmallVector<Value> DepthwiseLines::forWindowLines(ArrayRef<Value> Init,
                                                  LineBody Body) {
  const DepthwisePlan::Axis &AZ = P.Axes[Z], &AY = P.Axes[Y], &AX = P.Axes[X];
  Value Base = InputAt;
  auto [FirstZ, EndZ] = clip(AZ, Plane);
  auto [FirstY, EndY] = clip(AY, Line);
  Value BeginZ = begin(AZ, Plane), BeginY = begin(AY, Line);
  auto Lines = [&](Value Kz, ValueRange Acc) {
    Value InZ = M.add(BeginZ, M.mul(Kz, KB.constant(AZ.Dilation)));
    Value PlaneAt = AZ.Dim ? mulAdd(Base, InZ, AZ.Pitch) : Base;
    Value Members = KB.constant(P.Group);
    Value First = M.mul(FirstY, Members), End = M.mul(EndY, Members);
    return KB.forLoop(First, End, 1, Acc, [&](Value Step, ValueRange In) {
      Value Ky = M.divU(Step, Members);
      Member = M.remU(Step, Members);
      Value InY = M.add(BeginY, M.mul(Ky, KB.constant(AY.Dilation)));
      Value LineAt = AY.Dim ? mulAdd(PlaneAt, InY, AY.Pitch) : PlaneAt;
      Value Tap = M.add(M.mul(Kz, KB.constant(AY.Window)), Ky);
      Value At = M.add(M.mul(Tap, KB.constant(AX.Window * P.Group)), Member);
      Value Filter = M.add(FilterAt, M.mul(At, KB.constant(lanes())));
      return Body(LineAt, Filter, In);
    });
  };
  if (!AZ.Dim)
    return Lines(KB.constant(0), Init);
  return KB.forLoop(FirstZ, EndZ, 1, Init,
                    [&](Value Kz, ValueRange Acc) { return Lines(Kz, Acc); });
}

Value DepthwiseLines::loadInput(Value At) {
  Value V = KB.load(In, Index{At, 1, {}}, Lane);
  V = widenTo(KB, V, P.AccType, In.Element.isUnsignedInteger());
  return P.Group > 1 ? spread(V) : V;
}
/// The weights of window position `K` of a line that begins at `Filter`.
Value DepthwiseLines::loadWeight(Value Filter, Value K) {
  Value At = M.add(Filter, M.mul(K, KB.constant(P.Group * lanes())));
  Value V = KB.load(Weights, Index{At, 1, {}}, Lanes{lanes(), {}});
  return widenTo(KB, V, P.AccType, Weights.Element.isUnsignedInteger());
}
SmallVector<Value> DepthwiseLines::zeros(unsigned Count) {
  auto Ty = VectorType::get({int64_t(lanes())}, P.AccType);
  return SmallVector<Value>(Count, KB.splat(B.getZeroAttr(P.AccType), Ty));
}
Value DepthwiseLines::multiplyAdd(Value L, Value R, Value Acc) {
  if (isa<FloatType>(P.AccType))
    return vector::FMAOp::create(B, KB.loc(), L, R, Acc);
  return arith::AddIOp::create(B, KB.loc(), Acc,
                               arith::MulIOp::create(B, KB.loc(), L, R));
}

/// Pixels [First, First + Count) of the line, all windows inside along X, or
/// where in the line they are known to be.
void DepthwiseLines::emitInner(Value First, unsigned Count,
                               std::optional<int64_t> KnownFirst) {
  const DepthwisePlan::Axis &AX = P.Axes[X];
  SmallVector<Value> Acc = forWindowLines(
      zeros(Count), [&](Value Input, Value Filter, ValueRange In) {
        SmallVector<Value> Out(In), W;
        for (int64_t K = 0; K < AX.Window; ++K)
          W.push_back(loadWeight(Filter, KB.constant(K)));
        Value At = mulAdd(Input, begin(AX, First), AX.Pitch);
        // Each input column once, into all the windows it lies in.
        int64_t Span = (Count - 1) * AX.Stride + (AX.Window - 1) * AX.Dilation;
        for (int64_t J = 0; J <= Span; ++J) {
          if (KnownFirst && !isInside(*KnownFirst * AX.Stride + J))
            continue;
          Value V;
          for (int64_t K = 0; K < AX.Window; ++K) {
            int64_t Shift = J - K * AX.Dilation;
            if (Shift < 0 || Shift % AX.Stride != 0 ||
                Shift / AX.Stride >= int64_t(Count))
              continue;
            if (!V)
              V = loadInput(mulAdd(At, KB.constant(J), AX.Pitch));
            Value &Pixel = Out[Shift / AX.Stride];
            Pixel = multiplyAdd(V, W[K], Pixel);
          }
        }
        return Out;
      });
  for (unsigned R = 0; R < Count; ++R)
    Epilogue.compute(Acc[R], coordsAt(M.add(First, KB.constant(R))), Lane);
  Epilogue.store();
}

/// Whether the input has the column that is `Column` behind the first one of
/// the first window.
bool DepthwiseLines::isInside(int64_t Column) const {
  int64_t At = Column - P.KnownEnds->Pad;
  return At >= 0 && At < P.KnownEnds->In;
}

/// One pixel whose window may reach over the line's ends.
void DepthwiseLines::emitEdge(Value Pixel) {
  const DepthwisePlan::Axis &AX = P.Axes[X];
  auto [FirstK, EndK] = clip(AX, Pixel);
  Value Begin = begin(AX, Pixel);
  SmallVector<Value> Acc =
      forWindowLines(zeros(1), [&](Value Input, Value Filter, ValueRange In) {
        return KB.forLoop(
            FirstK, EndK, 1, In,
            [&](Value K, ValueRange Acc) -> SmallVector<Value> {
              Value InX = M.add(Begin, M.mul(K, KB.constant(AX.Dilation)));
              Value V = loadInput(mulAdd(Input, InX, AX.Pitch));
              return {multiplyAdd(V, loadWeight(Filter, K), Acc[0])};
            });
      });
  Epilogue.compute(Acc[0], coordsAt(Pixel), Lane);
  Epilogue.store();
}

Coords DepthwiseLines::coordsAt(Value Pixel) {
  Coords At(cast<RankedTensorType>(Op.getResult().getType()).getRank());
  At.PerDim[0] = M.uniform(Image);
  At.PerDim[1] = Index{Channel, 1, {}};
  Value Positions[3] = {Plane, Line, Pixel};
  for (unsigned D : {Z, Y, X})
    if (P.Axes[D].Dim)
      At.PerDim[*P.Axes[D].Dim] = M.uniform(Positions[D]);
  return At;
}

} // namespace limosa::codegen
