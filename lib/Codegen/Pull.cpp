//===- Pull.cpp - Values of fused ops at given coordinates ----------------===//

#include "limosa/Codegen/Pull.h"
#include "Convert.h"
#include "limosa/IR/LimosaOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::codegen;
using limosa::codegen::Index;

//===----------------------------------------------------------------------===//
// Memory of what was computed
//===----------------------------------------------------------------------===//

void Puller::bind(Value V, Binding F) {
  forget(V);
  Bindings[V] = std::move(F);
}

void Puller::unbind(Value V) {
  forget(V);
  Bindings.erase(V);
}

void Puller::forget(Value V) {
  SmallVector<Value> Work{V};
  llvm::SmallPtrSet<Operation *, 16> Seen;
  while (!Work.empty()) {
    Value Next = Work.pop_back_val();
    Memos.erase(Next);
    for (Operation *User : Next.getUsers())
      if (Seen.insert(User).second)
        llvm::append_range(Work, User->getResults());
  }
}

/// Whether a value computed earlier can be used where code is emitted now. Code
/// is emitted in order, so its block being around this one is enough.
static bool isAvailable(OpBuilder &B, Value V) {
  for (Block *At = B.getInsertionBlock(); At;) {
    if (At == V.getParentBlock())
      return true;
    Operation *Parent = At->getParentOp();
    At = Parent ? Parent->getBlock() : nullptr;
  }
  return false;
}

void Puller::remember(Value V, const Coords &At, const Lanes &L, Value Result) {
  Memos[V].push_back({At, L.Mask, L.Count, Result});
}

Value Puller::pull(Value V, const Coords &At, const Lanes &Wanted) {
  if (auto It = Bindings.find(V); It != Bindings.end()) {
    Binding F = It->second;
    return F(At, Wanted);
  }
  // One element for all lanes is computed once.
  Lanes L = At.isUniform() ? Lanes() : Wanted;
  if (auto It = Memos.find(V); It != Memos.end())
    for (const Memo &M : It->second)
      if (M.Count == L.Count && M.Mask == L.Mask && M.At == At &&
          isAvailable(KB.builder(), M.Result))
        return M.Result;
  Value Result = compute(V, At, L);
  remember(V, At, L, Result);
  return Result;
}

Value Puller::pullScalar(Value V) {
  Coords At(cast<RankedTensorType>(V.getType()).getRank());
  for (Index &I : At.PerDim)
    I = KB.math().uniform(0);
  return pull(V, At, {});
}

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

Value Puller::compute(Value V, const Coords &At, const Lanes &L) {
  if (auto Arg = dyn_cast<BlockArgument>(V)) {
    const TensorView &View = KB.input(Arg.getArgNumber());
    return KB.load(View, KB.offset(View, At, L.Count), L);
  }
  Operation *Op = V.getDefiningOp();
  unsigned Result = cast<OpResult>(V).getResultNumber();
  auto Operand = [&](unsigned I, const Coords &C) {
    return pull(Op->getOperand(I), C, L);
  };
  return llvm::TypeSwitch<Operation *, Value>(Op)
      .Case([&](ConstantOp) { return pullConstant(Op, At, L); })
      .Case([&](DimOp D) -> Value {
        Value Size = KB.dim(parseDim(D.getExpr()));
        OpBuilder &B = KB.builder();
        return arith::IndexCastOp::create(B, KB.loc(), B.getI64Type(), Size);
      })
      .Case<RelayoutOp, BarrierOp>([&](auto) { return Operand(Result, At); })
      .Case([&](IotaOp) { return pullIota(Op, At, L); })
      .Case([&](ReshapeOp R) {
        return Operand(0, reshapeCoords(KB, At, getDims(V),
                                        getDims(R.getOperand()), L.Count));
      })
      .Case([&](TransposeOp T) {
        Coords To(At.rank());
        ArrayRef<int64_t> Perm = T.getPerm();
        for (unsigned D = 0; D < At.rank(); ++D)
          To.PerDim[Perm[D]] = At.PerDim[D];
        To.Groups = At.Groups;
        for (IndexGroup &G : To.Groups)
          for (unsigned &D : G.Dims)
            D = Perm[D];
        return Operand(0, To);
      })
      .Case([&](BroadcastOp) { return pullBroadcast(Op, At, L); })
      .Case([&](SliceOp) { return pullSlice(Op, At, L); })
      .Case([&](PadOp) { return pullPad(Op, At, L); })
      .Case([&](ConcatOp) { return pullConcat(Op, At, L); })
      .Case([&](GatherOp) { return pullGather(Op, At, L); })
      .Case([&](UpdateSliceOp) { return pullUpdateSlice(Op, At, L); })
      .Case([&](ReduceOp) { return pullReduce(Op, Result, At, L); })
      .Case([&](WindowOp) { return pullWindow(Op, Result, At, L); })
      .Case([&](ContractOp) { return pullContract(Op, At, L); })
      .Case([&](ConvOp) { return pullConv(Op, At, L); })
      .Default([&](Operation *) {
        SmallVector<Value> Operands;
        for (unsigned I = 0; I < Op->getNumOperands(); ++I)
          Operands.push_back(Operand(I, At));
        Value R = elementwise(Op, Operands);
        assert(R && "kernels hold only ops their template takes");
        return R;
      });
}

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

/// The bits of an element of a dense constant.
static APInt bitsOf(Attribute A) {
  if (auto F = dyn_cast<FloatAttr>(A))
    return F.getValue().bitcastToAPInt();
  return cast<IntegerAttr>(A).getValue();
}

