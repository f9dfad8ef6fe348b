//===- Quantize.h - Shared by operators on quantised tensors ---------*- C++
//-*-===//

#ifndef LIMOSA_LIB_FRONTEND_ONNX_QUANTIZE_H
#define LIMOSA_LIB_FRONTEND_ONNX_QUANTIZE_H

#include "Node.h"

namespace limosa::onnximport {

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
