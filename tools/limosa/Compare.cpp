//===- Compare.cpp - How far two results are apart ------------------------===//

#include "Compare.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

using namespace limosa;
using namespace limosa::tool;

/// Two roundings of the narrow types, whose results cannot be closer.
static double roundingOf(DType Type) {
  switch (Type) {
  case DType::F16:
    return 0x1p-10;
  case DType::BF16:
    return 0x1p-7;
  default:
    return dtypeBits(Type) <= 8 ? 0x1p-2 : 0;
  }
}

Difference tool::compare(const HostTensor &Got, const HostTensor &Expected,
                         const Tolerance &Allowed) {
  Difference D;
  if (Got.type() != Expected.type() || Got.dims() != Expected.dims()) {
    D.Agrees = false;
    D.Largest = INFINITY;
    D.Why = fmt::format("{} instead of {}", describe(Got.type(), Got.dims()),
                        describe(Expected.type(), Expected.dims()));
    return D;
  }
  if (Got.type() == DType::String) {
    for (int64_t I = 0, E = Got.elements(); D.Agrees && I < E; ++I)
      if (Got.text(I) != Expected.text(I)) {
        D.Agrees = false;
        D.Largest = INFINITY;
        D.Where = I;
        D.Why = fmt::format("element {} is '{}' instead of '{}'", I,
                            Got.text(I), Expected.text(I));
      }
    return D;
  }
  const bool Exact = !isFloat(Got.type());
  for (int64_t I = 0, E = Got.elements(); I < E; ++I) {
    double A = Got.at(I), B = Expected.at(I);
    if (std::isfinite(B))
      D.Scale = std::max(D.Scale, std::fabs(B));
    if (A == B || (std::isnan(A) && std::isnan(B)))
      continue;
    double Apart = std::fabs(A - B);
    if (!(Apart <= D.Largest)) { // also where it is NaN
      D.Largest = std::isnan(Apart) ? INFINITY : Apart;
      D.Where = I;
    }
  }
  D.Agrees =
      Exact ? D.Largest == 0
            : D.Largest <=
                  std::max(Allowed.Relative, roundingOf(Got.type())) * D.Scale;
  if (!D.Agrees)
    D.Why = fmt::format("element {} is {:.6g} instead of {:.6g} "
                        "(off by {:.2g} of the largest value)",
                        D.Where, Got.at(D.Where), Expected.at(D.Where),
                        D.relative());
  return D;
}
