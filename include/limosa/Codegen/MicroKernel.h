//===- MicroKernel.h - The register-tile product kernel ---------*- C++ -*-===//
//
// The one building block of products and convolutions: a batch-reduce GEMM
// micro-kernel (Georganas et al., "High-Performance Deep Learning via a Single
// Building Block", 2020). It adds up, over a nest of reduction loops, the outer
// products of Rows elements of A with Vectors vectors of B. The accumulators
// are loop-carried SSA values, so that they live in registers for the whole
// nest; the caller stores them, after an epilogue.
//
// Pure builders: no state, no diagnostics; shapes are the caller's duty.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_CODEGEN_MICROKERNEL_H
#define LIMOSA_CODEGEN_MICROKERNEL_H

#include "limosa/Codegen/Choices.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/Value.h"
#include "llvm/ADT/SmallVector.h"
#include <optional>

namespace limosa::codegen {

/// One loop of the reduction nest. Strides count elements; an attribute is a
/// constant, which keeps it in the addressing modes.
struct ReductionLoop {
  mlir::OpFoldResult Extent;
  mlir::OpFoldResult StrideA;
  mlir::OpFoldResult StrideB;
};

/// acc[m][v] = init[m][v] + sum over the nest of
///   A[OffsetA + RowOffsets[m] + sum i_l * StrideA_l] *
///   B[OffsetB + VectorOffsets[v] + sum i_l * StrideB_l ... + Lanes)
struct MicroKernel {
  unsigned Lanes = 16;
  /// f32, f64, i32 or i64; narrower elements of A and B are widened when
  /// loaded.
  mlir::Type AccType;
  /// Products of bytes take 4 steps of K at once (one operand unsigned and one
  /// signed, AccType i32, the sums are exact), products of bf16 two. A has as
  /// many elements of a row side by side, B of each column, as i8 or i16; the
  /// innermost loop counts fours or pairs, other numbers count elements.
  unsigned Together = 1;
  bool Native = false; ///< multipliesTogether
  /// Rank-1 memrefs.
  mlir::Value A, B;
  /// Their elements: f64, f32, f16, bf16 or signless integers. f16 and bf16 may
  /// be kept in memory as i16.
  mlir::Type ElementA, ElementB;
  /// Whether integer elements extend with zeros.
  bool UnsignedA = false, UnsignedB = false;
  mlir::Value OffsetA, OffsetB; ///< index
  /// One per row; constants where they are known.
  llvm::SmallVector<mlir::OpFoldResult> RowOffsets;
  /// One per vector of B.
  llvm::SmallVector<mlir::OpFoldResult> VectorOffsets;
  /// Outermost first; at least one. The last one is unrolled.
  llvm::SmallVector<ReductionLoop> Loops;
  unsigned Unroll = 4;
  /// How many steps of K before their use vectors of B are fetched to the
  /// first-level cache; 0: not at all. Goes on behind B's end.
  unsigned StepsAhead = 0;
  /// Null, or an offset in B: `NextLines` cache lines from there on are fetched
  /// to the second-level cache with each `Unroll` steps.
  mlir::Value Next;
  unsigned NextLines = 1;
  /// Empty, or one vector<Lanes x i1> (or null) per vector of B: which of its
  /// lanes may be read; the others count as zeros.
  llvm::SmallVector<mlir::Value> Masks;
  /// Rows x Vectors values to begin with; zeros when empty.
  llvm::SmallVector<mlir::Value> Init;

  unsigned rows() const { return RowOffsets.size(); }
  unsigned vectors() const { return VectorOffsets.size(); }
};

/// Emits the nest at the builder's insertion point; returns rows() * vectors()
/// vectors of AccType, row by row.
llvm::SmallVector<mlir::Value> emitMicroKernel(mlir::OpBuilder &B,
                                               mlir::Location Loc,
                                               const MicroKernel &Kernel);

/// Vector registers a target has and elements one holds.
struct RegisterFile {
  unsigned Registers; ///< 32 for AVX-512, 16 for AVX2
  unsigned Lanes;     ///< of the accumulator's dtype
};
RegisterFile getRegisterFile(llvm::StringRef Isa, mlir::Type AccType);
/// What products that take `Together` steps of K leave to the tile: where the
/// ISA does not multiply them at once their parts take registers too.
RegisterFile getPackedRegisterFile(llvm::StringRef Isa, mlir::Type AccType,
                                   unsigned Together);
/// Whether an ISA has an instruction for them: vpdpbusd (4), vdpbf16ps (2).
bool multipliesTogether(llvm::StringRef Isa, unsigned Together);

/// How many rows fit beside `Vectors` vectors of B and one splat of A.
unsigned maxRows(const RegisterFile &Regs, unsigned Vectors);

/// A register tile.
struct TileShape {
  unsigned Rows;    ///< of the main tile
  unsigned Vectors; ///< of the main tile
};

/// The register tile with the least estimated time for M x N; an unknown size
/// is nullopt. `RowLimit` caps the rows (for strided A, which would evict
/// itself from the first-level cache). With `Parts` a tile has as many times
/// the vectors that are returned, and N counts the columns of one part.
TileShape chooseTile(const RegisterFile &Regs, std::optional<int64_t> M,
                     std::optional<int64_t> N, unsigned RowLimit = 16,
                     unsigned Parts = 1);
/// What `chooseTile` takes the best of.
Candidates<TileShape> tileCandidates(const RegisterFile &Regs,
                                     std::optional<int64_t> M,
                                     std::optional<int64_t> N,
                                     unsigned RowLimit = 16,
                                     unsigned Parts = 1);

/// Estimated cycles of one step of K on a tile: the multiply-add and load
/// ports, the latency of the accumulators' chains, and B's way from the
/// second-level cache.
double tileCost(const RegisterFile &Regs, unsigned Rows, unsigned Vectors);

} // namespace limosa::codegen

#endif // LIMOSA_CODEGEN_MICROKERNEL_H
