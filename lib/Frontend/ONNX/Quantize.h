//===- Quantize.h - Shared by operators on quantised tensors ----*- C++ -*-===//

#ifndef LIMOSA_LIB_FRONTEND_ONNX_QUANTIZE_H
#define LIMOSA_LIB_FRONTEND_ONNX_QUANTIZE_H

#include "Node.h"

namespace limosa::onnximport {

inline bool isByte(Type T) {
  return mlir::isa<mlir::IntegerType>(T) && T.getIntOrFloatBitWidth() == 8;
}

/// Rounded and moved by a zero point (null: none), as the integer (or fp8) type
/// To. What is out of range saturates.
Value saturate(Node &N, Value X, Value ZeroPoint, Type To);

/// A tensor of 8-bit integers and its zero point: of the same type, a scalar or
/// a vector along Axis; null: none.
struct Bytes {
  Value V, ZeroPoint;
  int64_t Axis = -1;
};
/// numpy.matmul of (l - zero point)(r - zero point), exactly, as i32. The bytes
/// themselves are multiplied; what the zero points add is taken off after it.
FailureOr<Value> integerMatmul(Node &N, Bytes L, Bytes R);
/// The convolution of (x - zero point)(w - zero point), exactly, as i32, with
/// the attributes of the node. The filter's zero points may be a vector over
/// its outputs.
FailureOr<Value> integerConv(Node &N, Bytes X, Bytes W);
/// Y as floats, times two scales, through Over (null: 1). A scale is one
/// element or a vector over the axis. Those of one element are multiplied into
/// others before they are spread over Y.
FailureOr<Value> scaled(Node &N, Value Y, Value A, int64_t AxisA, Value B,
                        int64_t AxisB, Value Over = {});
/// The float product of a MatMul or Gemm whose inputs were dequantised from
/// bytes, made from the bytes; null if they were not, or if that gains nothing.
FailureOr<Value> quantisedMatmul(Node &N, bool TransB);
/// The same for a Conv, without its bias.
FailureOr<Value> quantisedConv(Node &N);
/// Input K with zero point input Point, which need not be given.
FailureOr<Bytes> bytesOf(Node &N, unsigned K, unsigned Point, int64_t Axis);

/// X quantised to u8 by its own range: values, scale and zero point.
std::array<Value, 3> quantizeByRange(Node &N, Value X);

/// V as f32, with scale and zero point inputs (scalars).
FailureOr<Value> dequantized(Node &N, unsigned K, unsigned Scale,
                             unsigned Point);
/// Output 0: X as the type of input Point, by scale and zero point inputs.
LogicalResult requantized(Node &N, Value X, unsigned Scale, unsigned Point,
                          Type To);

} // namespace limosa::onnximport

#endif // LIMOSA_LIB_FRONTEND_ONNX_QUANTIZE_H
