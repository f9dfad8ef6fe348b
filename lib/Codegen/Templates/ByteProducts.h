//===- ByteProducts.h - Four products of bytes in each lane ---------*- C++
//-*-===//
//
// What the micro-kernel does with 8-bit operands: each lane of i32 adds up four
// products of an unsigned and a signed byte, without saturation on the way.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_CODEGEN_TEMPLATES_BYTEPRODUCTS_H
#define LIMOSA_CODEGEN_TEMPLATES_BYTEPRODUCTS_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/Value.h"

namespace limosa::codegen {

/// Bytes that a lane takes at once.
constexpr unsigned BytesTogether = 4;

/// How many elements a product of these operand types takes together: 4 if one
/// is of unsigned bytes, the other of signed ones, and the sum an i32.
unsigned elementsTogether(mlir::Type A, mlir::Type B, mlir::Type AccType);

/// The four bytes at `Offset` of a memref of i8, in each of `Lanes` lanes.
mlir::Value splatBytes(mlir::OpBuilder &B, mlir::Location Loc,
                       mlir::Value Memory, mlir::Value Offset, unsigned Lanes);

/// Acc + the products, by vpdpbusd if `Vnni`. (vpmaddubsw would saturate; two
/// halves by vpmaddwd do not.)
mlir::Value addByteProducts(mlir::OpBuilder &B, mlir::Location Loc,
                            mlir::Value Acc, mlir::Value Unsigned,
                            mlir::Value Signed, bool Vnni);

} // namespace limosa::codegen

#endif // LIMOSA_CODEGEN_TEMPLATES_BYTEPRODUCTS_H
