//===- RandomGraph.cpp - Random programs of core ops ----------------------===//

#include "Generator.h"

#include "limosa/IR/Symbols.h"

#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace limosa;
using namespace limosa::testing;
using reference::Tensor;

namespace {

/// A size that is 1 or that of N: what may be broadcast when a program runs.
constexpr char OneOrN[] = "B";

/// Bits of the significand, the hidden one included.
int mantissaBits(DType T) {
  switch (T) {
  case DType::F16:
    return 11;
  case DType::BF16:
    return 8;
  case DType::F32:
    return 24;
  case DType::F64:
    return 53;
  default:
    return 63;
  }
}

/// Beyond this the numbers tell nothing any more.
double largest(DType T) {
  switch (T) {
  case DType::F16:
    return 1000;
  case DType::F64:
    return 1e12;
  default:
    return 1e8;
  }
}

double intMin(DType T) {
  return dtypeClass(T) == DTypeClass::Signed
             ? -std::ldexp(1.0, int(dtypeBits(T)) - 1)
             : 0.0;
}
double intMax(DType T) {
  if (T == DType::Bool)
    return 1;
  bool Signed = dtypeClass(T) == DTypeClass::Signed;
  return std::ldexp(1.0, int(dtypeBits(T)) - Signed) - 1;
}

} // namespace

//===----------------------------------------------------------------------===//
// Choices
//===----------------------------------------------------------------------===//

Generator::Generator(MLIRContext &Context, uint64_t Seed,
                     const GraphOptions &Options)
    : Context(Context), Options(Options), Random(Seed * 0x9E3779B97F4A7C15 + 1),
      Module(ModuleOp::create(UnknownLoc::get(&Context))), Builder(&Context),
      B(Builder, UnknownLoc::get(&Context)) {
  Builder.setInsertionPointToEnd(Module->getBody());
  Func = func::FuncOp::create(Builder, UnknownLoc::get(&Context), "main",
                              Builder.getFunctionType({}, {}));
  Func->setAttr(EntryAttrName, Builder.getUnitAttr());
  Builder.setInsertionPointToStart(Func.addEntryBlock());
  if (Options.Symbols && chance(60)) {
    Symbols.push_back("N");
    if (chance(30))
      Symbols.push_back("M");
    if (chance(15))
      Symbols.push_back(OneOrN);
  }
  if (chance(8))
    MaxElements = 40000;
  int64_t Largest = chance(20) ? 33 : 9;
  int64_t Smallest = chance(50) ? 0 : 1;
  for (const std::string &S : Symbols) {
    LargestSizes[S] = Largest;
    setSymbolInfo(*Module, S, SymbolAttr::get(&Context, Smallest, 4096, 1, ""));
  }
  chooseWeights();
}

DType Generator::randomType() {
  int64_t Choice = below(100);
  if (Choice < 50)
    return DType::F32;
  if (Choice < 58)
    return DType::I64;
  if (!Options.AllTypes)
    return DType::F32;
  static const std::vector<DType> Others = {
      DType::F16, DType::F16, DType::BF16, DType::BF16, DType::F64,
      DType::F64, DType::I32, DType::I32,  DType::I8,   DType::U8,
      DType::I16, DType::U16, DType::U32,  DType::U64};
  return choose(Others);
}

DimExpr Generator::symbolDim() {
  DimExpr S = DimExpr::symbol(choose(Symbols));
  if (chance(85))
    return S;
  return chance(70) ? S + DimExpr(below(3) + 1) : S * DimExpr(2);
}

DimExpr Generator::randomDim() {
  if (!Symbols.empty() && chance(35))
    return symbolDim();
  if (chance(1))
    return DimExpr(0);
  static const std::vector<int64_t> Sizes = {1, 1, 2,  3,  3,  4,  5,
                                             7, 8, 16, 17, 24, 32, 33};
  static const std::vector<int64_t> Large = {40, 64, 65, 100, 128, 257, 1000};
  return DimExpr(chance(MaxElements > 6000 ? 25 : 2) ? choose(Large)
                                                     : choose(Sizes));
}

Dims Generator::randomShape(unsigned MinRank, unsigned MaxRank) {
  for (;;) {
    Dims Shape;
    unsigned Rank = MinRank + unsigned(below(MaxRank - MinRank + 1));
    for (unsigned D = 0; D < Rank; ++D)
      Shape.push_back(randomDim());
    if (count(Shape) <= MaxElements)
      return Shape;
  }
}

int64_t Generator::size(const DimExpr &E) const {
  auto V = E.evaluate([&](std::string_view Name) -> std::optional<int64_t> {
    auto It = LargestSizes.find(std::string(Name));
    return It == LargestSizes.end() ? std::nullopt : std::optional(It->second);
  });
  return V.value_or(MaxElements);
}

