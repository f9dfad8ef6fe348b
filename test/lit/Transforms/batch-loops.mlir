// RUN: limosa-opt %s --limosa-batch-loops=always=true | FileCheck %s

// The loop takes an element of the input, and puts what leaves it in its place.
// A bias that is repeated over the batch is repeated for one element.
// CHECK-LABEL: @chain
func.func @chain(%x: tensor<4x3x8x8xf32>, %k: tensor<5x3x1x1xf32>, %b: tensor<5xf32>, %w: tensor<5x7xf32>) -> tensor<4x7xf32> attributes {limosa.entry} {
  // CHECK: %[[LOOP:.*]]:2 = limosa.while %{{.*}}, %{{.*}} {
  // CHECK: limosa.compare
  // CHECK: } do {
  // CHECK: ^bb0(%[[AT:.*]]: tensor<i64>, %[[OUT:.*]]: tensor<4x7xf32>):
  // CHECK: %[[X:.*]] = limosa.gather %arg0, {{.*}} -> tensor<1x3x8x8xf32>
  // CHECK: limosa.conv %[[X]], %arg1 {{.*}} -> tensor<1x5x8x8xf32>
  %0 = limosa.conv %x, %k {strides = array<i64: 1, 1>, pad_low = ["0", "0"], pad_high = ["0", "0"], lhs_dilation = array<i64: 1, 1>, rhs_dilation = array<i64: 1, 1>, feature_groups = 1 : i64, batch_groups = 1 : i64} : (tensor<4x3x8x8xf32>, tensor<5x3x1x1xf32>) -> tensor<4x5x8x8xf32>
  // CHECK: limosa.broadcast %arg2 {{.*}} -> tensor<1x5x8x8xf32>
  %1 = limosa.broadcast %b {dims = array<i64: 1>} : (tensor<5xf32>) -> tensor<4x5x8x8xf32>
  %2 = limosa.add %0, %1 : (tensor<4x5x8x8xf32>, tensor<4x5x8x8xf32>) -> tensor<4x5x8x8xf32>
  %zero = limosa.constant dense<0.0> : tensor<f32>
  // CHECK: limosa.reduce {{.*}}
  // CHECK: -> tensor<1x5xf32>
  %3 = limosa.reduce %2, %zero {
  ^bb0(%s: tensor<f32>, %e: tensor<f32>):
    %n = limosa.add %s, %e : (tensor<f32>, tensor<f32>) -> tensor<f32>
    limosa.yield %n : tensor<f32>
  } {dims = array<i64: 2, 3>, operandSegmentSizes = array<i32: 1, 1>} : (tensor<4x5x8x8xf32>, tensor<f32>) -> tensor<4x5xf32>
  // CHECK: %[[Y:.*]] = limosa.contract {{.*}} -> tensor<1x7xf32>
  %4 = limosa.contract %3, %w {lhs_batch = array<i64>, rhs_batch = array<i64>, lhs_contract = array<i64: 1>, rhs_contract = array<i64: 0>} : (tensor<4x5xf32>, tensor<5x7xf32>) -> tensor<4x7xf32>
  // CHECK: %[[NEXT:.*]] = limosa.update_slice %[[OUT]], %[[Y]]
  // CHECK: limosa.yield %{{.*}}, %[[NEXT]]
  // CHECK: return %[[LOOP]]#1
  return %4 : tensor<4x7xf32>
}

// What mixes the elements of the batch ends the loop; what it gives is outside.
// CHECK-LABEL: @mixes
func.func @mixes(%x: tensor<4x30xf32>, %w: tensor<30x2xf32>) -> tensor<4x4xf32> attributes {limosa.entry} {
  // CHECK: %[[LOOP:.*]]:2 = limosa.while
  // CHECK: limosa.contract {{.*}} -> tensor<1x2xf32>
  %0 = limosa.contract %x, %w {lhs_batch = array<i64>, rhs_batch = array<i64>, lhs_contract = array<i64: 1>, rhs_contract = array<i64: 0>} : (tensor<4x30xf32>, tensor<30x2xf32>) -> tensor<4x2xf32>
  // CHECK: limosa.contract %[[LOOP]]#1, %[[LOOP]]#1 {{.*}} -> tensor<4x4xf32>
  %1 = limosa.contract %0, %0 {lhs_batch = array<i64>, rhs_batch = array<i64>, lhs_contract = array<i64: 1>, rhs_contract = array<i64: 1>} : (tensor<4x2xf32>, tensor<4x2xf32>) -> tensor<4x4xf32>
  return %1 : tensor<4x4xf32>
}

// The weights have the batch's size by chance, and the table another meaning.
// CHECK-LABEL: @by_chance
func.func @by_chance(%x: tensor<4x4xf32>, %t: tensor<4x4xf32>) -> tensor<4x4xf32> attributes {limosa.entry} {
  // CHECK-NOT: limosa.while
  %0 = limosa.contract %x, %t {lhs_batch = array<i64>, rhs_batch = array<i64>, lhs_contract = array<i64: 1>, rhs_contract = array<i64: 0>} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return %0 : tensor<4x4xf32>
}
