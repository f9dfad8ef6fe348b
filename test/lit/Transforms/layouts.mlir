// RUN: limosa-opt %s --limosa-assign-layouts | FileCheck %s

// Channels-last spreads from the convolution over what follows, and one
// relayout stands at the input and one at the output.
// CHECK-LABEL: @conv_relu
func.func @conv_relu(%x: tensor<1x3x8x8xf32>, %k: tensor<16x3x3x3xf32>, %zero: tensor<1x16x8x8xf32>) -> tensor<1x16x8x8xf32> {
  // CHECK: %[[X:.*]] = limosa.relayout %arg0 {{.*}} -> tensor<1x3x8x8xf32, #limosa.enc<[], [0, 2, 3, 1]>>
  // CHECK: %[[Y:.*]] = limosa.conv %[[X]]
  // CHECK-SAME: -> tensor<1x16x8x8xf32, #limosa.enc<[], [0, 2, 3, 1]>>
  %0 = limosa.conv %x, %k {strides = array<i64: 1, 1>, pad_low = ["1", "1"], pad_high = ["1", "1"], lhs_dilation = array<i64: 1, 1>, rhs_dilation = array<i64: 1, 1>, feature_groups = 1 : i64, batch_groups = 1 : i64} : (tensor<1x3x8x8xf32>, tensor<16x3x3x3xf32>) -> tensor<1x16x8x8xf32>
  // CHECK: %[[E:.*]] = limosa.exp %[[Y]] {{.*}} -> tensor<1x16x8x8xf32, #limosa.enc<[], [0, 2, 3, 1]>>
  %1 = limosa.exp %0 : (tensor<1x16x8x8xf32>) -> tensor<1x16x8x8xf32>
  // CHECK: %[[OUT:.*]] = limosa.relayout %[[E]] {{.*}} -> tensor<1x16x8x8xf32>
  // CHECK: return %[[OUT]]
  return %1 : tensor<1x16x8x8xf32>
}

// A product writes in the order in which the transpose of it is row-major.
// CHECK-LABEL: @heads
func.func @heads(%p: tensor<2x4x5x5xf32>, %v: tensor<2x4x5x8xf32>) -> tensor<2x5x4x8xf32> {
  // CHECK: limosa.contract {{.*}} -> tensor<2x4x5x8xf32, #limosa.enc<[], [0, 2, 1, 3]>>
  %0 = limosa.contract %p, %v {lhs_batch = array<i64: 0, 1>, rhs_batch = array<i64: 0, 1>, lhs_contract = array<i64: 3>, rhs_contract = array<i64: 2>} : (tensor<2x4x5x5xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  // CHECK: %[[T:.*]] = limosa.transpose {{.*}} -> tensor<2x5x4x8xf32>
  %1 = limosa.transpose %0 {perm = array<i64: 0, 2, 1, 3>} : (tensor<2x4x5x8xf32>) -> tensor<2x5x4x8xf32>
  // CHECK-NEXT: return %[[T]]
  return %1 : tensor<2x5x4x8xf32>
}

// Channels-last is wished through a transpose: what it reads is row-major
// already, and it moves nothing.
// CHECK-LABEL: @last_to_first
func.func @last_to_first(%x: tensor<1x8x8x3xf32>, %w: tensor<3x16xf32>, %k: tensor<16x16x1x1xf32>) -> tensor<1x16x8x8xf32> {
  // CHECK: limosa.contract {{.*}} -> tensor<1x8x8x16xf32>
  %0 = limosa.contract %x, %w {lhs_batch = array<i64>, rhs_batch = array<i64>, lhs_contract = array<i64: 3>, rhs_contract = array<i64: 0>} : (tensor<1x8x8x3xf32>, tensor<3x16xf32>) -> tensor<1x8x8x16xf32>
  // CHECK-NEXT: %[[T:.*]] = limosa.transpose {{.*}} -> tensor<1x16x8x8xf32, #limosa.enc<[], [0, 2, 3, 1]>>
  %1 = limosa.transpose %0 {perm = array<i64: 0, 3, 1, 2>} : (tensor<1x8x8x16xf32>) -> tensor<1x16x8x8xf32>
  // CHECK-NEXT: %[[E:.*]] = limosa.exp %[[T]] {{.*}} -> tensor<1x16x8x8xf32, #limosa.enc<[], [0, 2, 3, 1]>>
  %2 = limosa.exp %1 : (tensor<1x16x8x8xf32>) -> tensor<1x16x8x8xf32>
  // CHECK-NEXT: limosa.conv %[[E]]
  %3 = limosa.conv %2, %k {strides = array<i64: 1, 1>, pad_low = ["0", "0"], pad_high = ["0", "0"], lhs_dilation = array<i64: 1, 1>, rhs_dilation = array<i64: 1, 1>, feature_groups = 1 : i64, batch_groups = 1 : i64} : (tensor<1x16x8x8xf32>, tensor<16x16x1x1xf32>) -> tensor<1x16x8x8xf32>
  return %3 : tensor<1x16x8x8xf32>
}

// Without convolutions nothing is touched.
// CHECK-LABEL: @plain
// CHECK-NOT: relayout
func.func @plain(%x: tensor<2x3x4x5xf32>) -> tensor<2x3x4x5xf32> {
  %0 = limosa.exp %x : (tensor<2x3x4x5xf32>) -> tensor<2x3x4x5xf32>
  return %0 : tensor<2x3x4x5xf32>
}
