//===- KernelCheck.h - Kernels against the reference interpreter ----------===//
//
// Watches the launches of a run. The core ops that a kernel stands for are
// evaluated by the reference interpreter on the very bytes the kernel read, and
// the results compared with what it wrote: a wrong kernel is found where it is,
// whatever came before it.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_TOOLS_KERNELCHECK_H
#define LIMOSA_TOOLS_KERNELCHECK_H

#include "Compare.h"
#include "Session.h"
#include "limosa/Reference/Interpreter.h"

#include <set>

namespace limosa::tool {

/// A result of a launch that is not what the reference says.
struct WrongResult {
  uint32_t Launch;
  std::string Kernel, Template;
  std::string Ops, Nodes; ///< What the kernel stands for (ProgramView.h).
  unsigned OpCount;
  std::string Value; ///< The model's name of the result, or its number.
  std::string Op;    ///< The op that makes it, with its place in the model.
  Difference Apart;
};

/// Observes one session; must outlive the runs.
class KernelCheck {
public:
  KernelCheck(Session &Model, const Tolerance &Allowed, Progress &Bar)
      : Model(Model), Allowed(Allowed), Bar(Bar) {}

  Status observe(const runtime::LaunchView &Launch, bool After);

  const std::vector<WrongResult> &wrong() const { return Wrong; }
  unsigned checked() const { return Checked; }
  /// Why some launches could not be checked; each reason once.
  const std::set<std::string> &unchecked() const { return Unchecked; }
  double worst() const { return Worst; }
  /// Results beyond the tolerance by no more than rounding does there.
  unsigned rounding() const { return Rounding; }

private:
  /// Whether rounding explains a difference from the reference (see Widen.h).
  bool isRounding(const fb::Graph &Graph, uint32_t Result,
                  const HostTensor &Got, const HostTensor &Want);
  void compareResult(const runtime::LaunchView &Launch, uint32_t Argument,
                     uint32_t Result, const reference::Tensor &Expected);
  bool skip(const std::string &Why) {
    Unchecked.insert(Why);
    return false;
  }

  Session &Model;
  Tolerance Allowed;
  Progress &Bar;
  std::vector<reference::Tensor> Inputs; ///< Of the launch going on.
  bool Ready = false;
  std::vector<WrongResult> Wrong;
  std::set<std::string> Unchecked;
  unsigned Checked = 0, Rounding = 0;
  double Worst = 0;
};

} // namespace limosa::tool

#endif // LIMOSA_TOOLS_KERNELCHECK_H
