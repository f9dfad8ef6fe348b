//===- AttentionAnalysis.cpp - Softmax between two products ---------------===//

#include "AttentionAnalysis.h"

#include "Templates/TileEpilogue.h"
#include "limosa/Codegen/FusionRules.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/TypeSwitch.h"
#include <limits>

using namespace mlir;
using namespace limosa;
using namespace limosa::codegen;

DimExpr codegen::extentOf(Value V, ArrayRef<int64_t> Ds) {
  DimExpr Product = 1;
  for (int64_t D : Ds)
    Product = Product * getDim(V.getType(), D);
  return Product;
}

SmallVector<int64_t> codegen::freeDims(Value V, ArrayRef<int64_t> Batch,
                                       ArrayRef<int64_t> Contract) {
  SmallVector<int64_t> Free;
  for (int64_t D = 0; D < cast<RankedTensorType>(V.getType()).getRank(); ++D)
    if (!llvm::is_contained(Batch, D) && !llvm::is_contained(Contract, D))
      Free.push_back(D);
  return Free;
}

static bool isElementwise(Operation *Op) {
  return Op->hasTrait<limosa::OpTrait::SameShape>();
}

static int64_t rankOf(Value V) {
  return cast<RankedTensorType>(V.getType()).getRank();
}

/// Floats whose sums are made in f32.
static bool isNarrowFloat(Value V) {
  Type Element = getElementTypeOrSelf(V.getType());
  return Element.isF32() || Element.isF16() || Element.isBF16();
}

/// The number that all elements of `V` are, if that shows.
static std::optional<double> splatOf(Value V) {
  while (auto Op = V.getDefiningOp()) {
    if (auto C = dyn_cast<ConstantOp>(Op)) {
      if (!C.getValue().isSplat() ||
          !isa<FloatType>(C.getValue().getElementType()))
        return std::nullopt;
      return cast<FloatAttr>(C.getValue().getSplatValue<Attribute>())
          .getValueAsDouble();
    }
    if (!isa<BroadcastOp, ReshapeOp>(Op))
      return std::nullopt;
    V = Op->getOperand(0);
  }
  return std::nullopt;
}

/// Whether a reshape leaves the last dimension alone, so that rows stay rows.
static bool keepsRows(ReshapeOp R) {
  Dims From = getDims(R.getOperand()), To = getDims(R.getResult());
  return !From.empty() && !To.empty() && From.back() == To.back();
}

namespace {

class Finder {
public:
  std::optional<Attention> find(ContractOp Values) {
    A.Values = Values;
    if (!findSoftmax(Values.getLhs()) || !findScores() || !sizesAgree())
      return std::nullopt;
    take(A.Scores);
    take(A.Values);
    A.Ops = Taken.takeVector();
    return std::move(A);
  }

private:
  void take(Operation *Op) { Taken.insert(Op); }
  template <typename OpT> OpT taken(Value V) {
    auto Op = V.getDefiningOp<OpT>();
    if (Op)
      take(Op);
    return Op;
  }

  /// x where it is no NaN, 0 elsewhere: x; otherwise null.
  Value withoutGuard(SelectOp Select) {
    auto Is = Select.getCondition().getDefiningOp<CompareOp>();
    Value X = Select.getOnFalse();
    if (!Is || Is.getDirection() != CompareDirection::NE || Is.getLhs() != X ||
        Is.getRhs() != X || splatOf(Select.getOnTrue()) != 0.0)
      return {};
    take(Is);
    return X;
  }

  /// A row's number repeated along the row: the reduction that makes it.
  /// `Negations` counts changes of the sign on the way.
  ReduceOp rowOf(Value V, const Dims &Shape, unsigned &Negations) {
    SmallVector<Operation *> Way;
    while (Operation *Op = V.getDefiningOp()) {
      if (auto Reduce = dyn_cast<ReduceOp>(Op)) {
        for (Operation *Passed : Way)
          take(Passed);
        return Reduce;
      }
      if (isa<NegOp>(Op))
        ++Negations;
      else if (auto Broadcast = dyn_cast<BroadcastOp>(Op)) {
        if (getDims(Broadcast.getResult()) != Shape || !alongRows(Broadcast))
          return ReduceOp();
      } else if (auto Reshape = dyn_cast<ReshapeOp>(Op)) {
        if (!onlyAddsUnits(Reshape))
          return ReduceOp();
      } else {
        return ReduceOp();
      }
      Way.push_back(Op);
      V = Op->getOperand(0);
    }
    return ReduceOp();
  }

  /// Every dimension of the rows goes to its own, none to the last.
  static bool alongRows(BroadcastOp Op) {
    Dims From = getDims(Op.getOperand()), To = getDims(Op.getResult());
    int64_t Last = int64_t(To.size()) - 1;
    for (auto [Size, D] : llvm::zip_equal(From, Op.getDims()))
      if (!Size.isConstant(1) && (D == Last || !(Size == To[D])))
        return false;
    return true;
  }
  static bool onlyAddsUnits(ReshapeOp Op) {
    auto Large = [](Value V) {
      Dims Out;
      for (const DimExpr &E : getDims(V))
        if (!E.isConstant(1))
          Out.push_back(E);
      return Out;
    };
    return Large(Op.getOperand()) == Large(Op.getResult());
  }

