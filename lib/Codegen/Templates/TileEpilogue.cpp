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

using MovePaths = llvm::DenseMap<Value, std::optional<MovePath>>;

/// An update of an argument with what `Paths` has, at the end of its path.
static bool storesIntoArgument(Operation *Op, const MovePaths &Paths) {
  auto Update = dyn_cast<UpdateSliceOp>(Op);
  return Update && canStoreIntoSlice(Op) &&
         isa<BlockArgument>(Update.getOperand()) &&
         Paths.contains(Update.getUpdate()) &&
         !Paths.contains(Update.getStarts()) &&
         llvm::all_of(Op->getUsers(), [](Operation *User) {
           return User->hasTrait<mlir::OpTrait::IsTerminator>();
         });
}

/// The moves between Root and each value that depends on it; nullopt for those
/// in which elements are mixed.
static MovePaths findMoves(Value Root) {
  MovePaths Paths;
  Paths[Root] = MovePath();
  Block *Body = Root.getParentBlock();
  std::optional<ColumnSplit> Split = findColumnSplit(Root.getDefiningOp());
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
    bool IsPart = Split && llvm::is_contained(Split->Slices, &Op);
    bool Moves =
        isa<TransposeOp, ReshapeOp>(Op) || storesIntoArgument(&Op, Paths);
    if (Mixed || !(Moves || IsPart || isElementwise(&Op)))
      Result.reset();
    else if (Moves)
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
    if (isa<UpdateSliceOp>(Op))
      continue;
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
    : KB(KB), P(P), Root(Root), Outputs(Outputs.begin(), Outputs.end()),
      Split(findColumnSplit(Root.getDefiningOp())) {
  auto Moves = findMoves(Root);
  for (auto [I, V] : llvm::enumerate(Outputs)) {
    Path &To = Paths.emplace_back();
    To.Pulled = V;
    To.First = *Moves[V];
    while (!To.First.empty() && To.Pulled.getDefiningOp() == To.First.back()) {
      auto Update = dyn_cast<UpdateSliceOp>(To.First.back());
      To.Pulled = To.First.back()->getOperand(Update ? 1 : 0);
      To.Last.insert(To.Last.begin(), To.First.pop_back_val());
      if (Update)
        KB.result().Updates.push_back(
            {cast<BlockArgument>(Update.getOperand()).getArgNumber(),
             unsigned(I)});
    }
  }
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

/// Where an element of `Op`'s operand (an update's new block) at `At` is in its
/// result.
Coords TileEpilogue::move(Operation *Op, const Coords &At, const Lanes &L) {
  if (auto T = dyn_cast<TransposeOp>(Op))
    return transposeCoords(T, At);
  if (isa<ReshapeOp>(Op))
    return reshapeCoords(KB, At, getDims(Op->getOperand(0)),
                         getDims(Op->getResult(0)), L.Count);
  auto Update = cast<UpdateSliceOp>(Op);
  IndexMath &M = KB.math();
  Dims Whole = getDims(Update.getOperand()),
       Block = getDims(Update.getUpdate());
  Coords Out = At;
  for (unsigned D = 0; D < Whole.size(); ++D) {
    if (Whole[D] == Block[D])
      continue; // clamped to 0
    Coords Which(1);
    Which.PerDim[0] = M.uniform(int64_t(D));
    Value Start = P.pull(Update.getStarts(), Which, {});
    Start = arith::IndexCastOp::create(KB.builder(), KB.loc(),
                                       KB.builder().getIndexType(), Start);
    Start = M.max(M.min(Start, KB.dim(Whole[D] - Block[D])), KB.constant(0));
    KB.materialize(Out, D, Block, L.Count);
    Out.PerDim[D] = M.add(Out.PerDim[D], Start);
  }
  return Out;
}

/// Binds what each slice of the product shows at `At`, coordinates in a part.
void TileEpilogue::bindParts(ArrayRef<Value> Accumulators, const Coords &At,
                             const Lanes &L) {
  SmallVector<Value> Parts;
  for (Operation *Op : Split->Slices) {
    auto Slice = cast<SliceOp>(Op);
    int64_t First = *parseDims(Slice.getStarts())[Split->Dim].constant();
    Value Element = toRoot(Accumulators[First / Split->Columns]);
    P.bind(Root, [Element](const Coords &, const Lanes &) { return Element; });
    Coords InRoot = At;
    Index &Column = InRoot.PerDim[Split->Dim];
    Column = KB.math().add(Column, KB.constant(First));
    Parts.push_back(P.pull(Slice.getOperand(), InRoot, L));
    P.unbind(Root);
  }
  for (auto [Op, Part] : llvm::zip_equal(Split->Slices, Parts)) {
    Value Element = Part;
    P.bind(Op->getResult(0),
           [Element](const Coords &, const Lanes &) { return Element; });
  }
}

void TileEpilogue::compute(ArrayRef<Value> Accumulators, const Coords &At,
                           const Lanes &L) {
  if (Split) {
    bindParts(Accumulators, At, L);
  } else {
    Value Element = toRoot(Accumulators[0]);
    P.bind(Root, [Element](const Coords &, const Lanes &) { return Element; });
  }
  for (auto [I, To] : llvm::enumerate(Paths)) {
    Coords OutAt = At;
    for (Operation *Op : To.First)
      OutAt = move(Op, OutAt, L);
    Value V = P.pull(To.Pulled, OutAt, L);
    for (Operation *Op : To.Last)
      OutAt = move(Op, OutAt, L);
    Done.push_back({unsigned(I), V, OutAt, L});
  }
  if (Split)
    for (Operation *Op : Split->Slices)
      P.unbind(Op->getResult(0));
  else
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
