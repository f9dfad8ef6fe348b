// REQUIRES: limosa-opt
// RUN: limosa-opt --limosa-form-kernels %s | FileCheck %s

// A softmax between two products is one kernel, with heads that are moved, the
// scale of the queries and the mask pulled into it.

// CHECK-LABEL: func.func @main
// CHECK-NOT: limosa.slice
// CHECK: limosa.launch {{.*}} {kernel = @[[K0:k0_contract]]}
// CHECK-NOT: limosa.launch
// CHECK: return
// CHECK-LABEL: func.func @shown
// CHECK-COUNT-3: limosa.launch
// CHECK: func.func private @[[K0]](
// CHECK: limosa.contract
// CHECK: limosa.select
// CHECK: limosa.reduce
// CHECK: limosa.exp
// CHECK: limosa.contract
// CHECK: limosa.add

module {
func.func @main(%qkv: tensor<2x9x3x4x16xf32> {limosa.name = "qkv"}, %mask: tensor<2x1x1x9xi1> {limosa.name = "mask"}, %residual: tensor<2x4x9x16xf32> {limosa.name = "r"}) -> (tensor<2x4x9x16xf32> {limosa.name = "y"}) attributes {limosa.entry} {
  %zero = limosa.constant dense<0.0> : tensor<f32>
  %minf = limosa.constant dense<0xFF800000> : tensor<f32>
  %scale = limosa.constant dense<0.25> : tensor<f32>
  %t = limosa.transpose %qkv {perm = array<i64: 2, 0, 3, 1, 4>} : (tensor<2x9x3x4x16xf32>) -> tensor<3x2x4x9x16xf32>
  %q0 = limosa.slice %t {starts = ["0", "0", "0", "0", "0"], steps = array<i64: 1, 1, 1, 1, 1>} : (tensor<3x2x4x9x16xf32>) -> tensor<1x2x4x9x16xf32>
  %k0 = limosa.slice %t {starts = ["1", "0", "0", "0", "0"], steps = array<i64: 1, 1, 1, 1, 1>} : (tensor<3x2x4x9x16xf32>) -> tensor<1x2x4x9x16xf32>
  %v0 = limosa.slice %t {starts = ["2", "0", "0", "0", "0"], steps = array<i64: 1, 1, 1, 1, 1>} : (tensor<3x2x4x9x16xf32>) -> tensor<1x2x4x9x16xf32>
  %q1 = limosa.reshape %q0 : (tensor<1x2x4x9x16xf32>) -> tensor<2x4x9x16xf32>
  %k = limosa.reshape %k0 : (tensor<1x2x4x9x16xf32>) -> tensor<2x4x9x16xf32>
  %v = limosa.reshape %v0 : (tensor<1x2x4x9x16xf32>) -> tensor<2x4x9x16xf32>
  %sc = limosa.broadcast %scale {dims = array<i64>} : (tensor<f32>) -> tensor<2x4x9x16xf32>
  %q = limosa.mul %q1, %sc : (tensor<2x4x9x16xf32>, tensor<2x4x9x16xf32>) -> tensor<2x4x9x16xf32>
  %s = limosa.contract %q, %k {lhs_batch = array<i64: 0, 1>, rhs_batch = array<i64: 0, 1>, lhs_contract = array<i64: 3>, rhs_contract = array<i64: 3>} : (tensor<2x4x9x16xf32>, tensor<2x4x9x16xf32>) -> tensor<2x4x9x9xf32>
  %mb = limosa.broadcast %mask {dims = array<i64: 0, 1, 2, 3>} : (tensor<2x1x1x9xi1>) -> tensor<2x4x9x9xi1>
  %inf = limosa.broadcast %minf {dims = array<i64>} : (tensor<f32>) -> tensor<2x4x9x9xf32>
  %x = limosa.select %mb, %s, %inf : (tensor<2x4x9x9xi1>, tensor<2x4x9x9xf32>, tensor<2x4x9x9xf32>) -> tensor<2x4x9x9xf32>
  %m = limosa.reduce %x, %minf {
  ^bb0(%a: tensor<f32>, %b: tensor<f32>):
    %c = limosa.max %a, %b : (tensor<f32>, tensor<f32>) -> tensor<f32>
    limosa.yield %c : tensor<f32>
  } {dims = array<i64: 3>, operandSegmentSizes = array<i32: 1, 1>} : (tensor<2x4x9x9xf32>, tensor<f32>) -> tensor<2x4x9xf32>
  %mk = limosa.reshape %m : (tensor<2x4x9xf32>) -> tensor<2x4x9x1xf32>
  %mr = limosa.broadcast %mk {dims = array<i64: 0, 1, 2, 3>} : (tensor<2x4x9x1xf32>) -> tensor<2x4x9x9xf32>
  %n = limosa.neg %mr : (tensor<2x4x9x9xf32>) -> tensor<2x4x9x9xf32>
  %d = limosa.add %x, %n : (tensor<2x4x9x9xf32>, tensor<2x4x9x9xf32>) -> tensor<2x4x9x9xf32>
  %e = limosa.exp %d : (tensor<2x4x9x9xf32>) -> tensor<2x4x9x9xf32>
  %l = limosa.reduce %e, %zero {
  ^bb0(%a: tensor<f32>, %b: tensor<f32>):
    %c = limosa.add %a, %b : (tensor<f32>, tensor<f32>) -> tensor<f32>
    limosa.yield %c : tensor<f32>
  } {dims = array<i64: 3>, operandSegmentSizes = array<i32: 1, 1>} : (tensor<2x4x9x9xf32>, tensor<f32>) -> tensor<2x4x9xf32>
  %lk = limosa.reshape %l : (tensor<2x4x9xf32>) -> tensor<2x4x9x1xf32>
  %lr = limosa.broadcast %lk {dims = array<i64: 0, 1, 2, 3>} : (tensor<2x4x9x1xf32>) -> tensor<2x4x9x9xf32>
  %p = limosa.div %e, %lr : (tensor<2x4x9x9xf32>, tensor<2x4x9x9xf32>) -> tensor<2x4x9x9xf32>
  %o = limosa.contract %p, %v {lhs_batch = array<i64: 0, 1>, rhs_batch = array<i64: 0, 1>, lhs_contract = array<i64: 3>, rhs_contract = array<i64: 2>} : (tensor<2x4x9x9xf32>, tensor<2x4x9x16xf32>) -> tensor<2x4x9x16xf32>
  %r = limosa.add %o, %residual : (tensor<2x4x9x16xf32>, tensor<2x4x9x16xf32>) -> tensor<2x4x9x16xf32>
  return %r : tensor<2x4x9x16xf32>
}

// Probabilities that somebody else wants are stored.
func.func @shown(%q: tensor<4x9x16xf32> {limosa.name = "q"}, %k: tensor<4x9x16xf32> {limosa.name = "k"}, %v: tensor<4x9x16xf32> {limosa.name = "v"}) -> (tensor<4x9x16xf32> {limosa.name = "y"}, tensor<4x9x9xf32> {limosa.name = "p"}) attributes {limosa.entry} {
  %zero = limosa.constant dense<0.0> : tensor<f32>
  %minf = limosa.constant dense<0xFF800000> : tensor<f32>
  %x = limosa.contract %q, %k {lhs_batch = array<i64: 0>, rhs_batch = array<i64: 0>, lhs_contract = array<i64: 2>, rhs_contract = array<i64: 2>} : (tensor<4x9x16xf32>, tensor<4x9x16xf32>) -> tensor<4x9x9xf32>
  %m = limosa.reduce %x, %minf {
  ^bb0(%a: tensor<f32>, %b: tensor<f32>):
    %c = limosa.max %a, %b : (tensor<f32>, tensor<f32>) -> tensor<f32>
    limosa.yield %c : tensor<f32>
  } {dims = array<i64: 2>, operandSegmentSizes = array<i32: 1, 1>} : (tensor<4x9x9xf32>, tensor<f32>) -> tensor<4x9xf32>
  %mr = limosa.broadcast %m {dims = array<i64: 0, 1>} : (tensor<4x9xf32>) -> tensor<4x9x9xf32>
  %n = limosa.neg %mr : (tensor<4x9x9xf32>) -> tensor<4x9x9xf32>
  %d = limosa.add %x, %n : (tensor<4x9x9xf32>, tensor<4x9x9xf32>) -> tensor<4x9x9xf32>
  %e = limosa.exp %d : (tensor<4x9x9xf32>) -> tensor<4x9x9xf32>
  %l = limosa.reduce %e, %zero {
  ^bb0(%a: tensor<f32>, %b: tensor<f32>):
    %c = limosa.add %a, %b : (tensor<f32>, tensor<f32>) -> tensor<f32>
    limosa.yield %c : tensor<f32>
  } {dims = array<i64: 2>, operandSegmentSizes = array<i32: 1, 1>} : (tensor<4x9x9xf32>, tensor<f32>) -> tensor<4x9xf32>
  %lr = limosa.broadcast %l {dims = array<i64: 0, 1>} : (tensor<4x9xf32>) -> tensor<4x9x9xf32>
  %p = limosa.div %e, %lr : (tensor<4x9x9xf32>, tensor<4x9x9xf32>) -> tensor<4x9x9xf32>
  %o = limosa.contract %p, %v {lhs_batch = array<i64: 0>, rhs_batch = array<i64: 0>, lhs_contract = array<i64: 2>, rhs_contract = array<i64: 1>} : (tensor<4x9x9xf32>, tensor<4x9x16xf32>) -> tensor<4x9x16xf32>
  return %o, %p : tensor<4x9x16xf32>, tensor<4x9x9xf32>
}
}