Value Puller::constantScalar(Value V) {
  auto Op = V.getDefiningOp<ConstantOp>();
  if (!Op)
    return {};
  auto Splat = dyn_cast<SplatElementsAttr>(Op.getValue());
  if (!Splat)
    return {};
  auto A = Splat.getSplatValue<Attribute>();
  Type Element = Splat.getElementType();
  Type Register = registerType(Element);
  if (isa<FloatType>(Register))
    return numberConstant(KB, Register, cast<FloatAttr>(A).getValueAsDouble());
  APInt Bits = bitsOf(A);
  if (Register.isInteger(1))
    return KB.splat(KB.builder().getBoolAttr(!Bits.isZero()), Register);
  return intConstant(KB, Register,
                     Element.isSignlessInteger()
                         ? Bits.getSExtValue()
                         : int64_t(Bits.getZExtValue()));
}

/// A constant's elements as they lie in memory.
static SmallVector<char> bytesOf(ElementsAttr A) {
  SmallVector<char> Bytes;
  if (auto Resource = dyn_cast<DenseResourceElementsAttr>(A)) {
    if (AsmResourceBlob *Blob = Resource.getRawHandle().getBlob())
      Bytes.assign(Blob->getData().begin(), Blob->getData().end());
    return Bytes;
  }
  unsigned Width = memoryBits(A.getElementType());
  bool HighNibble = false;
  for (Attribute Element : cast<DenseElementsAttr>(A).getValues<Attribute>()) {
    APInt Bits = bitsOf(Element).zextOrTrunc(Width);
    uint64_t Raw = Bits.getZExtValue();
    if (Width == 4) {
      if (HighNibble)
        Bytes.back() |= char(Raw << 4);
      else
        Bytes.push_back(char(Raw));
      HighNibble = !HighNibble;
      continue;
    }
    for (unsigned B = 0; B < Width; B += 8)
      Bytes.push_back(char(Raw >> B));
  }
  return Bytes;
}

Value Puller::pullConstant(Operation *Op, const Coords &At, const Lanes &L) {
  if (Value Scalar = constantScalar(Op->getResult(0)))
    return Scalar;
  TensorView &View = ConstantViews[Op];
  if (!View.Memref) {
    auto Ty = cast<RankedTensorType>(Op->getResult(0).getType());
    View.Element = Ty.getElementType();
    View.Shape = getDims(Ty);
    View.Strides = stridesOf(View.Shape, getOrder(Ty));
    View.ReadOnly = true;
    View.Memref = KB.constantMemref(bytesOf(cast<ConstantOp>(Op).getValue()),
                                    memoryType(View.Element));
  }
  return KB.load(View, KB.offset(View, At, L.Count), L);
}

//===----------------------------------------------------------------------===//
// Regions and conditions
//===----------------------------------------------------------------------===//

SmallVector<Value> Puller::evalRegion(Region &Body, ArrayRef<Value> Args,
                                      bool Narrow) {
  llvm::SmallDenseMap<Value, Value> Values;
  for (auto [Arg, V] : llvm::zip(Body.getArguments(), Args))
    Values[Arg] = V;
  auto Lookup = [&](Value V) {
    if (auto It = Values.find(V); It != Values.end())
      return It->second;
    if (Value C = constantScalar(V))
      return C;
    return pullScalar(V); // a value from around the region
  };
  SmallVector<Value> Results;
  for (Operation &Op : Body.front()) {
    if (isa<YieldOp>(Op)) {
      for (Value V : Op.getOperands())
        Results.push_back(Lookup(V));
      break;
    }
    if (isa<ConstantOp, DimOp>(Op))
      continue; // on demand
    SmallVector<Value> Operands;
    for (Value V : Op.getOperands())
      Operands.push_back(Lookup(V));
    // Between rank-0 tensors the other data ops are copies.
    Value R = isa<ReshapeOp, BroadcastOp, TransposeOp, RelayoutOp>(Op)
                  ? Operands[0]
                  : elementwise(&Op, Operands, Narrow);
    assert(R && "regions hold elementwise ops");
    Values[Op.getResult(0)] = R;
  }
  return Results;
}

Lanes Puller::narrow(const Lanes &L, Value Mask) {
  if (!L.Mask)
    return {L.Count, Mask};
  return {L.Count, arith::AndIOp::create(KB.builder(), KB.loc(), L.Mask, Mask)};
}

Type Puller::laneType(Type Element, const Lanes &L) {
  Type Register = registerType(Element);
  if (L.isScalar())
    return Register;
  return VectorType::get({int64_t(L.Count)}, Register);
}

Value Puller::pullIf(Value Uniform, Value PerLane, const Lanes &L, Type Element,
                     llvm::function_ref<Value(const Lanes &)> Inside,
                     llvm::function_ref<Value()> Otherwise) {
  auto WithLanes = [&]() -> Value {
    if (!PerLane)
      return KB.broadcast(Inside(L), L.Count);
    Value In = KB.broadcast(Inside(narrow(L, PerLane)), L.Count);
    Value Out = KB.broadcast(Otherwise(), L.Count);
    return arith::SelectOp::create(KB.builder(), KB.loc(), PerLane, In, Out);
  };
  if (!Uniform || IndexMath::constantOf(Uniform) == 1)
    return WithLanes();
  using Values = SmallVector<Value>;
  return KB.ifElse(
      Uniform, laneType(Element, L), [&] { return Values{WithLanes()}; },
      [&] { return Values{KB.broadcast(Otherwise(), L.Count)}; })[0];
}
