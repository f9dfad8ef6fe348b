//===- AttentionRows.cpp - The softmax of attention, row by row -----------===//

#include "AttentionEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include <limits>

using namespace mlir;

namespace limosa::codegen {

static constexpr double Infinity = std::numeric_limits<double>::infinity();

Value AttentionEmitter::vectorAt(Value Memory, Value Offset) {
  auto Ty = VectorType::get({int64_t(lanes())}, B.getF32Type());
  return vector::LoadOp::create(B, KB.loc(), Ty, Memory, Offset);
}

/// NaN in L is passed over: an exponential of it makes the row's sum NaN
/// whatever the greatest score is.
Value AttentionEmitter::greater(Value L, Value R) {
  Value Is =
      arith::CmpFOp::create(B, KB.loc(), arith::CmpFPredicate::OGT, L, R);
  return arith::SelectOp::create(B, KB.loc(), Is, L, R);
}

Value AttentionEmitter::exp(Value V) {
  return math::ExpOp::create(B, KB.loc(), V);
}

Value AttentionEmitter::acrossLanes(
    Value V, llvm::function_ref<Value(Value, Value)> Combine) {
  for (int64_t Half = lanes() / 2; Half > 0; Half /= 2) {
    auto Part = [&](int64_t From) -> Value {
      if (Half == 1)
        return vector::ExtractOp::create(B, KB.loc(), V, From);
      return vector::ExtractStridedSliceOp::create(
          B, KB.loc(), V, ArrayRef<int64_t>{From}, ArrayRef<int64_t>{Half},
          ArrayRef<int64_t>{1});
    };
    V = Combine(Part(0), Part(Half));
  }
  return V;
}

/// Nothing is summed yet.
void AttentionEmitter::beginRows() {
  Value Rows = Few ? NumRows : KB.constant(P.scratchRows());
  KB.forLoop(KB.constant(0), NumRows, 1, [&](Value Row) {
    memref::StoreOp::create(B, KB.loc(), scalarOf(-Infinity), Greatest, Row);
    memref::StoreOp::create(B, KB.loc(), scalarOf(0), Sums, Row);
  });
  KB.forLoop(KB.constant(0), M.mul(Rows, KB.constant(P.outStride())), lanes(),
             [&](Value At) {
               vector::StoreOp::create(B, KB.loc(), vectorOf(0), Out, At);
             });
}

/// The greatest of a row's scores in the key block.
Value AttentionEmitter::greatestOf(Value First) {
  constexpr unsigned Unroll = 4;
  int64_t Step = Unroll * lanes();
  Value End = M.mul(blocksOf(NumKeys, lanes()), KB.constant(lanes()));
  Value Main = M.mul(M.divU(End, KB.constant(Step)), KB.constant(Step));
  SmallVector<Value> Most(Unroll, vectorOf(-Infinity));
  Most = KB.forLoop(
      KB.constant(0), Main, Step, Most, [&](Value At, ValueRange In) {
        SmallVector<Value> Next;
        for (unsigned U = 0; U < Unroll; ++U) {
          Value Place = M.add(At, KB.constant(U * lanes()));
          Next.push_back(
              greater(vectorAt(ScoreMemory, M.add(First, Place)), In[U]));
        }
        return Next;
      });
  Value Rest = KB.forLoop(
      Main, End, lanes(), Most[0],
      [&](Value At, ValueRange In) -> SmallVector<Value> {
        return {greater(vectorAt(ScoreMemory, M.add(First, At)), In[0])};
      })[0];
  for (unsigned U = 1; U < Unroll; ++U)
    Rest = greater(Rest, Most[U]);
  return acrossLanes(Rest, [&](Value L, Value R) { return greater(L, R); });
}

void AttentionEmitter::rescaleRow(Value Row, Value Factor) {
  Value First = M.mul(Row, KB.constant(P.outStride()));
  Factor = KB.broadcast(Factor, lanes());
  KB.forLoop(
      KB.constant(0), KB.constant(P.outStride()), lanes(), [&](Value At) {
        Value Place = M.add(First, At);
        Value Scaled =
            arith::MulFOp::create(B, KB.loc(), vectorAt(Out, Place), Factor);
        vector::StoreOp::create(B, KB.loc(), Scaled, Out, Place);
      });
}

/// Scores become exponentials of their distance from the row's greatest.
void AttentionEmitter::softmaxRows() {
  Value End = M.mul(blocksOf(NumKeys, lanes()), KB.constant(lanes()));
  KB.forLoop(KB.constant(0), NumRows, 1, [&](Value Row) {
    Value First = scoreRow(Row);
    Value Most = greatestOf(First), Factor;
    if (P.Online) {
      Value Before = memref::LoadOp::create(B, KB.loc(), Greatest, Row);
      Most = greater(Most, Before);
      memref::StoreOp::create(B, KB.loc(), Most, Greatest, Row);
      // Rows masked so far stay sums of zeros, for later blocks may have more.
      Value IsMasked = arith::CmpFOp::create(
          B, KB.loc(), arith::CmpFPredicate::OEQ, Most, scalarOf(-Infinity));
      Most = arith::SelectOp::create(B, KB.loc(), IsMasked, scalarOf(0), Most);
      Factor = exp(arith::SubFOp::create(B, KB.loc(), Before, Most));
      rescaleRow(Row, Factor);
    }
    Value MostInLanes = KB.broadcast(Most, lanes());
    Value Sum = KB.forLoop(
        KB.constant(0), End, lanes(), vectorOf(0),
        [&](Value At, ValueRange In) -> SmallVector<Value> {
          Value Place = M.add(First, At);
          Value E = exp(arith::SubFOp::create(
              B, KB.loc(), vectorAt(ScoreMemory, Place), MostInLanes));
          vector::StoreOp::create(B, KB.loc(), E, ScoreMemory, Place);
          return {arith::AddFOp::create(B, KB.loc(), In[0], E)};
        })[0];
    auto Add = [&](Value L, Value R) -> Value {
      return arith::AddFOp::create(B, KB.loc(), L, R);
    };
    Sum = acrossLanes(Sum, Add);
    if (P.Online) {
      Value Before = memref::LoadOp::create(B, KB.loc(), Sums, Row);
      Sum = Add(arith::MulFOp::create(B, KB.loc(), Before, Factor), Sum);
    }
    memref::StoreOp::create(B, KB.loc(), Sum, Sums, Row);
  });
}

} // namespace limosa::codegen