  /// Whether a reduction combines the elements of each row of `Input` by OpT.
  template <typename OpT>
  static bool reducesRows(ReduceOp Op, Value Input, double Init) {
    if (!Op || Op.getInputs().size() != 1 || Op.getInputs()[0] != Input ||
        Op.getDims() != ArrayRef<int64_t>{rankOf(Input) - 1} ||
        splatOf(Op.getInits()[0]) != Init)
      return false;
    Block &Body = Op.getBody().front();
    auto Combine = dyn_cast<OpT>(&Body.front());
    return Combine && Body.getOperations().size() == 2 &&
           Body.back().getOperand(0) == Combine.getResult() &&
           llvm::all_of(Combine->getOperands(),
                        [&](Value V) {
                          return isa<BlockArgument>(V) &&
                                 V.getParentBlock() == &Body;
                        }) &&
           Combine.getLhs() != Combine.getRhs();
  }

  bool findSoftmax(Value V) {
    // Elements may be converted, and rows of NaN guarded against.
    while (Operation *Op = V.getDefiningOp()) {
      Value Next;
      if (auto Convert = dyn_cast<ConvertOp>(Op))
        Next = isNarrowFloat(Convert.getOperand()) ? Convert.getOperand()
                                                   : Value();
      else if (auto Reshape = dyn_cast<ReshapeOp>(Op))
        Next = keepsRows(Reshape) ? Reshape.getOperand() : Value();
      else if (auto Select = dyn_cast<SelectOp>(Op)) {
        Next = withoutGuard(Select);
        A.ZeroNaN = true;
      } else {
        break;
      }
      if (!Next || !isNarrowFloat(V))
        return false;
      take(Op);
      V = Next;
    }
    auto Div = taken<DivOp>(V);
    auto Exp = Div ? taken<ExpOp>(Div.getLhs()) : ExpOp();
    if (!Exp || !isNarrowFloat(Exp.getResult()))
      return false;
    Dims Shape = getDims(V);
    unsigned Negations = 0;
    A.Sum = rowOf(Div.getRhs(), Shape, Negations);
    auto Shift = taken<AddOp>(Exp.getOperand());
    if (!Shift || Negations != 0 ||
        !reducesRows<AddOp>(A.Sum, Exp.getResult(), 0.0))
      return false;
    for (unsigned Side : {0, 1}) {
      Negations = 0;
      A.Input = Shift->getOperand(1 - Side);
      A.Max = rowOf(Shift->getOperand(Side), Shape, Negations);
      if (Negations == 1 &&
          reducesRows<MaxOp>(A.Max, A.Input,
                             -std::numeric_limits<double>::infinity())) {
        take(A.Sum);
        take(A.Max);
        return true;
      }
    }
    return false;
  }

  /// The product nearest above the softmax whose elements become its own.
  bool findScores() {
    llvm::SetVector<Value> Work;
    Work.insert(A.Input);
    constexpr unsigned MaxValues = 64;
    for (unsigned I = 0; I < Work.size() && I < MaxValues; ++I) {
      Operation *Op = Work[I].getDefiningOp();
      if (!Op || Op->getBlock() != A.Values->getBlock())
        continue;
      if (auto Product = dyn_cast<ContractOp>(Op)) {
        A.Scores = Product;
        if (!sizesAgree() || !takeBetween())
          continue;
        return true;
      }
      auto Reshape = dyn_cast<ReshapeOp>(Op);
      if (isElementwise(Op) || (Reshape && keepsRows(Reshape)))
        Work.insert(Op->operand_begin(), Op->operand_end());
    }
    return false;
  }

  /// Takes what the softmax's input is computed from the scores by; false if
  /// that mixes elements.
  bool takeBetween() {
    llvm::DenseMap<Operation *, bool> Depends;
    Depends[A.Scores] = true;
    llvm::SetVector<Operation *> Between;
    bool Mixes = false;
    auto Visit = [&](auto &&Self, Value V) -> bool {
      Operation *Op = V.getDefiningOp();
      if (!Op || Op->getBlock() != A.Scores->getBlock() ||
          Op->isBeforeInBlock(A.Scores))
        return false;
      if (auto It = Depends.find(Op); It != Depends.end())
        return It->second;
      bool Any = false;
      for (Value Operand : Op->getOperands())
        Any |= Self(Self, Operand);
      Depends[Op] = Any;
      if (Any) {
        auto Reshape = dyn_cast<ReshapeOp>(Op);
        Mixes |= !isElementwise(Op) && !(Reshape && keepsRows(Reshape));
        Between.insert(Op);
      }
      return Any;
    };
    if (!Visit(Visit, A.Input) || Mixes)
      return false;
    for (Operation *Op : Between)
      take(Op);
    return true;
  }

