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

// -----

// Narrow weights with a scale per block: the product takes the blocks as a
// dimension of their own, and its other operand as a view.

// CHECK-LABEL: func.func @blocks
// CHECK: %[[W:.*]] = limosa.mul
// CHECK: %[[X:.*]] = limosa.reshape %arg0 : (tensor<?x64xf32, {{.*}}>) -> tensor<?x2x32xf32,
// CHECK: limosa.contract %[[X]], %[[W]] {lhs_batch = array<i64>, lhs_contract = array<i64: 1, 2>, rhs_batch = array<i64>, rhs_contract = array<i64: 0, 1>}
!x = tensor<?x64xf32, #limosa.enc<["M"]>>
!y = tensor<?x8xf32, #limosa.enc<["M"]>>
!w = tensor<2x32x8xf32>
func.func @blocks(%x: !x) -> !y attributes {limosa.entry} {
  %q = limosa.constant dense_resource<q> : tensor<2x32x8xi8>
  %s = limosa.constant dense_resource<s> : tensor<2x8xf32>
  %f = limosa.convert %q : (tensor<2x32x8xi8>) -> !w
  %b = limosa.broadcast %s {dims = array<i64: 0, 2>} : (tensor<2x8xf32>) -> !w
  %m = limosa.mul %f, %b : (!w, !w) -> !w
  %r = limosa.reshape %m : (!w) -> tensor<64x8xf32>
  %y = limosa.contract %x, %r {lhs_batch = array<i64>, rhs_batch = array<i64>, lhs_contract = array<i64: 1>, rhs_contract = array<i64: 0>} : (!x, tensor<64x8xf32>) -> !y
  return %y : !y
}

{-#
  dialect_resources: {
    builtin: {
      q: "0x04000000",
      s: "0x04000000"
    }
  }
#-}
