//===- BatchLoops.cpp - One image of a batch at a time --------------------===//
//
// The first layers of a picture network make tensors that are far larger than
// their weights. For a batch, what one kernel writes has left the caches before
// the next reads it. Such a beginning of an entry is done for one element of
// the batch after the other, so that it stays there, and takes less memory; the
// layers after it, whose weights count for more, see the whole batch.
//
// Which dimension of a value is the batch follows from the iteration spaces of
// the ops: from the first dimension of the inputs on, as long as an op does the
// same with each element by itself.
//
//===----------------------------------------------------------------------===//

#include "limosa/IR/CoreBuilder.h"
#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Symbols.h"
#include "limosa/IR/Types.h"
#include "limosa/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace limosa;

namespace {

/// Elements of a batch that are worth a loop; beyond, a batch is something
/// else.
constexpr int64_t MaxBatch = 256;
/// What stays in a second-level cache from one kernel to the next, and what has
/// left the caches altogether, in bytes.
constexpr double Near = 2 << 20, Far = 16 << 20;
/// Multiply-adds that take as long as moving a byte.
constexpr double WorkPerByte = 8;

double bytesOf(Type Ty) {
  auto Tensor = cast<RankedTensorType>(Ty);
  auto Count = numElements(Ty).constant();
  return Count ? double(*Count) *
                     double(dtypeBits(getDType(Tensor.getElementType()))) / 8
               : 0;
}

bool isProduct(Operation *Op) { return isa<ContractOp, ConvOp>(Op); }

/// What other ops are fused to: its result is stored.
bool storesResult(Operation *Op) {
  return isProduct(Op) ||
         isa<WindowOp, ReduceOp, ConcatOp, SortOp, ScanOp, GatherOp, ScatterOp>(
             Op);
}

/// The multiply-adds of a product.
double workOf(Operation *Op) {
  if (!isProduct(Op))
    return 0;
  double Work = 1;
  for (const auto &Dim : cast<CoreOp>(Op).getIterationSpace().Dims) {
    auto Extent = Dim.Extent.constant();
    Work *= Extent ? double(*Extent) : 1;
  }
  return Work;
}

/// The ops at the beginning of a block that work on a batch, element by
/// element.
class Beginning {
public:
  Beginning(Block &Body, int64_t Batch) : Batch(Batch) {
    for (BlockArgument Arg : Body.getArguments()) {
      auto Ty = dyn_cast<RankedTensorType>(Arg.getType());
      if (Ty && Ty.getRank() >= 2 && Ty.getDimSize(0) == Batch)
        BatchDims[Arg] = 0;
    }
    if (BatchDims.empty())
      return;
    for (Operation &Op : Body.without_terminator()) {
      bool UsesBatch = false;
      Op.walk([&](Operation *Inner) {
        for (Value V : Inner->getOperands())
          UsesBatch |= BatchDims.contains(V);
      });
      if (!UsesBatch)
        continue;
      if (!follow(&Op))
        break;
      Ops.push_back(&Op);
    }
  }

  ArrayRef<Operation *> ops() const { return Ops; }
  unsigned batchDim(Value V) const { return BatchDims.lookup(V); }
  bool isBatched(Value V) const { return BatchDims.contains(V); }

  /// The type of a value for one element.
  RankedTensorType single(Type Ty, unsigned Dim) const {
    Dims Shape = getDims(Ty);
    Shape[Dim] = DimExpr(1);
    return makeTensorType(Shape, getElementTypeOrSelf(Ty), getOrder(Ty));
  }

