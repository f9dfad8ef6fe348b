//===- SplitProducts.h - Products with weights stored by blocks -*- C++ -*-===//

#ifndef LIMOSA_LIB_DISPATCH_SPLITPRODUCTS_H
#define LIMOSA_LIB_DISPATCH_SPLITPRODUCTS_H

#include "mlir/IR/PatternMatch.h"

namespace limosa::dispatch {

/// contract(x, reshape(w)) = contract(reshape(x), w) where w is spread from
/// narrow constants and the reshape only joins dimensions.
void addSplitProductPatterns(mlir::RewritePatternSet &Patterns);

} // namespace limosa::dispatch

#endif // LIMOSA_LIB_DISPATCH_SPLITPRODUCTS_H
