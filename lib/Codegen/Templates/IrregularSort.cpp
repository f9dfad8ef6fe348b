//===- IrregularSort.cpp - Stable sorts and selections of the first -------===//
//
// Each line is sorted by one worker: what the comparison reads is copied to
// scratch memory, positions are sorted, and the results are fetched by them.
// Bottom-up merge sort keeps within its memory whatever the comparison answers.
// When only a few first elements are kept, they are held in order while the
// line passes by.
//
//===----------------------------------------------------------------------===//

#include "Irregular.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::codegen;
using limosa::codegen::Index;

static std::optional<int> match(const KernelAnalysis &Kernel,
                                const TargetOptions &) {
  return matchTail<SortOp>(Kernel) ? std::optional(50) : std::nullopt;
}

namespace {

class SortEmitter {
public:
  SortEmitter(KernelBuilder &KB, const KernelAnalysis &Kernel)
      : KB(KB), Kernel(Kernel), Sort(matchTail<SortOp>(Kernel)), P(KB),
        M(KB.math()), Dim(static_cast<unsigned>(Sort.getDim())) {}

  void emit();

private:
  void copyKeys(const Coords &Line);
  void mergeSort();
  void mergeRuns(Value Width, Value From, Value To);
  void selectFirst();
  void writeResults(const Coords &Line);

  /// Whether the element at position A goes before the one at B (i1).
  Value before(Value A, Value B);
  Value item(Value At) { return KB.load(Items, M.uniform(At), Lanes()); }
  Value position(Value At) { return toIndex(item(At)); }
  void setItem(Value At, Value Item) {
    KB.store(Items, M.uniform(At), Item, Lanes());
  }
  Value toIndex(Value Item) {
    return arith::IndexCastOp::create(KB.builder(), KB.loc(),
                                      KB.builder().getIndexType(), Item);
  }
  Value toItem(Value Position) {
    return arith::IndexCastOp::create(KB.builder(), KB.loc(), Items.Element,
                                      Position);
  }

  KernelBuilder &KB;
  const KernelAnalysis &Kernel;
  SortOp Sort;
  Puller P;
  IndexMath &M;
  unsigned Dim;
  DimExpr Kept;     ///< elements of a result's line
  Value Length;     ///< elements of an input's line
  TensorView Items; ///< positions; twice a line for merging
  SmallVector<std::optional<TensorView>> Keys; ///< copies of what is compared
  Value First; ///< where in Items the sorted positions begin
};

} // namespace

Value SortEmitter::before(Value A, Value B) {
  SmallVector<Value> Args;
  for (auto [K, Input] : llvm::enumerate(Sort.getInputs()))
    for (Value At : {A, B}) {
      Type Element = getElementTypeOrSelf(Input.getType());
      Args.push_back(
          Keys[K] ? KB.load(*Keys[K], M.uniform(At), Lanes())
                  : KB.splat(KB.builder().getZeroAttr(registerType(Element)),
                             registerType(Element)));
    }
  return P.evalRegion(Sort.getBody(), Args)[0];
}

void SortEmitter::copyKeys(const Coords &Line) {
  KB.forLoop(KB.constant(0), Length, 1, [&](Value I) {
    Coords At = Line;
    At.PerDim[Dim] = M.uniform(I);
    for (auto [K, Input] : llvm::enumerate(Sort.getInputs()))
      if (Keys[K])
        KB.store(*Keys[K], M.uniform(I), P.pull(Input, At, Lanes()), Lanes());
  });
}

