//===- Pointwise.cpp - Kernels that compute each element by itself --------===//
//
// Also the frame of windows (whose short loops are pulled in place) and of the
// generic fallback. The loops follow the memory of the output: an outer loop
// over rows, an inner one over the dimensions that are contiguous and collapse.
//
//===----------------------------------------------------------------------===//

#include "Loops.h"
#include "limosa/Codegen/FusionRules.h"
#include "limosa/IR/LimosaOps.h"
#include "llvm/ADT/SmallPtrSet.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::codegen;
using limosa::codegen::Index;

//===----------------------------------------------------------------------===//
// Vectors
//===----------------------------------------------------------------------===//

static bool isAvx512(const TargetOptions &Options) {
  return StringRef(Options.Isa).starts_with("avx512");
}

template <typename Fn>
static void forEachElementType(const KernelAnalysis &Kernel, Fn F) {
  for (Type Ty : func::FuncOp(Kernel.Func).getFunctionType().getInputs())
    F(getElementTypeOrSelf(Ty));
  for (Operation *Op : Kernel.Ops)
    for (Type Ty : Op->getResultTypes())
      F(getElementTypeOrSelf(Ty));
}

unsigned codegen::lanesFor(const TargetOptions &Options,
                           const KernelAnalysis &Kernel) {
  bool Has32 = false, Has64 = false, Has16 = false;
  forEachElementType(Kernel, [&](Type T) {
    Type R = registerType(T);
    unsigned Bits = R.getIntOrFloatBitWidth();
    Has64 |= Bits == 64;
    Has32 |= Bits == 32;
    Has16 |= Bits == 16;
  });
  unsigned F32 = isAvx512(Options) ? 16 : 8;
  return Has32 ? F32 : Has64 ? F32 / 2 : Has16 ? F32 * 2 : 32;
}

bool codegen::canMask(const TargetOptions &Options,
                      const KernelAnalysis &Kernel) {
  if (isAvx512(Options))
    return true;
  bool Narrow = false;
  auto Check = [&](Type Ty) {
    Narrow |= memoryBits(getElementTypeOrSelf(Ty)) < 32;
  };
  for (Type Ty : func::FuncOp(Kernel.Func).getFunctionType().getInputs())
    Check(Ty);
  for (Type Ty : func::FuncOp(Kernel.Func).getFunctionType().getResults())
    Check(Ty);
  return !Narrow;
}

void codegen::vectorLoop(
    KernelBuilder &KB, Value Lo, Value Hi, unsigned N, unsigned Unroll,
    bool Mask, llvm::function_ref<void(const Index &, const Lanes &)> Body) {
  IndexMath &M = KB.math();
  if (N == 0) {
    KB.forLoop(Lo, Hi, 1, [&](Value I) { Body(M.uniform(I), {}); });
    return;
  }
  int64_t Step = int64_t(N) * Unroll;
  Value Span = M.sub(Hi, Lo);
  auto EndOf = [&](int64_t Block) {
    Value Whole = M.mul(M.divU(Span, KB.constant(Block)), KB.constant(Block));
    return M.add(Lo, Whole);
  };
  bool Exact = IndexMath::divisorOf(Span) % Step == 0;
  Value MainEnd = Exact ? Hi : EndOf(Step);
  auto Span0 = IndexMath::constantOf(Span);
  if (!Span0 || *Span0 >= Step)
    KB.forLoop(Lo, MainEnd, Step, [&](Value I) {
      for (unsigned U = 0; U < Unroll; ++U)
        Body(Index{M.add(I, KB.constant(int64_t(U) * N)), 1, {}}, {N, {}});
    });
  if (Exact)
    return;
  if (Mask) {
    KB.forLoop(MainEnd, Hi, N, [&](Value I) {
      Body(Index{I, 1, {}}, {N, KB.firstLanes(M.sub(Hi, I), N)});
    });
    return;
  }
  Value VectorEnd = MainEnd;
  if (Unroll > 1) {
    VectorEnd = EndOf(N);
    KB.forLoop(MainEnd, VectorEnd, N,
               [&](Value I) { Body(Index{I, 1, {}}, {N, {}}); });
  }
  KB.forLoop(VectorEnd, Hi, 1, [&](Value I) { Body(M.uniform(I), {}); });
}

//===----------------------------------------------------------------------===//
// Loops over one domain
//===----------------------------------------------------------------------===//

