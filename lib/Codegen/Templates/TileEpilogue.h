//===- TileEpilogue.h - From accumulators to outputs ------------*- C++ -*-===//
//
// What follows a product or a convolution in its kernel is computed on the
// register tile: the accumulators are bound as elements of the root op's result
// and the kernel's outputs are pulled at their coordinates. Ops between may be
// elementwise, or move elements one to one (transpose, reshape), which only
// changes where they are stored. An update_slice of an argument at the end
// stores them at their place in that argument's memory.
//
// When parts of a product's columns meet again (ColumnSplit), there are
// accumulators for each part, and coordinates are those in a part.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_CODEGEN_TEMPLATES_TILEEPILOGUE_H
#define LIMOSA_CODEGEN_TEMPLATES_TILEEPILOGUE_H

#include "limosa/Codegen/FusionRules.h"
#include "limosa/Codegen/Pull.h"
#include "llvm/ADT/ArrayRef.h"

namespace limosa::codegen {

class TileEpilogue {
public:
  /// Whether every output depends on `Root` element by element.
  static bool fits(mlir::Value Root, llvm::ArrayRef<mlir::Value> Outputs);

  /// The dimension of `Root` along which the first output's elements are
  /// neighbours in memory, if it shows.
  static std::optional<unsigned>
  contiguousDim(mlir::Value Root, llvm::ArrayRef<mlir::Value> Outputs);

  TileEpilogue(KernelBuilder &KB, Puller &P, mlir::Value Root,
               llvm::ArrayRef<mlir::Value> Outputs);

  /// Takes one vector (or scalar) of accumulators, the elements of Root at
  /// `At`, and computes the outputs there. Nothing is stored yet, so that loads
  /// of biases are shared between the vectors of a tile.
  void compute(mlir::Value Accumulator, const Coords &At, const Lanes &L) {
    compute(llvm::ArrayRef(Accumulator), At, L);
  }
  /// The same with one for each part of the columns.
  void compute(llvm::ArrayRef<mlir::Value> Accumulators, const Coords &At,
               const Lanes &L);
  /// Stores what was computed.
  void store();
  /// The elements of the only output there, instead of storing them.
  mlir::Value valueAt(mlir::Value Accumulator, const Coords &At,
                      const Lanes &L);

  llvm::ArrayRef<mlir::Value> outputs() const { return Outputs; }

private:
  /// How an output comes to its memory.
  struct Path {
    /// What is pulled, after the first moves; the others only say where its
    /// elements are stored.
    mlir::Value Pulled;
    /// Ops that move elements between Root and the output, first to last.
    llvm::SmallVector<mlir::Operation *> First, Last;
  };
  struct Pending {
    unsigned Output;
    mlir::Value V;
    Coords At;
    Lanes L;
  };
  mlir::Value toRoot(mlir::Value Accumulator);
  void bindParts(llvm::ArrayRef<mlir::Value> Accumulators, const Coords &At,
                 const Lanes &L);
  Coords move(mlir::Operation *Op, const Coords &At, const Lanes &L);

  KernelBuilder &KB;
  Puller &P;
  mlir::Value Root;
  llvm::SmallVector<mlir::Value> Outputs;
  std::optional<ColumnSplit> Split;
  llvm::SmallVector<Path> Paths; ///< per output
  llvm::SmallVector<Pending, 0> Done;
};

} // namespace limosa::codegen

#endif // LIMOSA_CODEGEN_TEMPLATES_TILEEPILOGUE_H
