//===- Select.cpp - What keeps a number of elements that data decides -----===//

#include "Registry.h"
#include "Rounds.h"
#include "Strings.h"

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

/// The order that sorts the rows of X[rows, columns], as indices: stable sorts
/// by one column after the other, the first one last.
static Value rowOrder(CoreBuilder &B, Value X) {
  Dims Shape = getDims(X);
  Type I64 = B.builder().getI64Type();
  auto byColumn = [&](Value Round, ValueRange Carried) {
    Value Column = B.sub(B.dim(Shape[1] - DimExpr(1)), Round);
    Value Keys = B.gather(X, B.reshape(Column, {DimExpr(1)}), {1}, 0);
    Keys = B.take(Keys, Carried[0], 0);
    return SmallVector<Value>{
        B.sort({Keys, Carried[0]}, 0, /*Descending=*/false)[1]};
  };
  Value First = B.iota({Shape[0]}, 0, I64);
  return buildRounds(B, Shape[1], {First}, byColumn).front();
}

/// The distinct elements of a tensor, or slices along an axis: sorting puts
/// equal ones side by side, and the first of each run stands for it.
static LogicalResult unique(Node &N) {
  CoreBuilder &B = N.B;
  bool Slices = N.hasAttr("axis") && N.rank(0) != 1;
  DimExpr Size = numElements(N.type(0));
  // Strings have no order of their own: numbers with theirs stand for them.
  Value Source = N.in(0);
  Value Ranked = isString(N.elem(0)) ? stringRank(N, Source) : Source;
  Value X = B.reshape(Ranked, {Size}), Sorted, Order;
  Dims Others;
  Ints Perm;
  if (Slices) {
    auto Axis = N.axis(N.attr("axis", int64_t(0)), N.rank(0));
    if (failed(Axis))
      return failure();
    Size = N.dim(0, *Axis);
    Perm.push_back(*Axis);
    DimExpr Columns(1);
    for (int64_t D = 0; D < N.rank(0); ++D)
      if (D != *Axis) {
        Perm.push_back(D);
        Others.push_back(N.dim(0, D));
        Columns = Columns * Others.back();
      }
    X = B.reshape(B.transpose(Ranked, Perm), {Size, Columns});
    Source = B.reshape(B.transpose(Source, Perm), {Size, Columns});
    Order = rowOrder(B, X);
    Sorted = B.take(X, Order, 0);
  } else {
    Source = B.reshape(Source, {Size});
    SmallVector<Value> Both =
        B.sort({X, B.iota({Size}, 0, N.i64())}, 0, /*Descending=*/false);
    Sorted = Both[0];
    Order = Both[1];
  }
  Dims All{Size};
  // An element begins a run if it differs from the one before it.
  Value Before = B.maxScalar(B.addScalar(B.iota(All, 0, N.i64()), -1), 0);
  Value Begins = B.compare(Dir::NE, Sorted, B.take(Sorted, Before, 0));
  if (Slices)
    Begins = B.reduce(CoreBuilder::Combiner::Or, Begins, {1});
  Value First =
      B.compare(Dir::EQ, B.iota(All, 0, N.i64()), B.full(0, All, N.i64()));
  Begins = B.bitOr(Begins, First);
  DimExpr Count = countSymbol(N, Begins, "unique");
  Value Starts = B.reshape(B.compact(Begins, Count.toString()).first, {Count});
  Value Positions = B.take(Order, Starts, 0);
  Value Y = isString(N.elem(0)) ? B.take(Source, Positions, 0)
                                : B.take(Sorted, Starts, 0);
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
  Value Inverse = put(Order, Run);
  if (!N.attr("sorted", int64_t(1))) {
    // In the order in which they come first.
    Value Rank = B.iota({Count}, 0, N.i64());
    SmallVector<Value> Ordered =
        B.sort({Positions, Counts, Rank}, 0, /*Descending=*/false);
    Positions = Ordered[0];
    Counts = Ordered[1];
    Y = B.take(Y, Ordered[2], 0);
    Inverse = B.take(put(Ordered[2], Rank), Inverse, 0);
  }
  if (Slices) {
    Others.insert(Others.begin(), Count);
    Ints Back(Perm.size());
    for (auto [At, D] : llvm::enumerate(Perm))
      Back[D] = int64_t(At);
    Y = B.transpose(B.reshape(Y, Others), Back);
  }
  return N.done({Y, Positions, Inverse, Counts});
}

llvm::ArrayRef<OpEntry> limosa::onnximport::selectOps() {
  static const OpEntry Table[] = {
      {"", "NonZero", 9, 1, 1, Computes, nonZero},
      {"", "Compress", 9, 2, 2, AnyOrString, compress},
      {"", "Unique", 11, 1, 1, Numbers | Strings, unique},
  };
  return Table;
}
