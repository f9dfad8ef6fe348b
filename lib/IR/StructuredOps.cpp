//===- StructuredOps.cpp - Reductions, products, sorting ------------------===//

#include "OpSupport.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::detail;

//===----------------------------------------------------------------------===//
// Verifiers
//===----------------------------------------------------------------------===//

/// Checks shared by reduce, scan and window: one input shape, one init per
/// input, a combining region, results by `Infer` with each input's dtype.
template <typename OpTy, typename InferFn>
static LogicalResult verifyCombining(OpTy Op, InferFn Infer) {
  size_t N = Op.getInputs().size();
  if (N == 0 || Op.getInits().size() != N || Op.getNumResults() != N)
    return Op.emitOpError(
        "needs as many inits and results as inputs, at least one");
  SmallVector<Type> Elements;
  for (auto [Input, Init] : llvm::zip(Op.getInputs(), Op.getInits())) {
    if (!sameShape(Input.getType(), Op.getInputs()[0].getType()))
      return Op.emitOpError("inputs need one shape");
    auto InitType = tensorType(Init);
    Elements.push_back(getElementTypeOrSelf(Input));
    if (InitType.getRank() != 0 || InitType.getElementType() != Elements.back())
      return Op.emitOpError(
          "inits must be rank-0 tensors of the inputs' dtypes");
  }
  for (size_t I = 0; I < N; ++I)
    if (failed(verifyInferred(
            Op, Op.getResult(I).getType(), [&](infer::FailFn Fail) {
              return Infer(tensorType(Op.getInputs()[I]), Fail);
            })))
      return failure();
  SmallVector<Type> Args(Elements);
  llvm::append_range(Args, Elements);
  return verifyScalarRegion(Op, Op.getBody(), Args, Elements);
}

LogicalResult ReduceOp::verify() {
  return verifyCombining(*this, [&](RankedTensorType T, infer::FailFn Fail) {
    return infer::reduce(T, getDims(), Fail);
  });
}

LogicalResult ScanOp::verify() {
  if (!getInputs().empty() &&
      getDim() >= uint64_t(tensorType(getInputs()[0]).getRank()))
    return emitOpError("dim is out of range");
  return verifyCombining(*this, [&](RankedTensorType T, infer::FailFn) {
    return withOrder(T, {});
  });
}

LogicalResult WindowOp::verify() {
  if (getInputs().empty())
    return emitOpError("needs at least one input");
  size_t Rank = tensorType(getInputs()[0]).getRank();
  if (failed(verifyExprs(*this, "pad_low", getPadLow(), Rank)) ||
      failed(verifyExprs(*this, "pad_high", getPadHigh(), Rank)))
    return failure();
  Dims Low = parseDims(getPadLow()), High = parseDims(getPadHigh());
  return verifyCombining(*this, [&](RankedTensorType T, infer::FailFn Fail) {
    return infer::window(T, getSizes(), getStrides(), getDilations(), Low, High,
                         Fail);
  });
}

LogicalResult SortOp::verify() {
  if (getInputs().empty() || getNumResults() != getInputs().size())
    return emitOpError("needs as many results as inputs, at least one");
  if (isa<StringType>(getElementTypeOrSelf(getInputs()[0])))
    return emitOpError("does not order strings");
  SmallVector<Type> Args;
  for (auto [Input, Result] : llvm::zip(getInputs(), getResults())) {
    auto From = tensorType(Input), To = tensorType(Result);
    if (!sameShape(From, getInputs()[0].getType()) ||
        !sameShape(To, getResult(0).getType()))
      return emitOpError("inputs need one shape, and results need one shape");
    if (From.getElementType() != To.getElementType() ||
        From.getRank() != To.getRank() || getDim() >= uint64_t(From.getRank()))
      return emitOpError(
          "results keep dtype and rank, dim is one of the dimensions");
    for (int64_t D = 0; D < From.getRank(); ++D) {
      auto Room = (limosa::getDim(From, D) - limosa::getDim(To, D)).constant();
      if (Room && (*Room < 0 || (*Room != 0 && D != int64_t(getDim()))))
        return emitOpError(
            "results may be shorter than the inputs along dim only");
    }
    Args.append(2, From.getElementType());
  }
  return verifyScalarRegion(*this, getBody(), Args,
                            {IntegerType::get(getContext(), 1)});
}

