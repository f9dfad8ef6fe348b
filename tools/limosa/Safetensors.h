//===- Safetensors.h - Files of named tensors -------------------*- C++ -*-===//
//
// The format of huggingface/safetensors (README, "Format"): eight bytes with
// the length of a JSON header, the header, and the tensors' bytes without
// holes. Every length is checked against the bytes at hand.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_TOOLS_SAFETENSORS_H
#define LIMOSA_TOOLS_SAFETENSORS_H

#include "HostTensor.h"

#include <span>

namespace limosa::tool {

/// Parses the bytes of a .safetensors file, in the order of the data. `What`
/// names it in messages. Nothing is added to `Out` after an error.
runtime::Status parseSafetensors(std::span<const uint8_t> Bytes,
                                 const std::string &What,
                                 std::vector<NamedTensor> &Out);
/// The bytes of a file with these tensors.
runtime::Status formatSafetensors(const std::vector<NamedTensor> &Tensors,
                                  std::vector<uint8_t> &Out);

} // namespace limosa::tool

#endif // LIMOSA_TOOLS_SAFETENSORS_H
