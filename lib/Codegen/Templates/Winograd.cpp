//===- Winograd.cpp - The template of minimal filtering -------------------===//
//
// Row blocks x column blocks is the grid, the last fastest, so that a block of
// tiles is transformed once for all column blocks of a worker. See
// WinogradPlan.h.
//
//===----------------------------------------------------------------------===//

#include "ProductEmitter.h"
#include "Products.h"
#include "WinogradPlan.h"
#include "WinogradTransform.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace limosa::codegen {

namespace {

constexpr int64_t Span = Winograd::Span, Outputs = Winograd::Outputs;

class WinogradEmitter : ProductEmitter {
public:
  WinogradEmitter(KernelBuilder &KB, const KernelAnalysis &Kernel, ConvOp Op,
                  const WinogradPlan &P)
      : ProductEmitter(KB, Op.getResult(), Kernel.Outputs, P.Tile,
                       P.Regs.Lanes),
        P(P), Transform(KB, P.Regs.Lanes),
        Vector(VectorType::get({int64_t(P.Regs.Lanes)}, B.getF32Type())) {}

  void emit() {
    KB.setGrid(P.rowBlocks() * DimExpr(P.columnBlocks()));
    KB.result().Flops = DimExpr(2 * Winograd::Products * P.Channels) *
                        DimExpr(P.Columns) * P.tiles();
    unsigned Filter = P.Filter.Argument.getArgNumber();
    KB.requestPack(Filter, P.layout().toString());
    MemFilter = KB.input(Filter).Memref;
    MemInput = KB.input(P.Input.Argument.getArgNumber()).Memref;
    MemOperand =
        KB.scratch(Winograd::Products * P.operandPitch(), B.getF32Type());
    MemResult =
        KB.scratch(Winograd::Products * P.resultPitch(), B.getF32Type());
    Value ColumnBlocks = KB.constant(P.columnBlocks());
    KB.forLoop(KB.tileBegin(), KB.tileEnd(), 1, KB.constant(-1),
               [&](Value Tile, ValueRange Carried) -> SmallVector<Value> {
                 Value RowBlock = M.divU(Tile, ColumnBlocks);
                 emitBlock(RowBlock, M.remU(Tile, ColumnBlocks),
                           M.eq(RowBlock, Carried[0]));
                 return {RowBlock};
               });
  }

private:
  void emitBlock(Value RowBlock, Value ColumnBlock, Value SameRows) {
    First = M.mul(RowBlock, KB.constant(P.blockTiles()));
    Count = M.min(KB.constant(P.blockTiles()), M.sub(KB.dim(P.tiles()), First));
    KB.ifThen(negate(SameRows), [&] {
      KB.forLoop(KB.constant(0), Count, 1, [&](Value T) { readTile(T); });
    });
    Panels =
        panelRange(P.Columns, ColumnBlock, P.Panels, P.columnBlocks() == 1);
    forPanels(Panels, [&](Value Panel, ArrayRef<Value> Masks) {
      multiply(Panel, Masks.size());
      KB.forLoop(KB.constant(0), Count, 1,
                 [&](Value T) { writeTile(T, Panel, Masks); });
    });
  }

  //===--------------------------------------------------------------------===//
  // Tiles
  //===--------------------------------------------------------------------===//

  struct TileAt {
    Value Image, Y, X; ///< image and first output pixel
  };
  TileAt tileAt(Value T) {
    Value Linear = M.add(First, T);
    Value Wide = KB.divisor(P.X.Tiles), High = KB.divisor(P.Y.Tiles);
    Value Line = M.divU(Linear, Wide);
    return {M.divU(Line, High), M.mul(M.remU(Line, High), KB.constant(Outputs)),
            M.mul(M.remU(Linear, Wide), KB.constant(Outputs))};
  }

  /// Transforms a tile's inputs, a vector of channels at a time.
  void readTile(Value T) {
    TileAt At = tileAt(T);
    Value Y = M.sub(At.Y, KB.dim(P.Y.Pad)), X = M.sub(At.X, KB.dim(P.X.Pad));
    Value Base =
        mulAdd(KB.dim(P.Input.Offset), At.Image, P.Input.Dims[0].Stride);
    Base = mulAdd(mulAdd(Base, Y, P.Y.Stride), X, P.X.Stride);
    auto isInside = [&](Value First, const DimExpr &Size, int64_t Reach) {
      return M.both(M.le(KB.constant(0), First),
                    M.le(M.add(First, KB.constant(Reach)), KB.dim(Size)));
    };
    Value Whole = M.both(isInside(Y, P.Y.In, Span), isInside(X, P.X.In, Span));
    KB.ifElse(
        Whole, [&] { readChannels(T, Base, {}, {}); },
        [&] {
          SmallVector<Value> InY, InX;
          for (int64_t I = 0; I < Span; ++I) {
            InY.push_back(isInside(M.add(Y, KB.constant(I)), P.Y.In, 1));
            InX.push_back(isInside(M.add(X, KB.constant(I)), P.X.In, 1));
          }
          readChannels(T, Base, InY, InX);
        });
  }

