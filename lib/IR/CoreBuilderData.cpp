//===- CoreBuilderData.cpp - Ops that move data ---------------------------===//

#include "limosa/IR/CoreBuilder.h"

using namespace mlir;
using namespace limosa;

static RankedTensorType tensorType(Value V) {
  return cast<RankedTensorType>(V.getType());
}

static void unexpected(const Twine &Message) {
  llvm::report_fatal_error("CoreBuilder: " + Message);
}

Value CoreBuilder::iota(Exprs Shape, int64_t Dim, Type ElementType) {
  return IotaOp::create(B, Loc, makeTensorType(Shape, ElementType),
                        B.getI64IntegerAttr(Dim));
}

Value CoreBuilder::reshape(Value V, Exprs Shape) {
  auto Ty = makeTensorType(Shape, getElementTypeOrSelf(V));
  return V.getType() == Ty ? V : ReshapeOp::create(B, Loc, Ty, V).getResult();
}

Value CoreBuilder::transpose(Value V, Ints Perm) {
  if (llvm::equal(Perm, llvm::seq<int64_t>(0, Perm.size())))
    return V;
  return TransposeOp::create(
      B, Loc, infer::transpose(tensorType(V), Perm, unexpected), V, Perm);
}

Value CoreBuilder::broadcast(Value V, Exprs Shape, Ints Dims) {
  auto Ty = makeTensorType(Shape, getElementTypeOrSelf(V));
  return V.getType() == Ty
             ? V
             : BroadcastOp::create(B, Loc, Ty, V, Dims).getResult();
}

Value CoreBuilder::broadcastTo(Value V, Exprs Shape) {
  int64_t Rank = tensorType(V).getRank();
  auto Targets = llvm::to_vector(
      llvm::seq<int64_t>(int64_t(Shape.size()) - Rank, Shape.size()));
  return broadcast(V, Shape, Targets);
}

/// What sizes that differ by their expressions broadcast to. When the program
/// runs they are all equal or 1; so it is the largest, but 0 if one of them is.
static DimExpr commonSize(std::vector<DimExpr> Sizes) {
  llvm::sort(Sizes);
  Sizes.erase(std::unique(Sizes.begin(), Sizes.end()), Sizes.end());
  if (Sizes.size() == 1)
    return Sizes[0];
  DimExpr Most = Sizes[0], Least(1);
  for (const DimExpr &Size : Sizes) {
    Most = DimExpr::max(Most, Size);
    Least = DimExpr::min(Least, Size);
  }
  return Most * Least;
}

/// Adds those of the sizes that E is the common size of (commonSize).
static void addSizes(const DimExpr &E, std::vector<DimExpr> &Out) {
  auto Args = [](const DimAtom &A, DimAtomKind Kind) {
    std::vector<DimExpr> Found, Open = A.Args;
    if (A.Kind != Kind)
      return Found;
    while (!Open.empty()) {
      DimExpr Arg = Open.back();
      Open.pop_back();
      const auto &Terms = Arg.terms();
      if (Terms.size() == 1 && Terms[0].Coefficient == 1 &&
          Terms[0].Factors.size() == 1 && Terms[0].Factors[0]->Kind == Kind)
        llvm::append_range(Open, Terms[0].Factors[0]->Args);
      else
        Found.push_back(Arg);
    }
    return Found;
  };
  if (E.terms().size() == 1 && E.terms()[0].Factors.size() == 2)
    for (unsigned K = 0; K < 2; ++K) {
      auto Sizes = Args(*E.terms()[0].Factors[K], DimAtomKind::Max);
      if (Sizes.empty() || !(commonSize(Sizes) == E))
        continue;
      llvm::append_range(Out, Sizes);
      return;
    }
  Out.push_back(E);
}

Dims CoreBuilder::broadcastShapes(ArrayRef<Dims> Shapes) {
  size_t Rank = 0;
  for (const Dims &S : Shapes)
    Rank = std::max(Rank, S.size());
  Dims Out(Rank, DimExpr(1));
  for (const Dims &S : Shapes)
    for (size_t I = 0; I < S.size(); ++I) {
      DimExpr &D = Out[Rank - S.size() + I];
      const DimExpr &E = S[I];
      if (E == D || E.isConstant(1))
        continue;
      // A known size other than 1 decides.
      if (D.isConstant(1) || (E.constant() && !D.constant())) {
        D = E;
      } else if (!D.constant()) {
        std::vector<DimExpr> Sizes;
        addSizes(D, Sizes);
        addSizes(E, Sizes);
        D = commonSize(std::move(Sizes));
      }
    }
  return Out;
}

SmallVector<Value> CoreBuilder::broadcastTogether(ValueRange Vs) {
  SmallVector<Dims> Shapes;
  for (Value V : Vs)
    Shapes.push_back(getDims(V));
  Dims Shape = broadcastShapes(Shapes);
  SmallVector<Value> Result;
  for (Value V : Vs)
    Result.push_back(broadcastTo(V, Shape));
  return Result;
}

