//===- KernelCheck.h - Kernels against the reference interpreter *- C++ -*-===//

#ifndef LIMOSA_TEST_UNIT_CODEGEN_KERNELCHECK_H
#define LIMOSA_TEST_UNIT_CODEGEN_KERNELCHECK_H

#include "limosa/Codegen/Codegen.h"
#include "gtest/gtest.h"
#include <map>
#include <string>
#include <vector>

namespace limosa::test {

struct KernelCheck {
  /// Values of the symbols in the kernel's shapes.
  std::map<std::string, int64_t> Symbols = {};
  /// Largest difference of floats, in units of max(1, |expected|).
  double Tolerance = 1e-5;
  /// Inputs are drawn from [-Range, Range] ([0, Range] for unsigned).
  double Range = 2.0;
  unsigned Seed = 1;
  unsigned Workers = 1; ///< the kernel is made for
  /// If not empty, the template that has to make it.
  std::string Template = {};
  /// The most remarks allowed.
  unsigned MaxRemarks = 0;
  /// For each output the input whose memory it takes over, or -1; none if
  /// shorter.
  std::vector<int> Donate = {};
  /// What the kernel is told to choose; every way has to be one of its own.
  codegen::AskedWays Ways = {};
  /// Empty: all that the machine has.
  std::vector<std::string> Isas = {};
};

/// Compiles the function @k of `Text` for every ISA of this machine, runs it on
/// random inputs (tiles out of order, buffers that end at unmapped pages) and
/// compares with the interpreter.
void checkKernel(const std::string &Text, const KernelCheck &Check = {});

/// Checks the kernel in each way that its templates name, for every ISA.
/// Returns what there was to choose.
std::vector<codegen::Choice> checkEveryWay(const std::string &Text,
                                           const KernelCheck &Check = {});

} // namespace limosa::test

#endif // LIMOSA_TEST_UNIT_CODEGEN_KERNELCHECK_H
