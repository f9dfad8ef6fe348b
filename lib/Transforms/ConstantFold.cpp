//===- ConstantFold.cpp - Constants by the reference interpreter ----------===//
//
// There is one implementation of what ops mean, the reference interpreter, and
// folding asks it rather than having another. An op is folded when everything
// it depends on is constant; iota and broadcast are never folded by themselves,
// since they are cheaper to compute than to load, but count as constant.
//
//===----------------------------------------------------------------------===//

#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Serialize.h"
#include "limosa/IR/Types.h"
#include "limosa/Reference/Interpreter.h"
#include "limosa/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace limosa;

namespace {

int64_t byteSize(Type Ty) {
  auto Tensor = cast<RankedTensorType>(Ty);
  return dtypeBytes(getDType(Tensor.getElementType()), Tensor.getNumElements());
}

/// Generators are cheaper to compute again than to keep.
bool isGenerator(Operation *Op) { return isa<IotaOp, BroadcastOp>(Op); }

bool mayFold(Operation *Op) {
  if (!isa<CoreOp>(Op) ||
      isa<IfOp, WhileOp, RandomBitsOp, AllGatherOp, ReduceScatterOp, PermuteOp>(
          Op))
    return false;
  return llvm::all_of(Op->getResultTypes(), [](Type Ty) {
    auto Tensor = dyn_cast<RankedTensorType>(Ty);
    return Tensor && Tensor.hasStaticShape();
  });
}

class Folder {
public:
  explicit Folder(uint64_t MaxBytes) : MaxBytes(MaxBytes) {}

  /// Folds `Op` if it can and replaces it; `Op` may be gone afterwards.
  void visit(Operation *Op) {
    if (isa<ConstantOp>(Op) || !mayFold(Op) ||
        !llvm::all_of(Op->getOperands(),
                      [&](Value V) { return isConstant(V); }))
      return;
    if (isGenerator(Op)) {
      Generated.insert(Op);
      return;
    }
    uint64_t In = 0, Out = 0;
    for (Value V : Op->getOperands())
      if (V.getDefiningOp<ConstantOp>())
        In += byteSize(V.getType());
    for (Type Ty : Op->getResultTypes())
      Out += byteSize(Ty);
    // Weights may be converted or rearranged, but nothing may blow up.
    if (Out > std::max(MaxBytes, 4 * In))
      return;
    evaluate(Op);
  }

private:
  bool isConstant(Value V) {
    Operation *Def = V.getDefiningOp();
    return Def && (isa<ConstantOp>(Def) || Generated.contains(Def));
  }

  /// Clones `Op` with the generators it needs into a function whose arguments
  /// are the constants, and runs that.
  void evaluate(Operation *Op) {
    OpBuilder B(Op->getContext());
    OwningOpRef<ModuleOp> Module = ModuleOp::create(Op->getLoc());
    SmallVector<ConstantOp> Inputs;
    SmallVector<Operation *> Order;
    collect(Op, Inputs, Order);

    SmallVector<Type> ArgTypes;
    for (ConstantOp C : Inputs)
      ArgTypes.push_back(C.getType());
    B.setInsertionPointToEnd(Module->getBody());
    auto F =
        func::FuncOp::create(B, Op->getLoc(), "fold",
                             B.getFunctionType(ArgTypes, Op->getResultTypes()));
    Block *Body = F.addEntryBlock();
    B.setInsertionPointToEnd(Body);
    IRMapping Map;
    for (auto [C, Arg] : llvm::zip(Inputs, Body->getArguments()))
      Map.map(C.getResult(), Arg);
    for (Operation *O : Order)
      B.clone(*O, Map);
    SmallVector<Value> Results;
    for (Value V : Op->getResults())
      Results.push_back(Map.lookup(V));
    func::ReturnOp::create(B, Op->getLoc(), Results);

    auto Bytes = serializeGraph(F);
    if (!Bytes)
      return llvm::consumeError(Bytes.takeError());
    std::vector<reference::Tensor> In, Out;
    for (ConstantOp C : Inputs) {
      In.push_back(toTensor(C));
      if (!In.back())
        return;
    }
    auto *Graph = flatbuffers::GetRoot<fb::Graph>(Bytes->data());
    // An op that cannot be evaluated (an index out of range, say) stays, and
    // the program reports it when and if it gets there.
    if (!reference::evaluate(*Graph, std::move(In), Out).ok())
      return;
    B.setInsertionPoint(Op);
    for (auto [Old, New] : llvm::zip(Op->getResults(), Out))
      Old.replaceAllUsesWith(ConstantOp::create(
          B, Op->getLoc(), Old.getType(),
          toAttr(cast<RankedTensorType>(Old.getType()), New)));
    Op->erase();
  }

