//===- ContractPlan.cpp - A product as batch x M x N x K ------------------===//

#include "ContractPlan.h"

#include "PackedProducts.h"
#include "ProductEmitter.h"
#include "TileProducts.h"
#include "limosa/Codegen/Packing.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace limosa::codegen {

namespace {

class Planner {
public:
  Planner(ContractOp Op, const KernelAnalysis &Kernel,
          const TargetOptions &Options)
      : Op(Op), Kernel(Kernel), Options(Options), Split(findColumnSplit(Op)) {}

  std::optional<ContractPlan> plan() {
    if (!TileEpilogue::fits(Op.getResult(), Kernel.Outputs))
      return std::nullopt;
    setTypes();
    setDims();
    setTogether();
    setSources();
    mergeRows();
    mergeColumns();
    if (!setParts())
      return std::nullopt;
    mergeContracted();
    if (P.M.isConstant(1) && P.N.isConstant(1))
      return std::nullopt;
    chooseTiles();
    return P;
  }

private:
  void setTypes() {
    Type Result =
        cast<RankedTensorType>(Op.getResult().getType()).getElementType();
    P.AccType = accumulatorType(Result);
    P.Regs = getRegisterFile(Options.Isa, P.AccType);
  }

  /// Bytes go by fours and bf16 by pairs, which must not reach from one
  /// dimension of K into the next.
  void setTogether() {
    unsigned Together =
        elementsTogether(elementTypeOf(P.A.V), elementTypeOf(P.B.V), P.AccType);
    DimExpr Outer = 1;
    for (unsigned D : ArrayRef(P.A.Contract).drop_back(!P.A.Contract.empty()))
      Outer = Outer * getDim(P.A.V.getType(), D);
    if (Together == 1 || P.A.Contract.empty() ||
        (!Outer.isConstant(1) && !innerKIsMultipleOf(Together)))
      return;
    P.Together = P.AlignK = Together;
    P.Regs = getPackedRegisterFile(Options.Isa, P.AccType, Together);
    if (Together == 2 && hasTiles(Options.Isa))
      setTiles(Outer.isConstant(1));
  }

  /// K in whole steps of tiles; otherwise, if it is one dimension, padded.
  void setTiles(bool OneDim) {
    if (auto Inner = getDim(P.A.V.getType(), P.A.Contract.back()).constant())
      P.TileStep = tileStep(*Inner);
    if (P.TileStep == 0 && OneDim)
      P.TileStep = P.AlignK = TileProducts::MaxStep;
  }

  bool innerKIsMultipleOf(unsigned Count) const {
    auto Inner = getDim(P.A.V.getType(), P.A.Contract.back()).constant();
    return Inner && *Inner % Count == 0;
  }

  bool readsInPlace(const ProductOperand &A) const {
    return A.View && (P.Together == 1 ||
                      (A.View->Dims[A.Contract.back()].Stride.isConstant(1) &&
                       innerKIsMultipleOf(P.AlignK)));
  }

  void setOperand(ProductOperand &O, Value V, ArrayRef<int64_t> Batch,
                  ArrayRef<int64_t> Contract) {
    O.V = V;
    O.View = getStridedView(V);
    O.Unsigned = cast<RankedTensorType>(V.getType())
                     .getElementType()
                     .isUnsignedInteger();
    O.Contract.assign(Contract.begin(), Contract.end());
    for (int64_t D = 0; D < cast<RankedTensorType>(V.getType()).getRank(); ++D)
      if (!llvm::is_contained(Batch, D) && !llvm::is_contained(Contract, D))
        O.Free.push_back(D);
  }

  /// Puts the output's contiguous dimension on B's side.
  void setDims() {
    size_t NumBatch = Op.getLhsBatch().size();
    setOperand(P.A, Op.getLhs(), Op.getLhsBatch(), Op.getLhsContract());
    setOperand(P.B, Op.getRhs(), Op.getRhsBatch(), Op.getRhsContract());
    for (size_t I = 0; I < NumBatch; ++I)
      P.Batch.push_back(
          {unsigned(I), getDim(Op.getLhs().getType(), Op.getLhsBatch()[I]),
           unsigned(Op.getLhsBatch()[I]), unsigned(Op.getRhsBatch()[I])});
    for (size_t I = 0; I < P.A.Free.size(); ++I)
      P.RowDims.push_back(NumBatch + I);
    for (size_t I = 0; I < P.B.Free.size(); ++I)
      P.ColumnDims.push_back(NumBatch + P.A.Free.size() + I);

    std::optional<unsigned> Lane =
        TileEpilogue::contiguousDim(Op.getResult(), Kernel.Outputs);
    DimExpr Columns = extentOf(P.B.V, P.B.Free);
    bool Swap = Columns.isConstant(1) ||
                (Lane && llvm::is_contained(P.RowDims, *Lane) &&
                 !extentOf(P.A.V, P.A.Free).isConstant(1));
    if (Split)
      Swap = llvm::is_contained(P.RowDims, Split->Dim);
    if (Swap) {
      std::swap(P.A, P.B);
      std::swap(P.RowDims, P.ColumnDims);
      for (auto &Batch : P.Batch)
        std::swap(Batch.DimA, Batch.DimB);
    }
  }

