//===- IRTestBase.h - A module to build core ops in -------------*- C++ -*-===//

#ifndef LIMOSA_TEST_UNIT_IR_IRTESTBASE_H
#define LIMOSA_TEST_UNIT_IR_IRTESTBASE_H

#include "limosa/IR/CoreBuilder.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"

#include <gtest/gtest.h>

namespace limosa {

/// A function whose arguments have the given types, and a builder inside.
class IRTest : public ::testing::Test {
protected:
  IRTest() : B(&Ctx) {
    Ctx.loadDialect<LimosaDialect, mlir::func::FuncDialect>();
    Module = mlir::ModuleOp::create(B.getUnknownLoc());
    F32 = B.getF32Type();
  }
  CoreBuilder begin(llvm::ArrayRef<mlir::Type> Args) {
    B.setInsertionPointToEnd(Module->getBody());
    Func = mlir::func::FuncOp::create(B, B.getUnknownLoc(), "f",
                                      B.getFunctionType(Args, {}));
    B.setInsertionPointToEnd(Func.addEntryBlock());
    return CoreBuilder(B, B.getUnknownLoc());
  }
  mlir::Value arg(unsigned I) { return Func.getArgument(I); }
  /// Ends the function and runs every verifier.
  void finish() {
    mlir::func::ReturnOp::create(B, B.getUnknownLoc());
    EXPECT_TRUE(mlir::succeeded(mlir::verify(*Module)));
  }
  static DimExpr sym(const char *Name) { return DimExpr::symbol(Name); }
  static std::string text(mlir::Value V) {
    std::string S;
    for (const DimExpr &D : getDims(V))
      S += (S.empty() ? "" : "x") + D.toString();
    return S;
  }

  mlir::MLIRContext Ctx;
  mlir::OpBuilder B;
  mlir::OwningOpRef<mlir::ModuleOp> Module;
  mlir::func::FuncOp Func;
  mlir::Type F32;
};

} // namespace limosa

#endif // LIMOSA_TEST_UNIT_IR_IRTESTBASE_H
