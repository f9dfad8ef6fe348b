//===- Arrays.h - Files of arrays, whatever their format --------*- C++ -*-===//

#ifndef LIMOSA_TOOLS_ARRAYS_H
#define LIMOSA_TOOLS_ARRAYS_H

#include "HostTensor.h"

namespace limosa::tool {

/// Reads all arrays of a .npz or .safetensors file, or the one of a .npy or
/// .json file (named "").
runtime::Status readArrays(const std::string &Path,
                           std::vector<NamedTensor> &Out);
/// Writes arrays in the format that the name ends in, .npz if in none. A .npy
/// file takes one.
runtime::Status writeArrays(const std::string &Path,
                            const std::vector<NamedTensor> &Arrays);

} // namespace limosa::tool

#endif // LIMOSA_TOOLS_ARRAYS_H
