//===- Conv.cpp - Convolutions --------------------------------------------===//

#include "Activate.h"
#include "Quantize.h"
#include "Windows.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

FailureOr<Windows> limosa::onnximport::readWindows(Node &N,
                                                   ArrayRef<int64_t> Kernel) {
  size_t Rank = Kernel.size();
  Windows W;
  W.Kernel.assign(Kernel.begin(), Kernel.end());
  auto list = [&](StringRef Name, int64_t Default) {
    auto V = N.ints(Name);
    return V ? *V : Ints(Rank, Default);
  };
  W.Strides = list("strides", 1);
  W.Dilations = list("dilations", 1);
  if (W.Strides.size() != Rank || W.Dilations.size() != Rank)
    return N.fail("strides and dilations must have one entry per spatial "
                  "dimension");
  for (int64_t V : llvm::concat<int64_t>(W.Kernel, W.Strides, W.Dilations))
    if (V <= 0 || V > INT32_MAX)
      return N.fail("kernel, strides and dilations must be positive");
  auto Pads = N.ints("pads");
  if (Pads && Pads->size() != 2 * Rank)
    return N.fail("pads must have two entries per spatial dimension");
  for (size_t D = 0; D < Rank; ++D) {
    int64_t Low = Pads ? (*Pads)[D] : 0, High = Pads ? (*Pads)[D + Rank] : 0;
    if (Low < 0 || High < 0 || Low > INT32_MAX || High > INT32_MAX)
      return N.fail("pads must not be negative");
    W.Low.push_back(DimExpr(Low));
    W.High.push_back(DimExpr(High));
  }
  return W;
}

LogicalResult Windows::resolveAutoPad(Node &N, ArrayRef<DimExpr> Spatial) {
  std::string Auto = N.attr("auto_pad", StringRef("NOTSET"));
  if (Auto == "NOTSET" || Auto.empty())
    return success();
  for (size_t D = 0; D < Kernel.size(); ++D) {
    Low[D] = High[D] = DimExpr(0);
    if (Auto == "VALID")
      continue;
    if (Auto != "SAME_UPPER" && Auto != "SAME_LOWER")
      return N.fail("auto_pad '" + Auto + "' does not exist");
    // As many outputs as strides fit; the odd element of padding goes to the
    // end (upper) or to the beginning.
    DimExpr Out = DimExpr::ceilDiv(Spatial[D], DimExpr(Strides[D]));
    DimExpr Total = DimExpr::max((Out - DimExpr(1)) * DimExpr(Strides[D]) +
                                     DimExpr(extent(D)) - Spatial[D],
                                 DimExpr(0));
    DimExpr Half = DimExpr::floorDiv(Total, DimExpr(2));
    Low[D] = Auto == "SAME_UPPER" ? Half : Total - Half;
    High[D] = Total - Low[D];
  }
  return success();
}

/// Bias over channels (dimension 1).
static FailureOr<Value> addBias(Node &N, Value Y, unsigned K) {
  if (!N.has(K))
    return Y;
  if (failed(N.wantRank(K, 1)) || failed(N.sameElem(0, K)) ||
      failed(N.wantEqual(N.dim(K, 0), getDim(Y.getType(), 1),
                         "bias and output channels")))
    return failure();
  return N.B.add(Y, N.B.broadcast(N.in(K), getDims(Y), {1}));
}

static FailureOr<Ints> kernelOf(Node &N, unsigned Filter) {
  Ints Kernel;
  Dims Shape = N.dims(Filter);
  for (const DimExpr &D : ArrayRef(Shape).drop_front(2)) {
    auto C = D.constant();
    if (!C)
      return N.fail("the filter's size must be known");
    Kernel.push_back(*C);
  }
  if (auto Given = N.ints("kernel_shape"); Given && *Given != Kernel)
    return N.fail("kernel_shape differs from the filter's");
  return Kernel;
}

