// RUN: limosa-opt --limosa-lower-strings %s | FileCheck %s

// CHECK: module attributes {limosa.string_table = ["", "yes", "no", "maybe"]}
// CHECK: func.func @main(%[[X:[a-z0-9]*]]: tensor<?xi64, #limosa.enc<["N"]>> {limosa.strings})
// CHECK-SAME: -> (tensor<?xi64, #limosa.enc<["N"]>>, tensor<?xi64, #limosa.enc<["N"]>> {limosa.strings})
// CHECK: limosa.compare %[[X]], {{.*}}{direction = #limosa.compare<eq>} : (tensor<?xi64
// CHECK: %[[LAST:.*]] = limosa.min %[[X]]
// CHECK: limosa.gather {{.*}} : (tensor<4xi64>, tensor<?x1xi64
func.func @main(%x: tensor<?x!limosa.string, #limosa.enc<["N"]>>)
    -> (tensor<?xi64, #limosa.enc<["N"]>>, tensor<?x!limosa.string, #limosa.enc<["N"]>>)
    attributes {limosa.entry} {
  %maybe = limosa.constant dense<"maybe"> : tensor<!limosa.string>
  %all = "limosa.broadcast"(%maybe) {dims = array<i64>} : (tensor<!limosa.string>) -> tensor<?x!limosa.string, #limosa.enc<["N"]>>
  %same = "limosa.compare"(%x, %all) {direction = #limosa.compare<eq>} : (tensor<?x!limosa.string, #limosa.enc<["N"]>>, tensor<?x!limosa.string, #limosa.enc<["N"]>>) -> tensor<?xi1, #limosa.enc<["N"]>>
  %y = "limosa.select"(%same, %x, %all) : (tensor<?xi1, #limosa.enc<["N"]>>, tensor<?x!limosa.string, #limosa.enc<["N"]>>, tensor<?x!limosa.string, #limosa.enc<["N"]>>) -> tensor<?x!limosa.string, #limosa.enc<["N"]>>
  %at = "limosa.string_index"(%x) {strings = ["yes", "no", "yes"]} : (tensor<?x!limosa.string, #limosa.enc<["N"]>>) -> tensor<?xi64, #limosa.enc<["N"]>>
  return %at, %y : tensor<?xi64, #limosa.enc<["N"]>>, tensor<?x!limosa.string, #limosa.enc<["N"]>>
}
