//===- KernelBuilderMemory.cpp - Offsets, loads and stores ----------------===//

#include "limosa/Codegen/KernelBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::codegen;
using limosa::codegen::Index;

//===----------------------------------------------------------------------===//
// Element types
//===----------------------------------------------------------------------===//

unsigned codegen::memoryBits(Type Element) {
  unsigned Bits = dtypeBits(getDType(Element));
  return Bits ? Bits : Element.getIntOrFloatBitWidth();
}

Type codegen::memoryType(Type Element) {
  MLIRContext *Ctx = Element.getContext();
  if (isa<Float32Type, Float64Type>(Element))
    return Element;
  return IntegerType::get(Ctx, std::max(8u, memoryBits(Element)));
}

Type codegen::registerType(Type Element) {
  if (Element.isInteger(1))
    return Element;
  if (isa<Float16Type, BFloat16Type>(Element))
    return Float32Type::get(Element.getContext());
  return memoryType(Element);
}

static Type withShapeOf(Value V, Type Element) {
  if (auto Vec = dyn_cast<VectorType>(V.getType()))
    return VectorType::get(Vec.getShape(), Element);
  return Element;
}

Value KernelBuilder::toRegister(Value Memory, Type Element) {
  if (Element.isInteger(1)) {
    Value Zero = splat(B.getI8IntegerAttr(0), Memory.getType());
    return arith::CmpIOp::create(B, Loc, arith::CmpIPredicate::ne, Memory,
                                 Zero);
  }
  Type Register = registerType(Element);
  if (Register == memoryType(Element))
    return Memory;
  Memory =
      arith::BitcastOp::create(B, Loc, withShapeOf(Memory, Element), Memory);
  return arith::ExtFOp::create(B, Loc, withShapeOf(Memory, Register), Memory);
}

Value KernelBuilder::toMemory(Value Register, Type Element) {
  Type Memory = memoryType(Element);
  if (Element.isInteger(1))
    return arith::ExtUIOp::create(B, Loc, withShapeOf(Register, Memory),
                                  Register);
  if (getElementTypeOrSelf(Register) == Memory)
    return Register;
  // What was read as this type, or rounded to it, is narrow already.
  Value Narrow;
  auto Widened = Register.getDefiningOp<arith::ExtFOp>();
  if (Widened && getElementTypeOrSelf(Widened.getIn()) == Element)
    Narrow = Widened.getIn();
  else
    Narrow = narrow(Register, Element);
  return arith::BitcastOp::create(B, Loc, withShapeOf(Register, Memory),
                                  Narrow);
}

Value KernelBuilder::narrow(Value V, Type Element) {
  auto Op = arith::TruncFOp::create(B, Loc, withShapeOf(V, Element), V);
  if (Element.isBF16() && FlushesDenormals)
    Op.setFastmath(arith::FastMathFlags::afn);
  return Op;
}

Value KernelBuilder::broadcast(Value V, unsigned N) {
  if (N == 0 || isa<VectorType>(V.getType()))
    return V;
  auto Ty = VectorType::get({int64_t(N)}, V.getType());
  Attribute Constant;
  if (matchPattern(V, m_Constant(&Constant)))
    return splat(Constant, Ty);
  return vector::BroadcastOp::create(B, Loc, Ty, V);
}

Value KernelBuilder::firstLanes(Value Count, unsigned N) {
  return vector::CreateMaskOp::create(
      B, Loc, VectorType::get({int64_t(N)}, B.getI1Type()), Count);
}

//===----------------------------------------------------------------------===//
// Offsets
//===----------------------------------------------------------------------===//

void KernelBuilder::splitGroup(Coords &At, unsigned G,
                               ArrayRef<unsigned> FirstOfRuns,
                               ArrayRef<DimExpr> Shape, unsigned N) {
  IndexGroup Group = std::move(At.Groups[G]);
  At.Groups.erase(At.Groups.begin() + G);
  Index Rest = Group.Linear;
  unsigned End = Group.Dims.size();
  for (unsigned First : llvm::reverse(FirstOfRuns)) {
    IndexGroup Run;
    Run.Dims.assign(Group.Dims.begin() + First, Group.Dims.begin() + End);
    End = First;
    DimExpr Extent = 1;
    for (unsigned D : Run.Dims)
      Extent = Extent * Shape[D];
    if (First == 0)
      Run.Linear = Rest;
    else
      std::tie(Rest, Run.Linear) = Math.divRem(Rest, divisor(Extent), N);
    if (Run.Dims.size() == 1)
      At.PerDim[Run.Dims[0]] = Run.Linear;
    else
      At.Groups.push_back(std::move(Run));
  }
}

