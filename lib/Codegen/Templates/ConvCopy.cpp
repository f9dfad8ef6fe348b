//===- ConvCopy.cpp - What convolutions copy ------------------------------===//

#include "ConvCopy.h"

#include "PackingLoops.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace limosa::codegen {

constexpr unsigned Z = ConvPlan::Z, Y = ConvPlan::Y, X = ConvPlan::X;

/// The group's part of the image under the block's windows, zeros around it.
void ConvCopies::copyImage(Value Channel) {
  const Axis &AZ = P.Axes[Z], &AY = P.Axes[Y], &AX = P.Axes[X];
  // Positions that no tile reads are left as they are.
  auto ForCopied = [&](unsigned D, int64_t All,
                       llvm::function_ref<void(Value)> Body) {
    Value First = KB.constant(0), End = KB.constant(All);
    if (P.countsWindow(D) && P.clipsWindow(D)) {
      First = Window[D].First;
      End = M.add(
          First, getValueOrCreateConstantIndexOp(B, KB.loc(), Window[D].Count));
    }
    KB.forLoop(First, End, 1, Body);
  };
  ForCopied(Z, P.copiedPlanes(), [&](Value W) {
    int64_t StepZ = P.countsWindow(Z) ? AZ.Dilation : 1;
    Value PosZ = M.add(position(AZ, Plane), M.mul(W, KB.constant(StepZ)));
    Value PlaneAt = M.mul(W, KB.dim(AZ.Pitch));
    ForCopied(Y, P.copiedLines(), [&](Value L) {
      int64_t Step = P.countsWindow(Y) ? AY.Dilation : 1;
      Value PosY = M.add(position(AY, FirstY), M.mul(L, KB.constant(Step)));
      Value Inside = M.both(inside(AZ, PosZ), inside(AY, PosY));
      copyLine(Inside, source(AZ, PosZ), source(AY, PosY), position(AX, FirstX),
               Channel, M.add(PlaneAt, M.mul(L, KB.dim(AY.Pitch))));
    });
  });
}

/// The (dilated) input position of the first window position of output I.
Value ConvCopies::position(const Axis &A, Value I) {
  return M.sub(M.mul(I, KB.constant(A.Stride)), KB.dim(A.Pad));
}
Value ConvCopies::inside(const Axis &A, Value Pos) {
  Value In =
      M.both(M.le(KB.constant(0), Pos), M.lt(Pos, KB.dim(A.dilatedIn())));
  if (A.InDilation == 1)
    return In;
  // Negative positions are outside whatever the remainder says.
  Value Rest = M.remU(M.max(Pos, KB.constant(0)), KB.constant(A.InDilation));
  return M.both(In, M.eq(Rest, KB.constant(0)));
}
Value ConvCopies::source(const Axis &A, Value Pos) {
  if (A.InDilation == 1)
    return Pos;
  return M.divU(M.max(Pos, KB.constant(0)), KB.constant(A.InDilation));
}

/// One line of the copy at `To`, whose first element is position `PosX`.
void ConvCopies::copyLine(Value Inside, Value InZ, Value InY, Value PosX,
                          Value Channel, Value To) {
  const Axis &AX = P.Axes[X];
  Value All = KB.constant(AX.span(P.BlockWidth)), Zero = KB.constant(0);
  if (P.Order == PixelOrder::Segment) {
    // A line's last segment may be much shorter than the others.
    Value Left = M.sub(KB.dim(AX.Out), FirstX);
    Value Last = M.add(M.mul(Left, KB.constant(AX.Stride)),
                       KB.constant(AX.span(1) - AX.Stride));
    All = M.min(All, Last);
  }
  // Input elements [Lo, Hi) fall on this line.
  Value Dilation = KB.constant(AX.InDilation);
  auto DivUp = [&](Value V) {
    V = M.max(V, Zero);
    if (AX.InDilation == 1)
      return V;
    return M.divU(M.add(V, KB.constant(AX.InDilation - 1)), Dilation);
  };
  Value Lo = DivUp(PosX);
  Value Hi = M.min(KB.dim(AX.In), DivUp(M.add(PosX, All)));
  Hi = M.max(M.select(Inside, Hi, Lo), Lo);
  auto PlaceOf = [&](Value I) { return M.sub(M.mul(I, Dilation), PosX); };
  Value Pitch = KB.dim(AX.Pitch);
  // A channel that pads bf16 meets zeros of the filter, but has to be a number.
  bool Pads = P.Together == 2 && P.ChunkChannels % P.Together != 0;
  if (AX.InDilation == 1 && !Pads) {
    // Lo may lie beyond the line when the whole line is padding.
    Value First = M.min(M.max(PlaceOf(Lo), Zero), All);
    Value Last = M.min(M.max(PlaceOf(Hi), First), All);
    fillZeros(To, M.mul(First, Pitch));
    fillZeros(M.add(To, M.mul(Last, Pitch)), M.mul(M.sub(All, Last), Pitch));
  } else {
    fillZeros(To, M.mul(All, Pitch));
  }
  copyPixels(Lo, Hi, InZ, InY, Channel,
             [&](Value I) { return M.add(To, M.mul(PlaceOf(I), Pitch)); });
}

