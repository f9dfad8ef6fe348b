//===- ContractCopy.cpp - What products copy or compute -------------------===//

#include "ContractCopy.h"

#include "PackedProducts.h"
#include "PackingLoops.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace limosa::codegen {

Value ContractCopies::baseOf(const ProductOperand &O, bool IsA) {
  Value Offset = KB.dim(O.View->Offset);
  for (auto [D, At] : llvm::zip_equal(P.Batch, BatchAt))
    if (std::optional<unsigned> Dim = IsA ? D.DimA : D.DimB)
      Offset = M.add(Offset, M.mul(At, KB.dim(O.View->Dims[*Dim].Stride)));
  return Offset;
}

Value ContractCopies::panelOffset(Value Panel) {
  if (P.B.Source == OperandSource::InPlace)
    return M.add(OffsetB, M.mul(Panel, KB.constant(panelColumns())));
  if (P.B.Source == OperandSource::Scratch)
    Panel = M.sub(Panel, Panels.First);
  DimExpr PanelSize = P.paddedK() * DimExpr(P.PanelColumns * P.Parts);
  return M.add(OffsetB, M.mul(Panel, KB.dim(PanelSize)));
}

Coords ContractCopies::noCoords(const ProductOperand &O) {
  return Coords(cast<RankedTensorType>(O.V.getType()).getRank());
}

/// Sets the batch and free coordinates in an operand.
void ContractCopies::setFree(const ProductOperand &O, bool IsA,
                             const Index &Free, Coords &At) {
  for (auto [D, I] : llvm::zip_equal(P.Batch, BatchAt))
    if (std::optional<unsigned> Dim = IsA ? D.DimA : D.DimB)
      At.PerDim[*Dim] = M.uniform(I);
  setGroup(At, O.Free, Free);
}

/// Coordinates in an operand.
Coords ContractCopies::operandCoords(const ProductOperand &O, bool IsA,
                                     const Index &Free, const Index &K) {
  Coords At = noCoords(O);
  setFree(O, IsA, Free, At);
  setGroup(At, O.Contract, K);
  return At;
}

/// Loops over K in whole vectors, then one masked step.
void ContractCopies::forVectorsOfK(
    llvm::function_ref<void(Value, Value)> Body) {
  Value K = KB.dim(P.K);
  Value Step = KB.constant(copyLanes());
  Value Main = M.mul(M.divU(K, Step), Step);
  KB.forLoop(KB.constant(0), Main, copyLanes(),
             [&](Value At) { Body(At, Value()); });
  when(M.lt(Main, K),
       [&] { Body(Main, KB.firstLanes(M.sub(K, Main), copyLanes())); });
}

void ContractCopies::packA() {
  Value End = M.min(M.add(BlockRow, KB.constant(blockRows())), KB.dim(P.M));
  KB.forLoop(BlockRow, End, 1, [&](Value Row) {
    Value To = M.mul(M.sub(Row, BlockRow), KB.dim(RowStrideA));
    forVectorsOfK([&](Value K, Value Mask) {
      Lanes L{copyLanes(), Mask};
      Value V = Pull.pull(
          P.A.V, operandCoords(P.A, true, M.uniform(Row), Index{K, 1, {}}), L);
      V = KB.broadcast(toCopied(V, P.A.Unsigned), copyLanes());
      Value At = M.add(To, K);
      if (Mask && P.Together == 2) {
        Value Zero = KB.splat(B.getZeroAttr(P.copiedType()), V.getType());
        V = arith::SelectOp::create(B, KB.loc(), Mask, V, Zero);
        Mask = KB.firstLanes(M.sub(KB.dim(P.paddedK()), K), copyLanes());
      }
      if (Mask)
        vector::MaskedStoreOp::create(B, KB.loc(), MemA, At, Mask, V);
      else
        vector::StoreOp::create(B, KB.loc(), V, MemA, At);
    });
  });
}

