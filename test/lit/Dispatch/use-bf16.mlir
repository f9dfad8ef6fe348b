// REQUIRES: limosa-opt
// RUN: limosa-opt --limosa-form-kernels --limosa-use-bf16 %s | FileCheck %s

// Products read bf16 and give f32; what lies between kernels is bf16, the
// program's arguments and results are not. The weight is narrow, the bias not.

// CHECK-LABEL: func.func @mlp
// CHECK: %[[W1:.*]] = limosa.constant dense_resource<bf16{{.*}}> : tensor<4x4xbf16>
// CHECK: %[[H:.*]] = limosa.launch %arg0, %[[W1]], {{.*}} {kernel = @[[K0:.*_bf16]]} : {{.*}} -> tensor<8x4xbf16>
// CHECK: limosa.launch %[[H]], {{.*}} -> tensor<8x2xf32>
func.func @mlp(%x: tensor<8x4xf32> {limosa.name = "x"}) -> (tensor<8x2xf32> {limosa.name = "y"}) attributes {limosa.entry} {
  %w1 = limosa.constant dense<[[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0], [1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]> : tensor<4x4xf32>
  %b1 = limosa.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %w2 = limosa.constant dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]> : tensor<4x2xf32>
  %h = limosa.contract %x, %w1 {lhs_batch = array<i64>, rhs_batch = array<i64>, lhs_contract = array<i64: 1>, rhs_contract = array<i64: 0>} : (tensor<8x4xf32>, tensor<4x4xf32>) -> tensor<8x4xf32>
  %b = limosa.broadcast %b1 {dims = array<i64: 1>} : (tensor<4xf32>) -> tensor<8x4xf32>
  %a = limosa.add %h, %b : (tensor<8x4xf32>, tensor<8x4xf32>) -> tensor<8x4xf32>
  %r = limosa.tanh %a : (tensor<8x4xf32>) -> tensor<8x4xf32>
  %o = limosa.contract %r, %w2 {lhs_batch = array<i64>, rhs_batch = array<i64>, lhs_contract = array<i64: 1>, rhs_contract = array<i64: 0>} : (tensor<8x4xf32>, tensor<4x2xf32>) -> tensor<8x2xf32>
  return %o : tensor<8x2xf32>
}

// Positions stay f32, and so does the product that makes angles of them.

// CHECK-LABEL: func.func @angles
// CHECK: limosa.launch {{.*}} -> tensor<16x8xf32>
func.func @angles(%f: tensor<2x8xf32> {limosa.name = "f"}) -> (tensor<16x8xf32> {limosa.name = "y"}) attributes {limosa.entry} {
  %i = limosa.iota {dim = 0 : i64} : () -> tensor<16x2xi64>
  %p = limosa.convert %i : (tensor<16x2xi64>) -> tensor<16x2xf32>
  %a = limosa.contract %p, %f {lhs_batch = array<i64>, rhs_batch = array<i64>, lhs_contract = array<i64: 1>, rhs_contract = array<i64: 0>} : (tensor<16x2xf32>, tensor<2x8xf32>) -> tensor<16x8xf32>
  %s = limosa.sin %a : (tensor<16x8xf32>) -> tensor<16x8xf32>
  return %s : tensor<16x8xf32>
}

// What is sorted stays f32, back to its product.

// CHECK-LABEL: func.func @best
// CHECK: %[[S:.*]] = limosa.launch {{.*}} -> tensor<8x2xf32>
// CHECK: limosa.launch %[[S]]
func.func @best(%x: tensor<8x4xf32> {limosa.name = "x"}) -> (tensor<8x2xf32> {limosa.name = "y"}) attributes {limosa.entry} {
  %w = limosa.constant dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]> : tensor<4x2xf32>
  %o = limosa.contract %x, %w {lhs_batch = array<i64>, rhs_batch = array<i64>, lhs_contract = array<i64: 1>, rhs_contract = array<i64: 0>} : (tensor<8x4xf32>, tensor<4x2xf32>) -> tensor<8x2xf32>
  %s = limosa.sort %o {
  ^bb0(%p: tensor<f32>, %q: tensor<f32>):
    %g = limosa.compare %p, %q {direction = #limosa.compare<gt>} : (tensor<f32>, tensor<f32>) -> tensor<i1>
    limosa.yield %g : tensor<i1>
  } {dim = 1 : i64} : (tensor<8x2xf32>) -> tensor<8x2xf32>
  return %s : tensor<8x2xf32>
}

// CHECK: func.func private @[[K0]]({{.*}}: tensor<8x4xf32>, {{.*}}: tensor<4x4xbf16> {limosa.constant}
// CHECK-SAME: limosa.flush_denormals
// CHECK: %[[X:.*]] = limosa.convert %arg0 : (tensor<8x4xf32>) -> tensor<8x4xbf16>
// CHECK: limosa.contract %[[X]], {{.*}} -> tensor<8x4xf32>
// CHECK: limosa.tanh {{.*}} -> tensor<8x4xf32>
// CHECK: limosa.convert {{.*}} -> tensor<8x4xbf16>
