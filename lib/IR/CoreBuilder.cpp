//===- CoreBuilder.cpp - Elementwise ops, constants, products -------------===//

#include "limosa/IR/CoreBuilder.h"

using namespace mlir;
using namespace limosa;
using llvm::Twine;

static RankedTensorType tensorType(Value V) {
  return cast<RankedTensorType>(V.getType());
}

/// Callers promise valid operands; a violation is a bug of the caller.
static void unexpected(const Twine &Message) {
  llvm::report_fatal_error("CoreBuilder: " + Message);
}

//===----------------------------------------------------------------------===//
// Constants and dimensions
//===----------------------------------------------------------------------===//

Value CoreBuilder::constant(ElementsAttr V) {
  return ConstantOp::create(B, Loc, V.getShapedType(), V);
}

Value CoreBuilder::scalar(double V, Type ElementType) {
  auto Ty = RankedTensorType::get({}, ElementType);
  if (isa<StringType>(ElementType)) // The empty string is what zero is.
    return constant(DenseStringElementsAttr::get(Ty, {StringRef()}));
  Attribute A;
  if (auto F = dyn_cast<FloatType>(ElementType))
    A = FloatAttr::get(F, V);
  else
    A = IntegerAttr::get(ElementType,
                         APInt(ElementType.getIntOrFloatBitWidth(),
                               V < 0 ? uint64_t(int64_t(V)) : uint64_t(V),
                               /*isSigned=*/false, /*implicitTrunc=*/true));
  return ConstantOp::create(B, Loc, Ty, DenseElementsAttr::get(Ty, A));
}

Value CoreBuilder::full(double V, Value Like) {
  return full(V, getDims(Like), getElementTypeOrSelf(Like));
}

Value CoreBuilder::full(double V, Exprs Shape, Type ElementType) {
  return broadcast(scalar(V, ElementType), Shape, {});
}

Value CoreBuilder::intVector(Ints V) {
  auto Ty = RankedTensorType::get({int64_t(V.size())}, B.getI64Type());
  return ConstantOp::create(B, Loc, Ty, DenseElementsAttr::get(Ty, V));
}