namespace {

/// Outputs with the same number of elements, and how they are traversed.
struct Nest {
  SmallVector<unsigned> Outputs;
  Dims Shape;                         ///< of the first
  SmallVector<unsigned> Outer, Inner; ///< dimensions, in physical order
  DimExpr OuterExtent = 1, InnerExtent = 1;
  DimExpr RowsPerTile = 1;
  int64_t Chunk = 1; ///< elements of the inner dimension per tile
  unsigned N = 0, Unroll = 1;
  DimExpr Grid = 1;
  /// A concatenation along the inner loop, whose inputs get a loop each.
  ConcatOp Parts;
};

/// What an element costs: decides tile sizes and unrolling.
enum class Weight { Light, Heavy, Loops };

} // namespace

static Weight weightOf(const KernelAnalysis &Kernel) {
  if (!Kernel.Anchors.empty())
    return Weight::Loops;
  unsigned Ops = 0;
  for (Operation *Op : Kernel.Ops) {
    if (pullCost(Op) == PullCost::Heavy)
      return Weight::Heavy;
    Ops += pullCost(Op) == PullCost::Cheap;
  }
  return Ops > 24 ? Weight::Heavy : Weight::Light;
}

/// A concatenation of the nest's shape that is read in place, if the inner loop
/// runs along its dimension.
static ConcatOp findParts(const KernelAnalysis &Kernel, const Nest &Plan) {
  constexpr unsigned MaxParts = 8;
  SmallVector<Value> Work;
  for (unsigned O : Plan.Outputs) {
    if (getDims(Kernel.Outputs[O]) != Plan.Shape)
      return {};
    Work.push_back(Kernel.Outputs[O]);
  }
  llvm::SmallPtrSet<Operation *, 16> Seen;
  while (!Work.empty()) {
    Operation *Op = Work.pop_back_val().getDefiningOp();
    if (!Op || !Seen.insert(Op).second)
      continue;
    if (Op->hasTrait<limosa::OpTrait::SameShape>())
      llvm::append_range(Work, Op->getOperands());
    auto Concat = dyn_cast<ConcatOp>(Op);
    if (!Concat || Concat.getInputs().size() > MaxParts ||
        !usedOnlyElementwise(Concat.getResult()))
      continue;
    for (unsigned D : Plan.Inner) {
      if (D == Concat.getDim())
        return Concat;
      if (!Plan.Shape[D].isConstant(1))
        break;
    }
  }
  return {};
}

static Nest planNest(KernelBuilder &KB, const KernelAnalysis &Kernel,
                     ArrayRef<unsigned> Outputs) {
  Nest Plan;
  Plan.Outputs.assign(Outputs.begin(), Outputs.end());
  Value First = Kernel.Outputs[Outputs[0]];
  Plan.Shape = getDims(First);
  SmallVector<int64_t> Order = getOrder(First.getType());
  SmallVector<Value> Values;
  bool Nibbles = false;
  for (unsigned O : Outputs) {
    Values.push_back(Kernel.Outputs[O]);
    Nibbles |= memoryBits(getElementTypeOrSelf(Values.back().getType())) == 4;
  }
  Weight W = weightOf(Kernel);
  Plan.N = Nibbles ? 0 : lanesFor(KB.options(), Kernel);
  Plan.Unroll =
      Kernel.chooseNumber("pointwise.unroll", W == Weight::Light ? 2 : 1, 1, 2);
  unsigned Collapsed = collapsible(Values, Order, Plan.Shape);
  auto Split = [&](unsigned InnerCount) {
    Plan.Outer.clear();
    Plan.Inner.clear();
    Plan.OuterExtent = Plan.InnerExtent = 1;
    for (auto [P, D] : llvm::enumerate(Order)) {
      bool IsInner = P + InnerCount >= Order.size();
      (IsInner ? Plan.Inner : Plan.Outer).push_back(D);
      DimExpr &E = IsInner ? Plan.InnerExtent : Plan.OuterExtent;
      E = E * Plan.Shape[D];
    }
  };
  Split(Collapsed);
  // Rows much shorter than a vector, and nibbles that share bytes: one loop.
  auto Row = Plan.InnerExtent.constant();
  if (Nibbles || (Row && *Row * 2 <= int64_t(Plan.N)))
    Split(Order.size());

  int64_t Elements = W == Weight::Light   ? 8192
                     : W == Weight::Heavy ? 2048
                                          : 256;
  Elements = Kernel.chooseNumber("pointwise.tile", Elements, 1, INT64_MAX);
  Plan.Chunk = Elements;
  Row = Plan.InnerExtent.constant();
  if (Row && *Row <= Elements)
    Plan.Chunk = std::max<int64_t>(*Row, 1);
  if (!Plan.Outer.empty())
    Plan.RowsPerTile = DimExpr::max(
        1, DimExpr::floorDiv(Elements, DimExpr::max(1, Plan.InnerExtent)));
  Plan.Grid = DimExpr::ceilDiv(Plan.OuterExtent, Plan.RowsPerTile) *
              DimExpr::ceilDiv(Plan.InnerExtent, Plan.Chunk);
  if (Plan.N != 0)
    Plan.Parts = findParts(Kernel, Plan);
  return Plan;
}

