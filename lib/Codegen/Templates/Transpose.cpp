//===- Transpose.cpp - Kernels that turn their inputs ---------------------===//
//
// Pointwise kernels whose inputs have other neighbours in memory than their
// output: relayouts and transposes, and what is computed on the way. Element by
// element either the loads or the stores would touch a cache line each. Here
// squares are computed along the inputs' neighbours, turned in registers, and
// stored along the output's.
//
//===----------------------------------------------------------------------===//

#include "Loops.h"
#include "PackingLoops.h"
#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Types.h"
#include "llvm/ADT/SmallPtrSet.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::codegen;
using limosa::codegen::Index;

/// Larger squares do not fit the registers.
static constexpr unsigned MaxLanes = 16;

/// The last dimension in physical order that has more than one element.
static std::optional<unsigned> fastestDim(Type Ty) {
  Dims Shape = getDims(Ty);
  auto Order = getOrder(Ty);
  for (int64_t D : llvm::reverse(Order))
    if (!Shape[D].isConstant(1))
      return unsigned(D);
  return std::nullopt;
}

namespace {

/// Finds along which dimension of the output all large inputs are contiguous.
class FastDims {
public:
  /// Nullopt if they differ, or an op in between is not understood.
  static std::optional<unsigned> find(Value Output) {
    FastDims Found;
    unsigned Rank = getDims(Output).size();
    if (!Found.visit(Output, llvm::to_vector(llvm::seq<unsigned>(0, Rank))))
      return std::nullopt;
    return Found.Dim;
  }

private:
  /// `OutputDim`: the dimension of the output for each dimension of V.
  bool visit(Value V, ArrayRef<unsigned> OutputDim) {
    Operation *Op = V.getDefiningOp();
    if (!Op) {
      std::optional<unsigned> Fastest = fastestDim(V.getType());
      if (!Fastest)
        return true;
      unsigned D = OutputDim[*Fastest];
      bool Same = !Dim || *Dim == D;
      Dim = D;
      return Same;
    }
    if (isa<BroadcastOp, ConstantOp, IotaOp>(Op))
      return true;
    if (auto T = dyn_cast<TransposeOp>(Op)) {
      SmallVector<unsigned> From(OutputDim.size());
      for (auto [New, Old] : llvm::enumerate(T.getPerm()))
        From[Old] = OutputDim[New];
      return visit(T.getOperand(), From);
    }
    if (!Op->hasTrait<limosa::OpTrait::SameShape>() && !isa<RelayoutOp>(Op))
      return false;
    return !Seen.insert(Op).second ||
           llvm::all_of(Op->getOperands(), [&](Value Operand) {
             return visit(Operand, OutputDim);
           });
  }

  std::optional<unsigned> Dim;
  /// Elementwise ops only; they are seen again with the same dimensions unless
  /// a value meets its own transpose, which no fast dimension would suit.
  llvm::SmallPtrSet<Operation *, 16> Seen;
};

struct TransposePlan {
  unsigned Lanes;
  unsigned From;            ///< neighbours in the inputs
  SmallVector<unsigned> To; ///< in the output, as one index
  SmallVector<unsigned> Outer;
  DimExpr FromExtent, ToExtent = 1, OuterExtent = 1;
};

} // namespace

static std::optional<TransposePlan> planTranspose(const KernelAnalysis &Kernel,
                                                  unsigned Lanes) {
  if (!Kernel.Anchors.empty() || Kernel.Outputs.size() != 1)
    return std::nullopt;
  Value Output = Kernel.Outputs[0];
  Type Element = registerType(getElementTypeOrSelf(Output.getType()));
  std::optional<unsigned> From = FastDims::find(Output);
  if (!From || From == fastestDim(Output.getType()) || Element.isInteger(1) ||
      memoryBits(getElementTypeOrSelf(Output.getType())) < 8)
    return std::nullopt;
  TransposePlan P;
  P.Lanes = std::min(Lanes, MaxLanes);
  P.From = *From;
  Dims Shape = getDims(Output);
  SmallVector<int64_t> Order = getOrder(Output.getType());
  P.FromExtent = Shape[*From];
  size_t Inner = Order.size() - collapsible({Output}, Order, Shape);
  for (auto [Position, D] : llvm::enumerate(Order)) {
    if (D == *From) {
      if (Position >= Inner)
        return std::nullopt;
      continue;
    }
    (Position >= Inner ? P.To : P.Outer).push_back(D);
    DimExpr &Extent = Position >= Inner ? P.ToExtent : P.OuterExtent;
    Extent = Extent * Shape[D];
  }
  // Narrow squares are not worth turning.
  for (const DimExpr &Extent : {P.FromExtent, P.ToExtent})
    if (auto Known = Extent.constant(); Known && *Known * 2 < P.Lanes)
      return std::nullopt;
  return P;
}

