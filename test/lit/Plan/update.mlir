// REQUIRES: limosa
// RUN: limosa inspect --program --no-cache %s | FileCheck %s

// A product stores its rows into a sequence. The loop's sequence is updated
// where it is; nothing but the state is copied from round to round.

// CHECK-LABEL: entry main
// CHECK: } while %{{[0-9]+}} {
// CHECK-NOT: copy
// CHECK: launch k{{.*}}contract
// CHECK-NOT: = copy {{.*}}9, 1, 16
// CHECK: }

!h = tensor<1x16xf32>
!s = tensor<9x1x16xf32>
func.func @main(%x: !h {limosa.name = "x"}, %w: tensor<16x16xf32> {limosa.name = "w"}, %n: tensor<i64> {limosa.name = "n"}) -> (!s {limosa.name = "y"}) attributes {limosa.entry} {
  %f = limosa.constant dense<0.0> : tensor<f32>
  %s = limosa.broadcast %f {dims = array<i64>} : (tensor<f32>) -> !s
  %left, %last, %y = limosa.while %n, %x, %s {
  ^bb0(%i: tensor<i64>, %h: !h, %v: !s):
    %z = limosa.constant dense<0> : tensor<i64>
    %more = limosa.compare %i, %z {direction = #limosa.compare<gt>} : (tensor<i64>, tensor<i64>) -> tensor<i1>
    limosa.yield %more : tensor<i1>
  } do {
  ^bb0(%i: tensor<i64>, %h: !h, %v: !s):
    %m1 = limosa.constant dense<-1> : tensor<i64>
    %next = limosa.add %i, %m1 : (tensor<i64>, tensor<i64>) -> tensor<i64>
    %p = limosa.contract %h, %w {lhs_batch = array<i64>, rhs_batch = array<i64>, lhs_contract = array<i64: 1>, rhs_contract = array<i64: 1>} : (!h, tensor<16x16xf32>) -> !h
    %e = limosa.tanh %p : (!h) -> !h
    %r = limosa.reshape %e : (!h) -> tensor<1x1x16xf32>
    %zero = limosa.constant dense<0> : tensor<2xi64>
    %one = limosa.reshape %i : (tensor<i64>) -> tensor<1xi64>
    %at = limosa.concat %one, %zero {dim = 0 : i64} : (tensor<1xi64>, tensor<2xi64>) -> tensor<3xi64>
    %u = limosa.update_slice %v, %r, %at : (!s, tensor<1x1x16xf32>, tensor<3xi64>) -> !s
    limosa.yield %next, %e, %u : tensor<i64>, !h, !s
  } : (tensor<i64>, !h, !s) -> (tensor<i64>, !h, !s)
  return %y : !s
}
