//===- Groups.cpp - Which ops become one kernel ---------------------------===//
//
// Heavy ops and reductions first take the ops that follow them. Then one walk
// from the end of the block to its beginning decides for every other op, when
// all its users are settled: pulled into the one group that uses it, copied
// into all of them if that is cheap, or a group of its own.
//
//===----------------------------------------------------------------------===//

#include "Groups.h"
#include "Rules.h"

#include "limosa/Codegen/FusionRules.h"
#include "limosa/IR/LimosaOps.h"
#include "limosa/IR/Types.h"

#include <set>

using namespace mlir;

namespace limosa::dispatch {

Grouping::Grouping(BlockGraph &Graph, const FusionOptions &Options)
    : Graph(Graph), Options(Options), Owner(Graph.size(), -1),
      CopiedIn(Graph.size()), Live(Graph.size()) {
  groupClaimed();
  if (Options.Fuse)
    for (unsigned I = 0; I < Graph.size(); ++I) {
      if (Owner[I] >= 0)
        continue;
      if (isa<ContractOp>(Graph.op(I)))
        growPair(Graph.op(I), codegen::attentionOps(Graph.op(I)));
      else if (isa<ConvOp>(Graph.op(I)) && Options.FuseExpansions)
        growExpansion(Graph.op(I));
    }
  for (unsigned I = 0; I < Graph.size(); ++I)
    if (classify(Graph.op(I)) == OpClass::Heavy && Owner[I] < 0)
      growFrom(Graph.op(I));
  for (unsigned I = 0; I < Graph.size(); ++I)
    if (classify(Graph.op(I)) == OpClass::Reduce && Owner[I] < 0)
      growFrom(Graph.op(I));
  pullProducers();
}

void Grouping::growExpansion(Operation *Depthwise) {
  SmallVector<Operation *> Ops = codegen::expansionOps(Depthwise);
  if (!Ops.empty() && codegen::isExpansionFaster(Ops))
    growPair(Depthwise, Ops);
}

/// Kernels of other devices: what each claimed, together where it takes that.
void Grouping::groupClaimed() {
  llvm::StringMap<unsigned> Open; // the group that still grows, by device
  for (unsigned I = 0; I < Graph.size(); ++I) {
    Operation *Op = Graph.op(I);
    llvm::StringRef Device = claimedBy(Op);
    if (Device.empty())
      continue;
    // Sizes that a compact finds are known after its kernel only.
    bool Joins = Options.Fuse && !isa<CompactOp>(Op) &&
                 llvm::is_contained(Options.SubgraphDevices, Device);
    auto It = Open.find(Device);
    if (Joins && It != Open.end() && !makesCycle(It->second, Op)) {
      own(It->second, Op);
      continue;
    }
    unsigned G = newGroup(Op);
    if (Joins)
      Open[Device] = G;
  }
}

int Grouping::owner(Operation *Op) const {
  return Graph.contains(Op) ? Owner[Graph.index(Op)] : -1;
}

unsigned Grouping::newGroup(Operation *Root) {
  Groups.push_back({Root, {}, {}, claimedBy(Root), false});
  own(Groups.size() - 1, Root);
  return Groups.size() - 1;
}

void Grouping::own(unsigned G, Operation *Op) {
  Groups[G].Owned.push_back(Op);
  Owner[Graph.index(Op)] = G;
}

bool Grouping::holds(unsigned G, Operation *Op) const {
  unsigned I = Graph.index(Op);
  return Owner[I] == int(G) || llvm::is_contained(CopiedIn[I], G);
}

SmallVector<Value> Grouping::outputs(unsigned G, Operation *Extra) const {
  SmallVector<Value> Out;
  auto IsInside = [&](Operation *User) {
    Operation *A = Graph.ancestor(User);
    return A == User && (holds(G, A) || A == Extra);
  };
  auto Add = [&](Operation *Op) {
    for (Value R : Op->getResults())
      if (!llvm::all_of(R.getUsers(), IsInside))
        Out.push_back(R);
  };
  for (Operation *Op : Groups[G].Owned)
    Add(Op);
  if (Extra)
    Add(Extra);
  return Out;
}

bool Grouping::makesCycle(unsigned G, Operation *Op) const {
  llvm::BitVector Seen(Graph.size());
  SmallVector<unsigned> Stack;
  auto Push = [&](unsigned From) {
    for (unsigned P : Graph.before(From))
      if (!Seen.test(P)) {
        Seen.set(P);
        Stack.push_back(P);
      }
  };
  for (unsigned P : Graph.before(Graph.index(Op)))
    if (Owner[P] != int(G) && !Seen.test(P)) {
      Seen.set(P);
      Stack.push_back(P);
    }
  while (!Stack.empty()) {
    unsigned I = Stack.pop_back_val();
    if (Owner[I] == int(G))
      return true;
    if (Owner[I] < 0) {
      Push(I);
      continue;
    }
    for (Operation *Member : Groups[Owner[I]].Owned) // a group runs as one
      Push(Graph.index(Member));
  }
  return false;
}

bool Grouping::reaches(unsigned From, unsigned G) const {
  llvm::BitVector Seen(Graph.size());
  SmallVector<unsigned> Stack{From};
  Seen.set(From);
  auto Push = [&](unsigned Of) {
    for (unsigned N : Graph.after(Of))
      if (!Seen.test(N)) {
        Seen.set(N);
        Stack.push_back(N);
      }
  };
  while (!Stack.empty()) {
    unsigned I = Stack.pop_back_val();
    if (holds(G, Graph.op(I)))
      return true;
    for (unsigned Into : CopiedIn[I])
      for (Operation *Member : Groups[Into].Owned)
        Push(Graph.index(Member));
    if (Owner[I] < 0) {
      Push(I);
      continue;
    }
    for (Operation *Member : Groups[Owner[I]].Owned)
      Push(Graph.index(Member));
  }
  return false;
}

//===----------------------------------------------------------------------===//
// What follows a heavy op
//===----------------------------------------------------------------------===//

/// Two products that are fast together, and what is between them, are one
/// kernel if nobody else wants what they compute on the way to `Last`.
void Grouping::growPair(Operation *Last, ArrayRef<Operation *> Ops) {
  llvm::SmallPtrSet<Operation *, 32> Inside(Ops.begin(), Ops.end());
  if (Ops.empty() || Ops.size() > Options.MaxOps)
    return;
  for (Operation *Op : Ops)
    if (!Graph.contains(Op) || owner(Op) >= 0 ||
        (Op != Last && !llvm::all_of(Op->getUsers(), [&](Operation *User) {
           return Inside.contains(User);
         })))
      return;
  unsigned G = newGroup(Last);
  for (Operation *Op : Ops)
    if (Op != Last)
      own(G, Op);
  Groups[G].IsAttention = isa<ContractOp>(Last);
  growEpilogue(G);
  while (Groups[G].Owned.size() > Ops.size() && !isGood(G)) {
    Owner[Graph.index(Groups[G].Owned.back())] = -1;
    Groups[G].Owned.pop_back();
  }
}

void Grouping::growFrom(Operation *Root) {
  unsigned G = newGroup(Root);
  if (!Options.Fuse)
    return;
  if (isa<ReduceOp>(Root))
    growChain(G);
  else if (hasEpilogue(Root))
    growEpilogue(G);
  // Grown too far: give back what came last.
  while (Groups[G].Owned.size() > 1 && !isGood(G)) {
    Owner[Graph.index(Groups[G].Owned.back())] = -1;
    Groups[G].Owned.pop_back();
  }
}

/// Whether Codegen has fast code for a grown group.
bool Grouping::isGood(unsigned G) const {
  SmallVector<Value> Out = outputs(G);
  if (Out.size() > maxOutputs(Groups[G].Root, Options))
    return false;
  // All parts of a product's columns, or none.
  if (auto Split = gatesOf(Groups[G].Root)) {
    auto Inside = llvm::count_if(
        Split->Slices, [&](Operation *Part) { return owner(Part) == int(G); });
    if (Inside != 0 && size_t(Inside) != Split->Slices.size())
      return false;
  }
  if (!isa<ReduceOp>(Groups[G].Root))
    return true;
  SmallVector<Operation *> Ops(Groups[G].Owned);
  llvm::sort(Ops, [&](Operation *A, Operation *B) {
    return Graph.index(A) < Graph.index(B);
  });
  return codegen::isReductionChain(Ops, Out);
}

/// Adds users of the group's values in the order of the block while `Accept`
/// takes them. An op whose other operands hang on the group is seen again when
/// those have joined, since they come before it.
template <typename Fn>
static void growUsers(const BlockGraph &Graph, Operation *Root, Fn TryAdd) {
  std::set<unsigned> Next;
  auto PushUsers = [&](Operation *Op) {
    for (Operation *User : Op->getUsers())
      if (Graph.contains(User))
        Next.insert(Graph.index(User));
  };
  PushUsers(Root);
  while (!Next.empty()) {
    unsigned I = *Next.begin();
    Next.erase(Next.begin());
    if (TryAdd(Graph.op(I)))
      PushUsers(Graph.op(I));
  }
}

bool Grouping::tryAdd(unsigned G, Operation *Op) {
  if (owner(Op) >= 0 || size(G) >= Options.MaxOps || makesCycle(G, Op))
    return false;
  own(G, Op);
  return true;
}

void Grouping::growEpilogue(unsigned G) {
  Operation *Root = Groups[G].Root;
  std::optional<codegen::ColumnSplit> Split = gatesOf(Root);
  auto Joins = [&](Operation *Op) {
    if (classify(Op) == OpClass::Pointwise)
      return codegen::canBeEpilogue(Root, Op) ||
             (Split && codegen::canBeEpilogue(Split->Slices[0], Op));
    return (Split && llvm::is_contained(Split->Slices, Op)) ||
           storesBlock(G, Op);
  };
  growUsers(Graph, Root,
            [&](Operation *Op) { return Joins(Op) && tryAdd(G, Op); });
}

/// Whether `Op` puts what a product's group computes into a part of another
/// tensor, or is a view on the way there.
bool Grouping::storesBlock(unsigned G, Operation *Op) const {
  if (!isa<ContractOp>(Groups[G].Root) || !claimedBy(Op).empty())
    return false;
  if (classify(Op) == OpClass::View)
    return sameUpToUnitDims(Op->getOperand(0).getType(),
                            Op->getResult(0).getType()) &&
           Op->hasOneUse() && Graph.contains(*Op->user_begin()) &&
           Op->use_begin()->getOperandNumber() == 1 &&
           codegen::canStoreIntoSlice(*Op->user_begin());
  auto IsInside = [&](Value V) {
    Operation *Def = V.getDefiningOp();
    return Def && owner(Def) == int(G);
  };
  auto Update = dyn_cast<UpdateSliceOp>(Op);
  return Update && codegen::canStoreIntoSlice(Op) &&
         IsInside(Update.getUpdate()) && !IsInside(Update.getOperand()) &&
         !IsInside(Update.getStarts());
}

void Grouping::growChain(unsigned G) {
  ChainDomain D = chainDomain(Groups[G].Root);
  growUsers(Graph, Groups[G].Root,
            [&](Operation *Op) { return joinsChain(D, Op) && tryAdd(G, Op); });
}

//===----------------------------------------------------------------------===//
// What feeds the groups
//===----------------------------------------------------------------------===//

bool Grouping::canPullInto(Operation *Producer, unsigned G) const {
  if (!Options.Fuse || size(G) >= Options.MaxOps || !Groups[G].Device.empty())
    return false;
  for (OpOperand &Use : Producer->getUses()) {
    Operation *User = Use.getOwner();
    if (!Graph.contains(User) || !holds(G, User))
      continue;
    bool Reads = Groups[G].IsAttention && isa<ContractOp>(User)
                     ? attentionReads(Producer, Options)
                     : canPull(Producer, User, Use.getOperandNumber());
    if (!Reads)
      return false;
  }
  return true;
}

void Grouping::pullProducers() {
  for (unsigned I = Graph.size(); I-- > 0;)
    place(I);
}

void Grouping::place(unsigned I) {
  Operation *Op = Graph.op(I);
  OpClass Class = classify(Op);
  if (Class == OpClass::Outside || Owner[I] >= 0) {
    Live.set(I);
    return;
  }

  std::set<unsigned> Users;
  bool UsedOutside = false;
  for (Operation *User : Op->getUsers()) {
    Operation *A = Graph.ancestor(User);
    unsigned U = Graph.index(A);
    if (Owner[U] >= 0)
      Users.insert(Owner[U]);
    Users.insert(CopiedIn[U].begin(), CopiedIn[U].end());
    UsedOutside |= Owner[U] < 0 && Live.test(U);
  }
  if (Users.empty() && !UsedOutside)
    return; // dead, or copied nowhere

  if (Class == OpClass::Inline) {
    if (UsedOutside)
      Live.set(I);
    return;
  }

  auto Copy = [&](unsigned G) {
    Groups[G].Copied.push_back(Op);
    CopiedIn[I].push_back(G);
  };
  bool AllPull =
      llvm::all_of(Users, [&](unsigned G) { return canPullInto(Op, G); });

  if (Class == OpClass::View) {
    // Free between kernels; inside one only if that spares storing what it
    // looks at.
    Operation *Def = Op->getOperand(0).getDefiningOp();
    OpClass From = Def ? classify(Def) : OpClass::Outside;
    bool Fuses =
        !UsedOutside && AllPull && Def && Graph.contains(Def) &&
        owner(Def) < 0 &&
        (From == OpClass::Pointwise || From == OpClass::Data ||
         From == OpClass::Inline) &&
        (sameUpToUnitDims(Op->getOperand(0).getType(),
                          Op->getResult(0).getType()) ||
         (isa<BroadcastOp>(Def) &&
          llvm::all_of(
              Users, [&](unsigned G) { return Groups[G].IsAttention; })));
    if (Fuses && Users.size() == 1) {
      own(*Users.begin(), Op);
    } else if (Fuses && recomputeCost(Op, Options.MaxRecompute) <=
                            Options.MaxRecompute) {
      llvm::for_each(Users, Copy);
    } else {
      Live.set(I);
    }
    return;
  }

  if (!UsedOutside && AllPull && Users.size() == 1) {
    own(*Users.begin(), Op);
    return;
  }
  if (!Users.empty() && Options.Fuse) {
    // What only spreads a smaller tensor is always better read in its small
    // form, even if it has to be stored for somebody else.
    bool Spreads = isa<BroadcastOp, IotaOp>(Op);
    if (!UsedOutside && AllPull &&
        (Spreads ||
         recomputeCost(Op, Options.MaxRecompute) <= Options.MaxRecompute)) {
      llvm::for_each(Users, Copy);
      return;
    }
    if (Spreads) {
      for (unsigned G : Users)
        if (canPullInto(Op, G))
          Copy(G);
    } else if (Class == OpClass::Pointwise) {
      // One of its users may store it on the way, if nothing before that user
      // waits for it.
      for (unsigned G : Users) {
        Operation *Root = Groups[G].Root;
        Type Domain = isa<ReduceOp>(Root) ? chainDomain(Root).Domain
                                          : Root->getResult(0).getType();
        OpClass RootClass = classify(Root);
        if ((RootClass != OpClass::Pointwise && RootClass != OpClass::Reduce) ||
            !sameDomain(Domain, Op->getResult(0).getType()) ||
            !canPullInto(Op, G) ||
            outputs(G, Op).size() > maxOutputs(Root, Options))
          continue;
        bool Waits = llvm::any_of(Graph.after(I), [&](unsigned U) {
          return !holds(G, Graph.op(U)) && reaches(U, G);
        });
        if (Waits)
          continue;
        own(G, Op);
        return;
      }
    }
  }
  newGroup(Op);
}

} // namespace limosa::dispatch
