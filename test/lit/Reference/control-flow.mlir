// Sizes that change while a program runs, interpreted.
// RUN: limosa-ref --print %s | FileCheck %s

module attributes {limosa.symbols = {L = #limosa.symbol<>, S = #limosa.symbol<>, K = #limosa.symbol<>}} {
func.func @main() -> (tensor<?xf32, #limosa.enc<["S"]>>, tensor<i64>, tensor<?xf32, #limosa.enc<["K"]>>) {
  %one = limosa.constant dense<[1.0, -1.0, 3.0]> : tensor<3xf32>
  %limit = limosa.constant dense<10> : tensor<i64>
  // Doubles the vector until it has ten elements or more.
  // CHECK: f32 12: 1.00 -1.00 3.00 1.00 -1.00 3.00 1.00 -1.00 3.00 1.00 -1.00 3.00
  %grown = limosa.while %one {
  ^bb0(%x: tensor<?xf32, #limosa.enc<["L"]>>):
    %size = limosa.dim {expr = "L"} : () -> tensor<i64>
    %more = limosa.compare %size, %limit {direction = #limosa.compare<lt>} : (tensor<i64>, tensor<i64>) -> tensor<i1>
    limosa.yield %more : tensor<i1>
  } do {
  ^bb0(%x: tensor<?xf32, #limosa.enc<["L"]>>):
    %y = limosa.concat %x, %x {dim = 0 : i64} : (tensor<?xf32, #limosa.enc<["L"]>>, tensor<?xf32, #limosa.enc<["L"]>>) -> tensor<?xf32, #limosa.enc<["2*L"]>>
    limosa.yield %y : tensor<?xf32, #limosa.enc<["2*L"]>>
  } : (tensor<3xf32>) -> tensor<?xf32, #limosa.enc<["S"]>>
  // The positive elements of it.
  // CHECK: i64: 8
  // CHECK: f32 8: 1.00 3.00 1.00 3.00 1.00 3.00 1.00 3.00
  %zero = limosa.constant dense<0.0> : tensor<f32>
  %zeros = limosa.broadcast %zero {dims = array<i64>} : (tensor<f32>) -> tensor<?xf32, #limosa.enc<["S"]>>
  %mask = limosa.compare %grown, %zeros {direction = #limosa.compare<gt>} : (tensor<?xf32, #limosa.enc<["S"]>>, tensor<?xf32, #limosa.enc<["S"]>>) -> tensor<?xi1, #limosa.enc<["S"]>>
  %at, %count = limosa.compact %mask {symbol = "K"} : (tensor<?xi1, #limosa.enc<["S"]>>) -> (tensor<?x1xi64, #limosa.enc<["K"]>>, tensor<i64>)
  %kept = limosa.gather %grown, %at {axes = array<i64: 0>, batch = 0 : i64} : (tensor<?xf32, #limosa.enc<["S"]>>, tensor<?x1xi64, #limosa.enc<["K"]>>) -> tensor<?xf32, #limosa.enc<["K"]>>
  return %grown, %count, %kept : tensor<?xf32, #limosa.enc<["S"]>>, tensor<i64>, tensor<?xf32, #limosa.enc<["K"]>>
}
}
