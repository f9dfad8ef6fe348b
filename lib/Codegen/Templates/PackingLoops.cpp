//===- PackingLoops.cpp - Operands copied at run time ---------------------===//

#include "PackingLoops.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace limosa::codegen {

Value widenTo(KernelBuilder &KB, Value V, Type AccType, bool Unsigned) {
  if (getElementTypeOrSelf(V.getType()) == AccType)
    return V;
  Type To = AccType;
  if (auto Ty = dyn_cast<VectorType>(V.getType()))
    To = Ty.clone(AccType);
  OpBuilder &B = KB.builder();
  if (isa<FloatType>(AccType))
    return arith::ExtFOp::create(B, KB.loc(), To, V);
  if (Unsigned)
    return arith::ExtUIOp::create(B, KB.loc(), To, V);
  return arith::ExtSIOp::create(B, KB.loc(), To, V);
}

/// Of two vectors of N lanes side by side: lanes of their lower and of their
/// higher halves in turns.
static std::pair<SmallVector<int64_t>, SmallVector<int64_t>>
interleavedHalves(int64_t N) {
  SmallVector<int64_t> Low, High;
  for (int64_t I = 0; I < N / 2; ++I) {
    llvm::append_values(Low, I, N + I);
    llvm::append_values(High, N / 2 + I, N + N / 2 + I);
  }
  return {Low, High};
}

SmallVector<Value> transposeSquare(KernelBuilder &KB, ArrayRef<Value> Rows) {
  int64_t N = Rows.size();
  auto [Low, High] = interleavedHalves(N);
  SmallVector<Value> Cur(Rows);
  for (int64_t Round = 1; Round < N; Round *= 2) {
    SmallVector<Value> Next;
    for (int64_t I = 0; I < N / 2; ++I)
      for (ArrayRef<int64_t> Half : {ArrayRef(Low), ArrayRef(High)})
        Next.push_back(vector::ShuffleOp::create(KB.builder(), KB.loc(), Cur[I],
                                                 Cur[I + N / 2], Half));
    Cur = std::move(Next);
  }
  return Cur;
}

Value addTransposed(KernelBuilder &KB, ArrayRef<Value> Vectors) {
  // The rounds of transposing, of which only the sum of both halves is kept.
  int64_t N = Vectors.size();
  auto [Low, High] = interleavedHalves(N);
  SmallVector<Value> Cur(Vectors);
  for (int64_t Left = N / 2; Left > 0; Left /= 2) {
    SmallVector<Value> Next;
    for (int64_t I = 0; I < Left; ++I) {
      auto Half = [&](ArrayRef<int64_t> Lanes) -> Value {
        return vector::ShuffleOp::create(KB.builder(), KB.loc(), Cur[I],
                                         Cur[I + Left], Lanes);
      };
      Next.push_back(
          arith::AddFOp::create(KB.builder(), KB.loc(), Half(Low), Half(High)));
    }
    Cur = std::move(Next);
  }
  return Cur[0];
}

} // namespace limosa::codegen
