//===- AttentionCopy.cpp - Operands of attention --------------------------===//

#include "AttentionEmitter.h"

#include "PackingLoops.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace limosa::codegen {

/// The batch coordinates of both products from a linear index.
void AttentionEmitter::setBatch(Value Linear) {
  auto Split = [&](ContractOp Op, SmallVectorImpl<Value> &At) {
    Value Rest = Linear;
    At.assign(Op.getLhsBatch().size(), Value());
    for (size_t I = At.size(); I-- > 0;) {
      Value Extent =
          KB.divisor(getDim(Op.getLhs().getType(), Op.getLhsBatch()[I]));
      At[I] = I == 0 ? Rest : M.remU(Rest, Extent);
      if (I > 0)
        Rest = M.divU(Rest, Extent);
    }
  };
  Split(P.A.Scores, BatchIn);
  Split(P.A.Values, BatchOut);
}

Coords AttentionEmitter::headIn(Value Operand, ArrayRef<int64_t> Batch,
                                ArrayRef<Value> At) {
  Coords Out(cast<RankedTensorType>(Operand.getType()).getRank());
  for (auto [D, I] : llvm::zip_equal(Batch, At))
    Out.PerDim[D] = M.uniform(I);
  return Out;
}

void AttentionEmitter::copyQueries(Value Count) {
  ContractOp Op = P.A.Scores;
  Coords Base = headIn(Op.getLhs(), Op.getLhsBatch(), BatchIn);
  SmallVector<int64_t> Free =
      freeDims(Op.getLhs(), Op.getLhsBatch(), Op.getLhsContract());
  KB.forLoop(KB.constant(0), Count, 1, [&](Value Row) {
    Coords At = Base;
    Index RowAt = M.uniform(M.min(M.add(FirstRow, Row), lastRow()));
    if (Free.size() == 1)
      At.PerDim[Free[0]] = RowAt;
    else if (!Free.empty())
      At.Groups.push_back({llvm::to_vector_of<unsigned, 4>(Free), RowAt});
    auto Copy = [&](Value Depth, Value Mask) {
      Coords Here = At;
      Here.PerDim[Op.getLhsContract()[0]] = Index{Depth, 1, {}};
      Value V = KB.broadcast(Pull.pull(Op.getLhs(), Here, Lanes{lanes(), Mask}),
                             lanes());
      if (Mask)
        V = arith::SelectOp::create(B, KB.loc(), Mask, V, vectorOf(0));
      vector::StoreOp::create(
          B, KB.loc(), V, Queries,
          M.add(M.mul(Row, KB.constant(P.queryStride())), Depth));
    };
    int64_t Main = P.Depth / P.lanes() * P.lanes();
    KB.forLoop(KB.constant(0), KB.constant(Main), lanes(),
               [&](Value Depth) { Copy(Depth, {}); });
    if (Main < P.Depth)
      Copy(KB.constant(Main),
           KB.firstLanes(KB.constant(P.Depth - Main), lanes()));
  });
}

void AttentionEmitter::copyKeys() {
  ContractOp Op = P.A.Scores;
  unsigned Free =
      freeDims(Op.getRhs(), Op.getRhsBatch(), Op.getRhsContract())[0];
  copyPanels({Op.getRhs(), headIn(Op.getRhs(), Op.getRhsBatch(), BatchIn), Free,
              unsigned(Op.getRhsContract()[0]), P.Keys, P.Depth, P.keyPanel(),
              P.ScoreTile.Vectors, KeyPanels});
}

void AttentionEmitter::copyValues() {
  ContractOp Op = P.A.Values;
  unsigned Free =
      freeDims(Op.getRhs(), Op.getRhsBatch(), Op.getRhsContract())[0];
  copyPanels({Op.getRhs(), headIn(Op.getRhs(), Op.getRhsBatch(), BatchOut),
              Free, unsigned(Op.getRhsContract()[0]), P.Columns, P.Keys,
              P.valuePanel(), P.ValueTile.Vectors, ValuePanels});
}

void AttentionEmitter::copyPanels(const PanelCopy &C) {
  // What lies along the depth is loaded along it, in squares that are turned.
  bool Turn = fastestDim(C.Of) == int64_t(C.Depth);
  bool Ragged =
      !DimExpr::mod(Turn ? C.Depths : C.Columns, P.lanes()).isConstant(0);
  Value Columns = KB.dim(C.Columns), Depths = KB.dim(C.Depths);
  int64_t Width = C.Vectors * P.lanes();
  auto Load = [&](Index Column, Index Depth, Value Mask) {
    Coords At = C.Base;
    At.PerDim[C.Column] = Column;
    At.PerDim[C.Depth] = Depth;
    return KB.broadcast(Pull.pull(C.Of, At, Lanes{lanes(), Mask}), lanes());
  };
  KB.forLoop(KB.constant(0), blocksOf(Columns, lanes()), 1, [&](Value Vector) {
    Value Column = M.mul(Vector, KB.constant(lanes()));
    Value First = M.add(
        M.mul(M.divU(Vector, KB.constant(C.Vectors)), KB.dim(C.PanelElements)),
        M.mul(M.remU(Vector, KB.constant(C.Vectors)), KB.constant(lanes())));
    auto Store = [&](Value V, Value Depth) {
      vector::StoreOp::create(B, KB.loc(), V, C.To,
                              M.add(First, M.mul(Depth, KB.constant(Width))));
    };
    if (!Turn) {
      Value Mask =
          Ragged ? KB.firstLanes(M.sub(Columns, Column), lanes()) : Value();
      KB.forLoop(KB.constant(0), Depths, 1, [&](Value Depth) {
        Store(Load(Index{Column, 1, {}}, M.uniform(Depth), Mask), Depth);
      });
      return;
    }
    Value Last = M.sub(Columns, KB.constant(1));
    KB.forLoop(KB.constant(0), Depths, lanes(), [&](Value Depth) {
      Value Mask =
          Ragged ? KB.firstLanes(M.sub(Depths, Depth), lanes()) : Value();
      SmallVector<Value> Square;
      for (unsigned R = 0; R < lanes(); ++R)
        Square.push_back(
            Load(M.uniform(M.min(M.add(Column, KB.constant(R)), Last)),
                 Index{Depth, 1, {}}, Mask));
      for (auto [R, V] : llvm::enumerate(transposeSquare(KB, Square)))
        Store(V, M.add(Depth, KB.constant(R)));
    });
  });
}

} // namespace limosa::codegen
