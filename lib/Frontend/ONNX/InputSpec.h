//===- InputSpec.h - What a caller knows of a model's inputs ----*- C++ -*-===//
//
// An input may leave open what compiling needs: an axis that is computed, the
// length of a sequence, whether an optional is there, a rank. The caller of the
// importer can say it, as a text (OnnxImportOptions::Inputs):
//
//   {1,-2}        the value, a scalar or vector: the input becomes a constant
//   2x?x3         the shape; "?" is not known, the empty text is a scalar
//   [2x3;4x?]     a sequence of tensors of these shapes, [] an empty one
//   none          the optional is empty
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_LIB_FRONTEND_ONNX_INPUTSPEC_H
#define LIMOSA_LIB_FRONTEND_ONNX_INPUTSPEC_H

#include "ModelFile.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "llvm/ADT/SmallVector.h"
#include <optional>

namespace limosa::onnximport {

struct InputSpec {
  enum class Kind : uint8_t { Value, Shape, List, Absent };
  using Shape = llvm::SmallVector<std::optional<int64_t>>;

  Kind K = Kind::Shape;
  llvm::SmallVector<llvm::StringRef> Elements; ///< of a value
  llvm::SmallVector<Shape> Shapes;             ///< one, or those of a list

  static llvm::Expected<InputSpec> parse(llvm::StringRef Text);
  /// The value as a tensor of what the input declares.
  llvm::Expected<mlir::ElementsAttr>
  value(mlir::MLIRContext *Ctx, const onnx::TypeProto_Tensor &Declared) const;
};

} // namespace limosa::onnximport

#endif // LIMOSA_LIB_FRONTEND_ONNX_INPUTSPEC_H