void ConvCopies::copyPixels(Value Lo, Value Hi, Value InZ, Value InY,
                            Value Channel,
                            llvm::function_ref<Value(Value)> PlaceOf) {
  auto CoordsOf = [&](const Index &C, const Index &InX) {
    Coords At(cast<RankedTensorType>(Op.getInput().getType()).getRank());
    At.PerDim[0] = M.uniform(Image);
    At.PerDim[1] = C;
    if (P.Axes[Z].Dim)
      At.PerDim[*P.Axes[Z].Dim] = M.uniform(InZ);
    if (P.Axes[Y].Dim)
      At.PerDim[*P.Axes[Y].Dim] = M.uniform(InY);
    At.PerDim[*P.Axes[X].Dim] = InX;
    return At;
  };
  auto PullAt = [&](const Coords &At, Value Mask) {
    Value V = Pull.pull(Op.getInput(), At, Lanes{copyLanes(), Mask});
    return KB.broadcast(toCopied(V), copyLanes());
  };
  const Axis &AX = P.Axes[X];
  int64_t Channels = P.ChunkChannels;
  bool ChannelsLast = !P.View || P.View->Dims[1].Stride.isConstant(1);
  // Whole lines of pixels are one run of memory.
  if (P.View && ChannelsLast && AX.InDilation == 1 &&
      P.View->Dims[*AX.Dim].Stride.isConstant(Channels) &&
      AX.Pitch.isConstant(Channels) && P.Groups == 1) {
    Value Count = M.mul(M.sub(Hi, Lo), KB.constant(Channels));
    Value To = PlaceOf(Lo);
    const TensorView &In = KB.input(P.View->Argument.getArgNumber());
    Value From = mulAdd(viewOffset(InZ, InY), Lo, Channels);
    forVectors(Count, [&](Value I, Value Mask) {
      Value V =
          KB.load(In, Index{M.add(From, I), 1, {}}, Lanes{copyLanes(), Mask});
      storeTo(MemA, toCopied(V), M.add(To, I), Mask);
    });
    return;
  }
  if (ChannelsLast || Channels >= int64_t(copyLanes())) {
    KB.forLoop(Lo, Hi, 1, [&](Value I) {
      Value To = PlaceOf(I);
      forVectors(KB.constant(Channels), [&](Value C, Value Mask) {
        storeTo(MemA,
                PullAt(CoordsOf(Index{M.add(Channel, C), 1, {}}, M.uniform(I)),
                       Mask),
                M.add(To, C), Mask);
      });
    });
    return;
  }
  // Few channels that lie apart: along the line, stored one by one.
  TensorView Scratch;
  Scratch.Memref = MemA;
  Scratch.Element = P.copiedType();
  int64_t Step = *AX.Pitch.constant() * AX.InDilation;
  KB.forLoop(KB.constant(0), KB.constant(Channels), 1, [&](Value C) {
    forVectors(M.sub(Hi, Lo), [&](Value I, Value Mask) {
      Value InX = M.add(Lo, I);
      Value V = PullAt(
          CoordsOf(M.uniform(M.add(Channel, C)), Index{InX, 1, {}}), Mask);
      KB.store(Scratch, Index{M.add(PlaceOf(InX), C), Step, {}}, V,
               Lanes{copyLanes(), Mask});
    });
  });
}