  void collect(Operation *Op, SmallVectorImpl<ConstantOp> &Inputs,
               SmallVectorImpl<Operation *> &Order) {
    for (Value V : Op->getOperands()) {
      Operation *Def = V.getDefiningOp();
      if (auto C = dyn_cast<ConstantOp>(Def)) {
        if (!llvm::is_contained(Inputs, C))
          Inputs.push_back(C);
      } else if (!llvm::is_contained(Order, Def)) {
        collect(Def, Inputs, Order);
      }
    }
    Order.push_back(Op);
  }

  static reference::Tensor toTensor(ConstantOp C) {
    auto Ty = cast<RankedTensorType>(C.getType());
    DType T = getDType(Ty.getElementType());
    reference::Shape Dims(Ty.getShape());
    if (auto Resource = dyn_cast<DenseResourceElementsAttr>(C.getValue())) {
      AsmResourceBlob *Blob = Resource.getRawHandle().getBlob();
      if (!Blob || int64_t(Blob->getData().size()) < byteSize(Ty))
        return {};
      return reference::Tensor::fromPacked(T, Dims, Blob->getData().data());
    }
    auto Elements = dyn_cast<DenseElementsAttr>(C.getValue());
    if (!Elements || dtypeBits(T) < 8)
      return {};
    // Bool elements and splats have storage of their own in MLIR.
    std::vector<char> Packed(byteSize(Ty));
    size_t Width = dtypeBits(T) / 8;
    if (T == DType::Bool) {
      for (auto [I, V] : llvm::enumerate(Elements.getValues<bool>()))
        Packed[I] = V;
    } else {
      ArrayRef<char> Raw = Elements.getRawData();
      for (size_t I = 0; I < Packed.size(); I += Width)
        std::copy_n(Raw.begin() + (Elements.isSplat() ? 0 : I), Width,
                    Packed.begin() + I);
    }
    return reference::Tensor::fromPacked(T, Dims, Packed.data());
  }

  static ElementsAttr toAttr(RankedTensorType Ty, const reference::Tensor &T) {
    auto Plain = RankedTensorType::get(Ty.getShape(), Ty.getElementType());
    ArrayRef<char> Bytes(reinterpret_cast<const char *>(T.data()), T.bytes());
    if (T.dtype() == DType::Bool) {
      SmallVector<bool> Bits(Bytes.begin(), Bytes.end());
      return DenseElementsAttr::get(Plain, Bits);
    }
    // Small values stay readable and comparable; weights stay out of the
    // context's uniquer.
    if (T.bytes() <= 4096 && dtypeBits(T.dtype()) >= 8)
      return DenseElementsAttr::getFromRawBuffer(Plain, Bytes);
    std::vector<char> Packed(T.packedBytes());
    T.pack(Packed.data());
    return DenseResourceElementsAttr::get(
        Plain, "folded",
        HeapAsmResourceBlob::allocateAndCopyWithAlign(Packed, /*align=*/64));
  }

  uint64_t MaxBytes;
  llvm::SmallPtrSet<Operation *, 16> Generated;
};

struct ConstantFold : PassWrapper<ConstantFold, OperationPass<>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ConstantFold)
  ConstantFold() = default;
  explicit ConstantFold(uint64_t MaxBytes) : MaxBytes(MaxBytes) {}
  StringRef getArgument() const final { return "limosa-constant-fold"; }
  StringRef getDescription() const final {
    return "Evaluate constant core ops with the reference interpreter";
  }
  void runOnOperation() final {
    Folder F(MaxBytes);
    SmallVector<Operation *> Work;
    getOperation()->walk<WalkOrder::PreOrder>([&](Operation *Op) {
      // Regions of combining ops are part of their op.
      if (isa<CoreOp>(Op)) {
        Work.push_back(Op);
        if (!isa<IfOp, WhileOp>(Op))
          return WalkResult::skip();
      }
      return WalkResult::advance();
    });
    for (Operation *Op : Work)
      F.visit(Op);
  }
  uint64_t MaxBytes = 1 << 20;
};

} // namespace

std::unique_ptr<Pass> limosa::createConstantFoldPass(uint64_t MaxBytes) {
  return std::make_unique<ConstantFold>(MaxBytes);
}
