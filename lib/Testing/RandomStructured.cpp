//===- RandomStructured.cpp - Reductions, products, sorts of random graphs ===//

#include "Generator.h"

#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace limosa;
using namespace limosa::testing;

bool Generator::reduce() {
  Item A = pick([](const Item &I) { return I.rank() > 0; });
  if (A.rank() == 0)
    return false;
  SmallVector<int64_t> Reduced;
  double N = 1;
  for (unsigned D = 0; D < A.rank(); ++D)
    if (chance(50)) {
      Reduced.push_back(D);
      N *= double(size(getDim(A.V.getType(), D)));
    }
  bool Keep = chance(30);
  using C = CoreBuilder::Combiner;
  if (A.T == DType::Bool)
    return add(B.reduce(chance(50) ? C::Or : C::And, A.V, Reduced, Keep), A);
  switch (below(6)) {
  case 0:
  case 1:
  case 2:
    return add(B.reduce(C::Add, A.V, Reduced, Keep), sum(A, N));
  case 3:
    return add(B.reduce(C::Max, A.V, Reduced, Keep), A);
  case 4:
    return add(B.reduce(C::Min, A.V, Reduced, Keep), A);
  default: {
    if (isFloat(A.T)) {
      Facts F = sum(A, N);
      return add(B.reduceMean(A.V, Reduced, Keep),
                 rounded(A.T, {A.Lo, A.Hi, F.Err / N, 0}, 2));
    }
    return add(B.reduce(C::Mul, A.V, Reduced, Keep), {-1e30, 1e30, 0, 1});
  }
  }
}

bool Generator::argReduce() {
  Item A = pick([&](const Item &I) {
    return I.rank() > 0 && solid(I) && I.exact() && I.T != DType::Bool;
  });
  if (A.rank() == 0 || !solid(A) || !A.exact() || A.T == DType::Bool)
    return false;
  int64_t Dim = below(A.rank());
  auto [Best, Index] =
      B.argReduce(A.V, Dim, chance(50), chance(50), chance(50));
  double Size = double(size(getDim(A.V.getType(), unsigned(Dim))));
  bool Added = add(Best, A);
  return add(Index, {0, Size, 0, 1}) || Added;
}

/// Sum and maximum of one tensor, or of two, in one op.
bool Generator::reduceTogether() {
  Item A = pick([](const Item &I) { return I.rank() > 0 && isFloat(I.T); });
  if (A.rank() == 0 || !isFloat(A.T))
    return false;
  Item C = partner(A);
  SmallVector<int64_t> Reduced;
  double N = 1;
  for (unsigned D = 0; D < A.rank(); ++D)
    if (chance(60)) {
      Reduced.push_back(D);
      N *= double(size(getDim(A.V.getType(), D)));
    }
  using K = CoreBuilder::Combiner;
  Type Ty = element(A.T);
  SmallVector<Value> Both = B.reduce(
      {A.V, C.V}, {B.combinerInit(K::Add, Ty), B.combinerInit(K::Max, Ty)},
      Reduced, [](CoreBuilder &R, ValueRange Acc, ValueRange X) {
        return SmallVector<Value>{R.add(Acc[0], X[0]), R.max(Acc[1], X[1])};
      });
  bool Added = add(Both[0], sum(A, N));
  return add(Both[1], C) || Added;
}

bool Generator::scan() {
  Item A =
      pick([](const Item &I) { return I.rank() > 0 && I.T != DType::Bool; });
  if (A.rank() == 0 || A.T == DType::Bool)
    return false;
  int64_t Dim = below(A.rank());
  bool Sum = chance(70);
  using C = CoreBuilder::Combiner;
  Value Init = Sum ? B.combinerInit(C::Add, element(A.T))
                   : B.scalar(isFloat(A.T) ? -2 : 1, element(A.T));
  Value V = B.scan({A.V}, {Init}, Dim, chance(30), chance(30),
                   [&](CoreBuilder &R, ValueRange Acc, ValueRange X) {
                     return SmallVector<Value>{Sum ? R.add(Acc[0], X[0])
                                                   : R.max(Acc[0], X[0])};
                   })[0];
  if (Sum)
    return add(V, sum(A, double(size(getDim(A.V.getType(), unsigned(Dim))))));
  return add(V, {std::min(A.Lo, -2.0), std::max(A.Hi, 1.0), A.Err,
                 A.Grid > 0 ? std::min(A.Grid, 1.0) : 0});
}

