//===- Elementwise.cpp - Arithmetic on elements ---------------------------===//

#include "Elementwise.h"

#include "Floats.h"

#include <cmath>
#include <limits>
#include <type_traits>

using namespace limosa;
using namespace limosa::reference;

namespace {

//===----------------------------------------------------------------------===//
// Scalar meaning. C is the type computed in: float or double for floats, the
// integer itself otherwise.
//===----------------------------------------------------------------------===//

/// Integer arithmetic that wraps, without the overflow of signed types and of
/// 16-bit products promoted to int.
template <typename C>
using Wrap =
    std::conditional_t<sizeof(C) < 4, uint32_t, std::make_unsigned_t<C>>;

struct Add {
  template <typename C> static C apply(C A, C B) {
    if constexpr (std::is_integral_v<C>)
      return C(Wrap<C>(A) + Wrap<C>(B));
    else
      return A + B;
  }
};
struct Mul {
  template <typename C> static C apply(C A, C B) {
    if constexpr (std::is_integral_v<C>)
      return C(Wrap<C>(A) * Wrap<C>(B));
    else
      return A * B;
  }
};
struct Div {
  template <typename C> static C apply(C A, C B) {
    if constexpr (std::is_integral_v<C>) {
      if (B == 0)
        return 0;
      if (std::is_signed_v<C> && B == C(-1))
        return C(Wrap<C>(0) - Wrap<C>(A));
      return C(A / B);
    } else {
      return A / B;
    }
  }
};
struct Rem {
  template <typename C> static C apply(C A, C B) {
    if constexpr (std::is_integral_v<C>) {
      if (B == 0 || (std::is_signed_v<C> && B == C(-1)))
        return 0;
      return C(A % B);
    } else {
      return std::fmod(A, B);
    }
  }
};
struct Pow {
  template <typename C> static C apply(C A, C B) {
    if constexpr (std::is_integral_v<C>) {
      if (std::is_signed_v<C> && B < 0) {
        if (A == 1)
          return 1;
        if (A == C(-1))
          return (B & 1) ? C(-1) : C(1);
        return 0;
      }
      Wrap<C> Result = 1, Base = Wrap<C>(A);
      for (auto E = std::make_unsigned_t<C>(B); E; E >>= 1, Base *= Base)
        if (E & 1)
          Result *= Base;
      return C(Result);
    } else {
      return C(std::pow(double(A), double(B)));
    }
  }
};
struct Min {
  template <typename C> static C apply(C A, C B) {
    if constexpr (std::is_floating_point_v<C>)
      if (std::isnan(A) || std::isnan(B))
        return std::numeric_limits<C>::quiet_NaN();
    return B < A ? B : A;
  }
};
struct Max {
  template <typename C> static C apply(C A, C B) {
    if constexpr (std::is_floating_point_v<C>)
      if (std::isnan(A) || std::isnan(B))
        return std::numeric_limits<C>::quiet_NaN();
    return A < B ? B : A;
  }
};
struct And {
  template <typename C> static C apply(C A, C B) { return C(A & B); }
};
struct Or {
  template <typename C> static C apply(C A, C B) { return C(A | B); }
};
struct Xor {
  template <typename C> static C apply(C A, C B) { return C(A ^ B); }
};
template <typename C> bool shiftsOut(C By) {
  return By < 0 || uint64_t(By) >= 8 * sizeof(C);
}
struct Shl {
  template <typename C> static C apply(C A, C B) {
    return shiftsOut(B) ? C(0) : C(uint64_t(A) << B);
  }
};
struct Shr {
  template <typename C> static C apply(C A, C B) {
    return shiftsOut(B) ? C(A < 0 ? -1 : 0) : C(A >> B);
  }
};

struct Neg {
  template <typename C> static C apply(C A) {
    if constexpr (std::is_integral_v<C>)
      return C(Wrap<C>(0) - Wrap<C>(A));
    else
      return -A;
  }
};
struct Abs {
  template <typename C> static C apply(C A) {
    if constexpr (std::is_integral_v<C>)
      return A < 0 ? C(Wrap<C>(0) - Wrap<C>(A)) : A;
    else
      return std::fabs(A);
  }
};
struct Floor {
  template <typename C> static C apply(C A) { return std::floor(A); }
};
struct RoundEven {
  template <typename C> static C apply(C A) { return __builtin_roundeven(A); }
};
// Through double, so that results in the narrower dtypes are all but always the
// correctly rounded ones.
#define LIMOSA_MATH(NAME, FUNCTION)                                            \
  struct NAME {                                                                \
    template <typename C> static C apply(C A) {                                \
      return C(FUNCTION(double(A)));                                           \
    }                                                                          \
  };
LIMOSA_MATH(Exp, std::exp)
LIMOSA_MATH(Log, std::log)
LIMOSA_MATH(Sqrt, std::sqrt)
LIMOSA_MATH(Sin, std::sin)
LIMOSA_MATH(Cos, std::cos)
LIMOSA_MATH(Tanh, std::tanh)
LIMOSA_MATH(Erf, std::erf)
#undef LIMOSA_MATH

struct Eq {
  template <typename C> static bool apply(C A, C B) { return A == B; }
};
struct Ne {
  template <typename C> static bool apply(C A, C B) { return A != B; }
};
struct Lt {
  template <typename C> static bool apply(C A, C B) { return A < B; }
};
struct Le {
  template <typename C> static bool apply(C A, C B) { return A <= B; }
};
struct Gt {
  template <typename C> static bool apply(C A, C B) { return A > B; }
};
struct Ge {
  template <typename C> static bool apply(C A, C B) { return A >= B; }
};

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

template <typename F, typename T>
void unaryLoop(const void *const *Operands, void *Result, int64_t N) {
  const T *A = static_cast<const T *>(Operands[0]);
  T *R = static_cast<T *>(Result);
  for (int64_t I = 0; I < N; ++I)
    R[I] = T(F::apply(ComputeType<T>(A[I])));
}

template <typename F, typename T>
void binaryLoop(const void *const *Operands, void *Result, int64_t N) {
  const T *A = static_cast<const T *>(Operands[0]);
  const T *B = static_cast<const T *>(Operands[1]);
  T *R = static_cast<T *>(Result);
  for (int64_t I = 0; I < N; ++I)
    R[I] = T(F::apply(ComputeType<T>(A[I]), ComputeType<T>(B[I])));
}

template <typename F, typename T>
void compareLoop(const void *const *Operands, void *Result, int64_t N) {
  const T *A = static_cast<const T *>(Operands[0]);
  const T *B = static_cast<const T *>(Operands[1]);
  uint8_t *R = static_cast<uint8_t *>(Result);
  for (int64_t I = 0; I < N; ++I)
    R[I] = F::apply(ComputeType<T>(A[I]), ComputeType<T>(B[I]));
}

template <typename T>
void selectLoop(const void *const *Operands, void *Result, int64_t N) {
  const uint8_t *C = static_cast<const uint8_t *>(Operands[0]);
  const T *A = static_cast<const T *>(Operands[1]);
  const T *B = static_cast<const T *>(Operands[2]);
  T *R = static_cast<T *>(Result);
  for (int64_t I = 0; I < N; ++I)
    R[I] = C[I] ? A[I] : B[I];
}

template <typename F> ElementLoop numberUnary(DType T) {
  ElementLoop Loop = nullptr;
  dispatchNumber(
      T, [&](auto Tag) { Loop = unaryLoop<F, typename decltype(Tag)::Type>; });
  return Loop;
}

template <typename F> ElementLoop floatUnary(DType T) {
  ElementLoop Loop = nullptr;
  dispatchFloat(
      T, [&](auto Tag) { Loop = unaryLoop<F, typename decltype(Tag)::Type>; });
  return Loop;
}

template <typename F> ElementLoop numberBinary(DType T) {
  ElementLoop Loop = nullptr;
  dispatchNumber(
      T, [&](auto Tag) { Loop = binaryLoop<F, typename decltype(Tag)::Type>; });
  return Loop;
}

template <typename F> ElementLoop computeBinary(DType T) {
  return T == DType::Bool ? binaryLoop<F, uint8_t> : numberBinary<F>(T);
}

template <typename F> ElementLoop integerBinary(DType T) {
  ElementLoop Loop = nullptr;
  dispatchInteger(
      T, [&](auto Tag) { Loop = binaryLoop<F, typename decltype(Tag)::Type>; });
  return Loop;
}

template <typename F> ElementLoop bitsBinary(DType T) {
  return T == DType::Bool ? binaryLoop<F, uint8_t> : integerBinary<F>(T);
}

template <typename F> ElementLoop anyCompare(DType T) {
  if (T == DType::Bool)
    return compareLoop<F, uint8_t>;
  ElementLoop Loop = nullptr;
  dispatchNumber(T, [&](auto Tag) {
    Loop = compareLoop<F, typename decltype(Tag)::Type>;
  });
  return Loop;
}

struct Entry {
  std::string_view Name;
  ElementLoop (*Find)(DType);
};

constexpr Entry Unaries[] = {
    {"neg", numberUnary<Neg>},
    {"abs", numberUnary<Abs>},
    {"floor", floatUnary<Floor>},
    {"exp", floatUnary<Exp>},
    {"round_even", floatUnary<RoundEven>},
    {"log", floatUnary<Log>},
    {"sqrt", floatUnary<Sqrt>},
    {"sin", floatUnary<Sin>},
    {"cos", floatUnary<Cos>},
    {"tanh", floatUnary<Tanh>},
    {"erf", floatUnary<Erf>},
};

constexpr Entry Binaries[] = {
    {"add", numberBinary<Add>},  {"mul", numberBinary<Mul>},
    {"div", numberBinary<Div>},  {"rem", numberBinary<Rem>},
    {"pow", numberBinary<Pow>},  {"min", computeBinary<Min>},
    {"max", computeBinary<Max>}, {"and", bitsBinary<And>},
    {"or", bitsBinary<Or>},      {"xor", bitsBinary<Xor>},
    {"shl", integerBinary<Shl>}, {"shr", integerBinary<Shr>},
};

constexpr Entry Comparisons[] = {
    {"eq", anyCompare<Eq>}, {"ne", anyCompare<Ne>}, {"lt", anyCompare<Lt>},
    {"le", anyCompare<Le>}, {"gt", anyCompare<Gt>}, {"ge", anyCompare<Ge>},
};

template <size_t N>
ElementLoop find(const Entry (&Table)[N], std::string_view Name, DType T) {
  for (const Entry &E : Table)
    if (E.Name == Name)
      return E.Find(T);
  return nullptr;
}

} // namespace

ElementLoop limosa::reference::findUnary(std::string_view Op, DType T) {
  return find(Unaries, Op, T);
}
ElementLoop limosa::reference::findBinary(std::string_view Op, DType T) {
  return find(Binaries, Op, T);
}
ElementLoop limosa::reference::findCompare(std::string_view Direction,
                                           DType T) {
  return find(Comparisons, Direction, T);
}

ElementLoop limosa::reference::findSelect(DType T) {
  switch (dtypeBits(T)) {
  case 4:
  case 8:
    return selectLoop<uint8_t>;
  case 16:
    return selectLoop<uint16_t>;
  case 32:
    return selectLoop<uint32_t>;
  case 64:
    return selectLoop<uint64_t>;
  default:
    return nullptr;
  }
}
