// REQUIRES: limosa-opt
// RUN: limosa-opt --limosa-sink-reshapes --split-input-file %s | FileCheck %s

// An activation keeps the shape of the product that it joins.

// CHECK-LABEL: func.func @activation
// CHECK: %[[P:.*]] = limosa.contract
// CHECK: %[[A:.*]] = limosa.tanh %[[P]] : (tensor<8x8xf32>)
// CHECK: limosa.reshape %[[A]]
func.func @activation(%x: tensor<8x8xf32>, %w: tensor<8x8xf32>) -> tensor<64xf32> attributes {limosa.entry} {
  %p = limosa.contract %x, %w {lhs_batch = array<i64>, rhs_batch = array<i64>, lhs_contract = array<i64: 1>, rhs_contract = array<i64: 0>} : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>
  %r = limosa.reshape %p : (tensor<8x8xf32>) -> tensor<64xf32>
  %a = limosa.tanh %r : (tensor<64xf32>) -> tensor<64xf32>
  return %a : tensor<64xf32>
}

// -----

// Of two products in different shapes the later one takes the sum, which does
// not change from one shape to the other for ever.

// CHECK-LABEL: func.func @sum
// CHECK: %[[P:.*]] = limosa.contract %arg0, %arg1
// CHECK: %[[Q:.*]] = limosa.contract %arg2, %arg3
// CHECK: %[[R:.*]] = limosa.reshape %[[P]]
// CHECK: %[[S:.*]] = limosa.add %[[Q]], %[[R]] : (tensor<4x16xf32>, tensor<4x16xf32>)
// CHECK: limosa.reshape %[[S]]
func.func @sum(%x: tensor<8x8xf32>, %w: tensor<8x8xf32>, %y: tensor<4x8xf32>, %v: tensor<8x16xf32>) -> tensor<8x8xf32> attributes {limosa.entry} {
  %p = limosa.contract %x, %w {lhs_batch = array<i64>, rhs_batch = array<i64>, lhs_contract = array<i64: 1>, rhs_contract = array<i64: 0>} : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>
  %q = limosa.contract %y, %v {lhs_batch = array<i64>, rhs_batch = array<i64>, lhs_contract = array<i64: 1>, rhs_contract = array<i64: 0>} : (tensor<4x8xf32>, tensor<8x16xf32>) -> tensor<4x16xf32>
  %r = limosa.reshape %q : (tensor<4x16xf32>) -> tensor<8x8xf32>
  %s = limosa.add %r, %p : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>
  return %s : tensor<8x8xf32>
}
