//===- MixedPrecision.cpp - bf16 between kernels and in products ----------===//
//
// Works on launches, so that a value is rounded where it is stored and nowhere
// else: inside of kernels all arithmetic stays f32, with converts at the edges.
// Only products read bf16 as it is.
//
// A product (contract, conv) is made of bf16 unless an operand counts: it was
// computed from numbers of a sequence or from integers of more than 8 bits,
// with no product between, as positions and sizes are. Nor are outer products,
// and those of attention, which reads bf16 but computes in f32.
//
// A value between kernels is stored as bf16 if it depends on such a product or
// is an operand of one, except
//  - what steers: floats from which integers, truth values or f64 are computed
//    that leave the kernel or become positions in it, and operands of functions
//    that go by the absolute size of their operand (floor, round_even, rem,
//    sin, cos), back to the nearest product;
//  - operands and results of scans, sorts, scatters and updates, and of other
//    devices' kernels;
//  - what reductions give: statistics, of which there are few;
//  - what others than kernels read: results of the program, values that loops
//    carry, operands of the host's operators.
//
// Constants are bf16 where they are operands of products, or tables that values
// on the way to a product are gathered from.
//
//===----------------------------------------------------------------------===//

#include "BlockGraph.h"

#include "limosa/Codegen/Codegen.h"
#include "limosa/Dispatch/Fusion.h"
#include "limosa/IR/Layout.h"
#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Symbols.h"
#include "limosa/IR/Types.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/BitVector.h"
#include <bit>
#include <cstring>

using namespace mlir;

namespace limosa {
namespace {

using llvm::BitVector;

bool isF32(Value V) {
  auto Ty = dyn_cast<RankedTensorType>(V.getType());
  return Ty && Ty.getElementType().isF32();
}

bool isFloat(Value V) { return isa<FloatType>(getElementTypeOrSelf(V)); }

Type asBf16(Value V) {
  return withElementType(cast<RankedTensorType>(V.getType()),
                         BFloat16Type::get(V.getContext()));
}

/// The op only names elements anew; operand 0 is where they are.
bool onlyMoves(Operation *Op) {
  return isa_and_nonnull<TransposeOp, ReshapeOp, SliceOp, RelayoutOp,
                         BroadcastOp>(Op);
}

Value withoutMoves(Value V) {
  while (onlyMoves(V.getDefiningOp()))
    V = V.getDefiningOp()->getOperand(0);
  return V;
}

/// What a float was computed from.
struct Origin {
  bool Product = false; ///< a product of bf16
  bool Counts = false;  ///< without a product between

  void add(const Origin &Other) {
    Product |= Other.Product;
    Counts |= Other.Counts;
  }
};

/// A kernel as one launch uses it.
class KernelFacts {
public:
  KernelFacts(func::FuncOp Kernel, ArrayRef<Origin> Arguments)
      : Kernel(Kernel), Operands(Kernel.getNumArguments()), Tables(Operands),
        Steering(Operands), Feeding(Operands), None(Operands.size()) {
    for (auto [Arg, From] : llvm::zip_equal(Kernel.getArguments(), Arguments)) {
      Origins[Arg] = From;
      Near[Arg] = None;
      Near[Arg].set(Arg.getArgNumber());
    }
    Body = &Kernel.getBody().front();
    Regular = isRegular();
    for (Operation &Op : Body->without_terminator())
      visit(&Op);
    for (Value V : results())
      if (!isF32(V))
        Steering |= Near.lookup(V);
    if (!Regular)
      Steering.set();
  }

  func::FuncOp Kernel;
  SmallVector<Operation *> Products; ///< to be made of bf16
  /// Arguments that are operands of those as they are; that are only gathered
  /// from; that steer; that operands of products depend on.
  BitVector Operands, Tables, Steering, Feeding;
  bool Regular = false;

