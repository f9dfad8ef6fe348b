//===- Casts.h - Conversions that convert alone does not do -----*- C++ -*-===//

#ifndef LIMOSA_LIB_FRONTEND_ONNX_CASTS_H
#define LIMOSA_LIB_FRONTEND_ONNX_CASTS_H

#include "Node.h"

namespace limosa::onnximport {

/// V as an 8-bit float type; what is too large becomes infinite, or NaN where
/// the type has no infinity. (`convert` gives the largest number instead.)
Value convertUnsaturated(CoreBuilder &B, Value V, Type To);

} // namespace limosa::onnximport

#endif // LIMOSA_LIB_FRONTEND_ONNX_CASTS_H
