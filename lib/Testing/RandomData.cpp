//===- RandomData.cpp - Data movement in random graphs --------------------===//

#include "Generator.h"

#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace limosa;
using namespace limosa::testing;

bool Generator::reshape() {
  Item A = pick([](const Item &I) { return I.rank() > 0; });
  Dims Shape = A.dims(), New;
  if (Shape.empty())
    return false;
  // Merge a dimension with the next, split one, add or drop a unit one.
  size_t At = size_t(below(int64_t(Shape.size())));
  switch (below(4)) {
  case 0:
    if (At + 1 == Shape.size())
      return false;
    New = Shape;
    New[At] = Shape[At] * Shape[At + 1];
    New.erase(New.begin() + At + 1);
    break;
  case 1:
    for (int64_t By : {2, 3, 4})
      if (New.empty())
        if (auto Rest = Shape[At].exactDiv(DimExpr(By)))
          if (Shape[At].knownDivisor() % By == 0) {
            New = Shape;
            New[At] = *Rest;
            New.insert(New.begin() + At + below(2), DimExpr(By));
          }
    break;
  case 2:
    New = Shape;
    New.insert(New.begin() + At, DimExpr(1));
    break;
  default:
    New.push_back(DimExpr(1));
    for (const DimExpr &E : Shape)
      New[0] = New[0] * E;
    break;
  }
  if (New.empty() || New.size() > 6)
    return false;
  return add(B.reshape(A.V, New), A);
}

bool Generator::transpose() {
  Item A = pick([](const Item &I) { return I.rank() > 1; });
  if (A.rank() < 2)
    return false;
  SmallVector<int64_t> Perm;
  for (unsigned D = 0; D < A.rank(); ++D)
    Perm.insert(Perm.begin() + below(D + 1), D);
  return add(B.transpose(A.V, Perm), A);
}

bool Generator::broadcast() {
  Item A = pick([](const Item &I) { return I.rank() < 4; });
  if (!A.V || A.rank() >= 5)
    return false;
  Dims Shape;
  SmallVector<int64_t> Along;
  for (const DimExpr &E : A.dims()) {
    while (chance(30))
      Shape.push_back(randomDim());
    Along.push_back(int64_t(Shape.size()));
    Shape.push_back(E.isConstant(1) && chance(60) ? randomDim() : E);
  }
  if (Shape.empty() || chance(20))
    Shape.push_back(randomDim());
  if (Shape.size() > 5 || count(Shape) > MaxElements)
    return false;
  bindSymbols(Shape);
  return add(B.broadcast(A.V, Shape, Along), A);
}

bool Generator::slice() {
  Item A = pick([](const Item &I) { return I.rank() > 0; });
  SmallVector<DimExpr> Starts, Sizes;
  SmallVector<int64_t> Steps;
  for (const DimExpr &E : A.dims()) {
    auto Size = E.constant();
    if (!Size && chance(30)) { // every other element, or a half
      bool Every = chance(50);
      DimExpr Half = Every ? DimExpr::ceilDiv(E, 2) : DimExpr::floorDiv(E, 2);
      Starts.push_back(Every || chance(50) ? DimExpr(0) : E - Half);
      Sizes.push_back(Half);
      Steps.push_back(Every ? 2 : 1);
      continue;
    }
    if (!Size || *Size == 0) {
      bool Reverse = chance(20) && solid(A);
      Starts.push_back(Reverse ? E - DimExpr(1) : DimExpr(0));
      Sizes.push_back(E);
      Steps.push_back(Reverse ? -1 : 1);
      continue;
    }
    int64_t Step = chance(70) ? 1 : 1 + below(3);
    int64_t Count = chance(2) ? 0 : 1 + below((*Size + Step - 1) / Step);
    if (Count == 0) {
      Starts.push_back(DimExpr(below(*Size)));
      Sizes.push_back(DimExpr(0));
      Steps.push_back(Step);
      continue;
    }
    int64_t Span = (Count - 1) * Step + 1, Start = below(*Size - Span + 1);
    bool Reverse = chance(20);
    Starts.push_back(DimExpr(Reverse ? Start + Span - 1 : Start));
    Sizes.push_back(DimExpr(Count));
    Steps.push_back(Reverse ? -Step : Step);
  }
  return add(B.slice(A.V, Starts, Sizes, Steps), A);
}

bool Generator::pad() {
  Item A = pick([](const Item &I) { return I.rank() > 0; });
  if (A.rank() == 0)
    return false;
  SmallVector<DimExpr> Low, High;
  SmallVector<int64_t> Interior;
  for (const DimExpr &E : A.dims()) {
    bool Here = chance(50);
    Low.push_back(DimExpr(Here ? below(3) : 0));
    High.push_back(DimExpr(Here ? below(3) : 0));
    // Counts only between elements, which a size of 0 does not have.
    Interior.push_back(E.constant() && chance(15) ? 1 : 0);
  }
  double Value = double(below(3));
  if (A.T == DType::Bool)
    Value = double(below(2));
  Item C = constantIn(A.T, {}, Value, Value, 1);
  double Grid = A.Grid > 0 ? std::min(A.Grid, 1.0) : 0;
  return add(B.pad(A.V, C.V, Low, High, Interior),
             {std::min(A.Lo, Value), std::max(A.Hi, Value), A.Err, Grid});
}