  OperandRange results() const { return Body->getTerminator()->getOperands(); }
  Origin origin(Value V) const { return Origins.lookup(V); }
  /// Arguments that a value depends on with no product between.
  const BitVector &near(Value V) const { return Near.find(V)->second; }
  bool isStatistic(Value V) const { return Statistics.contains(V); }

private:
  bool isRegular() {
    if (Kernel->hasAttr(DeviceAttrName))
      return false;
    for (Operation &Op : *Body) {
      if (isa<ScanOp, SortOp, ScatterOp, UpdateSliceOp, CompactOp, RandomBitsOp,
              CustomCallOp>(Op))
        return false;
      NumProducts += isa<ContractOp, ConvOp>(Op);
    }
    return true;
  }

  void visit(Operation *Op) {
    BitVector From = None;
    Origin Sum;
    auto Add = [&](Value V) {
      if (auto It = Near.find(V); It != Near.end())
        From |= It->second;
      Sum.add(Origins.lookup(V));
    };
    if (isa<GatherOp>(Op))
      Add(Op->getOperand(0));
    else if (isa<SelectOp>(Op))
      llvm::for_each(Op->getOperands().drop_front(), Add);
    else
      llvm::for_each(dispatch::usedValues(Op), Add);

    if (isa<ContractOp, ConvOp>(Op) && becomesBf16(Op)) {
      Products.push_back(Op);
      Feeding |= From;
      for (Value V : Op->getOperands())
        if (auto Arg = dyn_cast<BlockArgument>(withoutMoves(V)))
          Operands.set(Arg.getArgNumber());
      From = None;
      Sum = {/*Product=*/true, /*Counts=*/false};
    }
    if (auto Gather = dyn_cast<GatherOp>(Op))
      if (auto Arg = dyn_cast<BlockArgument>(withoutMoves(Gather.getOperand()));
          Arg && Arg.hasOneUse())
        Tables.set(Arg.getArgNumber());
    if (counts(Op))
      Sum.Counts = !Sum.Product;
    if (steers(Op))
      Steering |= From;
    for (Value R : Op->getResults()) {
      Near[R] = From;
      if (isFloat(R))
        Origins[R] = Sum;
      if (isStatisticOf(Op, R))
        Statistics.insert(R);
    }
  }

  bool becomesBf16(Operation *Op) {
    // Attention keeps its scores in f32.
    if (!Regular || NumProducts > 1 || !isF32(Op->getResult(0)))
      return false;
    for (Value V : Op->getOperands()) {
      Origin From = Origins.lookup(V);
      if (!isF32(V) || (From.Counts && !From.Product))
        return false;
    }
    auto Contract = dyn_cast<ContractOp>(Op);
    return !Contract || llvm::any_of(Contract.getLhsContract(), [&](int64_t D) {
      return !getDim(Contract.getLhs().getType(), D).isConstant(1);
    });
  }

  static bool counts(Operation *Op) {
    if (isa<IotaOp>(Op))
      return true;
    auto Convert = dyn_cast<ConvertOp>(Op);
    if (!Convert)
      return false;
    // 8 bits are exact, and are what quantised numbers have.
    Type From = getElementTypeOrSelf(Convert.getOperand());
    return isa<IntegerType>(From) && From.getIntOrFloatBitWidth() > 8;
  }

  static bool steers(Operation *Op) {
    if (isa<FloorOp, RoundEvenOp, RemOp, SinOp, CosOp, BitcastOp>(Op))
      return true;
    auto Convert = dyn_cast<ConvertOp>(Op);
    return Convert && isFloat(Convert.getOperand()) && !isF32(Convert);
  }

  bool isStatisticOf(Operation *Op, Value Result) {
    if (auto Reduce = dyn_cast<ReduceOp>(Op))
      return !(numElements(Reduce.getInputs()[0].getType()) ==
               numElements(Result.getType()));
    return llvm::any_of(Op->getOperands(), [&](Value V) {
      return Statistics.contains(V) &&
             numElements(V.getType()) == numElements(Result.getType());
    });
  }

  Block *Body;
  unsigned NumProducts = 0;
  llvm::DenseMap<Value, BitVector> Near;
  llvm::DenseMap<Value, Origin> Origins;
  llvm::DenseSet<Value> Statistics;
  BitVector None;
};

/// What becomes of a kernel for one launch.
struct Decision {
  BitVector Arguments, Results; ///< bf16

