//===- Contract.cpp - The template of products ----------------------------===//
//
// batch x column blocks x row blocks is the grid. A tile walks its rows in
// register tiles, and for each the panels of its column block, so that a block
// of B stays in the second-level cache while the rows of A stream by (Goto and
// van de Geijn, "Anatomy of High-Performance Matrix Multiplication", 2008).
// K is not blocked: accumulators stay in registers from first to last.
//
//===----------------------------------------------------------------------===//

#include "Products.h"

#include "ContractCopy.h"
#include "TileProducts.h"
#include "limosa/Codegen/Packing.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace limosa::codegen {

namespace {

class ContractEmitter : ContractCopies {
public:
  ContractEmitter(KernelBuilder &KB, const KernelAnalysis &Kernel,
                  ContractOp Op, const ContractPlan &P)
      : ContractCopies(KB, Kernel, Op, P) {}

  void emit() {
    describe();
    prepareA();
    prepareB();
    if (P.TileStep)
      Tiles.emplace(KB, P.TileRows, P.TileStep);
    Value RowBlocks = KB.divisor(P.rowBlocks());
    Value ColumnBlocks = KB.divisor(P.columnBlocks());
    KB.forLoop(KB.tileBegin(), KB.tileEnd(), 1, KB.constant(-1),
               [&](Value Tile, ValueRange Carried) -> SmallVector<Value> {
                 Value RowBlock = M.remU(Tile, RowBlocks);
                 Value Outer = M.divU(Tile, RowBlocks);
                 Value ColumnBlock = M.remU(Outer, ColumnBlocks);
                 setBatch(M.divU(Outer, ColumnBlocks));
                 emitTile(RowBlock, ColumnBlock, M.eq(Outer, Carried[0]));
                 return {Outer};
               });
    if (Tiles)
      Tiles->release();
  }

private:
  //===--------------------------------------------------------------------===//
  // Frame
  //===--------------------------------------------------------------------===//

  void describe() {
    KB.setGrid(P.batchCount() * P.rowBlocks() * P.columnBlocks());
    KB.result().Flops = DimExpr(2 * P.Parts) * P.batchCount() * P.M * P.N * P.K;
  }

  void prepareA() {
    if (P.A.Source == OperandSource::InPlace) {
      MemA = KB.input(P.A.View->Argument.getArgNumber()).Memref;
      return;
    }
    // Rows of the copy must not share cache sets either.
    int64_t Bytes = P.copiedType().getIntOrFloatBitWidth() / 8;
    RowStrideA = P.paddedK();
    if (auto K = RowStrideA.constant(); K && (*K * Bytes) % 2048 == 0)
      RowStrideA = RowStrideA + DimExpr(64 / Bytes);
    MemA = KB.scratch(RowStrideA * DimExpr(blockRows()), P.copiedType());
  }

  void prepareB() {
    switch (P.B.Source) {
    case OperandSource::InPlace:
      MemB = KB.input(P.B.View->Argument.getArgNumber()).Memref;
      return;
    case OperandSource::Scratch:
      MemB = KB.scratch(P.paddedK() * DimExpr(P.Panels * P.PanelColumns),
                        P.copiedType());
      return;
    case OperandSource::PackedOnce:
      break;
    }
    SmallVector<unsigned> BatchDims;
    for (const ContractPlan::BatchDim &D : P.Batch)
      if (D.DimB)
        BatchDims.push_back(*D.DimB);
    PanelLayout Layout;
    Layout.PanelColumns = P.PanelColumns;
    Layout.Lanes = P.Regs.Lanes;
    Layout.Together = P.Together;
    Layout.Align = P.AlignK;
    Layout.Parts = P.Parts;
    Layout.Offset = *P.B.View->Offset.constant();
    Layout.Batch = *panelDims(*P.B.View, BatchDims);
    Layout.K = *panelDims(*P.B.View, P.B.Contract);
    Layout.Columns = *panelDims(*P.B.View, P.B.Free);
    unsigned Arg = P.B.View->Argument.getArgNumber();
    KB.requestPack(Arg, Layout.toString());
    PackedGroup = Layout.groupElements();
    MemB = KB.input(Arg).Memref;
  }

