// RUN: limosa-opt %s -split-input-file -verify-diagnostics

func.func @shapes(%x: tensor<4xf32>, %y: tensor<5xf32>) {
  // expected-error @+1 {{needs one shape for all operands and results}}
  %0 = limosa.add %x, %y : (tensor<4xf32>, tensor<5xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @symbols(%x: tensor<?xf32, #limosa.enc<["N"]>>, %y: tensor<?xf32, #limosa.enc<["M"]>>) {
  // expected-error @+1 {{needs one shape for all operands and results}}
  %0 = limosa.add %x, %y : (tensor<?xf32, #limosa.enc<["N"]>>, tensor<?xf32, #limosa.enc<["M"]>>) -> tensor<?xf32, #limosa.enc<["N"]>>
  return
}

// -----

func.func @dtypes(%x: tensor<4xf32>, %y: tensor<4xf64>) {
  // expected-error @+1 {{needs one dtype for all operands and results}}
  %0 = limosa.mul %x, %y : (tensor<4xf32>, tensor<4xf64>) -> tensor<4xf32>
  return
}

// -----

// expected-error @+1 {{must be written '2*N'}}
func.func @canonical(%x: tensor<?xf32, #limosa.enc<["N + N"]>>) { return }

// -----

func.func @reshape(%x: tensor<4x3xf32>) {
  // expected-error @+1 {{must keep the number of elements}}
  %0 = limosa.reshape %x : (tensor<4x3xf32>) -> tensor<11xf32>
  return
}

// -----

func.func @transpose(%x: tensor<4x3xf32>) {
  // expected-error @+1 {{perm must be a permutation}}
  %0 = limosa.transpose %x {perm = array<i64: 0, 0>} : (tensor<4x3xf32>) -> tensor<4x4xf32>
  return
}

// -----

func.func @slice(%x: tensor<4xf32>) {
  // expected-error @+1 {{reaches outside of dimension 0}}
  %0 = limosa.slice %x {starts = ["2"], steps = array<i64: 1>} : (tensor<4xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @contract(%x: tensor<4x3xf32>, %y: tensor<4x3xf32>) {
  // expected-error @+1 {{lhs dimension 1 (3) and rhs dimension 0 (4) differ}}
  %0 = limosa.contract %x, %y {lhs_batch = array<i64>, rhs_batch = array<i64>, lhs_contract = array<i64: 1>, rhs_contract = array<i64: 0>} : (tensor<4x3xf32>, tensor<4x3xf32>) -> tensor<4x3xf32>
  return
}

// -----

func.func @conv(%x: tensor<1x3x8x8xf32>, %k: tensor<6x2x3x3xf32>) {
  // expected-error @+1 {{input has 3 channels, the filter wants 2}}
  %0 = limosa.conv %x, %k {strides = array<i64: 1, 1>, pad_low = ["0", "0"], pad_high = ["0", "0"], lhs_dilation = array<i64: 1, 1>, rhs_dilation = array<i64: 1, 1>, feature_groups = 1 : i64, batch_groups = 1 : i64} : (tensor<1x3x8x8xf32>, tensor<6x2x3x3xf32>) -> tensor<1x6x6x6xf32>
  return
}

// -----

func.func @reduce(%x: tensor<4xf32>, %zero: tensor<f32>) {
  // expected-error @+1 {{region needs 2 rank-0 arguments}}
  %0 = limosa.reduce %x, %zero {
  ^bb0(%a: tensor<f32>):
    limosa.yield %a : tensor<f32>
  } {dims = array<i64: 0>, operandSegmentSizes = array<i32: 1, 1>} : (tensor<4xf32>, tensor<f32>) -> tensor<f32>
  return
}

// -----

func.func @bitcast(%x: tensor<4xf32>) {
  // expected-error @+1 {{needs dtypes of one width}}
  %0 = limosa.bitcast %x : (tensor<4xf32>) -> tensor<4xi64>
  return
}

// -----

func.func @collective(%x: tensor<4xf32>) {
  // expected-error @+1 {{targets must be distinct ranks or -1}}
  %0 = limosa.permute %x {axis = "data", targets = array<i64: 1, 1>} : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @unnamed(%x: tensor<4xf32>) {
  // expected-error @+1 {{needs a target 'domain::Op' and a version from 1 on}}
  %0 = limosa.custom_call %x {target = "Op", config = {}} : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @slots(%x: tensor<4xf32>) {
  // expected-error @+1 {{needs a slot for every operand}}
  %0 = limosa.custom_call %x, %x {target = "my::Op", config = {}, slots = array<i64: 1>} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @symbols(%x: tensor<4xf32>) {
  // expected-error @+1 {{no result has the dimension 'U'}}
  %0 = limosa.custom_call %x {target = "my::Op", config = {}, symbols = ["U"]} : (tensor<4xf32>) -> tensor<4xf32>
  return
}
