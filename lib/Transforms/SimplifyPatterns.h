//===- SimplifyPatterns.h - Pattern sets of the simplifier ------*- C++ -*-===//

#ifndef LIMOSA_TRANSFORMS_SIMPLIFYPATTERNS_H
#define LIMOSA_TRANSFORMS_SIMPLIFYPATTERNS_H

#include "mlir/IR/PatternMatch.h"

namespace limosa {

/// Transposes into products, and up through reshapes that only merge.
void populateTransposePatterns(mlir::RewritePatternSet &Patterns);

/// Pads of zeros into convolutions, and of a window's init into that.
void populatePadPatterns(mlir::RewritePatternSet &Patterns);

} // namespace limosa

#endif // LIMOSA_TRANSFORMS_SIMPLIFYPATTERNS_H