  /// Coordinates of the batch dimensions from their linear index.
  void setBatch(Value Linear) {
    BatchAt.assign(P.Batch.size(), Value());
    for (size_t I = P.Batch.size(); I-- > 0;) {
      Value Extent = KB.divisor(P.Batch[I].Extent);
      BatchAt[I] = I == 0 ? Linear : M.remU(Linear, Extent);
      if (I > 0)
        Linear = M.divU(Linear, Extent);
    }
    OffsetA = P.A.Source == OperandSource::InPlace ? baseOf(P.A, true)
                                                   : KB.constant(0);
    OffsetB = KB.constant(0);
    if (P.B.Source == OperandSource::InPlace)
      OffsetB = baseOf(P.B, false);
    if (P.B.Source == OperandSource::PackedOnce) {
      for (auto [D, At] : llvm::zip_equal(P.Batch, BatchAt))
        if (D.DimB)
          OffsetB = M.add(M.mul(OffsetB, KB.dim(D.Extent)), At);
      OffsetB = M.mul(OffsetB, KB.constant(PackedGroup));
    }
  }

  //===--------------------------------------------------------------------===//
  // One tile of the grid
  //===--------------------------------------------------------------------===//

  void emitTile(Value RowBlock, Value ColumnBlock, Value SameB) {
    Panels =
        panelRange(P.N, ColumnBlock, P.Panels, P.columnBlocks().isConstant(1));
    BlockRow = M.mul(RowBlock, KB.constant(blockRows()));
    if (!P.PullsFewRows)
      return emitRows(RowBlock, SameB);
    // Blocks of few rows are the last ones with their B: nobody misses a copy.
    Value Left = M.sub(KB.dim(P.M), BlockRow);
    KB.ifElse(
        M.le(Left, KB.constant(ContractPlan::FewRows)),
        [&] { emitFewRows(Left); }, [&] { emitRows(RowBlock, SameB); });
  }

  void emitRows(Value RowBlock, Value SameB) {
    if (P.B.Source == OperandSource::Scratch)
      KB.ifThen(negate(SameB), [&] { packB(); });
    if (P.A.Source == OperandSource::Scratch)
      packA();
    if (Tiles)
      return emitTiledRows();

    // Whole register tiles, then the rows that are left in the last block.
    auto Rows = [&](Value Row, unsigned Count) {
      forPanels(Panels, [&](Value Panel, ArrayRef<Value> Masks) {
        emitRegisterTile(Row, Count, Panel, Masks);
      });
    };
    Value AllTiles = KB.dim(DimExpr::floorDiv(P.M, Tile.Rows));
    Value First = M.mul(RowBlock, KB.constant(P.RowTiles));
    forRowTiles(First, M.min(M.add(First, KB.constant(P.RowTiles)), AllTiles),
                Rows);
    Value IsLast =
        M.lt(KB.dim(P.M), M.add(BlockRow, KB.constant(blockRows() + 1)));
    forRowTail(M.mul(AllTiles, KB.constant(Tile.Rows)), KB.dim(P.M), IsLast,
               Rows);
  }

  void emitTiledRows() {
    Value End = M.min(M.add(BlockRow, KB.constant(blockRows())), KB.dim(P.M));
    Tiles->forRows(BlockRow, End, [&](Value Row, unsigned Count, Value Rows) {
      forPanels(Panels, [&](Value Panel, ArrayRef<Value> Masks) {
        MicroKernel Kernel = productAt(Row, 1, Panel, Masks);
        TileProducts::Product Product{MemA,
                                      MemB,
                                      {},
                                      KB.dim(rowStrideA()),
                                      Kernel.OffsetB,
                                      unsigned(Masks.size()),
                                      Kernel.Loops};
        for (unsigned T = 0; T < Count; ++T)
          Product.OffsetsA.push_back(mulAdd(
              Kernel.OffsetA, KB.constant(T * P.TileRows), rowStrideA()));
        Tiles->multiply(Product);
        KB.forLoop(KB.constant(0), Rows, 1, [&](Value R) {
          finish(M.add(Row, R), 1, Panel, Masks, Tiles->sums(R, Masks.size()));
        });
      });
    });
  }

