//===- ConvCopy.h - What convolutions copy ----------------------*- C++ -*-===//
//
// Copies to scratch memory that the template of convolutions makes tile by
// tile: the part of the image under a block's windows with zeros around it, and
// the panels of a filter that is not constant.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_CODEGEN_TEMPLATES_CONVCOPY_H
#define LIMOSA_CODEGEN_TEMPLATES_CONVCOPY_H

#include "ConvTaps.h"

namespace limosa::codegen {

class ConvCopies : protected ConvTaps {
protected:
  ConvCopies(KernelBuilder &KB, const KernelAnalysis &Kernel, ConvOp Op,
             const ConvPlan &P)
      : ConvTaps(KB, Kernel, Op, P) {}

  /// Fills MemA with the part of the image under the block's windows, from
  /// `Channel` on, ChunkChannels of them.
  void copyImage(Value Channel);
  /// Fills MemB with the column block's panels, in the layout of packed
  /// constants.
  void packFilter(Value FirstGroup, Value EndGroup);

  Value MemA, MemB;
  bool UnsignedA = false, UnsignedB = false;
  int64_t GroupElements = 0;

  // Of the tile being emitted.
  Value Plane, Image, FirstY, FirstX;
  PanelRange Panels;

private:
  Value position(const Axis &A, Value I);
  Value inside(const Axis &A, Value Pos);
  Value source(const Axis &A, Value Pos);
  void copyLine(Value Inside, Value InZ, Value InY, Value PosX, Value Channel,
                Value To);
  void copyPixels(Value Lo, Value Hi, Value InZ, Value InY, Value Channel,
                  llvm::function_ref<Value(Value)> PlaceOf);
  unsigned copyLanes() const { return lanes() * P.Together; }
  void fillZeros(Value To, Value Count);
  Value viewOffset(Value InZ, Value InY);
  /// An element as the copy holds it.
  Value toCopied(Value V);
  void storeTo(Value Memory, Value V, Value At, Value Mask);
  void forVectors(Value Count, llvm::function_ref<void(Value, Value)> Body);
};

} // namespace limosa::codegen

#endif // LIMOSA_CODEGEN_TEMPLATES_CONVCOPY_H