Generator::Windows Generator::randomWindows(const Item &A) {
  Windows W;
  for (const DimExpr &E : A.dims()) {
    auto Size = E.constant();
    bool Slide = Size ? *Size > 2 && chance(60) : chance(20);
    int64_t K = Slide ? 2 + below(2) : 1,
            D = Slide && Size && *Size > 6 && chance(20) ? 2 : 1;
    W.Sizes.push_back(K);
    W.Strides.push_back(Slide ? 1 + below(3) : 1);
    W.Dilations.push_back(D);
    // With a symbol the window must fit a size of 1.
    int64_t P = Slide ? (Size ? below(2) : K - 1) : 0;
    W.Low.push_back(DimExpr(P));
    W.High.push_back(DimExpr(Slide && chance(50) ? P : Size ? 0 : P));
    W.Elements *= double(K);
  }
  return W;
}

bool Generator::window() {
  Item A =
      pick([](const Item &I) { return I.rank() > 0 && I.T != DType::Bool; });
  if (A.rank() == 0 || A.T == DType::Bool)
    return false;
  Windows W = randomWindows(A);
  using C = CoreBuilder::Combiner;
  C Kind = choose(std::vector<C>{C::Add, C::Add, C::Max, C::Max, C::Min});
  Value Init = B.combinerInit(Kind, element(A.T));
  Value V =
      B.window(Kind, A.V, Init, W.Sizes, W.Strides, W.Dilations, W.Low, W.High);
  // A window that lies in the padding alone gives the identity; padding is
  // smaller than every window.
  return add(V, Kind == C::Add ? sum(A, W.Elements)
                               : Facts{A.Lo, A.Hi, A.Err, A.Grid});
}

/// The largest element of each window and where it lies along a dimension.
bool Generator::argWindow() {
  Item A = pick([](const Item &I) {
    return I.rank() > 0 && I.exact() && I.T != DType::Bool;
  });
  if (A.rank() == 0 || !A.exact() || A.T == DType::Bool)
    return false;
  Windows W = randomWindows(A);
  int64_t Dim = below(A.rank());
  Value Where = B.iota(A.dims(), Dim, element(DType::I64));
  Value Least = B.combinerInit(CoreBuilder::Combiner::Max, element(A.T));
  Value None = B.scalar(1 << 20, element(DType::I64));
  SmallVector<Value> Both =
      B.window({A.V, Where}, {Least, None}, W.Sizes, W.Strides, W.Dilations,
               W.Low, W.High, [](CoreBuilder &R, ValueRange Acc, ValueRange X) {
                 using D = CompareDirection;
                 Value First = R.bitAnd(R.compare(D::EQ, X[0], Acc[0]),
                                        R.compare(D::LT, X[1], Acc[1]));
                 Value Better = R.bitOr(R.compare(D::GT, X[0], Acc[0]), First);
                 return SmallVector<Value>{R.select(Better, X[0], Acc[0]),
                                           R.select(Better, X[1], Acc[1])};
               });
  bool Added = add(Both[0], A);
  return add(Both[1], {0, 1 << 20, 0, 1}) || Added;
}

bool Generator::sort() {
  Item A =
      pick([](const Item &I) { return I.rank() > 0 && I.T != DType::Bool; });
  if (A.rank() == 0 || A.T == DType::Bool)
    return false;
  int64_t Dim = below(A.rank());
  std::optional<DimExpr> Limit;
  if (auto Size = getDim(A.V.getType(), unsigned(Dim)).constant();
      Size && *Size > 0 && chance(40))
    Limit = DimExpr(1 + below(*Size));
  bool Descending = chance(50);
  if (!A.exact() || chance(30)) // values alone move little
    return add(B.sort({A.V}, Dim, Descending, Limit)[0], A);
  Item P = partner(A);
  SmallVector<Value> Out = B.sort({A.V, P.V}, Dim, Descending, Limit);
  bool Added = add(Out[0], A);
  return add(Out[1], P) || Added;
}

