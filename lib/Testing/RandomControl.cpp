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

bool Generator::ifElse() {
  Item A = pickFloat();
  Item C = partner(A);
  Item Condition = inputIn(DType::Bool, {}, 0, 1, 1);
  auto Ty = cast<RankedTensorType>(A.V.getType());
  auto If = IfOp::create(Builder, B.loc(), TypeRange{Ty}, Condition.V);
  auto Branch = [&](Region &R, bool First) {
    OpBuilder::InsertionGuard Guard(Builder);
    Builder.createBlock(&R);
    Value V =
        First ? B.add(A.V, B.mul(C.V, B.full(0.5, C.V))) : B.max(A.V, C.V);
    YieldOp::create(Builder, B.loc(), V);
  };
  Branch(If.getThenRegion(), true);
  Branch(If.getElseRegion(), false);
  double M = A.magnitude() + C.magnitude();
  double Grid = A.Grid > 0 && C.Grid > 0 ? std::min(A.Grid, C.Grid / 2) : 0;
  return add(If.getResult(0), rounded(A.T, {-M, M, A.Err + C.Err, Grid}, 2));
}

/// A loop of a few rounds that carries a counter and x -> x / 2 + y.
bool Generator::loop() {
  Item A = pickFloat();
  Item C = partner(A);
  int64_t Rounds = 1 + below(4);
  Item Limit =
      chance(50) ? constantIn(DType::I64, {}, double(Rounds), double(Rounds), 1)
                 : inputIn(DType::I64, {}, 0, 4, 1);
  Value Zero = B.scalar(0, element(DType::I64));
  SmallVector<Value> Inits{Zero, A.V};
  SmallVector<Type> Types{Zero.getType(), A.V.getType()};
  auto While = WhileOp::create(Builder, B.loc(), Types, Inits);
  auto Enter = [&](Region &R) {
    Block *Body = Builder.createBlock(&R);
    Body->addArguments(Types, SmallVector<Location>(2, B.loc()));
    return Body;
  };
  {
    OpBuilder::InsertionGuard Guard(Builder);
    Block *Before = Enter(While.getBefore());
    Value More =
        B.compare(CompareDirection::LT, Before->getArgument(0), Limit.V);
    YieldOp::create(Builder, B.loc(), More);
    Block *After = Enter(While.getAfter());
    Value Next = B.add(After->getArgument(0), B.scalar(1, element(DType::I64)));
    Value X = After->getArgument(1);
    Value Y = B.add(B.mul(X, B.full(0.5, X)), C.V);
    YieldOp::create(Builder, B.loc(), ValueRange{Next, Y});
  }
  double M = std::max(A.magnitude(), 2 * C.magnitude());
  add(While.getResult(0), {0, 4, 0, 1});
  return add(While.getResult(1),
             rounded(A.T, {-M, M, A.Err + 2 * C.Err, 0}, 8));
}
