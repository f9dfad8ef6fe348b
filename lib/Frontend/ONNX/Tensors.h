//===- Tensors.h - ONNX tensors and element types -------------------*- C++
//-*-===//

#ifndef LIMOSA_LIB_FRONTEND_ONNX_TENSORS_H
#define LIMOSA_LIB_FRONTEND_ONNX_TENSORS_H

#include "ModelFile.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"

namespace limosa::onnximport {

/// The element type of an onnx::TensorProto::DataType; null for strings,
/// complex numbers and numbers that ONNX does not define.
mlir::Type elementType(mlir::MLIRContext *Ctx, int64_t DataType);
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

} // namespace limosa::onnximport

#endif // LIMOSA_LIB_FRONTEND_ONNX_TENSORS_H
