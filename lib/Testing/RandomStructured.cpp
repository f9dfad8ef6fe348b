//===- RandomStructured.cpp - Reductions, products, sorts of random graphs ===//

#include "Generator.h"

#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace limosa;
using namespace limosa::testing;

bool Generator::reduce() {
  Item A = pick([&](const Item &I) { return I.rank() > 0 && solid(I); });
  if (A.rank() == 0 || !solid(A))
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

bool Generator::window() {
  Item A = pick([&](const Item &I) {
    return I.rank() > 0 && solid(I) && I.T != DType::Bool;
  });
  if (A.rank() == 0 || !solid(A) || A.T == DType::Bool)
    return false;
  SmallVector<int64_t> Sizes, Strides, Dilations;
  SmallVector<DimExpr> Low, High;
  double N = 1;
  for (const DimExpr &E : A.dims()) {
    auto Size = E.constant();
    bool Slide = Size ? *Size > 2 && chance(60) : chance(20);
    int64_t K = Slide ? 2 + below(2) : 1,
            D = Slide && Size && *Size > 6 && chance(20) ? 2 : 1;
    Sizes.push_back(K);
    Strides.push_back(Slide ? 1 + below(2) : 1);
    Dilations.push_back(D);
    // With a symbol the window must fit a size of 1.
    int64_t P = Slide ? (Size ? below(2) : K - 1) : 0;
    Low.push_back(DimExpr(P));
    High.push_back(DimExpr(Slide && chance(50) ? P : Size ? 0 : P));
    N *= double(K);
  }
  using C = CoreBuilder::Combiner;
  bool Sum = chance(50);
  Value Init = B.combinerInit(Sum ? C::Add : C::Max, element(A.T));
  Value V = B.window(Sum ? C::Add : C::Max, A.V, Init, Sizes, Strides,
                     Dilations, Low, High);
  // A window that lies in the padding alone gives the identity; padding is
  // smaller than every window.
  return add(V, Sum ? sum(A, N) : Facts{A.Lo, A.Hi, A.Err, A.Grid});
}

bool Generator::sort() {
  Item A =
      pick([](const Item &I) { return I.rank() > 0 && I.T != DType::Bool; });
  if (A.rank() == 0 || A.T == DType::Bool)
    return false;
  int64_t Dim = below(A.rank());
  std::optional<DimExpr> Limit;
  if (auto Size = getDim(A.V.getType(), unsigned(Dim)).constant();
      Size && chance(40))
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
  Item A = pick([&](const Item &I) {
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
  if (count(Shape) > 6000)
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
  Item C = input(Right, Shape);
  Value V = B.contract(A.V, C.V, LB, RB, LC, RC, element(Out));
  return add(V, product(A, C, Terms, Out));
}

bool Generator::conv() {
  DType T = chance(80) ? DType::F32 : randomType();
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
      Groups * (Depthwise ? 1 : choose(std::vector<int64_t>{1, 2, 4, 16, 17}));
  // On something of the pool if it fits.
  Item X = pick([&](const Item &I) {
    return I.T == T && I.rank() == Spatial + 2 && solid(I) &&
           getDim(I.V.getType(), 1).constant() == Channels;
  });
  Dims Shape = X.V ? X.dims() : Dims();
  bool Fits = X.V && X.T == T && Shape.size() == Spatial + 2 && solid(X) &&
              Shape[1].isConstant(Channels);
  if (!Fits) {
    Shape = {chance(70) ? DimExpr(1 + below(2)) : randomDim(),
             DimExpr(Channels)};
    for (unsigned D = 0; D < Spatial; ++D)
      Shape.push_back(Spatial < 3 && chance(25) ? randomDim()
                                                : DimExpr(3 + below(7)));
    if (count(Shape) > 6000)
      return false;
    X = input(T, Shape);
  }
  Dims Kernel{DimExpr(Out), DimExpr(Channels / Groups)};
  infer::ConvAttrs Attrs;
  double Terms = double(Channels / Groups);
  for (unsigned D = 0; D < Spatial; ++D) {
    auto Size = Shape[D + 2].constant();
    int64_t K = choose(std::vector<int64_t>{1, 3, 3, 2});
    int64_t Dilation = chance(15) ? 2 : 1, Span = (K - 1) * Dilation + 1;
    // The kernel fits whatever the size is.
    int64_t Pad = Size && *Size >= Span ? below(Span) : Span - 1;
    Kernel.push_back(DimExpr(K));
    Attrs.Strides.push_back(chance(30) ? 2 : 1);
    Attrs.LhsDilation.push_back(chance(8) ? 2 : 1);
    Attrs.RhsDilation.push_back(Dilation);
    Attrs.PadLow.push_back(DimExpr(Pad));
    Attrs.PadHigh.push_back(DimExpr(Pad));
    Terms *= double(K);
  }
  Attrs.FeatureGroups = Groups;
  bool IsStatic = llvm::all_of(Kernel, [](auto &E) { return E.constant(); });
  Item F = IsStatic && count(Kernel) < 700 && chance(60)
               ? constantIn(T, Kernel, isFloat(T) ? -2 : 0, 2,
                            isFloat(T) && chance(50) ? 0.5 : 1)
               : input(T, Kernel);
  if (count(Kernel) > 6000)
    return false;
  Value V =
      B.conv(X.V, F.V, Attrs,
             T == DType::I8 || T == DType::U8 ? element(DType::I32) : Type());
  return add(V, product(X, F, Terms, getDType(getElementTypeOrSelf(V))));
}

//===----------------------------------------------------------------------===//
// Patterns that kernels are made for
//===----------------------------------------------------------------------===//

bool Generator::softmax() {
  Item A = pick([&](const Item &I) {
    return I.rank() > 0 && solid(I) && isFloat(I.T) && I.magnitude() < 30;
  });
  if (A.rank() == 0 || !solid(A) || !isFloat(A.T) || A.magnitude() >= 30)
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
  Item A = pick([&](const Item &I) {
    return I.rank() >= 1 && solid(I) && isFloat(I.T) && I.magnitude() < 20;
  });
  if (A.rank() == 0 || !solid(A) || !isFloat(A.T) || A.magnitude() >= 20)
    return false;
  int64_t Last = A.rank() - 1;
  Dims Shape = A.dims();
  SmallVector<int64_t> All;
  for (unsigned D = 0; D < A.rank(); ++D)
    All.push_back(D);
  Value Mean = B.broadcast(B.reduceMean(A.V, {Last}, true), Shape, All);
  Value Centred = B.sub(A.V, Mean);
  Value Variance = B.reduceMean(B.mul(Centred, Centred), {Last}, true);
  Value Scale = B.rsqrt(B.add(Variance, B.full(1, Variance)));
  Value V = B.mul(Centred, B.broadcast(Scale, Shape, All));
  double M = A.magnitude(), N = double(size(Shape.back()));
  double Eps = A.Err + rounded(A.T, {-M, M, 0, 0}, 2 + N).Err;
  // Variance plus one bounds the scale's slope.
  return add(V, {-2 * M, 2 * M, (4 + 8 * M * M) * Eps, 0});
}
