//===- Recurrent.cpp - LSTM, GRU, RNN -------------------------------------===//

#include "Registry.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

namespace {
/// What differs between the three.
struct CellKind {
  StringRef Composite;
  int64_t Gates;
  unsigned States;
  SmallVector<StringRef> Defaults; ///< Activations of one direction.
};
} // namespace

/// ONNX's name and parameters of an activation as the composite spells them.
static FailureOr<std::string> activation(Node &N, StringRef Name,
                                         ArrayRef<double> Alphas,
                                         ArrayRef<double> Betas,
                                         size_t &NextAlpha, size_t &NextBeta) {
  struct Row {
    StringRef Onnx, Ours;
    bool Alpha, Beta;
    double DefaultAlpha, DefaultBeta;
  };
  static const Row Rows[] = {
      {"relu", "relu", false, false, 0, 0},
      {"tanh", "tanh", false, false, 0, 0},
      {"sigmoid", "sigmoid", false, false, 0, 0},
      {"affine", "affine", true, true, 1, 0},
      {"leakyrelu", "leaky_relu", true, false, 0.01, 0},
      {"thresholdedrelu", "thresholded_relu", true, false, 1, 0},
      {"scaledtanh", "scaled_tanh", true, true, 1, 1},
      {"hardsigmoid", "hard_sigmoid", true, true, 0.2, 0.5},
      {"elu", "elu", true, false, 1, 0},
      {"softsign", "softsign", false, false, 0, 0},
      {"softplus", "softplus", false, false, 0, 0},
  };
  for (const Row &R : Rows) {
    if (Name.lower() != R.Onnx)
      continue;
    // The lists of parameters hold those of the activations that take some.
    auto next = [](ArrayRef<double> List, size_t &At, double Default) {
      return At < List.size() ? List[At++] : Default;
    };
    std::string Text = R.Ours.str();
    if (R.Alpha)
      Text += ":" + std::to_string(next(Alphas, NextAlpha, R.DefaultAlpha));
    if (R.Beta)
      Text += ":" + std::to_string(next(Betas, NextBeta, R.DefaultBeta));
    return Text;
  }
  return N.fail("activation '" + Name + "' does not exist");
}

/// W and R are the weights, [directions, gates * hidden, input or hidden].
static LogicalResult recurrent(Node &N, const CellKind &K, Value W, Value R) {
  std::string Direction = N.attr("direction", StringRef("forward"));
  if (Direction != "forward" && Direction != "reverse" &&
      Direction != "bidirectional")
    return N.fail("direction '" + Direction + "' does not exist");
  int64_t D = Direction == "bidirectional" ? 2 : 1;
  for (unsigned I = 0; I < 3; ++I)
    if (failed(N.wantRank(I, 3)))
      return failure();
  for (Value V : {W, R})
    if (getElementTypeOrSelf(V.getType()) != N.elem(0))
      return N.fail("the weights and the input are of different types");
  auto HiddenSize = getDims(R)[2].constant();
  if (!HiddenSize || *HiddenSize < 1)
    return N.fail("the hidden size must be known");
  int64_t H = *HiddenSize;
  if (N.attr("hidden_size", H) != H)
    return N.fail("hidden_size differs from the weights'");
  Value X = N.in(0);
  bool BatchFirst = N.attr("layout", int64_t(0)) == 1;
  if (BatchFirst)
    X = N.B.transpose(X, {1, 0, 2});
  Dims XD = getDims(X);
  auto expectDims = [&](const Dims &Own, unsigned I,
                        const Dims &Want) -> LogicalResult {
    if (Own.size() != Want.size())
      return N.fail("input " + Twine(I) + " has the wrong rank");
    for (size_t A = 0; A < Want.size(); ++A)
      if (failed(N.wantEqual(Own[A], Want[A],
                             "sizes of input " + Twine(I) + ", dimension " +
                                 Twine(A))))
        return failure();
    return success();
  };
  auto expect = [&](unsigned I, const Dims &Want) {
    return expectDims(N.dims(I), I, Want);
  };
  DimExpr GH(K.Gates * H);
  if (failed(expectDims(getDims(W), 1, {DimExpr(D), GH, XD[2]})) ||
      failed(expectDims(getDims(R), 2, {DimExpr(D), GH, DimExpr(H)})))
    return failure();
  // W's shape is what the product relies on.
  XD[2] = getDims(W)[2];
  X = N.as(X, XD);
  SmallVector<Value> Operands{X, W, R};

  if (N.has(3)) {
    if (failed(expect(3, {DimExpr(D), GH + GH})) || failed(N.sameElem(0, 3)))
      return failure();
    Operands.push_back(N.in(3));
  } else {
    Operands.push_back(N.B.full(0, {DimExpr(D), GH + GH}, N.elem(0)));
  }
  for (unsigned S = 0; S < K.States; ++S) {
    Dims Want{DimExpr(D), XD[1], DimExpr(H)};
    if (!N.has(5 + S)) {
      Operands.push_back(N.B.full(0, Want, N.elem(0)));
      continue;
    }
    if (failed(N.wantRank(5 + S, 3)) || failed(N.sameElem(0, 5 + S)))
      return failure();
    Value V = N.in(5 + S);
    if (BatchFirst)
      V = N.B.transpose(V, {1, 0, 2});
    Dims Own = getDims(V);
    for (unsigned A = 0; A < 3; ++A)
      if (failed(N.wantEqual(Own[A], Want[A], "sizes of an initial state")))
        return failure();
    Operands.push_back(N.as(V, Want));
  }
  SmallVector<NamedAttribute> Config{N.cfg("direction", StringRef(Direction))};
  if (K.Composite == "lstm" && N.has(7)) {
    if (failed(expect(7, {DimExpr(D), DimExpr(3 * H)})) ||
        failed(N.sameElem(0, 7)))
      return failure();
    Operands.push_back(N.in(7));
    Config.push_back(N.cfg("peepholes", true));
  }
  if (N.has(4)) {
    if (failed(expect(4, {XD[1]})))
      return failure();
    Operands.push_back(N.as(N.B.convert(N.in(4), N.i64()), {XD[1]}));
    Config.push_back(N.cfg("lengths", true));
  }
  if (N.hasAttr("clip"))
    Config.push_back(N.cfg("clip", N.attr("clip", 0.0)));
  if (N.attr("input_forget", int64_t(0)))
    Config.push_back(N.cfg("input_forget", true));
  if (K.Composite == "gru" && N.attr("linear_before_reset", int64_t(0)))
    Config.push_back(N.cfg("linear_before_reset", true));

  SmallVector<std::string> Names;
  if (auto Given = N.strings("activations"); Given && !Given->empty())
    Names = *Given;
  else
    for (int64_t I = 0; I < D; ++I)
      Names.append(K.Defaults.begin(), K.Defaults.end());
  if (Names.size() != size_t(D) * K.Defaults.size())
    return N.fail("activations must have " + Twine(K.Defaults.size()) +
                  " entries per direction");
  auto Alphas = N.floats("activation_alpha"),
       Betas = N.floats("activation_beta");
  size_t NextAlpha = 0, NextBeta = 0;
  std::string List;
  for (const std::string &Name : Names) {
    auto Text = activation(
        N, Name, Alphas ? ArrayRef<double>(*Alphas) : ArrayRef<double>(),
        Betas ? ArrayRef<double>(*Betas) : ArrayRef<double>(), NextAlpha,
        NextBeta);
    if (failed(Text))
      return failure();
    List += (List.empty() ? "" : ",") + *Text;
  }
  Config.push_back(N.cfg("activations", StringRef(List)));
  SmallVector<Value> Out = N.composite(K.Composite, Operands, Config);
  if (BatchFirst) {
    Out[0] = N.B.transpose(Out[0], {2, 0, 1, 3});
    for (Value &S : llvm::drop_begin(Out))
      S = N.B.transpose(S, {1, 0, 2});
  }
  return N.done(Out);
}

