//===- PackedConstant.cpp - Constants as kernels read them ----------------===//

#include "limosa/Support/PackedConstant.h"

#include "limosa/Support/PanelLayout.h"
#include "limosa/Support/WinogradLayout.h"

using namespace limosa;

std::optional<std::vector<uint8_t>>
limosa::packConstant(std::string_view Spec, unsigned ElementBytes,
                     std::span<const uint8_t> Plain) {
  if (auto Panels = PanelLayout::parse(Spec))
    return Panels->pack(ElementBytes, Plain);
  auto Filters = WinogradLayout::parse(Spec);
  return Filters && ElementBytes == sizeof(float) ? Filters->pack(Plain)
                                                  : std::nullopt;
}

std::optional<std::vector<uint8_t>>
limosa::unpackConstant(std::string_view Spec, unsigned ElementBytes,
                       size_t PlainBytes, std::span<const uint8_t> Packed) {
  if (auto Panels = PanelLayout::parse(Spec))
    return Panels->unpack(ElementBytes, PlainBytes, Packed);
  auto Filters = WinogradLayout::parse(Spec);
  return Filters && ElementBytes == sizeof(float)
             ? Filters->unpack(PlainBytes, Packed)
             : std::nullopt;
}
