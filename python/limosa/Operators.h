//===- Operators.h - Operators that are written in Python -------*- C++ -*-===//

#ifndef LIMOSA_PYTHON_OPERATORS_H
#define LIMOSA_PYTHON_OPERATORS_H

#include "limosa/limosa.h"

#include <nanobind/nanobind.h>
#include <string>

namespace limosa::python {

/// An operator as limosa/operators.py describes it: functions over plain lists,
/// tuples and arrays.
struct PythonOperator {
  std::string Domain, Name, Revision;
  int64_t SinceVersion = 1;
  uint32_t Flags = 0, BodyOpset = 0;
  nanobind::object Kernel, Shape, Body; ///< None: there is none.
  limosa_operator_arity Arity = {};
};

/// Registers operators (a list of Operator objects) in a context.
void registerOperators(limosa_context *Context, nanobind::list Operators);

void bindOperators(nanobind::module_ &M);

} // namespace limosa::python

#endif // LIMOSA_PYTHON_OPERATORS_H
