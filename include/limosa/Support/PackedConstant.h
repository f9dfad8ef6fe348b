//===- PackedConstant.h - Constants as kernels read them --------*- C++ -*-===//
//
// What a `.lim` says of a packed constant is a layout as text. These find the
// layout that a text names.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_SUPPORT_PACKEDCONSTANT_H
#define LIMOSA_SUPPORT_PACKEDCONSTANT_H

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace limosa {

/// The bytes of a constant of elements of `ElementBytes` in the layout that
/// `Spec` names; nullopt if there is none such or the constant does not fit it.
std::optional<std::vector<uint8_t>>
packConstant(std::string_view Spec, unsigned ElementBytes,
             std::span<const uint8_t> Plain);

/// The plain constant of `PlainBytes`, up to rounding where packing computes;
/// nullopt if the layout is unknown or the sizes do not fit.
std::optional<std::vector<uint8_t>>
unpackConstant(std::string_view Spec, unsigned ElementBytes, size_t PlainBytes,
               std::span<const uint8_t> Packed);

} // namespace limosa

#endif // LIMOSA_SUPPORT_PACKEDCONSTANT_H
