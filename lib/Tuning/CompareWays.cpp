//===- CompareWays.cpp - Which way is clearly the fastest -----------------===//

#include "limosa/Tuning/Tuner.h"

#include "llvm/ADT/STLExtras.h"

using namespace llvm;

namespace limosa::tuning {

namespace {

constexpr unsigned Rounds = 12, FirstRounds = 3;
/// A way is taken when it needs less than this part of the first way's time in
/// three rounds of four.
constexpr double ClearlyFaster = 0.97;
/// A way that needs more in the first rounds is out.
constexpr double Hopeless = 1.1;

/// Times of a way, one for each round.
struct Way {
  std::vector<double> Times;
  bool Out = false;
};

/// The value below which a part `Q` of the values lies.
double quantile(std::vector<double> Values, double Q) {
  llvm::sort(Values);
  return Values[size_t(Q * double(Values.size() - 1) + 0.5)];
}

/// Of the ratios to another way's times, round by round.
double ratio(const Way &A, const Way &B, double Q) {
  std::vector<double> Ratios;
  for (auto [TimeA, TimeB] : zip_equal(A.Times, B.Times))
    Ratios.push_back(TimeA / TimeB);
  return quantile(std::move(Ratios), Q);
}

} // namespace

Expected<Contest> compareWays(unsigned Count,
                              function_ref<Expected<double>(unsigned)> Time) {
  std::vector<Way> Ways(Count);
  for (unsigned Round = 0; Round < Rounds; ++Round) {
    for (unsigned I = 0; I < Count; ++I) {
      // Every other round backwards: no way always follows the same one.
      unsigned At = Round % 2 ? Count - 1 - I : I;
      if (Ways[At].Out)
        continue;
      Expected<double> Seconds = Time(At);
      if (!Seconds)
        return Seconds.takeError();
      Ways[At].Times.push_back(*Seconds);
    }
    if (Round + 1 == FirstRounds)
      for (Way &W : MutableArrayRef(Ways).drop_front())
        W.Out = ratio(W, Ways[0], 0.5) > Hopeless;
    if (Round + 1 >= FirstRounds &&
        all_of(ArrayRef(Ways).drop_front(), [](const Way &W) { return W.Out; }))
      break;
  }
  Contest Result;
  Result.Seconds = Result.FirstSeconds = quantile(Ways[0].Times, 0.5);
  double Best = 1;
  for (unsigned I = 1; I < Count; ++I) {
    if (Ways[I].Out || ratio(Ways[I], Ways[0], 0.75) >= ClearlyFaster)
      continue;
    if (double Ratio = ratio(Ways[I], Ways[0], 0.5); Ratio < Best) {
      Best = Ratio;
      Result.Winner = I;
      Result.Seconds = quantile(Ways[I].Times, 0.5);
    }
  }
  return Result;
}

} // namespace limosa::tuning