void KernelBuilder::dropUnits(Coords &At, ArrayRef<DimExpr> Shape) {
  for (unsigned G = 0; G < At.Groups.size();) {
    SmallVector<unsigned, 4> Kept;
    for (unsigned D : At.Groups[G].Dims)
      if (Shape[D].isConstant(1))
        At.PerDim[D] = Math.uniform(0);
      else
        Kept.push_back(D);
    if (Kept.empty()) {
      At.Groups.erase(At.Groups.begin() + G);
      continue;
    }
    if (Kept.size() == 1) {
      At.PerDim[Kept[0]] = At.Groups[G].Linear;
      At.Groups.erase(At.Groups.begin() + G);
      continue;
    }
    At.Groups[G++].Dims = Kept;
  }
}

void KernelBuilder::materialize(Coords &At, unsigned D, ArrayRef<DimExpr> Shape,
                                unsigned N) {
  if (At.PerDim[D].isSet())
    return;
  dropUnits(At, Shape);
  for (unsigned G = 0; G < At.Groups.size(); ++G)
    if (llvm::is_contained(At.Groups[G].Dims, D)) {
      unsigned Size = At.Groups[G].Dims.size();
      splitGroup(At, G, llvm::to_vector(llvm::seq<unsigned>(0, Size)), Shape,
                 N);
      return;
    }
}

Index KernelBuilder::offset(const TensorView &View, const Coords &Original,
                            unsigned N) {
  Coords At = Original;
  dropUnits(At, View.Shape);
  // Take groups apart where the memory is not linear in them.
  for (unsigned G = 0; G < At.Groups.size();) {
    ArrayRef<unsigned> Kept = At.Groups[G].Dims;
    SmallVector<unsigned> Runs = {0};
    for (unsigned K = 1; K < Kept.size(); ++K)
      if (!(View.Strides[Kept[K - 1]] ==
            View.Shape[Kept[K]] * View.Strides[Kept[K]]))
        Runs.push_back(K);
    if (Runs.size() == 1) {
      ++G;
      continue;
    }
    splitGroup(At, G, Runs, View.Shape, N);
  }
  Index Sum = Math.uniform(0);
  auto Add = [&](const Index &I, unsigned D) {
    Sum = Math.add(Sum, Math.mul(I, dim(View.Strides[D]), N), N);
  };
  for (unsigned D = 0; D < At.rank(); ++D)
    if (At.PerDim[D].isSet() && !View.Shape[D].isConstant(1))
      Add(At.PerDim[D], D);
  for (const IndexGroup &G : At.Groups)
    Add(G.Linear, G.Dims.back());
  return Sum;
}

//===----------------------------------------------------------------------===//
// Loads and stores
//===----------------------------------------------------------------------===//

static Value zeroOf(OpBuilder &B, Location Loc, Type Ty) {
  return arith::ConstantOp::create(B, Loc, B.getZeroAttr(Ty));
}

static Value allLanes(OpBuilder &B, Location Loc, unsigned N) {
  auto Ty = VectorType::get({int64_t(N)}, B.getI1Type());
  return arith::ConstantOp::create(
      B, Loc, SplatElementsAttr::get(Ty, B.getBoolAttr(true)));
}