  /// Of an operand that is the same for all elements but has the batch as a
  /// dimension: that dimension.
  std::optional<unsigned> repeated(OpOperand &Use) const {
    auto It = Repeated.find(&Use);
    return It == Repeated.end() ? std::nullopt : std::optional(It->second);
  }

private:
  /// Whether the op does the same for each element; notes where its results
  /// have the batch.
  bool follow(Operation *Op) {
    auto Core = dyn_cast<CoreOp>(Op);
    if (!Core || isa<IfOp, WhileOp, RandomBitsOp, CompactOp, AllGatherOp,
                     ReduceScatterOp, PermuteOp>(Op))
      return false;
    IterationSpace Space = Core.getIterationSpace();
    std::optional<unsigned> Over;
    for (auto [V, Accesses] :
         llvm::zip_equal(Op->getOperands(), Space.Operands)) {
      auto It = BatchDims.find(V);
      if (It == BatchDims.end())
        continue;
      const DimAccess &A = Accesses[It->second];
      if (A.K != DimAccess::Kind::Iterator || (Over && *Over != A.Iterator))
        return false;
      Over = A.Iterator;
    }
    if (!Over || Space.Dims[*Over].Kind != IteratorKind::Parallel ||
        !Space.Dims[*Over].Extent.isConstant(Batch))
      return false;
    SmallVector<std::pair<OpOperand *, unsigned>> Same;
    for (OpOperand &Use : Op->getOpOperands())
      for (auto [D, A] :
           llvm::enumerate(Space.Operands[Use.getOperandNumber()])) {
        if (!touches(A, *Over))
          continue;
        if (A.K != DimAccess::Kind::Iterator)
          return false;
        auto It = BatchDims.find(Use.get());
        if (It != BatchDims.end() ? It->second != D : !isRepeated(Use.get(), D))
          return false;
        if (It == BatchDims.end())
          Same.push_back({&Use, unsigned(D)});
      }
    SmallVector<unsigned> Where;
    for (auto &Accesses : Space.Results) {
      std::optional<unsigned> At;
      for (auto [D, A] : llvm::enumerate(Accesses)) {
        if (!touches(A, *Over))
          continue;
        if (At || A.K != DimAccess::Kind::Iterator)
          return false;
        At = D;
      }
      if (!At)
        return false;
      Where.push_back(*At);
    }
    for (auto [R, D] : llvm::zip_equal(Op->getResults(), Where))
      BatchDims[R] = D;
    for (auto [Use, D] : Same)
      Repeated[Use] = D;
    return true;
  }

  static bool touches(const DimAccess &A, unsigned Iterator) {
    return (A.K != DimAccess::Kind::Whole && A.Iterator == Iterator) ||
           (A.K == DimAccess::Kind::Window && A.WindowIterator == Iterator);
  }

  /// Whether a value says the same for all elements along a dimension.
  static bool isRepeated(Value V, unsigned Dim) {
    auto B = V.getDefiningOp<BroadcastOp>();
    if (!B)
      return false;
    for (auto [D, To] : llvm::enumerate(B.getDims()))
      if (To == int64_t(Dim))
        return getDim(B.getOperand().getType(), D).isConstant(1);
    return true;
  }

  int64_t Batch;
  SmallVector<Operation *> Ops;
  llvm::DenseMap<Value, unsigned> BatchDims;
  llvm::DenseMap<OpOperand *, unsigned> Repeated;
};

/// How many ops of a beginning are worth a loop.
class Cut {
public:
  Cut(const Beginning &From, int64_t Batch) : From(From), Batch(Batch) {}

  size_t find(BatchLoopUse Use) {
    ArrayRef<Operation *> Ops = From.ops();
    if (Use == BatchLoopUse::Always)
      return llvm::any_of(Ops, isProduct) ? Ops.size() : 0;
    llvm::DenseMap<Operation *, size_t> Position;
    for (auto [I, Op] : llvm::enumerate(Ops))
      Position[Op] = I;
    size_t Best = 0;
    unsigned Products = 0;
    double Most = 0, Saved = 0, Again = 0, Work = 0, Alive = 0;
    std::vector<double> Ending(Ops.size() + 1, 0.0);
    for (auto [I, Op] : llvm::enumerate(Ops)) {
      Products += isProduct(Op);
      Work += workOf(Op);
      Again += double(Batch - 1) * weights(Op);
      for (Value R : Op->getResults()) {
        size_t Last = I;
        for (Operation *User : R.getUsers()) {
          auto It = Position.find(User);
          Last = std::max(Last, It == Position.end() ? Ops.size() : It->second);
        }
        Alive += bytesOf(R.getType());
        Ending[Last] += bytesOf(R.getType());
      }
      if (storesResult(Op))
        Saved += 2 * kept(bytesOf(Op->getResult(0).getType()));
      Alive -= Ending[I];
      double Gain = Saved - Again - 2 * Alive;
      if (Products > 1 && Gain > Most && Gain * WorkPerByte > Work / 32) {
        Most = Gain;
        Best = I + 1;
      }
    }
    return Best;
  }

private:
  /// Of a value's bytes those that a loop keeps in the caches.
  double kept(double Bytes) const {
    if (Bytes <= Near)
      return 0;
    double Single = Bytes / double(Batch);
    if (Single <= Near)
      return Bytes;
    return Bytes > Far ? Bytes / 2 : 0;
  }

