//===- ControlFlowTest.cpp - if, while and data-dependent sizes -----------===//

#include "Harness.h"

#include "limosa/Schema/program_generated.h"

#include <gtest/gtest.h>

using namespace limosa;
using namespace limosa::test;

namespace {

Tensor scalar(int64_t V) { return Tensor::of(DType::I64, {}, std::vector{V}); }
Tensor flag(bool V) {
  return Tensor::of(DType::Bool, {}, std::vector<uint8_t>{V});
}

TEST(ControlFlow, IfTakesEitherBranch) {
  auto M = Model::compile(R"mlir(
    !t = tensor<?x4xf32, #limosa.enc<["N"]>>
    func.func @main(%c: tensor<i1>, %x: !t) -> (!t, !t)
        attributes {limosa.entry} {
      %0 = limosa.exp %x : (!t) -> !t
      %1:2 = limosa.if %c {
        %2 = limosa.add %0, %x : (!t, !t) -> !t
        limosa.yield %2, %x : !t, !t
      } else {
        %2 = limosa.mul %0, %x : (!t, !t) -> !t
        limosa.yield %x, %2 : !t, !t
      } : (tensor<i1>) -> (!t, !t)
      return %1#0, %1#1 : !t, !t
    })mlir");
  ASSERT_TRUE(M);
  for (bool C : {true, false})
    for (int64_t N : {1, 5, 40})
      M->check({flag(C), randomTensor(DType::F32, {N, 4})});
}

// What only a loop's test reads lives through the body: the test runs again.
TEST(ControlFlow, TestReadsValuesFromOutside) {
  auto M = Model::compile(R"mlir(
    !t = tensor<2xi64>
    func.func @main(%n: !t, %x: !t) -> (!t, !t) attributes {limosa.entry} {
      %zero = limosa.constant dense<0> : !t
      %one = limosa.constant dense<1> : !t
      %first = limosa.constant dense<true> : tensor<i1>
      %limit = limosa.add %n, %n : (!t, !t) -> !t
      %r:3 = limosa.while %zero, %x, %limit {
      ^bb0(%i: !t, %a: !t, %b: !t):
        %less = limosa.compare %i, %limit {direction = #limosa.compare<lt>}
            : (!t, !t) -> tensor<2xi1>
        %any = limosa.reduce %less, %first {
        ^bb0(%p: tensor<i1>, %q: tensor<i1>):
          %both = limosa.and %p, %q : (tensor<i1>, tensor<i1>) -> tensor<i1>
          limosa.yield %both : tensor<i1>
        } {dims = array<i64: 0>, operandSegmentSizes = array<i32: 1, 1>}
            : (tensor<2xi1>, tensor<i1>) -> tensor<i1>
        limosa.yield %any : tensor<i1>
      } do {
      ^bb0(%i: !t, %a: !t, %b: !t):
        %next = limosa.add %i, %one : (!t, !t) -> !t
        %sum = limosa.add %a, %b : (!t, !t) -> !t
        %product = limosa.mul %sum, %a : (!t, !t) -> !t
        limosa.yield %next, %product, %a : !t, !t, !t
      } : (!t, !t, !t) -> (!t, !t, !t)
      return %r#1, %r#2 : !t, !t
    })mlir");
  ASSERT_TRUE(M);
  for (int64_t N : {0, 1, 3})
    M->check({Tensor::of(DType::I64, {2}, std::vector<int64_t>{N, N}),
              Tensor::of(DType::I64, {2}, std::vector<int64_t>{1, -1})});
}

TEST(ControlFlow, IfWithDifferentSizes) {
  auto M = Model::compile(R"mlir(
    !a = tensor<?xf32, #limosa.enc<["N"]>>
    !b = tensor<?xf32, #limosa.enc<["2*N"]>>
    !r = tensor<?xf32, #limosa.enc<["R"]>>
    func.func @main(%c: tensor<i1>, %x: !a) -> !r attributes {limosa.entry} {
      %0 = limosa.if %c {
        %1 = limosa.neg %x : (!a) -> !a
        limosa.yield %1 : !a
      } else {
        %1 = limosa.concat %x, %x {dim = 0 : i64} : (!a, !a) -> !b
        limosa.yield %1 : !b
      } : (tensor<i1>) -> !r
      %2 = limosa.exp %0 : (!r) -> !r
      return %2 : !r
    })mlir");
  ASSERT_TRUE(M);
  for (bool C : {true, false})
    for (int64_t N : {1, 3, 100})
      M->check({flag(C), randomTensor(DType::F32, {N})});
}

/// Fibonacci by (a, b) <- (b, a + b): each variable is the other's next value.
TEST(ControlFlow, WhileExchangesVariables) {
  auto M = Model::compile(R"mlir(
    !t = tensor<?xi64, #limosa.enc<["N"]>>
    !s = tensor<i64>
    func.func @main(%n: !s, %a: !t, %b: !t) -> (!s, !t, !t)
        attributes {limosa.entry} {
      %one = limosa.constant dense<1> : tensor<i64>
      %zero = limosa.constant dense<0> : tensor<i64>
      %r:3 = limosa.while %zero, %a, %b {
      ^bb0(%i: !s, %x: !t, %y: !t):
        %c = limosa.compare %i, %n {direction = #limosa.compare<lt>}
            : (!s, !s) -> tensor<i1>
        limosa.yield %c : tensor<i1>
      } do {
      ^bb0(%i: !s, %x: !t, %y: !t):
        %j = limosa.add %i, %one : (!s, !s) -> !s
        %z = limosa.add %x, %y : (!t, !t) -> !t
        limosa.yield %j, %y, %z : !s, !t, !t
      } : (!s, !t, !t) -> (!s, !t, !t)
      return %r#0, %r#1, %r#2 : !s, !t, !t
    })mlir");
  ASSERT_TRUE(M);
  for (int64_t Rounds : {0, 1, 2, 11})
    M->check({scalar(Rounds), randomTensor(DType::I64, {5}, 1),
              randomTensor(DType::I64, {5}, 2)});
}

/// A variable that is longer after each round, in memory of its own each time.
TEST(ControlFlow, WhileGrowsAVariable) {
  auto M = Model::compile(R"mlir(
    !a = tensor<?xf32, #limosa.enc<["N"]>>
    !l = tensor<?xf32, #limosa.enc<["L"]>>
    !g = tensor<?xf32, #limosa.enc<["L + N"]>>
    !r = tensor<?xf32, #limosa.enc<["R"]>>
    !s = tensor<i64>
    func.func @main(%n: !s, %a: !a) -> !r attributes {limosa.entry} {
      %one = limosa.constant dense<1> : tensor<i64>
      %zero = limosa.constant dense<0> : tensor<i64>
      %r:2 = limosa.while %zero, %a {
      ^bb0(%i: !s, %x: !l):
        %c = limosa.compare %i, %n {direction = #limosa.compare<lt>}
            : (!s, !s) -> tensor<i1>
        limosa.yield %c : tensor<i1>
      } do {
      ^bb0(%i: !s, %x: !l):
        %j = limosa.add %i, %one : (!s, !s) -> !s
        %e = limosa.neg %x : (!l) -> !l
        %y = limosa.concat %e, %a {dim = 0 : i64} : (!l, !a) -> !g
        limosa.yield %j, %y : !s, !g
      } : (!s, !a) -> (!s, !r)
      %o = limosa.exp %r#1 : (!r) -> !r
      return %o : !r
    })mlir");
  ASSERT_TRUE(M);
  for (int64_t Rounds : {0, 1, 5})
    for (int64_t N : {1, 7})
      M->check({scalar(Rounds), randomTensor(DType::F32, {N})});
}

/// Shapes from values: bound by bind_symbol, no bound known.
TEST(ControlFlow, BindSymbol) {
  auto M = Model::compile(R"mlir(
    !r = tensor<?xi64, #limosa.enc<["R"]>>
    !m = tensor<?x1xi64, #limosa.enc<["R"]>>
    func.func @main(%a: tensor<i64>, %b: tensor<i64>) -> (!m, !r)
        attributes {limosa.entry} {
      %n = limosa.add %a, %b : (tensor<i64>, tensor<i64>) -> tensor<i64>
      limosa.bind_symbol %n {symbol = "R"} : (tensor<i64>) -> ()
      %i = limosa.iota {dim = 0 : i64} : () -> !r
      %m = limosa.mul %i, %i : (!r, !r) -> !r
      %v = limosa.reshape %m : (!r) -> !m
      %u = limosa.reshape %v : (!m) -> !r
      %w = limosa.neg %u : (!r) -> !r
      return %v, %w : !m, !r
    })mlir");
  ASSERT_TRUE(M);
  for (int64_t A : {0, 3, 50})
    M->check({scalar(A), scalar(4)});
}

TEST(ControlFlow, Compact) {
  auto M = Model::compile(R"mlir(
    !x = tensor<?x3xf32, #limosa.enc<["N"]>>
    !m = tensor<?x3xi1, #limosa.enc<["N"]>>
    !i = tensor<?x2xi64, #limosa.enc<["K"]>>
    !v = tensor<?xf32, #limosa.enc<["K"]>>
    module attributes {limosa.symbols = {K = #limosa.symbol<bound = "3*N">}} {
    func.func @main(%x: !x) -> (!i, !v) attributes {limosa.entry} {
      %f = limosa.constant dense<0.5> : tensor<f32>
      %z = limosa.broadcast %f {dims = array<i64>} : (tensor<f32>) -> !x
      %m = limosa.compare %x, %z {direction = #limosa.compare<gt>}
          : (!x, !x) -> !m
      %i, %c = limosa.compact %m {symbol = "K"} : (!m) -> (!i, tensor<i64>)
      %g = limosa.gather %x, %i {axes = array<i64: 0, 1>, batch = 0 : i64}
          : (!x, !i) -> !v
      %e = limosa.exp %g : (!v) -> !v
      return %i, %e : !i, !v
    }})mlir");
  ASSERT_TRUE(M);
  for (int64_t N : {1, 4, 33})
    M->check({randomTensor(DType::F32, {N, 3}, N)});
}

} // namespace
