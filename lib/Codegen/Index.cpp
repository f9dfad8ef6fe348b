//===- Index.cpp - Coordinates of a vector of elements --------------------===//

#include "limosa/Codegen/Index.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"
#include <numeric>

using namespace mlir;
using namespace limosa::codegen;
using limosa::codegen::Index;

//===----------------------------------------------------------------------===//
// Coords
//===----------------------------------------------------------------------===//

const IndexGroup *Coords::groupOf(unsigned D) const {
  for (const IndexGroup &G : Groups)
    if (llvm::is_contained(G.Dims, D))
      return &G;
  return nullptr;
}

bool Coords::isUniform() const {
  return llvm::all_of(
             PerDim,
             [](const Index &I) { return !I.isSet() || I.isUniform(); }) &&
         llvm::all_of(Groups,
                      [](const IndexGroup &G) { return G.Linear.isUniform(); });
}

bool Coords::operator==(const Coords &O) const {
  return PerDim == O.PerDim && Groups.size() == O.Groups.size() &&
         llvm::all_of(llvm::zip(Groups, O.Groups), [](auto Pair) {
           auto &[A, B] = Pair;
           return A.Dims == B.Dims && A.Linear == B.Linear;
         });
}

//===----------------------------------------------------------------------===//
// What is known about a value
//===----------------------------------------------------------------------===//

std::optional<int64_t> IndexMath::constantOf(Value V) {
  IntegerAttr A;
  if (V && matchPattern(V, m_Constant(&A)))
    return A.getInt();
  return std::nullopt;
}

static int64_t divisorImpl(Value V, unsigned Depth) {
  if (auto C = IndexMath::constantOf(V))
    return std::abs(*C);
  if (Depth == 0)
    return 1;
  if (auto Arg = dyn_cast<BlockArgument>(V)) {
    auto For = dyn_cast_or_null<scf::ForOp>(Arg.getOwner()->getParentOp());
    if (For && For.getInductionVar() == V)
      return std::gcd(divisorImpl(For.getLowerBound(), Depth - 1),
                      divisorImpl(For.getStep(), Depth - 1));
    return 1;
  }
  Operation *Op = V.getDefiningOp();
  if (isa<arith::MulIOp>(Op)) {
    int64_t L = divisorImpl(Op->getOperand(0), Depth - 1);
    int64_t R = divisorImpl(Op->getOperand(1), Depth - 1);
    int64_t P;
    return llvm::MulOverflow(L, R, P) ? std::max(L, R) : P;
  }
  if (isa<arith::AddIOp, arith::SubIOp, arith::MinSIOp, arith::MaxSIOp>(Op))
    return std::gcd(divisorImpl(Op->getOperand(0), Depth - 1),
                    divisorImpl(Op->getOperand(1), Depth - 1));
  return 1;
}

int64_t IndexMath::divisorOf(Value V) { return divisorImpl(V, 10); }

static bool nonNegativeImpl(Value V, unsigned Depth) {
  if (auto C = IndexMath::constantOf(V))
    return *C >= 0;
  if (Depth == 0)
    return false;
  auto All = [&](Operation *Op) {
    return llvm::all_of(Op->getOperands(),
                        [&](Value O) { return nonNegativeImpl(O, Depth - 1); });
  };
  if (auto Arg = dyn_cast<BlockArgument>(V)) {
    auto For = dyn_cast_or_null<scf::ForOp>(Arg.getOwner()->getParentOp());
    return For && For.getInductionVar() == V &&
           nonNegativeImpl(For.getLowerBound(), Depth - 1);
  }
  Operation *Op = V.getDefiningOp();
  // Casts to index are of sizes and tile numbers.
  if (isa<arith::IndexCastOp, arith::RemUIOp, arith::DivUIOp>(Op))
    return true;
  if (isa<arith::MulIOp, arith::AddIOp, arith::MinSIOp>(Op))
    return All(Op);
  if (isa<arith::MaxSIOp>(Op))
    return nonNegativeImpl(Op->getOperand(0), Depth - 1) ||
           nonNegativeImpl(Op->getOperand(1), Depth - 1);
  return false;
}

//===----------------------------------------------------------------------===//
// Uniform arithmetic
//===----------------------------------------------------------------------===//

Value IndexMath::constant(int64_t V) {
  return arith::ConstantIndexOp::create(B, Loc, V);
}

Value IndexMath::add(Value L, Value R) {
  auto CL = constantOf(L), CR = constantOf(R);
  if (CL && CR)
    return constant(*CL + *CR);
  if (CL == 0)
    return R;
  if (CR == 0)
    return L;
  return arith::AddIOp::create(B, Loc, L, R);
}

Value IndexMath::sub(Value L, Value R) {
  auto CL = constantOf(L), CR = constantOf(R);
  if (CL && CR)
    return constant(*CL - *CR);
  if (CR == 0)
    return L;
  if (L == R)
    return constant(0);
  return arith::SubIOp::create(B, Loc, L, R);
}

