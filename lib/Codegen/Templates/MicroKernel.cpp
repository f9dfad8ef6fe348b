//===- MicroKernel.cpp - The register-tile product kernel -----------------===//

#include "limosa/Codegen/MicroKernel.h"

#include "PackedProducts.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include <algorithm>

using namespace mlir;

namespace limosa::codegen {

namespace {

class Emitter {
public:
  Emitter(OpBuilder &B, Location Loc, const MicroKernel &Kernel)
      : B(B), Loc(Loc), Kernel(Kernel),
        AccVector(VectorType::get({Kernel.Lanes}, Kernel.AccType)) {}

  SmallVector<Value> emit() {
    SmallVector<Value> Acc = Kernel.Init;
    if (Acc.empty()) {
      Value Zero = arith::ConstantOp::create(B, Loc, AccVector,
                                             B.getZeroAttr(AccVector));
      Acc.assign(Kernel.rows() * Kernel.vectors(), Zero);
    }
    return emitLoops(0, Kernel.OffsetA, Kernel.OffsetB, constant(0), Acc);
  }

private:
  /// `Done`: steps of K before this loop.
  SmallVector<Value> emitLoops(unsigned Level, Value OffsetA, Value OffsetB,
                               Value Done, ValueRange Acc) {
    const ReductionLoop &L = Kernel.Loops[Level];
    if (Level + 1 == Kernel.Loops.size())
      return emitInnermost(L, OffsetA, OffsetB, Done, Acc);
    if (isConstantIntValue(L.Extent, 1))
      return emitLoops(Level + 1, OffsetA, OffsetB, Done, Acc);
    return emitFor(
        constant(0), value(L.Extent), 1, Acc, [&](Value I, ValueRange In) {
          Value Before = Done;
          if (Kernel.Next)
            Before = arith::AddIOp::create(B, Loc, Done,
                                           multiply(I, stepsBelow(Level)));
          return emitLoops(Level + 1, advance(OffsetA, I, L.StrideA),
                           advance(OffsetB, I, L.StrideB), Before, In);
        });
  }

  /// Steps of K in one round of a loop.
  Value stepsBelow(unsigned Level) {
    Value Steps = constant(1);
    for (const ReductionLoop &L : ArrayRef(Kernel.Loops).drop_front(Level + 1))
      Steps = multiply(Steps, value(L.Extent));
    return Steps;
  }

  /// Steps of Unroll, then what is left: straight-line when that is a constant.
  SmallVector<Value> emitInnermost(const ReductionLoop &L, Value OffsetA,
                                   Value OffsetB, Value Done, ValueRange Acc) {
    unsigned Unroll = Kernel.Unroll;
    SmallVector<Value> Cur(Acc);
    auto Steps = [&](Value I, unsigned Count, ValueRange In) {
      SmallVector<Value> Out(In);
      Value BaseA = advance(OffsetA, I, L.StrideA);
      Value BaseB = advance(OffsetB, I, L.StrideB);
      if (Kernel.Next && Count == Unroll)
        fetchNext(arith::AddIOp::create(B, Loc, Done, I));
      for (unsigned S = 0; S < Count; ++S)
        Out = emitStep(L, BaseA, BaseB, S, Out);
      return Out;
    };
    std::optional<int64_t> Extent = getConstantIntValue(L.Extent);
    if (Extent && *Extent <= 2 * int64_t(Unroll))
      return Steps(constant(0), *Extent, Cur);
    if (Extent) {
      int64_t Main = *Extent / Unroll * Unroll;
      Cur =
          emitFor(constant(0), constant(Main), Unroll, Cur,
                  [&](Value I, ValueRange In) { return Steps(I, Unroll, In); });
      return Steps(constant(Main), *Extent - Main, Cur);
    }
    Value Whole = value(L.Extent);
    Value Rest = arith::RemUIOp::create(B, Loc, Whole, constant(Unroll));
    Value Main = arith::SubIOp::create(B, Loc, Whole, Rest);
    Cur = emitFor(constant(0), Main, Unroll, Cur,
                  [&](Value I, ValueRange In) { return Steps(I, Unroll, In); });
    return emitFor(Main, Whole, 1, Cur,
                   [&](Value I, ValueRange In) { return Steps(I, 1, In); });
  }

  /// The lines that belong to the `Unroll` steps from `Step` on.
  void fetchNext(Value Step) {
    constexpr int32_t SecondLevel = 2;
    int64_t Line = 64 / bytesOfB();
    Value At =
        multiply(arith::DivUIOp::create(B, Loc, Step, constant(Kernel.Unroll)),
                 constant(Line * Kernel.NextLines));
    At = arith::AddIOp::create(B, Loc, At, Kernel.Next);
    for (unsigned I = 0; I < Kernel.NextLines; ++I)
      fetch(add(At, B.getIndexAttr(I * Line)), SecondLevel);
  }

  /// Wherever that is: nothing is read but the cache may hold it then.
  void fetch(Value Offset, int32_t Locality) {
    memref::PrefetchOp::create(B, Loc, Kernel.B, Offset, /*isWrite=*/false,
                               Locality, /*isDataCache=*/true);
  }