void codegen::setDims(Coords &At, ArrayRef<unsigned> Dims, const Index &I) {
  if (Dims.size() == 1)
    At.PerDim[Dims[0]] = I;
  else if (!Dims.empty())
    At.Groups.push_back(
        {SmallVector<unsigned, 4>(Dims.begin(), Dims.end()), I});
}

static void emitTile(KernelBuilder &KB, const KernelAnalysis &Kernel, Puller &P,
                     const Nest &Plan, Value Tile, bool Mask) {
  IndexMath &M = KB.math();
  Value RowTile = Tile, Lo = KB.constant(0), Hi = KB.dim(Plan.InnerExtent);
  if (!DimExpr::ceilDiv(Plan.InnerExtent, Plan.Chunk).isConstant(1)) {
    Value Chunks = KB.divisor(DimExpr::ceilDiv(Plan.InnerExtent, Plan.Chunk));
    RowTile = M.divU(Tile, Chunks);
    Value Chunk = M.remU(Tile, Chunks);
    if (Plan.OuterExtent.isConstant(1)) {
      RowTile = KB.constant(0);
      Chunk = Tile;
    }
    Lo = M.mul(Chunk, KB.constant(Plan.Chunk));
    Hi = M.min(M.add(Lo, KB.constant(Plan.Chunk)), Hi);
  }
  auto Row = [&](Value Outer) {
    auto Store = [&](const Index &Inner, const Lanes &L) {
      Coords At(Plan.Shape.size());
      setDims(At, Plan.Outer, M.uniform(Outer));
      setDims(At, Plan.Inner, Inner);
      // All values first: stores may overwrite donated arguments.
      SmallVector<Value> Values;
      SmallVector<Coords, 2> Where;
      for (unsigned O : Plan.Outputs) {
        Dims Shape = getDims(Kernel.Outputs[O]);
        Where.push_back(Shape == Plan.Shape ? At
                                            : reshapeCoords(KB, At, Plan.Shape,
                                                            Shape, L.Count));
        Values.push_back(P.pull(Kernel.Outputs[O], Where.back(), L));
      }
      for (auto [O, V, C] : llvm::zip(Plan.Outputs, Values, Where)) {
        const TensorView &View = KB.output(O);
        KB.store(View, KB.offset(View, C, L.Count), V, L);
      }
    };
    if (!Plan.Parts) {
      vectorLoop(KB, Lo, Hi, Plan.N, Plan.Unroll, Mask, Store);
      return;
    }
    ConcatOp Concat = Plan.Parts;
    unsigned D = Concat.getDim();
    DimExpr Step = 1, End = 0; // of the dimensions inside the concatenated one
    for (unsigned Dim : llvm::reverse(Plan.Inner)) {
      if (Dim == D)
        break;
      Step = Step * Plan.Shape[Dim];
    }
    for (auto [K, Input] : llvm::enumerate(Concat.getInputs())) {
      Value First = M.max(Lo, KB.dim(End));
      End = End + getDim(Input.getType(), D) * Step;
      Value Last = M.max(M.min(Hi, KB.dim(End)), First);
      P.bind(Concat.getResult(),
             [&P, Concat, K = unsigned(K)](const Coords &At, const Lanes &L) {
               return P.pullConcatInput(Concat, K, At, L);
             });
      vectorLoop(KB, First, Last, Plan.N, Plan.Unroll, Mask, Store);
    }
    P.unbind(Concat.getResult());
  };
  if (Plan.OuterExtent.isConstant(1)) {
    Row(KB.constant(0));
    return;
  }
  Value Rows = KB.dim(Plan.RowsPerTile);
  Value First = M.mul(RowTile, Rows);
  Value Last = M.min(M.add(First, Rows), KB.dim(Plan.OuterExtent));
  KB.forLoop(First, Last, 1, Row);
}

