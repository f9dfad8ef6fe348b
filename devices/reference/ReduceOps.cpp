//===- ReduceOps.cpp - reduce, scan and window ----------------------------===//
//
// All three combine in lanes: one lane per result element (or per line of a
// scan), all lanes taking one step of the reduction together. Floats accumulate
// in f64 unless the caller wants to see what plain arithmetic loses.
//
//===----------------------------------------------------------------------===//

#include "RegionProgram.h"
#include "Strided.h"

#include <algorithm>
#include <cstring>

using namespace limosa;
using namespace limosa::reference;

namespace {

constexpr int64_t MaxLanes = RegionProgram::MaxLanes;

/// What the three ops share: n inputs of one shape, n inits, the region.
class Combining {
public:
  explicit Combining(OpContext &C) : C(C) {}

  Status prepare() {
    N = C.resultCount();
    if (N == 0 || C.operandCount() != 2 * N)
      return C.fail("has " + std::to_string(C.operandCount()) +
                    " operands for " + std::to_string(N) + " results");
    LIMOSA_TRY(C.expect(2 * N, N, 1));
    std::vector<DType> Types;
    for (unsigned K = 0; K < N; ++K) {
      if (input(K).dims() != input(0).dims())
        return C.fail("inputs have shapes " + shapeText(input(0).dims()) +
                      " and " + shapeText(input(K).dims()));
      if (init(K).rank() != 0 || init(K).dtype() != input(K).dtype())
        return C.fail("an init is not a rank-0 tensor of its input's dtype");
      Types.push_back(input(K).dtype());
    }
    std::vector<DType> Args = Types;
    Args.insert(Args.end(), Types.begin(), Types.end());
    const bool Widen = !C.F.E.Options.NarrowAccumulation;
    return RegionProgram::compile(C, 0, Args, Types, Widen, Program);
  }

  const Tensor &input(unsigned K) const { return C.operand(K); }
  const Tensor &init(unsigned K) const { return C.operand(N + K); }
  const Shape &dims() const { return input(0).dims(); }

  Status makeOutputs(const Shape &Dims) {
    Outputs.resize(N);
    for (unsigned K = 0; K < N; ++K)
      LIMOSA_TRY(C.make(input(K).dtype(), Dims, Outputs[K]));
    return Status();
  }
  Status setResults() {
    for (unsigned K = 0; K < N; ++K)
      LIMOSA_TRY(C.setResult(K, std::move(Outputs[K])));
    return Status();
  }

  /// Sets the accumulators of all lanes to the inits.
  void start(int64_t Lanes) {
    for (unsigned K = 0; K < N; ++K) {
      uint8_t Element[8];
      convertElements(init(K).dtype(), init(K).data(), Program.argType(K),
                      Element, 1);
      fillElements(Program.arg(K), Element, Lanes,
                   elementBytes(Program.argType(K)));
    }
  }
  /// Combines the elements of the inputs at these offsets (negative: the init)
  /// into the accumulators.
  Status step(const int64_t *Offsets, int64_t Lanes) {
    for (unsigned K = 0; K < N; ++K) {
      DType T = input(K).dtype();
      uint8_t Raw[MaxLanes * 8];
      gatherElements(Raw, input(K).data(), Offsets, Lanes, elementBytes(T),
                     init(K).data());
      convertElements(T, Raw, Program.argType(N + K), Program.arg(N + K),
                      Lanes);
    }
    return combine(Lanes);
  }
  /// The same for a run of consecutive elements.
  Status stepRun(int64_t Offset, int64_t Lanes) {
    for (unsigned K = 0; K < N; ++K) {
      DType T = input(K).dtype();
      convertElements(T, input(K).data() + Offset * elementBytes(T),
                      Program.argType(N + K), Program.arg(N + K), Lanes);
    }
    return combine(Lanes);
  }
  /// Sets the accumulators to a run of elements instead.
  void startWith(int64_t Offset, int64_t Lanes) {
    for (unsigned K = 0; K < N; ++K) {
      DType T = input(K).dtype();
      convertElements(T, input(K).data() + Offset * elementBytes(T),
                      Program.argType(K), Program.arg(K), Lanes);
    }
  }
  /// Combines the upper half of the lanes into the lower until one is left, and
  /// that with the inits.
  Status fold(int64_t Lanes) {
    while (Lanes > 1) {
      int64_t Half = Lanes / 2;
      for (unsigned K = 0; K < N; ++K) {
        int64_t Size = elementBytes(Program.argType(K));
        std::memcpy(Program.arg(N + K), Program.arg(K) + (Lanes - Half) * Size,
                    size_t(Half * Size));
      }
      LIMOSA_TRY(combine(Half));
      Lanes -= Half;
    }
    int64_t Outside = -1;
    return step(&Outside, 1);
  }
  /// Writes the accumulators to the outputs at these offsets.
  void store(const int64_t *Offsets, int64_t Lanes) {
    for (unsigned K = 0; K < N; ++K) {
      DType T = Outputs[K].dtype();
      uint8_t Raw[MaxLanes * 8];
      convertElements(Program.argType(K), Program.arg(K), T, Raw, Lanes);
      scatterElements(Outputs[K].data(), Offsets, Raw, Lanes, elementBytes(T));
    }
  }
  /// Whether every result is one associative op of its accumulator and element,
  /// so that the order does not matter.
  bool isSimple() const {
    for (unsigned K = 0; K < N; ++K) {
      std::string_view Op = Program.combinerOf(K, K, N + K);
      if (Op != "add" && Op != "mul" && Op != "min" && Op != "max" &&
          Op != "and" && Op != "or" && Op != "xor")
        return false;
    }
    return true;
  }

private:
  Status combine(int64_t Lanes) {
    LIMOSA_TRY(Program.run(Lanes));
    // All results are read before an argument changes: a result may be one.
    Next.resize(N * size_t(MaxLanes) * 8);
    for (unsigned K = 0; K < N; ++K)
      std::memcpy(next(K), Program.result(K), laneBytes(K, Lanes));
    for (unsigned K = 0; K < N; ++K)
      std::memcpy(Program.arg(K), next(K), laneBytes(K, Lanes));
    return Status();
  }