Value CoreBuilder::expandDims(Value V, Ints NewDims) {
  Dims In = getDims(V), Out;
  size_t Next = 0;
  for (size_t D = 0; D < In.size() + NewDims.size(); ++D)
    Out.push_back(llvm::is_contained(NewDims, int64_t(D)) ? DimExpr(1)
                                                          : In[Next++]);
  return reshape(V, Out);
}

Value CoreBuilder::squeeze(Value V, Ints DropDims) {
  Dims In = getDims(V), Out;
  for (size_t D = 0; D < In.size(); ++D)
    if (!llvm::is_contained(DropDims, int64_t(D)))
      Out.push_back(In[D]);
  return reshape(V, Out);
}

Value CoreBuilder::slice(Value V, Exprs Starts, Exprs Sizes, Ints Steps) {
  auto Ty = makeTensorType(Sizes, getElementTypeOrSelf(V));
  if (V.getType() == Ty && llvm::all_of(Steps, [](int64_t S) { return S > 0; }))
    return V;
  return SliceOp::create(B, Loc, Ty, V, dimsAttr(context(), Starts), Steps);
}

Value CoreBuilder::sliceDim(Value V, int64_t Dim, const DimExpr &Start,
                            const DimExpr &Size) {
  Dims Sizes = getDims(V), Starts(Sizes.size(), DimExpr(0));
  Starts[Dim] = Start;
  Sizes[Dim] = Size;
  return slice(V, Starts, Sizes, SmallVector<int64_t>(Sizes.size(), 1));
}

Value CoreBuilder::reverse(Value V, int64_t Dim) {
  Dims Sizes = getDims(V), Starts(Sizes.size(), DimExpr(0));
  Starts[Dim] = Sizes[Dim] - DimExpr(1);
  SmallVector<int64_t> Steps(Sizes.size(), 1);
  Steps[Dim] = -1;
  return slice(V, Starts, Sizes, Steps);
}

Value CoreBuilder::pad(Value V, Value PadValue, Exprs Low, Exprs High,
                       Ints Interior) {
  SmallVector<int64_t> Inner(Interior);
  Inner.resize(Low.size(), 0);
  auto Ty = infer::pad(tensorType(V), Low, High, Inner, unexpected);
  if (Ty == V.getType())
    return V;
  return PadOp::create(B, Loc, Ty, V, PadValue, dimsAttr(context(), Low),
                       dimsAttr(context(), High), Inner);
}

Value CoreBuilder::concat(ValueRange Vs, int64_t Dim) {
  if (Vs.size() == 1)
    return Vs[0];
  SmallVector<RankedTensorType> Types;
  for (Value V : Vs)
    Types.push_back(tensorType(V));
  return ConcatOp::create(B, Loc, infer::concat(Types, Dim, unexpected), Vs,
                          Dim);
}

Value CoreBuilder::gather(Value V, Value Indices, Ints Axes, int64_t Batch) {
  auto Ty = infer::gather(tensorType(V), tensorType(Indices), Axes, Batch,
                          unexpected);
  return GatherOp::create(B, Loc, Ty, V, Indices, Axes, Batch);
}

Value CoreBuilder::take(Value V, Value Indices, int64_t Dim) {
  int64_t P = tensorType(Indices).getRank(), Rank = tensorType(V).getRank();
  Value Slices = gather(V, expandDims(Indices, {P}), {Dim}, 0);
  // gather puts the positions first; numpy puts them where Dim was.
  SmallVector<int64_t> Perm;
  for (int64_t D = 0; D < Dim; ++D)
    Perm.push_back(P + D);
  for (int64_t D = 0; D < P; ++D)
    Perm.push_back(D);
  for (int64_t D = Dim; D + 1 < Rank; ++D)
    Perm.push_back(P + D);
  return transpose(Slices, Perm);
}

Value CoreBuilder::scatter(Value V, Value Indices, Value Updates, Ints Axes,
                           int64_t Batch, Region Combine) {
  auto Op = ScatterOp::create(B, Loc, withOrder(tensorType(V), {}), V, Indices,
                              Updates, Axes, Batch);
  auto Scalar = RankedTensorType::get({}, getElementTypeOrSelf(V));
  OpBuilder::InsertionGuard Guard(B);
  Block *Body =
      B.createBlock(&Op.getCombine(), {}, {Scalar, Scalar}, {Loc, Loc});
  Value Result = Combine(*this, Body->getArgument(0), Body->getArgument(1));
  YieldOp::create(B, Loc, Result);
  return Op.getResult();
}

Value CoreBuilder::updateSlice(Value V, Value Update, Value Starts) {
  return UpdateSliceOp::create(B, Loc, withOrder(tensorType(V), {}), V, Update,
                               Starts);
}
