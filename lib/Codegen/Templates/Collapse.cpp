//===- Collapse.cpp - Dimensions that can be traversed as one -------------===//
//
// Walks from the outputs to the arguments with a map from each value's
// dimensions to positions in the loop order, and marks the borders between
// neighbouring positions that some access or op sees. A wrong guess costs
// speed, never results: Pull takes linear indices apart where an op needs it.
//
//===----------------------------------------------------------------------===//

#include "Loops.h"
#include "limosa/IR/LimosaOps.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/TypeSwitch.h"
#include <set>

using namespace mlir;
using namespace limosa;
using namespace limosa::codegen;

namespace {

class BorderFinder {
public:
  /// Broken[p]: position p cannot follow p - 1 in one loop.
  SmallVector<bool> Broken;

  BorderFinder(ArrayRef<int64_t> Order, ArrayRef<DimExpr> Shape)
      : Broken(Order.size()) {
    for (int64_t D : Order)
      Extents.push_back(Shape[D]);
  }

  using Map = SmallVector<int, 6>; ///< per dimension: loop position or -1

  void walk(Value V, const Map &At) {
    if (!Seen.insert({V.getAsOpaquePointer(),
                      std::vector<int>(At.begin(), At.end())})
             .second)
      return;
    if (isa<BlockArgument>(V)) {
      access(getDims(V), stridesOf(getDims(V), getOrder(V.getType())), At);
      return;
    }
    Operation *Op = V.getDefiningOp();
    llvm::TypeSwitch<Operation *>(Op)
        .Case([&](ConstantOp C) {
          if (!C.getValue().isSplat())
            access(getDims(V), stridesOf(getDims(V), getOrder(V.getType())),
                   At);
        })
        .Case([&](IotaOp I) { alone(At[I.getDim()]); })
        .Case([&](DimOp) {})
        // Read once per row; its own loops see to its input.
        .Case([&](ReduceOp) {})
        .Case([&](TransposeOp T) {
          Map To(At.size());
          for (unsigned D = 0; D < At.size(); ++D)
            To[T.getPerm()[D]] = At[D];
          walk(T.getOperand(), To);
        })
        .Case([&](BroadcastOp B) {
          Dims From = getDims(B.getOperand()), Shape = getDims(V);
          Map To(From.size(), -1);
          for (auto [D, R] : llvm::enumerate(B.getDims())) {
            if (From[D] == Shape[R])
              To[D] = At[R];
            else if (!From[D].isConstant(1))
              alone(At[R]);
          }
          // What is repeated along a loop ends where that loop begins.
          access(From, stridesOf(From, getOrder(B.getOperand().getType())), To,
                 /*Memory=*/false);
          walk(B.getOperand(), To);
        })
        .Case([&](SliceOp S) {
          Dims From = getDims(S.getOperand()), Shape = getDims(V);
          Dims Starts = parseDims(S.getStarts());
          for (unsigned D = 0; D < At.size(); ++D) {
            if (S.getSteps()[D] != 1)
              alone(At[D]);
            else if (!Starts[D].isConstant(0) || !(From[D] == Shape[D]))
              first(At[D]);
          }
          walk(S.getOperand(), At);
        })
        .Case([&](PadOp P) {
          Dims Low = parseDims(P.getLow()), High = parseDims(P.getHigh());
          for (unsigned D = 0; D < At.size(); ++D) {
            if (P.getInterior()[D] != 0)
              alone(At[D]);
            else if (!Low[D].isConstant(0) || !High[D].isConstant(0))
              first(At[D]);
          }
          walk(P.getOperand(), At);
        })
        .Case([&](ConcatOp C) {
          first(At[C.getDim()]);
          for (Value Input : C.getInputs())
            walk(Input, At);
        })
        .Case([&](UpdateSliceOp U) {
          Dims Shape = getDims(V), Part = getDims(U.getUpdate());
          for (unsigned D = 0; D < At.size(); ++D)
            if (!(Shape[D] == Part[D]))
              first(At[D]);
          walk(U.getOperand(), At);
          walk(U.getUpdate(), At);
        })
        .Case([&](GatherOp G) { gather(G, At); })
        .Case([&](ReshapeOp R) { reshape(R, At); })
        .Case([&](WindowOp W) {
          for (unsigned D = 0; D < At.size(); ++D)
            if (W.getSizes()[D] != 1 || W.getStrides()[D] != 1)
              alone(At[D]);
          for (Value Input : W.getInputs())
            walk(Input, At);
        })
        .Default([&](Operation *) {
          if (!isPullableElementwise(Op)) {
            all();
            return;
          }
          for (Value Operand : Op->getOperands())
            walk(Operand, At);
        });
  }

private:
  static bool isPullableElementwise(Operation *Op) {
    return Op->hasTrait<limosa::OpTrait::SameShape>() ||
           isa<RelayoutOp, BarrierOp>(Op);
  }
  void all() { std::fill(Broken.begin(), Broken.end(), true); }
  void first(int P) {
    if (P >= 0)
      Broken[P] = true;
  }
  void alone(int P) {
    if (P < 0)
      return;
    Broken[P] = true;
    if (P + 1 < int(Broken.size()))
      Broken[P + 1] = true;
  }