FailureOr<Value> limosa::onnximport::buildConv(Node &N, Value X, Value W,
                                               Type Result, Value Padding) {
  Dims XD = getDims(X), WD = getDims(W);
  if (XD.size() != WD.size() || XD.size() < 3)
    return N.fail("input and filter must have one rank of at least 3");
  auto Kernel = kernelOf(N, N.op() == "QLinearConv" ? 3 : 1);
  if (failed(Kernel))
    return failure();
  auto Win = readWindows(N, *Kernel);
  if (failed(Win) || failed(Win->resolveAutoPad(N, ArrayRef(XD).drop_front(2))))
    return failure();
  if (XD.size() > 5)
    return N.fail("more than three spatial dimensions are not supported");
  int64_t Group = N.attr("group", int64_t(1));
  if (Group < 1)
    return N.fail("group must be positive");
  if (failed(N.wantEqual(XD[1], WD[1] * DimExpr(Group),
                         "input channels and group * filter channels")))
    return failure();
  if (auto C = WD[0].constant(); C && *C % Group)
    return N.fail("group does not divide the output channels");
  XD[1] = WD[1] * DimExpr(Group);
  X = N.as(X, XD);
  if (Padding) {
    Dims Low{DimExpr(0), DimExpr(0)}, High(Low);
    llvm::append_range(Low, Win->Low);
    llvm::append_range(High, Win->High);
    X = N.B.pad(X, Padding, Low, High);
    Win->Low.assign(Kernel->size(), DimExpr(0));
    Win->High = Win->Low;
  }
  infer::ConvAttrs A;
  A.Strides.assign(Win->Strides.begin(), Win->Strides.end());
  A.RhsDilation.assign(Win->Dilations.begin(), Win->Dilations.end());
  A.LhsDilation.assign(Kernel->size(), 1);
  A.PadLow.assign(Win->Low.begin(), Win->Low.end());
  A.PadHigh.assign(Win->High.begin(), Win->High.end());
  A.FeatureGroups = Group;
  std::string Reason;
  if (!infer::conv(cast<RankedTensorType>(X.getType()),
                   cast<RankedTensorType>(W.getType()),
                   Result ? Result : getElementTypeOrSelf(X), A,
                   [&](const Twine &M) { Reason = M.str(); }))
    return N.fail(Reason);
  return N.B.conv(X, W, A, Result);
}

static LogicalResult conv(Node &N) {
  if (failed(N.sameElem(0, 1)))
    return failure();
  auto Y = quantisedConv(N);
  if (succeeded(Y) && !*Y)
    Y = buildConv(N, N.in(0), N.in(1), {});
  if (failed(Y) || failed(Y = addBias(N, *Y, 2)))
    return failure();
  return N.done(*Y);
}

/// com.microsoft: x, filter, bias, and a sum; then an activation.
static LogicalResult fusedConv(Node &N) {
  if (failed(N.sameElem(0, 1)))
    return failure();
  auto Y = buildConv(N, N.in(0), N.in(1), {});
  if (failed(Y) || failed(Y = addBias(N, *Y, 2)))
    return failure();
  if (N.has(3)) {
    if (failed(N.sameElem(0, 3)))
      return failure();
    auto Other = N.broadcastTo(N.in(3), getDims(*Y));
    if (failed(Other))
      return failure();
    Y = N.B.add(*Y, *Other);
  }
  auto Parameters = N.floats("activation_params");
  Y = activate(N, *Y, N.attr("activation", StringRef("")),
               Parameters ? *Parameters : SmallVector<double>());
  return failed(Y) ? failure() : N.done(*Y);
}

