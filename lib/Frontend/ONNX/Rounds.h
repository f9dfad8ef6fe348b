//===- Rounds.h - Loops that handlers write ---------------------*- C++ -*-===//

#ifndef LIMOSA_LIB_FRONTEND_ONNX_ROUNDS_H
#define LIMOSA_LIB_FRONTEND_ONNX_ROUNDS_H

#include "Node.h"

namespace limosa::onnximport {

/// A loop of `Count` rounds over values that keep their types: Next makes the
/// values of the next round from the round's number (i64, rank 0) and those of
/// this one. `Goes`, if given, stops the loop early.
SmallVector<Value> buildRounds(
    CoreBuilder &B, const DimExpr &Count, ValueRange Init,
    llvm::function_ref<SmallVector<Value>(Value Round, ValueRange)> Next,
    llvm::function_ref<Value(ValueRange)> Goes = nullptr);

/// V[At, ..] of a value whose first dimension is walked along.
Value rowAt(CoreBuilder &B, Value V, Value At);
/// V with Row in place of V[At, ..].
Value withRow(CoreBuilder &B, Value V, Value Row, Value At);

} // namespace limosa::onnximport

#endif // LIMOSA_LIB_FRONTEND_ONNX_ROUNDS_H
