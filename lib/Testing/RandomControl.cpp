//===- RandomControl.cpp - Control flow in random graphs ------------------===//

#include "Generator.h"

#include "limosa/IR/Symbols.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::testing;

bool Generator::compact() {
  Item A = pick([&](const Item &I) {
    return I.rank() > 0 && I.rank() <= 3 && solid(I) && I.exact();
  });
  if (A.rank() == 0 || A.rank() > 3 || !solid(A) || !A.exact())
    return false;
  Value Mask = A.T == DType::Bool
                   ? A.V
                   : B.compare(CompareDirection::GT, A.V, B.full(0, A.V));
  DimExpr Bound(1);
  for (const DimExpr &E : A.dims())
    Bound = Bound * E;
  std::string Symbol = "K" + std::to_string(FreshSymbols++);
  setSymbolInfo(*Module, Symbol,
                SymbolAttr::get(&Context, 0, INT64_MAX, 1, Bound.toString()));
  LargestSizes[Symbol] = count(A.dims());
  auto [Indices, Count] = B.compact(Mask, Symbol);
  add(Indices, {0, 40, 0, 1});
  // The elements at these positions.
  SmallVector<int64_t> Axes;
  for (unsigned D = 0; D < A.rank(); ++D)
    Axes.push_back(D);
  add(Count, {0, double(count(A.dims())), 0, 1});
  return add(B.gather(A.V, Indices, Axes, 0), A);
}

/// A size that the program computes and that no mask bounds.
bool Generator::boundSize() {
  constexpr int64_t Most = 7;
  Item N = inputIn(DType::I64, {}, 0, double(Most), 1);
  std::string Symbol = "S" + std::to_string(FreshSymbols++);
  setSymbolInfo(*Module, Symbol, SymbolAttr::get(&Context, 0, Most, 1, ""));
  LargestSizes[Symbol] = Most;
  BindSymbolOp::create(Builder, B.loc(), N.V, Symbol);
  DimExpr Size = DimExpr::symbol(Symbol);
  Item A = pick([](const Item &I) { return I.rank() < 4; });
  if (!A.V || A.rank() >= 4)
    return false;
  if (A.rank() > 0 && chance(50)) { // the first ones
    Dims Shape = A.dims();
    Shape[0] = DimExpr::min(Size, Shape[0]);
    SmallVector<DimExpr> Starts(Shape.size(), DimExpr(0));
    return add(
        B.slice(A.V, Starts, Shape, SmallVector<int64_t>(Shape.size(), 1)), A);
  }
  Dims Shape = A.dims();
  Shape.insert(Shape.begin(), Size);
  SmallVector<int64_t> Along;
  for (unsigned D = 0; D < A.rank(); ++D)
    Along.push_back(D + 1);
  return count(Shape) <= MaxElements && add(B.broadcast(A.V, Shape, Along), A);
}

//===----------------------------------------------------------------------===//
// Regions
//===----------------------------------------------------------------------===//

Item Generator::inRegion(const Item &Like, ArrayRef<Item> Arguments) {
  std::vector<Item> Saved = Pool;
  llvm::append_range(Pool, Arguments);
  size_t First = Pool.size();
  ++Depth;
  if (Depth < 3)
    for (int64_t N = below(4); N > 0; --N)
      anyOp();
  --Depth;
  Item Result = Like;
  for (const Item &I : ArrayRef(Pool).drop_front(First))
    if (I.V.getType() == Like.V.getType())
      Result = I;
  Pool = std::move(Saved);
  return Result;
}

Value Generator::condition() {
  if (chance(60))
    return inputIn(DType::Bool, {}, 0, 1, 1).V;
  Item A = pick([](const Item &I) { return I.exact() && I.T != DType::Bool; });
  if (!A.exact() || A.T == DType::Bool)
    return inputIn(DType::Bool, {}, 0, 1, 1).V;
  SmallVector<int64_t> All;
  for (unsigned D = 0; D < A.rank(); ++D)
    All.push_back(D);
  Value Most = A.rank() ? B.reduceMax(A.V, All) : A.V;
  return B.compare(CompareDirection::GT, Most, B.full(1, Most));
}

bool Generator::ifElse() {
  Item A = pickFloat();
  Item C = partner(A);
  Item E = pick([](const Item &I) { return !isFloat(I.T); }, DType::I64);
  if (!E.V || isFloat(E.T))
    return false;
  Value Condition = condition();
  SmallVector<Type> Types{A.V.getType(), E.V.getType()};
  auto If = IfOp::create(Builder, B.loc(), Types, Condition);
  auto Branch = [&](Region &R, bool First) -> std::pair<Item, Item> {
    OpBuilder::InsertionGuard Guard(Builder);
    Builder.createBlock(&R);
    Item X = inRegion(A, {});
    Item Y = inRegion(E, {});
    // The same arithmetic as outside, or nothing.
    if (First && X.V == A.V) {
      double M = A.magnitude() + C.magnitude();
      double Grid = A.Grid > 0 && C.Grid > 0 ? std::min(A.Grid, C.Grid / 2) : 0;
      Facts F = rounded(A.T, {-M, M, A.Err + C.Err, Grid}, 2);
      X = {B.add(A.V, B.mul(C.V, B.full(0.5, C.V))),
           A.T,
           F.Lo,
           F.Hi,
           F.Err,
           F.Grid};
    }
    YieldOp::create(Builder, B.loc(), ValueRange{X.V, Y.V});
    return {X, Y};
  };
  auto [X, Y] = Branch(If.getThenRegion(), true);
  auto [Z, W] = Branch(If.getElseRegion(), false);
  auto Either = [](const Item &P, const Item &Q) {
    return Facts{std::min(P.Lo, Q.Lo), std::max(P.Hi, Q.Hi),
                 std::max(P.Err, Q.Err),
                 P.Grid > 0 && Q.Grid > 0 ? std::min(P.Grid, Q.Grid) : 0};
  };
  bool Added = add(If.getResult(0), Either(X, Z));
  return add(If.getResult(1), Either(Y, W)) || Added;
}

