//===- SerializeCommon.h - What writing and reading agree on ----*- C++ -*-===//

#ifndef LIMOSA_LIB_IR_SERIALIZECOMMON_H
#define LIMOSA_LIB_IR_SERIALIZECOMMON_H

#include "llvm/ADT/StringRef.h"

namespace limosa {

/// String attributes that hold one dimension expression. They are written as
/// expressions, so that readers need no parser. (Arrays of strings always are
/// expressions in this dialect.)
inline bool isExpressionAttr(llvm::StringRef Op, llvm::StringRef Attr) {
  return (Op == "dim" && Attr == "expr") ||
         (Op == "assert_expr" && (Attr == "lhs" || Attr == "rhs"));
}

/// Name under which an inherent array of operand group sizes is kept.
inline constexpr llvm::StringLiteral SegmentSizesName = "operandSegmentSizes";

} // namespace limosa

#endif // LIMOSA_LIB_IR_SERIALIZECOMMON_H
