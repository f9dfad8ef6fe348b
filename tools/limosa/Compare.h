//===- Compare.h - How far two results are apart ----------------*- C++ -*-===//

#ifndef LIMOSA_TOOLS_COMPARE_H
#define LIMOSA_TOOLS_COMPARE_H

#include "HostTensor.h"

namespace limosa::tool {

/// How results may differ: by `Relative` of the largest value expected.
/// Integers and booleans have to be equal.
struct Tolerance {
  double Relative = 1e-4;
};

struct Difference {
  double Largest = 0; ///< Of |got - expected|; infinite if shapes differ.
  double Scale = 0;   ///< Of |expected|.
  int64_t Where = -1; ///< Element with the largest difference.
  bool Agrees = true;
  std::string Why; ///< One line if they do not agree.

  double relative() const { return Scale > 0 ? Largest / Scale : Largest; }
};

/// Compares element by element. NaN agrees with NaN and an infinity with
/// itself.
Difference compare(const HostTensor &Got, const HostTensor &Expected,
                   const Tolerance &Allowed = {});

} // namespace limosa::tool

#endif // LIMOSA_TOOLS_COMPARE_H