/// Merges neighbouring sorted runs of Width positions at From into runs twice
/// as long at To.
void SortEmitter::mergeRuns(Value Width, Value From, Value To) {
  Value Double = M.add(Width, Width);
  Value Runs = M.divU(M.add(Length, M.sub(Double, KB.constant(1))), Double);
  KB.forLoop(KB.constant(0), Runs, 1, [&](Value Run) {
    Value Begin = M.mul(Run, Double);
    Value Middle = M.min(M.add(Begin, Width), Length);
    Value End = M.min(M.add(Begin, Double), Length);
    Value LastA = M.sub(Middle, KB.constant(1));
    Value LastB = M.sub(End, KB.constant(1));
    KB.forLoop(Begin, End, 1, {Begin, Middle}, [&](Value Out, ValueRange At) {
      Value A = At[0], B = At[1];
      Value ItemA = item(M.add(From, M.min(A, LastA)));
      Value ItemB = item(M.add(From, M.min(B, LastB)));
      Value Smaller = before(toIndex(ItemB), toIndex(ItemA));
      // Take B if A's run is used up, or B's is not and B goes first.
      OpBuilder &Builder = KB.builder();
      Value TakeB =
          M.select(M.lt(A, Middle), M.both(M.lt(B, End), Smaller),
                   KB.splat(Builder.getBoolAttr(true), Builder.getI1Type()));
      setItem(M.add(To, Out), M.select(TakeB, ItemB, ItemA));
      Value One = KB.constant(1), Zero = KB.constant(0);
      return SmallVector<Value>{M.add(A, M.select(TakeB, Zero, One)),
                                M.add(B, M.select(TakeB, One, Zero))};
    });
  });
}

void SortEmitter::mergeSort() {
  KB.forLoop(KB.constant(0), Length, 1,
             [&](Value I) { setItem(I, toItem(I)); });
  OpBuilder &B = KB.builder();
  Type IndexTy = B.getIndexType();
  Value Start = KB.constant(0);
  // Carries the run length and the halves of Items to read and write.
  auto While =
      scf::WhileOp::create(B, KB.loc(), TypeRange{IndexTy, IndexTy, IndexTy},
                           ValueRange{KB.constant(1), Start, Length});
  {
    OpBuilder::InsertionGuard Guard(B);
    SmallVector<Location> Locs(3, KB.loc());
    Block *Test =
        B.createBlock(&While.getBefore(), {}, While.getOperandTypes(), Locs);
    scf::ConditionOp::create(B, KB.loc(), M.lt(Test->getArgument(0), Length),
                             Test->getArguments());
    Block *Pass =
        B.createBlock(&While.getAfter(), {}, While.getResultTypes(), Locs);
    Value Width = Pass->getArgument(0);
    Value From = Pass->getArgument(1), To = Pass->getArgument(2);
    mergeRuns(Width, From, To);
    scf::YieldOp::create(B, KB.loc(),
                         ValueRange{M.add(Width, Width), To, From});
  }
  First = While.getResult(1);
}

/// Keeps the first `Kept` elements of what has passed, in order, by insertion.
void SortEmitter::selectFirst() {
  OpBuilder &B = KB.builder();
  Value Limit = KB.dim(Kept), One = KB.constant(1), Zero = KB.constant(0);
  Value Last = M.sub(Limit, One);
  KB.forLoop(Zero, Length, 1, {Zero}, [&](Value I, ValueRange Carried) {
    Value Count = Carried[0];
    Value Enters =
        KB.ifElse(
              M.lt(Count, Limit), B.getI1Type(),
              [&] {
                return SmallVector<Value>{
                    KB.splat(B.getBoolAttr(true), B.getI1Type())};
              },
              [&] { return SmallVector<Value>{before(I, position(Last))}; })
            .front();
    KB.ifThen(Enters, [&] {
      // Move what goes after element I one place on, from the end.
      auto While =
          scf::WhileOp::create(B, KB.loc(), TypeRange{B.getIndexType()},
                               ValueRange{M.min(Count, Last)});
      OpBuilder::InsertionGuard Guard(B);
      Block *Test =
          B.createBlock(&While.getBefore(), {}, {B.getIndexType()}, {KB.loc()});
      Value Place = Test->getArgument(0);
      Value Moves = KB.ifElse(
                          M.lt(Zero, Place), B.getI1Type(),
                          [&] {
                            return SmallVector<Value>{
                                before(I, position(M.sub(Place, One)))};
                          },
                          [&] {
                            return SmallVector<Value>{
                                KB.splat(B.getBoolAttr(false), B.getI1Type())};
                          })
                        .front();
      scf::ConditionOp::create(B, KB.loc(), Moves, Test->getArguments());
      Block *Move =
          B.createBlock(&While.getAfter(), {}, {B.getIndexType()}, {KB.loc()});
      Value Free = Move->getArgument(0);
      Value Previous = M.sub(Free, One);
      setItem(Free, item(Previous));
      scf::YieldOp::create(B, KB.loc(), Previous);
      B.setInsertionPointAfter(While);
      setItem(While.getResult(0), toItem(I));
    });
    return SmallVector<Value>{M.min(M.add(Count, One), Limit)};
  });
  First = Zero;
}