Value KernelBuilder::load(const TensorView &View, const Index &Offset,
                          const Lanes &L) {
  if (memoryBits(View.Element) == 4)
    return loadNibbles(View, Offset, L);
  auto Done = [&](Value Loaded) {
    if (View.ReadOnly)
      hoist(Loaded.getDefiningOp());
    return toRegister(Loaded, View.Element);
  };
  if (L.isScalar() || Offset.isUniform())
    return Done(memref::LoadOp::create(B, Loc, View.Memref, Offset.Base));
  unsigned N = L.Count;
  auto Ty = VectorType::get({int64_t(N)}, memoryType(View.Element));
  if (Offset.Stride == 1) {
    if (!L.Mask)
      return Done(vector::LoadOp::create(B, Loc, Ty, View.Memref, Offset.Base));
    return Done(vector::MaskedLoadOp::create(
        B, Loc, Ty, View.Memref, Offset.Base, L.Mask, zeroOf(B, Loc, Ty)));
  }
  if (Offset.Stride == -1 && !L.Mask) {
    Value First = Math.sub(Offset.Base, Math.constant(N - 1));
    Value Forward = vector::LoadOp::create(B, Loc, Ty, View.Memref, First);
    if (View.ReadOnly)
      hoist(Forward.getDefiningOp());
    SmallVector<int64_t> Reversed;
    for (unsigned I = 0; I < N; ++I)
      Reversed.push_back(N - 1 - I);
    return toRegister(
        vector::ShuffleOp::create(B, Loc, Forward, Forward, Reversed),
        View.Element);
  }
  Value Mask = L.Mask ? L.Mask : allLanes(B, Loc, N);
  return Done(vector::GatherOp::create(B, Loc, Ty, View.Memref, Offset.Base,
                                       Math.laneOffsets(Offset, N), Mask,
                                       zeroOf(B, Loc, Ty)));
}

/// Neighbouring nibbles, shifted into one word if they begin inside a byte.
Value KernelBuilder::loadNibbleRun(const TensorView &View, Value First,
                                   unsigned Count) {
  auto Word = B.getIntegerType(4 * Count);
  auto InWord = VectorType::get({Count / 2}, B.getI8Type());
  auto shiftLeft = [&](Value V, unsigned Bits) {
    return arith::ShLIOp::create(B, Loc, V,
                                 splat(IntegerAttr::get(Word, Bits), Word));
  };
  Value Two = Math.constant(2);
  Value Odd = Math.eq(Math.remU(First, Two), Math.constant(1));
  Value Low = vector::LoadOp::create(B, Loc, InWord, View.Memref,
                                     Math.divU(First, Two));
  // Read again where the run ends with the word, so as never to reach further.
  Value Last = Math.divU(Math.add(First, Math.constant(Count - 1)), Two);
  Value High = memref::LoadOp::create(B, Loc, View.Memref, Last);
  if (View.ReadOnly) {
    hoist(Low.getDefiningOp());
    hoist(High.getDefiningOp());
  }
  auto One = VectorType::get({1}, Word);
  Low = vector::ExtractOp::create(
      B, Loc, vector::BitCastOp::create(B, Loc, One, Low), 0);
  High = shiftLeft(arith::ExtUIOp::create(B, Loc, Word, High), 4 * Count - 4);
  Value Shifted = arith::ShRUIOp::create(
      B, Loc, Low, splat(IntegerAttr::get(Word, 4), Word));
  Shifted = arith::OrIOp::create(B, Loc, Shifted, High);
  Value Run = Math.select(Odd, Shifted, Low);
  Run = vector::BitCastOp::create(
      B, Loc, InWord, vector::BroadcastOp::create(B, Loc, One, Run));
  Value Four = splat(B.getI8IntegerAttr(4), InWord);
  // Both halves of each byte, brought down with the sign or without.
  auto down = [&](Value V) -> Value {
    if (View.Element.isSignlessInteger())
      return arith::ShRSIOp::create(B, Loc, V, Four);
    return arith::ShRUIOp::create(B, Loc, V, Four);
  };
  return vector::InterleaveOp::create(
      B, Loc, down(arith::ShLIOp::create(B, Loc, Run, Four)), down(Run));
}

