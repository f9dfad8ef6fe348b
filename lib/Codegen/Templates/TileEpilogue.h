//===- TileEpilogue.h - From accumulators to outputs ----------------*- C++
//-*-===//
//
// What follows a product or a convolution in its kernel is computed on the
// register tile: the accumulators are bound as elements of the root op's result
// and the kernel's outputs are pulled at their coordinates. Ops between may be
// elementwise, or move elements one to one (transpose, reshape), which only
// changes where they are stored.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_CODEGEN_TEMPLATES_TILEEPILOGUE_H
#define LIMOSA_CODEGEN_TEMPLATES_TILEEPILOGUE_H

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
  void compute(mlir::Value Accumulator, const Coords &At, const Lanes &L);
  /// Stores what was computed.
  void store();
  /// The elements of the only output there, instead of storing them.
  mlir::Value valueAt(mlir::Value Accumulator, const Coords &At,
                      const Lanes &L);

  llvm::ArrayRef<mlir::Value> outputs() const { return Outputs; }

private:
  struct Pending {
    unsigned Output;
    mlir::Value V;
    Coords At;
    Lanes L;
  };
  mlir::Value toRoot(mlir::Value Accumulator);

  KernelBuilder &KB;
  Puller &P;
  mlir::Value Root;
  llvm::SmallVector<mlir::Value> Outputs;
  /// Per output the ops that move elements between Root and it, first to last.
  llvm::SmallVector<llvm::SmallVector<mlir::Operation *>> Moves;
  llvm::SmallVector<Pending, 0> Done;
};

} // namespace limosa::codegen

#endif // LIMOSA_CODEGEN_TEMPLATES_TILEEPILOGUE_H