  std::string key(StringRef Kernel) const {
    std::string Key = Kernel.str();
    for (const BitVector *Bits : {&Arguments, &Results}) {
      Key += ' ';
      for (unsigned I = 0; I < Bits->size(); ++I)
        Key += (*Bits)[I] ? '1' : '0';
    }
    return Key;
  }
};

/// Makes the kernel's edges and products bf16 in place.
class KernelRewriter {
public:
  KernelRewriter(func::FuncOp Kernel, const Decision &D)
      : Kernel(Kernel), D(D), B(Kernel.getContext()) {}

  /// `Products`: positions in the body of those that become bf16.
  void run(const llvm::DenseSet<unsigned> &Products) {
    Block &Body = Kernel.getBody().front();
    SmallVector<Operation *> Ops;
    for (auto [I, Op] : llvm::enumerate(Body))
      if (Products.contains(I))
        Ops.push_back(&Op);
    B.setInsertionPointToStart(&Body);
    for (BlockArgument Arg : Body.getArguments())
      if (D.Arguments[Arg.getArgNumber()]) {
        Type Wide = Arg.getType();
        Arg.setType(asBf16(Arg));
        auto Widened = ConvertOp::create(B, Arg.getLoc(), Wide, Arg);
        Arg.replaceAllUsesExcept(Widened, Widened);
      }
    for (Operation *Op : Ops) {
      B.setInsertionPoint(Op);
      for (OpOperand &Use : Op->getOpOperands())
        Use.set(narrowed(Use.get()));
    }
    Operation *Return = Body.getTerminator();
    B.setInsertionPoint(Return);
    for (OpOperand &Use : Return->getOpOperands())
      if (D.Results[Use.getOperandNumber()])
        Use.set(narrowed(Use.get()));
    for (Operation &Op : llvm::make_early_inc_range(llvm::reverse(Body)))
      if (isOpTriviallyDead(&Op))
        Op.erase();
    Kernel.setFunctionType(
        B.getFunctionType(Body.getArgumentTypes(), Return->getOperandTypes()));
    Kernel->setAttr(codegen::FlushAttrName, B.getUnitAttr());
  }

private:
  static bool isWidened(Value V) {
    auto Convert = V.getDefiningOp<ConvertOp>();
    return Convert && getElementTypeOrSelf(Convert.getOperand()).isBF16();
  }

  /// The value in bf16: as it was before it was widened, if that is all that
  /// happened to it but moves.
  Value narrowed(Value V) {
    Operation *Def = V.getDefiningOp();
    if (isWidened(V))
      return Def->getOperand(0);
    if (!isWidened(withoutMoves(V)))
      return ConvertOp::create(B, V.getLoc(), asBf16(V), V);
    Value Source = narrowed(Def->getOperand(0));
    Operation *Copy = B.clone(*Def);
    Copy->setOperand(0, Source);
    Copy->getResult(0).setType(asBf16(V));
    return Copy->getResult(0);
  }

