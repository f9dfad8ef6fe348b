//===- Rounds.cpp - Loops that handlers write -----------------------------===//

#include "Rounds.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

SmallVector<Value> limosa::onnximport::buildRounds(
    CoreBuilder &B, const DimExpr &Count, ValueRange Init,
    llvm::function_ref<SmallVector<Value>(Value, ValueRange)> Next,
    llvm::function_ref<Value(ValueRange)> Goes) {
  OpBuilder &Builder = B.builder();
  SmallVector<Value> Carried{B.dim(DimExpr(0))};
  llvm::append_range(Carried, Init);
  SmallVector<Type> Types = llvm::to_vector(ValueRange(Carried).getTypes());
  SmallVector<Location> Locs(Types.size(), B.loc());
  auto Loop = WhileOp::create(Builder, B.loc(), Types, Carried);
  OpBuilder::InsertionGuard Guard(Builder);

  Block *Before = Builder.createBlock(&Loop.getBefore(), {}, Types, Locs);
  ValueRange In = Before->getArguments();
  Value Going = B.compare(CompareDirection::LT, In[0], B.dim(Count));
  if (Goes)
    Going = B.bitAnd(Going, Goes(In.drop_front()));
  YieldOp::create(Builder, B.loc(), Going);

  Block *After = Builder.createBlock(&Loop.getAfter(), {}, Types, Locs);
  In = After->getArguments();
  SmallVector<Value> Out{B.add(In[0], B.dim(DimExpr(1)))};
  llvm::append_range(Out, Next(In[0], In.drop_front()));
  YieldOp::create(Builder, B.loc(), Out);
  return llvm::to_vector(llvm::map_range(
      Loop.getResults().drop_front(), [](OpResult R) -> Value { return R; }));
}

Value limosa::onnximport::rowAt(CoreBuilder &B, Value V, Value At) {
  return B.gather(V, B.reshape(At, {DimExpr(1)}), {0}, 0);
}

Value limosa::onnximport::withRow(CoreBuilder &B, Value V, Value Row,
                                  Value At) {
  SmallVector<Value> Starts(cast<RankedTensorType>(V.getType()).getRank(),
                            B.intVector({0}));
  Starts[0] = B.reshape(At, {DimExpr(1)});
  return B.updateSlice(V, B.expandDims(Row, {0}), B.concat(Starts, 0));
}
