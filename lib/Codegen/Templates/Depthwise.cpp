//===- Depthwise.cpp - Depthwise convolutions and those in narrow groups --===//
//
// One filter per channel: nothing is summed over channels, so lanes run along
// them and a register tile is a run of pixels of one output line. An input
// vector is loaded once and multiplied into every pixel whose window it falls
// in. Groups of 2, 4 .. channels that fill a vector together do the same for
// each channel of a group in turn, spread over the lanes of its group. Edges
// need no padding: lines are clipped to the image by the bounds of
// the window loop. At the ends of a line whose length is known, tiles leave out
// the products that would fall outside; otherwise the few pixels there are
// computed one by one.
//
//===----------------------------------------------------------------------===//

#include "PackingLoops.h"
#include "ProductEmitter.h"
#include "Products.h"
#include "limosa/Codegen/Packing.h"
#include "limosa/Codegen/StridedView.h"
#include "limosa/IR/LimosaOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace limosa::codegen {

namespace {

constexpr unsigned Z = 0, Y = 1, X = 2;
/// Vector multiply-adds of a tile of the grid.
constexpr int64_t TileVectors = 1 << 15;

struct Plan {
  /// One spatial dimension; missing leading ones have extent 1.
  struct Axis {
    std::optional<unsigned> Dim;
    DimExpr In = 1, Out = 1, Pad = 0, Pitch = 0;
    int64_t Window = 1, Stride = 1, Dilation = 1;
  };
  Axis Axes[3];
  StridedView View;
  DimExpr Batch;
  int64_t Channels = 0;
  int64_t Group = 1; ///< channels of a group, in and out
  Type AccType;
  unsigned Lanes = 0;
  /// Output pixels of a line whose windows lie inside the input.
  DimExpr FirstInner, EndInner;
  TileShape Tile{};
  /// Tiles before and behind those whose windows all lie inside the input, if
  /// that is known and there are few.
  struct Ends {
    int64_t In, Out, Pad;  ///< along X
    int64_t First, Behind; ///< the tiles between these lie inside
  };
  std::optional<Ends> KnownEnds;
  int64_t BlockLines = 1, BlockPanels = 1;

