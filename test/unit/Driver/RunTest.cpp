//===- RunTest.cpp - Whole programs through every layer -------------------===//

#include "Harness.h"

#include "limosa/Schema/program_generated.h"

#include <gtest/gtest.h>

using namespace limosa;
using namespace limosa::test;

namespace {

TEST(Run, PointwiseWithSymbols) {
  auto M = Model::compile(R"mlir(
    !t = tensor<?x?xf32, #limosa.enc<["N", "S"]>>
    func.func @main(%a: !t {limosa.name = "a"}, %b: !t {limosa.name = "b"})
        -> (!t {limosa.name = "y"}) attributes {limosa.entry} {
      %0 = limosa.mul %a, %b : (!t, !t) -> !t
      %1 = limosa.exp %0 : (!t) -> !t
      %2 = limosa.add %1, %a : (!t, !t) -> !t
      return %2 : !t
    })mlir");
  ASSERT_TRUE(M);
  EXPECT_EQ(M->program().kernels()->size(), 1u);
  for (auto [N, S] : {std::pair{1, 1}, {3, 7}, {16, 64}, {0, 5}, {129, 33}})
    M->check({randomTensor(DType::F32, {N, S}, 1),
              randomTensor(DType::F32, {N, S}, 2)});
}

TEST(Run, ViewsAndDims) {
  auto M = Model::compile(R"mlir(
    !t = tensor<?x?xf32, #limosa.enc<["N", "S"]>>
    !f = tensor<?xf32, #limosa.enc<["N*S"]>>
    func.func @main(%a: !t) -> (!f, tensor<i64>, !t) attributes {limosa.entry} {
      %0 = limosa.neg %a : (!t) -> !t
      %1 = limosa.reshape %0 : (!t) -> !f
      %2 = limosa.dim {expr = "2*N + S"} : () -> tensor<i64>
      return %1, %2, %a : !f, tensor<i64>, !t
    })mlir");
  ASSERT_TRUE(M);
  M->check({randomTensor(DType::F32, {3, 5})});
  M->check({randomTensor(DType::F32, {1, 1})});
}

} // namespace
