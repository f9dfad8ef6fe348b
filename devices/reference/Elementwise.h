//===- Elementwise.h - Loops over elements, by op and dtype -----*- C++ -*-===//
//
// The meaning of the 27 elementwise core ops on arrays. Whole tensors and the
// lanes of region programs both run these loops.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_REFERENCE_ELEMENTWISE_H
#define LIMOSA_REFERENCE_ELEMENTWISE_H

#include "limosa/Support/DType.h"

#include <cstdint>
#include <string_view>

namespace limosa::reference {

/// Result[i] = op(Operands[0][i], ..) for i in [0, N). Arrays have the
/// interpreter's element sizes and may not overlap.
using ElementLoop = void (*)(const void *const *Operands, void *Result,
                             int64_t N);

/// Unary and binary ops with one dtype for operands and result; null if the op
/// is not one or not defined for the dtype.
ElementLoop findUnary(std::string_view Op, DType T);
ElementLoop findBinary(std::string_view Op, DType T);
/// `Direction` is eq, ne, lt, le, gt or ge.
ElementLoop findCompare(std::string_view Direction, DType T);
/// By the size of the elements chosen between.
ElementLoop findSelect(DType T);

/// Conversion by value between any two dtypes.
void convertElements(DType From, const void *In, DType To, void *Out,
                     int64_t N);

} // namespace limosa::reference

#endif // LIMOSA_REFERENCE_ELEMENTWISE_H
