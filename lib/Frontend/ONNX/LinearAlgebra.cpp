//===- LinearAlgebra.cpp - Determinants -----------------------------------===//

#include "Registry.h"
#include "Rounds.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

using Dir = CompareDirection;

/// Gaussian elimination of matrices [batch, n, n] with row pivots.
static Value determinant(CoreBuilder &B, Value Matrices) {
  Dims Shape = getDims(Matrices), Rows{Shape[0], Shape[1]}, Batch{Shape[0]};
  Type I64 = B.builder().getI64Type();
  Value Row = B.iota(Rows, 1, I64);
  auto eliminate = [&](Value At, ValueRange Carried) -> SmallVector<Value> {
    Value A = Carried[0], Index = B.reshape(At, {DimExpr(1)});
    Value AtRows = B.broadcast(At, Rows, {}),
          Column = B.gather(A, Index, {2}, 0);
    // The largest element at or below the diagonal is the pivot.
    Value Left = B.compare(Dir::GE, Row, AtRows);
    Value Size = B.select(Left, B.abs(Column), B.full(-1, Column));
    Value Pivot = B.argReduce(Size, 1, /*IsMax=*/true, /*SelectLast=*/false,
                              /*KeepDims=*/false)
                      .second;
    Value PivotRow = B.gather(A, B.expandDims(Pivot, {1}), {1}, 1);
    Value OldRow = B.gather(A, Index, {1}, 0);
    Value V = B.gather(PivotRow, Index, {1}, 0);
    // The two rows change places.
    Value IsPivot = B.compare(Dir::EQ, Row, B.broadcast(Pivot, Rows, {0}));
    A = B.select(B.broadcast(IsPivot, Shape, {0, 1}),
                 B.broadcast(OldRow, Shape, {0, 2}), A);
    Column = B.gather(A, Index, {2}, 0);
    Value Below = B.compare(Dir::GT, Row, AtRows);
    Value Safe = B.select(B.compare(Dir::EQ, V, B.full(0, V)), B.full(1, V), V);
    Value Factor = B.div(Column, B.broadcast(Safe, Rows, {0}));
    Factor = B.select(Below, Factor, B.full(0, Factor));
    Value Along = B.broadcast(PivotRow, Shape, {0, 2});
    A = B.sub(A, B.mul(B.broadcast(Factor, Shape, {0, 1}), Along));
    Value Swapped = B.compare(Dir::NE, Pivot, B.broadcast(At, Batch, {}));
    V = B.select(Swapped, B.neg(V), V);
    return {A, B.mul(Carried[1], V)};
  };
  Value One = B.full(1, Batch, getElementTypeOrSelf(Matrices));
  return buildRounds(B, Shape[1], {Matrices, One}, eliminate)[1];
}

static LogicalResult det(Node &N) {
  CoreBuilder &B = N.B;
  if (failed(N.wantMinRank(0, 2)))
    return failure();
  Dims Shape = N.dims(0);
  size_t R = Shape.size();
  if (failed(N.wantEqual(Shape[R - 2], Shape[R - 1], "rows and columns")))
    return failure();
  Shape[R - 1] = Shape[R - 2];
  Dims Outer(Shape.begin(), Shape.end() - 2);
  DimExpr Count(1);
  for (const DimExpr &D : Outer)
    Count = Count * D;
  Type E = N.elem(0), Wide = E.getIntOrFloatBitWidth() < 32 ? N.f32() : E;
  Value A = B.reshape(B.convert(N.as(N.in(0), Shape), Wide),
                      {Count, Shape[R - 2], Shape[R - 2]});
  return N.done(B.convert(B.reshape(determinant(B, A), Outer), E));
}

llvm::ArrayRef<OpEntry> limosa::onnximport::linearAlgebraOps() {
  static const OpEntry Table[] = {
      {"", "Det", 11, 1, 1, Floats, det},
  };
  return Table;
}