bool Generator::contract() {
  Item A = chance(10)
               ? input(chance(60) ? DType::U8 : DType::I8, randomShape(2, 3))
               : pick([&](const Item &I) {
                   return I.rank() >= 1 && solid(I) && I.T != DType::Bool;
                 });
  if (A.rank() == 0 || !solid(A) || A.T == DType::Bool)
    return false;
  // Dimensions of A are batch, contracted or free; B gets free ones of its own.
  SmallVector<int64_t> LB, LC, RB, RC;
  Dims Shape;
  std::vector<std::pair<int, int64_t>>
      Roles; // role and dimension of A, -1 free
  for (unsigned D = 0; D < A.rank(); ++D) {
    int64_t Role = D + 1 == A.rank() && LC.empty() ? 1 : below(4);
    if (Role == 0 && LB.size() < 2) {
      LB.push_back(D);
      Roles.push_back({0, D});
    } else if (Role == 1) {
      LC.push_back(D);
      Roles.push_back({1, D});
    }
  }
  for (int64_t N = below(3); N > 0; --N)
    Roles.push_back({2, -1});
  std::shuffle(Roles.begin(), Roles.end(), Random);
  SmallVector<int64_t> RightOf(A.rank(), -1);
  double Terms = 1;
  for (auto [Role, D] : Roles) {
    if (D >= 0) {
      RightOf[size_t(D)] = int64_t(Shape.size());
      Shape.push_back(getDim(A.V.getType(), unsigned(D)));
    } else {
      Shape.push_back(randomDim());
    }
  }
  for (int64_t D : LB)
    RB.push_back(RightOf[size_t(D)]);
  for (int64_t D : LC) {
    RC.push_back(RightOf[size_t(D)]);
    Terms *= double(size(getDim(A.V.getType(), unsigned(D))));
  }
  if (count(Shape) > MaxElements)
    return false;
  DType Right = A.T, Out = A.T;
  if (A.T == DType::I8 || A.T == DType::U8) {
    Right = chance(50) ? DType::I8 : DType::U8;
    Out = DType::I32;
    if (Right == A.T && chance(30))
      Out = A.T;
  } else if ((A.T == DType::F16 || A.T == DType::BF16) && chance(50)) {
    Out = DType::F32;
  }
  bool Bytes = Right == DType::I8 || Right == DType::U8;
  Item C = Bytes && chance(50) && count(Shape) < 700 &&
                   llvm::all_of(
                       Shape, [](auto &E) { return E.constant(); })
               ? constantIn(Right, Shape, 0, 2, 1)
               : input(Right, Shape);
  Value V = B.contract(A.V, C.V, LB, RB, LC, RC, element(Out));
  return add(V, product(A, C, Terms, Out));
}

