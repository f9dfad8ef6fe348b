//===- DevicesTest.cpp - Programs on more than the CPU --------------------===//

#include "Harness.h"

#include "limosa/Compiler.h"
#include "limosa/Schema/program_generated.h"

#include <gtest/gtest.h>

using namespace limosa;
using namespace limosa::test;

namespace {

const char *Perceptron = R"mlir(
    !x = tensor<?x6xf32, #limosa.enc<["N"]>>
    !h = tensor<?x8xf32, #limosa.enc<["N"]>>
    !y = tensor<?x3xf32, #limosa.enc<["N"]>>
    func.func @main(%x: !x, %w: tensor<6x8xf32>, %v: tensor<8x3xf32>,
                    %c: tensor<i1>) -> !y attributes {limosa.entry} {
      %h = limosa.contract %x, %w {lhs_batch = array<i64>,
          rhs_batch = array<i64>, lhs_contract = array<i64: 1>,
          rhs_contract = array<i64: 0>} : (!x, tensor<6x8xf32>) -> !h
      %t = limosa.tanh %h : (!h) -> !h
      %y = limosa.if %c {
        %0 = limosa.contract %t, %v {lhs_batch = array<i64>,
            rhs_batch = array<i64>, lhs_contract = array<i64: 1>,
            rhs_contract = array<i64: 0>} : (!h, tensor<8x3xf32>) -> !y
        limosa.yield %0 : !y
      } else {
        %z = limosa.constant dense<1.0> : tensor<f32>
        %0 = limosa.broadcast %z {dims = array<i64>} : (tensor<f32>) -> !y
        limosa.yield %0 : !y
      } : (tensor<i1>) -> !y
      return %y : !y
    })mlir";

std::vector<Tensor> inputs(int64_t N, bool C) {
  return {randomTensor(DType::F32, {N, 6}, 1),
          randomTensor(DType::F32, {6, 8}, 2),
          randomTensor(DType::F32, {8, 3}, 3),
          Tensor::of(DType::Bool, {}, std::vector<uint8_t>{C})};
}

unsigned kernelsOn(const fb::Program &P, std::string_view Device) {
  unsigned Count = 0;
  for (const fb::Kernel *K : *P.kernels()) {
    const fb::Executable *E = P.executables()->Get(K->executable());
    Count += P.devices()->Get(E->device())->name()->string_view() == Device;
  }
  return Count;
}

/// A plug-in that takes matrix products only: the rest runs on the CPU, also
/// inside of control flow, and refusals say why.
TEST(Devices, ProductsOnAPlugin) {
  std::vector<std::string> Remarks;
  CompileOptions Options;
  Options.Devices = {"sample_matmul", "cpu"};
  Options.Plugins = {SAMPLE_MATMUL};
  Options.Diagnostic = [&](int32_t Severity, const std::string &Message) {
    if (Severity == LIMOSA_DIAGNOSTIC_REMARK)
      Remarks.push_back(Message);
  };
  auto M = Model::compile(Perceptron, Options);
  ASSERT_TRUE(M);
  EXPECT_EQ(kernelsOn(M->program(), "sample_matmul"), 2u);
  EXPECT_GE(kernelsOn(M->program(), "cpu"), 2u);
  EXPECT_TRUE(llvm::any_of(Remarks, [](const std::string &R) {
    return R.find("'sample_matmul' refuses tanh") != std::string::npos;
  }));
  for (bool C : {true, false})
    for (int64_t N : {1, 5})
      M->check(inputs(N, C));
}

TEST(Devices, EverythingOnTheReference) {
  CompileOptions Options;
  Options.Devices = {"reference"};
  Options.Plugins = {REFERENCE_PLUGIN};
  auto M = Model::compile(Perceptron, Options);
  ASSERT_TRUE(M);
  EXPECT_EQ(kernelsOn(M->program(), "cpu"), 0u);
  M->check(inputs(3, true));
  M->check(inputs(3, false));
}

/// Composites are offered first; the ops beside a claimed one come later.
TEST(Devices, CompositesAndOpsOnTheReference) {
  CompileOptions Options;
  Options.Devices = {"reference"};
  Options.Plugins = {REFERENCE_PLUGIN};
  auto M = Model::compile(R"mlir(
    !x = tensor<?x6xf32, #limosa.enc<["N"]>>
    func.func private @twice(%x: !x) -> !x {
      %0 = limosa.add %x, %x : (!x, !x) -> !x
      return %0 : !x
    }
    func.func @main(%x: !x) -> !x attributes {limosa.entry} {
      %0 = limosa.composite %x {composite = "twice", version = 1 : i64, config = {}, body = @twice} : (!x) -> !x
      %1 = limosa.tanh %0 : (!x) -> !x
      return %1 : !x
    })mlir",
                          Options);
  ASSERT_TRUE(M);
  EXPECT_EQ(kernelsOn(M->program(), "cpu"), 0u);
  M->check({randomTensor(DType::F32, {4, 6}, 1)});
}

TEST(Devices, UnknownDevice) {
  mlir::MLIRContext Context;
  prepareContext(Context);
  auto Module = mlir::ModuleOp::create(mlir::UnknownLoc::get(&Context));
  CompileOptions Options;
  Options.Devices = {"npu", "cpu"};
  auto Bytes = compileModule(Module, Options);
  ASSERT_FALSE(bool(Bytes));
  EXPECT_NE(llvm::toString(Bytes.takeError()).find("no device 'npu'"),
            std::string::npos);
  Module->erase();
}

} // namespace
