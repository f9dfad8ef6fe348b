//===- Generator.h - The state of a graph being made ------------*- C++ -*-===//

#ifndef LIMOSA_LIB_TESTING_GENERATOR_H
#define LIMOSA_LIB_TESTING_GENERATOR_H

#include "limosa/IR/CoreBuilder.h"
#include "limosa/Testing/RandomGraph.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <functional>
#include <random>

namespace limosa::testing {

/// A value and what is known about its elements.
struct Item {
  mlir::Value V;
  DType T = DType::Invalid;
  double Lo = 0, Hi = 0; ///< interval
  double Err = 0;        ///< error bound; 0: exact
  double Grid = 0;       ///< elements are multiples of this; 0: of nothing

  bool exact() const { return Err == 0; }
  double magnitude() const { return std::max(std::abs(Lo), std::abs(Hi)); }
  Dims dims() const { return getDims(V); }
  unsigned rank() const { return unsigned(dims().size()); }
};

/// Facts about a result that `add` turns into an Item.
struct Facts {
  double Lo, Hi, Err, Grid;
};

class Generator {
public:
  Generator(mlir::MLIRContext &Context, uint64_t Seed,
            const GraphOptions &Options);
  RandomGraph run();

private:
  using Value = mlir::Value;
  using Filter = std::function<bool(const Item &)>;

  // Choices.
  int64_t below(int64_t N) { return int64_t(Random() % uint64_t(N)); }
  bool chance(int Percent) { return below(100) < Percent; }
  template <typename T> const T &choose(const std::vector<T> &List) {
    return List[size_t(below(int64_t(List.size())))];
  }
  DType randomType();
  DimExpr symbolDim();
  DimExpr randomDim();
  Dims randomShape(unsigned MinRank, unsigned MaxRank);
  /// Number of elements at the largest symbol values.
  int64_t count(const Dims &Shape) const;
  int64_t size(const DimExpr &E) const;
  /// Whether no dimension is a size that the program computes: such ones may be
  /// 0 and cannot be those of an input.
  bool solid(const Item &I) const;

  // Values.
  mlir::Type element(DType T);
  /// Makes inputs that bind the symbols of a shape, unless `Binding`, the shape
  /// of an input to come, does.
  void bindSymbols(const Dims &Shape, const Dims &Binding = {});
  Item input(DType T, const Dims &Shape);
  Item inputIn(DType T, const Dims &Shape, double Lo, double Hi, double Grid);
  Item constantIn(DType T, const Dims &Shape, double Lo, double Hi,
                  double Grid);
  /// A value that satisfies the filter, the newer the likelier; an input if
  /// there is none.
  Item pick(const Filter &F, DType Fallback = DType::F32);
  Item pickFloat();
  /// One of this shape and dtype: from the pool, or an input or constant.
  Item partner(const Item &Like);
  /// Keeps a result unless its numbers got too large or too inexact.
  bool add(Value V, Facts F);
  bool add(Value V, const Item &Like) {
    return add(V, Facts{Like.Lo, Like.Hi, Like.Err, Like.Grid});
  }
  Facts sum(const Item &A, double Terms) const;
  Facts product(const Item &A, const Item &B, double Terms, DType T) const;
  /// Facts of a float result, its error grown by rounding once to `T`; the grid
  /// is given up if it is too fine for the dtype.
  Facts rounded(DType T, Facts F, double Ulps = 1) const;

  // One op each, or a few that often stand together. False: not this time.
  bool unary();
  bool mathUnary(const Item &A);
  bool intUnary(const Item &A);
  bool binary();
  bool floatBinary(const Item &A, const Item &B);
  bool intBinary(const Item &A, const Item &B);
  bool compareSelect();
  bool convert();
  /// Through fp8 or 4 bits, moved about in between.
  bool storage();
  bool bitcast();
  bool reshape();
  bool transpose();
  bool broadcast();
  bool slice();
  bool pad();
  bool concat();
  bool gather();
  bool scatter();
  bool updateSlice();
  bool iota();
  bool reduce();
  bool argReduce();
  bool reduceTogether();
  bool scan();
  bool window();
  bool argWindow();
  bool sort();
  bool contract();
  bool conv();
  bool softmax();
  bool mlp();
  bool normalise();
  bool compact();
  bool boundSize();
  bool randomBits();
  bool ifElse();
  bool loop();
  bool growingLoop();
  bool dimension();

  /// Any op, by the weights of this graph.
  bool anyOp();
  /// Makes ops at the insertion point, a region's, and gives something of the
  /// type of `Like` that is known there. The pool is as before afterwards.
  Item inRegion(const Item &Like, llvm::ArrayRef<Item> Arguments);
  /// The graph's condition for an `if`: an input, or computed.
  Value condition();

  struct Windows {
    llvm::SmallVector<int64_t> Sizes, Strides, Dilations;
    llvm::SmallVector<DimExpr> Low, High;
    double Elements = 1; ///< of a window
  };
  Windows randomWindows(const Item &A);

  void finish(RandomGraph &G);
  reference::Tensor makeInput(size_t Index,
                              const std::map<std::string, int64_t> &Sizes);

  struct Choice {
    int Weight;
    bool (Generator::*Make)();
  };
  void chooseWeights();

  struct InputSpec {
    DType T;
    Dims Shape;
    double Lo, Hi, Grid;
  };

  mlir::MLIRContext &Context;
  GraphOptions Options;
  std::mt19937_64 Random;
  mlir::OwningOpRef<mlir::ModuleOp> Module;
  mlir::func::FuncOp Func;
  mlir::OpBuilder Builder;
  CoreBuilder B;
  std::vector<Item> Pool;
  std::vector<InputSpec> Inputs;
  std::vector<std::string> Symbols; ///< of the inputs
  std::map<std::string, int64_t> LargestSizes;
  std::vector<Choice> Choices;
  int TotalWeight = 0;
  int64_t MaxElements = 6000;
  unsigned FreshSymbols = 0;
  unsigned Depth = 0; ///< regions around the insertion point
};

} // namespace limosa::testing

#endif // LIMOSA_LIB_TESTING_GENERATOR_H
