//===- Recurrent.cpp - LSTM, GRU and plain recurrence ---------------------===//
//
// The operands and gate orders are ONNX's: x[T, B, I], w[D, G * H, I],
// r[D, G * H, H], bias[D, 2 * G * H], then the states [D, B, H], with D
// directions and G gates (lstm: input, output, forget, cell; gru: update,
// reset, hidden). All steps' products with w are one product outside of the
// loop.
//
//===----------------------------------------------------------------------===//

#include "Families.h"

using namespace limosa;
using namespace limosa::composites;
using namespace mlir;

namespace {

/// One activation: a name with up to two parameters, "leaky_relu:0.01".
struct Activation {
  StringRef Name;
  double Alpha = 0, Beta = 0;

  static Activation parse(StringRef Text) {
    Activation A;
    auto [Name, Rest] = Text.split(':');
    auto [Alpha, Beta] = Rest.split(':');
    A.Name = Name;
    Alpha.getAsDouble(A.Alpha);
    Beta.getAsDouble(A.Beta);
    return A;
  }

  Value apply(CoreBuilder &B, Value X) const {
    if (Name == "sigmoid")
      return B.sigmoid(X);
    if (Name == "tanh")
      return B.tanh(X);
    if (Name == "relu")
      return B.maxScalar(X, 0);
    if (Name == "affine")
      return B.addScalar(B.mulScalar(X, Alpha), Beta);
    if (Name == "scaled_tanh")
      return B.mulScalar(B.tanh(B.mulScalar(X, Beta)), Alpha);
    if (Name == "hard_sigmoid")
      return B.minScalar(
          B.maxScalar(B.addScalar(B.mulScalar(X, Alpha), Beta), 0), 1);
    if (Name == "softsign")
      return B.div(X, B.addScalar(B.abs(X), 1));
    if (Name == "softplus")
      return B.add(B.maxScalar(X, 0), log1p(B, B.exp(B.neg(B.abs(X)))));
    Value Zero = B.full(0, X);
    Value Negative = B.compare(CompareDirection::LT, X, Zero);
    if (Name == "leaky_relu")
      return B.select(Negative, B.mulScalar(X, Alpha), X);
    if (Name == "thresholded_relu")
      return B.select(B.compare(CompareDirection::GT, X, B.full(Alpha, X)), X,
                      Zero);
    assert(Name == "elu" && "no such activation");
    return B.select(Negative, B.mulScalar(expm1(B, X), Alpha), X);
  }
};

/// What all three cells share, for one direction.
struct Cell {
  CoreBuilder &B;
  DictionaryAttr Config;
  DimExpr Steps, Batch;
  int64_t Hidden, Gates;
  bool Reverse;
  Value Projected;     ///< x w + biases, [T, B, G * H]
  Value R;             ///< [G * H, H]
  Value RecurrentBias; ///< [G * H]
  Value Lengths;       ///< i64 [B], or null
  Value Peepholes;     ///< [3 * H], or null
  SmallVector<Activation> Act;

  Dims state() const { return {Batch, DimExpr(Hidden)}; }
  Type element() const { return getElementTypeOrSelf(Projected); }

