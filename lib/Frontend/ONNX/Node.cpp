//===- Node.cpp - A node as its handler sees it ---------------------------===//

#include "Node.h"
#include "Tensors.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

static Location nodeLoc(const onnx::NodeProto &P, MLIRContext *Ctx) {
  std::string Name = P.name();
  if (Name.empty())
    Name = P.op_type() + "(" + (P.output_size() ? P.output(0) : "") + ")";
  return NameLoc::get(StringAttr::get(Ctx, Name));
}

Node::Node(Importer &I, const onnx::NodeProto &P, Frame &F, int64_t Version)
    : I(I), P(P), F(F), B(I.builder(), nodeLoc(P, I.context())),
      Version(Version), Opset(F.opset(P.domain())) {
  for (const std::string &Name : P.input())
    Inputs.push_back(Name.empty() ? nullptr : F.find(Name));
}

Failed Node::fail(const Twine &Reason) {
  // Perhaps a value is all that it takes. Looking for its input goes through
  // the program, which is not done for every node of a large one.
  constexpr size_t MaxHints = 32;
  llvm::SmallSetVector<StringRef, 2> Wanted;
  if (I.numRefusals() >= MaxHints)
    Unknown.clear();
  for (unsigned K : Unknown)
    Wanted.insert_range(I.inputsBehind(*Inputs[K]));
  std::string Hint;
  for (StringRef Name : Wanted)
    Hint += (Hint.empty() ? "; compiling needs the value of input '"
                          : ", input '") +
            Name.str() + "'";
  I.refuse(P, Opset, Reason + Hint);
  return {};
}

DimExpr Node::dim(unsigned K, int64_t D) {
  if (D >= 0 && D < rank(K))
    return getDim(type(K), D);
  fail("input " + Twine(K) + " has only " + Twine(rank(K)) + " dimensions");
  return 1;
}

StringRef Node::op() const { return P.op_type(); }
StringRef Node::name() const { return P.name(); }

//===----------------------------------------------------------------------===//
// Inputs and attributes
//===----------------------------------------------------------------------===//

Value Node::in(unsigned K) { return I.materialize(tensor(K), B.loc()); }

SmallVector<Value> Node::allIn() {
  SmallVector<Value> Out;
  for (unsigned K = 0; K < numInputs(); ++K)
    if (has(K))
      Out.push_back(in(K));
  return Out;
}

std::optional<Dims> Node::known(unsigned K) {
  KnownRef T = has(K) ? I.known(tensor(K)) : nullptr;
  if (!T) {
    if (has(K))
      Unknown.insert(K);
    return std::nullopt;
  }
  Dims Out;
  for (const KnownNumber &N : T->Elements) {
    if (N.Den != 1)
      return std::nullopt;
    Out.push_back(N.Num);
  }
  return Out;
}

std::optional<Ints> Node::constInts(unsigned K) {
  auto Exprs = known(K);
  if (!Exprs)
    return std::nullopt;
  Ints Out;
  for (const DimExpr &E : *Exprs) {
    auto C = E.constant();
    if (!C) {
      Unknown.insert(K);
      return std::nullopt;
    }
    Out.push_back(*C);
  }
  return Out;
}

std::optional<SmallVector<double>> Node::constFloats(unsigned K) {
  if (!has(K))
    return std::nullopt;
  SmallVector<double> Out;
  auto Dense = dyn_cast_or_null<DenseElementsAttr>(tensor(K).Const);
  if (Dense && isa<FloatType>(Dense.getElementType())) {
    for (APFloat V : Dense.getValues<APFloat>()) {
      bool Loses;
      V.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &Loses);
      Out.push_back(V.convertToDouble());
    }
    return Out;
  }
  KnownRef T = I.known(tensor(K));
  if (!T) {
    Unknown.insert(K);
    return std::nullopt;
  }
  for (const KnownNumber &N : T->Elements) {
    auto C = N.Num.constant();
    if (!C)
      return std::nullopt;
    Out.push_back(double(*C) / double(N.Den));
  }
  return Out;
}

