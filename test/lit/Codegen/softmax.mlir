// REQUIRES: limosa
// RUN: limosa compile %s --isa avx512 --emit mlir-loops -o - 2>/dev/null | FileCheck %s

// Softmax over a row of unknown length is one kernel. The maximum is kept in
// registers; the exponentials are computed once, summed while they are in
// registers, and wait in the worker's scratch row for the division.

// CHECK: llvm.func @k0_reduce(
// CHECK-NOT: llvm.func
// CHECK: scf.for {{.*}} iter_args({{.*}}) -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>)
// CHECK: arith.cmpf olt, {{.*}} : vector<16xf32>
// CHECK: vector.maskedload
// CHECK: scf.for {{.*}} iter_args({{.*}}) -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>)
// CHECK: %[[E:.*]] = math.exp {{.*}} : vector<16xf32>
// CHECK: arith.addf %{{.*}}, %[[E]] : vector<16xf32>
// CHECK: vector.store %[[E]], %[[ROW:.*]][%{{.*}}]
// CHECK: vector.maskedstore %[[ROW]]
// CHECK: scf.for
// CHECK-NOT: math.exp
// CHECK: vector.load %[[ROW]]
// CHECK: arith.divf {{.*}} : vector<16xf32>
// CHECK-NOT: math.exp
// CHECK: llvm.return

module attributes {limosa.symbols = {N = #limosa.symbol, M = #limosa.symbol}} {
func.func @main(%o: tensor<?x?xf32, #limosa.enc<["N", "M"]>> {limosa.name = "x"}) -> (tensor<?x?xf32, #limosa.enc<["N", "M"]>> {limosa.name = "y"}) attributes {limosa.entry} {
  %zero = limosa.constant dense<0.0> : tensor<f32>
  %minf = limosa.constant dense<0xFF800000> : tensor<f32>
  %m = limosa.reduce %o, %minf {
  ^bb0(%p: tensor<f32>, %q: tensor<f32>):
    %mm = limosa.max %p, %q : (tensor<f32>, tensor<f32>) -> tensor<f32>
    limosa.yield %mm : tensor<f32>
  } {dims = array<i64: 1>, operandSegmentSizes = array<i32: 1, 1>} : (tensor<?x?xf32, #limosa.enc<["N", "M"]>>, tensor<f32>) -> tensor<?xf32, #limosa.enc<["N"]>>
  %mb = limosa.broadcast %m {dims = array<i64: 0>} : (tensor<?xf32, #limosa.enc<["N"]>>) -> tensor<?x?xf32, #limosa.enc<["N", "M"]>>
  %n = limosa.neg %mb : (tensor<?x?xf32, #limosa.enc<["N", "M"]>>) -> tensor<?x?xf32, #limosa.enc<["N", "M"]>>
  %d = limosa.add %o, %n : (tensor<?x?xf32, #limosa.enc<["N", "M"]>>, tensor<?x?xf32, #limosa.enc<["N", "M"]>>) -> tensor<?x?xf32, #limosa.enc<["N", "M"]>>
  %e = limosa.exp %d : (tensor<?x?xf32, #limosa.enc<["N", "M"]>>) -> tensor<?x?xf32, #limosa.enc<["N", "M"]>>
  %s = limosa.reduce %e, %zero {
  ^bb0(%p: tensor<f32>, %q: tensor<f32>):
    %ss = limosa.add %p, %q : (tensor<f32>, tensor<f32>) -> tensor<f32>
    limosa.yield %ss : tensor<f32>
  } {dims = array<i64: 1>, operandSegmentSizes = array<i32: 1, 1>} : (tensor<?x?xf32, #limosa.enc<["N", "M"]>>, tensor<f32>) -> tensor<?xf32, #limosa.enc<["N"]>>
  %sb = limosa.broadcast %s {dims = array<i64: 0>} : (tensor<?xf32, #limosa.enc<["N"]>>) -> tensor<?x?xf32, #limosa.enc<["N", "M"]>>
  %y = limosa.div %e, %sb : (tensor<?x?xf32, #limosa.enc<["N", "M"]>>, tensor<?x?xf32, #limosa.enc<["N", "M"]>>) -> tensor<?x?xf32, #limosa.enc<["N", "M"]>>
  return %y : tensor<?x?xf32, #limosa.enc<["N", "M"]>>
}
}
