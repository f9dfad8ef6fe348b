//===- Windows.h - Sliding windows of convolution and pooling ---*- C++ -*-===//

#ifndef LIMOSA_LIB_FRONTEND_ONNX_WINDOWS_H
#define LIMOSA_LIB_FRONTEND_ONNX_WINDOWS_H

#include "Registry.h"

namespace limosa::onnximport {

/// The attributes kernel_shape, strides, dilations and pads, checked; one entry
/// per spatial dimension.
struct Windows {
  Ints Kernel, Strides, Dilations;
  Dims Low, High;

  /// Elements that a window spans.
  int64_t extent(size_t D) const { return (Kernel[D] - 1) * Dilations[D] + 1; }
  /// Replaces the pads as auto_pad says for an input of these spatial sizes.
  LogicalResult resolveAutoPad(Node &N, llvm::ArrayRef<DimExpr> Spatial);
};

FailureOr<Windows> readWindows(Node &N, llvm::ArrayRef<int64_t> Kernel);

/// The convolution that the node's attributes describe. Padding is of zeros, or
/// of the scalar Padding.
FailureOr<Value> buildConv(Node &N, Value X, Value W, Type Result,
                           Value Padding = {});

/// The average pooling that the node's attributes describe; X has the shape of
/// input 0.
FailureOr<Value> buildAveragePool(Node &N, Value X);

} // namespace limosa::onnximport

#endif // LIMOSA_LIB_FRONTEND_ONNX_WINDOWS_H
