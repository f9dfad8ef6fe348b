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

#include "ContractPlan.h"
#include "PackingLoops.h"
#include "ProductEmitter.h"
#include "limosa/Codegen/Packing.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace limosa::codegen {

namespace {

class ContractEmitter : ProductEmitter {
public:
  ContractEmitter(KernelBuilder &KB, const KernelAnalysis &Kernel,
                  ContractOp Op, const ContractPlan &P)
      : ProductEmitter(KB, Op.getResult(), Kernel.Outputs, P.Tile,
                       P.Regs.Lanes),
        Op(Op), P(P) {}

  void emit() {
    describe();
    prepareA();
    prepareB();
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
  }

private:
  //===--------------------------------------------------------------------===//
  // Frame
  //===--------------------------------------------------------------------===//

  void describe() {
    KB.setGrid(P.batchCount() * P.rowBlocks() * P.columnBlocks());
    KB.result().Flops = DimExpr(2) * P.batchCount() * P.M * P.N * P.K;
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
    Layout.Offset = *P.B.View->Offset.constant();
    Layout.Batch = *panelDims(*P.B.View, BatchDims);
    Layout.K = *panelDims(*P.B.View, P.B.Contract);
    Layout.Columns = *panelDims(*P.B.View, P.B.Free);
    unsigned Arg = P.B.View->Argument.getArgNumber();
    KB.requestPack(Arg, Layout.toString());
    PackedGroup = Layout.groupElements();
    MemB = KB.input(Arg).Memref;
  }

  int64_t blockRows() const { return P.RowTiles * P.Tile.Rows; }

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

  Value baseOf(const ProductOperand &O, bool IsA) {
    Value Offset = KB.dim(O.View->Offset);
    for (auto [D, At] : llvm::zip_equal(P.Batch, BatchAt))
      if (std::optional<unsigned> Dim = IsA ? D.DimA : D.DimB)
        Offset = M.add(Offset, M.mul(At, KB.dim(O.View->Dims[*Dim].Stride)));
    return Offset;
  }

  //===--------------------------------------------------------------------===//
  // One tile of the grid
  //===--------------------------------------------------------------------===//

  void emitTile(Value RowBlock, Value ColumnBlock, Value SameB) {
    Panels =
        panelRange(P.N, ColumnBlock, P.Panels, P.columnBlocks().isConstant(1));
    if (P.B.Source == OperandSource::Scratch)
      KB.ifThen(negate(SameB), [&] { packB(); });
    BlockRow = M.mul(RowBlock, KB.constant(blockRows()));
    if (P.A.Source == OperandSource::Scratch)
      packA();

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

  //===--------------------------------------------------------------------===//
  // Register tiles
  //===--------------------------------------------------------------------===//

  /// Elements of an operand as the micro-kernel reads it; copies are widened.
  Type elementIn(const ProductOperand &O) const {
    if (O.Source == OperandSource::Scratch)
      return P.copiedType();
    return elementTypeOf(O.V);
  }

  void emitRegisterTile(Value Row, unsigned Rows, Value Panel,
                        ArrayRef<Value> Masks) {
    MicroKernel Kernel;
    Kernel.Lanes = lanes();
    Kernel.AccType = P.AccType;
    Kernel.Together = P.Together;
    Kernel.Vnni = hasVnni(KB.options().Isa);
    Kernel.A = MemA;
    Kernel.B = MemB;
    Kernel.ElementA = elementIn(P.A);
    Kernel.ElementB = elementIn(P.B);
    Kernel.UnsignedA = P.A.Unsigned;
    Kernel.UnsignedB = P.B.Unsigned;
    bool CopyA = P.A.Source == OperandSource::Scratch;
    DimExpr RowStride = CopyA ? RowStrideA : P.A.FreeStride;
    Kernel.OffsetA = M.add(
        OffsetA, M.mul(CopyA ? M.sub(Row, BlockRow) : Row, KB.dim(RowStride)));
    for (unsigned R = 0; R < Rows; ++R)
      Kernel.RowOffsets.push_back(fold(DimExpr(R) * RowStride));
    for (unsigned V = 0; V < Masks.size(); ++V)
      Kernel.VectorOffsets.push_back(B.getIndexAttr(V * lanes() * P.Together));
    Kernel.OffsetB = panelOffset(Panel);
    if (P.B.Source == OperandSource::InPlace)
      Kernel.Masks.assign(Masks.begin(), Masks.end());

    DimExpr InnerA = 1, InnerB = int64_t(Masks.size()) * lanes();
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
      Inner.Extent = fold(DimExpr::ceilDiv(P.KLoops.back().Extent, P.Together));
      Inner.StrideA = B.getIndexAttr(P.Together);
      Inner.StrideB =
          B.getIndexAttr(int64_t(Masks.size()) * lanes() * P.Together);
    }
    SmallVector<Value> Acc = emitMicroKernel(B, KB.loc(), Kernel);

    Value Column = M.mul(Panel, KB.constant(panelColumns()));
    for (unsigned R = 0; R < Rows; ++R)
      for (unsigned V = 0; V < Masks.size(); ++V)
        Epilogue.compute(Acc[R * Masks.size() + V],
                         coordsAt(M.add(Row, KB.constant(R)),
                                  M.add(Column, KB.constant(V * lanes()))),
                         Lanes{lanes(), Masks[V]});
    Epilogue.store();
  }