  /// Columns First .. First + Count of gates.
  Value gate(Value V, int64_t First, int64_t Count = 1) const {
    int64_t Dim = cast<RankedTensorType>(V.getType()).getRank() - 1;
    return B.sliceDim(V, Dim, DimExpr(First * Hidden), DimExpr(Count * Hidden));
  }
  Value rows(Value V, int64_t First, int64_t Count = 1) const {
    return B.sliceDim(V, 0, DimExpr(First * Hidden), DimExpr(Count * Hidden));
  }
  Value alongBatch(Value Vector, Value Like) const {
    return B.broadcast(Vector, getDims(Like), {1});
  }
  Value clip(Value V) const {
    double Limit = floatOf(Config, "clip");
    return Limit > 0 ? B.minScalar(B.maxScalar(V, -Limit), Limit) : V;
  }
  Value act(unsigned K, Value V) const { return Act[K].apply(B, clip(V)); }
  /// h r^T for some of the gates.
  Value recur(Value H, Value Rows) const {
    return B.contract(H, Rows, {}, {}, {1}, {1});
  }
};

/// The next states from the step's projection [B, G * H] and the last states.
using StepFn = Values (*)(const Cell &, Value Projection, ValueRange States);

Values lstmStep(const Cell &C, Value X, ValueRange S) {
  CoreBuilder &B = C.B;
  Value H = S[0], Cell = S[1];
  Value Z = B.add(X, C.recur(H, C.R));
  Value I = C.gate(Z, 0), O = C.gate(Z, 1), F = C.gate(Z, 2), G = C.gate(Z, 3);
  auto peep = [&](Value V, Value With, int64_t K) {
    if (!C.Peepholes)
      return V;
    Value P = C.alongBatch(C.rows(C.Peepholes, K), V);
    return B.add(V, B.mul(P, With));
  };
  I = C.act(0, peep(I, Cell, 0));
  F = boolOf(C.Config, "input_forget") ? B.sub(B.full(1, I), I)
                                       : C.act(0, peep(F, Cell, 2));
  Value Next = B.add(B.mul(F, Cell), B.mul(I, C.act(1, G)));
  O = C.act(0, peep(O, Next, 1));
  return {B.mul(O, C.Act[2].apply(B, Next)), Next};
}

Values gruStep(const Cell &C, Value X, ValueRange S) {
  CoreBuilder &B = C.B;
  Value H = S[0];
  Value XH = C.gate(X, 2), Z, R, Candidate;
  if (boolOf(C.Config, "linear_before_reset")) {
    Value P = C.recur(H, C.R);
    Z = C.act(0, B.add(C.gate(X, 0), C.gate(P, 0)));
    R = C.act(0, B.add(C.gate(X, 1), C.gate(P, 1)));
    Value HP = C.gate(P, 2);
    HP = B.add(HP, C.alongBatch(C.rows(C.RecurrentBias, 2), HP));
    Candidate = C.act(1, B.add(XH, B.mul(R, HP)));
  } else {
    Value P = C.recur(H, C.rows(C.R, 0, 2));
    Z = C.act(0, B.add(C.gate(X, 0), C.gate(P, 0)));
    R = C.act(0, B.add(C.gate(X, 1), C.gate(P, 1)));
    Candidate = C.act(1, B.add(XH, C.recur(B.mul(R, H), C.rows(C.R, 2))));
  }
  Value Kept = B.mul(Z, H);
  return {B.add(B.mul(B.sub(B.full(1, Z), Z), Candidate), Kept)};
}

Values rnnStep(const Cell &C, Value X, ValueRange S) {
  return {C.act(0, C.B.add(X, C.recur(S[0], C.R)))};
}

/// Runs the steps of one direction; returns all hidden states [T, B, H] and the
/// last states.
Values runDirection(Cell &C, StepFn Step, Values Init) {
  CoreBuilder &B = C.B;
  OpBuilder &Builder = B.builder();
  Type I64 = Builder.getI64Type();
  // Carried: the step's number, the states, the sequence of hidden states.
  Values Carried{B.dim(DimExpr(0))};
  llvm::append_range(Carried, Init);
  Carried.push_back(
      B.full(0, {C.Steps, C.Batch, DimExpr(C.Hidden)}, C.element()));
  SmallVector<Type> Types(ValueRange(Carried).getTypes());
  SmallVector<Location> Locs(Types.size(), B.loc());
  auto Loop = WhileOp::create(Builder, B.loc(), Types, Carried);
  OpBuilder::InsertionGuard Guard(Builder);
  Block *Before = Builder.createBlock(&Loop.getBefore(), {}, Types, Locs);
  YieldOp::create(
      Builder, B.loc(),
      B.compare(CompareDirection::LT, Before->getArgument(0), B.dim(C.Steps)));

  Block *After = Builder.createBlock(&Loop.getAfter(), {}, Types, Locs);
  ValueRange Args = After->getArguments();
  Value I = Args.front(), Sequence = Args.back();
  ValueRange States = Args.drop_front().drop_back();
  Value T = C.Reverse ? B.sub(B.dim(C.Steps - DimExpr(1)), I) : I;
  Value At = B.reshape(T, {DimExpr(1)});
  Values Next = Step(C, B.gather(C.Projected, At, {0}, 0), States);
  Value Shown = Next[0];
  if (C.Lengths) {
    // Past a sequence's end its states stay and its outputs are 0.
    Value Alive = B.compare(CompareDirection::LT, B.broadcast(T, {C.Batch}, {}),
                            C.Lengths);
    Alive = B.broadcast(Alive, C.state(), {0});
    Shown = B.select(Alive, Shown, B.full(0, Shown));
    for (size_t K = 0; K < Next.size(); ++K)
      Next[K] = B.select(Alive, Next[K], States[K]);
  }
  Value Zero = B.full(0, {DimExpr(2)}, I64);
  Sequence = B.updateSlice(
      Sequence, B.reshape(Shown, {DimExpr(1), C.Batch, DimExpr(C.Hidden)}),
      B.concat({At, Zero}, 0));
  Values Yielded{B.add(I, B.dim(DimExpr(1)))};
  llvm::append_range(Yielded, Next);
  Yielded.push_back(Sequence);
  YieldOp::create(Builder, B.loc(), Yielded);

  Values Out{Loop.getResults().back()};
  llvm::append_range(Out, Loop.getResults().drop_front().drop_back());
  return Out;
}

/// [D, ..] at one direction.
Value direction(CoreBuilder &B, Value V, int64_t D) {
  return B.squeeze(B.sliceDim(V, 0, DimExpr(D), DimExpr(1)), {0});
}

Values recurrent(CoreBuilder &B, ValueRange In, DictionaryAttr C, int64_t Gates,
                 unsigned NumStates, StepFn Step) {
  Value X = In[0], W = In[1], R = In[2], Bias = In[3];
  unsigned Next = 4 + NumStates;
  Value Peepholes = boolOf(C, "peepholes") ? In[Next++] : Value();
  Value Lengths = boolOf(C, "lengths") ? In[Next++] : Value();
  Dims XD = getDims(X);
  int64_t Directions = *getDim(W.getType(), 0).constant();
  int64_t Hidden = *getDim(R.getType(), 2).constant();
  bool Backwards = stringOf(C, "direction") == "reverse";
  SmallVector<StringRef> Texts;
  stringOf(C, "activations").split(Texts, ',');
  size_t PerDirection = Texts.size() / size_t(Directions);

  SmallVector<Values> Results(NumStates + 1);
  for (int64_t D = 0; D < Directions; ++D) {
    Cell Cell{B,
              C,
              XD[0],
              XD[1],
              Hidden,
              Gates,
              Directions == 2 ? D == 1 : Backwards,
              {},
              direction(B, R, D),
              {},
              Lengths,
              Peepholes ? direction(B, Peepholes, D) : Value(),
              {}};
    for (size_t K = 0; K < PerDirection; ++K)
      Cell.Act.push_back(
          Activation::parse(Texts[size_t(D) * PerDirection + K]));
    Value Biases = direction(B, Bias, D);
    Value InputBias = Cell.rows(Biases, 0, Gates);
    Cell.RecurrentBias = Cell.rows(Biases, Gates, Gates);
    // What is added to the recurrent product in every step can be added to the
    // input's, except to gru's hidden gate when the reset comes after it.
    Value Shared = Cell.RecurrentBias;
    if (boolOf(C, "linear_before_reset")) {
      Value Own = Cell.rows(Shared, 0, 2);
      Shared = B.concat(
          {Own, B.full(0, {DimExpr(Hidden)}, getElementTypeOrSelf(R))}, 0);
    }
    Value P = B.contract(X, direction(B, W, D), {}, {}, {2}, {1});
    Cell.Projected =
        B.add(P, B.broadcast(B.add(InputBias, Shared), getDims(P), {2}));
    Values Init;
    for (unsigned K = 0; K < NumStates; ++K)
      Init.push_back(direction(B, In[4 + K], D));
    Values Out = runDirection(Cell, Step, Init);
    for (unsigned K = 0; K <= NumStates; ++K)
      Results[K].push_back(B.expandDims(Out[K], {K == 0 ? 1 : 0}));
  }
  Values Joined;
  for (auto [K, Parts] : llvm::enumerate(Results))
    Joined.push_back(B.concat(Parts, K == 0 ? 1 : 0));
  return Joined;
}

Values lstm(CoreBuilder &B, ValueRange In, DictionaryAttr C) {
  return recurrent(B, In, C, 4, 2, lstmStep);
}
Values gru(CoreBuilder &B, ValueRange In, DictionaryAttr C) {
  return recurrent(B, In, C, 3, 1, gruStep);
}
Values rnn(CoreBuilder &B, ValueRange In, DictionaryAttr C) {
  return recurrent(B, In, C, 1, 1, rnnStep);
}

constexpr CompositeAttr LstmAttrs[] = {
    {"direction", Kind::String},     {"activations", Kind::String},
    {"clip", Kind::Float, true},     {"input_forget", Kind::Bool, true},
    {"peepholes", Kind::Bool, true}, {"lengths", Kind::Bool, true}};
constexpr CompositeAttr GruAttrs[] = {{"direction", Kind::String},
                                      {"activations", Kind::String},
                                      {"clip", Kind::Float, true},
                                      {"linear_before_reset", Kind::Bool, true},
                                      {"lengths", Kind::Bool, true}};
constexpr CompositeAttr RnnAttrs[] = {{"direction", Kind::String},
                                      {"activations", Kind::String},
                                      {"clip", Kind::Float, true},
                                      {"lengths", Kind::Bool, true}};

} // namespace

llvm::ArrayRef<CompositeDef> composites::recurrences() {
  static const CompositeDef Table[] = {
      {"lstm", 1,
       "Long short-term memory as ONNX defines it: x, w, r, bias, initial h "
       "and "
       "c, then peepholes and lengths (i64[B]) if the config says so; results "
       "y[T, D, B, H], the last h and the last c [D, B, H]. activations lists "
       "those of all directions (name[:alpha[:beta]], comma separated).",
       LstmAttrs, lstm},
      {"gru", 1,
       "Gated recurrent unit as ONNX defines it: x, w, r, bias, initial h, "
       "then "
       "lengths if the config says so; results y[T, D, B, H] and the last h.",
       GruAttrs, gru},
      {"rnn", 1,
       "h' = f(x w^T + h r^T + bias) as ONNX defines it: x, w, r, bias, "
       "initial "
       "h, then lengths if the config says so; results y[T, D, B, H] and the "
       "last h.",
       RnnAttrs, rnn},
  };
  return Table;
}
