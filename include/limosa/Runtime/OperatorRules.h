//===- OperatorRules.h - What operators are held to -------------*- C++ -*-===//
//
// The rules of limosa/operator.h that the runtime, for kernels, and the
// compiler, for shape functions and bodies, have to apply alike.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_RUNTIME_OPERATORRULES_H
#define LIMOSA_RUNTIME_OPERATORRULES_H

#include "limosa/operator.h"

#include <functional>
#include <string>

namespace limosa::runtime {

/// What the functions of an operator have said by set_error. Whatever they
/// return, the call has failed then; the first message counts.
class OperatorError {
public:
  /// Keeps the first line.
  void say(const char *Message);
  explicit operator bool() const { return Said; }
  /// Why a call that returned `Code` has failed; `Who` begins the sentence if
  /// it has not said so.
  std::string text(int32_t Code, const char *Who = "") const;

private:
  bool Said = false;
  std::string Text;
};

/// Why an operator of this arity (may be null) cannot have these numbers of
/// inputs and outputs; "" if it can. `IsGiven` tells of each input.
std::string arityProblem(const limosa_operator_arity *Arity, uint32_t Inputs,
                         uint32_t Outputs,
                         const std::function<bool(uint32_t)> &IsGiven);

} // namespace limosa::runtime

#endif // LIMOSA_RUNTIME_OPERATORRULES_H
