// REQUIRES: limosa-opt
// RUN: limosa-opt --limosa-form-kernels --split-input-file %s | FileCheck %s

// What a 1x1 convolution expands for a depthwise one alone is never stored.

!x = tensor<1x2x300x300xf32, #limosa.enc<[], [0, 2, 3, 1]>>
!e = tensor<1x4x300x300xf32, #limosa.enc<[], [0, 2, 3, 1]>>
// CHECK-LABEL: func.func @bottleneck
// CHECK: %[[Y:.*]] = limosa.launch
// CHECK-NOT: launch
// CHECK: return %[[Y]]
// CHECK: func.func private
// CHECK: limosa.conv
// CHECK: limosa.max
// CHECK: limosa.conv
// CHECK: limosa.max
func.func @bottleneck(%x: !x) -> !e attributes {limosa.entry} {
  %w1 = limosa.constant dense<[[[[1.0]], [[2.0]]], [[[3.0]], [[4.0]]], [[[5.0]], [[6.0]]], [[[7.0]], [[8.0]]]]> : tensor<4x2x1x1xf32>
  %w2 = limosa.constant dense<[[[[1.0, 2.0]]], [[[3.0, 4.0]]], [[[5.0, 6.0]]], [[[7.0, 8.0]]]]> : tensor<4x1x1x2xf32>
  %z = limosa.constant dense<0.0> : tensor<f32>
  %zero = limosa.broadcast %z {dims = array<i64>} : (tensor<f32>) -> !e
  %e = limosa.conv %x, %w1 {strides = array<i64: 1, 1>, pad_low = ["0", "0"], pad_high = ["0", "0"], lhs_dilation = array<i64: 1, 1>, rhs_dilation = array<i64: 1, 1>, feature_groups = 1 : i64, batch_groups = 1 : i64} : (!x, tensor<4x2x1x1xf32>) -> !e
  %r = limosa.max %e, %zero : (!e, !e) -> !e
  %d = limosa.conv %r, %w2 {strides = array<i64: 1, 1>, pad_low = ["0", "0"], pad_high = ["0", "1"], lhs_dilation = array<i64: 1, 1>, rhs_dilation = array<i64: 1, 1>, feature_groups = 4 : i64, batch_groups = 1 : i64} : (!e, tensor<4x1x1x2xf32>) -> !e
  %y = limosa.max %d, %zero : (!e, !e) -> !e
  return %y : !e
}

// -----

// It is if somebody else reads it, too.

!x = tensor<1x2x300x300xf32, #limosa.enc<[], [0, 2, 3, 1]>>
!e = tensor<1x4x300x300xf32, #limosa.enc<[], [0, 2, 3, 1]>>
// CHECK-LABEL: func.func @shared
// CHECK: %[[E:.*]] = limosa.launch
// CHECK: %[[Y:.*]] = limosa.launch %[[E]]
// CHECK: return %[[Y]], %[[E]]
func.func @shared(%x: !x) -> (!e, !e) attributes {limosa.entry} {
  %w1 = limosa.constant dense<[[[[1.0]], [[2.0]]], [[[3.0]], [[4.0]]], [[[5.0]], [[6.0]]], [[[7.0]], [[8.0]]]]> : tensor<4x2x1x1xf32>
  %w2 = limosa.constant dense<[[[[1.0, 2.0]]], [[[3.0, 4.0]]], [[[5.0, 6.0]]], [[[7.0, 8.0]]]]> : tensor<4x1x1x2xf32>
  %e = limosa.conv %x, %w1 {strides = array<i64: 1, 1>, pad_low = ["0", "0"], pad_high = ["0", "0"], lhs_dilation = array<i64: 1, 1>, rhs_dilation = array<i64: 1, 1>, feature_groups = 1 : i64, batch_groups = 1 : i64} : (!x, tensor<4x2x1x1xf32>) -> !e
  %d = limosa.conv %e, %w2 {strides = array<i64: 1, 1>, pad_low = ["0", "0"], pad_high = ["0", "1"], lhs_dilation = array<i64: 1, 1>, rhs_dilation = array<i64: 1, 1>, feature_groups = 4 : i64, batch_groups = 1 : i64} : (!e, tensor<4x1x1x2xf32>) -> !e
  return %d, %e : !e, !e
}
