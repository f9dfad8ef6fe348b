//===- Sequence.cpp - Sequences of tensors --------------------------------===//
//
// Sequences are followed while importing: a sequence is the list of its
// tensors, some of them as runs along a dimension, and what reads it reads
// those. No sequence is left in the program.
//
//===----------------------------------------------------------------------===//

#include "Control.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

using Part = Sequence::Part;

/// The parts of sequence input K, all of which must be known.
static FailureOr<ArrayRef<Part>> parts(Node &N, unsigned K = 0) {
  if (!N.tensor(K).Seq)
    return N.fail("input " + Twine(K) + " is no sequence");
  if (N.tensor(K).Seq->Carried)
    return N.fail("reads a sequence that a loop is appending to");
  return ArrayRef<Part>(N.tensor(K).Seq->Parts);
}

static DimExpr length(ArrayRef<Part> Parts) {
  DimExpr Length(0);
  for (const Part &P : Parts)
    Length = Length + (P.Run ? getDim(P.T.Type, 0) : DimExpr(1));
  return Length;
}

/// All tensors along a new first dimension; they must have one shape.
static FailureOr<Value> stack(Node &N, ArrayRef<Part> Parts) {
  SmallVector<Value> Vs;
  for (const Part &P : Parts) {
    Tensor T = P.T;
    Value V = N.I.materialize(T, N.B.loc());
    Vs.push_back(P.Run ? V : N.B.expandDims(V, {0}));
  }
  if (Vs.empty())
    return N.fail("the sequence is empty");
  Dims Shape = getDims(Vs[0]);
  for (Value &V : llvm::drop_begin(Vs)) {
    Dims Own = getDims(V);
    if (Own.size() != Shape.size() ||
        getElementTypeOrSelf(V) != getElementTypeOrSelf(Vs[0]))
      return N.fail("the tensors of the sequence differ in rank or type");
    for (size_t D = 1; D < Own.size(); ++D)
      if (failed(N.wantEqual(Shape[D], Own[D], "sizes in a sequence")))
        return failure();
    Dims To(Shape);
    To[0] = Own[0];
    V = N.as(V, To);
  }
  return N.B.concat(Vs, 0);
}

FailureOr<Sequence> limosa::onnximport::appendRounds(Node &N,
                                                     const Sequence &Before,
                                                     ArrayRef<Value> Items) {
  Sequence All = Before;
  if (Items.empty())
    return All;
  if (Items.size() == 1) {
    All.Parts.push_back({Tensor::of(Items[0]), /*Run=*/true});
    return All;
  }
  // Round by round: [rounds, items, ..] with the first two made one.
  SmallVector<Value> Rows;
  for (Value V : Items) {
    if (V.getType() != Items[0].getType())
      return N.fail("appends tensors of different shapes to a sequence");
    Rows.push_back(N.B.expandDims(V, {1}));
  }
  Dims Shape = getDims(Items[0]);
  Shape[0] = Shape[0] * DimExpr(int64_t(Items.size()));
  All.Parts.push_back(
      {Tensor::of(N.B.reshape(N.B.concat(Rows, 1), Shape)), /*Run=*/true});
  return All;
}

static LogicalResult empty(Node &N) {
  return N.out(0, Tensor::of(Sequence())), success();
}

static LogicalResult construct(Node &N) {
  Sequence S;
  for (unsigned K = 0; K < N.numInputs(); ++K) {
    if (!N.has(K))
      return N.fail("input " + Twine(K) + " is missing");
    S.Parts.push_back({N.tensor(K), /*Run=*/false});
  }
  return N.out(0, Tensor::of(std::move(S))), success();
}

/// The part that is element `At`, counted from the end if negative; `Size` may
/// be asked for too (an insertion at the end).
static FailureOr<size_t> partAt(Node &N, ArrayRef<Part> Parts, int64_t At,
                                bool OrEnd) {
  // Runs have unknown lengths: no counting across them.
  bool Back = At < 0;
  auto Length = length(Parts).constant();
  if (Length && (At < -*Length || At >= *Length + OrEnd))
    return N.fail("position " + Twine(At) + " lies outside of the sequence");
  size_t Steps = Back ? size_t(-At) : size_t(At) + !OrEnd;
  ArrayRef<Part> Crossed =
      Back ? Parts.take_back(std::min(Steps, Parts.size()))
           : Parts.take_front(std::min(Steps, Parts.size()));
  if (llvm::any_of(Crossed, [](const Part &P) { return P.Run; }) ||
      Steps > Parts.size())
    return N.fail("position " + Twine(At) +
                  " of a sequence of unknown length is not supported");
  return Back ? Parts.size() - Steps : size_t(At);
}

