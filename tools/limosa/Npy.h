//===- Npy.h - NumPy's .npy and .npz files ----------------------*- C++ -*-===//
//
// Versions 1 to 3 of the format in numpy/lib/format.py, little-endian, C or
// Fortran order; .npz as zip archives of them, stored or deflated. Every length
// is checked against the bytes at hand: files may be damaged or hostile.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_TOOLS_NPY_H
#define LIMOSA_TOOLS_NPY_H

#include "HostTensor.h"
#include "limosa/Runtime/Status.h"

#include <span>

namespace limosa::tool {

using runtime::Status;

/// Parses the bytes of a .npy file. `What` names it in messages.
Status parseNpy(std::span<const uint8_t> Bytes, const std::string &What,
                HostTensor &Out);
/// The bytes of a .npy file. bfloat16 becomes float32; fp8 and 4-bit types,
/// which NumPy has no names for, are refused.
Status formatNpy(const HostTensor &Value, std::vector<uint8_t> &Out);

/// Writes an uncompressed archive.
Status writeNpz(const std::string &Path,
                const std::vector<NamedTensor> &Arrays);

/// The members of a zip archive, inflated.
Status readZip(std::span<const uint8_t> Bytes, const std::string &What,
               std::vector<std::pair<std::string, std::vector<uint8_t>>> &Out);

} // namespace limosa::tool

#endif // LIMOSA_TOOLS_NPY_H