bool Generator::conv() {
  DType T = chance(75) ? DType::F32 : randomType();
  if (chance(10))
    T = chance(60) ? DType::U8 : DType::I8;
  if (T == DType::Bool)
    return false;
  unsigned Spatial = chance(70) ? 2 : 1 + unsigned(below(2)) * 2;
  int64_t Groups = chance(30) ? 1 + below(3) : 1, Depthwise = chance(25);
  int64_t Channels =
      Depthwise ? choose(std::vector<int64_t>{4, 8, 24, 33})
                : Groups * choose(std::vector<int64_t>{1, 2, 3, 8, 16});
  if (Depthwise)
    Groups = Channels;
  int64_t Out =
      Groups * (Depthwise ? 1 + int64_t(chance(15))
                          : choose(std::vector<int64_t>{1, 2, 4, 16, 17, 33}));
  int64_t BatchGroups = Groups == 1 && chance(6) ? 2 + below(2) : 1;
  Out *= BatchGroups;
  // On something of the pool if it fits.
  Item X = pick([&](const Item &I) {
    return I.T == T && I.rank() == Spatial + 2 && solid(I) &&
           getDim(I.V.getType(), 1).constant() == Channels;
  });
  Dims Shape = X.V ? X.dims() : Dims();
  bool Fits = BatchGroups == 1 && X.V && X.T == T &&
              Shape.size() == Spatial + 2 && solid(X) &&
              Shape[1].isConstant(Channels);
  if (!Fits) {
    Shape = {chance(70) ? DimExpr(1 + below(2)) : randomDim(),
             DimExpr(Channels)};
    Shape[0] = Shape[0] * DimExpr(BatchGroups);
    for (unsigned D = 0; D < Spatial; ++D)
      Shape.push_back(Spatial < 3 && chance(25) ? randomDim()
                                                : DimExpr(3 + below(7)));
    if (count(Shape) > MaxElements)
      return false;
    X = input(T, Shape);
  }
  Dims Kernel{DimExpr(Out), DimExpr(Channels / Groups)};
  infer::ConvAttrs Attrs;
  double Terms = double(Channels / Groups);
  for (unsigned D = 0; D < Spatial; ++D) {
    auto Size = Shape[D + 2].constant();
    int64_t K = choose(std::vector<int64_t>{1, 3, 3, 2, 5});
    int64_t Dilation = chance(15) ? 2 + below(2) : 1,
            Span = (K - 1) * Dilation + 1;
    // The kernel fits whatever the size is.
    bool Free = Size && *Size >= Span;
    int64_t Low = Free ? below(Span) : Span - 1;
    Kernel.push_back(DimExpr(K));
    Attrs.Strides.push_back(chance(30) ? 2 + below(2) : 1);
    Attrs.LhsDilation.push_back(chance(8) ? 2 + below(2) : 1);
    Attrs.RhsDilation.push_back(Dilation);
    Attrs.PadLow.push_back(DimExpr(Low));
    Attrs.PadHigh.push_back(DimExpr(Free && chance(40) ? below(Span) : Low));
    Terms *= double(K);
  }
  Attrs.FeatureGroups = Groups;
  Attrs.BatchGroups = BatchGroups;
  bool IsStatic = llvm::all_of(Kernel, [](auto &E) { return E.constant(); });
  if (count(Kernel) > MaxElements)
    return false;
  DType FilterType = T, Result = T;
  if (T == DType::I8 || T == DType::U8) {
    FilterType = chance(50) ? DType::I8 : DType::U8;
    Result = DType::I32;
  } else if ((T == DType::F16 || T == DType::BF16) && chance(50)) {
    Result = DType::F32;
  }
  Item F = IsStatic && count(Kernel) < 700 && chance(60)
               ? constantIn(FilterType, Kernel, isFloat(T) ? -2 : 0, 2,
                            isFloat(T) && chance(50) ? 0.5 : 1)
               : input(FilterType, Kernel);
  Value V = B.conv(X.V, F.V, Attrs, element(Result));
  Facts Found = product(X, F, Terms, Result);
  if (!isFloat(Result) || chance(40))
    return add(V, Found);
  // As networks have it: a bias per channel, then an activation.
  Dims Whole = getDims(V);
  Item Bias = input(Result, {Whole[1]});
  V = B.add(V, B.broadcast(Bias.V, Whole, {1}));
  double Grid =
      Found.Grid > 0 && Bias.Grid > 0 ? std::min(Found.Grid, Bias.Grid) : 0;
  Found = rounded(Result, {Found.Lo + Bias.Lo, Found.Hi + Bias.Hi,
                           Found.Err + Bias.Err, Grid});
  if (chance(50)) {
    V = B.max(V, B.full(0, V));
    Found.Lo = std::max(Found.Lo, 0.0);
    Found.Hi = std::max(Found.Hi, 0.0);
  }
  return add(V, Found);
}

//===----------------------------------------------------------------------===//
// Patterns that kernels are made for
//===----------------------------------------------------------------------===//