static LogicalResult convTranspose(Node &N) {
  if (failed(N.sameElem(0, 1)))
    return failure();
  Value X = N.in(0), W = N.in(1);
  Dims XD = getDims(X), WD = getDims(W);
  if (XD.size() != WD.size() || XD.size() < 3 || XD.size() > 5)
    return N.fail("input and filter must have one rank from 3 to 5");
  auto Kernel = kernelOf(N, 1);
  if (failed(Kernel))
    return failure();
  auto Win = readWindows(N, *Kernel);
  if (failed(Win))
    return failure();
  size_t Rank = Kernel->size();
  int64_t Group = N.attr("group", int64_t(1));
  if (Group < 1)
    return N.fail("group must be positive");
  if (failed(N.wantEqual(XD[1], WD[0], "input and filter channels")))
    return failure();
  auto Inputs = WD[0].constant(), Outputs = WD[1].constant();
  if (!Inputs || !Outputs || *Inputs % Group)
    return N.fail("group does not divide the input channels");
  auto Extra = N.ints("output_padding");
  auto Shape = N.ints("output_shape");
  Ints OutputPadding = Extra ? *Extra : Ints(Rank, 0);
  if (Shape && Shape->size() == Rank + 2)
    Shape = Ints(Shape->begin() + 2, Shape->end());
  if (OutputPadding.size() != Rank || (Shape && Shape->size() != Rank))
    return N.fail("output_padding and output_shape must have one entry per "
                  "spatial dimension");
  for (int64_t P : OutputPadding)
    if (P < 0 || P > INT32_MAX)
      return N.fail("output_padding must not be negative");

  // The transposed convolution is a convolution of the input, spread out by
  // the strides, with the filter turned around.
  infer::ConvAttrs A;
  A.Strides.assign(Rank, 1);
  A.LhsDilation.assign(Win->Strides.begin(), Win->Strides.end());
  A.RhsDilation.assign(Win->Dilations.begin(), Win->Dilations.end());
  A.FeatureGroups = Group;
  std::string Auto = N.attr("auto_pad", StringRef("NOTSET"));
  Dims Cut(Rank, DimExpr(0)), CutHigh(Cut);
  for (size_t D = 0; D < Rank; ++D) {
    DimExpr Full = (XD[D + 2] - DimExpr(1)) * DimExpr(Win->Strides[D]) +
                   DimExpr(Win->extent(D) + OutputPadding[D]);
    bool Same = Auto == "SAME_UPPER" || Auto == "SAME_LOWER";
    if (Shape || Same) {
      DimExpr Want =
          Shape ? DimExpr((*Shape)[D]) : XD[D + 2] * DimExpr(Win->Strides[D]);
      DimExpr Total = DimExpr::max(Full - Want, DimExpr(0));
      // What the wanted shape has more is appended as output padding.
      if (auto C = (Want - Full).constant(); C && *C > 0) {
        if (*C > INT32_MAX)
          return N.fail("output_shape is too large");
        OutputPadding[D] += *C;
      }
      DimExpr Half = DimExpr::floorDiv(Total, DimExpr(2));
      bool Upper = Auto == "SAME_UPPER";
      Win->Low[D] = Upper ? Half : Total - Half;
      Win->High[D] = Total - Win->Low[D];
    } else if (Auto == "VALID") {
      Win->Low[D] = Win->High[D] = DimExpr(0);
    }
    // Padding the output is cutting off what the full convolution gives.
    DimExpr Reach(Win->extent(D) - 1);
    DimExpr Low = Reach - Win->Low[D],
            High = Reach - Win->High[D] + DimExpr(OutputPadding[D]);
    auto split = [](const DimExpr &P, DimExpr &Cut) {
      auto C = P.constant();
      DimExpr Grow = C && *C >= 0 ? P : DimExpr::max(P, DimExpr(0));
      Cut = Grow - P;
      return Grow;
    };
    A.PadLow.push_back(split(Low, Cut[D]));
    A.PadHigh.push_back(split(High, CutHigh[D]));
  }
  // Filter [C, O / G, K..] to [O, C / G, K..], spatially reversed.
  Dims Split{DimExpr(Group), DimExpr(*Inputs / Group), WD[1]};
  Ints Perm{0, 2, 1};
  Dims Filter{WD[1] * DimExpr(Group), DimExpr(*Inputs / Group)};
  for (size_t D = 0; D < Rank; ++D) {
    Split.push_back(WD[D + 2]);
    Filter.push_back(WD[D + 2]);
    Perm.push_back(D + 3);
    W = N.B.reverse(W, D + 2);
  }
  W = N.B.reshape(N.B.transpose(N.B.reshape(W, Split), Perm), Filter);
  std::string Reason;
  if (!infer::conv(cast<RankedTensorType>(X.getType()),
                   cast<RankedTensorType>(W.getType()), N.elem(0), A,
                   [&](const Twine &M) { Reason = M.str(); }))
    return N.fail(Reason);
  Value Y = N.B.conv(X, W, A);
  Dims Size = getDims(Y), Start(Size.size(), DimExpr(0));
  for (size_t D = 0; D < Rank; ++D) {
    Start[D + 2] = Cut[D];
    Size[D + 2] = Size[D + 2] - Cut[D] - CutHigh[D];
    if (auto C = Size[D + 2].constant(); C && *C < 0)
      return N.fail("the output would have a negative size");
  }
  Y = N.B.slice(Y, Start, Size, Ints(Size.size(), 1));
  auto Biased = addBias(N, Y, 2);
  return failed(Biased) ? failure() : N.done(*Biased);
}

llvm::ArrayRef<OpEntry> limosa::onnximport::convOps() {
  static const OpEntry Table[] = {
      {"", "Conv", 1, 2, 3, Floats, conv},
      {"com.microsoft", "FusedConv", 1, 2, 4, Floats, fusedConv},
      {"", "ConvTranspose", 1, 2, 3, Floats, convTranspose},
  };
  return Table;
}
