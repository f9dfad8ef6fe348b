//===- ContractCopy.h - What products copy or compute -----------*- C++ -*-===//
//
// Operands that the template of products does not read where they lie: rows of
// A and panels of B that it copies to scratch memory tile by tile, and elements
// of B that it computes on the spot.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_CODEGEN_TEMPLATES_CONTRACTCOPY_H
#define LIMOSA_CODEGEN_TEMPLATES_CONTRACTCOPY_H

#include "ContractPlan.h"
#include "ProductEmitter.h"

namespace limosa::codegen {

class ContractCopies : protected ProductEmitter {
protected:
  ContractCopies(KernelBuilder &KB, const KernelAnalysis &Kernel, ContractOp Op,
                 const ContractPlan &P)
      : ProductEmitter(KB, Op.getResult(), Kernel.Outputs, P.Tile,
                       P.Regs.Lanes),
        Op(Op), P(P) {}

  int64_t blockRows() const { return P.RowTiles * P.Tile.Rows; }

  /// The block's rows of A, K along the lanes. What pads K of integers may be
  /// anything: it meets zeros of B. Floats are padded with zeros, as there is
  /// no telling that the memory holds numbers.
  void packA();
  /// The block's panels of B.
  void packB();

  /// A loop over the steps of K with what it carries. `Body` gets the step's
  /// number and the coordinates of B's contracted dimensions, the others unset.
  /// What is computed may change with the outer dimensions only, as scales do:
  /// then it leaves the loop over the innermost.
  using StepBody = llvm::function_ref<llvm::SmallVector<Value>(
      Value Step, const Coords &AtK, mlir::ValueRange Carried)>;
  llvm::SmallVector<Value> forStepsOfK(mlir::ValueRange Inits, StepBody Body);
  /// A vector of columns of B at the contracted coordinates `At`, widened.
  Value pullB(Value Column, Coords At, Value Mask);
  /// An element of A, in place or in the copy, widened.
  Value elementOfA(Value Row, Value Step, const Coords &AtK);

  /// Where an operand that is read in place has the current batch.
  Value baseOf(const ProductOperand &O, bool IsA);
  Value panelOffset(Value Panel);
  static void setGroup(Coords &At, llvm::ArrayRef<unsigned> Ds,
                       const Index &I) {
    if (Ds.size() == 1)
      At.PerDim[Ds[0]] = I;
    else if (!Ds.empty())
      At.Groups.push_back({llvm::SmallVector<unsigned, 4>(Ds), I});
  }

  ContractOp Op;
  const ContractPlan &P;

  Value MemA, MemB;
  DimExpr RowStrideA; ///< of the copy

  // Of the tile being emitted.
  llvm::SmallVector<Value> BatchAt;
  Value OffsetA, OffsetB;
  PanelRange Panels;
  Value BlockRow;

private:
  static Coords noCoords(const ProductOperand &O);
  void setFree(const ProductOperand &O, bool IsA, const Index &Free,
               Coords &At);
  Coords operandCoords(const ProductOperand &O, bool IsA, const Index &Free,
                       const Index &K);
  void forVectorsOfK(llvm::function_ref<void(Value, Value)> Body);
  unsigned copyLanes() const { return lanes() * P.Together; }
  Value toCopied(Value V, bool Unsigned);
  void packTogether(Value Column, Value K, Value To, Value Mask);
  void packPanelTogether(Value To, Value First, llvm::ArrayRef<Value> Masks,
                         bool Transposed, const DimExpr &ColumnStride);
  void packSquare(Value Column, const DimExpr &Stride, Value K, Value To,
                  int64_t Width);
};

} // namespace limosa::codegen

#endif // LIMOSA_CODEGEN_TEMPLATES_CONTRACTCOPY_H
