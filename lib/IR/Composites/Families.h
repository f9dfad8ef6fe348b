//===- Families.h - The composites, by family -------------------*- C++ -*-===//
//
// Each family is a table in a file of its own. A definition sees operands of
// the shapes and dtypes that its summary states; those who build composites
// check that.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_LIB_IR_COMPOSITES_FAMILIES_H
#define LIMOSA_LIB_IR_COMPOSITES_FAMILIES_H

#include "limosa/IR/Composites.h"

namespace limosa::composites {

using mlir::DictionaryAttr;
using mlir::Type;
using mlir::Value;
using mlir::ValueRange;
using Values = llvm::SmallVector<mlir::Value>;
using Kind = CompositeAttr::Kind;

llvm::ArrayRef<CompositeDef> activations();
llvm::ArrayRef<CompositeDef> attentions();
llvm::ArrayRef<CompositeDef> elementary();
llvm::ArrayRef<CompositeDef> norms();
llvm::ArrayRef<CompositeDef> recurrences();

/// e^x - 1 and log(1 + x), accurate near zero.
Value expm1(CoreBuilder &B, Value X);
Value log1p(CoreBuilder &B, Value X);

/// Reading a config, which the schema has been checked against.
inline int64_t intOf(DictionaryAttr C, llvm::StringRef Name, int64_t D = 0) {
  auto A = C.getAs<mlir::IntegerAttr>(Name);
  return A ? A.getInt() : D;
}
inline bool boolOf(DictionaryAttr C, llvm::StringRef Name, bool D = false) {
  auto A = C.getAs<mlir::BoolAttr>(Name);
  return A ? A.getValue() : D;
}
inline double floatOf(DictionaryAttr C, llvm::StringRef Name, double D = 0) {
  auto A = C.getAs<mlir::FloatAttr>(Name);
  return A ? A.getValueAsDouble() : D;
}
inline llvm::StringRef stringOf(DictionaryAttr C, llvm::StringRef Name,
                                llvm::StringRef D = "") {
  auto A = C.getAs<mlir::StringAttr>(Name);
  return A ? A.getValue() : D;
}
inline llvm::ArrayRef<int64_t> intsOf(DictionaryAttr C, llvm::StringRef Name) {
  auto A = C.getAs<mlir::DenseI64ArrayAttr>(Name);
  return A ? A.asArrayRef() : llvm::ArrayRef<int64_t>();
}

/// f16 and bf16 in f32, the others as they are: what statistics are made in.
inline Value widen(CoreBuilder &B, Value V) {
  Type E = mlir::getElementTypeOrSelf(V);
  return E.getIntOrFloatBitWidth() < 32 ? B.convert(V, B.builder().getF32Type())
                                        : V;
}
inline Value like(CoreBuilder &B, Value V, Value Model) {
  return B.convert(V, mlir::getElementTypeOrSelf(Model));
}

} // namespace limosa::composites

#endif // LIMOSA_LIB_IR_COMPOSITES_FAMILIES_H
