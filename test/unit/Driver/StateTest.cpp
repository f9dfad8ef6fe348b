//===- StateTest.cpp - Donation, states, several entries ------------------===//

#include "Harness.h"

#include "limosa/Schema/program_generated.h"

#include <cstring>
#include <gtest/gtest.h>

using namespace limosa;
using namespace limosa::test;

namespace {

/// One step of gradient descent on |x w - y|^2 in core ops. The weights are an
/// argument that the new weights replace.
const char *SgdStep = R"mlir(
    !x = tensor<?x8xf32, #limosa.enc<["N"]>>
    !y = tensor<?x4xf32, #limosa.enc<["N"]>>
    !w = tensor<8x4xf32>
    func.func @main(%w: !w {limosa.name = "w"}, %x: !x {limosa.name = "x"},
                    %y: !y {limosa.name = "y"})
        -> (!w {limosa.name = "w_next", limosa.alias = 0 : i64},
            tensor<f32> {limosa.name = "loss"}) attributes {limosa.entry} {
      %rate = limosa.constant dense<-0.01> : tensor<f32>
      %zero = limosa.constant dense<0.0> : tensor<f32>
      %p = limosa.contract %x, %w {lhs_batch = array<i64>,
          rhs_batch = array<i64>, lhs_contract = array<i64: 1>,
          rhs_contract = array<i64: 0>} : (!x, !w) -> !y
      %ny = limosa.neg %y : (!y) -> !y
      %d = limosa.add %p, %ny : (!y, !y) -> !y
      %g = limosa.contract %x, %d {lhs_batch = array<i64>,
          rhs_batch = array<i64>, lhs_contract = array<i64: 0>,
          rhs_contract = array<i64: 0>} : (!x, !y) -> !w
      %r = limosa.broadcast %rate {dims = array<i64>} : (tensor<f32>) -> !w
      %s = limosa.mul %g, %r : (!w, !w) -> !w
      %n = limosa.add %w, %s : (!w, !w) -> !w
      %q = limosa.mul %d, %d : (!y, !y) -> !y
      %l = limosa.reduce %q, %zero {
      ^bb0(%a: tensor<f32>, %b: tensor<f32>):
        %c = limosa.add %a, %b : (tensor<f32>, tensor<f32>) -> tensor<f32>
        limosa.yield %c : tensor<f32>
      } {dims = array<i64: 0, 1>, operandSegmentSizes = array<i32: 1, 1>}
          : (!y, tensor<f32>) -> tensor<f32>
      return %n, %l : !w, tensor<f32>
    })mlir";

unsigned countCopies(const fb::Block &B) {
  unsigned Count = 0;
  for (const fb::Step *S : *B.steps())
    Count += S->instr_type() == fb::Instr::Copy;
  return Count;
}

TEST(State, DonatedStepOfGradientDescent) {
  auto M = Model::compile(SgdStep);
  ASSERT_TRUE(M);
  // The new weights are computed in the memory of the old ones.
  EXPECT_EQ(countCopies(*M->program().entries()->Get(0)->body()), 0u);
  std::vector<Tensor> In = {randomTensor(DType::F32, {8, 4}, 1),
                            randomTensor(DType::F32, {6, 8}, 2),
                            randomTensor(DType::F32, {6, 4}, 3)};
  M->check(In);

  std::vector<Tensor> Expected = M->expected(In);
  std::vector<limosa_tensor> Given(3), Out(2);
  for (auto [T, X] : llvm::zip(In, Given)) {
    X.dtype = uint32_t(T.dtype());
    X.rank = T.rank();
    std::copy(T.dims().begin(), T.dims().end(), X.dims);
    X.data = T.data();
  }
  Given[0].flags = LIMOSA_TENSOR_DONATED;
  runtime::Status S = M->instance().run(0, Given, Out);
  ASSERT_TRUE(S.ok()) << S.message();
  EXPECT_EQ(Out[0].data, Given[0].data);
  expectClose(In[0], Expected[0], 1e-5);
  limosa_tensor_release(&Out[1]);
}

/// The same weights as a state, trained by one entry and read by another.
TEST(State, EntriesShareState) {
  auto M = Model::compile(R"mlir(
    !w = tensor<4xf32>
    func.func @step(%w: !w {limosa.name = "w", limosa.kind = "state"},
                    %d: !w {limosa.name = "d"})
        -> (!w {limosa.name = "w_next", limosa.alias = 0 : i64})
        attributes {limosa.entry} {
      %n = limosa.add %w, %d : (!w, !w) -> !w
      return %n : !w
    }
    func.func @eval(%w: !w {limosa.name = "w", limosa.kind = "state"},
                    %x: !w {limosa.name = "x"}) -> !w
        attributes {limosa.entry} {
      %n = limosa.mul %w, %x : (!w, !w) -> !w
      return %n : !w
    })mlir");
  ASSERT_TRUE(M);
  ASSERT_EQ(M->program().states()->size(), 1u);
  Tensor D = Tensor::of(DType::F32, {4}, std::vector<float>{1, 2, 3, 4});
  M->run({D}, 0);
  M->run({D}, 0);
  std::vector<Tensor> Out = M->run({D}, 1);
  ASSERT_EQ(Out.size(), 1u);
  expectClose(Out[0],
              Tensor::of(DType::F32, {4}, std::vector<float>{2, 8, 18, 32}), 0);
}

/// Two states exchange values: neither may be overwritten before it is read.
TEST(State, ExchangedStates) {
  auto M = Model::compile(R"mlir(
    !w = tensor<4xf32>
    func.func @main(%a: !w {limosa.name = "a", limosa.kind = "state"},
                    %b: !w {limosa.name = "b", limosa.kind = "state"},
                    %x: !w {limosa.name = "x"})
        -> (!w {limosa.name = "a2", limosa.alias = 0 : i64},
            !w {limosa.name = "b2", limosa.alias = 1 : i64})
        attributes {limosa.entry} {
      %n = limosa.add %a, %x : (!w, !w) -> !w
      return %b, %n : !w, !w
    })mlir");
  ASSERT_TRUE(M);
  Tensor X = Tensor::of(DType::F32, {4}, std::vector<float>{1, 2, 3, 4});
  M->run({X});
  M->run({X});
  M->run({X});
  float A[4], B[4];
  ASSERT_TRUE(M->instance().readState(0, A, sizeof(A)).ok());
  ASSERT_TRUE(M->instance().readState(1, B, sizeof(B)).ok());
  EXPECT_EQ(A[3], 4); // a: 0, x, x  b: x, x, 2x
  EXPECT_EQ(B[3], 8);
}

} // namespace
