//===- Serialize.h - Functions to graph.fbs and back ------------*- C++ -*-===//
//
// The serialised form of the dialect (runtime/schema/graph.fbs). Generic over
// ops: attributes are stored by kind, so that a new op changes nothing here.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_IR_SERIALIZE_H
#define LIMOSA_IR_SERIALIZE_H

#include "limosa/Schema/graph_generated.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/Support/Error.h"

namespace limosa {

struct SerializeOptions {
  /// Constants of more bytes are an error (kernels take them as arguments).
  uint64_t MaxConstantBytes = UINT64_MAX;
  bool Locations = true;
};

/// Writes `Func` (with the composite bodies it calls) into `Builder`.
llvm::Expected<flatbuffers::Offset<fb::Graph>>
serializeGraph(flatbuffers::FlatBufferBuilder &Builder, mlir::func::FuncOp Func,
               const SerializeOptions &Options = {});

/// A finished buffer with one graph as its root.
llvm::Expected<std::vector<uint8_t>>
serializeGraph(mlir::func::FuncOp Func, const SerializeOptions &Options = {});

/// Reads a verified graph into a new module, upgrading old op versions. The
/// bytes are checked first; anything malformed is an error.
llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>>
deserializeGraph(mlir::MLIRContext &Context, llvm::ArrayRef<uint8_t> Bytes);

/// The row-major little-endian bytes of a constant: bools a byte each, 4-bit
/// elements two a byte, low nibble first.
llvm::Expected<std::vector<uint8_t>>
elementsToBytes(mlir::ElementsAttr Elements);
/// The reverse; `Bytes` must be as many as the type takes.
mlir::DenseElementsAttr bytesToElements(mlir::RankedTensorType Ty,
                                        llvm::ArrayRef<uint8_t> Bytes);

} // namespace limosa

#endif // LIMOSA_IR_SERIALIZE_H
