//===- Arena.cpp - Memory from lifetimes ----------------------------------===//

#include "Arena.h"

#include "llvm/ADT/STLExtras.h"

#include <algorithm>
#include <limits>

namespace limosa::plan {
namespace {

/// What sizes are compared at when they depend on symbols: a guess decides who
/// shares, the formulas stay right for every value.
constexpr int64_t NominalSize = 128;

int64_t nominal(const DimExpr &E) {
  auto V = E.evaluate([](std::string_view) { return NominalSize; });
  return V ? std::max<int64_t>(*V, 0) : std::numeric_limits<int64_t>::max() / 4;
}

struct Slot {
  llvm::SmallVector<DimExpr, 2> Sizes; ///< the slot's size is their maximum
  int64_t Nominal = 0;
  unsigned FreeFrom = 0; ///< first time it is free again
  llvm::SmallVector<Storage *> Users;

  bool holds(const DimExpr &E) const {
    return llvm::any_of(Sizes, [&](const DimExpr &S) {
      auto Bound = (S - E).lowerBound();
      return Bound && *Bound >= 0;
    });
  }
  void grow(const DimExpr &E) {
    if (holds(E))
      return;
    llvm::erase_if(Sizes, [&](const DimExpr &S) {
      auto Bound = (E - S).lowerBound();
      return Bound && *Bound >= 0;
    });
    Sizes.push_back(E);
    Nominal = std::max(Nominal, nominal(E));
  }
  DimExpr size() const {
    DimExpr Max = Sizes.front();
    for (const DimExpr &S : llvm::drop_begin(Sizes))
      Max = DimExpr::max(Max, S);
    return Max;
  }
};

} // namespace

DimExpr assignArena(llvm::MutableArrayRef<Storage> Storages, uint32_t Device) {
  llvm::SmallVector<Storage *> Order;
  for (Storage &S : Storages)
    if (S.Kind == fb::BufferKind::Temp && S.Device == Device)
      Order.push_back(&S);
  llvm::sort(Order, [](const Storage *A, const Storage *B) {
    return A->Begin != B->Begin ? A->Begin < B->Begin : A < B;
  });

  std::vector<Slot> Slots;
  for (Storage *S : Order) {
    DimExpr Bytes = DimExpr::ceilDiv(S->Bytes, 64) * DimExpr(64);
    int64_t Size = nominal(Bytes);
    Slot *Best = nullptr;
    int64_t BestCost = 0;
    for (Slot &Candidate : Slots) {
      if (Candidate.FreeFrom > S->Begin)
        continue;
      // Growth costs memory for good; memory left over costs only a chance.
      int64_t Grow = Candidate.holds(Bytes)
                         ? 0
                         : std::max<int64_t>(Size - Candidate.Nominal, 0);
      int64_t Rest = std::max<int64_t>(Candidate.Nominal - Size, 0);
      int64_t Cost = 4 * Grow + Rest / 4;
      if (Grow == Size && Size > 0)
        continue;
      if (!Best || Cost < BestCost ||
          (Cost == BestCost && Candidate.FreeFrom > Best->FreeFrom)) {
        Best = &Candidate;
        BestCost = Cost;
      }
    }
    // A slot that would more than double is better left to smaller ones.
    if (Best && !Best->holds(Bytes) && Size > 2 * Best->Nominal)
      Best = nullptr;
    if (!Best)
      Best = &Slots.emplace_back();
    Best->grow(Bytes);
    Best->FreeFrom = S->End + 1;
    Best->Users.push_back(S);
  }

  DimExpr Offset;
  for (Slot &S : Slots) {
    for (Storage *User : S.Users)
      User->Offset = Offset;
    Offset = Offset + S.size();
  }
  return Offset;
}

} // namespace limosa::plan
