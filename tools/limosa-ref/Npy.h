//===- Npy.h - numpy's array files for the interpreter ----------*- C++ -*-===//

#ifndef LIMOSA_TOOLS_LIMOSA_REF_NPY_H
#define LIMOSA_TOOLS_LIMOSA_REF_NPY_H

#include "limosa/Reference/Status.h"
#include "limosa/Reference/Tensor.h"

#include <string>

namespace limosa::reference {

/// Reads a row-major .npy file as a tensor of dtype `T`, whose elements must be
/// as wide as the file's (bf16 and fp8 come as unsigned integers, 4-bit
/// elements a byte each).
Status readNpy(const std::string &Path, DType T, Tensor &Out);
Status writeNpy(const std::string &Path, const Tensor &T);

} // namespace limosa::reference

#endif // LIMOSA_TOOLS_LIMOSA_REF_NPY_H
