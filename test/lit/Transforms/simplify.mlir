// RUN: limosa-opt %s --limosa-simplify | FileCheck %s

// CHECK-LABEL: @transpose_into_contract
func.func @transpose_into_contract(%x: tensor<2x8xf32>, %w: tensor<3x8xf32>) -> tensor<2x3xf32> {
  // CHECK-NOT: transpose
  // CHECK: limosa.contract %arg0, %arg1 {{.*}}rhs_contract = array<i64: 1>
  %t = limosa.transpose %w {perm = array<i64: 1, 0>} : (tensor<3x8xf32>) -> tensor<8x3xf32>
  %0 = limosa.contract %x, %t {lhs_batch = array<i64>, rhs_batch = array<i64>, lhs_contract = array<i64: 1>, rhs_contract = array<i64: 0>} : (tensor<2x8xf32>, tensor<8x3xf32>) -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// The free dimensions would change places: the transpose stays.
// CHECK-LABEL: @transpose_stays
func.func @transpose_stays(%x: tensor<2x5x8xf32>, %w: tensor<8x3xf32>) -> tensor<5x2x3xf32> {
  // CHECK: limosa.transpose
  %t = limosa.transpose %x {perm = array<i64: 1, 0, 2>} : (tensor<2x5x8xf32>) -> tensor<5x2x8xf32>
  %0 = limosa.contract %t, %w {lhs_batch = array<i64>, rhs_batch = array<i64>, lhs_contract = array<i64: 2>, rhs_contract = array<i64: 0>} : (tensor<5x2x8xf32>, tensor<8x3xf32>) -> tensor<5x2x3xf32>
  return %0 : tensor<5x2x3xf32>
}

// CHECK-LABEL: @patches
func.func @patches(%x: tensor<1x768x14x14xf32>) -> tensor<1x196x768xf32> {
  // CHECK: %[[T:.*]] = limosa.transpose %arg0 {perm = array<i64: 0, 2, 3, 1>}
  // CHECK: limosa.reshape %[[T]]
  %0 = limosa.reshape %x : (tensor<1x768x14x14xf32>) -> tensor<1x768x196xf32>
  %1 = limosa.transpose %0 {perm = array<i64: 0, 2, 1>} : (tensor<1x768x196xf32>) -> tensor<1x196x768xf32>
  return %1 : tensor<1x196x768xf32>
}

// CHECK-LABEL: @square
func.func @square(%x: tensor<4xf32>) -> tensor<4xf32> {
  %two = limosa.constant dense<2.0> : tensor<4xf32>
  // CHECK: limosa.mul %arg0, %arg0
  %0 = limosa.pow %x, %two : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// A third has no exact reciprocal.
// CHECK-LABEL: @divide
func.func @divide(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %eight = limosa.constant dense<8.0> : tensor<4xf32>
  %three = limosa.constant dense<3.0> : tensor<4xf32>
  // CHECK: limosa.mul
  %0 = limosa.div %x, %eight : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  // CHECK: limosa.div
  %1 = limosa.div %x, %three : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %0, %1 : tensor<4xf32>, tensor<4xf32>
}
