//===- Tensors.h - ONNX tensors and element types ---------------*- C++ -*-===//

#ifndef LIMOSA_LIB_FRONTEND_ONNX_TENSORS_H
#define LIMOSA_LIB_FRONTEND_ONNX_TENSORS_H

#include "ModelFile.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"

namespace limosa::onnximport {

/// The element type of an onnx::TensorProto::DataType; null for strings,
/// complex numbers and numbers that ONNX does not define.
mlir::Type elementType(mlir::MLIRContext *Ctx, int64_t DataType);
/// Whether Limosa has no such element type, so that another one carries it: a
/// byte for 2-bit integers and for float8e8m0 (its bits). Operators that know
/// of it say so in the table; Tensor::Type has the type itself, values and
/// constants that of the carrier.
bool isCarried(mlir::Type ElementType);
/// The type that carries another; itself if it needs none.
mlir::Type carrierOf(mlir::Type ElementType);

/// "float", "string" ...; for messages.
std::string dataTypeName(int64_t DataType);
/// The reverse, as ONNX numbers it.
std::string typeName(mlir::Type ElementType);

/// The value of a tensor. Small ones are dense elements, large ones resources
/// that refer to the file's memory, which they keep alive.
llvm::Expected<mlir::ElementsAttr> readTensor(mlir::MLIRContext *Ctx,
                                              std::shared_ptr<ModelFile> File,
                                              const onnx::TensorProto &T);
/// A sparse tensor made dense.
llvm::Expected<mlir::ElementsAttr>
readSparseTensor(mlir::MLIRContext *Ctx, std::shared_ptr<ModelFile> File,
                 const onnx::SparseTensorProto &T);

/// The bytes of a constant as stored (bool: one byte each), if they are there
/// in memory order. A splat is one element.
struct RawElements {
  llvm::ArrayRef<char> Bytes;
  bool Splat = false;
};
std::optional<RawElements> rawElements(mlir::ElementsAttr A);

/// A constant of bytes as one of type `Type`, whose elements they hold (4-bit
/// ones two a byte, the lower first); null for a splat. Large ones share the
/// memory.
mlir::ElementsAttr bytesAs(mlir::ElementsAttr Bytes,
                           mlir::RankedTensorType Type);

} // namespace limosa::onnximport

#endif // LIMOSA_LIB_FRONTEND_ONNX_TENSORS_H
