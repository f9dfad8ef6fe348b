//===- IrregularUpdateSlice.cpp - Replacement of a part -------------------===//
//
// What makes a key-value cache cheap: when the result has taken over the
// operand's memory, only the new block is written.
//
//===----------------------------------------------------------------------===//

#include "Irregular.h"
#include "Loops.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::codegen;
using limosa::codegen::Index;

static UpdateSliceOp matchUpdate(const KernelAnalysis &Kernel) {
  if (!Kernel.Anchors.empty() || Kernel.Outputs.size() != 1)
    return UpdateSliceOp();
  auto Op = Kernel.Outputs[0].getDefiningOp<UpdateSliceOp>();
  if (!Op || !isa<BlockArgument>(Op.getOperand()) ||
      cast<RankedTensorType>(Op.getType()).getRank() == 0)
    return UpdateSliceOp();
  return Op;
}

static std::optional<int> match(const KernelAnalysis &Kernel,
                                const TargetOptions &) {
  return matchUpdate(Kernel) ? std::optional(20) : std::nullopt;
}

/// Copies rows [Lo, Hi) of `Source` (rows: all dimensions but the last) to the
/// result, moved by `Starts` if there are any.
static void copyRows(KernelBuilder &KB, const KernelAnalysis &Kernel, Puller &P,
                     Value Source, Value Lo, Value Hi, ArrayRef<Value> Starts) {
  Dims Shape = getDims(Source);
  auto Rank = static_cast<unsigned>(Shape.size());
  SmallVector<unsigned> Outer = dimsWithout(Rank, {Rank - 1});
  const TensorView &View = KB.output(0);
  KB.forLoop(Lo, Hi, 1, [&](Value Row) {
    Coords From(Rank);
    setLinear(From, Outer, KB.math().uniform(Row));
    if (!Starts.empty())
      for (unsigned D : Outer)
        KB.materialize(From, D, Shape, 0);
    vectorLoop(KB, KB.constant(0), KB.dim(Shape.back()),
               lanesFor(KB.options(), Kernel),
               /*Unroll=*/1, canMask(KB.options(), Kernel),
               [&](const Index &I, const Lanes &L) {
                 Coords At = From;
                 At.PerDim[Rank - 1] = I;
                 Coords To = At;
                 for (unsigned D = 0; D < Starts.size(); ++D)
                   To.PerDim[D] = KB.math().add(At.PerDim[D], Starts[D]);
                 KB.store(View, KB.offset(View, To, L.Count),
                          P.pull(Source, At, L), L);
               });
  });
}

static llvm::Error emit(KernelBuilder &KB, const KernelAnalysis &Kernel) {
  UpdateSliceOp Op = matchUpdate(Kernel);
  Puller P(KB);
  IndexMath &M = KB.math();
  Dims Shape = getDims(Op.getOperand()), Block = getDims(Op.getUpdate());
  auto Rank = static_cast<unsigned>(Shape.size());
  SmallVector<unsigned> Outer = dimsWithout(Rank, {Rank - 1});

  SmallVector<Value> Starts;
  for (unsigned D = 0; D < Rank; ++D) {
    Coords At(1);
    At.PerDim[0] = M.uniform(static_cast<int64_t>(D));
    Value Start = arith::IndexCastOp::create(
        KB.builder(), KB.loc(), KB.builder().getIndexType(),
        P.pull(Op.getStarts(), At, Lanes()));
    Value Most = KB.dim(Shape[D] - Block[D]);
    Starts.push_back(M.max(M.min(Start, Most), KB.constant(0)));
  }

  // A tile is a share of the operand's rows, or, in place, of the block's:
  // the grid is the same, a row of the operand each.
  DimExpr Rows = extentOf(Shape, Outer), BlockRows = extentOf(Block, Outer);
  KB.setGrid(Rows);
  auto Operand = cast<BlockArgument>(Op.getOperand());
  Value InPlace =
      sameMemory(KB, KB.input(Operand.getArgNumber()), KB.output(0));
  // In place the block's rows are spread evenly over the tiles.
  Value Total = KB.divisor(Rows), Part = KB.dim(BlockRows);
  auto Share = [&](Value Tile) { return M.divU(M.mul(Tile, Part), Total); };
  KB.ifElse(
      InPlace, TypeRange(),
      [&] {
        copyRows(KB, Kernel, P, Op.getUpdate(), Share(KB.tileBegin()),
                 Share(KB.tileEnd()), Starts);
        return SmallVector<Value>();
      },
      [&] {
        KB.tileLoop([&](Value Row) {
          copyRows(KB, Kernel, P, Op.getOperand(), Row,
                   M.add(Row, KB.constant(1)), {});
          // The block's row that lies in this one, if any.
          Coords At(Rank);
          setLinear(At, Outer, M.uniform(Row));
          Value Inside, BlockRow = KB.constant(0);
          for (unsigned D : Outer) {
            KB.materialize(At, D, Shape, 0);
            Value I = M.sub(At.PerDim[D].Base, Starts[D]);
            Value Size = KB.dim(Block[D]);
            Value In = M.both(M.le(KB.constant(0), I), M.lt(I, Size));
            Inside = Inside ? M.both(Inside, In) : In;
            BlockRow = M.add(M.mul(BlockRow, Size), I);
          }
          auto Write = [&] {
            copyRows(KB, Kernel, P, Op.getUpdate(), BlockRow,
                     M.add(BlockRow, KB.constant(1)), Starts);
          };
          if (Inside)
            KB.ifThen(Inside, Write);
          else
            Write();
        });
        return SmallVector<Value>();
      });
  return llvm::Error::success();
}

const KernelTemplate codegen::UpdateSliceTemplate = {"update_slice", match,
                                                     emit};
