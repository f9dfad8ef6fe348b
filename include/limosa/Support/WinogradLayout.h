//===- WinogradLayout.h - Filters as F(4x4, 3x3) multiplies them ----------===//
//
// Winograd's minimal filtering (Lavin and Gray, "Fast Algorithms for
// Convolutional Neural Networks", 2016): 4 x 4 outputs of a 3 x 3 convolution
// from 6 x 6 inputs by 36 instead of 144 multiplications per channel,
//   Y = A^T [ (G g G^T) * (B^T d B) ] A.
// The matrices follow from the points 0, +-Near, +-Far and infinity. Those
// chosen here, the roots of 1/2 and of 2, make Near * Far = 1, which keeps all
// factors near 1: in f32 the result is off by 1 to 2e-6 of the largest value,
// where the usual 1 and 2 give 5e-6 to 1.2e-5 (compare Barabasz et al., "Error
// Analysis and Improving the Accuracy of Winograd Convolution", 2018).
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_SUPPORT_WINOGRADLAYOUT_H
#define LIMOSA_SUPPORT_WINOGRADLAYOUT_H

#include "limosa/Support/PanelLayout.h"

namespace limosa {

/// F(4, 3) along one dimension.
struct Winograd {
  static constexpr int64_t Outputs = 4, Window = 3, Span = 6;
  /// Products per channel of a tile of Outputs x Outputs.
  static constexpr int64_t Products = Span * Span;
  static constexpr double Near = 0.70710678118654752440, NearSquare = 0.5;
  static constexpr double Far = 1.41421356237309504880, FarSquare = 2;
};

/// Which 3 x 3 convolutions are computed so.
enum class WinogradUse {
  Never,
  WhereFaster, ///< by estimate
  Always       ///< wherever it is possible; for tests
};

/// How the filters G g G^T of a convolution lie in memory:
/// [Products][panels of output channels][input channels][columns], each product
/// laid out as PanelLayout does. A value type.
struct WinogradLayout {
  int64_t PanelColumns = 0, Lanes = 0;
  int64_t Offset = 0; ///< of the first element of the plain filter
  /// Where the plain filter has its elements.
  PanelLayout::Dim Columns, Channels, Lines, Pixels;

  /// "winograd nr=32 vl=16 o=0 n=64:576 c=64:9 y=3:3 x=3:1"
  std::string toString() const;
  /// The inverse; nullopt for anything else.
  static std::optional<WinogradLayout> parse(std::string_view Text);

  /// The panels of one product.
  PanelLayout panels() const;

  /// The packed bytes of a filter of f32, computed in f64. Nullopt if the
  /// layout reaches outside of `Plain`.
  std::optional<std::vector<uint8_t>>
  pack(std::span<const uint8_t> Plain) const;
  /// A filter that packs to `Packed`, up to rounding: what went in, off by some
  /// 1e-7 of its largest element. Nullopt if the sizes do not fit.
  std::optional<std::vector<uint8_t>>
  unpack(size_t PlainBytes, std::span<const uint8_t> Packed) const;
};

} // namespace limosa

#endif // LIMOSA_SUPPORT_WINOGRADLAYOUT_H
