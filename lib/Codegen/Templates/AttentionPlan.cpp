//===- AttentionPlan.cpp - Tiles of an attention kernel -------------------===//

#include "AttentionPlan.h"

#include "TileEpilogue.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace limosa::codegen {

/// Keys whose scores are held at once without rescaling; more go by blocks of
/// about `BlockKeys`.
static constexpr int64_t OnePassKeys = 1024, BlockKeys = 512;
/// Scores of a grid tile, which share the second-level cache with a block of
/// keys and values.
static constexpr int64_t ScoreBytes = 256 << 10;
/// Rows of a grid tile if their number is not known.
static constexpr int64_t UnknownRows = 64;

/// Rows a multiple of 2 KiB apart share cache sets.
static int64_t spread(int64_t Elements) {
  return Elements % 512 == 0 ? Elements + 16 : Elements;
}

int64_t AttentionPlan::rowsInPlace() const {
  int64_t Most = std::min(4u, maxRows(Regs, ValueTile.Vectors));
  auto Known = Rows.constant();
  if (!Known || *Known < 1 || *Known > FewRows)
    return Most;
  return llvm::divideCeil(*Known, llvm::divideCeil(*Known, Most));
}
int64_t AttentionPlan::scratchRows() const {
  return std::max(llvm::alignTo(rowsPerTile(), rowsInPlace()),
                  llvm::alignTo(rowsPerTile(), ValueTile.Rows));
}
int64_t AttentionPlan::queryStride() const {
  return spread(llvm::alignTo(Depth, lanes()));
}
int64_t AttentionPlan::scoreStride() const { return spread(KeyBlock); }
int64_t AttentionPlan::outStride() const {
  return llvm::alignTo(Columns, ValueTile.Vectors * lanes());
}
int64_t AttentionPlan::keyPanel() const {
  return llvm::alignTo(Depth, lanes()) * ScoreTile.Vectors * lanes();
}
DimExpr AttentionPlan::valuePanel() const {
  return DimExpr::ceilDiv(Keys, lanes()) *
         DimExpr(lanes() * ValueTile.Vectors * lanes());
}

static void chooseTiles(AttentionPlan &P, const KernelAnalysis &Kernel,
                        const TargetOptions &Options) {
  auto Rows = P.Rows.constant(), Keys = P.Keys.constant();
  P.ForFewRows = !Rows || *Rows <= AttentionPlan::FewRows;
  P.ForManyRows = !Rows || *Rows > AttentionPlan::FewRows;
  P.Online = !Keys || *Keys > OnePassKeys;
  P.ScoreTile = Kernel.choose(
      "attention.scores",
      tileCandidates(P.Regs, Rows, P.Online ? std::optional(BlockKeys) : Keys));
  P.ValueTile = Kernel.choose("attention.values",
                              tileCandidates(P.Regs, Rows, P.Columns));
  int64_t Panel = P.ScoreTile.Vectors * P.lanes();
  P.KeyBlock = P.Online ? std::max(BlockKeys / Panel * Panel, Panel)
                        : llvm::alignTo(*Keys, Panel);

  int64_t Most =
      std::max<int64_t>(ScoreBytes / 4 / P.KeyBlock, P.ScoreTile.Rows);
  if (!Rows) {
    P.RowTiles = std::max<int64_t>(
        std::min(Most, UnknownRows) / P.ScoreTile.Rows,
        llvm::divideCeil(AttentionPlan::FewRows, P.ScoreTile.Rows));
    return;
  }
  // In even shares for the workers.
  int64_t All = std::max<int64_t>(llvm::divideCeil(*Rows, P.ScoreTile.Rows), 1);
  int64_t Blocks = llvm::divideCeil(All, Most / P.ScoreTile.Rows);
  int64_t Workers = Options.Workers;
  if (auto Batch = P.Batch.constant())
    while (*Batch * Blocks % Workers != 0 && *Batch * Blocks < 8 * Workers &&
           Blocks < All)
      ++Blocks;
  P.RowTiles = Kernel.chooseNumber("attention.rows",
                                   llvm::divideCeil(All, Blocks), 1, All);
}

std::optional<AttentionPlan> planAttention(const KernelAnalysis &Kernel,
                                           const TargetOptions &Options) {
  if (Kernel.Anchors.size() != 4)
    return std::nullopt;
  auto Values = dyn_cast<ContractOp>(Kernel.Anchors.back());
  std::optional<Attention> A;
  if (Values)
    A = findAttention(Values);
  if (!A)
    return std::nullopt;
  llvm::SmallPtrSet<Operation *, 4> Own{A->Scores, A->Values, A->Max, A->Sum};
  if (!llvm::all_of(Kernel.Anchors,
                    [&](Operation *Op) { return Own.contains(Op); }) ||
      !TileEpilogue::fits(A->Scores.getResult(), A->Input) ||
      !TileEpilogue::fits(A->Values.getResult(), Kernel.Outputs))
    return std::nullopt;
  AttentionPlan P;
  ContractOp S = A->Scores;
  P.Batch = extentOf(S.getLhs(), S.getLhsBatch());
  P.Rows = extentOf(S.getLhs(),
                    freeDims(S.getLhs(), S.getLhsBatch(), S.getLhsContract()));
  P.Keys = getDims(A->Input).back();
  P.Depth = *getDim(S.getLhs().getType(), S.getLhsContract()[0]).constant();
  P.Columns = *getDims(A->Values.getResult()).back().constant();
  P.Regs = getRegisterFile(Options.Isa, Float32Type::get(S.getContext()));
  P.A = std::move(*A);
  chooseTiles(P, Kernel, Options);
  return P;
}

} // namespace limosa::codegen
