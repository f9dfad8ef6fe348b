//===- PackedProducts.cpp - Several narrow products in each lane ----------===//

#include "PackedProducts.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace limosa::codegen {

constexpr unsigned PackedBits = 32;

unsigned elementsTogether(Type A, Type B, Type AccType) {
  if (A.isBF16() && B.isBF16() && AccType.isF32())
    return 2;
  auto IsByte = [](Type T) {
    return isa<IntegerType>(T) && T.getIntOrFloatBitWidth() == 8;
  };
  bool Mixed = A.isUnsignedInteger() != B.isUnsignedInteger();
  return IsByte(A) && IsByte(B) && Mixed && AccType.isSignlessInteger(32) ? 4
                                                                          : 1;
}

Type packedType(MLIRContext *Context, unsigned Together) {
  return IntegerType::get(Context, PackedBits / Together);
}

bool multipliesTogether(StringRef Isa, unsigned Together) {
  return Isa.contains(Together == 2 ? "+bf16" : "+vnni");
}

RegisterFile getPackedRegisterFile(StringRef Isa, Type AccType,
                                   unsigned Together) {
  RegisterFile Regs = getRegisterFile(Isa, AccType);
  if (Together > 1 && !multipliesTogether(Isa, Together))
    Regs.Registers -= Together == 2 ? Regs.Registers / 4 + 3 : 5;
  return Regs;
}

static VectorType vectorOf(unsigned Lanes, Type Element) {
  return VectorType::get({int64_t(Lanes)}, Element);
}

Value splatPacked(OpBuilder &B, Location Loc, Value Memory, Value Offset,
                  unsigned Lanes) {
  Type Element = cast<MemRefType>(Memory.getType()).getElementType();
  unsigned Together = PackedBits / Element.getIntOrFloatBitWidth();
  Value Packed = vector::LoadOp::create(B, Loc, vectorOf(Together, Element),
                                        Memory, Offset);
  Packed =
      vector::BitCastOp::create(B, Loc, vectorOf(1, B.getI32Type()), Packed);
  Value Word = vector::ExtractOp::create(B, Loc, Packed, ArrayRef<int64_t>{0});
  Value Splat = vector::BroadcastOp::create(
      B, Loc, vectorOf(Lanes, B.getI32Type()), Word);
  return vector::BitCastOp::create(B, Loc, vectorOf(Lanes * Together, Element),
                                   Splat);
}

static Value call(OpBuilder &B, Location Loc, StringRef Name, Type Result,
                  ValueRange Args) {
  return LLVM::CallIntrinsicOp::create(B, Loc, Result, B.getStringAttr(Name),
                                       Args)
      .getResult(0);
}

/// The intrinsic for as many lanes as `Acc` has.
static StringRef pick(Value Acc, StringRef Of512, StringRef Of256,
                      StringRef Of128) {
  int64_t Lanes = cast<VectorType>(Acc.getType()).getDimSize(0);
  return Lanes == 16 ? Of512 : Lanes == 8 ? Of256 : Of128;
}

static Value addByteProducts(OpBuilder &B, Location Loc, Value Acc,
                             Value Unsigned, Value Signed, bool Native) {
  if (Native)
    return call(B, Loc,
                pick(Acc, "llvm.x86.avx512.vpdpbusd.512",
                     "llvm.x86.avx512.vpdpbusd.256",
                     "llvm.x86.avx512.vpdpbusd.128"),
                Acc.getType(), {Acc, Unsigned, Signed});
  // Bytes of even and of odd places, as 16-bit numbers.
  unsigned Lanes = cast<VectorType>(Acc.getType()).getDimSize(0);
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
             pick(Acc, "llvm.x86.avx512.pmaddw.d.512", "llvm.x86.avx2.pmadd.wd",
                  "llvm.x86.sse2.pmadd.wd"),
             Acc.getType(), {L, R}));
  return Acc;
}

static Value addPairProducts(OpBuilder &B, Location Loc, Value Acc, Value L,
                             Value R, bool Native) {
  unsigned Lanes = cast<VectorType>(Acc.getType()).getDimSize(0);
  if (Native) {
    auto Pairs = vectorOf(2 * Lanes, B.getBF16Type());
    return call(B, Loc,
                pick(Acc, "llvm.x86.avx512bf16.dpbf16ps.512",
                     "llvm.x86.avx512bf16.dpbf16ps.256",
                     "llvm.x86.avx512bf16.dpbf16ps.128"),
                Acc.getType(),
                {Acc, arith::BitcastOp::create(B, Loc, Pairs, L),
                 arith::BitcastOp::create(B, Loc, Pairs, R)});
  }
  // A bf16 is the upper half of an f32.
  auto Words = vectorOf(Lanes, B.getI32Type());
  Value Half = arith::ConstantOp::create(
      B, Loc, DenseElementsAttr::get(Words, B.getI32IntegerAttr(16)));
  Value Upper = arith::ConstantOp::create(
      B, Loc, DenseElementsAttr::get(Words, B.getI32IntegerAttr(-1 << 16)));
  auto Widen = [&](Value Pairs, bool Odd) -> Value {
    Value V = vector::BitCastOp::create(B, Loc, Words, Pairs);
    V = Odd ? arith::AndIOp::create(B, Loc, V, Upper).getResult()
            : arith::ShLIOp::create(B, Loc, V, Half).getResult();
    return arith::BitcastOp::create(B, Loc, Acc.getType(), V);
  };
  for (bool Odd : {false, true})
    Acc = vector::FMAOp::create(B, Loc, Widen(L, Odd), Widen(R, Odd), Acc);
  return Acc;
}

Value addPackedProducts(OpBuilder &B, Location Loc, Value Acc, Value L, Value R,
                        bool Native) {
  bool Floats = isa<FloatType>(getElementTypeOrSelf(Acc.getType()));
  return Floats ? addPairProducts(B, Loc, Acc, L, R, Native)
                : addByteProducts(B, Loc, Acc, L, R, Native);
}

} // namespace limosa::codegen
