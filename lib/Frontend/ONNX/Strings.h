//===- Strings.h - Operators on strings and of the host ---------*- C++ -*-===//

#ifndef LIMOSA_LIB_FRONTEND_ONNX_STRINGS_H
#define LIMOSA_LIB_FRONTEND_ONNX_STRINGS_H

#include "Node.h"

namespace limosa::onnximport {

inline bool isString(Type T) { return mlir::isa<StringType>(T); }

/// A constant vector of strings.
Value stringVector(CoreBuilder &B, llvm::ArrayRef<std::string> V);
/// The elements of a constant of strings.
SmallVector<std::string> stringsOf(mlir::ElementsAttr A);
/// The strings of a tensor attribute; nothing if it is none of strings.
std::optional<SmallVector<std::string>> tensorStrings(Node &N, StringRef Name);
/// The position of each string in a list, the last of equal ones; -1 if it is
/// not there. i64.
Value stringIndex(CoreBuilder &B, Value X, llvm::ArrayRef<std::string> List);
/// Numbers that order strings as their bytes do. i64.
Value stringRank(Node &N, Value X);
/// Casts from and to strings.
FailureOr<Value> castString(Node &N, Value X, Type To);
/// A call of an operator of the host libraries (host/). `Found` are the bare
/// symbols of the results that the call gives a value.
SmallVector<Value> hostCall(Node &N, StringRef Op, ValueRange Inputs,
                            llvm::ArrayRef<Type> Results,
                            llvm::ArrayRef<mlir::NamedAttribute> Config = {},
                            llvm::ArrayRef<DimExpr> Found = {});

} // namespace limosa::onnximport

#endif // LIMOSA_LIB_FRONTEND_ONNX_STRINGS_H