  int64_t panels() const { return llvm::divideCeil(Channels, Lanes); }
  int64_t columnBlocks() const {
    return llvm::divideCeil(panels(), BlockPanels);
  }
  DimExpr lineBlocks() const {
    return DimExpr::ceilDiv(Axes[Y].Out, BlockLines);
  }
};

/// Tiles of a line whose sizes are known.
std::optional<Plan::Ends> planEnds(const Plan &P) {
  // More tiles at the ends than this are too much code.
  constexpr int64_t MaxEndTiles = 4;
  const Plan::Axis &A = P.Axes[X];
  auto In = A.In.constant(), Out = A.Out.constant(), Pad = A.Pad.constant();
  if (!In || !Out || !Pad)
    return std::nullopt;
  int64_t Rows = P.Tile.Rows, Whole = *Out / Rows;
  auto LiesInside = [&](int64_t Tile) {
    int64_t First = Tile * Rows * A.Stride - *Pad;
    int64_t Last = First + (Rows - 1) * A.Stride + (A.Window - 1) * A.Dilation;
    return First >= 0 && Last < *In;
  };
  Plan::Ends E{*In, *Out, *Pad, 0, Whole};
  while (E.First < Whole && !LiesInside(E.First))
    ++E.First;
  while (E.Behind > E.First && !LiesInside(E.Behind - 1))
    --E.Behind;
  int64_t Tail = *Out % Rows ? 1 : 0;
  if (E.First + (Whole - E.Behind) + Tail > MaxEndTiles)
    return std::nullopt;
  return E;
}

std::optional<Plan> planDepthwise(ConvOp Op, const KernelAnalysis &Kernel,
                                  const TargetOptions &Options) {
  auto Filter = cast<RankedTensorType>(Op.getFilter().getType());
  std::optional<StridedView> FilterView = getStridedView(Op.getFilter());
  if (Op.getBatchGroups() != 1 || !Filter.hasStaticShape() || !FilterView ||
      !isPackable(Kernel.Func, *FilterView))
    return std::nullopt;
  Plan P;
  P.Channels = Filter.getDimSize(0);
  P.Group = Filter.getDimSize(1);
  if (Op.getFeatureGroups() == 1 ||
      P.Group * int64_t(Op.getFeatureGroups()) != P.Channels ||
      llvm::any_of(Op.getLhsDilation(), [](int64_t D) { return D != 1; }))
    return std::nullopt;
  std::optional<StridedView> View = getStridedView(Op.getInput());
  if (!View || !View->Dims[1].Stride.isConstant(1) ||
      !TileEpilogue::fits(Op.getResult(), Kernel.Outputs))
    return std::nullopt;
  P.View = *View;
  P.AccType = accumulatorType(
      cast<RankedTensorType>(Op.getResult().getType()).getElementType());
  P.Lanes = getRegisterFile(Options.Isa, P.AccType).Lanes;
  // Channels change places within vectors of f32.
  if (P.Group > 1 && (!P.AccType.isF32() || !llvm::isPowerOf2_64(P.Group) ||
                      P.Group * 2 > P.Lanes))
    return std::nullopt;
  P.Batch = getDim(Op.getResult().getType(), 0);
  unsigned Spatial = Filter.getRank() - 2;
  Dims Low = parseDims(Op.getPadLow());
  for (unsigned I = 0; I < Spatial; ++I) {
    Plan::Axis &A = P.Axes[3 - Spatial + I];
    A.Dim = 2 + I;
    A.In = getDim(Op.getInput().getType(), 2 + I);
    A.Out = getDim(Op.getResult().getType(), 2 + I);
    A.Pad = Low[I];
    A.Pitch = View->Dims[2 + I].Stride;
    A.Window = Filter.getDimSize(2 + I);
    A.Stride = Op.getStrides()[I];
    A.Dilation = Op.getRhsDilation()[I];
  }

  const Plan::Axis &AX = P.Axes[X];
  P.FirstInner = DimExpr::min(
      AX.Out, DimExpr::ceilDiv(DimExpr::max(AX.Pad, 0), AX.Stride));
  // The last window begins at In - span + Pad; none is inside when it is < 0.
  DimExpr Room = AX.In + AX.Pad - (AX.Window - 1) * AX.Dilation;
  P.EndInner = DimExpr::max(
      P.FirstInner,
      DimExpr::min(AX.Out, DimExpr::ceilDiv(DimExpr::max(Room, 0), AX.Stride)));

  // Accumulators, the window's weights, one input vector and where its lanes
  // go.
  unsigned Registers = getRegisterFile(Options.Isa, P.AccType).Registers;
  int64_t Most =
      std::clamp<int64_t>(Registers - AX.Window - (P.Group > 1 ? 3 : 2), 4,
                          Registers == 32 ? 14 : 8);
  auto SetRows = [&](const DimExpr &Pixels) {
    int64_t Rows = Most;
    if (auto Count = Pixels.constant(); Count && *Count > 0)
      Rows = llvm::divideCeil(*Count, llvm::divideCeil(*Count, Most));
    P.Tile = {unsigned(Rows), 1};
  };
  SetRows(AX.Out);
  P.KnownEnds = planEnds(P);
  if (!P.KnownEnds)
    SetRows(P.EndInner - P.FirstInner);

  int64_t Workers = Options.Workers;
  auto Share = [&](int64_t All, int64_t Wanted) {
    return llvm::divideCeil(All, llvm::divideCeil(All, Wanted));
  };
  P.BlockPanels = Share(P.panels(), 8);
  int64_t Taps = P.Axes[Z].Window * P.Axes[Y].Window * AX.Window;
  int64_t PerLine = AX.Out.constant().value_or(64) * P.BlockPanels *
                    std::max<int64_t>(Taps * P.Group, 4);
  P.BlockLines =
      std::max<int64_t>(TileVectors / std::max<int64_t>(PerLine, 1), 1);
  if (auto Lines = P.Axes[Y].Out.constant()) {
    int64_t Blocks =
        llvm::divideCeil(std::max<int64_t>(*Lines, 1),
                         std::min(P.BlockLines, std::max<int64_t>(*Lines, 1)));
    // An even number of tiles for the workers.
    while (Blocks < *Lines && Blocks * P.columnBlocks() % Workers != 0)
      ++Blocks;
    P.BlockLines = std::max<int64_t>(llvm::divideCeil(*Lines, Blocks), 1);
  }
  return P;
}

class DepthwiseEmitter : ProductEmitter {
public:
  DepthwiseEmitter(KernelBuilder &KB, const KernelAnalysis &Kernel, ConvOp Op,
                   const Plan &P)
      : ProductEmitter(KB, Op.getResult(), Kernel.Outputs, P.Tile, P.Lanes),
        Op(Op), P(P), In(KB.input(P.View.Argument.getArgNumber())) {}