static FailureOr<int64_t> position(Node &N, unsigned K) {
  auto At = N.constInts(K);
  if (!At || At->size() != 1)
    return N.fail("positions that are computed are not supported");
  return At->front();
}

static LogicalResult insert(Node &N) {
  if (!N.tensor(0).Seq)
    return N.fail("input 0 is no sequence");
  Sequence S = *N.tensor(0).Seq;
  size_t Where = S.Parts.size();
  if (N.has(2)) {
    auto Known = parts(N);
    auto At = position(N, 2);
    if (failed(Known) || failed(At))
      return failure();
    auto Index = partAt(N, *Known, *At, /*OrEnd=*/true);
    if (failed(Index))
      return failure();
    Where = *Index;
  }
  S.Parts.insert(S.Parts.begin() + Where, {N.tensor(1), /*Run=*/false});
  return N.out(0, Tensor::of(std::move(S))), success();
}

static LogicalResult erase(Node &N) {
  auto Known = parts(N);
  if (failed(Known))
    return failure();
  int64_t At = -1;
  if (N.has(1)) {
    auto Given = position(N, 1);
    if (failed(Given))
      return failure();
    At = *Given;
  }
  auto Index = partAt(N, *Known, At, /*OrEnd=*/false);
  if (failed(Index))
    return failure();
  Sequence S = *N.tensor(0).Seq;
  S.Parts.erase(S.Parts.begin() + *Index);
  return N.out(0, Tensor::of(std::move(S))), success();
}

static LogicalResult at(Node &N) {
  auto Known = parts(N);
  if (failed(Known))
    return failure();
  bool Runs = llvm::any_of(*Known, [](const Part &P) { return P.Run; });
  if (auto At = N.constInts(1); At && At->size() == 1 && !Runs) {
    auto Index = partAt(N, *Known, At->front(), /*OrEnd=*/false);
    if (failed(Index))
      return failure();
    return N.out(0, (*Known)[*Index].T), success();
  }
  if (!N.type(1).hasStaticShape() || N.type(1).getNumElements() != 1)
    return N.fail("the position must be a scalar");
  auto All = stack(N, *Known);
  if (failed(All))
    return failure();
  Value At = N.B.reshape(N.B.convert(N.in(1), N.i64()), {});
  return N.done(N.B.take(*All, N.wrapIndices(At, length(*Known)), 0));
}

static LogicalResult sequenceLength(Node &N) {
  auto Known = parts(N);
  if (failed(Known))
    return failure();
  auto T = std::make_shared<KnownTensor>(KnownTensor::scalar(length(*Known)));
  return N.out(0, Tensor::of(KnownRef(T), N.i64())), success();
}

static LogicalResult concatFromSequence(Node &N) {
  auto Known = parts(N);
  if (failed(Known))
    return failure();
  if (Known->empty())
    return N.fail("the sequence is empty");
  bool NewAxis = N.attr("new_axis", int64_t(0)) != 0;
  const Part &First = Known->front();
  int64_t Rank = First.T.Type.getRank() - First.Run;
  auto Axis = N.axis(N.attr("axis", int64_t(0)), Rank + NewAxis);
  if (failed(Axis))
    return failure();
  // Dimension 0 moved to where the axis is.
  auto move = [&](Value V) {
    Ints Perm = llvm::to_vector(
        llvm::seq<int64_t>(1, cast<RankedTensorType>(V.getType()).getRank()));
    Perm.insert(Perm.begin() + *Axis, 0);
    return N.B.transpose(V, Perm);
  };
  if (NewAxis) {
    auto All = stack(N, *Known);
    return failed(All) ? failure() : N.done(move(*All));
  }
  SmallVector<Value> Vs;
  Dims Shape;
  for (const Part &P : *Known) {
    Tensor T = P.T;
    Value V = N.I.materialize(T, N.B.loc());
    if (P.Run) {
      V = move(V);
      Dims Merged = getDims(V);
      Merged[*Axis + 1] = Merged[*Axis] * Merged[*Axis + 1];
      Merged.erase(Merged.begin() + *Axis);
      V = N.B.reshape(V, Merged);
    }
    Dims Own = getDims(V);
    if (Vs.empty())
      Shape = Own;
    if (Own.size() != Shape.size() ||
        (!Vs.empty() && getElementTypeOrSelf(V) != getElementTypeOrSelf(Vs[0])))
      return N.fail("the tensors of the sequence differ in rank or type");
    Dims To(Shape);
    for (size_t D = 0; D < Own.size(); ++D)
      if (int64_t(D) != *Axis &&
          failed(N.wantEqual(Shape[D], Own[D], "sizes in a sequence")))
        return failure();
    To[*Axis] = Own[*Axis];
    Vs.push_back(N.as(V, To));
  }
  return N.done(N.B.concat(Vs, *Axis));
}