  static DimExpr extentOf(Value V, ArrayRef<unsigned> Ds) {
    DimExpr Product = 1;
    for (unsigned D : Ds)
      Product = Product * getDim(V.getType(), D);
    return Product;
  }

  /// Constant B is packed for good. Other B is copied to panels, except for few
  /// rows, where that would cost more than it gains. A stays where it is if its
  /// strides show.
  void setSources() {
    P.A.Source =
        readsInPlace(P.A) ? OperandSource::InPlace : OperandSource::Scratch;
    if (P.B.View && isPackable(Kernel.Func, *P.B.View)) {
      P.B.Source = OperandSource::PackedOnce;
      return;
    }
    P.B.Source = OperandSource::Scratch;
    auto Rows = extentOf(P.A.V, P.A.Free).constant();
    // Of the columns: dimensions of size 1 merge with any and say nothing.
    bool UnitStride = false;
    if (P.B.View)
      for (unsigned D : llvm::reverse(P.B.Free))
        if (!P.B.View->Dims[D].Extent.isConstant(1)) {
          UnitStride = P.B.View->Dims[D].Stride.isConstant(1);
          break;
        }
    if (UnitStride && Rows && *Rows <= 8 && P.Together == 1 &&
        P.A.Source == OperandSource::InPlace)
      P.B.Source = OperandSource::InPlace;
  }

  /// Keeps as many of the innermost dimensions as merge; the others become
  /// batch dimensions.
  DimExpr mergeFree(ProductOperand &O, SmallVectorImpl<unsigned> &ResultDims,
                    bool IsA) {
    if (O.Source != OperandSource::InPlace) {
      O.FreeStride = 1;
      return extentOf(O.V, O.Free);
    }
    size_t Keep = O.Free.size();
    StridedView::Dim Merged{1, 1};
    while (Keep > 0) {
      SmallVector<StridedView::Dim> Ds;
      for (size_t I = Keep - 1; I < O.Free.size(); ++I)
        Ds.push_back(O.View->Dims[O.Free[I]]);
      std::optional<StridedView::Dim> Try = mergeDims(Ds);
      if (!Try)
        break;
      Merged = *Try;
      --Keep;
    }
    for (size_t I = 0; I < Keep; ++I) {
      ContractPlan::BatchDim D{ResultDims[I], getDim(O.V.getType(), O.Free[I]),
                               std::nullopt, std::nullopt};
      (IsA ? D.DimA : D.DimB) = O.Free[I];
      P.Batch.push_back(D);
    }
    O.Free.erase(O.Free.begin(), O.Free.begin() + Keep);
    ResultDims.erase(ResultDims.begin(), ResultDims.begin() + Keep);
    O.FreeStride = Merged.Stride;
    return Merged.Extent;
  }

  /// Columns that are split have to be packed in parts.
  bool setParts() {
    if (!Split)
      return true;
    P.Parts = Split->Parts;
    P.N = Split->Columns;
    return P.B.Source == OperandSource::PackedOnce;
  }

  void mergeRows() { P.M = mergeFree(P.A, P.RowDims, true); }
  void mergeColumns() { P.N = mergeFree(P.B, P.ColumnDims, false); }

  /// Neighbouring contracted dimensions become one loop where both operands
  /// allow it. Copies hold them row-major, so any merge suits those.
  void mergeContracted() {
    P.K = extentOf(P.A.V, P.A.Contract);
    auto StrideIn = [](const ProductOperand &O, size_t I) {
      return O.Source == OperandSource::InPlace
                 ? O.View->Dims[O.Contract[I]].Stride
                 : DimExpr(0);
    };
    for (size_t I = 0; I < P.A.Contract.size(); ++I) {
      ContractPlan::KLoop L{getDim(P.A.V.getType(), P.A.Contract[I]),
                            StrideIn(P.A, I), StrideIn(P.B, I)};
      if (L.Extent.isConstant(1))
        continue;
      if (!P.KLoops.empty()) {
        ContractPlan::KLoop &Outer = P.KLoops.back();
        auto Merges = [&](const ProductOperand &O, const DimExpr &Out,
                          const DimExpr &In) {
          return O.Source != OperandSource::InPlace || Out == In * L.Extent;
        };
        if (Merges(P.A, Outer.StrideA, L.StrideA) &&
            Merges(P.B, Outer.StrideB, L.StrideB)) {
          Outer = {Outer.Extent * L.Extent, L.StrideA, L.StrideB};
          continue;
        }
      }
      P.KLoops.push_back(L);
    }
    if (P.KLoops.empty())
      P.KLoops.push_back({1, 0, 0});
  }