  void emit() {
    prepare();
    KB.setGrid(DimExpr(P.columnBlocks()) * P.Batch * P.Axes[Z].Out *
               P.lineBlocks());
    KB.result().Flops = DimExpr(2 * Depth * P.Channels) * P.Batch *
                        P.Axes[Z].Out * P.Axes[Y].Out * P.Axes[X].Out;
    Value LineBlocks = KB.divisor(P.lineBlocks());
    Value Planes = KB.divisor(P.Axes[Z].Out);
    Value Images = KB.divisor(P.Batch);
    KB.tileLoop([&](Value Tile) {
      Value Lines = M.remU(Tile, LineBlocks);
      Value Rest = M.divU(Tile, LineBlocks);
      Plane = M.remU(Rest, Planes);
      Rest = M.divU(Rest, Planes);
      Image = M.remU(Rest, Images);
      emitTile(Lines, M.divU(Rest, Images));
    });
  }

private:
  void prepare() {
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
    if (P.Group > 1)
      prepareSpread();
  }

  /// For each lane the first of its group.
  void prepareSpread() {
    SmallVector<int32_t> First;
    for (int32_t I = 0; I < int32_t(lanes()); ++I)
      First.push_back(I / P.Group * P.Group);
    auto Ty = VectorType::get({int64_t(lanes())}, B.getI32Type());
    FirstLanes = arith::ConstantOp::create(
        B, KB.loc(), DenseElementsAttr::get(Ty, ArrayRef(First)));
  }

  /// Puts the current member of each group into all lanes of the group.
  Value spread(Value V) {
    auto Ty = cast<VectorType>(FirstLanes.getType());
    Value Lane =
        arith::IndexCastOp::create(B, KB.loc(), B.getI32Type(), Member);
    Value From = arith::AddIOp::create(
        B, KB.loc(), FirstLanes,
        vector::BroadcastOp::create(B, KB.loc(), Ty, Lane));
    StringRef Name = lanes() == 16 ? "llvm.x86.avx512.permvar.sf.512"
                                   : "llvm.x86.avx2.permps";
    return LLVM::CallIntrinsicOp::create(B, KB.loc(), V.getType(),
                                         B.getStringAttr(Name),
                                         ValueRange{V, From})
        .getResult(0);
  }

  void emitTile(Value LineBlock, Value ColumnBlock) {
    Value FirstLine = M.mul(LineBlock, KB.constant(P.BlockLines));
    Value EndLine = M.min(M.add(FirstLine, KB.constant(P.BlockLines)),
                          KB.dim(P.Axes[Y].Out));
    forPanels(panelRange(P.Channels, ColumnBlock, P.BlockPanels,
                         P.columnBlocks() == 1),
              [&](Value Panel, ArrayRef<Value> Masks) {
                Channel = M.mul(Panel, KB.constant(lanes()));
                Lane = Lanes{lanes(), Masks[0]};
                FilterAt = M.mul(Panel, KB.constant(Depth * lanes()));
                KB.forLoop(FirstLine, EndLine, 1,
                           [&](Value Line) { emitLine(Line); });
              });
  }