int64_t Generator::count(const Dims &Shape) const {
  int64_t Count = 1;
  for (const DimExpr &E : Shape)
    Count *= std::min(size(E), MaxElements);
  return Count;
}

bool Generator::solid(const Item &I) const {
  for (const DimExpr &E : I.dims())
    for (const std::string &S : E.symbols())
      if (!llvm::is_contained(Symbols, S))
        return false;
  return true;
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

Type Generator::element(DType T) { return getElementType(&Context, T); }

/// A symbol is bound by an input that has it as a whole dimension.
void Generator::bindSymbols(const Dims &Shape, const Dims &Binding) {
  for (const DimExpr &E : Shape)
    for (const std::string &S : E.symbols()) {
      DimExpr Symbol = DimExpr::symbol(S);
      bool Bound = !llvm::is_contained(Symbols, S) ||
                   llvm::is_contained(Binding, Symbol);
      for (const InputSpec &I : Inputs)
        Bound |= llvm::is_contained(I.Shape, Symbol);
      if (!Bound)
        Pool.push_back(inputIn(DType::F32, {Symbol}, -2, 2, 0.25));
    }
}

Item Generator::inputIn(DType T, const Dims &Shape, double Lo, double Hi,
                        double Grid) {
  bindSymbols(Shape, Shape);
  Value V = Func.getBody().front().addArgument(
      makeTensorType(Shape, element(T)), UnknownLoc::get(&Context));
  Inputs.push_back({T, Shape, Lo, Hi, Grid});
  return {V, T, Lo, Hi, 0, Grid};
}

Item Generator::input(DType T, const Dims &Shape) {
  if (T == DType::Bool)
    return inputIn(T, Shape, 0, 1, 1);
  if (!isFloat(T))
    return inputIn(T, Shape, dtypeClass(T) == DTypeClass::Signed ? -20 : 0, 50,
                   1);
  if (chance(60)) // sums and products are exact
    return inputIn(T, Shape, -2, 2, chance(50) ? 0.25 : 1);
  return inputIn(T, Shape, -3, 3, 0);
}

Item Generator::constantIn(DType T, const Dims &Shape, double Lo, double Hi,
                           double Grid) {
  SmallVector<int64_t> Sizes;
  int64_t Count = 1;
  for (const DimExpr &E : Shape) {
    Sizes.push_back(*E.constant());
    Count *= Sizes.back();
  }
  auto Ty = RankedTensorType::get(Sizes, element(T));
  SmallVector<Attribute> Elements;
  for (int64_t I = 0; I < Count; ++I) {
    double Share = double(below(1001)) / 1000, V = Lo + (Hi - Lo) * Share;
    if (Grid != 0)
      V = std::nearbyint(V / Grid) * Grid;
    if (isFloat(T))
      Elements.push_back(FloatAttr::get(element(T), V));
    else
      Elements.push_back(IntegerAttr::get(
          element(T), APInt(Ty.getElementTypeBitWidth(), uint64_t(int64_t(V)),
                            false, /*implicitTrunc=*/true)));
  }
  return {B.constant(DenseElementsAttr::get(Ty, Elements)), T, Lo, Hi, 0, Grid};
}

Item Generator::pick(const Filter &F, DType Fallback) {
  std::vector<Item> Fitting;
  llvm::copy_if(Pool, std::back_inserter(Fitting), F);
  if (!Fitting.empty() && chance(92)) {
    // The larger of two numbers prefers what was made last.
    int64_t N = int64_t(Fitting.size());
    return Fitting[size_t(std::max(below(N), below(N)))];
  }
  for (int Try = 0; Try < 20; ++Try) {
    Item I = input(Fallback, randomShape(1, 4));
    Pool.push_back(I);
    if (F(I))
      return I;
  }
  return Fitting.empty() ? Item() : Fitting.back();
}

Item Generator::pickFloat() {
  return pick([](const Item &I) { return isFloat(I.T); });
}

Item Generator::partner(const Item &Like) {
  Dims Shape = Like.dims();
  std::vector<const Item *> Fitting;
  for (const Item &I : Pool)
    if (I.T == Like.T && I.dims() == Shape)
      Fitting.push_back(&I);
  if (!Fitting.empty() && chance(60))
    return *Fitting[size_t(below(int64_t(Fitting.size())))];
  if (!solid(Like)) {
    Item Small = constantIn(Like.T, {}, 0, 3, 1);
    Small.V = B.broadcast(Small.V, Shape, {});
    return Small;
  }
  // Broadcast, or not, when it runs.
  auto N = llvm::find(Shape, DimExpr::symbol("N"));
  if (N != Shape.end() && llvm::is_contained(Symbols, OneOrN) && chance(50)) {
    Dims Narrow = Shape;
    Narrow[size_t(N - Shape.begin())] = DimExpr::symbol(OneOrN);
    SmallVector<int64_t> All;
    for (size_t D = 0; D < Shape.size(); ++D)
      All.push_back(int64_t(D));
    Item Small = input(Like.T, Narrow);
    Small.V = B.broadcast(Small.V, Shape, All);
    return Small;
  }
  bool Static = llvm::all_of(Shape, [](auto &E) { return E.constant(); });
  // A vector or a scalar spread over the shape, as biases and scales are.
  if (!Shape.empty() && chance(40)) {
    int64_t D = below(int64_t(Shape.size()));
    Item Small = chance(30) ? constantIn(Like.T, {}, isFloat(Like.T) ? -2 : 0,
                                         3, isFloat(Like.T) ? 0.25 : 1)
                            : input(Like.T, {Shape[size_t(D)]});
    Value Wide = Small.rank() == 0 ? B.broadcast(Small.V, Shape, {})
                                   : B.broadcast(Small.V, Shape, {D});
    Small.V = Wide;
    return Small;
  }
  if (Static && count(Shape) < 300 && chance(30))
    return constantIn(Like.T, Shape, isFloat(Like.T) ? -2 : 0, 3,
                      isFloat(Like.T) ? 0.25 : 1);
  return input(Like.T, Shape);
}

//===----------------------------------------------------------------------===//
// Facts
//===----------------------------------------------------------------------===//

Facts Generator::rounded(DType T, Facts F, double Ulps) const {
  double Magnitude = std::max(std::abs(F.Lo), std::abs(F.Hi));
  bool OnGrid = F.Grid > 0 && F.Err == 0 &&
                Magnitude / F.Grid <= std::ldexp(1.0, mantissaBits(T));
  if (OnGrid)
    return F;
  F.Grid = 0;
  F.Err += Ulps * Magnitude * std::ldexp(1.0, 1 - mantissaBits(T));
  return F;
}

/// A sum of `Terms` elements of A.
Facts Generator::sum(const Item &A, double Terms) const {
  Facts F{std::min(0.0, A.Lo * Terms), std::max(0.0, A.Hi * Terms),
          A.Err * Terms, A.Grid};
  return rounded(A.T, F, std::max(1.0, Terms));
}

/// A sum of `Terms` products of elements of A and B, given as T.
Facts Generator::product(const Item &A, const Item &B, double Terms,
                         DType T) const {
  double M = A.magnitude() * B.magnitude() * Terms;
  Facts F{-M, M,
          Terms *
              (A.magnitude() * B.Err + B.magnitude() * A.Err + A.Err * B.Err),
          A.Grid * B.Grid};
  // At least f32 sums, one rounding to the result.
  Facts R = rounded(T, F);
  if (R.Grid == 0)
    R.Err += M * Terms * std::ldexp(1.0, -std::max(23, mantissaBits(T) - 1));
  return R;
}

bool Generator::add(Value V, Facts F) {
  DType T = getDType(getElementTypeOrSelf(V));
  Item I{V, T, F.Lo, F.Hi, F.Err, F.Grid};
  if (isFloat(T)) {
    if (!(I.magnitude() <= largest(T)) ||
        !(I.Err <= 0.05 * (I.magnitude() + 1e-3)))
      return false;
  } else {
    // Integers wrap: any value then.
    if (I.Lo < intMin(T) || I.Hi > intMax(T)) {
      I.Lo = intMin(T);
      I.Hi = intMax(T);
    }
    I.Err = 0;
    I.Grid = 1;
  }
  if (count(I.dims()) > 4 * MaxElements)
    return false;
  Pool.push_back(I);
  return true;
}

//===----------------------------------------------------------------------===//
// The whole
//===----------------------------------------------------------------------===//

/// Each graph has ops of its own that it likes and others that it leaves out,
/// so that rare neighbours meet.
void Generator::chooseWeights() {
  Choices = {{10, &Generator::unary},
             {14, &Generator::binary},
             {5, &Generator::compareSelect},
             {5, &Generator::convert},
             {2, &Generator::storage},
             {1, &Generator::bitcast},
             {5, &Generator::reshape},
             {6, &Generator::transpose},
             {5, &Generator::broadcast},
             {5, &Generator::slice},
             {4, &Generator::pad},
             {4, &Generator::concat},
             {4, &Generator::gather},
             {3, &Generator::scatter},
             {2, &Generator::updateSlice},
             {1, &Generator::iota},
             {8, &Generator::reduce},
             {2, &Generator::argReduce},
             {1, &Generator::reduceTogether},
             {3, &Generator::scan},
             {4, &Generator::window},
             {1, &Generator::argWindow},
             {3, &Generator::sort},
             {8, &Generator::contract},
             {6, &Generator::conv},
             {3, &Generator::softmax},
             {3, &Generator::mlp},
             {2, &Generator::normalise},
             {1, &Generator::randomBits},
             {1, &Generator::dimension}};
  if (Options.ControlFlow) {
    Choices.push_back({2, &Generator::compact});
    Choices.push_back({1, &Generator::boundSize});
    Choices.push_back({2, &Generator::ifElse});
    Choices.push_back({2, &Generator::loop});
    Choices.push_back({1, &Generator::growingLoop});
  }
  bool Swarm = chance(60);
  for (Choice &C : Choices) {
    if (Swarm)
      C.Weight *= choose(std::vector<int>{0, 1, 1, 2, 6});
    TotalWeight += C.Weight;
  }
  if (TotalWeight == 0)
    TotalWeight = Choices[0].Weight = 1;
}

bool Generator::anyOp() {
  int64_t At = below(TotalWeight);
  const Choice *C = Choices.data();
  while (At >= C->Weight)
    At -= C++->Weight;
  return (this->*C->Make)();
}

RandomGraph Generator::run() {
  Pool.push_back(input(randomType(), randomShape(1, 4)));
  unsigned Ops = 1 + unsigned(below(Options.MaxOps));
  for (unsigned Made = 0, Tries = 0; Made < Ops && Tries < 10 * Ops; ++Tries)
    Made += anyOp();
  RandomGraph G;
  finish(G);
  return G;
}

void Generator::finish(RandomGraph &G) {
  // What was made last, and one or two others, none of them a bare input.
  std::vector<const Item *> Made;
  for (const Item &I : Pool)
    if (!isa<BlockArgument>(I.V))
      Made.push_back(&I);
  std::vector<const Item *> Outputs;
  if (Made.empty()) {
    Outputs.push_back(&Pool.front());
  } else {
    Outputs.push_back(Made.back());
    for (int64_t More = below(4); More > 0; --More)
      if (const Item *I = choose(Made); !llvm::is_contained(Outputs, I))
        Outputs.push_back(I);
  }
  SmallVector<Value> Results;
  for (const Item *I : Outputs) {
    Results.push_back(I->V);
    G.Tolerances.push_back(4 * I->Err);
  }
  func::ReturnOp::create(Builder, UnknownLoc::get(&Context), Results);
  Func.setFunctionType(
      Builder.getFunctionType(Func.getBody().front().getArgumentTypes(),
                              ValueRange(Results).getTypes()));
  for (size_t I = 0; I < Inputs.size(); ++I)
    Func.setArgAttr(unsigned(I), NameAttrName,
                    Builder.getStringAttr("in" + std::to_string(I)));
  for (size_t I = 0; I < Results.size(); ++I)
    Func.setResultAttr(unsigned(I), NameAttrName,
                       Builder.getStringAttr("out" + std::to_string(I)));
  size_t Runs = Symbols.empty() ? 1 : 2;
  for (size_t R = 0; R < Runs; ++R) {
    std::map<std::string, int64_t> Values;
    for (const std::string &S : Symbols) {
      if (S == OneOrN) {
        Values[S] = chance(50) ? 1 : Values["N"];
        continue;
      }
      static const std::vector<int64_t> Sizes = {1, 2, 3, 4, 7, 8, 9};
      bool MayBeEmpty = getSymbolInfo(*Module, S).getMin() == 0;
      Values[S] = MayBeEmpty && chance(20)            ? 0
                  : LargestSizes[S] > 9 && chance(50) ? 10 + below(24)
                                                      : choose(Sizes);
    }
    std::vector<Tensor> Run;
    for (size_t I = 0; I < Inputs.size(); ++I)
      Run.push_back(makeInput(I, Values));
    G.Sizes.push_back(std::move(Values));
    G.Inputs.push_back(std::move(Run));
  }
  G.Module = std::move(Module);
}

Tensor Generator::makeInput(size_t Index,
                            const std::map<std::string, int64_t> &Sizes) {
  const InputSpec &S = Inputs[Index];
  reference::Shape Dims;
  int64_t Count = 1;
  for (const DimExpr &E : S.Shape) {
    Dims.push_back(*E.evaluate([&](std::string_view Name) {
      return std::optional(Sizes.at(std::string(Name)));
    }));
    Count *= Dims.back();
  }
  std::vector<double> Elements(static_cast<size_t>(Count));
  for (double &V : Elements) {
    V = S.Lo + (S.Hi - S.Lo) * (double(below(1 << 20)) / (1 << 20));
    if (S.Grid != 0)
      V = std::clamp(std::nearbyint(V / S.Grid) * S.Grid, S.Lo, S.Hi);
  }
  return reference::convertTensor(
      Tensor::fromPacked(DType::F64, Dims, Elements.data()), S.T);
}

RandomGraph limosa::testing::makeRandomGraph(MLIRContext &Context,
                                             uint64_t Seed,
                                             const GraphOptions &Options) {
  return Generator(Context, Seed, Options).run();
}