  /// Bytes that each element of the batch reads again.
  double weights(Operation *Op) const {
    double Bytes = 0;
    if (isProduct(Op))
      for (Value V : Op->getOperands())
        if (!From.isBatched(V))
          Bytes += bytesOf(V.getType());
    return Bytes;
  }

  const Beginning &From;
  int64_t Batch;
};

/// Makes a loop of the first ops of a beginning.
class LoopMaker {
public:
  LoopMaker(const Beginning &From, int64_t Batch, size_t Count)
      : From(From), Batch(Batch), Ops(From.ops().take_front(Count)),
        Inside(Ops.begin(), Ops.end()) {}

  void run() {
    OpBuilder Builder(Ops.back()->getContext());
    Builder.setInsertionPointAfter(Ops.back());
    CoreBuilder B(Builder, Ops.front()->getLoc());
    SmallVector<Value> Results = leaving();
    SmallVector<Value> Carried{B.dim(DimExpr(0))};
    for (Value V : Results)
      Carried.push_back(B.broadcast(
          B.scalar(0, getElementTypeOrSelf(V.getType())), getDims(V), {}));
    SmallVector<Type> Types = llvm::to_vector(ValueRange(Carried).getTypes());
    SmallVector<Location> Locs(Types.size(), B.loc());
    auto Loop = WhileOp::create(Builder, B.loc(), Types, Carried);
    {
      OpBuilder::InsertionGuard Guard(Builder);
      Block *Before = Builder.createBlock(&Loop.getBefore(), {}, Types, Locs);
      YieldOp::create(Builder, B.loc(),
                      B.compare(CompareDirection::LT, Before->getArgument(0),
                                B.dim(DimExpr(Batch))));
      Block *After = Builder.createBlock(&Loop.getAfter(), {}, Types, Locs);
      YieldOp::create(Builder, B.loc(),
                      body(B, After->getArguments(), Results));
    }
    for (auto [Old, New] :
         llvm::zip_equal(Results, Loop.getResults().drop_front()))
      Old.replaceUsesWithIf(
          New, [&](OpOperand &Use) { return !isInside(Use.getOwner()); });
    for (Operation *Op : llvm::reverse(Ops))
      Op->erase();
  }

private:
  bool isInside(Operation *User) const {
    for (; User; User = User->getParentOp())
      if (Inside.contains(User))
        return true;
    return false;
  }

  /// Values that ops after the loop read.
  SmallVector<Value> leaving() const {
    SmallVector<Value> Found;
    for (Operation *Op : Ops)
      for (Value R : Op->getResults())
        if (llvm::any_of(R.getUsers(),
                         [&](Operation *User) { return !isInside(User); }))
          Found.push_back(R);
    return Found;
  }

