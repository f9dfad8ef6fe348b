// REQUIRES: limosa
// RUN: limosa inspect --program --no-cache %s | FileCheck %s

// A result that replaces an argument is computed in the argument's memory: no
// buffer of its own and no copy.

// CHECK: entry step(w: f32[64], g: f32[64]) -> (w_next: f32[64] in w)
// CHECK: %[[W:[0-9]+]] = input f32[64] w
// CHECK: %[[G:[0-9]+]] = input f32[64] g
// CHECK-NOT: temp
// CHECK: %[[OUT:[0-9]+]] = output f32[64] w_next
// CHECK-NEXT: launch k0_add(%[[G]], %[[W]], %[[OUT]])

func.func @step(%w: tensor<64xf32> {limosa.name = "w"}, %g: tensor<64xf32> {limosa.name = "g"}) -> (tensor<64xf32> {limosa.name = "w_next", limosa.alias = 0 : i64}) attributes {limosa.entry} {
  %rate = limosa.constant dense<-0.5> : tensor<f32>
  %r = limosa.broadcast %rate {dims = array<i64>} : (tensor<f32>) -> tensor<64xf32>
  %s = limosa.mul %g, %r : (tensor<64xf32>, tensor<64xf32>) -> tensor<64xf32>
  %n = limosa.add %w, %s : (tensor<64xf32>, tensor<64xf32>) -> tensor<64xf32>
  return %n : tensor<64xf32>
}