Value IndexMath::mul(Value L, Value R) {
  auto CL = constantOf(L), CR = constantOf(R);
  if (CL && CR)
    return constant(*CL * *CR);
  if (CL == 0 || CR == 0)
    return constant(0);
  if (CL == 1)
    return R;
  if (CR == 1)
    return L;
  return arith::MulIOp::create(B, Loc, L, R);
}

Value IndexMath::divU(Value L, Value R) {
  auto CL = constantOf(L), CR = constantOf(R);
  if (CL && CR && *CR > 0 && *CL >= 0)
    return constant(*CL / *CR);
  if (CR == 1 || CL == 0)
    return L;
  return arith::DivUIOp::create(B, Loc, L, R);
}

Value IndexMath::remU(Value L, Value R) {
  auto CL = constantOf(L), CR = constantOf(R);
  if (CL && CR && *CR > 0 && *CL >= 0)
    return constant(*CL % *CR);
  if (CR == 1 || CL == 0)
    return constant(0);
  if (CR && *CR != 0 && divisorOf(L) % *CR == 0)
    return constant(0);
  return arith::RemUIOp::create(B, Loc, L, R);
}

Value IndexMath::min(Value L, Value R) {
  auto CL = constantOf(L), CR = constantOf(R);
  if (CL && CR)
    return constant(std::min(*CL, *CR));
  if (L == R)
    return L;
  return arith::MinSIOp::create(B, Loc, L, R);
}

Value IndexMath::max(Value L, Value R) {
  auto CL = constantOf(L), CR = constantOf(R);
  if (CL && CR)
    return constant(std::max(*CL, *CR));
  if (L == R)
    return L;
  return arith::MaxSIOp::create(B, Loc, L, R);
}

static Value compare(OpBuilder &B, Location Loc, arith::CmpIPredicate P,
                     Value L, Value R) {
  return B.createOrFold<arith::CmpIOp>(Loc, P, L, R);
}

Value IndexMath::lt(Value L, Value R) {
  return compare(B, Loc, arith::CmpIPredicate::slt, L, R);
}
Value IndexMath::le(Value L, Value R) {
  return compare(B, Loc, arith::CmpIPredicate::sle, L, R);
}
Value IndexMath::eq(Value L, Value R) {
  return compare(B, Loc, arith::CmpIPredicate::eq, L, R);
}
Value IndexMath::both(Value L, Value R) {
  if (constantOf(L))
    return *constantOf(L) ? R : L;
  if (constantOf(R))
    return *constantOf(R) ? L : R;
  return arith::AndIOp::create(B, Loc, L, R);
}

Value IndexMath::select(Value C, Value T, Value F) {
  if (T == F)
    return T;
  if (auto K = constantOf(C))
    return *K ? T : F;
  return arith::SelectOp::create(B, Loc, C, T, F);
}

//===----------------------------------------------------------------------===//
// Lanes
//===----------------------------------------------------------------------===//

static VectorType laneType(OpBuilder &B, unsigned N) {
  return VectorType::get({int64_t(N)}, B.getI64Type());
}

static Value splat64(OpBuilder &B, Location Loc, Value IndexValue, unsigned N) {
  VectorType Ty = laneType(B, N);
  if (auto C = IndexMath::constantOf(IndexValue))
    return arith::ConstantOp::create(
        B, Loc, SplatElementsAttr::get(Ty, B.getI64IntegerAttr(*C)));
  Value Cast = arith::IndexCastOp::create(B, Loc, B.getI64Type(), IndexValue);
  return vector::BroadcastOp::create(B, Loc, Ty, Cast);
}

Value IndexMath::laneOffsets(const Index &I, unsigned N) {
  if (I.Lanes)
    return I.Lanes;
  SmallVector<int64_t> Offsets;
  for (unsigned L = 0; L < N; ++L)
    Offsets.push_back(L * I.Stride);
  return arith::ConstantOp::create(
      B, Loc,
      DenseIntElementsAttr::get(laneType(B, N), ArrayRef<int64_t>(Offsets)));
}

Value IndexMath::lanes(const Index &I, unsigned N) {
  if (I.isUniform())
    return splat64(B, Loc, I.Base, N);
  Value Offsets = laneOffsets(I, N);
  if (constantOf(I.Base) == 0)
    return Offsets;
  return arith::AddIOp::create(B, Loc, splat64(B, Loc, I.Base, N), Offsets);
}

Index IndexMath::add(const Index &L, const Index &R, unsigned N) {
  Value Base = add(L.Base, R.Base);
  if (!L.Lanes && !R.Lanes)
    return {Base, L.Stride + R.Stride, {}};
  if (L.isUniform())
    return {Base, 0, R.Lanes};
  if (R.isUniform())
    return {Base, 0, L.Lanes};
  return {Base, 0,
          arith::AddIOp::create(B, Loc, laneOffsets(L, N), laneOffsets(R, N))};
}

