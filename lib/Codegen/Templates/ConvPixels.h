//===- ConvPixels.h - Where rows of a convolution are in its result -------===//
//
// Coordinates in the result of the pixels that a tile numbers in its own order
// (PixelOrder), for the epilogue.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_CODEGEN_TEMPLATES_CONVPIXELS_H
#define LIMOSA_CODEGEN_TEMPLATES_CONVPIXELS_H

#include "ConvCopy.h"

namespace limosa::codegen {

class ConvPixels : protected ConvCopies {
protected:
  ConvPixels(KernelBuilder &KB, const KernelAnalysis &Kernel, ConvOp Op,
             const ConvPlan &P)
      : ConvCopies(KB, Kernel, Op, P) {}

  /// One pixel of the result by its coordinates.
  struct Pixels {
    Value At[3];
    Value Inside; ///< i1: the phase has this pixel; null: all have
  };

  /// The result's pixel for a pixel of the current phase; one inside the result
  /// in any case.
  Pixels pixelOfPhase(Value Pixel);

  /// Coordinates in the result: one pixel, lanes along the channels from
  /// `Column` on.
  Coords coordsAt(const Pixels &Pixel, Value Column);
  Coords coordsAt(Value Pixel, Value Column);
};

} // namespace limosa::codegen

#endif // LIMOSA_CODEGEN_TEMPLATES_CONVPIXELS_H
