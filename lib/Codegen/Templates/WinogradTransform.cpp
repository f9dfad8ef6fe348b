//===- WinogradTransform.cpp - B^T d B and A^T m A on vectors -------------===//

#include "WinogradTransform.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace limosa::codegen {

using W = Winograd;

WinogradTransform::WinogradTransform(KernelBuilder &KB, unsigned Lanes)
    : KB(KB), Ty(VectorType::get({int64_t(Lanes)}, KB.builder().getF32Type())) {
}

Value WinogradTransform::constant(double V) {
  return KB.splat(KB.builder().getF32FloatAttr(float(V)), Ty);
}
Value WinogradTransform::add(Value L, Value R) {
  return arith::AddFOp::create(KB.builder(), KB.loc(), L, R);
}
Value WinogradTransform::subtract(Value L, Value R) {
  return arith::SubFOp::create(KB.builder(), KB.loc(), L, R);
}
Value WinogradTransform::multiplyAdd(double Factor, Value V, Value Sum) {
  return vector::FMAOp::create(KB.builder(), KB.loc(), constant(Factor), V,
                               Sum);
}

// Rows of B^T, with n and f for Near and Far, nf = 1:
//   1      0     -(nn + ff)  0        1  0
//   0  -+n ff    -ff        +-n       1  0
//   0  -+f nn    -nn        +-f       1  0
//   0      1      0      -(nn + ff)   0  1
WinogradTransform::Inputs WinogradTransform::input(const Inputs &D) {
  static_assert(W::NearSquare * W::FarSquare == 1);
  constexpr double Squares = W::NearSquare + W::FarSquare;
  Value EvenNear = multiplyAdd(-W::FarSquare, D[2], D[4]);
  Value OddNear = multiplyAdd(-W::FarSquare, D[1], D[3]);
  Value EvenFar = multiplyAdd(-W::NearSquare, D[2], D[4]);
  Value OddFar = multiplyAdd(-W::NearSquare, D[1], D[3]);
  return {multiplyAdd(-Squares, D[2], add(D[0], D[4])),
          multiplyAdd(W::Near, OddNear, EvenNear),
          multiplyAdd(-W::Near, OddNear, EvenNear),
          multiplyAdd(W::Far, OddFar, EvenFar),
          multiplyAdd(-W::Far, OddFar, EvenFar),
          multiplyAdd(-Squares, D[3], add(D[1], D[5]))};
}

// Row r of A^T: the r-th powers of 0, n, -n, f, -f; the last has 1 for
// infinity.
WinogradTransform::Outputs WinogradTransform::output(const Inputs &M) {
  Value SumNear = add(M[1], M[2]), SumFar = add(M[3], M[4]);
  Value DifferenceNear = subtract(M[1], M[2]),
        DifferenceFar = subtract(M[3], M[4]);
  auto scaled = [&](double Factor, Value V) -> Value {
    return arith::MulFOp::create(KB.builder(), KB.loc(), constant(Factor), V);
  };
  return {add(add(M[0], SumNear), SumFar),
          multiplyAdd(W::Near, DifferenceNear, scaled(W::Far, DifferenceFar)),
          multiplyAdd(W::NearSquare, SumNear, scaled(W::FarSquare, SumFar)),
          multiplyAdd(W::Near * W::NearSquare, DifferenceNear,
                      multiplyAdd(W::Far * W::FarSquare, DifferenceFar, M[5]))};
}

} // namespace limosa::codegen