  /// Rows that are too few for a copy of B: each element is multiplied where it
  /// is computed.
  void emitFewRows(Value Left) {
    if (P.A.Source == OperandSource::Scratch)
      packA();
    for (unsigned Count = 1; Count <= ContractPlan::FewRows; ++Count)
      when(M.eq(Left, KB.constant(Count)), [&] {
        forPanels(Panels, [&](Value Panel, ArrayRef<Value> Masks) {
          finish(BlockRow, Count, Panel, Masks,
                 multiplyPulled(Count, Panel, Masks));
        });
      });
  }

  SmallVector<Value> multiplyPulled(unsigned Rows, Value Panel,
                                    ArrayRef<Value> Masks) {
    auto Ty = VectorType::get({int64_t(lanes())}, P.AccType);
    Value Zero = KB.splat(B.getZeroAttr(P.AccType), Ty);
    Value Column = M.mul(Panel, KB.constant(panelColumns()));
    return forStepsOfK(
        SmallVector<Value>(Rows * Masks.size(), Zero),
        [&](Value K, const Coords &AtK, ValueRange Sums) {
          SmallVector<Value> Weights, Out;
          for (unsigned V = 0; V < Masks.size(); ++V)
            Weights.push_back(
                pullB(M.add(Column, KB.constant(V * lanes())), AtK, Masks[V]));
          for (unsigned R = 0; R < Rows; ++R) {
            Value A = elementOfA(M.add(BlockRow, KB.constant(R)), K, AtK);
            A = KB.broadcast(A, lanes());
            for (Value Weight : Weights)
              Out.push_back(vector::FMAOp::create(B, KB.loc(), A, Weight,
                                                  Sums[Out.size()]));
          }
          return Out;
        });
  }

  //===--------------------------------------------------------------------===//
  // Register tiles
  //===--------------------------------------------------------------------===//

  /// Elements of an operand as the micro-kernel reads it; copies are widened.
  Type elementIn(const ProductOperand &O) const {
    if (O.Source == OperandSource::Scratch)
      return P.copiedType();
    return elementTypeOf(O.V);
  }

  DimExpr rowStrideA() const {
    return P.A.Source == OperandSource::Scratch ? RowStrideA : P.A.FreeStride;
  }

  void emitRegisterTile(Value Row, unsigned Rows, Value Panel,
                        ArrayRef<Value> Masks) {
    finish(Row, Rows, Panel, Masks,
           emitMicroKernel(B, KB.loc(), productAt(Row, Rows, Panel, Masks)));
  }