void ContractCopies::packB() {
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
    if (P.Together > 1)
      return packPanelTogether(To, First, Masks, Transposed, Columns.Stride);
    Value K = KB.dim(P.K), Begin = KB.constant(0);
    if (Transposed) {
      Value Main = M.mul(M.divU(K, KB.constant(lanes())), KB.constant(lanes()));
      KB.forLoop(Begin, Main, lanes(), [&](Value At) {
        for (unsigned V = 0; V < Masks.size(); ++V)
          packSquare(M.add(First, KB.constant(V * lanes())), Columns.Stride, At,
                     M.add(To, KB.constant(V * lanes())), Width);
      });
      Begin = Main;
    }
    auto PackStep = [&](Value At, const Coords &AtK) {
      for (unsigned V = 0; V < Masks.size(); ++V) {
        Value W = pullB(M.add(First, KB.constant(V * lanes())), AtK, Masks[V]);
        Value Place =
            M.add(M.mul(At, KB.constant(Width)), KB.constant(V * lanes()));
        vector::StoreOp::create(B, KB.loc(), W, MemB, M.add(To, Place));
      }
    };
    if (P.B.View) {
      KB.forLoop(Begin, K, 1, [&](Value At) {
        Coords AtK = noCoords(P.B);
        setGroup(AtK, P.B.Contract, M.uniform(At));
        PackStep(At, AtK);
      });
      return;
    }
    forStepsOfK({}, [&](Value At, const Coords &AtK, ValueRange) {
      PackStep(At, AtK);
      return SmallVector<Value>();
    });
  });
}

SmallVector<Value> ContractCopies::forStepsOfK(ValueRange Inits,
                                               StepBody Body) {
  if (P.B.Contract.size() < 2)
    return KB.forLoop(KB.constant(0), KB.dim(P.K), 1, Inits,
                      [&](Value Step, ValueRange Carried) {
                        Coords AtK = noCoords(P.B);
                        setGroup(AtK, P.B.Contract, M.uniform(Step));
                        return Body(Step, AtK, Carried);
                      });
  unsigned Innermost = P.B.Contract.back();
  auto OuterDims = ArrayRef(P.B.Contract).drop_back();
  DimExpr Outer = 1;
  for (unsigned D : OuterDims)
    Outer = Outer * getDim(P.B.V.getType(), D);
  Value Inner = KB.dim(getDim(P.B.V.getType(), Innermost));
  return KB.forLoop(KB.constant(0), KB.dim(Outer), 1, Inits,
                    [&](Value AtOuter, ValueRange OfOuter) {
                      return KB.forLoop(
                          KB.constant(0), Inner, 1, OfOuter,
                          [&](Value At, ValueRange Carried) {
                            Coords AtK = noCoords(P.B);
                            setGroup(AtK, OuterDims, M.uniform(AtOuter));
                            AtK.PerDim[Innermost] = M.uniform(At);
                            Value Step = M.add(M.mul(AtOuter, Inner), At);
                            return Body(Step, AtK, Carried);
                          });
                    });
}

Value ContractCopies::pullB(Value Column, Coords At, Value Mask) {
  setFree(P.B, false, Index{Column, 1, {}}, At);
  Value V = Pull.pull(P.B.V, At, Lanes{lanes(), Mask});
  return KB.broadcast(widenTo(KB, V, P.AccType, P.B.Unsigned), lanes());
}

Value ContractCopies::elementOfA(Value Row, Value Step, const Coords &AtK) {
  if (P.A.Source == OperandSource::Scratch) {
    Value At = mulAdd(Step, M.sub(Row, BlockRow), RowStrideA);
    Value V = memref::LoadOp::create(B, KB.loc(), MemA, At);
    return P.Together == 2 ? KB.toRegister(V, B.getBF16Type()) : V;
  }
  Value At = mulAdd(OffsetA, Row, P.A.FreeStride);
  for (auto [DimA, DimB] : llvm::zip_equal(P.A.Contract, P.B.Contract))
    At = mulAdd(At, AtK.PerDim[DimB].Base, P.A.View->Dims[DimA].Stride);
  const TensorView &In = KB.input(P.A.View->Argument.getArgNumber());
  return widenTo(KB, KB.load(In, M.uniform(At), {}), P.AccType, P.A.Unsigned);
}

/// An element as copies hold it.
Value ContractCopies::toCopied(Value V, bool Unsigned) {
  return P.Together == 2 ? KB.toMemory(V, B.getBF16Type())
                         : widenTo(KB, V, P.copiedType(), Unsigned);
}