  func::FuncOp Kernel;
  const Decision &D;
  OpBuilder B;
};

/// f32 to bf16, to nearest even.
uint16_t roundToBf16(float F) {
  uint32_t Bits = std::bit_cast<uint32_t>(F);
  if ((Bits & 0x7fffffff) > 0x7f800000)
    return uint16_t(Bits >> 16 | 0x40);
  return uint16_t((Bits + 0x7fff + (Bits >> 16 & 1)) >> 16);
}

/// A constant's elements as bf16; null if they are not at hand.
ElementsAttr narrowElements(ConstantOp C) {
  auto Ty = cast<RankedTensorType>(C.getType());
  ArrayRef<char> Raw;
  if (auto Resource = dyn_cast<DenseResourceElementsAttr>(C.getValue())) {
    if (AsmResourceBlob *Blob = Resource.getRawHandle().getBlob())
      Raw = Blob->getData();
  } else if (auto Dense = dyn_cast<DenseElementsAttr>(C.getValue());
             Dense && !Dense.isSplat()) {
    Raw = Dense.getRawData();
  }
  size_t Count = Ty.getNumElements();
  if (Raw.size() < Count * sizeof(float))
    return nullptr;
  std::vector<char> Out(Count * sizeof(uint16_t));
  for (size_t I = 0; I < Count; ++I) {
    float F;
    std::memcpy(&F, Raw.data() + I * sizeof(F), sizeof(F));
    uint16_t Narrow = roundToBf16(F);
    std::memcpy(Out.data() + I * sizeof(Narrow), &Narrow, sizeof(Narrow));
  }
  auto Plain =
      RankedTensorType::get(Ty.getShape(), BFloat16Type::get(C.getContext()));
  return DenseResourceElementsAttr::get(
      Plain, "bf16", HeapAsmResourceBlob::allocateAndCopyWithAlign(Out, 64));
}

class Program {
public:
  explicit Program(ModuleOp Module) : Module(Module), Symbols(Module) {}

  void run() {
    for (auto Func : Module.getOps<func::FuncOp>())
      if (Func->hasAttr(EntryAttrName))
        Func.walk<WalkOrder::PreOrder>([&](Operation *Op) { analyse(Op); });
    for (LaunchOp L : llvm::reverse(Launches))
      traceBack(L);
    for (LaunchOp L : Launches)
      chooseResults(L);
    for (LaunchOp L : Launches)
      rewrite(L);
    for (Operation *Kernel : Replaced)
      if (SymbolTable::symbolKnownUseEmpty(Kernel, Module))
        Symbols.erase(Kernel);
    for (ConstantOp C : Widened)
      if (C.use_empty())
        C.erase();
  }

private:
  static Value rootOf(Value V) {
    while (Operation *Def = V.getDefiningOp()) {
      if (!isAlias(Def))
        break;
      V = Def->getOperand(0);
    }
    return V;
  }

  void analyse(Operation *Op) {
    auto L = dyn_cast<LaunchOp>(Op);
    if (!L)
      return;
    SmallVector<Origin> Arguments;
    for (Value V : L.getInputs())
      Arguments.push_back(Origins.lookup(rootOf(V)));
    auto Kernel = Symbols.lookup<func::FuncOp>(L.getKernel());
    auto &Facts = FactsOf[L];
    Facts = std::make_unique<KernelFacts>(Kernel, Arguments);
    for (auto [R, Inner] : llvm::zip_equal(L.getResults(), Facts->results()))
      Origins[R] = Facts->origin(Inner);
    Launches.push_back(L);
  }

  /// What the launch's operands steer and feed, by what its results do.
  void traceBack(LaunchOp L) {
    const KernelFacts &Facts = *FactsOf[L];
    BitVector Steers = Facts.Steering, Feeds = Facts.Feeding;
    for (auto [R, Inner] : llvm::zip_equal(L.getResults(), Facts.results())) {
      if (Steering.contains(R))
        Steers |= Facts.near(Inner);
      if (Feeding.contains(R))
        Feeds |= Facts.near(Inner);
    }
    for (auto [I, V] : llvm::enumerate(L.getInputs())) {
      if (Steers[I])
        Steering.insert(rootOf(V));
      if (Feeds[I])
        Feeding.insert(rootOf(V));
    }
  }

  void chooseResults(LaunchOp L) {
    const KernelFacts &Facts = *FactsOf[L];
    for (auto [R, Inner] : llvm::zip_equal(L.getResults(), Facts.results())) {
      if (!Facts.Regular || !isF32(R) ||
          numElements(R.getType()).isConstant(1) || Steering.contains(R) ||
          Facts.isStatistic(Inner))
        continue;
      bool IsOperand = false;
      if (onlyLaunched(R, IsOperand) && (IsOperand || Origins[R].Product))
        Narrow.insert(R);
    }
  }