void SortEmitter::writeResults(const Coords &Line) {
  KB.forLoop(KB.constant(0), KB.dim(Kept), 1, [&](Value I) {
    Value Position = position(M.add(First, I));
    Coords From = Line, To = Line;
    From.PerDim[Dim] = M.uniform(Position);
    To.PerDim[Dim] = M.uniform(I);
    for (auto [O, Output] : llvm::enumerate(Kernel.Outputs)) {
      unsigned K = cast<OpResult>(Output).getResultNumber();
      Value V = Keys[K] ? KB.load(*Keys[K], M.uniform(Position), Lanes())
                        : P.pull(Sort.getInputs()[K], From, Lanes());
      const TensorView &View = KB.output(O);
      KB.store(View, KB.offset(View, To, 0), V, Lanes());
    }
  });
}

void SortEmitter::emit() {
  constexpr int64_t MostSelected = 64;
  Dims Shape = getDims(Sort.getInputs()[0]);
  DimExpr LineLength = Shape[Dim];
  Kept = getDim(Sort.getResult(0).getType(), Dim);
  Length = KB.dim(LineLength);
  std::optional<int64_t> Selected = Kept.constant();
  bool Selects = Selected && *Selected > 0 && *Selected <= MostSelected &&
                 LineLength.constant().value_or(INT64_MAX) >= 4 * *Selected;

  std::optional<int64_t> Known = LineLength.constant();
  OpBuilder &B = KB.builder();
  Items.Element =
      Known && *Known <= INT32_MAX ? B.getI32Type() : B.getI64Type();
  Items.Shape = {Selects ? Kept : LineLength + LineLength};
  Items.Strides = {DimExpr(1)};
  Items.Memref = KB.scratch(Items.Shape[0], Items.Element);
  Block &Comparison = Sort.getBody().front();
  for (auto [K, Input] : llvm::enumerate(Sort.getInputs())) {
    Keys.emplace_back();
    if (Comparison.getArgument(2 * K).use_empty() &&
        Comparison.getArgument(2 * K + 1).use_empty())
      continue;
    Type Element = getElementTypeOrSelf(Input.getType());
    Keys.back() = TensorView{KB.scratch(LineLength, memoryType(Element)),
                             Element,
                             {LineLength},
                             {DimExpr(1)},
                             /*ReadOnly=*/false};
  }

  auto Rank = static_cast<unsigned>(Shape.size());
  SmallVector<unsigned> Outer = dimsWithout(Rank, {Dim});
  KB.setGrid(extentOf(Shape, Outer));
  KB.tileLoop([&](Value Tile) {
    Coords Line(Rank);
    setLinear(Line, Outer, M.uniform(Tile));
    copyKeys(Line);
    if (Selects)
      selectFirst();
    else
      mergeSort();
    writeResults(Line);
  });
}

static llvm::Error emit(KernelBuilder &KB, const KernelAnalysis &Kernel) {
  SortEmitter(KB, Kernel).emit();
  return llvm::Error::success();
}

const KernelTemplate codegen::SortTemplate = {"sort", match, emit};