static LogicalResult lstmOf(Node &N, Value W, Value R) {
  return recurrent(N, {"lstm", 4, 2, {"Sigmoid", "Tanh", "Tanh"}}, W, R);
}
static LogicalResult lstm(Node &N) { return lstmOf(N, N.in(1), N.in(2)); }
static LogicalResult gru(Node &N) {
  return recurrent(N, {"gru", 3, 1, {"Sigmoid", "Tanh"}}, N.in(1), N.in(2));
}
static LogicalResult rnn(Node &N) {
  return recurrent(N, {"rnn", 1, 1, {"Tanh"}}, N.in(1), N.in(2));
}

/// Weights of DynamicQuantizeLSTM, [directions, input or hidden, gates *
/// hidden], with a scale and zero point per direction, or for each row of
/// gates.
static FailureOr<Value> quantizedWeights(Node &N, unsigned K, unsigned Scale) {
  if (failed(N.wantRank(K, 3)))
    return failure();
  Value V = N.B.convert(N.in(K), N.elem(0));
  Dims Shape = N.dims(K);
  for (unsigned Part : {Scale + 1, Scale}) {
    if (!N.has(Part))
      continue;
    int64_t Rank = N.rank(Part);
    if (Rank != 1 && Rank != 2)
      return N.fail("input " + Twine(Part) + " must have rank 1 or 2");
    for (int64_t D = 0; D < Rank; ++D)
      if (failed(N.wantEqual(N.dim(Part, D), Shape[2 * D],
                             "sizes of a scale and its weights")))
        return failure();
    SmallVector<int64_t> Where{0, 2};
    Value P = N.B.convert(N.in(Part), N.elem(0));
    P = N.B.broadcast(P, Shape, ArrayRef(Where).take_front(Rank));
    V = Part == Scale ? N.B.mul(V, P) : N.B.sub(V, P);
  }
  return N.B.transpose(V, {0, 2, 1});
}

/// onnxruntime also rounds the input, and the state at every step, to bytes;
/// here only the weights are: closer to what was trained.
static LogicalResult dynamicQuantizeLstm(Node &N) {
  if (!N.has(8) || !N.has(10))
    return N.fail("a scale of the weights is missing");
  auto W = quantizedWeights(N, 1, 8), R = quantizedWeights(N, 2, 10);
  return failed(W) || failed(R) ? failure() : lstmOf(N, *W, *R);
}

llvm::ArrayRef<OpEntry> limosa::onnximport::recurrentOps() {
  static const OpEntry Table[] = {
      {"", "LSTM", 7, 3, 8, Floats, lstm},
      {"", "GRU", 7, 3, 6, Floats, gru},
      {"", "RNN", 7, 3, 6, Floats, rnn},
      {"com.microsoft", "DynamicQuantizeLSTM", 1, 3, 12, Floats,
       dynamicQuantizeLstm},
  };
  return Table;
}
