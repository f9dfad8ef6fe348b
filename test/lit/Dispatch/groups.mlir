// REQUIRES: limosa-opt
// RUN: limosa-opt --limosa-form-kernels --split-input-file %s | FileCheck %s

// A value that two kernels need is stored once if it is dear to compute, and
// computed in both if it is cheap.

!t = tensor<8x16xf32>
// CHECK-LABEL: func.func @dear
// CHECK: %[[E:.*]] = limosa.launch %{{.*}} {kernel = @k{{[0-9]+}}_exp}
// CHECK-DAG: limosa.launch %[[E]]{{.*}} {kernel = @k{{[0-9]+}}_contract}
// CHECK-DAG: limosa.launch %[[E]]{{.*}} {kernel = @k{{[0-9]+}}_contract}
func.func @dear(%x: !t, %w: tensor<16x4xf32>, %v: tensor<16x2xf32>)
    -> (tensor<8x4xf32>, tensor<8x2xf32>) attributes {limosa.entry} {
  %e = limosa.exp %x : (!t) -> !t
  %a = limosa.contract %e, %w {lhs_batch = array<i64>, rhs_batch = array<i64>, lhs_contract = array<i64: 1>, rhs_contract = array<i64: 0>} : (!t, tensor<16x4xf32>) -> tensor<8x4xf32>
  %b = limosa.contract %e, %v {lhs_batch = array<i64>, rhs_batch = array<i64>, lhs_contract = array<i64: 1>, rhs_contract = array<i64: 0>} : (!t, tensor<16x2xf32>) -> tensor<8x2xf32>
  return %a, %b : tensor<8x4xf32>, tensor<8x2xf32>
}

// -----

// The residual joins the product that runs last; its other input is an argument
// of that kernel, and no cycle arises.

!t = tensor<8x8xf32>
// CHECK-LABEL: func.func @residual
// CHECK: %[[A:.*]] = limosa.launch %arg0, %arg1 {kernel = @[[K0:.*]]}
// CHECK-NEXT: %[[B:.*]] = limosa.launch %[[A]], %arg2 {kernel = @[[K1:.*]]}
// CHECK-NEXT: return %[[B]]
// CHECK: func.func private @[[K0]]
// CHECK: limosa.max
// CHECK: func.func private @[[K1]]
// CHECK: limosa.contract
// CHECK-NEXT: limosa.add
func.func @residual(%x: !t, %w: !t, %v: !t) -> !t attributes {limosa.entry} {
  %z = limosa.constant dense<0.0> : !t
  %a = limosa.contract %x, %w {lhs_batch = array<i64>, rhs_batch = array<i64>, lhs_contract = array<i64: 1>, rhs_contract = array<i64: 0>} : (!t, !t) -> !t
  %r = limosa.max %a, %z : (!t, !t) -> !t
  %b = limosa.contract %r, %v {lhs_batch = array<i64>, rhs_batch = array<i64>, lhs_contract = array<i64: 1>, rhs_contract = array<i64: 0>} : (!t, !t) -> !t
  %s = limosa.add %b, %r : (!t, !t) -> !t
  return %s : !t
}

// -----

// Equal kernels are one; a reshape between kernels is a view.

!t = tensor<4x6xf32>
!f = tensor<24xf32>
// CHECK-LABEL: func.func @views
// CHECK: %[[A:.*]] = limosa.launch %arg0 {kernel = @[[K:.*]]}
// CHECK: %[[V:.*]] = limosa.reshape %[[A]]
// CHECK: %[[S:.*]]:2 = limosa.launch
// CHECK-SAME: _sort
// CHECK-COUNT-2: func.func private
// CHECK-NOT: func.func private
func.func @views(%x: !t, %i: tensor<24xi64>, %y: !t)
    -> (!f, tensor<24xi64>, !t) attributes {limosa.entry} {
  %e = limosa.exp %x : (!t) -> !t
  %r = limosa.reshape %e : (!t) -> !f
  %s:2 = limosa.sort %r, %i {
  ^bb0(%a: tensor<f32>, %b: tensor<f32>, %c: tensor<i64>, %d: tensor<i64>):
    %l = limosa.compare %a, %b {direction = #limosa.compare<lt>} : (tensor<f32>, tensor<f32>) -> tensor<i1>
    limosa.yield %l : tensor<i1>
  } {dim = 0 : i64} : (!f, tensor<24xi64>) -> (!f, tensor<24xi64>)
  %g = limosa.exp %y : (!t) -> !t
  return %s#0, %s#1, %g : !f, tensor<24xi64>, !t
}

// -----

// The gates of a cell meet on the product's tile, and what comes of them goes
// into the sequence.

!g = tensor<1x32xf32>
!h = tensor<1x16xf32>
!s = tensor<9x1x16xf32>
// CHECK-LABEL: func.func @gates
// CHECK: %[[L:.*]]:2 = limosa.launch
// CHECK-NOT: launch
// CHECK: return %[[L]]#0, %[[L]]#1
func.func @gates(%x: tensor<1x8xf32>, %s: !s, %t: tensor<i64>)
    -> (!h, !s) attributes {limosa.entry} {
  %w = limosa.constant dense_resource<w> : tensor<32x8xf32>
  %z = limosa.contract %x, %w {lhs_batch = array<i64>, rhs_batch = array<i64>, lhs_contract = array<i64: 1>, rhs_contract = array<i64: 1>} : (tensor<1x8xf32>, tensor<32x8xf32>) -> !g
  %a = limosa.slice %z {starts = ["0", "0"], steps = array<i64: 1, 1>} : (!g) -> !h
  %b = limosa.slice %z {starts = ["0", "16"], steps = array<i64: 1, 1>} : (!g) -> !h
  %e = limosa.tanh %b : (!h) -> !h
  %m = limosa.mul %a, %e : (!h, !h) -> !h
  %r = limosa.reshape %m : (!h) -> tensor<1x1x16xf32>
  %zero = limosa.constant dense<0> : tensor<2xi64>
  %one = limosa.reshape %t : (tensor<i64>) -> tensor<1xi64>
  %at = limosa.concat %one, %zero {dim = 0 : i64} : (tensor<1xi64>, tensor<2xi64>) -> tensor<3xi64>
  %u = limosa.update_slice %s, %r, %at : (!s, tensor<1x1x16xf32>, tensor<3xi64>) -> !s
  return %m, %u : !h, !s
}

{-#
  dialect_resources: {
    builtin: {
      w: "0x04000000"
    }
  }
#-}
