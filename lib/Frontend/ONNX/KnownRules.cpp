//===- KnownRules.cpp - Shape arithmetic on known elements ----------------===//
//
// The operators that models compute shapes with, evaluated on expressions. A
// rule returns null whenever the result does not follow from what is known;
// the node is then imported like any other.
//
//===----------------------------------------------------------------------===//

#include "KnownRules.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using llvm::MulOverflow;
using namespace limosa;
using namespace limosa::onnximport;
using namespace limosa::onnximport::knownrules;

namespace {

using Rule = KnownRef (*)(const KnownQuery &);

std::optional<int64_t> normalize(int64_t Axis, int64_t Rank) {
  if (Axis < -Rank || Axis >= Rank)
    return std::nullopt;
  return Axis < 0 ? Axis + Rank : Axis;
}

std::optional<SmallVector<int64_t>> constants(const KnownRef &T) {
  if (!T)
    return std::nullopt;
  SmallVector<int64_t> Out;
  for (const KnownNumber &N : T->Elements) {
    auto V = N.constantInt();
    if (!V)
      return std::nullopt;
    Out.push_back(*V);
  }
  return Out;
}

//===----------------------------------------------------------------------===//
// Data movement
//===----------------------------------------------------------------------===//

/// A view of a tensor as [Outer, Size, Inner] around an axis.
struct AxisView {
  int64_t Outer = 1, Size, Inner = 1;
  AxisView(ArrayRef<int64_t> Shape, int64_t Axis) : Size(Shape[Axis]) {
    for (int64_t D : Shape.take_front(Axis))
      Outer *= D;
    for (int64_t D : Shape.drop_front(Axis + 1))
      Inner *= D;
  }
};

KnownRef gather(const KnownQuery &Q) {
  if (Q.Inputs.size() != 2)
    return nullptr;
  const KnownTensor &A = *Q.Inputs[0];
  auto Axis = normalize(Q.Int("axis", 0), A.Shape.size());
  auto Indices = constants(Q.Inputs[1]);
  if (!Axis || !Indices)
    return nullptr;
  AxisView View(A.Shape, *Axis);
  SmallVector<int64_t> Shape(A.Shape.begin(), A.Shape.begin() + *Axis);
  llvm::append_range(Shape, Q.Inputs[1]->Shape);
  Shape.append(A.Shape.begin() + *Axis + 1, A.Shape.end());
  if (numElements(Shape) < 0)
    return nullptr;
  SmallVector<KnownNumber, 4> Out;
  for (int64_t O = 0; O < View.Outer; ++O)
    for (int64_t Index : *Indices) {
      auto At = normalize(Index, View.Size);
      if (!At)
        return nullptr;
      for (int64_t I = 0; I < View.Inner; ++I)
        Out.push_back(A.Elements[(O * View.Size + *At) * View.Inner + I]);
    }
  return make(Shape, std::move(Out));
}

KnownRef concat(const KnownQuery &Q) {
  const KnownTensor &First = *Q.Inputs[0];
  auto Axis = normalize(Q.Int("axis", 1), First.Shape.size());
  if (!Axis)
    return nullptr;
  SmallVector<int64_t> Shape(First.Shape);
  Shape[*Axis] = 0;
  for (const KnownRef &T : Q.Inputs) {
    if (T->Shape.size() != Shape.size())
      return nullptr;
    for (size_t D = 0; D < Shape.size(); ++D)
      if (int64_t(D) == *Axis)
        Shape[D] += T->Shape[D];
      else if (T->Shape[D] != Shape[D])
        return nullptr;
  }
  if (numElements(Shape) < 0)
    return nullptr;
  AxisView View(Shape, *Axis);
  SmallVector<KnownNumber, 4> Out;
  for (int64_t O = 0; O < View.Outer; ++O)
    for (const KnownRef &T : Q.Inputs) {
      int64_t Block = T->Shape[*Axis] * View.Inner;
      Out.append(T->Elements.begin() + O * Block,
                 T->Elements.begin() + (O + 1) * Block);
    }
  return make(Shape, std::move(Out));
}

/// Part of one axis: elements Start, Start + Step, .. Count of them.
KnownRef sliceAxis(const KnownRef &T, int64_t Axis, int64_t Start,
                   int64_t Count, int64_t Step) {
  AxisView View(T->Shape, Axis);
  SmallVector<int64_t> Shape(T->Shape);
  Shape[Axis] = Count;
  SmallVector<KnownNumber, 4> Out;
  for (int64_t O = 0; O < View.Outer; ++O)
    for (int64_t C = 0; C < Count; ++C)
      for (int64_t I = 0; I < View.Inner; ++I)
        Out.push_back(
            T->Elements[(O * View.Size + Start + C * Step) * View.Inner + I]);
  return make(Shape, std::move(Out));
}

KnownRef slice(const KnownQuery &Q) {
  KnownRef T = Q.Inputs[0];
  auto Arg = [&](unsigned I, StringRef Name) {
    if (Q.Opset < 10)
      return Q.Ints(Name);
    return I < Q.Inputs.size() && Q.Inputs[I] ? constants(Q.Inputs[I])
                                              : std::nullopt;
  };
  auto Starts = Arg(1, "starts"), Ends = Arg(2, "ends"), Axes = Arg(3, "axes");
  auto Steps = Q.Opset < 10 ? std::nullopt : Arg(4, "");
  bool HasAxes =
      Q.Opset < 10 ? Axes.has_value() : Q.Inputs.size() > 3 && Q.Inputs[3];
  bool HasSteps = Q.Opset >= 10 && Q.Inputs.size() > 4 && Q.Inputs[4];
  if (!Starts || !Ends || Starts->size() != Ends->size() ||
      (HasAxes && (!Axes || Axes->size() != Starts->size())) ||
      (HasSteps && (!Steps || Steps->size() != Starts->size())))
    return nullptr;
  for (size_t I = 0; I < Starts->size(); ++I) {
    auto Axis = normalize(HasAxes ? (*Axes)[I] : int64_t(I), T->Shape.size());
    int64_t Step = HasSteps ? (*Steps)[I] : 1;
    if (!Axis || Step == 0 || Step == INT64_MIN)
      return nullptr;
    int64_t Size = T->Shape[*Axis];
    auto Clamp = [&](int64_t V) {
      if (V < 0)
        V = V < -Size ? -1 : V + Size;
      return Step > 0 ? std::clamp<int64_t>(V, 0, Size)
                      : std::clamp<int64_t>(V, -1, Size - 1);
    };
    int64_t Start = (*Starts)[I], End = (*Ends)[I];
    Start = Start < -Size ? (Step > 0 ? 0 : -1) : Clamp(Start);
    End = End < -Size ? (Step > 0 ? 0 : -1) : Clamp(End);
    int64_t Count = Step > 0 ? (End - Start + Step - 1) / Step
                             : (Start - End - Step - 1) / -Step;
    T = sliceAxis(T, *Axis, Start, std::max<int64_t>(Count, 0), Step);
  }
  return T;
}

/// Reshaped to a shape of constants; elements stay.
KnownRef withShape(const KnownRef &T, ArrayRef<int64_t> Shape) {
  if (numElements(Shape) != int64_t(T->Elements.size()))
    return nullptr;
  return make(Shape, T->Elements);
}

std::optional<SmallVector<int64_t>> axesOf(const KnownQuery &Q, int64_t Since) {
  if (Q.Opset < Since)
    return Q.Ints("axes");
  return Q.Inputs.size() > 1 && Q.Inputs[1] ? constants(Q.Inputs[1])
                                            : std::nullopt;
}

KnownRef unsqueeze(const KnownQuery &Q) {
  auto Axes = axesOf(Q, 13);
  if (!Axes)
    return nullptr;
  int64_t Rank = int64_t(Q.Inputs[0]->Shape.size() + Axes->size());
  SmallVector<bool> New(Rank, false);
  for (int64_t A : *Axes) {
    auto At = normalize(A, Rank);
    if (!At || New[*At])
      return nullptr;
    New[*At] = true;
  }
  SmallVector<int64_t> Shape;
  auto Next = Q.Inputs[0]->Shape.begin();
  for (int64_t D = 0; D < Rank; ++D)
    Shape.push_back(New[D] ? 1 : *Next++);
  return withShape(Q.Inputs[0], Shape);
}

KnownRef squeeze(const KnownQuery &Q) {
  const KnownTensor &A = *Q.Inputs[0];
  auto Axes = axesOf(Q, 13);
  if (!Axes && Q.Inputs.size() > 1)
    return nullptr;
  SmallVector<bool> Drop(A.Shape.size(), false);
  if (Axes)
    for (int64_t X : *Axes) {
      auto At = normalize(X, A.Shape.size());
      if (!At || A.Shape[*At] != 1)
        return nullptr;
      Drop[*At] = true;
    }
  SmallVector<int64_t> Shape;
  for (size_t D = 0; D < A.Shape.size(); ++D)
    if (Axes ? !Drop[D] : A.Shape[D] != 1)
      Shape.push_back(A.Shape[D]);
  return withShape(Q.Inputs[0], Shape);
}

KnownRef reshape(const KnownQuery &Q) {
  if (Q.Inputs.size() != 2 || Q.Int("allowzero", 0))
    return nullptr;
  auto Shape = constants(Q.Inputs[1]);
  if (!Shape)
    return nullptr;
  const KnownTensor &A = *Q.Inputs[0];
  int64_t Known = 1, Free = -1;
  for (size_t D = 0; D < Shape->size(); ++D) {
    if ((*Shape)[D] == 0) {
      if (D >= A.Shape.size())
        return nullptr;
      (*Shape)[D] = A.Shape[D];
    }
    if ((*Shape)[D] == -1) {
      if (Free >= 0)
        return nullptr;
      Free = D;
    } else if ((*Shape)[D] < 0 || MulOverflow(Known, (*Shape)[D], Known)) {
      return nullptr;
    }
  }
  if (Free >= 0) {
    if (Known == 0)
      return nullptr;
    (*Shape)[Free] = int64_t(A.Elements.size()) / Known;
  }
  return withShape(Q.Inputs[0], *Shape);
}

KnownRef transpose(const KnownQuery &Q) {
  const KnownTensor &A = *Q.Inputs[0];
  size_t Rank = A.Shape.size();
  auto Perm = Q.Ints("perm");
  if (!Perm)
    Perm = llvm::to_vector(llvm::reverse(llvm::seq<int64_t>(0, Rank)));
  if (Perm->size() != Rank)
    return nullptr;
  // Of each result dimension: its size, and its stride in the operand.
  SmallVector<int64_t> Strides(Rank, 1), Shape, Steps;
  for (size_t D = Rank; D-- > 1;)
    Strides[D - 1] = Strides[D] * A.Shape[D];
  SmallVector<bool> Seen(Rank, false);
  for (int64_t P : *Perm) {
    auto At = normalize(P, Rank);
    if (!At || Seen[*At])
      return nullptr;
    Seen[*At] = true;
    Shape.push_back(A.Shape[*At]);
    Steps.push_back(Strides[*At]);
  }
  SmallVector<KnownNumber, 4> Out;
  for (int64_t I = 0, N = A.Elements.size(); I < N; ++I) {
    int64_t Rest = I, From = 0;
    for (size_t D = Rank; D-- > 0;) {
      From += Rest % Shape[D] * Steps[D];
      Rest /= Shape[D];
    }
    Out.push_back(A.Elements[From]);
  }
  return make(Shape, std::move(Out));
}

KnownRef expand(const KnownQuery &Q) {
  auto To = Q.Inputs.size() == 2 ? constants(Q.Inputs[1]) : std::nullopt;
  if (!To || llvm::any_of(*To, [](int64_t D) { return D < 0; }))
    return nullptr;
  const KnownTensor &A = *Q.Inputs[0];
  auto Shape = broadcastShape(A.Shape, *To);
  if (!Shape)
    return nullptr;
  SmallVector<KnownNumber, 4> Out;
  for (int64_t I = 0, N = numElements(*Shape); I < N; ++I)
    Out.push_back(A.Elements[broadcastIndex(I, *Shape, A.Shape)]);
  return make(*Shape, std::move(Out));
}

KnownRef tile(const KnownQuery &Q) {
  auto Repeats = Q.Inputs.size() == 2 ? constants(Q.Inputs[1]) : std::nullopt;
  KnownRef T = Q.Inputs[0];
  if (!Repeats || Repeats->size() != 1 || T->Shape.size() != 1 ||
      (*Repeats)[0] < 0 || (*Repeats)[0] > KnownTensor::MaxElements)
    return nullptr;
  int64_t Shape[] = {T->Shape[0] * (*Repeats)[0]};
  if (numElements(Shape) < 0)
    return nullptr;
  SmallVector<KnownNumber, 4> Out;
  for (int64_t I = 0; I < (*Repeats)[0]; ++I)
    llvm::append_range(Out, T->Elements);
  return make(Shape, std::move(Out));
}

KnownRef constantOfShape(const KnownQuery &Q) {
  auto Shape = constants(Q.Inputs[0]);
  if (!Shape || llvm::any_of(*Shape, [](int64_t D) { return D < 0; }))
    return nullptr;
  int64_t N = numElements(*Shape);
  if (N < 0)
    return nullptr;
  KnownNumber V(0);
  if (KnownRef Value = Q.Tensor("value")) {
    if (Value->Elements.size() != 1)
      return nullptr;
    V = Value->Elements[0];
  }
  return make(*Shape, SmallVector<KnownNumber, 4>(N, V));
}

KnownRef range(const KnownQuery &Q) {
  if (Q.Inputs.size() != 3)
    return nullptr;
  int64_t V[3];
  for (int I = 0; I < 3; ++I) {
    auto C = Q.Inputs[I]->Elements.size() == 1
                 ? Q.Inputs[I]->Elements[0].constantInt()
                 : std::nullopt;
    if (!C || std::abs(*C) > INT32_MAX)
      return nullptr;
    V[I] = *C;
  }
  if (V[2] == 0)
    return nullptr;
  int64_t N = std::max<int64_t>(0, V[2] > 0 ? (V[1] - V[0] + V[2] - 1) / V[2]
                                            : (V[0] - V[1] - V[2] - 1) / -V[2]);
  if (N > KnownTensor::MaxElements)
    return nullptr;
  SmallVector<KnownNumber, 4> Out;
  for (int64_t I = 0; I < N; ++I)
    Out.push_back(V[0] + I * V[2]);
  return make({N}, std::move(Out));
}

KnownRef reduce(const KnownQuery &Q) {
  const KnownTensor &A = *Q.Inputs[0];
  int64_t Rank = A.Shape.size();
  auto Axes = axesOf(Q, Q.Op == "ReduceSum" ? 13 : 18);
  if (!Axes && Q.Inputs.size() > 1)
    return nullptr;
  // Reductions over everything cover the shape arithmetic that occurs.
  bool All = !Axes || Axes->empty() || (Axes->size() == 1 && Rank == 1);
  if (!All || Rank > 1 || Q.Int("noop_with_empty_axes", 0))
    return nullptr;
  Number Acc;
  if (Q.Op == "ReduceProd")
    Acc = KnownNumber(1);
  else if (Q.Op == "ReduceSum")
    Acc = KnownNumber(0);
  for (const KnownNumber &E : A.Elements) {
    if (!Acc)
      Acc = E;
    else if (Q.Op == "ReduceProd")
      Acc = mul(*Acc, E);
    else if (Q.Op == "ReduceSum")
      Acc = add(*Acc, E);
    else if (Acc->Den != 1 || E.Den != 1)
      return nullptr;
    else
      Acc = KnownNumber(Q.Op == "ReduceMax" ? DimExpr::max(Acc->Num, E.Num)
                                            : DimExpr::min(Acc->Num, E.Num));
    if (!Acc)
      return nullptr;
  }
  if (!Acc)
    return nullptr;
  SmallVector<int64_t> Shape(Q.Int("keepdims", 1) ? Rank : 0, 1);
  return make(Shape, {*Acc});
}

Rule findRule(StringRef Op) {
  return llvm::StringSwitch<Rule>(Op)
      .Cases({"Add", "Sub", "Mul", "Div", "Mod", "Min", "Max"}, elementwise)
      .Cases({"Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"},
             elementwise)
      .Cases({"And", "Or", "Not", "Neg", "Abs", "Relu", "Floor", "Ceil",
              "Round", "Pow", "Sqrt"},
             elementwise)
      .Case("Cast", cast)
      .Case("Clip", clip)
      .Case("Where", where)
      .Case("Gather", gather)
      .Case("Concat", concat)
      .Case("Slice", slice)
      .Case("Unsqueeze", unsqueeze)
      .Case("Squeeze", squeeze)
      .Case("Reshape", reshape)
      .Case("Transpose", transpose)
      .Case("Expand", expand)
      .Case("Tile", tile)
      .Case("ConstantOfShape", constantOfShape)
      .Case("Range", range)
      .Cases({"ReduceProd", "ReduceSum", "ReduceMax", "ReduceMin"}, reduce)
      .Default(nullptr);
}

} // namespace

bool limosa::onnximport::hasKnownRule(StringRef Op) {
  return findRule(Op) != nullptr;
}

KnownRef limosa::onnximport::evalKnown(const KnownQuery &Q) {
  Rule R = findRule(Q.Op);
  if (!R || Q.Inputs.empty() || !Q.Inputs[0])
    return nullptr;
  // Optional inputs that may be left out in the middle.
  if (Q.Op != "Slice" && Q.Op != "Clip" &&
      !llvm::all_of(Q.Inputs, [](const KnownRef &T) { return bool(T); }))
    return nullptr;
  KnownRef T = R(Q);
  if (T && numElements(T->Shape) != int64_t(T->Elements.size()))
    return nullptr;
  return T;
}
