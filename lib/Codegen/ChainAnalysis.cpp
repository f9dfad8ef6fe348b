//===- ChainAnalysis.cpp - Reductions that share their rows ---------------===//
//
// Follows coordinates from the outputs and the reductions' inputs up to the
// reductions' results, as Pull will, with names for coordinates instead of
// values: a result must be read at the row that is being computed.
//
//===----------------------------------------------------------------------===//

#include "ChainAnalysis.h"
#include "limosa/Codegen/FusionRules.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/TypeSwitch.h"
#include <set>

using namespace mlir;
using namespace limosa;
using namespace limosa::codegen;

namespace {

/// Names of a tensor's coordinates.
struct Names {
  static constexpr int Unit = -1, Other = -2;
  enum class Form { PerDim, LinearDomain, LinearRow } F = Form::PerDim;
  std::vector<int> Dims; ///< PerDim: a domain dimension, Unit or Other
  bool operator<(const Names &O) const {
    return std::tie(F, Dims) < std::tie(O.F, O.Dims);
  }
};

SmallVector<unsigned> largeDims(ArrayRef<DimExpr> Shape) {
  SmallVector<unsigned> Result;
  for (unsigned D = 0; D < Shape.size(); ++D)
    if (!Shape[D].isConstant(1))
      Result.push_back(D);
  return Result;
}

class RowChecker {
public:
  RowChecker(const Chain &C, const llvm::DenseSet<Operation *> &Inside)
      : C(C), Inside(Inside) {}

  Names domainNames() const {
    Names N;
    for (unsigned D = 0; D < C.Shape.size(); ++D)
      N.Dims.push_back(D);
    return N;
  }
  Names rowNames() const {
    Names N;
    N.Dims.assign(C.Parallel.begin(), C.Parallel.end());
    return N;
  }

  /// Renames linear forms where a tensor has the shape they are linear in.
  Names normalize(Names N, ArrayRef<DimExpr> Shape) const {
    if (N.F == Names::Form::LinearDomain && Shape == ArrayRef(C.Shape))
      return domainNames();
    if (N.F == Names::Form::LinearRow && Shape == ArrayRef(C.RowShape))
      return rowNames();
    return N;
  }

  static Names others(size_t Rank) {
    Names N;
    N.Dims.assign(Rank, Names::Other);
    return N;
  }

  bool check(Value V, Names At) {
    Operation *Op = V.getDefiningOp();
    if (!Op || !Inside.contains(Op))
      return true; // an argument: read anywhere
    At = normalize(std::move(At), getDims(V));
    if (!Seen.insert({V.getAsOpaquePointer(), At}).second)
      return true;
    if (isa<ReduceOp>(Op))
      return isRow(getDims(V), At);
    return llvm::TypeSwitch<Operation *, bool>(Op)
        .Case<ConstantOp, DimOp, IotaOp>([](auto) { return true; })
        .Case([&](ReshapeOp R) {
          return check(R.getOperand(), throughReshape(R, At));
        })
        .Case([&](BroadcastOp B) { return broadcast(B, At); })
        .Case([&](TransposeOp T) {
          Names To = others(At.Dims.size());
          if (At.F == Names::Form::PerDim)
            for (auto [D, P] : llvm::enumerate(T.getPerm()))
              To.Dims[P] = At.Dims[D];
          else
            To = others(T.getPerm().size());
          return check(T.getOperand(), To);
        })
        .Default([&](Operation *) {
          bool Same = Op->hasTrait<limosa::OpTrait::SameShape>() ||
                      isa<RelayoutOp, BarrierOp>(Op);
          if (!Same && !isPullable(Op))
            return false;
          return llvm::all_of(Op->getOperands(), [&](Value O) {
            return check(O, Same ? At : others(getDims(O).size()));
          });
        });
  }

  /// The values seen only with the domain's own coordinates.
  llvm::DenseSet<Value> inPlace() const {
    llvm::DenseSet<Value> Result, Elsewhere;
    Names Own = domainNames();
    for (const auto &[V, At] : Seen) {
      bool Same = !(At < Own) && !(Own < At);
      (Same ? Result : Elsewhere).insert(Value::getFromOpaquePointer(V));
    }
    for (Value V : Elsewhere)
      Result.erase(V);
    return Result;
  }

private:
  bool isRow(ArrayRef<DimExpr> Shape, const Names &At) const {
    if (At.F == Names::Form::LinearRow)
      return true;
    if (At.F == Names::Form::LinearDomain)
      return false;
    for (unsigned D = 0; D < Shape.size(); ++D)
      if (!Shape[D].isConstant(1) && At.Dims[D] != int(C.Parallel[D]))
        return false;
    return true;
  }

