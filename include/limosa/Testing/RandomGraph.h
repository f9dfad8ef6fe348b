//===- RandomGraph.h - Random programs of core ops --------------*- C++ -*-===//
//
// Typed random graphs over the core ops, with static and symbolic dimensions.
// For every value the generator keeps an interval that holds it, a bound of the
// error that a correct implementation may make, and whether its elements lie on
// a grid on which sums and products are exact. Ops that jump (comparisons,
// rounding, conversion to integers, sort keys) are only applied to exact
// values, so that outputs are either compared within a bound that follows from
// the graph or must be equal; nothing is loosened to make a comparison pass.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_TESTING_RANDOMGRAPH_H
#define LIMOSA_TESTING_RANDOMGRAPH_H

#include "limosa/Reference/Tensor.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <map>
#include <string>
#include <vector>

namespace limosa::testing {

struct GraphOptions {
  unsigned MaxOps = 12;
  bool Symbols = true;     ///< symbolic dimensions
  bool ControlFlow = true; ///< if, while, data-dependent sizes
  bool AllTypes = true;    ///< else f32, i64 and bool only
};

/// A program and what it is to be run with.
struct RandomGraph {
  mlir::OwningOpRef<mlir::ModuleOp> Module; ///< one entry, "main"
  /// Values of the symbols, one map for each run.
  std::vector<std::map<std::string, int64_t>> Sizes;
  /// Inputs of each run.
  std::vector<std::vector<reference::Tensor>> Inputs;
  /// Largest difference allowed for each output; 0 means equal.
  std::vector<double> Tolerances;
};

/// The same seed and options give the same graph and inputs everywhere.
RandomGraph makeRandomGraph(mlir::MLIRContext &Context, uint64_t Seed,
                            const GraphOptions &Options = {});

} // namespace limosa::testing

#endif // LIMOSA_TESTING_RANDOMGRAPH_H
