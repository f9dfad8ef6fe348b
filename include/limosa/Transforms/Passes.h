//===- Passes.h - Passes over whole programs of core ops --------*- C++ -*-===//
//
// Between the front ends and Dispatch. All work on modules of limosa functions
// and keep their meaning.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_TRANSFORMS_PASSES_H
#define LIMOSA_TRANSFORMS_PASSES_H

#include "mlir/Pass/Pass.h"
#include <memory>

namespace limosa {

/// Replaces composites by the core ops of their definitions, except those with
/// ClaimedAttrName, and erases unused definitions.
std::unique_ptr<mlir::Pass> createInlineCompositesPass();

/// Makes numbers (i64) of strings, so that later passes, kernels and devices
/// see none. Those of the program get the numbers 0, 1, .. and stand in the
/// module's StringTableAttrName; arguments and results of entries are marked
/// with StringsAttrName, those of custom calls with `string_inputs` and
/// `string_outputs`.
std::unique_ptr<mlir::Pass> createLowerStringsPass();

/// Canonicalises: folds of the dialect and patterns over several ops (powers,
/// exact divisions, transposes into products, bounds of shapes).
std::unique_ptr<mlir::Pass> createSimplifyPass();

/// Evaluates ops whose operands are constants with the reference interpreter.
/// Results larger than `MaxBytes` are kept only if they are not larger than
/// their operands together.
std::unique_ptr<mlir::Pass> createConstantFoldPass(uint64_t MaxBytes = 1 << 20);

/// Decides the physical order of every tensor once per function: channels-last
/// around convolutions, orders that make transposes free around products.
/// Inserts `relayout` where orders meet.
std::unique_ptr<mlir::Pass> createAssignLayoutsPass();

/// Where a batch is done element by element.
enum class BatchLoopUse {
  Never,
  WhereFaster, ///< by estimate
  Always       ///< wherever it is possible; for tests
};
/// Makes the beginning of an entry a loop over the batch (the first dimension
/// of its largest input, of known size) as far as what lies between its kernels
/// is larger than the caches and more than the weights.
std::unique_ptr<mlir::Pass>
createBatchLoopsPass(BatchLoopUse Use = BatchLoopUse::WhereFaster);

/// For limosa-opt.
void registerTransformsPasses();

} // namespace limosa

#endif // LIMOSA_TRANSFORMS_PASSES_H