/// A loop of a few rounds that carries a counter, x -> x / 2 + y with a y that
/// each round computes, and two values that change places.
bool Generator::loop() {
  Item A = pickFloat();
  Item C = partner(A);
  Item P = pick([](const Item &) { return true; });
  Item Q = partner(P);
  int64_t Rounds = 1 + below(4);
  Item Limit =
      chance(50) ? constantIn(DType::I64, {}, double(Rounds), double(Rounds), 1)
                 : inputIn(DType::I64, {}, 0, 4, 1);
  Value Zero = B.scalar(0, element(DType::I64));
  SmallVector<Value> Inits{Zero, A.V, P.V, Q.V};
  SmallVector<Type> Types;
  for (Value V : Inits)
    Types.push_back(V.getType());
  auto While = WhileOp::create(Builder, B.loc(), Types, Inits);
  auto Enter = [&](Region &R) {
    Block *Body = Builder.createBlock(&R);
    Body->addArguments(Types, SmallVector<Location>(Types.size(), B.loc()));
    return Body;
  };
  Item Y;
  {
    OpBuilder::InsertionGuard Guard(Builder);
    Block *Before = Enter(While.getBefore());
    Value More =
        B.compare(CompareDirection::LT, Before->getArgument(0), Limit.V);
    YieldOp::create(Builder, B.loc(), More);
    Block *After = Enter(While.getAfter());
    Value Next = B.add(After->getArgument(0), B.scalar(1, element(DType::I64)));
    Value X = After->getArgument(1);
    if (A.rank() > 0 && chance(30))
      X = B.reverse(X, below(A.rank()));
    Item Counter{After->getArgument(0), DType::I64, 0, 4, 0, 1};
    Y = inRegion(C, {Counter});
    Value Sum = B.add(B.mul(X, B.full(0.5, X)), Y.V);
    YieldOp::create(
        Builder, B.loc(),
        ValueRange{Next, Sum, After->getArgument(3), After->getArgument(2)});
  }
  double M = std::max(A.magnitude(), 2 * Y.magnitude());
  add(While.getResult(0), {0, 4, 0, 1});
  Facts Both{std::min(P.Lo, Q.Lo), std::max(P.Hi, Q.Hi), std::max(P.Err, Q.Err),
             P.Grid > 0 && Q.Grid > 0 ? std::min(P.Grid, Q.Grid) : 0};
  add(While.getResult(2), Both);
  add(While.getResult(3), Both);
  return add(While.getResult(1),
             rounded(A.T, {-M, M, A.Err + 2 * Y.Err, 0}, 8));
}

/// A loop that makes a value longer in each round.
bool Generator::growingLoop() {
  Item A = pick([&](const Item &I) {
    return I.rank() > 0 && I.rank() < 4 && solid(I) && count(I.dims()) < 500;
  });
  if (A.rank() == 0 || A.rank() >= 4 || !solid(A) || count(A.dims()) >= 500)
    return false;
  int64_t Dim = below(A.rank()), Rounds = below(4);
  Item Limit = inputIn(DType::I64, {}, 0, double(Rounds), 1);
  auto Fresh = [&](const char *Prefix) {
    std::string Symbol = Prefix + std::to_string(FreshSymbols++);
    setSymbolInfo(*Module, Symbol,
                  SymbolAttr::get(&Context, 0, INT64_MAX, 1, ""));
    LargestSizes[Symbol] = (Rounds + 1) * size(A.dims()[size_t(Dim)]);
    Dims Shape = A.dims();
    Shape[size_t(Dim)] = DimExpr::symbol(Symbol);
    return makeTensorType(Shape, element(A.T));
  };
  Value Zero = B.scalar(0, element(DType::I64));
  SmallVector<Type> Carried{Zero.getType(), Fresh("L")},
      Results{Zero.getType(), Fresh("R")};
  auto While =
      WhileOp::create(Builder, B.loc(), Results, ValueRange{Zero, A.V});
  auto Enter = [&](Region &R) {
    Block *Body = Builder.createBlock(&R);
    Body->addArguments(Carried, SmallVector<Location>(2, B.loc()));
    return Body;
  };
  OpBuilder::InsertionGuard Guard(Builder);
  Block *Before = Enter(While.getBefore());
  YieldOp::create(
      Builder, B.loc(),
      B.compare(CompareDirection::LT, Before->getArgument(0), Limit.V));
  Block *After = Enter(While.getAfter());
  Value Next = B.add(After->getArgument(0), B.scalar(1, element(DType::I64)));
  Item More = inRegion(A, {});
  Value Longer = B.concat({After->getArgument(1), More.V}, Dim);
  YieldOp::create(Builder, B.loc(), ValueRange{Next, Longer});
  return add(While.getResult(1),
             {std::min(A.Lo, More.Lo), std::max(A.Hi, More.Hi),
              std::max(A.Err, More.Err),
              A.Grid > 0 && More.Grid > 0 ? std::min(A.Grid, More.Grid) : 0});
}
