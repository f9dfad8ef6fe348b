//===- Bind.cpp - Inputs against what the model wants ---------------------===//

#include "InstanceState.h"

using namespace limosa;
using namespace limosa::runtime;

namespace {

std::string describe(const limosa_tensor &T) {
  std::string Text(dtypeName(DType(T.dtype)));
  Text += '[';
  for (uint32_t D = 0; D < T.rank; ++D)
    Text += (D ? ", " : "") + std::to_string(T.dims[D]);
  return Text + ']';
}

class Binder {
public:
  Binder(InstanceState &I, const fb::Entry &E,
         std::span<const limosa_tensor> Inputs)
      : I(I), P(*I.Program->Table), E(E), Inputs(Inputs),
        Values(I.Symbols.size(), -1) {}

  Status run() {
    for (Index = 0; Index < Inputs.size(); ++Index)
      if (Status S = checkType())
        return S;
    for (Index = 0; Index < Inputs.size(); ++Index)
      if (Status S = bindSymbols())
        return S;
    if (Status S = checkRanges())
      return S;
    commit();
    for (Index = 0; Index < Inputs.size(); ++Index)
      if (Status S = checkDims())
        return S;
    return {};
  }

private:
  const fb::Argument &argument() const { return *E.inputs()->Get(Index); }

  Status fail(const std::string &Why) const {
    return invalidArgument("input '" + argument().name()->str() + "' is " +
                           describe(Inputs[Index]) + " but the model wants " +
                           describeArgument(P, argument()) + ": " + Why);
  }

  Status checkType() const {
    const limosa_tensor &T = Inputs[Index];
    const fb::Argument &A = argument();
    if (T.rank > LIMOSA_MAX_RANK)
      return invalidArgument("input '" + A.name()->str() + "' has rank " +
                             std::to_string(T.rank) + ", the most is " +
                             std::to_string(LIMOSA_MAX_RANK));
    if (T.dtype != A.dtype())
      return fail("the element type differs");
    if (T.rank != (A.dims() ? A.dims()->size() : 0))
      return fail("the number of dimensions differs");
    int64_t Elements = 1;
    for (uint32_t D = 0; D < T.rank; ++D)
      if (T.dims[D] < 0 ||
          __builtin_mul_overflow(Elements, T.dims[D], &Elements) ||
          Elements > INT64_MAX / 128)
        return fail("dimension " + std::to_string(D) + " is out of range");
    uint64_t Bytes = uint64_t(dtypeBytes(DType(T.dtype), Elements));
    if (T.bytes && T.bytes != Bytes)
      return fail("its dimensions take " + std::to_string(Bytes) +
                  " bytes, not " + std::to_string(T.bytes));
    if (!T.data && Bytes)
      return invalidArgument("input '" + A.name()->str() + "' has no data");
    unsigned ElementBytes = dtypeBits(DType(T.dtype)) / 8;
    if (ElementBytes > 1 && uint64_t(T.data) % ElementBytes)
      return invalidArgument("input '" + A.name()->str() +
                             "' is not aligned to its elements");
    return {};
  }

  Status bindSymbols() {
    const limosa_tensor &T = Inputs[Index];
    for (uint32_t D = 0; D < T.rank; ++D) {
      auto Symbol = I.Program->Exprs[argument().dims()->Get(D)].asSymbol();
      if (!Symbol)
        continue;
      int64_t &Value = Values[*Symbol];
      if (Value >= 0 && Value != T.dims[D])
        return fail("dimension " + std::to_string(D) + " must be " +
                    std::to_string(Value) + ", as " + name(*Symbol) +
                    " is elsewhere");
      Value = T.dims[D];
    }
    return {};
  }

  std::string name(uint32_t Symbol) const {
    return P.symbols()->Get(Symbol)->name()->str();
  }

  Status checkRanges() const {
    for (uint32_t S = 0; S < Values.size(); ++S) {
      int64_t Value = Values[S];
      const fb::Symbol &Known = *P.symbols()->Get(S);
      if (Value < 0)
        continue;
      std::string Message = "the inputs make " + name(S) + " " +
                            std::to_string(Value) + ", but it has to be ";
      if (Value < Known.min())
        return invalidArgument(Message + "at least " +
                               std::to_string(Known.min()));
      if (Value > Known.max())
        return invalidArgument(Message + "at most " +
                               std::to_string(Known.max()));
      if (Value % Known.divisor())
        return invalidArgument(Message + "a multiple of " +
                               std::to_string(Known.divisor()));
    }
    return {};
  }

  void commit() {
    for (uint32_t S = 0; S < Values.size(); ++S)
      if (Values[S] >= 0 && I.Symbols[S] != Values[S]) {
        I.Symbols[S] = Values[S];
        ++I.Epoch;
      }
  }

  Status checkDims() const {
    const limosa_tensor &T = Inputs[Index];
    for (uint32_t D = 0; D < T.rank; ++D) {
      int64_t Value;
      if (!I.evaluate(argument().dims()->Get(D), Value))
        return fail("dimension " + std::to_string(D) + " is out of range");
      if (Value != T.dims[D])
        return fail("dimension " + std::to_string(D) + " must be " +
                    std::to_string(Value));
    }
    return {};
  }

  InstanceState &I;
  const fb::Program &P;
  const fb::Entry &E;
  std::span<const limosa_tensor> Inputs;
  std::vector<int64_t> Values;
  uint32_t Index = 0;
};

} // namespace

std::string limosa::runtime::describeArgument(const fb::Program &P,
                                              const fb::Argument &A) {
  std::string Text(dtypeName(DType(A.dtype())));
  Text += '[';
  for (uint32_t D = 0; A.dims() && D < A.dims()->size(); ++D)
    Text += (D ? ", " : "") + P.exprs()->Get(A.dims()->Get(D))->text()->str();
  return Text + ']';
}

Status limosa::runtime::bindInputs(InstanceState &I, uint32_t Entry,
                                   std::span<const limosa_tensor> Inputs) {
  const fb::Entry &E = *I.Program->Entries[Entry].Table;
  uint32_t Count = E.inputs() ? E.inputs()->size() : 0;
  if (Inputs.size() != Count)
    return invalidArgument("'" + E.name()->str() + "' takes " +
                           std::to_string(Count) + " inputs, not " +
                           std::to_string(Inputs.size()));
  return Binder(I, E, Inputs).run();
}