  int64_t bytesOfB() const {
    return cast<MemRefType>(Kernel.B.getType())
               .getElementType()
               .getIntOrFloatBitWidth() /
           8;
  }

  /// One outer product: B's vectors stay in registers, A's elements are splat
  /// one by one.
  SmallVector<Value> emitStep(const ReductionLoop &L, Value BaseA, Value BaseB,
                              unsigned Step, ArrayRef<Value> Acc) {
    unsigned Vectors = Kernel.vectors();
    SmallVector<Value> VecB;
    for (unsigned V = 0; V < Vectors; ++V) {
      Value Offset = step(BaseB, L.StrideB, Step);
      VecB.push_back(loadB(add(Offset, Kernel.VectorOffsets[V]),
                           Kernel.Masks.empty() ? Value() : Kernel.Masks[V]));
    }
    if (Kernel.StepsAhead) {
      constexpr int32_t FirstLevel = 3;
      Value Ahead = step(BaseB, L.StrideB, Step + Kernel.StepsAhead);
      int64_t Line = 64 / bytesOfB();
      for (int64_t At = 0; At < int64_t(Vectors) * vectorOfB(); At += Line)
        fetch(add(Ahead, B.getIndexAttr(At)), FirstLevel);
    }
    SmallVector<Value> Out;
    for (unsigned R = 0; R < Kernel.rows(); ++R) {
      Value Offset = add(step(BaseA, L.StrideA, Step), Kernel.RowOffsets[R]);
      Value Splat = splatA(Offset);
      for (unsigned V = 0; V < Vectors; ++V)
        Out.push_back(multiplyAdd(Splat, VecB[V], Acc[R * Vectors + V]));
    }
    return Out;
  }

  Value splatA(Value Offset) {
    if (Kernel.Together > 1)
      return splatPacked(B, Loc, Kernel.A, Offset, Kernel.Lanes);
    Value Element = widen(memref::LoadOp::create(B, Loc, Kernel.A, Offset),
                          Kernel.ElementA, Kernel.UnsignedA);
    return vector::BroadcastOp::create(B, Loc, AccVector, Element);
  }

  Value loadB(Value Offset, Value Mask) {
    Type Element = cast<MemRefType>(Kernel.B.getType()).getElementType();
    auto Ty = VectorType::get({vectorOfB()}, Element);
    if (Kernel.Together > 1)
      return vector::LoadOp::create(B, Loc, Ty, Kernel.B, Offset);
    if (!Mask)
      return widen(vector::LoadOp::create(B, Loc, Ty, Kernel.B, Offset),
                   Kernel.ElementB, Kernel.UnsignedB);
    Value Zero = arith::ConstantOp::create(B, Loc, Ty, B.getZeroAttr(Ty));
    return widen(
        vector::MaskedLoadOp::create(B, Loc, Ty, Kernel.B, Offset, Mask, Zero),
        Kernel.ElementB, Kernel.UnsignedB);
  }

  Value widen(Value V, Type Element, bool Unsigned) {
    auto ShapeLike = [&](Type To) -> Type {
      auto Ty = dyn_cast<VectorType>(V.getType());
      return Ty ? Type(Ty.clone(To)) : To;
    };
    if (isa<FloatType>(Element) && V.getType() != ShapeLike(Element))
      V = arith::BitcastOp::create(B, Loc, ShapeLike(Element), V);
    Type To = ShapeLike(Kernel.AccType);
    if (V.getType() == To)
      return V;
    if (isa<FloatType>(Kernel.AccType))
      return arith::ExtFOp::create(B, Loc, To, V);
    if (Unsigned)
      return arith::ExtUIOp::create(B, Loc, To, V);
    return arith::ExtSIOp::create(B, Loc, To, V);
  }

  Value multiplyAdd(Value L, Value R, Value Acc) {
    if (Kernel.Together > 1)
      return addPackedProducts(B, Loc, Acc, Kernel.UnsignedB ? R : L,
                               Kernel.UnsignedB ? L : R, Kernel.Native);
    if (isa<FloatType>(Kernel.AccType))
      return vector::FMAOp::create(B, Loc, L, R, Acc);
    return arith::AddIOp::create(B, Loc, arith::MulIOp::create(B, Loc, L, R),
                                 Acc);
  }

  SmallVector<Value>
  emitFor(Value Begin, Value End, int64_t Step, ValueRange Init,
          llvm::function_ref<SmallVector<Value>(Value, ValueRange)> Body) {
    auto For = scf::ForOp::create(B, Loc, Begin, End, constant(Step), Init);
    OpBuilder::InsertionGuard Guard(B);
    B.setInsertionPointToStart(For.getBody());
    SmallVector<Value> Out =
        Body(For.getInductionVar(), For.getRegionIterArgs());
    scf::YieldOp::create(B, Loc, Out);
    return SmallVector<Value>(For.getResults());
  }

  int64_t vectorOfB() const { return Kernel.Lanes * Kernel.Together; }

