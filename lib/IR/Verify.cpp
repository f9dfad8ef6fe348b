//===- Verify.cpp - Verifiers of the core ops -----------------------------===//

#include "limosa/IR/Infer.h"
#include "limosa/IR/LimosaOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace limosa;

static RankedTensorType tensorType(Value V) {
  return cast<RankedTensorType>(V.getType());
}

/// Runs an inference and compares its result with the op's declared one.
template <typename InferFn>
static LogicalResult verifyInferred(Operation *Op, Type Declared,
                                    InferFn Infer) {
  bool Failed = false;
  RankedTensorType Expected = Infer([&](const Twine &Message) {
    Failed = true;
    Op->emitOpError() << Message;
  });
  if (Failed)
    return failure();
  if (!sameLogicalType(Expected, Declared))
    return Op->emitOpError("result must be ")
           << Expected << ", not " << Declared;
  return success();
}

static LogicalResult verifyExprs(Operation *Op, StringRef Name, ArrayAttr Texts,
                                 size_t Count) {
  if (Texts.size() != Count)
    return Op->emitOpError()
           << Name << " needs " << Count << " entries, has " << Texts.size();
  for (Attribute A : Texts) {
    StringRef Text = cast<StringAttr>(A).getValue();
    std::string Error;
    if (!DimExpr::parse(std::string_view(Text.data(), Text.size()), &Error))
      return Op->emitOpError() << Name << ": " << Error;
  }
  return success();
}

static LogicalResult verifyExpr(Operation *Op, StringRef Name,
                                StringAttr Text) {
  return verifyExprs(Op, Name, ArrayAttr::get(Op->getContext(), {Text}), 1);
}