  /// `InY` and `InX`: which lines and pixels exist; empty if all do.
  void readChannels(Value T, Value Base, ArrayRef<Value> InY,
                    ArrayRef<Value> InX) {
    Value Zero =
        arith::ConstantOp::create(B, KB.loc(), Vector, B.getZeroAttr(Vector));
    int64_t Whole = P.Channels / lanes() * lanes();
    auto read = [&](Value Channel, int64_t Left) {
      auto load = [&](int64_t I, int64_t J) -> Value {
        Value At = M.add(Base, Channel);
        At = M.add(At, M.add(M.mul(KB.constant(I), KB.dim(P.Y.Stride)),
                             M.mul(KB.constant(J), KB.dim(P.X.Stride))));
        if (InY.empty() && Left == int64_t(lanes()))
          return vector::LoadOp::create(B, KB.loc(), Vector, MemInput, At);
        Value Lanes = KB.constant(Left);
        if (!InY.empty())
          Lanes = M.select(M.both(InY[I], InX[J]), Lanes, KB.constant(0));
        return vector::MaskedLoadOp::create(B, KB.loc(), Vector, MemInput, At,
                                            KB.firstLanes(Lanes, lanes()),
                                            Zero);
      };
      Value To = M.add(M.mul(T, KB.constant(P.tilePitch())), Channel);
      transformInput(load, To);
    };
    KB.forLoop(KB.constant(0), KB.constant(Whole), lanes(),
               [&](Value Channel) { read(Channel, lanes()); });
    if (Whole != P.Channels)
      read(KB.constant(Whole), P.Channels - Whole);
  }

  void transformInput(llvm::function_ref<Value(int64_t, int64_t)> Load,
                      Value To) {
    WinogradTransform::Inputs Lines[Span]; // [pixel][line]
    for (int64_t J = 0; J < Span; ++J) {
      WinogradTransform::Inputs D;
      for (int64_t I = 0; I < Span; ++I)
        D[I] = Load(I, J);
      Lines[J] = Transform.input(D);
    }
    for (int64_t I = 0; I < Span; ++I) {
      WinogradTransform::Inputs D;
      for (int64_t J = 0; J < Span; ++J)
        D[J] = Lines[J][I];
      for (auto [J, V] : llvm::enumerate(Transform.input(D)))
        vector::StoreOp::create(
            B, KB.loc(), V, MemOperand,
            M.add(To, KB.constant((I * Span + J) * P.operandPitch())));
    }
  }

  //===--------------------------------------------------------------------===//
  // Products
  //===--------------------------------------------------------------------===//

  /// Of all tiles of the block with one panel. What the last register tile has
  /// behind the last tile is never read again.
  void multiply(Value Panel, unsigned Vectors) {
    Value RegisterTiles = M.divU(M.add(Count, KB.constant(Tile.Rows - 1)),
                                 KB.constant(Tile.Rows));
    const int64_t Width = int64_t(Vectors) * lanes();
    Value PanelAt = M.mul(Panel, KB.constant(P.panelColumns() * P.Channels));
    KB.forLoop(
        KB.constant(0), KB.constant(Winograd::Products), 1, [&](Value Product) {
          MicroKernel Kernel;
          Kernel.Lanes = lanes();
          Kernel.AccType = Kernel.ElementA = Kernel.ElementB = B.getF32Type();
          Kernel.A = MemOperand;
          Kernel.B = MemFilter;
          Kernel.OffsetB = M.add(
              PanelAt,
              M.mul(Product, KB.constant(P.layout().panels().groupElements())));
          for (unsigned R = 0; R < Tile.Rows; ++R)
            Kernel.RowOffsets.push_back(B.getIndexAttr(R * P.tilePitch()));
          for (unsigned V = 0; V < Vectors; ++V)
            Kernel.VectorOffsets.push_back(B.getIndexAttr(V * lanes()));
          Kernel.Loops.push_back({B.getIndexAttr(P.Channels), B.getIndexAttr(1),
                                  B.getIndexAttr(Width)});
          fetchAhead(Kernel, Winograd::Products * P.Channels * P.Columns);
          const int64_t NextProduct = P.layout().panels().groupElements();
          Value IsNotLast = M.lt(Product, KB.constant(Winograd::Products - 1));
          forRowTiles(KB.constant(0), RegisterTiles, [&](Value Row, unsigned) {
            Kernel.OffsetA =
                M.add(M.mul(Product, KB.constant(P.operandPitch())),
                      M.mul(Row, KB.constant(P.tilePitch())));
            fetchNext(Kernel, M.add(Kernel.OffsetB, KB.constant(NextProduct)),
                      IsNotLast, M.divU(Row, KB.constant(Tile.Rows)),
                      P.RowTiles, P.Channels);
            SmallVector<Value> Sums = emitMicroKernel(B, KB.loc(), Kernel);
            Value To = M.add(M.mul(Product, KB.constant(P.resultPitch())),
                             M.mul(Row, KB.constant(P.panelColumns())));
            for (auto [I, Sum] : llvm::enumerate(Sums))
              vector::StoreOp::create(
                  B, KB.loc(), Sum, MemResult,
                  M.add(To, KB.constant(I / Vectors * P.panelColumns() +
                                        I % Vectors * lanes())));
          });
        });
  }

