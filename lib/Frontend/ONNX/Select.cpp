//===- Select.cpp - What keeps a number of elements that data decides -----===//

#include "Registry.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

using Dir = CompareDirection;

/// A fresh symbol for the number of true elements of a mask.
static DimExpr countSymbol(Node &N, Value Mask, StringRef Hint) {
  DimExpr Bound = numElements(Mask.getType());
  return N.I.freshSymbol(Hint, &Bound);
}

static LogicalResult nonZero(Node &N) {
  Value X = N.in(0);
  Value Mask = isBool(N.elem(0)) ? X : N.B.compare(Dir::NE, X, N.B.full(0, X));
  if (N.rank(0) == 0)
    Mask = N.B.reshape(Mask, {DimExpr(1)});
  DimExpr Count = countSymbol(N, Mask, "nonzero");
  Value Indices = N.B.compact(Mask, Count.toString()).first;
  return N.done(N.B.transpose(Indices, {1, 0}));
}

static LogicalResult compress(Node &N) {
  if (failed(N.wantRank(1, 1)))
    return failure();
  if (!isBool(N.elem(1)))
    return N.fail("the condition must be bool");
  Value X = N.in(0);
  int64_t Axis = 0;
  if (N.hasAttr("axis")) {
    auto Normal = N.axis(N.attr("axis", int64_t(0)), N.rank(0));
    if (failed(Normal))
      return failure();
    Axis = *Normal;
  } else {
    X = N.B.reshape(X, {numElements(X.getType())});
  }
  // A condition longer than the dimension must be false there.
  DimExpr Size = getDim(X.getType(), Axis), Given = N.dim(1, 0);
  Value Mask = N.in(1);
  if (auto C = (Given - Size).constant(); C && *C > 0)
    Mask = N.B.sliceDim(Mask, 0, DimExpr(0), Size);
  DimExpr Count = countSymbol(N, Mask, "compress");
  Value Indices = N.B.compact(Mask, Count.toString()).first;
  return N.done(N.B.take(X, N.B.reshape(Indices, {Count}), Axis));
}

/// The distinct elements of a tensor: sorting puts equal ones side by side, and
/// the first of each run stands for it.
static LogicalResult unique(Node &N) {
  if (N.hasAttr("axis") && N.rank(0) != 1)
    return N.fail("an axis is not supported");
  CoreBuilder &B = N.B;
  DimExpr Size = numElements(N.type(0));
  Dims All{Size};
  Value X = B.reshape(N.in(0), All);
  SmallVector<Value> Sorted =
      B.sort({X, B.iota(All, 0, N.i64())}, 0, /*Descending=*/false);
  // An element begins a run if it differs from the one before it.
  Value Before = B.maxScalar(B.addScalar(B.iota(All, 0, N.i64()), -1), 0);
  Value Begins = B.compare(Dir::NE, Sorted[0], B.take(Sorted[0], Before, 0));
  Value First =
      B.compare(Dir::EQ, B.iota(All, 0, N.i64()), B.full(0, All, N.i64()));
  Begins = B.bitOr(Begins, First);
  DimExpr Count = countSymbol(N, Begins, "unique");
  Value Starts = B.reshape(B.compact(Begins, Count.toString()).first, {Count});
  Value Y = B.take(Sorted[0], Starts, 0);
  Value Positions = B.take(Sorted[1], Starts, 0);
  // Where each run ends: where the next one begins.
  Value Next = B.addScalar(B.iota({Count}, 0, N.i64()), 1);
  Value Runs = B.broadcast(B.dim(Count), {Count}, {});
  Value Ends = B.select(B.compare(Dir::LT, Next, Runs), B.take(Starts, Next, 0),
                        B.broadcast(B.dim(Size), {Count}, {}));
  Value Counts = B.sub(Ends, Starts);
  // The run of each sorted element, back where the element came from.
  Value Zero = B.scalar(0, N.i64());
  Value Run = B.scan(ValueRange(B.convert(Begins, N.i64())), ValueRange(Zero),
                     0, /*Exclusive=*/false, /*Reverse=*/false,
                     [](CoreBuilder &B, ValueRange Acc, ValueRange V) {
                       return SmallVector<Value>{B.add(Acc[0], V[0])};
                     })
                  .front();
  Run = B.addScalar(Run, -1);
  auto put = [&](Value At, Value What) {
    return B.scatter(B.full(0, What), B.expandDims(At, {1}), What, {0}, 0,
                     [](CoreBuilder &, Value, Value New) { return New; });
  };
  Value Inverse = put(Sorted[1], Run);
  if (!N.attr("sorted", int64_t(1))) {
    // In the order in which they come first.
    Value Rank = B.iota({Count}, 0, N.i64());
    SmallVector<Value> Ordered = B.sort({Positions, Y, Counts, Rank}, 0,
                                        /*Descending=*/false);
    Positions = Ordered[0];
    Y = Ordered[1];
    Counts = Ordered[2];
    Inverse = B.take(put(Ordered[3], Rank), Inverse, 0);
  }
  return N.done({Y, Positions, Inverse, Counts});
}

llvm::ArrayRef<OpEntry> limosa::onnximport::selectOps() {
  static const OpEntry Table[] = {
      {"", "NonZero", 9, 1, 1, Computes, nonZero},
      {"", "Compress", 9, 2, 2, AnyType, compress},
      {"", "Unique", 11, 1, 1, Numbers, unique},
  };
  return Table;
}
