//===- ProgramView.h - What a compiled program is made of -------*- C++ -*-===//

#ifndef LIMOSA_TOOLS_PROGRAMVIEW_H
#define LIMOSA_TOOLS_PROGRAMVIEW_H

#include "Machine.h"
#include "Session.h"
#include "limosa/Runtime/Profile.h"

namespace limosa::tool {

/// What a kernel could have done otherwise (fb::Choice).
struct ChoiceSummary {
  std::string Name, Value, Estimate;
};

/// A kernel or host operator and, if a profile was taken, what its launches
/// cost in one run.
struct KernelSummary {
  std::string Name, Template, Device;
  std::string Ops;   ///< "contract, add x2, max"
  std::string Nodes; ///< The model's nodes it came from.
  std::vector<std::string> Remarks;
  std::vector<ChoiceSummary> Choices;
  /// Null: choices are by estimates.
  std::optional<fb::MeasurementT> Measured;
  double Launches = 0, Seconds = 0;
  double Flops = -1, Bytes = -1; ///< Of one run; -1: unknown.

  /// Part of what the machine could reach on this kernel; -1: unknown.
  double ofRoof(const MachineLimits &Limits) const;
  /// "compute" or "memory": what binds it on this machine; "" if unknown.
  const char *bound(const MachineLimits &Limits) const;
};

/// All kernels that an entry launches, in program order of the first launch,
/// and its calls of host operators.
/// `Recorded` may be null; it holds `Runs` runs.
std::vector<KernelSummary> summariseKernels(const fb::Program &P,
                                            const fb::Entry &E,
                                            const runtime::Profile *Recorded,
                                            unsigned Runs);

/// Ops of a kernel's graph, counted: "contract, add x2".
std::string opsOf(const fb::Kernel &K);
/// The model's nodes of a kernel, at most `Limit` of them spelt out.
std::string nodesOf(const fb::Kernel &K, size_t Limit = 3);

/// The moment at which an entry's temporary buffers take most.
struct MemoryPeak {
  uint64_t Bytes = 0;
  std::string During; ///< The step: a kernel's name or "copy", "while" ...
  struct Holder {
    std::string Name, Type;
    uint64_t Bytes;
  };
  std::vector<Holder> Holders; ///< Largest first.
};

/// Walks the entry with lifetimes from first to last mention; what a loop
/// mentions lives through all of it. Buffers of unknown size count as empty.
MemoryPeak findPeak(const fb::Program &P, const fb::Entry &E,
                    const SymbolValues &Symbols);

} // namespace limosa::tool

#endif // LIMOSA_TOOLS_PROGRAMVIEW_H
