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

// A pad of zeros is padding of the convolution; the channels are not.
// CHECK-LABEL: @pad_into_conv
func.func @pad_into_conv(%x: tensor<1x3x8x8xf32>, %k: tensor<4x3x3x3xf32>, %k4: tensor<4x4x3x3xf32>) -> (tensor<1x4x4x4xf32>, tensor<1x4x6x6xf32>) {
  %zero = limosa.constant dense<0.0> : tensor<f32>
  // CHECK: limosa.conv %arg0, %arg1 {{.*}}pad_high = ["2", "1"], pad_low = ["0", "0"]
  %p = limosa.pad %x, %zero {low = ["0", "0", "0", "0"], high = ["0", "0", "1", "1"], interior = array<i64: 0, 0, 0, 0>} : (tensor<1x3x8x8xf32>, tensor<f32>) -> tensor<1x3x9x9xf32>
  %0 = limosa.conv %p, %k {strides = array<i64: 2, 2>, pad_low = ["0", "0"], pad_high = ["1", "0"], lhs_dilation = array<i64: 1, 1>, rhs_dilation = array<i64: 1, 1>, feature_groups = 1 : i64, batch_groups = 1 : i64} : (tensor<1x3x9x9xf32>, tensor<4x3x3x3xf32>) -> tensor<1x4x4x4xf32>
  // CHECK: %[[P:.*]] = limosa.pad
  // CHECK: limosa.conv %[[P]], %arg2
  %q = limosa.pad %x, %zero {low = ["0", "1", "0", "0"], high = ["0", "0", "0", "0"], interior = array<i64: 0, 0, 0, 0>} : (tensor<1x3x8x8xf32>, tensor<f32>) -> tensor<1x4x8x8xf32>
  %1 = limosa.conv %q, %k4 {strides = array<i64: 1, 1>, pad_low = ["0", "0"], pad_high = ["0", "0"], lhs_dilation = array<i64: 1, 1>, rhs_dilation = array<i64: 1, 1>, feature_groups = 1 : i64, batch_groups = 1 : i64} : (tensor<1x4x8x8xf32>, tensor<4x4x3x3xf32>) -> tensor<1x4x6x6xf32>
  return %0, %1 : tensor<1x4x4x4xf32>, tensor<1x4x6x6xf32>
}

// Only a pad of what the window itself counts outside.
// CHECK-LABEL: @pad_into_window
func.func @pad_into_window(%x: tensor<6x8xf32>) -> (tensor<3x4xf32>, tensor<3x4xf32>) {
  %zero = limosa.constant dense<0.0> : tensor<f32>
  %low = limosa.constant dense<0xFF800000> : tensor<f32>
  // CHECK: limosa.window %arg0, {{.*}}
  // CHECK: pad_high = ["1", "0"], pad_low = ["0", "1"]
  %p = limosa.pad %x, %low {low = ["0", "1"], high = ["1", "0"], interior = array<i64: 0, 0>} : (tensor<6x8xf32>, tensor<f32>) -> tensor<7x9xf32>
  %0 = limosa.window %p, %low {
  ^bb0(%a: tensor<f32>, %b: tensor<f32>):
    %m = limosa.max %a, %b : (tensor<f32>, tensor<f32>) -> tensor<f32>
    limosa.yield %m : tensor<f32>
  } {sizes = array<i64: 3, 3>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pad_low = ["0", "0"], pad_high = ["0", "0"], operandSegmentSizes = array<i32: 1, 1>} : (tensor<7x9xf32>, tensor<f32>) -> tensor<3x4xf32>
  // CHECK: %[[P:.*]] = limosa.pad
  // CHECK: limosa.window %[[P]]
  %q = limosa.pad %x, %zero {low = ["0", "1"], high = ["1", "0"], interior = array<i64: 0, 0>} : (tensor<6x8xf32>, tensor<f32>) -> tensor<7x9xf32>
  %1 = limosa.window %q, %low {
  ^bb0(%a: tensor<f32>, %b: tensor<f32>):
    %m = limosa.max %a, %b : (tensor<f32>, tensor<f32>) -> tensor<f32>
    limosa.yield %m : tensor<f32>
  } {sizes = array<i64: 3, 3>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pad_low = ["0", "0"], pad_high = ["0", "0"], operandSegmentSizes = array<i32: 1, 1>} : (tensor<7x9xf32>, tensor<f32>) -> tensor<3x4xf32>
  return %0, %1 : tensor<3x4xf32>, tensor<3x4xf32>
}

// What is the same along a dimension is computed before it is repeated there.
// CHECK-LABEL: @elementwise_before_broadcast
func.func @elementwise_before_broadcast(%x: tensor<4xf32>, %y: tensor<4xf32>, %z: tensor<2x4xf32>) -> tensor<2x4xf32> {
  %one = limosa.constant dense<1.0> : tensor<f32>
  // CHECK: %[[ONE:.*]] = limosa.broadcast {{.*}} -> tensor<4xf32>
  // CHECK: %[[A:.*]] = limosa.add %arg0, %[[ONE]] : (tensor<4xf32>
  // CHECK: %[[M:.*]] = limosa.mul %[[A]], %arg1 : (tensor<4xf32>
  // CHECK: %[[B:.*]] = limosa.broadcast %[[M]] {dims = array<i64: 1>}
  // CHECK: limosa.add %[[B]], %arg2
  %0 = limosa.broadcast %x {dims = array<i64: 1>} : (tensor<4xf32>) -> tensor<2x4xf32>
  %1 = limosa.broadcast %one {dims = array<i64>} : (tensor<f32>) -> tensor<2x4xf32>
  %2 = limosa.add %0, %1 : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  %3 = limosa.broadcast %y {dims = array<i64: 1>} : (tensor<4xf32>) -> tensor<2x4xf32>
  %4 = limosa.mul %2, %3 : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  %5 = limosa.add %4, %z : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  return %5 : tensor<2x4xf32>
}
