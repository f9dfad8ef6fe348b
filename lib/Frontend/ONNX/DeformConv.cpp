//===- DeformConv.cpp - Convolution at positions that data decides --------===//

#include "Windows.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

using Dir = CompareDirection;

namespace {
class DeformConv {
public:
  DeformConv(Node &N) : N(N), B(N.B), E(N.elem(0)) {}
  LogicalResult build();

private:
  LogicalResult read();
  FailureOr<Value> split(unsigned K, int64_t Parts);
  Value position(Value Offsets, unsigned D);
  Value columns();

  Node &N;
  CoreBuilder &B;
  Type E;
  std::optional<Windows> W;
  int64_t Group = 1, OffsetGroups = 1, Taps = 0;
  Dims X, Points; ///< Points: batch, offset groups, taps, out height, out width
  Value Offsets;  ///< [Points.., 2]
  Value Mask;     ///< of shape Points, or null
};
} // namespace

/// Input K [N, groups * taps * Parts, oh, ow] with its channels taken apart;
/// the parts, if there are several, come last.
FailureOr<Value> DeformConv::split(unsigned K, int64_t Parts) {
  if (failed(N.wantRank(K, 4)) || failed(N.sameElem(0, K)))
    return failure();
  Dims Want{Points[0], DimExpr(OffsetGroups * Taps * Parts), Points[3],
            Points[4]};
  for (int D = 0; D < 4; ++D)
    if (failed(N.wantEqual(N.dim(K, D), Want[D], "sizes of the offsets")))
      return failure();
  Value V = N.as(N.in(K), Want);
  if (Parts == 1)
    return B.reshape(V, Points);
  V = B.reshape(V, {Points[0], Points[1], Points[2], DimExpr(Parts), Points[3],
                    Points[4]});
  return B.transpose(V, {0, 1, 2, 4, 5, 3});
}

LogicalResult DeformConv::read() {
  if (failed(N.wantRank(0, 4)) || failed(N.wantRank(1, 4)) ||
      failed(N.sameElem(0, 1)))
    return N.fail("only two spatial dimensions are supported");
  X = N.dims(0);
  auto H = N.dim(1, 2).constant(), Wd = N.dim(1, 3).constant(),
       Channels = X[1].constant();
  if (!H || !Wd || !Channels)
    return N.fail("the filter and the channels must have known sizes");
  auto Win = readWindows(N, {*H, *Wd});
  if (failed(Win))
    return failure();
  W = *Win;
  Group = N.attr("group", int64_t(1));
  OffsetGroups = N.attr("offset_group", int64_t(1));
  if (Group < 1 || OffsetGroups < 1 || *Channels % Group ||
      *Channels % OffsetGroups)
    return N.fail("group and offset_group must divide the channels");
  if (failed(N.wantEqual(N.dim(1, 1), DimExpr(*Channels / Group),
                         "filter channels and input channels of a group")))
    return failure();
  Taps = *H * *Wd;
  Points = {X[0], DimExpr(OffsetGroups), DimExpr(Taps)};
  for (size_t D = 0; D < 2; ++D)
    Points.push_back(infer::windowExtent(X[D + 2], W->Low[D], W->High[D],
                                         DimExpr(W->Kernel[D]), W->Dilations[D],
                                         W->Strides[D]));
  auto Off = split(2, 2);
  if (failed(Off))
    return failure();
  Offsets = *Off;
  if (N.has(4)) {
    auto Given = split(4, 1);
    if (failed(Given))
      return failure();
    Mask = *Given;
  }
  return success();
}

/// Where the taps read along spatial dimension D.
Value DeformConv::position(Value Offsets, unsigned D) {
  Value Tap = B.iota(Points, 2, N.i64());
  Value Columns = B.full(double(W->Kernel[1]), Tap);
  Tap = D == 0 ? B.div(Tap, Columns) : B.rem(Tap, Columns);
  Value Base = B.add(B.mulScalar(B.iota(Points, int64_t(3 + D), N.i64()),
                                 double(W->Strides[D])),
                     B.mulScalar(Tap, double(W->Dilations[D])));
  Base = B.sub(Base, B.broadcast(B.dim(W->Low[D]), Points, {}));
  Value Moved = B.reshape(
      B.sliceDim(Offsets, 5, DimExpr(int64_t(D)), DimExpr(1)), Points);
  return B.add(B.convert(Base, E), Moved);
}