bool Generator::concat() {
  Item A = pick([&](const Item &I) { return I.rank() > 0 && solid(I); });
  if (A.rank() == 0 || !solid(A))
    return false;
  int64_t Dim = below(A.rank());
  SmallVector<Value> Parts{A.V};
  Facts F{A.Lo, A.Hi, A.Err, A.Grid};
  for (int64_t N = 1 + below(chance(10) ? 10 : 3); N > 0; --N) {
    Dims Shape = A.dims();
    Shape[size_t(Dim)] = randomDim();
    Item Part = chance(50) ? partner(A) : input(A.T, Shape);
    Parts.push_back(Part.V);
    F = {std::min(F.Lo, Part.Lo), std::max(F.Hi, Part.Hi),
         std::max(F.Err, Part.Err),
         F.Grid > 0 && Part.Grid > 0 ? std::min(F.Grid, Part.Grid) : 0};
  }
  return add(B.concat(Parts, Dim), F);
}

bool Generator::gather() {
  Item A = pick([&](const Item &I) { return I.rank() > 0 && solid(I); });
  if (A.rank() == 0 || !solid(A))
    return false;
  DType T = chance(50) ? DType::I64 : DType::I32;
  int64_t Rank = A.rank(), Batch = below(Rank) / 2;
  SmallVector<int64_t> Axes;
  for (int64_t D = Batch; D < Rank; ++D)
    if (chance(40))
      Axes.insert(Axes.begin() + below(int64_t(Axes.size()) + 1), D);
  if (Axes.empty())
    Axes.push_back(Rank - 1);
  Dims Shape = A.dims(), At(Shape.begin(), Shape.begin() + Batch);
  for (int64_t N = below(3); N > 0; --N)
    At.push_back(randomDim());
  At.push_back(DimExpr(int64_t(Axes.size())));
  // Some are outside: gather clamps.
  Item Indices = inputIn(T, At, -1, 9, 1);
  return count(At) < 2000 && add(B.gather(A.V, Indices.V, Axes, Batch), A);
}

bool Generator::scatter() {
  Item A = pick([&](const Item &I) {
    return I.rank() > 0 && solid(I) && I.T != DType::Bool;
  });
  if (A.rank() == 0 || !solid(A) || A.T == DType::Bool)
    return false;
  int64_t Rank = A.rank(), Batch = chance(25) ? below(Rank) : 0;
  SmallVector<int64_t> Axes;
  for (int64_t D = Batch; D < Rank; ++D)
    if (chance(30))
      Axes.insert(Axes.begin() + below(int64_t(Axes.size()) + 1), D);
  if (Axes.empty())
    Axes.push_back(Batch + below(Rank - Batch));
  Dims Whole = A.dims(), At(Whole.begin(), Whole.begin() + Batch);
  double N = 1; // updates of one element at most
  for (int64_t P = 1 + (chance(20) ? 1 : 0); P > 0; --P) {
    At.push_back(randomDim());
    N *= double(size(At.back()));
  }
  Dims Shape = At;
  for (int64_t D = Batch; D < Rank; ++D)
    if (!llvm::is_contained(Axes, D))
      Shape.push_back(Whole[size_t(D)]);
  At.push_back(DimExpr(int64_t(Axes.size())));
  if (count(Shape) > MaxElements || count(At) > MaxElements)
    return false;
  Item U = input(A.T, Shape);
  Item Indices = inputIn(chance(50) ? DType::I64 : DType::I32, At, -1, 9, 1);
  double Grid = A.Grid > 0 && U.Grid > 0 ? std::min(A.Grid, U.Grid) : 0;
  int64_t Kind = below(3);
  Value V = B.scatter(
      A.V, Indices.V, U.V, Axes, Batch,
      [&](CoreBuilder &R, Value Old, Value New) {
        return Kind == 0 ? New : Kind == 1 ? R.add(Old, New) : R.max(Old, New);
      });
  double Most = A.magnitude() + N * U.magnitude();
  if (Kind == 1)
    return add(V, rounded(A.T, {-Most, Most, A.Err + N * U.Err, Grid}, N));
  return add(V, {std::min(A.Lo, U.Lo), std::max(A.Hi, U.Hi),
                 std::max(A.Err, U.Err), Grid});
}

bool Generator::updateSlice() {
  Item A = pick([&](const Item &I) { return I.rank() > 0 && solid(I); });
  if (A.rank() == 0 || !solid(A))
    return false;
  Dims Shape = A.dims();
  for (DimExpr &E : Shape)
    if (auto Size = E.constant(); Size && *Size > 1 && chance(70))
      E = DimExpr(1 + below(*Size));
  Item U = input(A.T, Shape);
  Item Starts = inputIn(chance(50) ? DType::I64 : DType::I32,
                        {DimExpr(int64_t(A.rank()))}, -2, 8, 1);
  double Grid = A.Grid > 0 && U.Grid > 0 ? std::min(A.Grid, U.Grid) : 0;
  return add(B.updateSlice(A.V, U.V, Starts.V),
             {std::min(A.Lo, U.Lo), std::max(A.Hi, U.Hi), A.Err, Grid});
}

bool Generator::iota() {
  Dims Shape = randomShape(1, 3);
  DType T = randomType();
  bindSymbols(Shape);
  int64_t Dim = below(int64_t(Shape.size()));
  return add(B.iota(Shape, Dim, element(T)),
             {0, double(size(Shape[size_t(Dim)])), 0, 1});
}

bool Generator::randomBits() {
  Item Key = inputIn(DType::U64, {DimExpr(2)}, 0, 1e9, 1);
  DType T = chance(50) ? DType::U32 : DType::U64;
  Dims Shape = randomShape(1, 3);
  bindSymbols(Shape);
  return add(B.randomBits(Key.V, Shape, element(T)), {0, 2e19, 0, 1});
}

bool Generator::dimension() {
  if (Symbols.empty())
    return false;
  DimExpr S = DimExpr::symbol(choose(Symbols));
  bindSymbols({S});
  DimExpr E = S * DimExpr(2) + DimExpr(1);
  Value V = B.convert(B.dim(E), element(DType::F32));
  return add(V, {0, double(size(E)), 0, 1});
}
