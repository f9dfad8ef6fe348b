//===- TileProducts.cpp - Products of bf16 in AMX tiles -------------------===//

#include "TileProducts.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace limosa::codegen {

constexpr unsigned FirstOfA = 4, FirstOfB = 6;
constexpr int64_t Together = 2, SumBytes = 4, ElementBytes = 2;

bool hasTiles(StringRef Isa) { return Isa.contains("+amx"); }

int64_t tileStep(int64_t Run, int64_t Least) {
  for (int64_t Step = TileProducts::MaxStep; Step >= Least; Step -= Together)
    if (Run % Step == 0)
      return Step;
  return 0;
}

int64_t tileRows(std::optional<int64_t> Rows) {
  constexpr int64_t Max = TileProducts::MaxRows;
  if (!Rows || *Rows <= 0)
    return Max;
  return llvm::divideCeil(*Rows, llvm::divideCeil(*Rows, Max));
}

TileProducts::TileProducts(KernelBuilder &KB, int64_t Rows, int64_t Step)
    : KB(KB), Rows(Rows), Step(Step) {
  OpBuilder &B = KB.builder();
  Shapes = KB.scratch(64, B.getI8Type());
  Sums = KB.scratch(2 * MaxRows * 2 * Lanes, B.getF32Type());
}

Value TileProducts::address(Value Memory, Value Offset) {
  OpBuilder &B = KB.builder();
  auto Cast = Memory.getDefiningOp<UnrealizedConversionCastOp>();
  auto Ptr = LLVM::LLVMPointerType::get(B.getContext());
  Value At = arith::IndexCastOp::create(B, KB.loc(), B.getI64Type(), Offset);
  return LLVM::GEPOp::create(
      B, KB.loc(), Ptr, cast<MemRefType>(Memory.getType()).getElementType(),
      Cast.getOperand(0), ArrayRef<LLVM::GEPArg>{At});
}

Value TileProducts::bytes(Value Elements, int64_t Size) {
  OpBuilder &B = KB.builder();
  Value Bytes = KB.math().mul(Elements, KB.constant(Size));
  return arith::IndexCastOp::create(B, KB.loc(), B.getI64Type(), Bytes);
}

void TileProducts::call(StringRef Name, ValueRange Args) {
  OpBuilder &B = KB.builder();
  LLVM::CallIntrinsicOp::create(B, KB.loc(), B.getStringAttr(Name), Args);
}

Value TileProducts::tile(unsigned Number) {
  OpBuilder &B = KB.builder();
  return LLVM::ConstantOp::create(B, KB.loc(), B.getI8Type(),
                                  B.getI8IntegerAttr(Number));
}

/// Palette 1: bytes of rows (16 bits each) from byte 16 on, numbers of rows
/// from byte 48 on.
void TileProducts::configure(Value RowCount) {
  OpBuilder &B = KB.builder();
  std::optional<int64_t> Known = IndexMath::constantOf(RowCount);
  SmallVector<int8_t> Shape(64, 0);
  Shape[0] = 1;
  constexpr unsigned Tiles = 8;
  for (unsigned T = 0; T < Tiles; ++T) {
    bool IsA = T >= FirstOfA && T < FirstOfB, IsB = T >= FirstOfB;
    Shape[16 + 2 * T] = IsA ? ElementBytes * Step : SumBytes * Lanes;
    Shape[48 + T] = IsB ? Step / Together : Known.value_or(0);
  }
  Value Zero = KB.constant(0);
  auto Ty = VectorType::get({64}, B.getI8Type());
  Value Bytes = arith::ConstantOp::create(
      B, KB.loc(), DenseElementsAttr::get(Ty, ArrayRef<int8_t>(Shape)));
  vector::StoreOp::create(B, KB.loc(), Bytes, Shapes, Zero);
  if (!Known) {
    Value Byte =
        arith::IndexCastOp::create(B, KB.loc(), B.getI8Type(), RowCount);
    for (unsigned T = 0; T < FirstOfB; ++T)
      memref::StoreOp::create(B, KB.loc(), Byte, Shapes, KB.constant(48 + T));
  }
  call("llvm.x86.ldtilecfg", address(Shapes, Zero));
}

void TileProducts::release() { call("llvm.x86.tilerelease", {}); }