  Value constant(int64_t V) {
    return arith::ConstantIndexOp::create(B, Loc, V);
  }
  Value value(OpFoldResult V) {
    return getValueOrCreateConstantIndexOp(B, Loc, V);
  }
  Value add(Value Base, OpFoldResult Offset) {
    if (isZeroInteger(Offset))
      return Base;
    return arith::AddIOp::create(B, Loc, Base, value(Offset));
  }
  Value multiply(Value L, Value R) {
    return arith::MulIOp::create(B, Loc, L, R);
  }
  Value advance(Value Base, Value I, OpFoldResult Stride) {
    if (!isOneInteger(Stride))
      I = multiply(I, value(Stride));
    return arith::AddIOp::create(B, Loc, Base, I);
  }
  Value step(Value Base, OpFoldResult Stride, unsigned Step) {
    if (Step == 0)
      return Base;
    if (std::optional<int64_t> S = getConstantIntValue(Stride))
      return add(Base, B.getIndexAttr(*S * Step));
    return advance(Base, constant(Step), Stride);
  }

  OpBuilder &B;
  Location Loc;
  const MicroKernel &Kernel;
  VectorType AccVector;
};

} // namespace

SmallVector<Value> emitMicroKernel(OpBuilder &B, Location Loc,
                                   const MicroKernel &Kernel) {
  return Emitter(B, Loc, Kernel).emit();
}

RegisterFile getRegisterFile(StringRef Isa, Type AccType) {
  bool Wide = Isa.starts_with("avx512");
  unsigned Bytes = Wide ? 64 : 32;
  return {Wide ? 32u : 16u, Bytes * 8 / AccType.getIntOrFloatBitWidth()};
}

unsigned maxRows(const RegisterFile &Regs, unsigned Vectors) {
  // The scheduler loads the next step's vectors early: 9 x 3 fits 32 registers
  // on paper and spills.
  unsigned Spare = Regs.Registers == 32 && Vectors > 2 ? 2 : 0;
  // With one vector of B the splat folds into the multiply-add's operand, and
  // more than 14 rows only add streams.
  return std::min(14u, (Regs.Registers - Vectors - 1 - Spare) / Vectors);
}

double tileCost(const RegisterFile &Regs, unsigned Rows, unsigned Vectors) {
  double MultiplyAdd = Rows * Vectors / 2.0;
  double Loads = (Rows + Vectors) / 2.0;
  // Four cycles, and some more because dependent operations do not always get
  // their port at once.
  constexpr double Latency = 4.5;
  // Between tiles that the multiply-adds bound, fewer loads win. B's come from
  // the second-level cache and take its bandwidth by the byte (measured on
  // AVX-512: 6 x 64 columns 70 to 83 % of peak where 8 x 48 has 97 %).
  double PerVector = Regs.Registers == 32 ? 0.1 : 0.05;
  return std::max({MultiplyAdd, Loads, Latency}) + 0.03 * Rows +
         PerVector * Vectors;
}

/// Time of `Rows x Vectors` tiles over M rows (a large number if unknown).
static double rowsCost(const RegisterFile &Regs, std::optional<int64_t> M,
                       unsigned Rows, unsigned Vectors) {
  int64_t Whole = M.value_or(1024);
  double Cost = Whole / Rows * tileCost(Regs, Rows, Vectors);
  if (Whole % Rows)
    Cost += tileCost(Regs, Whole % Rows, Vectors);
  return Cost;
}

Candidates<TileShape> tileCandidates(const RegisterFile &Regs,
                                     std::optional<int64_t> M,
                                     std::optional<int64_t> N,
                                     unsigned RowLimit, unsigned Parts) {
  Candidates<TileShape> Tiles;
  for (unsigned Vectors : {4u, 3u, 2u, 1u}) {
    unsigned Whole = Vectors * Parts; // of a row of the tile
    if (Vectors > 1 && Whole > 4)
      continue;
    unsigned Most = std::min(RowLimit, maxRows(Regs, Whole));
    if (M)
      Most = std::min<int64_t>(Most, std::max<int64_t>(*M, 1));
    // Even shares: 49 rows in tiles of at most 8 are 7 x 7.
    unsigned Rows = Most;
    if (M && *M > 0)
      Rows = (*M + (*M + Most - 1) / Most - 1) / ((*M + Most - 1) / Most);
    int64_t Columns = (N.value_or(4096) + Regs.Lanes - 1) / Regs.Lanes;
    double Cost = Columns / Vectors * rowsCost(Regs, M, Rows, Whole);
    if (unsigned Tail = Columns % Vectors)
      Cost += rowsCost(Regs, M, Rows, Tail * Parts);
    Tiles.add(std::to_string(Rows) + "x" + std::to_string(Vectors), Cost,
              TileShape{Rows, Vectors});
  }
  return Tiles;
}

TileShape chooseTile(const RegisterFile &Regs, std::optional<int64_t> M,
                     std::optional<int64_t> N, unsigned RowLimit,
                     unsigned Parts) {
  return tileCandidates(Regs, M, N, RowLimit, Parts)
      .take([](ArrayRef<std::string>) { return 0; });
}

} // namespace limosa::codegen