  Names throughReshape(ReshapeOp R, const Names &At) const {
    if (At.F != Names::Form::PerDim)
      return At;
    limosa::Dims Shape = getDims(R.getResult()), From = getDims(R.getOperand());
    SmallVector<unsigned> A = largeDims(Shape), B = largeDims(From);
    Names To;
    To.Dims.assign(From.size(), Names::Unit);
    if (A.size() == B.size() && llvm::all_of(llvm::zip(A, B), [&](auto Pair) {
          return Shape[std::get<0>(Pair)] == From[std::get<1>(Pair)];
        })) {
      for (auto [X, Y] : llvm::zip(A, B))
        To.Dims[Y] = At.Dims[X];
      return To;
    }
    auto IsAll = [&](const Names &Whole, ArrayRef<DimExpr> WholeShape) {
      return Shape == limosa::Dims(WholeShape.begin(), WholeShape.end()) &&
             llvm::all_of(
                 A, [&](unsigned D) { return At.Dims[D] == Whole.Dims[D]; });
    };
    if (IsAll(domainNames(), C.Shape))
      To.F = Names::Form::LinearDomain;
    else if (IsAll(rowNames(), C.RowShape))
      To.F = Names::Form::LinearRow;
    else
      return others(From.size());
    To.Dims.clear();
    return To;
  }

  bool broadcast(BroadcastOp B, const Names &At) {
    limosa::Dims From = getDims(B.getOperand()), Shape = getDims(B.getResult());
    Names To = others(From.size());
    for (auto [D, R] : llvm::enumerate(B.getDims())) {
      if (From[D].isConstant(1))
        To.Dims[D] = Names::Unit;
      else if (At.F == Names::Form::PerDim && From[D] == Shape[R])
        To.Dims[D] = At.Dims[R];
    }
    return check(B.getOperand(), To);
  }

  const Chain &C;
  const llvm::DenseSet<Operation *> &Inside;
  std::set<std::pair<const void *, Names>> Seen;
};

/// How many reductions lie above a value, one after the other.
unsigned depthOf(Value V, const llvm::DenseSet<Operation *> &Inside,
                 llvm::DenseMap<Value, unsigned> &Known) {
  Operation *Op = V.getDefiningOp();
  if (!Op || !Inside.contains(Op))
    return 0;
  if (auto It = Known.find(V); It != Known.end())
    return It->second;
  unsigned Depth = 0;
  for (Value O : Op->getOperands())
    Depth = std::max(Depth, depthOf(O, Inside, Known));
  Depth += isa<ReduceOp>(Op);
  Known[V] = Depth;
  return Depth;
}

} // namespace

std::optional<Chain> codegen::findChain(ArrayRef<Operation *> Ops,
                                        ArrayRef<Value> Outputs) {
  Chain C;
  llvm::DenseSet<Operation *> Inside;
  SmallVector<ReduceOp> Reduces;
  for (Operation *Op : Ops) {
    Inside.insert(Op);
    if (auto R = dyn_cast<ReduceOp>(Op))
      Reduces.push_back(R);
    else if (!isPullable(Op))
      return std::nullopt;
  }
  if (Reduces.empty() || Reduces[0].getDims().empty())
    return std::nullopt;
  C.Domain = cast<RankedTensorType>(Reduces[0].getInputs()[0].getType());
  C.Shape = getDims(C.Domain);
  C.Reduced.assign(Reduces[0].getDims().begin(), Reduces[0].getDims().end());
  for (int64_t D = 0; D < int64_t(C.Shape.size()); ++D)
    if (!llvm::is_contained(C.Reduced, D)) {
      C.Parallel.push_back(D);
      C.RowShape.push_back(C.Shape[D]);
    }
  llvm::DenseMap<Value, unsigned> Depths;
  for (ReduceOp R : Reduces) {
    if (getDims(R.getInputs()[0]) != C.Shape ||
        R.getDims() != ArrayRef<int64_t>(C.Reduced))
      return std::nullopt;
    unsigned Stage = depthOf(R.getResult(0), Inside, Depths) - 1;
    if (C.Stages.size() <= Stage)
      C.Stages.resize(Stage + 1);
    C.Stages[Stage].push_back(R);
  }
  RowChecker Checker(C, Inside);
  for (ReduceOp R : Reduces) {
    for (Value Input : R.getInputs())
      if (!Checker.check(Input, Checker.domainNames()))
        return std::nullopt;
    for (Value Init : R.getInits())
      if (!Checker.check(Init, RowChecker::others(0)))
        return std::nullopt;
  }
  DimExpr All = numElements(C.Domain), Rows = 1;
  for (const DimExpr &E : C.RowShape)
    Rows = Rows * E;
  for (Value V : Outputs) {
    limosa::Dims Shape = getDims(V);
    Names At;
    if (Shape == C.Shape) {
      At = Checker.domainNames();
      C.IsFull.push_back(true);
    } else if (numElements(V.getType()) == Rows) {
      At.F = Names::Form::LinearRow;
      C.IsFull.push_back(false);
    } else if (numElements(V.getType()) == All) {
      At.F = Names::Form::LinearDomain;
      C.IsFull.push_back(true);
    } else {
      return std::nullopt;
    }
    if (!Checker.check(V, At))
      return std::nullopt;
  }
  C.InPlace = Checker.inPlace();
  return C;
}
