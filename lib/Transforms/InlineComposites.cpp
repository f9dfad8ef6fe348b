//===- InlineComposites.cpp - Composites to core ops ----------------------===//

#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Symbols.h"
#include "limosa/IR/Types.h"
#include "limosa/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/SymbolTable.h"

using namespace mlir;
using namespace limosa;

namespace {

struct InlineComposites
    : PassWrapper<InlineComposites, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(InlineComposites)
  StringRef getArgument() const final { return "limosa-inline-composites"; }
  StringRef getDescription() const final {
    return "Replace unclaimed composites by their definitions";
  }

  void runOnOperation() final {
    SymbolTable Symbols(getOperation());
    // A definition may call composites itself, so go on until none is left.
    for (;;) {
      SmallVector<CompositeOp> Work;
      getOperation().walk([&](CompositeOp Op) {
        auto Inside = Op->getParentOfType<func::FuncOp>();
        if (!Op->hasAttr(ClaimedAttrName) &&
            !Inside->hasAttr(CompositeAttrName))
          Work.push_back(Op);
      });
      if (Work.empty())
        break;
      for (CompositeOp Op : Work)
        if (failed(inlineOne(Op, Symbols.lookup<func::FuncOp>(Op.getBody()))))
          return signalPassFailure();
    }
    eraseUnused();
  }

  LogicalResult inlineOne(CompositeOp Op, func::FuncOp Body) {
    if (!Body || Body.isExternal())
      return Op.emitOpError("has no definition to inline");
    OpBuilder B(Op);
    IRMapping Map;
    Map.map(Body.getArguments(), Op.getInputs());
    for (Operation &Inner : Body.front().without_terminator()) {
      Operation *Copy = B.clone(Inner, Map);
      // Messages and profiles name the model's node, not the definition's line.
      Copy->walk([&](Operation *O) { O->setLoc(Op.getLoc()); });
    }
    Operation *Return = Body.front().getTerminator();
    for (auto [Old, New] : llvm::zip(Op.getResults(), Return->getOperands()))
      Old.replaceAllUsesWith(Map.lookupOrDefault(New));
    Op.erase();
    return success();
  }

  void eraseUnused() {
    bool Changed = true;
    while (Changed) {
      Changed = false;
      for (auto F :
           llvm::make_early_inc_range(getOperation().getOps<func::FuncOp>()))
        if (F->hasAttr(CompositeAttrName) &&
            SymbolTable::symbolKnownUseEmpty(F, getOperation())) {
          F.erase();
          Changed = true;
        }
    }
  }
};

} // namespace

std::unique_ptr<Pass> limosa::createInlineCompositesPass() {
  return std::make_unique<InlineComposites>();
}