/// Dtypes of contract and conv.
static LogicalResult verifyProductTypes(Operation *Op) {
  Type L = getElementTypeOrSelf(Op->getOperand(0)),
       R = getElementTypeOrSelf(Op->getOperand(1)),
       Out = getElementTypeOrSelf(Op->getResult(0));
  auto isByte = [](Type T) { return T.isInteger(8); };
  if (isByte(L) && isByte(R) && Out.isSignlessInteger(32))
    return success();
  if (L != R)
    return Op->emitOpError(
        "operands need one dtype, or 8-bit integers with an i32 result");
  if (Out == L)
    return success();
  if (isa<FloatType>(L) && (Out.isF32() || Out.isF64()) &&
      L.getIntOrFloatBitWidth() < Out.getIntOrFloatBitWidth())
    return success();
  return Op->emitOpError("result dtype must be the operands' or a wider float");
}

LogicalResult ContractOp::verify() {
  if (failed(verifyProductTypes(*this)))
    return failure();
  return verifyInferred(*this, getType(), [&](infer::FailFn Fail) {
    return infer::contract(tensorType(getLhs()), tensorType(getRhs()),
                           getElementTypeOrSelf(getType()), getLhsBatch(),
                           getRhsBatch(), getLhsContract(), getRhsContract(),
                           Fail);
  });
}

LogicalResult ConvOp::verify() {
  auto Input = tensorType(getInput());
  if (Input.getRank() < 3 || Input.getRank() > 5)
    return emitOpError("needs one to three spatial dimensions");
  size_t Spatial = Input.getRank() - 2;
  if (failed(verifyProductTypes(*this)) ||
      failed(verifyExprs(*this, "pad_low", getPadLow(), Spatial)) ||
      failed(verifyExprs(*this, "pad_high", getPadHigh(), Spatial)))
    return failure();
  infer::ConvAttrs A;
  A.Strides = llvm::to_vector<3>(getStrides());
  A.LhsDilation = llvm::to_vector<3>(getLhsDilation());
  A.RhsDilation = llvm::to_vector<3>(getRhsDilation());
  llvm::append_range(A.PadLow, parseDims(getPadLow()));
  llvm::append_range(A.PadHigh, parseDims(getPadHigh()));
  A.FeatureGroups = getFeatureGroups();
  A.BatchGroups = getBatchGroups();
  return verifyInferred(*this, getType(), [&](infer::FailFn Fail) {
    return infer::conv(Input, tensorType(getFilter()),
                       getElementTypeOrSelf(getType()), A, Fail);
  });
}

LogicalResult CompactOp::verify() {
  StringRef Name = getSymbol();
  if (!DimExpr::isValidSymbol(std::string_view(Name.data(), Name.size())))
    return emitOpError("symbol is not a valid name");
  auto Indices = tensorType(getIndices());
  int64_t Rank = tensorType(getMask()).getRank();
  if (Indices.getRank() != 2 || !Indices.isDynamicDim(0) ||
      getDim(Indices, 0).toString() != Name || Indices.getDimSize(1) != Rank)
    return emitOpError("indices must be tensor<[")
           << Name << "] x " << Rank << " x i64>";
  if (tensorType(getCount()).getRank() != 0)
    return emitOpError("count must be rank 0");
  return success();
}

//===----------------------------------------------------------------------===//
// Iteration spaces
//===----------------------------------------------------------------------===//

IterationSpace ReduceOp::getIterationSpace() {
  IterationSpace S;
  SmallVector<DimAccess> Input, Result;
  for (auto [D, Extent] : llvm::enumerate(limosa::getDims(getInputs()[0]))) {
    bool Reduced = llvm::is_contained(getDims(), int64_t(D));
    auto Access = DimAccess::iterator(S.addDim(
        Reduced ? IteratorKind::Reduction : IteratorKind::Parallel, Extent));
    Input.push_back(Access);
    if (!Reduced)
      Result.push_back(Access);
  }
  S.Operands.assign(getInputs().size(), Input);
  S.Operands.append(getInits().size(), SmallVector<DimAccess>());
  S.Results.assign(getNumResults(), Result);
  return S;
}

/// scan and sort: one dimension is in order, the others are parallel.
static IterationSpace alongDim(Operation *Op, size_t NumInputs, int64_t Dim) {
  IterationSpace S;
  SmallVector<DimAccess> Access;
  for (auto [D, Extent] : llvm::enumerate(getDims(Op->getOperand(0))))
    Access.push_back(DimAccess::iterator(S.addDim(
        int64_t(D) == Dim ? IteratorKind::Sequential : IteratorKind::Parallel,
        Extent)));
  S.Operands.assign(NumInputs, Access);
  S.Operands.append(Op->getNumOperands() - NumInputs, SmallVector<DimAccess>());
  S.Results.assign(Op->getNumResults(), Access);
  return S;
}

IterationSpace ScanOp::getIterationSpace() {
  return alongDim(*this, getInputs().size(), getDim());
}
IterationSpace SortOp::getIterationSpace() {
  return alongDim(*this, getInputs().size(), getDim());
}

