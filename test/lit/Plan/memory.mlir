// REQUIRES: limosa
// RUN: limosa inspect --program --no-cache %s | FileCheck %s

// The first product's result dies in the second one, whose result dies in the
// third: the arena holds two of them, its size is a formula of the symbol, and
// the third product may take the memory of the first.

// CHECK: entry main(x: f32[N, 64], w: f32[64, 64]) -> (y: f32[N, 64])
// CHECK-NEXT: arena cpu: 512*N bytes
// CHECK-DAG: %[[A:[0-9]+]] = temp f32[N, 64] at 0
// CHECK-DAG: %[[B:[0-9]+]] = temp f32[N, 64] at 256*N
// CHECK-DAG: %[[C:[0-9]+]] = temp f32[N, 64] at 0
// CHECK-DAG: %[[Y:[0-9]+]] = output f32[N, 64] y
// CHECK: launch k0_contract(%0, %1, %[[A]]) tiles
// CHECK-NEXT: launch k{{.*}}(%[[A]], %1, %[[B]]) tiles
// CHECK-NEXT: launch k{{.*}}(%[[B]], %1, %[[C]]) tiles
// CHECK-NEXT: launch k{{.*}}(%[[C]], %1, %[[Y]]) tiles

!X = tensor<?x64xf32, #limosa.enc<["N"]>>
module attributes {limosa.symbols = {N = #limosa.symbol<divisor = 16>}} {
func.func @main(%x: !X {limosa.name = "x"}, %w: tensor<64x64xf32> {limosa.name = "w"}) -> (!X {limosa.name = "y"}) attributes {limosa.entry} {
  %a = limosa.contract %x, %w {lhs_batch = array<i64>, rhs_batch = array<i64>, lhs_contract = array<i64: 1>, rhs_contract = array<i64: 0>} : (!X, tensor<64x64xf32>) -> !X
  %b = limosa.contract %a, %w {lhs_batch = array<i64>, rhs_batch = array<i64>, lhs_contract = array<i64: 1>, rhs_contract = array<i64: 0>} : (!X, tensor<64x64xf32>) -> !X
  %c = limosa.contract %b, %w {lhs_batch = array<i64>, rhs_batch = array<i64>, lhs_contract = array<i64: 1>, rhs_contract = array<i64: 0>} : (!X, tensor<64x64xf32>) -> !X
  %y = limosa.contract %c, %w {lhs_batch = array<i64>, rhs_batch = array<i64>, lhs_contract = array<i64: 1>, rhs_contract = array<i64: 0>} : (!X, tensor<64x64xf32>) -> !X
  return %y : !X
}
}
