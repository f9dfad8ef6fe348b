// An error names the op and where it came from.
// RUN: not limosa-ref --print %s 2>&1 | FileCheck %s

// CHECK: limosa-ref: {{.*}}errors.mlir: op 'assert' at the check: sizes must agree
func.func @main() {
  %flag = limosa.constant dense<[true, false]> : tensor<2xi1>
  limosa.assert %flag {message = "sizes must agree"} : (tensor<2xi1>) -> () loc("the check")
  return
}
