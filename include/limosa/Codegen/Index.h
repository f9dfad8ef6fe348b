//===- Index.h - Coordinates of a vector of elements ------------*- C++ -*-===//
//
// A kernel computes some elements at once, one a lane. An Index says which
// coordinate each lane has along one dimension; Coords are the coordinates of
// all dimensions. Because an index knows its lane stride, a load becomes
// contiguous, broadcast, strided or a gather by itself.
//
// Dimensions that are traversed as one (collapsed loops, reshapes) share a
// linear index and are taken apart only when an op asks for one of them.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_CODEGEN_INDEX_H
#define LIMOSA_CODEGEN_INDEX_H

#include "limosa/Support/DimExpr.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Value.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"

namespace limosa::codegen {

/// Coordinate of lane l: Base + l * Stride, or Base + Lanes[l] if Lanes is set.
struct Index {
  mlir::Value Base;   ///< index; null only in an unset Index
  int64_t Stride = 0; ///< static lane stride
  mlir::Value Lanes;  ///< vector<NxI64>; Stride is then 0
  bool isSet() const { return bool(Base); }
  /// All lanes have the same coordinate.
  bool isUniform() const { return !Lanes && Stride == 0; }
  bool isStrided() const { return !Lanes && Stride != 0; }
  bool operator==(const Index &O) const {
    return Base == O.Base && Stride == O.Stride && Lanes == O.Lanes;
  }
};

/// The vector that is computed: its lanes and which of them count.
struct Lanes {
  unsigned Count = 0; ///< 0: scalars, not vectors
  mlir::Value Mask;   ///< vector<Countxi1>, or null when all lanes count
  bool isScalar() const { return Count == 0; }
};

/// Dimensions with one linear index: the row-major position in the space of
/// `Dims` in the order listed (the last one fastest).
struct IndexGroup {
  llvm::SmallVector<unsigned, 4> Dims;
  Index Linear;
};

/// Coordinates in a tensor. Each dimension is either in PerDim (set) or in
/// exactly one group.
struct Coords {
  llvm::SmallVector<Index, 6> PerDim;
  llvm::SmallVector<IndexGroup, 2> Groups;

  Coords() = default;
  explicit Coords(unsigned Rank) : PerDim(Rank) {}
  Coords(llvm::ArrayRef<Index> All) : PerDim(All.begin(), All.end()) {}

  unsigned rank() const { return PerDim.size(); }
  /// The group that holds dimension D, or null.
  const IndexGroup *groupOf(unsigned D) const;
  bool isUniform() const;
  bool operator==(const Coords &O) const;
};

/// Index arithmetic that folds constants and knows lanes. `DivisorOf` (if set)
/// gives a known divisor of opaque values.
class IndexMath {
public:
  using Value = mlir::Value;
  IndexMath(mlir::OpBuilder &B, mlir::Location Loc) : B(B), Loc(Loc) {}

  // Uniform values of type index.
  Value constant(int64_t V);
  Value add(Value L, Value R);
  Value sub(Value L, Value R);
  Value mul(Value L, Value R);
  /// Non-negative operands, positive divisor.
  Value divU(Value L, Value R);
  Value remU(Value L, Value R);
  Value min(Value L, Value R); ///< signed
  Value max(Value L, Value R); ///< signed
  /// i1 comparisons, signed.
  Value lt(Value L, Value R);
  Value le(Value L, Value R);
  Value eq(Value L, Value R);
  Value both(Value L, Value R); ///< and
  Value select(Value C, Value T, Value F);

  // Indices.
  Index uniform(Value V) { return Index{V, 0, {}}; }
  Index uniform(int64_t V) { return uniform(constant(V)); }
  Index add(const Index &L, const Index &R, unsigned N);
  Index add(const Index &L, Value R) {
    return {add(L.Base, R), L.Stride, L.Lanes};
  }
  Index mul(const Index &L, Value R, unsigned N);
  /// Quotient and remainder by a positive value; coordinates non-negative.
  std::pair<Index, Index> divRem(const Index &L, Value Divisor, unsigned N);
  /// vector<NxI64> of the lanes' coordinates.
  Value lanes(const Index &I, unsigned N);
  /// vector<NxI64> of the lanes' offsets from Base.
  Value laneOffsets(const Index &I, unsigned N);
  /// lo <= I < hi per lane: i1 for a uniform index, vector<Nxi1> otherwise.
  Value inRange(const Index &I, Value Lo, Value Hi, unsigned N);
  /// I == V per lane, shaped as in inRange.
  Value equals(const Index &I, Value V, unsigned N);
  /// Select per index; `C` is an i1.
  Index select(Value C, const Index &T, const Index &F, unsigned N);

  /// The constant a value is, if it is one.
  static std::optional<int64_t> constantOf(Value V);
  /// A constant that divides the value, from how it was computed. 0 for 0.
  static int64_t divisorOf(Value V);

private:
  mlir::OpBuilder &B;
  mlir::Location Loc;
};

} // namespace limosa::codegen

#endif // LIMOSA_CODEGEN_INDEX_H