  Value panelOffset(Value Panel) {
    if (P.B.Source == OperandSource::InPlace)
      return M.add(OffsetB, M.mul(Panel, KB.constant(panelColumns())));
    if (P.B.Source == OperandSource::Scratch)
      Panel = M.sub(Panel, Panels.First);
    return M.add(OffsetB,
                 M.mul(Panel, KB.dim(P.paddedK() * DimExpr(P.PanelColumns))));
  }

  static void setGroup(Coords &At, ArrayRef<unsigned> Ds, const Index &I) {
    if (Ds.size() == 1)
      At.PerDim[Ds[0]] = I;
    else if (!Ds.empty())
      At.Groups.push_back({SmallVector<unsigned, 4>(Ds), I});
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

  //===--------------------------------------------------------------------===//
  // Copies
  //===--------------------------------------------------------------------===//

  /// Coordinates in an operand.
  Coords operandCoords(const ProductOperand &O, bool IsA, const Index &Free,
                       const Index &K) {
    Coords At(cast<RankedTensorType>(O.V.getType()).getRank());
    for (auto [D, I] : llvm::zip_equal(P.Batch, BatchAt))
      if (std::optional<unsigned> Dim = IsA ? D.DimA : D.DimB)
        At.PerDim[*Dim] = M.uniform(I);
    setGroup(At, O.Free, Free);
    setGroup(At, O.Contract, K);
    return At;
  }

  /// Loops over K in whole vectors, then one masked step.
  void forVectorsOfK(llvm::function_ref<void(Value, Value)> Body) {
    Value K = KB.dim(P.K);
    Value Step = KB.constant(copyLanes());
    Value Main = M.mul(M.divU(K, Step), Step);
    KB.forLoop(KB.constant(0), Main, copyLanes(),
               [&](Value At) { Body(At, Value()); });
    when(M.lt(Main, K),
         [&] { Body(Main, KB.firstLanes(M.sub(K, Main), copyLanes())); });
  }

  unsigned copyLanes() const { return lanes() * P.Together; }

  /// The block's rows of A, K along the lanes. What pads K may be anything: it
  /// meets zeros of B.
  void packA() {
    Value End = M.min(M.add(BlockRow, KB.constant(blockRows())), KB.dim(P.M));
    KB.forLoop(BlockRow, End, 1, [&](Value Row) {
      Value To = M.mul(M.sub(Row, BlockRow), KB.dim(RowStrideA));
      forVectorsOfK([&](Value K, Value Mask) {
        Lanes L{copyLanes(), Mask};
        Value V = Pull.pull(
            P.A.V, operandCoords(P.A, true, M.uniform(Row), Index{K, 1, {}}),
            L);
        V = KB.broadcast(widenTo(KB, V, P.copiedType(), P.A.Unsigned),
                         copyLanes());
        Value At = M.add(To, K);
        if (Mask)
          vector::MaskedStoreOp::create(B, KB.loc(), MemA, At, Mask, V);
        else
          vector::StoreOp::create(B, KB.loc(), V, MemA, At);
      });
    });
  }

  /// The block's panels of B.
  void packB() {
    bool Transposed = false;
    StridedView::Dim Columns;
    if (P.B.View && isa<FloatType>(P.AccType)) {
      auto Merge = [&](ArrayRef<unsigned> Ds) {
        return mergeDims(llvm::map_to_vector(
            Ds, [&](unsigned D) { return P.B.View->Dims[D]; }));
      };
      auto Free = Merge(P.B.Free), K = Merge(P.B.Contract);
      if (Free && K && K->Stride.isConstant(1) && !Free->Stride.isConstant(1)) {
        Transposed = true;
        Columns = *Free;
      }
    }
    forPanels(Panels, [&](Value Panel, ArrayRef<Value> Masks) {
      int64_t Width = Masks.size() * lanes();
      Value To = panelOffset(Panel);
      Value First = M.mul(Panel, KB.constant(panelColumns()));
      Value K = KB.dim(P.K), Begin = KB.constant(0);
      if (P.Together > 1) {
        Value Fours = M.divU(KB.dim(P.paddedK()), KB.constant(P.Together));
        KB.forLoop(Begin, Fours, 1, [&](Value Four) {
          for (unsigned V = 0; V < Masks.size(); ++V)
            packFours(M.add(First, KB.constant(V * lanes())),
                      M.mul(Four, KB.constant(P.Together)),
                      M.add(To, M.mul(M.add(M.mul(Four, KB.constant(Width)),
                                            KB.constant(V * lanes())),
                                      KB.constant(P.Together))),
                      Masks[V]);
        });
        return;
      }
      if (Transposed) {
        Value Main =
            M.mul(M.divU(K, KB.constant(lanes())), KB.constant(lanes()));
        KB.forLoop(Begin, Main, lanes(), [&](Value At) {
          for (unsigned V = 0; V < Masks.size(); ++V)
            packSquare(M.add(First, KB.constant(V * lanes())), Columns.Stride,
                       At, M.add(To, KB.constant(V * lanes())), Width);
        });
        Begin = Main;
      }
      KB.forLoop(Begin, K, 1, [&](Value At) {
        for (unsigned V = 0; V < Masks.size(); ++V)
          packVector(M.add(First, KB.constant(V * lanes())), At,
                     M.add(To, KB.constant(V * lanes())), Width, Masks[V]);
      });
    });
  }

  /// Four bytes of K from each of a vector of columns; zeros behind the last K.
  void packFours(Value Column, Value K, Value To, Value Mask) {
    auto Words = VectorType::get({int64_t(lanes())}, B.getI32Type());
    bool Whole = DimExpr::mod(P.K, P.Together).isConstant(0);
    Value Sum;
    for (unsigned T = 0; T < P.Together; ++T) {
      Value At = M.add(K, KB.constant(T));
      Value Inside = M.lt(At, KB.dim(P.K));
      if (!Whole)
        At = M.min(At, M.sub(KB.dim(P.K), KB.constant(1)));
      Value V = Pull.pull(
          P.B.V, operandCoords(P.B, false, Index{Column, 1, {}}, M.uniform(At)),
          Lanes{lanes(), Mask});
      V = arith::ExtUIOp::create(B, KB.loc(), Words, KB.broadcast(V, lanes()));
      if (!Whole)
        V = arith::SelectOp::create(B, KB.loc(), Inside, V,
                                    KB.splat(B.getI32IntegerAttr(0), Words));
      if (T == 0) {
        Sum = V;
        continue;
      }
      Value Shift = KB.splat(B.getI32IntegerAttr(8 * T), Words);
      V = arith::ShLIOp::create(B, KB.loc(), V, Shift);
      Sum = arith::OrIOp::create(B, KB.loc(), Sum, V);
    }
    auto Bytes = VectorType::get({int64_t(copyLanes())}, B.getI8Type());
    Sum = vector::BitCastOp::create(B, KB.loc(), Bytes, Sum);
    vector::StoreOp::create(B, KB.loc(), Sum, MemB, To);
  }

  void packVector(Value Column, Value K, Value To, int64_t Width, Value Mask) {
    Value V = Pull.pull(
        P.B.V, operandCoords(P.B, false, Index{Column, 1, {}}, M.uniform(K)),
        Lanes{lanes(), Mask});
    V = KB.broadcast(widenTo(KB, V, P.AccType, P.B.Unsigned), lanes());
    vector::StoreOp::create(B, KB.loc(), V, MemB,
                            M.add(To, M.mul(K, KB.constant(Width))));
  }

  /// Columns whose K lie side by side: squares are loaded along K and turned.
  /// Columns beyond the last repeat it; their products are never stored.
  void packSquare(Value Column, const DimExpr &Stride, Value K, Value To,
                  int64_t Width) {
    const TensorView &In = KB.input(P.B.View->Argument.getArgNumber());
    Value Base = M.add(baseOf(P.B, false), K);
    Value Last = M.sub(KB.dim(P.N), KB.constant(1));
    SmallVector<Value> Rows;
    for (unsigned R = 0; R < lanes(); ++R) {
      Value C = M.min(M.add(Column, KB.constant(R)), Last);
      Value At = M.add(Base, M.mul(C, KB.dim(Stride)));
      Rows.push_back(widenTo(KB,
                             KB.load(In, Index{At, 1, {}}, Lanes{lanes(), {}}),
                             P.AccType, false));
    }
    Rows = transposeSquare(KB, Rows);
    for (unsigned R = 0; R < lanes(); ++R) {
      Value At = M.mul(M.add(K, KB.constant(R)), KB.constant(Width));
      vector::StoreOp::create(B, KB.loc(), Rows[R], MemB, M.add(To, At));
    }
  }

  ContractOp Op;
  const ContractPlan &P;

  Value MemA, MemB;
  DimExpr RowStrideA;
  int64_t PackedGroup = 0;
  SmallVector<Value> BatchAt;
  Value OffsetA, OffsetB;
  PanelRange Panels;
  Value BlockRow;
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