  /// Whether kernels alone read the value, as it is or renamed. Sets
  /// `IsOperand` if a product does.
  bool onlyLaunched(Value V, bool &IsOperand) {
    for (OpOperand &Use : V.getUses()) {
      Operation *User = Use.getOwner();
      if (auto L = dyn_cast<LaunchOp>(User)) {
        IsOperand |= FactsOf[L]->Operands[Use.getOperandNumber()];
        continue;
      }
      if (!isAlias(User) || !onlyLaunched(User->getResult(0), IsOperand))
        return false;
    }
    return true;
  }

  void rewrite(LaunchOp L) {
    const KernelFacts &Facts = *FactsOf[L];
    Decision D{BitVector(L.getNumOperands()), BitVector(L.getNumResults())};
    for (auto [I, V] : llvm::enumerate(L.getInputs())) {
      if (auto C = V.getDefiningOp<ConstantOp>()) {
        bool Gathered = Facts.Tables[I] && Feeding.contains(V);
        if (isF32(V) && (Facts.Operands[I] || Gathered) && !Facts.Steering[I])
          if (Value Small = narrowConstant(C)) {
            L->setOperand(I, Small);
            D.Arguments.set(I);
          }
        continue;
      }
      D.Arguments[I] = Narrow.contains(rootOf(V));
    }
    for (Value R : L.getResults())
      D.Results[cast<OpResult>(R).getResultNumber()] = Narrow.contains(R);
    if (D.Arguments.none() && D.Results.none() && Facts.Products.empty())
      return;
    for (Value R : L.getResults())
      if (Narrow.contains(R))
        retype(R);
    L.setKernelAttr(FlatSymbolRefAttr::get(kernelFor(Facts, D)));
  }

  /// The value and its other names become bf16.
  void retype(Value V) {
    V.setType(asBf16(V));
    for (Operation *User : V.getUsers())
      if (!isa<LaunchOp>(User))
        retype(User->getResult(0));
  }

  Value narrowConstant(ConstantOp C) {
    auto [It, IsNew] = Constants.try_emplace(C);
    if (!IsNew)
      return It->second;
    if (cast<RankedTensorType>(C.getType()).getRank() < 2)
      return nullptr;
    ElementsAttr Elements = narrowElements(C);
    if (!Elements)
      return nullptr;
    OpBuilder B(C);
    It->second = ConstantOp::create(B, C.getLoc(), asBf16(C), Elements);
    Widened.push_back(C);
    return It->second;
  }

  StringAttr kernelFor(const KernelFacts &Facts, const Decision &D) {
    func::FuncOp Old = Facts.Kernel;
    std::string Key = D.key(Old.getSymName());
    for (Operation *Op : Facts.Products)
      Key += " " + std::to_string(positionOf(Op));
    auto [It, IsNew] = Kernels.try_emplace(Key);
    if (!IsNew)
      return It->second;
    llvm::DenseSet<unsigned> Products;
    for (Operation *Op : Facts.Products)
      Products.insert(positionOf(Op));
    auto Copy = cast<func::FuncOp>(Old->clone());
    Copy.setName((Old.getSymName() + "_bf16").str());
    KernelRewriter(Copy, D).run(Products);
    It->second = Symbols.insert(Copy, std::next(Old->getIterator()));
    if (!llvm::is_contained(Replaced, Old.getOperation()))
      Replaced.push_back(Old);
    return It->second;
  }

  static unsigned positionOf(Operation *Op) {
    return std::distance(Op->getBlock()->begin(), Op->getIterator());
  }

  ModuleOp Module;
  SymbolTable Symbols;
  SmallVector<LaunchOp> Launches; // in order
  llvm::DenseMap<Operation *, std::unique_ptr<KernelFacts>> FactsOf;
  llvm::DenseMap<Value, Origin> Origins;
  llvm::DenseSet<Value> Steering, Feeding, Narrow;
  llvm::DenseMap<Operation *, Value> Constants;
  SmallVector<ConstantOp> Widened;
  llvm::StringMap<StringAttr> Kernels;
  SmallVector<Operation *> Replaced;
};

} // namespace

void useBf16(ModuleOp Module) { Program(Module).run(); }

} // namespace limosa
