//===- Attention.cpp - Softmax between two products in one kernel ---------===//
//
// A tile of the grid is a block of query rows of one head. For a block of keys
// at a time its scores are computed into scratch memory, go through the ops
// before the softmax on the register tile, are exponentiated row by row, and
// multiply the values; the division by the sums comes last. If there may be
// more than one block, sums and results so far are rescaled when a greater
// score turns up (Milakov and Gimelshein, "Online normalizer calculation for
// softmax", 2018; Dao et al., "FlashAttention", 2022).
//
// Keys and values are copied to panels once per head and worker. Few rows (the
// next token of a language model) read them where they lie: scores are dot
// products of 16 keys at once, and the lanes of the sums run along a value.
//
// Exponentials of masked scores are 0 and never denormal, and rows without any
// score above -inf come out as the softmax has them: NaN.
//
//===----------------------------------------------------------------------===//

#include "AttentionEmitter.h"
#include "Products.h"

#include "PackingLoops.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include <limits>

using namespace mlir;

namespace limosa::codegen {

static SmallVector<int64_t> rowDimsOf(ContractOp Op) {
  auto Rank = cast<RankedTensorType>(Op.getResult().getType()).getRank();
  return llvm::to_vector(llvm::seq<int64_t>(Op.getLhsBatch().size(), Rank - 1));
}

AttentionEmitter::AttentionEmitter(KernelBuilder &KB,
                                   const KernelAnalysis &Kernel,
                                   AttentionPlan Plan)
    : ProductEmitter(KB, Plan.A.Values.getResult(), Kernel.Outputs,
                     Plan.ScoreTile, Plan.Regs.Lanes),
      P(std::move(Plan)),
      ScoreEpilogue(KB, Pull, P.A.Scores.getResult(), P.A.Input),
      RowDims(rowDimsOf(P.A.Scores)), RowDimsOut(rowDimsOf(P.A.Values)) {}

void AttentionEmitter::emit() {
  KB.setGrid(P.Batch * P.rowBlocks());
  KB.result().Flops =
      DimExpr(2) * P.Batch * P.Rows * P.Keys * DimExpr(P.Depth + P.Columns);
  makeScratch();
  if (P.ForFewRows && P.ForManyRows)
    KB.ifElse(
        M.le(KB.dim(P.Rows), KB.constant(AttentionPlan::FewRows)),
        [&] { forTiles(true); }, [&] { forTiles(false); });
  else
    forTiles(P.ForFewRows);
}

void AttentionEmitter::makeScratch() {
  Type F32 = B.getF32Type();
  int64_t Rows = P.scratchRows();
  Queries = KB.scratch(Rows * P.queryStride(), F32);
  ScoreMemory = KB.scratch(Rows * P.scoreStride(), F32);
  Out = KB.scratch(Rows * P.outStride(), F32);
  Sums = KB.scratch(Rows, F32);
  if (P.Online)
    Greatest = KB.scratch(Rows, F32);
  if (!P.ForManyRows)
    return;
  int64_t KeysInPanel = P.ScoreTile.Vectors * P.lanes();
  KeyPanels = KB.scratch(
      DimExpr::ceilDiv(P.Keys, KeysInPanel) * DimExpr(P.keyPanel()), F32);
  int64_t Panels = llvm::divideCeil(P.Columns, P.ValueTile.Vectors * P.lanes());
  ValuePanels = KB.scratch(P.valuePanel() * DimExpr(Panels), F32);
}

void AttentionEmitter::forTiles(bool ForFew) {
  Few = ForFew;
  Value RowBlocks = KB.divisor(P.rowBlocks());
  KB.forLoop(KB.tileBegin(), KB.tileEnd(), 1, KB.constant(-1),
             [&](Value At, ValueRange Carried) -> SmallVector<Value> {
               Value Head = M.divU(At, RowBlocks);
               setBatch(Head);
               emitTile(M.remU(At, RowBlocks), M.eq(Head, Carried[0]));
               return {Head};
             });
}

void AttentionEmitter::emitTile(Value RowBlock, Value SameHead) {
  FirstRow = M.mul(RowBlock, KB.constant(P.rowsPerTile()));
  NumRows =
      M.min(KB.constant(P.rowsPerTile()), M.sub(KB.dim(P.Rows), FirstRow));
  if (!Few)
    KB.ifThen(negate(SameHead), [&] {
      copyKeys();
      copyValues();
    });
  // Whole register tiles: rows behind the last repeat it.
  copyQueries(Few ? NumRows
                  : M.mul(blocksOf(NumRows, P.ScoreTile.Rows),
                          KB.constant(P.ScoreTile.Rows)));
  if (!P.Online) {
    emitKeyBlock(KB.constant(0));
  } else {
    beginRows();
    KB.forLoop(KB.constant(0), KB.dim(DimExpr::ceilDiv(P.Keys, P.KeyBlock)), 1,
               [&](Value Block) { emitKeyBlock(Block); });
  }
  finishRows();
}

void AttentionEmitter::emitKeyBlock(Value Block) {
  KeyBlockIndex = Block;
  FirstKey = M.mul(Block, KB.constant(P.KeyBlock));
  NumKeys = KB.dim(P.Keys);
  if (P.Online)
    NumKeys = M.min(KB.constant(P.KeyBlock), M.sub(NumKeys, FirstKey));
  if (Few)
    scoresInPlace();
  else
    scoresByPanels();
  softmaxRows();
  if (!Few)
    valuesByPanels();
  else if (P.Rows.constant())
    valuesInPlace(P.rowsInPlace());
  else
    KB.ifElse(
        M.eq(NumRows, KB.constant(1)), [&] { valuesInPlace(1); },
        [&] { valuesInPlace(P.rowsInPlace()); });
}

ProductEmitter::PanelRange
AttentionEmitter::useTile(const TileShape &Of, const DimExpr &Columns,
                          Value Block, int64_t Panels, bool OneBlock) {
  Tile = Of;
  return panelRange(Columns, Block, Panels, OneBlock);
}

//===----------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------===//

void AttentionEmitter::scoresByPanels() {
  int64_t Width = P.ScoreTile.Vectors * P.lanes();
  PanelRange Range = useTile(P.ScoreTile, P.Keys, KeyBlockIndex,
                             P.KeyBlock / Width, !P.Online);
  MicroKernel Kernel;
  Kernel.Lanes = lanes();
  Kernel.AccType = Kernel.ElementA = Kernel.ElementB = B.getF32Type();
  Kernel.A = Queries;
  Kernel.B = KeyPanels;
  for (unsigned R = 0; R < P.ScoreTile.Rows; ++R)
    Kernel.RowOffsets.push_back(B.getIndexAttr(R * P.queryStride()));
  Kernel.Loops = {
      {B.getIndexAttr(P.Depth), B.getIndexAttr(1), B.getIndexAttr(Width)}};
  // Rows inside: what a mask has for these keys alone is computed once.
  forPanels(Range, [&](Value Panel, ArrayRef<Value> Masks) {
    Kernel.VectorOffsets.clear();
    for (unsigned V = 0; V < Masks.size(); ++V)
      Kernel.VectorOffsets.push_back(B.getIndexAttr(V * lanes()));
    Kernel.OffsetB = M.mul(Panel, KB.constant(P.keyPanel()));
    Value Key = M.mul(Panel, KB.constant(Width));
    Value End = M.mul(blocksOf(NumRows, P.ScoreTile.Rows),
                      KB.constant(P.ScoreTile.Rows));
    KB.forLoop(KB.constant(0), End, P.ScoreTile.Rows, [&](Value Row) {
      Kernel.OffsetA = M.mul(Row, KB.constant(P.queryStride()));
      SmallVector<Value> Acc = emitMicroKernel(B, KB.loc(), Kernel);
      for (unsigned R = 0; R < P.ScoreTile.Rows; ++R)
        for (unsigned V = 0; V < Masks.size(); ++V)
          storeScore(Acc[R * Masks.size() + V], M.add(Row, KB.constant(R)),
                     M.add(Key, KB.constant(V * lanes())), Masks[V]);
    });
  });
}

void AttentionEmitter::scoresInPlace() {
  ContractOp Op = P.A.Scores;
  Coords Base = headIn(Op.getRhs(), Op.getRhsBatch(), BatchIn);
  unsigned KeyDim =
      freeDims(Op.getRhs(), Op.getRhsBatch(), Op.getRhsContract())[0];
  unsigned DepthDim = Op.getRhsContract()[0];
  Value LastKey = M.sub(KB.dim(P.Keys), KB.constant(1));
  Value EndKey = M.add(FirstKey, NumKeys);
  bool Whole = DimExpr::mod(P.Keys, P.lanes()).isConstant(0);
  KB.forLoop(FirstKey, EndKey, lanes(), [&](Value Key) {
    Value Mask = Whole ? Value() : KB.firstLanes(M.sub(EndKey, Key), lanes());
    KB.forLoop(KB.constant(0), NumRows, 1, [&](Value Row) {
      Value Query = M.mul(Row, KB.constant(P.queryStride()));
      // A step of the depth for as many keys as there are lanes.
      auto Step = [&](Value At, Value DepthMask, ValueRange Sums) {
        Value Q = vectorAt(Queries, M.add(Query, At));
        SmallVector<Value> Next;
        for (unsigned I = 0; I < lanes(); ++I) {
          Coords AtKey = Base;
          AtKey.PerDim[KeyDim] =
              M.uniform(M.min(M.add(Key, KB.constant(I)), LastKey));
          AtKey.PerDim[DepthDim] = Index{At, 1, {}};
          Value K = KB.broadcast(
              Pull.pull(Op.getRhs(), AtKey, Lanes{lanes(), DepthMask}),
              lanes());
          if (DepthMask)
            K = arith::SelectOp::create(B, KB.loc(), DepthMask, K, vectorOf(0));
          Next.push_back(vector::FMAOp::create(B, KB.loc(), Q, K, Sums[I]));
        }
        return Next;
      };
      SmallVector<Value> Dots(lanes(), vectorOf(0));
      int64_t Main = P.Depth / P.lanes() * P.lanes();
      Dots = KB.forLoop(
          KB.constant(0), KB.constant(Main), lanes(), Dots,
          [&](Value At, ValueRange Sums) { return Step(At, {}, Sums); });
      if (Main < P.Depth)
        Dots = Step(KB.constant(Main),
                    KB.firstLanes(KB.constant(P.Depth - Main), lanes()), Dots);
      storeScore(addTransposed(KB, Dots), Row, Key, Mask);
    });
  });
}

void AttentionEmitter::storeScore(Value Acc, Value Row, Value Key, Value Mask) {
  Coords At = headIn(P.A.Scores.getResult(), {}, {});
  for (auto [D, I] : llvm::enumerate(BatchIn))
    At.PerDim[D] = M.uniform(I);
  Index RowAt = M.uniform(M.min(M.add(FirstRow, Row), lastRow()));
  if (RowDims.size() == 1)
    At.PerDim[RowDims[0]] = RowAt;
  else if (!RowDims.empty())
    At.Groups.push_back({llvm::to_vector_of<unsigned, 4>(RowDims), RowAt});
  At.PerDim.back() = Index{Key, 1, {}};
  Value Score = KB.broadcast(
      ScoreEpilogue.valueAt(Acc, At, Lanes{lanes(), Mask}), lanes());
  // Lanes behind the last key count for nothing.
  if (Mask)
    Score = arith::SelectOp::create(
        B, KB.loc(), Mask, Score,
        vectorOf(-std::numeric_limits<double>::infinity()));
  vector::StoreOp::create(B, KB.loc(), Score, ScoreMemory,
                          M.add(scoreRow(Row), M.sub(Key, FirstKey)));
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

void AttentionEmitter::valuesByPanels() {
  int64_t Width = P.ValueTile.Vectors * P.lanes();
  PanelRange Range = useTile(P.ValueTile, P.Columns, KB.constant(0),
                             llvm::divideCeil(P.Columns, Width), true);
  MicroKernel Kernel;
  Kernel.Lanes = lanes();
  Kernel.AccType = Kernel.ElementA = Kernel.ElementB = B.getF32Type();
  Kernel.A = ScoreMemory;
  Kernel.B = ValuePanels;
  for (unsigned R = 0; R < P.ValueTile.Rows; ++R)
    Kernel.RowOffsets.push_back(B.getIndexAttr(R * P.scoreStride()));
  OpFoldResult Keys = NumKeys;
  if (auto Known = IndexMath::constantOf(NumKeys))
    Keys = B.getIndexAttr(*Known);
  Kernel.Loops.push_back({Keys, B.getIndexAttr(1), B.getIndexAttr(Width)});
  forPanels(Range, [&](Value Panel, ArrayRef<Value> Masks) {
    Kernel.VectorOffsets.clear();
    for (unsigned V = 0; V < Masks.size(); ++V)
      Kernel.VectorOffsets.push_back(B.getIndexAttr(V * lanes()));
    Kernel.OffsetB = M.add(M.mul(Panel, KB.dim(P.valuePanel())),
                           M.mul(FirstKey, KB.constant(Width)));
    KB.forLoop(KB.constant(0), NumRows, P.ValueTile.Rows, [&](Value Row) {
      Kernel.OffsetA = scoreRow(Row);
      auto PlaceOf = [&](unsigned R, unsigned V) {
        Value At =
            M.mul(M.add(Row, KB.constant(R)), KB.constant(P.outStride()));
        return M.add(At, M.add(M.mul(Panel, KB.constant(Width)),
                               KB.constant(V * lanes())));
      };
      Kernel.Init.clear();
      if (P.Online)
        for (unsigned R = 0; R < P.ValueTile.Rows; ++R)
          for (unsigned V = 0; V < Masks.size(); ++V)
            Kernel.Init.push_back(vectorAt(Out, PlaceOf(R, V)));
      SmallVector<Value> Acc = emitMicroKernel(B, KB.loc(), Kernel);
      for (unsigned R = 0; R < P.ValueTile.Rows; ++R)
        for (unsigned V = 0; V < Masks.size(); ++V)
          vector::StoreOp::create(B, KB.loc(), Acc[R * Masks.size() + V], Out,
                                  PlaceOf(R, V));
    });
  });
}

void AttentionEmitter::valuesInPlace(unsigned RowsAtOnce) {
  ContractOp Op = P.A.Values;
  Coords Base = headIn(Op.getRhs(), Op.getRhsBatch(), BatchOut);
  unsigned ColumnDim =
      freeDims(Op.getRhs(), Op.getRhsBatch(), Op.getRhsContract())[0];
  unsigned KeyDim = Op.getRhsContract()[0];
  PanelRange Range = useTile(
      P.ValueTile, P.Columns, KB.constant(0),
      llvm::divideCeil(P.Columns, P.ValueTile.Vectors * P.lanes()), true);
  forPanels(Range, [&](Value Panel, ArrayRef<Value> Masks) {
    Value Column = M.mul(Panel, KB.constant(panelColumns()));
    KB.forLoop(KB.constant(0), NumRows, RowsAtOnce, [&](Value Row) {
      // Rows behind the last repeat its scores.
      SmallVector<Value> Scores, Places, Sum;
      Value Last = M.sub(NumRows, KB.constant(1));
      for (unsigned R = 0; R < RowsAtOnce; ++R) {
        Value At = M.add(Row, KB.constant(R));
        Scores.push_back(scoreRow(R == 0 ? At : M.min(At, Last)));
        for (unsigned V = 0; V < Masks.size(); ++V) {
          Places.push_back(M.add(M.mul(At, KB.constant(P.outStride())),
                                 M.add(Column, KB.constant(V * lanes()))));
          Sum.push_back(P.Online ? vectorAt(Out, Places.back()) : vectorOf(0));
        }
      }
      Sum = KB.forLoop(
          KB.constant(0), NumKeys, 1, Sum, [&](Value Key, ValueRange In) {
            SmallVector<Value> Values, Next;
            for (unsigned V = 0; V < Masks.size(); ++V) {
              Coords At = Base;
              At.PerDim[KeyDim] = M.uniform(M.add(FirstKey, Key));
              At.PerDim[ColumnDim] =
                  Index{M.add(Column, KB.constant(V * lanes())), 1, {}};
              Values.push_back(KB.broadcast(
                  Pull.pull(Op.getRhs(), At, Lanes{lanes(), Masks[V]}),
                  lanes()));
            }
            for (Value First : Scores) {
              Value Weight =
                  KB.broadcast(memref::LoadOp::create(B, KB.loc(), ScoreMemory,
                                                      M.add(First, Key)),
                               lanes());
              for (Value Each : Values)
                Next.push_back(vector::FMAOp::create(B, KB.loc(), Weight, Each,
                                                     In[Next.size()]));
            }
            return Next;
          });
      for (auto [Each, Place] : llvm::zip_equal(Sum, Places))
        vector::StoreOp::create(B, KB.loc(), Each, Out, Place);
    });
  });
}

/// The results of a tile's rows: sums of values over the sum of exponentials.
void AttentionEmitter::finishRows() {
  PanelRange Range = useTile(
      P.ValueTile, P.Columns, KB.constant(0),
      llvm::divideCeil(P.Columns, P.ValueTile.Vectors * P.lanes()), true);
  KB.forLoop(KB.constant(0), NumRows, 1, [&](Value Row) {
    Value Sum = memref::LoadOp::create(B, KB.loc(), Sums, Row);
    // A row is NaN if a score was, or all were -inf.
    Value IsGood = arith::CmpFOp::create(B, KB.loc(), arith::CmpFPredicate::OGT,
                                         Sum, scalarOf(0));
    if (P.Keys.lowerBound().value_or(0) < 1) // no keys: an empty sum
      Sum = arith::SelectOp::create(
          B, KB.loc(), M.lt(KB.constant(0), KB.dim(P.Keys)), Sum, scalarOf(1));
    Sum = KB.broadcast(Sum, lanes());
    forPanels(Range, [&](Value Panel, ArrayRef<Value> Masks) {
      for (unsigned V = 0; V < Masks.size(); ++V) {
        Value Column = M.add(M.mul(Panel, KB.constant(panelColumns())),
                             KB.constant(V * lanes()));
        Value From = M.mul(Row, KB.constant(P.outStride()));
        Value Result = arith::DivFOp::create(
            B, KB.loc(), vectorAt(Out, M.add(From, Column)), Sum);
        if (P.A.ZeroNaN)
          Result =
              arith::SelectOp::create(B, KB.loc(), IsGood, Result, vectorOf(0));
        Coords At = headIn(P.A.Values.getResult(), {}, {});
        for (auto [D, I] : llvm::enumerate(BatchOut))
          At.PerDim[D] = M.uniform(I);
        Index RowAt = M.uniform(M.add(FirstRow, Row));
        if (RowDimsOut.size() == 1)
          At.PerDim[RowDimsOut[0]] = RowAt;
        else if (!RowDimsOut.empty())
          At.Groups.push_back(
              {llvm::to_vector_of<unsigned, 4>(RowDimsOut), RowAt});
        At.PerDim.back() = Index{Column, 1, {}};
        Epilogue.compute(Result, At, Lanes{lanes(), Masks[V]});
      }
      Epilogue.store();
    });
  });
}

std::optional<int> matchAttention(const KernelAnalysis &Kernel,
                                  const TargetOptions &Options) {
  return planAttention(Kernel, Options) ? std::optional(110) : std::nullopt;
}

llvm::Error emitAttention(KernelBuilder &KB, const KernelAnalysis &Kernel) {
  AttentionEmitter(KB, Kernel, *planAttention(Kernel, KB.options())).emit();
  return llvm::Error::success();
}

} // namespace limosa::codegen
