//===- ReductionChain.h - Emits chains of row reductions --------*- C++ -*-===//

#ifndef LIMOSA_LIB_CODEGEN_TEMPLATES_REDUCTIONCHAIN_H
#define LIMOSA_LIB_CODEGEN_TEMPLATES_REDUCTIONCHAIN_H

#include "../ChainAnalysis.h"
#include "Loops.h"

namespace limosa::codegen {

/// Emits one chain. Use once.
class ChainEmitter {
  using Value = mlir::Value;
  using ValueRange = mlir::ValueRange;
  /// Accumulators, one list per lane vector.
  using Values = llvm::SmallVector<Value>;

public:
  ChainEmitter(KernelBuilder &KB, const KernelAnalysis &Kernel, Chain Found)
      : KB(KB), M(KB.math()), Kernel(Kernel), C(std::move(Found)), P(KB),
        N(lanesFor(KB.options(), Kernel)), Mask(canMask(KB.options(), Kernel)) {
    chooseLoops();
  }

  void emit() {
    if (LanesAreRows)
      emitParallel();
    else
      emitAlongRows();
  }

private:
  //===--- Planning -------------------------------------------------------===//

  bool isReduced(int64_t D) const { return llvm::is_contained(C.Reduced, D); }
  DimExpr extentOf(llvm::ArrayRef<unsigned> Dims) const {
    DimExpr E = 1;
    for (unsigned D : Dims)
      E = E * C.Shape[D];
    return E;
  }

  void chooseLoops();

  template <typename T, typename From>
  static llvm::SmallVector<T> to(const From &List) {
    return llvm::SmallVector<T>(List.begin(), List.end());
  }

  //===--- Coordinates ----------------------------------------------------===//

  /// A point of the domain: the row, the outer part of the reduction, the
  /// vector.
  Coords domainAt(Value Row, Value Outer, const Index &Vector) {
    Coords At(C.Shape.size());
    setDims(At, OuterParallel, M.uniform(Row));
    setDims(At, OuterReduced, M.uniform(Outer));
    setDims(At, Inner, Vector);
    return At;
  }

  /// The row of a domain point: its parallel coordinates.
  Coords rowOf(const Coords &Domain, unsigned Lanes);

  //===--- Reductions -----------------------------------------------------===//

  /// The inits of a stage's accumulators.
  Values inits(llvm::ArrayRef<ReduceOp> Stage, unsigned Lanes);

  /// Combines two lists of accumulators of a stage.
  Values combine(llvm::ArrayRef<ReduceOp> Stage, ValueRange A, ValueRange B);

  /// A stage's inputs at a point; lanes outside the mask hold the inits.
  Values inputsAt(llvm::ArrayRef<ReduceOp> Stage, const Coords &At,
                  const Lanes &L, ValueRange Inits);

  /// Combines the lanes of accumulators by halves.
  Values combineLanes(llvm::ArrayRef<ReduceOp> Stage, Values Acc);

  /// From now on a stage's results are these values.
  void bindResults(llvm::ArrayRef<ReduceOp> Stage, llvm::ArrayRef<Value> Acc);

  /// Writes the outputs of the domain's size (Full) or of the rows', at a point
  /// of a domain (rows) of shape `Shape`.
  void writeOutputs(const Coords &At, llvm::ArrayRef<DimExpr> Shape, bool Full,
                    const Lanes &L);

  //===--- Vectors along the row ------------------------------------------===//

  void emitAlongRows();
  Values reduceRow(unsigned StageNumber, Value Row);
  void writeRow(Value Row);
  void planScratch();

  /// A dear value that several loops over the row need.
  struct Kept {
    Value V;
    unsigned FirstStage;
    TensorView Memory;
  };

  /// Position in the row of the vector being computed, for kept values.
  Index Position;
  llvm::SmallVector<Kept, 4> KeptValues;

  Index positionOf(Value Outer, const Index &Vector) {
    Value Before = M.mul(Outer, KB.dim(extentOf(Inner)));
    return M.add(Vector, Before);
  }

  void keepValues(unsigned Stage, const Coords &At, const Lanes &L) {
    for (Kept &K : KeptValues)
      if (K.FirstStage == Stage)
        KB.store(K.Memory, Position, P.pull(K.V, At, L), L);
  }

  //===--- Rows in lanes --------------------------------------------------===//

  void emitParallel();
  void emitBlock(Value Row, llvm::ArrayRef<Index> Vectors, const Lanes &L);

  KernelBuilder &KB;
  IndexMath &M;
  const KernelAnalysis &Kernel;
  Chain C;
  Puller P;
  unsigned N;
  bool Mask;
  bool LanesAreRows = false;
  /// Dimensions in physical order: of the vector loop, and the others.
  llvm::SmallVector<unsigned> Inner, OuterReduced, OuterParallel;
};

} // namespace limosa::codegen

#endif // LIMOSA_LIB_CODEGEN_TEMPLATES_REDUCTIONCHAIN_H