bool Generator::softmax() {
  Item A = pick([](const Item &I) {
    return I.rank() > 0 && isFloat(I.T) && I.magnitude() < 30;
  });
  if (A.rank() == 0 || !isFloat(A.T) || A.magnitude() >= 30)
    return false;
  int64_t Dim = chance(70) ? A.rank() - 1 : below(A.rank());
  Dims Shape = A.dims();
  SmallVector<int64_t> All;
  for (unsigned D = 0; D < A.rank(); ++D)
    All.push_back(D);
  Value Top = B.broadcast(B.reduceMax(A.V, {Dim}, true), Shape, All);
  Value E = B.exp(B.sub(A.V, Top));
  Value Sum = B.broadcast(B.reduceSum(E, {Dim}, true), Shape, All);
  double N = double(size(Shape[size_t(Dim)]));
  double Eps = rounded(A.T, {0, A.magnitude(), 0, 0}).Err; // of the difference
  return add(
      B.div(E, Sum),
      {0, 1, 4 * (A.Err + Eps) + rounded(A.T, {0, 1, 0, 0}, 16 + N).Err, 0});
}

bool Generator::mlp() {
  Item A = pick([&](const Item &I) {
    return I.rank() >= 2 && solid(I) && isFloat(I.T) && I.magnitude() < 20;
  });
  if (A.rank() < 2 || !solid(A) || !isFloat(A.T))
    return false;
  DimExpr K = A.dims().back(), N = randomDim();
  if (size(K) * size(N) > 3000)
    return false;
  Item W = input(A.T, {K, N}), Bias = input(A.T, {N});
  Value P = B.matmul(A.V, W.V);
  Facts F = product(A, W, double(size(K)), A.T);
  Dims Shape = getDims(P);
  Value S = B.add(P, B.broadcast(Bias.V, Shape, {int64_t(Shape.size()) - 1}));
  double Grid = F.Grid > 0 && Bias.Grid > 0 ? std::min(F.Grid, Bias.Grid) : 0;
  F = rounded(A.T, {F.Lo + Bias.Lo, F.Hi + Bias.Hi, F.Err, Grid});
  if (chance(50))
    return add(B.max(S, B.full(0, S)), {0, std::max(F.Hi, 0.0), F.Err, F.Grid});
  // x * sigmoid(x), whose slope is at most 1.1
  double M = std::max(std::abs(F.Lo), std::abs(F.Hi));
  return add(B.mul(S, B.sigmoid(S)), rounded(A.T, {-M, M, 1.1 * F.Err, 0}, 10));
}

bool Generator::normalise() {
  Item A = pick([](const Item &I) {
    return I.rank() >= 1 && isFloat(I.T) && I.magnitude() < 20;
  });
  if (A.rank() == 0 || !isFloat(A.T) || A.magnitude() >= 20)
    return false;
  // The last dimension, as layer norms do, or any.
  SmallVector<int64_t> All, Reduced;
  double N = 1;
  bool Last = chance(50);
  for (unsigned D = 0; D < A.rank(); ++D) {
    All.push_back(D);
    if (Last ? D + 1 == A.rank() : chance(50)) {
      Reduced.push_back(D);
      N *= double(size(A.dims()[D]));
    }
  }
  Dims Shape = A.dims();
  Value Mean = B.broadcast(B.reduceMean(A.V, Reduced, true), Shape, All);
  Value Centred = B.sub(A.V, Mean);
  Value Variance = B.reduceMean(B.mul(Centred, Centred), Reduced, true);
  Value Scale = B.rsqrt(B.add(Variance, B.full(1, Variance)));
  Value V = B.mul(Centred, B.broadcast(Scale, Shape, All));
  double M = A.magnitude();
  double Eps = A.Err + rounded(A.T, {-M, M, 0, 0}, 2 + N).Err;
  // Variance plus one bounds the scale's slope.
  return add(V, {-2 * M, 2 * M, (4 + 8 * M * M) * Eps, 0});
}
