//===- Passes.cpp - Registration ------------------------------------------===//

#include "limosa/Transforms/Passes.h"

using namespace mlir;

void limosa::registerTransformsPasses() {
  registerPass([] { return createInlineCompositesPass(); });
  registerPass([] { return createLowerStringsPass(); });
  registerPass([] { return createSimplifyPass(); });
  registerPass([] { return createConstantFoldPass(); });
  registerPass([] { return createAssignLayoutsPass(); });
  registerPass([] { return createBatchLoopsPass(); });
}
