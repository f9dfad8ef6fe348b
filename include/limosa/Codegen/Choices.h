//===- Choices.h - What a template can do in several ways -------*- C++ -*-===//
//
// Where a template's plan could be made in several ways that all give a right
// kernel (which tile, what is shared out, whether at all), it names them by
// `KernelAnalysis::choose`, its estimate first. Normally the estimate is taken.
// Who knows better, because the ways have been timed on a machine
// (limosa/Tuning), asks for others by name: the same call that lists the ways
// takes one, so that neither can be forgotten.
//
// Names and ways are short texts without spaces, commas or '=': they are kept
// in files and shown to people.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_CODEGEN_CHOICES_H
#define LIMOSA_CODEGEN_CHOICES_H

#include "limosa/Support/DimExpr.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include <cassert>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace limosa::codegen {

/// One thing that could have been done otherwise, and how it was done.
struct Choice {
  std::string Name; ///< "conv.lines"
  std::string Taken;
  std::vector<std::string> Ways; ///< at least two; the estimate's is the first

  const std::string &estimate() const { return Ways.front(); }
};

/// Ways asked for, by the names of the choices. What is not in it is left to
/// the estimate.
using AskedWays = std::map<std::string, std::string>;

/// "conv.lines=4,template=conv"; "" for none.
std::string toText(const AskedWays &Ways);
/// The inverse; nullopt for anything else.
std::optional<AskedWays> parseWays(llvm::StringRef Text);

/// Takes the ways asked for in one kernel and notes what there was to choose.
class Chooser {
public:
  explicit Chooser(AskedWays Asked = {}) : Asked(std::move(Asked)) {}

  /// The index of the way to take. Names the choice again with other ways if
  /// it is asked twice.
  unsigned take(llvm::StringRef Name, llvm::ArrayRef<std::string> Ways);

  llvm::ArrayRef<Choice> made() const { return Made; }
  /// Drops the notes: what templates chose that were not taken.
  void forget() { Made.clear(); }
  /// What was asked for and is no way of any choice that was made.
  AskedWays unknown() const;

private:
  AskedWays Asked;
  std::vector<Choice> Made;
};

/// Candidates of a plan with their estimated cost, of which the best few are
/// the ways of a choice.
template <typename T> class Candidates {
public:
  /// Of candidates that have a way in common the cheapest counts.
  void add(std::string Way, double Cost, T Candidate) {
    auto Same =
        llvm::find_if(Items, [&](const Item &I) { return I.Way == Way; });
    if (Same != Items.end()) {
      if (Same->Cost <= Cost)
        return;
      Items.erase(Same);
    }
    auto At = llvm::upper_bound(
        Items, Cost, [](double C, const Item &I) { return C < I.Cost; });
    Items.insert(At, {std::move(Way), Cost, std::move(Candidate)});
  }
  /// The same with costs of another kind.
  template <typename Fn> Candidates withCosts(Fn Cost) const {
    Candidates Result;
    for (const Item &I : Items)
      Result.add(I.Way, Cost(I.Candidate), I.Candidate);
    return Result;
  }

  /// `Choose` is given the ways, cheapest first, and says which to take. Ways
  /// that are estimated to be far worse are left out.
  template <typename Fn> T take(Fn Choose) {
    constexpr size_t Most = 4;
    constexpr double FarWorse = 1.4;
    assert(!Items.empty() && "a plan without a way");
    std::vector<std::string> Ways;
    for (const Item &I : Items)
      if (Ways.size() < Most && I.Cost <= FarWorse * Items.front().Cost)
        Ways.push_back(I.Way);
    return std::move(Items[Choose(llvm::ArrayRef(Ways))].Candidate);
  }

private:
  struct Item {
    std::string Way;
    double Cost;
    T Candidate;
  };
  std::vector<Item> Items; ///< cheapest first
};

/// An estimated number, its half and its double within [Least, Most], estimate
/// first.
llvm::SmallVector<int64_t> nearNumbers(int64_t Estimate, int64_t Least,
                                       int64_t Most);

} // namespace limosa::codegen

#endif // LIMOSA_CODEGEN_CHOICES_H