/// The region of a combining op: arguments and yields are rank-0 tensors of the
/// given dtypes.
static LogicalResult verifyScalarRegion(Operation *Op, Region &R,
                                        ArrayRef<Type> ArgElements,
                                        ArrayRef<Type> YieldElements) {
  Block &Body = R.front();
  auto matches = [](TypeRange Types, ArrayRef<Type> Elements) {
    if (Types.size() != Elements.size())
      return false;
    for (auto [Ty, E] : llvm::zip(Types, Elements)) {
      auto T = dyn_cast<RankedTensorType>(Ty);
      if (!T || T.getRank() != 0 || T.getElementType() != E)
        return false;
    }
    return true;
  };
  if (!matches(Body.getArgumentTypes(), ArgElements))
    return Op->emitOpError("region needs ")
           << ArgElements.size() << " rank-0 arguments of the operands' dtypes";
  auto Yield = dyn_cast_or_null<YieldOp>(Body.empty() ? nullptr : &Body.back());
  if (!Yield)
    return Op->emitOpError("region must end in limosa.yield");
  if (!matches(Yield->getOperandTypes(), YieldElements))
    return Op->emitOpError("region must yield ")
           << YieldElements.size() << " rank-0 tensors of the expected dtypes";
  return success();
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

LogicalResult CompareOp::verify() {
  if (getElementTypeOrSelf(getLhs()) != getElementTypeOrSelf(getRhs()))
    return emitOpError("lhs and rhs need one dtype");
  return success();
}

LogicalResult SelectOp::verify() {
  Type E = getElementTypeOrSelf(getType());
  if (getElementTypeOrSelf(getOnTrue()) != E ||
      getElementTypeOrSelf(getOnFalse()) != E)
    return emitOpError("on_true, on_false and the result need one dtype");
  return success();
}

LogicalResult ConvertOp::verify() { return success(); }

LogicalResult BitcastOp::verify() {
  DType From = getDType(getElementTypeOrSelf(getOperand())),
        To = getDType(getElementTypeOrSelf(getType()));
  if (From == DType::Bool || To == DType::Bool ||
      dtypeBits(From) != dtypeBits(To))
    return emitOpError("needs dtypes of one width, not bool");
  return success();
}

//===----------------------------------------------------------------------===//
// Data movement
//===----------------------------------------------------------------------===//

LogicalResult IotaOp::verify() {
  if (getDim() >= uint64_t(getType().getRank()))
    return emitOpError("dim is out of range");
  return success();
}

LogicalResult ReshapeOp::verify() {
  if (getElementTypeOrSelf(getOperand()) != getElementTypeOrSelf(getType()))
    return emitOpError("must keep the dtype");
  DimExpr In = numElements(getOperand().getType()),
          Out = numElements(getType());
  auto Difference = (In - Out).constant();
  if (Difference && *Difference != 0)
    return emitOpError("must keep the number of elements, got ")
           << In.toString() << " and " << Out.toString();
  return success();
}

LogicalResult TransposeOp::verify() {
  return verifyInferred(*this, getType(), [&](infer::FailFn Fail) {
    return infer::transpose(tensorType(getOperand()), getPerm(), Fail);
  });
}

LogicalResult BroadcastOp::verify() {
  auto From = tensorType(getOperand());
  if (From.getElementType() != getElementTypeOrSelf(getType()))
    return emitOpError("must keep the dtype");
  if (int64_t(getDims().size()) != From.getRank())
    return emitOpError("dims needs one entry per operand dimension");
  int64_t Last = -1;
  for (auto [D, To] : llvm::enumerate(getDims())) {
    if (To <= Last || To >= getType().getRank())
      return emitOpError("dims must be increasing dimensions of the result");
    Last = To;
    DimExpr In = getDim(From, D), Out = getDim(getType(), To);
    if (In.constant() && Out.constant() && !In.isConstant(1) && !(In == Out))
      return emitOpError("cannot repeat ")
             << In.toString() << " elements to " << Out.toString();
  }
  return success();
}

LogicalResult SliceOp::verify() {
  auto From = tensorType(getOperand());
  size_t Rank = From.getRank();
  if (From.getElementType() != getElementTypeOrSelf(getType()) ||
      getType().getRank() != int64_t(Rank))
    return emitOpError("must keep dtype and rank");
  if (getSteps().size() != Rank || llvm::is_contained(getSteps(), 0))
    return emitOpError("steps needs one nonzero entry per dimension");
  if (failed(verifyExprs(*this, "starts", getStarts(), Rank)))
    return failure();
  Dims Starts = parseDims(getStarts());
  for (size_t D = 0; D < Rank; ++D) {
    auto Size = getDim(From, D).constant(),
         Count = getDim(getType(), D).constant(), Start = Starts[D].constant();
    if (!Size || !Count || !Start || *Count == 0)
      continue;
    int64_t Last = *Start + (*Count - 1) * getSteps()[D];
    if (*Start < 0 || *Start >= *Size || Last < 0 || Last >= *Size)
      return emitOpError("reaches outside of dimension ") << D;
  }
  return success();
}

LogicalResult PadOp::verify() {
  auto From = tensorType(getOperand());
  size_t Rank = From.getRank();
  auto Value = tensorType(getValue());
  if (Value.getRank() != 0 || Value.getElementType() != From.getElementType())
    return emitOpError("value must be a rank-0 tensor of the operand's dtype");
  if (failed(verifyExprs(*this, "low", getLow(), Rank)) ||
      failed(verifyExprs(*this, "high", getHigh(), Rank)))
    return failure();
  Dims Low = parseDims(getLow()), High = parseDims(getHigh());
  for (const DimExpr &E : llvm::concat<DimExpr>(Low, High))
    if (auto C = E.constant(); C && *C < 0)
      return emitOpError("low and high must not be negative");
  return verifyInferred(*this, getType(), [&](infer::FailFn Fail) {
    return infer::pad(From, Low, High, getInterior(), Fail);
  });
}

LogicalResult ConcatOp::verify() {
  return verifyInferred(*this, getType(), [&](infer::FailFn Fail) {
    SmallVector<RankedTensorType> Types;
    for (Value V : getInputs())
      Types.push_back(tensorType(V));
    return infer::concat(Types, getDim(), Fail);
  });
}

LogicalResult GatherOp::verify() {
  return verifyInferred(*this, getType(), [&](infer::FailFn Fail) {
    return infer::gather(tensorType(getOperand()), tensorType(getIndices()),
                         getAxes(), getBatch(), Fail);
  });
}

LogicalResult ScatterOp::verify() {
  // Updates have the shape that the gather of the same positions has.
  if (failed(verifyInferred(*this, getUpdates().getType(),
                            [&](infer::FailFn Fail) {
                              return infer::gather(tensorType(getOperand()),
                                                   tensorType(getIndices()),
                                                   getAxes(), getBatch(), Fail);
                            })))
    return failure();
  if (!sameLogicalType(getOperand().getType(), getType()))
    return emitOpError("result must have the operand's type");
  Type E = getElementTypeOrSelf(getType());
  return verifyScalarRegion(*this, getCombine(), {E, E}, {E});
}

LogicalResult UpdateSliceOp::verify() {
  auto From = tensorType(getOperand()), Update = tensorType(getUpdate());
  if (!sameLogicalType(From, getType()))
    return emitOpError("result must have the operand's type");
  if (Update.getElementType() != From.getElementType() ||
      Update.getRank() != From.getRank())
    return emitOpError("update must have the operand's dtype and rank");
  auto Starts = tensorType(getStarts());
  if (Starts.getRank() != 1 || Starts.getDimSize(0) != From.getRank())
    return emitOpError("starts must hold one index per dimension");
  for (int64_t D = 0; D < From.getRank(); ++D) {
    auto Room = (getDim(From, D) - getDim(Update, D)).constant();
    if (Room && *Room < 0)
      return emitOpError("update is larger than the operand in dimension ")
             << D;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Structured
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
// Randomness, control flow, collectives
//===----------------------------------------------------------------------===//

LogicalResult RandomBitsOp::verify() {
  auto Key = tensorType(getKey());
  if (Key.getRank() != 1 || Key.getDimSize(0) != 2)
    return emitOpError("key must have two elements");
  return success();
}

/// Same dtype and rank, and no dimension that is known to differ: a symbol may
/// stand for what another symbol stands for elsewhere.
static bool agree(Type A, Type B) {
  auto TA = cast<RankedTensorType>(A), TB = cast<RankedTensorType>(B);
  if (TA.getElementType() != TB.getElementType() ||
      TA.getRank() != TB.getRank())
    return false;
  for (int64_t D = 0; D < TA.getRank(); ++D)
    if (!TA.isDynamicDim(D) && !TB.isDynamicDim(D) &&
        TA.getDimSize(D) != TB.getDimSize(D))
      return false;
  return true;
}

static LogicalResult verifyYield(Operation *Op, Region &R, TypeRange Expected,
                                 StringRef Which) {
  auto Yield = dyn_cast_or_null<YieldOp>(R.front().empty() ? nullptr
                                                           : &R.front().back());
  if (!Yield)
    return Op->emitOpError() << Which << " must end in limosa.yield";
  if (Yield->getNumOperands() != Expected.size() ||
      !llvm::all_of(llvm::zip(Yield->getOperandTypes(), Expected), [](auto P) {
        return agree(std::get<0>(P), std::get<1>(P));
      }))
    return Op->emitOpError()
           << Which << " must yield values of the expected types";
  return success();
}

LogicalResult IfOp::verify() {
  for (auto [R, Name] :
       {std::pair<Region *, StringRef>(&getThenRegion(), "then"),
        {&getElseRegion(), "else"}}) {
    if (R->front().getNumArguments())
      return emitOpError() << Name << " takes no arguments";
    if (failed(verifyYield(*this, *R, getResultTypes(), Name)))
      return failure();
  }
  return success();
}

LogicalResult WhileOp::verify() {
  if (getNumResults() != getInits().size())
    return emitOpError("needs as many results as carried values");
  Type Condition = RankedTensorType::get({}, IntegerType::get(getContext(), 1));
  for (Region *R : {&getBefore(), &getAfter()}) {
    bool Match = R->front().getNumArguments() == getInits().size();
    for (unsigned I = 0; Match && I < getInits().size(); ++I)
      Match =
          agree(R->front().getArgument(I).getType(), getInits()[I].getType()) &&
          agree(getResult(I).getType(), getInits()[I].getType());
    if (!Match)
      return emitOpError("regions take the carried values");
  }
  if (failed(verifyYield(*this, getBefore(), Condition, "before")))
    return failure();
  return verifyYield(*this, getAfter(), getResultTypes(), "after");
}

LogicalResult AllGatherOp::verify() {
  auto From = tensorType(getOperand());
  if (getDim() >= uint64_t(From.getRank()) || int64_t(getRanks()) < 1)
    return emitOpError("dim or ranks is out of range");
  Dims Out = getDims(From);
  Out[getDim()] = Out[getDim()] * DimExpr(int64_t(getRanks()));
  return verifyInferred(*this, getType(), [&](infer::FailFn) {
    return makeTensorType(Out, From.getElementType());
  });
}

LogicalResult ReduceScatterOp::verify() {
  auto From = tensorType(getOperand());
  if (getDim() >= uint64_t(From.getRank()) || int64_t(getRanks()) < 1)
    return emitOpError("dim or ranks is out of range");
  Dims Out = getDims(From);
  auto Part = Out[getDim()].exactDiv(DimExpr(int64_t(getRanks())));
  if (!Part)
    return emitOpError("dimension ")
           << getDim() << " must be a multiple of ranks";
  Out[getDim()] = *Part;
  return verifyInferred(*this, getType(), [&](infer::FailFn) {
    return makeTensorType(Out, From.getElementType());
  });
}

LogicalResult PermuteOp::verify() {
  if (!sameLogicalType(getOperand().getType(), getType()))
    return emitOpError("result must have the operand's type");
  SmallVector<bool> Seen(getTargets().size(), false);
  for (int64_t T : getTargets()) {
    if (T == -1)
      continue;
    if (T < 0 || T >= int64_t(Seen.size()) || Seen[T])
      return emitOpError("targets must be distinct ranks or -1");
    Seen[T] = true;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Ops that are not counted
//===----------------------------------------------------------------------===//

LogicalResult ConstantOp::verify() {
  auto Ty = cast<RankedTensorType>(getType());
  auto ValueType = dyn_cast<RankedTensorType>(getValue().getShapedType());
  if (!Ty.hasStaticShape() || !ValueType ||
      ValueType.getShape() != Ty.getShape() ||
      ValueType.getElementType() != Ty.getElementType())
    return emitOpError("result must have the value's static shape and dtype");
  return success();
}

LogicalResult DimOp::verify() {
  return verifyExpr(*this, "expr", getExprAttr());
}

LogicalResult RelayoutOp::verify() {
  if (!sameLogicalType(getOperand().getType(), getType()))
    return emitOpError("must keep shape and dtype");
  return success();
}

/// A call by symbol: the function exists and its signature is that of the op.
static LogicalResult verifyCall(Operation *Op, FlatSymbolRefAttr Callee,
                                SymbolTableCollection &Symbols) {
  auto F = Symbols.lookupNearestSymbolFrom<func::FuncOp>(Op, Callee);
  if (!F)
    return Op->emitOpError("names no function: ") << Callee;
  auto sameTypes = [](TypeRange A, TypeRange B) {
    return A.size() == B.size() && llvm::all_of(llvm::zip(A, B), [](auto P) {
             return agree(std::get<0>(P), std::get<1>(P));
           });
  };
  if (!sameTypes(F.getArgumentTypes(), Op->getOperandTypes()) ||
      !sameTypes(F.getResultTypes(), Op->getResultTypes()))
    return Op->emitOpError("does not have the signature of ") << Callee;
  return success();
}

LogicalResult CompositeOp::verifySymbolUses(SymbolTableCollection &Symbols) {
  return verifyCall(*this, getBodyAttr(), Symbols);
}
LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &Symbols) {
  return verifyCall(*this, getKernelAttr(), Symbols);
}