Value CoreBuilder::dim(const DimExpr &E) {
  if (auto C = E.constant()) {
    auto Ty = RankedTensorType::get({}, B.getI64Type());
    return ConstantOp::create(B, Loc, Ty, DenseElementsAttr::get(Ty, *C));
  }
  return DimOp::create(B, Loc, RankedTensorType::get({}, B.getI64Type()),
                       B.getStringAttr(E.toString()));
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

/// The result of an elementwise op: the operand's shape, row-major.
static RankedTensorType plainType(Value V) {
  return withOrder(tensorType(V), {});
}

#define LIMOSA_BINARY(METHOD, OP)                                              \
  Value CoreBuilder::METHOD(Value L, Value R) {                                \
    return OP::create(B, Loc, plainType(L), L, R);                             \
  }
LIMOSA_BINARY(add, AddOp)
LIMOSA_BINARY(mul, MulOp)
LIMOSA_BINARY(div, DivOp)
LIMOSA_BINARY(rem, RemOp)
LIMOSA_BINARY(pow, PowOp)
LIMOSA_BINARY(min, MinOp)
LIMOSA_BINARY(max, MaxOp)
LIMOSA_BINARY(bitAnd, AndOp)
LIMOSA_BINARY(bitOr, OrOp)
LIMOSA_BINARY(bitXor, XorOp)
LIMOSA_BINARY(shl, ShlOp)
LIMOSA_BINARY(shr, ShrOp)
#undef LIMOSA_BINARY

#define LIMOSA_UNARY(METHOD, OP)                                               \
  Value CoreBuilder::METHOD(Value V) {                                         \
    return OP::create(B, Loc, plainType(V), V);                                \
  }
LIMOSA_UNARY(neg, NegOp)
LIMOSA_UNARY(abs, AbsOp)
LIMOSA_UNARY(floor, FloorOp)
LIMOSA_UNARY(roundEven, RoundEvenOp)
LIMOSA_UNARY(exp, ExpOp)
LIMOSA_UNARY(log, LogOp)
LIMOSA_UNARY(sqrt, SqrtOp)
LIMOSA_UNARY(sin, SinOp)
LIMOSA_UNARY(cos, CosOp)
LIMOSA_UNARY(tanh, TanhOp)
LIMOSA_UNARY(erf, ErfOp)
#undef LIMOSA_UNARY

Value CoreBuilder::sub(Value L, Value R) { return add(L, neg(R)); }
Value CoreBuilder::ceil(Value V) { return neg(floor(neg(V))); }
Value CoreBuilder::rsqrt(Value V) { return div(full(1, V), sqrt(V)); }

Value CoreBuilder::bitNot(Value V) {
  // All ones: 1 for bool, -1 for integers.
  Type E = getElementTypeOrSelf(V);
  if (E.isInteger(1))
    return bitXor(V, full(1, V));
  auto Ty = RankedTensorType::get({}, E);
  Value Ones = ConstantOp::create(
      B, Loc, Ty,
      DenseElementsAttr::get(
          Ty,
          IntegerAttr::get(E, APInt::getAllOnes(E.getIntOrFloatBitWidth()))));
  return bitXor(V, broadcast(Ones, getDims(V), {}));
}

Value CoreBuilder::sigmoid(Value V) {
  Value One = full(1, V);
  return div(One, add(One, exp(neg(V))));
}

Value CoreBuilder::compare(CompareDirection D, Value L, Value R) {
  return CompareOp::create(B, Loc, withElementType(plainType(L), B.getI1Type()),
                           L, R, CompareDirectionAttr::get(context(), D));
}

Value CoreBuilder::select(Value Condition, Value OnTrue, Value OnFalse) {
  return SelectOp::create(B, Loc, plainType(OnTrue), Condition, OnTrue,
                          OnFalse);
}

Value CoreBuilder::convert(Value V, Type ElementType) {
  if (getElementTypeOrSelf(V) == ElementType)
    return V;
  return ConvertOp::create(B, Loc, withElementType(plainType(V), ElementType),
                           V);
}

Value CoreBuilder::bitcast(Value V, Type ElementType) {
  if (getElementTypeOrSelf(V) == ElementType)
    return V;
  return BitcastOp::create(B, Loc, withElementType(plainType(V), ElementType),
                           V);
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

Value CoreBuilder::contract(Value L, Value R, Ints LhsBatch, Ints RhsBatch,
                            Ints LhsContract, Ints RhsContract,
                            Type ResultElement) {
  if (!ResultElement)
    ResultElement = getElementTypeOrSelf(L);
  auto Ty =
      infer::contract(tensorType(L), tensorType(R), ResultElement, LhsBatch,
                      RhsBatch, LhsContract, RhsContract, unexpected);
  return ContractOp::create(B, Loc, Ty, L, R, LhsBatch, RhsBatch, LhsContract,
                            RhsContract);
}

Value CoreBuilder::matmul(Value L, Value R, Type ResultElement) {
  bool LhsVector = tensorType(L).getRank() == 1,
       RhsVector = tensorType(R).getRank() == 1;
  if (LhsVector)
    L = expandDims(L, {0});
  if (RhsVector)
    R = expandDims(R, {1});
  Dims LhsDims = getDims(L), RhsDims = getDims(R);
  Dims LhsBatch(LhsDims.begin(), LhsDims.end() - 2),
      RhsBatch(RhsDims.begin(), RhsDims.end() - 2);
  Value Product;
  int64_t LhsRank = LhsDims.size();
  if (RhsBatch.empty()) {
    // One right-hand side for all: the batch is more rows.
    Product = contract(L, R, {}, {}, {LhsRank - 1}, {0}, ResultElement);
  } else {
    Dims Batch = broadcastShapes({LhsBatch, RhsBatch});
    auto withBatch = [&](Value V, const Dims &Own) {
      Dims Shape(Batch);
      Shape.append(Own.end() - 2, Own.end());
      return broadcastTo(V, Shape);
    };
    L = withBatch(L, LhsDims);
    R = withBatch(R, RhsDims);
    auto BatchDims = llvm::to_vector(llvm::seq<int64_t>(0, Batch.size()));
    int64_t N = Batch.size();
    Product = contract(L, R, BatchDims, BatchDims, {N + 1}, {N}, ResultElement);
  }
  SmallVector<int64_t> Drop;
  int64_t Rank = tensorType(Product).getRank();
  if (LhsVector)
    Drop.push_back(Rank - 2);
  if (RhsVector)
    Drop.push_back(Rank - 1);
  return squeeze(Product, Drop);
}

Value CoreBuilder::conv(Value Input, Value Filter, const infer::ConvAttrs &A,
                        Type ResultElement) {
  if (!ResultElement)
    ResultElement = getElementTypeOrSelf(Input);
  auto Ty = infer::conv(tensorType(Input), tensorType(Filter), ResultElement, A,
                        unexpected);
  return ConvOp::create(B, Loc, Ty, Input, Filter, A.Strides,
                        dimsAttr(context(), A.PadLow),
                        dimsAttr(context(), A.PadHigh), A.LhsDilation,
                        A.RhsDilation, A.FeatureGroups, A.BatchGroups);
}

std::pair<Value, Value> CoreBuilder::compact(Value Mask, StringRef Symbol) {
  DimExpr Count =
      DimExpr::symbol(std::string_view(Symbol.data(), Symbol.size()));
  auto Indices = makeTensorType({Count, DimExpr(tensorType(Mask).getRank())},
                                B.getI64Type());
  auto Op = CompactOp::create(B, Loc, Indices,
                              RankedTensorType::get({}, B.getI64Type()), Mask,
                              B.getStringAttr(Symbol));
  return {Op.getIndices(), Op.getCount()};
}

Value CoreBuilder::randomBits(Value Key, Exprs Shape, Type ElementType) {
  return RandomBitsOp::create(B, Loc, makeTensorType(Shape, ElementType), Key);
}
