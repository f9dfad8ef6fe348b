//===- LoopBuilder.h - Loop and Scan as a while loop ------------*- C++ -*-===//

#ifndef LIMOSA_LIB_FRONTEND_ONNX_LOOPBUILDER_H
#define LIMOSA_LIB_FRONTEND_ONNX_LOOPBUILDER_H

#include "Control.h"

namespace limosa::onnximport {

/// A while loop in the making. Carried are, in this order: the round's number
/// (i64), the condition if there is one, the states, and the sequences that the
/// rounds' outputs are collected in.
struct LoopPlan {
  const onnx::GraphProto *Body = nullptr;
  SmallVector<Value> States; ///< Initial values.
  /// Which of the body's states are sequences, which it may append to: what a
  /// round appends is collected like its other outputs, behind them.
  SmallVector<unsigned> Lists;
  Value TripCount;             ///< i64, rank 0; null: no limit.
  std::optional<DimExpr> Trip; ///< The same, if known.
  Value Condition;             ///< Before the first round; null: true.
  bool BodyGivesCondition = false;
  /// Makes the body's inputs from the round's number, condition and states.
  llvm::function_ref<SmallVector<Tensor>(Value, Value, ValueRange)> Inputs;
  /// Whether round K of R rounds stands at the end of collected output J.
  llvm::function_ref<bool(unsigned)> Reversed;
  unsigned NumCollected = 0;
};

/// Builds a LoopPlan as `limosa.while`.
class LoopBuilder {
public:
  LoopBuilder(Node &N, LoopPlan &P) : N(N), B(N.B), P(P) {}

  /// The last states and the collected outputs.
  FailureOr<SmallVector<Value>> build();
  /// How many tensors each round appends to each of the plan's lists.
  llvm::ArrayRef<unsigned> appended() const { return Appended; }

private:
  struct Round {
    Value Condition;
    SmallVector<Value> States, Collected;
  };
  FailureOr<Round> importRound(Value I, Value Condition, ValueRange States);
  LogicalResult settleTypes();
  void replacePlaceholder(size_t State, RankedTensorType Given, size_t Mark);
  FailureOr<WhileOp> emit();
  bool counted() const { return P.Trip && !P.BodyGivesCondition; }

  Node &N;
  CoreBuilder &B;
  LoopPlan &P;
  SmallVector<RankedTensorType> StateTypes; ///< Inside of the loop.
  SmallVector<RankedTensorType> RowTypes;   ///< Of one round's outputs.
  SmallVector<unsigned> Appended;
  SmallVector<DimExpr> CarriedSizes; ///< Symbols that each round binds anew.
  bool HasCondition = false;
};

} // namespace limosa::onnximport

#endif // LIMOSA_LIB_FRONTEND_ONNX_LOOPBUILDER_H