Dims Node::bind(Value V, StringRef Hint, const DimExpr *Bound) {
  Dims Out;
  auto Type = cast<RankedTensorType>(V.getType());
  V = B.convert(V, i64());
  int64_t N = Type.getRank() == 0 ? 1 : Type.getDimSize(0);
  for (int64_t K = 0; K < N; ++K) {
    Value E = V;
    if (Type.getRank() == 1)
      E = B.reshape(B.sliceDim(V, 0, DimExpr(K), DimExpr(1)), {});
    DimExpr S = I.freshSymbol(Hint, Bound);
    BindSymbolOp::create(B.builder(), B.loc(), E,
                         B.builder().getStringAttr(S.toString()));
    Out.push_back(S);
  }
  return Out;
}

FailureOr<Dims> Node::sizes(unsigned K) {
  if (auto E = known(K))
    return *E;
  auto Type = type(K);
  if (Type.getRank() > 1 || !Type.hasStaticShape() ||
      Type.getNumElements() > 64 || !isa<IntegerType>(Type.getElementType()))
    return fail("input " + Twine(K) +
                " must be a vector of integers of known length");
  return bind(in(K), sanitizeSymbol(P.input(int(K))));
}

const onnx::AttributeProto *Node::findAttr(StringRef Name) {
  for (const onnx::AttributeProto &A : P.attribute()) {
    if (A.name() != Name)
      continue;
    if (A.ref_attr_name().empty())
      return &A;
    // A function's body refers to the attributes of the call.
    if (!F.FunctionAttrs)
      return nullptr;
    auto It = F.FunctionAttrs->find(A.ref_attr_name());
    return It == F.FunctionAttrs->end() ? nullptr : It->second;
  }
  return nullptr;
}

bool Node::hasAttr(StringRef Name) { return findAttr(Name) != nullptr; }
int64_t Node::attr(StringRef Name, int64_t Default) {
  const onnx::AttributeProto *A = findAttr(Name);
  return A ? A->i() : Default;
}
double Node::attr(StringRef Name, double Default) {
  const onnx::AttributeProto *A = findAttr(Name);
  return A ? double(A->f()) : Default;
}
std::string Node::attr(StringRef Name, StringRef Default) {
  const onnx::AttributeProto *A = findAttr(Name);
  return A ? A->s() : Default.str();
}
std::optional<Ints> Node::ints(StringRef Name) {
  const onnx::AttributeProto *A = findAttr(Name);
  if (!A)
    return std::nullopt;
  return Ints(A->ints().begin(), A->ints().end());
}
std::optional<SmallVector<double>> Node::floats(StringRef Name) {
  const onnx::AttributeProto *A = findAttr(Name);
  if (!A)
    return std::nullopt;
  return SmallVector<double>(A->floats().begin(), A->floats().end());
}
std::optional<SmallVector<std::string>> Node::strings(StringRef Name) {
  const onnx::AttributeProto *A = findAttr(Name);
  if (!A)
    return std::nullopt;
  return SmallVector<std::string>(A->strings().begin(), A->strings().end());
}
const onnx::GraphProto *Node::graph(StringRef Name) {
  const onnx::AttributeProto *A = findAttr(Name);
  return A && A->has_g() ? &A->g() : nullptr;
}

unsigned Node::numOutputs() const { return P.output_size(); }
bool Node::wants(unsigned K) const {
  return int(K) < P.output_size() && !P.output(int(K)).empty();
}
void Node::out(unsigned K, Tensor T) {
  if (wants(K))
    F.Names[P.output(int(K))] = std::move(T);
}
LogicalResult Node::done(ValueRange Vs) {
  for (auto [K, V] : llvm::enumerate(Vs))
    if (V)
      out(K, V);
  return success();
}

//===----------------------------------------------------------------------===//
// Checks and everyday steps
//===----------------------------------------------------------------------===//

static std::string shapeText(ArrayRef<DimExpr> Shape) {
  std::string Text = "[";
  for (auto [I, D] : llvm::enumerate(Shape))
    Text += (I ? ", " : "") + D.toString();
  return Text + "]";
}

FailureOr<int64_t> Node::axis(int64_t Axis, int64_t Rank) {
  if (Axis < -Rank || Axis >= Rank)
    return fail("axis " + Twine(Axis) + " does not exist in a tensor of rank " +
                Twine(Rank));
  return Axis < 0 ? Axis + Rank : Axis;
}