static LogicalResult splitToSequence(Node &N) {
  auto Axis = N.axis(N.attr("axis", int64_t(0)), N.rank(0));
  if (failed(Axis))
    return failure();
  DimExpr Size = N.dim(0, *Axis);
  Sequence S;
  if (!N.has(1) && !Size.constant()) {
    // As many parts as the dimension is long.
    Ints Perm{*Axis};
    for (int64_t D = 0; D < N.rank(0); ++D)
      if (D != *Axis)
        Perm.push_back(D);
    Value V = N.B.transpose(N.in(0), Perm);
    if (N.attr("keepdims", int64_t(1)))
      V = N.B.expandDims(V, {*Axis + 1});
    S.Parts.push_back({Tensor::of(V), /*Run=*/true});
    return N.out(0, Tensor::of(std::move(S))), success();
  }
  Dims Sizes;
  if (N.has(1) && N.rank(1) == 1) {
    auto Given = N.sizes(1);
    if (failed(Given))
      return failure();
    Sizes = *Given;
  } else {
    auto Given = N.has(1) ? N.constInts(1) : Ints{1};
    auto Total = Size.constant();
    if (!Given || Given->size() != 1 || Given->front() < 1 || !Total)
      return N.fail("the number of parts must be known");
    for (int64_t Left = *Total; Left > 0; Left -= Given->front())
      Sizes.push_back(DimExpr(std::min(Left, Given->front())));
  }
  bool Keep = N.has(1) || N.attr("keepdims", int64_t(1));
  DimExpr Start(0);
  for (const DimExpr &Part : Sizes) {
    Value V = N.B.sliceDim(N.in(0), *Axis, Start, Part);
    S.Parts.push_back(
        {Tensor::of(Keep ? V : N.B.squeeze(V, {*Axis})), /*Run=*/false});
    Start = Start + Part;
  }
  if (failed(N.wantEqual(Start, Size, "the sum of the parts and the size")))
    return failure();
  return N.out(0, Tensor::of(std::move(S))), success();
}

//===----------------------------------------------------------------------===//
// Optionals: what has a value is the value
//===----------------------------------------------------------------------===//

static LogicalResult optional(Node &N) {
  return N.out(0, N.has(0) ? N.tensor(0) : Tensor::absent()), success();
}

static LogicalResult optionalHasElement(Node &N) {
  bool Has = N.has(0) && !N.tensor(0).Absent;
  auto T = std::make_shared<KnownTensor>(KnownTensor::scalar(DimExpr(Has)));
  return N.out(0, Tensor::of(KnownRef(T), N.i1())), success();
}

static LogicalResult optionalGetElement(Node &N) {
  if (N.tensor(0).Absent)
    return N.fail("the optional has no value");
  return N.out(0, N.tensor(0)), success();
}

llvm::ArrayRef<OpEntry> limosa::onnximport::sequenceOps() {
  static const OpEntry Table[] = {
      {"", "SequenceEmpty", 11, 0, 0, AnyOrString, empty},
      {"", "SequenceConstruct", 11, 1, -1, AnyOrString, construct, 0xff},
      {"", "SequenceInsert", 11, 2, 3, Sequences, insert, 2},
      {"", "SequenceErase", 11, 1, 2, Sequences, erase},
      {"", "SequenceAt", 11, 2, 2, Sequences, at},
      {"", "SequenceLength", 11, 1, 1, Sequences, sequenceLength},
      {"", "ConcatFromSequence", 11, 1, 1, Sequences, concatFromSequence},
      {"", "SplitToSequence", 11, 1, 2, AnyOrString, splitToSequence},
      {"", "SequenceMap", 17, 1, -1, Sequences, importSequenceMap, 0xff},
      {"", "Optional", 15, 0, 1, AnyOrString | Sequences, optional},
      {"", "OptionalHasElement", 15, 0, 1, AnyOrString | Sequences,
       optionalHasElement},
      {"", "OptionalGetElement", 15, 1, 1, AnyOrString | Sequences,
       optionalGetElement},
  };
  return Table;
}
