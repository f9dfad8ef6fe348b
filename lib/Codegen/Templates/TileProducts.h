//===- TileProducts.h - Products of bf16 in AMX tiles -----------*- C++ -*-===//
//
// Where the ISA has them, pairs of bf16 are multiplied tile by tile: 16 columns
// of B, up to 16 rows of A and up to 32 steps of K at once. A register tile is
// two tiles of rows by two of columns; its sums go through scratch memory to
// the epilogue. Panels of pairs (PanelLayout.h) are tiles of B as they are, and
// any 16 rows with a common stride are one of A.
//
// The tiles have fixed numbers, and their shapes are set anew where the number
// of rows changes: 0 to 3 are sums, 4 and 5 rows of A, 6 and 7 columns of B.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_CODEGEN_TEMPLATES_TILEPRODUCTS_H
#define LIMOSA_CODEGEN_TEMPLATES_TILEPRODUCTS_H

#include "limosa/Codegen/KernelBuilder.h"
#include "limosa/Codegen/MicroKernel.h"

namespace limosa::codegen {

/// Whether an ISA has tdpbf16ps.
bool hasTiles(llvm::StringRef Isa);

/// Steps of K that a tile takes where they come in runs of `Run`: the largest
/// even divisor that fits; 0 if it is less than `Least`, which leaves tiles too
/// empty to be worth it.
int64_t tileStep(int64_t Run, int64_t Least = 8);

/// Rows of a tile of A, at most 16, that share `Rows` (nullopt: unknown) out.
int64_t tileRows(std::optional<int64_t> Rows);

class TileProducts {
public:
  using Value = mlir::Value;
  static constexpr int64_t MaxRows = 16, MaxStep = 32, Lanes = 16;
  /// How much faster tiles are than f32, for the estimates of work.
  static constexpr int64_t Speed = 16;

  /// Reserves scratch memory. `Rows` of a tile of A, `Step`s of K of a tile.
  TileProducts(KernelBuilder &KB, int64_t Rows, int64_t Step);

  /// One product of up to two tiles of rows.
  struct Product {
    Value A, B;                           ///< rank-1 memrefs of i16
    llvm::SmallVector<Value, 2> OffsetsA; ///< of each tile's first row
    Value RowStrideA;                     ///< elements
    Value OffsetB;                        ///< of the panel
    unsigned Vectors;                     ///< of the panel, at most two
    /// As in MicroKernel: the last one counts pairs, which are neighbours in A.
    llvm::ArrayRef<ReductionLoop> Loops;
  };

  /// Rows [Begin, End), two tiles of rows at a time, then one, the last of
  /// which may be lower. `Body` gets the first row and how many tiles begin
  /// there; `Count` are the rows of all of them.
  void forRows(
      Value Begin, Value End,
      llvm::function_ref<void(Value Row, unsigned Tiles, Value Count)> Body);

  /// Multiplies; the sums stay in scratch memory until the next product.
  void multiply(const Product &P);
  /// The sums of a row of the last product: `Vectors` vectors of f32.
  llvm::SmallVector<Value> sums(Value Row, unsigned Vectors);

  /// Gives the tiles back. To be called once behind all loops.
  void release();

private:
  void configure(Value Rows);
  void emitLoops(const Product &P, unsigned Level,
                 llvm::ArrayRef<Value> OffsetsA, Value OffsetB);
  void emitStep(const Product &P, llvm::ArrayRef<Value> OffsetsA,
                Value OffsetB);
  /// The address of an element of a memref over a raw pointer.
  Value address(Value Memory, Value Offset);
  Value bytes(Value Elements, int64_t Size);
  void call(llvm::StringRef Name, mlir::ValueRange Args);
  Value tile(unsigned Number);

  KernelBuilder &KB;
  int64_t Rows, Step;
  Value Shapes, Sums; ///< scratch
};

} // namespace limosa::codegen

#endif // LIMOSA_CODEGEN_TEMPLATES_TILEPRODUCTS_H