/// What the taps read: [N, offset groups, taps, oh, ow, channels].
Value DeformConv::columns() {
  DimExpr Channels = DimExpr::floorDiv(X[1], DimExpr(OffsetGroups));
  Value Data = B.transpose(
      B.reshape(N.in(0), {X[0], DimExpr(OffsetGroups), Channels, X[2], X[3]}),
      {0, 1, 3, 4, 2});
  Value At[2] = {position(Offsets, 0), position(Offsets, 1)};
  Value Floor[2] = {B.floor(At[0]), B.floor(At[1])};
  Dims Shape = Points;
  Shape.push_back(Channels);
  Value Sum;
  for (int Corner = 0; Corner < 4; ++Corner) {
    Value Weight = Mask, Inside;
    SmallVector<Value> Index{B.expandDims(B.iota(Points, 1, N.i64()), {5})};
    for (unsigned D = 0; D < 2; ++D) {
      bool Next = Corner >> D & 1;
      Value Fraction = B.sub(At[D], Floor[D]);
      Value F = Next ? Fraction : B.addScalar(B.neg(Fraction), 1);
      Weight = Weight ? B.mul(Weight, F) : F;
      Value P = Next ? B.addScalar(Floor[D], 1) : Floor[D];
      Value End = B.broadcast(B.convert(B.dim(X[D + 2]), E), Points, {});
      Value In = B.bitAnd(B.compare(Dir::GE, P, B.full(0, P)),
                          B.compare(Dir::LT, P, End));
      Inside = Inside ? B.bitAnd(Inside, In) : In;
      P = B.min(B.maxScalar(P, -1), End);
      Index.push_back(B.expandDims(B.convert(P, N.i64()), {5}));
    }
    Weight = B.select(Inside, Weight, B.full(0, Weight));
    Value Part = B.mul(B.gather(Data, B.concat(Index, 5), {1, 2, 3}, 1),
                       B.broadcast(Weight, Shape, {0, 1, 2, 3, 4}));
    Sum = Sum ? B.add(Sum, Part) : Part;
  }
  return Sum;
}

LogicalResult DeformConv::build() {
  if (failed(read()))
    return failure();
  // Channels as the filter groups them: [N, groups, channels, taps, oh, ow].
  Value Columns = B.transpose(columns(), {0, 1, 5, 2, 3, 4});
  DimExpr InGroup = DimExpr::floorDiv(X[1], DimExpr(Group));
  Columns = B.reshape(Columns, {X[0], DimExpr(Group), InGroup, Points[2],
                                Points[3], Points[4]});
  DimExpr Out = N.dim(1, 0), OutGroup = DimExpr::floorDiv(Out, DimExpr(Group));
  if (failed(N.wantEqual(OutGroup * DimExpr(Group), Out,
                         "output channels and a multiple of group")))
    return failure();
  Value Filter =
      B.reshape(N.in(1), {DimExpr(Group), OutGroup, InGroup, DimExpr(Taps)});
  // [groups, out, N, oh, ow]
  auto Y = N.contract(Filter, Columns, {0}, {1}, {2, 3}, {2, 3});
  if (failed(Y))
    return failure();
  Value V = B.reshape(B.transpose(*Y, {2, 0, 1, 3, 4}),
                      {X[0], Out, Points[3], Points[4]});
  if (N.has(3)) {
    if (failed(N.wantRank(3, 1)) ||
        failed(N.wantEqual(N.dim(3, 0), Out, "bias and output channels")))
      return failure();
    V = B.add(V, B.broadcast(N.as(N.in(3), {Out}), getDims(V), {1}));
  }
  return N.done(V);
}

static LogicalResult deformConv(Node &N) { return DeformConv(N).build(); }

llvm::ArrayRef<OpEntry> limosa::onnximport::deformConvOps() {
  static const OpEntry Table[] = {
      {"", "DeformConv", 19, 3, 5, Floats, deformConv},
  };
  return Table;
}