  void chooseTiles() {
    // Rows that lie a multiple of 2 KiB apart (or might) share cache sets.
    int64_t Bytes = P.copiedType().getIntOrFloatBitWidth() / 8;
    auto Stride = P.A.FreeStride.constant();
    bool Aliases = P.A.Source == OperandSource::InPlace &&
                   (!Stride || (*Stride * Bytes) % 2048 == 0);
    auto M = P.M.constant(), N = P.N.constant();
    if (P.TileStep) {
      P.TileRows = tileRows(M);
      P.Tile = {unsigned(2 * P.TileRows),
                N && *N <= TileProducts::Lanes ? 1u : 2u};
    } else {
      P.Tile = Kernel.choose(
          "contract.tile",
          tileCandidates(P.Regs, M, N, Aliases ? 8 : 16, unsigned(P.Parts)));
    }
    P.PanelColumns = int64_t(P.Tile.Vectors) * P.Regs.Lanes;

    int64_t K = std::max<int64_t>(P.K.constant().value_or(512), 1);
    int64_t AllPanels =
        N ? (*N + P.PanelColumns - 1) / P.PanelColumns : INT64_MAX;
    int64_t AllRowTiles =
        M ? std::max<int64_t>(*M / P.Tile.Rows, 1) : INT64_MAX;

    // A block of B stays in the second-level cache, in even shares.
    int64_t PanelSize = K * P.PanelColumns * P.Parts;
    P.Panels =
        std::clamp<int64_t>(BlockBytes / (PanelSize * Bytes), 1, AllPanels);
    // With one tile of rows there is nothing to stay for: split for workers.
    int64_t Shares = 8 * int64_t(Options.Workers);
    if (AllRowTiles == 1 && N && P.B.Source != OperandSource::Scratch)
      P.Panels = std::clamp<int64_t>(AllPanels / Shares, 1, P.Panels);
    if (N) {
      int64_t Blocks = (AllPanels + P.Panels - 1) / P.Panels;
      P.Panels = std::max<int64_t>((AllPanels + Blocks - 1) / Blocks, 1);
    }
    P.Panels = Kernel.chooseNumber("contract.panels", P.Panels, 1, AllPanels);
    int64_t Speed = P.TileStep ? TileProducts::Speed : P.Together;
    int64_t Work =
        std::max<int64_t>(P.Panels * PanelSize * P.Tile.Rows / Speed, 1);
    P.RowTiles = std::clamp<int64_t>(TileWork / Work, 1, AllRowTiles);
    // Copying B pays off over many rows.
    if (P.B.Source == OperandSource::Scratch)
      P.RowTiles =
          std::min<int64_t>(std::max<int64_t>(P.RowTiles, 4), AllRowTiles);
    P.RowTiles =
        Kernel.chooseNumber("contract.rows", P.RowTiles, 1, AllRowTiles);
    P.PullsFewRows = P.B.Source == OperandSource::Scratch && !P.B.View &&
                     isa<FloatType>(P.AccType) && P.B.Contract.size() <= 2 &&
                     (!M || *M <= ContractPlan::FewRows);
  }

  ContractOp Op;
  const KernelAnalysis &Kernel;
  const TargetOptions &Options;
  std::optional<ColumnSplit> Split;
  ContractPlan P;
};

} // namespace

DimExpr ContractPlan::paddedK() const {
  return DimExpr::ceilDiv(K, AlignK) * DimExpr(AlignK);
}
Type ContractPlan::copiedType() const {
  return Together > 1 ? packedType(AccType.getContext(), Together) : AccType;
}
DimExpr ContractPlan::batchCount() const {
  DimExpr Count = 1;
  for (const BatchDim &D : Batch)
    Count = Count * D.Extent;
  return Count;
}
DimExpr ContractPlan::rowBlocks() const {
  return DimExpr::ceilDiv(M, RowTiles * Tile.Rows);
}
DimExpr ContractPlan::columnBlocks() const {
  return DimExpr::ceilDiv(N, Panels * PanelColumns);
}

std::optional<ContractPlan> planContract(ContractOp Op,
                                         const KernelAnalysis &Kernel,
                                         const TargetOptions &Options) {
  return Planner(Op, Kernel, Options).plan();
}

} // namespace limosa::codegen
