//===- Known.h - Small tensors whose elements are known ---------*- C++ -*-===//
//
// Models compute shapes with ordinary tensors: Shape, Gather, Mul, Concat,
// Reshape. The importer follows such tensors element by element, each element
// an expression over the symbolic dimensions, so that shapes come out exact and
// the operators that made them need no code.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_LIB_FRONTEND_ONNX_KNOWN_H
#define LIMOSA_LIB_FRONTEND_ONNX_KNOWN_H

#include "limosa/Support/DimExpr.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "llvm/ADT/SmallVector.h"
#include <memory>
#include <optional>

namespace limosa::onnximport {

/// The exact number Num / Den, Den > 0. Integers and bools have Den 1; floats
/// that shape arithmetic makes (scale factors) may have another.
struct KnownNumber {
  DimExpr Num;
  int64_t Den = 1;

  KnownNumber() = default;
  KnownNumber(const DimExpr &Num, int64_t Den = 1);
  KnownNumber(int64_t V) : Num(V) {}

  std::optional<int64_t> constantInt() const {
    return Den == 1 ? Num.constant() : std::nullopt;
  }
};

/// At most MaxElements elements in row-major order. The dtype is the tensor's.
struct KnownTensor {
  static constexpr int64_t MaxElements = 256;
  llvm::SmallVector<int64_t> Shape;
  llvm::SmallVector<KnownNumber, 4> Elements;

  static KnownTensor scalar(const KnownNumber &V) { return {{}, {V}}; }
  static KnownTensor vector(llvm::ArrayRef<DimExpr> V);
};

using KnownRef = std::shared_ptr<const KnownTensor>;

/// The elements of a constant, if they are few and exact small numbers; null
/// otherwise.
KnownRef readKnown(mlir::ElementsAttr Constant);

/// What a node computes from known inputs. Null: not known.
struct KnownQuery {
  llvm::StringRef Op;
  int64_t Opset;
  llvm::ArrayRef<KnownRef> Inputs; ///< Null entries: input not given.
  mlir::Type InputElement;         ///< Of the first input that is given.
  mlir::Type ResultElement;        ///< Of Cast.
  /// Attributes, with the defaults to take.
  llvm::function_ref<int64_t(llvm::StringRef, int64_t)> Int;
  llvm::function_ref<std::optional<llvm::SmallVector<int64_t>>(llvm::StringRef)>
      Ints;
  llvm::function_ref<KnownRef(llvm::StringRef)> Tensor;
  /// Takes what must not be negative for the result to be right.
  llvm::function_ref<void(const DimExpr &)> RequireNonNegative;
};
/// Whether evalKnown has a rule for the operator.
bool hasKnownRule(llvm::StringRef Op);
KnownRef evalKnown(const KnownQuery &Q);

} // namespace limosa::onnximport

#endif // LIMOSA_LIB_FRONTEND_ONNX_KNOWN_H
