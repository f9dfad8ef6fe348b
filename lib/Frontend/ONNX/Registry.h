//===- Registry.h - The table of ONNX operators -----------------*- C++ -*-===//
//
// One row per operator and version at which its meaning or its types change for
// Limosa: the row with the greatest since_version not above the model's opset
// is the one that handles a node. Adding an operator is adding a row in the
// file of its family.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_LIB_FRONTEND_ONNX_REGISTRY_H
#define LIMOSA_LIB_FRONTEND_ONNX_REGISTRY_H

#include "Node.h"

namespace limosa::onnximport {

/// Classes of element types, for the first input.
enum Accept : uint8_t {
  Floats = 1,
  SignedInts = 2,
  UnsignedInts = 4,
  Bools = 8,
  StorageTypes = 16, ///< fp8 and 4-bit
  Integers = SignedInts | UnsignedInts,
  Numbers = Floats | Integers,
  Computes = Numbers | Bools,
  AnyType = Computes | StorageTypes,
  Sequences = 32,    ///< Inputs may be sequences.
  CarriedTypes = 64, ///< 2-bit integers and float8e8m0, which others carry
  Strings = 128,
  AnyOrString = AnyType | Strings
};

/// The domain of operators that others are made of: only nodes that the
/// importer makes can name it.
inline constexpr llvm::StringLiteral InternalDomain = "limosa.later";

struct OpEntry {
  llvm::StringLiteral Domain; ///< "" is ai.onnx
  llvm::StringLiteral Op;
  int64_t Since;
  int MinInputs; ///< Inputs 0 .. MinInputs - 1 must be given.
  int MaxInputs; ///< -1: any number
  uint8_t Types; ///< Accept bits of input 0
  LogicalResult (*Handle)(Node &);
  /// Bit K: input K, which is not the first, may hold strings; bit 7 speaks for
  /// all from there on.
  uint8_t MoreStrings = 0;
};

/// The class of an element type.
uint8_t typeClass(Type ElementType);
/// The row for an operator at an opset version; null if there is none.
const OpEntry *findOp(StringRef Domain, StringRef Op, int64_t Opset);
/// The lowest since_version in the table, for "needs opset N or later".
std::optional<int64_t> lowestVersion(StringRef Domain, StringRef Op);
/// Operators that are done in one way: by kernels, by the program's control
/// flow, or while importing.
struct OpFamily {
  llvm::ArrayRef<OpEntry> Ops;
  llvm::StringLiteral Executor = "kernel";
};
llvm::ArrayRef<OpFamily> allOps();

// The families.
llvm::ArrayRef<OpEntry> elementwiseOps();
llvm::ArrayRef<OpEntry> activationOps();
llvm::ArrayRef<OpEntry> shapeOps();
llvm::ArrayRef<OpEntry> dataOps();
llvm::ArrayRef<OpEntry> gatherOps();
llvm::ArrayRef<OpEntry> matmulOps();
llvm::ArrayRef<OpEntry> convOps();
llvm::ArrayRef<OpEntry> poolOps();
llvm::ArrayRef<OpEntry> normOps();
llvm::ArrayRef<OpEntry> reduceOps();
llvm::ArrayRef<OpEntry> recurrentOps();
llvm::ArrayRef<OpEntry> resizeOps();
llvm::ArrayRef<OpEntry> gridOps();
llvm::ArrayRef<OpEntry> fourierOps();
llvm::ArrayRef<OpEntry> controlOps();
llvm::ArrayRef<OpEntry> quantizeOps();
llvm::ArrayRef<OpEntry> attentionOps();
llvm::ArrayRef<OpEntry> randomOps();
llvm::ArrayRef<OpEntry> sequenceOps();
llvm::ArrayRef<OpEntry> selectOps();
llvm::ArrayRef<OpEntry> quantizeContribOps();
llvm::ArrayRef<OpEntry> transformerOps();
llvm::ArrayRef<OpEntry> groupQueryOps();
llvm::ArrayRef<OpEntry> treeOps();
llvm::ArrayRef<OpEntry> machineLearningOps();
llvm::ArrayRef<OpEntry> tfIdfOps();
llvm::ArrayRef<OpEntry> castOps();
llvm::ArrayRef<OpEntry> lossOps();
llvm::ArrayRef<OpEntry> stateSpaceOps();
llvm::ArrayRef<OpEntry> flexAttentionOps();
llvm::ArrayRef<OpEntry> detectionOps();
llvm::ArrayRef<OpEntry> deformConvOps();
llvm::ArrayRef<OpEntry> linearAlgebraOps();
llvm::ArrayRef<OpEntry> hostOps();
llvm::ArrayRef<OpEntry> labelOps();
llvm::ArrayRef<OpEntry> supportVectorOps();

} // namespace limosa::onnximport

#endif // LIMOSA_LIB_FRONTEND_ONNX_REGISTRY_H