  /// Breaks borders that an access is not linear over.
  void access(ArrayRef<DimExpr> Shape, ArrayRef<DimExpr> Strides, const Map &At,
              bool Memory = true) {
    SmallVector<int> DimAt(Extents.size(), -1);
    for (unsigned D = 0; D < At.size(); ++D)
      if (At[D] >= 0)
        DimAt[At[D]] = D;
    int Before = -1;
    for (int P = 0; P < int(Extents.size()); ++P) {
      if (Extents[P].isConstant(1))
        continue;
      if (Before >= 0) {
        int A = DimAt[Before], B = DimAt[P];
        if ((A < 0) != (B < 0))
          Broken[P] = true;
        else if (Memory && A >= 0 && !(Strides[A] == Shape[B] * Strides[B]))
          Broken[P] = true;
      }
      Before = P;
    }
  }

  void gather(GatherOp G, const Map &At) {
    unsigned IndexRank =
        cast<RankedTensorType>(G.getIndices().getType()).getRank();
    unsigned OperandRank =
        cast<RankedTensorType>(G.getOperand().getType()).getRank();
    Map ToIndices(IndexRank, -1), ToOperand(OperandRank, -1);
    for (unsigned D = 0; D + 1 < IndexRank; ++D)
      ToIndices[D] = At[D];
    unsigned Slice = IndexRank - 1;
    for (unsigned D = 0; D < OperandRank; ++D) {
      if (D < G.getBatch())
        ToOperand[D] = At[D];
      else if (!llvm::is_contained(G.getAxes(), int64_t(D)))
        ToOperand[D] = At[Slice++];
    }
    if (IndexRank - 1 < At.size())
      first(At[IndexRank - 1]);
    walk(G.getIndices(), ToIndices);
    walk(G.getOperand(), ToOperand);
  }

  void reshape(ReshapeOp R, const Map &At) {
    Dims Shape = getDims(R.getResult()), From = getDims(R.getOperand());
    // Dimensions that only gained or lost ones stay themselves; otherwise the
    // reshape is seen at every border, unless all is one loop anyway.
    SmallVector<unsigned> A, B;
    for (unsigned D = 0; D < Shape.size(); ++D)
      if (!Shape[D].isConstant(1))
        A.push_back(D);
    for (unsigned D = 0; D < From.size(); ++D)
      if (!From[D].isConstant(1))
        B.push_back(D);
    Map To(From.size(), -1);
    if (A.size() == B.size() && llvm::all_of(llvm::zip(A, B), [&](auto Pair) {
          return Shape[std::get<0>(Pair)] == From[std::get<1>(Pair)];
        })) {
      for (auto [X, Y] : llvm::zip(A, B))
        To[Y] = At[X];
      walk(R.getOperand(), To);
      return;
    }
    if (!isLinear(R.getOperand()))
      all();
  }

  /// Whether elements in row-major order are read in the order of memory.
  bool isLinear(Value V) {
    auto [Known, IsNew] = Linear.try_emplace(V, false);
    if (!IsNew)
      return Known->second;
    bool Result = computeLinear(V);
    Linear[V] = Result;
    return Result;
  }

  bool computeLinear(Value V) {
    if (isa<BlockArgument>(V))
      return isRowMajor(V.getType());
    Operation *Op = V.getDefiningOp();
    if (auto C = dyn_cast<ConstantOp>(Op))
      return C.getValue().isSplat() || isRowMajor(V.getType());
    if (auto B = dyn_cast<BroadcastOp>(Op))
      return numElements(B.getOperand().getType()).isConstant(1);
    if (!isPullableElementwise(Op) && !isa<ReshapeOp>(Op))
      return false;
    return llvm::all_of(Op->getOperands(),
                        [&](Value O) { return isLinear(O); });
  }

  Dims Extents;
  llvm::DenseMap<Value, bool> Linear;
  std::set<std::pair<const void *, std::vector<int>>> Seen;
};

} // namespace

unsigned codegen::collapsible(ArrayRef<Value> Outputs, ArrayRef<int64_t> Order,
                              ArrayRef<DimExpr> Shape) {
  if (Order.empty())
    return 0;
  BorderFinder Finder(Order, Shape);
  for (Value V : Outputs) {
    if (getDims(V) != Dims(Shape.begin(), Shape.end()))
      continue; // written through a linear index
    BorderFinder::Map At(Order.size());
    for (auto [P, D] : llvm::enumerate(Order))
      At[D] = P;
    Finder.walk(V, At);
  }
  unsigned Count = 1;
  for (unsigned P = Order.size() - 1; P > 0; --P, ++Count)
    if (Finder.Broken[P] && !Shape[Order[P]].isConstant(1) &&
        !llvm::all_of(Order.take_front(P),
                      [&](int64_t D) { return Shape[D].isConstant(1); }))
      break;
  return Count;
}
