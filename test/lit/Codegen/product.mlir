// REQUIRES: limosa
// RUN: limosa compile %s --isa avx512 --emit mlir-loops -o - 2>/dev/null | FileCheck %s --check-prefix=AVX512
// RUN: limosa compile %s --isa avx2 --emit mlir-loops -o - 2>/dev/null | FileCheck %s --check-prefix=AVX2

// A product with an unknown number of rows: the main loop holds a whole register
// tile of accumulators (14x2 vectors of 32 registers, 6x2 of 16) as loop-carried
// values, and smaller tiles for the rows that are left are guarded.

// AVX512: llvm.func @k0_contract(
// AVX512: scf.for
// AVX512: %{{.*}}:28 = scf.for
// AVX512-COUNT-112: vector.fma {{.*}} : vector<16xf32>
// AVX512-NOT: vector.fma
// AVX512: scf.if
// AVX512: %{{.*}}:16 = scf.for
// AVX512: llvm.return

// AVX2: llvm.func @k0_contract(
// AVX2: scf.for
// AVX2: %{{.*}}:12 = scf.for
// AVX2-COUNT-48: vector.fma {{.*}} : vector<8xf32>
// AVX2-NOT: vector.fma
// AVX2: scf.if
// AVX2: llvm.return

module attributes {limosa.symbols = {N = #limosa.symbol}} {
func.func @main(%x: tensor<?x64xf32, #limosa.enc<["N"]>> {limosa.name = "x"}, %w: tensor<64x32xf32> {limosa.name = "w"}) -> (tensor<?x32xf32, #limosa.enc<["N"]>> {limosa.name = "y"}) attributes {limosa.entry} {
  %h = limosa.contract %x, %w {lhs_batch = array<i64>, rhs_batch = array<i64>, lhs_contract = array<i64: 1>, rhs_contract = array<i64: 0>} : (tensor<?x64xf32, #limosa.enc<["N"]>>, tensor<64x32xf32>) -> tensor<?x32xf32, #limosa.enc<["N"]>>
  return %h : tensor<?x32xf32, #limosa.enc<["N"]>>
}
}