/// A panel whose steps of K lie together.
void ContractCopies::packPanelTogether(Value To, Value First,
                                       ArrayRef<Value> Masks, bool Transposed,
                                       const DimExpr &ColumnStride) {
  int64_t Width = Masks.size() * lanes();
  Value Begin = KB.constant(0);
  if (Transposed && P.Together == 2) {
    // Neighbours along K are pairs already: words are turned.
    Value Step = KB.constant(copyLanes());
    Value Main = M.mul(M.divU(KB.dim(P.K), Step), Step);
    KB.forLoop(Begin, Main, copyLanes(), [&](Value At) {
      for (unsigned V = 0; V < Masks.size(); ++V)
        packSquare(M.add(First, KB.constant(V * lanes())), ColumnStride, At,
                   M.add(To, KB.constant(V * copyLanes())), Width);
    });
    Begin = M.divU(Main, KB.constant(P.Together));
  }
  Value Words = M.divU(KB.dim(P.paddedK()), KB.constant(P.Together));
  KB.forLoop(Begin, Words, 1, [&](Value Word) {
    for (unsigned V = 0; V < Masks.size(); ++V)
      packTogether(M.add(First, KB.constant(V * lanes())),
                   M.mul(Word, KB.constant(P.Together)),
                   M.add(To, M.mul(M.add(M.mul(Word, KB.constant(Width)),
                                         KB.constant(V * lanes())),
                                   KB.constant(P.Together))),
                   Masks[V]);
  });
}

/// The steps of K that lie together from each of a vector of columns; zeros
/// behind the last K.
void ContractCopies::packTogether(Value Column, Value K, Value To, Value Mask) {
  auto Words = VectorType::get({int64_t(lanes())}, B.getI32Type());
  unsigned Bits = P.copiedType().getIntOrFloatBitWidth();
  bool Whole = DimExpr::mod(P.K, P.AlignK).isConstant(0);
  Value Sum;
  for (unsigned T = 0; T < P.Together; ++T) {
    Value At = M.add(K, KB.constant(T));
    Value Inside = M.lt(At, KB.dim(P.K));
    if (!Whole)
      At = M.min(At, M.sub(KB.dim(P.K), KB.constant(1)));
    Value V = Pull.pull(
        P.B.V, operandCoords(P.B, false, Index{Column, 1, {}}, M.uniform(At)),
        Lanes{lanes(), Mask});
    V = KB.broadcast(toCopied(V, P.B.Unsigned), lanes());
    V = arith::ExtUIOp::create(B, KB.loc(), Words, V);
    if (!Whole)
      V = arith::SelectOp::create(B, KB.loc(), Inside, V,
                                  KB.splat(B.getI32IntegerAttr(0), Words));
    if (T == 0) {
      Sum = V;
      continue;
    }
    Value Shift = KB.splat(B.getI32IntegerAttr(Bits * T), Words);
    V = arith::ShLIOp::create(B, KB.loc(), V, Shift);
    Sum = arith::OrIOp::create(B, KB.loc(), Sum, V);
  }
  auto Copied = VectorType::get({int64_t(copyLanes())}, P.copiedType());
  Sum = vector::BitCastOp::create(B, KB.loc(), Copied, Sum);
  vector::StoreOp::create(B, KB.loc(), Sum, MemB, To);
}

/// Columns whose K lie side by side: squares are loaded along K and turned.
/// Columns beyond the last repeat it; their products are never stored.
void ContractCopies::packSquare(Value Column, const DimExpr &Stride, Value K,
                                Value To, int64_t Width) {
  const TensorView &In = KB.input(P.B.View->Argument.getArgNumber());
  Value Base = M.add(baseOf(P.B, false), K);
  Value Last = M.sub(KB.dim(P.N), KB.constant(1));
  auto Words = VectorType::get({int64_t(lanes())}, B.getI32Type());
  auto Copied = VectorType::get({int64_t(copyLanes())}, P.copiedType());
  SmallVector<Value> Rows;
  for (unsigned R = 0; R < lanes(); ++R) {
    Value C = M.min(M.add(Column, KB.constant(R)), Last);
    Value At = M.add(Base, M.mul(C, KB.dim(Stride)));
    Value V =
        toCopied(KB.load(In, Index{At, 1, {}}, Lanes{copyLanes(), {}}), false);
    if (P.Together > 1)
      V = vector::BitCastOp::create(B, KB.loc(), Words, V);
    Rows.push_back(V);
  }
  Rows = transposeSquare(KB, Rows);
  for (unsigned R = 0; R < lanes(); ++R) {
    Value V = Rows[R];
    if (P.Together > 1)
      V = vector::BitCastOp::create(B, KB.loc(), Copied, V);
    Value At = M.mul(M.add(K, KB.constant(R * P.Together)), KB.constant(Width));
    vector::StoreOp::create(B, KB.loc(), V, MemB, M.add(To, At));
  }
}

} // namespace limosa::codegen