void codegen::emitPointwise(KernelBuilder &KB, const KernelAnalysis &Kernel,
                            Puller &P) {
  // Outputs of one size are computed together; other sizes follow in tiles of
  // their own.
  SmallVector<SmallVector<unsigned>> Sizes;
  for (unsigned O = 0; O < Kernel.Outputs.size(); ++O) {
    Type Ty = Kernel.Outputs[O].getType();
    bool Found = false;
    for (SmallVector<unsigned> &Same : Sizes) {
      Type Other = Kernel.Outputs[Same[0]].getType();
      bool Linear = isRowMajor(Ty) && isRowMajor(Other) &&
                    numElements(Ty) == numElements(Other);
      if (Linear || sameShape(Ty, Other)) {
        Same.push_back(O);
        Found = true;
        break;
      }
    }
    if (!Found)
      Sizes.push_back({O});
  }
  bool Mask = canMask(KB.options(), Kernel);
  IndexMath &M = KB.math();
  DimExpr Before = 0;
  for (ArrayRef<unsigned> Outputs : Sizes) {
    Nest Plan = planNest(KB, Kernel, Outputs);
    Value Lo = KB.tileBegin(), Hi = KB.tileEnd(), Base = KB.dim(Before);
    if (Sizes.size() > 1) {
      Lo = M.max(Lo, Base);
      Hi = M.min(Hi, KB.dim(Before + Plan.Grid));
    }
    KB.forLoop(Lo, Hi, 1, [&](Value Tile) {
      emitTile(KB, Kernel, P, Plan, M.sub(Tile, Base), Mask);
    });
    Before = Before + Plan.Grid;
  }
  KB.setGrid(Before);
}

//===----------------------------------------------------------------------===//
// Templates
//===----------------------------------------------------------------------===//

/// Ops that Pull can compute one element of.
static bool canPullAll(const KernelAnalysis &Kernel) {
  return llvm::all_of(Kernel.Ops, [](Operation *Op) {
    return isPullable(Op) || isa<ReduceOp, WindowOp, ContractOp, ConvOp>(Op);
  });
}

static llvm::Error emitPulled(KernelBuilder &KB, const KernelAnalysis &Kernel) {
  Puller P(KB);
  emitPointwise(KB, Kernel, P);
  return llvm::Error::success();
}

const KernelTemplate codegen::PointwiseTemplate = {
    "pointwise",
    [](const KernelAnalysis &Kernel,
       const TargetOptions &) -> std::optional<int> {
      if (!Kernel.Anchors.empty())
        return std::nullopt;
      return 10;
    },
    emitPulled};

const KernelTemplate codegen::WindowTemplate = {
    "window",
    [](const KernelAnalysis &Kernel,
       const TargetOptions &) -> std::optional<int> {
      if (Kernel.Anchors.empty() ||
          !llvm::all_of(Kernel.Anchors,
                        [](Operation *Op) { return isa<WindowOp>(Op); }))
        return std::nullopt;
      return 20;
    },
    emitPulled};

const KernelTemplate codegen::GenericTemplate = {
    "generic",
    [](const KernelAnalysis &Kernel,
       const TargetOptions &) -> std::optional<int> {
      return canPullAll(Kernel) ? std::optional<int>(0) : std::nullopt;
    },
    [](KernelBuilder &KB, const KernelAnalysis &Kernel) -> llvm::Error {
      SmallVector<StringRef> Names;
      for (Operation *Op : Kernel.Anchors)
        Names.push_back(Op->getName().stripDialect());
      KB.remark("no fast template for " + llvm::join(Names, ", ") +
                " in this combination: each element loops by itself");
      return emitPulled(KB, Kernel);
    }};

void codegen::addLoopTemplates(TemplateRegistry &Registry) {
  Registry.add(PointwiseTemplate);
  Registry.add(TransposeTemplate);
  Registry.add(WindowTemplate);
  Registry.add(ReductionChainTemplate);
  Registry.add(GenericTemplate);
}
