//===- CopyTensor.h - Copies between physical orders ------------*- C++ -*-===//
#ifndef LIMOSA_RUNTIME_SRC_COPYTENSOR_H
#define LIMOSA_RUNTIME_SRC_COPYTENSOR_H

#include "limosa/Support/DType.h"

#include <cstdint>
#include <span>

namespace limosa::runtime {

/// Copies a dense tensor of logical dimensions `Dims` from one physical order
/// of them to another (outermost first; empty: row-major). The memory does not
/// overlap. False if a 4-bit tensor would have to be reordered.
bool copyTensor(DType Type, std::span<const int64_t> Dims, const void *Src,
                std::span<const uint8_t> SrcOrder, void *Dst,
                std::span<const uint8_t> DstOrder);

} // namespace limosa::runtime

#endif // LIMOSA_RUNTIME_SRC_COPYTENSOR_H