  MicroKernel productAt(Value Row, unsigned Rows, Value Panel,
                        ArrayRef<Value> Masks) {
    MicroKernel Kernel;
    Kernel.Lanes = lanes();
    Kernel.AccType = P.AccType;
    Kernel.Together = P.Together;
    Kernel.Native = multipliesTogether(KB.options().Isa, P.Together);
    Kernel.A = MemA;
    Kernel.B = MemB;
    Kernel.ElementA = elementIn(P.A);
    Kernel.ElementB = elementIn(P.B);
    Kernel.UnsignedA = P.A.Unsigned;
    Kernel.UnsignedB = P.B.Unsigned;
    bool CopyA = P.A.Source == OperandSource::Scratch;
    DimExpr RowStride = rowStrideA();
    Kernel.OffsetA = M.add(
        OffsetA, M.mul(CopyA ? M.sub(Row, BlockRow) : Row, KB.dim(RowStride)));
    for (unsigned R = 0; R < Rows; ++R)
      Kernel.RowOffsets.push_back(fold(DimExpr(R) * RowStride));
    // Parts of split columns lie side by side.
    int64_t Width = P.Parts * int64_t(Masks.size()) * lanes();
    for (int64_t Column = 0; Column < Width; Column += lanes())
      Kernel.VectorOffsets.push_back(B.getIndexAttr(Column * P.Together));
    Kernel.OffsetB = panelOffset(Panel);
    if (P.B.Source == OperandSource::InPlace)
      Kernel.Masks.assign(Masks.begin(), Masks.end());

    DimExpr InnerA = 1, InnerB = Width;
    for (const ContractPlan::KLoop &L : llvm::reverse(P.KLoops)) {
      bool InPlaceB = P.B.Source == OperandSource::InPlace;
      Kernel.Loops.insert(Kernel.Loops.begin(),
                          {fold(L.Extent), fold(CopyA ? InnerA : L.StrideA),
                           fold(InPlaceB ? L.StrideB : InnerB)});
      InnerA = InnerA * L.Extent;
      InnerB = InnerB * L.Extent;
    }
    if (P.Together > 1) {
      ReductionLoop &Inner = Kernel.Loops.back();
      Inner.Extent = fold(DimExpr::ceilDiv(P.KLoops.back().Extent, P.AlignK) *
                          DimExpr(P.AlignK / P.Together));
      Inner.StrideA = B.getIndexAttr(P.Together);
      Inner.StrideB = B.getIndexAttr(Width * P.Together);
    }
    if (P.B.Source == OperandSource::PackedOnce && !Tiles)
      fetchPanels(Kernel, Row, Panel);
    return Kernel;
  }

  void fetchPanels(MicroKernel &Kernel, Value Row, Value Panel) {
    fetchAhead(Kernel, P.K * P.N * DimExpr(P.Parts));
    Value Next = M.add(Panel, KB.constant(P.Panels));
    Value All = KB.dim(DimExpr::ceilDiv(P.N, panelColumns()));
    fetchNext(Kernel, panelOffset(Next), M.lt(Next, All),
              M.divU(Row, KB.constant(Tile.Rows)),
              DimExpr::floorDiv(P.M, Tile.Rows),
              DimExpr::ceilDiv(P.K, P.Together));
  }

  /// The epilogue.
  void finish(Value Row, unsigned Rows, Value Panel, ArrayRef<Value> Masks,
              ArrayRef<Value> Acc) {
    Value Column = M.mul(Panel, KB.constant(panelColumns()));
    for (unsigned R = 0; R < Rows; ++R)
      for (unsigned V = 0; V < Masks.size(); ++V) {
        SmallVector<Value> Parts;
        for (int64_t Part = 0; Part < P.Parts; ++Part)
          Parts.push_back(Acc[(R * P.Parts + Part) * Masks.size() + V]);
        Epilogue.compute(Parts,
                         coordsAt(M.add(Row, KB.constant(R)),
                                  M.add(Column, KB.constant(V * lanes()))),
                         Lanes{lanes(), Masks[V]});
      }
    Epilogue.store();
  }

  /// Coordinates in the result: one row, lanes along the columns.
  Coords coordsAt(Value Row, Value Column) {
    Coords At(cast<RankedTensorType>(Op.getResult().getType()).getRank());
    for (auto [D, I] : llvm::zip_equal(P.Batch, BatchAt))
      At.PerDim[D.ResultDim] = M.uniform(I);
    setGroup(At, P.RowDims, M.uniform(Row));
    setGroup(At, P.ColumnDims, Index{Column, 1, {}});
    return At;
  }

  int64_t PackedGroup = 0;
  std::optional<TileProducts> Tiles;
};

} // namespace

std::optional<int> matchContract(const KernelAnalysis &Kernel,
                                 const TargetOptions &Options) {
  auto Op = Kernel.onlyAnchor<ContractOp>();
  if (!Op || !planContract(Op, Kernel, Options))
    return std::nullopt;
  return 100;
}

llvm::Error emitContract(KernelBuilder &KB, const KernelAnalysis &Kernel) {
  auto Op = Kernel.onlyAnchor<ContractOp>();
  std::optional<ContractPlan> Plan = planContract(Op, Kernel, KB.options());
  ContractEmitter(KB, Kernel, Op, *Plan).emit();
  return llvm::Error::success();
}

} // namespace limosa::codegen
