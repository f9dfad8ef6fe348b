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
#include "NarrowKernel.h"
#include "PrecisionFacts.h"

#include "limosa/Dispatch/Fusion.h"
#include "limosa/IR/Layout.h"
#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Symbols.h"
#include "limosa/IR/Types.h"
#include "mlir/IR/SymbolTable.h"

using namespace mlir;

namespace limosa {
namespace {

using dispatch::asBf16;
using dispatch::Decision;
using dispatch::isF32;
using dispatch::KernelFacts;
using dispatch::Origin;
using llvm::BitVector;

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
    ElementsAttr Elements = dispatch::narrowElements(C);
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
    dispatch::narrowKernel(Copy, D, Products);
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