  //===--------------------------------------------------------------------===//
  // Results
  //===--------------------------------------------------------------------===//

  void writeTile(Value T, Value Panel, ArrayRef<Value> Masks) {
    TileAt At = tileAt(T);
    auto fits = [&](Value First, const DimExpr &Size) {
      return M.le(M.add(First, KB.constant(Outputs)), KB.dim(Size));
    };
    auto divides = [](const DimExpr &Size) {
      return DimExpr::mod(Size, Outputs).isConstant(0);
    };
    auto all = [&](bool Whole) { writeVectors(T, At, Panel, Masks, Whole); };
    if (divides(P.Y.Out) && divides(P.X.Out))
      return all(true);
    KB.ifElse(
        M.both(fits(At.Y, P.Y.Out), fits(At.X, P.X.Out)), [&] { all(true); },
        [&] { all(false); });
  }

  /// `Whole`: all pixels of the tile exist.
  void writeVectors(Value T, const TileAt &At, Value Panel,
                    ArrayRef<Value> Masks, bool Whole) {
    auto write = [&](Value V, Value Mask) {
      Value From = M.add(M.mul(T, KB.constant(P.panelColumns())),
                         M.mul(V, KB.constant(lanes())));
      Value Column = M.add(M.mul(Panel, KB.constant(panelColumns())),
                           M.mul(V, KB.constant(lanes())));
      writeVector(From, At, Column, Mask, Whole);
    };
    size_t Unmasked =
        llvm::find_if(Masks, [](Value M) { return bool(M); }) - Masks.begin();
    KB.forLoop(KB.constant(0), KB.constant(Unmasked), 1,
               [&](Value V) { write(V, {}); });
    for (size_t V = Unmasked; V < Masks.size(); ++V)
      write(KB.constant(V), Masks[V]);
  }

  void writeVector(Value From, const TileAt &Tile, Value Column, Value Mask,
                   bool Whole) {
    WinogradTransform::Outputs Lines[Span]; // [pixel][line]
    for (int64_t J = 0; J < Span; ++J) {
      WinogradTransform::Inputs D;
      for (int64_t I = 0; I < Span; ++I)
        D[I] = vector::LoadOp::create(
            B, KB.loc(), Vector, MemResult,
            M.add(From, KB.constant((I * Span + J) * P.resultPitch())));
      Lines[J] = Transform.output(D);
    }
    for (int64_t I = 0; I < Outputs; ++I) {
      WinogradTransform::Inputs D;
      for (int64_t J = 0; J < Span; ++J)
        D[J] = Lines[J][I];
      Value Y = M.add(Tile.Y, KB.constant(I));
      for (auto [J, V] : llvm::enumerate(Transform.output(D))) {
        Value X = M.add(Tile.X, KB.constant(J));
        Lanes L{lanes(), Mask};
        if (!Whole)
          L.Mask = onlyIf(
              M.both(M.lt(Y, KB.dim(P.Y.Out)), M.lt(X, KB.dim(P.X.Out))), Mask);
        Epilogue.compute(V, coordsAt(Tile.Image, Y, X, Column, Whole), L);
      }
      Epilogue.store();
    }
  }

  /// Coordinates in the result, lanes along the channels; inside in any case.
  Coords coordsAt(Value Image, Value Y, Value X, Value Column, bool Whole) {
    auto inside = [&](Value At, const DimExpr &Size) {
      return M.uniform(Whole ? At
                             : M.min(At, M.sub(KB.dim(Size), KB.constant(1))));
    };
    Coords At(4);
    At.PerDim[0] = M.uniform(Image);
    At.PerDim[1] = Index{Column, 1, {}};
    At.PerDim[2] = inside(Y, P.Y.Out);
    At.PerDim[3] = inside(X, P.X.Out);
    return At;
  }

  const WinogradPlan &P;
  WinogradTransform Transform;
  VectorType Vector;
  Value MemInput, MemFilter, MemOperand, MemResult;

  // Of the block being emitted.
  Value First, Count;
  PanelRange Panels;
};

} // namespace

std::optional<int> matchWinograd(const KernelAnalysis &Kernel,
                                 const TargetOptions &Options) {
  auto Op = Kernel.onlyAnchor<ConvOp>();
  if (!Op)
    return std::nullopt;
  std::optional<WinogradPlan> Plan = planWinograd(Op, Kernel, Options);
  if (!Plan)
    return std::nullopt;
  return Plan->Faster ? 110 : 90; // convolutions have 100
}

llvm::Error emitWinograd(KernelBuilder &KB, const KernelAnalysis &Kernel) {
  auto Op = Kernel.onlyAnchor<ConvOp>();
  std::optional<WinogradPlan> Plan = planWinograd(Op, Kernel, KB.options());
  WinogradEmitter(KB, Kernel, Op, *Plan).emit();
  return llvm::Error::success();
}

} // namespace limosa::codegen
