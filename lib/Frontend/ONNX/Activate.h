//===- Activate.h - Activations that other operators end in -----*- C++ -*-===//

#ifndef LIMOSA_LIB_FRONTEND_ONNX_ACTIVATE_H
#define LIMOSA_LIB_FRONTEND_ONNX_ACTIVATE_H

#include "Node.h"

namespace limosa::onnximport {

/// The activation that onnxruntime fuses into a convolution or product, by its
/// name and parameters; "" is none.
FailureOr<Value> activate(Node &N, Value X, StringRef Name,
                          llvm::ArrayRef<double> Parameters);

} // namespace limosa::onnximport

#endif // LIMOSA_LIB_FRONTEND_ONNX_ACTIVATE_H