FailureOr<Ints> Node::axes(ArrayRef<int64_t> Axes, int64_t Rank) {
  Ints Out;
  for (int64_t A : Axes) {
    auto At = axis(A, Rank);
    if (failed(At))
      return failure();
    if (llvm::is_contained(Out, *At))
      return fail("axis " + Twine(A) + " is given twice");
    Out.push_back(*At);
  }
  return Out;
}

LogicalResult Node::wantRank(unsigned K, int64_t Rank) {
  if (rank(K) != Rank)
    return fail("input " + Twine(K) + " must have rank " + Twine(Rank) +
                ", has " + Twine(rank(K)));
  return success();
}
LogicalResult Node::wantMinRank(unsigned K, int64_t Rank) {
  if (rank(K) < Rank)
    return fail("input " + Twine(K) + " must have at least rank " +
                Twine(Rank) + ", has " + Twine(rank(K)));
  return success();
}
LogicalResult Node::sameElem(unsigned K, unsigned L) {
  if (elem(K) != elem(L))
    return fail("inputs " + Twine(K) + " and " + Twine(L) +
                " must have one element type, have " + typeName(elem(K)) +
                " and " + typeName(elem(L)));
  return success();
}

LogicalResult Node::wantEqual(const DimExpr &L, const DimExpr &R,
                              const Twine &What) {
  if (L == R)
    return success();
  if (auto C = (L - R).constant(); C && *C != 0)
    return fail(What + " must be equal, are " + L.toString() + " and " +
                R.toString());
  auto &Builder = B.builder();
  AssertExprOp::create(Builder, B.loc(), Builder.getStringAttr(L.toString()),
                       Builder.getStringAttr(R.toString()),
                       Builder.getStringAttr(op() + " '" + name() +
                                             "': " + What + " must be equal"));
  return success();
}

Value Node::as(Value V, ArrayRef<DimExpr> Shape) {
  return llvm::equal(getDims(V), Shape)
             ? V
             : B.broadcast(
                   V, Shape,
                   llvm::to_vector(llvm::seq<int64_t>(0, Shape.size())));
}

FailureOr<SmallVector<Value>> Node::broadcast(ValueRange Vs, bool Mixed) {
  SmallVector<Dims> Shapes;
  for (Value V : Vs) {
    if (!Mixed && getElementTypeOrSelf(V) != getElementTypeOrSelf(Vs[0]))
      return fail("inputs must have one element type, have " +
                  typeName(getElementTypeOrSelf(Vs[0])) + " and " +
                  typeName(getElementTypeOrSelf(V)));
    Shapes.push_back(getDims(V));
  }
  Dims Shape = CoreBuilder::broadcastShapes(Shapes);
  SmallVector<Value> Out;
  for (Value V : Vs) {
    auto R = broadcastTo(V, Shape);
    if (failed(R))
      return failure();
    Out.push_back(*R);
  }
  return Out;
}

FailureOr<Value> Node::broadcastTo(Value V, ArrayRef<DimExpr> Shape) {
  Dims Own = getDims(V);
  bool Fits = Own.size() <= Shape.size();
  for (size_t D = 0; Fits && D < Own.size(); ++D) {
    const DimExpr &To = Shape[Shape.size() - Own.size() + D];
    auto C = (Own[D] - To).constant();
    Fits = Own[D].isConstant(1) || !(C && *C != 0) || !Own[D].constant();
  }
  if (!Fits)
    return fail("shape " + shapeText(Own) + " does not broadcast to " +
                shapeText(Shape));
  return B.broadcastTo(V, Shape);
}

FailureOr<Value> Node::reshape(Value V, ArrayRef<DimExpr> Shape) {
  DimExpr To(1);
  for (const DimExpr &D : Shape) {
    if (auto C = D.constant(); C && *C < 0)
      return fail("a dimension would be " + Twine(*C));
    To = To * D;
  }
  DimExpr From = numElements(V.getType());
  if (auto C = (From - To).constant(); C && *C != 0)
    return fail("shape " + shapeText(getDims(V)) + " cannot be reshaped to " +
                shapeText(Shape));
  // Text equality is all there is for symbols; the program checks the rest.
  if (!(From == To) && failed(wantEqual(From, To, "element counts")))
    return failure();
  return B.reshape(V, Shape);
}

