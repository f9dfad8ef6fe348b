//===- ProductEmitter.cpp - Loops that products share ---------------------===//

#include "ProductEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/bit.h"

using namespace mlir;

namespace limosa::codegen {

Type accumulatorType(Type ResultElement) {
  Builder B(ResultElement.getContext());
  if (ResultElement.isF64())
    return B.getF64Type();
  if (isa<FloatType>(ResultElement))
    return B.getF32Type();
  return B.getIntegerType(ResultElement.getIntOrFloatBitWidth() == 64 ? 64
                                                                      : 32);
}

OpFoldResult ProductEmitter::fold(const DimExpr &E) {
  if (auto C = E.constant())
    return B.getIndexAttr(*C);
  return KB.dim(E);
}

void ProductEmitter::when(Value Condition, llvm::function_ref<void()> Body) {
  std::optional<int64_t> Known = IndexMath::constantOf(Condition);
  if (!Known)
    KB.ifThen(Condition, Body);
  else if (*Known != 0)
    Body();
}

Value ProductEmitter::negate(Value Condition) {
  Value True = arith::ConstantOp::create(B, KB.loc(), B.getBoolAttr(true));
  return arith::XOrIOp::create(B, KB.loc(), Condition, True);
}

Value ProductEmitter::onlyIf(Value Condition, Value Mask) {
  if (!Condition)
    return Mask;
  Value All = KB.firstLanes(
      M.select(Condition, KB.constant(lanes()), KB.constant(0)), lanes());
  return Mask ? arith::AndIOp::create(B, KB.loc(), All, Mask) : All;
}

ProductEmitter::PanelRange ProductEmitter::panelRange(const DimExpr &Columns,
                                                      Value Block,
                                                      int64_t PanelsPerBlock,
                                                      bool OneBlock) {
  PanelRange R;
  R.Columns = Columns;
  R.Tail = KB.dim(DimExpr::floorDiv(Columns, panelColumns()));
  R.First = M.mul(Block, KB.constant(PanelsPerBlock));
  Value End = M.add(R.First, KB.constant(PanelsPerBlock));
  R.End = OneBlock ? R.Tail : M.min(End, R.Tail);
  R.HasTail = M.lt(M.mul(R.Tail, KB.constant(panelColumns())), KB.dim(Columns));
  if (!OneBlock)
    R.HasTail = M.both(R.HasTail, M.lt(R.Tail, End));
  return R;
}

void ProductEmitter::forPanels(
    const PanelRange &Range,
    llvm::function_ref<void(Value, ArrayRef<Value>)> Body) {
  KB.forLoop(Range.First, Range.End, 1, [&](Value Panel) {
    Body(Panel, SmallVector<Value>(Tile.Vectors));
  });
  if (auto N = Range.Columns.constant()) {
    unsigned Left = *N % panelColumns();
    if (!Left)
      return;
    SmallVector<Value> Masks((Left + lanes() - 1) / lanes());
    if (unsigned Rest = Left % lanes())
      Masks.back() = KB.firstLanes(KB.constant(Rest), lanes());
    when(Range.HasTail, [&] { Body(Range.Tail, Masks); });
    return;
  }
  KB.ifThen(Range.HasTail, [&] {
    Value Left = M.sub(KB.dim(Range.Columns),
                       M.mul(Range.Tail, KB.constant(panelColumns())));
    SmallVector<Value> Masks;
    for (unsigned V = 0; V < Tile.Vectors; ++V)
      Masks.push_back(KB.firstLanes(
          M.max(M.sub(Left, KB.constant(V * lanes())), KB.constant(0)),
          lanes()));
    Body(Range.Tail, Masks);
  });
}

void ProductEmitter::forRowTiles(Value FirstTile, Value EndTile, RowBody Body) {
  KB.forLoop(FirstTile, EndTile, 1, [&](Value T) {
    Body(M.mul(T, KB.constant(Tile.Rows)), Tile.Rows);
  });
}

void ProductEmitter::forRowTail(Value First, Value Total, Value Wanted,
                                RowBody Body) {
  if (auto Known = IndexMath::constantOf(Total)) {
    if (unsigned Left = *Known % Tile.Rows)
      when(Wanted, [&] { Body(First, Left); });
    return;
  }
  if (Tile.Rows == 1)
    return;
  Value Left = M.sub(Total, First);
  for (unsigned Count = llvm::bit_floor(Tile.Rows - 1); Count > 0; Count /= 2) {
    Value Bit = M.remU(M.divU(Left, KB.constant(Count)), KB.constant(2));
    KB.ifThen(M.both(Wanted, M.lt(KB.constant(0), Bit)),
              [&] { Body(First, Count); });
    First = M.add(First, M.mul(Bit, KB.constant(Count)));
  }
}

static int64_t bytesOfB(const MicroKernel &Kernel) {
  return cast<MemRefType>(Kernel.B.getType())
             .getElementType()
             .getIntOrFloatBitWidth() /
         8;
}

void ProductEmitter::fetchAhead(MicroKernel &Kernel, const DimExpr &Elements) {
  constexpr int64_t FirstLevel = 32 << 10;
  // As long as the second-level cache takes to answer, and some more.
  constexpr int64_t Distance = 2048;
  // Tiles of few rows wait for nothing but B, which the processor fetches ahead
  // by itself: telling it twice halved its speed.
  constexpr unsigned LeastRows = 4;
  auto Whole = Elements.constant();
  if (Kernel.rows() < LeastRows ||
      (Whole && *Whole * bytesOfB(Kernel) <= FirstLevel))
    return;
  int64_t Step = Kernel.vectors() * int64_t(Kernel.Lanes) * Kernel.Together;
  Kernel.StepsAhead = llvm::divideCeil(Distance, Step * bytesOfB(Kernel));
}

void ProductEmitter::fetchNext(MicroKernel &Kernel, Value Next, Value Exists,
                               Value RowTile, const DimExpr &RowTiles,
                               const DimExpr &Steps) {
  // With few rows this would only take the bandwidth that the tile waits for.
  constexpr int64_t LeastTiles = 4;
  int64_t All = RowTiles.constant().value_or(INT64_MAX);
  if (All < LeastTiles || Kernel.StepsAhead == 0)
    return;
  int64_t LinesPerRound = Kernel.vectors() * int64_t(Kernel.Lanes) *
                          Kernel.Together * bytesOfB(Kernel) * Kernel.Unroll /
                          64;
  Kernel.NextLines = std::max<int64_t>(llvm::divideCeil(LinesPerRound, All), 1);
  int64_t Shares = llvm::divideCeil(LinesPerRound, int64_t(Kernel.NextLines));
  Value First =
      M.max(M.sub(KB.dim(RowTiles), KB.constant(Shares)), KB.constant(0));
  Value Share = M.sub(RowTile, First);
  Exists = M.both(Exists, M.both(M.le(KB.constant(0), Share),
                                 M.lt(Share, KB.constant(Shares))));
  DimExpr Size = DimExpr::ceilDiv(Steps, Kernel.Unroll) *
                 DimExpr(Kernel.NextLines * 64 / bytesOfB(Kernel));
  // What is there already costs little.
  Kernel.Next = M.select(Exists, mulAdd(Next, Share, Size), Kernel.OffsetB);
}

} // namespace limosa::codegen