  uint8_t *next(unsigned K) { return Next.data() + K * MaxLanes * 8; }
  size_t laneBytes(unsigned K, int64_t Lanes) const {
    return size_t(Lanes * elementBytes(Program.argType(K)));
  }

  OpContext &C;
  unsigned N = 0;
  RegionProgram Program;
  std::vector<Tensor> Outputs;
  std::vector<uint8_t> Next;
};

/// Fills up to MaxLanes offsets from a walk; `Left` counts what is to come.
int64_t takeOffsets(BlockWalk &Walk, int64_t &Left, int64_t *Offsets) {
  int64_t Lanes = std::min(Left, MaxLanes);
  for (int64_t I = 0; I < Lanes; ++I) {
    Offsets[I] = Walk.offset();
    Walk.next();
  }
  Left -= Lanes;
  return Lanes;
}

void countUp(int64_t *Offsets, int64_t From, int64_t Count) {
  for (int64_t I = 0; I < Count; ++I)
    Offsets[I] = From + I;
}

Status runReduce(OpContext &C) {
  Combining R(C);
  LIMOSA_TRY(R.prepare());
  std::vector<int64_t> Reduced, Kept;
  LIMOSA_TRY(C.attrDims("dims", int64_t(R.dims().size()), Reduced));
  for (int64_t D = 0; D < int64_t(R.dims().size()); ++D)
    if (std::find(Reduced.begin(), Reduced.end(), D) == Reduced.end())
      Kept.push_back(D);
  std::sort(Reduced.begin(), Reduced.end());
  Shape OutDims = pick(R.dims(), Kept), Over = pick(R.dims(), Reduced);
  LIMOSA_TRY(R.makeOutputs(OutDims));
  Shape Strides = rowMajorStrides(R.dims());
  int64_t Left = *countElements(OutDims);
  int64_t Steps = countElements(Over).value_or(0);
  BlockWalk Results(OutDims, pick(Strides, Kept));
  int64_t From[MaxLanes], At[MaxLanes], To[MaxLanes];

  // Long runs of reduced elements: the lanes split each run.
  int64_t Run =
      Reduced.empty() || Reduced.back() + 1 != int64_t(R.dims().size())
          ? 1
          : R.dims().back();
  if (Run >= 64 && R.isSimple() && !C.F.E.Options.NarrowAccumulation) {
    Reduced.pop_back();
    BlockWalk Lines(pick(R.dims(), Reduced), pick(Strides, Reduced));
    for (int64_t I = 0; I < Left; ++I, Results.next()) {
      if (Steps == 0) {
        R.start(1);
      } else {
        int64_t Lanes = std::min(Run, MaxLanes);
        R.startWith(Results.offset(), Lanes);
        for (int64_t Done = Lanes;; Done = 0) {
          for (; Done < Run; Done += MaxLanes)
            LIMOSA_TRY(R.stepRun(Results.offset() + Lines.offset() + Done,
                                 std::min(MaxLanes, Run - Done)));
          if (!Lines.next())
            break;
        }
        LIMOSA_TRY(R.fold(Lanes));
      }
      R.store(&I, 1);
    }
    return R.setResults();
  }

  BlockWalk Positions(Over, pick(Strides, Reduced));
  for (int64_t Begin = 0; Left > 0;) {
    int64_t Lanes = takeOffsets(Results, Left, From);
    R.start(Lanes);
    if (Steps != 0)
      do {
        for (int64_t I = 0; I < Lanes; ++I)
          At[I] = From[I] + Positions.offset();
        LIMOSA_TRY(R.step(At, Lanes));
      } while (Positions.next());
    countUp(To, Begin, Lanes);
    R.store(To, Lanes);
    Begin += Lanes;
  }
  return R.setResults();
}

Status runScan(OpContext &C) {
  Combining R(C);
  LIMOSA_TRY(R.prepare());
  int64_t Dim, Exclusive, Reverse;
  LIMOSA_TRY(C.attrIndex("dim", int64_t(R.dims().size()), Dim));
  LIMOSA_TRY(C.attr("exclusive", Exclusive));
  LIMOSA_TRY(C.attr("reverse", Reverse));
  LIMOSA_TRY(R.makeOutputs(R.dims()));
  Shape Others = R.dims(), Strides = rowMajorStrides(R.dims());
  int64_t Length = Others[size_t(Dim)], Stride = Strides[size_t(Dim)];
  Others[size_t(Dim)] = 1;
  int64_t Left = Length == 0 ? 0 : *countElements(Others);
  BlockWalk Lines(Others, Strides);
  int64_t From[MaxLanes], At[MaxLanes];
  while (Left > 0) {
    int64_t Lanes = takeOffsets(Lines, Left, From);
    R.start(Lanes);
    for (int64_t I = 0; I < Length; ++I) {
      int64_t Position = (Reverse ? Length - 1 - I : I) * Stride;
      for (int64_t L = 0; L < Lanes; ++L)
        At[L] = From[L] + Position;
      if (Exclusive)
        R.store(At, Lanes);
      LIMOSA_TRY(R.step(At, Lanes));
      if (!Exclusive)
        R.store(At, Lanes);
    }
  }
  return R.setResults();
}

/// Result size of a window along one dimension; false if it is not one.
bool windowExtent(int64_t Size, int64_t Low, int64_t High, int64_t Window,
                  int64_t Dilation, int64_t Stride, int64_t &Out) {
  if (Window < 1 || Dilation < 1 || Stride < 1)
    return false;
  __int128 Room =
      __int128(Size) + Low + High - __int128(Window - 1) * Dilation - 1;
  __int128 Count =
      Room < 0 ? -((-Room + Stride - 1) / Stride) + 1 : Room / Stride + 1;
  Out = int64_t(Count);
  return Count >= 0 && Count == Out;
}

Status runWindow(OpContext &C) {
  Combining R(C);
  LIMOSA_TRY(R.prepare());
  size_t Rank = R.dims().size();
  std::vector<int64_t> Sizes, Strides, Dilations, Low, High;
  LIMOSA_TRY(C.attr("sizes", Sizes));
  LIMOSA_TRY(C.attr("strides", Strides));
  LIMOSA_TRY(C.attr("dilations", Dilations));
  LIMOSA_TRY(C.attrExprs("pad_low", Low));
  LIMOSA_TRY(C.attrExprs("pad_high", High));
  for (const auto *List : {&Sizes, &Strides, &Dilations, &Low, &High})
    if (List->size() != Rank)
      return C.fail("an attribute does not have " + std::to_string(Rank) +
                    " entries");
  // Far below where sums and products of them overflow.
  constexpr int64_t Limit = int64_t(1) << 30;
  for (const auto *List : {&Sizes, &Strides, &Dilations, &Low, &High})
    for (int64_t V : *List)
      if (V < -Limit || V > Limit)
        return C.fail("an attribute is out of range: " + std::to_string(V));
  Shape OutDims(Rank);
  for (size_t D = 0; D < Rank; ++D)
    if (!windowExtent(R.dims()[D], Low[D], High[D], Sizes[D], Dilations[D],
                      Strides[D], OutDims[D]))
      return C.fail(LIMOSA_STATUS_FAILED, "the window does not fit dimension " +
                                              std::to_string(D) + " of " +
                                              shapeText(R.dims()));
  LIMOSA_TRY(R.makeOutputs(OutDims));
  Shape InStrides = rowMajorStrides(R.dims());
  int64_t Left = *countElements(OutDims);
  BlockWalk Results(OutDims, Shape(Rank, 0));
  std::vector<int64_t> Starts(Rank *
                              size_t(MaxLanes)); // first position, by lane
  int64_t At[MaxLanes], To[MaxLanes];
  for (int64_t Begin = 0; Left > 0;) {
    int64_t Lanes = std::min(Left, MaxLanes);
    for (int64_t L = 0; L < Lanes; ++L, Results.next())
      for (size_t D = 0; D < Rank; ++D)
        Starts[D * MaxLanes + L] = Results.index()[D] * Strides[D] - Low[D];
    R.start(Lanes);
    BlockWalk Window(Sizes, Shape(Rank, 0));
    do {
      std::fill_n(At, Lanes, 0);
      for (size_t D = 0; D < Rank; ++D) {
        int64_t Within = Window.index()[D] * Dilations[D];
        for (int64_t L = 0; L < Lanes; ++L) {
          int64_t Position = Starts[D * MaxLanes + L] + Within;
          bool Outside = Position < 0 || Position >= R.dims()[D];
          At[L] = Outside || At[L] < 0 ? -1 : At[L] + Position * InStrides[D];
        }
      }
      LIMOSA_TRY(R.step(At, Lanes));
    } while (Window.next());
    countUp(To, Begin, Lanes);
    R.store(To, Lanes);
    Begin += Lanes;
    Left -= Lanes;
  }
  return R.setResults();
}

constexpr OpEntry Ops[] = {
    {"reduce", runReduce}, {"scan", runScan}, {"window", runWindow}};

} // namespace

std::span<const OpEntry> limosa::reference::reduceOps() { return Ops; }
