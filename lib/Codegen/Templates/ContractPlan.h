//===- ContractPlan.h - A product as batch x M x N x K ----------*- C++ -*-===//
//
// Brings a contract of any dimensions and physical orders to the form the
// micro-kernel computes, and decides its tiles. "A" is the operand whose
// elements are splat, "B" the one whose columns are the lanes: lhs and rhs, or
// swapped when the output's neighbours lie along lhs's dimensions.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_CODEGEN_TEMPLATES_CONTRACTPLAN_H
#define LIMOSA_CODEGEN_TEMPLATES_CONTRACTPLAN_H

#include "limosa/Codegen/MicroKernel.h"
#include "limosa/Codegen/StridedView.h"
#include "limosa/Codegen/Template.h"
#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Types.h"

namespace limosa::codegen {

/// Where a product's operand is read from.
enum class OperandSource {
  InPlace,    ///< from the kernel's argument, by strides
  PackedOnce, ///< from a constant packed when the model is compiled
  Scratch     ///< from a copy made tile by tile in scratch memory
};

struct ProductOperand {
  mlir::Value V;
  OperandSource Source = OperandSource::InPlace;
  /// Set when V is a view of an argument (also if it is copied).
  std::optional<StridedView> View;
  bool Unsigned = false;
  /// Logical dimensions of V that make up M (or N) and K, outermost first.
  llvm::SmallVector<unsigned> Free, Contract;
  DimExpr FreeStride; ///< InPlace: elements between rows (columns)
};

struct ContractPlan {
  ProductOperand A, B;
  /// A loop of its own: a batch dimension, or one of M or N that does not
  /// merge.
  struct BatchDim {
    unsigned ResultDim;
    DimExpr Extent;
    std::optional<unsigned> DimA, DimB; ///< logical dimensions that follow it
  };
  llvm::SmallVector<BatchDim> Batch;
  /// Result dimensions traversed as one row (column) index.
  llvm::SmallVector<unsigned> RowDims, ColumnDims;
  DimExpr M, N, K;
  /// K as loops that suit both operands; strides of InPlace operands.
  struct KLoop {
    DimExpr Extent, StrideA, StrideB;
  };
  llvm::SmallVector<KLoop> KLoops;

  mlir::Type AccType;
  /// Steps of K that products take at once, see MicroKernel; panels and copies
  /// have whole ones.
  unsigned Together = 1;
  /// What K of panels and copies is padded to a multiple of.
  int64_t AlignK = 1;
  /// Multiplied in AMX tiles, see TileProducts: steps of K and rows of a tile.
  /// A register tile then is two tiles high.
  int64_t TileStep = 0, TileRows = 0;
  RegisterFile Regs{};
  TileShape Tile{};
  /// B is computed, and for at most FewRows rows at once not worth a copy.
  bool PullsFewRows = false;
  static constexpr int64_t FewRows = 3;
  /// Parts that the columns are split into (see ColumnSplit). N, panels and the
  /// tile's vectors count the columns of one; a panel has all parts, one after
  /// the other.
  int64_t Parts = 1;
  int64_t PanelColumns = 0; ///< Tile.Vectors * Regs.Lanes
  /// Register tiles in one tile of the grid.
  int64_t RowTiles = 1, Panels = 1;

  /// K of panels and copies.
  DimExpr paddedK() const;
  /// Of panels and copies.
  mlir::Type copiedType() const;
  DimExpr batchCount() const;
  DimExpr rowBlocks() const;
  DimExpr columnBlocks() const;
};

/// The plan of a kernel whose only anchor is `Op`; nullopt if the template does
/// not fit: the epilogue mixes elements, or the product has neither rows nor
/// columns (a reduction).
std::optional<ContractPlan> planContract(ContractOp Op,
                                         const KernelAnalysis &Kernel,
                                         const TargetOptions &Options);

} // namespace limosa::codegen

#endif // LIMOSA_CODEGEN_TEMPLATES_CONTRACTPLAN_H
