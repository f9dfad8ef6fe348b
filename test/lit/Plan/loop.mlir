// REQUIRES: limosa
// RUN: limosa inspect --program --no-cache %s | FileCheck %s

// Loop-carried tensors are copied once, into the loop. After that each turn
// writes where the one before read, here straight in the memory of the results.

// CHECK: entry main(x: f32[64], n: i64[]) -> (y: f32[64], left: i64[])
// CHECK: %[[X:[0-9]+]] = input f32[64] x
// CHECK: %[[BEFORE:[0-9]+]] = output f32[64] y
// CHECK: %[[AFTER:[0-9]+]] = output f32[64] y
// CHECK-NOT: temp f32
// CHECK: %[[BEFORE]] = copy %[[X]]
// CHECK: before {
// CHECK: launch k{{.*}}compare
// CHECK: } while %{{[0-9]+}} {
// CHECK-NOT: copy
// CHECK: launch k{{.*}}tanh(%[[BEFORE]],
// CHECK-NOT: copy

!X = tensor<64xf32>
func.func @main(%x: !X {limosa.name = "x"}, %n: tensor<i64> {limosa.name = "n"}) -> (!X {limosa.name = "y"}, tensor<i64> {limosa.name = "left"}) attributes {limosa.entry} {
  %y, %left = limosa.while %x, %n {
  ^bb0(%v: !X, %i: tensor<i64>):
    %z = limosa.constant dense<0> : tensor<i64>
    %more = limosa.compare %i, %z {direction = #limosa.compare<gt>} : (tensor<i64>, tensor<i64>) -> tensor<i1>
    limosa.yield %more : tensor<i1>
  } do {
  ^bb0(%v: !X, %i: tensor<i64>):
    %m1 = limosa.constant dense<-1> : tensor<i64>
    %next = limosa.add %i, %m1 : (tensor<i64>, tensor<i64>) -> tensor<i64>
    %e = limosa.tanh %v : (!X) -> !X
    limosa.yield %e, %next : !X, tensor<i64>
  } : (!X, tensor<i64>) -> (!X, tensor<i64>)
  return %y, %left : !X, tensor<i64>
}