FailureOr<Value> Node::contract(Value L, Value R, CoreBuilder::Ints LB,
                                CoreBuilder::Ints RB, CoreBuilder::Ints LC,
                                CoreBuilder::Ints RC, Type Result) {
  Type E = getElementTypeOrSelf(L);
  if (!Result)
    Result = E;
  Dims LD = getDims(L), RD = getDims(R);
  auto unify = [&](CoreBuilder::Ints LX, CoreBuilder::Ints RX,
                   StringRef What) -> LogicalResult {
    for (auto [X, Y] : llvm::zip(LX, RX)) {
      if (failed(wantEqual(LD[X], RD[Y], What)))
        return failure();
      // The side that says more decides.
      (LD[X].constant() ? RD[Y] : LD[X]) = LD[X].constant() ? LD[X] : RD[Y];
    }
    return success();
  };
  if (failed(unify(LB, RB, "batch sizes")) ||
      failed(unify(LC, RC, "sizes that are summed over")))
    return failure();
  L = as(L, LD);
  R = as(R, RD);
  std::string Reason;
  auto Ty = infer::contract(cast<RankedTensorType>(L.getType()),
                            cast<RankedTensorType>(R.getType()), Result, LB, RB,
                            LC, RC, [&](const Twine &M) { Reason = M.str(); });
  if (!Ty)
    return fail(Reason);
  return B.contract(L, R, LB, RB, LC, RC, Result);
}

FailureOr<Value> Node::matmul(Value L, Value R, Type Result) {
  Dims LD = getDims(L), RD = getDims(R);
  if (LD.empty() || RD.empty())
    return fail("a product needs inputs of at least rank 1");
  size_t LK = LD.size() - 1, RK = RD.size() == 1 ? 0 : RD.size() - 2;
  if (failed(wantEqual(LD[LK], RD[RK], "sizes that are summed over")))
    return failure();
  DimExpr K = LD[LK].constant() ? LD[LK] : RD[RK];
  LD[LK] = RD[RK] = K;
  if (LD.size() > 2 && RD.size() > 2) {
    // Batch sizes must broadcast.
    size_t Common = std::min(LD.size(), RD.size()) - 2;
    for (size_t D = 0; D < Common; ++D) {
      const DimExpr &X = LD[LD.size() - 3 - D], &Y = RD[RD.size() - 3 - D];
      if (X.constant() && Y.constant() && !(X == Y) && !X.isConstant(1) &&
          !Y.isConstant(1))
        return fail("batch sizes " + X.toString() + " and " + Y.toString() +
                    " do not broadcast");
    }
  }
  return B.matmul(as(L, LD), as(R, RD), Result);
}

Value Node::wrapIndices(Value Indices, const DimExpr &Size) {
  Value V = Indices;
  Value N = B.broadcast(B.convert(B.dim(Size), getElementTypeOrSelf(V)),
                        getDims(V), {});
  Value Negative = B.compare(CompareDirection::LT, V, B.full(0, V));
  return B.select(Negative, B.add(V, N), V);
}

FailureOr<Value> Node::scalarLike(unsigned K, Value Like) {
  if (!type(K).hasStaticShape() || type(K).getNumElements() != 1)
    return fail("input " + Twine(K) + " must be a scalar");
  return B.broadcast(B.reshape(in(K), {}), getDims(Like), {});
}

SmallVector<Value> Node::composite(StringRef Name, ValueRange Inputs,
                                   ArrayRef<NamedAttribute> Config) {
  return buildComposite(B, Name, Inputs,
                        DictionaryAttr::get(I.context(), Config));
}
NamedAttribute Node::cfg(StringRef Name, int64_t V) {
  return {Name, B.builder().getI64IntegerAttr(V)};
}
NamedAttribute Node::cfg(StringRef Name, double V) {
  return {Name, B.builder().getF64FloatAttr(V)};
}
NamedAttribute Node::cfg(StringRef Name, bool V) {
  return {Name, B.builder().getBoolAttr(V)};
}
NamedAttribute Node::cfg(StringRef Name, StringRef V) {
  return {Name, B.builder().getStringAttr(V)};
}
NamedAttribute Node::cfg(StringRef Name, ArrayRef<int64_t> V) {
  return {Name, B.builder().getDenseI64ArrayAttr(V)};
}
