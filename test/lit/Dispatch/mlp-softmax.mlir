// REQUIRES: limosa-opt
// RUN: limosa-opt --limosa-form-kernels %s | FileCheck %s

// A two-layer perceptron with softmax: bias and activation become the epilogue
// of the first product, the softmax is one chain of reductions.

// CHECK-LABEL: func.func @main
// CHECK: limosa.launch {{.*}} {kernel = @[[K0:k0_contract]]}
// CHECK-NEXT: limosa.launch {{.*}} {kernel = @[[K1:k1_contract]]}
// CHECK-NEXT: limosa.launch {{.*}} {kernel = @[[K2:k2_reduce]]}
// CHECK-NEXT: return
// CHECK: func.func private @[[K0]]({{.*}}, %{{.*}}: tensor<64x128xf32> {limosa.constant}, %{{.*}}: tensor<128xf32> {limosa.constant})
// CHECK: limosa.contract
// CHECK: limosa.max
// CHECK: func.func private @[[K1]]
// CHECK: func.func private @[[K2]]
// CHECK: limosa.reduce
// CHECK: limosa.exp
// CHECK: limosa.reduce
// CHECK: limosa.div

module attributes {limosa.symbols = {N = #limosa.symbol}} {
func.func @main(%x: tensor<?x64xf32, #limosa.enc<["N"]>> {limosa.name = "x"}) -> (tensor<?x10xf32, #limosa.enc<["N"]>> {limosa.name = "y"}) attributes {limosa.entry} {
  %w1 = limosa.constant dense_resource<w1> : tensor<64x128xf32>
  %b1 = limosa.constant dense_resource<b1> : tensor<128xf32>
  %w2 = limosa.constant dense_resource<w2> : tensor<128x10xf32>
  %zero = limosa.constant dense<0.0> : tensor<f32>
  %minf = limosa.constant dense<0xFF800000> : tensor<f32>
  %h = limosa.contract %x, %w1 {lhs_batch = array<i64>, rhs_batch = array<i64>, lhs_contract = array<i64: 1>, rhs_contract = array<i64: 0>} : (tensor<?x64xf32, #limosa.enc<["N"]>>, tensor<64x128xf32>) -> tensor<?x128xf32, #limosa.enc<["N"]>>
  %b = limosa.broadcast %b1 {dims = array<i64: 1>} : (tensor<128xf32>) -> tensor<?x128xf32, #limosa.enc<["N"]>>
  %z = limosa.broadcast %zero {dims = array<i64>} : (tensor<f32>) -> tensor<?x128xf32, #limosa.enc<["N"]>>
  %a = limosa.add %h, %b : (tensor<?x128xf32, #limosa.enc<["N"]>>, tensor<?x128xf32, #limosa.enc<["N"]>>) -> tensor<?x128xf32, #limosa.enc<["N"]>>
  %r = limosa.max %a, %z : (tensor<?x128xf32, #limosa.enc<["N"]>>, tensor<?x128xf32, #limosa.enc<["N"]>>) -> tensor<?x128xf32, #limosa.enc<["N"]>>
  %o = limosa.contract %r, %w2 {lhs_batch = array<i64>, rhs_batch = array<i64>, lhs_contract = array<i64: 1>, rhs_contract = array<i64: 0>} : (tensor<?x128xf32, #limosa.enc<["N"]>>, tensor<128x10xf32>) -> tensor<?x10xf32, #limosa.enc<["N"]>>
  %m = limosa.reduce %o, %minf {
  ^bb0(%p: tensor<f32>, %q: tensor<f32>):
    %mm = limosa.max %p, %q : (tensor<f32>, tensor<f32>) -> tensor<f32>
    limosa.yield %mm : tensor<f32>
  } {dims = array<i64: 1>, operandSegmentSizes = array<i32: 1, 1>} : (tensor<?x10xf32, #limosa.enc<["N"]>>, tensor<f32>) -> tensor<?xf32, #limosa.enc<["N"]>>
  %mk = limosa.reshape %m : (tensor<?xf32, #limosa.enc<["N"]>>) -> tensor<?x1xf32, #limosa.enc<["N"]>>
  %mb = limosa.broadcast %mk {dims = array<i64: 0, 1>} : (tensor<?x1xf32, #limosa.enc<["N"]>>) -> tensor<?x10xf32, #limosa.enc<["N"]>>
  %nm = limosa.neg %mb : (tensor<?x10xf32, #limosa.enc<["N"]>>) -> tensor<?x10xf32, #limosa.enc<["N"]>>
  %s = limosa.add %o, %nm : (tensor<?x10xf32, #limosa.enc<["N"]>>, tensor<?x10xf32, #limosa.enc<["N"]>>) -> tensor<?x10xf32, #limosa.enc<["N"]>>
  %e = limosa.exp %s : (tensor<?x10xf32, #limosa.enc<["N"]>>) -> tensor<?x10xf32, #limosa.enc<["N"]>>
  %su = limosa.reduce %e, %zero {
  ^bb0(%p: tensor<f32>, %q: tensor<f32>):
    %mm = limosa.add %p, %q : (tensor<f32>, tensor<f32>) -> tensor<f32>
    limosa.yield %mm : tensor<f32>
  } {dims = array<i64: 1>, operandSegmentSizes = array<i32: 1, 1>} : (tensor<?x10xf32, #limosa.enc<["N"]>>, tensor<f32>) -> tensor<?xf32, #limosa.enc<["N"]>>
  %sk = limosa.reshape %su : (tensor<?xf32, #limosa.enc<["N"]>>) -> tensor<?x1xf32, #limosa.enc<["N"]>>
  %sb = limosa.broadcast %sk {dims = array<i64: 0, 1>} : (tensor<?x1xf32, #limosa.enc<["N"]>>) -> tensor<?x10xf32, #limosa.enc<["N"]>>
  %y = limosa.div %e, %sb : (tensor<?x10xf32, #limosa.enc<["N"]>>, tensor<?x10xf32, #limosa.enc<["N"]>>) -> tensor<?x10xf32, #limosa.enc<["N"]>>
  return %y : tensor<?x10xf32, #limosa.enc<["N"]>>
}
}
