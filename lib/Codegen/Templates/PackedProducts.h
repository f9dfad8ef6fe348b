//===- PackedProducts.h - Several narrow products in each lane --*- C++ -*-===//
//
// What the micro-kernel does with narrow operands, several steps of K at once:
// each lane of i32 adds up four products of an unsigned and a signed byte,
// without saturation on the way; each lane of f32 adds up two products of bf16.
// The elements of a lane fill 32 bits.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_CODEGEN_TEMPLATES_PACKEDPRODUCTS_H
#define LIMOSA_CODEGEN_TEMPLATES_PACKEDPRODUCTS_H

#include "limosa/Codegen/MicroKernel.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Value.h"

namespace limosa::codegen {

/// How many elements a product of these operand types takes together: 4 if one
/// is of unsigned bytes, the other of signed ones, and the sum an i32; 2 if
/// both are bf16 and the sum is an f32; otherwise 1.
unsigned elementsTogether(mlir::Type A, mlir::Type B, mlir::Type AccType);

/// What panels and copies of such elements are stored as: i8 or i16.
mlir::Type packedType(mlir::MLIRContext *Context, unsigned Together);

/// The 32 bits at `Offset` of a memref of packedType, in each of `Lanes` lanes.
mlir::Value splatPacked(mlir::OpBuilder &B, mlir::Location Loc,
                        mlir::Value Memory, mlir::Value Offset, unsigned Lanes);

/// Acc + the products of `L` and `R`, vectors of packedType. Of bytes `L` are
/// the unsigned ones. `Native`: by vpdpbusd or vdpbf16ps. Otherwise bytes are
/// multiplied as two halves by vpmaddwd (vpmaddubsw would saturate), and pairs
/// of bf16 are widened. vdpbf16ps takes denormals for zeros, and gives zeros
/// for them.
mlir::Value addPackedProducts(mlir::OpBuilder &B, mlir::Location Loc,
                              mlir::Value Acc, mlir::Value L, mlir::Value R,
                              bool Native);

} // namespace limosa::codegen

#endif // LIMOSA_CODEGEN_TEMPLATES_PACKEDPRODUCTS_H
