//===- TfIdf.cpp - Counting n-grams (TfIdfVectorizer) ---------------------===//

#include "MachineLearning.h"
#include "Registry.h"
#include "Strings.h"

using namespace mlir;
using namespace limosa;
using namespace limosa::onnximport;

using Dir = CompareDirection;

/// How often each of Grams[count * Length] stands in each row of X[rows,
/// columns] with `Gap` elements from one of its elements to the next: i64
/// [rows, count], or null where a row is too short.
static Value occurrences(CoreBuilder &B, Value X, ArrayRef<int64_t> Grams,
                         int64_t Length, int64_t Gap) {
  Dims Shape = getDims(X);
  DimExpr Places = Shape[1] - DimExpr((Length - 1) * Gap);
  if (auto C = Places.constant(); C && *C <= 0)
    return Value();
  Places = DimExpr::max(Places, DimExpr(0));
  int64_t Count = int64_t(Grams.size()) / Length;
  Dims Pairs{Shape[0], Places, DimExpr(Count)};
  Value All;
  for (int64_t J = 0; J < Length; ++J) {
    Ints Column;
    for (int64_t G = 0; G < Count; ++G)
      Column.push_back(Grams[G * Length + J]);
    Value Here = B.sliceDim(X, 1, DimExpr(J * Gap), Places);
    Value Same = B.compare(Dir::EQ, B.broadcast(Here, Pairs, {0, 1}),
                           B.broadcast(B.intVector(Column), Pairs, {2}));
    All = All ? B.bitAnd(All, Same) : Same;
  }
  return B.reduceSum(B.convert(All, B.builder().getI64Type()), {1});
}

static LogicalResult tfIdf(Node &N) {
  CoreBuilder &B = N.B;
  auto Pool = N.ints("pool_int64s"), Starts = N.ints("ngram_counts"),
       Indexes = N.ints("ngram_indexes");
  Value X = N.in(0);
  if (isString(N.elem(0))) {
    // Strings by their first position in the pool.
    auto Texts = N.strings("pool_strings").value_or(SmallVector<std::string>());
    llvm::StringMap<int64_t> Numbers;
    SmallVector<std::string> List;
    Pool = Ints();
    for (const std::string &S : Texts) {
      auto [It, IsNew] = Numbers.try_emplace(S, int64_t(List.size()));
      if (IsNew)
        List.push_back(S);
      Pool->push_back(It->second);
    }
    X = stringIndex(B, X, List);
  }
  if (!Pool || Pool->empty())
    return N.fail("n-grams of the input's type are missing");
  if (!Starts || !Indexes || Indexes->empty() || N.rank(0) > 2)
    return N.fail("ngram_counts or ngram_indexes are missing, or the input's "
                  "rank is more than 2");
  int64_t Shortest = N.attr("min_gram_length", int64_t(1)),
          Longest = N.attr("max_gram_length", int64_t(1)),
          Skips = N.attr("max_skip_count", int64_t(0));
  if (Skips < 0 || Skips > 1024)
    return N.fail("max_skip_count is out of range");
  X = B.convert(X, N.i64());
  DimExpr Rows = N.rank(0) == 2 ? N.dim(0, 0) : DimExpr(1);
  X = B.reshape(X,
                {Rows, N.rank(0) == 0 ? DimExpr(1) : N.dim(0, N.rank(0) - 1)});
  // Counts of each n-gram in the order of the pool, and where they go.
  SmallVector<Value> Counts;
  Ints Targets;
  size_t Gram = 0;
  for (size_t L = 0; L < Starts->size(); ++L) {
    int64_t Begin = (*Starts)[L],
            End = L + 1 < Starts->size() ? (*Starts)[L + 1] : Pool->size(),
            Length = int64_t(L) + 1;
    if (Begin < 0 || End < Begin || End > int64_t(Pool->size()) ||
        (End - Begin) % Length)
      return N.fail("ngram_counts do not fit the pool");
    size_t Number = size_t((End - Begin) / Length);
    if (Gram + Number > Indexes->size())
      return N.fail("ngram_indexes are too few");
    ArrayRef<int64_t> Grams = ArrayRef(*Pool).slice(Begin, End - Begin);
    ArrayRef<int64_t> To = ArrayRef(*Indexes).slice(Gram, Number);
    Gram += Number;
    if (Number == 0 || Length < Shortest || Length > Longest)
      continue;
    Value Sum;
    // Skipping makes no difference to single elements.
    for (int64_t S = 0; S <= (Length == 1 ? 0 : Skips); ++S)
      if (Value V = occurrences(B, X, Grams, Length, S + 1))
        Sum = Sum ? B.add(Sum, V) : V;
    if (!Sum)
      continue;
    Counts.push_back(Sum);
    llvm::append_range(Targets, To);
  }
  int64_t Size = 0;
  for (int64_t I : *Indexes) {
    if (I < 0 || I > (1 << 28))
      return N.fail("ngram_indexes are out of range");
    Size = std::max(Size, I + 1);
  }
  Value Y = B.full(0, {DimExpr(Size), Rows}, N.i64());
  if (!Counts.empty()) {
    Value All = B.transpose(B.concat(Counts, 1), {1, 0});
    Y = B.scatter(
        Y, B.expandDims(B.intVector(Targets), {1}), All, {0}, 0,
        [](CoreBuilder &B, Value Old, Value New) { return B.add(Old, New); });
  }
  Y = B.convert(B.transpose(Y, {1, 0}), N.f32());
  std::string Mode = N.attr("mode", StringRef("TF"));
  if (Mode != "TF" && Mode != "IDF" && Mode != "TFIDF")
    return N.fail("mode '" + Mode + "' does not exist");
  if (Mode == "IDF")
    Y = B.convert(B.compare(Dir::GT, Y, B.full(0, Y)), N.f32());
  auto Weights = N.floats("weights");
  if (Mode != "TF" && Weights && !Weights->empty()) {
    if (int64_t(Weights->size()) != Size)
      return N.fail("weights must have one entry per result");
    Value Along = floatVector(B, *Weights, N.f32());
    Y = B.mul(Y, B.broadcast(Along, getDims(Y), {1}));
  }
  return N.done(N.rank(0) == 2 ? Y : B.reshape(Y, {DimExpr(Size)}));
}

llvm::ArrayRef<OpEntry> limosa::onnximport::tfIdfOps() {
  static const OpEntry Table[] = {
      {"", "TfIdfVectorizer", 9, 1, 1, Integers | Strings, tfIdf},
  };
  return Table;
}