  SmallVector<Value> body(CoreBuilder &B, ValueRange In,
                          ArrayRef<Value> Results) {
    Value At = In[0];
    for (Operation *Op : Ops) {
      B.setLoc(Op->getLoc());
      for (OpOperand &Use : Op->getOpOperands())
        bind(B, Use, At);
      Operation *Copy = B.builder().clone(*Op, Map);
      for (OpOperand &Use : Op->getOpOperands())
        if (From.repeated(Use))
          Map.erase(Use.get()); // another use may be repeated elsewhere
      for (auto [Old, New] :
           llvm::zip_equal(Op->getResults(), Copy->getResults()))
        New.setType(From.single(Old.getType(), From.batchDim(Old)));
    }
    SmallVector<Value> Out{B.add(At, B.dim(DimExpr(1)))};
    for (auto [V, Old] : llvm::zip_equal(Results, In.drop_front())) {
      SmallVector<Value> Starts(cast<RankedTensorType>(V.getType()).getRank(),
                                B.intVector({0}));
      Starts[From.batchDim(V)] = B.reshape(At, {DimExpr(1)});
      Out.push_back(B.updateSlice(Old, Map.lookup(V), B.concat(Starts, 0)));
    }
    return Out;
  }

  /// Makes what an op of the loop reads: an element of an input, or a value
  /// that is the same for all elements.
  void bind(CoreBuilder &B, OpOperand &Use, Value At) {
    Value V = Use.get();
    if (isa<BlockArgument>(V) && From.isBatched(V) && !Map.contains(V))
      Map.map(V, B.gather(V, B.reshape(At, {DimExpr(1), DimExpr(1)}), {0}, 0));
    if (auto Dim = From.repeated(Use)) {
      auto Wide = V.getDefiningOp<BroadcastOp>();
      Map.map(V, BroadcastOp::create(B.builder(), B.loc(),
                                     From.single(V.getType(), *Dim),
                                     Wide.getOperand(), Wide.getDims()));
    }
  }

  const Beginning &From;
  int64_t Batch;
  ArrayRef<Operation *> Ops;
  llvm::SmallPtrSet<Operation *, 32> Inside;
  IRMapping Map;
};

struct BatchLoops : PassWrapper<BatchLoops, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(BatchLoops)
  BatchLoops() = default;
  BatchLoops(const BatchLoops &Other) : PassWrapper(Other) {}
  explicit BatchLoops(BatchLoopUse Use) : Use(Use) {}
  StringRef getArgument() const final { return "limosa-batch-loops"; }
  StringRef getDescription() const final {
    return "Do the beginning of an entry for one element of a batch at a time";
  }

  void runOnOperation() final {
    if (Always)
      Use = BatchLoopUse::Always;
    if (Use == BatchLoopUse::Never)
      return;
    for (auto Func : getOperation().getOps<func::FuncOp>())
      if (Func->hasAttr(EntryAttrName) && !Func.isExternal())
        visit(Func);
  }

private:
  void visit(func::FuncOp Func) {
    int64_t Batch = batchOf(Func);
    if (Batch < 2 || Batch > MaxBatch)
      return;
    Beginning From(Func.getBody().front(), Batch);
    if (size_t Count = Cut(From, Batch).find(Use))
      LoopMaker(From, Batch, Count).run();
  }

  /// The first dimension of the largest input; parameters and state are none.
  static int64_t batchOf(func::FuncOp Func) {
    int64_t Batch = 0;
    double Most = 0;
    for (BlockArgument Arg : Func.getArguments()) {
      auto Kind =
          Func.getArgAttrOfType<StringAttr>(Arg.getArgNumber(), KindAttrName);
      auto Ty = dyn_cast<RankedTensorType>(Arg.getType());
      if (!Ty || (Kind && Kind != "input") || Ty.getRank() < 2 ||
          bytesOf(Ty) <= Most)
        continue;
      Most = bytesOf(Ty);
      Batch = Ty.isDynamicDim(0) ? 0 : Ty.getDimSize(0);
    }
    return Batch;
  }

  Option<bool> Always{*this, "always",
                      llvm::cl::desc("wherever it is possible")};
  BatchLoopUse Use = BatchLoopUse::WhereFaster;
};

} // namespace

std::unique_ptr<Pass> limosa::createBatchLoopsPass(BatchLoopUse Use) {
  return std::make_unique<BatchLoops>(Use);
}
