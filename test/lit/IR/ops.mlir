// RUN: limosa-opt %s | limosa-opt | FileCheck %s
// Every op of the dialect prints what it parses.

module attributes {limosa.symbols = {N = #limosa.symbol<min = 1, max = 64, divisor = 2, bound = "">, nz = #limosa.symbol<min = 0, max = 100, divisor = 1, bound = "4*N">}} {

// CHECK-LABEL: @elementwise
func.func @elementwise(%x: tensor<?x4xf32, #limosa.enc<["N"]>>, %i: tensor<4xi32>, %u: tensor<4xui8>) {
  // CHECK: limosa.add {{.*}} : (tensor<?x4xf32, #limosa.enc<["N"]>>, tensor<?x4xf32, #limosa.enc<["N"]>>) -> tensor<?x4xf32, #limosa.enc<["N"]>>
  %0 = limosa.add %x, %x : (tensor<?x4xf32, #limosa.enc<["N"]>>, tensor<?x4xf32, #limosa.enc<["N"]>>) -> tensor<?x4xf32, #limosa.enc<["N"]>>
  // CHECK: limosa.mul
  %1 = limosa.mul %i, %i : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  // CHECK: limosa.div
  %2 = limosa.div %i, %i : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  // CHECK: limosa.rem
  %3 = limosa.rem %u, %u : (tensor<4xui8>, tensor<4xui8>) -> tensor<4xui8>
  // CHECK: limosa.pow
  %4 = limosa.pow %i, %i : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  // CHECK: limosa.min
  %5 = limosa.min %i, %i : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  // CHECK: limosa.max
  %6 = limosa.max %i, %i : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  // CHECK: limosa.and
  %7 = limosa.and %i, %i : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  // CHECK: limosa.or
  %8 = limosa.or %i, %i : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  // CHECK: limosa.xor
  %9 = limosa.xor %i, %i : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  // CHECK: limosa.shl
  %10 = limosa.shl %i, %i : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  // CHECK: limosa.shr
  %11 = limosa.shr %u, %u : (tensor<4xui8>, tensor<4xui8>) -> tensor<4xui8>
  // CHECK: limosa.neg
  %12 = limosa.neg %i : (tensor<4xi32>) -> tensor<4xi32>
  // CHECK: limosa.abs
  %13 = limosa.abs %i : (tensor<4xi32>) -> tensor<4xi32>
  %f = limosa.convert %i : (tensor<4xi32>) -> tensor<4xf64>
  // CHECK: limosa.floor
  %14 = limosa.floor %f : (tensor<4xf64>) -> tensor<4xf64>
  // CHECK: limosa.round_even
  %15 = limosa.round_even %f : (tensor<4xf64>) -> tensor<4xf64>
  // CHECK: limosa.exp
  %16 = limosa.exp %f : (tensor<4xf64>) -> tensor<4xf64>
  // CHECK: limosa.log
  %17 = limosa.log %f : (tensor<4xf64>) -> tensor<4xf64>
  // CHECK: limosa.sqrt
  %18 = limosa.sqrt %f : (tensor<4xf64>) -> tensor<4xf64>
  // CHECK: limosa.sin
  %19 = limosa.sin %f : (tensor<4xf64>) -> tensor<4xf64>
  // CHECK: limosa.cos
  %20 = limosa.cos %f : (tensor<4xf64>) -> tensor<4xf64>
  // CHECK: limosa.tanh
  %21 = limosa.tanh %f : (tensor<4xf64>) -> tensor<4xf64>
  // CHECK: limosa.erf
  %22 = limosa.erf %f : (tensor<4xf64>) -> tensor<4xf64>
  // CHECK: limosa.compare {{.*}} {direction = #limosa.compare<lt>}
  %23 = limosa.compare %f, %f {direction = #limosa.compare<lt>} : (tensor<4xf64>, tensor<4xf64>) -> tensor<4xi1>
  // CHECK: limosa.select
  %24 = limosa.select %23, %f, %f : (tensor<4xi1>, tensor<4xf64>, tensor<4xf64>) -> tensor<4xf64>
  // CHECK: limosa.convert {{.*}} -> tensor<4xf8E4M3FN>
  %25 = limosa.convert %f : (tensor<4xf64>) -> tensor<4xf8E4M3FN>
  // CHECK: limosa.bitcast
  %26 = limosa.bitcast %i : (tensor<4xi32>) -> tensor<4xf32>
  return
}

// CHECK-LABEL: @data
func.func @data(%x: tensor<?x6xf32, #limosa.enc<["N"]>>, %v: tensor<f32>, %at: tensor<3x1xi64>) {
  // CHECK: limosa.iota {dim = 0 : i64}
  %0 = limosa.iota {dim = 0 : i64} : () -> tensor<?xi32, #limosa.enc<["N"]>>
  // CHECK: limosa.reshape {{.*}} -> tensor<?xf32, #limosa.enc<["6*N"]>>
  %1 = limosa.reshape %x : (tensor<?x6xf32, #limosa.enc<["N"]>>) -> tensor<?xf32, #limosa.enc<["6*N"]>>
  // CHECK: limosa.transpose
  %2 = limosa.transpose %x {perm = array<i64: 1, 0>} : (tensor<?x6xf32, #limosa.enc<["N"]>>) -> tensor<6x?xf32, #limosa.enc<["N"]>>
  // CHECK: limosa.broadcast
  %3 = limosa.broadcast %v {dims = array<i64>} : (tensor<f32>) -> tensor<2x3xf32>
  // CHECK: limosa.slice {{.*}}starts = ["N - 1", "4"]
  %4 = limosa.slice %x {starts = ["N - 1", "4"], steps = array<i64: -1, -2>} : (tensor<?x6xf32, #limosa.enc<["N"]>>) -> tensor<?x3xf32, #limosa.enc<["N"]>>
  // CHECK: limosa.pad
  %5 = limosa.pad %x, %v {low = ["1", "0"], high = ["N", "2"], interior = array<i64: 0, 0>} : (tensor<?x6xf32, #limosa.enc<["N"]>>, tensor<f32>) -> tensor<?x8xf32, #limosa.enc<["2*N + 1"]>>
  // CHECK: limosa.concat
  %6 = limosa.concat %x, %x {dim = 0 : i64} : (tensor<?x6xf32, #limosa.enc<["N"]>>, tensor<?x6xf32, #limosa.enc<["N"]>>) -> tensor<?x6xf32, #limosa.enc<["2*N"]>>
  // CHECK: limosa.gather
  %7 = limosa.gather %x, %at {axes = array<i64: 0>, batch = 0 : i64} : (tensor<?x6xf32, #limosa.enc<["N"]>>, tensor<3x1xi64>) -> tensor<3x6xf32>
  // CHECK: limosa.scatter
  %8 = limosa.scatter %x, %at, %7 {
  ^bb0(%old: tensor<f32>, %new: tensor<f32>):
    %s = limosa.add %old, %new : (tensor<f32>, tensor<f32>) -> tensor<f32>
    limosa.yield %s : tensor<f32>
  } {axes = array<i64: 0>, batch = 0 : i64} : (tensor<?x6xf32, #limosa.enc<["N"]>>, tensor<3x1xi64>, tensor<3x6xf32>) -> tensor<?x6xf32, #limosa.enc<["N"]>>
  %starts = limosa.constant dense<[0, 1]> : tensor<2xi64>
  %u = limosa.constant dense<0.0> : tensor<1x2xf32>
  // CHECK: limosa.update_slice
  %9 = limosa.update_slice %x, %u, %starts : (tensor<?x6xf32, #limosa.enc<["N"]>>, tensor<1x2xf32>, tensor<2xi64>) -> tensor<?x6xf32, #limosa.enc<["N"]>>
  return
}

// CHECK-LABEL: @structured
func.func @structured(%x: tensor<2x8xf32>, %w: tensor<8x3xf32>, %zero: tensor<f32>, %img: tensor<1x4x8x8xf32>, %k: tensor<6x2x3x3xf32>, %m: tensor<4xi1>) {
  // CHECK: limosa.reduce
  %0 = limosa.reduce %x, %zero {
  ^bb0(%a: tensor<f32>, %b: tensor<f32>):
    %s = limosa.add %a, %b : (tensor<f32>, tensor<f32>) -> tensor<f32>
    limosa.yield %s : tensor<f32>
  } {dims = array<i64: 1>, operandSegmentSizes = array<i32: 1, 1>} : (tensor<2x8xf32>, tensor<f32>) -> tensor<2xf32>
  // CHECK: limosa.scan
  %1 = limosa.scan %x, %zero {
  ^bb0(%a: tensor<f32>, %b: tensor<f32>):
    %s = limosa.add %a, %b : (tensor<f32>, tensor<f32>) -> tensor<f32>
    limosa.yield %s : tensor<f32>
  } {dim = 1 : i64, exclusive = false, reverse = true, operandSegmentSizes = array<i32: 1, 1>} : (tensor<2x8xf32>, tensor<f32>) -> tensor<2x8xf32>
  // CHECK: limosa.window
  %2 = limosa.window %x, %zero {
  ^bb0(%a: tensor<f32>, %b: tensor<f32>):
    %s = limosa.max %a, %b : (tensor<f32>, tensor<f32>) -> tensor<f32>
    limosa.yield %s : tensor<f32>
  } {sizes = array<i64: 1, 2>, strides = array<i64: 1, 2>, dilations = array<i64: 1, 1>, pad_low = ["0", "0"], pad_high = ["0", "0"], operandSegmentSizes = array<i32: 1, 1>} : (tensor<2x8xf32>, tensor<f32>) -> tensor<2x4xf32>
  // CHECK: limosa.sort
  %3 = limosa.sort %x {
  ^bb0(%a: tensor<f32>, %b: tensor<f32>):
    %s = limosa.compare %a, %b {direction = #limosa.compare<gt>} : (tensor<f32>, tensor<f32>) -> tensor<i1>
    limosa.yield %s : tensor<i1>
  } {dim = 1 : i64} : (tensor<2x8xf32>) -> tensor<2x3xf32>
  // CHECK: limosa.contract
  %4 = limosa.contract %x, %w {lhs_batch = array<i64>, rhs_batch = array<i64>, lhs_contract = array<i64: 1>, rhs_contract = array<i64: 0>} : (tensor<2x8xf32>, tensor<8x3xf32>) -> tensor<2x3xf32>
  // CHECK: limosa.conv
  %5 = limosa.conv %img, %k {strides = array<i64: 1, 1>, pad_low = ["1", "1"], pad_high = ["1", "1"], lhs_dilation = array<i64: 1, 1>, rhs_dilation = array<i64: 1, 1>, feature_groups = 2 : i64, batch_groups = 1 : i64} : (tensor<1x4x8x8xf32>, tensor<6x2x3x3xf32>) -> tensor<1x6x8x8xf32>
  // CHECK: limosa.compact
  %6, %7 = limosa.compact %m {symbol = "nz"} : (tensor<4xi1>) -> (tensor<?x1xi64, #limosa.enc<["nz"]>>, tensor<i64>)
  return
}

// CHECK-LABEL: @control
func.func @control(%key: tensor<2xui64>, %c: tensor<i1>, %x: tensor<4xf32>, %n: tensor<i64>) {
  // CHECK: limosa.random_bits
  %0 = limosa.random_bits %key : (tensor<2xui64>) -> tensor<8xui32>
  // CHECK: limosa.if
  %1 = limosa.if %c {
    limosa.yield %x : tensor<4xf32>
  } else {
    %y = limosa.neg %x : (tensor<4xf32>) -> tensor<4xf32>
    limosa.yield %y : tensor<4xf32>
  } : (tensor<i1>) -> tensor<4xf32>
  // CHECK: limosa.while
  %2 = limosa.while %n {
  ^bb0(%i: tensor<i64>):
    %z = limosa.constant dense<0> : tensor<i64>
    %more = limosa.compare %i, %z {direction = #limosa.compare<gt>} : (tensor<i64>, tensor<i64>) -> tensor<i1>
    limosa.yield %more : tensor<i1>
  } do {
  ^bb0(%i: tensor<i64>):
    %m1 = limosa.constant dense<-1> : tensor<i64>
    %next = limosa.add %i, %m1 : (tensor<i64>, tensor<i64>) -> tensor<i64>
    limosa.yield %next : tensor<i64>
  } : (tensor<i64>) -> tensor<i64>
  // CHECK: limosa.all_gather
  %3 = limosa.all_gather %x {dim = 0 : i64, axis = "data", ranks = 2 : i64} : (tensor<4xf32>) -> tensor<8xf32>
  // CHECK: limosa.reduce_scatter
  %4 = limosa.reduce_scatter %x {dim = 0 : i64, axis = "data", ranks = 2 : i64} : (tensor<4xf32>) -> tensor<2xf32>
  // CHECK: limosa.permute
  %5 = limosa.permute %x {axis = "data", targets = array<i64: 1, -1>} : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK: limosa.bind_symbol
  limosa.bind_symbol %n {symbol = "k"} : (tensor<i64>) -> ()
  // CHECK: limosa.dim {expr = "k + 1"}
  %6 = limosa.dim {expr = "k + 1"} : () -> tensor<i64>
  // CHECK: limosa.assert
  limosa.assert %c {message = "must hold"} : (tensor<i1>) -> ()
  // CHECK: limosa.assert_expr
  limosa.assert_expr {lhs = "N", rhs = "k", message = "sizes differ"} : () -> ()
  // CHECK: limosa.relayout {{.*}} -> tensor<1x2x3xf32, #limosa.enc<[], [0, 2, 1]>>
  %t = limosa.constant dense<0.0> : tensor<1x2x3xf32>
  %7 = limosa.relayout %t : (tensor<1x2x3xf32>) -> tensor<1x2x3xf32, #limosa.enc<[], [0, 2, 1]>>
  return
}

}
