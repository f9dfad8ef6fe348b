//===- Tuner.h - Choices by the clock ---------------------------*- C++ -*-===//
//
// Templates name what they could have done otherwise (limosa/Codegen/Choices.h)
// and take what they estimate to be best. The tuner compiles the other ways of
// a kernel, times them in turns with the estimate's, and says which to ask for.
// It changes one choice at a time, goes on from the best, and takes nothing
// that is not clearly faster.
//
// What was measured is kept in the folder of the compile cache, a note for each
// kernel and what its time depends on.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_TUNING_TUNER_H
#define LIMOSA_TUNING_TUNER_H

#include "limosa/Codegen/Codegen.h"
#include "limosa/Runtime/Cache.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringMap.h"

namespace limosa::tuning {

/// Values of symbols in kernels' shapes.
using Sizes = std::map<std::string, int64_t>;

/// Runs variants of one kernel and says how long they take.
class Stopwatch {
public:
  virtual ~Stopwatch() = default;

  /// What times are good for: the processor and the number of threads.
  virtual std::string machine() const = 0;
  /// Makes variants ready, forgetting those before. `Kernel` is the function
  /// they are all made from. False if there is nothing to run.
  virtual llvm::Expected<bool>
  load(mlir::func::FuncOp Kernel,
       llvm::ArrayRef<codegen::CompiledKernel> Variants,
       llvm::ArrayRef<uint8_t> Image, const Sizes &Symbols) = 0;
  /// Seconds of a launch of a variant: the median of a few, one after the
  /// other.
  virtual llvm::Expected<double> time(unsigned Variant) = 0;
};

/// A stopwatch that launches kernels of an ISA on this machine's CPU device
/// with `Threads` workers. Weights are read from a ring of `WeightBytes`, those
/// of the whole model, so that they come from as far away as they will.
/// Fails if the machine does not have the ISA.
llvm::Expected<std::unique_ptr<Stopwatch>>
makeStopwatch(unsigned Threads, llvm::StringRef Isa, uint64_t WeightBytes);

/// How ways compare.
struct Contest {
  unsigned Winner = 0;
  double Seconds = 0;      ///< the winner's median
  double FirstSeconds = 0; ///< the first way's
};

/// Times ways in turns, round by round, in alternating order. The first wins
/// unless another takes less than 97 % of its time in three rounds of four;
/// what is far slower in the first rounds is not timed again.
llvm::Expected<Contest>
compareWays(unsigned Count,
            llvm::function_ref<llvm::Expected<double>(unsigned)> Time);

/// What the tuner says of a kernel.
struct Verdict {
  enum Kind : uint8_t {
    OneWay,   ///< there is nothing to choose
    OpenSize, ///< a size is not known
    Failed,   ///< the other ways do not compile or run
    Known,    ///< measured before
    Measured
  };
  Kind What = OneWay;
  codegen::AskedWays Ways; ///< to ask for; empty: the estimate is as good
  std::optional<codegen::MeasuredChoice> Times;
  std::string Why; ///< OpenSize: the symbol. Failed: the message
};

struct TunerOptions {
  codegen::TargetOptions Target;
  Sizes Symbols;
  /// Where measurements are kept; null: nowhere.
  const runtime::Cache *Notes = nullptr;
  /// Stands for the compiler in the notes' keys.
  std::string Compiler;
  /// Measure also what is known.
  bool Again = false;
};

/// Kernels of one target. Not thread safe.
class Tuner {
public:
  Tuner(Stopwatch &Watch, TunerOptions Options)
      : Watch(Watch), Options(std::move(Options)) {}

  /// Identical kernels are measured once.
  Verdict tune(mlir::func::FuncOp Kernel);

private:
  struct Variants;

  std::optional<std::string> openSymbol(mlir::func::FuncOp Kernel) const;
  std::string noteName(llvm::StringRef Text) const;
  llvm::Expected<codegen::CompiledKernel>
  plan(mlir::func::FuncOp Kernel, const codegen::AskedWays &Ways) const;
  std::optional<Verdict> recall(mlir::func::FuncOp Kernel,
                                const std::string &Note) const;
  llvm::Expected<bool> load(mlir::func::FuncOp Kernel, Variants &V);
  llvm::Expected<Verdict> measure(mlir::func::FuncOp Kernel,
                                  llvm::ArrayRef<codegen::Choice> Choices);

  Stopwatch &Watch;
  TunerOptions Options;
  llvm::StringMap<Verdict> Done; ///< by the kernel's text
};

} // namespace limosa::tuning

#endif // LIMOSA_TUNING_TUNER_H
