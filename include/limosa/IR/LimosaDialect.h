//===- LimosaDialect.h - The limosa dialect and its attributes --*- C++ -*-===//

#ifndef LIMOSA_IR_LIMOSADIALECT_H
#define LIMOSA_IR_LIMOSADIALECT_H

#include "limosa/IR/IterationSpace.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "limosa/IR/LimosaDialect.h.inc"
#include "limosa/IR/LimosaEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "limosa/IR/LimosaAttrs.h.inc"

#define GET_TYPEDEF_CLASSES
#include "limosa/IR/LimosaTypes.h.inc"

#include "limosa/IR/LimosaInterfaces.h.inc"

namespace limosa::OpTrait {

namespace detail {
mlir::LogicalResult verifySameShape(mlir::Operation *Op);
mlir::LogicalResult verifySameElementType(mlir::Operation *Op);
} // namespace detail

template <typename ConcreteType>
class SameShape : public mlir::OpTrait::TraitBase<ConcreteType, SameShape> {
public:
  static mlir::LogicalResult verifyTrait(mlir::Operation *Op) {
    return detail::verifySameShape(Op);
  }
};

template <typename ConcreteType>
class SameElementType
    : public mlir::OpTrait::TraitBase<ConcreteType, SameElementType> {
public:
  static mlir::LogicalResult verifyTrait(mlir::Operation *Op) {
    return detail::verifySameElementType(Op);
  }
};

} // namespace limosa::OpTrait

#endif // LIMOSA_IR_LIMOSADIALECT_H
