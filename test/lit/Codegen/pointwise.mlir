// REQUIRES: limosa
// RUN: limosa compile %s --isa avx512 --emit mlir-loops -o - 2>/dev/null | FileCheck %s
// RUN: limosa compile %s --isa avx2 --emit mlir-loops -o - 2>/dev/null | FileCheck %s --check-prefix=AVX2

// A chain of element-wise ops is one loop nest that reads each input once: rows
// over the tile, full vectors along the dimension that lies dense. The size 64 is
// known, so there is no tail; the row count is the kernel's scalar.

// CHECK: llvm.func @k0_max(
// CHECK: scf.for
// CHECK-NEXT: arith.muli
// CHECK: scf.for
// CHECK: scf.for %[[J:.*]] = %{{.*}} to %c64{{[_0-9]*}} step %c16
// CHECK-DAG: vector.load %{{.*}}[%[[J]]] : memref<?xf32>, vector<16xf32>
// CHECK-DAG: vector.load %{{.*}}[%{{.*}}] : memref<?xf32>, vector<16xf32>
// CHECK: arith.addf {{.*}} : vector<16xf32>
// CHECK-NEXT: math.exp {{.*}} : vector<16xf32>
// CHECK-NOT: vector.load
// CHECK: vector.store {{.*}} : memref<?xf32>, vector<16xf32>
// CHECK-NOT: scf.for
// CHECK-NOT: maskedload
// CHECK: llvm.return

// AVX2: step %c8
// AVX2: math.exp {{.*}} : vector<8xf32>

module attributes {limosa.symbols = {N = #limosa.symbol}} {
func.func @main(%x: tensor<?x64xf32, #limosa.enc<["N"]>> {limosa.name = "x"}, %b: tensor<64xf32> {limosa.name = "b"}) -> (tensor<?x64xf32, #limosa.enc<["N"]>> {limosa.name = "y"}) attributes {limosa.entry} {
  %zero = limosa.constant dense<0.0> : tensor<f32>
  %bb = limosa.broadcast %b {dims = array<i64: 1>} : (tensor<64xf32>) -> tensor<?x64xf32, #limosa.enc<["N"]>>
  %z = limosa.broadcast %zero {dims = array<i64>} : (tensor<f32>) -> tensor<?x64xf32, #limosa.enc<["N"]>>
  %a = limosa.add %x, %bb : (tensor<?x64xf32, #limosa.enc<["N"]>>, tensor<?x64xf32, #limosa.enc<["N"]>>) -> tensor<?x64xf32, #limosa.enc<["N"]>>
  %e = limosa.exp %a : (tensor<?x64xf32, #limosa.enc<["N"]>>) -> tensor<?x64xf32, #limosa.enc<["N"]>>
  %r = limosa.max %e, %z : (tensor<?x64xf32, #limosa.enc<["N"]>>, tensor<?x64xf32, #limosa.enc<["N"]>>) -> tensor<?x64xf32, #limosa.enc<["N"]>>
  return %r : tensor<?x64xf32, #limosa.enc<["N"]>>
}
}