IterationSpace WindowOp::getIterationSpace() {
  IterationSpace S;
  SmallVector<DimAccess> Input, Result;
  for (auto [D, Extent] : llvm::enumerate(limosa::getDims(getResult(0)))) {
    unsigned I = S.addDim(IteratorKind::Parallel, Extent);
    Result.push_back(DimAccess::iterator(I));
    if (getSizes()[D] == 1 && getStrides()[D] == 1 &&
        limosa::getDim(getInputs()[0].getType(), D) == Extent) {
      Input.push_back(DimAccess::iterator(I));
      continue;
    }
    unsigned W = S.addDim(IteratorKind::Reduction, DimExpr(getSizes()[D]));
    Input.push_back(
        DimAccess::window(I, W, getStrides()[D], getDilations()[D]));
  }
  S.Operands.assign(getInputs().size(), Input);
  S.Operands.append(getInits().size(), SmallVector<DimAccess>());
  S.Results.assign(getNumResults(), Result);
  return S;
}

IterationSpace ContractOp::getIterationSpace() {
  IterationSpace S;
  Dims L = getDims(getLhs()), R = getDims(getRhs());
  SmallVector<DimAccess> Lhs(L.size()), Rhs(R.size()), Result;
  for (auto [A, B] : llvm::zip(getLhsBatch(), getRhsBatch())) {
    Lhs[A] = Rhs[B] =
        DimAccess::iterator(S.addDim(IteratorKind::Parallel, L[A]));
    Result.push_back(Lhs[A]);
  }
  for (auto [A, B] : llvm::zip(getLhsContract(), getRhsContract()))
    Lhs[A] = Rhs[B] =
        DimAccess::iterator(S.addDim(IteratorKind::Reduction, L[A]));
  auto addFree = [&](const Dims &D, SmallVectorImpl<DimAccess> &Accesses,
                     ArrayRef<int64_t> Batch, ArrayRef<int64_t> Contract) {
    for (size_t I = 0; I < D.size(); ++I) {
      if (llvm::is_contained(Batch, int64_t(I)) ||
          llvm::is_contained(Contract, int64_t(I)))
        continue;
      Accesses[I] = DimAccess::iterator(S.addDim(IteratorKind::Parallel, D[I]));
      Result.push_back(Accesses[I]);
    }
  };
  addFree(L, Lhs, getLhsBatch(), getLhsContract());
  addFree(R, Rhs, getRhsBatch(), getRhsContract());
  S.Operands = {Lhs, Rhs};
  S.Results = {Result};
  return S;
}

IterationSpace ConvOp::getIterationSpace() {
  IterationSpace S;
  Dims X = getDims(getInput()), W = getDims(getFilter()),
       Y = getDims(getResult());
  bool Grouped = getFeatureGroups() != 1 || getBatchGroups() != 1;
  auto iterate = [&](IteratorKind Kind, const DimExpr &Extent) {
    return DimAccess::iterator(S.addDim(Kind, Extent));
  };
  DimAccess N = iterate(IteratorKind::Parallel, Y[0]);
  DimAccess O = iterate(IteratorKind::Parallel, Y[1]);
  DimAccess C = iterate(IteratorKind::Reduction, W[1]);
  // With groups the input channel depends on the output channel's group.
  SmallVector<DimAccess> Input = {getBatchGroups() == 1 ? N
                                                        : DimAccess::whole(),
                                  Grouped ? DimAccess::whole() : C};
  SmallVector<DimAccess> Filter = {O, C}, Result = {N, O};
  for (size_t D = 0; D + 2 < X.size(); ++D) {
    DimAccess I = iterate(IteratorKind::Parallel, Y[D + 2]);
    DimAccess K = iterate(IteratorKind::Reduction, W[D + 2]);
    Input.push_back(getLhsDilation()[D] == 1
                        ? DimAccess::window(I.Iterator, K.Iterator,
                                            getStrides()[D],
                                            getRhsDilation()[D])
                        : DimAccess::whole());
    Filter.push_back(K);
    Result.push_back(I);
  }
  S.Operands = {Input, Filter};
  S.Results = {Result};
  return S;
}

IterationSpace CompactOp::getIterationSpace() {
  IterationSpace S;
  SmallVector<DimAccess> Mask;
  for (const DimExpr &D : getDims(getMask()))
    Mask.push_back(DimAccess::iterator(S.addDim(IteratorKind::Sequential, D)));
  S.Operands = {Mask};
  S.Results = {SmallVector<DimAccess>(2, DimAccess::whole()), {}};
  return S;
}
