//===- CoreBuilder.h - Makes core ops with inferred types -------*- C++ -*-===//
//
// What the front ends, the composites and the gradients write core ops with.
// Each method makes one core op, or the few core ops that an everyday operation
// means, and infers result types, symbolic dimensions included. Operands must
// satisfy the op's verifier: the builder asserts, it does not diagnose.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_IR_COREBUILDER_H
#define LIMOSA_IR_COREBUILDER_H

#include "limosa/IR/Infer.h"
#include "limosa/IR/LimosaOps.h"
#include "mlir/IR/Builders.h"

namespace limosa {

class CoreBuilder {
public:
  using Value = mlir::Value;
  using Type = mlir::Type;
  using ValueRange = mlir::ValueRange;
  using Ints = llvm::ArrayRef<int64_t>;
  using Exprs = llvm::ArrayRef<DimExpr>;

  CoreBuilder(mlir::OpBuilder &Builder, mlir::Location Loc)
      : B(Builder), Loc(Loc) {}

  mlir::OpBuilder &builder() { return B; }
  mlir::Location loc() const { return Loc; }
  void setLoc(mlir::Location L) { Loc = L; }
  mlir::MLIRContext *context() { return B.getContext(); }

  // Constants and dimensions.
  Value constant(mlir::ElementsAttr Value);
  /// Rank-0 constant of any compute dtype.
  Value scalar(double V, Type ElementType);
  /// Constant of `V` in the shape of `Like` (a broadcast scalar).
  Value full(double V, Value Like);
  Value full(double V, Exprs Shape, Type ElementType);
  /// 1-D i64 constant.
  Value intVector(Ints V);
  /// Rank-0 i64 tensor holding a dimension expression.
  Value dim(const DimExpr &E);

  // Elementwise; operands of one shape.
  Value add(Value L, Value R);
  Value sub(Value L, Value R); ///< add(L, neg(R))
  Value mul(Value L, Value R);
  Value div(Value L, Value R);
  Value rem(Value L, Value R);
  Value pow(Value L, Value R);
  Value min(Value L, Value R);
  Value max(Value L, Value R);
  Value bitAnd(Value L, Value R);
  Value bitOr(Value L, Value R);
  Value bitXor(Value L, Value R);
  Value bitNot(Value V); ///< xor with all ones
  Value shl(Value L, Value R);
  Value shr(Value L, Value R);
  Value neg(Value V);
  Value abs(Value V);
  Value floor(Value V);
  Value ceil(Value V); ///< neg(floor(neg))
  Value roundEven(Value V);
  Value exp(Value V);
  Value log(Value V);
  Value sqrt(Value V);
  Value rsqrt(Value V); ///< 1 / sqrt
  Value sin(Value V);
  Value cos(Value V);
  Value tanh(Value V);
  Value erf(Value V);
  Value sigmoid(Value V); ///< 1 / (1 + exp(-x)); the kernels know the pattern
  Value compare(CompareDirection D, Value L, Value R);
  Value select(Value Condition, Value OnTrue, Value OnFalse);
  Value convert(Value V, Type ElementType); ///< V itself if nothing changes
  Value bitcast(Value V, Type ElementType);

  /// Elementwise with a scalar right-hand side of the same dtype.
  Value addScalar(Value V, double S) { return add(V, full(S, V)); }
  Value mulScalar(Value V, double S) { return mul(V, full(S, V)); }
  Value maxScalar(Value V, double S) { return max(V, full(S, V)); }
  Value minScalar(Value V, double S) { return min(V, full(S, V)); }