namespace {

class TransposeEmitter {
public:
  TransposeEmitter(KernelBuilder &KB, Value Output, const TransposePlan &Plan)
      : KB(KB), M(KB.math()), Pull(KB), Output(Output), P(Plan) {}

  void emit() {
    constexpr int64_t TileElements = 8192;
    const int64_t Chunk = TileElements / P.Lanes;
    DimExpr Blocks = DimExpr::ceilDiv(P.FromExtent, P.Lanes);
    DimExpr Chunks = DimExpr::ceilDiv(P.ToExtent, Chunk);
    KB.setGrid(P.OuterExtent * Blocks * Chunks);
    KB.tileLoop([&](Value Tile) {
      Value PerChunk = KB.divisor(Chunks), PerBlock = KB.divisor(Blocks);
      Value Lo = M.mul(M.remU(Tile, PerChunk), KB.constant(Chunk));
      Value Hi = M.min(M.add(Lo, KB.constant(Chunk)), KB.dim(P.ToExtent));
      Value Rest = M.divU(Tile, PerChunk);
      Outer = M.divU(Rest, PerBlock);
      First = M.mul(M.remU(Rest, PerBlock), KB.constant(P.Lanes));
      emitBlock(Lo, Hi);
    });
  }

private:
  void emitBlock(Value Lo, Value Hi) {
    Value Left = M.sub(KB.dim(P.FromExtent), First);
    Value Whole = M.le(KB.constant(P.Lanes), Left);
    if (DimExpr::mod(P.FromExtent, P.Lanes).isConstant(0))
      return emitSquares(Lo, Hi, {});
    KB.ifElse(
        Whole, [&] { emitSquares(Lo, Hi, {}); },
        [&] { emitSquares(Lo, Hi, Left); });
  }

  /// `Left`: how many of the inputs' neighbours exist; null: all lanes.
  void emitSquares(Value Lo, Value Hi, Value Left) {
    Value Main = M.add(Lo, M.mul(M.divU(M.sub(Hi, Lo), KB.constant(P.Lanes)),
                                 KB.constant(P.Lanes)));
    KB.forLoop(Lo, Main, P.Lanes, [&](Value At) { emitSquare(At, Left, {}); });
    KB.ifThen(M.lt(Main, Hi), [&] { emitSquare(Main, Left, M.sub(Hi, Main)); });
  }

  void emitSquare(Value At, Value Left, Value Columns) {
    Lanes Along{P.Lanes, Left ? KB.firstLanes(Left, P.Lanes) : Value()};
    SmallVector<Value> Rows;
    for (unsigned R = 0; R < P.Lanes; ++R) {
      // Behind the end the last one repeats; it is not stored.
      Value To = M.add(At, KB.constant(R));
      if (Columns)
        To = M.min(To, M.sub(M.add(At, Columns), KB.constant(1)));
      Value V =
          Pull.pull(Output, coords(Index{First, 1, {}}, M.uniform(To)), Along);
      Rows.push_back(KB.broadcast(V, P.Lanes));
    }
    Rows = transposeSquare(KB, Rows);
    Lanes Across{P.Lanes, Columns ? KB.firstLanes(Columns, P.Lanes) : Value()};
    const TensorView &View = KB.output(0);
    for (unsigned R = 0; R < P.Lanes; ++R) {
      auto Store = [&] {
        Coords Where =
            coords(M.uniform(M.add(First, KB.constant(R))), Index{At, 1, {}});
        KB.store(View, KB.offset(View, Where, P.Lanes), Rows[R], Across);
      };
      if (Left)
        KB.ifThen(M.lt(KB.constant(R), Left), Store);
      else
        Store();
    }
  }

  Coords coords(const Index &From, const Index &To) {
    Coords At(getDims(Output).size());
    At.PerDim[P.From] = From;
    setDims(At, P.Outer, M.uniform(Outer));
    setDims(At, P.To, To);
    return At;
  }

  KernelBuilder &KB;
  IndexMath &M;
  Puller Pull;
  Value Output;
  const TransposePlan &P;
  Value Outer, First; ///< of the tile
};

} // namespace

const KernelTemplate codegen::TransposeTemplate = {
    "transpose",
    [](const KernelAnalysis &Kernel,
       const TargetOptions &Options) -> std::optional<int> {
      if (!canMask(Options, Kernel) ||
          !planTranspose(Kernel, lanesFor(Options, Kernel)))
        return std::nullopt;
      return 12;
    },
    [](KernelBuilder &KB, const KernelAnalysis &Kernel) -> llvm::Error {
      auto Plan = planTranspose(Kernel, lanesFor(KB.options(), Kernel));
      TransposeEmitter(KB, Kernel.Outputs[0], *Plan).emit();
      return llvm::Error::success();
    }};
