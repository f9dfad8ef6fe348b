//===- TileEpilogue.cpp - From accumulators to outputs --------------------===//

#include "TileEpilogue.h"

#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Types.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace limosa::codegen {

using MovePath = SmallVector<Operation *>;

static bool isElementwise(Operation *Op) {
  return Op->hasTrait<limosa::OpTrait::SameShape>() || isa<RelayoutOp>(Op);
}

/// The moves between Root and each value that depends on it; nullopt for those
/// in which elements are mixed.
static llvm::DenseMap<Value, std::optional<MovePath>> findMoves(Value Root) {
  llvm::DenseMap<Value, std::optional<MovePath>> Paths;
  Paths[Root] = MovePath();
  Block *Body = Root.getParentBlock();
  for (Operation &Op : llvm::make_range(
           std::next(Root.getDefiningOp()->getIterator()), Body->end())) {
    if (Op.hasTrait<mlir::OpTrait::IsTerminator>())
      break;
    std::optional<MovePath> Result;
    bool Depends = false, Mixed = false;
    for (Value Operand : Op.getOperands()) {
      auto It = Paths.find(Operand);
      if (It == Paths.end())
        continue;
      Mixed |= !It->second || (Depends && Result != It->second);
      Depends = true;
      Result = It->second;
    }
    if (!Depends)
      continue;
    if (Mixed || !(isa<TransposeOp, ReshapeOp>(Op) || isElementwise(&Op)))
      Result.reset();
    else if (!isElementwise(&Op))
      Result->push_back(&Op);
    for (Value V : Op.getResults())
      Paths[V] = Result;
  }
  return Paths;
}

bool TileEpilogue::fits(Value Root, ArrayRef<Value> Outputs) {
  auto Paths = findMoves(Root);
  return llvm::all_of(Outputs, [&](Value V) {
    auto It = Paths.find(V);
    return It != Paths.end() && It->second;
  });
}

/// The last logical dimension that has more than one element.
static int64_t lastLargeDim(Type Ty, ArrayRef<int64_t> Order) {
  Dims Shape = getDims(Ty);
  for (int64_t D : llvm::reverse(Order))
    if (!Shape[D].isConstant(1))
      return D;
  return -1;
}

std::optional<unsigned> TileEpilogue::contiguousDim(Value Root,
                                                    ArrayRef<Value> Outputs) {
  auto Paths = findMoves(Root);
  if (Outputs.empty() || !Paths.lookup(Outputs[0]))
    return std::nullopt;
  Type Ty = Outputs[0].getType();
  int64_t D = lastLargeDim(Ty, getOrder(Ty));
  for (Operation *Op : llvm::reverse(*Paths[Outputs[0]])) {
    if (D < 0)
      return std::nullopt;
    if (auto T = dyn_cast<TransposeOp>(Op)) {
      D = T.getPerm()[D];
      continue;
    }
    auto Logical = [](Type T) {
      return llvm::to_vector(
          llvm::seq<int64_t>(0, cast<RankedTensorType>(T).getRank()));
    };
    Type In = Op->getOperand(0).getType(), Out = Op->getResult(0).getType();
    if (D != lastLargeDim(Out, Logical(Out)))
      return std::nullopt;
    D = lastLargeDim(In, Logical(In));
  }
  if (D < 0)
    return std::nullopt;
  return unsigned(D);
}

TileEpilogue::TileEpilogue(KernelBuilder &KB, Puller &P, Value Root,
                           ArrayRef<Value> Outputs)
    : KB(KB), P(P), Root(Root), Outputs(Outputs.begin(), Outputs.end()) {
  auto Paths = findMoves(Root);
  for (Value V : Outputs)
    Moves.push_back(*Paths[V]);
}

/// Coordinates of a transpose's result from those of its operand.
static Coords transposeCoords(TransposeOp Op, const Coords &At) {
  SmallVector<unsigned> NewDim(At.rank());
  Coords Out(At.rank());
  for (auto [New, Old] : llvm::enumerate(Op.getPerm())) {
    NewDim[Old] = New;
    Out.PerDim[New] = At.PerDim[Old];
  }
  Out.Groups = At.Groups;
  for (IndexGroup &G : Out.Groups)
    for (unsigned &D : G.Dims)
      D = NewDim[D];
  return Out;
}

/// The element in Root's register form: accumulators are wider than a result of
/// f16, bf16 or small integers.
Value TileEpilogue::toRoot(Value Accumulator) {
  Type Element = cast<RankedTensorType>(Root.getType()).getElementType();
  OpBuilder &B = KB.builder();
  if (Element.isF16() || Element.isBF16())
    return KB.toRegister(KB.toMemory(Accumulator, Element), Element);
  if (!isa<IntegerType>(Element))
    return Accumulator;
  Type To = registerType(Element);
  if (auto Ty = dyn_cast<VectorType>(Accumulator.getType()))
    To = Ty.clone(To);
  if (To == Accumulator.getType())
    return Accumulator;
  return arith::TruncIOp::create(B, KB.loc(), To, Accumulator);
}

void TileEpilogue::compute(Value Accumulator, const Coords &At,
                           const Lanes &L) {
  Value Element = toRoot(Accumulator);
  P.bind(Root, [Element](const Coords &, const Lanes &) { return Element; });
  for (auto [I, Output] : llvm::enumerate(Outputs)) {
    Coords OutAt = At;
    for (Operation *Op : Moves[I]) {
      if (auto T = dyn_cast<TransposeOp>(Op))
        OutAt = transposeCoords(T, OutAt);
      else
        OutAt = reshapeCoords(KB, OutAt, getDims(Op->getOperand(0)),
                              getDims(Op->getResult(0)), L.Count);
    }
    Value V = P.pull(Output, OutAt, L);
    Done.push_back({unsigned(I), V, OutAt, L});
  }
  P.unbind(Root);
}

Value TileEpilogue::valueAt(Value Accumulator, const Coords &At,
                            const Lanes &L) {
  assert(Outputs.size() == 1 && Done.empty());
  compute(Accumulator, At, L);
  return Done.pop_back_val().V;
}

void TileEpilogue::store() {
  for (const Pending &S : Done) {
    const TensorView &View = KB.output(S.Output);
    KB.store(View, KB.offset(View, S.At, S.L.Count), S.V, S.L);
  }
  Done.clear();
}

} // namespace limosa::codegen