void TileProducts::forRows(
    Value Begin, Value End,
    llvm::function_ref<void(Value, unsigned, Value)> Body) {
  IndexMath &M = KB.math();
  Value Height = KB.constant(Rows), Pair = KB.constant(2 * Rows);
  Value Pairs = M.add(Begin, M.mul(M.divU(M.sub(End, Begin), Pair), Pair));
  configure(Height);
  KB.forLoop(Begin, Pairs, 2 * Rows, [&](Value Row) { Body(Row, 2, Pair); });
  KB.forLoop(Pairs, End, Rows, [&](Value Row) {
    Value Left = M.min(M.sub(End, Row), Height);
    configure(Left);
    Body(Row, 1, Left);
  });
}

void TileProducts::multiply(const Product &P) {
  unsigned Tiles = P.OffsetsA.size();
  for (unsigned T = 0; T < Tiles; ++T)
    for (unsigned V = 0; V < P.Vectors; ++V)
      call("llvm.x86.tilezero", tile(2 * T + V));
  emitLoops(P, 0, P.OffsetsA, P.OffsetB);
  Value Stride = bytes(KB.constant(P.Vectors * Lanes), SumBytes);
  for (unsigned T = 0; T < Tiles; ++T)
    for (unsigned V = 0; V < P.Vectors; ++V)
      call(
          "llvm.x86.tilestored64",
          {tile(2 * T + V),
           address(Sums, KB.constant(T * Rows * P.Vectors * Lanes + V * Lanes)),
           Stride});
}

SmallVector<Value> TileProducts::sums(Value Row, unsigned Vectors) {
  OpBuilder &B = KB.builder();
  IndexMath &M = KB.math();
  auto Ty = VectorType::get({Lanes}, B.getF32Type());
  Value At = M.mul(Row, KB.constant(Vectors * Lanes));
  SmallVector<Value> Out;
  for (unsigned V = 0; V < Vectors; ++V)
    Out.push_back(vector::LoadOp::create(B, KB.loc(), Ty, Sums,
                                         M.add(At, KB.constant(V * Lanes))));
  return Out;
}

void TileProducts::emitLoops(const Product &P, unsigned Level,
                             ArrayRef<Value> OffsetsA, Value OffsetB) {
  OpBuilder &B = KB.builder();
  IndexMath &M = KB.math();
  const ReductionLoop &L = P.Loops[Level];
  bool Innermost = Level + 1 == P.Loops.size();
  auto ValueOf = [&](OpFoldResult V) {
    return getValueOrCreateConstantIndexOp(B, KB.loc(), V);
  };
  KB.forLoop(KB.constant(0), ValueOf(L.Extent), Innermost ? Step / Together : 1,
             [&](Value I) {
               Value StepA = M.mul(I, ValueOf(L.StrideA));
               SmallVector<Value> NextA;
               for (Value Offset : OffsetsA)
                 NextA.push_back(M.add(Offset, StepA));
               Value NextB = M.add(OffsetB, M.mul(I, ValueOf(L.StrideB)));
               if (Innermost)
                 emitStep(P, NextA, NextB);
               else
                 emitLoops(P, Level + 1, NextA, NextB);
             });
}

void TileProducts::emitStep(const Product &P, ArrayRef<Value> OffsetsA,
                            Value OffsetB) {
  IndexMath &M = KB.math();
  Value StrideA = bytes(P.RowStrideA, ElementBytes);
  Value StrideB =
      bytes(KB.constant(P.Vectors * Lanes * Together), ElementBytes);
  for (unsigned V = 0; V < P.Vectors; ++V)
    call("llvm.x86.tileloadd64",
         {tile(FirstOfB + V),
          address(P.B, M.add(OffsetB, KB.constant(V * Lanes * Together))),
          StrideB});
  for (auto [T, Offset] : llvm::enumerate(OffsetsA)) {
    call("llvm.x86.tileloadd64",
         {tile(FirstOfA + T), address(P.A, Offset), StrideA});
    for (unsigned V = 0; V < P.Vectors; ++V)
      call("llvm.x86.tdpbf16ps",
           {tile(2 * T + V), tile(FirstOfA + T), tile(FirstOfB + V)});
  }
}

} // namespace limosa::codegen