  bool sizesAgree() {
    ContractOp S = A.Scores, V = A.Values;
    if (!S || S == V || S.getLhsContract().size() != 1 ||
        V.getLhsContract().size() != 1)
      return false;
    for (Value Each : std::initializer_list<Value>{
             S.getLhs(), S.getRhs(), S.getResult(), A.Input, V.getLhs(),
             V.getRhs(), V.getResult()})
      if (!isNarrowFloat(Each))
        return false;
    // Keys and value columns are one dimension each, rows any number.
    auto Rows = freeDims(S.getLhs(), S.getLhsBatch(), S.getLhsContract());
    auto Keys = freeDims(S.getRhs(), S.getRhsBatch(), S.getRhsContract());
    auto Columns = freeDims(V.getRhs(), V.getRhsBatch(), V.getRhsContract());
    if (Keys.size() != 1 || Columns.size() != 1)
      return false;
    // The probabilities are [batch.., rows.., keys] as the scores are.
    Value P = V.getLhs();
    for (auto [I, D] : llvm::enumerate(V.getLhsBatch()))
      if (D != int64_t(I))
        return false;
    if (V.getLhsContract()[0] != rankOf(P) - 1)
      return false;
    auto RowsOfP = freeDims(P, V.getLhsBatch(), V.getLhsContract());
    DimExpr NumKeys = getDim(S.getRhs().getType(), Keys[0]);
    auto D = getDim(S.getLhs().getType(), S.getLhsContract()[0]).constant();
    auto E = getDim(V.getRhs().getType(), Columns[0]).constant();
    constexpr int64_t MaxHead = 1024;
    auto Fits = [](std::optional<int64_t> Size) {
      return Size && *Size > 0 && *Size <= MaxHead;
    };
    return Fits(D) && Fits(E) && !NumKeys.isConstant(0) &&
           getDims(A.Input).back() == NumKeys && getDims(P).back() == NumKeys &&
           extentOf(S.getLhs(), S.getLhsBatch()) ==
               extentOf(P, V.getLhsBatch()) &&
           extentOf(S.getLhs(), Rows) == extentOf(P, RowsOfP);
  }

  Attention A;
  llvm::SetVector<Operation *> Taken;
};

} // namespace

std::optional<Attention> codegen::findAttention(ContractOp Values) {
  return Finder().find(Values);
}

SmallVector<Operation *> codegen::attentionOps(Operation *Product) {
  auto Contract = dyn_cast<ContractOp>(Product);
  if (!Contract)
    return {};
  std::optional<Attention> A = findAttention(Contract);
  if (!A || !TileEpilogue::fits(A->Scores.getResult(), A->Input))
    return {};
  return std::move(A->Ops);
}

static std::optional<int64_t> lastLarge(ArrayRef<DimExpr> Shape) {
  for (int64_t D = int64_t(Shape.size()) - 1; D >= 0; --D)
    if (!Shape[D].isConstant(1))
      return D;
  return std::nullopt;
}

std::optional<int64_t> codegen::fastestDim(Value V) {
  Operation *Op = V.getDefiningOp();
  if (!Op) {
    Dims Shape = getDims(V);
    auto Order = getOrder(V.getType());
    for (int64_t D : llvm::reverse(Order))
      if (!Shape[D].isConstant(1))
        return D;
    return std::nullopt;
  }
  if (isElementwise(Op)) {
    for (Value Operand : Op->getOperands())
      if (auto D = fastestDim(Operand))
        return D;
    return std::nullopt;
  }
  if (!isa<TransposeOp, ReshapeOp, SliceOp, BroadcastOp, RelayoutOp>(Op))
    return std::nullopt;
  std::optional<int64_t> From = fastestDim(Op->getOperand(0));
  if (!From)
    return std::nullopt;
  Dims Before = getDims(Op->getOperand(0)), After = getDims(V);
  return llvm::TypeSwitch<Operation *, std::optional<int64_t>>(Op)
      .Case([&](TransposeOp T) {
        return llvm::find(T.getPerm(), *From) - T.getPerm().begin();
      })
      .Case([&](ReshapeOp) -> std::optional<int64_t> {
        // The same dimension if only those of size 1 come and go; the last one
        // if it is the last.
        SmallVector<int64_t> Old, New;
        for (int64_t D = 0; D < int64_t(Before.size()); ++D)
          if (!Before[D].isConstant(1))
            Old.push_back(D);
        for (int64_t D = 0; D < int64_t(After.size()); ++D)
          if (!After[D].isConstant(1))
            New.push_back(D);
        bool Same =
            Old.size() == New.size() &&
            llvm::all_of(llvm::zip(Old, New), [&](auto Pair) {
              return Before[std::get<0>(Pair)] == After[std::get<1>(Pair)];
            });
        if (Same)
          return New[llvm::find(Old, *From) - Old.begin()];
        return lastLarge(Before) == From ? lastLarge(After) : std::nullopt;
      })
      .Case([&](BroadcastOp B) -> std::optional<int64_t> {
        int64_t To = B.getDims()[*From];
        return Before[*From] == After[To] ? std::optional(To) : std::nullopt;
      })
      .Default([&](Operation *) { return From; });
}