Value ConvCopies::viewOffset(Value InZ, Value InY) {
  Value At = mulAdd(KB.dim(P.View->Offset), Image, P.View->Dims[0].Stride);
  if (P.Axes[Z].Dim)
    At = mulAdd(At, InZ, P.View->Dims[*P.Axes[Z].Dim].Stride);
  if (P.Axes[Y].Dim)
    At = mulAdd(At, InY, P.View->Dims[*P.Axes[Y].Dim].Stride);
  return At;
}

Value ConvCopies::toCopied(Value V) {
  return P.Together == 2 ? KB.toMemory(V, B.getBF16Type())
                         : widenTo(KB, V, P.copiedType(), UnsignedA);
}

void ConvCopies::storeTo(Value Memory, Value V, Value At, Value Mask) {
  if (Mask)
    vector::MaskedStoreOp::create(B, KB.loc(), Memory, At, Mask, V);
  else
    vector::StoreOp::create(B, KB.loc(), V, Memory, At);
}

void ConvCopies::fillZeros(Value To, Value Count) {
  auto Ty = VectorType::get({int64_t(copyLanes())}, P.copiedType());
  Value Zero = KB.splat(B.getZeroAttr(P.copiedType()), Ty);
  forVectors(Count, [&](Value I, Value Mask) {
    storeTo(MemA, Zero, M.add(To, I), Mask);
  });
}

/// Whole vectors of [0, Count), then one masked step.
void ConvCopies::forVectors(Value Count,
                            llvm::function_ref<void(Value, Value)> Body) {
  Value Step = KB.constant(copyLanes());
  Value Main = M.mul(M.divU(Count, Step), Step);
  KB.forLoop(KB.constant(0), Main, copyLanes(),
             [&](Value I) { Body(I, Value()); });
  when(M.lt(Main, Count),
       [&] { Body(Main, KB.firstLanes(M.sub(Count, Main), copyLanes())); });
}

/// A filter that is not constant: the column block's panels, in the layout of
/// packed constants.
void ConvCopies::packFilter(Value FirstGroup, Value EndGroup) {
  auto Filter = cast<RankedTensorType>(Op.getFilter().getType());
  KB.forLoop(FirstGroup, EndGroup, 1, [&](Value G) {
    Value Base = M.mul(M.sub(G, FirstGroup), KB.constant(GroupElements));
    forPanels(Panels, [&](Value Panel, ArrayRef<Value> Masks) {
      int64_t Width = int64_t(Masks.size()) * lanes();
      Value To = M.add(Base, M.mul(M.sub(Panel, Panels.First),
                                   KB.constant(P.depth() * panelColumns())));
      Value First = M.add(M.mul(G, KB.constant(P.GroupColumns)),
                          M.mul(Panel, KB.constant(panelColumns())));
      KB.forLoop(
          KB.constant(0), KB.constant(P.windowPositions()), 1, [&](Value W) {
            KB.forLoop(
                KB.constant(0), KB.constant(P.GroupChannels), 1, [&](Value C) {
                  Value Channels = KB.constant(P.ChunkChannels);
                  Value Chunk = M.divU(C, Channels);
                  Value Place =
                      M.add(M.mul(Chunk, KB.constant(P.windowPositions())), W);
                  Value Row =
                      M.add(M.mul(Place, Channels), M.remU(C, Channels));
                  for (unsigned V = 0; V < Masks.size(); ++V) {
                    Coords At(Filter.getRank());
                    At.PerDim[0] =
                        Index{M.add(First, KB.constant(V * lanes())), 1, {}};
                    At.PerDim[1] = M.uniform(C);
                    IndexGroup Window;
                    for (int64_t D = 2; D < Filter.getRank(); ++D)
                      Window.Dims.push_back(D);
                    Window.Linear = M.uniform(W);
                    At.Groups.push_back(Window);
                    Value F =
                        Pull.pull(Op.getFilter(), At, Lanes{lanes(), Masks[V]});
                    F = KB.broadcast(widenTo(KB, F, P.AccType, UnsignedB),
                                     lanes());
                    Value Offset = M.add(M.mul(Row, KB.constant(Width)),
                                         KB.constant(V * lanes()));
                    vector::StoreOp::create(B, KB.loc(), F, MemB,
                                            M.add(To, Offset));
                  }
                });
          });
    });
  });
}

} // namespace limosa::codegen