  void emitLine(Value OutLine) {
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

  void emitKnownLine(const Plan::Ends &Ends) {
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
  std::pair<Value, Value> clip(const Plan::Axis &A, Value I) {
    if (!A.Dim)
      return {KB.constant(0), KB.constant(1)};
    Value Begin = begin(A, I), Zero = KB.constant(0);
    Value Step = KB.constant(A.Dilation), Up = KB.constant(A.Dilation - 1);
    auto DivUp = [&](Value V) {
      return M.divU(M.add(M.max(V, Zero), Up), Step);
    };
    Value Window = KB.constant(A.Window);
    Value First = M.min(DivUp(M.sub(Zero, Begin)), Window);
    Value End = M.min(DivUp(M.sub(KB.dim(A.In), Begin)), Window);
    return {First, M.max(First, End)};
  }
  /// Input position of the first window position of output I.
  Value begin(const Plan::Axis &A, Value I) {
    return M.sub(M.mul(I, KB.constant(A.Stride)), KB.dim(A.Pad));
  }

  /// Loops over the window's planes and lines that lie inside, and the members
  /// of a group; `Body` adds one line's products to the accumulators. One loop
  /// for lines and members: a loop over members alone would be unrolled, and
  /// keep every input vector in a register from the first to the last.
  SmallVector<Value> forWindowLines(
      ArrayRef<Value> Init,
      llvm::function_ref<SmallVector<Value>(Value InputLine, Value FilterLine,
                                            ValueRange Acc)>
          Body) {
    const Plan::Axis &AZ = P.Axes[Z], &AY = P.Axes[Y], &AX = P.Axes[X];
    Value Base = mulAdd(KB.dim(P.View.Offset), Image, P.View.Dims[0].Stride);
    Base = M.add(Base, Channel);
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

  Value loadInput(Value At) {
    Value V = KB.load(In, Index{At, 1, {}}, Lane);
    V = widenTo(KB, V, P.AccType, In.Element.isUnsignedInteger());
    return P.Group > 1 ? spread(V) : V;
  }
  /// The weights of window position `K` of a line that begins at `Filter`.
  Value loadWeight(Value Filter, Value K) {
    Value At = M.add(Filter, M.mul(K, KB.constant(P.Group * lanes())));
    Value V = KB.load(Weights, Index{At, 1, {}}, Lanes{lanes(), {}});
    return widenTo(KB, V, P.AccType, Weights.Element.isUnsignedInteger());
  }
  SmallVector<Value> zeros(unsigned Count) {
    auto Ty = VectorType::get({int64_t(lanes())}, P.AccType);
    return SmallVector<Value>(Count, KB.splat(B.getZeroAttr(P.AccType), Ty));
  }
  Value multiplyAdd(Value L, Value R, Value Acc) {
    if (isa<FloatType>(P.AccType))
      return vector::FMAOp::create(B, KB.loc(), L, R, Acc);
    return arith::AddIOp::create(B, KB.loc(), Acc,
                                 arith::MulIOp::create(B, KB.loc(), L, R));
  }

  /// Pixels [First, First + Count) of the line, all windows inside along X, or
  /// where in the line they are known to be.
  void emitInner(Value First, unsigned Count,
                 std::optional<int64_t> KnownFirst = std::nullopt) {
    const Plan::Axis &AX = P.Axes[X];
    SmallVector<Value> Acc = forWindowLines(
        zeros(Count), [&](Value Input, Value Filter, ValueRange In) {
          SmallVector<Value> Out(In), W;
          for (int64_t K = 0; K < AX.Window; ++K)
            W.push_back(loadWeight(Filter, KB.constant(K)));
          Value At = mulAdd(Input, begin(AX, First), AX.Pitch);
          // Each input column once, into all the windows it lies in.
          int64_t Span =
              (Count - 1) * AX.Stride + (AX.Window - 1) * AX.Dilation;
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
  bool isInside(int64_t Column) const {
    int64_t At = Column - P.KnownEnds->Pad;
    return At >= 0 && At < P.KnownEnds->In;
  }

  /// One pixel whose window may reach over the line's ends.
  void emitEdge(Value Pixel) {
    const Plan::Axis &AX = P.Axes[X];
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

  Coords coordsAt(Value Pixel) {
    Coords At(cast<RankedTensorType>(Op.getResult().getType()).getRank());
    At.PerDim[0] = M.uniform(Image);
    At.PerDim[1] = Index{Channel, 1, {}};
    Value Positions[3] = {Plane, Line, Pixel};
    for (unsigned D : {Z, Y, X})
      if (P.Axes[D].Dim)
        At.PerDim[*P.Axes[D].Dim] = M.uniform(Positions[D]);
    return At;
  }

  ConvOp Op;
  const Plan &P;
  TensorView In, Weights;
  int64_t Depth = 1; ///< products of an output element
  Value FirstLanes;

  // Of the place being emitted.
  Value Plane, Image, Line, Channel, FilterAt;
  Value Member; ///< of a group: which input channel is multiplied
  Lanes Lane;
};

} // namespace

std::optional<int> matchDepthwise(const KernelAnalysis &Kernel,
                                  const TargetOptions &Options) {
  auto Op = Kernel.onlyAnchor<ConvOp>();
  if (!Op || !planDepthwise(Op, Kernel, Options))
    return std::nullopt;
  return 110;
}

llvm::Error emitDepthwise(KernelBuilder &KB, const KernelAnalysis &Kernel) {
  auto Op = Kernel.onlyAnchor<ConvOp>();
  std::optional<Plan> P = planDepthwise(Op, Kernel, KB.options());
  DepthwiseEmitter(KB, Kernel, Op, *P).emit();
  return llvm::Error::success();
}

} // namespace limosa::codegen
