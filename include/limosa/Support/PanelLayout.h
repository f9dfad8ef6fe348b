//===- PanelLayout.h - Constant operands in panels --------------*- C++ -*-===//
//
// Products read their right-hand side in panels of a few vectors of columns:
//   [batch..][group][panel][k][columns of the panel]
// A panel has `PanelColumns` columns; the last one as many as are left, rounded
// up to whole vectors of `Lanes`, padded with zeros. Panel p of a group begins
// at element p * PanelColumns * K, so only the last panel's end is padding.
// Where products take several steps of K at once, `Together` of them lie side
// by side in each column: [k / Together][columns][Together], with zeros behind
// the innermost dimension of K up to a multiple of `Together`, or of `Align`.
// Where columns are used in `Parts` equal parts together, a panel has
// PanelColumns of each, side by side: [k][part][columns].
//
// Weights are packed once, when a model is compiled; what a `.lim` says about a
// packed constant is this layout as text, from which the plain weights can be
// recovered. Free of LLVM: the compiler packs, tools unpack.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_SUPPORT_PANELLAYOUT_H
#define LIMOSA_SUPPORT_PANELLAYOUT_H

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace limosa {

/// Which elements of a constant make up the panels. Dimensions are given by
/// extent and stride in the constant's memory, so that a weight may be read
/// through transposes, reshapes and slices. A value type.
struct PanelLayout {
  struct Dim {
    int64_t Extent = 0, Stride = 0;
  };
  int64_t PanelColumns = 0;
  int64_t Lanes = 0;
  /// The columns are split into this many groups, each of which is packed by
  /// itself.
  int64_t Groups = 1;
  int64_t Together = 1;
  int64_t Align = 1;  ///< 1, or a multiple of Together
  int64_t Parts = 1;  ///< of a group's columns
  int64_t Offset = 0; ///< of the first element
  /// Outermost first.
  std::vector<Dim> Batch, K, Columns;

  /// "panel nr=32 vl=16 g=1 o=0 b= k=3:3,3:1,64:9 n=64:576"
  std::string toString() const;
  /// The inverse; nullopt for anything else, and for layouts that no constant
  /// can have.
  static std::optional<PanelLayout> parse(std::string_view Text);

  int64_t columns() const; ///< of one part of a group
  int64_t depth() const;   ///< product of K, the innermost one padded
  /// What the innermost dimension of K is padded to a multiple of.
  int64_t padding() const { return Align > Together ? Align : Together; }
  int64_t batch() const; ///< without groups
  /// Elements of one group: depth * Parts * columns rounded up to Lanes.
  int64_t groupElements() const;

  /// The packed bytes of a constant whose elements have `ElementBytes` (1, 2, 4
  /// or 8). Nullopt if the layout reaches outside of `Plain`.
  std::optional<std::vector<uint8_t>>
  pack(unsigned ElementBytes, std::span<const uint8_t> Plain) const;

  /// The plain bytes, `PlainBytes` of them, of a packed constant; elements that
  /// the layout does not name are zero. Nullopt if the sizes do not fit.
  std::optional<std::vector<uint8_t>>
  unpack(unsigned ElementBytes, size_t PlainBytes,
         std::span<const uint8_t> Packed) const;
};

} // namespace limosa

#endif // LIMOSA_SUPPORT_PANELLAYOUT_H
