//===- ByteProducts.cpp - Four products of bytes in each lane -------------===//

#include "ByteProducts.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace limosa::codegen {

unsigned elementsTogether(Type A, Type B, Type AccType) {
  auto IsByte = [](Type T) {
    return isa<IntegerType>(T) && T.getIntOrFloatBitWidth() == 8;
  };
  bool Mixed = A.isUnsignedInteger() != B.isUnsignedInteger();
  return IsByte(A) && IsByte(B) && Mixed && AccType.isSignlessInteger(32)
             ? BytesTogether
             : 1;
}

static VectorType vectorOf(unsigned Lanes, Type Element) {
  return VectorType::get({int64_t(Lanes)}, Element);
}

Value splatBytes(OpBuilder &B, Location Loc, Value Memory, Value Offset,
                 unsigned Lanes) {
  Value Four = vector::LoadOp::create(
      B, Loc, vectorOf(BytesTogether, B.getI8Type()), Memory, Offset);
  Four = vector::BitCastOp::create(B, Loc, vectorOf(1, B.getI32Type()), Four);
  Value Word = vector::ExtractOp::create(B, Loc, Four, ArrayRef<int64_t>{0});
  Value Splat = vector::BroadcastOp::create(
      B, Loc, vectorOf(Lanes, B.getI32Type()), Word);
  return vector::BitCastOp::create(
      B, Loc, vectorOf(Lanes * BytesTogether, B.getI8Type()), Splat);
}

static Value call(OpBuilder &B, Location Loc, StringRef Name, Type Result,
                  ValueRange Args) {
  return LLVM::CallIntrinsicOp::create(B, Loc, Result, B.getStringAttr(Name),
                                       Args)
      .getResult(0);
}

Value addByteProducts(OpBuilder &B, Location Loc, Value Acc, Value Unsigned,
                      Value Signed, bool Vnni) {
  unsigned Lanes = cast<VectorType>(Acc.getType()).getDimSize(0);
  auto pick = [&](StringRef Of512, StringRef Of256, StringRef Of128) {
    return Lanes == 16 ? Of512 : Lanes == 8 ? Of256 : Of128;
  };
  if (Vnni)
    return call(B, Loc,
                pick("llvm.x86.avx512.vpdpbusd.512",
                     "llvm.x86.avx512.vpdpbusd.256",
                     "llvm.x86.avx512.vpdpbusd.128"),
                Acc.getType(), {Acc, Unsigned, Signed});
  // Bytes of even and of odd places, as 16-bit numbers.
  auto Half = vectorOf(2 * Lanes, B.getI16Type());
  Value Eight = arith::ConstantOp::create(
      B, Loc, DenseElementsAttr::get(Half, B.getI16IntegerAttr(8)));
  Value Low = arith::ConstantOp::create(
      B, Loc, DenseElementsAttr::get(Half, B.getI16IntegerAttr(255)));
  Value U = vector::BitCastOp::create(B, Loc, Half, Unsigned);
  Value S = vector::BitCastOp::create(B, Loc, Half, Signed);
  Value Even = arith::ShLIOp::create(B, Loc, S, Eight);
  std::pair<Value, Value> Halves[] = {
      {arith::AndIOp::create(B, Loc, U, Low),
       arith::ShRSIOp::create(B, Loc, Even, Eight)},
      {arith::ShRUIOp::create(B, Loc, U, Eight),
       arith::ShRSIOp::create(B, Loc, S, Eight)}};
  for (auto [L, R] : Halves)
    Acc = arith::AddIOp::create(
        B, Loc, Acc,
        call(B, Loc,
             pick("llvm.x86.avx512.pmaddw.d.512", "llvm.x86.avx2.pmadd.wd",
                  "llvm.x86.sse2.pmadd.wd"),
             Acc.getType(), {L, R}));
  return Acc;
}

} // namespace limosa::codegen