Index IndexMath::mul(const Index &L, Value R, unsigned N) {
  Value Base = mul(L.Base, R);
  if (L.isUniform())
    return {Base, 0, {}};
  if (auto C = constantOf(R); C && !L.Lanes)
    return {Base, L.Stride * *C, {}};
  if (constantOf(R) == 1)
    return {Base, 0, L.Lanes};
  return {
      Base, 0,
      arith::MulIOp::create(B, Loc, laneOffsets(L, N), splat64(B, Loc, R, N))};
}

std::pair<Index, Index> IndexMath::divRem(const Index &L, Value Divisor,
                                          unsigned N) {
  auto C = constantOf(Divisor);
  if (C == 1)
    return {L, uniform(0)};
  Value Q, R;
  if (L.isUniform() || nonNegativeImpl(L.Base, 10)) {
    Q = divU(L.Base, Divisor);
    R = remU(L.Base, Divisor);
  } else {
    // The first lanes may lie before the tensor (padding): round down.
    Value Up = sub(L.Base, sub(Divisor, constant(1)));
    Value Numerator = select(lt(L.Base, constant(0)), Up, L.Base);
    Q = arith::DivSIOp::create(B, Loc, Numerator, Divisor);
    R = sub(L.Base, mul(Q, Divisor));
  }
  if (L.isUniform())
    return {uniform(Q), uniform(R)};

  // Lanes that start at a multiple of something and stay below the next
  // multiple do not carry.
  int64_t Span = L.Stride * int64_t(N - 1);
  if (C && L.isStrided() && L.Stride > 0 &&
      Span < std::gcd(divisorOf(L.Base), *C))
    return {uniform(Q), Index{R, L.Stride, {}}};

  VectorType I64 = laneType(B, N);
  Value T = lanes(Index{R, L.Stride, L.Lanes}, N);
  Value QLanes;
  Value D = splat64(B, Loc, Divisor, N);
  if (C && L.isStrided() && L.Stride > 0 && Span <= *C) {
    Value Carry =
        arith::CmpIOp::create(B, Loc, arith::CmpIPredicate::sge, T, D);
    QLanes = arith::ExtUIOp::create(B, Loc, I64, Carry);
    Value Less = arith::SubIOp::create(B, Loc, T, D);
    Value RLanes = arith::SelectOp::create(B, Loc, Carry, Less, T);
    return {Index{Q, 0, QLanes}, Index{constant(0), 0, RLanes}};
  }
  if (C && L.isStrided() && L.Stride > 0 && *C + Span < (int64_t(1) << 31)) {
    auto I32 = VectorType::get({int64_t(N)}, B.getI32Type());
    Value Small = arith::TruncIOp::create(B, Loc, I32, T);
    Value D32 = arith::ConstantOp::create(
        B, Loc, SplatElementsAttr::get(I32, B.getI32IntegerAttr(int32_t(*C))));
    Value Q32 = arith::DivUIOp::create(B, Loc, Small, D32);
    QLanes = arith::ExtUIOp::create(B, Loc, I64, Q32);
  } else {
    // There is no vector division of integers; the quotient of integers below
    // 2^52 in f64, rounded down, is exact.
    auto F64 = VectorType::get({int64_t(N)}, B.getF64Type());
    Value TF = arith::SIToFPOp::create(B, Loc, F64, T);
    Value DF = arith::SIToFPOp::create(B, Loc, F64, D);
    Value QF = arith::DivFOp::create(B, Loc, TF, DF);
    QF = math::FloorOp::create(B, Loc, QF);
    QLanes = arith::FPToSIOp::create(B, Loc, I64, QF);
  }
  Value Whole = arith::MulIOp::create(B, Loc, QLanes, D);
  Value RLanes = arith::SubIOp::create(B, Loc, T, Whole);
  return {Index{Q, 0, QLanes}, Index{constant(0), 0, RLanes}};
}

Value IndexMath::inRange(const Index &I, Value Lo, Value Hi, unsigned N) {
  if (I.isUniform())
    return both(le(Lo, I.Base), lt(I.Base, Hi));
  // One unsigned comparison: 0 <= I - Lo < Hi - Lo.
  Value T = lanes(Index{sub(I.Base, Lo), I.Stride, I.Lanes}, N);
  return arith::CmpIOp::create(B, Loc, arith::CmpIPredicate::ult, T,
                               splat64(B, Loc, sub(Hi, Lo), N));
}

Value IndexMath::equals(const Index &I, Value V, unsigned N) {
  if (I.isUniform())
    return eq(I.Base, V);
  return arith::CmpIOp::create(B, Loc, arith::CmpIPredicate::eq, lanes(I, N),
                               splat64(B, Loc, V, N));
}

Index IndexMath::select(Value C, const Index &T, const Index &F, unsigned N) {
  if (T == F)
    return T;
  if (auto K = constantOf(C))
    return *K ? T : F;
  Value Base = select(C, T.Base, F.Base);
  if (!T.Lanes && !F.Lanes && T.Stride == F.Stride)
    return {Base, T.Stride, {}};
  return {
      Base, 0,
      arith::SelectOp::create(B, Loc, C, laneOffsets(T, N), laneOffsets(F, N))};
}