Value KernelBuilder::loadNibbles(const TensorView &View, const Index &Offset,
                                 const Lanes &L) {
  if (!L.isScalar() && !L.Mask && !Offset.isUniform() && Offset.Stride == 1 &&
      (L.Count == 8 || L.Count == 16))
    return loadNibbleRun(View, Offset.Base, L.Count);
  TensorView Bytes = View;
  Bytes.Element = B.getI8Type();
  bool Scalar = L.isScalar() || Offset.isUniform();
  Value Byte, Odd;
  if (Scalar) {
    Value Two = Math.constant(2);
    Byte = load(Bytes, Math.uniform(Math.divU(Offset.Base, Two)), {});
    Odd = Math.eq(Math.remU(Offset.Base, Two), Math.constant(1));
  } else {
    Value At = Math.lanes(Offset, L.Count);
    auto I64 = B.getI64IntegerAttr(1);
    Value One = splat(I64, At.getType());
    Value Position = arith::ShRUIOp::create(B, Loc, At, One);
    Byte = load(Bytes, Index{Math.constant(0), 0, Position}, L);
    Value Bit = arith::AndIOp::create(B, Loc, At, One);
    Odd = arith::CmpIOp::create(B, Loc, arith::CmpIPredicate::eq, Bit, One);
  }
  Value Four = splat(B.getI8IntegerAttr(4), Byte.getType());
  // The wanted nibble in the high half, then down with the sign or without.
  Value High = arith::ShLIOp::create(B, Loc, Byte, Four);
  Value Top = arith::SelectOp::create(B, Loc, Odd, Byte, High);
  if (View.Element.isSignlessInteger())
    return arith::ShRSIOp::create(B, Loc, Top, Four);
  return arith::ShRUIOp::create(B, Loc, Top, Four);
}

void KernelBuilder::store(const TensorView &View, const Index &Offset, Value V,
                          const Lanes &L) {
  if (memoryBits(View.Element) == 4) {
    storeNibbles(View, Offset, V, L);
    return;
  }
  V = toMemory(V, View.Element);
  if (L.isScalar() || Offset.isUniform()) {
    if (isa<VectorType>(V.getType()))
      V = vector::ExtractOp::create(B, Loc, V, 0);
    auto Store = [&] {
      memref::StoreOp::create(B, Loc, V, View.Memref, Offset.Base);
    };
    // A mask may leave out all lanes.
    if (L.Mask)
      ifThen(vector::ExtractOp::create(B, Loc, L.Mask, 0), Store);
    else
      Store();
    return;
  }
  V = broadcast(V, L.Count);
  if (Offset.Stride == 1) {
    if (L.Mask)
      vector::MaskedStoreOp::create(B, Loc, View.Memref, Offset.Base, L.Mask,
                                    V);
    else
      vector::StoreOp::create(B, Loc, V, View.Memref, Offset.Base);
    return;
  }
  Value Mask = L.Mask ? L.Mask : allLanes(B, Loc, L.Count);
  vector::ScatterOp::create(B, Loc, Type(), View.Memref, Offset.Base,
                            Math.laneOffsets(Offset, L.Count), Mask, V);
}

/// One nibble after the other, each by reading, changing and writing its byte.
void KernelBuilder::storeNibbles(const TensorView &View, const Index &Offset,
                                 Value V, const Lanes &L) {
  if (!L.isScalar()) {
    V = broadcast(V, L.Count);
    for (unsigned I = 0; I < L.Count; ++I) {
      Value At = Offset.Base;
      if (Offset.Lanes) {
        Value Lane = vector::ExtractOp::create(B, Loc, Offset.Lanes, I);
        At = Math.add(
            At, arith::IndexCastOp::create(B, Loc, B.getIndexType(), Lane));
      } else {
        At = Math.add(At, Math.constant(I * Offset.Stride));
      }
      Value One = vector::ExtractOp::create(B, Loc, V, I);
      auto Store = [&] { storeNibbles(View, Math.uniform(At), One, {}); };
      if (L.Mask)
        ifThen(vector::ExtractOp::create(B, Loc, L.Mask, I), Store);
      else
        Store();
    }
    return;
  }
  Value Two = Math.constant(2),
        Four = splat(B.getI8IntegerAttr(4), V.getType());
  Value At = Math.divU(Offset.Base, Two);
  Value Odd = Math.eq(Math.remU(Offset.Base, Two), Math.constant(1));
  Value Low = arith::AndIOp::create(B, Loc, V,
                                    splat(B.getI8IntegerAttr(15), V.getType()));
  Value New = arith::SelectOp::create(
      B, Loc, Odd, arith::ShLIOp::create(B, Loc, Low, Four).getResult(), Low);
  Value Keep = Math.select(Odd, splat(B.getI8IntegerAttr(15), V.getType()),
                           splat(B.getI8IntegerAttr(-16), V.getType()));
  Value Old = memref::LoadOp::create(B, Loc, View.Memref, At);
  Old = arith::AndIOp::create(B, Loc, Old, Keep);
  memref::StoreOp::create(B, Loc, arith::OrIOp::create(B, Loc, Old, New),
                          View.Memref, At);
}