  // Data movement. Each returns its operand when there is nothing to do.
  Value iota(Exprs Shape, int64_t Dim, Type ElementType);
  Value reshape(Value V, Exprs Shape);
  Value transpose(Value V, Ints Perm);
  Value broadcast(Value V, Exprs Shape, Ints Dims);
  /// Numpy-style: trailing dimensions align, missing ones are new.
  Value broadcastTo(Value V, Exprs Shape);
  /// Brings operands to their common numpy broadcast shape.
  llvm::SmallVector<Value> broadcastTogether(ValueRange Vs);
  /// The numpy broadcast of shapes. Two symbolic sizes that differ give their
  /// max; the broadcast op's run-time rule does the rest.
  static Dims broadcastShapes(llvm::ArrayRef<Dims> Shapes);
  Value expandDims(Value V,
                   Ints NewDims); ///< unit dims at these result positions
  Value squeeze(Value V, Ints DropDims); ///< dims taken to be 1
  Value slice(Value V, Exprs Starts, Exprs Sizes, Ints Steps);
  /// One dimension, step 1.
  Value sliceDim(Value V, int64_t Dim, const DimExpr &Start,
                 const DimExpr &Size);
  Value reverse(Value V, int64_t Dim);
  Value pad(Value V, Value PadValue, Exprs Low, Exprs High, Ints Interior = {});
  Value concat(ValueRange Vs, int64_t Dim);
  Value gather(Value V, Value Indices, Ints Axes, int64_t Batch);
  /// numpy.take along one dimension; indices of any shape replace it. Indices
  /// must be in range (no negative ones).
  Value take(Value V, Value Indices, int64_t Dim);
  using Region = llvm::function_ref<Value(CoreBuilder &, Value, Value)>;
  Value scatter(Value V, Value Indices, Value Updates, Ints Axes, int64_t Batch,
                Region Combine);
  Value updateSlice(Value V, Value Update, Value Starts);

  // Reductions and structured ops.
  enum class Combiner { Add, Mul, Max, Min, And, Or };
  Value reduce(Combiner C, Value V, Ints Dims, bool KeepDims = false);
  Value reduceSum(Value V, Ints Dims, bool KeepDims = false) {
    return reduce(Combiner::Add, V, Dims, KeepDims);
  }
  Value reduceMax(Value V, Ints Dims, bool KeepDims = false) {
    return reduce(Combiner::Max, V, Dims, KeepDims);
  }
  /// Sum divided by the number of elements reduced. Floats.
  Value reduceMean(Value V, Ints Dims, bool KeepDims = false);
  using VariadicRegion = llvm::function_ref<llvm::SmallVector<Value>(
      CoreBuilder &, ValueRange Acc, ValueRange X)>;
  llvm::SmallVector<Value> reduce(ValueRange Vs, ValueRange Inits, Ints Dims,
                                  VariadicRegion Body);
  llvm::SmallVector<Value> scan(ValueRange Vs, ValueRange Inits, int64_t Dim,
                                bool Exclusive, bool Reverse,
                                VariadicRegion Body);
  /// One value and index (i64, 0-based along Dim) of the extreme element; the
  /// first of equals, or the last.
  std::pair<Value, Value> argReduce(Value V, int64_t Dim, bool IsMax,
                                    bool SelectLast, bool KeepDims);
  Value window(Combiner C, Value V, Value Init, Ints Sizes, Ints Strides,
               Ints Dilations, Exprs PadLow, Exprs PadHigh);
  llvm::SmallVector<Value> window(ValueRange Vs, ValueRange Inits, Ints Sizes,
                                  Ints Strides, Ints Dilations, Exprs PadLow,
                                  Exprs PadHigh, VariadicRegion Body);
  /// Sorts `Vs` together along Dim by `Vs[0]`; keeps `Limit` elements if given.
  llvm::SmallVector<Value> sort(ValueRange Vs, int64_t Dim, bool Descending,
                                std::optional<DimExpr> Limit = std::nullopt);
  /// ResultElement null: the operands' dtype.
  Value contract(Value L, Value R, Ints LhsBatch, Ints RhsBatch,
                 Ints LhsContract, Ints RhsContract, Type ResultElement = {});
  /// numpy.matmul with broadcasting of batch dimensions and 1-D operands.
  Value matmul(Value L, Value R, Type ResultElement = {});
  Value conv(Value Input, Value Filter, const infer::ConvAttrs &Attrs,
             Type ResultElement = {});
  /// Indices and count of true elements; `Symbol` names the count.
  std::pair<Value, Value> compact(Value Mask, llvm::StringRef Symbol);
  Value randomBits(Value Key, Exprs Shape, Type ElementType);

  /// The identity of a combiner as a rank-0 constant.
  Value combinerInit(Combiner C, Type ElementType);
  Value combine(Combiner C, Value L, Value R);

private:
  mlir::OpBuilder &B;
  mlir::Location Loc;
};

} // namespace limosa

#endif // LIMOSA_IR_COREBUILDER_H
