//===- limosa-opt.cpp - Passes over textual IR, and the importer ----------===//
//
//   limosa-opt file.mlir --some-pass      runs passes, as mlir-opt does
//   limosa-opt --import-onnx model.onnx   prints the imported module; further
//                                         arguments are passes to run on it
//   limosa-opt --onnx-operators           prints the table of operators
//
//===----------------------------------------------------------------------===//

#include "limosa/Dispatch/Fusion.h"
#include "limosa/Frontend/ImportOnnx.h"
#include "limosa/IR/LimosaDialect.h"
#include "limosa/Transforms/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/UB/IR/UBOps.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"

using namespace mlir;

static llvm::cl::opt<std::string>
    ImportOnnx("import-onnx", llvm::cl::desc("Print an ONNX model as IR"),
               llvm::cl::value_desc("model.onnx"));
static llvm::cl::opt<bool>
    OnnxOperators("onnx-operators",
                  llvm::cl::desc("Print the ONNX operators as Markdown"));
static llvm::cl::opt<bool>
    Quiet("quiet", llvm::cl::desc("With --import-onnx: print nothing"));

static int printImported() {
  MLIRContext Context;
  auto Module = limosa::importOnnx(Context, ImportOnnx);
  if (!Module) {
    llvm::errs() << "error: " << llvm::toString(Module.takeError()) << "\n";
    return 1;
  }
  if (Quiet)
    return 0;
  OpPrintingFlags Flags;
  Flags.elideLargeElementsAttrs(32).elideLargeResourceString(32);
  (*Module)->print(llvm::outs(), Flags);
  return 0;
}

int main(int Argc, char **Argv) {
  llvm::InitLLVM Init(Argc, Argv);
  DialectRegistry Registry;
  Registry.insert<limosa::LimosaDialect, arith::ArithDialect, func::FuncDialect,
                  LLVM::LLVMDialect, math::MathDialect, memref::MemRefDialect,
                  scf::SCFDialect, ub::UBDialect, vector::VectorDialect>();
  mlir::registerTransformsPasses();
  limosa::registerTransformsPasses();
  limosa::registerDispatchPasses();
  auto [Input, Output] = registerAndParseCLIOptions(
      Argc, Argv, "Limosa's optimiser driver\n", Registry);
  if (OnnxOperators) {
    limosa::printOnnxOperators(llvm::outs());
    return 0;
  }
  if (!ImportOnnx.empty())
    return printImported();
  return asMainReturnCode(MlirOptMain(Argc, Argv, Input, Output, Registry));
}
